//! Error pages: each says what happened, that nothing was done, and where to continue.

use super::parts;
use super::visit::{Chrome, show};
use crate::desk::DeskError;
use crate::desk::principal::Via;
use crate::id::Id;
use crate::store::StoreError;
use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};

/// An error page.
#[derive(Template)]
#[template(path = "answer.html")]
struct Answer {
    c: Chrome,
    title: String,
    text: String,
    /// The places or people it is about.
    items: Vec<String>,
    back: String,
    back_text: String,
}

/// Builds an error page.
pub(in crate::web) fn say(
    c: Chrome,
    status: StatusCode,
    title: String,
    text: String,
    back: &str,
) -> Response {
    let (key, back) = if back.is_empty() { ("desk-to-list", "/") } else { ("desk-back", back) };
    let back_text = c.t.p(key).to_string();
    show(status, &Answer { title, text, items: Vec::new(), back: back.to_owned(), back_text, c })
}

/// Redirects a visitor who is not signed in to the login.
pub(in crate::web) fn sign_in_first(c: &Chrome) -> Response {
    Redirect::to(&format!("/login?back={}", encoded(&c.path))).into_response()
}

/// Percent-encodes a query value.
pub(in crate::web) fn encoded(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // writing to a string cannot fail
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Why the middleware refused a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) enum Turned {
    /// Another site sent it.
    Crossed,
    /// The form's token is missing or outdated.
    OldForm,
    /// It is too large.
    TooLarge,
    /// It was sent too slowly.
    TooSlow,
    /// The desk is unavailable.
    Down,
}

impl Turned {
    pub(in crate::web) fn status(self) -> StatusCode {
        match self {
            Self::Crossed | Self::OldForm => StatusCode::FORBIDDEN,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Down => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The title of a problem document.
    pub(in crate::web) fn title(self) -> &'static str {
        match self {
            Self::Crossed => "another site sent this request: nothing was done",
            Self::OldForm => "this form is too old: nothing was done",
            Self::TooLarge => "the request is too large: nothing was done",
            Self::TooSlow => "the request took too long: nothing was done",
            Self::Down => "the desk is unavailable at the moment",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Crossed => "desk-turned-crossed",
            Self::OldForm => "desk-turned-old",
            Self::TooLarge => "desk-turned-large",
            Self::TooSlow => "desk-turned-slow",
            Self::Down => "desk-unavailable-text",
        }
    }
}

/// The page for a refused request; it links to the page of the form.
pub(in crate::web) fn turned(c: Chrome, why: Turned) -> Response {
    let title = if why == Turned::Down { "desk-unavailable-title" } else { "desk-nothing-done" };
    let (title, text) = (c.t.p(title).to_string(), c.t.p(why.text()).to_string());
    let (back, back_text) = (c.path.clone(), c.t.p("desk-open-again").to_string());
    show(why.status(), &Answer { title, text, items: Vec::new(), back, back_text, c })
}

/// Replaces an error response without a page by the page for its status.
pub(in crate::web) fn dressed(c: Chrome, response: Response) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error())
        || kind.is_some_and(|kind| kind.starts_with("text/html"))
    {
        return response;
    }
    let (title, text) = match status {
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => ("desk-gone-title", "desk-gone-text"),
        StatusCode::PAYLOAD_TOO_LARGE => ("desk-nothing-done", Turned::TooLarge.text()),
        status if status.is_client_error() => ("desk-nothing-done", "desk-bad-form-text"),
        _ => ("desk-unavailable-title", "desk-unavailable-text"),
    };
    let (title, text) = (c.t.p(title).to_string(), c.t.p(text).to_string());
    let mut page = say(c, status, title, text, "");
    for (name, value) in response.headers() {
        if !matches!(*name, header::CONTENT_TYPE | header::CONTENT_LENGTH) {
            page.headers_mut().append(name, value.clone());
        }
    }
    page
}

/// The page does not exist, or not for this visitor.
pub(in crate::web) fn gone(c: Chrome) -> Response {
    let (title, text) = (c.t.p("desk-gone-title").to_string(), c.t.p("desk-gone-text").to_string());
    say(c, StatusCode::NOT_FOUND, title, text, "")
}

