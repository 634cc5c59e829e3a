//! Writes what follows from an event, as [`crate::lifecycle`] determines it.

use super::encode::{self, to_json};
use super::error::Failure;
use super::{codes, groups, hooks, journal, notices};
use crate::clock::Timestamp;
use crate::lifecycle::{Becomes, Effect};
use crate::store::sql::db::{Connection, params};
use crate::store::{HeldState, HookEvent};

/// Writes all effects, in order.
pub(in crate::store) fn write(
    tx: &Connection,
    effects: Vec<Effect<i64>>,
    now: Timestamp,
) -> Result<(), Failure> {
    for effect in effects {
        match effect {
            Effect::Hold { item, from, to } => hold(tx, item, from, &to)?,
            Effect::MoveInto { members, item } => groups::move_into(tx, &members, item, now)?,
            Effect::Prevented(message, prevented) => {
                tx.prepare_cached("UPDATE messages SET prevented = ?2 WHERE row = ?1")?
                    .execute(params![message, prevented])?;
            }
            Effect::TakenBack { message, by, at } => {
                tx.prepare_cached(
                    "INSERT INTO taken (message, at, by) VALUES (?1, ?2, ?3) \
                     ON CONFLICT (message) DO UPDATE SET at = ?2, by = ?3, undone = 0",
                )?
                .execute(params![message, at.0, by])?;
            }
            Effect::Notice(message, kind, due) => notices::put(tx, message, kind, due.map(|due| due.0))?,
            Effect::Drop(message, kinds) => {
                for kind in kinds {
                    notices::drop_kind(tx, message, kind)?;
                }
            }
            Effect::Call(item, HookEvent::Held, at) => hooks::held(tx, item, at.0)?,
            Effect::Call(item, HookEvent::Decided, _) => hooks::decided(tx, item)?,
            Effect::Undisclose(message, at) => {
                tx.prepare_cached(
                    "DELETE FROM ledger WHERE message = ?1 AND week = ?2 AND message_id = \
                     (SELECT message_id FROM messages WHERE row = ?1)",
                )?
                .execute([message, encode::week(at)])?;
            }
            Effect::Enter(message, at, event) => journal::append(tx, message, at, &event)?,
        }
    }
    Ok(())
}

fn hold(tx: &Connection, item: i64, from: HeldState, to: &Becomes) -> Result<(), Failure> {
    let (by, at) = to.decided.as_ref().map(|(by, at)| (by, at.0)).unzip();
    tx.prepare_cached(
        "UPDATE held SET state = ?3, expires = coalesce(?4, expires), decided_by = ?5, decided_at = ?6, \
         decision = ?7, way = ?8, undo_until = ?9 WHERE item = ?1 AND state = ?2",
    )?
    .execute(params![
        item,
        codes::held(from),
        codes::held(to.state),
        to.expires.map(|at| at.0),
        by,
        at,
        to.decision,
        to.release.as_ref().map(to_json).transpose()?,
        to.undo_until.map(|at| at.0),
    ])?;
    Ok(())
}
