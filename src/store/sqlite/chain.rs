//! The chain in its table.
//!
//! Every acceptance and every journal entry adds its SHA-256 as it is written. Before a group is
//! committed, its last entry gets a link: an HMAC, under a key that is not in the database, over the link
//! before and all hashes since. What a purge removes leaves its hash, and the purge is an entry itself;
//! where nothing else is left of the oldest entries, they are cut off (see `cut`).
//! How a successful delivery ended is told by the delivery's row and is not in the chain.

use super::SqliteStore;
use super::encode::{MessageRows, from_json, to_json};
use super::error::{Failure, io_error};
use super::{codes, cut, read, schema};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::store::StoreError;
use crate::store::chain::{ChainStore, Head, Verified};
use async_trait::async_trait;
use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Octets of the key.
const KEY: usize = 32;

/// The key in this file; made there when there is none.
pub(super) fn key(path: &Path) -> Result<hmac::Key, StoreError> {
    let octets = match std::fs::read(path) {
        Ok(octets) if octets.len() == KEY => octets,
        Ok(octets) => {
            let why = format!(
                "{}: the journal's key has {} octets in place of {KEY}",
                path.display(),
                octets.len()
            );
            return Err(StoreError::Unavailable(why));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => make(path)?,
        Err(error) => return Err(io_error("read the journal's key", path, &error)),
    };
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &octets))
}

fn make(path: &Path) -> Result<Vec<u8>, StoreError> {
    let mut key = vec![0; KEY];
    SystemRandom::new()
        .fill(&mut key)
        .map_err(|_| StoreError::Unavailable("no random numbers for the journal's key".to_owned()))?;
    let failed = |error| io_error("write the journal's key", path, &error);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(&key).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(key)
}

/// Hashes texts so that no two lists of them look alike.
fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut all = [0; 32];
    all.copy_from_slice(context.finish().as_ref());
    all
}

/// An acceptance.
pub(super) fn accepted(
    tx: &Connection,
    message: i64,
    rows: &MessageRows,
    people: &str,
) -> Result<(), Failure> {
    let digest =
        of_message(rows.id.as_str(), rows.received, people, &rows.message_id, &rows.action, &rows.events);
    add(tx, schema::base(message), &digest)
}

fn of_message(
    id: &str,
    received: i64,
    people: &str,
    message_id: &str,
    action: &str,
    events: &str,
) -> [u8; 32] {
    digest(&[
        b"accepted",
        id.as_bytes(),
        &received.to_be_bytes(),
        people.as_bytes(),
        message_id.as_bytes(),
        action.as_bytes(),
        events.as_bytes(),
    ])
}

/// A journal entry.
pub(super) fn entered(tx: &Connection, row: i64, at: i64, event: &str) -> Result<(), Failure> {
    add(tx, row, &of_entry(row, at, event))
}

fn of_entry(row: i64, at: i64, event: &str) -> [u8; 32] {
    digest(&[b"entry", &row.to_be_bytes(), &at.to_be_bytes(), event.as_bytes()])
}

/// A purge of these messages.
pub(super) fn purged(tx: &Connection, messages: &[i64]) -> Result<(), Failure> {
    if messages.is_empty() {
        return Ok(());
    }
    let list = to_json(messages)?;
    tx.prepare_cached("INSERT INTO purges (messages) VALUES (?1)")?.execute([&list])?;
    let row = tx.last_insert_rowid();
    add(tx, -row, &of_purge(row, &list))
}

pub(super) fn of_purge(row: i64, messages: &str) -> [u8; 32] {
    digest(&[b"purge", &row.to_be_bytes(), messages.as_bytes()])
}

fn add(tx: &Connection, entry: i64, digest: &[u8; 32]) -> Result<(), Failure> {
    tx.prepare_cached("INSERT INTO chain (entry, digest) VALUES (?1, ?2)")?
        .execute(params![entry, digest])?;
    Ok(())
}