/// The desk refused a request about this message.
pub(in crate::web) fn refused(c: Chrome, id: Id, error: &DeskError) -> Response {
    let back = format!("/held/{id}{}", c.filters());
    let page = |status, title: String, text: String| say(c.clone(), status, title, text, &back);
    let p = |key| c.t.p(key);
    let nothing = p("desk-nothing-done").to_string();
    match error {
        DeskError::Store(StoreError::NotFound(_)) | DeskError::NeverHeld(_) => gone(c),
        // the page of the message shows who decided first
        DeskError::Store(StoreError::Decided { .. }) => {
            Redirect::to(&format!("/held/{id}{}", c.filters_and("late=1"))).into_response()
        }
        DeskError::NotAllowed(_) if c.who.as_ref().is_some_and(|who| who.via == Via::Mailbox) => page(
            StatusCode::FORBIDDEN,
            p("people-stronger-title").to_string(),
            p("people-stronger-text").to_string(),
        ),
        DeskError::NotAllowed(_) => page(
            StatusCode::FORBIDDEN,
            p("desk-not-yours-title").to_string(),
            p("desk-not-yours-text").to_string(),
        ),
        DeskError::Audit(hits) | DeskError::Unacknowledged(hits) => {
            let mut items: Vec<String> = hits.iter().take(50).map(|hit| parts::found(&c.t, hit)).collect();
            items.dedup();
            let text = if matches!(error, DeskError::Audit(_)) {
                p("desk-audit-text")
            } else {
                p("desk-unacknowledged-text")
            };
            let (title, text) =
                (p("desk-audit-title").to_string(), format!("{} {text}", p("desk-nothing-done-text")));
            let back_text = p("desk-back").to_string();
            show(StatusCode::CONFLICT, &Answer { title, text, items, back, back_text, c: c.clone() })
        }
        DeskError::Unreadable(_) | DeskError::Refused(_) => {
            let text = format!("{nothing} {}", p("desk-unreadable-text"));
            page(StatusCode::CONFLICT, p("desk-unreadable-title").to_string(), text)
        }
        DeskError::NoRecipient(address) => {
            let text = p("desk-no-recipient-text").s("address", address).to_string();
            page(StatusCode::UNPROCESSABLE_ENTITY, nothing, text)
        }
        DeskError::NoReason => {
            page(StatusCode::UNPROCESSABLE_ENTITY, nothing, p("decide-reason-missing").to_string())
        }
        DeskError::NobodyDropped => {
            page(StatusCode::UNPROCESSABLE_ENTITY, nothing, p("desk-nobody-dropped-text").to_string())
        }
        DeskError::Unticked(risks) => {
            let items = super::risks::told(&c.t, risks).into_iter().map(|risk| risk.said).collect();
            let (title, text) = (p("desk-unticked-title").to_string(), p("desk-unticked-text").to_string());
            let text = format!("{} {text}", p("desk-nothing-done-text"));
            let back_text = p("desk-back").to_string();
            let answer = Answer { title, text, items, back, back_text, c: c.clone() };
            show(StatusCode::UNPROCESSABLE_ENTITY, &answer)
        }
        DeskError::NoCircle(_) => {
            page(StatusCode::UNPROCESSABLE_ENTITY, nothing, p("desk-no-circle-text").to_string())
        }
        DeskError::TooLate(_) => page(StatusCode::CONFLICT, nothing, p("desk-too-late-text").to_string()),
        DeskError::NothingToUndo(_) => {
            page(StatusCode::CONFLICT, nothing, p("desk-nothing-to-undo-text").to_string())
        }
        DeskError::NobodyLeft => {
            page(StatusCode::UNPROCESSABLE_ENTITY, nothing, p("desk-nobody-left-text").to_string())
        }
        DeskError::Store(error) => {
            tracing::warn!(%error, %id, "a page could not be shown");
            let text = p("desk-unavailable-text").to_string();
            page(StatusCode::SERVICE_UNAVAILABLE, p("desk-unavailable-title").to_string(), text)
        }
    }
}

/// The form is not one of ours.
pub(in crate::web) fn bad_form(c: Chrome) -> Response {
    let (title, text) = (c.t.p("desk-nothing-done").to_string(), c.t.p("desk-bad-form-text").to_string());
    say(c, StatusCode::BAD_REQUEST, title, text, "")
}
