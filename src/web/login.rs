//! Signing in and out: with a password, a mailed code, an identity provider, or the link that `sekisho try`
//! prints.

mod code;
mod provider;

use super::pages::answer;
use super::pages::visit::{self, Chrome, Open, show, way_back};
use super::routes::Routes;
use super::visitor::{Browser, Client};
use super::words::Tongue;
use super::{Site, cookies};
use crate::desk::principal::Roles;
use crate::people::Denied;
use crate::people::session::Signed;
use crate::token::Token;
use askama::Template;
use axum::Form;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use std::convert::Infallible;
use std::sync::Arc;

/// The routes of signing in and out.
pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/login", page)
        .post("/login", by_password)
        .get("/login/code", code::code_page)
        .post("/login/code", code::by_code)
        .post("/login/code/send", code::send_code)
        .get("/login/oidc", provider::away)
        .get("/login/oidc/return", provider::back_from_provider)
        .get("/login/once/{token}", by_once)
        .post("/logout", sign_out)
}

/// The page with every way to sign in.
#[derive(Template)]
#[template(path = "login.html")]
struct Login {
    c: Chrome,
    /// The note on the page; empty if there is none.
    note: String,
    /// Whether the note is an error.
    wrong: bool,
    offers: Offers,
    provider: Option<String>,
    /// The URL for signing out at the provider too.
    provider_out: Option<String>,
    user: String,
    /// The address that was entered for a code.
    address: String,
    /// The field with the error: `user`, `address`, or empty.
    field: &'static str,
    back: String,
}

/// The ways to sign in other than the provider.
struct Offers {
    passwords: bool,
    codes: bool,
    /// Whether the script offers passkeys.
    passkeys: bool,
}

impl Login {
    /// The field to focus: the one with the error, otherwise the first.
    fn focus(&self) -> &'static str {
        match (self.field, self.offers.passwords) {
            ("user", _) => "password",
            ("address", _) | (_, false) => "address",
            _ => "user",
        }
    }
}

/// The query of the login pages.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct PageQuery {
    /// The path to continue to.
    back: String,
    /// Set after signing out.
    out: String,
    /// A code to fill in.
    code: String,
}

/// What is known of a visitor who may not be signed in.
struct Visitor {
    client: Client,
    browser: Option<Token>,
    signed: Option<Signed>,
}

impl FromRequestParts<Arc<Site>> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Infallible> {
        Ok(Self {
            client: Client::from_request_parts(parts, site).await?,
            browser: parts.extensions.get::<Browser>().map(|browser| browser.0.clone()),
            signed: parts.extensions.get::<Signed>().cloned(),
        })
    }
}

fn login(site: &Site, c: Chrome, back: &str) -> Login {
    Login {
        c,
        note: String::new(),
        wrong: false,
        offers: Offers {
            passwords: site.people.has_passwords(),
            codes: site.people.mails_codes(),
            passkeys: site.people.passkeys().is_some(),
        },
        provider: site.people.provider().map(|provider| provider.name().to_owned()),
        provider_out: None,
        user: String::new(),
        address: String::new(),
        field: "",
        back: way_back(back).to_owned(),
    }
}

/// `GET /login`
async fn page(
    State(site): State<Arc<Site>>,
    Open(c): Open,
    visitor: Visitor,
    Query(asked): Query<PageQuery>,
) -> Response {
    if visitor.signed.is_some() {
        return Redirect::to(way_back(&asked.back)).into_response();
    }
    let mut page = login(&site, c, &asked.back);
    page.address =
        code::code_sent(&site, visitor.browser.as_ref()).await.map_or_else(String::new, |(to, _)| to);
    if !asked.out.is_empty() {
        page.note = page.c.t.p("people-signed-out").to_string();
        if let (Some(provider), Some(url)) = (site.people.provider(), site.links.page("/login?out=1")) {
            page.provider_out = provider.sign_out(&url).await;
        }
    }
    show(StatusCode::OK, &page)
}

/// For a form of a visitor who is not signed in any more: the login page, which leads back to the page of the
/// form.
pub(super) fn first(site: &Site, mut c: Chrome) -> Response {
    let again = format!("/login?back={}", answer::encoded(&c.path));
    let back = std::mem::replace(&mut c.path, again);
    let mut page = login(site, c, &back);
    page.note = page.c.t.p("people-first").to_string();
    page.wrong = true;
    show(StatusCode::UNAUTHORIZED, &page)
}

/// The login page after a failed attempt.
pub(super) fn refused(site: &Site, c: Chrome, back: &str, denied: &Denied, wrong: &'static str) -> Response {
    let mut page = login(site, c, back);
    let (status, key) = why(denied, wrong);
    page.note = page.c.t.p(key).to_string();
    page.wrong = true;
    show(status, &page)
}

