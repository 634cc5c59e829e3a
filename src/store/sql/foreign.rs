//! Records of what somebody else wrote to the database, made after an administrator has examined it.
//!
//! A relay that finds foreign rows stops, and nothing ever links them. [`record`] stores what was found, who
//! examined it and why it may stay. Entries after the chain's last valid link are removed from the chain and
//! kept in the record. Anything else that differs from the chain is named in the record by its hash. The record
//! itself is an entry of the chain. From then on [`super::verify`] accepts what a record names as known while
//! it is unchanged, and reports it each time.

use super::chain;
use super::encode::{from_json, to_json};
use super::error::Failure;
use super::verify::{Finding, Step, Walk, What};
use crate::clock::Timestamp;
use crate::store::StoreError;
use crate::store::chain::Accepted;
use crate::store::chain::format::{self, FOREIGN};
use crate::store::sql::db::{Connection, OptionalExtension, params};
use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The maximum number of entries in one record: more than that is not an accident, and a backup is the better
/// answer.
const MOST: usize = 10_000;

/// The contents of a record.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Found {
    /// Entries that were removed from the end of the chain, unchanged.
    taken_off: Vec<Row>,
    /// What differs from the chain: kind, entry, and the hash that was found (`None` if the content was
    /// missing).
    differs: Vec<(i64, i64, Option<String>)>,
}

/// A row of the chain: number, kind, entry, hash, link.
type Row = (i64, i64, i64, String, Option<String>);

/// What the records name.
#[derive(Debug, Default)]
pub(in crate::store) struct Known {
    /// The last record that was read.
    last: i64,
    records: Vec<Accepted>,
    /// By kind and entry: the record, and the hash.
    differs: HashMap<(i64, i64), (usize, Option<String>)>,
}

