//! Who openly wrote with whom, as small as it goes: people and mails are digests of eight octets, a set of
//! people is kept once however many mails show it, and each person has a list of the sets they are in.

mod lists;
mod purge;
mod search;
mod sent;

use super::error::Failure;
use super::{SqliteStore, codes};
use crate::clock::{Day, Timestamp};
use crate::id::Id;
use crate::message::Address;
use crate::policy::learned::{Began, Learned, MOST_PEOPLE, Shared, Source};
use crate::policy::organisation::counting_key;
use crate::store::StoreError;
use crate::store::learned::{LearnedStore, MOST_PAIRED, Pair, Stock, Taught, Through};
use async_trait::async_trait;
use aws_lc_rs::hmac;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// So many people are written in one transaction, in as many sets as they are; mail goes in between.
const PEOPLE_AT_ONCE: usize = 500;
/// A person is taken out of so many sets in one transaction.
const SETS_AT_ONCE: usize = 500;

/// Makes digests that nobody who lacks the database can aim at.
#[derive(Clone)]
pub(super) struct Digests(Arc<hmac::Key>);

impl Digests {
    /// With the salt of this database.
    pub(super) fn load(db: &Connection) -> rusqlite::Result<Self> {
        let salt: Vec<u8> = db.query_row("SELECT salt FROM learning", [], |row| row.get(0))?;
        Ok(Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &salt))))
    }

    fn of(&self, kind: u8, text: &[u8]) -> i64 {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(&[kind]);
        context.update(text);
        let mut octets = [0; 8];
        octets.copy_from_slice(&context.sign().as_ref()[..8]);
        i64::from_le_bytes(octets)
    }

    fn person(&self, address: &Address) -> i64 {
        self.of(b'p', counting_key(address).as_bytes())
    }

    fn mail(&self, message_id: &str) -> i64 {
        self.of(b'm', message_id.as_bytes())
    }

    fn set(&self, people: &[u8]) -> i64 {
        self.of(b's', people)
    }

    fn set_of(&self, people: &[Address]) -> i64 {
        let mut people: Vec<i64> = people.iter().map(|one| self.person(one)).collect();
        people.sort_unstable();
        people.dedup();
        let blob: Vec<u8> = people.iter().flat_map(|person| person.to_le_bytes()).collect();
        self.set(&blob)
    }
}

/// The source of our own mail.
const SENT: i64 = 3;

/// Codes of sources, as they are told.
const SOURCES: [(i64, &str); 3] = [(1, "journal"), (2, "archive"), (SENT, "sent")];

fn code(source: Source) -> i64 {
    match source {
        Source::Journal => 1,
        Source::Archive => 2,
        Source::Sent => SENT,
    }
}

/// A mail as it is written.
#[derive(Clone)]
struct Row {
    mail: i64,
    set: i64,
    day: i64,
    source: i64,
    /// Sorted by digest.
    people: Vec<(i64, String)>,
    blob: Vec<u8>,
}

impl Row {
    /// A date that lies ahead is a wrong clock's.
    fn of(learned: &Learned, digests: &Digests, now: Timestamp) -> Self {
        let mut people: Vec<(i64, String)> =
            learned.people().iter().map(|one| (digests.person(one), counting_key(one))).collect();
        people.sort_unstable();
        people.dedup_by_key(|(person, _)| *person);
        let blob: Vec<u8> = people.iter().flat_map(|(person, _)| person.to_le_bytes()).collect();
        let (set, day) = (digests.set(&blob), i64::from(Day::of(learned.date().min(now)).0));
        let mail = match learned.message_id() {
            Some(id) => digests.mail(id),
            // No Message-ID holds a line end.
            None => digests.mail(&format!("\n{day} {set}")),
        };
        Self { mail, set, day, source: code(learned.source()), people, blob }
    }
}

