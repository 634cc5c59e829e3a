//! A message's HTML in a separate frame, and its attachments, which can only be saved.
//!
//! The HTML is rebuilt from a short list of elements, without styles, links, images or forms. It is served
//! with a policy of its own that allows nothing but our style sheet: even if the sanitising misses something,
//! the browser neither runs nor loads it.

use super::super::Site;
use super::super::words::calm;
use super::answer;
use super::parts::MOST_READ;
use super::visit::Visit;
use crate::desk::contents;
use crate::id::Id;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use regex::{Captures, Regex};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

/// The styles of the frame.
const STYLE: &str = "html{color-scheme:light}body{margin:1rem;background:#fff;color:#1a1a1a;\
    font:15px/1.7 system-ui,'Noto Sans JP','Hiragino Sans',Meiryo,sans-serif;overflow-wrap:anywhere}\
    table{border-collapse:collapse}td,th{padding:2px 8px 2px 0;vertical-align:top}\
    blockquote{margin:0 0 0 4px;padding-left:12px;border-left:3px solid #ccc;color:#4d4d4d}\
    pre{white-space:pre-wrap}.image{color:#595959;border:1px dashed #999;border-radius:4px;padding:0 6px}";

/// Elements that are kept.
const ELEMENTS: [&str; 47] = [
    "a",
    "abbr",
    "b",
    "bdi",
    "bdo",
    "big",
    "blockquote",
    "br",
    "caption",
    "center",
    "cite",
    "code",
    "dd",
    "del",
    "div",
    "dl",
    "dt",
    "em",
    "font",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "ins",
    "kbd",
    "li",
    "mark",
    "ol",
    "p",
    "pre",
    "q",
    "s",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "th",
    "tr",
];
/// Further elements that are kept.
const MORE: [&str; 5] = ["thead", "tfoot", "tt", "u", "ul"];

/// An image element.
static IMAGE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?is)<img\b(?:"[^"]*"|'[^']*'|[^>"'])*>"#).ok());
/// The alternative text of an image.
static ALT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?is)\balt\s*=\s*("[^"]*"|'[^']*'|[^\s>]+)"#).ok());

/// `GET /held/{id}/html`
pub(super) async fn html(State(site): State<Arc<Site>>, visit: Visit, Path(id): Path<String>) -> Response {
    let Visit { who, c } = visit;
    let Ok(id) = id.parse::<Id>() else { return answer::gone(c) };
    let written = match site.desk.written_by_id(&who, id, MOST_READ).await {
        Ok(Some(written)) => written,
        Ok(None) => return answer::gone(c),
        Err(error) => return answer::refused(c, id, &error),
    };
    let raw = written.raw().clone();
    let image = c.t.p("desk-image").to_string();
    let lang = c.t.lang();
    let made = tokio::task::spawn_blocking(move || {
        contents::read(&raw).html.map(|html| document(&sanitised(&html, &image), lang))
    })
    .await;
    match made {
        Ok(Some(text)) => framed(text),
        _ => answer::gone(c),
    }
}

/// The document in the frame.
fn document(inside: &str, lang: &str) -> String {
    format!(
        "<!doctype html><html lang=\"{lang}\"><head><meta charset=\"utf-8\"><title>HTML</title>\
         <style>{STYLE}</style></head><body>{inside}</body></html>"
    )
}

