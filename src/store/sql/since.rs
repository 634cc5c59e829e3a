//! The rows of messages by the time at which they came.
//!
//! Ids begin with the time at which a message came and are indexed; rows are in the order of acceptance. The two differ
//! within a millisecond, and where the clock was set back: then the row of the first id since a time is not the lowest
//! row since that time. So the ids of one more hour are looked through, which covers a clock that was set back by so
//! much.

use super::error::Failure;
use crate::clock::Timestamp;
use crate::id::Id;
use crate::store::sql::db::{Connection, OptionalExtension};
use std::time::Duration;

/// How far a clock may be set back.
const BACK: Duration = Duration::from_hours(1);

/// The lowest row of a message that came since this time.
pub(in crate::store) fn first_since(db: &Connection, since: Timestamp) -> Result<Option<i64>, Failure> {
    let [from, until] = [since, since.plus(BACK)].map(|at| Id::new(at, 0));
    // The sum keeps planners from looking for the lowest row among all, from the oldest on.
    let near: Option<i64> = db
        .prepare_cached("SELECT min(row + 0) FROM messages WHERE id >= ?1 AND id < ?2")?
        .query_row([from.as_str(), until.as_str()], |row| row.get(0))?;
    if near.is_some() {
        return Ok(near);
    }
    let mut later = db.prepare_cached("SELECT row FROM messages WHERE id >= ?1 ORDER BY id LIMIT 1")?;
    Ok(later.query_row([until.as_str()], |row| row.get(0)).optional()?)
}

/// The highest row of a message that came before this time.
pub(in crate::store) fn last_before(db: &Connection, before: Timestamp) -> Result<Option<i64>, Failure> {
    let [from, until] = [before.minus(BACK), before].map(|at| Id::new(at, 0));
    let near: Option<i64> = db
        .prepare_cached("SELECT max(row + 0) FROM messages WHERE id >= ?1 AND id < ?2")?
        .query_row([from.as_str(), until.as_str()], |row| row.get(0))?;
    if near.is_some() {
        return Ok(near);
    }
    let mut earlier = db.prepare_cached("SELECT row FROM messages WHERE id < ?1 ORDER BY id DESC LIMIT 1")?;
    Ok(earlier.query_row([from.as_str()], |row| row.get(0)).optional()?)
}
