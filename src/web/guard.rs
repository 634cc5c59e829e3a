//! The middleware of every page: identifies the visitor, checks that a form is one of ours, limits the size,
//! and sets response headers.
//!
//! The visitor is added to the request's extensions: [`Client`], and for a person who is signed in their
//! [`Principal`] and [`Signed`]; [`FormToken`] is for the forms of the page. A request that changes something
//! is refused if the browser says that another site sent it, or if a form lacks its token. The API uses no
//! cookies: requests carry a token, which no browser adds by itself.

use super::pages::answer::{self, Turned};
use super::pages::visit::Chrome;
use super::visitor::{Browser, Client, FormToken};
use super::{Site, cookies, login};
use crate::connections::Slot;
use crate::desk::principal::Principal;
use crate::people::Denied;
use crate::people::scope::{Scope, Scopes};
use crate::people::session::Signed;
use crate::store::StoreError;
use crate::token::{Token, same};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Most octets of a form or an API request.
const LARGEST: usize = 1 << 20;
/// Most octets of a refused body that are read before the response is sent.
const READ_AWAY: usize = 64 * 1_024 * 1_024;
/// Most octets of a form of a visitor who is not signed in.
const LARGEST_OF_STRANGERS: usize = 16 << 10;
/// Timeout for reading a body.
const BODY: Duration = Duration::from_secs(20);
/// Limits how many large bodies are in memory at once.
static LARGE_BODIES: Semaphore = Semaphore::const_new(32);
/// Path prefix of the API.
const API: &str = "/api/";
/// Path prefix of links in mails, which contain a secret and do only what is safe.
const LINKS: &str = "/l/";
/// Path prefix of pages for visitors who are not signed in.
const LOGIN: &str = "/login";
/// The name of a form's token, as a form field or a header field.
const CSRF_FIELD: &str = "csrf";
const CSRF_HEADER: &str = "x-csrf-token";

/// Allows only content of the desk itself; forms can only be sent to it, and no site can frame it.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; \
     script-src 'self'; connect-src 'self'; form-action 'self'; frame-src 'self'; frame-ancestors 'none'; \
     base-uri 'none'";

/// Header fields of every response, unless it sets them itself.
const HEADERS: [(&str, &str); 8] = [
    ("content-security-policy", POLICY),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];

/// A new cookie for a browser that had none.
#[derive(Clone)]
struct Fresh(HeaderValue);

/// Whether people open this path in a browser; otherwise it is for programs.
pub fn is_page(path: &str) -> bool {
    let machines = [API, "/static/", "/healthz", "/readyz", "/metrics"];
    !machines.iter().any(|start| path.starts_with(start))
}

/// Whether a script of an open page requests this path. Such requests do not extend the session.
fn asks_by_itself(path: &str) -> bool {
    path == "/now" || (path.starts_with("/held/") && path.ends_with("/now"))
}