/// The response of a frame, with its own policy.
fn framed(text: String) -> Response {
    let hash = BASE64_STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let policy = format!(
        "sandbox; default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'self'"
    );
    let mut response = (StatusCode::OK, text).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// Start and end tags of links, as a browser would see them.
static LINK: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?is)<a(?:[\s/](?:[^>\x22']|\x22[^\x22]*\x22|'[^']*')*)?>|</a\s*>").ok());

/// The target of a link.
static HREF: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?is)[\s/\x22']href\s*=\s*(?:\x22([^\x22]*)\x22|'([^']*)'|([^\s>\x22']+))").ok()
});

/// Longest link target shown, in characters.
const LONGEST_LINK: usize = 300;

/// Adds the target after each link's text, unless the text is the target.
fn told_links(html: &str) -> String {
    let Some(link) = LINK.as_ref() else { return html.to_owned() };
    let mut out = String::with_capacity(html.len());
    let (mut at, mut open) = (0, None::<(usize, String)>);
    for found in link.find_iter(html) {
        out.push_str(&html[at..found.start()]);
        let words = open.take().map(|(from, target)| (html[from..found.start()].trim(), target));
        if let Some((words, target)) = words.filter(|(words, target)| words != target) {
            tell(&mut out, words, &target);
        }
        out.push_str(found.as_str());
        at = found.end();
        if !found.as_str().starts_with("</") {
            open = HREF.as_ref().and_then(|href| href.captures(found.as_str())).and_then(|found| {
                let target = found.iter().skip(1).flatten().next()?.as_str().trim();
                (!target.is_empty()).then(|| (at, target.to_owned()))
            });
        }
    }
    out.push_str(&html[at..]);
    // a link without end tag extends to the end
    if let Some((from, target)) = open {
        tell(&mut out, html[from..].trim(), &target);
    }
    out
}

/// Adds a link's target as text; the browser decodes entities (`&amp;`) as it would in the attribute.
fn tell(out: &mut String, words: &str, target: &str) {
    if words != target {
        let target: String =
            target.replace('<', "&lt;").replace('>', "&gt;").chars().take(LONGEST_LINK).collect();
        out.push_str(" <span>⟨");
        out.push_str(&calm(&target, LONGEST_LINK));
        out.push_str("⟩</span> ");
    }
}

/// Removes everything that acts, loads or hides: scripts, styles, links, images, forms, frames. Images are
/// replaced by their text, links by their text and target.
fn sanitised(html: &str, image: &str) -> String {
    let text = |found: &Captures<'_>| {
        let whole = found.get(0).map_or("", |whole| whole.as_str());
        let alt = ALT.as_ref().and_then(|alt| alt.captures(whole)).and_then(|found| found.get(1));
        let alt = alt.map(|alt| alt.as_str().trim_matches(['"', '\''])).unwrap_or_default();
        let words =
            if alt.trim().is_empty() { image.to_owned() } else { format!("{image}: {}", calm(alt, 80)) };
        format!(" <span>[{}]</span> ", words.replace(['<', '>', '&'], " "))
    };
    let told = told_links(html);
    let without = match IMAGE.as_ref() {
        Some(tag) => tag.replace_all(&told, text),
        None => std::borrow::Cow::Borrowed(told.as_str()),
    };
    let tags: HashSet<&str> = ELEMENTS.into_iter().chain(MORE).collect();
    let cells: HashSet<&str> = ["colspan", "rowspan"].into_iter().collect();
    let attributes = HashMap::from([("td", cells.clone()), ("th", cells)]);
    ammonia::Builder::empty()
        .tags(tags)
        .clean_content_tags(
            ["script", "style", "title", "noscript", "template", "svg", "math", "iframe", "object", "embed"]
                .into_iter()
                .collect(),
        )
        .tag_attributes(attributes)
        .generic_attributes(["dir", "lang"].into_iter().collect())
        .url_schemes(HashSet::new())
        .link_rel(None)
        .strip_comments(true)
        .clean(&without)
        .to_string()
}

/// `GET /held/{id}/attachment/{number}`: always saved, never opened in the browser.
pub(super) async fn attachment(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Path((id, number)): Path<(String, usize)>,
) -> Response {
    let Visit { who, c } = visit;
    let Ok(id) = id.parse::<Id>() else { return answer::gone(c) };
    let written = match site.desk.written_by_id(&who, id, MOST_READ).await {
        Ok(Some(written)) => written,
        Ok(None) => return answer::gone(c),
        Err(error) => return answer::refused(c, id, &error),
    };
    let raw = written.raw().clone();
    let found = tokio::task::spawn_blocking(move || contents::file(&raw, number)).await;
    let Ok(Some((file, octets))) = found else { return answer::gone(c) };
    tracing::info!(%id, number, by = who.name, "an attachment was downloaded");
    let headers = [
        (header::CONTENT_TYPE, served_as(&file.kind).to_owned()),
        (header::CONTENT_DISPOSITION, disposition(&file.name, number)),
        (header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, octets).into_response()
}

/// Harmless types keep their name; everything else becomes `application/octet-stream`.
fn served_as(kind: &str) -> &str {
    let harmless =
        ["image/png", "image/jpeg", "image/gif", "application/pdf", "application/zip", "text/plain"];
    harmless.into_iter().find(|known| *known == kind).unwrap_or("application/octet-stream")
}

/// RFC 6266: an ASCII name for old clients, and the whole name (RFC 8187).
fn disposition(name: &str, number: usize) -> String {
    let calm = calm(name, 150).replace(['\u{fffd}', '/', '\\', ':'], "_");
    let name = calm.trim().trim_matches('.').trim();
    let name = if name.is_empty() { format!("attachment-{}", number + 1) } else { name.to_owned() };
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || " .-_()[]+=@,".contains(c) { c } else { '_' })
        .collect();
    format!(
        "attachment; filename=\"{plain}\"; filename*=UTF-8''{}",
        answer::encoded(&name).replace('/', "%2F")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_acts_asks_or_hides() {
        let evil = [
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "<svg><script>alert(1)</script></svg>",
            "<svg/onload=alert(1)>",
            "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=alert(1)&gt;\">",
            "<a href=\"javascript:alert(1)\">x</a>",
            "<a href=https://evil.example/>x</a>",
            "<div style=\"background:url(https://evil.example/)\">x</div>",
            "<style>@import 'https://evil.example/';</style>",
            "<link rel=stylesheet href=https://evil.example/>",
            "<meta http-equiv=refresh content='0;url=https://evil.example/'>",
            "<base href=https://evil.example/>",
            "<form action=https://evil.example/><input name=a><button>go</button></form>",
            "<object data=https://evil.example/></object><embed src=https://evil.example/>",
            "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
            "<video poster=https://evil.example/><source src=https://evil.example/></video>",
            "<table background=https://evil.example/><tr><td>x</td></tr></table>",
            "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\"></noscript>",
            "<p onclick=alert(1) id=x class=y>x</p>",
        ];
        for html in evil {
            let clean = sanitised(html, "image");
            let lower = clean.to_ascii_lowercase();
            for bad in [
                "<script",
                "<img",
                "<svg",
                "<style",
                "<iframe",
                "<form",
                "<input",
                "<meta",
                "<base",
                "href",
                "src=",
                "onerror=alert",
                "<object",
                "style=",
                "background=",
                "class=",
                "id=",
            ] {
                // as escaped text it is harmless
                let text = lower.replace("&lt;img src=1 onerror=alert(1)&gt;", "");
                assert!(!text.contains(bad), "{html} became {clean}");
            }
        }
    }

    #[test]
    fn text_tables_and_images_stay_readable() {
        let html = "<h1>見積書</h1><p>A <b>bold</b> word</p><table><tr><td colspan=2>x</td></tr></table>\
                    <img src=\"cid:logo@x\" alt=\"Logo of <us>\">";
        let clean = sanitised(html, "画像");
        assert!(
            clean.contains("<h1>見積書</h1>")
                && clean.contains("<b>bold</b>")
                && clean.contains("colspan=\"2\"")
        );
        assert!(clean.contains("[画像: Logo of"), "{clean}");
    }

    #[test]
    fn links_say_where_they_lead() {
        for (html, wanted) in [
            (
                "<a href=\"https://evil.example/?a=1&amp;b=2\">bank.example</a>!",
                "⟨https://evil.example/?a=1&amp;b=2⟩",
            ),
            ("<a class=x href='https://b.example/'><b>here</b></a>", "⟨https://b.example/⟩"),
            ("<a href=https://c.example/>x</a>", "⟨https://c.example/⟩"),
            ("<A TITLE=\">\" HREF = \"https://d.example/\">x</A >", "⟨https://d.example/⟩"),
            ("<a href=\"&#106;avascript:alert(1)\">x</a>", "⟨javascript:alert(1)⟩"),
            (
                "<a href=\"https://e.example/\">first <a href=\"https://f.example/\">second</a>",
                "⟨https://f.example/⟩",
            ),
            (
                "<a href=\"https://e.example/\">first <a href=\"https://f.example/\">second</a>",
                "⟨https://e.example/⟩",
            ),
            ("<a href=\"https://g.example/\">never ended", "⟨https://g.example/⟩"),
            ("<a href=\"https://h.example/<img src=x onerror=alert(1)>\">x</a>", "⟨https://h.example/"),
        ] {
            let clean = sanitised(html, "image");
            assert!(clean.contains(wanted), "{html} became {clean}");
            assert!(!clean.contains("<img") && !clean.contains("href"), "{clean}");
        }
        let own = sanitised("<a href=\"https://a.example/\">https://a.example/</a>", "image");
        assert_eq!(own.matches("https://a.example/").count(), 1, "{own}");
        assert!(!sanitised("<abbr href=x>y</abbr><a name=top>z</a>", "image").contains('⟨'));
    }

    #[test]
    fn names_of_attachments_are_tame() {
        assert_eq!(disposition("a.pdf", 0), "attachment; filename=\"a.pdf\"; filename*=UTF-8''a.pdf");
        let tricky = disposition("..\\..\\x\u{202e}fdp.exe\r\nSet-Cookie: a", 0);
        assert!(
            !tricky.contains(['\r', '\n', '\\', '\u{202e}', '/']) && !tricky.contains("\".."),
            "{tricky}"
        );
        assert!(disposition("見積.pdf", 0).contains("filename*=UTF-8''%E8%A6%8B%E7%A9%8D.pdf"));
        assert!(disposition("\"; x=\"", 3).starts_with("attachment; filename=\"__ x=_\""));
        assert!(disposition("", 3).contains("attachment-4"));
        assert_eq!(served_as("text/html"), "application/octet-stream");
        assert_eq!(served_as("application/pdf"), "application/pdf");
    }
}
