//! Learning mails: what is new about them, and how it is written.
//!
//! The sets of people are written first, then everybody's lists, then the digests by which a set and a mail are
//! found. For a few mails, all of this is one transaction. For many mails, each step is done for all of them,
//! in the order of its table, so that a page is written once for many mails. If the relay ends in between, the
//! mails are still new, and no digest leads to the sets that were written.

use super::{Digests, SENT, code, lists};
use crate::clock::{Day, Timestamp};
use crate::policy::learned::Learned;
use crate::store::sql::codes;
use crate::store::sql::db::{Connection, OptionalExtension, params};
use crate::store::sql::error::Failure;
use std::collections::{HashMap, HashSet};

/// A mail in digests.
pub(super) struct Row {
    mail: i64,
    set: i64,
    day: i64,
    source: i64,
    /// Digests of eight octets, sorted.
    people: Vec<u8>,
}

impl Row {
    /// A date in the future comes from a wrong clock, and counts as now.
    pub(super) fn of(learned: &Learned, digests: &Digests, now: Timestamp) -> Self {
        let people = digests.people(learned.people());
        let (set, day) = (digests.set(&people), i64::from(Day::of(learned.date().min(now)).0));
        let mail = match learned.message_id() {
            Some(id) => digests.mail(id),
            // No Message-ID contains a line end.
            None => digests.mail(&format!("\n{day} {set}")),
        };
        Self { mail, set, day, source: code(learned.source()), people }
    }

    /// The number of people it shows.
    pub(super) fn people(&self) -> usize {
        self.people.len() / 8
    }
}

/// What is new about some mails.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) sets: Vec<NewSet>,
    mails: Vec<NewMail>,
}

/// A set of people that no mail showed before.
pub(super) struct NewSet {
    digest: i64,
    since: i64,
    last: i64,
    people: Vec<u8>,
}

struct NewMail {
    mail: i64,
    day: i64,
    source: i64,
    set: Place,
    /// Whether the mail is known, and has now shown more people to each other.
    grows: bool,
}

/// Where a mail's set is.
#[derive(Clone, Copy)]
enum Place {
    Number(i64),
    /// The index among the new sets.
    New(usize),
}

/// A mail as it is stored.
pub(super) struct Filed {
    mail: i64,
    number: i64,
    day: i64,
    source: i64,
    grows: bool,
}

/// What is new about these mails.
pub(super) fn plan(db: &Connection, rows: &[Row]) -> Result<Plan, Failure> {
    let mut plan = Plan::default();
    let (mut places, mut seen) = (HashMap::new(), HashSet::new());
    for row in rows {
        let Some(grows) = is_new(db, row)? else { continue };
        if !seen.insert(row.mail) {
            continue;
        }
        let place = match places.get(&row.set) {
            Some(place) => *place,
            None => {
                if let Some(number) = numbered(db, row.set)? {
                    Place::Number(number)
                } else {
                    let people = row.people.clone();
                    plan.sets.push(NewSet { digest: row.set, since: row.day, last: row.day, people });
                    Place::New(plan.sets.len() - 1)
                }
            }
        };
        places.insert(row.set, place);
        if let Place::New(index) = place {
            let set = &mut plan.sets[index];
            (set.since, set.last) = (set.since.min(row.day), set.last.max(row.day));
        }
        plan.mails.push(NewMail { mail: row.mail, day: row.day, source: row.source, set: place, grows });
    }
    Ok(plan)
}

/// `None` for a known mail without news; otherwise whether it is known and grows: another transaction of our
/// own mail was delivered, which showed more people to each other.
fn is_new(db: &Connection, row: &Row) -> Result<Option<bool>, Failure> {
    let known: Option<(i64, Option<i64>)> = db
        .prepare_cached(
            "SELECT source, (SELECT length(people) FROM known_sets s WHERE s.number = m.number) \
             FROM known_mails m WHERE mail = ?1",
        )?
        .query_row([row.mail], |found| Ok((found.get(0)?, found.get(1)?)))
        .optional()?;
    Ok(match known {
        None => Some(false),
        Some((SENT, octets)) if row.source == SENT => {
            octets.is_none_or(|octets| octets < codes::number(row.people.len())).then_some(true)
        }
        Some(_) => None,
    })
}

