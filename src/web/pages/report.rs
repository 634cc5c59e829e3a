//! `/report`: what was passed, split, held and returned, and how long decisions took. Charts are drawn
//! here; beside each stands a table of the same numbers.

use super::super::Site;
use super::super::words::{Words, calm};
use super::answer;
use super::people::LONGEST;
use super::visit::{Chrome, Visit, show};
use crate::clock::Timestamp;
use crate::desk::report::Numbers;
use crate::store::HeldState;
use crate::store::known::{Day, Tally, Would, WouldBe};
use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Spans that can be chosen, in days; the second is the usual one.
const SPANS: [u64; 3] = [7, 30, 90];
/// What is drawn, from the bottom up, each in its colour.
const ACTIONS: [&str; 6] = ["pass", "split", "hold", "bcc", "delay", "reject"];
/// The chart's size in its own units.
const WIDTH: u64 = 720;
const HEIGHT: u64 = 200;
/// Room for the scale on the left, and for the days below.
const LEFT: u64 = 44;
const BELOW: u64 = 24;
/// Most rules or people listed.
const MOST: usize = 50;

#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    days: u64,
}

#[derive(Template)]
#[template(path = "report.html")]
struct Report {
    c: Chrome,
    days: u64,
    spans: [u64; 3],
    prevented: u64,
    accepted: u64,
    passed: u64,
    /// Passed because their people know each other; nothing where nothing is known of anybody.
    known: Option<u64>,
    apart: u64,
    waiting: u64,
    returned: u64,
    released: u64,
    median: Option<String>,
    most: Option<String>,
    chart: Chart,
    /// What would have been done to mail that passed in observe mode; nothing where there was none.
    would: Option<WouldHave>,
    /// All mail is counted; else what was held and the visitor may know of.
    everything: bool,
    rules: Vec<Held>,
    groups: Vec<Held>,
    /// Whom decisions were asked of.
    approvers: Vec<Held>,
}

/// What would have been done in observe mode.
struct WouldHave {
    prevented: u64,
    /// How often what would have been done, in words.
    actions: Vec<(String, u64)>,
    rules: Vec<WouldRow>,
    senders: Vec<WouldRow>,
}

/// Of one rule, or one sender.
struct WouldRow {
    name: String,
    messages: u64,
    exposures: u64,
}

/// A chart of stacked bars, one a day.
struct Chart {
    bars: Vec<Bar>,
    lines: Vec<(u64, String)>,
    labels: Vec<(u64, String)>,
    rows: Vec<Row>,
    legend: Vec<(usize, String)>,
    width: u64,
    height: u64,
    left: u64,
}

struct Bar {
    x: u64,
    y: u64,
    width: u64,
    height: u64,
    class: usize,
}

/// One day in the table.
struct Row {
    day: String,
    counts: Vec<u64>,
    prevented: u64,
}

/// Held messages of one rule, group or person.
struct Held {
    name: String,
    total: u64,
    counts: [u64; 4],
}

/// `GET /report`
pub(super) async fn page(
    State(site): State<Arc<Site>>,
    visit: Visit,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let Visit { who, c } = visit.at("report");
    if !c.decides() {
        return answer::gone(c);
    }
    let days = asked.map(|Query(asked)| asked.days).unwrap_or_default();
    let days = if SPANS.contains(&days) { days } else { SPANS[1] };
    let since = c.t.now.minus(Duration::from_hours(24 * days));
    let offset = i64::from(c.t.zone.to_offset(c.t.now.to_jiff()).seconds()) * 1_000;
    match site.desk.numbers(&who, since, offset).await {
        Ok(numbers) => show(StatusCode::OK, &make(c, days, &numbers)),
        Err(error) => {
            tracing::warn!(%error, "the report could not be made");
            let p = |key| c.t.p(key).to_string();
            let (title, text) = (p("desk-unavailable-title"), p("desk-unavailable-text"));
            answer::say(c, StatusCode::SERVICE_UNAVAILABLE, title, text, "")
        }
    }
}

fn make(c: Chrome, days: u64, numbers: &Numbers) -> Report {
    let accepted = |action: &str| numbers.accepted.get(action).copied().unwrap_or(0);
    let held = |state: HeldState| numbers.held.get(&state.to_string()).copied().unwrap_or(0);
    let span = |seconds: Option<u64>| seconds.map(|seconds| c.t.span(Duration::from_secs(seconds)));
    Report {
        days,
        spans: SPANS,
        everything: numbers.everything,
        prevented: numbers.exposures_prevented,
        accepted: numbers.accepted.values().sum(),
        passed: accepted("pass"),
        apart: accepted("split") + accepted("bcc"),
        waiting: held(HeldState::Held),
        returned: held(HeldState::Returned) + held(HeldState::Expired),
        released: held(HeldState::Released),
        median: span(numbers.decisions.median_seconds),
        most: span(numbers.decisions.nine_of_ten_seconds),
        chart: chart(&c.t, days, &numbers.days),
        rules: listed(&numbers.rules),
        groups: listed(&numbers.groups),
        approvers: listed(&numbers.approvers),
        known: (!numbers.knowledge.mails.is_empty()).then_some(numbers.knowledge.passed),
        would: would_have(&c.t, &numbers.would),
        c,
    }
}

