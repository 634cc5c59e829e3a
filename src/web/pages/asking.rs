//! `/held/ID/ask`: a sender asks to send a held mail as it is. Also shows that request on the page of the
//! mail.

use super::super::Site;
use super::super::words::calm_lines;
use super::answer;
use super::form::{Fields, value};
use super::parts::subject;
use super::visit::{Chrome, Visit, show};
use crate::clock::Timestamp;
use crate::desk::DeskError;
use crate::desk::principal::{Parties, Principal};
use crate::id::Id;
use crate::journal::{Entry, Event};
use crate::store::{HeldRow, HeldState};
use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use std::sync::Arc;

/// A sender's request.
pub(super) struct Request {
    /// Who asked.
    pub by: String,
    /// Their reason.
    pub words: String,
    /// When they asked.
    pub at: Timestamp,
}

/// The last request, if the mail is still held.
pub(super) fn request(journal: &[Entry], row: &HeldRow) -> Option<Request> {
    if row.state != HeldState::Held {
        return None;
    }
    journal.iter().rev().find_map(|entry| match &entry.event {
        Event::Asked { by, reason } => {
            Some(Request { by: by.clone(), words: calm_lines(reason.trim()), at: entry.at })
        }
        _ => None,
    })
}

/// Whether a person may ask: for their own held mail that they may not send as is themselves.
pub(super) fn may_ask(who: &Principal, parties: &Parties, row: &HeldRow) -> bool {
    row.state == HeldState::Held && who.sent(parties)
}

#[derive(Template)]
#[template(path = "ask.html")]
struct Ask {
    c: Chrome,
    id: Id,
    subject: String,
    missing: bool,
}

/// `GET /held/{id}/ask`
pub(super) async fn form(State(site): State<Arc<Site>>, visit: Visit, Path(id): Path<String>) -> Response {
    let Ok(id) = id.parse::<Id>() else { return answer::gone(visit.c) };
    asked_for(&site, visit, id, false).await
}

async fn asked_for(site: &Site, visit: Visit, id: Id, missing: bool) -> Response {
    let Visit { who, c } = visit.at("list");
    match prepare(site, &who, id).await {
        Ok(row) => {
            let status = if missing { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
            show(status, &Ask { subject: subject(&c.t, &row.subject), id: row.id, missing, c })
        }
        Err(error) => answer::refused(c, id, &error),
    }
}

async fn prepare(site: &Site, who: &Principal, id: Id) -> Result<HeldRow, DeskError> {
    let item = site.desk.item_seen_by(who, id).await?;
    let row = item.held.clone().ok_or(DeskError::NeverHeld(id))?;
    crate::desk::decide::undecided(&row)?;
    if may_ask(who, &Parties::of(&item), &row) {
        Ok(row)
    } else {
        Err(DeskError::NotAllowed(format!("{} did not send this message", who.name)))
    }
}

/// `POST /held/{id}/ask`
pub(super) async fn ask(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Path(id): Path<String>,
    Form(fields): Form<Fields>,
) -> Response {
    let Ok(id) = id.parse::<Id>() else { return answer::gone(visit.c) };
    if let Err(error) = prepare(&site, &visit.who, id).await {
        return answer::refused(visit.c, id, &error);
    }
    let reason = value(&fields, "reason").unwrap_or_default().trim().to_owned();
    if reason.is_empty() {
        return asked_for(&site, visit, id, true).await;
    }
    match site.desk.ask_as_is(&visit.who, id, &reason).await {
        Ok(anew) => {
            tracing::info!(%id, by = visit.who.name, "asked on a page to send it as it is");
            Redirect::to(&format!("/held/{}{}", anew.unwrap_or(id), visit.c.filters())).into_response()
        }
        Err(error) => answer::refused(visit.c, id, &error),
    }
}
