//! The one writer: a thread that owns the writing connection and commits requests in groups.
//!
//! Whatever was asked while the last flush to disk ran is the next group. On a disk whose flushes are
//! quick nobody waits for a group to fill; on a slow one the writer listens a fraction of a flush longer
//! while more comes in, for whoever misses a group waits a whole one. All of it becomes durable with one
//! flush, and only then is anybody answered. A request that is refused is undone by itself. Should one
//! fail half-way, the group is rolled back and its requests are done one by one, so that only the one
//! that fails is refused.
//!
//! A request has [`BUDGET`] of the writer's time, for every other client's 250 waits behind it: nothing
//! that runs here may scan what grows, or do more than a little for each row it was asked to write.

use super::chain::{self, Ours};
use super::error::{Failure, classify, is_fsync};
use super::health::{Files, Health};
use crate::store::{Histogram, StoreError};
use aws_lc_rs::hmac;
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// At most so many requests share one commit.
const GROUP_REQUESTS: usize = 512;
/// At most so many octets (roughly) share one commit.
const GROUP_OCTETS: usize = 8 << 20;
/// Flushes are slow from here on: a group is waited for.
const SLOW: Duration = Duration::from_millis(1);
/// The wait ends when nothing came for this part of a flush,
const QUIET: u32 = 8;
/// and at the latest after this part of one.
const LINGER: u32 = 3;
/// Idle for so long, the writer moves what the log holds into the database.
const IDLE: Duration = Duration::from_secs(1);
/// How often (in commits) the writer looks at the length of the log.
const LOOK_EVERY: u32 = 16;
/// From so many pages on the log is moved into the database.
const LOG_PAGES: i64 = 4_000;
/// What is left of the log may be moved between two commits when it has no more than so many pages.
const LAST_PAGES: i64 = 500;

/// What one request may take, as a rule; one that takes longer is counted and named in the log.
pub(super) const BUDGET: Duration = Duration::from_millis(50);
/// Upper bounds, in seconds, of the histogram of what requests take.
const BOUNDS: [f64; 8] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];

/// An empty histogram of what requests take.
pub(super) fn histogram() -> Histogram {
    Histogram::new(BOUNDS)
}

/// What happens when a flush to disk fails; by default the process ends.
pub type OnFatal = Arc<dyn Fn(&str) + Send + Sync>;

/// A request, with the way back to whoever asked.
trait Job: Send {
    /// Does it within the open transaction. May be called again after a rollback.
    fn run(&mut self, tx: &Connection) -> Result<(), Failure>;
    /// Answers, once the transaction is on disk (`None`) or has failed.
    fn answer(self: Box<Self>, failed: Option<StoreError>);
    /// Roughly how many octets it writes.
    fn weight(&self) -> usize;
    /// What it is, for the log: the code that asked.
    fn name(&self) -> &'static str;
}

struct Request<F, T> {
    work: F,
    weight: usize,
    outcome: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Job for Request<F, T>
where
    F: FnMut(&Connection) -> Result<T, Failure> + Send,
    T: Send,
{
    fn run(&mut self, tx: &Connection) -> Result<(), Failure> {
        tx.prepare_cached("SAVEPOINT request")?.execute([])?;
        self.outcome = match (self.work)(tx) {
            Ok(value) => Some(Ok(value)),
            Err(Failure::Refused(why)) => {
                tx.prepare_cached("ROLLBACK TO request")?.execute([])?;
                Some(Err(why))
            }
            Err(sql @ Failure::Sql(_)) => return Err(sql),
        };
        tx.prepare_cached("RELEASE request")?.execute([])?;
        Ok(())
    }

    fn name(&self) -> &'static str {
        std::any::type_name::<F>()
    }

    fn answer(self: Box<Self>, failed: Option<StoreError>) {
        let outcome = match (failed, self.outcome) {
            (None, Some(outcome)) => outcome,
            (Some(why), _) => Err(why),
            (None, None) => Err(StoreError::Unavailable("the writer did not run this".to_owned())),
        };
        // Whoever asked may be gone (a client that hung up): what was committed stays committed.
        let _ = self.reply.send(outcome);
    }

    fn weight(&self) -> usize {
        self.weight
    }
}

