//! Figures for a span of time, within a scope: days, held messages by their terms, and how long decisions took.

use super::encode::{sender_of, to_json};
use super::error::Failure;
use super::{codes, since, terms};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::store::known::{Activity, Day, PACES, Tally};
use crate::store::sql::db::{Connection, params};
use crate::store::{HeldState, Scope};
use std::collections::BTreeMap;
use std::time::Duration;

/// One day, in milliseconds.
const DAY: i64 = 24 * 3600 * 1000;
/// The maximum number of decisions whose duration is evaluated.
const MOST_WAITS: usize = 100_000;

/// What is counted.
pub(in crate::store) struct Span {
    /// The terms of the messages, as a JSON list; `None` counts everything.
    terms: Option<String>,
    /// When it begins.
    since: Timestamp,
    /// The first id that may be in it.
    from: Id,
    /// Its first message.
    pub(in crate::store) first: i64,
}

impl Span {
    pub(in crate::store) fn of(db: &Connection, scope: &Scope, since: Timestamp) -> Result<Self, Failure> {
        // As in the summary: ids begin with the time, and one more hour covers a clock that was set back.
        let from = Id::new(since.minus(Duration::from_hours(1)), 0);
        let first = since::first_since(db, since)?;
        let terms = match scope {
            Scope::All => None,
            Scope::Of { .. } => Some(to_json(&terms::scope_terms(scope))?),
        };
        Ok(Self { terms, since, from, first: first.unwrap_or(i64::MAX) })
    }
}

/// See [`crate::store::known::KnownStore::activity`].
pub(in crate::store) fn activity(
    db: &Connection,
    scope: &Scope,
    since: Timestamp,
    offset: i64,
) -> Result<Activity, Failure> {
    let span = Span::of(db, scope, since)?;
    let mut activity = Activity { days: days(db, &span, offset)?, ..Activity::default() };
    activity.rules = by_term(db, &span, "u:", "u;")?;
    activity.approvers = by_term(db, &span, "a:", "a;")?;
    let mut held = db.prepare_cached(
        "SELECT state, count(*) FROM held WHERE item = message AND (state = 0 OR message >= ?1) AND \
         (CAST(?2 AS TEXT) IS NULL OR message IN (SELECT message FROM held_terms WHERE term IN \
         (SELECT value FROM json_each(?2)))) GROUP BY state",
    )?;
    let mut rows = held.query(params![span.first, span.terms])?;
    while let Some(row) = rows.next()? {
        if let Some(state) = codes::to_held(row.get(0)?) {
            activity.held.insert(state, codes::count(row.get(1)?));
        }
    }
    let mut waits = db.prepare_cached(
        "SELECT h.decided_at - m.received AS wait FROM held h JOIN messages m ON m.row = h.message \
         WHERE h.message >= ?1 AND h.item = h.message AND h.state IN (?2, ?3) AND \
         (CAST(?5 AS TEXT) IS NULL OR h.message IN (SELECT message FROM held_terms WHERE term IN \
         (SELECT value FROM json_each(?5)))) ORDER BY wait LIMIT ?4",
    )?;
    let (released, returned) = (codes::held(HeldState::Released), codes::held(HeldState::Returned));
    let most = codes::number(MOST_WAITS);
    let mut rows = waits.query(params![span.first, released, returned, most, span.terms])?;
    while let Some(row) = rows.next()? {
        activity.waits.push(Duration::from_millis(codes::count(row.get(0)?)));
    }
    activity.unchanged = unchanged(db, &span)?;
    activity.paces = paces(db, &span)?;
    Ok(activity)
}

/// Held messages of the span that were released as is, by rule.
fn unchanged(db: &Connection, span: &Span) -> Result<BTreeMap<String, u64>, Failure> {
    let mut select = db.prepare_cached(
        "SELECT t.term, count(*) FROM held_terms t JOIN held h ON h.message = t.message \
         WHERE t.term >= 'u:' AND t.term < 'u;' AND t.state = ?1 AND t.message >= ?2 AND h.decision = 'as-is' AND \
         (CAST(?3 AS TEXT) IS NULL OR t.message IN (SELECT message FROM held_terms WHERE term IN \
         (SELECT value FROM json_each(?3)))) GROUP BY t.term",
    )?;
    let released = codes::held(HeldState::Released);
    let mut rows = select.query(params![released, span.first, span.terms])?;
    let mut found = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let term: String = row.get(0)?;
        found.insert(term.get(2..).unwrap_or_default().to_owned(), codes::count(row.get(1)?));
    }
    Ok(found)
}

