//! `/circles`: lists circles, with a form to create one and buttons to end them.

use super::super::Site;
use super::super::words::{Words, calm};
use super::answer;
use super::form::{Fields, value};
use super::people::LONGEST;
use super::visit::{Chrome, Visit, show};
use crate::clock::Timestamp;
use crate::desk::DeskError;
use crate::desk::circles::{CircleWish, LASTS, makes};
use crate::message::Address;
use crate::store::StoreError;
use crate::store::circles::{Circle, CircleId};
use askama::Template;
use axum::Form;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use std::sync::Arc;

/// Circles on one page.
const ON_A_PAGE: usize = 50;
/// Durations that can be chosen, in days.
pub(super) const SPANS: [u64; 5] = [30, 90, 180, 365, 730];
/// Default duration, in days.
pub(super) const USUAL: u64 = LASTS.as_secs() / DAY;
/// Seconds of a day.
const DAY: u64 = 24 * 3_600;

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
pub(super) struct PageQuery {
    /// Page number, from 1.
    #[serde(default)]
    page: usize,
    /// The circle that was created just now.
    made: Option<CircleId>,
    /// The circle that was ended just now.
    ended: Option<CircleId>,
}

#[derive(Template)]
#[template(path = "circles.html")]
struct Page {
    c: Chrome,
    shown: Vec<Line>,
    before: Option<usize>,
    next: Option<usize>,
    /// Whether the visitor may create and end circles.
    makes: bool,
    note: String,
    wrong: bool,
    form: Filled,
    spans: [u64; 5],
}

/// One circle.
struct Line {
    id: CircleId,
    name: String,
    state: String,
    class: &'static str,
    in_force: bool,
    expires: Timestamp,
    made: String,
    ended: Option<String>,
    members: Vec<String>,
}

/// The contents of the form.
struct Filled {
    name: String,
    members: String,
    days: u64,
}

impl Default for Filled {
    fn default() -> Self {
        Self { name: String::new(), members: String::new(), days: USUAL }
    }
}

impl Filled {
    fn of(fields: &Fields) -> Self {
        let text = |name| value(fields, name).unwrap_or_default().to_owned();
        Self { name: text("name"), members: text("members"), days: days(fields).unwrap_or(0) }
    }

    /// The requested circle, or the line that is not an address.
    fn wish(&self) -> Result<CircleWish, String> {
        let lines = self.members.lines().map(str::trim).filter(|line| !line.is_empty());
        let members = lines.map(|line| Address::parse(line).map_err(|_| calm(line, LONGEST)));
        Ok(CircleWish {
            name: self.name.clone(),
            members: members.collect::<Result<_, _>>()?,
            seconds: self.days.saturating_mul(DAY),
        })
    }
}

/// The number of days in a form.
fn days(fields: &Fields) -> Option<u64> {
    value(fields, "days")?.trim().parse().ok()
}

/// The circle to create with a release, as name and duration in seconds, if the form asks for one.
pub(super) fn remembered(fields: &Fields) -> Option<(String, u64)> {
    value(fields, "remember")?;
    let name = value(fields, "name").unwrap_or_default().to_owned();
    Some((name, days(fields).unwrap_or(0).saturating_mul(DAY)))
}

/// `GET /circles`
pub(super) async fn page(
    State(site): State<Arc<Site>>,
    visit: Visit,
    asked: Result<Query<PageQuery>, QueryRejection>,
) -> Response {
    let visit = visit.at("circles");
    let asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    let all = match site.desk.circles(&visit.who).await {
        Ok(all) => all,
        Err(error) => return refused(visit.c, &error),
    };
    let note = news(&visit.c.t, &asked, &all);
    show(StatusCode::OK, &make_page(visit, &all, asked.page, (note, false), Filled::default()))
}

/// The result of the last action.
fn news(t: &Words, asked: &PageQuery, all: &[Circle]) -> String {
    let named = |id: Option<CircleId>, in_force: bool, key: &'static str| {
        let found = all.iter().find(|one| Some(one.id) == id && one.in_force(t.now) == in_force)?;
        Some(t.p(key).s("name", calm(&found.name, LONGEST)).to_string())
    };
    let made = || named(asked.made, true, "desk-circle-was-made");
    named(asked.ended, false, "desk-circle-was-ended").or_else(made).unwrap_or_default()
}

fn make_page(visit: Visit, all: &[Circle], page: usize, (note, wrong): (String, bool), form: Filled) -> Page {
    let Visit { who, c } = visit;
    let last = all.len().div_ceil(ON_A_PAGE).max(1);
    let page = page.clamp(1, last);
    let shown = all.iter().skip((page - 1) * ON_A_PAGE).take(ON_A_PAGE);
    Page {
        shown: shown.map(|circle| line(&c.t, circle)).collect(),
        before: (page > 1).then(|| page - 1),
        next: (page < last).then_some(page + 1),
        makes: makes(&who),
        note,
        wrong,
        form,
        spans: SPANS,
        c,
    }
}