fn would_have(t: &Words, would: &Would) -> Option<WouldHave> {
    if would.accepted.is_empty() {
        return None;
    }
    let rows = |all: &BTreeMap<String, WouldBe>| {
        let mut rows: Vec<WouldRow> = all
            .iter()
            .map(|(name, be)| WouldRow {
                name: if name.is_empty() { "<>".to_owned() } else { calm(name, LONGEST) },
                messages: be.messages,
                exposures: be.exposures_prevented,
            })
            .collect();
        rows.sort_by_key(|row| std::cmp::Reverse((row.exposures, row.messages)));
        rows.truncate(MOST);
        rows
    };
    let counts = ACTIONS.map(|action| (action, would.accepted.get(action).copied().unwrap_or(0)));
    let some = counts.into_iter().filter(|(_, count)| *count > 0);
    Some(WouldHave {
        prevented: would.exposures_prevented,
        actions: some.map(|(action, count)| (t.of("desk-would-", action), count)).collect(),
        rules: rows(&would.rules),
        senders: rows(&would.senders),
    })
}

fn listed(all: &Tally) -> Vec<Held> {
    let mut held: Vec<Held> = all
        .iter()
        .map(|(name, states)| {
            let counts = [HeldState::Held, HeldState::Released, HeldState::Returned, HeldState::Expired]
                .map(|state| states.get(&state).copied().unwrap_or(0));
            Held { name: calm(name, LONGEST), total: counts.iter().sum(), counts }
        })
        .collect();
    held.sort_by_key(|one| std::cmp::Reverse(one.total));
    held.truncate(MOST);
    held
}

fn chart(t: &Words, days: u64, found: &[Day]) -> Chart {
    let all = every_day(t, days, found);
    let of = |day: &Day| ACTIONS.map(|action| day.accepted.get(action).copied().unwrap_or(0));
    let highest = all.iter().map(|day| of(day).iter().sum::<u64>()).max().unwrap_or(0);
    let top = round_up(highest.max(4));
    let room = HEIGHT - BELOW;
    let slot = (WIDTH - LEFT) / all.len().max(1) as u64;
    let mut chart = Chart {
        bars: Vec::new(),
        lines: (0..=4).map(|part| (room - room * part / 4 + 8, (top * part / 4).to_string())).collect(),
        labels: Vec::new(),
        rows: Vec::new(),
        legend: Vec::new(),
        width: WIDTH,
        height: HEIGHT + 8,
        left: LEFT,
    };
    for (index, day) in all.iter().enumerate() {
        let counts = of(day);
        let x = LEFT + slot * index as u64 + slot / 8;
        let mut below = 0;
        for (class, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let (from, to) = (room * below / top, room * (below + count) / top);
            let height = (to - from).max(1);
            chart.bars.push(Bar {
                x,
                y: room + 8 - to,
                width: (slot * 3 / 4).max(2),
                height,
                class: class + 1,
            });
            below += count;
        }
        let name = short(t, day.begins);
        if index % all.len().div_ceil(8).max(1) == 0 {
            chart.labels.push((x, name.clone()));
        }
        if below > 0 || day.prevented > 0 {
            chart.rows.push(Row { day: name, counts: counts.to_vec(), prevented: day.prevented });
        }
    }
    chart.legend =
        ACTIONS.iter().enumerate().map(|(at, action)| (at + 1, t.of("desk-action-", action))).collect();
    chart
}

/// Every day of the span, those without mail too, oldest first.
fn every_day(t: &Words, days: u64, found: &[Day]) -> Vec<Day> {
    let offset = i64::from(t.zone.to_offset(t.now.to_jiff()).seconds()) * 1_000;
    let length = 24 * 3600 * 1_000;
    let today = (t.now.0 + offset).div_euclid(length);
    (0..=i64::try_from(days).unwrap_or(0))
        .rev()
        .map(|back| {
            let begins = Timestamp((today - back) * length - offset);
            let same = found.iter().find(|day| day.begins == begins);
            same.cloned().unwrap_or_else(|| Day { begins, accepted: BTreeMap::new(), prevented: 0 })
        })
        .collect()
}

/// The next number of one digit and zeros that four parts can be made of.
fn round_up(number: u64) -> u64 {
    let mut step = 4;
    while step < number {
        let eight = step.to_string().starts_with('8');
        step = if eight { step * 5 / 2 } else { step * 2 };
    }
    step
}

/// A day in few letters.
fn short(t: &Words, begins: Timestamp) -> String {
    let zoned = begins.to_jiff().to_zoned(t.zone.clone());
    match t.lang() {
        "ja" => zoned.strftime("%-m/%-d").to_string(),
        _ => zoned.strftime("%-d %b").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::words::Tongue;
    use super::*;
    use jiff::tz::TimeZone;

    #[test]
    fn scales_are_round() {
        for (number, top) in [(0, 4), (4, 4), (5, 8), (9, 20), (21, 40), (41, 80), (150, 200), (5_000, 8_000)]
        {
            assert_eq!(round_up(number), top, "{number}");
        }
    }

    #[test]
    fn a_chart_has_every_day_and_stays_within_its_frame() {
        let t = Words { tongue: Tongue::Ja, now: Timestamp(1_790_000_000_000), zone: TimeZone::UTC };
        let empty = chart(&t, 30, &[]);
        assert!(empty.bars.is_empty() && empty.rows.is_empty());
        let begins = every_day(&t, 30, &[])[30].begins;
        let accepted = BTreeMap::from([("pass".to_owned(), 7), ("hold".to_owned(), 1)]);
        let full = chart(&t, 30, &[Day { begins, accepted, prevented: 132 }]);
        assert_eq!(full.bars.len(), 2);
        assert!(full.bars.iter().all(|bar| bar.x + bar.width <= WIDTH && bar.y + bar.height <= HEIGHT));
        assert_eq!(full.rows[0].counts, [7, 0, 1, 0, 0, 0]);
    }
}