/// Links what a group added, before it is committed.
pub(super) fn link(tx: &Connection, key: &hmac::Key) -> Result<(), rusqlite::Error> {
    let last: Option<(i64, bool)> = tx
        .prepare_cached("SELECT seq, mac IS NULL FROM chain ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((last, true)) = last else { return Ok(()) };
    let before: Option<(i64, Vec<u8>)> = tx
        .prepare_cached("SELECT seq, mac FROM chain WHERE mac IS NOT NULL ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (from, before) = before.unwrap_or_default();
    let mut mac = hmac::Context::with_key(key);
    mac.update(&before);
    let mut select = tx.prepare_cached("SELECT entry, digest FROM chain WHERE seq > ?1 ORDER BY seq")?;
    let mut rows = select.query([from])?;
    while let Some(row) = rows.next()? {
        take(&mut mac, row)?;
    }
    tx.prepare_cached("UPDATE chain SET mac = ?2 WHERE seq = ?1")?
        .execute(params![last, mac.sign().as_ref()])?;
    Ok(())
}

/// Takes an entry's key and hash (columns 0 and 1) into a link.
pub(super) fn take(mac: &mut hmac::Context, row: &Row<'_>) -> Result<(), rusqlite::Error> {
    mac.update(&row.get::<_, i64>(0)?.to_be_bytes());
    mac.update(row.get_ref(1)?.as_blob()?);
    Ok(())
}

fn head(db: &Connection) -> Result<Head, Failure> {
    let found: Option<(i64, Option<Vec<u8>>)> = db
        .prepare_cached("SELECT seq, mac FROM chain ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((seq, mac)) = found else { return Ok(Head::default()) };
    Ok(Head { entries: codes::count(seq), link: hex(&mac.unwrap_or_default()) })
}

fn hex(octets: &[u8]) -> String {
    octets
        .iter()
        .flat_map(|octet| [octet >> 4, octet & 15])
        .filter_map(|n| char::from_digit(n.into(), 16))
        .collect()
}

/// Checks links, hashes and entries; then whether there are entries outside the chain.
fn verify(db: &Connection, key: &hmac::Key) -> Result<Verified, Failure> {
    let mut verified = Verified { head: head(db)?, ..Verified::default() };
    let gone = purged_messages(db)?;
    let (mut seen, mut first) = (HashSet::new(), None);
    let (mut before, mut next, mut mac): (Vec<u8>, i64, _) = (Vec::new(), 1, hmac::Context::with_key(key));
    if let Some(cut) = cut::last(db)? {
        if !cut.is_ours(key) {
            let why = "the chain was cut here, and not by whoever has the key".to_owned();
            verified.broken = Some((codes::count(cut.seq), why));
            return Ok(verified);
        }
        (first, next, verified.cut) = (Some(cut.first), cut.seq + 1, codes::count(cut.seq));
        before = cut.mac;
    }
    let mut select = db.prepare("SELECT entry, digest, mac, seq FROM chain ORDER BY seq")?;
    let mut rows = select.query([])?;
    let mut pending = next;
    while let Some(row) = rows.next()? {
        let (entry, seq): (i64, i64) = (row.get(0)?, row.get(3)?);
        let broken = |at: i64, why: String| Some((codes::count(at), why));
        if seq != next {
            verified.broken = broken(next, "it was taken out of the chain".to_owned());
            return Ok(verified);
        }
        next += 1;
        match content(db, entry)? {
            Some(content)
                if content.as_slice() != row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)? =>
            {
                verified.broken = broken(seq, format!("{} is not as it was written", name(db, entry)?));
                return Ok(verified);
            }
            Some(_) => {}
            None if gone.contains(&schema::message_of(entry)) => verified.purged += 1,
            None => {
                verified.broken =
                    broken(seq, format!("{} is gone, and no purge removed it", name(db, entry)?));
                return Ok(verified);
            }
        }
        if pending == seq {
            mac.update(&before);
        }
        take(&mut mac, row)?;
        if let Some(link) = row.get::<_, Option<Vec<u8>>>(2)? {
            let made = std::mem::replace(&mut mac, hmac::Context::with_key(key)).sign();
            if made.as_ref() != link.as_slice() {
                let why =
                    format!("the link over entries {pending} to {seq} is not what the key makes of them");
                verified.broken = broken(pending, why);
                return Ok(verified);
            }
            (before, pending) = (link, next);
        }
        if entry > 0 && schema::number_of(entry) == 0 {
            first = first.or(Some(schema::message_of(entry)));
        }
        seen.insert(entry);
    }
    if let Some(row) = unrecorded_purge(db, &seen)? {
        verified.broken =
            Some((codes::count(next), format!("the record of purge {row} was written past the chain")));
        return Ok(verified);
    }
    if pending != next {
        let why = "it was written and never linked".to_owned();
        verified.broken = Some((codes::count(pending), why));
        return Ok(verified);
    }
    verified.broken = outside(db, &seen, first)?.map(|why| (codes::count(next), why));
    Ok(verified)
}

/// Messages that purges removed.
fn purged_messages(db: &Connection) -> Result<HashSet<i64>, Failure> {
    let mut select = db.prepare("SELECT messages FROM purges")?;
    let mut rows = select.query([])?;
    let mut gone = HashSet::new();
    while let Some(row) = rows.next()? {
        let list: Vec<i64> = from_json(&row.get::<_, String>(0)?)?;
        gone.extend(list);
    }
    Ok(gone)
}

/// A purge that is not in the chain.
fn unrecorded_purge(db: &Connection, seen: &HashSet<i64>) -> Result<Option<i64>, Failure> {
    let mut select = db.prepare("SELECT row FROM purges ORDER BY row")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let row: i64 = row.get(0)?;
        if !seen.contains(&-row) {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// The hash of an entry as it stands now; `None` when it is not there.
pub(super) fn content(db: &Connection, entry: i64) -> Result<Option<[u8; 32]>, Failure> {
    if entry < 0 {
        let list: Option<String> = db
            .prepare_cached("SELECT messages FROM purges WHERE row = ?1")?
            .query_row([-entry], |row| row.get(0))
            .optional()?;
        return Ok(list.map(|list| of_purge(-entry, &list)));
    }
    if schema::number_of(entry) > 0 {
        return Ok(db
            .prepare_cached("SELECT at, event FROM journal WHERE row = ?1")?
            .query_row([entry], |row| Ok(of_entry(entry, row.get(0)?, row.get_ref(1)?.as_str()?)))
            .optional()?);
    }
    let text = |row: &Row<'_>, at: usize| row.get::<_, String>(at);
    Ok(db
        .prepare_cached(
            "SELECT id, received, people, message_id, action, events FROM messages WHERE row = ?1",
        )?
        .query_row([schema::message_of(entry)], |row| {
            let (id, people, message_id) = (text(row, 0)?, text(row, 2)?, text(row, 3)?);
            Ok(of_message(&id, row.get(1)?, &people, &message_id, &text(row, 4)?, &text(row, 5)?))
        })
        .optional()?)
}

/// What an entry is, for people.
fn name(db: &Connection, entry: i64) -> Result<String, Failure> {
    if entry < 0 {
        return Ok(format!("the record of purge {}", -entry));
    }
    let message = schema::message_of(entry);
    let id: Option<String> = db
        .prepare_cached("SELECT id FROM messages WHERE row = ?1")?
        .query_row([message], |row| row.get(0))
        .optional()?;
    let whose = id.unwrap_or_else(|| format!("message {message}, which is not there"));
    Ok(match schema::number_of(entry) {
        0 => format!("the acceptance of {whose}"),
        number => format!("entry {number} of {whose}"),
    })
}

/// Something written past the chain, since it began.
fn outside(db: &Connection, seen: &HashSet<i64>, first: Option<i64>) -> Result<Option<String>, Failure> {
    let Some(first) = first else { return Ok(None) };
    for text in
        ["SELECT row << 24 FROM messages WHERE row >= ?1", "SELECT row FROM journal WHERE row >= ?1 << 24"]
    {
        let mut select = db.prepare(text)?;
        let mut rows = select.query([first])?;
        while let Some(row) = rows.next()? {
            let entry: i64 = row.get(0)?;
            if !seen.contains(&entry) {
                return Ok(Some(format!("{} was written past the chain", name(db, entry)?)));
            }
        }
    }
    Ok(None)
}

#[async_trait]
impl ChainStore for SqliteStore {
    async fn chain_head(&self) -> Result<Head, StoreError> {
        self.readers.read(head).await
    }

    async fn verify_chain(&self) -> Result<Verified, StoreError> {
        let key = self.key.clone();
        self.readers.read(move |db| verify(db, &key)).await
    }

    async fn messages_since(
        &self,
        since: Timestamp,
        after: Option<Id>,
        limit: usize,
    ) -> Result<Vec<Id>, StoreError> {
        let (from, text) = match after {
            Some(id) => (id, "SELECT id FROM messages WHERE id > ?1 ORDER BY id LIMIT ?2"),
            None => (Id::new(since, 0), "SELECT id FROM messages WHERE id >= ?1 ORDER BY id LIMIT ?2"),
        };
        self.readers
            .read(move |db| {
                let mut select = db.prepare_cached(text)?;
                let rows = select
                    .query_map(params![from.as_str(), codes::number(limit)], |row| row.get::<_, String>(0))?;
                let texts: Vec<String> = rows.collect::<Result<_, _>>()?;
                Ok(texts.iter().map(|text| read::id(text)).collect::<Result<_, _>>()?)
            })
            .await
    }
}