fn line(t: &Words, circle: &Circle) -> Line {
    let in_force = circle.in_force(t.now);
    let (class, key) = match (in_force, circle.ended_at) {
        (true, _) => ("good", "desk-circle-in-force"),
        (false, Some(_)) => ("", "desk-circle-ended"),
        (false, None) => ("", "desk-circle-over"),
    };
    let told =
        |key, by: &str, at: &Timestamp| t.p(key).s("by", calm(by, LONGEST)).s("at", t.moment(at)).to_string();
    let by = circle.ended_by.as_deref().unwrap_or_default();
    Line {
        id: circle.id,
        name: calm(&circle.name, LONGEST),
        state: t.p(key).to_string(),
        class,
        in_force,
        expires: circle.expires,
        made: told("desk-circle-made-by", &circle.made_by, &circle.made_at),
        ended: circle.ended_at.map(|at| told("desk-circle-ended-by", by, &at)),
        members: circle.members.iter().map(|member| calm(member.as_str(), LONGEST)).collect(),
    }
}

/// `POST /circles`: creates a circle.
pub(super) async fn make(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Form(fields): Form<Fields>,
) -> Response {
    let visit = visit.at("circles");
    let form = Filled::of(&fields);
    let note = match form.wish() {
        // a visitor who may not create circles gets that error, not one about the form
        Err(text) if makes(&visit.who) => visit.c.t.p("desk-circle-no-address").s("text", text).to_string(),
        wish => {
            let wish =
                wish.unwrap_or_else(|_| CircleWish { name: String::new(), members: Vec::new(), seconds: 0 });
            match site.desk.make_circle(&visit.who, wish).await {
                Ok(id) => return Redirect::to(&format!("/circles?made={id}")).into_response(),
                Err(DeskError::NoCircle(_)) => visit.c.t.p("desk-no-circle-text").to_string(),
                Err(error) => return refused(visit.c, &error),
            }
        }
    };
    match site.desk.circles(&visit.who).await {
        Ok(all) => show(StatusCode::UNPROCESSABLE_ENTITY, &make_page(visit, &all, 1, (note, true), form)),
        Err(error) => refused(visit.c, &error),
    }
}

/// `POST /circles/{circle}/end`: ends a circle early.
pub(super) async fn end(State(site): State<Arc<Site>>, visit: Visit, Path(circle): Path<String>) -> Response {
    let Visit { who, c } = visit.at("circles");
    let Ok(id) = circle.parse::<CircleId>() else { return answer::gone(c) };
    match site.desk.end_circle(&who, id).await {
        Ok(()) => Redirect::to(&format!("/circles?ended={id}")).into_response(),
        Err(error) => refused(c, &error),
    }
}

/// The desk refused the request. Visitors who may not see circles get "not found".
fn refused(c: Chrome, error: &DeskError) -> Response {
    let p = |key| c.t.p(key).to_string();
    match error {
        DeskError::NotAllowed(_) if c.decides() => {
            let (title, text) = (p("desk-nothing-done"), p("desk-circle-not-yours"));
            answer::say(c, StatusCode::FORBIDDEN, title, text, "/circles")
        }
        DeskError::NotAllowed(_) => answer::gone(c),
        DeskError::Store(StoreError::NotFound(_)) => {
            let (title, text) = (p("desk-circle-gone-title"), p("desk-circle-gone"));
            answer::say(c, StatusCode::NOT_FOUND, title, text, "/circles")
        }
        error => {
            tracing::warn!(%error, "circles could not be shown or changed");
            let (title, text) = (p("desk-unavailable-title"), p("desk-unavailable-text"));
            answer::say(c, StatusCode::SERVICE_UNAVAILABLE, title, text, "/circles")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_the_form_wishes_for() {
        let form = |members, days| {
            Filled::of(&fields(&[("name", "Board"), ("members", members), ("days", days)])).wish()
        };
        let good = form(" a@x.example\r\n\r\nb@y.example ", "90").unwrap();
        assert_eq!((good.members.len(), good.seconds), (2, 90 * 86_400));
        assert_eq!(form("a@x.example\nnobody\u{202e}", "90").unwrap_err(), "nobody\u{fffd}");
        for days in ["", "-1", "many"] {
            assert_eq!(form("a@x.example\nb@y.example", days).unwrap().seconds, 0, "{days}");
        }
        assert_eq!(form("", &u64::MAX.to_string()).unwrap().seconds, u64::MAX);
    }

    #[test]
    fn a_circle_is_remembered_only_where_the_box_is_ticked() {
        let said = [("name", "Board"), ("days", "30"), ("remember", "yes")];
        assert_eq!(remembered(&fields(&said)), Some(("Board".to_owned(), 30 * 86_400)));
        assert_eq!(remembered(&fields(&said[..2])), None);
        assert_eq!(remembered(&fields(&said[2..])), Some((String::new(), 0)), "refused by the desk");
    }
}
