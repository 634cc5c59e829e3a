//! `/`: the list of held and decided messages, with filters, search and pages.

use super::super::Site;
use super::super::words::{Words, calm};
use super::answer;
use super::filters::{LONGEST_SEARCH, ListFilters};
use super::live::Live;
use super::people::LONGEST;
use super::risks::{language, told};
use super::visit::{Chrome, Visit, show};
use crate::clock::Timestamp;
use crate::desk::DeskError;
use crate::desk::principal::Principal;
use crate::desk::waiting::MOST_COUNTED;
use crate::id::Id;
use crate::message::Address;
use crate::store::{HeldLine, HeldPage, HeldQuery, HeldRow, HeldState, Order};
use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::Arc;

/// The page.
#[derive(Template)]
#[template(path = "list.html")]
struct List {
    c: Chrome,
    asked: ListFilters,
    lines: Vec<Line>,
    /// The total number, formatted.
    count: String,
    /// How many more match the search in other states.
    elsewhere: usize,
    elsewhere_path: String,
    /// The URL that a script polls for new messages.
    live: String,
    /// The rules in the filter: names and titles.
    rules: Vec<(String, String)>,
    next: Option<String>,
    /// Whether any message can be decided together with others.
    bulk: bool,
}

impl List {
    /// The title of the list, by its filter.
    fn titled(&self) -> String {
        let p = |key| self.c.t.p(key).to_string();
        match self.asked.state.as_str() {
            "released" => p("desk-list-released"),
            "returned" => p("desk-list-returned"),
            "expired" => p("desk-list-expired"),
            "all" => p("desk-list-all"),
            _ => p("desk-list-title"),
        }
    }
}

/// One line of the list.
#[expect(clippy::struct_excessive_bools, reason = "each is one mark in the row")]
pub(super) struct Line {
    pub(super) id: Id,
    pub(super) whom: String,
    pub(super) subject: String,
    /// The number of people and of organisations (if known); the number of attachments.
    pub(super) crowd: String,
    pub(super) files: usize,
    /// The most serious risk.
    pub(super) why: String,
    /// The labels of the other risks.
    pub(super) others: Vec<String>,
    /// Whether the most serious risk remains in every way of sending.
    pub(super) uncured: bool,
    /// Whether the visitor may decide on it, or sent it.
    pub(super) theirs: bool,
    pub(super) received: Timestamp,
    pub(super) expires: Timestamp,
    pub(super) state: HeldState,
    pub(super) decided: Option<String>,
    /// Whether the deadline is near.
    pub(super) soon: bool,
    /// Whether its sender asks to send it as it is.
    pub(super) asked: bool,
}

/// `GET /`
pub(super) async fn page(
    State(site): State<Arc<Site>>,
    visit: Visit,
    asked: Result<Query<ListFilters>, QueryRejection>,
) -> Response {
    let Visit { who, c } = visit.at("list");
    let mut asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    asked.q = asked.q.trim().chars().take(LONGEST_SEARCH).collect();
    match gathered(&site, &who, &asked).await {
        Ok(Found { page: found, count, elsewhere, latest }) => {
            let theirs = |row: &HeldLine| {
                let own =
                    who.addresses.iter().any(|one| Address::parse(&row.sender).is_ok_and(|to| to == *one));
                own || who.roles.admin || who.roles.approver
            };
            let each = |row| Line { theirs: theirs(row), ..line(&c.t, row) };
            let lines: Vec<Line> = found.lines.iter().map(each).collect();
            let next = found.next.map(|id| format!("/{}", asked.with("after", id.as_str())));
            let bulk = lines.iter().any(|line| line.state == HeldState::Held && line.theirs);
            let rules = rules(&site, &c.t);
            let count = counted(&c.t, count);
            let all = ListFilters { state: "all".to_owned(), after: String::new(), ..asked.clone() };
            let elsewhere_path = format!("/{}", all.carried());
            let latest = latest.map(|id| id.to_string()).unwrap_or_default();
            let live = format!("/now{}", asked.with("since", &latest));
            let list = List { c, asked, lines, count, elsewhere, elsewhere_path, live, rules, next, bulk };
            show(StatusCode::OK, &list)
        }
        Err(error) => {
            tracing::warn!(%error, "the list could not be shown");
            let (title, text) =
                (c.t.p("desk-unavailable-title").to_string(), c.t.p("desk-unavailable-text").to_string());
            answer::say(c, StatusCode::SERVICE_UNAVAILABLE, title, text, "")
        }
    }
}

/// The rules of the current policy by title; if two have the same title, the second gets a number.
fn rules(site: &Site, t: &Words) -> Vec<(String, String)> {
    let examiner = site.desk.examiner.borrow();
    let titles = examiner.policy.titles();
    let mut met: HashMap<String, usize> = HashMap::new();
    let mut called = |name: &str| {
        let title = titles.get(name).map_or(name, |title| title.text(language(t))).to_owned();
        let times = met.entry(title.clone()).and_modify(|times| *times += 1).or_insert(1);
        if *times > 1 { format!("{title} ({times})") } else { title }
    };
    examiner.policy.rule_names().take(100).map(|name| (name.to_owned(), called(name))).collect()
}

