//! The visitor of a page, their language, and what every page has: head, style sheet, form token.

use super::super::Site;
use super::super::routes::page_of;
use super::super::visitor::FormToken;
use super::super::words::{Tongue, Words, calm};
use super::answer;
use super::filters::ListFilters;
use crate::desk::principal::Principal;
use crate::policy::verdict::Language;
use askama::Template;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::{Extension, Form};
use serde::Deserialize;
use std::sync::Arc;

/// The cookie with a language that was chosen explicitly.
const COOKIE: &str = "sekisho_language";
/// Longest name shown in the head, in characters.
const LONGEST_NAME: usize = 60;

/// The parts common to all pages.
#[derive(Clone, Debug)]
pub struct Chrome {
    /// The phrases.
    pub t: Words,
    /// The visitor; `None` before signing in.
    pub who: Option<Principal>,
    /// The token of its forms.
    pub csrf: String,
    /// The part of the desk, for the navigation.
    pub here: &'static str,
    /// The URL to reload: path and query of the request, or of the page of the form if the request is one.
    pub path: String,
    /// The filters of the list that the visitor came from, kept from page to page.
    pub asked: ListFilters,
    /// Whom people can ask for help; empty if nobody is configured.
    pub contact: String,
    /// The URL of the style sheet.
    pub css: String,
    /// The URL of the script.
    pub js: String,
    /// The URL of the icon.
    pub icon: String,
}

impl Chrome {
    /// Builds it from a request; the middleware has added the visitor to the extensions.
    pub fn of(parts: &Parts, site: &Site) -> Self {
        let tongue = tongue(&parts.headers).unwrap_or_default();
        Self {
            t: Words { tongue, now: site.desk.clock.now(), zone: crate::clock::zone() },
            who: parts.extensions.get::<Principal>().cloned(),
            csrf: parts.extensions.get::<FormToken>().cloned().unwrap_or_default().0,
            here: "",
            path: again(parts),
            asked: ListFilters::of(&parts.uri),
            contact: contact(site, tongue),
            css: site.assets.css.clone(),
            js: site.assets.js.clone(),
            icon: site.assets.icon.clone(),
        }
    }

    /// The other language.
    pub fn other(&self) -> Tongue {
        match self.t.tongue {
            Tongue::En => Tongue::Ja,
            Tongue::Ja => Tongue::En,
        }
    }

    /// When and by whom it was printed; shown only on paper.
    pub fn printed(&self) -> String {
        let who = self.who.as_ref().map(|who| self.calm(&who.name)).unwrap_or_default();
        self.t.p("desk-printed").s("at", self.t.moment(&self.t.now)).s("who", who).to_string()
    }

    /// The filters of the list as a query: empty, or with its question mark.
    pub fn filters(&self) -> String {
        self.asked.carried()
    }

    /// The filters with an additional parameter.
    pub fn filters_and(&self, part: &str) -> String {
        let filters = self.filters();
        format!("{filters}{}{part}", if filters.is_empty() { '?' } else { '&' })
    }

    /// A page's title; it says so if the form has errors.
    pub fn titled(&self, key: &'static str, wrong: &bool) -> String {
        let title = self.t.p(key);
        if *wrong { self.t.p("desk-error-mark").s("title", title).to_string() } else { title.to_string() }
    }

    /// A name on one line.
    pub fn calm(&self, name: &str) -> String {
        calm(name, LONGEST_NAME)
    }

    /// Whether the visitor may see the administration.
    pub fn looks(&self) -> bool {
        self.who.as_ref().is_some_and(crate::desk::operate::looks)
    }

    /// Whether the visitor may see more than their own mail.
    pub fn decides(&self) -> bool {
        self.who.as_ref().is_some_and(|who| who.roles.approver || who.roles.auditor || who.roles.admin)
    }
}

/// Whom people can ask for help, in this language.
fn contact(site: &Site, tongue: Tongue) -> String {
    let language = match tongue {
        Tongue::En => Language::En,
        Tongue::Ja => Language::Ja,
    };
    site.contact.as_ref().map(|contact| contact.text(language).to_owned()).unwrap_or_default()
}

/// The URL at which the page can be loaded again.
fn again(parts: &Parts) -> String {
    if matches!(parts.method, Method::GET | Method::HEAD) {
        return parts.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
    }
    page_of(parts.uri.path()).to_owned()
}

