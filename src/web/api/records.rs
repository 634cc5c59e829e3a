//! The API's routes for the queue, the history of messages, the report, and the head of the journal's chain.

use super::super::guard::Bearer;
use super::Here;
use super::answer::{bad, nothing, refused};
use super::held::{limit, not_json};
use super::refusals::{Always, Changing};
use super::shapes::Problem;
use super::shapes::records::{
    ChainHead, Happened, History, MessageItem, MessageList, QueueAsked, QueueDone, QueueItem, QueueList,
    QueueWish, Report, ReportAsked, TraceAsked,
};
use crate::id::Id;
use crate::people::scope::Scope;
use crate::store::QueueFilter;
use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use std::time::Duration;

/// Most days that a report can cover.
const MOST_DAYS: u32 = 3_650;
/// Most deliveries changed by one request.
const MOST_CHANGED: usize = 500;

/// List deliveries that are not final
///
/// Oldest first. Scope: `queue:read`.
#[utoipa::path(
    get, path = "/api/v1/queue", tag = "records", params(QueueAsked),
    responses(
        (status = 200, description = "Deliveries", body = QueueList),
        Always
    )
)]
pub(super) async fn queue(
    State(site): Here,
    caller: Bearer,
    asked: Result<Query<QueueAsked>, QueryRejection>,
) -> Result<Response, Response> {
    caller.allow(Scope::QueueRead)?;
    let Query(asked) = asked.map_err(bad)?;
    let filter = QueueFilter {
        sender: asked.sender,
        recipient: asked.recipient,
        limit: Some(limit(asked.limit)?),
        ..QueueFilter::default()
    };
    let rows = site.desk.queue(&caller.who, &filter).await.map_err(|error| refused(&error))?;
    Ok(Json(QueueList { items: rows.into_iter().map(QueueItem::of).collect() }).into_response())
}

/// Change deliveries
///
/// They are named one by one. Final deliveries change only by `retry`. Dropping is possible only on the
/// command line. Scope: `queue:change`.
#[utoipa::path(
    post, path = "/api/v1/queue", tag = "records", request_body = QueueWish,
    responses(
        (status = 200, description = "Changed", body = QueueDone),
        (status = 415, description = "Not JSON", body = Problem, content_type = "application/problem+json"),
        Always,
        Changing
    )
)]
pub(super) async fn change_queue(
    State(site): Here,
    caller: Bearer,
    body: Result<Json<QueueWish>, JsonRejection>,
) -> Result<Response, Response> {
    caller.allow(Scope::QueueChange)?;
    let Json(wish) = body.map_err(|error| not_json(&error))?;
    if wish.ids.is_empty() || wish.ids.len() > MOST_CHANGED {
        return Err(bad("ids must have 1 to 500 deliveries"));
    }
    let changed = site.desk.change_deliveries(&caller.who, &wish.ids, wish.change.into()).await;
    Ok(Json(QueueDone { changed: changed.map_err(|error| refused(&error))? }).into_response())
}

/// Find messages
///
/// By id, Message-ID, address or words of the subject, newest first. Scope: `message:read`.
#[utoipa::path(
    get, path = "/api/v1/messages", tag = "records", params(TraceAsked),
    responses(
        (status = 200, description = "Messages", body = MessageList),
        Always
    )
)]
pub(super) async fn trace(
    State(site): Here,
    caller: Bearer,
    asked: Result<Query<TraceAsked>, QueryRejection>,
) -> Result<Response, Response> {
    caller.allow(Scope::MessageRead)?;
    let Query(asked) = asked.map_err(bad)?;
    let limit = limit(asked.limit)?;
    if asked.q.is_empty() || asked.q.chars().count() > 1_000 {
        return Err(bad("q must have 1 to 1000 characters"));
    }
    let rows = site.store.find(&asked.q, limit).await.map_err(|error| refused(&error.into()))?;
    Ok(Json(MessageList { items: rows.into_iter().map(MessageItem::of).collect() }).into_response())
}

/// Show the history of a message
///
/// Scope: `message:read`.
#[utoipa::path(
    get, path = "/api/v1/messages/{id}", tag = "records", params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, description = "Its history", body = History),
        (status = 404, description = "No such message", body = Problem, content_type = "application/problem+json"),
        Always
    )
)]
pub(super) async fn message(
    State(site): Here,
    caller: Bearer,
    Path(id): Path<String>,
) -> Result<Response, Response> {
    caller.allow(Scope::MessageRead)?;
    let id: Id = id.parse().map_err(|_| nothing())?;
    let message = site.desk.seen_by(&caller.who, id).await.map_err(|error| refused(&error))?;
    let found = tokio::try_join!(site.store.journal(id), site.store.deliveries(id));
    let (journal, deliveries) = found.map_err(|error| refused(&error.into()))?;
    let history = History {
        id: id.to_string(),
        received: message.received.to_jiff().to_string(),
        events: journal.iter().map(Happened::of).collect(),
        deliveries: deliveries.into_iter().map(QueueItem::of).collect(),
    };
    Ok(Json(history).into_response())
}

/// Get statistics
///
/// The same as `sekisho report`. Scope: `report:read`.
#[utoipa::path(
    get, path = "/api/v1/report", tag = "records", params(ReportAsked),
    responses(
        (status = 200, description = "Numbers", body = Report),
        Always
    )
)]
pub(super) async fn report(
    State(site): Here,
    caller: Bearer,
    asked: Result<Query<ReportAsked>, QueryRejection>,
) -> Result<Response, Response> {
    caller.allow(Scope::ReportRead)?;
    let Query(asked) = asked.map_err(bad)?;
    let days = asked.days.unwrap_or(30);
    if !(1..=MOST_DAYS).contains(&days) {
        return Err(bad("days must be between 1 and 3650"));
    }
    let since = site.desk.clock.now().minus(Duration::from_hours(24 * u64::from(days)));
    let numbers = site.desk.numbers(&caller.who, since, 0).await.map_err(|error| refused(&error))?;
    Ok(Json(Report::of(numbers)).into_response())
}

/// Get the head of the chain
///
/// The same as `sekisho audit verify` reports, without verifying the chain. Scope: `report:read`.
#[utoipa::path(
    get, path = "/api/v1/audit/head", tag = "records",
    responses(
        (status = 200, description = "The head of the chain", body = ChainHead),
        Always
    )
)]
pub(super) async fn audit_head(State(site): Here, caller: Bearer) -> Result<Response, Response> {
    caller.allow(Scope::ReportRead)?;
    let head = site.store.chain_head().await.map_err(|error| refused(&error.into()))?;
    Ok(Json(ChainHead { entries: head.entries, link: head.link }).into_response())
}
