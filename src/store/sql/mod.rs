//! The SQL store: what both engines share.
//!
//! * [`db`] one interface to both engines; [`keys`] how rows are numbered; [`error`] errors and their meaning
//! * [`writer`] one thread that commits [`requests`] in groups; [`readers`] read-only connections;
//!   [`reconnect`] new ones; [`health`] faults that stop them
//! * [`encode`] a message as rows; [`codes`] states as numbers
//! * [`sending`], [`deciding`], [`telling`] implement the traits of the courier, the desk and the notices
//! * [`accept`], [`claims`], [`record`], [`decide`], [`taken`], [`queue`], [`notices`], [`asks`], [`hooks`],
//!   [`journal`], [`purge`], [`read`], [`known`] what those methods do inside a database transaction;
//!   [`deliveries`] and [`effects`] write the outcome
//! * [`repeats`] what was received within the last day; [`groups`] items and their members
//! * [`observed`] what observe mode would have done, and totals that no purge reduces
//! * [`chain`] makes changes to the journal detectable; [`circles`] people who may see each other; [`learned`]
//!   who openly wrote to whom
//! * [`shared`] and [`pacing`] what decides for all relays that share a database
//! * [`unsure`] leases whose commit ended without an answer
//! * [`bodies`] large bodies; [`joined`] one read for all who ask meanwhile; [`recent`] what was accepted a moment ago
//!
//! Both engines run requests that write one after another: SQLite has one writer, and with PostgreSQL the
//! writers of all nodes take turns. So every rule here can check first and write afterwards.

mod absences;
pub(super) mod accept;
pub(super) mod asks;
pub(super) mod bodies;
pub(super) mod chain;
mod circles;
pub(super) mod claims;
pub(super) mod codes;
pub(super) mod cut;
pub(super) mod db;
mod decide;
mod deciding;
pub(super) mod deliveries;
mod effects;
pub(super) mod elsewhere;
pub(super) mod encode;
pub(super) mod error;
pub(super) mod foreign;
pub(super) mod groups;
pub(super) mod health;
mod held;
mod hooks;
mod joined;
mod journal;
pub(super) mod keys;
mod known;
pub(super) mod learned;
mod lines;
mod memory;
pub(super) mod mine;
pub(super) mod notices;
mod numbers;
mod observed;
mod pacing;
mod passkeys;
mod people;
pub(super) mod purge;
pub(super) mod queue;
pub(super) mod read;
pub(super) mod readers;
mod recent;
pub(super) mod reconnect;
mod record;
pub(super) mod repeats;
pub(super) mod requests;
mod sending;
mod shared;
mod since;
pub(super) mod taken;
mod telling;
pub(super) mod terms;
mod time;
pub(super) mod transactions;
pub(super) mod unsure;
pub(super) mod verify;
pub(super) mod writer;

use super::Scope;
use super::known::{Activity, Correspondents, Day, KnownStore, Tally, Totals, Would};
use super::postgres::nodes::Node;
use super::{
    Body, BodyWriter, Claim, GroupItems, Histogram, IntakeStore, JournalStore, MessageRow, NewMessage,
    NodeRow, OpenBody, Purged, Recovered, Retention, Store, StoreError, StoredMessage, Summary, UpkeepStore,
};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::journal::Entry;
use crate::message::Address;
use crate::message::fork::ForkGroup;
use crate::policy::facts::Disclosed;
use async_trait::async_trait;
use aws_lc_rs::hmac;
use bodies::Bodies;
use db::Connection;
use error::Failure;
use readers::Readers;
use recent::Recent;
use repeats::Repeats;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use unsure::{Taken, Unsure};
use writer::Writer;

/// The approximate weight, in octets, of a request without content.
const SMALL: usize = 512;
/// A probe that takes longer than this counts as a failure.
const PROBE: Duration = Duration::from_secs(5);

/// The store in a database.
pub struct SqlStore {
    // Dropped before the writer: the last connection to a SQLite database cleans up when it closes, and only
    // the writer can do that.
    pub(super) readers: Readers,
    /// For reads that an SMTP reply or a delivery waits for.
    pub(super) mail: Readers,
    pub(super) seconds: Histogram,
    pub(super) writer: Writer,
    pub(super) bodies: Bodies,
    pub(super) recent: Recent,
    pub(super) unsure: Unsure,
    pub(super) repeats: Arc<Mutex<Repeats>>,
    pub(super) circles: circles::Known,
    pub(super) digests: learned::Digests,
    /// Locked while mails are learned.
    pub(super) learning: tokio::sync::Mutex<()>,
    pub(super) key: hmac::Key,
    /// This relay's node; `None` if it shares the database with no other.
    pub(super) node: Option<Node>,
}

