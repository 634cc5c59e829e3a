//! Error responses of the API: problem documents (RFC 9457).

use super::shapes::Problem;
use crate::desk::DeskError;
use crate::store::StoreError;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::fmt;

/// A problem document.
pub(super) fn problem(status: StatusCode, title: &str, detail: Option<String>) -> Response {
    let problem = Problem {
        status: status.as_u16(),
        title: title.to_owned(),
        detail,
        state: None,
        decided_by: None,
        decided_at: None,
        places: None,
    };
    written(status, &problem)
}

fn written(status: StatusCode, problem: &Problem) -> Response {
    let body = serde_json::to_string(problem).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
}

/// The request is malformed.
pub(super) fn bad(detail: impl fmt::Display) -> Response {
    problem(StatusCode::BAD_REQUEST, "the request is malformed", Some(detail.to_string()))
}

/// There is no such message, or this token may not see it.
pub(super) fn nothing() -> Response {
    problem(StatusCode::NOT_FOUND, "there is no such message", None)
}

/// An internal error.
pub(super) fn broken(error: &impl fmt::Display) -> Response {
    tracing::error!(%error, "a response of the API could not be rendered");
    problem(StatusCode::INTERNAL_SERVER_ERROR, "the response could not be rendered", None)
}

/// The desk refused the request.
pub(super) fn refused(error: &DeskError) -> Response {
    match error {
        DeskError::Store(StoreError::NotFound(_)) | DeskError::NeverHeld(_) => nothing(),
        DeskError::Store(StoreError::Decided { state, by, at }) => {
            let problem = Problem {
                status: 409,
                title: "somebody decided first".to_owned(),
                detail: None,
                state: Some(state.to_string()),
                decided_by: Some(by.clone()),
                decided_at: Some(at.to_jiff().to_string()),
                places: None,
            };
            written(StatusCode::CONFLICT, &problem)
        }
        DeskError::Audit(hits) | DeskError::Unacknowledged(hits) => {
            let mut places: Vec<String> = hits.iter().map(|hit| hit.place.clone()).collect();
            places.sort();
            places.dedup();
            places.truncate(1_000);
            let title = if matches!(error, DeskError::Audit(_)) {
                "nothing was released: others would see the addresses of hidden recipients"
            } else {
                "nothing was released: every place with a hidden address has to be acknowledged"
            };
            let problem = Problem {
                status: 409,
                title: title.to_owned(),
                detail: None,
                state: None,
                decided_by: None,
                decided_at: None,
                places: Some(places),
            };
            written(StatusCode::CONFLICT, &problem)
        }
        DeskError::NotAllowed(why) => problem(StatusCode::FORBIDDEN, "not allowed", Some(why.clone())),
        DeskError::Store(error) => {
            tracing::warn!(%error, "the API could not respond");
            problem(StatusCode::SERVICE_UNAVAILABLE, "the desk is unavailable at the moment", None)
        }
        other => problem(StatusCode::UNPROCESSABLE_ENTITY, "nothing was done", Some(other.to_string())),
    }
}
