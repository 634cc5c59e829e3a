//! `/queue`: deliveries that are not final, and changes to selected ones. Dropping deliveries cannot be
//! undone, so it is possible only on the command line.

use super::super::super::Site;
use super::super::super::words::calm;
use super::super::answer;
use super::super::form::{Fields, value, values};
use super::super::parts::LINE;
use super::super::people::LONGEST;
use super::super::visit::{Chrome, Visit, show};
use super::{Tab, refused, tabs};
use crate::clock::Timestamp;
use crate::desk::operate;
use crate::id::Id;
use crate::store::{DeliveryState, QueueChange, QueueFilter, QueueRow};
use askama::Template;
use axum::Form;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use std::sync::Arc;

/// Most deliveries on the page.
const MOST: usize = 100;
/// States to filter by: those that are not final, and `failed`.
const STATES: [DeliveryState; 5] = [
    DeliveryState::Ready,
    DeliveryState::Waiting,
    DeliveryState::Uncertain,
    DeliveryState::Paused,
    DeliveryState::Failed,
];

#[derive(Debug, Default, Deserialize)]
pub(super) struct PageQuery {
    #[serde(default)]
    state: String,
    /// The sender's address.
    #[serde(default)]
    sender: String,
    /// A recipient's address.
    #[serde(default)]
    recipient: String,
    /// The number of deliveries that were changed just now.
    changed: Option<usize>,
}

impl PageQuery {
    fn is(&self, state: &impl std::fmt::Display) -> bool {
        self.state == state.to_string()
    }

    fn filter(&self) -> QueueFilter {
        let filled = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        QueueFilter {
            state: STATES.into_iter().find(|state| self.is(state)),
            sender: filled(&self.sender),
            recipient: filled(&self.recipient),
            limit: Some(MOST),
            ..QueueFilter::default()
        }
    }
}

#[derive(Template)]
#[template(path = "queue.html")]
struct Queue {
    c: Chrome,
    tabs: Vec<Tab>,
    asked: PageQuery,
    states: [DeliveryState; 5],
    lines: Vec<Line>,
    more: bool,
    changes: bool,
    note: String,
}

struct Line {
    id: String,
    message: Id,
    sender: String,
    recipients: String,
    state: String,
    class: &'static str,
    attempts: u32,
    reply: String,
    due: Option<Timestamp>,
}

/// `GET /queue`
pub(super) async fn page(
    State(site): State<Arc<Site>>,
    visit: Visit,
    asked: Result<Query<PageQuery>, QueryRejection>,
) -> Response {
    let Visit { who, c } = visit.at("node");
    let asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    match site.desk.queue(&who, &asked.filter()).await {
        Ok(rows) => {
            let note = asked.changed.map(|count| c.t.p("desk-queue-changed").n("count", count).to_string());
            let queue = Queue {
                tabs: tabs(&c, "queue"),
                states: STATES,
                lines: rows.iter().map(|row| line(&c, row)).collect(),
                more: rows.len() == MOST,
                changes: operate::operates(&who),
                note: note.unwrap_or_default(),
                asked,
                c,
            };
            show(StatusCode::OK, &queue)
        }
        Err(error) => refused(c, &error),
    }
}

fn line(c: &Chrome, row: &QueueRow) -> Line {
    let first = row.recipients.first().map(|one| calm(one, LONGEST)).unwrap_or_default();
    let more = row.recipients.len().saturating_sub(1);
    let more = if more == 0 { String::new() } else { format!(" {}", c.t.p("link-more").n("count", more)) };
    Line {
        id: row.id.clone(),
        message: row.message,
        sender: if row.sender.is_empty() { "<>".to_owned() } else { calm(&row.sender, LONGEST) },
        recipients: first + &more,
        state: c.t.of("desk-delivery-", row.state),
        class: match row.state {
            DeliveryState::Failed => "stop",
            DeliveryState::Uncertain | DeliveryState::Paused => "warn",
            _ => "",
        },
        attempts: row.attempts,
        reply: calm(&row.last_reply, LINE),
        due: row.due,
    }
}

/// `POST /queue`
pub(super) async fn change(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Form(fields): Form<Fields>,
) -> Response {
    let Visit { who, c } = visit.at("node");
    let change = match value(&fields, "do") {
        Some("retry") => QueueChange::Retry,
        Some("pause") => QueueChange::Pause,
        Some("resume") => QueueChange::Resume,
        _ if operate::operates(&who) => return answer::bad_form(c),
        _ => return answer::gone(c),
    };
    let ids: Vec<String> = values(&fields, "id").take(MOST).map(str::to_owned).collect();
    match site.desk.change_deliveries(&who, &ids, change).await {
        Ok(changed) => Redirect::to(&format!("/queue?changed={changed}")).into_response(),
        Err(error) => refused(c, &error),
    }
}
