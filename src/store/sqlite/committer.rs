//! Commits groups of requests to SQLite, and keeps its write-ahead log short.

use super::error::is_fsync;
use crate::store::StoreError;
use crate::store::sql::chain::{self, Ours};
use crate::store::sql::db::Connection;
use crate::store::sql::error::{Error, Failure, classify};
use crate::store::sql::health::{Files, Health};
use crate::store::sql::writer::{GROUP_REQUESTS, Job, OnFatal, Requests, answer};
use aws_lc_rs::hmac;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Idle for so long, the writer moves what the log holds into the database.
const IDLE: Duration = Duration::from_secs(1);
/// How often (in commits) the writer looks at the length of the log.
const LOOK_EVERY: u32 = 16;
/// From so many pages on the log is moved into the database.
const LOG_PAGES: i64 = 4_000;
/// What is left of the log may be moved between two commits when it has no more than so many pages.
const LAST_PAGES: i64 = 500;

/// What the writer works with beside its connection.
pub(super) struct With {
    pub(super) on_fatal: OnFatal,
    /// Set once a flush failed, for one: nothing is written any more.
    pub(super) health: Health,
    pub(super) files: Files,
    /// What links the journal's chain.
    pub(super) key: hmac::Key,
    /// Its end, as this relay left it.
    pub(super) ours: Ours,
}

/// Who commits.
pub(super) struct Committer {
    /// Dropped, and its thread's connection closed, before the writer's own connection.
    log: Log,
    connection: Connection,
    requests: Requests,
    with: With,
}

impl Committer {
    /// With the writing connection, and one that moves the log.
    pub(super) fn new(connection: Connection, log: Log, requests: Requests, with: With) -> Self {
        Self { log, connection, requests, with }
    }

    /// Until nobody asks any more.
    pub(super) fn run(mut self) {
        loop {
            match self.requests.first(IDLE) {
                Ok(first) => {
                    self.commit(first);
                    self.log.after_commit(&self.connection);
                }
                Err(RecvTimeoutError::Timeout) => self.log.when_idle(&self.connection),
                Err(RecvTimeoutError::Disconnected) => {
                    checkpoint(&self.connection, "PRAGMA wal_checkpoint(TRUNCATE)", &self.with.on_fatal);
                    return;
                }
            }
        }
    }

    /// Commits a request with all that come meanwhile.
    fn commit(&mut self, first: Box<dyn Job>) {
        let mut group = vec![first];
        match self.transact(&mut group, GROUP_REQUESTS) {
            Ok(()) => match self.with.files.in_place() {
                Ok(()) => answer(group, None),
                Err(why) => answer(group, Some(&StoreError::Uncertain(why))),
            },
            Err(why) if group.len() == 1 => answer(group, Some(&why)),
            Err(_) => {
                for job in group {
                    let mut alone = vec![job];
                    let failed = self
                        .transact(&mut alone, 1)
                        .err()
                        .or_else(|| self.with.files.in_place().err().map(StoreError::Uncertain));
                    answer(alone, failed.as_ref());
                }
            }
        }
    }

    /// Runs a group in one transaction; it grows to `most`. After an error nothing of it is in the
    /// database.
    fn transact(&mut self, group: &mut Vec<Box<dyn Job>>, most: usize) -> Result<(), StoreError> {
        self.with.health.check()?;
        self.with.files.in_place().map_err(StoreError::Unavailable)?;
        let result = self.try_transact(group, most).map(|(took, ours)| {
            self.requests.flushed(took);
            self.with.ours = ours;
        });
        result.map_err(|failure| {
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

    /// How long the flush took, and the new end of the chain.
    fn try_transact(&self, group: &mut Vec<Box<dyn Job>>, most: usize) -> Result<(Duration, Ours), Failure> {
        self.connection.control("BEGIN IMMEDIATE")?;
        if let Some(why) = self.with.ours.differs(&self.connection)? {
            tracing::error!(%why, "the journal was changed by somebody else");
            self.with.health.stop(&why);
            return Err(StoreError::Unavailable(why).into());
        }
        self.requests.run(&self.connection, group, most)?;
        let ours = chain::link(&self.connection, &self.with.key, &self.with.ours)?;
        let began = Instant::now();
        self.connection.control("COMMIT")?;
        Ok((began.elapsed(), ours))
    }

    fn fatal(&mut self, why: &str) {
        (self.with.on_fatal)(why);
        self.with.health.stop(why);
    }
}

/// Keeps the write-ahead log short without holding up commits: a second thread moves the bulk of it
/// into the database while commits go on, and the writer moves the little that came meanwhile, after
/// which the log starts over.
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

    /// Moves what came since the other thread began; a long rest is left to another round.
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

    /// Pages in the log that are not yet in the database.
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

/// Runs one of the checkpoint pragmas: pages in the log, and how many of them are in the database.
/// A failure is harmless (the log stays valid and is only longer), so it is only logged; but not one of a
/// flush to disk, after which nobody knows what the disk holds.
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
