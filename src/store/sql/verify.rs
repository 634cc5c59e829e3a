//! Verifies the whole chain: links, hashes, the entries themselves, and rows that are not in the chain.
//!
//! It reads in small steps, each in its own snapshot. One snapshot for the whole run would keep SQLite from
//! moving the write-ahead log into the database, and the log would grow without bound. What the relay writes
//! meanwhile is read as well: each step first reads the new entries of the chain, so that it compares tables
//! and chain of the same moment.

use super::chain;
use super::error::Failure;
use super::foreign::Known;
use super::readers::Readers;
use super::{codes, cut, keys};
use crate::store::StoreError;
use crate::store::chain::format::{self, DECIDED, DELIVERED, ENTRY, Link};
use crate::store::chain::{Head, Verified};
use crate::store::sql::db::{Connection, OptionalExtension, Row, params};
use aws_lc_rs::hmac;
use std::collections::{BTreeMap, HashSet};

/// The number of rows that one step reads.
const STEP: usize = if cfg!(test) { 3 } else { 2_000 };

/// Something that differs from what the relay wrote.
#[derive(Debug)]
pub(in crate::store) struct Finding {
    /// The number of the entry.
    pub(in crate::store) at: i64,
    /// What is wrong with it.
    pub(in crate::store) why: String,
    pub(in crate::store) what: What,
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum What {
    /// The content of an entry; `now` is its present hash, if the entry exists.
    Content { kind: i64, entry: i64, now: Option<[u8; 32]> },
    /// The chain from this entry on.
    Chain(i64),
    /// The cut: nothing after it can be trusted.
    Cut,
}

/// The state of a verification.
pub(in crate::store) struct Walk {
    key: hmac::Key,
    /// Whether to continue after an entry whose content differs; otherwise the first finding is the last.
    all: bool,
    /// The entry to read next, and the first entry since the last link.
    next: i64,
    pending: i64,
    link: Link,
    /// The first message that was ever in the chain.
    first: Option<i64>,
    seen: HashSet<(i64, i64)>,
    /// A decision may change (it may be undone, for example), so the last entry counts.
    decided: BTreeMap<i64, (i64, Vec<u8>)>,
    /// Messages that purges removed, and the last record of a purge that was read.
    gone: HashSet<i64>,
    purges: i64,
    known: Known,
    verified: Verified,
    pub(in crate::store) findings: Vec<Finding>,
}

/// Checks everything, and that the chain continues a head that was published earlier.
pub(in crate::store) async fn whole(
    readers: &Readers,
    key: &hmac::Key,
    earlier: Option<Head>,
) -> Result<Verified, StoreError> {
    let mut walk = Walk::new(key, false);
    let mut at = Step::Chain;
    while walk.goes_on() && at != Step::End {
        (walk, at) = readers
            .read(move |db| {
                let next = walk.step(db, at)?;
                Ok((walk, next))
            })
            .await?;
    }
    let mut verified = walk.result();
    if let Some(earlier) = earlier.filter(|_| verified.broken.is_none()) {
        verified = readers.read(move |db| compare(db, &earlier, verified)).await?;
    }
    Ok(verified)
}

/// What to check next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Step {
    Chain,
    Purges,
    /// Decisions after this entry.
    Decided(i64),
    /// Rows of one of the tables in [`OUTSIDE`], after this row.
    Outside(usize, i64),
    End,
}

