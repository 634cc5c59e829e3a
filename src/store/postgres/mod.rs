//! The store in PostgreSQL, which several relays (nodes) may share.
//!
//! * [`connect`] the address, the password, the requirements on a server; [`tls`] certificates
//! * [`session`] one connection; [`values`] what goes over it; [`draft`] what a group writes before it is sent;
//!   [`error`] what PostgreSQL's errors mean
//! * [`schema`] tables and migrations; [`months`] by which large tables are parted
//! * [`committer`] commits groups of requests; the nodes take turns
//! * [`bodies`] large bodies in chunks; [`nodes`] who shares the database, and notifications that something is due
//!
//! Every writer, on every node, holds one lock from its first read to the commit, because the rules of [`super::sql`]
//! read and then write. The lock is held for a few round trips, and a group of requests shares it.

#![allow(clippy::similar_names, reason = "two sides, and what each is told, have names alike")]

pub(super) mod bodies;
mod committer;
mod connect;
pub(super) mod draft;
pub(super) mod error;
pub(super) mod months;
pub(super) mod nodes;
mod schema;
pub(super) mod session;
mod tls;
pub(super) mod values;

use super::StoreError;
use super::chain::Accepted;
use super::sql::bodies::Bodies;
use super::sql::db::Connection;
use super::sql::error::Failure;
use super::sql::health::Health;
use super::sql::readers::{Connect, Readers};
use super::sql::reconnect::Reconnect;
use super::sql::requests::{Requests, histogram};
use super::sql::writer::{OnFatal, Writer};
use super::sql::{Engine, SqlStore, chain, foreign, learned};
use crate::clock::{Clock, Entropy, Timestamp};
use bodies::Chunks;
use committer::Committer;
pub use connect::{Place, WrongPlace};
use nodes::Node;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// The number of connections in each pool of readers: one pool serves the mail path, the other people's requests.
const READERS: usize = 4;
/// The number of connections that write large bodies.
const BODIES: usize = 4;

/// Taken by whoever writes; ends with the transaction.
const WRITERS_LOCK: &str = "SELECT pg_advisory_xact_lock(22896714941169665)";

/// Options of the store.
pub struct Options {
    /// The address of the database.
    pub place: Place,
    /// The name of this relay among those that share the database.
    pub node: String,
    /// The relay's clock. Leases are by the database's, which is compared with it.
    pub clock: Arc<dyn Clock>,
    /// The source of the names of large bodies.
    pub entropy: Arc<dyn Entropy>,
    /// What to do when the writer panics.
    pub on_fatal: OnFatal,
    /// The file with the key of the journal's chain, which is the same on every node. Only the first node creates it
    /// if there is none.
    pub journal_key: PathBuf,
}

impl SqlStore {
    /// Opens a PostgreSQL database, whose tables are created or brought up to date if necessary. It blocks, and must
    /// not be called on a thread of an async runtime.
    ///
    /// # Errors
    /// `Unavailable`, as a sentence that says what to do, if the server cannot be reached, refuses us, is a replica,
    /// or does not keep what it confirms; or if its database is not ours, is too new, or is not in UTF-8.
    pub fn open_postgres(options: Options) -> Result<Self, StoreError> {
        let Options { place, node, clock, entropy, on_fatal, journal_key } = options;
        let place = Arc::new(place);
        let first = place.connect(connect::Use::Setup, &node)?;
        schema::prepare(&first, place.as_ref())?;
        let key = schema::key(&first, &journal_key)?;
        months::ahead(&first, clock.now());
        drop(first);
        let node = Node::begin(Arc::clone(&place), node)?;

        let health = Health::default();
        let reading = |purpose| Reconnect::to_server(connecting(&place, purpose, node.name(), None));
        let readers = Readers::open(READERS, 1, reading(connect::Use::Read), health.clone())?;
        let mail = Readers::open(READERS, 0, reading(connect::Use::Mail), health.clone())?;
        let pool = Readers::committing(BODIES, reading(connect::Use::Bodies), health.clone())?;
        let bodies = Bodies::Chunks(Chunks::new(pool, mail.clone(), entropy, node.name()));

        let writes = connecting(&place, connect::Use::Write, node.name(), Some(clock));
        let connection = writes()?;
        let ours = chain::Ours::load(&connection, &key).map_err(Failure::named)?.unwrap_or_else(|why| {
            tracing::error!(%why, "the journal was changed by somebody else");
            health.stop(&why);
            chain::Ours::default()
        });
        let digests = learned::Digests::load(&connection).map_err(|error| Failure::from(error).named())?;
        let repeats: Arc<Mutex<super::sql::repeats::Repeats>> = Arc::default();
        let loaded = repeats.lock().unwrap_or_else(PoisonError::into_inner).load_newest(&connection);
        loaded.map_err(Failure::named)?;

        let (seconds, stopped) = (histogram(), health.clone());
        let (times, known, made_with) = (seconds.clone(), Arc::clone(&repeats), key.clone());
        let writer = Writer::start(
            move |inbox| {
                let requests = Requests::new(inbox, times, known);
                Committer::new(connection, writes, requests, health, made_with, ours).run();
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

/// Records foreign changes to a database that no relay uses, so that relays serve again. Returns `None` if there are
/// none. It blocks, and must not be called on a thread of an async runtime.
///
/// # Errors
/// `Unavailable` if a relay is at work there; `Corrupt` if no record can mend the chain; otherwise as for
/// [`SqlStore::open_postgres`].
pub fn accept_foreign(
    place: &Place,
    journal_key: &std::path::Path,
    by: &str,
    why: &str,
    at: Timestamp,
) -> Result<Option<Accepted>, StoreError> {
    let session = place.connect(connect::Use::Setup, "accept-foreign")?;
    schema::prepare(&session, place)?;
    let key = schema::key(&session, journal_key)?;
    let tx = Connection::Postgres(Box::new(session));
    let recorded = || -> Result<Option<Accepted>, Failure> {
        tx.control("BEGIN")?;
        tx.control(WRITERS_LOCK)?;
        if !nodes::is_alone(&tx)? {
            let why = format!("a relay is at work in {place}: stop it first");
            return Err(StoreError::Unavailable(why).into());
        }
        let accepted = foreign::record(&tx, &key, by, why, at)?;
        tx.commit()?;
        Ok(accepted)
    };
    recorded().map_err(Failure::named)
}

/// A connection for copying; the tables are created or brought up to date if necessary.
pub(super) fn for_copying(place: &Place) -> Result<Connection, StoreError> {
    let session = place.connect(connect::Use::Setup, "copy")?;
    schema::prepare(&session, place)?;
    months::for_copying(&session);
    Ok(Connection::Postgres(Box::new(session)))
}

fn connecting(
    place: &Arc<Place>,
    purpose: connect::Use,
    node: &str,
    clock: Option<Arc<dyn Clock>>,
) -> Connect {
    let (place, node) = (Arc::clone(place), node.to_owned());
    Arc::new(move || {
        let session = place.connect(purpose, &node)?;
        Ok(Connection::Postgres(Box::new(match &clock {
            Some(clock) => session.with_clock(Arc::clone(clock)),
            None => session,
        })))
    })
}

#[cfg(test)]
mod apart_tests;
#[cfg(test)]
mod before_tests;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod months_tests;
#[cfg(test)]
mod plans_tests;
#[cfg(test)]
mod replica_tests;
#[cfg(test)]
mod silent_tests;
#[cfg(test)]
pub(in crate::store) mod tests;
#[cfg(test)]
mod unsure_tests;
