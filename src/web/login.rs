//! Signing in and out: by password, by a code that is mailed, by a provider, by the link that
//! `sekisho try` prints.

use super::guard::{Browser, Client};
use super::pages::answer;
use super::pages::visit::{self, Chrome, Open, show, way_back};
use super::routes::Routes;
use super::words::{Tongue, calm};
use super::{Site, cookies};
use crate::desk::principal::Roles;
use crate::message::Address;
use crate::people::Denied;
use crate::people::oidc::{Failed, Flow, Return};
use crate::people::session::Signed;
use crate::policy::verdict::Language;
use crate::token::Token;
use askama::Template;
use axum::Form;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use std::convert::Infallible;
use std::sync::Arc;

/// Longest code shown again in its field, in characters.
const LONGEST_CODE: usize = 20;

/// Longest address that is shown, in characters.
const LONGEST_ADDRESS: usize = 320;

/// The routes of signing in and out.
pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/login", page)
        .post("/login", by_password)
        .get("/login/code", code_page)
        .post("/login/code", by_code)
        .post("/login/code/send", send_code)
        .get("/login/oidc", away)
        .get("/login/oidc/return", back_from_provider)
        .get("/login/once/{token}", by_once)
        .post("/logout", sign_out)
}

/// The page with every way in.
#[derive(Template)]
#[template(path = "login.html")]
struct Login {
    c: Chrome,
    /// What happened; empty when nothing did.
    note: String,
    /// The note is about something that went wrong.
    wrong: bool,
    offers: Offers,
    provider: Option<String>,
    /// Where somebody signs out at the provider too.
    provider_out: Option<String>,
    user: String,
    /// Where a code is sent, as far as it was said before.
    address: String,
    /// The field that is wrong: `user`, `address`, or nothing.
    field: &'static str,
    back: String,
}

/// Ways in beside a provider.
struct Offers {
    passwords: bool,
    codes: bool,
    /// Browsers that can are asked for a passkey.
    passkeys: bool,
}

impl Login {
    /// The field that is most likely the next to be filled in: what is wrong, else the first.
    fn focus(&self) -> &'static str {
        match (self.field, self.offers.passwords) {
            ("user", _) => "password",
            ("address", _) | (_, false) => "address",
            _ => "user",
        }
    }
}

/// The page that asks for a code.
#[derive(Template)]
#[template(path = "code.html")]
struct CodePage {
    c: Chrome,
    note: String,
    wrong: bool,
    code: String,
    /// Where a code was sent at this browser's wish.
    sent_to: Option<String>,
    back: String,
}

/// What the pages of signing in are asked for in their address.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    /// Where to go on afterwards.
    back: String,
    /// Somebody just signed out.
    out: String,
    /// A code to fill in.
    code: String,
}

/// What is known of the visitor, and may not be known yet.
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
    Query(asked): Query<Asked>,
) -> Response {
    if visitor.signed.is_some() {
        return Redirect::to(way_back(&asked.back)).into_response();
    }
    let mut page = login(&site, c, &asked.back);
    page.address = code_sent(&site, visitor.browser.as_ref()).await.map_or_else(String::new, |(to, _)| to);
    if !asked.out.is_empty() {
        page.note = page.c.t.p("people-signed-out").to_string();
        if let (Some(provider), Some(url)) = (site.people.provider(), site.links.page("/login?out=1")) {
            page.provider_out = provider.sign_out(&url).await;
        }
    }
    show(StatusCode::OK, &page)
}

/// For a form of somebody who is not signed in, or not any more: the page with every way in, which leads
/// back to where the form stood.
pub(super) fn first(site: &Site, mut c: Chrome) -> Response {
    let again = format!("/login?back={}", answer::encoded(&c.path));
    let back = std::mem::replace(&mut c.path, again);
    let mut page = login(site, c, &back);
    page.note = page.c.t.p("people-first").to_string();
    page.wrong = true;
    show(StatusCode::UNAUTHORIZED, &page)
}

/// The page with every way in, for somebody whose way did not work.
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

/// The form of `POST /login/code/send`.
#[derive(Deserialize)]
struct Send {
    #[serde(default)]
    address: String,
    #[serde(default)]
    back: String,
}

