//! The part of `/account` where approvers enter an absence and their deputy.

use super::super::Site;
use super::super::words::calm;
use super::account;
use super::visit::Visit;
use crate::desk::deputies::{LONGEST, NotAway};
use crate::desk::principal::Principal;
use crate::desk::{Desk, DeskError};
use crate::message::Address;
use crate::people::session::Signed;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Form};
use jiff::ToSpan;
use jiff::civil::Date;
use serde::Deserialize;
use std::sync::Arc;

/// One approver address of the visitor.
pub(super) struct Away {
    /// The address.
    pub address: String,
    /// The possible deputies.
    pub deputies: Vec<String>,
    /// The last day and the deputy, if they are away.
    pub now: Option<(String, String)>,
    /// The first and last day that can be chosen.
    pub days: (String, String),
}

/// The visitor's approver addresses.
pub(super) async fn of(desk: &Desk, who: &Principal) -> Result<Vec<Away>, DeskError> {
    let mine = desk.decides_as(who);
    if mine.is_empty() {
        return Ok(Vec::new());
    }
    let absences = desk.absences().await?;
    let today = desk.today();
    let last = today.checked_add(LONGEST.days()).unwrap_or(Date::MAX);
    let one = |address: &Address| Away {
        address: address.to_string(),
        deputies: desk.deputies_of(address).iter().map(ToString::to_string).collect(),
        now: absences
            .iter()
            .find(|absence| absence.approver.key() == address.key())
            .map(|absence| (absence.until.clone(), calm(absence.deputy.as_str(), 200))),
        days: (today.to_string(), last.to_string()),
    };
    Ok(mine.iter().map(one).collect())
}

/// The fields of the forms.
#[derive(Deserialize)]
pub(super) struct Said {
    #[serde(default)]
    address: String,
    #[serde(default)]
    until: String,
    #[serde(default)]
    deputy: String,
}

/// `POST /account/away`
pub(super) async fn go(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Extension(signed): Extension<Signed>,
    Form(said): Form<Said>,
) -> Response {
    let parsed = (Address::parse(&said.address), Address::parse(&said.deputy), said.until.parse::<Date>());
    let done = match parsed {
        (Ok(address), Ok(deputy), Ok(until)) => site.desk.go_away(&visit.who, &address, &deputy, until).await,
        (_, _, Err(_)) => Err(NotAway::Day),
        (Ok(_), ..) => {
            let note = visit.c.t.p("away-deputy").to_string();
            return account::shown(
                &site,
                visit.at("account"),
                &signed,
                StatusCode::UNPROCESSABLE_ENTITY,
                note,
            )
            .await;
        }
        _ => return super::answer::bad_form(visit.c),
    };
    ended(&site, visit, &signed, done).await
}

/// `POST /account/back`
pub(super) async fn back(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Extension(signed): Extension<Signed>,
    Form(said): Form<Said>,
) -> Response {
    let Ok(address) = Address::parse(&said.address) else { return super::answer::bad_form(visit.c) };
    let done = site.desk.come_back(&visit.who, &address).await.map(drop);
    ended(&site, visit, &signed, done).await
}

async fn ended(site: &Site, visit: Visit, signed: &Signed, done: Result<(), NotAway>) -> Response {
    let (status, key) = match done {
        Ok(()) => return Redirect::to("/account").into_response(),
        Err(NotAway::Day) => (StatusCode::UNPROCESSABLE_ENTITY, "away-day"),
        Err(NotAway::Deputy { .. }) => (StatusCode::UNPROCESSABLE_ENTITY, "away-deputy"),
        Err(NotAway::NotTheirs(_)) => (StatusCode::FORBIDDEN, "away-not-yours"),
        Err(NotAway::Desk(error)) => return account::unavailable(visit.c, &error),
    };
    let note = visit.c.t.p(key).to_string();
    account::shown(site, visit.at("account"), signed, status, note).await
}
