//! What belongs to one person: their sessions, and the newest mails that they sent.

use super::encode::from_people;
use super::error::Failure;
use super::{codes, keys, read};
use crate::clock::Timestamp;
use crate::lifecycle::UNDO;
use crate::store::sql::db::{Connection, OptionalExtension, Row, params};
use crate::store::{RecentRow, SessionRow};
use crate::token::Digest;
use std::collections::BTreeMap;

/// The number of recipients that a line names.
const NAMED: usize = 3;

/// The expression must be the same, word for word, as in the index of senders, or the index is not used.
pub(in crate::store) const OF_SENDER: &str = "SELECT m.row, m.id, m.received, m.people, m.subject, m.action FROM messages m \
     WHERE substr(coalesce(keys, people), 2, instr(substr(coalesce(keys, people), 2), char(10)) - 1) = ?1 \
     AND action <> 'own' ORDER BY m.row DESC LIMIT ?2";

/// See [`crate::store::PeopleStore::sessions_of`].
pub(in crate::store) fn sessions(
    db: &Connection,
    name: &str,
    now: Timestamp,
) -> Result<Vec<SessionRow>, Failure> {
    let mut select = db.prepare_cached(
        "SELECT hash, who, made, seen, expires FROM sessions WHERE name = ?1 AND expires > ?2 ORDER BY made DESC",
    )?;
    let rows = select.query_map(params![name, now.0], |row| {
        Ok(SessionRow {
            hash: Digest(row.get(0)?),
            name: name.to_owned(),
            who: row.get(1)?,
            made: Timestamp(row.get(2)?),
            seen: Timestamp(row.get(3)?),
            expires: Timestamp(row.get(4)?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// See [`crate::store::PeopleStore::recent`].
pub(in crate::store) fn recent(
    db: &Connection,
    senders: &[String],
    limit: usize,
) -> Result<Vec<RecentRow>, Failure> {
    let mut select = db.prepare_cached(OF_SENDER)?;
    let mut found: BTreeMap<i64, RecentRow> = BTreeMap::new();
    for sender in senders {
        let mut rows = select.query(params![sender, codes::number(limit)])?;
        while let Some(row) = rows.next()? {
            let key: i64 = row.get(0)?;
            found.insert(key, line(db, key, &row)?);
        }
    }
    Ok(found.into_values().rev().take(limit).collect())
}

fn line(db: &Connection, key: i64, row: &Row<'_>) -> Result<RecentRow, Failure> {
    let people: String = row.get(3)?;
    let (_, recipients) = from_people(&people);
    let mut found = RecentRow {
        id: read::id(&row.get::<_, String>(1)?)?,
        received: Timestamp(row.get(2)?),
        subject: row.get(4)?,
        recipient_count: recipients.len(),
        recipients: recipients.into_iter().take(NAMED).collect(),
        action: row.get(5)?,
        held: None,
        undo_until: None,
        copies: BTreeMap::new(),
        leaves: None,
    };
    let held: Option<(i64, Option<String>, String, Option<i64>)> = db
        .prepare_cached(
            "SELECT i.state, i.decision, n.id, i.undo_until FROM held h JOIN held i ON i.message = h.item \
             JOIN messages n ON n.row = h.item WHERE h.message = ?1",
        )?
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    if let Some((state, decision, item, undo)) = held
        && let Some(state) = codes::to_held(state)
    {
        found.held = Some((state, decision, read::id(&item)?));
        found.undo_until = undo.map(Timestamp);
    }
    let mut copies = db.prepare_cached(
        "SELECT state, count(*), min(CASE WHEN state = ?3 AND attempts = 0 THEN due END) FROM deliveries \
         WHERE row BETWEEN ?1 AND ?2 GROUP BY state",
    )?;
    let mut rows = copies.query(params![keys::base(key), keys::last(key), codes::WAITING])?;
    while let Some(row) = rows.next()? {
        let Some(state) = codes::to_delivery(row.get(0)?) else { continue };
        found.copies.insert(state, usize::try_from(row.get::<_, i64>(1)?).unwrap_or(0));
        found.leaves = found.leaves.or(row.get::<_, Option<i64>>(2)?.map(Timestamp));
    }
    if found.held.is_none() {
        let taken: Option<i64> = db
            .prepare_cached("SELECT at FROM taken WHERE message = ?1 AND undone = 0")?
            .query_row([key], |row| row.get(0))
            .optional()?;
        found.undo_until = taken.map(|at| Timestamp(at).plus(UNDO));
    }
    Ok(found)
}
