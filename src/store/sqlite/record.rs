//! Recording how an attempt ended.
//!
//! The common case, every recipient of the row delivered, is one statement. Recipients that part
//! ways split the row: the first outcome keeps it, each other outcome gets a row of its own.

use super::error::Failure;
use super::{accept, codes, journal, known, notices, schema};
use crate::clock::Timestamp;
use crate::journal::Event;
use crate::message::Address;
use crate::rewrite::Delivery;
use crate::store::{AttemptResult, DeliveryState, NoticeKind, RecipientResult, StoreError};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashMap;
use std::time::Duration;

/// When a recipient is due again whose result does not say so.
const DUE_AGAIN: Duration = Duration::from_mins(1);

pub(super) fn record(tx: &Connection, result: &AttemptResult) -> Result<(), Failure> {
    let message = schema::message_of(result.lease.delivery);
    if !whole_delivered(tx, result)? {
        part_ways(tx, message, result)?;
    }
    known::note(tx, result)?;
    for notice in &result.notices {
        match notice.kind {
            NoticeKind::Failure => notices::put_failure(tx, message, notice.due)?,
            // One report of all that was relayed, at the end.
            NoticeKind::Delivered => notices::put(tx, message, notice.kind, None)?,
            kind => notices::put(tx, message, kind, Some(notice.due.0))?,
        }
    }
    notices::settle(tx, message, result.at)
}

/// Whether all recipients of the row were delivered, and then writes that down. A row that was taken
/// out of the queue while it was on its way is delivered all the same.
fn whole_delivered(tx: &Connection, result: &AttemptResult) -> Result<bool, Failure> {
    let Some((_, first)) = result.recipients.first() else { return Ok(false) };
    if result.recipients.iter().any(|(_, one)| one.state != DeliveryState::Delivered) {
        return Ok(false);
    }
    let updated = tx
        .prepare_cached(
            "UPDATE deliveries SET state = ?4, due = NULL, ended = ?5, reply = ?6 \
             WHERE row = ?1 AND token = ?2 AND recipients = ?3 AND state IN (3, 7)",
        )?
        .execute(params![
            result.lease.delivery,
            result.lease.token,
            codes::number(result.recipients.len()),
            codes::DELIVERED,
            result.at.0,
            first.reply,
        ])?;
    Ok(updated == 1)
}

/// The row as it stands.
struct Current {
    state: i64,
    attempts: u32,
    duplicate: bool,
    queued: i64,
    delivery: Delivery,
}

/// Recipients of one row that fared alike.
struct Group {
    outcome: RecipientResult,
    recipients: Vec<Address>,
}

fn part_ways(tx: &Connection, message: i64, result: &AttemptResult) -> Result<(), Failure> {
    let current = load(tx, result)?;
    let groups = groups(&current.delivery, result);
    let mut number = 0;
    let mut copies = Vec::new();
    if groups.len() > 1 {
        number = accept::highest_number(tx, message)?;
        copies = apart(&current.delivery, &groups);
    }
    for (index, group) in groups.iter().enumerate() {
        let row = if index == 0 {
            result.lease.delivery
        } else {
            number += 1;
            schema::base(message) + number
        };
        if schema::message_of(row) != message {
            return Err(StoreError::Unavailable("a message has too many deliveries".to_owned()).into());
        }
        write(tx, row, &current, group, result, copies.get(index).unwrap_or(&current.delivery))?;
    }
    Ok(())
}

fn load(tx: &Connection, result: &AttemptResult) -> Result<Current, Failure> {
    let found = tx
        .prepare_cached(
            "SELECT state, attempts, duplicate, queued, copy FROM deliveries \
             WHERE row = ?1 AND token = ?2 AND state IN (3, 7)",
        )?
        .query_row([result.lease.delivery, result.lease.token], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get::<_, Vec<u8>>(4)?))
        })
        .optional()?;
    let (state, attempts, duplicate, queued, copy) = found.ok_or(StoreError::Fenced)?;
    let delivery =
        Delivery::from_bytes(&copy).map_err(|error| StoreError::Unreadable(format!("the copy: {error}")))?;
    Ok(Current { state, attempts, duplicate, queued, delivery })
}

