//! `/account`: a person's passkeys and sessions, and a button that ends all sessions. `/login/passkey`:
//! signing in with a passkey. Only passkeys need a script; every other login works without one.

use super::super::routes::Routes;
use super::super::visitor::{Browser, Client};
use super::super::words::calm;
use super::super::{Site, cookies, login};
use super::answer;
use super::away::{self, Away};
use super::visit::{Chrome, Open, Visit, show};
use crate::clock::Timestamp;
use crate::people::Denied;
use crate::people::passkeys::verify::ALGORITHMS;
use crate::people::passkeys::{Made, Used};
use crate::people::session::{SessionLine, Signed};
use crate::store::PasskeyRow;
use crate::token::Digest;
use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Form};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use std::sync::Arc;

/// The routes of these pages.
pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/account", page)
        .post("/account/passkey/question", question)
        .post("/account/passkey", add)
        .post("/account/passkey/remove", remove)
        .post("/account/out", everywhere)
        .post("/account/away", away::go)
        .post("/account/back", away::back)
        .post("/login/passkey/question", login_question)
        .post("/login/passkey", sign_in)
}

#[derive(Template)]
#[template(path = "account.html")]
struct Account {
    c: Chrome,
    name: String,
    addresses: Vec<String>,
    roles: Vec<String>,
    /// Whether passkeys can be created here.
    offered: bool,
    passkeys: Vec<Passkey>,
    sessions: Vec<SessionLine>,
    /// The person's addresses that are approvers.
    away: Vec<Away>,
    note: String,
}

struct Passkey {
    id: String,
    label: String,
    made: Timestamp,
    used: Option<Timestamp>,
}

/// A passkey as a line.
fn passkey(c: &Chrome, row: &PasskeyRow) -> Passkey {
    let label = calm(&row.label, 100);
    Passkey {
        id: URL_SAFE_NO_PAD.encode(&row.id),
        label: if label.is_empty() { c.t.p("people-passkey-unnamed").to_string() } else { label },
        made: row.made,
        used: row.used,
    }
}

/// `GET /account`
async fn page(State(site): State<Arc<Site>>, visit: Visit, Extension(signed): Extension<Signed>) -> Response {
    shown(&site, visit.at("account"), &signed, StatusCode::OK, String::new()).await
}

pub(super) async fn shown(
    site: &Site,
    visit: Visit,
    signed: &Signed,
    status: StatusCode,
    note: String,
) -> Response {
    let Visit { who, c } = visit;
    let found = tokio::try_join!(site.people.own_passkeys(signed), site.people.sessions(signed));
    let (passkeys, sessions) = match found {
        Ok(found) => found,
        Err(error) => return unavailable(c, &error),
    };
    let away = match away::of(&site.desk, &who).await {
        Ok(away) => away,
        Err(error) => return unavailable(c, &error),
    };
    let roles =
        [("approver", who.roles.approver), ("auditor", who.roles.auditor), ("admin", who.roles.admin)];
    let account = Account {
        name: c.calm(&who.name),
        addresses: who.addresses.iter().map(|one| calm(one.as_str(), 200)).collect(),
        roles: roles.iter().filter(|(_, has)| *has).map(|(role, _)| c.t.of("desk-role-", role)).collect(),
        offered: site.people.passkeys().is_some(),
        passkeys: passkeys.iter().map(|row| passkey(&c, row)).collect(),
        sessions,
        away,
        note,
        c,
    };
    show(status, &account)
}

pub(super) fn unavailable(c: Chrome, error: &dyn std::fmt::Display) -> Response {
    tracing::warn!(%error, "an account could not be shown or changed");
    let p = |key| c.t.p(key).to_string();
    let (title, text) = (p("desk-unavailable-title"), p("desk-unavailable-text"));
    answer::say(c, StatusCode::SERVICE_UNAVAILABLE, title, text, "/account")
}

