//! Error responses that many routes share, described once for the `OpenAPI` document.

use std::collections::BTreeMap;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use super::shapes::Problem;

/// Errors that every route can return. Used only for the document.
pub(super) enum Always {}

/// Errors that every route which changes something can return in addition.
pub(super) enum Changing {}

type Responses = BTreeMap<String, RefOr<Response>>;

/// A problem document (RFC 9457).
fn problem(status: u16, description: &str) -> (String, RefOr<Response>) {
    let schema = Ref::from_schema_name(Problem::name());
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let response = ResponseBuilder::new().description(description);
    (status.to_string(), response.content("application/problem+json", content).into())
}

impl IntoResponses for Always {
    fn responses() -> Responses {
        Responses::from([
            problem(400, "The request is malformed"),
            problem(401, "No token"),
            problem(403, "The token lacks the scope"),
            problem(429, "Too often"),
            problem(503, "Not now"),
        ])
    }
}

impl IntoResponses for Changing {
    fn responses() -> Responses {
        Responses::from([problem(413, "Too large"), problem(422, "Nothing was done")])
    }
}
