//! `/l/{token}`: a link out of a mail. GET shows what it would do, with one button; POST does it.

use super::Site;
use super::guard::Client;
use super::pages::answer;
use super::pages::visit::{Chrome, Open, show};
use super::routes::Routes;
use super::words::calm;
use crate::desk::DeskError;
use crate::desk::links::{Look, Offer, Outcome};
use crate::people::rates::source;
use crate::store::{HeldState, LinkAction};
use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// Recipients that are shown; the rest is counted.
const SHOWN: usize = 10;
/// Longest subject, in characters.
const LONGEST: usize = 300;
/// Links that are none, from one source within an hour.
const WRONG: usize = 100;

/// The route of links.
pub(super) fn routes() -> Routes {
    Routes::new().get("/l/{token}", look).post("/l/{token}", follow)
}

/// What a link would do.
#[derive(Template)]
#[template(path = "link.html")]
struct Page {
    c: Chrome,
    title: String,
    text: String,
    /// What stands on the button; nothing where there is nothing to do.
    button: String,
    subject: String,
    recipients: Vec<String>,
    more: usize,
    /// A reason is asked for.
    asks: bool,
    /// The path of the message's own page.
    message: String,
}

/// `GET /l/{token}`
async fn look(
    State(site): State<Arc<Site>>,
    Open(c): Open,
    client: Client,
    Path(token): Path<String>,
) -> Response {
    match site.links.look(&token).await {
        Ok(look) => answer(&site, c, client, look),
        Err(error) => failed(c, &error),
    }
}

/// The form of a link.
#[derive(Deserialize)]
struct Answered {
    #[serde(default)]
    reason: String,
}

/// `POST /l/{token}`
async fn follow(
    State(site): State<Arc<Site>>,
    Open(c): Open,
    client: Client,
    Path(token): Path<String>,
    Form(form): Form<Answered>,
) -> Response {
    match site.links.follow(&token, &form.reason).await {
        // The page shows what came of it, and may be loaded again.
        Ok(Look::Over(_)) => Redirect::to(&format!("/l/{token}")).into_response(),
        Ok(look) => answer(&site, c, client, look),
        Err(error) => failed(c, &error),
    }
}

fn answer(site: &Site, c: Chrome, Client(from): Client, look: Look) -> Response {
    match look {
        Look::Open(offer) if offer.action == LinkAction::View => {
            Redirect::to(&format!("/held/{}", offer.message)).into_response()
        }
        Look::Open(offer) => show(StatusCode::OK, &open(c, &offer)),
        Look::Over(outcome) => show(StatusCode::OK, &over(c, &outcome)),
        Look::Past => {
            let (title, text) = (c.t.p("link-past-title").to_string(), c.t.p("link-past-text").to_string());
            answer::say(c, StatusCode::GONE, title, text, "")
        }
        Look::Nothing => {
            let hour = Duration::from_hours(1);
            let status = if site.people.rates().admit("link-wrong", &source(from), WRONG, hour) {
                StatusCode::NOT_FOUND
            } else {
                StatusCode::TOO_MANY_REQUESTS
            };
            let (title, text) = (c.t.p("link-nothing-title"), c.t.p("link-nothing-text"));
            answer::say(c.clone(), status, title.to_string(), text.to_string(), "")
        }
    }
}

fn failed(c: Chrome, error: &DeskError) -> Response {
    let (status, key) = match error {
        DeskError::Store(error) => {
            tracing::warn!(%error, "a link could not be followed");
            (StatusCode::SERVICE_UNAVAILABLE, "link-later-text")
        }
        DeskError::NotAllowed(_) => (StatusCode::FORBIDDEN, "link-not-allowed-text"),
        _ => (StatusCode::CONFLICT, "link-not-safe-text"),
    };
    let (title, text) = (c.t.p("link-not-done-title").to_string(), c.t.p(key).to_string());
    answer::say(c, status, title, text, "")
}

/// The last part of a phrase's key.
fn word(action: LinkAction) -> &'static str {
    match action {
        LinkAction::Split => "split",
        LinkAction::TakeBack => "take-back",
        LinkAction::Undo => "undo",
        LinkAction::AskAsIs => "ask",
        LinkAction::AskAgain => "again",
        LinkAction::View => "view",
    }
}

fn open(c: Chrome, offer: &Offer) -> Page {
    let word = word(offer.action);
    Page {
        title: c.t.of("link-title-", word),
        text: c.t.of("link-text-", word),
        button: c.t.of("link-button-", word),
        subject: calm(&offer.subject, LONGEST),
        recipients: offer.recipients.iter().take(SHOWN).map(|one| calm(one, LONGEST)).collect(),
        more: offer.recipients.len().saturating_sub(SHOWN),
        asks: matches!(offer.action, LinkAction::AskAsIs | LinkAction::AskAgain),
        message: String::new(),
        c,
    }
}

fn over(c: Chrome, outcome: &Outcome) -> Page {
    let key = match (outcome.state, outcome.followed.is_some(), outcome.action) {
        _ if outcome.anew.is_some() => "link-over-again",
        (Some(HeldState::Held) | None, true, LinkAction::AskAsIs) => "link-over-asked",
        (Some(HeldState::Released), ..) => match outcome.decision.as_deref() {
            Some("split") => "link-over-split",
            Some("bcc") => "link-over-bcc",
            _ => "link-over-as-is",
        },
        (Some(HeldState::Returned), true, LinkAction::TakeBack) => "link-over-taken-back",
        (Some(HeldState::Returned), ..) => "link-over-returned",
        (Some(HeldState::Expired), ..) => "link-over-expired",
        _ => "link-over-done",
    };
    let by = calm(outcome.by.as_deref().unwrap_or_default(), LONGEST);
    let mut text = c.t.p(key).to_string();
    let decided = !by.is_empty() && outcome.state != Some(HeldState::Expired) && outcome.anew.is_none();
    if let Some(at) = outcome.at.filter(|_| decided) {
        text = format!("{text} {}", c.t.p("link-over-by").s("by", by).s("at", c.t.moment(&at)));
    }
    Page {
        title: c.t.p("link-over-title").to_string(),
        text,
        button: String::new(),
        subject: calm(&outcome.subject, LONGEST),
        recipients: Vec::new(),
        more: 0,
        asks: false,
        message: format!("/held/{}", outcome.anew.unwrap_or(outcome.message)),
        c,
    }
}
