//! Commits groups of requests to SQLite, and keeps its write-ahead log short.

use super::error::is_fsync;
use super::flusher::Flusher;
use crate::store::StoreError;
use crate::store::sql::chain::{self, Ours};
use crate::store::sql::db::Connection;
use crate::store::sql::error::{Error, Failure, classify};
use crate::store::sql::health::Health;
use crate::store::sql::requests::{GROUP_REQUESTS, Requests};
use crate::store::sql::writer::{Job, OnFatal, answer};
use aws_lc_rs::hmac;
use crossbeam_channel::RecvTimeoutError;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long the writer is idle before it moves the contents of the log into the database.
const IDLE: Duration = Duration::from_secs(1);
/// After how many commits the writer checks the length of the log.
const LOOK_EVERY: u32 = 16;
/// From how many pages on the log is moved into the database.
const LOG_PAGES: i64 = 4_000;
/// How many pages of the log may be left for the writer to move between two commits.
const LAST_PAGES: i64 = 500;

/// What the writer needs besides its connection.
pub(super) struct With {
    pub(super) on_fatal: OnFatal,
    /// Set, for example, once a flush failed: nothing is written any more.
    pub(super) health: Health,
    pub(super) flusher: Flusher,
    /// The key of the journal's chain.
    pub(super) key: hmac::Key,
    /// The end of the chain, as this relay left it.
    pub(super) ours: Ours,
}

/// The writer.
pub(super) struct Committer {
    /// Dropped first, so that its thread's connection is closed before the writer's own.
    log: Log,
    connection: Connection,
    requests: Requests,
    with: With,
}

impl Committer {
    /// Takes the connection for writing, and the log, which has a connection of its own.
    pub(super) fn new(connection: Connection, log: Log, requests: Requests, with: With) -> Self {
        Self { log, connection, requests, with }
    }

