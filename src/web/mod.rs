//! HTTP on the desk's address: `/healthz`, `/readyz`, `/metrics`, and the desk's [`pages`].
//!
//! * [`words`] what pages say, in the visitor's language; [`assets`] their style sheet and script

pub mod assets;
pub mod metrics;
pub mod pages;
pub mod words;

use crate::desk::Desk;
use crate::store::Store;
use assets::Assets;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics::Metrics;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;

/// A store that does not answer for so long is not ready.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the pages are made from.
pub struct Site {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The desk.
    pub desk: Desk,
    /// The style sheet and the script.
    pub assets: Assets,
    /// The zone that pages tell moments in.
    pub zone: jiff::tz::TimeZone,
    /// Browsers reach the desk through TLS.
    pub secure: bool,
    /// Numbers.
    pub metrics: Metrics,
    /// The relay is shutting down: it is alive, but takes no more mail.
    pub draining: Arc<AtomicBool>,
}

/// Serves until `stop` is done.
pub async fn serve(
    listener: TcpListener,
    site: Arc<Site>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, router(site)).with_graceful_shutdown(stop).await
}

/// All routes.
pub fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(show_metrics))
        .route("/static/{name}", get(assets::serve))
        .merge(pages::routes())
        .fallback(nothing_here)
        .with_state(site)
}

/// The process is alive.
async fn healthz() -> Response {
    text(StatusCode::OK, "ok\n")
}

/// Mail would be taken now: a write could be committed, and the relay is not shutting down.
async fn readyz(State(site): State<Arc<Site>>) -> Response {
    if site.draining.load(Ordering::Relaxed) {
        return text(StatusCode::SERVICE_UNAVAILABLE, "shutting down\n");
    }
    match tokio::time::timeout(PATIENCE, site.store.ready()).await {
        Ok(Ok(())) => text(StatusCode::OK, "ready\n"),
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready");
            text(StatusCode::SERVICE_UNAVAILABLE, "the store cannot be written to\n")
        }
        Err(_) => text(StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n"),
    }
}

async fn show_metrics(State(site): State<Arc<Site>>) -> Response {
    match tokio::time::timeout(PATIENCE, site.metrics.render(&*site.store)).await {
        Ok(body) => (
            StatusCode::OK,
            [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")],
            body,
        )
            .into_response(),
        Err(_) => text(StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n"),
    }
}

async fn nothing_here() -> Response {
    text(StatusCode::NOT_FOUND, "nothing here: try /healthz, /readyz or /metrics\n")
}

fn text(status: StatusCode, body: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, body).into_response()
}