/// How quickly each person decided on held messages of the span.
fn paces(db: &Connection, span: &Span) -> Result<BTreeMap<String, [u64; 4]>, Failure> {
    let mut select = db.prepare_cached(
        "SELECT h.decided_by, \
         CASE WHEN h.decided_at - m.received < ?4 THEN 0 WHEN h.decided_at - m.received < ?5 THEN 1 \
         WHEN h.decided_at - m.received < ?6 THEN 2 ELSE 3 END AS pace, count(*) \
         FROM held h JOIN messages m ON m.row = h.message \
         WHERE h.message >= ?1 AND h.item = h.message AND h.state IN (?2, ?3) AND \
         (CAST(?7 AS TEXT) IS NULL OR h.message IN (SELECT message FROM held_terms WHERE term IN \
         (SELECT value FROM json_each(?7)))) GROUP BY 1, 2",
    )?;
    let (released, returned) = (codes::held(HeldState::Released), codes::held(HeldState::Returned));
    let [first, second, third] = PACES.map(|span| i64::try_from(span.as_millis()).unwrap_or(i64::MAX));
    let mut rows = select.query(params![span.first, released, returned, first, second, third, span.terms])?;
    let mut found: BTreeMap<String, [u64; 4]> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (by, pace): (String, u8) = (row.get(0)?, row.get(1)?);
        if let Some(count) = found.entry(by).or_default().get_mut(usize::from(pace)) {
            *count += codes::count(row.get(2)?);
        }
    }
    Ok(found)
}

/// See [`crate::store::known::KnownStore::days`].
pub(in crate::store) fn days_since(
    db: &Connection,
    scope: &Scope,
    since: Timestamp,
    offset: i64,
) -> Result<Vec<Day>, Failure> {
    days(db, &Span::of(db, scope, since)?, offset)
}

fn days(db: &Connection, span: &Span, offset: i64) -> Result<Vec<Day>, Failure> {
    let mut select = db.prepare_cached(
        "SELECT (received + ?3) / ?4 AS day, action, count(*), sum(exposures * prevented) FROM messages \
         WHERE id >= ?1 AND received >= ?2 AND (CAST(?5 AS TEXT) IS NULL OR row IN (SELECT message FROM held_terms WHERE \
         term IN (SELECT value FROM json_each(?5)))) GROUP BY 1, 2 ORDER BY 1",
    )?;
    let mut rows = select.query(params![span.from.as_str(), span.since.0, offset, DAY, span.terms])?;
    let mut days: Vec<Day> = Vec::new();
    while let Some(row) = rows.next()? {
        let begins = Timestamp(row.get::<_, i64>(0)? * DAY - offset);
        if days.last().is_none_or(|day| day.begins != begins) {
            days.push(Day { begins, accepted: BTreeMap::new(), prevented: 0 });
        }
        let Some(day) = days.last_mut() else { continue };
        day.prevented += codes::count(row.get(3)?);
        let action: String = row.get(1)?;
        if action != "own" {
            day.accepted.insert(action, codes::count(row.get(2)?));
        }
    }
    Ok(days)
}

/// Held messages of the span, by the terms of one kind and by state.
fn by_term(db: &Connection, span: &Span, from: &str, to: &str) -> Result<Tally, Failure> {
    let mut select = db.prepare_cached(
        "SELECT term, state, count(*) FROM held_terms WHERE term >= ?1 AND term < ?2 AND message >= ?3 AND \
         (CAST(?4 AS TEXT) IS NULL OR message IN (SELECT message FROM held_terms WHERE term IN \
         (SELECT value FROM json_each(?4)))) GROUP BY term, state",
    )?;
    let mut rows = select.query(params![from, to, span.first, span.terms])?;
    let mut found = Tally::new();
    while let Some(row) = rows.next()? {
        let term: String = row.get(0)?;
        let Some(state) = codes::to_held(row.get(1)?) else { continue };
        let name = term.get(from.len()..).unwrap_or_default().to_owned();
        // Terms of whole domains are among those of addresses.
        if name.starts_with('@') {
            continue;
        }
        found.entry(name).or_default().insert(state, codes::count(row.get(2)?));
    }
    Ok(found)
}

/// See [`crate::store::known::KnownStore::held_senders`].
pub(in crate::store) fn senders(db: &Connection, scope: &Scope, since: Timestamp) -> Result<Tally, Failure> {
    let span = Span::of(db, scope, since)?;
    let mut select = db.prepare_cached(
        "SELECT m.people, h.state FROM held h JOIN messages m ON m.row = h.message WHERE h.message >= ?1 AND \
         h.item = h.message AND (CAST(?2 AS TEXT) IS NULL OR h.message IN (SELECT message FROM held_terms WHERE term IN \
         (SELECT value FROM json_each(?2))))",
    )?;
    let mut rows = select.query(params![span.first, span.terms])?;
    let mut found = Tally::new();
    while let Some(row) = rows.next()? {
        let people: String = row.get(0)?;
        let Some(state) = codes::to_held(row.get(1)?) else { continue };
        let states = match found.get_mut(sender_of(&people)) {
            Some(states) => states,
            None => found.entry(sender_of(&people).to_owned()).or_default(),
        };
        *states.entry(state).or_default() += 1;
    }
    Ok(found)
}
