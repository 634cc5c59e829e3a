//! What observe mode would have done, for one message and over a span of time; and the totals, which no purge
//! reduces.

use super::encode::{from_json, sender_of};
use super::error::Failure;
use super::numbers::Span;
use super::{codes, read};
use crate::clock::Timestamp;
use crate::store::known::{Counted, Totals, Would, WouldBe};
use crate::store::sql::db::{Connection, OptionalExtension, params};
use crate::store::{QueueRow, Scope};

/// The maximum number of senders in one answer; those with the most exposures are chosen.
const MOST_SENDERS: usize = 1_000;

/// The rules that demanded something, each with its reason in English and in Japanese.
type Rules = Vec<(String, String, String)>;

/// What would have been done with a message, and why, in English; `None` if its verdict was carried out.
pub(in crate::store) fn of(db: &Connection, message: i64) -> Result<Option<(String, Vec<String>)>, Failure> {
    let found: Option<(String, String)> = db
        .prepare_cached("SELECT action, rules FROM observed WHERE message = ?1")?
        .query_row([message], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((action, rules)) = found else { return Ok(None) };
    let rules: Rules = from_json(&rules)?;
    Ok(Some((action, rules.into_iter().map(|(_, why, _)| why).collect())))
}

/// Adds to each copy what would have been done with its message.
pub(in crate::store) fn tell(db: &Connection, rows: &mut [QueueRow]) -> Result<(), Failure> {
    let mut select = db.prepare_cached(
        "SELECT o.action FROM observed o JOIN messages m ON m.row = o.message WHERE m.id = ?1",
    )?;
    let mut last = None;
    for row in rows {
        // The copies of one message are adjacent.
        let would = match last.take() {
            Some((message, would)) if message == row.message => would,
            _ => select.query_row([row.message.as_str()], |found| found.get(0)).optional()?,
        };
        row.would.clone_from(&would);
        last = Some((row.message, would));
    }
    Ok(())
}

/// See [`crate::store::known::KnownStore::would`].
pub(in crate::store) fn would(db: &Connection, since: Timestamp) -> Result<Would, Failure> {
    let span = Span::of(db, &Scope::All, since)?;
    let mut select = db.prepare_cached(
        "SELECT o.action, o.prevented, o.rules, m.people FROM observed o JOIN messages m ON m.row = o.message \
         WHERE o.message >= ?1",
    )?;
    let mut rows = select.query([span.first])?;
    let mut found = Would::default();
    while let Some(row) = rows.next()? {
        let action: String = row.get(0)?;
        let exposures = codes::count(row.get(1)?);
        found.exposures_prevented += exposures;
        if action != "pass" {
            let add = |be: &mut WouldBe| {
                be.messages += 1;
                be.exposures_prevented += exposures;
            };
            let rules: Rules = from_json(&row.get::<_, String>(2)?)?;
            for (name, ..) in rules {
                add(found.rules.entry(name).or_default());
            }
            let people = row.get_ref(3)?.as_str()?;
            add(found.senders.entry(sender_of(people).to_owned()).or_default());
        }
        *found.accepted.entry(action).or_default() += 1;
    }
    if found.senders.len() > MOST_SENDERS {
        let mut senders: Vec<(String, WouldBe)> = found.senders.into_iter().collect();
        senders.sort_by_key(|(_, be)| std::cmp::Reverse((be.exposures_prevented, be.messages)));
        found.senders = senders.into_iter().take(MOST_SENDERS).collect();
    }
    Ok(found)
}

/// See [`crate::store::known::KnownStore::totals`].
pub(in crate::store) fn totals(db: &Connection, since: Timestamp) -> Result<Totals, Failure> {
    let mut totals = Totals::default();
    let mut select = db.prepare_cached("SELECT kind, name, value FROM totals")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (name, value): (String, u64) = (row.get(1)?, codes::count(row.get(2)?));
        let Counted { accepted, exposures_prevented } = &mut totals.done;
        let (would, would_prevent) = (&mut totals.would.accepted, &mut totals.would.exposures_prevented);
        match row.get::<_, i64>(0)? {
            1 => drop(accepted.insert(name, value)),
            2 => *exposures_prevented = value,
            3 => drop(would.insert(name, value)),
            4 => *would_prevent = value,
            _ => {
                if let Some(state) = name.parse().ok().and_then(codes::to_delivery) {
                    totals.ended.insert(state.to_string(), value);
                }
            }
        }
    }
    let first = Span::of(db, &Scope::All, since)?.first;
    totals.held = read::held_by_state(db, first)?;
    let mut open = db.prepare_cached(
        "SELECT state, count(*) FROM deliveries INDEXED BY deliveries_open WHERE state < 5 GROUP BY state",
    )?;
    let mut rows = open.query(params![])?;
    while let Some(row) = rows.next()? {
        if let Some(state) = codes::to_delivery(row.get(0)?) {
            totals.open.insert(state.to_string(), codes::count(row.get(1)?));
        }
    }
    Ok(totals)
}
