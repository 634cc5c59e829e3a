//! Signing in with an identity provider: the redirect there, and the return.

use super::{PageQuery, login, set, signed_in};
use crate::people::Denied;
use crate::people::oidc::{Failed, Flow, Return};
use crate::token::Token;
use crate::web::pages::answer;
use crate::web::pages::visit::{Chrome, Open, show, way_back};
use crate::web::{Site, cookies};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::sync::Arc;

/// `GET /login/oidc`: redirects to the provider. A cookie binds the return to this browser.
pub(super) async fn away(
    State(site): State<Arc<Site>>,
    Open(c): Open,
    method: Method,
    Query(asked): Query<PageQuery>,
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

/// `GET /login/oidc/return`: the return from the provider.
pub(super) async fn back_from_provider(
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
        let failed = Failed::Refused("the browser did not come from the login page".to_owned());
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
    // the cookie is valid for one return
    set(&mut response, cookies::clear(cookies::AWAY, site.secure));
    response
}

fn not_by_provider(site: &Site, c: Chrome, failed: &Failed) -> Response {
    tracing::warn!(why = %failed, "signing in with the provider failed");
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
