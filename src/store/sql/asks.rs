//! Who is told about items that wait for a decision.

use super::error::Failure;
use super::{codes, journal, keys, notices, read};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::journal::Event;
use crate::lifecycle::notices::of_ask;
use crate::lifecycle::stored::Moved;
use crate::message::Address;
use crate::store::sql::db::{Connection, OptionalExtension, params};
use crate::store::{Ask, AskId, AskPlan, AskWhy, HeldState, NewAsk, NoticeKind, StoreError};
use std::time::Duration;

const OPEN: i64 = 0;
const SENT: i64 = 1;
const DROPPED: i64 = 2;
/// The maximum number of notices of a delay made at once.
const LATE_AT_ONCE: i64 = 500;

fn code(why: AskWhy) -> i64 {
    match why {
        AskWhy::Asked => 0,
        AskWhy::Deputy => 1,
        AskWhy::Escalated => 2,
        AskWhy::Expiring => 3,
        AskWhy::AsIs => 4,
        AskWhy::Stopped => 5,
        AskWhy::Settled => 6,
    }
}

fn why(code: i64) -> Result<AskWhy, StoreError> {
    Ok(match code {
        0 => AskWhy::Asked,
        1 => AskWhy::Deputy,
        2 => AskWhy::Escalated,
        3 => AskWhy::Expiring,
        4 => AskWhy::AsIs,
        5 => AskWhy::Stopped,
        6 => AskWhy::Settled,
        _ => return Err(StoreError::Unreadable(format!("there is no reason {code} to ask"))),
    })
}

/// Replaces a notice by asks.
pub(in crate::store) fn plan(tx: &Connection, notice: i64, plan: &AskPlan) -> Result<(), Failure> {
    let (message, _) = notices::open(tx, notice)?;
    notices::mark_sent(tx, notice)?;
    let held: bool = tx
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM held WHERE message = ?1)")?
        .query_row([message], |row| row.get(0))?;
    for ask in &plan.asks {
        put(tx, message, ask)?;
        if held && ask.why != AskWhy::Settled {
            assign(tx, message, ask.approver.key())?;
        }
    }
    for approver in plan.assigned.iter().filter(|_| held) {
        assign(tx, message, approver.key())?;
    }
    for notice in &plan.notices {
        notices::put(tx, message, notice.kind, Some(notice.due.0))?;
    }
    Ok(())
}

/// Asks a deputy about an item that waits, if the approver was asked or is going to be. Returns whether the
/// deputy had not been asked before.
pub(in crate::store) fn hand_over(
    tx: &Connection,
    message: i64,
    approver: &str,
    ask: &NewAsk,
) -> Result<bool, Failure> {
    let waits: bool = tx
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM held WHERE message = ?1 AND state = ?2)")?
        .query_row([message, codes::held(HeldState::Held)], |row| row.get(0))?;
    if !waits {
        return Ok(false);
    }
    let mut select = tx
        .prepare_cached("SELECT approver FROM asks WHERE message = ?1 AND state IN (?2, ?3) AND why != ?4")?;
    let rows = select.query_map(params![message, OPEN, SENT, code(AskWhy::Settled)], |row| row.get(0))?;
    let asked: Vec<String> = rows.collect::<Result<_, _>>()?;
    let is_asked = |key: &str| asked.iter().any(|one| Address::parse(one).is_ok_and(|one| one.key() == key));
    if !is_asked(approver) || is_asked(ask.approver.key()) {
        return Ok(false);
    }
    put(tx, message, ask)?;
    assign(tx, message, ask.approver.key())?;
    Ok(true)
}

