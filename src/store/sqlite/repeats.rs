//! What came within the last 24 hours, so that the same is not taken twice.
//!
//! The truth stands in the rows of messages; here is a way to find them, in memory: a short hash for
//! each recipient of each fork, an hour's in one table. So a passed mail costs no row and no index of
//! its own. What is found is looked up before it counts: a hash that two share, or a message that was
//! rolled back, does no harm.

use super::error::Failure;
use super::{codes, read, schema};
use crate::clock::Timestamp;
use crate::message::Fork;
use crate::message::fork::Group;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::time::Duration;

/// How long the same is not taken again.
pub(super) const SPAN: Duration = Duration::from_hours(24);
const HOUR: i64 = 3_600_000;
/// At most so many entries (some 100 MiB); beyond them the oldest hour is forgotten first.
const ENTRIES: usize = 4_000_000;

/// The hashes of the last hours.
#[derive(Default)]
pub(super) struct Repeats {
    state: RandomState,
    /// Each hour's entries, the newest last.
    hours: VecDeque<(i64, HashMap<u64, i64>)>,
    entries: usize,
}

/// A message that came before.
pub(super) struct Earlier {
    pub(super) row: i64,
    pub(super) id: String,
    fork: Fork,
    pub(super) received: Timestamp,
    /// Its people in comparison form, a line each.
    people: String,
}

impl Repeats {
    /// Fills the tables with what came within the last 24 hours.
    pub(super) fn load(&mut self, db: &Connection, now: Timestamp) -> Result<(), Failure> {
        let since = now.minus(SPAN);
        let first = crate::id::Id::new(since, 0);
        let mut select = db.prepare_cached(
            "SELECT row, received, fork, coalesce(keys, people) FROM messages \
             WHERE id >= ?1 AND fork IS NOT NULL ORDER BY row",
        )?;
        let mut rows = select.query([first.as_str()])?;
        while let Some(row) = rows.next()? {
            let fork = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
            if let Some(fork) = Fork::from_octets(fork) {
                let people = row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?;
                self.put(row.get(0)?, row.get(1)?, &fork, recipients(people));
            }
        }
        Ok(())
    }

