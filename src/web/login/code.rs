//! Signing in with a mailed code: requesting one, and entering it.

use super::{PageQuery, Visitor, login, signed_in, why};
use crate::message::Address;
use crate::people::Denied;
use crate::policy::verdict::Language;
use crate::token::Token;
use crate::web::Site;
use crate::web::pages::answer;
use crate::web::pages::visit::{Chrome, Open, show, way_back};
use crate::web::words::{Tongue, calm};
use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use std::sync::Arc;

/// Longest code that is shown again in its field, in characters.
const LONGEST_CODE: usize = 20;

/// Longest address that is shown, in characters.
const LONGEST_ADDRESS: usize = 320;

/// The page for entering a code.
#[derive(Template)]
#[template(path = "code.html")]
struct CodePage {
    c: Chrome,
    note: String,
    wrong: bool,
    code: String,
    /// The address that this browser requested a code for.
    sent_to: Option<String>,
    back: String,
}

/// The form of `POST /login/code/send`.
#[derive(Deserialize)]
pub(super) struct Send {
    #[serde(default)]
    address: String,
    #[serde(default)]
    back: String,
}

/// `POST /login/code/send`: mails a code. The response is the same whether or not the address is known.
pub(super) async fn send_code(
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

/// `GET /login/code`: the page for entering the code. A code in the query is only filled in.
pub(super) async fn code_page(
    State(site): State<Arc<Site>>,
    Open(c): Open,
    visitor: Visitor,
    Query(asked): Query<PageQuery>,
) -> Response {
    if visitor.signed.is_some() {
        return Redirect::to(way_back(&asked.back)).into_response();
    }
    let code: String = asked.code.chars().filter(char::is_ascii_digit).take(LONGEST_CODE).collect();
    let back = way_back(&asked.back).to_owned();
    let sent_to = code_sent(&site, visitor.browser.as_ref()).await.map(|(address, _)| address);
    // the link in the mail was opened in a browser other than the one that requested it
    let elsewhere = sent_to.is_none() && !code.is_empty();
    let note = if elsewhere { c.t.p("people-code-elsewhere").to_string() } else { String::new() };
    show(StatusCode::OK, &CodePage { c, note, wrong: false, code, sent_to, back })
}

/// The address that this browser requested a code for, and the number of attempts left.
pub(super) async fn code_sent(site: &Site, browser: Option<&Token>) -> Option<(String, u32)> {
    match site.people.code_sent(browser?).await {
        Ok(sent) => sent.map(|(address, left)| (calm(address.as_str(), LONGEST_ADDRESS), left)),
        Err(error) => {
            tracing::warn!(%error, "a code could not be sent");
            None
        }
    }
}

/// The form of `POST /login/code`.
#[derive(Deserialize)]
pub(super) struct Typed {
    #[serde(default)]
    code: String,
    #[serde(default)]
    back: String,
}

/// `POST /login/code`
pub(super) async fn by_code(
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
