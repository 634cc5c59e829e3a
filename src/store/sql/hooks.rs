//! Calls to hooks. They are recorded in the database transaction of the change they report: one for an item,
//! however many forks its mail has.

use super::encode::from_people;
use super::error::Failure;
use super::{codes, read};
use crate::clock::Timestamp;
use crate::store::sql::db::{Connection, Row, Rows, params};
use crate::store::{HeldState, HookCall, HookCallId, HookEvent, HookTarget, StoreError};
use std::collections::HashSet;

/// After this time, in milliseconds, another node may claim a call that a node claimed and did not finish.
const CLAIM: i64 = 120_000;

/// Sets the hooks that are called from now on.
pub(in crate::store) fn set(tx: &Connection, hooks: &[HookTarget]) -> Result<(), Failure> {
    tx.prepare_cached("DELETE FROM hooks")?.execute([])?;
    for hook in hooks {
        tx.prepare_cached("INSERT INTO hooks (url, events) VALUES (?1, ?2)")?
            .execute(params![hook.url, i64::from(hook.held) | (i64::from(hook.decided) << 1)])?;
    }
    tx.prepare_cached("DELETE FROM hook_calls WHERE url NOT IN (SELECT url FROM hooks)")?.execute([])?;
    Ok(())
}

/// Adds calls for an item that is now held.
pub(in crate::store) fn held(tx: &Connection, item: i64, at: i64) -> Result<(), Failure> {
    tx.prepare_cached(
        "INSERT INTO hook_calls (message, url, state, kind, expires, at, due) \
         SELECT h.message, url, h.state, h.kind, h.expires, ?2, 0 FROM held h, hooks \
         WHERE h.message = ?1 AND events & 1 <> 0",
    )?
    .execute([item, at])?;
    Ok(())
}

/// Adds calls for an item that was decided.
pub(in crate::store) fn decided(tx: &Connection, item: i64) -> Result<(), Failure> {
    tx.prepare_cached(
        "INSERT INTO hook_calls (message, url, state, kind, expires, decider, decision, at, due) \
         SELECT h.message, url, h.state, h.kind, h.expires, h.decided_by, h.decision, \
         coalesce(h.decided_at, 0), 0 FROM held h, hooks WHERE h.message = ?1 AND events & 2 <> 0",
    )?
    .execute([item])?;
    Ok(())
}

/// Calls that are due.
pub(in crate::store) fn due(db: &Connection, now: Timestamp, limit: usize) -> Result<Vec<HookCall>, Failure> {
    let mut select = db.prepare_cached(&format!("{DUE} ORDER BY c.due, c.row LIMIT ?2"))?;
    calls(db, &mut select.query(params![now.0, codes::number(limit)])?)
}

const DUE: &str = "SELECT c.row, c.url, c.state, c.at, c.attempts, m.id, m.received, m.people, c.kind, c.expires, \
    c.decider, c.decision, c.message FROM hook_calls c JOIN messages m ON m.row = c.message WHERE c.due <= ?1";

/// Claims due calls for this node that no other node has claimed. Used if there are several nodes.
pub(in crate::store) fn claim(
    tx: &Connection,
    node: &str,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<HookCall>, Failure> {
    tx.prepare_cached(
        "UPDATE hook_calls SET node = ?2, claimed = now_in_millis() + ?4 WHERE row IN (SELECT row FROM hook_calls \
         WHERE due <= ?1 AND (node IS NULL OR node = ?2 OR claimed < now_in_millis()) ORDER BY due, row LIMIT ?3)",
    )?
    .execute(params![now.0, node, codes::number(limit), CLAIM])?;
    let mut select = tx.prepare_cached(&format!("{DUE} AND c.node = ?2 ORDER BY c.due, c.row LIMIT ?3"))?;
    calls(tx, &mut select.query(params![now.0, node, codes::number(limit)])?)
}

fn calls(db: &Connection, rows: &mut Rows<'_>) -> Result<Vec<HookCall>, Failure> {
    let mut calls = Vec::new();
    while let Some(row) = rows.next()? {
        calls.push(call(db, &row)?);
    }
    Ok(calls)
}

fn call(db: &Connection, row: &Row<'_>) -> Result<HookCall, Failure> {
    let state = codes::to_held(row.get(2)?)
        .ok_or_else(|| StoreError::Unreadable("a hook tells of an unknown state".to_owned()))?;
    let kind = codes::to_hold(row.get(8)?)
        .ok_or_else(|| StoreError::Unreadable("a hook tells of an unknown kind".to_owned()))?;
    let (sender, own) = from_people(&row.get::<_, String>(7)?);
    Ok(HookCall {
        id: HookCallId::from_engine(row.get(0)?),
        url: row.get(1)?,
        event: if state == HeldState::Held { HookEvent::Held } else { HookEvent::Decided },
        at: Timestamp(row.get(3)?),
        attempts: row.get(4)?,
        message: read::id(&row.get::<_, String>(5)?)?,
        received: Timestamp(row.get(6)?),
        sender,
        recipients: of_all(db, row.get(12)?)?.unwrap_or(own.len()),
        kind,
        state,
        expires: Timestamp(row.get(9)?),
        by: row.get(10)?,
        decision: row.get(11)?,
    })
}

/// The number of recipients of an item's members; `None` if it is not an item.
fn of_all(db: &Connection, item: i64) -> Result<Option<usize>, Failure> {
    let mut select = db.prepare_cached(
        "SELECT m.people FROM held h JOIN messages m ON m.row = h.message WHERE h.item = ?1",
    )?;
    let mut rows = select.query([item])?;
    let mut all = HashSet::new();
    while let Some(row) = rows.next()? {
        all.extend(from_people(&row.get::<_, String>(0)?).1);
    }
    Ok((!all.is_empty()).then_some(all.len()))
}

pub(in crate::store) fn end(tx: &Connection, row: i64) -> Result<(), Failure> {
    tx.prepare_cached("DELETE FROM hook_calls WHERE row = ?1")?.execute([row])?;
    Ok(())
}

/// Keeps a claim, unless another node has taken the call over.
pub(in crate::store) fn keep(tx: &Connection, row: i64, node: &str) -> Result<bool, Failure> {
    let kept = tx
        .prepare_cached("UPDATE hook_calls SET claimed = now_in_millis() + ?3 WHERE row = ?1 AND node = ?2")?
        .execute(params![row, node, CLAIM])?;
    Ok(kept > 0)
}

/// Reschedules a call; among several nodes, any may make it then.
pub(in crate::store) fn retry(
    tx: &Connection,
    row: i64,
    due: Timestamp,
    shared: bool,
) -> Result<(), Failure> {
    let released = if shared { ", node = NULL" } else { "" };
    tx.prepare_cached(&format!(
        "UPDATE hook_calls SET due = ?2, attempts = attempts + 1{released} WHERE row = ?1"
    ))?
    .execute([row, due.0])?;
    Ok(())
}
