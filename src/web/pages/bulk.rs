//! `/bulk`: the same decision on several messages. A page names each of them first; what is done is
//! done to those alone; what changed meanwhile, or is not theirs to decide, is left as it is and named.

use super::super::Site;
use super::act::{Fields, value, values};
use super::answer;
use super::list::{Line, as_line, line};
use super::visit::{Chrome, Visit, show};
use crate::desk::decide::{How, Wish};
use crate::desk::principal::Principal;
use crate::desk::{Desk, DeskError};
use crate::id::Id;
use crate::store::{HeldState, StoreError};
use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;

/// Most messages decided on at once: as many as a page of the list shows.
const MOST: usize = 50;

/// What is done to each.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Do {
    Split,
    Return,
}

impl Do {
    fn of(fields: &Fields) -> Option<Self> {
        match value(fields, "do")? {
            "split" => Some(Self::Split),
            "return" => Some(Self::Return),
            _ => None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::Return => "return",
        }
    }
}

/// What will be done, or what was.
#[derive(Template)]
#[template(path = "bulk.html")]
struct Bulk {
    c: Chrome,
    what: Do,
    done: bool,
    /// What it is done to.
    lines: Vec<Line>,
    /// What is left as it is, and why.
    left: Vec<Left>,
    copies: usize,
}

struct Left {
    id: Id,
    name: String,
    why: String,
}

fn ids(fields: &Fields) -> Vec<Id> {
    let mut ids: Vec<Id> = values(fields, "id").take(MOST).filter_map(|text| text.parse().ok()).collect();
    ids.sort_unstable_by(|a, b| b.as_str().cmp(a.as_str()));
    ids.dedup();
    ids
}

/// `GET /bulk`: names each, and asks.
pub(super) async fn confirm(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Query(fields): Query<Fields>,
) -> Response {
    let Visit { who, c } = visit.at("list");
    let Some(what) = Do::of(&fields) else { return answer::bad_form(c) };
    let mut bulk = Bulk { what, done: false, lines: Vec::new(), left: Vec::new(), copies: 0, c };
    for id in ids(&fields) {
        match look(&site.desk, &who, id, what).await {
            Ok((row, copies)) => {
                bulk.copies += copies;
                bulk.lines.push(line(&bulk.c.t, &as_line(&row)));
            }
            Err(error) => bulk.left.push(left(&site.desk, &who, &bulk.c, id, &error).await),
        }
    }
    show(StatusCode::OK, &bulk)
}

/// `POST /bulk`: does it.
pub(super) async fn act(State(site): State<Arc<Site>>, visit: Visit, Form(fields): Form<Fields>) -> Response {
    let Visit { who, c } = visit.at("list");
    let Some(what) = Do::of(&fields) else { return answer::bad_form(c) };
    let mut bulk = Bulk { what, done: true, lines: Vec::new(), left: Vec::new(), copies: 0, c };
    let reason: String = value(&fields, "reason").unwrap_or_default().chars().take(1_000).collect();
    for id in ids(&fields) {
        match decide(&site.desk, &who, id, what, reason.trim()).await {
            Ok((row, copies)) => {
                tracing::info!(%id, by = who.name, what = what.word(), "decided among several on a page");
                bulk.copies += copies;
                bulk.lines.push(line(&bulk.c.t, &as_line(&row)));
            }
            Err(error) => bulk.left.push(left(&site.desk, &who, &bulk.c, id, &error).await),
        }
    }
    show(StatusCode::OK, &bulk)
}

/// Whether it may be done to this message, and how many copies it would make.
async fn look(
    desk: &Desk,
    who: &Principal,
    id: Id,
    what: Do,
) -> Result<(crate::store::HeldRow, usize), DeskError> {
    let message = desk.seen_by(who, id).await?;
    let row = message.held.clone().ok_or(DeskError::NeverHeld(id))?;
    crate::desk::decide::undecided(&row)?;
    let whose = crate::desk::principal::Whose::of(&message);
    let allowed = match what {
        Do::Split => who.may_release(&whose.standing(), How::Split, false),
        Do::Return => who.may_return(&whose.standing()),
    };
    if !allowed {
        return Err(DeskError::NotAllowed(String::new()));
    }
    let copies = if what == Do::Split { row.recipients.len() } else { 0 };
    Ok((row, copies))
}

async fn decide(
    desk: &Desk,
    who: &Principal,
    id: Id,
    what: Do,
    reason: &str,
) -> Result<(crate::store::HeldRow, usize), DeskError> {
    let copies = match what {
        Do::Split => desk.release_as(who, id, &Wish { how: How::Split, ..Wish::default() }).await?.copies,
        Do::Return => {
            desk.give_back(who, id, reason).await?;
            0
        }
    };
    let message = desk.seen_by(who, id).await?;
    Ok((message.held.ok_or(DeskError::NeverHeld(id))?, copies))
}

/// Why a message is left as it is.
async fn left(desk: &Desk, who: &Principal, c: &Chrome, id: Id, error: &DeskError) -> Left {
    let p = |key| c.t.p(key);
    let why = match error {
        DeskError::Store(StoreError::Decided { state, by, .. }) => {
            let key = match state {
                HeldState::Released => "desk-left-released",
                HeldState::Returned => "desk-left-returned",
                HeldState::Expired | HeldState::Held => "desk-left-expired",
            };
            p(key).s("by", c.calm(by)).to_string()
        }
        DeskError::Store(StoreError::NotFound(_)) | DeskError::NeverHeld(_) => {
            p("desk-left-gone").to_string()
        }
        DeskError::NotAllowed(_) => p("desk-left-not-yours").to_string(),
        DeskError::Audit(_) | DeskError::Unacknowledged(_) => p("desk-note-audit").to_string(),
        DeskError::Unreadable(_) | DeskError::Refused(_) => p("desk-note-unreadable").to_string(),
        DeskError::NoCircle(_) => p("desk-no-circle-text").to_string(),
        DeskError::TooLate(_) => p("desk-too-late-text").to_string(),
        DeskError::NothingToUndo(_) => p("desk-nothing-to-undo-text").to_string(),
        DeskError::NoRecipient(_) | DeskError::NobodyLeft => p("desk-nobody-left-text").to_string(),
        DeskError::Store(_) => p("desk-unavailable-title").to_string(),
    };
    let subject = desk.seen_by(who, id).await.map(|message| super::held::subject(&c.t, &message.subject));
    Left { id, name: subject.unwrap_or_else(|_| id.to_string()), why }
}
