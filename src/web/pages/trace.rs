//! `/m/ID`: the history of one message, held or not.

use super::super::Site;
use super::super::words::calm;
use super::answer;
use super::form::{Fields, value};
use super::parts::LINE;
use super::people::LONGEST;
use super::timeline::{Moment, happened};
use super::visit::{Chrome, Visit, show};
use crate::desk::principal::Parties;
use crate::id::Id;
use crate::policy::Verdict;
use crate::policy::verdict::Language;
use crate::store::{DeliveryState, QueueRow};
use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use std::sync::Arc;

/// Most entries, and most copies, on the page.
const MOST: usize = 500;

#[derive(Template)]
#[template(path = "trace.html")]
struct Trace {
    c: Chrome,
    id: Id,
    subject: String,
    sender: String,
    recipients: usize,
    received: crate::clock::Timestamp,
    held: bool,
    /// Whether the visitor is its sender and may ask to send it again openly.
    again: bool,
    /// In observe mode: what enforce mode would have done, and why.
    would: Option<(String, Vec<String>)>,
    timeline: Vec<Moment>,
    copies: Vec<Copy>,
    all_copies: usize,
}

struct Copy {
    recipients: String,
    state: String,
    class: &'static str,
    attempts: u32,
    reply: String,
}

/// `GET /m/{id}`
pub(super) async fn page(State(site): State<Arc<Site>>, visit: Visit, Path(id): Path<String>) -> Response {
    let Visit { who, c } = visit.at("list");
    let Ok(id) = id.parse::<Id>() else { return answer::gone(c) };
    let message = match site.desk.seen_by(&who, id).await {
        Ok(message) => message,
        Err(error) => return answer::refused(c, id, &error),
    };
    let (journal, copies) = match tokio::try_join!(site.store.journal(id), site.store.deliveries(id)) {
        Ok(found) => found,
        Err(error) => return answer::refused(c, id, &error.into()),
    };
    let all_copies = copies.len();
    show(
        StatusCode::OK,
        &Trace {
            subject: super::parts::subject(&c.t, &message.subject),
            sender: message
                .envelope
                .sender
                .as_ref()
                .map_or_else(|| c.t.p("desk-no-sender").to_string(), |sender| calm(sender.as_str(), LONGEST)),
            recipients: message.envelope.recipients.len(),
            received: message.received,
            held: message.held.is_some(),
            again: message.goes_individually() && who.sent(&Parties::of(&message)),
            would: would_have(&c, message.verdict.as_ref()),
            timeline: happened(&site, &c.t, &journal, MOST).await,
            copies: copies.iter().take(MOST).map(|row| copy(&c, row)).collect(),
            all_copies,
            id,
            c,
        },
    )
}

/// `POST /m/{id}/again`
pub(super) async fn again(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Path(id): Path<String>,
    Form(fields): Form<Fields>,
) -> Response {
    let Visit { who, c } = visit;
    let Ok(id) = id.parse::<Id>() else { return answer::gone(c) };
    match site.desk.ask_as_is(&who, id, value(&fields, "reason").unwrap_or_default()).await {
        Ok(anew) => Redirect::to(&format!("/held/{}", anew.unwrap_or(id))).into_response(),
        Err(error) => answer::refused(c, id, &error),
    }
}

fn would_have(c: &Chrome, verdict: Option<&Verdict>) -> Option<(String, Vec<String>)> {
    let verdict = verdict?;
    let would = c.t.of("desk-would-", verdict.would()?.word());
    let language = if c.t.lang() == "ja" { Language::Ja } else { Language::En };
    Some((would, verdict.reasons(language).into_iter().map(|why| calm(why, LINE)).collect()))
}

fn copy(c: &Chrome, row: &QueueRow) -> Copy {
    let first = row.recipients.first().map(|one| calm(one, LONGEST)).unwrap_or_default();
    let more = row.recipients.len().saturating_sub(1);
    let more = if more == 0 { String::new() } else { format!(" {}", c.t.p("link-more").n("count", more)) };
    Copy {
        recipients: first + &more,
        state: c.t.of("desk-delivery-", row.state),
        class: match row.state {
            DeliveryState::Delivered => "good",
            DeliveryState::Failed => "stop",
            DeliveryState::Uncertain | DeliveryState::Dropped => "warn",
            _ => "",
        },
        attempts: row.attempts,
        reply: calm(&row.last_reply, LINE),
    }
}
