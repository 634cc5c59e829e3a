//! `/`: what waits, and what was decided; filters, search, pages.

use super::super::Site;
use super::super::words::{Words, calm};
use super::answer;
use super::people::LONGEST;
use super::risks::{language, told};
use super::visit::{Chrome, Visit, show};
use crate::clock::Timestamp;
use crate::desk::principal::Principal;
use crate::id::Id;
use crate::message::Address;
use crate::store::{HeldLine, HeldQuery, HeldRow, HeldState};
use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// Messages on one page.
const ON_A_PAGE: usize = 50;
/// Longest text searched for, in characters.
const LONGEST_SEARCH: usize = 200;

/// What the page was asked for in its address.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Asked {
    /// `held` (the default), `released`, `returned`, `expired`, `all`.
    #[serde(default)]
    state: String,
    /// `mine`: only one's own mail.
    #[serde(default)]
    whose: String,
    /// A rule's name.
    #[serde(default)]
    rule: String,
    /// `yes`: only what its sender asks to be sent as it is.
    #[serde(default)]
    asked: String,
    /// Text to search for.
    #[serde(default)]
    q: String,
    /// The page after this message.
    #[serde(default)]
    after: String,
}

impl Asked {
    fn state(&self) -> Option<HeldState> {
        match self.state.as_str() {
            "all" => None,
            "released" => Some(HeldState::Released),
            "returned" => Some(HeldState::Returned),
            "expired" => Some(HeldState::Expired),
            _ => Some(HeldState::Held),
        }
    }

    fn is(&self, state: &str) -> bool {
        self.state == state
    }

    fn by(&self, rule: &str) -> bool {
        self.rule == rule
    }

    fn filtered(&self) -> bool {
        let usual = matches!(self.state.as_str(), "" | "held");
        !(usual
            && self.q.is_empty()
            && self.rule.is_empty()
            && self.whose.is_empty()
            && self.asked.is_empty())
    }

    /// The address of the next page.
    fn next(&self, after: Id) -> String {
        let mut path = String::from("/?");
        for (name, value) in [
            ("state", &self.state),
            ("whose", &self.whose),
            ("rule", &self.rule),
            ("asked", &self.asked),
            ("q", &self.q),
        ] {
            if !value.is_empty() {
                // Writing to a text cannot fail.
                let _ = write!(path, "{name}={}&", answer::encoded(value));
            }
        }
        path + "after=" + after.as_str()
    }
}

/// The page.
#[derive(Template)]
#[template(path = "list.html")]
struct List {
    c: Chrome,
    asked: Asked,
    lines: Vec<Line>,
    /// The rules that may have held something: names, and what people call them.
    rules: Vec<(String, String)>,
    next: Option<String>,
    /// At least one can be decided on by everybody's safe way.
    bulk: bool,
}

/// One message.
pub(super) struct Line {
    pub(super) id: Id,
    pub(super) whom: String,
    pub(super) subject: String,
    /// What is dangerous about it: the strongest risk,
    pub(super) why: String,
    /// and what the others are called.
    pub(super) others: Vec<String>,
    /// The strongest is left however it is sent.
    pub(super) uncured: bool,
    /// The visitor decides on it, or it is theirs.
    pub(super) theirs: bool,
    pub(super) received: Timestamp,
    pub(super) expires: Timestamp,
    pub(super) state: HeldState,
    pub(super) decided: Option<String>,
    /// Its deadline is near.
    pub(super) soon: bool,
    /// Its sender asks that it leave as it is.
    pub(super) asked: bool,
}

/// `GET /`
pub(super) async fn page(
    State(site): State<Arc<Site>>,
    visit: Visit,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let Visit { who, c } = visit.at("list");
    let mut asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    asked.q = asked.q.trim().chars().take(LONGEST_SEARCH).collect();
    match site.store.held_page(&query(&who, &asked)).await {
        Ok(found) => {
            let theirs = |row: &HeldLine| {
                let own =
                    who.addresses.iter().any(|one| Address::parse(&row.sender).is_ok_and(|to| to == *one));
                own || who.roles.admin || who.roles.approver
            };
            let each = |row| Line { theirs: theirs(row), ..line(&c.t, row) };
            let lines: Vec<Line> = found.lines.iter().map(each).collect();
            let next = found.next.map(|id| asked.next(id));
            let bulk = lines.iter().any(|line| line.state == HeldState::Held && line.theirs);
            let rules = rules(&site, &c.t);
            show(StatusCode::OK, &List { c, asked, lines, rules, next, bulk })
        }
        Err(error) => {
            tracing::warn!(%error, "the list could not be made");
            let (title, text) =
                (c.t.p("desk-unavailable-title").to_string(), c.t.p("desk-unavailable-text").to_string());
            answer::say(c, StatusCode::SERVICE_UNAVAILABLE, title, text, "")
        }
    }
}

/// The rules of the policy in force, by what people call them; of two with one title, the second is counted.
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

fn query(who: &Principal, asked: &Asked) -> HeldQuery {
    let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    HeldQuery {
        state: asked.state(),
        rule: filled(&asked.rule),
        as_is: asked.asked == "yes",
        text: filled(&asked.q),
        after: asked.after.parse().ok(),
        limit: ON_A_PAGE,
        ..HeldQuery::new(who.scope(asked.whose == "mine"))
    }
}

/// A message as a line.
pub(super) fn line(t: &Words, row: &HeldLine) -> Line {
    let first = row.recipients.first().map(|one| calm(one, 80)).unwrap_or_default();
    let sender =
        if row.sender.is_empty() { t.p("desk-no-sender").to_string() } else { calm(&row.sender, LONGEST) };
    let more = row.recipient_count.saturating_sub(1);
    let whom = if more == 0 { t.p("desk-line-one") } else { t.p("desk-line-more").n("more", more) };
    let risks = told(t, &row.risks);
    let why =
        risks.first().map(|risk| t.p("desk-risk").s("said", &risk.said).s("cure", &risk.cure).to_string());
    Line {
        id: row.id,
        whom: whom.s("sender", sender).s("first", first).to_string(),
        subject: super::held::subject(t, &row.subject),
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

/// A held message in full as a line of the list.
pub(super) fn as_line(row: &HeldRow) -> HeldLine {
    HeldLine {
        id: row.id,
        sender: row.sender.clone(),
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
