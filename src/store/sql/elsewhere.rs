//! What other relays that share the database wrote since this one did: read in one statement, for whoever writes waits
//! for it with the lock of all writers, and checked link by link.

use super::chain::{Ours, not_linked, not_of_a_relay};
use super::error::Failure;
use super::keys;
use crate::message::Fork;
use crate::store::chain::format::{ENTRY, Link};
use crate::store::sql::db::{Connection, Row, params};
use aws_lc_rs::hmac;

/// What was written since.
pub(in crate::store) struct Elsewhere {
    /// The end of the chain.
    pub(in crate::store) end: Ours,
    /// The messages that were accepted, if they are known by a fork, in the order of the chain.
    pub(in crate::store) accepted: Vec<Came>,
    /// The highest row number of a message that was accepted.
    pub(in crate::store) highest: Option<i64>,
    /// Whether there is more.
    pub(in crate::store) more: bool,
}

/// A message that another relay accepted.
pub(in crate::store) struct Came {
    pub(in crate::store) row: i64,
    pub(in crate::store) received: i64,
    pub(in crate::store) fork: Fork,
    /// Its addresses in comparison form, one per line.
    pub(in crate::store) people: String,
}

/// An entry of the chain.
struct Entry {
    seq: i64,
    /// The key of what it covers.
    covers: i64,
    digest: Vec<u8>,
    mac: Option<Vec<u8>>,
}

/// Reads what was written behind the end that this relay left, within the transaction: at most so many entries, up to
/// the last link among them. The inner error says how somebody else changed the chain: that end is missing, or what
/// follows it was not linked by a relay.
pub(in crate::store) fn read(
    tx: &Connection,
    key: &hmac::Key,
    ours: &Ours,
    most: i64,
) -> Result<Result<Elsewhere, String>, Failure> {
    let mut select = tx.prepare_cached(
        "SELECT c.seq, c.entry, c.digest, c.mac, c.kind, m.received, m.fork, coalesce(m.keys, m.people) \
         FROM chain c LEFT JOIN messages m ON m.row = c.entry >> 24 AND c.kind = 0 AND c.entry & 16777215 = 0 \
         WHERE c.seq >= ?1 ORDER BY c.seq LIMIT ?2",
    )?;
    // One more for the end itself.
    let mut rows = select.query([ours.seq, most + 1])?;
    let (mut entries, mut accepted, mut highest) = (Vec::new(), Vec::new(), None);
    while let Some(row) = rows.next()? {
        let one = Entry {
            seq: row.get(0)?,
            covers: row.get(1)?,
            digest: row.get_ref(2)?.as_blob()?.to_vec(),
            mac: row.get(3)?,
        };
        let message = keys::message_of(one.covers);
        let is_acceptance =
            row.get::<_, i64>(4)? == ENTRY && message > 0 && one.covers == keys::base(message);
        if is_acceptance && one.seq != ours.seq {
            highest = highest.max(Some(message));
            accepted.extend(came(message, &row)?);
        }
        entries.push(one);
    }
    let more = i64::try_from(entries.len()).is_ok_and(|read| read > most);
    let end = match entries.split_first() {
        Some((last, later))
            if ours.seq > 0 && last.seq == ours.seq && last.mac.as_ref() == Some(&ours.mac) =>
        {
            follow(key, ours, later, more)
        }
        // Without its own end, it cannot follow from there: everything is read.
        _ if more => return read(tx, key, ours, i64::MAX - 1),
        _ => ours.adopt(tx, key)?,
    };
    Ok(end.map(|end| Elsewhere { end, accepted, highest, more }))
}

/// Assumes, without waiting, that no other relay wrote behind the end that this one left.
pub(in crate::store) fn assume_none(tx: &Connection, ours: &Ours) -> Result<(), Failure> {
    let mut select = tx.prepare_cached(
        "SELECT 1 WHERE (SELECT mac FROM chain WHERE seq >= ?1 ORDER BY seq DESC LIMIT 1) = ?2",
    )?;
    Ok(select.assume_one(params![ours.seq, ours.mac])?)
}

/// The message of an acceptance; `None` if it was purged, or has no fork.
fn came(row: i64, found: &Row<'_>) -> Result<Option<Came>, Failure> {
    let fork: Option<Vec<u8>> = found.get(6)?;
    let Some(fork) = fork.and_then(|octets| Fork::from_octets(&octets)) else { return Ok(None) };
    Ok(Some(Came { row, received: found.get(5)?, fork, people: found.get(7)? }))
}

/// Follows the chain behind this end, and checks each link. Returns the last one, behind which nothing may stand unless
/// there is `more`.
fn follow(key: &hmac::Key, ours: &Ours, later: &[Entry], more: bool) -> Result<Ours, String> {
    let (mut end, mut link, mut open) = (ours.clone(), Link::behind(key, &ours.mac), None);
    for Entry { seq, covers, digest, mac } in later {
        link.take(*covers, digest);
        open = Some(*seq);
        if let Some(mac) = mac {
            if link.made() != *mac {
                return Err(not_of_a_relay(*seq));
            }
            (end, link, open) = (Ours { seq: *seq, mac: mac.clone() }, Link::behind(key, mac), None);
        }
    }
    open.filter(|_| !more).map_or(Ok(end), |seq| Err(not_linked(seq)))
}
