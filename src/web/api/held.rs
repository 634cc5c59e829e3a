//! The API's routes for held messages and decisions.

use super::super::guard::Bearer;
use super::super::pages::copies::pairs;
use super::Here;
use super::answer::{bad, nothing, problem, refused};
use super::refusals::{Always, Changing};
use super::shapes::{
    Addressed, CopiesAsked, CopyItem, CopyList, Found, HeldAsked, HeldItem, HeldList, HeldWhole, Problem,
    ReleaseDone, ReleaseWish, ReturnDone, ReturnWish, Rule, State as Wanted, TakenBack, Way,
};
use crate::desk::dossier::Closed;
use crate::desk::wish::{How, Wish};
use crate::id::Id;
use crate::message::Address;
use crate::people::scope::Scope;
use crate::store::{HeldQuery, HeldState, Scope as Reach};
use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// Most messages on one page.
const MOST: u16 = 500;
/// Default number of messages or copies on one page.
const USUAL: u16 = 50;
/// Longest text searched for, in characters.
const LONGEST: usize = 200;

/// The limit of a request, within its bounds.
pub(super) fn limit(asked: Option<u16>) -> Result<usize, Response> {
    match asked.unwrap_or(USUAL) {
        limit @ 1..=MOST => Ok(usize::from(limit)),
        _ => Err(bad("limit must be between 1 and 500")),
    }
}

impl From<Way> for How {
    fn from(way: Way) -> Self {
        match way {
            Way::Split => Self::Split,
            Way::Bcc => Self::Bcc,
            Way::AsIs => Self::AsIs,
        }
    }
}

/// List held messages
///
/// Newest first. Scope: `held:read`.
#[utoipa::path(
    get, path = "/api/v1/held", tag = "held", params(HeldAsked),
    responses(
        (status = 200, description = "One page of messages", body = HeldList),
        Always
    )
)]
pub(super) async fn list(
    State(site): Here,
    caller: Bearer,
    asked: Result<Query<HeldAsked>, QueryRejection>,
) -> Result<Response, Response> {
    caller.allow(Scope::HeldRead)?;
    let Query(asked) = asked.map_err(bad)?;
    let after = match asked.after.as_deref() {
        None | Some("") => None,
        Some(text) => Some(text.parse::<Id>().map_err(bad)?),
    };
    let short = |text: Option<String>| text.map(|text| text.chars().take(LONGEST).collect());
    let query = HeldQuery {
        state: asked.state.map(|state| match state {
            Wanted::Held => HeldState::Held,
            Wanted::Released => HeldState::Released,
            Wanted::Returned => HeldState::Returned,
            Wanted::Expired => HeldState::Expired,
        }),
        text: short(asked.q),
        rule: short(asked.rule),
        after,
        limit: limit(asked.limit)?,
        ..HeldQuery::new(Reach::All)
    };
    let page = site.store.held_page(&query).await.map_err(|error| refused(&error.into()))?;
    let items = page.lines.iter().map(HeldItem::of).collect();
    Ok(Json(HeldList { items, next: page.next.map(|id| id.to_string()) }).into_response())
}

/// Show a held message
///
/// Without its contents. Scope: `held:read`.
#[utoipa::path(
    get, path = "/api/v1/held/{id}", tag = "held", params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, description = "The message", body = HeldWhole),
        (status = 404, description = "No such message", body = Problem, content_type = "application/problem+json"),
        Always
    )
)]
pub(super) async fn show(
    State(site): Here,
    caller: Bearer,
    Path(id): Path<String>,
) -> Result<Response, Response> {
    caller.allow(Scope::HeldRead)?;
    let id: Id = id.parse().map_err(|_| nothing())?;
    let dossier = site.desk.dossier(&caller.who, id).await.map_err(|error| refused(&error))?;
    let row = dossier.message.held.as_ref().ok_or_else(nothing)?;
    let facts = dossier.seen.as_ref().ok().map(|seen| &seen.facts);
    let external: Vec<String> =
        facts.iter().flat_map(|facts| &facts.external_addresses).map(ToString::to_string).collect();
    let count = external.len() as u64;
    let rules = dossier.message.verdict.iter().flat_map(|verdict| &verdict.rules);
    let whole = HeldWhole {
        item: HeldItem::of_row(row),
        all_recipients: row.recipients.clone(),
        approvers: row.approvers.clone(),
        external_organisations: facts.map_or(0, |facts| facts.external_organisations),
        exposures: count * count.saturating_sub(1),
        external_addresses: external,
        rules: rules
            .filter(|rule| rule.matched)
            .map(|rule| Rule { name: rule.name.clone(), why: rule.why.clone() })
            .collect(),
        hits: row
            .hits
            .iter()
            .map(|hit| Found { address: hit.address.to_string(), place: hit.place.clone() })
            .collect(),
    };
    Ok(Json(whole).into_response())
}