/// The tables whose rows must be in the chain, for messages from its first one (`?1`) on: the kind of the
/// entries, and a query for rows and their entries after `?2`.
const OUTSIDE: [(i64, &str); 4] = [
    (ENTRY, "SELECT row, row << 24 FROM messages WHERE row >= ?1 AND row > ?2 ORDER BY row LIMIT ?3"),
    (ENTRY, "SELECT row, row FROM journal WHERE row >= ?1 << 24 AND row > ?2 ORDER BY row LIMIT ?3"),
    (
        DECIDED,
        "SELECT h.message, h.message << 24 FROM held h JOIN messages m ON m.row = h.message \
         WHERE h.message >= ?1 AND h.message > ?2 AND m.sealed IS NOT NULL ORDER BY h.message LIMIT ?3",
    ),
    (
        DELIVERED,
        "SELECT d.row, d.row FROM deliveries d JOIN messages m ON m.row = d.row >> 24 WHERE d.row >= ?1 << 24 \
         AND d.row > ?2 AND d.state = 5 AND m.sealed IS NOT NULL ORDER BY d.row LIMIT ?3",
    ),
];

impl Walk {
    pub(in crate::store) fn new(key: &hmac::Key, all: bool) -> Self {
        Self {
            key: key.clone(),
            all,
            next: 1,
            pending: 1,
            link: Link::behind(key, &[]),
            first: None,
            seen: HashSet::new(),
            decided: BTreeMap::new(),
            gone: HashSet::new(),
            purges: i64::MIN,
            known: Known::default(),
            verified: Verified::default(),
            findings: Vec::new(),
        }
    }

    /// Whether continuing is useful.
    pub(in crate::store) fn goes_on(&self) -> bool {
        self.findings.is_empty()
            || self.all && self.findings.iter().all(|found| matches!(found.what, What::Content { .. }))
    }

    fn result(self) -> Verified {
        let mut verified = self.verified;
        verified.broken = self.findings.into_iter().next().map(|found| (codes::count(found.at), found.why));
        verified.accepted = self.known.records();
        verified
    }

    /// Does one step within a snapshot. Returns the next one.
    pub(in crate::store) fn step(&mut self, db: &Connection, at: Step) -> Result<Step, Failure> {
        if at == Step::Chain {
            let more = self.catch_up(db, STEP)?;
            return Ok(if more { Step::Chain } else { Step::Purges });
        }
        // Entries written since the last step belong to this snapshot too.
        while self.goes_on() && self.catch_up(db, STEP)? {}
        if !self.goes_on() {
            return Ok(Step::End);
        }
        match at {
            Step::Purges => {
                self.unrecorded_purges(db)?;
                Ok(Step::Decided(i64::MIN))
            }
            Step::Decided(behind) => Ok(match self.changed_decisions(db, behind)? {
                Some(last) => Step::Decided(last),
                None => Step::Outside(0, -1),
            }),
            Step::Outside(table, behind) => Ok(match self.outside(db, table, behind)? {
                Some(last) => Step::Outside(table, last),
                None if table + 1 < OUTSIDE.len() => Step::Outside(table + 1, -1),
                None => Step::End,
            }),
            Step::Chain | Step::End => Ok(Step::End),
        }
    }

    /// Reads at most `most` new entries of the chain. Returns whether there are more.
    fn catch_up(&mut self, db: &Connection, most: usize) -> Result<bool, Failure> {
        if !self.begin(db)? {
            return Ok(false);
        }
        let mut select = db.prepare_cached(
            "SELECT entry, digest, mac, seq, kind FROM chain WHERE seq >= ?1 ORDER BY seq LIMIT ?2",
        )?;
        let mut rows = select.query([self.next, codes::number(most)])?;
        let mut read = 0;
        while let Some(row) = rows.next()? {
            read += 1;
            self.entry(db, &row)?;
            if !self.goes_on() {
                return Ok(false);
            }
        }
        if read == most {
            return Ok(true);
        }
        self.verified.head = chain::head(db)?;
        if self.pending != self.next {
            let why = "it was written and never linked".to_owned();
            self.findings.push(Finding { at: self.pending, why, what: What::Chain(self.pending) });
        }
        Ok(false)
    }

