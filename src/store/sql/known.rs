//! Which recipients each sender's mail reached before: one row for each pair, written at most once a day.

use super::error::Failure;
use super::{codes, keys};
use crate::clock::Timestamp;
use crate::message::Address;
use crate::store::known::Correspondents;
use crate::store::sql::db::{Connection, OptionalExtension, params};
use crate::store::{AttemptResult, DeliveryState};

/// Adds a pair if the message has a sender and is not our own. The sender is the first line of its addresses in
/// comparison form. A pair is written again only after a day, because queries ask only how many days ago it was.
const NOTE: &str = "INSERT INTO correspondents (sender, recipient, last) \
     SELECT substr(coalesce(keys, people), 2, instr(substr(coalesce(keys, people), 2), char(10)) - 1), ?2, max(?3) \
     FROM messages WHERE row = ?1 AND action <> 'own' AND substr(coalesce(keys, people), 2, 1) <> char(10) \
     GROUP BY 1, 2 ON CONFLICT (sender, recipient) DO UPDATE SET last = excluded.last \
     WHERE correspondents.last < excluded.last - 86400000";

/// Records which recipients an attempt reached. Our own mail, and mail without a sender, is left out.
pub(in crate::store) fn note(tx: &Connection, result: &AttemptResult) -> Result<(), Failure> {
    let message = keys::message_of(result.lease.delivery.for_engine());
    let mut put = tx.prepare_cached(NOTE)?;
    for (recipient, _) in result.recipients.iter().filter(|(_, one)| one.state == DeliveryState::Delivered) {
        put.put_row(params![message, recipient.key(), result.at.0])?;
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

/// How many pairs one request forgets.
const FORGOTTEN_AT_ONCE: i64 = 500;

/// A sender and a recipient, in comparison form.
pub(in crate::store) type Pair = (String, String);

/// The next pairs behind this one whose last mail was before this time. There is no index of times, so this looks at
/// all of them; it is not for the writer.
pub(in crate::store) fn outdated(
    db: &Connection,
    before: Timestamp,
    behind: &Pair,
) -> Result<Vec<Pair>, Failure> {
    let mut select = db.prepare_cached(
        "SELECT sender, recipient FROM correspondents WHERE (sender, recipient) > (?1, ?2) AND last < ?3 \
         ORDER BY sender, recipient LIMIT ?4",
    )?;
    let (sender, recipient) = behind;
    let rows = select.query_map(params![sender, recipient, before.0, FORGOTTEN_AT_ONCE], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Forgets these pairs, unless there was mail since this time.
pub(in crate::store) fn forget(tx: &Connection, pairs: &[Pair], before: Timestamp) -> Result<(), Failure> {
    let mut delete =
        tx.prepare_cached("DELETE FROM correspondents WHERE sender = ?1 AND recipient = ?2 AND last < ?3")?;
    for (sender, recipient) in pairs {
        delete.put(params![sender, recipient, before.0])?;
    }
    Ok(())
}
