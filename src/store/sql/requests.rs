//! The requests that wait for the writer, and how a group of them is collected.
//!
//! The requests that arrive while the log is flushed form the next group. Where other threads flush, they are run
//! meanwhile; their transaction ends when the next flush can begin. On a disk with fast flushes, nothing else waits for
//! a group to fill. On a slow disk, if several clients send, the writer waits a fraction of a flush longer while more
//! requests arrive, because a request that misses a group waits for a whole flush; and what nobody waits for, as the
//! result of a copy, waits as long for a request to share a flush with.

use super::db::Connection;
use super::error::Failure;
use super::repeats::Repeats;
use super::writer::{BUDGET, Job};
use crate::store::Histogram;
use crossbeam_channel::{Receiver, RecvTimeoutError, never, select};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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
/// How many slow flushes are under way at most. Of fast ones, it is one: two would have half a group each.
const SLOW_FLUSHES: usize = 2;

/// After a group of several clients, they count as sharing flushes for so many groups.
const SHARING: u32 = 16;

/// Upper bounds, in seconds, of the histogram of request durations.
const BOUNDS: [f64; 8] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];

/// An empty histogram of request durations.
pub(in crate::store) fn histogram() -> Histogram {
    Histogram::new(BOUNDS)
}

/// The waiting requests, and how a group of them is collected.
pub(in crate::store) struct Requests {
    inbox: Receiver<Box<dyn Job>>,
    /// Tells of each flush by another thread how long it took.
    flushes: Receiver<Duration>,
    /// How many of them are under way.
    under_way: usize,
    /// The moving average of the duration of a flush.
    flush: Duration,
    /// Whether a body may lie in a file that is flushed for itself: flushes are fast, and several clients share them.
    apart: Arc<AtomicBool>,
    /// For how many groups more they count as sharing flushes.
    sharing: u32,
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
        let (flush, flushes) = (Duration::ZERO, never());
        let apart = Arc::default();
        Self { inbox, flushes, under_way: 0, flush, apart, sharing: 0, contended: false, seconds, repeats }
    }

    /// Other threads flush, and tell here how long each flush took. `apart` is told whether one flush more for a body
    /// costs little.
    pub(in crate::store) fn flushed_elsewhere(
        &mut self,
        flushes: Receiver<Duration>,
        apart: Arc<AtomicBool>,
    ) {
        (self.flushes, self.apart) = (flushes, apart);
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

    /// A group was committed.
    pub(in crate::store) fn committed(&mut self, group: &[Box<dyn Job>]) {
        self.contended = group.iter().filter(|job| !job.can_wait()).nth(1).is_some();
        self.sharing = if self.contended { SHARING } else { self.sharing.saturating_sub(1) };
        self.apart.store(self.sharing > 0 && self.flush < SLOW, Ordering::Relaxed);
        self.repeats().keep();
    }

    /// A flush took this long.
    pub(in crate::store) fn flushed(&mut self, took: Duration) {
        self.flush = (self.flush * 7 + took) / 8;
    }

    /// Another thread is to flush a group.
    pub(in crate::store) fn flushing(&mut self) {
        self.under_way += 1;
    }

    /// Whether nothing could be done while a group is flushed: nobody else waits for the writer.
    pub(in crate::store) fn idle(&mut self) -> bool {
        self.may_flush() && self.under_way == 0 && !self.contended && self.inbox.is_empty()
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
        &mut self,
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

    /// The next request if one is waiting, or comes before a flush can begin; on a slow disk, also one that arrives
    /// soon.
    fn next(&mut self, latest: Instant) -> Option<Box<dyn Job>> {
        loop {
            if let Ok(next) = self.inbox.try_recv() {
                return Some(next);
            }
            if self.may_flush() {
                break;
            }
            select! {
                recv(self.inbox) -> next => return next.ok(),
                recv(self.flushes) -> took => self.ended(took.unwrap_or_default()),
            }
        }
        if self.flush < SLOW || !self.contended {
            return None;
        }
        let wait = (self.flush / QUIET).min(latest.saturating_duration_since(Instant::now()));
        self.inbox.recv_timeout(wait).ok()
    }

    /// Whether another flush can begin now.
    fn may_flush(&mut self) -> bool {
        while let Ok(took) = self.flushes.try_recv() {
            self.ended(took);
        }
        self.under_way < if self.flush < SLOW { 1 } else { SLOW_FLUSHES }
    }

    fn ended(&mut self, took: Duration) {
        self.under_way = self.under_way.saturating_sub(1);
        self.flushed(took);
    }

    fn took(&self, took: Duration, name: &'static str) {
        self.seconds.observe(took.as_secs_f64());
        if took > BUDGET {
            let millis = took.as_millis();
            tracing::warn!(millis, request = name, "a request held the store's writer longer than it may");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;
    use crossbeam_channel::{Sender, unbounded};

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

    fn requests(flush: Duration) -> (Sender<Box<dyn Job>>, Requests) {
        let (inbox, requests) = unbounded();
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
        requests.committed(&group);

        inbox.send(one()).unwrap();
        let mut group = requests.first(Duration::from_secs(10)).unwrap();
        assert!(requests.contended, "it came while another was written");
        inbox.send(one()).unwrap();
        group.extend(requests.next(latest()));
        requests.committed(&group);
        assert!(requests.contended, "two were written together");
        let began = Instant::now();
        assert!(requests.next(latest()).is_none() && began.elapsed() >= flush / QUIET);
        requests.committed(&[one(), Box::new(Asked { can_wait: true })]);
        assert!(!requests.contended);
    }

    #[test]
    fn bodies_lie_apart_while_several_clients_share_fast_flushes() {
        let one = || -> Box<dyn Job> { Box::new(Asked { can_wait: false }) };
        let (_inbox, mut requests) = requests(Duration::ZERO);
        let apart = |requests: &mut Requests, group: &[Box<dyn Job>]| {
            requests.committed(group);
            requests.apart.load(Ordering::Relaxed)
        };
        assert!(!apart(&mut requests, &[one()]));
        assert!(apart(&mut requests, &[one(), one()]));
        for _ in 1..SHARING {
            assert!(apart(&mut requests, &[one()]));
        }
        assert!(!apart(&mut requests, &[one()]));
        requests.flush = SLOW;
        assert!(!apart(&mut requests, &[one(), one()]));
    }

    #[test]
    fn a_group_grows_until_a_flush_can_begin() {
        let one = || -> Box<dyn Job> { Box::new(Asked { can_wait: false }) };
        let (inbox, mut requests) = requests(Duration::ZERO);
        let (end, ended) = unbounded();
        requests.flushed_elsewhere(ended, Arc::default());
        assert!(requests.idle());
        requests.flushing();
        assert!(!requests.idle());
        let later = std::thread::spawn({
            let inbox = inbox.clone();
            move || {
                std::thread::park_timeout(Duration::from_millis(20));
                inbox.send(one()).unwrap();
                std::thread::park_timeout(Duration::from_millis(20));
                end.send(Duration::from_micros(80)).unwrap();
                end
            }
        });
        assert!(requests.next(Instant::now()).is_some(), "it came while the flush was under way");
        assert!(requests.next(Instant::now()).is_none(), "the flush has ended");
        assert!(requests.idle() && requests.flush == Duration::from_micros(10));
        drop(later.join().unwrap());
        requests.flush = SLOW;
        for under_way in 1..=SLOW_FLUSHES {
            requests.flushing();
            assert_eq!(requests.may_flush(), under_way < SLOW_FLUSHES, "{under_way}");
        }
    }
}
