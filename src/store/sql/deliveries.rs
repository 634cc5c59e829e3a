//! Deliveries as rows: reading their progress and writing its changes.

use super::error::Failure;
use super::{codes, keys};
use crate::clock::Timestamp;
use crate::lifecycle::delivery::Progress;
use crate::store::StoreError;
use crate::store::sql::db::{Connection, OptionalExtension, Row, Value};

/// The columns of [`progress`], in its order.
macro_rules! progress_columns {
    () => {
        "d.state, d.due, d.token, d.attempts, d.duplicate, d.queued, d.reply"
    };
}
pub(in crate::store) use progress_columns;

/// Reads the progress from a row, with its columns from `first` on.
pub(in crate::store) fn progress(row: &Row<'_>, first: usize) -> Result<Progress, Failure> {
    let state = codes::to_delivery(row.get(first)?)
        .ok_or_else(|| StoreError::Unreadable("a delivery has an unknown state".to_owned()))?;
    Ok(Progress {
        state,
        due: row.get::<_, Option<i64>>(first + 1)?.map(Timestamp),
        token: row.get(first + 2)?,
        attempts: row.get(first + 3)?,
        duplicate: row.get(first + 4)?,
        queued: Timestamp(row.get(first + 5)?),
        reply: row.get(first + 6)?,
    })
}

/// The progress of a delivery, if it is leased with this token.
pub(in crate::store) fn leased(tx: &Connection, row: i64, token: i64) -> Result<Option<Progress>, Failure> {
    let mut select = tx.prepare_cached(concat!(
        "SELECT ",
        progress_columns!(),
        " FROM deliveries d WHERE d.row = ?1 AND d.token = ?2"
    ))?;
    let mut rows = select.query([row, token])?;
    rows.next()?.map(|row| progress(&row, 0)).transpose()
}

/// All deliveries of a message, with their rows.
pub(in crate::store) fn of_message(tx: &Connection, message: i64) -> Result<Vec<(i64, Progress)>, Failure> {
    let mut select = tx.prepare_cached(concat!(
        "SELECT d.row, ",
        progress_columns!(),
        " FROM deliveries d WHERE d.row BETWEEN ?1 AND ?2 ORDER BY d.row"
    ))?;
    let mut rows = select.query([keys::base(message), keys::last(message)])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push((row.get(0)?, progress(&row, 1)?));
    }
    Ok(all)
}

const PROGRESS: &str = "UPDATE deliveries SET state = ?2, due = ?3, token = ?4, attempts = ?5, duplicate = ?6, \
     queued = ?7, reply = ?8 WHERE row = ?1";

/// The parameters of [`PROGRESS`].
fn values(row: i64, progress: &Progress) -> [Value<'_>; 8] {
    [
        Value::Integer(row),
        Value::Integer(codes::delivery(progress.state)),
        progress.due.map_or(Value::Null, |due| Value::Integer(due.0)),
        Value::Integer(progress.token),
        Value::Integer(progress.attempts.into()),
        Value::Integer(progress.duplicate.into()),
        Value::Integer(progress.queued.0),
        Value::Text(&progress.reply),
    ]
}

/// Writes the progress of a delivery.
pub(in crate::store) fn put(tx: &Connection, row: i64, progress: &Progress) -> Result<(), Failure> {
    Ok(tx.prepare_cached(PROGRESS)?.put(&values(row, progress)[..])?)
}

/// The same for a delivery that no other request of the group changes, so that those of many are written together.
pub(in crate::store) fn put_row(tx: &Connection, row: i64, progress: &Progress) -> Result<(), Failure> {
    Ok(tx.prepare_cached(PROGRESS)?.put_row(&values(row, progress)[..])?)
}

/// Changes those deliveries of a message for which `becomes` returns a new progress. Returns how many.
pub(in crate::store) fn change(
    tx: &Connection,
    message: i64,
    mut becomes: impl FnMut(Progress) -> Option<Progress>,
) -> Result<usize, Failure> {
    let mut changed = 0;
    for (row, progress) in of_message(tx, message)? {
        if let Some(next) = becomes(progress) {
            put(tx, row, &next)?;
            changed += 1;
        }
    }
    Ok(changed)
}

/// The highest number of a delivery of this message.
pub(in crate::store) fn highest_number(tx: &Connection, message: i64) -> Result<i64, Failure> {
    let highest: Option<i64> = tx
        .prepare_cached("SELECT max(row) FROM deliveries WHERE row BETWEEN ?1 AND ?2")?
        .query_row([keys::base(message), keys::last(message)], |row| row.get(0))
        .optional()?
        .flatten();
    Ok(highest.map_or(0, keys::number_of))
}