/// What an engine provides.
pub(super) struct Engine {
    pub(super) readers: Readers,
    pub(super) mail: Readers,
    pub(super) seconds: Histogram,
    pub(super) writer: Writer,
    pub(super) bodies: Bodies,
    pub(super) repeats: Arc<Mutex<Repeats>>,
    pub(super) digests: learned::Digests,
    pub(super) key: hmac::Key,
    pub(super) node: Option<Node>,
}

impl SqlStore {
    pub(super) fn over(engine: Engine) -> Self {
        let Engine { readers, mail, seconds, writer, bodies, repeats, digests, key, node } = engine;
        // Without a node, this process is the only writer. With other writers, an in-memory copy would go
        // stale, so none is kept.
        let (recent, circles) = (Recent::new(node.is_none()), circles::Known::new(node.is_none()));
        let learning = tokio::sync::Mutex::default();
        Self {
            readers,
            mail,
            seconds,
            writer,
            bodies,
            recent,
            unsure: Unsure::default(),
            repeats,
            circles,
            digests,
            learning,
            key,
            node,
        }
    }

    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.submit(SMALL, work).await
    }

    /// Inserts a message, and notes the result for [`Self::if_unsure`].
    pub(super) fn insert(
        &self,
        rows: encode::MessageRows,
        inserted: &Arc<Mutex<Option<accept::Accepted>>>,
    ) -> impl FnMut(&Connection) -> Result<accept::Accepted, Failure> + Send + use<> {
        let (repeats, inserted) = (Arc::clone(&self.repeats), Arc::clone(inserted));
        move |tx| {
            let accepted =
                accept::insert(tx, &rows, &mut repeats.lock().unwrap_or_else(PoisonError::into_inner))?;
            *inserted.lock().unwrap_or_else(PoisonError::into_inner) = Some(accepted.clone());
            Ok(accepted)
        }
    }

    /// If nobody knows whether a message was committed, its leases may have been taken.
    pub(super) fn if_unsure(
        &self,
        stored: &Result<accept::Accepted, StoreError>,
        inserted: &Mutex<Option<accept::Accepted>>,
        message: &NewMessage,
    ) {
        let inserted = inserted.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (Err(StoreError::Uncertain(_)), Some(accepted)) = (stored, inserted) {
            let mut message = message.clone();
            encode::leave_out(&mut message, &accepted.known);
            let claims = encode::fresh_claims(accepted.row, &message, &accepted.uncertain);
            self.unsure.add(claims.iter().map(Taken::of));
        }
    }

    async fn purge_all(
        &self,
        before: Timestamp,
        step: fn(&Connection, Timestamp, i64) -> Result<purge::Batch, Failure>,
    ) -> Result<usize, StoreError> {
        let (mut removed, mut after) = (0, 0);
        loop {
            let batch = self.write(move |tx| step(tx, before, after)).await?;
            removed += batch.removed;
            self.bodies.remove(batch.files).await?;
            match batch.more_after {
                Some(last) => after = last,
                None => return Ok(removed),
            }
        }
    }

    async fn forget_correspondents(&self, before: Timestamp) -> Result<(), StoreError> {
        let mut last = known::Pair::default();
        loop {
            let behind = last.clone();
            let pairs = self.readers.read(move |db| known::outdated(db, before, &behind)).await?;
            let Some(end) = pairs.last() else { return Ok(()) };
            last.clone_from(end);
            self.write(move |tx| known::forget(tx, &pairs, before)).await?;
        }
    }

    /// Removes bodies that no message refers to. At start (`all`), these are all bodies that this relay began;
    /// later, only old ones.
    async fn sweep(&self, all: bool) -> Result<usize, StoreError> {
        match &self.bodies {
            Bodies::Files(files) => {
                let files = files.clone();
                let named = self.readers.read(purge::named_files).await?;
                blocking(move || files.sweep(&named, all)).await?
            }
            Bodies::Chunks(chunks) => {
                chunks.settled().await;
                let mine = chunks.node(all);
                let swept = move |tx: &Connection| super::postgres::bodies::sweep(tx, mine.as_deref());
                self.write(swept).await
            }
        }
    }
}