/// The row's recipients by how they fared, in order; one that the result does not name was not tried.
fn groups(delivery: &Delivery, result: &AttemptResult) -> Vec<Group> {
    let fates: HashMap<&Address, &RecipientResult> =
        result.recipients.iter().map(|(address, fate)| (address, fate)).collect();
    let not_tried =
        RecipientResult { state: DeliveryState::Ready, reply: String::new(), due: Some(result.at) };
    let mut groups: Vec<Group> = Vec::new();
    let mut places: HashMap<RecipientResult, usize> = HashMap::new();
    for recipient in delivery.recipients() {
        let fate = fates.get(&recipient.address).copied().unwrap_or(&not_tried);
        let place = *places.entry(fate.clone()).or_insert_with(|| {
            groups.push(Group { outcome: fate.clone(), recipients: Vec::new() });
            groups.len() - 1
        });
        groups[place].recipients.push(recipient.address.clone());
    }
    groups
}

/// The copy of each group.
fn apart(delivery: &Delivery, groups: &[Group]) -> Vec<Delivery> {
    let mut places: HashMap<&Address, usize> = HashMap::new();
    for (place, group) in groups.iter().enumerate() {
        places.extend(group.recipients.iter().map(|address| (address, place)));
    }
    delivery.in_parts(groups.len(), |address| places.get(address).copied())
}

fn write(
    tx: &Connection,
    row: i64,
    current: &Current,
    group: &Group,
    result: &AttemptResult,
    copy: &Delivery,
) -> Result<(), Failure> {
    let state = left_state(current, group.outcome.state);
    // A recipient that was not tried has not used up an attempt: the schedule must not see one.
    let tried = group.outcome.state != DeliveryState::Ready;
    let attempts = if tried { current.attempts } else { current.attempts.saturating_sub(1) };
    let duplicate = current.duplicate || group.outcome.state == DeliveryState::Uncertain;
    let ended = (state == codes::DELIVERED).then_some(result.at.0);
    tx.prepare_cached(
        "INSERT INTO deliveries (row, state, due, token, attempts, duplicate, queued, ended, recipients, \
         reply, copy) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (row) DO UPDATE \
         SET state = ?2, due = ?3, attempts = ?5, duplicate = ?6, ended = ?8, recipients = ?9, \
         reply = ?10, copy = ?11",
    )?
    .execute(params![
        row,
        state,
        due(state, group.outcome.due, result.at),
        result.lease.token,
        attempts,
        duplicate,
        current.queued,
        ended,
        codes::number(group.recipients.len()),
        group.outcome.reply,
        copy.to_bytes(),
    ])?;
    if tried && state != codes::DELIVERED {
        enter(tx, row, current, group, result)?;
    }
    Ok(())
}

/// What was taken out of the queue while it was on its way stays out, unless it is final by itself.
fn left_state(current: &Current, fate: DeliveryState) -> i64 {
    let state = match fate {
        DeliveryState::Sending | DeliveryState::Paused | DeliveryState::Dropped => DeliveryState::Ready,
        other => other,
    };
    let code = codes::delivery(state);
    if current.state == codes::DROPPED && code < codes::FIRST_FINAL { codes::DROPPED } else { code }
}

fn due(state: i64, asked: Option<Timestamp>, at: Timestamp) -> Option<i64> {
    match state {
        codes::READY => Some(asked.unwrap_or(at).0),
        codes::WAITING | codes::UNCERTAIN => Some(asked.unwrap_or_else(|| at.plus(DUE_AGAIN)).0),
        _ => None,
    }
}

fn enter(
    tx: &Connection,
    row: i64,
    current: &Current,
    group: &Group,
    result: &AttemptResult,
) -> Result<(), Failure> {
    let event = Event::Attempt {
        delivery: schema::number_of(row),
        recipients: group.recipients.iter().map(|address| address.as_str().to_owned()).collect(),
        state: group.outcome.state.to_string(),
        reply: group.outcome.reply.clone(),
        attempt: result.attempt,
        possible_duplicate: current.duplicate,
    };
    journal::append(tx, schema::message_of(row), result.at, &event)
}
