//! Accepting a message: its rows, in one transaction.

use super::encode::{CopyRow, HoldRow, LedgerRow, MessageRows};
use super::error::Failure;
use super::{codes, journal, notices, schema};
use crate::clock::Timestamp;
use crate::journal::Event;
use crate::store::{Body, StoreError};
use rusqlite::{Connection, params};

/// Inserts the message; its row number.
pub(super) fn insert(tx: &Connection, rows: &MessageRows) -> Result<i64, Failure> {
    let answered = rows.answers.map(|notice| notices::open(tx, notice)).transpose()?;
    tx.prepare_cached(
        "INSERT INTO messages (id, received, people, keys, message_id, subject, action, exposures, \
         prevented, events) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        rows.id.as_str(),
        rows.received,
        rows.people,
        rows.keys,
        rows.message_id,
        rows.subject,
        rows.action,
        rows.exposures,
        rows.prevented,
        rows.events,
    ])?;
    let message = tx.last_insert_rowid();
    content(tx, message, rows)?;
    deliveries(tx, message, 0, &rows.copies)?;
    if let Some(hold) = &rows.hold {
        held(tx, message, hold)?;
        super::held::describe(tx, message, &rows.terms, &rows.subject)?;
    }
    if let Some(entry) = &rows.ledger {
        ledger(tx, message, entry)?;
    }
    for notice in &rows.notices {
        notices::put(tx, message, notice.kind, Some(notice.due.0))?;
    }
    if let (Some((about, kind)), Some(notice)) = (answered, rows.answers) {
        notices::mark_sent(tx, notice)?;
        let event = Event::Noticed { kind: notices::name(kind), notice: rows.id };
        journal::append(tx, about, Timestamp(rows.received), &event)?;
    }
    Ok(message)
}

fn content(tx: &Connection, message: i64, rows: &MessageRows) -> Result<(), Failure> {
    let (file, body) = match &rows.body {
        Body::Inline(bytes) => (None, Some(bytes.as_ref())),
        Body::Stored { name, .. } => (Some(name.as_str()), None),
    };
    let size = i64::try_from(rows.body.size()).unwrap_or(i64::MAX);
    tx.prepare_cached(
        "INSERT INTO contents (message, file, size, meta, needles, header, body) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![message, file, size, rows.meta, rows.needles, rows.header.as_ref(), body])?;
    Ok(())
}

/// Inserts copies, numbered on from `number`.
pub(super) fn deliveries(
    tx: &Connection,
    message: i64,
    number: i64,
    copies: &[CopyRow],
) -> Result<(), Failure> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO deliveries (row, state, due, token, attempts, duplicate, queued, recipients, reply, copy) \
         VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7, '', ?8)",
    )?;
    let mut row = schema::base(message) + number;
    for copy in copies {
        row += 1;
        if schema::message_of(row) != message {
            return Err(StoreError::Unavailable("a message has too many deliveries".to_owned()).into());
        }
        insert.execute(params![
            row,
            copy.state,
            copy.due,
            copy.token,
            copy.attempts,
            copy.queued,
            codes::number(copy.recipients),
            copy.copy
        ])?;
    }
    Ok(())
}

/// The highest number given to a delivery of this message.
pub(super) fn highest_number(tx: &Connection, message: i64) -> Result<i64, Failure> {
    let highest: Option<i64> = tx
        .prepare_cached("SELECT max(row) FROM deliveries WHERE row BETWEEN ?1 AND ?2")?
        .query_row([schema::base(message), schema::last(message)], |row| row.get(0))?;
    Ok(highest.map_or(0, schema::number_of))
}

/// Holds the message, or holds it again: then the hold is a new one.
pub(super) fn held(tx: &Connection, message: i64, hold: &HoldRow) -> Result<(), Failure> {
    tx.prepare_cached(
        "INSERT INTO held (message, state, kind, expires, reasons, hits) VALUES (?1, 0, ?2, ?3, ?4, ?5) \
         ON CONFLICT (message) DO UPDATE SET state = 0, kind = ?2, expires = ?3, reasons = ?4, hits = ?5, \
         decided_by = NULL, decided_at = NULL, decision = NULL",
    )?
    .execute(params![message, hold.kind, hold.expires, hold.reasons, hold.hits])?;
    let mut assign = tx.prepare_cached(
        "INSERT INTO held_approvers (approver, message) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    )?;
    for approver in &hold.approvers {
        assign.execute(params![approver, message])?;
    }
    Ok(())
}

pub(super) fn ledger(tx: &Connection, message: i64, entry: &LedgerRow) -> Result<(), Failure> {
    tx.prepare_cached(
        "INSERT INTO ledger (week, message_id, message, disclosed) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT DO UPDATE SET disclosed = ?4",
    )?
    .execute(params![entry.week, entry.message_id, message, entry.disclosed])?;
    Ok(())
}
