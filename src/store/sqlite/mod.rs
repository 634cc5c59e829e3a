//! The store in one SQLite file, with large bodies beside it: the default engine.
//!
//! * [`open`] settings asserted, damage found, file made
//! * [`schema`] tables and migrations
//! * [`writer`] one thread commits what all ask for, in groups; [`health`] what stops it
//! * [`readers`] connections that only read
//! * [`encode`] a message as rows; [`codes`] states as numbers; [`error`] what SQLite's errors mean
//! * [`sending`], [`deciding`], [`telling`] the traits of the courier, the desk and the notices
//! * [`accept`], [`claims`], [`record`], [`decide`], [`taken`], [`queue`], [`notices`], [`asks`], [`hooks`],
//!   [`journal`], [`purge`], [`read`], [`known`] what their methods do inside a transaction;
//!   [`deliveries`] and [`effects`] write what becomes of a message
//! * [`repeats`] what came within the last day; [`groups`] items and their members
//! * [`observed`] what observe mode would have done, and totals that a purge takes nothing from
//! * [`chain`] what makes a change to the journal seen; [`circles`] people who may see each other;
//!   [`learned`] who openly wrote with whom
//! * [`bodies`] large bodies; [`recent`] what was accepted a moment ago

mod absences;
mod accept;
mod asks;
mod bodies;
mod chain;
mod circles;
mod claims;
mod codes;
mod cut;
mod decide;
mod deciding;
mod deliveries;
mod effects;
mod encode;
mod error;
mod foreign;
mod groups;
mod health;
mod held;
mod hooks;
mod journal;
mod known;
mod learned;
mod memory;
mod mine;
mod notices;
mod numbers;
mod observed;
mod open;
mod passkeys;
mod people;
mod purge;
mod queue;
mod read;
mod readers;
mod recent;
mod record;
mod repeats;
mod schema;
mod sending;
mod taken;
mod telling;
mod terms;
mod time;
mod verify;
mod writer;

use super::Scope;
use super::chain::Accepted;
use super::known::{Activity, Correspondents, Day, KnownStore, Tally, Totals, Would};
use super::lock::beside;
use super::{
    Body, BodyWriter, Claim, GroupStanding, Histogram, IntakeStore, JournalStore, MessageRow, NewMessage,
    Purged, Recovered, Retention, Store, StoreError, StoredMessage, Summary, UpkeepStore,
};
use crate::clock::{Entropy, SystemEntropy, Timestamp};
use crate::id::Id;
use crate::journal::Entry;
use crate::message::Address;
use crate::message::fork::ForkGroup;
use crate::policy::facts::Disclosed;
use async_trait::async_trait;
use aws_lc_rs::hmac;
use bodies::Bodies;
use error::Failure;
use health::{Files, Health};
use readers::Readers;
use recent::Recent;
use repeats::Repeats;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncRead;
pub use writer::OnFatal;
use writer::Writer;

/// What a request that carries no content weighs in a group, roughly, in octets.
const SMALL: usize = 512;
/// A probe that takes longer than this counts as a failure.
const PROBE: Duration = Duration::from_secs(5);

/// How the store is run.
#[derive(Clone)]
pub struct Options {
    /// Where the names of body files come from.
    pub entropy: Arc<dyn Entropy>,
    /// What to do when a flush to disk fails. The default logs it and aborts the process: nobody
    /// knows then what is on the disk, and only a restart finds out.
    pub on_fatal: OnFatal,
    /// The database grows to at most so many pages of 4 KiB; `None` for as many as the disk holds.
    pub max_pages: Option<u32>,
    /// Where the key of the journal's chain is; `None` for a file beside the database. It is made where
    /// there is none.
    pub journal_key: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            entropy: Arc::new(SystemEntropy),
            on_fatal: Arc::new(|why| {
                tracing::error!(why, "the store cannot be relied on any more: the relay ends at once");
                std::process::abort();
            }),
            max_pages: None,
            journal_key: None,
        }
    }
}

/// The store in one SQLite file.
pub struct SqliteStore {
    // Closed before the writer: whoever closes the database last tidies up after it, and only the
    // writer can.
    readers: Readers,
    /// For what a client's answer or a delivery waits for.
    mail: Readers,
    seconds: Histogram,
    writer: Writer,
    bodies: Bodies,
    recent: Recent,
    repeats: Arc<Mutex<Repeats>>,
    circles: circles::Known,
    digests: learned::Digests,
    /// Held while mails are taken in.
    learning: tokio::sync::Mutex<()>,
    key: hmac::Key,
}

