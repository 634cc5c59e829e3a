//! Removing what is past its time, a little at a time, so that commits of mail do not wait.

use super::encode::week;
use super::error::Failure;
use super::{chain, codes, schema};
use crate::clock::Timestamp;
use crate::id::Id;
use rusqlite::{Connection, params};
use std::collections::HashSet;

/// At most so many messages are purged in one transaction.
pub(super) const BATCH: usize = 200;

/// Nothing is left to do for a message `m`: no open delivery, no hold, no open notice.
const FINISHED: &str = "NOT EXISTS (SELECT 1 FROM deliveries WHERE row BETWEEN m.row << 24 \
     AND (m.row << 24) + 16777215 AND state < 5) \
     AND NOT EXISTS (SELECT 1 FROM held WHERE message = m.row AND state = 0) \
     AND NOT EXISTS (SELECT 1 FROM notices WHERE message = m.row AND state = 0)";

/// Rows come in the order of acceptance, so a search may end where the first message begins that is
/// too young; ids begin with the time and are indexed.
const OLD: &str = "m.id < ?2 AND m.row < coalesce((SELECT row FROM messages WHERE id >= ?2 ORDER BY id \
     LIMIT 1), 9223372036854775807)";

/// What one batch removed.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) removed: usize,
    /// Files to remove once the transaction is on disk.
    pub(super) files: Vec<String>,
    /// The last message looked at, if there may be more behind it.
    pub(super) more_after: Option<i64>,
}

/// Removes contents of finished messages that were received before this moment.
pub(super) fn contents(tx: &Connection, before: Timestamp, after: i64) -> Result<Batch, Failure> {
    let due = {
        let mut select = tx.prepare_cached(&format!(
            "SELECT m.row, c.file FROM contents c JOIN messages m ON m.row = c.message \
             WHERE c.message > ?1 AND {OLD} AND {FINISHED} ORDER BY c.message LIMIT ?3"
        ))?;
        rows(&mut select, before, after)?
    };
    let mut delete = tx.prepare_cached("DELETE FROM contents WHERE message = ?1")?;
    for (message, _) in &due {
        delete.execute([message])?;
    }
    Ok(batch(due))
}

/// Removes finished messages that were received before this moment, with all that belongs to them.
pub(super) fn messages(tx: &Connection, before: Timestamp, after: i64) -> Result<Batch, Failure> {
    let due = {
        let mut select = tx.prepare_cached(&format!(
            "SELECT m.row, c.file FROM messages m LEFT JOIN contents c ON c.message = m.row \
             WHERE m.row > ?1 AND {OLD} AND {FINISHED} ORDER BY m.row LIMIT ?3"
        ))?;
        rows(&mut select, before, after)?
    };
    let mut deliveries = tx.prepare_cached("DELETE FROM deliveries WHERE row BETWEEN ?1 AND ?2")?;
    let mut journal = tx.prepare_cached("DELETE FROM journal WHERE row BETWEEN ?1 AND ?2")?;
    let mut delete = tx.prepare_cached("DELETE FROM messages WHERE row = ?1")?;
    for (message, _) in &due {
        let range = [schema::base(*message), schema::last(*message)];
        deliveries.execute(range)?;
        journal.execute(range)?;
        delete.execute([message])?;
    }
    let removed: Vec<i64> = due.iter().map(|(message, _)| *message).collect();
    chain::purged(tx, &removed)?;
    if let Some(highest) = removed.iter().max() {
        tx.prepare_cached("UPDATE last_purged SET message = max(message, ?1)")?.execute([highest])?;
    }
    Ok(batch(due))
}

type Due = Vec<(i64, Option<String>)>;

fn rows(select: &mut rusqlite::Statement<'_>, before: Timestamp, after: i64) -> Result<Due, Failure> {
    let first_kept = Id::new(before, 0);
    let rows = select.query_map(params![after, first_kept.as_str(), codes::number(BATCH)], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn batch(due: Due) -> Batch {
    let more_after = if due.len() == BATCH { due.last().map(|(message, _)| *message) } else { None };
    let removed = due.len();
    Batch { removed, more_after, files: due.into_iter().filter_map(|(_, file)| file).collect() }
}

/// Removes what the ledger has from before this moment's week.
pub(super) fn ledger(tx: &Connection, before: Timestamp) -> Result<usize, Failure> {
    Ok(tx.prepare_cached("DELETE FROM ledger WHERE week < ?1")?.execute([week(before)])?)
}

/// Every body file that a message names.
pub(super) fn named_files(db: &Connection) -> Result<HashSet<String>, Failure> {
    let mut select = db.prepare_cached("SELECT file FROM contents WHERE file IS NOT NULL")?;
    let names = select.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}
