//! `/mine`: the newest mails that a person sent, with their state and what can still be done.

use super::super::Site;
use super::super::words::{Words, calm};
use super::answer;
use super::people::LONGEST;
use super::visit::{Chrome, Visit, show};
use crate::clock::Timestamp;
use crate::desk::DeskError;
use crate::desk::own::{Can, MailState, Own};
use crate::id::Id;
use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Debug, Default, Deserialize)]
pub(super) struct PageQuery {
    /// The last action: `taken`, `sent`, `undone`.
    #[serde(default)]
    done: String,
}

#[derive(Template)]
#[template(path = "mine.html")]
struct Mine {
    c: Chrome,
    lines: Vec<Line>,
    note: String,
}

struct Line {
    id: Id,
    subject: String,
    whom: String,
    received: Timestamp,
    state: String,
    class: &'static str,
    /// The URL of its page.
    link: String,
    can: Vec<Can>,
}

impl Line {
    fn takes_back(&self) -> bool {
        self.can.contains(&Can::TakeBack)
    }

    fn sends_now(&self) -> bool {
        self.can.contains(&Can::SendNow)
    }

    fn undoes(&self) -> bool {
        self.can.contains(&Can::Undo)
    }

    fn decides(&self) -> bool {
        self.can.contains(&Can::Decide)
    }
}

/// `GET /mine`
pub(super) async fn page(
    State(site): State<Arc<Site>>,
    visit: Visit,
    asked: Result<Query<PageQuery>, QueryRejection>,
) -> Response {
    let Visit { who, c } = visit.at("mine");
    let asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    match site.desk.own(&who).await {
        Ok(all) => {
            let lines = all.iter().map(|one| line(&c.t, one)).collect();
            let note = match asked.done.as_str() {
                done @ ("taken" | "sent" | "undone") => c.t.of("desk-mine-done-", done),
                _ => String::new(),
            };
            show(StatusCode::OK, &Mine { c, lines, note })
        }
        Err(error) => {
            tracing::warn!(%error, "a person's own mail could not be listed");
            let p = |key| c.t.p(key).to_string();
            let (title, text) = (p("desk-unavailable-title"), p("desk-unavailable-text"));
            answer::say(c, StatusCode::SERVICE_UNAVAILABLE, title, text, "")
        }
    }
}

fn line(t: &Words, own: &Own) -> Line {
    let row = &own.row;
    let first = row.recipients.first().map(|one| calm(one, LONGEST)).unwrap_or_default();
    let more = row.recipient_count.saturating_sub(1);
    let whom =
        if more == 0 { first } else { t.p("desk-mine-whom").s("first", first).n("more", more).to_string() };
    let (state, class) = stands(t, own.stands);
    Line {
        id: row.id,
        subject: super::parts::subject(t, &row.subject),
        whom,
        received: row.received,
        state,
        class,
        link: match &row.held {
            Some((_, _, item)) => format!("/held/{item}"),
            None => format!("/m/{}", row.id),
        },
        can: own.can.clone(),
    }
}

fn stands(t: &Words, stands: MailState) -> (String, &'static str) {
    let p = |key| t.p(key).to_string();
    match stands {
        MailState::AsWritten => (p("desk-mine-as-written"), ""),
        MailState::Apart => (p("desk-mine-apart"), "good"),
        MailState::Leaving => (p("desk-mine-leaving"), ""),
        MailState::Waits(at) => (t.p("desk-mine-waits").s("at", t.moment(&at)).to_string(), "key"),
        MailState::Undelivered(count) => (t.p("desk-mine-undelivered").n("count", count).to_string(), "stop"),
        MailState::Held => (p("desk-mine-held"), "warn"),
        MailState::Returned => (p("desk-mine-returned"), "stop"),
        MailState::Expired => (p("desk-mine-expired"), "stop"),
        MailState::TakenBack => (p("desk-mine-taken-back"), ""),
        MailState::Refused => (p("desk-mine-refused"), "stop"),
    }
}

/// `POST /m/{id}/take-back`
pub(super) async fn take_back(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Response {
    let Ok(id) = id.parse::<Id>() else { return answer::gone(visit.c) };
    let done = site.desk.take_back(&visit.who, id).await;
    told(visit.c, id, done, "taken")
}

/// `POST /m/{id}/undo`
pub(super) async fn undo(State(site): State<Arc<Site>>, visit: Visit, Path(id): Path<String>) -> Response {
    let Ok(id) = id.parse::<Id>() else { return answer::gone(visit.c) };
    let done = site.desk.undo(&visit.who, id).await;
    told(visit.c, id, done, "undone")
}

/// `POST /m/{id}/now`: sends a delayed mail now.
pub(super) async fn now(State(site): State<Arc<Site>>, visit: Visit, Path(id): Path<String>) -> Response {
    let Ok(id) = id.parse::<Id>() else { return answer::gone(visit.c) };
    // a held mail with remaining risks is refused here; its own page has the checkboxes
    let done = site.desk.split_now(&visit.who, id, &[]).await;
    told(visit.c, id, done, "sent")
}

fn told(c: Chrome, id: Id, done: Result<(), DeskError>, word: &str) -> Response {
    match done {
        Ok(()) => Redirect::to(&format!("/mine?done={word}")).into_response(),
        Err(DeskError::TooLate(_)) => nothing(c, "desk-too-late-text"),
        Err(DeskError::NothingToUndo(_)) => nothing(c, "desk-nothing-to-undo-text"),
        Err(error) => answer::refused(c, id, &error),
    }
}

fn nothing(c: Chrome, text: &'static str) -> Response {
    let (title, text) = (c.t.p("desk-nothing-done").to_string(), c.t.p(text).to_string());
    answer::say(c, StatusCode::CONFLICT, title, text, "/mine")
}
