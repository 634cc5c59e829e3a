//! The API's routes for circles.

use super::super::guard::Bearer;
use super::Here;
use super::answer::{bad, problem, refused};
use super::held::not_json;
use super::refusals::{Always, Changing};
use super::shapes::{Problem, moment};
use crate::clock::Timestamp;
use crate::desk::DeskError;
use crate::desk::circles::{CircleWish, LASTS};
use crate::message::Address;
use crate::people::scope::Scope;
use crate::store::StoreError;
use crate::store::circles::{Circle, CircleId};
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Seconds of a day.
const DAY: u64 = 24 * 3_600;

/// Circles, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CircleList {
    /// The circles.
    items: Vec<CircleItem>,
}

/// A circle: people who may see each other.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CircleItem {
    /// Number of the circle.
    #[schema(value_type = i64)]
    id: CircleId,
    /// Display name.
    name: String,
    /// Members.
    members: Vec<String>,
    /// Whether it is in force now.
    in_force: bool,
    /// When it ends.
    expires: String,
    /// Who made it.
    made_by: String,
    /// When it was made.
    made_at: String,
    /// Who ended it early.
    ended_by: Option<String>,
    /// When it was ended early.
    ended_at: Option<String>,
}

impl CircleItem {
    fn of(circle: Circle, now: Timestamp) -> Self {
        Self {
            in_force: circle.in_force(now),
            id: circle.id,
            name: circle.name,
            members: circle.members.iter().map(ToString::to_string).collect(),
            expires: moment(circle.expires),
            made_by: circle.made_by,
            made_at: moment(circle.made_at),
            ended_by: circle.ended_by,
            ended_at: circle.ended_at.map(moment),
        }
    }
}

/// A circle to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCircle {
    /// Display name.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// Addresses of the members.
    #[schema(min_items = 2, max_items = 1000)]
    members: Vec<String>,
    /// How many days it lasts; 90 by default.
    #[schema(minimum = 1, maximum = 731)]
    days: Option<u32>,
}

/// List circles
///
/// All circles, newest first, including those that have ended. Scope: `circles:read`.
#[utoipa::path(
    get, path = "/api/v1/circles", tag = "circles",
    responses(
        (status = 200, description = "The circles", body = CircleList),
        Always
    )
)]
pub(super) async fn list(State(site): Here, caller: Bearer) -> Result<Response, Response> {
    caller.allow(Scope::CirclesRead)?;
    let all = site.desk.circles(&caller.who).await.map_err(|error| refused(&error))?;
    let now = site.desk.clock.now();
    let items = all.into_iter().map(|circle| CircleItem::of(circle, now)).collect();
    Ok(Json(CircleList { items }).into_response())
}

/// Create a circle
///
/// Scope: `circles:change`.
#[utoipa::path(
    post, path = "/api/v1/circles", tag = "circles", request_body = NewCircle,
    responses(
        (status = 201, description = "Made", body = CircleItem),
        (status = 415, description = "Not JSON", body = Problem, content_type = "application/problem+json"),
        Always,
        Changing
    )
)]
pub(super) async fn make(
    State(site): Here,
    caller: Bearer,
    body: Result<Json<NewCircle>, JsonRejection>,
) -> Result<Response, Response> {
    caller.allow(Scope::CirclesChange)?;
    let Json(asked) = body.map_err(|error| not_json(&error))?;
    let mut members = Vec::new();
    for text in &asked.members {
        members.push(Address::parse(text).map_err(bad)?);
    }
    let seconds = asked.days.map_or(LASTS.as_secs(), |days| u64::from(days) * DAY);
    let wish = CircleWish { name: asked.name, members, seconds };
    let id = site.desk.make_circle(&caller.who, wish).await.map_err(|error| refused(&error))?;
    let circle = site.desk.circle(&caller.who, id).await.map_err(|error| refused(&error))?;
    let made = CircleItem::of(circle, site.desk.clock.now());
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

/// End a circle
///
/// Ends it early; it stays in the list. Scope: `circles:change`.
#[utoipa::path(
    delete, path = "/api/v1/circles/{id}", tag = "circles", params(("id" = i64, Path, description = "Its number")),
    responses(
        (status = 200, description = "Ended", body = CircleItem),
        (status = 404, description = "No such circle is in force", body = Problem, content_type = "application/problem+json"),
        Always,
        Changing
    )
)]
pub(super) async fn end(
    State(site): Here,
    caller: Bearer,
    Path(id): Path<String>,
) -> Result<Response, Response> {
    caller.allow(Scope::CirclesChange)?;
    let id: CircleId = id.parse().map_err(|_| no_circle())?;
    let gone = |error: DeskError| match error {
        DeskError::Store(StoreError::NotFound(_)) => no_circle(),
        error => refused(&error),
    };
    site.desk.end_circle(&caller.who, id).await.map_err(gone)?;
    let circle = site.desk.circle(&caller.who, id).await.map_err(gone)?;
    Ok(Json(CircleItem::of(circle, site.desk.clock.now())).into_response())
}

fn no_circle() -> Response {
    problem(StatusCode::NOT_FOUND, "no such circle is in force", None)
}
