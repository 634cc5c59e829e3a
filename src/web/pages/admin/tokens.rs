//! `/tokens`: API tokens, and a button to remove one. They are created on the command line, the only place
//! that shows the secret.

use super::super::super::Site;
use super::super::super::words::calm;
use super::super::form::{Fields, value};
use super::super::people::LONGEST;
use super::super::visit::{Chrome, Visit, show};
use super::{Tab, refused, tabs};
use crate::store::ApiTokenRow;
use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use std::sync::Arc;

#[derive(Template)]
#[template(path = "tokens.html")]
struct Tokens {
    c: Chrome,
    tabs: Vec<Tab>,
    /// Each with its creator on one line.
    all: Vec<(ApiTokenRow, String)>,
}

/// `GET /tokens`
pub(super) async fn page(State(site): State<Arc<Site>>, visit: Visit) -> Response {
    let Visit { who, c } = visit.at("node");
    match site.desk.tokens(&who).await {
        Ok(tokens) => {
            let by = |token: ApiTokenRow| {
                let by = calm(&token.made_by, LONGEST);
                (token, by)
            };
            let all = tokens.into_iter().map(by).collect();
            show(StatusCode::OK, &Tokens { tabs: tabs(&c, "tokens"), all, c })
        }
        Err(error) => refused(c, &error),
    }
}

/// `POST /tokens`: removes a token.
pub(super) async fn remove(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Form(fields): Form<Fields>,
) -> Response {
    let Visit { who, c } = visit.at("node");
    match site.desk.remove_token(&who, value(&fields, "name").unwrap_or_default()).await {
        Ok(_) => Redirect::to("/tokens").into_response(),
        Err(error) => refused(c, &error),
    }
}
