//! The hash chain and its table.
//!
//! Every acceptance and every journal entry adds its SHA-256 when it is written. Before a group is committed,
//! its last entry gets a link: an HMAC, under a key that is not in the database, over the previous link and all
//! hashes since. When a purge removes an entry, its hash stays, and the purge is itself an entry. Once only
//! hashes are left of the oldest entries, they are cut off (see `cut`).
//!
//! What was decided on a held message, and how a delivery succeeded, is recorded only in their rows. So
//! whenever such a row changes through the writer's connection, its hash becomes an entry too ([`watch`]).
//!
//! Only what the relay itself wrote is linked. The writer keeps the end of the chain in memory, and before each
//! group it checks that the end is unchanged ([`Ours`]). If somebody else added or removed entries, the relay
//! stops, and `audit verify` names them.

use super::SqlStore;
use super::encode::{MessageRows, to_json};
use super::error::{Failure, io_error};
use super::{codes, cut, foreign, keys, read, verify};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::store::StoreError;
use crate::store::chain::format::{self, DECIDED, DELIVERED, ENTRY, FOREIGN, Link, hex};
use crate::store::chain::{ChainStore, Head, Verified};
use crate::store::sql::db::{Connection, OptionalExtension, Row, Value, params};
use async_trait::async_trait;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Length of the key, in octets.
const KEY: usize = 32;

/// Reads the key from this file, or creates it.
pub(in crate::store) fn key(path: &Path) -> Result<hmac::Key, StoreError> {
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

/// Makes this connection record every row whose state the chain covers. What others write to the database is
/// not recorded.
pub(in crate::store) fn watch(connection: &rusqlite::Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TEMP TABLE touched (kind INTEGER NOT NULL, entry INTEGER NOT NULL);
         CREATE TEMP TRIGGER held_made AFTER INSERT ON main.held BEGIN
             INSERT INTO touched VALUES (1, NEW.message << 24);
         END;
         CREATE TEMP TRIGGER held_decided AFTER UPDATE ON main.held BEGIN
             INSERT INTO touched VALUES (1, NEW.message << 24);
         END;
         CREATE TEMP TRIGGER delivery_made AFTER INSERT ON main.deliveries WHEN NEW.state = 5 BEGIN
             INSERT INTO touched VALUES (2, NEW.row);
         END;
         CREATE TEMP TRIGGER delivery_ended AFTER UPDATE OF state ON main.deliveries WHEN NEW.state = 5 BEGIN
             INSERT INTO touched VALUES (2, NEW.row);
         END;",
    )
}

/// Adds an acceptance.
pub(in crate::store) fn accepted(
    tx: &Connection,
    message: i64,
    rows: &MessageRows,
    people: &str,
) -> Result<(), Failure> {
    let texts =
        [rows.id.as_str(), people, &rows.message_id, &rows.counts.action, &rows.events, &rows.subject];
    add(tx, ENTRY, keys::base(message), &format::accepted(texts, rows.received, Some(&rows.sealed)))
}

/// Adds a journal entry.
pub(in crate::store) fn entered(tx: &Connection, row: i64, at: i64, event: &str) -> Result<(), Failure> {
    add(tx, ENTRY, row, &format::entered(row, at, event))
}

/// Adds a purge of these messages.
pub(in crate::store) fn purged(tx: &Connection, messages: &[i64]) -> Result<(), Failure> {
    if messages.is_empty() {
        return Ok(());
    }
    let list = to_json(messages)?;
    let row: i64 = tx
        .prepare_cached("INSERT INTO purges (messages) VALUES (?1) RETURNING row")?
        .query_row([&list], |row| row.get(0))?;
    add(tx, ENTRY, -row, &format::purged(row, &list))
}

/// An entry that is numbered and linked when its group ends.
pub(in crate::store) struct Added {
    kind: i64,
    entry: i64,
    digest: [u8; 32],
}

pub(in crate::store) fn add(
    tx: &Connection,
    kind: i64,
    entry: i64,
    digest: &[u8; 32],
) -> Result<(), Failure> {
    if let Some(draft) = tx.draft() {
        draft.added.borrow_mut().push(Added { kind, entry, digest: *digest });
        return Ok(());
    }
    tx.prepare_cached("INSERT INTO chain (kind, entry, digest) VALUES (?1, ?2, ?3)")?
        .put(params![kind, entry, digest])?;
    Ok(())
}

/// The rows that a group changed, with the success of those that are deliveries.
const TOUCHED: &str = "SELECT t.kind, t.entry, d.state, d.ended, d.attempts, d.duplicate, d.recipients, d.reply, d.copy \
     FROM (SELECT DISTINCT kind, entry FROM touched) t LEFT JOIN deliveries d ON t.kind = 2 AND d.row = t.entry \
     ORDER BY t.kind, t.entry";

