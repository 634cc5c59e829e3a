//! `/users`: accounts in the file that `sekisho user` writes, with their roles at the desk.

use super::super::super::Site;
use super::super::super::words::calm;
use super::super::answer;
use super::super::form::{Fields, value, values};
use super::super::people::LONGEST;
use super::super::visit::{Chrome, Visit, show};
use super::{Tab, tabs, unavailable};
use crate::accounts::Role;
use crate::people::users::{NotChanged, UserLine};
use crate::store::PasskeyRow;
use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::sync::Arc;

/// Roles, in the order of the columns.
const ROLES: [Role; 3] = [Role::Approver, Role::Auditor, Role::Admin];

#[derive(Template)]
#[template(path = "users.html")]
struct Users {
    c: Chrome,
    tabs: Vec<Tab>,
    /// `None` if accounts are not in a file.
    lines: Option<Vec<Line>>,
    /// All passkeys: owner, name, and id.
    passkeys: Vec<(String, String, String)>,
}

struct Line {
    name: String,
    shown: String,
    addresses: Vec<String>,
    /// For each role: its name, whether the file gives it, and whether the configuration does.
    roles: Vec<(&'static str, bool, bool)>,
}

/// `GET /users`
pub(super) async fn page(State(site): State<Arc<Site>>, visit: Visit) -> Response {
    let Visit { who, c } = visit.at("node");
    match site.people.users(&who).await {
        Ok(users) => {
            let lines = users.map(|users| users.iter().map(line).collect());
            let all = match site.people.all_passkeys(&who).await {
                Ok(all) => all,
                Err(error) => return refused(c, &error),
            };
            let named = |row: &PasskeyRow| {
                (calm(&row.name, LONGEST), calm(&row.label, LONGEST), URL_SAFE_NO_PAD.encode(&row.id))
            };
            let passkeys = all.iter().map(named).collect();
            show(StatusCode::OK, &Users { tabs: tabs(&c, "users"), lines, passkeys, c })
        }
        Err(error) => refused(c, &error),
    }
}

fn line(user: &UserLine) -> Line {
    let configured = [user.configured.approver, user.configured.auditor, user.configured.admin];
    Line {
        name: user.name.clone(),
        shown: calm(&user.name, LONGEST),
        addresses: user.addresses.iter().map(|one| calm(one, LONGEST)).collect(),
        roles: ROLES
            .iter()
            .zip(configured)
            .map(|(role, given)| (role.text(), user.roles.contains(role), given))
            .collect(),
    }
}

/// `POST /users`: sets the roles of an account.
pub(super) async fn change(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Form(fields): Form<Fields>,
) -> Response {
    let Visit { who, c } = visit.at("node");
    let wanted: Vec<&str> = values(&fields, "role").collect();
    let roles = ROLES.into_iter().filter(|role| wanted.contains(&role.text())).collect();
    match site.people.set_roles(&who, value(&fields, "name").unwrap_or_default(), roles).await {
        Ok(()) => Redirect::to("/users").into_response(),
        Err(error) => refused(c, &error),
    }
}

fn refused(c: Chrome, error: &NotChanged) -> Response {
    match error {
        NotChanged::Denied(_) => answer::gone(c),
        NotChanged::Own => {
            let (title, text) = (c.t.p("desk-nothing-done").to_string(), c.t.p("desk-users-own").to_string());
            answer::say(c, StatusCode::CONFLICT, title, text, "/users")
        }
        NotChanged::File(why) => {
            tracing::warn!(why, "accounts could not be read or changed at the desk");
            let text = c.t.p("desk-users-file").s("why", calm(why, 500)).to_string();
            unavailable(c, Some(text))
        }
    }
}
