//! Who openly wrote to whom, as compactly as possible. People and mails are digests of eight octets. A set of
//! people is stored once, however many mails show it, and each person has a list of the sets they are in. No
//! address and no Message-ID is stored: callers supply them.

mod lists;
mod purge;
mod search;
mod sent;
mod taking;

use super::error::Failure;
use super::{SqlStore, blocking, codes};
use crate::clock::{Day, Timestamp};
use crate::id::Id;
use crate::message::Address;
use crate::policy::learned::{Began, Learned, MOST_PEOPLE, Shared, Source};
use crate::policy::organisation::counting_key;
use crate::store::learned::{LearnedStore, MOST_PAIRED, Pair, Stock, Taught, Through};
use crate::store::sql::db::{Connection, params};
use crate::store::{SentId, StoreError};
use async_trait::async_trait;
use aws_lc_rs::hmac;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use taking::Row;

/// Mails that show at most this many people in total are written in one transaction.
const PEOPLE_AT_ONCE: usize = 200;
/// Otherwise up to this many mails are learned together: the more, the fewer pages are written for each.
const MAILS_AT_ONCE: usize = 5_000;
/// The number of rows of such a batch written in one transaction; mail is committed in between.
const PART: usize = 500;
/// The maximum number of sets that a person is removed from in one transaction.
const SETS_AT_ONCE: usize = 500;

/// Makes digests. Without the database, nobody can craft input that collides with one.
#[derive(Clone)]
pub(in crate::store) struct Digests(Arc<hmac::Key>);

impl Digests {
    /// Uses the salt of this database.
    pub(in crate::store) fn load(db: &Connection) -> Result<Self, super::error::Error> {
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
        self.set(&self.people(people))
    }

    /// The digests of these people, eight octets each, sorted and without duplicates.
    fn people(&self, people: &[Address]) -> Vec<u8> {
        let mut people: Vec<i64> = people.iter().map(|one| self.person(one)).collect();
        people.sort_unstable();
        people.dedup();
        people.into_iter().flat_map(i64::to_le_bytes).collect()
    }
}

/// Splits `all` items into ranges, each of which one transaction may write.
fn parts(all: usize) -> impl Iterator<Item = Range<usize>> {
    (0..all).step_by(PART).map(move |start| start..all.min(start + PART))
}

/// The source of our own mail.
const SENT: i64 = 3;

/// The codes of sources, with their names.
const SOURCES: [(i64, &str); 3] = [(1, "journal"), (2, "archive"), (SENT, "sent")];

fn code(source: Source) -> i64 {
    match source {
        Source::Journal => 1,
        Source::Archive => 2,
        Source::Sent => SENT,
    }
}

#[async_trait]
impl LearnedStore for SqlStore {
    async fn learn(&self, batch: Vec<Learned>, now: Timestamp) -> Result<Taught, StoreError> {
        let (mut rest, mut taught) = (batch, Taught::default());
        while !rest.is_empty() {
            let tail = rest.split_off(rest.len().min(MAILS_AT_ONCE));
            let some = std::mem::replace(&mut rest, tail);
            let (all, digests) = (some.len(), self.digests.clone());
            let rows: Vec<Row> =
                blocking(move || some.iter().map(|one| Row::of(one, &digests, now)).collect()).await?;
            // The numbers in a list ascend, so only one caller at a time may number sets and add them to lists.
            let turn = self.learning.lock().await;
            let learned = if rows.iter().map(Row::people).sum::<usize>() <= PEOPLE_AT_ONCE {
                self.write(move |tx| taking::whole(tx, &rows)).await?
            } else {
                self.learn_many(rows).await?
            };
            drop(turn);
            taught.learned += learned;
            taught.known += all - learned;
        }
        Ok(taught)
    }

    async fn shared(&self, references: &[String], people: &[Address]) -> Result<Vec<Shared>, StoreError> {
        if people.len() < 2 || people.len() > MOST_PEOPLE {
            return Ok(Vec::new());
        }
        let asked = search::Query::new(&self.digests, references, people);
        self.mail.read(move |db| search::shared(db, &asked)).await
    }

    async fn pairs(&self, people: &[Address]) -> Result<Vec<Pair>, StoreError> {
        if people.len() < 2 || people.len() > MOST_PAIRED {
            return Ok(Vec::new());
        }
        let asked = search::Query::new(&self.digests, &[], people);
        self.readers.read(move |db| search::pairs(db, &asked)).await
    }

    async fn let_together(&self, people: &[Address], at: Timestamp) -> Result<(), StoreError> {
        let digest = self.digests.set_of(people);
        let insert = "INSERT INTO released_sets (digest, at) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
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

    async fn through(&self, after: Option<SentId>) -> Result<Through, StoreError> {
        self.readers.read(move |db| sent::through(db, after)).await
    }

    async fn learn_sent(
        &self,
        ids: Vec<SentId>,
        batch: Vec<Learned>,
        now: Timestamp,
    ) -> Result<Taught, StoreError> {
        // A mail that is learned twice counts once, so a crash between these steps does no harm.
        let taught = self.learn(batch, now).await?;
        self.write(move |tx| sent::done(tx, &ids)).await?;
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

impl SqlStore {
    /// Learns from many mails in several transactions. Returns how many were new.
    async fn learn_many(&self, rows: Vec<Row>) -> Result<usize, StoreError> {
        let plan = Arc::new(self.readers.read(move |db| taking::plan(db, &rows)).await?);
        let mut numbers = Vec::with_capacity(plan.sets.len());
        for part in parts(plan.sets.len()) {
            let plan = Arc::clone(&plan);
            numbers.extend(self.write(move |tx| taking::insert(tx, &plan.sets[part.clone()])).await?);
        }
        let members = Arc::new(plan.members(&numbers));
        for part in parts(members.len()) {
            let members = Arc::clone(&members);
            self.write(move |tx| taking::list(tx, &members[part.clone()])).await?;
        }
        let digests = Arc::new(plan.digests(&numbers));
        for part in parts(digests.len()) {
            let digests = Arc::clone(&digests);
            self.write(move |tx| taking::name(tx, &digests[part.clone()])).await?;
        }
        let mails = Arc::new(plan.filed(&numbers));
        let mut learned = 0;
        for part in parts(mails.len()) {
            let mails = Arc::clone(&mails);
            learned += self.write(move |tx| taking::file(tx, &mails[part.clone()])).await?;
        }
        Ok(learned)
    }

    /// Forgets what is older than this time. Returns the number of mails removed.
    pub(in crate::store) async fn purge_learned(&self, before: Timestamp) -> Result<usize, StoreError> {
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
    // As for the other figures, one more hour covers a clock that was set back.
    let from = Id::new(since.minus(Duration::from_hours(1)), 0);
    let passed = db
        .prepare_cached(
            "SELECT count(*) FROM messages WHERE id >= ?1 AND received >= ?2 AND action = 'pass' \
             AND instr(events, '\"known\":true') > 0",
        )?
        .query_row(params![from.as_str(), since.0], |row| row.get(0))?;
    Ok(Stock {
        mails,
        people: count("SELECT count(DISTINCT person) FROM known_lists")?,
        sets: count("SELECT count(*) FROM known_sets")?,
        passed: codes::count(passed),
    })
}

#[cfg(test)]
mod load_tests;
