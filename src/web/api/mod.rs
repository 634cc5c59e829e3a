//! The API under `/api/v1`: the same functions of the desk as the pages, for programs.
//!
//! * [`shapes`] the JSON of requests and responses, with the descriptions in the `OpenAPI` document
//! * [`held`] held messages and decisions; [`records`] queue, messages, report, chain; [`circles`],
//!   [`knowledge`]
//! * [`answer`] errors (RFC 9457); [`refusals`] errors that many routes share
//!
//! A request carries a token (RFC 6750), whose scopes each route checks. The document at
//! `/api/v1/openapi.json` is generated from the code, and is public.

mod answer;
mod circles;
mod held;
mod knowledge;
mod records;
mod refusals;
mod shapes;

use super::Site;
use super::routes::Routes;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

/// The `OpenAPI` document.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Sekisho",
        version = "1",
        description = "Held messages, decisions and what happened to each message. Every request carries a token \
                       (`Authorization: Bearer …`) made by `sekisho token add`; the scope that a route needs is \
                       named in its description. Errors are problem documents (RFC 9457)."
    ),
    paths(
        held::list,
        held::show,
        held::release,
        held::give_back,
        held::take_back,
        held::undo,
        held::copies,
        records::queue,
        records::change_queue,
        records::message,
        records::trace,
        records::report,
        records::audit_head,
        circles::list,
        circles::make,
        circles::end,
        knowledge::forget
    ),
    modifiers(&Bearer),
    security(("token" = []))
)]
struct Document;

/// The authentication scheme.
struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// Every route of the API.
pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/api/v1/openapi.json", document)
        .get("/api/v1/held", held::list)
        .get("/api/v1/held/{id}", held::show)
        .get("/api/v1/held/{id}/copies", held::copies)
        .post("/api/v1/held/{id}/release", held::release)
        .post("/api/v1/held/{id}/return", held::give_back)
        .post("/api/v1/held/{id}/take-back", held::take_back)
        .post("/api/v1/held/{id}/undo", held::undo)
        .get("/api/v1/queue", records::queue)
        .post("/api/v1/queue", records::change_queue)
        .get("/api/v1/messages", records::trace)
        .get("/api/v1/messages/{id}", records::message)
        .get("/api/v1/report", records::report)
        .get("/api/v1/audit/head", records::audit_head)
        .get("/api/v1/circles", circles::list)
        .post("/api/v1/circles", circles::make)
        .delete("/api/v1/circles/{id}", circles::end)
        .post("/api/v1/knowledge/forget", knowledge::forget)
}

async fn document() -> Response {
    match Document::openapi().to_json() {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => answer::broken(&error),
    }
}

/// The shared state, as handlers receive it.
type Here = axum::extract::State<Arc<Site>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described_and_every_description_is_a_route() {
        let document = Document::openapi();
        let mut described: Vec<(String, String)> = Vec::new();
        for (path, item) in &document.paths.paths {
            for (method, there) in [
                ("GET", item.get.is_some()),
                ("POST", item.post.is_some()),
                ("DELETE", item.delete.is_some()),
            ] {
                if there {
                    described.push((method.to_owned(), path.clone()));
                }
            }
        }
        let mut routes: Vec<(String, String)> = routes()
            .list()
            .iter()
            .filter(|route| !route.path.ends_with("openapi.json"))
            .map(|route| (route.method.clone(), route.path.clone()))
            .collect();
        described.sort();
        routes.sort();
        assert_eq!(described, routes);
    }
}