impl Known {
    /// Reads new records, if the chain contains them unchanged.
    pub(in crate::store) fn take_in(&mut self, db: &Connection) -> Result<(), Failure> {
        let mut select = db.prepare_cached(
            "SELECT f.row, f.at, f.by, f.why, f.found, c.digest FROM foreign_accepted f \
             JOIN chain c ON c.kind = ?1 AND c.entry = f.row WHERE f.row > ?2 ORDER BY f.row",
        )?;
        let mut rows = select.query([FOREIGN, self.last])?;
        while let Some(row) = rows.next()? {
            self.last = row.get(0)?;
            let (at, by, why, text): (i64, String, String, String) =
                (row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
            if format::foreign(self.last, at, &by, &why, &text).as_slice() != row.get_ref(5)?.as_blob()? {
                continue;
            }
            let found: Found = from_json(&text)?;
            let entries = found.taken_off.len() + found.differs.len();
            let at = Timestamp(at);
            self.records.push(Accepted { at, by, why, entries: entries as u64 });
            let index = self.records.len() - 1;
            for (kind, entry, hash) in found.differs {
                self.differs.insert((kind, entry), (index, hash));
            }
        }
        Ok(())
    }

    /// Whether a record names this content with its present hash.
    pub(in crate::store) fn has(&self, kind: i64, entry: i64, now: Option<&[u8; 32]>) -> bool {
        let named = self.differs.get(&(kind, entry));
        named.is_some_and(|(_, hash)| *hash == now.map(|now| format::hex(now)))
    }

    /// Whether a record names this content as missing.
    pub(in crate::store) fn is_gone(&self, kind: i64, entry: i64) -> bool {
        self.differs.get(&(kind, entry)).is_some_and(|(_, hash)| hash.is_none())
    }

    pub(in crate::store) fn records(self) -> Vec<Accepted> {
        self.records
    }
}

/// The hash of a record's present content.
pub(in crate::store) fn content(db: &Connection, row: i64) -> Result<Option<[u8; 32]>, Failure> {
    Ok(db
        .prepare_cached("SELECT at, by, why, found FROM foreign_accepted WHERE row = ?1")?
        .query_row([row], |found| {
            let text = |at| found.get_ref(at)?.as_str();
            Ok(format::foreign(row, found.get(0)?, text(1)?, text(2)?, text(3)?))
        })
        .optional()?)
}

/// Whether nothing is left of what a record names, so that the record may be removed too.
pub(in crate::store) fn is_over(db: &Connection, row: i64) -> Result<bool, Failure> {
    let text: Option<String> = db
        .prepare_cached("SELECT found FROM foreign_accepted WHERE row = ?1")?
        .query_row([row], |row| row.get(0))
        .optional()?;
    let Some(text) = text else { return Ok(true) };
    let found: Found = from_json(&text)?;
    for (kind, entry, _) in found.differs {
        if chain::content(db, kind, entry)?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Records what differs in the database of a relay that is not running (see the module). Returns `Ok(None)` if
/// nothing differs.
pub(in crate::store) fn record(
    tx: &Connection,
    key: &hmac::Key,
    by: &str,
    why: &str,
    at: Timestamp,
) -> Result<Option<Accepted>, Failure> {
    let mut found = Found::default();
    let mut findings = look(tx, key)?;
    if let Some(from) = broken_from(&findings)? {
        found.taken_off = take_off(tx, key, from)?;
        findings = look(tx, key)?;
        if let Some(from) = broken_from(&findings)? {
            return Err(hopeless(from, "it does not link although what stood behind it was taken off").into());
        }
    }
    for finding in findings {
        if let What::Content { kind, entry, now } = finding.what {
            found.differs.push((kind, entry, now.map(|now| format::hex(&now))));
        }
    }
    let entries = found.taken_off.len() + found.differs.len();
    if entries == 0 {
        return Ok(None);
    }
    if entries > MOST {
        let why = format!("{entries} entries differ, which no record can hold: restore a backup");
        return Err(StoreError::Corrupt(why).into());
    }
    let text = to_json(&found)?;
    let row: i64 = tx.query_row(
        "INSERT INTO foreign_accepted (at, by, why, found) VALUES (?1, ?2, ?3, ?4) RETURNING row",
        params![at.0, by, why, text],
        |row| row.get(0),
    )?;
    // Row numbers must never be reused, because the chain identifies messages by them; this includes messages that
    // somebody removed.
    tx.execute(
        "UPDATE last_purged SET message = highest FROM (SELECT coalesce(max(entry >> 24), 0) AS highest FROM chain \
         WHERE kind < ?1) c WHERE message < highest",
        [FOREIGN],
    )?;
    let end = chain::Ours::load(tx, key)?.map_err(StoreError::Unavailable)?;
    chain::add(tx, FOREIGN, row, &format::foreign(row, at.0, by, why, &text))?;
    chain::link_entries(tx, key, &end)?;
    Ok(Some(Accepted { at, by: by.to_owned(), why: why.to_owned(), entries: entries as u64 }))
}

/// Everything that differs, with faults of the chain itself last.
fn look(tx: &Connection, key: &hmac::Key) -> Result<Vec<Finding>, Failure> {
    let (mut walk, mut at) = (Walk::new(key, true), Step::Chain);
    while walk.goes_on() && at != Step::End {
        at = walk.step(tx, at)?;
    }
    Ok(walk.findings)
}

/// The entry from which on the chain itself differs from what was written.
fn broken_from(findings: &[Finding]) -> Result<Option<i64>, StoreError> {
    for finding in findings {
        match finding.what {
            What::Content { .. } => {}
            What::Chain(from) => return Ok(Some(from)),
            What::Cut => return Err(hopeless(finding.at, &finding.why)),
        }
    }
    Ok(None)
}

/// Removes the chain's entries from this one on. Refuses if the relay itself linked a later entry: what it
/// linked is evidence, and stays.
fn take_off(tx: &Connection, key: &hmac::Key, from: i64) -> Result<Vec<Row>, Failure> {
    let mut select = tx.prepare_cached(
        "SELECT seq, kind, entry, digest, mac FROM chain WHERE seq >= ?1 ORDER BY seq LIMIT ?2",
    )?;
    let mut rows = select.query(params![from, super::codes::number(MOST + 1)])?;
    let mut taken = Vec::new();
    while let Some(row) = rows.next()? {
        let link: Option<Vec<u8>> = row.get(4)?;
        let seq: i64 = row.get(0)?;
        if let Some(link) = &link
            && chain::is_linked(tx, key, seq, link)?
        {
            let why = format!("behind it stands entry {seq}, which this relay linked");
            return Err(hopeless(from, &why).into());
        }
        let digest: Vec<u8> = row.get(3)?;
        taken.push((
            seq,
            row.get(1)?,
            row.get(2)?,
            format::hex(&digest),
            link.map(|link| format::hex(&link)),
        ));
    }
    if taken.is_empty() {
        return Err(hopeless(from, "entries were taken out").into());
    }
    tx.execute("DELETE FROM chain WHERE seq >= ?1", [from])?;
    Ok(taken)
}

fn hopeless(at: i64, why: &str) -> StoreError {
    StoreError::Corrupt(format!(
        "the chain itself was changed at entry {at} ({why}): no record can mend that. Restore a backup, or keep \
         this database for whoever looks into it and begin a new one"
    ))
}
