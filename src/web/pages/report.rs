//! `/report`: messages held, split and returned, compared with the previous period; who decided how quickly;
//! senders and rules with the most holds, with links to them. `/report.csv` has the tables.

use super::super::Site;
use super::super::words::{Words, calm};
use super::answer;
use super::chart::{Chart, chart};
use super::csv;
use super::people::LONGEST;
use super::visit::{Chrome, Visit, show};
use crate::clock::Timestamp;
use crate::desk::DeskError;
use crate::desk::report::Numbers;
use crate::policy::verdict::Bilingual;
use crate::store::HeldState;
use crate::store::known::{Tally, Would, WouldBe};
use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Spans that can be chosen, in days; the second is the usual one.
const SPANS: [u64; 3] = [7, 30, 90];
/// The actions.
const ACTIONS: [&str; 6] = ["pass", "split", "hold", "bcc", "delay", "reject"];
/// Most rules or people listed.
const MOST: usize = 50;
/// How many of these are shown before unfolding.
const FIRST: usize = 5;

#[derive(Debug, Default, Deserialize)]
pub(super) struct PageQuery {
    #[serde(default)]
    days: u64,
    /// The table: `days`, `rules`, `senders`.
    #[serde(default)]
    of: String,
}

#[derive(Template)]
#[template(path = "report.html")]
struct Report {
    c: Chrome,
    days: u64,
    spans: [u64; 3],
    figures: Vec<Figure>,
    median: Option<String>,
    most: Option<String>,
    chart: Chart,
    /// What enforce mode would have done with mail that passed in observe mode; `None` if there was none.
    would: Option<WouldHave>,
    /// Whether all mail is counted; otherwise only held mail that the visitor may see.
    everything: bool,
    rules: Vec<Held>,
    groups: Vec<Held>,
    /// Held messages by approver.
    approvers: Vec<Held>,
    senders: Vec<Held>,
    /// How quickly people decided.
    paces: Vec<Pace>,
}

/// A figure, compared with the previous period.
struct Figure {
    number: u64,
    what: String,
    change: String,
    lead: bool,
}

/// How quickly one person decided.
struct Pace {
    name: String,
    counts: [u64; 4],
    /// Start and width of each part of the bar, in percent, with its count.
    parts: Vec<(u64, u64, usize)>,
}

/// What enforce mode would have done.
struct WouldHave {
    prevented: u64,
    /// The actions in words, with their counts.
    actions: Vec<(String, u64)>,
    rules: Vec<WouldRow>,
    senders: Vec<WouldRow>,
}

/// The figures of one rule or sender.
struct WouldRow {
    name: String,
    /// The rule's name in the policy, if `name` is a title.
    slug: String,
    messages: u64,
    exposures: u64,
}

/// Held messages of one rule, group or person.
struct Held {
    name: String,
    /// The rule's name in the policy, if `name` is a title.
    slug: String,
    /// The URL of the list of these messages.
    link: String,
    total: u64,
    counts: [u64; 4],
    /// How many of the decided ones were released as is, which suggests false alarms.
    unchanged: String,
}

/// `GET /report`
pub(super) async fn page(
    State(site): State<Arc<Site>>,
    visit: Visit,
    asked: Result<Query<PageQuery>, QueryRejection>,
) -> Response {
    let Visit { who, c } = visit.at("report");
    if !c.decides() {
        return answer::gone(c);
    }
    let days = asked.map(|Query(asked)| asked.days).unwrap_or_default();
    let days = if SPANS.contains(&days) { days } else { SPANS[1] };
    match site.desk.numbers_compared(&who, since(&c.t, days), offset(&c.t)).await {
        Ok(numbers) => {
            let titles = site.desk.examiner.borrow().policy.titles();
            show(StatusCode::OK, &make(c, days, &numbers, &titles))
        }
        Err(error) => unavailable(c, &error),
    }
}