/// Release a held message
///
/// As individual copies by default. For `as-is`, every place where the audit found something has to be
/// acknowledged. Scope: `held:decide`.
#[utoipa::path(
    post, path = "/api/v1/held/{id}/release", tag = "held", params(("id" = String, Path, description = "Its id")),
    request_body = ReleaseWish,
    responses(
        (status = 200, description = "Released", body = ReleaseDone),
        (status = 404, description = "No such message", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Somebody decided first, or the audit found something", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = Problem, content_type = "application/problem+json"),
        Always,
        Changing
    )
)]
pub(super) async fn release(
    State(site): Here,
    caller: Bearer,
    Path(id): Path<String>,
    body: Result<Json<ReleaseWish>, JsonRejection>,
) -> Result<Response, Response> {
    caller.allow(Scope::HeldDecide)?;
    let Json(asked) = body.map_err(|error| not_json(&error))?;
    let id: Id = id.parse().map_err(|_| nothing())?;
    let mut drop = Vec::new();
    for text in &asked.drop {
        drop.push(Address::parse(text).map_err(bad)?);
    }
    let wish = Wish { how: asked.how.into(), drop, acknowledge: asked.acknowledge, ..Wish::default() };
    let released = site.desk.release_as(&caller.who, id, &wish).await.map_err(|error| refused(&error))?;
    tracing::info!(%id, by = caller.who.name, how = %released.how, copies = released.copies, "released by the API");
    Ok(Json(ReleaseDone::of(released)).into_response())
}

/// Return a held message to its sender
///
/// Nothing is sent. Scope: `held:decide`.
#[utoipa::path(
    post, path = "/api/v1/held/{id}/return", tag = "held", params(("id" = String, Path, description = "Its id")),
    request_body = ReturnWish,
    responses(
        (status = 200, description = "Returned", body = ReturnDone),
        (status = 404, description = "No such message", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Somebody decided first", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = Problem, content_type = "application/problem+json"),
        Always,
        Changing
    )
)]
pub(super) async fn give_back(
    State(site): Here,
    caller: Bearer,
    Path(id): Path<String>,
    body: Result<Json<ReturnWish>, JsonRejection>,
) -> Result<Response, Response> {
    caller.allow(Scope::HeldDecide)?;
    let Json(asked) = body.map_err(|error| not_json(&error))?;
    let id: Id = id.parse().map_err(|_| nothing())?;
    let reason: String = asked.reason.chars().take(1_000).collect();
    site.desk.give_back(&caller.who, id, reason.trim()).await.map_err(|error| refused(&error))?;
    tracing::info!(%id, by = caller.who.name, "returned by the API");
    Ok(Json(ReturnDone { id: id.to_string(), state: "returned".to_owned() }).into_response())
}

/// Take a mail back for its sender
///
/// A held mail is returned to its sender; a delayed one is not sent. This can be undone for 24 hours. Scope:
/// `held:decide`.
#[utoipa::path(
    post, path = "/api/v1/held/{id}/take-back", tag = "held", params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, description = "Taken back", body = TakenBack),
        (status = 404, description = "No such message", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Somebody decided first", body = Problem, content_type = "application/problem+json"),
        Always,
        Changing
    )
)]
pub(super) async fn take_back(
    State(site): Here,
    caller: Bearer,
    Path(id): Path<String>,
) -> Result<Response, Response> {
    caller.allow(Scope::HeldDecide)?;
    let id: Id = id.parse().map_err(|_| nothing())?;
    site.desk.take_back(&caller.who, id).await.map_err(|error| refused(&error))?;
    tracing::info!(%id, by = caller.who.name, "taken back by the API");
    Ok(Json(TakenBack { id: id.to_string(), taken_back: true }).into_response())
}

