//! Decisions on held messages, and the stop by the final check.

use super::encode::{CopyRow, HoldRow, LedgerRow, to_json};
use super::error::Failure;
use super::{accept, asks, deliveries, effects, encode, groups, keys, read, repeats, terms, transactions};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::lifecycle::deciding::{self, Hold};
use crate::lifecycle::delivery::Progress;
use crate::store::sql::db::{Connection, params};
use crate::store::{HeldDecision, HeldState, Sibling, Stop, StoreError};
use std::collections::HashSet;

/// A decision as rows.
pub(in crate::store) struct DecisionRows {
    decision: HeldDecision,
    /// The item, then its other members.
    leaving: Vec<Leaving>,
    rewritten: bool,
}

/// What one member sends.
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
    pub(in crate::store) fn of(mut decision: HeldDecision) -> Result<Self, StoreError> {
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
            rewritten,
            decision,
        })
    }

    /// Approximately how many octets this adds to a transaction.
    pub(in crate::store) fn weight(&self) -> usize {
        let copies = self.leaving.iter().flat_map(|one| &one.copies);
        copies.map(|row| row.copy.len() + 64).sum::<usize>()
            + self.leaving.iter().map(|one| one.needles.len()).sum::<usize>()
    }
}

/// Decides, unless somebody else was first.
pub(in crate::store) fn decide(tx: &Connection, rows: &DecisionRows) -> Result<(), Failure> {
    let decision = &rows.decision;
    let item = read::row_of(tx, decision.id)?;
    let hold = hold(tx, item, decision.id)?;
    let members = groups::members(tx, item, HeldState::Held)?;
    let mut leaving = Vec::with_capacity(rows.leaving.len());
    if decision.state == HeldState::Released {
        for one in &rows.leaving {
            leaving.push(read::row_of(tx, one.id)?);
        }
    }
    let effects = deciding::decide(item, &hold, decision, &members, &leaving, rows.rewritten)
        .map_err(StoreError::from)?;
    for (one, member) in rows.leaving.iter().zip(&leaving) {
        leave(tx, *member, one, decision.at)?;
    }
    asks::decided(tx, item, &decision.deciders)?;
    effects::write(tx, effects, decision.at)
}

pub(in crate::store) fn hold(tx: &Connection, item: i64, id: Id) -> Result<Hold, Failure> {
    let mut select = tx.prepare_cached(
        "SELECT state, expires, decided_by, decided_at, undo_until FROM held WHERE message = ?1",
    )?;
    let mut rows = select.query([item])?;
    let Some(row) = rows.next()? else {
        return Err(StoreError::NotFound(format!("{id} among the held ones")).into());
    };
    Ok(Hold {
        state: groups::state_of(row.get(0)?)?,
        expires: Timestamp(row.get(1)?),
        decided_by: row.get(2)?,
        decided_at: row.get::<_, Option<i64>>(3)?.map(Timestamp),
        undo_until: row.get::<_, Option<i64>>(4)?.map(Timestamp),
    })
}

/// Adds the copies of one member to the queue. Recipients who may have an earlier copy (which an operator dropped, or
/// the final check stopped, on its way) get possible duplicates.
fn leave(tx: &Connection, message: i64, leaving: &Leaving, at: Timestamp) -> Result<(), Failure> {
    if !leaving.copies.is_empty() {
        tx.prepare_cached("UPDATE contents SET needles = ?2 WHERE message = ?1")?
            .put(params![message, leaving.needles])?;
        let number = deliveries::highest_number(tx, message)?;
        let uncertain = repeats::uncertain(tx, message, &transactions::repeated(tx, leaving.id)?, at)?;
        if uncertain.is_empty() {
            accept::deliveries(tx, message, number, &leaving.copies)?;
        } else {
            let nobody = HashSet::new();
            let marked = leaving.copies.iter().map(|copy| encode::without(copy, &nobody, &uncertain));
            let marked: Vec<Option<CopyRow>> = marked.collect::<Result<_, _>>()?;
            let marked: Vec<CopyRow> = marked.into_iter().flatten().collect();
            accept::deliveries(tx, message, number, &marked)?;
        }
    }
    if let Some(entry) = &leaving.ledger {
        accept::ledger(tx, message, entry)?;
    }
    Ok(())
}

/// Stops the unsent copies of a message and holds it. A copy that is being sent keeps its token, so that its
/// delivery can still be recorded.
pub(in crate::store) fn stop(tx: &Connection, stop: &Stop, hold: &HoldRow) -> Result<(), Failure> {
    let message = read::row_of(tx, stop.id)?;
    let range = [keys::base(message), keys::last(message)];
    let (left, total): (i64, i64) = tx
        .prepare_cached(
            "SELECT coalesce(sum(recipients) FILTER (WHERE state = 5), 0), \
             coalesce(sum(recipients), 0) FROM deliveries WHERE row BETWEEN ?1 AND ?2",
        )?
        .query_row(range, |row| Ok((row.get(0)?, row.get(1)?)))?;
    if deliveries::change(tx, message, Progress::stopped)? == 0 {
        // Another copy was stopped first, or all copies had left.
        return Ok(());
    }
    accept::held(tx, message, hold)?;
    terms::describe_stored(tx, message)?;
    let count = |number: i64| usize::try_from(number).unwrap_or(0);
    effects::write(tx, deciding::stopped(message, stop, count(left), count(total)), stop.at)
}