/// The handle through which requests reach the writer.
pub(super) struct Writer {
    inbox: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread with its connection.
    pub(super) fn start(
        connection: Connection,
        checkpointer: Connection,
        with: With,
    ) -> Result<Self, StoreError> {
        let (inbox, requests) = mpsc::channel();
        let log = Log::start(checkpointer, Arc::clone(&with.on_fatal))?;
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                let fatal = Arc::clone(&with.on_fatal);
                let health = with.health.clone();
                let committer = Committer { connection, requests, log, flush: Duration::ZERO, with };
                // Without its writer the relay can only say 451 for ever: it ends, and is started again.
                if catch_unwind(AssertUnwindSafe(|| committer.run())).is_err() {
                    health.stop("the store's writer panicked");
                    fatal("the store's writer panicked");
                }
            })
            .map_err(|error| StoreError::Unavailable(format!("cannot start the writer: {error}")))?;
        Ok(Self { inbox: Some(inbox), thread: Mutex::new(Some(thread)) })
    }

    /// Has `work` done in a transaction; returns once it is on disk. The queue holds one request a
    /// caller, so sessions and sending places bound it.
    pub(super) async fn submit<T, F>(&self, weight: usize, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        let gone = || StoreError::Unavailable("the writer has ended".to_owned());
        let (reply, answer) = oneshot::channel();
        let request = Box::new(Request { work, weight, outcome: None, reply });
        self.inbox.as_ref().ok_or_else(gone)?.send(request).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.inbox = None;
        let thread = self.thread.lock().ok().and_then(|mut thread| thread.take());
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the store's writer panicked");
        }
    }
}

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
    /// What requests take.
    pub(super) seconds: Histogram,
}

struct Committer {
    /// Dropped, and its thread's connection closed, before the writer's own connection.
    log: Log,
    connection: Connection,
    requests: Receiver<Box<dyn Job>>,
    /// What a flush takes, as the last ones did.
    flush: Duration,
    with: With,
}

impl Committer {
    fn run(mut self) {
        loop {
            match self.requests.recv_timeout(IDLE) {
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

    /// What is there; on a slow disk what comes soon.
    fn next(&self, latest: Instant) -> Option<Box<dyn Job>> {
        if let Ok(next) = self.requests.try_recv() {
            return Some(next);
        }
        if self.flush < SLOW {
            return None;
        }
        let wait = (self.flush / QUIET).min(latest.saturating_duration_since(Instant::now()));
        self.requests.recv_timeout(wait).ok()
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
            self.flush = (self.flush * 7 + took) / 8;
            self.with.ours = ours;
        });
        result.map_err(|failure| {
            if !self.connection.is_autocommit()
                && let Err(rollback) = self.connection.execute_batch("ROLLBACK")
            {
                self.fatal(&format!("a rollback failed: {rollback}"));
            }
            let error = match failure {
                Failure::Refused(why) => return why,
                Failure::Sql(error) => error,
            };
            if is_fsync(&error) {
                self.fatal(&format!("a flush to disk failed: {error}"));
            }
            let error = classify(&error);
            self.with.health.note(&error);
            error
        })
    }

    /// Each request is done as it comes, so that waiting for more costs nothing. How long the flush took.
    fn try_transact(&self, group: &mut Vec<Box<dyn Job>>, most: usize) -> Result<(Duration, Ours), Failure> {
        let latest = Instant::now() + self.flush / LINGER;
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        if let Some(why) = self.with.ours.differs(&self.connection)? {
            tracing::error!(%why, "the journal was changed by somebody else");
            self.with.health.stop(&why);
            return Err(StoreError::Unavailable(why).into());
        }
        let (mut done, mut weight) = (0, 0);
        while let Some(job) = group.get_mut(done) {
            let began = Instant::now();
            let ran = job.run(&self.connection);
            self.took(began.elapsed(), job.name());
            ran?;
            weight += job.weight();
            done += 1;
            if done == group.len() && done < most && weight < GROUP_OCTETS {
                group.extend(self.next(latest));
            }
        }
        let ours = chain::link(&self.connection, &self.with.key, &self.with.ours)?;
        let began = Instant::now();
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok((began.elapsed(), ours))
    }

    fn took(&self, took: Duration, name: &'static str) {
        self.with.seconds.observe(took.as_secs_f64());
        if took > BUDGET {
            let millis = took.as_millis();
            tracing::warn!(millis, request = name, "a request held the store's writer longer than it may");
        }
    }

    fn fatal(&mut self, why: &str) {
        (self.with.on_fatal)(why);
        self.with.health.stop(why);
    }
}

fn answer(group: Vec<Box<dyn Job>>, failed: Option<&StoreError>) {
    for job in group {
        job.answer(failed.map(copy));
    }
}

/// The same error for each request of a group (only those that SQLite's errors become).
fn copy(error: &StoreError) -> StoreError {
    match error {
        StoreError::Full(why) => StoreError::Full(why.clone()),
        StoreError::Corrupt(why) => StoreError::Corrupt(why.clone()),
        StoreError::Uncertain(why) => StoreError::Uncertain(why.clone()),
        other => StoreError::Unavailable(other.to_string()),
    }
}

/// Keeps the write-ahead log short without holding up commits: a second thread moves the bulk of it
/// into the database while commits go on, and the writer moves the little that came meanwhile, after
/// which the log starts over.
struct Log {
    kick: Option<mpsc::SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    done: Receiver<()>,
    busy: bool,
    commits: u32,
    on_fatal: OnFatal,
}

impl Log {
    fn start(connection: Connection, on_fatal: OnFatal) -> Result<Self, StoreError> {
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
        if is_fsync(&error) {
            on_fatal(&format!("a flush to disk failed: {error}"));
        }
        tracing::warn!(%error, "could not move the write-ahead log into the database");
        (0, 0)
    })
}