impl SqliteStore {
    /// Opens the database, made or brought up to date if need be; its folder must exist. Large bodies
    /// go to `<path>.bodies/`.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be written, is not ours or too new; `Corrupt` when it is damaged;
    /// each a sentence that says what to do.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let connection = open::writer(path, options.max_pages)?;
        let checkpointer = open::checkpointer(path)?;
        let health = Health::default();
        let readers = Readers::open(path, health.clone())?;
        let mail = Readers::open(path, health.clone())?;
        let bodies = Bodies::open(beside(path, "bodies"), options.entropy)?;
        let beside = beside(path, "journal-key");
        let key = chain::key(options.journal_key.as_deref().unwrap_or(&beside))?;
        let seconds = writer::histogram();
        let fail = |error: rusqlite::Error| error::sentence(path, &error);
        let loaded = chain::Ours::load(&connection, &key).map_err(|failure| match failure {
            Failure::Refused(why) => why,
            Failure::Sql(error) => fail(error),
        })?;
        let ours = loaded.unwrap_or_else(|why| {
            tracing::error!(%why, "the journal was changed by somebody else");
            health.stop(&why);
            chain::Ours::default()
        });
        chain::watch(&connection).map_err(fail)?;
        let digests = learned::Digests::load(&connection).map_err(fail)?;
        let with = writer::With {
            ours,
            on_fatal: options.on_fatal,
            health,
            files: Files::of(path),
            key: key.clone(),
            seconds: seconds.clone(),
        };
        let writer = Writer::start(connection, checkpointer, with)?;
        let repeats = Arc::default();
        let circles = circles::Known::default();
        let (recent, learning) = (Recent::default(), tokio::sync::Mutex::default());
        Ok(Self { readers, mail, seconds, writer, bodies, recent, repeats, circles, digests, learning, key })
    }

    /// Records what somebody else wrote to the database of a relay that does not run, so that it serves
    /// again: by whom it was looked at, and why it may stay. `None` where all is as it was written.
    ///
    /// # Errors
    /// `Corrupt` where no record can mend the chain; else as [`Self::open`].
    pub fn accept_foreign(
        path: &Path,
        journal_key: Option<&Path>,
        by: &str,
        why: &str,
        at: Timestamp,
    ) -> Result<Option<Accepted>, StoreError> {
        let beside = beside(path, "journal-key");
        foreign::accept(path, &chain::key(journal_key.unwrap_or(&beside))?, by, why, at)
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.submit(SMALL, work).await
    }

    /// Purges in batches until nothing is left to purge.
    async fn purge_all(
        &self,
        before: Timestamp,
        step: fn(&Connection, Timestamp, i64) -> Result<purge::Batch, Failure>,
    ) -> Result<usize, StoreError> {
        let (mut removed, mut after) = (0, 0);
        loop {
            let batch = self.write(move |tx| step(tx, before, after)).await?;
            removed += batch.removed;
            let bodies = self.bodies.clone();
            let files = batch.files;
            blocking(move || files.iter().for_each(|name| bodies.remove(name))).await?;
            match batch.more_after {
                Some(last) => after = last,
                None => return Ok(removed),
            }
        }
    }

    async fn sweep(&self, all: bool) -> Result<usize, StoreError> {
        let bodies = self.bodies.clone();
        let named = self.readers.read(purge::named_files).await?;
        blocking(move || bodies.sweep(&named, all)).await?
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| StoreError::Unavailable(error.to_string()))
}

#[async_trait]
impl Store for SqliteStore {
    async fn message(&self, id: Id) -> Result<StoredMessage, StoreError> {
        match self.recent.get(id) {
            Some(message) => Ok(StoredMessage::clone(&message)),
            None => self.mail.read(move |db| read::message(db, id)).await,
        }
    }

    async fn open_body(&self, body: &Body) -> Result<Box<dyn AsyncRead + Send + Unpin>, StoreError> {
        self.bodies.read(body).await
    }
}

#[async_trait]
impl IntakeStore for SqliteStore {
    async fn new_body(&self) -> Result<Box<dyn BodyWriter>, StoreError> {
        Ok(self.bodies.writer())
    }

    async fn accept(&self, mut message: NewMessage) -> Result<Vec<Claim>, StoreError> {
        let rows = encode::MessageRows::of(&message)?;
        let (repeats, weight) = (Arc::clone(&self.repeats), rows.weight());
        let insert = move |tx: &Connection| {
            accept::insert(tx, &rows, &mut repeats.lock().unwrap_or_else(PoisonError::into_inner))
        };
        let stored = self.writer.submit(weight, insert).await;
        match stored {
            Ok(accepted) => {
                encode::leave_out(&mut message, &accepted.known);
                let claims = encode::fresh_claims(accepted.row, &message);
                self.recent.put(message);
                Ok(claims)
            }
            // The same body is committed with another plan, or perhaps is.
            Err(error @ (StoreError::Moved | StoreError::SentAgain | StoreError::Uncertain(_))) => Err(error),
            Err(error) => {
                if let Body::Stored { name, .. } = message.body {
                    let bodies = self.bodies.clone();
                    blocking(move || bodies.remove(&name)).await?;
                }
                Err(error)
            }
        }
    }

