//! Notices: what people still have to be told.
//!
//! A second notice of the same kind is merged into one that is still open, which becomes due at the earlier of
//! both times. The merged notice gets a new number. So code that is just writing it from outdated information
//! is told that it changed (`Fenced`), and writes it again with everything in it.

use super::error::Failure;
use super::{codes, keys};
use crate::clock::Timestamp;
use crate::lifecycle::notices as rules;
use crate::store::sql::db::{Connection, OptionalExtension, params};
use crate::store::{DueNotice, NoticeId, NoticeKind, StoreError};

const OPEN: i64 = 0;
const SENT: i64 = 1;
const DROPPED: i64 = 2;

/// The message and kind of an open notice; `Fenced` if it is not open any more.
pub(in crate::store) fn open(tx: &Connection, notice: i64) -> Result<(i64, NoticeKind), Failure> {
    let found: Option<(i64, i64)> = tx
        .prepare_cached("SELECT message, kind FROM notices WHERE row = ?1 AND state = ?2")?
        .query_row([notice, OPEN], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (message, kind) = found.ok_or(StoreError::Fenced)?;
    Ok((message, to_kind(kind)?))
}

fn to_kind(code: i64) -> Result<NoticeKind, StoreError> {
    codes::to_notice(code).ok_or_else(|| StoreError::Unreadable(format!("there is no kind {code} of notice")))
}

/// Adds a notice; with `None` it becomes due once every delivery of the message is final.
pub(in crate::store) fn put(
    tx: &Connection,
    message: i64,
    kind: NoticeKind,
    due: Option<i64>,
) -> Result<(), Failure> {
    let kind = codes::notice(kind);
    let pending: Option<(i64, Option<i64>)> = tx
        .prepare_cached("SELECT row, due FROM notices WHERE message = ?1 AND kind = ?2 AND state = 0")?
        .query_row([message, kind], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let mut due = due;
    if let Some((row, earlier)) = pending {
        due = rules::merged(earlier.map(Timestamp), due.map(Timestamp)).map(|due| due.0);
        tx.prepare_cached("DELETE FROM notices WHERE row = ?1")?.execute([row])?;
    }
    tx.prepare_cached("INSERT INTO notices (message, kind, due, state) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![message, kind, due, OPEN])?;
    if kind == codes::notice(NoticeKind::AskedAsIs) {
        super::terms::mark_asked(tx, message)?;
    }
    Ok(())
}

/// Whether a notice of this kind about a message was sent before.
pub(in crate::store) fn was_sent(tx: &Connection, message: i64, kind: NoticeKind) -> Result<bool, Failure> {
    Ok(tx
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM notices WHERE message = ?1 AND kind = ?2 AND state = ?3)",
        )?
        .query_row([message, codes::notice(kind), SENT], |row| row.get(0))?)
}

/// Makes waiting reports due once the last delivery of a message is final.
pub(in crate::store) fn settle(tx: &Connection, message: i64, now: Timestamp) -> Result<(), Failure> {
    let kinds = rules::AT_THE_END.map(codes::notice);
    let waiting: bool = tx
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM notices WHERE message = ?1 AND kind IN (?2, ?3) AND state = 0 \
             AND (due IS NULL OR due > ?4))",
        )?
        .query_row([message, kinds[0], kinds[1], now.0], |row| row.get(0))?;
    if !waiting {
        return Ok(());
    }
    // Copies are sent from the first to the last, so an open one is found fastest from the end.
    let open: Option<i64> = tx
        .prepare_cached(
            "SELECT row FROM deliveries WHERE row BETWEEN ?1 AND ?2 AND state < ?3 ORDER BY row DESC LIMIT 1",
        )?
        .query_row([keys::base(message), keys::last(message), codes::FIRST_FINAL], |row| row.get(0))
        .optional()?;
    if open.is_none() {
        tx.prepare_cached(
            "UPDATE notices SET due = ?4 WHERE message = ?1 AND kind IN (?2, ?3) AND state = 0 \
             AND (due IS NULL OR due > ?4)",
        )?
        .execute([message, kinds[0], kinds[1], now.0])?;
    }
    Ok(())
}

pub(in crate::store) fn mark_sent(tx: &Connection, notice: i64) -> Result<(), Failure> {
    tx.prepare_cached("UPDATE notices SET state = ?2 WHERE row = ?1")?.execute([notice, SENT])?;
    Ok(())
}

pub(in crate::store) fn drop_open(tx: &Connection, notice: i64) -> Result<(), Failure> {
    tx.prepare_cached("UPDATE notices SET state = ?2 WHERE row = ?1 AND state = 0")?
        .execute([notice, DROPPED])?;
    Ok(())
}

/// Drops the open notice of this kind about a message.
pub(in crate::store) fn drop_kind(tx: &Connection, message: i64, kind: NoticeKind) -> Result<(), Failure> {
    tx.prepare_cached("UPDATE notices SET state = ?3 WHERE message = ?1 AND kind = ?2 AND state = 0")?
        .execute([message, codes::notice(kind), DROPPED])?;
    Ok(())
}

/// Changes when the open notice of this kind about a message is due, as `due` says; `None` leaves it unchanged.
pub(in crate::store) fn move_kind(
    tx: &Connection,
    message: i64,
    kind: NoticeKind,
    due: impl Fn(Option<Timestamp>) -> Option<Timestamp>,
) -> Result<(), Failure> {
    let mut select =
        tx.prepare_cached("SELECT row, due FROM notices WHERE message = ?1 AND kind = ?2 AND state = 0")?;
    let mut rows = select.query([message, codes::notice(kind)])?;
    while let Some(row) = rows.next()? {
        let (notice, now): (i64, Option<i64>) = (row.get(0)?, row.get(1)?);
        if let Some(then) = due(now.map(Timestamp)) {
            tx.prepare_cached("UPDATE notices SET due = ?2 WHERE row = ?1")?.execute([notice, then.0])?;
        }
    }
    Ok(())
}

/// Open notices that are due, in the order in which they became due.
pub(in crate::store) fn due(
    db: &Connection,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<DueNotice>, Failure> {
    let mut select = db.prepare_cached(
        "SELECT n.row, m.id, n.kind FROM notices n JOIN messages m ON m.row = n.message \
         WHERE n.state = 0 AND n.due <= ?1 ORDER BY n.due, n.row LIMIT ?2",
    )?;
    let rows = select.query_map(params![now.0, codes::number(limit)], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
    })?;
    rows.map(|row| {
        let (notice, id, kind) = row?;
        Ok(DueNotice {
            id: NoticeId::from_engine(notice),
            message: super::read::id(&id)?,
            kind: to_kind(kind)?,
        })
    })
    .collect()
}

/// The name of the kind in the journal.
pub(in crate::store) fn name(kind: NoticeKind) -> String {
    serde_json::to_value(kind).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}
