//! The transactions of one mail: clients send it in several if its recipients are many, or are reached by several
//! servers.
//!
//! Most mails are one transaction. So only one that comes later is noted, with an earlier one.

use super::error::Failure;
use super::read;
use crate::clock::Timestamp;
use crate::id::Id;
use crate::lifecycle::forks::BEFORE;
use crate::lifecycle::repeats::SPAN;
use crate::message::Fork;
use crate::store::sql::db::{Connection, params};
use std::time::Duration;

/// Notes an earlier transaction of the same mail.
pub(in crate::store) fn note(tx: &Connection, message: i64, earlier: i64) -> Result<(), Failure> {
    tx.prepare_cached(
        "INSERT INTO later_transactions (message, earlier) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    )?
    .put_row([message, earlier])?;
    Ok(())
}

/// Goes back to the first, and from there to all that came later. `CROSS` makes SQLite join in this order, and a
/// subquery for each makes PostgreSQL look each up by its number.
pub(in crate::store) const WHOLE_MAIL: &str = "WITH RECURSIVE back (message) AS (SELECT CAST(?1 AS BIGINT) UNION \
     SELECT l.earlier FROM back CROSS JOIN later_transactions l WHERE l.message = back.message), \
     whole (message) AS (SELECT message FROM back UNION \
     SELECT l.message FROM whole CROSS JOIN later_transactions l WHERE l.earlier = whole.message) \
     SELECT message FROM whole WHERE (SELECT m.id >= ?2 AND m.id < ?3 AND substr(m.fork, 1, 24) = ?4 \
     FROM messages m WHERE m.row = whole.message) ORDER BY message";

/// All transactions of the mail that a message belongs to, in the order in which they came.
pub(in crate::store) fn whole_mail(db: &Connection, id: Id) -> Result<Vec<i64>, Failure> {
    within(db, id, BEFORE)
}

/// The same with those that a message may repeat, which may have come a day before it.
pub(in crate::store) fn repeated(db: &Connection, id: Id) -> Result<Vec<i64>, Failure> {
    within(db, id, SPAN)
}

/// The transactions of a mail that came at most this long before this one.
fn within(db: &Connection, id: Id, before: Duration) -> Result<Vec<i64>, Failure> {
    let message = read::row_of(db, id)?;
    let (received, fork): (i64, Option<Vec<u8>>) = db
        .prepare_cached("SELECT received, fork FROM messages WHERE row = ?1")?
        .query_row([message], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let Some(fork) = fork.and_then(|octets| Fork::from_octets(&octets)) else { return Ok(vec![message]) };
    let around = [Timestamp(received).minus(before), Timestamp(received).plus(SPAN)];
    let [first, end] = around.map(|at| Id::new(at, 0));
    let mut select = db.prepare_cached(WHOLE_MAIL)?;
    let rows = select
        .query_map(params![message, first.as_str(), end.as_str(), fork.group.octets()], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The ids of these transactions.
pub(in crate::store) fn ids(db: &Connection, id: Id) -> Result<Vec<Id>, Failure> {
    whole_mail(db, id)?.into_iter().map(|row| read::id_of(db, row)).collect()
}