/// Undo taking a mail back
///
/// Within 24 hours. A held mail is held again; a delayed one is sent at its original time, or now. Scope:
/// `held:decide`.
#[utoipa::path(
    post, path = "/api/v1/held/{id}/undo", tag = "held", params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, description = "As before", body = TakenBack),
        (status = 404, description = "No such message", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Somebody decided first", body = Problem, content_type = "application/problem+json"),
        Always,
        Changing
    )
)]
pub(super) async fn undo(
    State(site): Here,
    caller: Bearer,
    Path(id): Path<String>,
) -> Result<Response, Response> {
    caller.allow(Scope::HeldDecide)?;
    let id: Id = id.parse().map_err(|_| nothing())?;
    site.desk.undo(&caller.who, id).await.map_err(|error| refused(&error))?;
    tracing::info!(%id, by = caller.who.name, "taking back was undone by the API");
    Ok(Json(TakenBack { id: id.to_string(), taken_back: false }).into_response())
}

/// Preview the copies
///
/// What each recipient would get, before and after, for one way of sending. Scope: `held:decide`.
#[utoipa::path(
    get, path = "/api/v1/held/{id}/copies", tag = "held",
    params(("id" = String, Path, description = "Its id"), CopiesAsked),
    responses(
        (status = 200, description = "The copies", body = CopyList),
        (status = 404, description = "No such message", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Such copies cannot be created", body = Problem, content_type = "application/problem+json"),
        Always
    )
)]
pub(super) async fn copies(
    State(site): Here,
    caller: Bearer,
    Path(id): Path<String>,
    asked: Result<Query<CopiesAsked>, QueryRejection>,
) -> Result<Response, Response> {
    caller.allow(Scope::HeldDecide)?;
    let Query(asked) = asked.map_err(bad)?;
    let limit = limit(asked.limit)?;
    let offset = usize::try_from(asked.offset.unwrap_or(0)).unwrap_or(usize::MAX);
    if offset > 100_000 {
        return Err(bad("offset must be between 0 and 100000"));
    }
    let id: Id = id.parse().map_err(|_| nothing())?;
    let dossier = site.desk.dossier(&caller.who, id).await.map_err(|error| refused(&error))?;
    if dossier.message.held.is_none() {
        return Err(nothing());
    }
    let recipients = &dossier.message.envelope.recipients;
    let wanted: Vec<&Address> = recipients.iter().skip(offset).take(limit).map(|to| &to.address).collect();
    let pairs = pairs(&dossier, asked.how.into(), &wanted).map_err(|closed| match closed {
        Closed::Audit(_) => problem(
            StatusCode::CONFLICT,
            "copies that hide the recipients cannot be created: the audit found addresses",
            None,
        ),
        Closed::Unreadable(why) => {
            problem(StatusCode::CONFLICT, "the message cannot be read reliably", Some(why))
        }
    })?;
    let items = pairs
        .into_iter()
        .map(|pair| CopyItem {
            recipient: pair.recipient,
            before: Addressed { to: pair.before.to, cc: pair.before.cc },
            after: pair.after.map(|side| Addressed { to: side.to, cc: side.cc }),
            removed: pair.lacks,
            added: pair.has,
        })
        .collect();
    Ok(Json(CopyList { items, total: recipients.len() }).into_response())
}

/// The request body is not the expected JSON.
pub(super) fn not_json(error: &JsonRejection) -> Response {
    let status = match error {
        JsonRejection::MissingJsonContentType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        _ => StatusCode::BAD_REQUEST,
    };
    problem(status, "the request is malformed", Some(error.body_text()))
}