/// `POST /login/code/send`: mails a code. The answer is the same whether or not anybody gets one.
async fn send_code(
    State(site): State<Arc<Site>>,
    Open(c): Open,
    visitor: Visitor,
    Form(form): Form<Send>,
) -> Response {
    let refuse = |status: StatusCode, key: &'static str| {
        let mut page = login(&site, c.clone(), &form.back);
        page.note = page.c.t.p(key).to_string();
        page.wrong = true;
        page.field = "address";
        page.address = form.address.chars().take(320).collect();
        show(status, &page)
    };
    let Ok(address) = Address::parse(form.address.trim()) else {
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, "people-no-address");
    };
    let Some(browser) = visitor.browser else { return refuse(StatusCode::FORBIDDEN, "people-cookies") };
    let language = match c.t.tongue {
        Tongue::En => Language::En,
        Tongue::Ja => Language::Ja,
    };
    match site.people.ask_code(&address, &browser, language, way_back(&form.back), visitor.client.0).await {
        Ok(()) => {
            let back = answer::encoded(way_back(&form.back));
            Redirect::to(&format!("/login/code?back={back}")).into_response()
        }
        Err(denied) => {
            let (status, key) = why(&denied, "people-wrong");
            refuse(status, key)
        }
    }
}

/// `GET /login/code`: where the code is typed. A code in the address is only filled in.
async fn code_page(
    State(site): State<Arc<Site>>,
    Open(c): Open,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Response {
    if visitor.signed.is_some() {
        return Redirect::to(way_back(&asked.back)).into_response();
    }
    let code: String = asked.code.chars().filter(char::is_ascii_digit).take(LONGEST_CODE).collect();
    let back = way_back(&asked.back).to_owned();
    let sent_to = code_sent(&site, visitor.browser.as_ref()).await.map(|(address, _)| address);
    // The link in the mail was opened in another browser than the one that asked.
    let elsewhere = sent_to.is_none() && !code.is_empty();
    let note = if elsewhere { c.t.p("people-code-elsewhere").to_string() } else { String::new() };
    show(StatusCode::OK, &CodePage { c, note, wrong: false, code, sent_to, back })
}

/// Where a code was sent at this browser's wish, and how often one may still be tried.
async fn code_sent(site: &Site, browser: Option<&Token>) -> Option<(String, u32)> {
    match site.people.code_sent(browser?).await {
        Ok(sent) => sent.map(|(address, left)| (calm(address.as_str(), LONGEST_ADDRESS), left)),
        Err(error) => {
            tracing::warn!(%error, "it cannot be said where a code was sent");
            None
        }
    }
}

/// The form of `POST /login/code`.
#[derive(Deserialize)]
struct Typed {
    #[serde(default)]
    code: String,
    #[serde(default)]
    back: String,
}

/// `POST /login/code`
async fn by_code(
    State(site): State<Arc<Site>>,
    Open(c): Open,
    visitor: Visitor,
    headers: HeaderMap,
    Form(form): Form<Typed>,
) -> Response {
    let said = match &visitor.browser {
        Some(browser) => site.people.by_code(&form.code, browser, visitor.client.0).await,
        None => Err(Denied::Wrong),
    };
    match said {
        Ok(token) => signed_in(&site, &headers, &token, &form.back).await,
        Err(denied) => {
            let (status, key) = why(&denied, "people-code-wrong");
            let sent = code_sent(&site, visitor.browser.as_ref()).await;
            let note = match (&denied, &sent) {
                (Denied::Wrong, None) => c.t.p("people-code-elsewhere").to_string(),
                (Denied::Wrong, Some((_, 0))) => c.t.p("people-code-over").to_string(),
                (Denied::Wrong, Some((_, left))) => {
                    format!("{} {}", c.t.p(key), c.t.p("people-code-tries").n("count", u64::from(*left)))
                }
                _ => c.t.p(key).to_string(),
            };
            let back = way_back(&form.back).to_owned();
            let sent_to = sent.map(|(address, _)| address);
            show(status, &CodePage { c, note, wrong: true, code: String::new(), sent_to, back })
        }
    }
}

/// `GET /login/oidc`: to the provider. What binds the way there and back stands in a cookie.
async fn away(
    State(site): State<Arc<Site>>,
    Open(c): Open,
    method: Method,
    Query(asked): Query<Asked>,
) -> Response {
    let (Some(provider), Ok(secret)) = (site.people.provider(), Token::new()) else { return answer::gone(c) };
    if method == Method::HEAD {
        return StatusCode::OK.into_response();
    }
    match provider.start(&Flow::of(secret.clone())).await {
        Ok(url) => {
            let back = URL_SAFE_NO_PAD.encode(way_back(&asked.back));
            let mut response = Redirect::to(&url).into_response();
            set(
                &mut response,
                cookies::set(cookies::AWAY, &format!("{}.{back}", secret.text()), site.secure),
            );
            response
        }
        Err(failed) => not_by_provider(&site, c, &failed),
    }
}

/// `GET /login/oidc/return`: back from the provider.
async fn back_from_provider(
    State(site): State<Arc<Site>>,
    Open(c): Open,
    method: Method,
    headers: HeaderMap,
    Query(back): Query<Return>,
) -> Response {
    let Some(provider) = site.people.provider() else { return answer::gone(c) };
    if method == Method::HEAD {
        return StatusCode::OK.into_response();
    }
    let cookie = cookies::value(&headers, cookies::AWAY, site.secure).and_then(|text| text.split_once('.'));
    let secret = cookie.and_then(|(secret, _)| Token::read(secret));
    let Some(secret) = secret else {
        let failed = Failed::Refused("the browser did not set out from here".to_owned());
        return not_by_provider(&site, c, &failed);
    };
    let on = cookie.and_then(|(_, back)| URL_SAFE_NO_PAD.decode(back).ok());
    let on = on.and_then(|on| String::from_utf8(on).ok()).unwrap_or_default();
    let mut response = match provider.finish(&back, &Flow::of(secret)).await {
        Ok(person) => match site.people.by_provider(person).await {
            Ok(token) => signed_in(&site, &headers, &token, &on).await,
            Err(Denied::Wrong) => not_by_provider(&site, c, &Failed::NoAddress),
            Err(denied) => not_by_provider(&site, c, &Failed::Away(denied.to_string())),
        },
        Err(failed) => not_by_provider(&site, c, &failed),
    };
    // One way there, one way back.
    set(&mut response, cookies::clear(cookies::AWAY, site.secure));
    response
}

fn not_by_provider(site: &Site, c: Chrome, failed: &Failed) -> Response {
    tracing::warn!(why = %failed, "nobody was signed in by the provider");
    let (status, key) = match failed {
        Failed::Away(_) => (StatusCode::BAD_GATEWAY, "people-provider-away"),
        Failed::Refused(_) => (StatusCode::FORBIDDEN, "people-provider-refused"),
        Failed::NoAddress => (StatusCode::FORBIDDEN, "people-provider-no-address"),
    };
    let mut page = login(site, c, "");
    page.note = page.c.t.p(key).to_string();
    page.wrong = true;
    show(status, &page)
}

/// `GET /login/once/{token}`: the link that `sekisho try` prints, from this machine and once.
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

/// On to where they wanted to go, with a session of their own; the one before, if any, has ended.
pub(super) async fn signed_in(site: &Site, headers: &HeaderMap, token: &Token, back: &str) -> Response {
    if let Some(before) = cookies::token(headers, cookies::SESSION, site.secure)
        && let Err(error) = site.people.sign_out(&before).await
    {
        tracing::warn!(%error, "a session before this one could not be ended");
    }
    let signed = site.people.signed(token).await.ok().flatten();
    let mut to = way_back(back);
    // Who decides nothing has no list of what waits for them: their own mail is what they come for.
    if to == "/" && signed.as_ref().is_some_and(|signed| signed.who.roles == Roles::default()) {
        to = "/mine";
    }
    let mut response = Redirect::to(to).into_response();
    set(&mut response, cookies::set(cookies::SESSION, token.text(), site.secure));
    // A new browser is spoken to as they once chose.
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

/// The status and the words for somebody who was not let in.
fn why(denied: &Denied, wrong: &'static str) -> (StatusCode, &'static str) {
    match denied {
        Denied::Wrong => (StatusCode::UNAUTHORIZED, wrong),
        Denied::TooMany => (StatusCode::TOO_MANY_REQUESTS, "people-too-many"),
        Denied::Off => (StatusCode::NOT_FOUND, "people-off"),
        Denied::Down(_) | Denied::Store(_) => {
            tracing::warn!(why = %denied, "nobody can sign in just now");
            (StatusCode::SERVICE_UNAVAILABLE, "people-down")
        }
    }
}
