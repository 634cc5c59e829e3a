//! The single writer: a thread that owns the writing connection and commits requests in groups.
//!
//! The requests that arrive during one flush to disk form the next group. On a disk with fast flushes, nothing
//! waits for a group to fill. On a slow disk, if several clients send, the writer waits a fraction of a flush longer
//! while more requests arrive, because a request that misses a group waits for a whole flush; and what nobody waits
//! for, as the result of a copy, waits as long for a request to share a flush with. One flush makes the whole group
//! durable, and only then are its requests answered. A refused request is undone by itself. If a request fails
//! half-way, the group is rolled back and its requests run one by one, so that only the failing one is refused.
//!
//! A request has [`BUDGET`] of the writer's time, because the 250 replies of all other clients wait behind it.
//! So nothing that runs here may scan a table that grows, or do much work for each row it was asked to write.
//!
//! The engine determines how a group is committed.

use super::db::Connection;
use super::error::Failure;
use super::repeats::Repeats;
use crate::store::{Histogram, StoreError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The maximum number of requests in one commit.
pub(in crate::store) const GROUP_REQUESTS: usize = 512;
/// The approximate maximum number of octets in one commit.
const GROUP_OCTETS: usize = 8 << 20;
/// From this duration on, flushes count as slow, and the writer waits for a group to fill.
const SLOW: Duration = Duration::from_millis(1);
/// The wait ends if no request arrives for this fraction of a flush (a divisor),
const QUIET: u32 = 8;
/// and at the latest after this fraction of a flush (a divisor).
const LINGER: u32 = 3;

/// How many requests that can wait are kept waiting at most.
const PATIENT: usize = 64;

/// The time one request should take at most. One that takes longer is counted, and named in the log.
pub(in crate::store) const BUDGET: Duration = Duration::from_millis(50);
/// Upper bounds, in seconds, of the histogram of request durations.
const BOUNDS: [f64; 8] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];