/// The form of `POST /login`.
#[derive(Deserialize)]
struct NameAndPassword {
    #[serde(default)]
    user: String,
    #[serde(default, deserialize_with = "secret")]
    password: SecretString,
    #[serde(default)]
    back: String,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

/// `POST /login`
async fn by_password(
    State(site): State<Arc<Site>>,
    Open(c): Open,
    visitor: Visitor,
    headers: HeaderMap,
    Form(form): Form<NameAndPassword>,
) -> Response {
    match site.people.by_password(&form.user, &form.password, visitor.client.0).await {
        Ok(token) => signed_in(&site, &headers, &token, &form.back).await,
        Err(denied) => {
            let mut page = login(&site, c, &form.back);
            let (status, key) = why(&denied, "people-wrong");
            page.note = page.c.t.p(key).to_string();
            page.wrong = true;
            page.field = "user";
            page.user = form.user.chars().take(200).collect();
            show(status, &page)
        }
    }
}

/// `GET /login/once/{token}`: the link that `sekisho try` prints; works once, and only from this machine.
async fn by_once(
    State(site): State<Arc<Site>>,
    Open(c): Open,
    visitor: Visitor,
    method: Method,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Response {
    if method == Method::HEAD {
        return StatusCode::OK.into_response();
    }
    match site.people.by_once(&token, visitor.client.0).await {
        Ok(token) => signed_in(&site, &headers, &token, "/").await,
        Err(_) if visitor.signed.is_some() => Redirect::to("/").into_response(),
        Err(_) => {
            let mut page = login(&site, c, "");
            page.note = page.c.t.p("people-once-over").to_string();
            page.wrong = true;
            show(StatusCode::FORBIDDEN, &page)
        }
    }
}

/// `POST /logout`
async fn sign_out(
    State(site): State<Arc<Site>>,
    Open(c): Open,
    visitor: Visitor,
    headers: HeaderMap,
) -> Response {
    if let Some(token) = cookies::token(&headers, cookies::SESSION, site.secure)
        && let Err(error) = site.people.sign_out(&token).await
    {
        tracing::warn!(%error, "a session could not be ended");
        return answer::say(
            c.clone(),
            StatusCode::SERVICE_UNAVAILABLE,
            c.t.p("desk-unavailable-title").to_string(),
            c.t.p("people-still-in").to_string(),
            "",
        );
    }
    let by_provider = visitor.signed.is_some_and(|signed| signed.by_provider);
    let to = if by_provider { "/login?out=1" } else { "/login?out=here" };
    let mut response = Redirect::to(to).into_response();
    set(&mut response, cookies::clear(cookies::SESSION, site.secure));
    response
}

/// Redirects to the requested page with a new session; a previous session ends.
pub(super) async fn signed_in(site: &Site, headers: &HeaderMap, token: &Token, back: &str) -> Response {
    if let Some(before) = cookies::token(headers, cookies::SESSION, site.secure)
        && let Err(error) = site.people.sign_out(&before).await
    {
        tracing::warn!(%error, "the previous session could not be ended");
    }
    let signed = site.people.signed(token).await.ok().flatten();
    let mut to = way_back(back);
    // visitors without a role see their own mail instead of an empty list
    if to == "/" && signed.as_ref().is_some_and(|signed| signed.who.roles == Roles::default()) {
        to = "/mine";
    }
    let mut response = Redirect::to(to).into_response();
    set(&mut response, cookies::set(cookies::SESSION, token.text(), site.secure));
    // a new browser gets the language that the person chose before
    if visit::chosen(headers).is_none()
        && let Some(address) = signed.as_ref().and_then(|signed| signed.who.addresses.first())
        && let Ok(Some(language)) = site.store.chosen_language(address.key()).await
    {
        set(&mut response, visit::keep(Tongue::of(language), site.secure));
    }
    response
}

fn set(response: &mut Response, cookie: Option<HeaderValue>) {
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// The status and the error message for a refused visitor.
fn why(denied: &Denied, wrong: &'static str) -> (StatusCode, &'static str) {
    match denied {
        Denied::Wrong => (StatusCode::UNAUTHORIZED, wrong),
        Denied::TooMany => (StatusCode::TOO_MANY_REQUESTS, "people-too-many"),
        Denied::Off => (StatusCode::NOT_FOUND, "people-off"),
        Denied::Down(_) | Denied::Store(_) => {
            tracing::warn!(why = %denied, "signing in is not possible at the moment");
            (StatusCode::SERVICE_UNAVAILABLE, "people-down")
        }
    }
}
