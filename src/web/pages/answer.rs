//! Pages for what did not work out: each says what happened, that nothing was done, and where to go on.

use super::parts;
use super::visit::{Chrome, show};
use crate::desk::DeskError;
use crate::desk::principal::Via;
use crate::id::Id;
use crate::store::StoreError;
use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};

/// Such a page.
#[derive(Template)]
#[template(path = "answer.html")]
struct Answer {
    c: Chrome,
    title: String,
    text: String,
    /// Places or people it is about.
    items: Vec<String>,
    back: String,
    back_text: String,
}

/// A page that says what happened.
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

/// Somebody who has not signed in is asked to.
pub(in crate::web) fn sign_in_first(c: &Chrome) -> Response {
    Redirect::to(&format!("/login?back={}", encoded(&c.path))).into_response()
}

/// A text as a value in a query.
pub(in crate::web) fn encoded(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Why a request was turned away before any page looked at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) enum Turned {
    /// Another site sent it.
    Crossed,
    /// Its form is old, or not one of ours.
    OldForm,
    /// It is too large.
    TooLarge,
    /// It came too slowly.
    TooSlow,
    /// The desk cannot answer just now.
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

    /// The same for programs.
    pub(in crate::web) fn title(self) -> &'static str {
        match self {
            Self::Crossed => "another site sent this: nothing was done",
            Self::OldForm => "this form is too old: nothing was done",
            Self::TooLarge => "this is too much at once: nothing was done",
            Self::TooSlow => "this took too long: nothing was done",
            Self::Down => "the desk cannot answer just now",
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

/// The page for a request that was turned away; it leads back to where the form stood.
pub(in crate::web) fn turned(c: Chrome, why: Turned) -> Response {
    let title = if why == Turned::Down { "desk-unavailable-title" } else { "desk-nothing-done" };
    let (title, text) = (c.t.p(title).to_string(), c.t.p(why.text()).to_string());
    let (back, back_text) = (c.path.clone(), c.t.p("desk-open-again").to_string());
    show(why.status(), &Answer { title, text, items: Vec::new(), back, back_text, c })
}

/// An answer as people are to see it: what went wrong without a page of its own gets one by its status.
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

/// There is nothing under this address, or nothing for this visitor.
pub(in crate::web) fn gone(c: Chrome) -> Response {
    let (title, text) = (c.t.p("desk-gone-title").to_string(), c.t.p("desk-gone-text").to_string());
    say(c, StatusCode::NOT_FOUND, title, text, "")
}

/// What the desk did not do, for the page of this message.
pub(in crate::web) fn refused(c: Chrome, id: Id, error: &DeskError) -> Response {
    let back = format!("/held/{id}{}", c.filters());
    let page = |status, title: String, text: String| say(c.clone(), status, title, text, &back);
    let p = |key| c.t.p(key);
    let nothing = p("desk-nothing-done").to_string();
    match error {
        DeskError::Store(StoreError::NotFound(_)) | DeskError::NeverHeld(_) => gone(c),
        // The message's own page says who was first.
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
            let (title, text) = (p("desk-audit-title").to_string(), format!("{nothing} {text}"));
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
            let text = format!("{nothing} {text}");
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
            tracing::warn!(%error, %id, "the desk could not answer");
            let text = p("desk-unavailable-text").to_string();
            page(StatusCode::SERVICE_UNAVAILABLE, p("desk-unavailable-title").to_string(), text)
        }
    }
}

/// A form that no page of ours sends.
pub(in crate::web) fn bad_form(c: Chrome) -> Response {
    let (title, text) = (c.t.p("desk-nothing-done").to_string(), c.t.p("desk-bad-form-text").to_string());
    say(c, StatusCode::BAD_REQUEST, title, text, "")
}