/// Adds the rows that a group changed, in their final state.
fn add_touched(tx: &Connection) -> Result<(), Failure> {
    let mut select = tx.prepare_cached(TOUCHED)?;
    let mut rows = select.query([])?;
    let (mut touched, mut decided, mut succeeded) = (0, Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        touched += 1;
        let (kind, entry): (i64, i64) = (row.get(0)?, row.get(1)?);
        if kind == DELIVERED {
            if row.get_ref(2)? != Value::Null {
                succeeded.push((entry, success_of(entry, &row, 2)?));
            }
        } else {
            decided.push((kind, entry));
        }
    }
    for (kind, entry) in decided {
        if let Some(digest) = content(tx, kind, entry)? {
            add(tx, kind, entry, &digest)?;
        }
    }
    for (entry, digest) in succeeded {
        add(tx, DELIVERED, entry, &digest)?;
    }
    if touched > 0 {
        tx.forget_touched(touched)?;
    }
    Ok(())
}

/// The end of the chain as this relay left it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Ours {
    pub(super) seq: i64,
    pub(super) mac: Vec<u8>,
}

impl Ours {
    /// The end of the chain at start. The inner error says why no relay with this key can have left it:
    /// something was written and never linked, or the last link is forged.
    pub(in crate::store) fn load(db: &Connection, key: &hmac::Key) -> Result<Result<Self, String>, Failure> {
        let Some((seq, mac)) = end(db)? else { return Ok(Ok(Self::default())) };
        let Some(mac) = mac else {
            return Ok(Err(not_linked(seq)));
        };
        if is_linked(db, key, seq, &mac)? {
            return Ok(Ok(Self { seq, mac }));
        }
        Ok(Err(not_of_a_relay(seq)))
    }

    /// The end of the chain as the other nodes left it, read within the transaction. The inner error says how
    /// somebody else changed it: the end that this relay left is missing, or no relay made the new one.
    pub(in crate::store) fn adopt(
        &self,
        tx: &Connection,
        key: &hmac::Key,
    ) -> Result<Result<Self, String>, Failure> {
        let (seq, mac) = end(tx)?.unwrap_or((0, Some(Vec::new())));
        if seq == self.seq && mac.as_ref() == Some(&self.mac) {
            return Ok(Ok(self.clone()));
        }
        let kept = self.seq == 0
            || match cut::last(tx)?.filter(|cut| cut.seq >= self.seq) {
                Some(cut) => cut.is_ours(key),
                None => tx
                    .prepare_cached("SELECT 1 FROM chain WHERE seq = ?1 AND mac = ?2")?
                    .exists(params![self.seq, self.mac])?,
            };
        if kept && seq > self.seq { Self::load(tx, key) } else { Ok(Err(self.moved(seq))) }
    }

    /// Says how somebody else changed the end of the chain. Runs within the transaction, before anything is
    /// written.
    pub(in crate::store) fn differs(
        &self,
        tx: &Connection,
    ) -> Result<Option<String>, crate::store::sql::error::Error> {
        let (seq, mac) = end(tx)?.unwrap_or((0, Some(Vec::new())));
        if seq == self.seq && mac.as_ref() == Some(&self.mac) {
            return Ok(None);
        }
        Ok(Some(self.moved(seq)))
    }

    fn moved(&self, seq: i64) -> String {
        format!(
            "the journal's chain ends at entry {seq} and not, as this relay left it, at {}: {FOREIGN_ROWS}",
            self.seq
        )
    }
}

/// The effect, and what the administrator can do.
const FOREIGN_ROWS: &str = "somebody else wrote to the database. Nothing is accepted, decided or sent any \
     more. `sekisho audit verify` names what was written or taken away; stop the relay and put back what it \
     was, from a backup if there is one, or record what was found with `sekisho audit accept-foreign`";

pub(super) fn not_linked(seq: i64) -> String {
    format!("entry {seq} of the chain is not linked: {FOREIGN_ROWS}")
}

pub(super) fn not_of_a_relay(seq: i64) -> String {
    format!("the link at entry {seq} of the chain is not of this relay: {FOREIGN_ROWS}")
}