/// The middleware.
pub async fn guard(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let mut response = match admit(&site, request, &path).await {
        Ok(request) => {
            let fresh = request.extensions().get::<Fresh>().cloned();
            let (parts, body) = request.into_parts();
            let chrome = is_page(&path).then(|| Chrome::of(&parts, &site));
            let mut response = next.run(Request::from_parts(parts, body)).await;
            if let Some(chrome) = chrome {
                response = answer::dressed(chrome, response);
            }
            if let Some(Fresh(cookie)) = fresh {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            response
        }
        Err(refusal) => refusal,
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
    if site.secure {
        let years = HeaderValue::from_static("max-age=63072000");
        headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert(years);
    }
    response
}

/// Adds the visitor to the request, or refuses it.
async fn admit(site: &Arc<Site>, mut request: Request, path: &str) -> Result<Request, Response> {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip());
    let client = Client(client(peer, request.headers(), &site.proxies));
    request.extensions_mut().insert(client);
    let unsafe_method = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if unsafe_method && crosses(request.headers()) {
        tracing::warn!(path = shown(path), "a cross-site request was refused");
        return Err(turned(site, &request.into_parts().0, Turned::Crossed));
    }
    if path.starts_with(API) {
        // the token itself is checked by the handler; without one the body is not read
        if unsafe_method && !request.headers().contains_key(header::AUTHORIZATION) {
            return Err(problem(StatusCode::UNAUTHORIZED, "send an API token", Some("Bearer")));
        }
        return if unsafe_method { bounded(site, request, None).await } else { Ok(request) };
    }
    let expected = match visitor(site, &mut request, path).await {
        Ok(expected) => expected,
        Err(error) => {
            tracing::warn!(%error, "a session could not be looked up");
            return Err(turned(site, &request.into_parts().0, Turned::Down));
        }
    };
    if !unsafe_method {
        return Ok(request);
    }
    let checked = if path.starts_with(LINKS) { None } else { Some(expected) };
    bounded(site, request, checked.as_deref()).await
}

/// The response to a refused request: a page for people, a problem document for programs.
fn turned(site: &Site, parts: &Parts, why: Turned) -> Response {
    if is_page(parts.uri.path()) {
        return answer::turned(Chrome::of(parts, site), why);
    }
    problem(why.status(), why.title(), None)
}

/// Adds the visitor to the request; returns the token of their forms.
async fn visitor(site: &Arc<Site>, request: &mut Request, path: &str) -> Result<String, StoreError> {
    let mut expected = String::new();
    let by_itself = *request.method() == Method::GET && asks_by_itself(path);
    if let Some(token) = cookies::token(request.headers(), cookies::SESSION, site.secure)
        && let Some(signed) = if by_itself {
            site.people.still_signed(&token).await?
        } else {
            site.people.signed(&token).await?
        }
    {
        expected = token.derived(CSRF_FIELD);
        request.extensions_mut().insert(signed.who.clone());
        request.extensions_mut().insert(signed);
    }
    // a visitor who is signing in has no session yet, so the token is bound to the browser
    let signing_in = path.starts_with(LOGIN);
    if expected.is_empty() || signing_in {
        let mut browser = cookies::token(request.headers(), cookies::BROWSER, site.secure);
        if browser.is_none() && *request.method() == Method::GET && (signing_in || path.starts_with(LINKS)) {
            browser = Token::new().ok();
            let cookie =
                browser.as_ref().and_then(|new| cookies::set(cookies::BROWSER, new.text(), site.secure));
            cookie.map(|cookie| request.extensions_mut().insert(Fresh(cookie)));
        }
        if let Some(browser) = browser {
            expected = browser.derived(CSRF_FIELD);
            request.extensions_mut().insert(Browser(browser));
        }
    }
    request.extensions_mut().insert(FormToken(expected.clone()));
    Ok(expected)
}

/// Reads the body within its limits and checks the form token.
async fn bounded(site: &Site, request: Request, expected: Option<&str>) -> Result<Request, Response> {
    let (parts, body) = request.into_parts();
    if expected.is_some_and(str::is_empty) {
        return Err(formless(site, parts));
    }
    let body = match gathered(&parts, body).await {
        Ok(body) => body,
        Err(why) => return Err(turned(site, &parts, why)),
    };
    if let Some(expected) = expected {
        let in_header = parts.headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok());
        let in_form = || {
            let text = std::str::from_utf8(&body).unwrap_or_default();
            text.split('&').find_map(|pair| pair.strip_prefix("csrf="))
        };
        let shown_token = in_header.or_else(in_form).unwrap_or_default();
        if !same(shown_token, expected) {
            return Err(formless(site, parts));
        }
    }
    Ok(Request::from_parts(parts, Body::from(body)))
}

