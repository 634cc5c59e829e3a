//! What a page that stays open is told by the script that asks for it. Without the script everything works: the
//! page is opened again.

use axum::Json;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// The answer; all texts are in the visitor's language.
#[derive(Debug, Default, Serialize)]
pub(super) struct Live {
    /// What is to be said; nothing while there is nothing new.
    pub(super) text: String,
    /// A page that shows it, and what its link is called.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) link: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) label: String,
    /// Somebody else changed what the page is about: its forms do nothing any more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) stale: bool,
    /// It can no longer be undone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) left: bool,
    /// Nothing more will change.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) over: bool,
}

impl Live {
    /// As a response.
    pub(super) fn response(&self) -> Response {
        ([(header::CACHE_CONTROL, "no-store")], Json(self)).into_response()
    }
}
