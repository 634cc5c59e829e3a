//! Decisions on held messages, and the second lock's stop.

use super::encode::{CopyRow, HoldRow, LedgerRow, to_json};
use super::error::Failure;
use super::{accept, asks, codes, encode, groups, hooks, journal, notices, read, schema, terms};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::journal::Event;
use crate::store::{HeldDecision, HeldState, NoticeKind, Sibling, Stop, StoreError};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashSet;

/// A decision as rows.
pub(super) struct DecisionRows {
    decision: HeldDecision,
    /// The item, then its other members.
    leaving: Vec<Leaving>,
    way: Option<String>,
    prevented: bool,
}

/// What leaves of one member.
struct Leaving {
    id: Id,
    copies: Vec<CopyRow>,
    needles: String,
    ledger: Option<LedgerRow>,
}

impl Leaving {
    fn of(sibling: &Sibling, at: Timestamp) -> Result<Self, StoreError> {
        Ok(Self {
            id: sibling.id,
            copies: encode::copies(&sibling.deliveries, at),
            needles: to_json(&sibling.needles)?,
            ledger: sibling.ledger.as_ref().map(|entry| encode::ledger(entry, at)).transpose()?,
        })
    }
}

impl DecisionRows {
    pub(super) fn of(mut decision: HeldDecision) -> Result<Self, StoreError> {
        let released = decision.state == HeldState::Released;
        let first = Sibling {
            id: decision.id,
            deliveries: std::mem::take(&mut decision.deliveries),
            needles: std::mem::take(&mut decision.needles),
            ledger: decision.ledger.take(),
        };
        let siblings = std::mem::take(&mut decision.siblings);
        let all = || std::iter::once(&first).chain(&siblings);
        let rewritten = all().flat_map(|one| &one.deliveries).any(|new| new.delivery.is_rewritten());
        Ok(Self {
            leaving: all().map(|one| Leaving::of(one, decision.at)).collect::<Result<_, _>>()?,
            way: decision.way.as_ref().map(to_json).transpose()?,
            prevented: !released || rewritten,
            decision,
        })
    }

    /// Roughly how many octets this adds to a transaction.
    pub(super) fn weight(&self) -> usize {
        let copies = self.leaving.iter().flat_map(|one| &one.copies);
        copies.map(|row| row.copy.len() + 64).sum::<usize>()
            + self.leaving.iter().map(|one| one.needles.len()).sum::<usize>()
    }
}

/// Decides, unless somebody was first.
pub(super) fn decide(tx: &Connection, rows: &DecisionRows) -> Result<(), Failure> {
    let decision = &rows.decision;
    let message = read::row_of(tx, decision.id)?;
    undecided(tx, message, decision)?;
    let members = groups::undecided_members(tx, message)?;
    let mut leaving = Vec::with_capacity(rows.leaving.len());
    if decision.state == HeldState::Released {
        for one in &rows.leaving {
            leaving.push(read::row_of(tx, one.id)?);
        }
        let covered: HashSet<i64> = leaving.iter().copied().collect();
        if members.iter().any(|member| !covered.contains(member)) || covered.len() != members.len() {
            return Err(StoreError::Moved.into());
        }
    }
    tx.prepare_cached(
        "UPDATE held SET state = ?2, decided_by = ?3, decided_at = ?4, decision = ?5, way = ?6, \
         undo_until = ?7 WHERE item = ?1 AND state = 0",
    )?
    .execute(params![
        message,
        codes::held(decision.state),
        decision.by,
        decision.at.0,
        decision.decision,
        rows.way,
        decision.undo_until.map(|until| until.0),
    ])?;
    tx.prepare_cached("UPDATE messages SET prevented = ?2 WHERE row = ?1")?
        .execute(params![message, rows.prevented])?;
    for (one, member) in rows.leaving.iter().zip(&leaving) {
        leave(tx, *member, one)?;
    }
    hooks::decided(tx, message)?;
    asks::decided(tx, message, &decision.deciders)?;
    for notice in &decision.notices {
        notices::put(tx, message, notice.kind, Some(notice.due.0))?;
    }
    for member in members {
        for event in &decision.events {
            journal::append(tx, member, decision.at, event)?;
        }
    }
    Ok(())
}

/// The copies of one member leave.
fn leave(tx: &Connection, message: i64, leaving: &Leaving) -> Result<(), Failure> {
    if !leaving.copies.is_empty() {
        tx.prepare_cached("UPDATE contents SET needles = ?2 WHERE message = ?1")?
            .execute(params![message, leaving.needles])?;
        let number = accept::highest_number(tx, message)?;
        accept::deliveries(tx, message, number, &leaving.copies)?;
    }
    if let Some(entry) = &leaving.ledger {
        accept::ledger(tx, message, entry)?;
    }
    Ok(())
}

/// Refuses when the message is not held (any more), or when the clock decides too early: the hold may
/// be a new one since the clock looked.
fn undecided(tx: &Connection, message: i64, decision: &HeldDecision) -> Result<(), Failure> {
    let found: Option<(i64, i64, Option<String>, Option<i64>)> = tx
        .prepare_cached("SELECT state, expires, decided_by, decided_at FROM held WHERE message = ?1")?
        .query_row([message], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    let Some((state, expires, by, at)) = found else {
        return Err(StoreError::NotFound(format!("{} among the held ones", decision.id)).into());
    };
    let state = codes::to_held(state)
        .ok_or_else(|| StoreError::Unreadable("a held message has an unknown state".to_owned()))?;
    if state != HeldState::Held {
        let (by, at) = (by.unwrap_or_default(), Timestamp(at.unwrap_or_default()));
        return Err(StoreError::Decided { state, by, at }.into());
    }
    if decision.state == HeldState::Expired && expires > decision.at.0 {
        return Err(StoreError::Fenced.into());
    }
    Ok(())
}

/// Takes back what is unsent of a message and holds it. A copy that is on its way just now keeps its
/// token: should it turn out to be delivered, that is recorded.
pub(super) fn stop(tx: &Connection, stop: &Stop, hold: &HoldRow) -> Result<(), Failure> {
    let message = read::row_of(tx, stop.id)?;
    let range = [schema::base(message), schema::last(message)];
    let (left, total): (i64, i64) = tx
        .prepare_cached(
            "SELECT coalesce(sum(recipients) FILTER (WHERE state = 5), 0), \
             coalesce(sum(recipients), 0) FROM deliveries WHERE row BETWEEN ?1 AND ?2",
        )?
        .query_row(range, |row| Ok((row.get(0)?, row.get(1)?)))?;
    let taken = tx
        .prepare_cached(
            "UPDATE deliveries SET token = token + (state <> 3), state = 7, due = NULL, \
             reply = 'taken back before it was sent' WHERE row BETWEEN ?1 AND ?2 AND state < 5",
        )?
        .execute(range)?;
    if taken == 0 {
        // Another copy's stop was first, or all had left.
        return Ok(());
    }
    accept::held(tx, message, hold)?;
    terms::describe_stored(tx, message)?;
    hooks::held(tx, message, stop.at.0)?;
    notices::put(tx, message, NoticeKind::Stopped, Some(stop.at.0))?;
    let mut places: Vec<String> = stop.hits.iter().map(|hit| hit.place.clone()).collect();
    places.dedup();
    let count = |number: i64| usize::try_from(number).unwrap_or(0);
    let stopped = Event::Stopped { places, left: count(left), total: count(total) };
    journal::append(tx, message, stop.at, &stopped)
}
