//! Removes what has expired, in small batches so that commits of mail do not wait.

use super::encode::week;
use super::error::Failure;
use super::{chain, codes, keys};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::store::sql::db::{Connection, params};
use std::collections::HashSet;

/// The maximum number of messages purged in one transaction.
pub(in crate::store) const BATCH: usize = 200;
/// A batch ends when it has removed this many rows of messages,
const ROWS: usize = 4_000;
/// or this many octets of content.
const OCTETS: i64 = 4 << 20;

/// A condition: nothing is left to do for message `m`, that is, no open delivery, no hold and no open notice.
const FINISHED: &str = "NOT EXISTS (SELECT 1 FROM deliveries WHERE row BETWEEN m.row << 24 \
     AND (m.row << 24) + 16777215 AND state < 5) \
     AND NOT EXISTS (SELECT 1 FROM held WHERE message = m.row AND state = 0) \
     AND NOT EXISTS (SELECT 1 FROM notices WHERE message = m.row AND state = 0)";

/// A condition: message `m` is old. Rows are in the order of acceptance, so a search may end at the first
/// message that is too young. Ids begin with the time and are indexed.
const OLD: &str = "m.id < ?2 AND m.row < coalesce((SELECT row FROM messages WHERE id >= ?2 ORDER BY id \
     LIMIT 1), 9223372036854775807)";

/// What one batch removed.
#[derive(Default)]
pub(in crate::store) struct Batch {
    pub(in crate::store) removed: usize,
    /// Files to remove once the transaction is on disk.
    pub(in crate::store) files: Vec<String>,
    /// The last message that was checked, if there may be more after it.
    pub(in crate::store) more_after: Option<i64>,
}

/// Removes the contents of finished messages received before this time.
pub(in crate::store) fn contents(tx: &Connection, before: Timestamp, after: i64) -> Result<Batch, Failure> {
    let due = {
        let mut select = tx.prepare_cached(&format!(
            "SELECT m.row, c.file, c.size FROM contents c JOIN messages m ON m.row = c.message \
             WHERE c.message > ?1 AND {OLD} AND {FINISHED} ORDER BY c.message LIMIT ?3"
        ))?;
        rows(&mut select, before, after)?
    };
    let mut delete = tx.prepare_cached("DELETE FROM contents WHERE message = ?1")?;
    let (mut done, mut octets) = (0, 0);
    for one in &due {
        delete.execute([one.message])?;
        (done, octets) = (done + 1, octets + if one.file.is_some() { 0 } else { one.size });
        if octets > OCTETS {
            break;
        }
    }
    Ok(batch(due, done))
}

/// Removes finished messages received before this time, with everything that belongs to them.
pub(in crate::store) fn messages(tx: &Connection, before: Timestamp, after: i64) -> Result<Batch, Failure> {
    let due = {
        let mut select = tx.prepare_cached(&format!(
            "SELECT m.row, c.file, 0 FROM messages m LEFT JOIN contents c ON c.message = m.row \
             WHERE m.row > ?1 AND {OLD} AND {FINISHED} ORDER BY m.row LIMIT ?3"
        ))?;
        rows(&mut select, before, after)?
    };
    let mut deliveries = tx.prepare_cached("DELETE FROM deliveries WHERE row BETWEEN ?1 AND ?2")?;
    let mut journal = tx.prepare_cached("DELETE FROM journal WHERE row BETWEEN ?1 AND ?2")?;
    let mut delete = tx.prepare_cached("DELETE FROM messages WHERE row = ?1")?;
    let (mut removed, mut rows): (Vec<i64>, _) = (Vec::new(), 0);
    for Due { message, .. } in &due {
        let range = [keys::base(*message), keys::last(*message)];
        rows += deliveries.execute(range)? + journal.execute(range)? + delete.execute([message])?;
        removed.push(*message);
        if rows > ROWS {
            break;
        }
    }
    chain::purged(tx, &removed)?;
    if let Some(highest) = removed.iter().max() {
        tx.prepare_cached("UPDATE last_purged SET message = ?1 WHERE message < ?1")?.execute([highest])?;
    }
    Ok(batch(due, removed.len()))
}

/// A message with its body's file.
struct Due {
    message: i64,
    file: Option<String>,
    size: i64,
}

fn rows(
    select: &mut crate::store::sql::db::Statement<'_>,
    before: Timestamp,
    after: i64,
) -> Result<Vec<Due>, Failure> {
    let first_kept = Id::new(before, 0);
    let rows = select.query_map(params![after, first_kept.as_str(), codes::number(BATCH)], |row| {
        Ok(Due { message: row.get(0)?, file: row.get(1)?, size: row.get(2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A batch whose first `removed` messages were removed.
fn batch(mut due: Vec<Due>, removed: usize) -> Batch {
    let more = due.len() == BATCH || removed < due.len();
    due.truncate(removed);
    let more_after = due.last().map(|one| one.message).filter(|_| more);
    Batch { removed, more_after, files: due.into_iter().filter_map(|one| one.file).collect() }
}

/// Removes the ledger's entries from before the week of this time.
pub(in crate::store) fn ledger(tx: &Connection, before: Timestamp) -> Result<usize, Failure> {
    Ok(tx.prepare_cached("DELETE FROM ledger WHERE week < ?1")?.execute([week(before)])?)
}

/// Every body file that a message refers to.
pub(in crate::store) fn named_files(db: &Connection) -> Result<HashSet<String>, Failure> {
    let mut select = db.prepare_cached("SELECT file FROM contents WHERE file IS NOT NULL")?;
    let names = select.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}