/// The response to a form without a valid token. A visitor who is not signed in any more can sign in and
/// return to the page of the form.
fn formless(site: &Site, mut parts: Parts) -> Response {
    tracing::warn!(path = shown(parts.uri.path()), "a form without its token was refused");
    let signed = parts.extensions.get::<Signed>().is_some();
    let signing_in = parts.uri.path().starts_with(LOGIN);
    if signed || signing_in {
        return turned(site, &parts, Turned::OldForm);
    }
    let known = parts.extensions.get::<Browser>().cloned();
    let browser = known.clone().or_else(|| Token::new().ok().map(Browser));
    let Some(Browser(browser)) = browser else { return turned(site, &parts, Turned::Down) };
    parts.extensions.insert(FormToken(browser.derived(CSRF_FIELD)));
    let mut response = login::first(site, Chrome::of(&parts, site));
    let cookie = cookies::set(cookies::BROWSER, browser.text(), site.secure).filter(|_| known.is_none());
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// Reads a body, unless it is too large or too slow. A declared length is checked before reading.
async fn gathered(parts: &Parts, body: Body) -> Result<Bytes, Turned> {
    let known = parts.extensions.get::<Signed>().is_some() || parts.uri.path().starts_with(API);
    let most = if known { LARGEST } else { LARGEST_OF_STRANGERS };
    let said = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let said = said.and_then(|text| text.parse::<usize>().ok());
    if let Some(octets) = said.filter(|octets| *octets > most) {
        // a browser reads the response only after it has sent everything, so the rest is read if the visitor
        // is known
        if known && octets <= READ_AWAY {
            let _ = tokio::time::timeout(BODY, read_away(body)).await;
        }
        return Err(Turned::TooLarge);
    }
    let small = said.is_some_and(|octets| octets <= LARGEST_OF_STRANGERS) || !known;
    let _turn = if small { None } else { Some(LARGE_BODIES.try_acquire().map_err(|_| Turned::Down)?) };
    match tokio::time::timeout(BODY, to_bytes(body, most)).await {
        Ok(Ok(body)) => {
            if let Some(seat) = parts.extensions.get::<Slot>() {
                seat.working();
            }
            Ok(body)
        }
        Ok(Err(_)) => Err(Turned::TooLarge),
        Err(_) => Err(Turned::TooSlow),
    }
}

/// Reads a body to its end and discards it.
async fn read_away(mut body: Body) {
    while let Some(Ok(_)) = body.frame().await {}
}

/// Whether the browser says that another site sent the request. For clients that say nothing, the form token
/// is the only protection.
fn crosses(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(site) = text("sec-fetch-site") {
        return site != "same-origin" && site != "none";
    }
    match (text("origin"), text("host")) {
        (Some(origin), Some(host)) => {
            let bare = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            bare != Some(host)
        }
        (Some(_), None) => true,
        (None, _) => false,
    }
}

/// The client's address: the peer, or, behind our proxies, the last address in X-Forwarded-For that is not
/// one of them.
fn client(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let ours = |address: IpAddr| proxies.iter().any(|net| net.contains(&address.to_canonical()));
    if !ours(peer) {
        return peer;
    }
    let fields: Vec<&str> =
        headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
    let mut last = peer;
    for text in fields.iter().rev().flat_map(|field| field.rsplit(',')).take(20) {
        let Ok(address) = text.trim().parse::<IpAddr>() else { return last };
        last = address;
        if !ours(address) {
            return address;
        }
    }
    last
}

/// A path for the log, without the secrets of links.
fn shown(path: &str) -> &str {
    if path.starts_with(LINKS) {
        LINKS
    } else if path.starts_with("/login/once/") {
        "/login/once/"
    } else {
        path
    }
}

/// A client that authenticated with an API token (RFC 6750).
#[derive(Clone, Debug)]
pub struct Bearer {
    /// The rights at the desk. Without the scope `held:decide` it can neither read nor decide.
    pub who: Principal,
    /// The scopes of the token.
    pub scopes: Scopes,
}

impl Bearer {
    /// Checks that the token has this scope.
    ///
    /// # Errors
    /// The token lacks the scope: the response to return (403).
    pub fn allow(&self, scope: Scope) -> Result<(), Response> {
        if self.scopes.allow(scope) {
            return Ok(());
        }
        let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
        let text = format!("the token does not have the scope {scope}");
        Err(problem(StatusCode::FORBIDDEN, &text, Some(&challenge)))
    }
}

impl FromRequestParts<Arc<Site>> for Bearer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Response> {
        let field = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = field.and_then(|field| {
            let (scheme, token) = field.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
        });
        let Some(token) = token else {
            return Err(problem(StatusCode::UNAUTHORIZED, "send an API token", Some("Bearer")));
        };
        let Client(from) = parts.extensions.get().copied().unwrap_or(Client(Ipv4Addr::UNSPECIFIED.into()));
        match site.people.by_token(token, from).await {
            Ok((who, scopes)) => Ok(Self { who, scopes }),
            Err(Denied::Wrong) => {
                let challenge = "Bearer error=\"invalid_token\"";
                Err(problem(StatusCode::UNAUTHORIZED, "the token is invalid or has expired", Some(challenge)))
            }
            Err(Denied::TooMany) => {
                Err(problem(StatusCode::TOO_MANY_REQUESTS, "too many wrong tokens: try again later", None))
            }
            Err(error) => {
                tracing::warn!(%error, "a token cannot be looked up");
                Err(problem(StatusCode::SERVICE_UNAVAILABLE, "the desk is unavailable at the moment", None))
            }
        }
    }
}

/// A problem document (RFC 9457).
pub fn problem(status: StatusCode, title: &str, challenge: Option<&str>) -> Response {
    let body = serde_json::json!({ "status": status.as_u16(), "title": title }).to_string();
    let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
    if let Some(value) = challenge.and_then(|text| HeaderValue::from_str(text).ok()) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn requests_of_other_sites_are_known() {
        for (fields, crossing) in [
            (&[("sec-fetch-site", "same-origin")][..], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("sec-fetch-site", "cross-site")], true),
            (&[("sec-fetch-site", "")], true),
            (&[("origin", "https://desk.example"), ("host", "desk.example")], false),
            (&[("origin", "http://127.0.0.1:8025"), ("host", "127.0.0.1:8025")], false),
            (&[("origin", "https://evil.example"), ("host", "desk.example")], true),
            (&[("origin", "null"), ("host", "desk.example")], true),
            (&[("host", "desk.example")], false),
            (&[], false),
        ] {
            assert_eq!(crosses(&headers(fields)), crossing, "{fields:?}");
        }
    }

    #[test]
    fn only_our_proxies_are_believed() {
        let proxies: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (peer, field, wanted) in [
            ("192.0.2.1", "198.51.100.1", "192.0.2.1"),
            ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
            ("10.0.0.1", "203.0.113.9, 198.51.100.1", "198.51.100.1"),
            ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
            ("10.0.0.1", "nonsense", "10.0.0.1"),
        ] {
            let mut headers = HeaderMap::new();
            headers.append("x-forwarded-for", HeaderValue::from_str(field).unwrap());
            assert_eq!(client(ip(peer), &headers, &proxies), ip(wanted), "{peer} {field}");
        }
        assert_eq!(client(ip("10.0.0.1"), &HeaderMap::new(), &proxies), ip("10.0.0.1"));
    }

    #[test]
    fn secrets_are_not_logged() {
        assert_eq!(shown("/l/abc"), "/l/");
        assert_eq!(shown("/login/once/abc"), "/login/once/");
        assert_eq!(shown("/held/1"), "/held/1");
    }
}
