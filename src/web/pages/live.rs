//! Responses for the script that polls from an open page. Without the script, people reload the page.

use axum::Json;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// The response; texts are in the visitor's language.
#[derive(Debug, Default, Serialize)]
pub(super) struct Live {
    /// The message to show; empty if there is nothing new.
    pub(super) text: String,
    /// A page with the news, and the text of the link to it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) link: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) label: String,
    /// Whether somebody else changed the subject of the page, so that its forms no longer work.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) stale: bool,
    /// Whether it can no longer be undone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) left: bool,
    /// Whether nothing more will change.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) over: bool,
}

impl Live {
    /// As a response.
    pub(super) fn response(&self) -> Response {
        ([(header::CACHE_CONTROL, "no-store")], Json(self)).into_response()
    }
}