/// `GET /report.csv`: the same period as a table.
pub(super) async fn table(
    State(site): State<Arc<Site>>,
    visit: Visit,
    asked: Result<Query<PageQuery>, QueryRejection>,
) -> Response {
    let Visit { who, c } = visit.at("report");
    if !c.decides() {
        return answer::gone(c);
    }
    let asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    let days = if SPANS.contains(&asked.days) { asked.days } else { SPANS[1] };
    match site.desk.numbers(&who, since(&c.t, days), offset(&c.t)).await {
        Ok(numbers) => {
            let name = if csv::WORDS.contains(&asked.of.as_str()) { &asked.of } else { csv::WORDS[0] };
            let headers = [
                (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
                (header::CONTENT_DISPOSITION, format!("attachment; filename=\"sekisho-{name}-{days}d.csv\"")),
            ];
            let titles = site.desk.examiner.borrow().policy.titles();
            (headers, csv::table(&c.t, name, &numbers, &titles)).into_response()
        }
        Err(error) => unavailable(c, &error),
    }
}

/// The start of a period of that many days, at the start of a day, so that the chart and the sums agree.
fn since(t: &Words, days: u64) -> Timestamp {
    let length = 24 * 3600 * 1_000;
    let today = (t.now.0 + offset(t)).div_euclid(length) * length - offset(t);
    Timestamp(today).minus(Duration::from_hours(24 * days))
}

/// How much earlier than in UTC days begin, in milliseconds.
fn offset(t: &Words) -> i64 {
    i64::from(t.zone.to_offset(t.now.to_jiff()).seconds()) * 1_000
}

fn unavailable(c: Chrome, error: &DeskError) -> Response {
    tracing::warn!(%error, "the report could not be shown");
    let p = |key| c.t.p(key).to_string();
    let (title, text) = (p("desk-unavailable-title"), p("desk-unavailable-text"));
    answer::say(c, StatusCode::SERVICE_UNAVAILABLE, title, text, "")
}

fn make(c: Chrome, days: u64, numbers: &Numbers, titles: &HashMap<String, Bilingual>) -> Report {
    let span = |seconds: Option<u64>| seconds.map(|seconds| c.t.span(Duration::from_secs(seconds)));
    let rule = |name: &str| format!("/?state=all&rule={}", answer::encoded(name));
    let sender = |name: &str| format!("/?state=all&q={}", answer::encoded(name));
    let called = |name: &str| titles.get(name).map(|title| title.text(c.t.tongue.language()).to_owned());
    let mut rules = listed(&numbers.rules, rule);
    for one in &mut rules {
        one.unchanged =
            share(numbers.unchanged.get(&one.name).copied().unwrap_or(0), one.counts[1] + one.counts[2]);
        if let Some(title) = called(&one.name) {
            one.slug = std::mem::replace(&mut one.name, title);
        }
    }
    Report {
        days,
        spans: SPANS,
        everything: numbers.everything,
        figures: figures(&c.t, numbers),
        median: span(numbers.decisions.median_seconds),
        most: span(numbers.decisions.nine_of_ten_seconds),
        chart: chart(&c.t, days, &numbers.days),
        rules,
        groups: listed(&numbers.groups, |_| String::new()),
        approvers: listed(&numbers.approvers, |_| String::new()),
        senders: listed(&numbers.senders, sender),
        paces: paces(&numbers.paces),
        would: would_have(&c.t, &numbers.would, &called),
        c,
    }
}

/// The figures at the top, compared with the previous period if there is one.
fn figures(t: &Words, numbers: &Numbers) -> Vec<Figure> {
    let held = |state: HeldState| numbers.held.get(&state.to_string()).copied().unwrap_or(0);
    let sum = |of: &BTreeMap<String, u64>, actions: &[&str]| -> u64 {
        actions.iter().filter_map(|action| of.get(*action)).sum()
    };
    let before = |actions: &[&str]| numbers.before.as_ref().map(|before| sum(&before.accepted, actions));
    let apart = ["split", "bcc"];
    let prevented = numbers.exposures_prevented;
    let prevented_before = numbers.before.as_ref().map(|before| before.exposures_prevented);
    let mut all = vec![("desk-report-prevented", prevented, prevented_before)];
    all.push(("desk-report-held-all", sum(&numbers.accepted, &["hold"]), before(&["hold"])));
    if numbers.everything {
        all.push(("desk-report-apart", sum(&numbers.accepted, &apart), before(&apart)));
        all.push(("desk-report-passed", sum(&numbers.accepted, &["pass"]), before(&["pass"])));
    }
    all.push(("desk-report-waiting", held(HeldState::Held), None));
    all.push(("desk-report-released", held(HeldState::Released), None));
    all.push(("desk-report-returned", held(HeldState::Returned) + held(HeldState::Expired), None));
    let figure = |(key, number, before): (&'static str, u64, Option<u64>)| Figure {
        number,
        what: t.p(key).to_string(),
        change: before.map_or_else(String::new, |before| change(t, number, before)),
        lead: key == "desk-report-prevented",
    };
    let mut figures: Vec<Figure> = all.into_iter().map(figure).collect();
    // mail that passed because its people know each other, if anything was learned
    if !numbers.knowledge.mails.is_empty()
        && let Some(passed) = figures.get_mut(3)
    {
        let known = t.p("desk-report-known").n("count", numbers.knowledge.passed);
        let both = format!("{} {known}", passed.change);
        both.trim().clone_into(&mut passed.change);
    }
    figures
}

/// The change in words (`12% more than the previous period`); empty if there was nothing before.
fn change(t: &Words, now: u64, before: u64) -> String {
    if before == 0 {
        return String::new();
    }
    let percent = (now.abs_diff(before) * 100 + before / 2) / before;
    let key = match (percent, now > before) {
        (0, _) => "desk-report-same",
        (_, true) => "desk-report-more",
        (_, false) => "desk-report-fewer",
    };
    t.p(key).n("percent", percent).n("before", before).to_string()
}

/// A share in words (`3 of 12 (25%)`); empty if nothing was decided.
fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return String::new();
    }
    format!("{part} / {whole}（{}%）", (part * 100 + whole / 2) / whole)
        .replace('（', " (")
        .replace('）', ")")
}

