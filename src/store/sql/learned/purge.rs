//! Forgets what has expired: a reader finds it, and it is removed in small batches.

use super::lists;
use crate::store::sql::codes;
use crate::store::sql::db::{Connection, OptionalExtension, params};
use crate::store::sql::error::Failure;

/// The maximum number of mails, or sets, removed in one transaction.
pub(super) const BATCH: usize = 500;
/// A batch of sets ends when they contained this many people.
const PEOPLE: usize = 500;

/// Mails from before this day.
pub(super) fn old_mails(db: &Connection, before: i64) -> Result<Vec<i64>, Failure> {
    let mut select = db.prepare_cached("SELECT mail FROM known_mails WHERE day < ?1 LIMIT ?2")?;
    let found = select.query_map([before, codes::number(BATCH)], |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(super) fn mails(tx: &Connection, mails: &[i64]) -> Result<(), Failure> {
    let mut delete = tx.prepare_cached("DELETE FROM known_mails WHERE mail = ?1")?;
    for mail in mails {
        delete.execute([mail])?;
    }
    Ok(())
}

/// Sets whose last mail is from before this day.
pub(super) fn old_sets(db: &Connection, before: i64) -> Result<Vec<i64>, Failure> {
    let mut select = db.prepare_cached("SELECT number FROM known_sets WHERE last < ?1 LIMIT ?2")?;
    let found = select.query_map([before, codes::number(BATCH)], |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Removes the first of these sets, as many as one transaction may, except those that a mail has shown
/// meanwhile.
pub(super) fn sets(tx: &Connection, sets: &[i64], before: i64) -> Result<(), Failure> {
    let mut removed = 0;
    for number in sets {
        let people: Option<Vec<u8>> = tx
            .prepare_cached("DELETE FROM known_sets WHERE number = ?1 AND last < ?2 RETURNING people")?
            .query_row(params![number, before], |row| row.get(0))
            .optional()?;
        for digest in people.iter().flat_map(|people| people.as_chunks::<8>().0) {
            lists::remove(tx, i64::from_le_bytes(*digest), *number)?;
            removed += 1;
        }
        if removed >= PEOPLE {
            return Ok(());
        }
    }
    Ok(())
}