    async fn standing(&self, group: ForkGroup) -> Result<GroupStanding, StoreError> {
        self.mail.read(move |db| groups::standing(db, &group)).await
    }

    async fn disclosed(&self, message_ids: &[String]) -> Result<Vec<Disclosed>, StoreError> {
        if message_ids.is_empty() {
            return Ok(Vec::new());
        }
        let message_ids = message_ids.to_vec();
        self.mail.read(move |db| read::disclosed(db, &message_ids)).await
    }
}

#[async_trait]
impl UpkeepStore for SqliteStore {
    async fn recover(&self, now: Timestamp) -> Result<Recovered, StoreError> {
        self.write(move |tx| time::carry_over(tx, now)).await?;
        let uncertain = self.write(move |tx| claims::recover(tx, now)).await?;
        let repeats = Arc::clone(&self.repeats);
        let load =
            move |db: &Connection| repeats.lock().unwrap_or_else(PoisonError::into_inner).load(db, now);
        self.readers.read(load).await?;
        let orphans = self.sweep(true).await?;
        Ok(Recovered { uncertain, orphans })
    }

    async fn note_time(&self, now: Timestamp, wall: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| time::note(tx, now, wall)).await
    }

    async fn purge(&self, now: Timestamp, keep: Retention) -> Result<Purged, StoreError> {
        let contents = self.purge_all(now.minus(keep.contents), purge::contents).await?;
        let messages = self.purge_all(now.minus(keep.messages), purge::messages).await?;
        let mut chain = 0;
        loop {
            let key = self.key.clone();
            let Some(reach) = self.readers.read(move |db| cut::reach(db, &key)).await? else { break };
            let key = self.key.clone();
            let cut = self.write(move |tx| cut::cut(tx, &key, &reach)).await?;
            chain += cut;
            if cut < cut::BATCH {
                break;
            }
        }
        let before = now.minus(keep.ledger);
        let ledger = self.write(move |tx| purge::ledger(tx, before)).await?;
        self.write(move |tx| known::forget(tx, before)).await?;
        self.purge_learned(now.minus(keep.knowledge)).await?;
        self.recent.clear();
        Ok(Purged { contents, messages, chain, ledger, orphans: self.sweep(false).await? })
    }

    async fn ready(&self) -> Result<(), StoreError> {
        let probe = self.write(queue::probe);
        tokio::time::timeout(PROBE, probe)
            .await
            .map_err(|_| StoreError::Unavailable("a write has been waiting for five seconds".to_owned()))?
    }

    fn request_seconds(&self) -> Histogram {
        self.seconds.clone()
    }
}

#[async_trait]
impl JournalStore for SqliteStore {
    async fn find(&self, text: &str, limit: usize) -> Result<Vec<MessageRow>, StoreError> {
        let text = text.to_owned();
        self.readers.read(move |db| read::find(db, &text, limit)).await
    }

    async fn journal(&self, id: Id) -> Result<Vec<Entry>, StoreError> {
        self.readers.read(move |db| journal::of(db, id)).await
    }

    async fn summary(&self, since: Timestamp) -> Result<Summary, StoreError> {
        self.readers.read(move |db| read::summary(db, since)).await
    }
}

#[async_trait]
impl KnownStore for SqliteStore {
    async fn correspondents(
        &self,
        sender: &Address,
        recipients: &[Address],
        most: usize,
    ) -> Result<Correspondents, StoreError> {
        let (sender, recipients) = (sender.clone(), recipients.to_vec());
        self.mail.read(move |db| known::correspondents(db, &sender, &recipients, most)).await
    }

    async fn activity(&self, scope: &Scope, since: Timestamp, offset: i64) -> Result<Activity, StoreError> {
        let scope = scope.clone();
        self.readers.read(move |db| numbers::activity(db, &scope, since, offset)).await
    }

    async fn days(&self, scope: &Scope, since: Timestamp, offset: i64) -> Result<Vec<Day>, StoreError> {
        let scope = scope.clone();
        self.readers.read(move |db| numbers::days_since(db, &scope, since, offset)).await
    }

    async fn would(&self, since: Timestamp) -> Result<Would, StoreError> {
        self.readers.read(move |db| observed::would(db, since)).await
    }

    async fn totals(&self, since: Timestamp) -> Result<Totals, StoreError> {
        self.readers.read(move |db| observed::totals(db, since)).await
    }

    async fn held_senders(&self, scope: &Scope, since: Timestamp) -> Result<Tally, StoreError> {
        let scope = scope.clone();
        self.readers.read(move |db| numbers::senders(db, &scope, since)).await
    }
}

#[cfg(test)]
mod chain_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trouble_tests;
#[cfg(test)]
mod upgrade_tests;