/// The language that was chosen, otherwise the browser's.
fn tongue(headers: &HeaderMap) -> Option<Tongue> {
    chosen(headers).or_else(|| Tongue::accepted(headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?))
}

/// The language in the cookie.
pub(in crate::web) fn chosen(headers: &HeaderMap) -> Option<Tongue> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|field| field.split(';')).find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE).then(|| Tongue::of_tag(value)).flatten()
    })
}

/// A visitor who is signed in, and the common parts of the page.
#[derive(Clone, Debug)]
pub struct Visit {
    /// The visitor.
    pub who: Principal,
    /// The common parts of the page.
    pub c: Chrome,
}

impl Visit {
    /// Sets the part of the desk.
    #[must_use]
    pub fn at(mut self, here: &'static str) -> Self {
        self.c.here = here;
        self
    }
}

impl FromRequestParts<Arc<Site>> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Response> {
        let c = Chrome::of(parts, site);
        match c.who.clone() {
            Some(who) => Ok(Self { who, c }),
            None => Err(answer::sign_in_first(&c)),
        }
    }
}

/// A page for visitors who need not be signed in.
#[derive(Clone, Debug)]
pub struct Open(pub Chrome);

impl FromRequestParts<Arc<Site>> for Open {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Self::Rejection> {
        Ok(Self(Chrome::of(parts, site)))
    }
}

/// Renders a page as a response.
pub fn show(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => (status, [(header::CACHE_CONTROL, "no-store")], Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A path of ours to return to; `/` for anything else.
pub fn way_back(path: &str) -> &str {
    let ours = path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && path.len() < 2_000
        && path.bytes().all(|byte| (0x21..0x7f).contains(&byte));
    if ours { path } else { "/" }
}

/// The fields of the language form.
#[derive(Debug, Deserialize)]
pub(super) struct Choice {
    to: String,
    #[serde(default)]
    back: String,
}

/// Sets the cookie with the chosen language.
pub(in crate::web) fn keep(tongue: Tongue, secure: bool) -> Option<HeaderValue> {
    let secure = if secure { "; Secure" } else { "" };
    let tag = tongue.tag();
    HeaderValue::from_str(&format!(
        "{COOKIE}={tag}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax{secure}"
    ))
    .ok()
}

/// `POST /language`: stores the chosen language in the browser and, for a person who is signed in, for their
/// mails.
pub(super) async fn language(
    State(site): State<Arc<Site>>,
    who: Option<Extension<Principal>>,
    Form(choice): Form<Choice>,
) -> Response {
    let mut response = Redirect::to(way_back(&choice.back)).into_response();
    let Some(tongue) = Tongue::of_tag(&choice.to) else { return response };
    let of = who.map(|Extension(who)| who.addresses).unwrap_or_default();
    let people: Vec<String> = of.iter().map(|address| address.key().to_owned()).collect();
    if !people.is_empty()
        && let Err(error) = site.store.choose_language(&people, tongue.language()).await
    {
        // the page itself still changes its language
        tracing::warn!(%error, "a chosen language could not be stored");
    }
    if let Some(cookie) = keep(tongue, site.secure) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_paths_are_gone_back_to() {
        for (path, expected) in [
            ("/held/abc?x=1", "/held/abc?x=1"),
            ("/", "/"),
            ("", "/"),
            ("//evil.example/", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example/", "/"),
            ("/a\r\nSet-Cookie: x", "/"),
            ("/ü", "/"),
        ] {
            assert_eq!(way_back(path), expected, "{path}");
        }
    }

    #[test]
    fn a_choice_by_hand_wins() {
        let mut headers = HeaderMap::new();
        assert_eq!(tongue(&headers), None);
        headers.insert(header::ACCEPT_LANGUAGE, "ja".parse().unwrap());
        assert_eq!(tongue(&headers), Some(Tongue::Ja));
        headers.insert(header::COOKIE, "a=b; sekisho_language=en".parse().unwrap());
        assert_eq!(tongue(&headers), Some(Tongue::En));
        headers.insert(header::COOKIE, "sekisho_language=xx".parse().unwrap());
        assert_eq!(tongue(&headers), Some(Tongue::Ja));
    }
}