#[async_trait]
impl LearnedStore for SqliteStore {
    async fn learn(&self, batch: Vec<Learned>, now: Timestamp) -> Result<Taught, StoreError> {
        let digests = self.digests.clone();
        let mut rows = batch.into_iter().map(move |one| Row::of(&one, &digests, now)).peekable();
        let mut taught = Taught::default();
        while rows.peek().is_some() {
            let (mut step, mut people) = (Vec::new(), 0);
            while people < PEOPLE_AT_ONCE
                && let Some(row) = rows.next()
            {
                people += row.people.len();
                step.push(row);
            }
            let all = step.len();
            let learned =
                self.write(move |tx| step.iter().try_fold(0, |sum, row| Ok(sum + take(tx, row)?))).await?;
            taught.learned += learned;
            taught.known += all - learned;
        }
        Ok(taught)
    }

    async fn shared(&self, references: &[String], people: &[Address]) -> Result<Vec<Shared>, StoreError> {
        if people.len() < 2 || people.len() > MOST_PEOPLE {
            return Ok(Vec::new());
        }
        let asked = search::Asked::new(&self.digests, references, people);
        self.mail.read(move |db| search::shared(db, &asked)).await
    }

    async fn pairs(&self, people: &[Address]) -> Result<Vec<Pair>, StoreError> {
        if people.len() < 2 || people.len() > MOST_PAIRED {
            return Ok(Vec::new());
        }
        let asked = search::Asked::new(&self.digests, &[], people);
        self.readers.read(move |db| search::pairs(db, &asked)).await
    }

    async fn let_together(&self, people: &[Address], at: Timestamp) -> Result<(), StoreError> {
        let digest = self.digests.set_of(people);
        let insert = "INSERT OR IGNORE INTO released_sets (digest, at) VALUES (?1, ?2)";
        self.write(move |tx| {
            tx.prepare_cached(insert)?.execute([digest, at.0])?;
            Ok(())
        })
        .await
    }

    async fn times_let_together(&self, people: &[Address]) -> Result<usize, StoreError> {
        let digest = self.digests.set_of(people);
        let count = "SELECT count(*) FROM released_sets WHERE digest = ?1";
        let times: i64 =
            self.readers.read(move |db| Ok(db.query_row(count, [digest], |row| row.get(0))?)).await?;
        Ok(usize::try_from(times).unwrap_or_default())
    }

    async fn through(&self, after: i64) -> Result<Through, StoreError> {
        self.readers.read(move |db| sent::through(db, after)).await
    }

    async fn learn_sent(
        &self,
        numbers: Vec<i64>,
        batch: Vec<Learned>,
        now: Timestamp,
    ) -> Result<Taught, StoreError> {
        // Learned twice counts once, so that a crash in between costs nothing.
        let taught = self.learn(batch, now).await?;
        self.write(move |tx| sent::done(tx, &numbers)).await?;
        Ok(taught)
    }

    async fn forget(&self, address: &Address) -> Result<usize, StoreError> {
        let person = self.digests.person(address);
        let mut sets = 0;
        loop {
            let done = self.write(move |tx| lists::take_out(tx, person, SETS_AT_ONCE)).await?;
            sets += done;
            if done < SETS_AT_ONCE {
                return Ok(sets);
            }
        }
    }

    async fn stock(&self, since: Timestamp) -> Result<Stock, StoreError> {
        self.readers.read(move |db| stock(db, since)).await
    }

    async fn began(&self) -> Result<Began, StoreError> {
        let read = |db: &Connection| Ok(db.query_row("SELECT began FROM learning", [], |row| row.get(0))?);
        Ok(Began(Timestamp(self.readers.read(read).await?)))
    }
}

impl SqliteStore {
    /// Forgets what is from before a moment; how many mails.
    pub(super) async fn purge_learned(&self, before: Timestamp) -> Result<usize, StoreError> {
        self.write(move |tx| Ok(tx.execute("DELETE FROM released_sets WHERE at < ?1", [before.0])?)).await?;
        let before = i64::from(Day::of(before).0);
        let mut removed = 0;
        loop {
            let mails = self.readers.read(move |db| purge::old_mails(db, before)).await?;
            if mails.is_empty() {
                break;
            }
            removed += mails.len();
            self.write(move |tx| purge::mails(tx, &mails)).await?;
        }
        loop {
            let sets = self.readers.read(move |db| purge::old_sets(db, before)).await?;
            if sets.is_empty() {
                return Ok(removed);
            }
            self.write(move |tx| purge::sets(tx, &sets, before)).await?;
        }
    }
}

