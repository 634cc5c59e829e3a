//! The journal of a message: the entries from its acceptance are in the message's row, later ones have rows of
//! their own, and a successful delivery is recorded by the delivery's row.

use super::encode::{from_json, to_json};
use super::error::Failure;
use super::{chain, codes, keys, read};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::journal::{Entry, Event};
use crate::store::sql::db::{Connection, params};

/// Adds an entry.
pub(in crate::store) fn append(
    tx: &Connection,
    message: i64,
    at: Timestamp,
    event: &Event,
) -> Result<(), Failure> {
    let event = to_json(event)?;
    let row: i64 = tx
        .prepare_cached(
            "INSERT INTO journal (row, at, event) SELECT coalesce(max(row), ?1) + 1, ?3, ?4 FROM journal \
         WHERE row BETWEEN ?1 AND ?2 RETURNING row",
        )?
        .query_row(params![keys::base(message), keys::last(message), at.0, event], |row| row.get(0))?;
    chain::entered(tx, row, at.0, &event)
}

/// All entries of a message, oldest first. Rows keep the order in which they were committed, whatever their
/// times are: what remains to be reported depends on that order.
pub(in crate::store) fn of(db: &Connection, id: Id) -> Result<Vec<Entry>, Failure> {
    let message = read::row_of(db, id)?;
    let (received, first): (i64, String) = db
        .prepare_cached("SELECT received, events FROM messages WHERE row = ?1")?
        .query_row([message], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let entry = |at: i64, event: Event| Entry { message: id, at: Timestamp(at), event };
    let events: Vec<Event> = from_json(&first)?;
    let mut entries: Vec<(i64, Entry)> =
        events.into_iter().map(|event| (received, entry(received, event))).collect();
    let range = [keys::base(message), keys::last(message)];

    let mut later =
        db.prepare_cached("SELECT at, event FROM journal WHERE row BETWEEN ?1 AND ?2 ORDER BY row")?;
    let mut rows = later.query(range)?;
    let mut latest = received;
    while let Some(row) = rows.next()? {
        let at = row.get(0)?;
        latest = latest.max(at);
        match from_json(&row.get::<_, String>(1)?) {
            Ok(event) => entries.push((latest, entry(at, event))),
            // One entry that cannot be read must not hide the others.
            Err(error) => tracing::error!(%id, %error, "an entry of the journal cannot be read back"),
        }
    }

    let mut delivered = db.prepare_cached(
        "SELECT row, attempts, duplicate, ended, reply, copy FROM deliveries \
         WHERE row BETWEEN ?1 AND ?2 AND state = ?3 AND ended IS NOT NULL",
    )?;
    let mut rows = delivered.query(params![range[0], range[1], codes::DELIVERED])?;
    while let Some(row) = rows.next()? {
        let event = Event::Attempt {
            delivery: keys::number_of(row.get(0)?),
            recipients: read::recipients_or_none(&row.get::<_, Vec<u8>>(5)?),
            state: crate::store::DeliveryState::Delivered.to_string(),
            reply: row.get(4)?,
            attempt: row.get(1)?,
            possible_duplicate: row.get(2)?,
        };
        let at = row.get(3)?;
        entries.push((at, entry(at, event)));
    }
    entries.sort_by_key(|(place, _)| *place);
    Ok(entries.into_iter().map(|(_, entry)| entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries in existing databases can be read, and are written back unchanged: the chain covers their text.
    #[test]
    fn entries_from_before_observe_mode_was_told_apart_are_read() {
        let text = r#"{"event":"accepted","client":"c","action":"pass","disclosure":"as-is","recipients":1,"copies":1,"exposures":0}"#;
        let event: Event = serde_json::from_str(text).unwrap();
        assert!(matches!(event, Event::Accepted { would: None, .. }));
        assert_eq!(serde_json::to_string(&event).unwrap(), text);
    }
}