/// Whether the link at an entry is the HMAC of all entries since the previous link.
pub(in crate::store) fn is_linked(
    db: &Connection,
    key: &hmac::Key,
    seq: i64,
    link: &[u8],
) -> Result<bool, Failure> {
    let former: Option<(i64, Vec<u8>)> = db
        .prepare_cached(
            "SELECT seq, mac FROM chain WHERE seq < ?1 AND mac IS NOT NULL ORDER BY seq DESC LIMIT 1",
        )?
        .query_row([seq], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (after, before) = match former {
        Some(former) => former,
        None => cut::last(db)?.map_or((0, Vec::new()), |cut| (cut.seq, cut.mac)),
    };
    let mut made = Link::behind(key, &before);
    let mut select =
        db.prepare_cached("SELECT entry, digest FROM chain WHERE seq > ?1 AND seq <= ?2 ORDER BY seq")?;
    let mut rows = select.query([after, seq])?;
    while let Some(row) = rows.next()? {
        take(&mut made, &row)?;
    }
    Ok(made.made() == link)
}

/// The number of the last entry, and its link.
type End = (i64, Option<Vec<u8>>);

fn end(db: &Connection) -> Result<Option<End>, crate::store::sql::error::Error> {
    db.prepare_cached("SELECT seq, mac FROM chain ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// Before a commit, links what a group added to the end that this relay left. Returns the new end.
pub(in crate::store) fn link(tx: &Connection, key: &hmac::Key, ours: &Ours) -> Result<Ours, Failure> {
    add_touched(tx)?;
    link_entries(tx, key, ours)
}

/// Links the entries after this end of the chain. Returns the new end.
pub(in crate::store) fn link_entries(tx: &Connection, key: &hmac::Key, ours: &Ours) -> Result<Ours, Failure> {
    if let Some(draft) = tx.draft() {
        return link_added(tx, key, ours, &std::mem::take(&mut *draft.added.borrow_mut()));
    }
    let Some((seq, _)) = end(tx)?.filter(|(seq, _)| *seq > ours.seq) else { return Ok(ours.clone()) };
    let mut link = Link::behind(key, &ours.mac);
    let mut select = tx.prepare_cached("SELECT entry, digest FROM chain WHERE seq > ?1 ORDER BY seq")?;
    let mut rows = select.query([ours.seq])?;
    while let Some(row) = rows.next()? {
        take(&mut link, &row)?;
    }
    let mac = link.made();
    tx.prepare_cached("UPDATE chain SET mac = ?2 WHERE seq = ?1")?.put(params![seq, mac])?;
    Ok(Ours { seq, mac })
}

/// Writes what a group added behind this end of the chain, the last entry with its link. Returns the new end. Nobody
/// else writes meanwhile, so the numbers follow from the end; only the first entry of an empty table is numbered by the
/// database, which knows whether the chain was cut.
fn link_added(tx: &Connection, key: &hmac::Key, ours: &Ours, added: &[Added]) -> Result<Ours, Failure> {
    let Some(last) = added.len().checked_sub(1) else { return Ok(ours.clone()) };
    let mut link = Link::behind(key, &ours.mac);
    for Added { entry, digest, .. } in added {
        link.take(*entry, digest);
    }
    let (mac, mut seq) = (link.made(), ours.seq);
    for (index, Added { kind, entry, digest }) in added.iter().enumerate() {
        let link = (index == last).then_some(&mac);
        if seq == 0 {
            seq = tx
                .prepare_cached(
                    "INSERT INTO chain (kind, entry, digest, mac) VALUES (?1, ?2, ?3, ?4) RETURNING seq",
                )?
                .query_row(params![kind, entry, digest, link], |row| row.get(0))?;
        } else {
            seq += 1;
            tx.prepare_cached(
                "INSERT INTO chain (seq, kind, entry, digest, mac) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .put_row(params![seq, kind, entry, digest, link])?;
        }
    }
    Ok(Ours { seq, mac })
}

/// Adds an entry's key and hash (columns 0 and 1) to a link.
pub(in crate::store) fn take(link: &mut Link, row: &Row<'_>) -> Result<(), crate::store::sql::error::Error> {
    link.take(row.get(0)?, row.get_ref(1)?.as_blob()?);
    Ok(())
}

pub(in crate::store) fn head(db: &Connection) -> Result<Head, Failure> {
    let found: Option<(i64, Option<Vec<u8>>)> = db
        .prepare_cached("SELECT seq, mac FROM chain ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((seq, mac)) = found else { return Ok(Head::default()) };
    Ok(Head { entries: codes::count(seq), link: hex(&mac.unwrap_or_default()) })
}

/// The hash of an entry's present content; `None` if the entry is missing.
pub(in crate::store) fn content(db: &Connection, kind: i64, entry: i64) -> Result<Option<[u8; 32]>, Failure> {
    match kind {
        ENTRY => {}
        DECIDED => return decision(db, entry),
        DELIVERED => return success(db, entry),
        FOREIGN => return foreign::content(db, entry),
        // No relay writes entries of other kinds.
        _ => return Ok(Some([0; 32])),
    }
    if entry < 0 {
        let list: Option<String> = db
            .prepare_cached("SELECT messages FROM purges WHERE row = ?1")?
            .query_row([-entry], |row| row.get(0))
            .optional()?;
        return Ok(list.map(|list| format::purged(-entry, &list)));
    }
    if keys::number_of(entry) > 0 {
        return Ok(db
            .prepare_cached("SELECT at, event FROM journal WHERE row = ?1")?
            .query_row([entry], |row| Ok(format::entered(entry, row.get(0)?, row.get_ref(1)?.as_str()?)))
            .optional()?);
    }
    let text = |row: &Row<'_>, at: usize| row.get::<_, String>(at);
    Ok(db
        .prepare_cached(
            "SELECT m.id, m.people, m.message_id, m.action, m.events, m.subject, m.received, m.sealed, c.header \
             FROM messages m LEFT JOIN contents c ON c.message = m.row WHERE m.row = ?1",
        )?
        .query_row([keys::message_of(entry)], |row| {
            let sealed: Option<Vec<u8>> = row.get(7)?;
            // A purge removes the header before the message.
            if let (Some(sealed), Some(header)) = (&sealed, row.get_ref(8)?.as_blob_or_null()?)
                && format::sealed(header).as_slice() != sealed.as_slice()
            {
                return Ok([0; 32]);
            }
            let [id, people, message_id, action, events, subject] =
                [text(row, 0)?, text(row, 1)?, text(row, 2)?, text(row, 3)?, text(row, 4)?, text(row, 5)?];
            let texts = [&*id, &people, &message_id, &action, &events, &subject];
            Ok(format::accepted(texts, row.get(6)?, sealed.as_deref()))
        })
        .optional()?)
}

/// The hash of the decision on a held message.
fn decision(db: &Connection, entry: i64) -> Result<Option<[u8; 32]>, Failure> {
    let text = |row: &Row<'_>, at: usize| row.get::<_, Option<String>>(at);
    let number = |row: &Row<'_>, at: usize| row.get::<_, Option<i64>>(at);
    Ok(db
        .prepare_cached(
            "SELECT item, state, decided_at, decided_by, decision, way FROM held WHERE message = ?1",
        )?
        .query_row([keys::message_of(entry)], |row| {
            let numbers = [number(row, 0)?, number(row, 1)?, number(row, 2)?];
            let texts = [text(row, 3)?, text(row, 4)?, text(row, 5)?];
            Ok(format::decided(entry, numbers, texts.each_ref().map(Option::as_deref)))
        })
        .optional()?)
}

/// The hash of how a delivery succeeded.
fn success(db: &Connection, entry: i64) -> Result<Option<[u8; 32]>, Failure> {
    Ok(db
        .prepare_cached(
            "SELECT state, ended, attempts, duplicate, recipients, reply, copy FROM deliveries WHERE row = ?1",
        )?
        .query_row([entry], |row| success_of(entry, row, 0))
        .optional()?)
}

/// The same from a row, with its columns from `first` on.
fn success_of(entry: i64, row: &Row<'_>, first: usize) -> Result<[u8; 32], crate::store::sql::error::Error> {
    let number = |column: usize| row.get::<_, Option<i64>>(first + column);
    let numbers = [number(0)?, number(1)?, number(2)?, number(3)?, number(4)?];
    let (reply, copy) = (row.get_ref(first + 5)?.as_str()?.as_bytes(), row.get_ref(first + 6)?.as_blob()?);
    Ok(format::delivered(entry, numbers, reply, copy))
}

/// What an entry is, in words.
pub(in crate::store) fn name(db: &Connection, kind: i64, entry: i64) -> Result<String, Failure> {
    if entry < 0 {
        return Ok(format!("the record of purge {}", -entry));
    }
    let message = keys::message_of(entry);
    let id: Option<String> = db
        .prepare_cached("SELECT id FROM messages WHERE row = ?1")?
        .query_row([message], |row| row.get(0))
        .optional()?;
    let whose = id.unwrap_or_else(|| format!("message {message}, which is not there"));
    Ok(match keys::number_of(entry) {
        _ if kind == DECIDED => format!("what was decided on {whose}"),
        _ if kind == FOREIGN => format!("the record {entry} of what others wrote"),
        number if kind == DELIVERED => format!("the success of delivery {whose}.{number}"),
        0 => format!("the acceptance of {whose}"),
        number => format!("entry {number} of {whose}"),
    })
}

#[async_trait]
impl ChainStore for SqlStore {
    async fn chain_head(&self) -> Result<Head, StoreError> {
        self.readers.read(head).await
    }

    async fn verify_chain_from(&self, earlier: Option<Head>) -> Result<Verified, StoreError> {
        verify::whole(&self.readers, &self.key, earlier).await
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
