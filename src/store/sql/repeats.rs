//! What was received within the last 24 hours, so that the same message is not accepted twice.
//!
//! The rows of messages are authoritative. This is an index of them in memory: a short hash for each recipient
//! of each fork, in one table for each hour. So a mail that passes needs neither a row nor an index of its own
//! for this. A match is checked against the row before it counts, so a collision of hashes does no harm. What a
//! transaction added is taken out again if it is rolled back, because another message may then get its number.

use super::deliveries::{self, progress_columns};
use super::elsewhere::Came;
use super::error::Failure;
use super::{codes, keys, read, transactions};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::lifecycle::delivery::Progress;
use crate::lifecycle::repeats::{Before, Earlier, SPAN};
use crate::message::Fork;
use crate::message::fork::ForkGroup;
use crate::rewrite::Delivery;
use crate::store::DeliveryState;
use crate::store::sql::db::{Connection, OptionalExtension};
use std::collections::hash_map::{Entry, RandomState};
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::BuildHasher;

const HOUR: i64 = 3_600_000;
/// The maximum number of entries (some 100 MiB); beyond it, the oldest hour is forgotten first.
const ENTRIES: usize = 4_000_000;

/// The hashes of the last hours: at most [`ENTRIES`], and 24 hours. With two nodes, each first adds what the other
/// committed ([`Self::catch_up`]).
#[derive(Default)]
pub(in crate::store) struct Repeats {
    state: RandomState,
    /// Each hour's entries, the newest last.
    hours: VecDeque<(i64, HashMap<u64, i64>)>,
    entries: usize,
    /// What the present transaction changed: the hour, the key, and its row before.
    changed: Vec<(i64, u64, Option<i64>)>,
}

/// The first transaction of a mail, or another mail with its name.
pub(in crate::store) struct First {
    pub(in crate::store) row: i64,
    pub(in crate::store) id: Id,
    fork: Fork,
    pub(in crate::store) received: Timestamp,
    /// Its addresses in comparison form, one per line.
    people: String,
}

impl Repeats {
    /// Fills the tables with the last 24 hours. They are read in the order of their rows, from the lowest one that came
    /// in that time: by their ids, each would be looked up. The one with the first id is not always the lowest: within a
    /// millisecond ids are in no order, and a clock may have been set back.
    pub(in crate::store) fn load(&mut self, db: &Connection, now: Timestamp) -> Result<(), Failure> {
        let since = now.minus(SPAN);
        let first = Id::new(since, 0);
        // The sum keeps planners from looking for the lowest row among all, from the oldest on.
        let mut select = db.prepare_cached(
            "SELECT row, received, fork, coalesce(keys, people) FROM messages WHERE fork IS NOT NULL AND row >= \
             coalesce((SELECT min(row + 0) FROM messages WHERE id >= ?1), 9223372036854775807) ORDER BY row",
        )?;
        let mut rows = select.query([first.as_str()])?;
        while let Some(row) = rows.next()? {
            let fork = row.get_ref(2)?.as_blob()?;
            if let Some(fork) = Fork::from_octets(fork) {
                self.put_stored(db, row.get(0)?, row.get(1)?, &fork, row.get_ref(3)?.as_str()?)?;
            }
        }
        Ok(())
    }

    /// Fills the tables with the last 24 hours before the newest message.
    pub(in crate::store) fn load_newest(&mut self, db: &Connection) -> Result<(), Failure> {
        let newest: Option<i64> = db
            .prepare_cached("SELECT received FROM messages ORDER BY row DESC LIMIT 1")?
            .query_row([], |row| row.get(0))
            .optional()?;
        newest.map_or(Ok(()), |received| self.load(db, Timestamp(received)))
    }

    /// Adds what other nodes accepted. Must be called while nobody else can write.
    ///
    /// Nodes of version 18 of the tables did not note which mail a transaction belongs to, so this does.
    pub(in crate::store) fn catch_up(&mut self, tx: &Connection, accepted: &[Came]) -> Result<(), Failure> {
        for Came { row, received, fork, people } in accepted {
            if let Some(first) = self.first_of(tx, &fork.group)?.filter(|first| first.row < *row) {
                transactions::note(tx, *row, first.row)?;
            }
            self.put_stored(tx, *row, *received, fork, people)?;
        }
        Ok(())
    }

    /// Adds a stored message, as it was added when it was accepted.
    fn put_stored(
        &mut self,
        db: &Connection,
        row: i64,
        received: i64,
        fork: &Fork,
        people: &str,
    ) -> Result<(), Failure> {
        let again = self.was_sent_again(db, row, received, fork, people)?;
        self.put(row, received, fork, recipients(people), again);
        // It is committed.
        self.keep();
        Ok(())
    }

