//! Records how an attempt ended: [`crate::lifecycle::attempt`] determines what follows, this module writes it.
//!
//! The usual case, in which every recipient of the row was delivered, takes one statement.

use super::error::Failure;
use super::{codes, deliveries, journal, keys, known, notices};
use crate::lifecycle::attempt::{self, Part};
use crate::rewrite::Delivery;
use crate::store::sql::db::{Connection, params};
use crate::store::{AttemptResult, StoreError};

pub(in crate::store) fn record(tx: &Connection, result: &AttemptResult) -> Result<(), Failure> {
    let message = keys::message_of(result.lease.delivery.for_engine());
    if !whole_delivered(tx, result)? {
        in_parts(tx, message, result)?;
    }
    known::note(tx, result)?;
    for notice in &result.notices {
        let sent = notices::was_sent(tx, message, notice.kind)?;
        let due = attempt::notice_due(notice, sent);
        notices::put(tx, message, notice.kind, due.map(|due| due.0))?;
    }
    notices::settle(tx, message, result.at)
}

/// If all recipients of the row were delivered, records that and returns `true`. The states are those of
/// [`attempt::is_awaited`]; the plus keeps an engine from looking through the index of all open deliveries.
fn whole_delivered(tx: &Connection, result: &AttemptResult) -> Result<bool, Failure> {
    let Some(reply) = attempt::all_delivered(result) else { return Ok(false) };
    Ok(tx
        .prepare_cached(
            "UPDATE deliveries SET state = ?4, due = NULL, ended = ?5, reply = ?6 \
             WHERE row = ?1 AND token = ?2 AND recipients = ?3 AND +state IN (3, 7)",
        )?
        .write_one(params![
            result.lease.delivery.for_engine(),
            result.lease.token,
            codes::number(result.recipients.len()),
            codes::DELIVERED,
            result.at.0,
            reply,
        ])?)
}

fn in_parts(tx: &Connection, message: i64, result: &AttemptResult) -> Result<(), Failure> {
    let row = result.lease.delivery.for_engine();
    let current = deliveries::leased(tx, row, result.lease.token)?;
    let current = current.filter(|current| attempt::is_awaited(current.state)).ok_or(StoreError::Fenced)?;
    let copy: Vec<u8> = tx
        .prepare_cached("SELECT copy FROM deliveries WHERE row = ?1")?
        .query_row([row], |found| found.get(0))?;
    let copy =
        Delivery::from_bytes(&copy).map_err(|error| StoreError::Unreadable(format!("the copy: {error}")))?;
    let parts = attempt::parts(&current, &copy, result);
    let mut number = if parts.len() > 1 { deliveries::highest_number(tx, message)? } else { 0 };
    for (index, part) in parts.iter().enumerate() {
        let row = if index == 0 {
            row
        } else {
            number += 1;
            keys::base(message) + number
        };
        if keys::message_of(row) != message {
            return Err(StoreError::Unavailable("a message has too many deliveries".to_owned()).into());
        }
        write(tx, row, part)?;
        if let Some(event) = part.entry(keys::number_of(row), &current, result.attempt) {
            journal::append(tx, message, result.at, &event)?;
        }
    }
    Ok(())
}

fn write(tx: &Connection, row: i64, part: &Part) -> Result<(), Failure> {
    let progress = &part.progress;
    tx.prepare_cached(
        "INSERT INTO deliveries (row, state, due, token, attempts, duplicate, queued, ended, recipients, \
         reply, copy) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (row) DO UPDATE \
         SET state = ?2, due = ?3, attempts = ?5, duplicate = ?6, ended = ?8, recipients = ?9, \
         reply = ?10, copy = ?11",
    )?
    .put(params![
        row,
        codes::delivery(progress.state),
        progress.due.map(|due| due.0),
        progress.token,
        progress.attempts,
        progress.duplicate,
        progress.queued.0,
        part.ended.map(|at| at.0),
        codes::number(part.recipients.len()),
        progress.reply,
        part.copy.to_bytes(),
    ])?;
    Ok(())
}
