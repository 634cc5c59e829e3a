//! What the relay itself delivered: mails in the ledger, once none of their copies is open.

use crate::clock::Timestamp;
use crate::message::Address;
use crate::policy::facts::Disclosed;
use crate::store::learned::{Sent, Through};
use crate::store::sql::codes;
use crate::store::sql::db::{Connection, OptionalExtension, params};
use crate::store::sql::encode::{from_json, week};
use crate::store::sql::error::Failure;
use crate::store::sql::{keys, read};
use crate::store::{SentId, StoreError};
use std::collections::HashSet;

/// The number of mails checked for one page.
const PAGE: usize = 200;
/// The maximum number of transactions of one mail that are combined.
const TRANSACTIONS: usize = 500;

/// See [`crate::store::learned::LearnedStore::through`].
pub(super) fn through(db: &Connection, after: Option<SentId>) -> Result<Through, Failure> {
    let mut select =
        db.prepare_cached("SELECT message FROM untaught WHERE message > ?1 ORDER BY message LIMIT ?2")?;
    let numbers: Vec<i64> = select
        .query_map([after.map_or(0, SentId::for_engine), codes::number(PAGE)], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let after = numbers.last().copied().filter(|_| numbers.len() == PAGE).map(SentId::from_engine);
    let mut mails = Vec::new();
    for number in numbers {
        mails.extend(look(db, number)?);
    }
    Ok(Through { mails, after })
}

/// A mail, if none of its copies is open.
fn look(db: &Connection, number: i64) -> Result<Option<Sent>, Failure> {
    let Some(got) = reached(db, number)? else { return Ok(None) };
    let head: Option<(String, i64)> = db
        .prepare_cached(
            "SELECT message_id, received FROM messages m WHERE row = ?1 AND action IN ('pass', 'delay') \
             AND NOT EXISTS (SELECT 1 FROM held WHERE message = m.row) AND NOT EXISTS \
             (SELECT 1 FROM observed WHERE message = m.row AND action <> 'pass')",
        )?
        .query_row([number], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let id = SentId::from_engine(number);
    let nobody = Sent { id, message_id: String::new(), received: Timestamp(0), reached: Vec::new() };
    let Some((message_id, received)) = head else { return Ok(Some(nobody)) };
    let entries = entries(db, &message_id, received)?;
    let Some(own) = entries.iter().find(|(message, _)| *message == number).map(|(_, own)| own) else {
        return Ok(Some(nobody));
    };
    let mut people: Vec<Address> = own.addresses.iter().filter(|one| got.contains(*one)).cloned().collect();
    let others = entries.iter().filter(|(message, one)| *message != number && one.mail == own.mail);
    for (message, other) in others.filter(|_| !own.mail.is_empty()) {
        // Other transactions that are still open follow in their own turn.
        let got = reached(db, *message)?.unwrap_or_default();
        people.extend(other.addresses.iter().filter(|one| got.contains(*one)).cloned());
    }
    Ok(Some(Sent { id, message_id, received: Timestamp(received), reached: people }))
}

/// The recipients that a mail's copies reached; `None` while one is open.
fn reached(db: &Connection, number: i64) -> Result<Option<HashSet<Address>>, Failure> {
    let mut select = db.prepare_cached("SELECT state, copy FROM deliveries WHERE row BETWEEN ?1 AND ?2")?;
    let mut rows = select.query([keys::base(number), keys::last(number)])?;
    let mut got = HashSet::new();
    while let Some(row) = rows.next()? {
        let state: i64 = row.get(0)?;
        if state < codes::FIRST_FINAL {
            return Ok(None);
        }
        if state == codes::DELIVERED {
            let copy = row.get_ref(1)?.as_blob().unwrap_or_default();
            let to = read::recipients_or_none(copy);
            got.extend(to.iter().filter_map(|one| Address::stored(one).ok()));
        }
    }
    Ok(Some(got))
}

/// The ledger's entries for one Message-ID from the week of this time on, with their messages.
fn entries(db: &Connection, message_id: &str, received: i64) -> Result<Vec<(i64, Disclosed)>, Failure> {
    let mut select = db.prepare_cached(
        "SELECT message, disclosed FROM ledger WHERE week BETWEEN ?1 AND ?1 + 1 AND message_id = ?2 LIMIT ?3",
    )?;
    let mut rows =
        select.query(params![week(Timestamp(received)), message_id, codes::number(TRANSACTIONS)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let entry: Result<Disclosed, StoreError> = from_json(&row.get::<_, String>(1)?);
        found.push((row.get(0)?, entry?));
    }
    Ok(found)
}

/// Marks these mails as done.
pub(super) fn done(tx: &Connection, ids: &[SentId]) -> Result<(), Failure> {
    let mut delete = tx.prepare_cached("DELETE FROM untaught WHERE message = ?1")?;
    for id in ids {
        delete.execute([id.for_engine()])?;
    }
    Ok(())
}