fn numbered(db: &Connection, digest: i64) -> Result<Option<i64>, Failure> {
    let number = db
        .prepare_cached("SELECT number FROM known_sets WHERE digest = ?1")?
        .query_row([digest], |found| found.get(0))
        .optional()?;
    Ok(number)
}

/// Writes sets that no digest leads to yet. Returns their numbers, which ascend.
pub(super) fn insert(tx: &Connection, sets: &[NewSet]) -> Result<Vec<i64>, Failure> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO known_sets (digest, since, last, people) VALUES (NULL, ?1, ?2, ?3) RETURNING number",
    )?;
    let mut numbers = Vec::with_capacity(sets.len());
    for set in sets {
        numbers.push(insert.query_row(params![set.since, set.last, set.people], |row| row.get(0))?);
    }
    Ok(numbers)
}

impl Plan {
    /// The members of the new sets with the sets' numbers, in the order of the lists.
    pub(super) fn members(&self, numbers: &[i64]) -> Vec<(i64, i64)> {
        let of_set = |(set, number): (&NewSet, &i64)| {
            let number = *number;
            set.people
                .as_chunks::<8>()
                .0
                .iter()
                .map(move |one| (i64::from_le_bytes(*one), number))
                .collect::<Vec<_>>()
        };
        let mut members: Vec<(i64, i64)> = self.sets.iter().zip(numbers).flat_map(of_set).collect();
        members.sort_unstable();
        members
    }

    /// The digests of the new sets and their numbers, in the order of the index.
    pub(super) fn digests(&self, numbers: &[i64]) -> Vec<(i64, i64)> {
        let mut digests: Vec<(i64, i64)> =
            self.sets.iter().map(|set| set.digest).zip(numbers.iter().copied()).collect();
        digests.sort_unstable();
        digests
    }

    /// The mails, in the order of their table.
    pub(super) fn filed(&self, numbers: &[i64]) -> Vec<Filed> {
        let mut filed: Vec<Filed> = self
            .mails
            .iter()
            .filter_map(|one| {
                let number = match one.set {
                    Place::Number(number) => number,
                    Place::New(index) => *numbers.get(index)?,
                };
                Some(Filed { mail: one.mail, number, day: one.day, source: one.source, grows: one.grows })
            })
            .collect();
        filed.sort_unstable_by_key(|one| one.mail);
        filed
    }
}

/// Adds sets to people's lists.
pub(super) fn list(tx: &Connection, members: &[(i64, i64)]) -> Result<(), Failure> {
    members.iter().try_for_each(|(person, number)| lists::add(tx, *person, *number))
}

/// Makes sets known by their digests.
pub(super) fn name(tx: &Connection, digests: &[(i64, i64)]) -> Result<(), Failure> {
    let mut update = tx.prepare_cached(
        "UPDATE known_sets SET digest = ?1 WHERE number = ?2 AND NOT EXISTS (SELECT 1 FROM known_sets WHERE digest = ?1)",
    )?;
    for (digest, number) in digests {
        update.execute([digest, number])?;
    }
    Ok(())
}

/// Makes mails known. Returns how many were new.
pub(super) fn file(tx: &Connection, mails: &[Filed]) -> Result<usize, Failure> {
    let mut new = 0;
    let mut insert = tx.prepare_cached(
        "INSERT INTO known_mails (mail, number, day, source) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
    )?;
    let mut grow = tx.prepare_cached("UPDATE known_mails SET number = ?2 WHERE mail = ?1")?;
    let mut lasts = tx.prepare_cached(
        "UPDATE known_sets SET since = CASE WHEN ?2 < since THEN ?2 ELSE since END, \
         last = CASE WHEN ?2 > last THEN ?2 ELSE last END WHERE number = ?1 AND ?2 NOT BETWEEN since AND last",
    )?;
    for one in mails {
        lasts.execute([one.number, one.day])?;
        if one.grows {
            grow.execute([one.mail, one.number])?;
        } else {
            new += insert.execute([one.mail, one.number, one.day, one.source])?;
        }
    }
    Ok(new)
}

/// Learns a few mails in one transaction. Returns how many were new.
pub(super) fn whole(tx: &Connection, rows: &[Row]) -> Result<usize, Failure> {
    let plan = plan(tx, rows)?;
    let numbers = insert(tx, &plan.sets)?;
    list(tx, &plan.members(&numbers))?;
    name(tx, &plan.digests(&numbers))?;
    file(tx, &plan.filed(&numbers))
}