/// The parts of a page of the list.
struct Found {
    page: HeldPage,
    count: usize,
    elsewhere: usize,
    latest: Option<Id>,
}

async fn gathered(site: &Site, who: &Principal, asked: &ListFilters) -> Result<Found, DeskError> {
    let query = asked.query(who);
    let page = site.store.held_page(&query).await?;
    let whole = HeldQuery { after: None, ..query };
    let count = match (&page.next, &whole.state) {
        // all of them are on this page
        (None, _) if asked.after.is_empty() => page.lines.len(),
        _ => site.store.held_count(&whole, MOST_COUNTED + 1).await?,
    };
    let elsewhere = if whole.state.is_some() && (whole.text.is_some() || whole.rule.is_some()) {
        let all = HeldQuery { state: None, order: Order::Newest, ..whole.clone() };
        site.store.held_count(&all, MOST_COUNTED + 1).await?.saturating_sub(count)
    } else {
        0
    };
    let latest = site.desk.latest(&whole).await?;
    Ok(Found { page, count, elsewhere, latest })
}

/// A number, or "more than" the limit of counting.
pub(super) fn counted(t: &Words, count: usize) -> String {
    if count > MOST_COUNTED {
        t.p("desk-more-than").n("count", MOST_COUNTED).to_string()
    } else {
        t.p("desk-number").n("count", count).to_string()
    }
}

/// The query of the script that polls: the filters, and the latest message known.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Since {
    #[serde(default)]
    since: String,
}

/// `GET /now`: how many messages came since the list was made, for the script.
pub(super) async fn now(
    State(site): State<Arc<Site>>,
    visit: Visit,
    asked: Result<Query<ListFilters>, QueryRejection>,
    since: Result<Query<Since>, QueryRejection>,
) -> Response {
    let Visit { who, c } = visit;
    let asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    let since = since.map(|Query(since)| since.since).unwrap_or_default();
    match site.desk.came_after(&asked.query(&who), since.parse().ok()).await {
        Ok(0) => Live::default().response(),
        Ok(count) => Live {
            text: c.t.p("desk-live-new").n("count", count.min(MOST_COUNTED)).to_string(),
            link: format!("/{}", asked.carried()),
            label: c.t.p("desk-live-show").to_string(),
            ..Live::default()
        }
        .response(),
        Err(error) => {
            tracing::warn!(%error, "new messages could not be counted");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

/// A message as a line of the list.
pub(super) fn line(t: &Words, row: &HeldLine) -> Line {
    let first = row.recipients.first().map(|one| calm(one, 80)).unwrap_or_default();
    let sender = match (row.author.as_str(), row.sender.as_str()) {
        ("", "") => t.p("desk-no-sender").to_string(),
        ("", address) => calm(address, LONGEST),
        (name, _) => calm(name, LONGEST),
    };
    let more = row.recipient_count.saturating_sub(1);
    let whom = if more == 0 { t.p("desk-line-one") } else { t.p("desk-line-more").n("more", more) };
    let risks = told(t, &row.risks);
    let why = risks.first().map(|risk| risk.said.clone());
    let organisations = row.risks.iter().map(|risk| risk.organisations).max().unwrap_or_default();
    let people = t.p("desk-people").n("count", row.recipient_count).to_string();
    let crowd = match organisations {
        0 | 1 => people,
        many => t
            .p("desk-crowd")
            .s("people", people)
            .s("organisations", t.p("desk-organisations").n("count", many))
            .to_string(),
    };
    Line {
        id: row.id,
        whom: whom.s("sender", sender).s("first", first).to_string(),
        subject: super::parts::subject(t, &row.subject),
        crowd,
        files: row.files,
        why: why.unwrap_or_default(),
        others: risks.iter().skip(1).take(3).map(|risk| risk.label.clone()).collect(),
        uncured: risks.first().is_some_and(|risk| !risk.cured),
        theirs: true,
        received: row.received,
        expires: row.expires,
        state: row.state,
        decided: super::sentence::decided(t, row),
        asked: row.asked && row.state == HeldState::Held,
        soon: row.state == HeldState::Held && row.expires.since(t.now).as_secs() < 24 * 3600,
    }
}

/// A stored held message as an entry of the list.
pub(super) fn as_line(row: &HeldRow) -> HeldLine {
    HeldLine {
        id: row.id,
        sender: row.sender.clone(),
        author: String::new(),
        files: 0,
        subject: row.subject.clone(),
        recipients: row.recipients.iter().take(5).cloned().collect(),
        recipient_count: row.recipients.len(),
        exposures: 0,
        risks: row.risks.clone(),
        reasons: row.reasons.clone(),
        reasons_ja: row.reasons_ja.clone(),
        kind: row.kind,
        received: row.received,
        expires: row.expires,
        state: row.state,
        decided_by: row.decided_by.clone(),
        decided_at: row.decided_at,
        decision: row.decision.clone(),
        asked: false,
    }
}