    /// Reads what changed since the last snapshot: cuts of the chain, purges, and known foreign rows. Returns
    /// `false` if the cut cannot be trusted.
    fn begin(&mut self, db: &Connection) -> Result<bool, Failure> {
        if let Some(cut) = cut::last(db)?.filter(|cut| cut.seq >= self.next) {
            if !cut.is_ours(&self.key) {
                let why = "the chain was cut here, and not by whoever has the key".to_owned();
                self.findings.push(Finding { at: cut.seq, why, what: What::Cut });
                return Ok(false);
            }
            self.first = self.first.or(Some(cut.first));
            (self.next, self.pending) = (cut.seq + 1, cut.seq + 1);
            self.verified.cut = codes::count(cut.seq);
            self.link = Link::behind(&self.key, &cut.mac);
        }
        let mut select = db.prepare_cached("SELECT row, messages FROM purges WHERE row > ?1 ORDER BY row")?;
        let mut rows = select.query([self.purges])?;
        while let Some(row) = rows.next()? {
            self.purges = row.get(0)?;
            let list: Vec<i64> = super::encode::from_json(&row.get::<_, String>(1)?)?;
            self.gone.extend(list);
        }
        self.known.take_in(db)?;
        Ok(true)
    }

    /// Checks one entry of the chain: its number, its content and its link.
    fn entry(&mut self, db: &Connection, row: &Row<'_>) -> Result<(), Failure> {
        let (entry, seq, kind): (i64, i64, i64) = (row.get(0)?, row.get(3)?, row.get(4)?);
        if seq != self.next {
            let why = "it was taken out of the chain".to_owned();
            self.findings.push(Finding { at: self.next, why, what: What::Chain(self.next) });
            return Ok(());
        }
        self.next += 1;
        let digest = row.get_ref(1)?.as_blob()?;
        if kind == DECIDED {
            self.decided.insert(entry, (seq, digest.to_vec()));
        } else {
            self.compare_content(db, kind, entry, seq, digest)?;
        }
        chain::take(&mut self.link, row)?;
        if let Some(found) = row.get::<_, Option<Vec<u8>>>(2)? {
            let next = Link::behind(&self.key, &found);
            if std::mem::replace(&mut self.link, next).made() != found {
                let at = self.pending;
                let why = format!("the link over entries {at} to {seq} is not what the key makes of them");
                // Findings about the contents of these entries would be misleading, because the entries are
                // forged.
                self.findings.retain(|found| found.at < at);
                self.findings.push(Finding { at, why, what: What::Chain(at) });
                return Ok(());
            }
            self.pending = self.next;
        }
        if kind == ENTRY && entry > 0 && keys::number_of(entry) == 0 {
            self.first = self.first.or(Some(keys::message_of(entry)));
        }
        self.seen.insert((kind, entry));
        Ok(())
    }

    /// Compares an entry with its hash.
    fn compare_content(
        &mut self,
        db: &Connection,
        kind: i64,
        entry: i64,
        seq: i64,
        digest: &[u8],
    ) -> Result<(), Failure> {
        let now = chain::content(db, kind, entry)?;
        let why = match now {
            Some(now) if now.as_slice() == digest => return Ok(()),
            Some(_) => "is not as it was written",
            None if self.gone.contains(&keys::message_of(entry)) => {
                self.verified.purged += u64::from(kind != DECIDED);
                return Ok(());
            }
            None => "is gone, and no purge removed it",
        };
        let anew = match now {
            // The entry's number was reused after somebody had removed it.
            Some(now) if self.known.is_gone(kind, entry) => is_chained(db, kind, entry, &now, seq)?,
            _ => false,
        };
        if !anew && !self.known.has(kind, entry, now.as_ref()) {
            let why = format!("{} {why}", chain::name(db, kind, entry)?);
            self.findings.push(Finding { at: seq, why, what: What::Content { kind, entry, now } });
        }
        Ok(())
    }

