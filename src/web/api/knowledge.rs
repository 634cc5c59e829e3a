//! The API's routes for what was learned of who wrote with whom.

use super::super::guard::Bearer;
use super::Here;
use super::answer::{bad, refused};
use super::held::not_json;
use super::refusals::{Always, Changing};
use super::shapes::Problem;
use crate::message::Address;
use crate::people::scope::Scope;
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A person to forget.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Forget {
    /// The person's address.
    address: String,
}

/// The result of forgetting a person.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Forgotten {
    /// The number of sets of people that they were removed from.
    sets: usize,
}

/// Forget a person
///
/// Removes an address from everything that was learned of who wrote with whom. Later mail can teach it again.
/// Scope: `knowledge:change`.
#[utoipa::path(
    post, path = "/api/v1/knowledge/forget", tag = "knowledge", request_body = Forget,
    responses(
        (status = 200, description = "Forgotten; nothing changed if the address was unknown", body = Forgotten),
        (status = 415, description = "Not JSON", body = Problem, content_type = "application/problem+json"),
        Always,
        Changing
    )
)]
pub(super) async fn forget(
    State(site): Here,
    caller: Bearer,
    body: Result<Json<Forget>, JsonRejection>,
) -> Result<Response, Response> {
    caller.allow(Scope::KnowledgeChange)?;
    let Json(asked) = body.map_err(|error| not_json(&error))?;
    let address = Address::parse(&asked.address).map_err(bad)?;
    let sets = site.desk.forget(&caller.who, &address).await.map_err(|error| refused(&error))?;
    Ok(Json(Forgotten { sets }).into_response())
}
