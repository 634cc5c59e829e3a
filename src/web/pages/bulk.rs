//! `/bulk`: one decision on several messages. A page lists them for confirmation; only those are changed.
//! Messages that changed meanwhile, or that the visitor may not decide, are left unchanged and listed with
//! the reason.

use super::super::Site;
use super::act::{give_back_or_take, reason};
use super::answer;
use super::form::{Fields, value, values};
use super::list::{Line, as_line, line};
use super::risks::told;
use super::visit::{Chrome, Visit, show};
use crate::desk::canned::CANNED;
use crate::desk::dossier::Closed;
use crate::desk::principal::Principal;
use crate::desk::wish::{How, Wish};
use crate::desk::{Desk, DeskError};
use crate::id::Id;
use crate::store::{HeldRow, HeldState, StoreError};
use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use std::fmt::Write as _;
use std::sync::Arc;

/// Most messages decided at once; equals the size of a page of the list.
const MOST: usize = 50;

/// The decision.
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

/// The page, before or after the decision.
#[derive(Template)]
#[template(path = "bulk.html")]
struct Bulk {
    c: Chrome,
    what: Do,
    done: bool,
    /// Whether it is the visitor's own mail, which is taken back instead of returned.
    own: bool,
    /// The messages that the decision applies to.
    lines: Vec<Line>,
    /// The messages that stay unchanged, each with the reason.
    left: Vec<Left>,
    copies: usize,
    /// Whether releases can still be undone, on each message's page.
    undo: bool,
    canned: [&'static str; 3],
}

struct Left {
    id: Id,
    name: String,
    why: String,
}

fn ids(fields: &Fields, name: &str) -> Vec<Id> {
    let mut ids: Vec<Id> = values(fields, name).take(MOST).filter_map(|text| text.parse().ok()).collect();
    ids.sort_unstable_by(|a, b| b.as_str().cmp(a.as_str()));
    ids.dedup();
    ids
}

/// `GET /bulk`: lists the messages for confirmation, or the results.
pub(super) async fn confirm(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Query(fields): Query<Fields>,
) -> Response {
    let Visit { who, c } = visit.at("list");
    let Some(what) = Do::of(&fields) else { return answer::bad_form(c) };
    let done = value(&fields, "done").is_some();
    let own = !c.decides();
    let canned = CANNED;
    let mut bulk =
        Bulk { what, done, own, lines: Vec::new(), left: Vec::new(), copies: 0, undo: false, canned, c };
    for id in ids(&fields, "id") {
        let found =
            if done { did(&site.desk, &who, id, what).await } else { look(&site.desk, &who, id, what).await };
        match found {
            Ok((row, copies)) => {
                bulk.copies += copies;
                bulk.undo |= row.undo_until.is_some_and(|until| until > bulk.c.t.now);
                bulk.lines.push(line(&bulk.c.t, &as_line(&row)));
            }
            Err(error) => bulk.left.push(left(&site.desk, &who, &bulk.c, id, &error).await),
        }
    }
    for id in ids(&fields, "left") {
        let error = look(&site.desk, &who, id, what).await.err();
        let error = error.unwrap_or(DeskError::NotAllowed(String::new()));
        bulk.left.push(left(&site.desk, &who, &bulk.c, id, &error).await);
    }
    show(StatusCode::OK, &bulk)
}

/// `POST /bulk`: decides, and redirects to the results, which can be reloaded.
pub(super) async fn act(State(site): State<Arc<Site>>, visit: Visit, Form(fields): Form<Fields>) -> Response {
    let Visit { who, c } = visit.at("list");
    let Some(what) = Do::of(&fields) else { return answer::bad_form(c) };
    let reason = reason(&c.t, &fields);
    let mut path = format!("/bulk{}", c.filters_and(&format!("do={}&done=1", what.word())));
    for id in ids(&fields, "id") {
        let name = match decide(&site.desk, &who, id, what, &reason).await {
            Ok(()) => {
                tracing::info!(%id, by = who.name, what = what.word(), "decided in bulk on a page");
                "id"
            }
            Err(error) => {
                tracing::info!(%id, by = who.name, %error, "left unchanged in bulk on a page");
                "left"
            }
        };
        // writing to a string cannot fail
        let _ = write!(path, "&{name}={id}");
    }
    Redirect::to(&path).into_response()
}

/// Checks that the decision is possible without remaining risks; returns the message and the number of
/// copies.
async fn look(desk: &Desk, who: &Principal, id: Id, what: Do) -> Result<(HeldRow, usize), DeskError> {
    let dossier = desk.dossier(who, id).await?;
    let row = dossier.message.held.clone().ok_or(DeskError::NeverHeld(id))?;
    crate::desk::decide::undecided(&row)?;
    let parties = &dossier.parties;
    let allowed = match what {
        Do::Split => who.may_release(parties, How::Split, false),
        Do::Return => who.may_return(parties),
    };
    if !allowed {
        return Err(DeskError::NotAllowed(String::new()));
    }
    if what == Do::Return {
        return Ok((row, 0));
    }
    let left = Wish::default().left(&row.risks);
    if !left.is_empty() {
        return Err(DeskError::Unticked(left.into_iter().cloned().collect()));
    }
    let made = dossier.copies(How::Split, &[]).map_err(|closed| match closed {
        Closed::Audit(hits) => DeskError::Audit(hits),
        Closed::Unreadable(why) => DeskError::Unreadable(why),
    })?;
    // if the mail came in several transactions, each recipient gets one copy
    let copies = if row.members > 1 { row.recipients.len() } else { made.0.deliveries.len() };
    Ok((row, copies))
}

/// The message as this visitor decided it, with its current state.
async fn did(desk: &Desk, who: &Principal, id: Id, what: Do) -> Result<(HeldRow, usize), DeskError> {
    let message = desk.seen_by(who, id).await?;
    let row = message.held.ok_or(DeskError::NeverHeld(id))?;
    let wanted = if what == Do::Split { HeldState::Released } else { HeldState::Returned };
    if row.state != wanted || row.decided_by.as_deref() != Some(who.name.as_str()) {
        crate::desk::decide::undecided(&row)?;
        return Err(DeskError::NothingToUndo(id));
    }
    let copies = if what == Do::Split { desk.copies_of(&row).await? } else { 0 };
    Ok((row, copies))
}

async fn decide(desk: &Desk, who: &Principal, id: Id, what: Do, reason: &str) -> Result<(), DeskError> {
    match what {
        Do::Split => {
            let wish = Wish { ticked: Some(Vec::new()), ..Wish::default() };
            desk.release_as(who, id, &wish).await.map(|_| ())
        }
        Do::Return => give_back_or_take(desk, who, id, reason).await,
    }
}

/// Why a message stays unchanged.
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
        DeskError::Unticked(risks) => {
            let first = told(&c.t, risks).into_iter().next().map(|risk| risk.said).unwrap_or_default();
            p("desk-left-risk").s("risk", first).to_string()
        }
        DeskError::NoReason => p("decide-reason-missing").to_string(),
        DeskError::NoRecipient(_) | DeskError::NobodyLeft | DeskError::NobodyDropped => {
            p("desk-nobody-left-text").to_string()
        }
        DeskError::Store(_) => p("desk-unavailable-title").to_string(),
    };
    let subject = desk.seen_by(who, id).await.map(|message| super::parts::subject(&c.t, &message.subject));
    Left { id, name: subject.unwrap_or_else(|_| id.to_string()), why }
}
