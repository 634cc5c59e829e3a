//! Where the chain was cut.
//!
//! The hashes of purged entries stay in the chain. Once all entries up to a link are gone, their hashes are
//! useless. They are removed together with the records of purges and of foreign rows among them, and the last
//! link is kept, sealed with the chain's key. Verification starts from it. Only entries that verify are cut
//! off, so a cut never removes the evidence of a change.

use super::chain;
use super::encode::from_json;
use super::error::Failure;
use super::{foreign, keys};
use crate::store::chain::format::{self, ENTRY, FOREIGN, Link};
use crate::store::sql::db::{Connection, OptionalExtension, params};
use aws_lc_rs::hmac;
use std::collections::HashSet;

/// A cut ends at the first link after this many entries, because it is one transaction.
pub(in crate::store) const BATCH: usize = 2_000;

/// A stored cut.
pub(in crate::store) struct Cut {
    /// The last entry that was cut off.
    pub(in crate::store) seq: i64,
    /// Its link.
    pub(in crate::store) mac: Vec<u8>,
    /// The first message that was ever in the chain.
    pub(in crate::store) first: i64,
    seal: Vec<u8>,
}

impl Cut {
    /// Whether the cut was made with this key.
    pub(in crate::store) fn is_ours(&self, key: &hmac::Key) -> bool {
        format::cut_seal(key, self.seq, self.first, &self.mac) == self.seal
    }
}

pub(in crate::store) fn last(db: &Connection) -> Result<Option<Cut>, Failure> {
    Ok(db
        .prepare_cached("SELECT seq, mac, first, seal FROM chain_cut")?
        .query_row([], |row| {
            Ok(Cut { seq: row.get(0)?, mac: row.get(1)?, first: row.get(2)?, seal: row.get(3)? })
        })
        .optional()?)
}

/// Makes the cut that [`reach`] found. Returns the number of entries removed. Entries are only ever added at
/// the end of the chain, so what a reader found is still valid.
pub(in crate::store) fn cut(tx: &Connection, key: &hmac::Key, new: &Cut) -> Result<usize, Failure> {
    if last(tx)?.is_some_and(|former| !former.is_ours(key) || former.seq >= new.seq) {
        return Ok(0);
    }
    tx.prepare_cached(
        "DELETE FROM purges WHERE row IN (SELECT -entry FROM chain WHERE seq <= ?1 AND entry < 0)",
    )?
    .execute([new.seq])?;
    tx.prepare_cached(
        "DELETE FROM foreign_accepted WHERE row IN (SELECT entry FROM chain WHERE seq <= ?1 AND kind = ?2)",
    )?
    .execute([new.seq, FOREIGN])?;
    let removed = tx.prepare_cached("DELETE FROM chain WHERE seq <= ?1")?.execute([new.seq])?;
    let seal = format::cut_seal(key, new.seq, new.first, &new.mac);
    tx.prepare_cached(
        "INSERT INTO chain_cut (one, seq, mac, first, seal) VALUES (1, ?1, ?2, ?3, ?4) ON CONFLICT (one) DO \
         UPDATE SET seq = ?1, mac = ?2, first = ?3, seal = ?4",
    )?
    .execute(params![new.seq, new.mac, new.first, seal])?;
    Ok(removed)
}

/// Finds how far the chain can be cut: up to a link such that everything before it is gone and verifies. The
/// last link stays, because the next one continues it. This reads every purge's record, so it is work for a
/// reader.
pub(in crate::store) fn reach(tx: &Connection, key: &hmac::Key) -> Result<Option<Cut>, Failure> {
    let former = last(tx)?;
    let former = former.as_ref();
    if former.is_some_and(|former| !former.is_ours(key)) {
        return Ok(None);
    }
    let newest: Option<i64> =
        tx.query_row("SELECT max(seq) FROM chain WHERE mac IS NOT NULL", [], |row| row.get(0))?;
    let Some(newest) = newest else { return Ok(None) };
    let gone = recorded(tx)?;
    let (mut before, mut next) =
        former.map_or_else(|| (Vec::new(), 1), |former| (former.mac.clone(), former.seq + 1));
    let mut first = former.map(|former| former.first);
    let mut reached = None;
    let mut link = Link::behind(key, &before);
    let mut select =
        tx.prepare_cached("SELECT entry, digest, mac, seq, kind FROM chain WHERE seq < ?1 ORDER BY seq")?;
    let mut rows = select.query([newest])?;
    let mut entries = 0;
    while let Some(row) = rows.next()? {
        let (entry, seq, kind): (i64, i64, i64) = (row.get(0)?, row.get(3)?, row.get(4)?);
        let digest = row.get_ref(1)?.as_blob()?;
        let over = match chain::content(tx, kind, entry)? {
            Some(content) if kind == FOREIGN => content.as_slice() == digest && foreign::is_over(tx, entry)?,
            Some(content) => entry < 0 && content.as_slice() == digest,
            None => gone.contains(&keys::message_of(entry)),
        };
        if seq != next || !over {
            break;
        }
        (next, entries) = (next + 1, entries + 1);
        if kind == ENTRY && entry > 0 && keys::number_of(entry) == 0 {
            first = first.or(Some(keys::message_of(entry)));
        }
        chain::take(&mut link, &row)?;
        let Some(found) = row.get::<_, Option<Vec<u8>>>(2)? else { continue };
        if link.made() != found {
            break;
        }
        before = found;
        link = Link::behind(key, &before);
        reached = first.map(|first| Cut { seq, mac: before.clone(), first, seal: Vec::new() });
        if entries >= BATCH {
            break;
        }
    }
    Ok(reached)
}

/// Messages removed by those purges whose records are unchanged in the chain.
fn recorded(tx: &Connection) -> Result<HashSet<i64>, Failure> {
    let mut select = tx.prepare_cached(
        "SELECT p.row, p.messages, c.digest FROM chain c JOIN purges p ON p.row = -c.entry WHERE c.entry < 0",
    )?;
    let mut rows = select.query([])?;
    let mut gone = HashSet::new();
    while let Some(row) = rows.next()? {
        let list: String = row.get(1)?;
        let digest = row.get_ref(2)?.as_blob()?;
        if format::purged(row.get(0)?, &list).as_slice() == digest {
            let list: Vec<i64> = from_json(&list)?;
            gone.extend(list);
        }
    }
    Ok(gone)
}
