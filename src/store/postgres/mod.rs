//! The store in PostgreSQL, which several relays (nodes) may share.
//!
//! * [`connect`] the address, the password, what a server must be like; [`tls`] whose certificate is taken
//! * [`session`] one connection; [`error`] what PostgreSQL's errors mean
//! * [`schema`] tables and migrations
//! * [`committer`] commits groups of requests, the nodes taking turns
//! * [`bodies`] large bodies in chunks; [`nodes`] who shares the database, and the word that something is due
//!
//! Whatever writes holds one lock from the first look to the commit, on every node: the rules are those of
//! [`super::sql`], which may look and then write. The lock is held for a few round trips, and a group of
//! requests shares it.

#![allow(clippy::similar_names, reason = "two sides, and what each is told, have names alike")]

pub(super) mod bodies;
mod committer;
mod connect;
pub(super) mod error;
pub(super) mod nodes;
mod schema;
pub(super) mod session;
mod tls;

use super::StoreError;
use super::sql::bodies::Bodies;
use super::sql::db::Connection;
use super::sql::error::Failure;
use super::sql::health::Health;
use super::sql::readers::{Connect, Readers};
use super::sql::writer::{OnFatal, Requests, Writer, histogram};
use super::sql::{Engine, SqlStore, chain, learned};
use crate::clock::Entropy;
use bodies::Chunks;
use committer::Committer;
pub use connect::{Place, WrongPlace};
use nodes::Node;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Reading connections of each pool: one for the mail path, and one for what people ask.
const READERS: usize = 4;
/// Connections that write large bodies.
const BODIES: usize = 4;

/// How the store is run.
pub struct Options {
    /// Where the database is.
    pub place: Place,
    /// What this relay is called among those that share the database.
    pub node: String,
    /// Where the names of large bodies come from.
    pub entropy: Arc<dyn Entropy>,
    /// What to do when the writer panics.
    pub on_fatal: OnFatal,
    /// Where the key of the journal's chain is: every node has the same. It is made where there is none, by the
    /// first node alone.
    pub journal_key: PathBuf,
}

impl SqlStore {
    /// Opens a database of PostgreSQL, with its tables made or brought up to date if need be. It blocks, and
    /// must not be called on a thread of an async runtime.
    ///
    /// # Errors
    /// `Unavailable`, a sentence that says what to do, when the server is not there, refuses us, is a replica,
    /// does not keep what it confirms, or has a database that is not ours, too new, or not in UTF-8.
    pub fn open_postgres(options: Options) -> Result<Self, StoreError> {
        let Options { place, node, entropy, on_fatal, journal_key } = options;
        let place = Arc::new(place);
        let first = place.connect(connect::Use::Setup, &node)?;
        schema::prepare(&first, place.as_ref())?;
        let key = schema::key(&first, &journal_key)?;
        drop(first);
        let node = Node::begin(Arc::clone(&place), node)?;

        let health = Health::default();
        let reader = connecting(&place, connect::Use::Read, node.name());
        let readers = Readers::open(READERS, 1, Arc::clone(&reader), health.clone())?;
        let mail = Readers::open(READERS, 0, reader, health.clone())?;
        let pool = Readers::committing(
            BODIES,
            connecting(&place, connect::Use::Bodies, node.name()),
            health.clone(),
        )?;
        let bodies = Bodies::Chunks(Chunks::new(pool, mail.clone(), entropy, node.name()));

        let writes = connecting(&place, connect::Use::Write, node.name());
        let connection = writes()?;
        let ours = chain::Ours::load(&connection, &key).map_err(Failure::named)?.unwrap_or_else(|why| {
            tracing::error!(%why, "the journal was changed by somebody else");
            health.stop(&why);
            chain::Ours::default()
        });
        let digests = learned::Digests::load(&connection).map_err(|error| Failure::from(error).named())?;
        let repeats: Arc<Mutex<super::sql::repeats::Repeats>> = Arc::default();
        let loaded = repeats.lock().unwrap_or_else(PoisonError::into_inner).catch_up(&connection);
        loaded.map_err(Failure::named)?;

        let (seconds, stopped) = (histogram(), health.clone());
        let (times, known, made_with) = (seconds.clone(), Arc::clone(&repeats), key.clone());
        let writer = Writer::start(
            move |inbox| {
                let requests = Requests::new(inbox, times);
                Committer::new(connection, writes, requests, health, made_with, ours, known).run();
            },
            move |why| {
                stopped.stop(why);
                on_fatal(why);
            },
        )?;
        let node = Some(node);
        Ok(Self::over(Engine { readers, mail, seconds, writer, bodies, repeats, digests, key, node }))
    }
}

/// A connection to a database that is copied, its tables made or brought up to date if need be.
pub(super) fn for_copying(place: &Place) -> Result<Connection, StoreError> {
    let session = place.connect(connect::Use::Setup, "copy")?;
    schema::prepare(&session, place)?;
    Ok(Connection::Postgres(session))
}

fn connecting(place: &Arc<Place>, purpose: connect::Use, node: &str) -> Connect {
    let (place, node) = (Arc::clone(place), node.to_owned());
    Arc::new(move || place.connect(purpose, &node).map(Connection::Postgres))
}

#[cfg(test)]
mod cluster;
#[cfg(test)]
mod tests;
