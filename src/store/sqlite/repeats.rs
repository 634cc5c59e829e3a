//! What came within the last 24 hours, so that the same is not taken twice.
//!
//! The truth stands in the rows of messages; here is a way to find them, in memory: a short hash for
//! each recipient of each fork, an hour's in one table. So a passed mail costs no row and no index of
//! its own. What is found is looked up before it counts: a hash that two share, or a message that was
//! rolled back, does no harm.

use super::error::Failure;
use super::{codes, read, schema};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::lifecycle::repeats::{Before, Earlier, SPAN};
use crate::message::Fork;
use crate::message::fork::ForkGroup;
use crate::rewrite::Delivery;
use rusqlite::{Connection, OptionalExtension};
use std::collections::hash_map::{Entry, RandomState};
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::BuildHasher;

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

/// The first transaction of a mail, or another mail of its name.
pub(super) struct First {
    pub(super) row: i64,
    pub(super) id: Id,
    fork: Fork,
    pub(super) received: Timestamp,
    /// Its people in comparison form, a line each.
    people: String,
}

impl Repeats {
    /// Fills the tables with what came within the last 24 hours.
    pub(super) fn load(&mut self, db: &Connection, now: Timestamp) -> Result<(), Failure> {
        let since = now.minus(SPAN);
        let first = Id::new(since, 0);
        let mut select = db.prepare_cached(
            "SELECT row, received, fork, coalesce(keys, people) FROM messages \
             WHERE id >= ?1 AND fork IS NOT NULL ORDER BY row",
        )?;
        let mut rows = select.query([first.as_str()])?;
        while let Some(row) = rows.next()? {
            let fork = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
            if let Some(fork) = Fork::from_octets(fork) {
                let people = row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?;
                self.put(row.get(0)?, row.get(1)?, &fork, recipients(people), false);
            }
        }
        Ok(())
    }

    /// Remembers a message; one that was sent `again` after it went back is the first of a new mail.
    pub(super) fn put<'a>(
        &mut self,
        row: i64,
        received: i64,
        fork: &Fork,
        recipients: impl Iterator<Item = &'a str>,
        again: bool,
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
        // Rows are given upwards: one that is not below this one was rolled back, and stands for nothing.
        let stands = |key: &u64| {
            self.hours.iter().rev().find_map(|(_, hour)| hour.get(key)).is_some_and(|first| *first < row)
        };
        let firsts = firsts.into_iter().filter(|key| again || !stands(key));
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

    /// What of this fork came before. A message that came before is read once, for however many
    /// recipients.
    pub(super) fn known<'a>(
        &self,
        tx: &Connection,
        fork: &Fork,
        received: i64,
        recipients: impl Iterator<Item = &'a str>,
    ) -> Result<Before, Failure> {
        let mut before = Before::default();
        let mut seen: HashMap<i64, Option<Earlier>> = HashMap::new();
        for recipient in recipients {
            let Some(row) = self.find(&Key::Recipient(fork, recipient)) else { continue };
            let earlier = match seen.entry(row) {
                Entry::Occupied(seen) => seen.into_mut(),
                Entry::Vacant(place) => {
                    let earlier = look(tx, row)?;
                    place.insert(earlier.filter(|one| one.is_same(fork, Timestamp(received))))
                }
            };
            if let Some(earlier) = earlier {
                before.add(recipient, earlier);
            }
        }
        Ok(before)
    }

    /// The first message of this mail within 24 hours.
    pub(super) fn first_of(&self, tx: &Connection, group: &ForkGroup) -> Result<Option<First>, Failure> {
        let Some(row) = self.find(&Key::Mail(group)) else { return Ok(None) };
        Ok(earlier(tx, row)?.filter(|earlier| earlier.fork.group == *group))
    }

    /// A message with the same MAIL FROM and Message-ID that is another mail.
    pub(super) fn namesake(&self, tx: &Connection, group: &ForkGroup) -> Result<Option<First>, Failure> {
        let Some(row) = self.find(&Key::Name(group.name())) else { return Ok(None) };
        let same =
            |earlier: &First| earlier.fork.group.name() == group.name() && earlier.fork.group != *group;
        Ok(earlier(tx, row)?.filter(same))
    }
}

#[derive(Hash)]
enum Key<'a> {
    Recipient(&'a Fork, &'a str),
    Mail(&'a ForkGroup),
    Name(&'a [u8]),
}

/// The recipients among the lines of a message's people.
pub(super) fn recipients(people: &str) -> impl Iterator<Item = &str> {
    people.strip_prefix('\n').unwrap_or(people).lines().skip(1)
}

fn earlier(tx: &Connection, row: i64) -> Result<Option<First>, Failure> {
    let mut select =
        tx.prepare_cached("SELECT id, fork, received, coalesce(keys, people) FROM messages WHERE row = ?1")?;
    let mut rows = select.query([row])?;
    let Some(found) = rows.next()? else { return Ok(None) };
    let fork = found.get::<_, Option<Vec<u8>>>(1)?.and_then(|octets| Fork::from_octets(&octets));
    let Some(fork) = fork else { return Ok(None) };
    let id = read::id(&found.get::<_, String>(0)?)?;
    Ok(Some(First { row, id, fork, received: Timestamp(found.get(2)?), people: found.get(3)? }))
}

/// A message that came before, with what became of it.
fn look(tx: &Connection, row: i64) -> Result<Option<Earlier>, Failure> {
    let Some(First { id, fork, received, people, .. }) = earlier(tx, row)? else { return Ok(None) };
    let held: Option<i64> = tx
        .prepare_cached("SELECT state FROM held WHERE message = ?1")?
        .query_row([row], |found| found.get(0))
        .optional()?;
    let taken_back: bool = tx
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM taken WHERE message = ?1 AND undone = 0)")?
        .query_row([row], |found| found.get(0))?;
    Ok(Some(Earlier {
        id,
        fork,
        received,
        people: recipients(&people).map(str::to_owned).collect(),
        given_up: given_up(tx, row)?,
        held: held.and_then(codes::to_held),
        taken_back,
    }))
}

/// Recipients (comparison form) of copies that were given up: the states are those of [`is_given_up`].
///
/// [`is_given_up`]: crate::lifecycle::repeats::is_given_up
fn given_up(tx: &Connection, message: i64) -> Result<HashSet<String>, Failure> {
    let mut given_up =
        tx.prepare_cached("SELECT copy FROM deliveries WHERE row BETWEEN ?1 AND ?2 AND state IN (?3, ?4)")?;
    let mut rows =
        given_up.query([schema::base(message), schema::last(message), codes::FAILED, codes::DROPPED])?;
    let mut failed = HashSet::new();
    while let Some(row) = rows.next()? {
        let copy = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
        if let Ok(copy) = Delivery::from_bytes(copy) {
            failed.extend(copy.recipients().iter().map(|to| to.address.key().to_owned()));
        }
    }
    Ok(failed)
}
