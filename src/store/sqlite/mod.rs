//! The store in one SQLite file, with large bodies beside it: the default engine.
//!
//! * [`open`] creates and opens the database, asserts settings, finds damage
//! * [`schema`] tables and migrations
//! * [`committer`] commits groups of requests, and keeps the log short; [`flusher`] flushes it to disk
//! * [`bodies`] files of large bodies; [`segments`] files that bodies of middle size share; [`error`] what SQLite's
//!   errors mean

pub(super) mod bodies;
mod committer;
pub(super) mod error;
mod flusher;
mod open;
mod reading;
mod schema;
mod segments;

use super::StoreError;
use super::chain::Accepted;
use super::lock::beside;
use super::sql::bodies::Bodies as AnyBodies;
use super::sql::db::Connection;
use super::sql::error::Failure;
use super::sql::health::Health;
use super::sql::readers::{Connect, Readers};
use super::sql::reconnect::Reconnect;
use super::sql::requests::{Requests, histogram};
pub use super::sql::writer::OnFatal;
use super::sql::writer::Writer;
use super::sql::{Engine, SqlStore, chain, foreign, learned};
use crate::clock::{Entropy, SystemEntropy, Timestamp};
use bodies::Bodies;
use committer::{Committer, Log, With};
use flusher::Flusher;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Options of the store.
#[derive(Clone)]
pub struct Options {
    /// The source of the names of body files.
    pub entropy: Arc<dyn Entropy>,
    /// What to do when a flush to disk fails. The default logs it and aborts the process: nobody knows what is on the
    /// disk then, and only a restart finds out.
    pub on_fatal: OnFatal,
    /// The largest size of the database, in pages of 4 KiB; `None` for no limit but the disk.
    pub max_pages: Option<u32>,
    /// The file with the key of the journal's chain; `None` for a file beside the database. It is created if there is
    /// none.
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
pub type SqliteStore = SqlStore;

/// A connection for copying; the database is created or brought up to date if necessary.
pub(super) fn for_copying(path: &Path) -> Result<Connection, StoreError> {
    open::writer(path, None).map(Connection::Sqlite)
}

/// The number of connections in each pool of readers: one pool serves the mail path, the other people's requests.
const READERS: usize = 3;

impl SqlStore {
    /// Opens the database, which is created or brought up to date if necessary; its folder must exist. Large bodies
    /// are stored in `<path>.bodies/`.
    ///
    /// # Errors
    /// `Unavailable` if the database cannot be written, is not ours or is too new; `Corrupt` if it is damaged. The
    /// text is a sentence that says what to do.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let connection = open::writer(path, options.max_pages)?;
        let log = Log::start(Connection::Sqlite(open::checkpointer(path)?), Arc::clone(&options.on_fatal))?;
        let health = Health::default();
        let place = path.to_owned();
        let reader: Connect = Arc::new(move || open::reader(&place).map(Connection::Sqlite));
        let reading = || Reconnect::to_file(Arc::clone(&reader));
        let readers = Readers::open(READERS, READERS, reading(), health.clone())?;
        let mail = Readers::open(READERS, READERS, reading(), health.clone())?;
        let cheap = Arc::default();
        let bodies = Bodies::open(beside(path, "bodies"), options.entropy, Arc::clone(&cheap))?;
        let bodies = AnyBodies::Files(bodies);
        let beside = beside(path, "journal-key");
        let key = chain::key(options.journal_key.as_deref().unwrap_or(&beside))?;
        chain::watch(&connection).map_err(|error| error::sentence(path, &error))?;
        open::flushed_elsewhere(&connection, path)?;
        let connection = Connection::Sqlite(connection);
        let fail = |failure: Failure| match failure {
            Failure::Sql(crate::store::sql::error::Error::Sqlite(error)) => error::sentence(path, &error),
            other => other.named(),
        };
        let ours = chain::Ours::load(&connection, &key).map_err(fail)?.unwrap_or_else(|why| {
            tracing::error!(%why, "the journal was changed by somebody else");
            health.stop(&why);
            chain::Ours::default()
        });
        let digests = learned::Digests::load(&connection).map_err(|error| fail(error.into()))?;
        let (seconds, fatal) = (histogram(), Arc::clone(&options.on_fatal));
        let (times, stopped) = (seconds.clone(), health.clone());
        let repeats = Arc::default();
        let known = Arc::clone(&repeats);
        let (flusher, ended) = Flusher::start(path, &health, &options.on_fatal)?;
        let with = With { ours, on_fatal: options.on_fatal, health, flusher, key: key.clone() };
        let writer = Writer::start(
            move |inbox| {
                let mut requests = Requests::new(inbox, times, known);
                requests.flushed_elsewhere(ended, cheap);
                Committer::new(connection, log, requests, with).run();
            },
            move |why| {
                stopped.stop(why);
                fatal(why);
            },
        )?;
        Ok(Self::over(Engine { readers, mail, seconds, writer, bodies, repeats, digests, key, node: None }))
    }

    /// Records foreign changes to the database of a relay that does not run, so that it serves again: who looked at
    /// them, and why they may stay. Returns `None` if there are none.
    ///
    /// # Errors
    /// `Corrupt` if no record can mend the chain; otherwise as for [`Self::open`].
    pub fn accept_foreign(
        path: &Path,
        journal_key: Option<&Path>,
        by: &str,
        why: &str,
        at: Timestamp,
    ) -> Result<Option<Accepted>, StoreError> {
        let beside = beside(path, "journal-key");
        let key = chain::key(journal_key.unwrap_or(&beside))?;
        let connection = Connection::Sqlite(open::writer(path, None)?);
        let result = connection.control("BEGIN IMMEDIATE").map_err(Failure::from).and_then(|()| {
            let accepted = foreign::record(&connection, &key, by, why, at)?;
            connection.control("COMMIT")?;
            Ok(accepted)
        });
        result.map_err(Failure::named)
    }
}

#[cfg(test)]
mod chain_tests;
#[cfg(test)]
mod foreign_tests;
#[cfg(test)]
mod growth_tests;
#[cfg(test)]
mod segments_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trouble_tests;
#[cfg(test)]
mod upgrade_tests;