    /// Runs until there can be no more requests.
    pub(super) fn run(mut self) {
        loop {
            match self.requests.first(IDLE) {
                Ok(group) => {
                    self.commit(group);
                    self.log.after_commit(&self.connection);
                }
                Err(RecvTimeoutError::Timeout) => self.log.when_idle(&self.connection),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        // The last groups are answered before the log is closed, which may remove it.
        drop(self.with.flusher);
        checkpoint(&self.connection, "PRAGMA wal_checkpoint(TRUNCATE)", &self.with.on_fatal);
    }

    /// Commits requests together with those that arrive meanwhile.
    fn commit(&mut self, mut group: Vec<Box<dyn Job>>) {
        match self.transact(&mut group, GROUP_REQUESTS) {
            Ok(()) => self.flush(group),
            Err(why) if group.len() == 1 => answer(group, Some(&why)),
            Err(_) => {
                for job in group {
                    let mut alone = vec![job];
                    match self.transact(&mut alone, 1) {
                        Ok(()) => self.flush(alone),
                        Err(why) => answer(alone, Some(&why)),
                    }
                }
            }
        }
    }

    /// Has a committed group flushed and answered: by another thread if there is more to do meanwhile.
    fn flush(&mut self, group: Vec<Box<dyn Job>>) {
        if self.requests.idle() {
            let took = self.with.flusher.now(group);
            self.requests.flushed(took);
        } else {
            self.requests.flushing();
            self.with.flusher.soon(group);
        }
    }

    /// Runs a group in one transaction; it grows to at most `most` requests. After an error, none of it is in the
    /// database.
    fn transact(&mut self, group: &mut Vec<Box<dyn Job>>, most: usize) -> Result<(), StoreError> {
        self.with.health.check()?;
        self.with.flusher.in_place().map_err(StoreError::Unavailable)?;
        let result = self.try_transact(group, most).map(|ours| {
            self.requests.committed(group);
            self.with.ours = ours;
        });
        result.map_err(|failure| {
            self.requests.rolled_back();
            if self.connection.in_transaction()
                && let Err(rollback) = self.connection.control("ROLLBACK")
            {
                self.fatal(&format!("a rollback failed: {rollback}"));
            }
            let error = match failure {
                Failure::Refused(why) => return why,
                Failure::Sql(error) => error,
            };
            if is_flush(&error) {
                self.fatal(&format!("a flush to disk failed: {error}"));
            }
            let error = classify(&error);
            self.with.health.note(&error);
            error
        })
    }

    /// Returns the new end of the chain.
    fn try_transact(&mut self, group: &mut Vec<Box<dyn Job>>, most: usize) -> Result<Ours, Failure> {
        self.connection.control("BEGIN IMMEDIATE")?;
        if let Some(why) = self.with.ours.differs(&self.connection)? {
            tracing::error!(%why, "the journal was changed by somebody else");
            self.with.health.stop(&why);
            return Err(StoreError::Unavailable(why).into());
        }
        self.requests.run(&self.connection, group, most)?;
        let ours = chain::link(&self.connection, &self.with.key, &self.with.ours)?;
        self.connection.control("COMMIT")?;
        Ok(ours)
    }

    fn fatal(&mut self, why: &str) {
        (self.with.on_fatal)(why);
        self.with.health.stop(why);
    }
}

/// Keeps the write-ahead log short without delaying commits: a second thread moves most of it into the database while
/// commits go on. The writer then moves the few pages that were added meanwhile, after which the log starts over.
pub(super) struct Log {
    kick: Option<mpsc::SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    done: Receiver<()>,
    busy: bool,
    commits: u32,
    on_fatal: OnFatal,
}

impl Log {
    pub(super) fn start(connection: Connection, on_fatal: OnFatal) -> Result<Self, StoreError> {
        let fatal = Arc::clone(&on_fatal);
        let (kick, kicked) = mpsc::sync_channel::<()>(1);
        let (finished, done) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("store-log".to_owned())
            .spawn(move || {
                while kicked.recv().is_ok() {
                    checkpoint(&connection, "PRAGMA wal_checkpoint(PASSIVE)", &fatal);
                    if finished.send(()).is_err() {
                        return;
                    }
                }
            })
            .map_err(|error| StoreError::Unavailable(format!("cannot start a thread: {error}")))?;
        Ok(Self { kick: Some(kick), thread: Some(thread), done, busy: false, commits: 0, on_fatal })
    }

    fn kick(&mut self) {
        self.busy = self.kick.as_ref().is_some_and(|kick| kick.try_send(()).is_ok());
    }

    fn after_commit(&mut self, connection: &Connection) {
        self.commits += 1;
        if self.busy {
            if self.done.try_recv().is_ok() {
                self.busy = false;
                self.finish(connection);
            }
        } else if self.commits >= LOOK_EVERY {
            self.commits = 0;
            if self.pending(connection) > LOG_PAGES {
                self.kick();
            }
        }
    }

    /// Moves the pages that were added since the other thread started. If there are many, they are left to another
    /// round.
    fn finish(&mut self, connection: &Connection) {
        if self.pending(connection) <= LAST_PAGES {
            checkpoint(connection, "PRAGMA wal_checkpoint(PASSIVE)", &self.on_fatal);
        } else {
            self.kick();
        }
    }

    fn when_idle(&mut self, connection: &Connection) {
        if !self.busy && self.pending(connection) > 0 {
            checkpoint(connection, "PRAGMA wal_checkpoint(PASSIVE)", &self.on_fatal);
        }
    }

    /// The number of pages in the log that are not yet in the database.
    fn pending(&self, connection: &Connection) -> i64 {
        let (log, moved) = checkpoint(connection, "PRAGMA wal_checkpoint(NOOP)", &self.on_fatal);
        log - moved
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.kick = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that shortens the log panicked");
        }
    }
}

/// Runs one of the checkpoint pragmas. Returns the number of pages in the log, and how many of them are in the
/// database.
///
/// A failure is only logged, because the log stays valid and is merely longer. A failed flush is fatal: after it,
/// nobody knows what is on the disk.
fn checkpoint(connection: &Connection, pragma: &'static str, on_fatal: &OnFatal) -> (i64, i64) {
    let counts = connection.prepare_cached(pragma).and_then(|mut statement| {
        statement.query_row([], |row| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)))
    });
    counts.unwrap_or_else(|error| {
        if is_flush(&error) {
            on_fatal(&format!("a flush to disk failed: {error}"));
        }
        tracing::warn!(%error, "could not move the write-ahead log into the database");
        (0, 0)
    })
}

fn is_flush(error: &Error) -> bool {
    matches!(error, Error::Sqlite(error) if is_fsync(error))
}
