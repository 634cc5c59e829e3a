//! `GET /held/{id}/now`: the current state of a message, for the polling script.

use super::super::answer;
use super::super::list::as_line;
use super::super::live::Live;
use super::super::sentence::decided;
use super::super::visit::Visit;
use crate::desk::waiting::Progress;
use crate::id::Id;
use crate::store::HeldState;
use crate::web::Site;
use crate::web::words::Words;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::sync::Arc;

/// Polling interval for a mail that is being sent, and for any other, in milliseconds.
pub(super) const SENDING: u32 = 2_000;
pub(super) const WAITING: u32 = 5_000;

/// `GET /held/{id}/now`: the current state. The query contains the state that the page shows.
pub(in super::super) async fn now(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Path(id): Path<String>,
    shown: Result<Query<ShownState>, QueryRejection>,
) -> Response {
    let Visit { who, c } = visit;
    let Ok(id) = id.parse::<Id>() else { return StatusCode::NOT_FOUND.into_response() };
    let shown = shown.map(|Query(shown)| shown.shown).unwrap_or_default();
    let now = match site.desk.stands(&who, id).await {
        Ok(now) => now,
        Err(error) => return answer::refused(c, id, &error),
    };
    let t = &c.t;
    if now.row.state.to_string() != shown {
        let text = decided(t, &as_line(&now.row)).unwrap_or_else(|| t.p("desk-undone").to_string());
        let changed = Live {
            text: t.p("desk-live-changed").s("what", text).to_string(),
            link: format!("/held/{id}{}", c.filters()),
            label: t.p("desk-live-show").to_string(),
            stale: true,
            over: true,
            ..Live::default()
        };
        return changed.response();
    }
    let text = match (&now.progress, now.leaves) {
        (_, Some(_)) | (None, _) => String::new(),
        (Some(progress), None) => told_progress(t, progress),
    };
    let sent = now.progress.is_some_and(|progress| progress.is_over());
    let over = now.leaves.is_none() && now.row.state != HeldState::Held && (sent || now.progress.is_none());
    let left = now.row.state == HeldState::Released && now.leaves.is_none();
    Live { text, left, over, ..Live::default() }.response()
}

/// The state that the page shows.
#[derive(Debug, Default, Deserialize)]
pub(in super::super) struct ShownState {
    #[serde(default)]
    shown: String,
}

/// The progress of sending, in words.
pub(super) fn told_progress(t: &Words, progress: &Progress) -> String {
    let mut text =
        t.p("desk-progress").n("delivered", progress.delivered).n("total", progress.total).to_string();
    if progress.failed > 0 {
        text += " ";
        text += &t.p("desk-progress-failed").n("count", progress.failed).to_string();
    }
    text
}
