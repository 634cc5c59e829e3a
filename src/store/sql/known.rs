//! Which recipients each sender's mail reached before: one row for each pair, written at most once a day.

use super::encode::sender_of;
use super::error::Failure;
use super::{codes, keys};
use crate::clock::Timestamp;
use crate::message::Address;
use crate::store::known::Correspondents;
use crate::store::sql::db::{Connection, OptionalExtension, params};
use crate::store::{AttemptResult, DeliveryState};

/// A pair is written again only after a day, because queries ask only how many days ago it was.
const DAY: i64 = 24 * 3600 * 1000;

/// Records which recipients an attempt reached. Our own mail, and mail without a sender, is left out.
pub(in crate::store) fn note(tx: &Connection, result: &AttemptResult) -> Result<(), Failure> {
    let reached = || result.recipients.iter().filter(|(_, one)| one.state == DeliveryState::Delivered);
    if reached().next().is_none() {
        return Ok(());
    }
    let message = keys::message_of(result.lease.delivery.for_engine());
    let people: Option<(String, String)> = tx
        .prepare_cached("SELECT people, action FROM messages WHERE row = ?1")?
        .query_row([message], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((people, action)) = people else { return Ok(()) };
    let Ok(sender) = Address::parse(sender_of(&people)) else { return Ok(()) };
    if action == "own" {
        return Ok(());
    }
    let mut put = tx.prepare_cached(
        "INSERT INTO correspondents (sender, recipient, last) VALUES (?1, ?2, ?3) \
         ON CONFLICT (sender, recipient) DO UPDATE SET last = excluded.last WHERE correspondents.last < excluded.last - ?4",
    )?;
    for (recipient, _) in reached() {
        put.execute(params![sender.key(), recipient.key(), result.at.0, DAY])?;
    }
    Ok(())
}

/// See [`crate::store::known::KnownStore::correspondents`].
pub(in crate::store) fn correspondents(
    db: &Connection,
    sender: &Address,
    recipients: &[Address],
    most: usize,
) -> Result<Correspondents, Failure> {
    let mut found = Correspondents::default();
    let mut one =
        db.prepare_cached("SELECT last FROM correspondents WHERE sender = ?1 AND recipient = ?2")?;
    for recipient in recipients {
        let last: Option<i64> =
            one.query_row([sender.key(), recipient.key()], |row| row.get(0)).optional()?;
        if let Some(last) = last {
            found.last.insert(recipient.key().to_owned(), Timestamp(last));
        }
    }
    let mut domains = db.prepare_cached(
        "SELECT DISTINCT substr(recipient, instr(recipient, '@') + 1) FROM \
         (SELECT recipient FROM correspondents WHERE sender = ?1 LIMIT 20000) r LIMIT ?2",
    )?;
    let mut rows = domains.query(params![sender.key(), codes::number(most)])?;
    while let Some(row) = rows.next()? {
        found.domains.push(row.get(0)?);
    }
    Ok(found)
}

/// Forgets pairs whose last mail was before this time.
pub(in crate::store) fn forget(tx: &Connection, before: Timestamp) -> Result<usize, Failure> {
    Ok(tx.prepare_cached("DELETE FROM correspondents WHERE last < ?1")?.execute([before.0])?)
}