/// How quickly people decided, most decisions first.
fn paces(all: &BTreeMap<String, [u64; 4]>) -> Vec<Pace> {
    let mut paces: Vec<Pace> = all
        .iter()
        .map(|(name, counts)| {
            let total = counts.iter().sum::<u64>().max(1);
            let mut parts = Vec::new();
            let mut below = 0;
            for (class, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                let (from, to) = (below * 100 / total, (below + count) * 100 / total);
                parts.push((from, to - from, class + 1));
                below += count;
            }
            Pace { name: calm(name, LONGEST), counts: *counts, parts }
        })
        .collect();
    paces.sort_by_key(|pace| std::cmp::Reverse(pace.counts.iter().sum::<u64>()));
    paces.truncate(MOST);
    paces
}

fn would_have(t: &Words, would: &Would, called: &dyn Fn(&str) -> Option<String>) -> Option<WouldHave> {
    if would.accepted.is_empty() {
        return None;
    }
    let rows = |all: &BTreeMap<String, WouldBe>| {
        let mut rows: Vec<WouldRow> = all
            .iter()
            .map(|(name, be)| WouldRow {
                name: if name.is_empty() { "<>".to_owned() } else { calm(name, LONGEST) },
                slug: String::new(),
                messages: be.messages,
                exposures: be.exposures_prevented,
            })
            .collect();
        rows.sort_by_key(|row| std::cmp::Reverse((row.exposures, row.messages)));
        rows.truncate(MOST);
        rows
    };
    let titled = |mut rows: Vec<WouldRow>| {
        for row in &mut rows {
            if let Some(title) = called(&row.name) {
                row.slug = std::mem::replace(&mut row.name, title);
            }
        }
        rows
    };
    let counts = ACTIONS.map(|action| (action, would.accepted.get(action).copied().unwrap_or(0)));
    let some = counts.into_iter().filter(|(_, count)| *count > 0);
    Some(WouldHave {
        prevented: would.exposures_prevented,
        actions: some.map(|(action, count)| (t.of("desk-would-", action), count)).collect(),
        rules: titled(rows(&would.rules)),
        senders: rows(&would.senders),
    })
}

fn listed(all: &Tally, link: impl Fn(&str) -> String) -> Vec<Held> {
    let mut held: Vec<Held> = all
        .iter()
        .map(|(name, states)| {
            let counts = [HeldState::Held, HeldState::Released, HeldState::Returned, HeldState::Expired]
                .map(|state| states.get(&state).copied().unwrap_or(0));
            let (total, unchanged) = (counts.iter().sum(), String::new());
            let link = if name.is_empty() { String::new() } else { link(name) };
            let name = if name.is_empty() { "<>".to_owned() } else { calm(name, LONGEST) };
            Held { name, slug: String::new(), link, total, counts, unchanged }
        })
        .collect();
    held.sort_by_key(|one| std::cmp::Reverse(one.total));
    held.truncate(MOST);
    held
}

#[cfg(test)]
mod tests {
    use super::super::super::words::Tongue;
    use super::*;
    use jiff::tz::TimeZone;

    fn words() -> Words {
        Words { tongue: Tongue::En, now: Timestamp(1_790_000_000_000), zone: TimeZone::UTC }
    }

    #[test]
    fn a_number_is_compared_with_the_span_before() {
        let t = words();
        assert_eq!(change(&t, 5, 0), "", "nothing can be said of nothing");
        assert!(change(&t, 88, 100).contains("12"), "{}", change(&t, 88, 100));
        assert_ne!(change(&t, 88, 100), change(&t, 112, 100));
        for (now, before) in [(100, 100), (1_000, 1_001)] {
            let said = change(&t, now, before);
            assert!(said.starts_with("the same"), "less than half a percent is no change: {said}");
        }
    }

    #[test]
    fn shares_and_strips() {
        assert_eq!(share(0, 0), "");
        assert_eq!(share(3, 12), "3 / 12 (25%)");
        let all = BTreeMap::from([("a".to_owned(), [1, 0, 0, 2]), ("b".to_owned(), [9, 0, 0, 0])]);
        let strips = paces(&all);
        assert_eq!(strips[0].name, "b");
        assert_eq!(strips[1].parts, [(0, 33, 1), (33, 67, 4)], "a strip is full");
    }

    #[test]
    fn a_span_begins_with_a_day_of_the_zone() {
        let mut t = words();
        for zone in [TimeZone::UTC, TimeZone::fixed(jiff::tz::offset(9))] {
            t.zone = zone;
            let begins = since(&t, 7);
            assert_eq!((begins.0 + offset(&t)).rem_euclid(24 * 3600 * 1_000), 0);
            let days = t.now.since(begins).as_secs() / (24 * 3600);
            assert_eq!(days, 7);
        }
    }
}
