//! HTTP on the desk's address: `/healthz`, `/readyz`, `/metrics`, and the desk's [`pages`].
//!
//! * [`guard`] what stands before every page: whether a form is one of ours; [`visitor`] who visits
//! * [`connections`](crate::connections) how many clients at once, and how long each may take
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
    /// Whom people ask for help.
    pub contact: Option<Bilingual>,
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
    /// The relay's other parts.
    pub health: Arc<dyn Health>,
    /// Networks that are told numbers, and why the relay is not ready.
    pub monitors: Vec<IpNet>,
    /// What connections are counted in.
    pub connections: connections::Tally,
}

/// What is asked whether mail would be taken and sent, beside the store.
pub trait Health: Send + Sync {
    /// An error names the part that does not work.
    fn check(&self) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>>;
}

/// Serves until the task is stopped.
pub async fn serve(listener: TcpListener, site: Arc<Site>, bounds: Bounds) -> io::Result<()> {
    let tally = site.connections.clone();
    connections::serve(listener, router(site), bounds, tally).await
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
        .method_not_allowed_fallback(not_this_way)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&site), guard::guard))
        .with_state(site)
}

/// The process is alive.
async fn healthz() -> Response {
    text(StatusCode::OK, "ok\n")
}

/// Mail would be taken and sent now: a write was committed, each part answers, and the relay is not
/// shutting down. Why not is told to monitors alone.
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

/// Why mail would not be taken and sent.
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

/// Whether the request comes from one of the networks that watch the relay. One that a proxy we do not
/// know sent on comes from nobody knows where.
fn is_monitor(site: &Site, request: &Request) -> bool {
    let Some(Client(address)) = request.extensions().get::<Client>().copied() else { return false };
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let forwarded = ["x-forwarded-for", "forwarded"].iter().any(|name| request.headers().contains_key(*name));
    let unknown = forwarded && peer == Some(address);
    !unknown && site.monitors.iter().any(|net| net.contains(&address.to_canonical()))
}

/// Numbers, for monitors and for tokens that may read them.
async fn show_metrics(State(site): State<Arc<Site>>, request: Request) -> Response {
    if !is_monitor(&site, &request) {
        let (mut parts, _) = request.into_parts();
        if !parts.headers.contains_key(header::AUTHORIZATION) {
            let why = "numbers are for the networks in [desk] monitoring, and for tokens with report:read\n";
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

/// No route; [`guard`] makes a page of it for people.
async fn nothing_here(uri: Uri) -> Response {
    if guard::is_page(uri.path()) {
        return StatusCode::NOT_FOUND.into_response();
    }
    guard::problem(StatusCode::NOT_FOUND, "nothing here", None)
}

/// A path that answers other methods. Whoever opens where a form went is led to the page it stood on.
async fn not_this_way(method: Method, uri: Uri) -> Response {
    match (guard::is_page(uri.path()), method) {
        (true, Method::GET | Method::HEAD) => Redirect::to(routes::page_of(uri.path())).into_response(),
        (true, _) => StatusCode::METHOD_NOT_ALLOWED.into_response(),
        (false, _) => guard::problem(StatusCode::METHOD_NOT_ALLOWED, "not by this method", None),
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