fn put(tx: &Connection, message: i64, ask: &NewAsk) -> Result<(), Failure> {
    tx.prepare_cached(
        "INSERT INTO asks (message, approver, why, digest, due, state) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .put(params![message, ask.approver.as_str(), code(ask.why), ask.digest, ask.due.0, OPEN])?;
    Ok(())
}

/// People who are asked may also decide.
fn assign(tx: &Connection, message: i64, key: &str) -> Result<(), Failure> {
    tx.prepare_cached(
        "INSERT INTO held_approvers (approver, message) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    )?
    .put(params![key, message])?;
    Ok(())
}

/// Asks that are due. A digest that is due includes everything that waits for that person's digest.
pub(in crate::store) fn due(db: &Connection, now: Timestamp, limit: usize) -> Result<Vec<Ask>, Failure> {
    let mut select = db.prepare_cached(
        "SELECT a.row, m.id, a.approver, a.why, a.digest FROM asks a JOIN messages m ON m.row = a.message \
         WHERE a.state = 0 AND (a.due <= ?1 OR (a.digest = 1 AND a.approver IN \
         (SELECT approver FROM asks WHERE state = 0 AND digest = 1 AND due <= ?1))) \
         ORDER BY a.digest, a.approver, a.row LIMIT ?2",
    )?;
    let rows = select.query_map(params![now.0, codes::number(limit)], |row| {
        Ok((
            row.get::<_, i64>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, String>(2)?,
            row.get::<_, i64>(3)?,
            row.get::<_, bool>(4)?,
        ))
    })?;
    rows.map(|row| {
        let (row, id, approver, reason, digest) = row?;
        let approver = Address::parse(&approver)
            .map_err(|error| StoreError::Unreadable(format!("who is asked cannot be read: {error}")))?;
        Ok(Ask { id: AskId::from_engine(row), message: read::id(&id)?, approver, why: why(reason)?, digest })
    })
    .collect()
}

/// The people who were told about an item, each once.
pub(in crate::store) fn told(db: &Connection, item: Id) -> Result<Vec<Address>, Failure> {
    let message = read::row_of(db, item)?;
    let mut people: Vec<Address> = Vec::new();
    for (_, person) in told_rows(db, message)? {
        if people.iter().all(|one| one.key() != person.key()) {
            people.push(person);
        }
    }
    Ok(people)
}

fn told_rows(db: &Connection, message: i64) -> Result<Vec<(i64, Address)>, Failure> {
    let mut select =
        db.prepare_cached("SELECT row, approver FROM asks WHERE message = ?1 AND state = ?2 ORDER BY row")?;
    let rows =
        select.query_map([message, SENT], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
    let mut found = Vec::new();
    for row in rows {
        let (row, text) = row?;
        // A person whose address cannot be read cannot be told again either.
        found.extend(Address::parse(&text).ok().map(|person| (row, person)));
    }
    Ok(found)
}

/// The people with these addresses decided, so they need not be told that somebody did.
pub(in crate::store) fn decided(tx: &Connection, message: i64, deciders: &[Address]) -> Result<(), Failure> {
    for (row, person) in told_rows(tx, message)? {
        if deciders.iter().any(|one| one.key() == person.key()) {
            tx.prepare_cached("UPDATE asks SET state = ?2 WHERE row = ?1")?.put([row, DROPPED])?;
        }
    }
    Ok(())
}

/// After a decision was undone, the item waits again. This tells those who had not been told, and those who
/// were told that it was decided.
pub(in crate::store) fn again(tx: &Connection, message: i64, now: Timestamp) -> Result<(), Failure> {
    let (asked, settled): (bool, bool) = tx
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM asks WHERE message = ?1 AND state = ?2), \
             EXISTS (SELECT 1 FROM asks WHERE message = ?1 AND state = ?2 AND why = ?3)",
        )?
        .query_row([message, SENT, code(AskWhy::Settled)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if settled || !asked {
        notices::put(tx, message, NoticeKind::HeldApprovers, Some(now.0))?;
    }
    tx.prepare_cached("UPDATE notices SET state = ?3 WHERE message = ?1 AND kind = ?2 AND state = 0")?
        .put([message, codes::notice(NoticeKind::Settled), DROPPED])?;
    Ok(())
}

/// Adjusts open asks to a clock that was set.
pub(in crate::store) fn shift(tx: &Connection, moved: Moved) -> Result<(), Failure> {
    let mut update = tx.prepare_cached("UPDATE asks SET due = due + ?2 WHERE state = 0 AND why = ?1")?;
    for (code, why) in (0..).map_while(|code| why(code).ok().map(|why| (code, why))) {
        update.put([code, moved.ask(why)])?;
    }
    Ok(())
}

/// Marks asks as answered by this mail.
pub(in crate::store) fn answer(
    tx: &Connection,
    asks: &[AskId],
    mail: Id,
    at: Timestamp,
) -> Result<(), Failure> {
    for ask in asks {
        let found: Option<(i64, i64)> = tx
            .prepare_cached("SELECT message, why FROM asks WHERE row = ?1 AND state = 0")?
            .query_row([ask.for_engine()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (message, reason) = found.ok_or(StoreError::Fenced)?;
        tx.prepare_cached("UPDATE asks SET state = ?2 WHERE row = ?1")?.put([ask.for_engine(), SENT])?;
        let event = Event::Noticed { kind: notices::name(of_ask(why(reason)?)), notice: mail };
        journal::append(tx, message, at, &event)?;
    }
    Ok(())
}

pub(in crate::store) fn drop_open(tx: &Connection, asks: &[AskId]) -> Result<(), Failure> {
    let mut update = tx.prepare_cached("UPDATE asks SET state = ?2 WHERE row = ?1 AND state = 0")?;
    for ask in asks {
        update.put([ask.for_engine(), DROPPED])?;
    }
    Ok(())
}

/// When the next notice or ask is due.
pub(in crate::store) fn next(db: &Connection) -> Result<Option<Timestamp>, Failure> {
    let next: Option<i64> = db
        .prepare_cached(
            "SELECT min(due) FROM (SELECT min(due) AS due FROM notices WHERE state = 0 AND due IS NOT NULL \
             UNION ALL SELECT min(due) FROM asks WHERE state = 0) a",
        )?
        .query_row([], |row| row.get(0))?;
    Ok(next.map(Timestamp))
}

/// Mail that has waited for this long without an attempt, and has no notice of a delay. Looks at all that is queued.
pub(in crate::store) fn untried(db: &Connection, now: Timestamp, age: Duration) -> Result<Vec<i64>, Failure> {
    let mut select = db.prepare_cached(&format!(
        "SELECT DISTINCT d.row >> {bits} AS message FROM deliveries d INDEXED BY deliveries_open \
         WHERE d.state < 5 AND d.state IN (?1, ?2) AND d.queued <= ?3 \
         AND NOT EXISTS (SELECT 1 FROM notices n WHERE n.message = d.row >> {bits} AND n.kind = ?4) LIMIT ?5",
        bits = keys::NUMBER_BITS
    ))?;
    let (ready, sending) = (codes::READY, codes::SENDING);
    let kind = codes::notice(NoticeKind::Delayed);
    let messages =
        select.query_map(params![ready, sending, now.minus(age).0, kind, LATE_AT_ONCE], |row| row.get(0))?;
    Ok(messages.collect::<Result<_, _>>()?)
}

/// Adds a notice of a delay for those of these messages that still wait without an attempt. Mail with an attempt
/// gets the notice from that; mail that has the notice gets no second one. Returns how many notices were added.
pub(in crate::store) fn note_untried(
    tx: &Connection,
    messages: &[i64],
    now: Timestamp,
    age: Duration,
) -> Result<usize, Failure> {
    let kind = codes::notice(NoticeKind::Delayed);
    let mut waits = tx.prepare_cached(
        "SELECT 1 FROM deliveries d WHERE d.row BETWEEN ?1 AND ?2 AND d.state IN (?3, ?4) AND d.queued <= ?5 \
         AND NOT EXISTS (SELECT 1 FROM notices n WHERE n.message = ?6 AND n.kind = ?7) LIMIT 1",
    )?;
    let mut noted = 0;
    for message in messages {
        let [first, last] = [keys::base(*message), keys::last(*message)];
        let queued = now.minus(age).0;
        if waits.exists(params![first, last, codes::READY, codes::SENDING, queued, message, kind])? {
            notices::put(tx, *message, NoticeKind::Delayed, Some(now.0))?;
            noted += 1;
        }
    }
    Ok(noted)
}