/// The names of bodies beside the database.
fn names<const N: usize>(bodies: [Option<Body>; N]) -> Vec<String> {
    let name = |body: Body| match body {
        Body::Stored { name, .. } => Some(name),
        Body::Inline(_) => None,
    };
    bodies.into_iter().flatten().filter_map(name).collect()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| StoreError::Unavailable(error.to_string()))
}

#[async_trait]
impl Store for SqlStore {
    async fn message(&self, id: Id) -> Result<StoredMessage, StoreError> {
        if let Some(message) = self.recent.get(id) {
            return Ok(StoredMessage::clone(&message));
        }
        let mut stored = self.mail.read(move |db| read::message(db, id)).await?;
        stored.message.body = self.bodies.as_it_came(stored.message.body).await?;
        Ok(stored)
    }

    async fn open_body(&self, body: &Body) -> Result<OpenBody, StoreError> {
        self.bodies.read(body).await
    }
}

#[async_trait]
impl IntakeStore for SqlStore {
    async fn new_body(&self) -> Result<Box<dyn BodyWriter>, StoreError> {
        Ok(self.bodies.writer())
    }

    async fn accept(&self, mut message: NewMessage) -> Result<Vec<Claim>, StoreError> {
        let mut rows = encode::MessageRows::of(&message)?;
        let beside = self.bodies.beside(&message.body).await?;
        if let Some(body) = &beside {
            rows.body = body.clone();
        }
        let weight = rows.weight();
        let inserted = Arc::default();
        let stored = self.writer.submit(weight, self.insert(rows, &inserted)).await;
        self.if_unsure(&stored, &inserted, &message);
        match stored {
            Ok(accepted) => {
                encode::leave_out(&mut message, &accepted.known);
                let claims = encode::fresh_claims(accepted.row, &message, &accepted.uncertain);
                self.recent.put(message);
                Ok(claims)
            }
            // The body must stay: it may be committed.
            Err(error @ StoreError::Uncertain(_)) => Err(error),
            // The body as it came must stay: it is committed with another plan.
            Err(error @ (StoreError::Moved | StoreError::SentAgain)) => {
                self.bodies.remove(names([beside])).await?;
                Err(error)
            }
            Err(error) => {
                self.bodies.remove(names([beside, Some(message.message.body)])).await?;
                Err(error)
            }
        }
    }

    async fn group_items(&self, group: ForkGroup) -> Result<GroupItems, StoreError> {
        self.mail.read(move |db| groups::group_items(db, &group)).await
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
impl UpkeepStore for SqlStore {
    async fn recover(&self, now: Timestamp) -> Result<Recovered, StoreError> {
        let node = self.node.as_ref().map(|node| node.name().to_owned());
        self.write(move |tx| {
            // If other nodes are running, their clock is authoritative.
            if node.is_none() || super::postgres::nodes::is_alone(tx)? {
                time::carry_over(tx, now)?;
            }
            Ok(())
        })
        .await?;
        let node = self.node.as_ref().map(|node| node.name().to_owned());
        let uncertain = self.write(move |tx| claims::recover(tx, now, node.as_deref())).await?;
        if self.node.is_none() {
            let repeats = Arc::clone(&self.repeats);
            let load =
                move |db: &Connection| repeats.lock().unwrap_or_else(PoisonError::into_inner).load(db, now);
            self.readers.read(load).await?;
        }
        let orphans = self.sweep(true).await?;
        Ok(Recovered { uncertain, orphans })
    }

    async fn note_time(&self, now: Timestamp, wall: Timestamp) -> Result<(), StoreError> {
        let node = self.node.clone();
        self.write(move |tx| {
            if let Some(node) = &node {
                node.seen(tx)?;
                super::postgres::months::turn(tx, now)?;
            }
            time::note(tx, now, wall)
        })
        .await
    }

    async fn nodes(&self) -> Result<Vec<NodeRow>, StoreError> {
        if self.node.is_none() {
            return Ok(Vec::new());
        }
        self.readers.read(super::postgres::nodes::list).await
    }

    fn heard(&self) -> Option<tokio::sync::watch::Receiver<u64>> {
        self.node.as_ref().map(Node::heard)
    }

    async fn apart(&self) -> Result<i64, StoreError> {
        if self.node.is_none() {
            return Ok(0);
        }
        self.write(|tx| Ok(tx.apart()?)).await
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
        self.forget_correspondents(before).await?;
        self.purge_learned(now.minus(keep.knowledge)).await?;
        if let Some(node) = &self.node {
            let months = node.months().clone();
            blocking(move || months.look_after(now)).await?;
        }
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
impl JournalStore for SqlStore {
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
impl KnownStore for SqlStore {
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