    /// Whether a stored message was sent again after it was returned. Rows name only the recipients who did not have
    /// it, so the earlier one of such a recipient went back (and stays so: then that cannot be undone), or its copy
    /// was given up.
    fn was_sent_again(
        &self,
        db: &Connection,
        row: i64,
        received: i64,
        fork: &Fork,
        people: &str,
    ) -> Result<bool, Failure> {
        // Most mails come once.
        if self.find(&Key::Mail(&fork.group)).is_none_or(|first| first >= row) {
            return Ok(false);
        }
        let earlier: HashSet<i64> =
            recipients(people).filter_map(|to| self.find(&Key::Recipient(fork, to))).collect();
        for one in earlier.into_iter().filter(|one| *one < row) {
            if look(db, one, Timestamp(received))?
                .is_some_and(|(one, _)| one.fork == *fork && one.went_back())
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Adds a message. One that was sent `again` after it was returned is the first transaction of a new mail.
    pub(in crate::store) fn put<'a>(
        &mut self,
        row: i64,
        received: i64,
        fork: &Fork,
        recipients: impl Iterator<Item = &'a str>,
        again: bool,
    ) {
        let hour = received.div_euclid(HOUR);
        // After the clock was set back, entries go to the newest hour.
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
        let stands = |key: &u64| self.hours.iter().any(|(_, hour)| hour.contains_key(key));
        let firsts = firsts.into_iter().filter(|key| again || !stands(key));
        keys.extend(firsts.collect::<Vec<_>>());
        if let Some((hour, newest)) = self.hours.back_mut() {
            for key in keys {
                let before = newest.insert(key, row);
                self.entries += usize::from(before.is_none());
                self.changed.push((*hour, key, before));
            }
        }
    }

    /// How much the present transaction changed so far.
    pub(in crate::store) fn mark(&self) -> usize {
        self.changed.len()
    }

    /// Takes out what the present transaction added since this mark: it was rolled back to there.
    pub(in crate::store) fn undo(&mut self, mark: usize) {
        for (hour, key, before) in self.changed.drain(mark..).rev() {
            // Nothing is left of an hour that was forgotten meanwhile.
            let Some((_, entries)) = self.hours.iter_mut().find(|(one, _)| *one == hour) else { continue };
            match before {
                Some(row) => drop(entries.insert(key, row)),
                None => self.entries -= usize::from(entries.remove(&key).is_some()),
            }
        }
    }

    /// Keeps what was added: its transaction is committed.
    pub(in crate::store) fn keep(&mut self) {
        self.changed.clear();
    }

    fn find(&self, key: &Key<'_>) -> Option<i64> {
        let hash = self.state.hash_one(key);
        self.hours.iter().rev().find_map(|(_, hour)| hour.get(&hash).copied())
    }

    /// The earlier messages with this fork. Each is read once, however many of the recipients it had.
    pub(in crate::store) fn known<'a>(
        &self,
        tx: &Connection,
        fork: &Fork,
        received: i64,
        recipients: impl Iterator<Item = &'a str>,
    ) -> Result<Before, Failure> {
        let mut before = Before::default();
        let mut seen: HashMap<i64, Option<(Earlier, HashSet<String>)>> = HashMap::new();
        let mut anew: HashMap<i64, Vec<&str>> = HashMap::new();
        for recipient in recipients {
            let Some(row) = self.find(&Key::Recipient(fork, recipient)) else { continue };
            let earlier = match seen.entry(row) {
                Entry::Occupied(seen) => seen.into_mut(),
                Entry::Vacant(place) => {
                    let earlier = look(tx, row, Timestamp(received))?;
                    place.insert(earlier.filter(|(one, _)| one.is_same(fork, Timestamp(received))))
                }
            };
            if let Some((earlier, _)) = earlier {
                before.add(recipient, earlier);
                if !before.known.contains(recipient) {
                    anew.entry(row).or_default().push(recipient);
                }
            }
        }
        // The latest is not the only one: it may have been returned, or held, after a copy of one before was dropped.
        for (row, recipients) in anew {
            let Some((earlier, mut all)) = seen.remove(&row).flatten() else { continue };
            let transactions = transactions::repeated(tx, earlier.id)?;
            all.extend(uncertain_before(tx, row, &transactions, Timestamp(received))?);
            let marked = recipients.into_iter().filter(|recipient| all.contains(*recipient));
            before.uncertain.extend(marked.map(str::to_owned));
        }
        Ok(before)
    }

    /// The first message of this mail within 24 hours.
    pub(in crate::store) fn first_of(
        &self,
        tx: &Connection,
        group: &ForkGroup,
    ) -> Result<Option<First>, Failure> {
        let Some(row) = self.find(&Key::Mail(group)) else { return Ok(None) };
        Ok(earlier(tx, row)?.filter(|earlier| earlier.fork.group == *group))
    }

