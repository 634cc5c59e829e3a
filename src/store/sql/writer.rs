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
//!
//! How a group is committed is the engine's own.

use super::db::Connection;
use super::error::Failure;
use crate::store::{Histogram, StoreError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// At most so many requests share one commit.
pub(in crate::store) const GROUP_REQUESTS: usize = 512;
/// At most so many octets (roughly) share one commit.
const GROUP_OCTETS: usize = 8 << 20;
/// Flushes are slow from here on: a group is waited for.
const SLOW: Duration = Duration::from_millis(1);
/// The wait ends when nothing came for this part of a flush,
const QUIET: u32 = 8;
/// and at the latest after this part of one.
const LINGER: u32 = 3;

/// What one request may take, as a rule; one that takes longer is counted and named in the log.
pub(in crate::store) const BUDGET: Duration = Duration::from_millis(50);
/// Upper bounds, in seconds, of the histogram of what requests take.
const BOUNDS: [f64; 8] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];

/// An empty histogram of what requests take.
pub(in crate::store) fn histogram() -> Histogram {
    Histogram::new(BOUNDS)
}

/// What happens when a flush to disk fails; by default the process ends.
pub type OnFatal = Arc<dyn Fn(&str) + Send + Sync>;

/// A request, with the way back to whoever asked.
pub(in crate::store) trait Job: Send {
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
        tx.control("SAVEPOINT request")?;
        self.outcome = match (self.work)(tx) {
            Ok(value) => Some(Ok(value)),
            Err(Failure::Refused(why)) => {
                tx.control("ROLLBACK TO request")?;
                Some(Err(why))
            }
            Err(sql @ Failure::Sql(_)) => return Err(sql),
        };
        tx.control("RELEASE request")?;
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
pub(in crate::store) struct Writer {
    inbox: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread, which does `run` with what is asked; should that panic, `fatal` hears of it.
    pub(in crate::store) fn start(
        run: impl FnOnce(Receiver<Box<dyn Job>>) + Send + 'static,
        fatal: impl FnOnce(&str) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (inbox, requests) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                // Without its writer the relay can only say 451 for ever: it ends, and is started again.
                if catch_unwind(AssertUnwindSafe(|| run(requests))).is_err() {
                    fatal("the store's writer panicked");
                }
            })
            .map_err(|error| StoreError::Unavailable(format!("cannot start the writer: {error}")))?;
        Ok(Self { inbox: Some(inbox), thread: Mutex::new(Some(thread)) })
    }

    /// Has `work` done in a transaction; returns once it is on disk. The queue holds one request a
    /// caller, so sessions and sending places bound it.
    pub(in crate::store) async fn submit<T, F>(&self, weight: usize, work: F) -> Result<T, StoreError>
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

/// The requests that are waiting, and how a group of them is gathered.
pub(in crate::store) struct Requests {
    inbox: Receiver<Box<dyn Job>>,
    /// What a flush takes, as the last ones did.
    flush: Duration,
    seconds: Histogram,
}

impl Requests {
    pub(in crate::store) fn new(inbox: Receiver<Box<dyn Job>>, seconds: Histogram) -> Self {
        Self { inbox, flush: Duration::ZERO, seconds }
    }

    /// The first of a group.
    pub(in crate::store) fn first(&self, within: Duration) -> Result<Box<dyn Job>, mpsc::RecvTimeoutError> {
        self.inbox.recv_timeout(within)
    }

    /// A flush took so long.
    pub(in crate::store) fn flushed(&mut self, took: Duration) {
        self.flush = (self.flush * 7 + took) / 8;
    }

    /// Does what is in the group and what comes meanwhile, up to `most`. Each is done as it comes, so that
    /// waiting for more costs nothing.
    pub(in crate::store) fn run(
        &self,
        connection: &Connection,
        group: &mut Vec<Box<dyn Job>>,
        most: usize,
    ) -> Result<(), Failure> {
        let latest = Instant::now() + self.flush / LINGER;
        let (mut done, mut weight) = (0, 0);
        while let Some(job) = group.get_mut(done) {
            let began = Instant::now();
            let ran = job.run(connection);
            self.took(began.elapsed(), job.name());
            ran?;
            weight += job.weight();
            done += 1;
            if done == group.len() && done < most && weight < GROUP_OCTETS {
                group.extend(self.next(latest));
            }
        }
        Ok(())
    }

    /// What is there; on a slow disk what comes soon.
    fn next(&self, latest: Instant) -> Option<Box<dyn Job>> {
        if let Ok(next) = self.inbox.try_recv() {
            return Some(next);
        }
        if self.flush < SLOW {
            return None;
        }
        let wait = (self.flush / QUIET).min(latest.saturating_duration_since(Instant::now()));
        self.inbox.recv_timeout(wait).ok()
    }

    fn took(&self, took: Duration, name: &'static str) {
        self.seconds.observe(took.as_secs_f64());
        if took > BUDGET {
            let millis = took.as_millis();
            tracing::warn!(millis, request = name, "a request held the store's writer longer than it may");
        }
    }
}

pub(in crate::store) fn answer(group: Vec<Box<dyn Job>>, failed: Option<&StoreError>) {
    for job in group {
        job.answer(failed.map(copy));
    }
}

/// The same error for each request of a group (only those that an engine's errors become).
fn copy(error: &StoreError) -> StoreError {
    match error {
        StoreError::Full(why) => StoreError::Full(why.clone()),
        StoreError::Corrupt(why) => StoreError::Corrupt(why.clone()),
        StoreError::Uncertain(why) => StoreError::Uncertain(why.clone()),
        other => StoreError::Unavailable(other.to_string()),
    }
}
