//! Pages for administrators: the relay, its queue, accounts and tokens. Auditors see the relay and the queue;
//! for everybody else these pages do not exist.

mod node;
mod queue;
mod tokens;
mod users;

use super::super::routes::Routes;
use super::answer;
use super::visit::Chrome;
use crate::desk::DeskError;
use crate::desk::operate;
use axum::http::StatusCode;
use axum::response::Response;

/// The routes of these pages.
pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/node", node::page)
        .get("/queue", queue::page)
        .post("/queue", queue::change)
        .get("/users", users::page)
        .post("/users", users::change)
        .get("/tokens", tokens::page)
        .post("/tokens", tokens::remove)
}

/// A tab above the pages.
struct Tab {
    path: &'static str,
    name: String,
    here: bool,
}

/// The tabs for a visitor.
fn tabs(c: &Chrome, here: &str) -> Vec<Tab> {
    let operates = c.who.as_ref().is_some_and(operate::operates);
    let all = [
        ("/node", "node", false),
        ("/queue", "queue", false),
        ("/users", "users", true),
        ("/tokens", "tokens", true),
    ];
    let mine = all.into_iter().filter(|(_, _, only)| operates || !only);
    mine.map(|(path, word, _)| Tab { path, name: c.t.of("desk-tab-", word), here: word == here }).collect()
}

/// The desk refused the request. Visitors who may not see these pages get "not found".
fn refused(c: Chrome, error: &DeskError) -> Response {
    if matches!(error, DeskError::NotAllowed(_)) {
        return answer::gone(c);
    }
    tracing::warn!(%error, "an administration page could not be shown");
    unavailable(c, None)
}

/// The desk is unavailable; the reason is shown if the visitor may know it.
fn unavailable(c: Chrome, why: Option<String>) -> Response {
    let p = |key| c.t.p(key).to_string();
    let (title, text) = (p("desk-unavailable-title"), why.unwrap_or_else(|| p("desk-unavailable-text")));
    answer::say(c, StatusCode::SERVICE_UNAVAILABLE, title, text, "/node")
}
