//! The HTTP server of the desk: `/healthz`, `/readyz`, `/metrics`, and the [`pages`].
//!
//! * [`guard`] identifies the visitor, and checks that a form is one of ours
//! * [`connections`](crate::connections) limits connections and their duration
//! * [`routes`] lists every route; [`cookies`] names the cookies
//! * `login` signing in and out; `link` links in mails
//! * `api` the API for programs
//! * [`words`] the phrases, in the visitor's language; [`assets`] style sheet and script

mod api;
pub mod assets;
pub mod cookies;
pub mod guard;
mod link;
mod login;
pub mod metrics;
pub mod pages;
pub mod routes;
pub mod visitor;
pub mod words;

use crate::connections::{self, Bounds};
use crate::desk::Desk;
use crate::desk::links::Links;
use crate::people::People;
use crate::people::scope::Scope;
use crate::policy::verdict::Bilingual;
use crate::store::Store;
use assets::Assets;
use axum::Router;
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use guard::Bearer;
use ipnet::IpNet;
use metrics::Metrics;
use routes::Routes;
use std::borrow::Cow;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use visitor::Client;

/// Timeout of the store in the readiness check.
const PATIENCE: Duration = Duration::from_secs(5);

/// The shared state of the pages.
pub struct Site {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The desk.
    pub desk: Desk,
    /// The style sheet and the script.
    pub assets: Assets,
    /// Whom people can ask for help.
    pub contact: Option<Bilingual>,
    /// Signing in, and roles.
    pub people: Arc<People>,
    /// Links in mails.
    pub links: Links,
    /// Reverse proxies whose X-Forwarded-For is trusted.
    pub proxies: Vec<IpNet>,
    /// Whether browsers use TLS.
    pub secure: bool,
    /// Metrics.
    pub metrics: Metrics,
    /// Whether the relay is shutting down: it is alive, but accepts no more mail.
    pub draining: Arc<AtomicBool>,
    /// The health of the other parts of the relay.
    pub health: Arc<dyn Health>,
    /// Networks that may read metrics and the reason why the relay is not ready.
    pub monitors: Vec<IpNet>,
    /// Metrics of the desk's connections.
    pub connections: connections::Tally,
}

/// Checks whether mail would be accepted and sent, apart from the store.
pub trait Health: Send + Sync {
    /// Checks every part; the error names the one that does not work.
    fn check(&self) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>>;
}

/// Serves requests until the task is stopped.
///
/// # Errors
/// The listener failed.
pub async fn serve(listener: TcpListener, site: Arc<Site>, bounds: Bounds) -> io::Result<()> {
    let tally = site.connections.clone();
    connections::serve(listener, router(site), bounds, tally).await
}

/// All routes.
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

/// The router with its middleware.
pub fn router(site: Arc<Site>) -> Router {
    routes()
        .into_router()
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_this_way)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&site), guard::guard))
        .with_state(site)
}

/// The process is alive.
async fn healthz() -> Response {
    text(StatusCode::OK, "ok\n")
}

/// Ready to accept and send mail: the store commits a write, each part works, and the relay is not shutting
/// down. Only monitors are told why it is not ready.
async fn readyz(State(site): State<Arc<Site>>, request: Request) -> Response {
    match readiness(&site).await {
        Ok(()) => text(StatusCode::OK, "ready\n"),
        Err(why) => {
            tracing::warn!(why, "not ready");
            let shown =
                if is_monitor(&site, &request) { format!("{why}\n") } else { "not ready\n".to_owned() };
            text(StatusCode::SERVICE_UNAVAILABLE, shown)
        }
    }
}

/// Why the relay is not ready.
async fn readiness(site: &Site) -> Result<(), String> {
    if site.draining.load(Ordering::Relaxed) {
        return Err("shutting down".to_owned());
    }
    let silent = |what: &str| format!("{what} does not answer");
    let asked = tokio::time::timeout(PATIENCE, site.health.check()).await;
    asked.map_err(|_| silent("a part of the relay"))??;
    let written = tokio::time::timeout(PATIENCE, site.store.ready()).await;
    written
        .map_err(|_| silent("the store"))?
        .map_err(|error| format!("the store cannot be written to: {error}"))
}

/// Whether the request comes from a monitoring network. A request forwarded by an unknown proxy does not
/// count, since its origin is unknown.
fn is_monitor(site: &Site, request: &Request) -> bool {
    let Some(Client(address)) = request.extensions().get::<Client>().copied() else { return false };
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let forwarded = ["x-forwarded-for", "forwarded"].iter().any(|name| request.headers().contains_key(*name));
    let unknown = forwarded && peer == Some(address);
    !unknown && site.monitors.iter().any(|net| net.contains(&address.to_canonical()))
}

/// The metrics, for monitors and for tokens with the scope.
async fn show_metrics(State(site): State<Arc<Site>>, request: Request) -> Response {
    if !is_monitor(&site, &request) {
        let (mut parts, _) = request.into_parts();
        if !parts.headers.contains_key(header::AUTHORIZATION) {
            let why = "metrics are only for networks in [desk] monitoring and for tokens with report:read\n";
            return text(StatusCode::FORBIDDEN, why);
        }
        let allowed = Bearer::from_request_parts(&mut parts, &site).await;
        if let Err(refusal) = allowed.and_then(|bearer| bearer.allow(Scope::ReportRead)) {
            return refusal;
        }
    }
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

/// There is no such route; [`guard`] turns this into a page for people.
async fn nothing_here(uri: Uri) -> Response {
    if guard::is_page(uri.path()) {
        return StatusCode::NOT_FOUND.into_response();
    }
    guard::problem(StatusCode::NOT_FOUND, "nothing here", None)
}

/// The route has other methods. A person who opens the URL of a form is redirected to the page of the form.
async fn not_this_way(method: Method, uri: Uri) -> Response {
    match (guard::is_page(uri.path()), method) {
        (true, Method::GET | Method::HEAD) => Redirect::to(routes::page_of(uri.path())).into_response(),
        (true, _) => StatusCode::METHOD_NOT_ALLOWED.into_response(),
        (false, _) => guard::problem(StatusCode::METHOD_NOT_ALLOWED, "method not allowed", None),
    }
}

fn text(status: StatusCode, body: impl Into<Cow<'static, str>>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, body.into()).into_response()
}

#[cfg(test)]
mod glossary_tests;