/// Writes a mail, unless it is known: 1 if it was not.
fn take(tx: &Connection, row: &Row) -> Result<usize, Failure> {
    let known: Option<(i64, i64)> = tx
        .prepare_cached("SELECT number, source FROM known_mails WHERE mail = ?1")?
        .query_row([row.mail], |found| Ok((found.get(0)?, found.get(1)?)))
        .optional()?;
    if let Some((number, source)) = known {
        if row.source == SENT && source == SENT {
            grow(tx, row, number)?;
        }
        return Ok(0);
    }
    let number = set(tx, row)?;
    tx.prepare_cached("INSERT INTO known_mails (mail, number, day, source) VALUES (?1, ?2, ?3, ?4)")?
        .execute([row.mail, number, row.day, row.source])?;
    Ok(1)
}

/// Another transaction of a mail of ours is through: the mail showed more people to each other.
fn grow(tx: &Connection, row: &Row, known: i64) -> Result<(), Failure> {
    let octets: Option<i64> = tx
        .prepare_cached("SELECT length(people) FROM known_sets WHERE number = ?1")?
        .query_row([known], |found| found.get(0))
        .optional()?;
    if octets.is_none_or(|octets| octets < codes::number(row.blob.len())) {
        let number = set(tx, row)?;
        tx.prepare_cached("UPDATE known_mails SET number = ?2 WHERE mail = ?1")?
            .execute([row.mail, number])?;
    }
    Ok(())
}

/// The number of the mail's set of people.
fn set(tx: &Connection, row: &Row) -> Result<i64, Failure> {
    let known: Option<(i64, i64, i64)> = tx
        .prepare_cached("SELECT number, since, last FROM known_sets WHERE digest = ?1")?
        .query_row([row.set], |found| Ok((found.get(0)?, found.get(1)?, found.get(2)?)))
        .optional()?;
    if let Some((number, since, last)) = known {
        if !(since..=last).contains(&row.day) {
            tx.prepare_cached(
                "UPDATE known_sets SET since = min(since, ?2), last = max(last, ?2) WHERE number = ?1",
            )?
            .execute([number, row.day])?;
        }
        return Ok(number);
    }
    tx.prepare_cached("INSERT INTO known_sets (digest, since, last, people) VALUES (?1, ?2, ?2, ?3)")?
        .execute(params![row.set, row.day, row.blob])?;
    let number = tx.last_insert_rowid();
    let mut person =
        tx.prepare_cached("INSERT OR IGNORE INTO known_people (person, address) VALUES (?1, ?2)")?;
    for (digest, address) in &row.people {
        person.execute(params![digest, address])?;
        lists::add(tx, *digest, number)?;
    }
    Ok(number)
}

/// See [`LearnedStore::stock`].
fn stock(db: &Connection, since: Timestamp) -> Result<Stock, Failure> {
    let count = |sql: &str| -> Result<u64, Failure> {
        Ok(codes::count(db.prepare_cached(sql)?.query_row([], |row| row.get(0))?))
    };
    let mut mails = BTreeMap::new();
    let mut select = db.prepare_cached("SELECT source, count(*) FROM known_mails GROUP BY source")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let source: i64 = row.get(0)?;
        let name = SOURCES.iter().find(|(code, _)| *code == source).map_or("other", |(_, name)| name);
        mails.insert(name.to_owned(), codes::count(row.get(1)?));
    }
    // As for the other numbers, an hour more covers a clock that was set back.
    let from = Id::new(since.minus(Duration::from_hours(1)), 0);
    let passed = db
        .prepare_cached(
            "SELECT count(*) FROM messages WHERE id >= ?1 AND received >= ?2 AND action = 'pass' \
             AND instr(events, '\"known\":true') > 0",
        )?
        .query_row(params![from.as_str(), since.0], |row| row.get(0))?;
    Ok(Stock {
        mails,
        people: count("SELECT count(*) FROM known_people")?,
        sets: count("SELECT count(*) FROM known_sets")?,
        passed: codes::count(passed),
    })
}

#[cfg(test)]
mod load_tests;