/// An empty histogram of request durations.
pub(in crate::store) fn histogram() -> Histogram {
    Histogram::new(BOUNDS)
}

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
    inbox: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread, which calls `run` with the requests; if that panics, `fatal` is called.
    pub(in crate::store) fn start(
        run: impl FnOnce(Receiver<Box<dyn Job>>) + Send + 'static,
        fatal: impl FnOnce(&str) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (inbox, requests) = mpsc::channel();
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

/// The waiting requests, and how a group of them is collected.
pub(in crate::store) struct Requests {
    inbox: Receiver<Box<dyn Job>>,
    /// The moving average of the duration of a flush.
    flush: Duration,
    /// Whether several clients wait for their requests: more than one in the last group, or one more since.
    contended: bool,
    seconds: Histogram,
    repeats: Arc<Mutex<Repeats>>,
}

impl Requests {
    pub(in crate::store) fn new(
        inbox: Receiver<Box<dyn Job>>,
        seconds: Histogram,
        repeats: Arc<Mutex<Repeats>>,
    ) -> Self {
        Self { inbox, flush: Duration::ZERO, contended: false, seconds, repeats }
    }

    /// Waits for the first requests of a group. On a slow disk, those for which nobody waits wait for one for which
    /// somebody does, to share its flush.
    pub(in crate::store) fn first(
        &mut self,
        within: Duration,
    ) -> Result<Vec<Box<dyn Job>>, RecvTimeoutError> {
        let waiting = self.inbox.try_recv().ok();
        self.contended |= waiting.as_ref().is_some_and(|job| !job.can_wait());
        let mut group = vec![waiting.map_or_else(|| self.inbox.recv_timeout(within), Ok)?];
        let latest = Instant::now() + self.flush / LINGER;
        while self.flush >= SLOW && group.len() < PATIENT && group.last().is_some_and(|last| last.can_wait())
        {
            match self.inbox.recv_timeout(latest.saturating_duration_since(Instant::now())) {
                Ok(next) => group.push(next),
                Err(_) => break,
            }
        }
        Ok(group)
    }

    /// A group was committed, and its flush took this long.
    pub(in crate::store) fn committed(&mut self, group: &[Box<dyn Job>], took: Duration) {
        self.flush = (self.flush * 7 + took) / 8;
        self.contended = group.iter().filter(|job| !job.can_wait()).nth(1).is_some();
        self.repeats().keep();
    }

    /// A group was rolled back, or it is not known whether it was committed.
    pub(in crate::store) fn rolled_back(&self) {
        self.repeats().undo(0);
    }

    /// What was received within the last 24 hours.
    pub(in crate::store) fn repeats(&self) -> MutexGuard<'_, Repeats> {
        self.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the requests of the group, and those that arrive meanwhile, up to `most`. Each runs when it
    /// arrives, so that waiting for more costs nothing.
    pub(in crate::store) fn run(
        &self,
        connection: &Connection,
        group: &mut Vec<Box<dyn Job>>,
        most: usize,
    ) -> Result<(), Failure> {
        let latest = Instant::now() + self.flush / LINGER;
        let (mut done, mut weight) = (0, 0);
        while let Some(job) = group.get_mut(done) {
            let (began, mark) = (Instant::now(), self.repeats().mark());
            let ran = job.run(connection);
            self.took(began.elapsed(), job.name());
            if !ran? {
                self.repeats().undo(mark);
            }
            weight += job.weight();
            done += 1;
            if done == group.len() && done < most && weight < GROUP_OCTETS {
                group.extend(self.next(latest));
            }
        }
        Ok(())
    }

    /// The next request if one is waiting; on a slow disk, also one that arrives soon.
    fn next(&self, latest: Instant) -> Option<Box<dyn Job>> {
        if let Ok(next) = self.inbox.try_recv() {
            return Some(next);
        }
        if self.flush < SLOW || !self.contended {
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

/// A copy of the error for each request of a group (only of the errors that an engine's errors are mapped to).
fn copy(error: &StoreError) -> StoreError {
    match error {
        StoreError::Full(why) => StoreError::Full(why.clone()),
        StoreError::Corrupt(why) => StoreError::Corrupt(why.clone()),
        StoreError::Uncertain(why) => StoreError::Uncertain(why.clone()),
        other => StoreError::Unavailable(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Asked {
        can_wait: bool,
    }

    impl Job for Asked {
        fn run(&mut self, _: &Connection) -> Result<bool, Failure> {
            Ok(true)
        }

        fn answer(self: Box<Self>, _: Option<StoreError>) {}

        fn weight(&self) -> usize {
            1
        }

        fn name(&self) -> &'static str {
            "a test"
        }

        fn can_wait(&self) -> bool {
            self.can_wait
        }
    }

    fn requests(flush: Duration) -> (mpsc::Sender<Box<dyn Job>>, Requests) {
        let (inbox, requests) = mpsc::channel();
        let mut requests = Requests::new(requests, histogram(), Arc::default());
        requests.flush = flush;
        (inbox, requests)
    }

    fn first(requests: &mut Requests) -> usize {
        requests.first(Duration::from_secs(10)).unwrap().len()
    }

    #[test]
    fn on_a_slow_disk_what_can_wait_shares_the_flush_of_what_cannot() {
        for (flush, groups) in [(Duration::from_mins(1), vec![3, 1]), (Duration::ZERO, vec![1, 1, 1, 1])] {
            let (inbox, mut requests) = requests(flush);
            for can_wait in [true, true, false, false] {
                inbox.send(Box::new(Asked { can_wait })).unwrap();
            }
            let found: Vec<usize> = groups.iter().map(|_| first(&mut requests)).collect();
            assert_eq!(found, groups, "{flush:?}");
        }
    }

    #[test]
    fn what_can_wait_does_not_wait_for_ever() {
        let (inbox, mut requests) = requests(Duration::from_millis(30));
        inbox.send(Box::new(Asked { can_wait: true })).unwrap();
        assert_eq!(first(&mut requests), 1);
        for _ in 0..=PATIENT {
            inbox.send(Box::new(Asked { can_wait: true })).unwrap();
        }
        requests.flush = Duration::from_mins(10);
        assert_eq!(first(&mut requests), PATIENT);
        drop(inbox);
        assert_eq!(first(&mut requests), 1, "what is left when there can be no more");
        assert!(requests.first(Duration::ZERO).is_err());
    }

    /// A single client would wait for nobody; of two that take turns, each would wait for the other's flush.
    #[test]
    fn the_writer_waits_for_more_only_if_several_clients_send() {
        let flush = Duration::from_millis(200);
        let (inbox, mut requests) = requests(flush);
        let latest = || Instant::now() + Duration::from_secs(10);
        let one = || -> Box<dyn Job> { Box::new(Asked { can_wait: false }) };

        let client = std::thread::spawn({
            let inbox = inbox.clone();
            move || {
                std::thread::park_timeout(Duration::from_millis(20));
                inbox.send(one())
            }
        });
        let group = requests.first(Duration::from_secs(10)).unwrap();
        client.join().unwrap().unwrap();
        assert!(!requests.contended, "it came while the writer was idle");
        let began = Instant::now();
        assert!(requests.next(latest()).is_none() && began.elapsed() < flush / QUIET);
        requests.committed(&group, flush);

        inbox.send(one()).unwrap();
        let mut group = requests.first(Duration::from_secs(10)).unwrap();
        assert!(requests.contended, "it came while another was written");
        inbox.send(one()).unwrap();
        group.extend(requests.next(latest()));
        requests.committed(&group, flush);
        assert!(requests.contended, "two were written together");
        let began = Instant::now();
        assert!(requests.next(latest()).is_none() && began.elapsed() >= flush / QUIET);
        requests.committed(&[one(), Box::new(Asked { can_wait: true })], flush);
        assert!(!requests.contended);
    }
}
