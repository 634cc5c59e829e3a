//! The single writer: a thread that owns the writing connection and commits requests in groups.
//!
//! One flush makes a whole group durable, and only then are its requests answered. A refused request is undone by
//! itself. If a request fails half-way, the group is rolled back and its requests run one by one, so that only the
//! failing one is refused.
//!
//! A request has [`BUDGET`] of the writer's time, because the 250 replies of all other clients wait behind it.
//! So nothing that runs here may scan a table that grows, or do much work for each row it was asked to write.
//!
//! The engine determines how a group is committed.

use super::db::Connection;
use super::error::Failure;
use crate::store::StoreError;
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// The time one request should take at most. One that takes longer is counted, and named in the log.
pub(in crate::store) const BUDGET: Duration = Duration::from_millis(50);
/// Called when a flush to disk fails; by default the process exits.
pub type OnFatal = Arc<dyn Fn(&str) + Send + Sync>;

/// A request, with the channel for its answer.
pub(in crate::store) trait Job: Send {
    /// Runs it within the open transaction. Returns whether what it wrote stands: a refused request is undone. May be
    /// called again after a rollback.
    fn run(&mut self, tx: &Connection) -> Result<bool, Failure>;
    /// Answers, once the transaction is on disk (`None`) or has failed.
    fn answer(self: Box<Self>, failed: Option<StoreError>);
    /// Approximately how many octets it writes.
    fn weight(&self) -> usize;
    /// Its name for the log: the code that submitted it.
    fn name(&self) -> &'static str;
    /// Whether nobody waits for it, so that it may share the flush of a later request.
    fn can_wait(&self) -> bool;
}

struct Request<F, T> {
    work: F,
    weight: usize,
    can_wait: bool,
    outcome: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Job for Request<F, T>
where
    F: FnMut(&Connection) -> Result<T, Failure> + Send,
    T: Send,
{
    fn run(&mut self, tx: &Connection) -> Result<bool, Failure> {
        let request = tx.begin_request()?;
        self.outcome = match (self.work)(tx) {
            Ok(value) => Some(Ok(value)),
            Err(Failure::Refused(why)) => {
                tx.undo_request(&request)?;
                // A client is told 250 if the store has its message already, so that must last, too.
                tx.write_something();
                Some(Err(why))
            }
            Err(sql @ Failure::Sql(_)) => return Err(sql),
        };
        tx.end_request()?;
        Ok(matches!(self.outcome, Some(Ok(_))))
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
        // The caller may be gone (a client that hung up); what was committed stays committed.
        let _ = self.reply.send(outcome);
    }

    fn weight(&self) -> usize {
        self.weight
    }

    fn can_wait(&self) -> bool {
        self.can_wait
    }
}

/// The handle that submits requests to the writer.
pub(in crate::store) struct Writer {
    inbox: Option<Sender<Box<dyn Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread, which calls `run` with the requests; if that panics, `fatal` is called.
    pub(in crate::store) fn start(
        run: impl FnOnce(Receiver<Box<dyn Job>>) + Send + 'static,
        fatal: impl FnOnce(&str) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (inbox, requests) = unbounded();
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                // Without a writer the relay could only answer 451 for ever. So it exits and is restarted.
                if catch_unwind(AssertUnwindSafe(|| run(requests))).is_err() {
                    fatal("the store's writer panicked");
                }
            })
            .map_err(|error| StoreError::Unavailable(format!("cannot start the writer: {error}")))?;
        Ok(Self { inbox: Some(inbox), thread: Mutex::new(Some(thread)) })
    }

    /// Runs `work` in a transaction and returns once it is on disk. The queue holds one request for each
    /// caller, so the numbers of sessions and of slots limit its length.
    pub(in crate::store) async fn submit<T, F>(&self, weight: usize, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        self.send(weight, false, work).await
    }

    /// The same for what nobody waits for: it may wait for a request that somebody waits for, and share its flush.
    pub(in crate::store) async fn submit_patiently<T, F>(
        &self,
        weight: usize,
        work: F,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        self.send(weight, true, work).await
    }

    async fn send<T, F>(&self, weight: usize, can_wait: bool, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        let gone = || StoreError::Unavailable("the writer has ended".to_owned());
        let (reply, answer) = oneshot::channel();
        let request = Box::new(Request { work, weight, can_wait, outcome: None, reply });
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

pub(in crate::store) fn answer(group: Vec<Box<dyn Job>>, failed: Option<&StoreError>) {
    for job in group {
        job.answer(failed.map(copy));
    }
}

/// A copy of the error for each request of a group (only of the errors that an engine's errors are mapped to).
fn copy(error: &StoreError) -> StoreError {
    match error {
        StoreError::Full(why) => StoreError::Full(why.clone()),
        StoreError::Corrupt(why) => StoreError::Corrupt(why.clone()),
        StoreError::Uncertain(why) => StoreError::Uncertain(why.clone()),
        other => StoreError::Unavailable(other.to_string()),
    }
}