/// `POST /account/passkey/question`: the options for creating a passkey, for the script.
async fn question(
    State(site): State<Arc<Site>>,
    client: Client,
    Extension(signed): Extension<Signed>,
) -> Response {
    let handle = Digest::of(&[b"passkey-owner", signed.who.name.as_bytes()]);
    match site.people.passkey_question(signed.session, client.0).await {
        Ok((challenge, party)) => json(&serde_json::json!({
            "challenge": challenge.text(),
            "rp": { "id": party.id, "name": "Sekisho" },
            "user": { "id": handle.text(), "name": signed.who.name, "displayName": signed.who.name },
            "algorithms": ALGORITHMS,
        })),
        Err(denied) => status(&denied).into_response(),
    }
}

/// `POST /account/passkey`: stores the new passkey.
async fn add(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Extension(signed): Extension<Signed>,
    Form(made): Form<Made>,
) -> Response {
    match site.people.add_passkey(&signed, &made).await {
        Ok(()) => Redirect::to("/account").into_response(),
        Err(denied) => {
            let note = visit.c.t.p("people-passkey-not-made").to_string();
            shown(&site, visit.at("account"), &signed, status(&denied), note).await
        }
    }
}

#[derive(Deserialize)]
struct Which {
    #[serde(default)]
    id: String,
    #[serde(default)]
    back: String,
}

/// `POST /account/passkey/remove`
async fn remove(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Extension(signed): Extension<Signed>,
    Form(which): Form<Which>,
) -> Response {
    match site.people.remove_passkey(&signed, &which.id).await {
        Ok(_) if which.back == "/users" => Redirect::to("/users").into_response(),
        Ok(_) => Redirect::to("/account").into_response(),
        Err(Denied::Wrong) => answer::gone(visit.c),
        Err(error) => unavailable(visit.c, &error),
    }
}

/// `POST /account/out`: ends all sessions.
async fn everywhere(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Extension(signed): Extension<Signed>,
) -> Response {
    match site.people.sign_out_everywhere(&signed).await {
        Ok(_) => {
            let mut response = Redirect::to("/login?out=here").into_response();
            if let Some(cookie) = cookies::clear(cookies::SESSION, site.secure) {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            response
        }
        Err(error) => unavailable(visit.c, &error),
    }
}

/// `POST /login/passkey/question`
async fn login_question(
    State(site): State<Arc<Site>>,
    client: Client,
    browser: Option<Extension<Browser>>,
) -> Response {
    let Some(Extension(Browser(browser))) = browser else { return StatusCode::FORBIDDEN.into_response() };
    match site.people.passkey_question(browser.digest(), client.0).await {
        Ok((challenge, party)) => {
            json(&serde_json::json!({ "challenge": challenge.text(), "rpId": party.id }))
        }
        Err(denied) => status(&denied).into_response(),
    }
}

/// The form of `POST /login/passkey`.
#[derive(Deserialize)]
struct Signing {
    #[serde(flatten)]
    used: Used,
    #[serde(default)]
    back: String,
}

/// `POST /login/passkey`
async fn sign_in(
    State(site): State<Arc<Site>>,
    Open(c): Open,
    browser: Option<Extension<Browser>>,
    headers: HeaderMap,
    Form(form): Form<Signing>,
) -> Response {
    let done = match browser {
        Some(Extension(Browser(browser))) => site.people.by_passkey(&browser, &form.used).await,
        None => Err(Denied::Wrong),
    };
    match done {
        Ok(token) => login::signed_in(&site, &headers, &token, &form.back).await,
        Err(denied) => login::refused(&site, c, &form.back, &denied, "people-passkey-wrong"),
    }
}

fn json(value: &serde_json::Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

fn status(denied: &Denied) -> StatusCode {
    match denied {
        Denied::Wrong => StatusCode::CONFLICT,
        Denied::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Denied::Off => StatusCode::NOT_FOUND,
        Denied::Down(_) | Denied::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}
