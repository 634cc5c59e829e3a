//! The desk's pages: server-made, plain forms, one decision a page.
//!
//! * [`visit`] who looks at a page, in which language, and what every page has
//! * `list` what waits; `bulk` the same decision on several
//! * `held` one message and what may be done with it; `act` the decisions; `copies` what each would get
//! * `content` its text, its HTML in a frame of its own, its attachments
//! * `answer` pages for what did not work out

mod act;
mod answer;
mod bulk;
mod content;
mod copies;
mod held;
mod list;
mod people;
pub mod visit;

use super::Site;
use axum::Router;
use axum::routing::{get, post};
use std::sync::Arc;

/// Every page's route.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/", get(list::page))
        .route("/bulk", get(bulk::confirm).post(bulk::act))
        .route("/held/{id}", get(held::page))
        .route("/held/{id}/release", post(act::release))
        .route("/held/{id}/as-is", get(act::as_is))
        .route("/held/{id}/drop", get(act::leave_out))
        .route("/held/{id}/return", get(act::return_form).post(act::give_back))
        .route("/held/{id}/copies", get(copies::page))
        .route("/held/{id}/html", get(content::html))
        .route("/held/{id}/attachment/{number}", get(content::attachment))
        .route("/language", post(visit::language))
}
