//! The page of an approver's link: the mail with its text, people and risks, and one safe decision. It takes
//! two clicks: one in the mail, one here. "As is" is not possible here.

use super::super::Site;
use super::super::words::calm;
use super::answer;
use super::mailtext::{self, ContentsView};
use super::parts::{MOST_READ, subject};
use super::people::{LONGEST, People, people};
use super::risks::{RiskText, every, more, told};
use super::visit::{Chrome, show};
use crate::desk::DeskError;
use crate::desk::canned::CANNED;
use crate::desk::contents;
use crate::desk::links::{Offer, as_whom};
use crate::store::{HeldRow, LinkAction, StoreError};
use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

#[derive(Template)]
#[template(path = "decide.html")]
struct Decide {
    c: Chrome,
    row: HeldRow,
    /// Whether it sends individually; otherwise it returns the mail.
    sends: bool,
    /// Whether the form lacked something.
    missing: bool,
    undone: bool,
    subject: String,
    sender: String,
    /// The reason of a sender who asks to send it as it is.
    request: Option<String>,
    risks: Vec<RiskText>,
    more_risks: usize,
    /// The risks that remain when it is sent; each has to be ticked.
    ticks: Vec<RiskText>,
    count: usize,
    people: People,
    contents: Option<ContentsView>,
    canned: [&'static str; 3],
}

/// The page; `status` says whether the form lacked something.
pub(in crate::web) async fn page(
    site: &Site,
    c: Chrome,
    offer: &Offer,
    status: StatusCode,
    undone: bool,
) -> Response {
    match make(site, c.clone(), offer, status != StatusCode::OK, undone).await {
        Ok(page) => show(status, &page),
        Err(DeskError::Store(StoreError::NotFound(_))) => answer::gone(c),
        Err(error) => {
            tracing::warn!(%error, "an approver's page could not be shown");
            let p = |key| c.t.p(key).to_string();
            let (title, text) = (p("desk-unavailable-title"), p("desk-unavailable-text"));
            answer::say(c, StatusCode::SERVICE_UNAVAILABLE, title, text, "")
        }
    }
}

async fn make(
    site: &Site,
    c: Chrome,
    offer: &Offer,
    missing: bool,
    undone: bool,
) -> Result<Decide, DeskError> {
    let who = as_whom(offer.action, &offer.person);
    let dossier = site.desk.dossier(&who, offer.message).await?;
    let row = dossier.message.held.clone().ok_or(DeskError::NeverHeld(offer.message))?;
    let known = site.desk.known(&dossier.message).await?;
    let written = site.desk.written(&who, &dossier.message, MOST_READ).await?;
    let contents = match written {
        Some(written) => {
            let raw = written.raw().clone();
            let read = tokio::task::spawn_blocking(move || contents::looked_into(&raw)).await;
            read.ok().map(|contents| mailtext::shown(&c.t, contents))
        }
        None => None,
    };
    Ok(Decide {
        sends: offer.action == LinkAction::ApproveSplit,
        missing,
        undone,
        subject: subject(&c.t, &row.subject),
        sender: calm(&row.sender, LONGEST),
        request: super::asking::request(&dossier.journal, &row).map(|request| request.words),
        risks: told(&c.t, &row.risks),
        more_risks: more(row.risks.len()),
        ticks: every(&c.t, &offer.left),
        count: dossier.message.envelope.recipients.len(),
        people: people(&c.t, &dossier, &known),
        contents,
        canned: CANNED,
        row,
        c,
    })
}
