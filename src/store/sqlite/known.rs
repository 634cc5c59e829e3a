//! Whom each sender's mail reached before: one row a pair, written at most once a day; and the numbers of
//! the report page.

use super::encode::sender_of;
use super::error::Failure;
use super::{codes, schema};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::message::Address;
use crate::store::known::{Activity, Correspondents, Day};
use crate::store::{AttemptResult, DeliveryState, HeldState};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeMap;
use std::time::Duration;

/// A pair is written again only when its day is over: what is asked is how many days ago.
const DAY: i64 = 24 * 3600 * 1000;
/// Most decisions whose time is looked at.
const MOST_WAITS: usize = 100_000;

/// Notes whom an attempt reached. Mail of our own making, and mail without a sender, is nobody's.
pub(super) fn note(tx: &Connection, result: &AttemptResult) -> Result<(), Failure> {
    let reached = || result.recipients.iter().filter(|(_, one)| one.state == DeliveryState::Delivered);
    if reached().next().is_none() {
        return Ok(());
    }
    let message = schema::message_of(result.lease.delivery);
    let people: Option<(String, String)> = tx
        .prepare_cached("SELECT people, action FROM messages WHERE row = ?1")?
        .query_row([message], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((people, action)) = people else { return Ok(()) };
    let Ok(sender) = Address::parse(sender_of(&people)) else { return Ok(()) };
    if action == "own" {
        return Ok(());
    }
    let mut put = tx.prepare_cached(
        "INSERT INTO correspondents (sender, recipient, last) VALUES (?1, ?2, ?3) \
         ON CONFLICT (sender, recipient) DO UPDATE SET last = excluded.last WHERE last < excluded.last - ?4",
    )?;
    for (recipient, _) in reached() {
        put.execute(params![sender.key(), recipient.key(), result.at.0, DAY])?;
    }
    Ok(())
}

/// See [`crate::store::known::KnownStore::correspondents`].
pub(super) fn correspondents(
    db: &Connection,
    sender: &Address,
    recipients: &[Address],
    most: usize,
) -> Result<Correspondents, Failure> {
    let mut found = Correspondents::default();
    let mut one =
        db.prepare_cached("SELECT last FROM correspondents WHERE sender = ?1 AND recipient = ?2")?;
    for recipient in recipients {
        let last: Option<i64> =
            one.query_row([sender.key(), recipient.key()], |row| row.get(0)).optional()?;
        if let Some(last) = last {
            found.last.insert(recipient.key().to_owned(), Timestamp(last));
        }
    }
    let mut domains = db.prepare_cached(
        "SELECT DISTINCT substr(recipient, instr(recipient, '@') + 1) FROM \
         (SELECT recipient FROM correspondents WHERE sender = ?1 LIMIT 20000) LIMIT ?2",
    )?;
    let mut rows = domains.query(params![sender.key(), codes::number(most)])?;
    while let Some(row) = rows.next()? {
        found.domains.push(row.get(0)?);
    }
    Ok(found)
}

/// See [`crate::store::known::KnownStore::activity`].
pub(super) fn activity(db: &Connection, since: Timestamp, offset: i64) -> Result<Activity, Failure> {
    // As in the summary: ids begin with the time, and an hour more covers a clock that was set back.
    let from = Id::new(since.minus(Duration::from_hours(1)), 0);
    let mut activity = Activity { days: days(db, since, offset, from)?, ..Activity::default() };
    let first: Option<i64> = db
        .prepare_cached("SELECT row FROM messages WHERE id >= ?1 AND received >= ?2 ORDER BY id LIMIT 1")?
        .query_row(params![from.as_str(), since.0], |row| row.get(0))
        .optional()?;
    let first = first.unwrap_or(i64::MAX);
    activity.rules = by_term(db, "u:", "u;", first)?;
    activity.approvers = by_term(db, "a:", "a;", first)?;
    let mut waits = db.prepare_cached(
        "SELECT h.decided_at - m.received AS wait FROM held h JOIN messages m ON m.row = h.message \
         WHERE h.message >= ?1 AND h.state IN (?2, ?3) ORDER BY wait LIMIT ?4",
    )?;
    let (released, returned) = (codes::held(HeldState::Released), codes::held(HeldState::Returned));
    let mut rows = waits.query(params![first, released, returned, codes::number(MOST_WAITS)])?;
    while let Some(row) = rows.next()? {
        activity.waits.push(Duration::from_millis(codes::count(row.get(0)?)));
    }
    Ok(activity)
}

fn days(db: &Connection, since: Timestamp, offset: i64, from: Id) -> Result<Vec<Day>, Failure> {
    let mut select = db.prepare_cached(
        "SELECT (received + ?3) / ?4 AS day, action, count(*), sum(exposures * prevented) FROM messages \
         WHERE id >= ?1 AND received >= ?2 GROUP BY 1, 2 ORDER BY 1",
    )?;
    let mut rows = select.query(params![from.as_str(), since.0, offset, DAY])?;
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

/// Held messages from `first` on by a kind of term and their state.
fn by_term(
    db: &Connection,
    from: &str,
    to: &str,
    first: i64,
) -> Result<BTreeMap<String, BTreeMap<HeldState, u64>>, Failure> {
    let mut select = db.prepare_cached(
        "SELECT term, state, count(*) FROM held_terms WHERE term >= ?1 AND term < ?2 AND message >= ?3 \
         GROUP BY term, state",
    )?;
    let mut rows = select.query(params![from, to, first])?;
    let mut found: BTreeMap<String, BTreeMap<HeldState, u64>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let term: String = row.get(0)?;
        let Some(state) = codes::to_held(row.get(1)?) else { continue };
        let name = term.get(from.len()..).unwrap_or_default().to_owned();
        // Terms of whole domains stand beside those of addresses.
        if name.starts_with('@') {
            continue;
        }
        found.entry(name).or_default().insert(state, codes::count(row.get(2)?));
    }
    Ok(found)
}

/// Forgets pairs not written to since a moment.
pub(super) fn forget(tx: &Connection, before: Timestamp) -> Result<usize, Failure> {
    Ok(tx.prepare_cached("DELETE FROM correspondents WHERE last < ?1")?.execute([before.0])?)
}
