//! The style sheet, the script and the icon. They are part of the program; their names contain a hash of the
//! content, so that browsers can cache them forever.

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::sync::Arc;

/// The files, with their types.
const FILES: [(&str, &str, &[u8]); 3] = [
    ("desk.css", "text/css; charset=utf-8", include_bytes!("../../assets/desk.css")),
    ("desk.js", "text/javascript; charset=utf-8", include_bytes!("../../assets/desk.js")),
    ("icon.svg", "image/svg+xml", include_bytes!("../../assets/icon.svg")),
];

/// The files by public name.
#[derive(Clone, Debug)]
pub struct Assets {
    /// The style sheet's path.
    pub css: String,
    /// The script's path.
    pub js: String,
    /// The icon's path.
    pub icon: String,
}

impl Assets {
    /// Computes the public names.
    pub fn new() -> Self {
        let [css, js, icon] = FILES.map(|(name, _, content)| format!("/static/{}", public(name, content)));
        Self { css, js, icon }
    }
}

impl Default for Assets {
    fn default() -> Self {
        Self::new()
    }
}

/// The public name: `desk.0123456789ab.css`.
fn public(name: &str, content: &[u8]) -> String {
    let mut hash = String::new();
    for byte in &Sha256::digest(content)[..6] {
        // writing to a string cannot fail
        let _ = write!(hash, "{byte:02x}");
    }
    let (stem, ending) = name.split_once('.').unwrap_or((name, ""));
    format!("{stem}.{hash}.{ending}")
}

/// `/static/{name}`
pub(super) async fn serve(State(site): State<Arc<super::Site>>, Path(name): Path<String>) -> Response {
    let paths = [&site.assets.css, &site.assets.js, &site.assets.icon];
    let wanted = paths.iter().position(|path| path.strip_prefix("/static/") == Some(name.as_str()));
    match wanted.and_then(|index| FILES.get(index)) {
        Some((_, kind, content)) => {
            let headers = [
                (header::CONTENT_TYPE, *kind),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ];
            (headers, *content).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_contents() {
        assert_eq!(public("desk.css", b"a"), "desk.ca978112ca1b.css");
        let assets = Assets::new();
        assert!(assets.css.starts_with("/static/desk.") && assets.css.contains(".css"));
        assert_ne!(public("desk.css", b"a"), public("desk.css", b"b"));
    }
}