    /// Checks some decisions against their last entries. Returns the last one checked if there are more.
    fn changed_decisions(&mut self, db: &Connection, behind: i64) -> Result<Option<i64>, Failure> {
        let from = behind.saturating_add(i64::from(behind != i64::MIN));
        let some: Vec<(i64, i64, Vec<u8>)> = (self.decided.range(from..).take(STEP))
            .map(|(entry, (seq, digest))| (*entry, *seq, digest.clone()))
            .collect();
        for (entry, seq, digest) in &some {
            self.compare_content(db, DECIDED, *entry, *seq, digest)?;
        }
        Ok(some.last().filter(|_| some.len() == STEP).map(|(entry, ..)| *entry))
    }

    /// Looks for rows of a table that are not in the chain. Returns the last row checked if there are more.
    fn outside(&mut self, db: &Connection, table: usize, behind: i64) -> Result<Option<i64>, Failure> {
        let (Some(first), Some((kind, text))) = (self.first, OUTSIDE.get(table)) else { return Ok(None) };
        let mut select = db.prepare_cached(text)?;
        let mut rows = select.query([first, behind, codes::number(STEP)])?;
        let (mut read, mut last) = (0, None);
        while let Some(row) = rows.next()? {
            (read, last) = (read + 1, Some(row.get(0)?));
            let entry: i64 = row.get(1)?;
            if !self.seen.contains(&(*kind, entry)) {
                let name = chain::name(db, *kind, entry)?;
                self.past_the_chain(db, *kind, entry, &name)?;
            }
        }
        Ok(last.filter(|_| read == STEP))
    }

    /// Looks for records of purges that are not in the chain.
    fn unrecorded_purges(&mut self, db: &Connection) -> Result<(), Failure> {
        let mut select = db.prepare_cached("SELECT row FROM purges ORDER BY row")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let row: i64 = row.get(0)?;
            if !self.seen.contains(&(ENTRY, -row)) {
                self.past_the_chain(db, ENTRY, -row, &format!("the record of purge {row}"))?;
            }
        }
        Ok(())
    }

    fn past_the_chain(&mut self, db: &Connection, kind: i64, entry: i64, name: &str) -> Result<(), Failure> {
        let now = chain::content(db, kind, entry)?;
        if !self.known.has(kind, entry, now.as_ref()) {
            let why = format!("{name} was written past the chain");
            self.findings.push(Finding { at: self.next, why, what: What::Content { kind, entry, now } });
        }
        Ok(())
    }
}

/// Whether the chain contains this content after an entry.
fn is_chained(db: &Connection, kind: i64, entry: i64, digest: &[u8], behind: i64) -> Result<bool, Failure> {
    let found = db
        .prepare_cached("SELECT 1 FROM chain WHERE kind = ?1 AND entry = ?2 AND digest = ?3 AND seq > ?4")?
        .exists(params![kind, entry, digest, behind])?;
    Ok(found)
}

/// Compares the chain with a head that was published earlier.
fn compare(db: &Connection, earlier: &Head, mut verified: Verified) -> Result<Verified, Failure> {
    let seq = codes::from_count(earlier.entries);
    if earlier.entries > verified.head.entries {
        let why = format!(
            "the chain ends before it, and had {} entries when that head was put out: its end was taken off",
            earlier.entries
        );
        verified.broken = Some((verified.head.entries + 1, why));
        return Ok(verified);
    }
    let cut = cut::last(db)?.filter(|cut| cut.seq >= seq);
    let link = match cut {
        Some(cut) if cut.seq > seq => return Ok(verified),
        Some(cut) => Some(cut.mac),
        None => db
            .prepare_cached("SELECT mac FROM chain WHERE seq = ?1")?
            .query_row([seq], |row| row.get::<_, Option<Vec<u8>>>(0))
            .optional()?
            .flatten(),
    };
    verified.compared = true;
    if link.map(|link| format::hex(&link)).as_deref() != Some(earlier.link.as_str()) {
        let why = "its link is not the one that was put out: all up to it was written anew".to_owned();
        verified.broken = Some((earlier.entries, why));
    }
    Ok(verified)
}