    /// Another mail with the same MAIL FROM and Message-ID.
    pub(in crate::store) fn namesake(
        &self,
        tx: &Connection,
        group: &ForkGroup,
    ) -> Result<Option<First>, Failure> {
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

/// The recipients in the address lines of a message.
pub(in crate::store) fn recipients(people: &str) -> impl Iterator<Item = &str> {
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

/// Reads an earlier message and its outcome, and who may have a copy of it that was given up or withdrawn.
fn look(tx: &Connection, row: i64, at: Timestamp) -> Result<Option<(Earlier, HashSet<String>)>, Failure> {
    let Some(First { id, fork, received, people, .. }) = earlier(tx, row)? else { return Ok(None) };
    let held: Option<i64> = tx
        .prepare_cached("SELECT state FROM held WHERE message = ?1")?
        .query_row([row], |found| found.get(0))
        .optional()?;
    let taken_back: bool = tx
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM taken WHERE message = ?1 AND undone = 0)")?
        .query_row([row], |found| found.get(0))?;
    let (given_up, uncertain) = given_up(tx, row, at)?;
    let earlier = Earlier {
        id,
        fork,
        received,
        people: recipients(&people).map(str::to_owned).collect(),
        given_up,
        held: held.and_then(codes::to_held),
        taken_back,
    };
    Ok(Some((earlier, uncertain)))
}

/// Recipients (comparison form) whose copies were all given up, apart from withdrawn ones: after a release was undone,
/// the copies of the next one stand beside those. Also those who may have a copy that was given up or withdrawn.
fn given_up(
    tx: &Connection,
    message: i64,
    at: Timestamp,
) -> Result<(HashSet<String>, HashSet<String>), Failure> {
    let (mut failed, mut standing, mut uncertain) = (HashSet::new(), HashSet::new(), HashSet::new());
    let range = [keys::base(message), keys::last(message)];
    each_copy(tx, "IN", range, |copy, to| {
        if copy.may_have_arrived() {
            uncertain.extend(to.iter().cloned());
        }
        if copy.is_given_up(at) {
            failed.extend(to);
        } else if !copy.is_withdrawn() {
            standing.extend(to);
        }
    })?;
    if !failed.is_empty() {
        each_copy(tx, "NOT IN", range, |_, to| standing.extend(to))?;
        failed.retain(|one| !standing.contains(one));
    }
    Ok((failed, uncertain))
}

/// The recipients who may have a copy of a message: one of this transaction, or of an earlier one with the same fork
/// (`transactions` are all of its mail), was given up or withdrawn, but may have arrived, or arrived after all.
pub(in crate::store) fn uncertain(
    tx: &Connection,
    message: i64,
    transactions: &[i64],
    at: Timestamp,
) -> Result<HashSet<String>, Failure> {
    let (_, mut all) = given_up(tx, message, at)?;
    all.extend(uncertain_before(tx, message, transactions, at)?);
    Ok(all)
}

/// The same, of the earlier transactions alone.
fn uncertain_before(
    tx: &Connection,
    message: i64,
    transactions: &[i64],
    at: Timestamp,
) -> Result<HashSet<String>, Failure> {
    let mut all = HashSet::new();
    let mut before = transactions.iter().copied().filter(|row| *row < message).peekable();
    let fork = before.peek().map(|_| earlier(tx, message)).transpose()?.flatten().map(|one| one.fork);
    for row in before {
        if earlier(tx, row)?.map(|one| one.fork) == fork {
            all.extend(given_up(tx, row, at)?.1);
            // A copy that was dropped on its way, and recorded as delivered after the mail was sent again.
            each_copy(tx, "NOT IN", [keys::base(row), keys::last(row)], |copy, to| {
                if copy.state == DeliveryState::Delivered {
                    all.extend(to);
                }
            })?;
        }
    }
    Ok(all)
}

/// The copies in this range whose state is `IN` those that may be given up, or `NOT IN` them, with their recipients.
fn each_copy(
    tx: &Connection,
    is: &str,
    [first, last]: [i64; 2],
    mut act: impl FnMut(Progress, Vec<String>),
) -> Result<(), Failure> {
    let mut select = tx.prepare_cached(&format!(
        concat!(
            "SELECT d.copy, ",
            progress_columns!(),
            " FROM deliveries d WHERE d.row BETWEEN ?1 AND ?2 AND d.state {} (?3, ?4)"
        ),
        is
    ))?;
    let mut rows = select.query([first, last, codes::FAILED, codes::DROPPED])?;
    while let Some(row) = rows.next()? {
        if let Ok(copy) = Delivery::from_bytes(row.get_ref(0)?.as_blob()?) {
            let to = copy.recipients().iter().map(|to| to.address.key().to_owned()).collect();
            act(deliveries::progress(&row, 1)?, to);
        }
    }
    Ok(())
}