    /// Remembers a message.
    pub(super) fn put<'a>(
        &mut self,
        row: i64,
        received: i64,
        fork: &Fork,
        recipients: impl Iterator<Item = &'a str>,
    ) {
        let hour = received.div_euclid(HOUR);
        // A clock that was set back adds to the newest hour.
        if self.hours.back().is_none_or(|(newest, _)| *newest < hour) {
            self.hours.push_back((hour, HashMap::new()));
        }
        while self.hours.len() > 25 || (self.entries > ENTRIES && self.hours.len() > 1) {
            let gone = self.hours.pop_front().map_or(0, |(_, entries)| entries.len());
            self.entries = self.entries.saturating_sub(gone);
        }
        let hash = |key: &Key<'_>| self.state.hash_one(key);
        let mut keys: Vec<u64> = recipients.map(|to| hash(&Key::Recipient(fork, to))).collect();
        let firsts = [hash(&Key::Mail(&fork.group)), hash(&Key::Name(fork.group.name()))];
        let firsts =
            firsts.into_iter().filter(|key| !self.hours.iter().any(|(_, hour)| hour.contains_key(key)));
        keys.extend(firsts.collect::<Vec<_>>());
        if let Some((_, newest)) = self.hours.back_mut() {
            let before = newest.len();
            newest.extend(keys.into_iter().map(|key| (key, row)));
            self.entries += newest.len() - before;
        }
    }

    fn find(&self, key: &Key<'_>) -> Option<i64> {
        let hash = self.state.hash_one(key);
        self.hours.iter().rev().find_map(|(_, hour)| hour.get(&hash).copied())
    }

    /// Recipients for whom this fork came before and did not fail, and the latest message it was.
    pub(super) fn known<'a>(
        &self,
        tx: &Connection,
        fork: &Fork,
        received: i64,
        recipients: impl Iterator<Item = &'a str>,
    ) -> Result<(Vec<String>, Option<Earlier>), Failure> {
        let (mut known, mut latest): (Vec<String>, Option<Earlier>) = (Vec::new(), None);
        for recipient in recipients {
            let Some(row) = self.find(&Key::Recipient(fork, recipient)) else { continue };
            if latest.as_ref().is_none_or(|earlier| earlier.row != row) {
                let Some(found) = earlier(tx, row)? else { continue };
                latest = Some(found);
            }
            if let Some(earlier) = &latest
                && earlier.fork == *fork
                && earlier.received > Timestamp(received).minus(SPAN)
                && self::recipients(&earlier.people).any(|line| line == recipient)
                && !failed(tx, row, recipient)?
            {
                known.push(recipient.to_owned());
            }
        }
        if known.is_empty() {
            latest = None;
        }
        Ok((known, latest))
    }

    /// The first message of this mail within 24 hours.
    pub(super) fn first_of(&self, tx: &Connection, group: &Group) -> Result<Option<Earlier>, Failure> {
        let Some(row) = self.find(&Key::Mail(group)) else { return Ok(None) };
        Ok(earlier(tx, row)?.filter(|earlier| earlier.fork.group == *group))
    }

    /// A message with the same MAIL FROM and Message-ID that is another mail.
    pub(super) fn namesake(&self, tx: &Connection, group: &Group) -> Result<Option<Earlier>, Failure> {
        let Some(row) = self.find(&Key::Name(group.name())) else { return Ok(None) };
        let same =
            |earlier: &Earlier| earlier.fork.group.name() == group.name() && earlier.fork.group != *group;
        Ok(earlier(tx, row)?.filter(same))
    }
}

#[derive(Hash)]
enum Key<'a> {
    Recipient(&'a Fork, &'a str),
    Mail(&'a Group),
    Name(&'a [u8]),
}

/// The recipients among the lines of a message's people.
pub(super) fn recipients(people: &str) -> impl Iterator<Item = &str> {
    people.strip_prefix('\n').unwrap_or(people).lines().skip(1)
}

fn earlier(tx: &Connection, row: i64) -> Result<Option<Earlier>, Failure> {
    let found = tx
        .prepare_cached("SELECT id, fork, received, coalesce(keys, people) FROM messages WHERE row = ?1")?
        .query_row([row], |found| {
            Ok((found.get(0)?, found.get::<_, Option<Vec<u8>>>(1)?, found.get(2)?, found.get(3)?))
        })
        .optional()?;
    Ok(found.and_then(|(id, fork, received, people)| {
        let fork = Fork::from_octets(&fork?)?;
        Some(Earlier { row, id, fork, received: Timestamp(received), people })
    }))
}

/// Whether the delivery to this recipient failed, or an operator took it out of the queue. What is
/// held, went back or was taken back by its sender has not failed.
fn failed(tx: &Connection, message: i64, recipient: &str) -> Result<bool, Failure> {
    let mut given_up = tx.prepare_cached(
        "SELECT copy FROM deliveries WHERE row BETWEEN ?1 AND ?2 AND state IN (?3, ?4) \
         AND NOT EXISTS (SELECT 1 FROM held WHERE message = ?5 AND state <> 1) \
         AND NOT EXISTS (SELECT 1 FROM taken WHERE message = ?5 AND undone = 0)",
    )?;
    let mut rows = given_up.query(params![
        schema::base(message),
        schema::last(message),
        codes::FAILED,
        codes::DROPPED,
        message
    ])?;
    while let Some(row) = rows.next()? {
        let recipients = read::recipients(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?)?;
        if recipients.iter().any(|one| super::queue::key(one) == recipient) {
            return Ok(true);
        }
    }
    Ok(false)
}
