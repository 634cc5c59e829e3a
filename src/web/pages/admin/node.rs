//! `/node`: whether this relay accepts and sends mail, its settings, and its current load.

use super::super::super::{Site, readiness};
use super::super::answer;
use super::super::visit::{Chrome, Visit, show};
use super::{Tab, refused, tabs};
use crate::desk::operate;
use crate::policy::verdict::Mode;
use crate::store::HeldState;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;
use std::time::Duration;

/// The period for which held messages are counted.
const SPAN: Duration = Duration::from_hours(24 * 30);

#[derive(Template)]
#[template(path = "node.html")]
struct Node {
    c: Chrome,
    tabs: Vec<Tab>,
    /// Why the relay is not ready; `None` if it is.
    trouble: Option<String>,
    version: &'static str,
    observes: bool,
    rules: usize,
    zone: String,
    /// Deliveries that are not final, by state.
    open: Vec<(String, u64)>,
    waiting: u64,
    entries: u64,
}

/// `GET /node`
pub(super) async fn page(State(site): State<Arc<Site>>, visit: Visit) -> Response {
    let Visit { who, c } = visit.at("node");
    if !operate::looks(&who) {
        return answer::gone(c);
    }
    let totals = tokio::try_join!(site.store.totals(c.t.now.minus(SPAN)), site.store.chain_head());
    let (totals, chain) = match totals {
        Ok(found) => found,
        Err(error) => return refused(c, &error.into()),
    };
    let (observes, rules) = {
        let examiner = site.desk.examiner.borrow();
        (examiner.policy.mode() == Mode::Observe, examiner.policy.rule_names().count())
    };
    let waiting = totals.held.get(&HeldState::Held.to_string()).copied().unwrap_or(0);
    let node = Node {
        tabs: tabs(&c, "node"),
        trouble: readiness(&site).await.err(),
        version: env!("CARGO_PKG_VERSION"),
        observes,
        rules,
        zone: c.t.zone.iana_name().unwrap_or("UTC").to_owned(),
        open: totals.open.iter().map(|(state, count)| (c.t.of("desk-delivery-", state), *count)).collect(),
        waiting,
        entries: chain.entries,
        c,
    };
    show(StatusCode::OK, &node)
}
