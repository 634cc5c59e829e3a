//! HTTP on the desk's address: `/healthz`, `/readyz`, `/metrics`, and the desk's [`pages`].
//!
//! * [`guard`] what stands before every page: who visits, and whether a form is one of ours
//! * [`routes`] every route, counted; [`cookies`] what browsers keep
//! * `login` signing in and out; `link` links out of mails
//! * `api` the same for programs
//! * [`words`] what pages say, in the visitor's language; [`assets`] their style sheet and script

mod api;
pub mod assets;
pub mod cookies;
pub mod guard;
mod link;
mod login;
pub mod metrics;
pub mod pages;
pub mod routes;
pub mod words;

use crate::desk::Desk;
use crate::desk::links::Links;
use crate::people::People;
use crate::store::Store;
use assets::Assets;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use ipnet::IpNet;
use metrics::Metrics;
use routes::Routes;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
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
    /// Who may come, and as whom.
    pub people: Arc<People>,
    /// Links out of mails.
    pub links: Links,
    /// Reverse proxies whose word on where a request comes from is believed.
    pub proxies: Vec<IpNet>,
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
    let service = router(site).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(stop).await
}

/// Every route.
pub fn routes() -> Routes {
    Routes::new()
        .get("/healthz", healthz)
        .get("/readyz", readyz)
        .get("/metrics", show_metrics)
        .get("/static/{name}", assets::serve)
        .and(login::routes())
        .and(link::routes())
        .and(pages::routes())
        .and(api::routes())
}

/// All routes, behind the guard.
pub fn router(site: Arc<Site>) -> Router {
    routes()
        .into_router()
        .fallback(nothing_here)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&site), guard::guard))
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
