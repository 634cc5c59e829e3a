//! What brought people together: the mails that a message refers to, or else one set that contains all of them,
//! found by intersecting their lists of sets. All work is bounded, because mail waits for it.

use super::Digests;
use super::lists::unpack;
use crate::clock::Day;
use crate::message::Address;
use crate::policy::learned::Shared;
use crate::store::learned::Pair;
use crate::store::sql::db::{Connection, OptionalExtension};
use crate::store::sql::error::Failure;
use std::collections::{HashMap, HashSet};

/// The maximum number of referenced mails looked up: the first, which is the one answered, and the last ones.
const MAILS: usize = 32;
/// The maximum number of pieces read of a person's list, the latest first; each holds some hundred sets.
const PIECES: usize = 8;
/// If no set contains everybody, the one that contains most is searched for among at most this many list
/// entries.
const ENTRIES: usize = 20_000;

/// What is asked.
pub(super) struct Query {
    mails: Vec<(i64, String)>,
    people: Vec<(i64, Address)>,
}

impl Query {
    pub(super) fn new(digests: &Digests, references: &[String], people: &[Address]) -> Self {
        let late = references.iter().skip(1.max(references.len().saturating_sub(MAILS - 1)));
        let mails = references.iter().take(1).chain(late).map(|id| (digests.mail(id), id.clone()));
        let people = people.iter().map(|one| (digests.person(one), one.clone()));
        Self { mails: mails.collect(), people: people.collect() }
    }
}

/// See [`crate::store::learned::LearnedStore::shared`].
pub(super) fn shared(db: &Connection, asked: &Query) -> Result<Vec<Shared>, Failure> {
    let mut found = Vec::new();
    for (mail, id) in &asked.mails {
        let known: Option<(i64, i64)> = db
            .prepare_cached("SELECT number, day FROM known_mails WHERE mail = ?1")?
            .query_row([mail], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((number, written)) = known else { continue };
        let Some(set) = Set::read(db, number)? else { continue };
        let one = Shared { cited: Some(id.clone()), last: day(written), ..set.seen_by(asked) };
        if one.met.len() == asked.people.len() {
            return Ok(vec![one]);
        }
        if !one.met.is_empty() {
            found.push(one);
        }
    }
    let mut lists = Vec::with_capacity(asked.people.len());
    for (person, _) in &asked.people {
        lists.push(list(db, *person)?);
    }
    let number = within_all(&lists).or_else(|| within_most(&lists));
    if let Some(set) = number.map(|number| Set::read(db, number)).transpose()?.flatten() {
        found.push(set.seen_by(asked));
    }
    Ok(found)
}

fn day(number: i64) -> Day {
    Day(i32::try_from(number).unwrap_or_default())
}

/// A set of people, as stored.
struct Set {
    since: i64,
    last: i64,
    people: Vec<u8>,
}

impl Set {
    fn read(db: &Connection, number: i64) -> Result<Option<Self>, Failure> {
        let set = db
            .prepare_cached("SELECT since, last, people FROM known_sets WHERE number = ?1")?
            .query_row([number], |row| {
                Ok(Self { since: row.get(0)?, last: row.get(1)?, people: row.get(2)? })
            })
            .optional()?;
        Ok(set)
    }

    fn seen_by(&self, asked: &Query) -> Shared {
        let in_it: HashSet<&[u8]> = self.people.chunks_exact(8).collect();
        let met = asked.people.iter().filter(|(person, _)| in_it.contains(person.to_le_bytes().as_slice()));
        let met = met.map(|(_, address)| address.clone()).collect();
        Shared { cited: None, since: day(self.since), last: day(self.last), met }
    }
}

/// The latest sets that a person is in, in ascending order.
fn list(db: &Connection, person: i64) -> Result<Vec<i64>, Failure> {
    let mut select = db.prepare_cached(
        "SELECT first, numbers FROM known_lists WHERE person = ?1 ORDER BY first DESC LIMIT ?2",
    )?;
    let mut rows = select.query([person, crate::store::sql::codes::number(PIECES)])?;
    let mut pieces = Vec::new();
    while let Some(row) = rows.next()? {
        pieces.push(unpack(row.get(0)?, row.get_ref(1)?.as_blob().unwrap_or_default()));
    }
    pieces.reverse();
    Ok(pieces.concat())
}

/// See [`crate::store::learned::LearnedStore::pairs`].
pub(super) fn pairs(db: &Connection, asked: &Query) -> Result<Vec<Pair>, Failure> {
    let mut lists = Vec::with_capacity(asked.people.len());
    for (person, _) in &asked.people {
        lists.push(list(db, *person)?);
    }
    let mut days: HashMap<i64, Option<i64>> = HashMap::new();
    let mut found = Vec::new();
    for (one, mine) in lists.iter().enumerate() {
        for (other, theirs) in lists.iter().enumerate().skip(one + 1) {
            let (few, many) = if mine.len() < theirs.len() { (mine, theirs) } else { (theirs, mine) };
            let Some(number) = few.iter().find(|number| many.binary_search(number).is_ok()) else { continue };
            let since = match days.get(number) {
                Some(since) => *since,
                None => Set::read(db, *number)?.map(|set| set.since),
            };
            days.insert(*number, since);
            found.extend(since.map(|since| Pair { one, other, since: day(since) }));
        }
    }
    Ok(found)
}

/// The latest set that contains everybody.
fn within_all(lists: &[Vec<i64>]) -> Option<i64> {
    let shortest = lists.iter().min_by_key(|list| list.len())?;
    shortest.iter().rev().copied().find(|number| lists.iter().all(|list| list.binary_search(number).is_ok()))
}

/// The latest of the sets that contain the most of these people, and at least two.
fn within_most(lists: &[Vec<i64>]) -> Option<i64> {
    if lists.iter().map(Vec::len).sum::<usize>() > ENTRIES {
        return None;
    }
    let mut held: HashMap<i64, usize> = HashMap::new();
    for number in lists.iter().flatten() {
        *held.entry(*number).or_default() += 1;
    }
    held.into_iter()
        .filter(|(_, people)| *people > 1)
        .max_by_key(|(number, people)| (*people, *number))
        .map(|(number, _)| number)
}
