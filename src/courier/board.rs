//! The state shared by the courier's tasks: queued jobs, busy workers, circuit breaker, leases. Its lock is
//! held briefly and never across an await.

use super::breaker::{self, Breaker};
use super::message::Loaded;
use crate::clock::Timestamp;
use crate::store::{Claim, Lease};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// A claimed delivery, with its message if that is already in memory.
pub(super) struct Job {
    pub(super) claim: Claim,
    pub(super) message: Option<Arc<Loaded>>,
    pub(super) status: Arc<LeaseStatus>,
}

/// What this process knows about one of its leases. Checked just before the final dot.
#[derive(Debug)]
pub(super) struct LeaseStatus {
    lost: AtomicBool,
    until: AtomicI64,
    dotted: AtomicBool,
}

impl LeaseStatus {
    fn new(until: Timestamp) -> Arc<Self> {
        let (lost, dotted) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self { lost, until: AtomicI64::new(until.0), dotted })
    }

    /// Whether we own the lease at this moment.
    pub(super) fn is_ours(&self, now: Timestamp) -> bool {
        !self.lost.load(Ordering::Acquire) && now.0 < self.until.load(Ordering::Acquire)
    }

    /// Notes that the final dot is being sent.
    pub(super) fn dot(&self) {
        self.dotted.store(true, Ordering::Release);
    }

    /// Whether the final dot may have been sent, so that the upstream may have accepted the copy.
    pub(super) fn is_dotted(&self) -> bool {
        self.dotted.load(Ordering::Acquire)
    }
}

/// How much work the courier takes at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Number of workers: deliveries in progress at once.
    pub(super) workers: usize,
    /// Deliveries claimed in advance, so that one database commit claims many.
    pub(super) ahead: usize,
    /// How many results may wait to be recorded before no delivery is started any more: if the relay crashes, all of
    /// these are sent again.
    pub(super) unrecorded: usize,
    /// Duration of a lease.
    pub(super) lease: Duration,
    pub(super) breaker: breaker::Limits,
}

/// The shared state; see the module documentation.
pub(super) struct Board {
    state: Mutex<State>,
    bounds: Bounds,
    /// Wakes workers: a job was queued.
    work: Notify,
    /// Wakes the claiming task: there may be more to claim, or room for it.
    changed: Notify,
}

struct State {
    jobs: VecDeque<Job>,
    busy: usize,
    /// Deliveries that ended, and whose results are being recorded.
    unrecorded: usize,
    reserved: usize,
    breaker: Breaker,
    /// Whether the store may have due deliveries. They are claimed as workers become free, and new mail
    /// waits behind them.
    behind: bool,
    draining: bool,
    leases: HashMap<Lease, Arc<LeaseStatus>>,
}

/// The numbers of deliveries in progress, of those whose results are being recorded, and of those claimed in advance.
pub(super) struct Load {
    pub(super) busy: usize,
    pub(super) recording: usize,
    pub(super) ahead: usize,
}

/// A delivery that ended, and whose result is being recorded.
pub(super) struct Unrecorded {
    board: Arc<Board>,
    lease: Lease,
}

impl Drop for Unrecorded {
    fn drop(&mut self) {
        self.board.recorded(self.lease);
    }
}

/// How many deliveries may be claimed now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// This many.
    For(usize),
    /// None before this time, unless something changes.
    None(Option<Timestamp>),
}

impl Board {
    pub(super) fn new(bounds: Bounds) -> Self {
        let state = State {
            jobs: VecDeque::new(),
            busy: 0,
            unrecorded: 0,
            reserved: 0,
            breaker: Breaker::default(),
            behind: true,
            draining: false,
            leases: HashMap::new(),
        };
        Self { state: Mutex::new(state), bounds, work: Notify::new(), changed: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // no code that can panic runs while it is held
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Computes how many deliveries may be claimed now.
    pub(super) fn room(&self, now: Timestamp) -> Room {
        let mut state = self.lock();
        state.breaker =
            std::mem::take(&mut state.breaker).after(breaker::Event::Tick, now, &self.bounds.breaker);
        let taken = state.jobs.len() + state.reserved;
        if state.draining || taken > self.bounds.workers / 2 {
            return Room::None(None);
        }
        let mut room = (self.bounds.workers + self.bounds.ahead).saturating_sub(taken + state.busy);
        if let Some(most) = state.breaker.admits() {
            room = room.min(most.saturating_sub(taken + state.busy));
        }
        if room == 0 {
            return Room::None(state.breaker.changes_at());
        }
        Room::For(room)
    }

    /// Queues claimed deliveries. `room` is how many were asked for.
    pub(super) fn claimed(&self, claims: Vec<Claim>, room: usize, now: Timestamp) {
        let count = claims.len();
        let mut state = self.lock();
        state.behind = count >= room;
        self.add(&mut state, claims, None, now);
    }

    fn add(&self, state: &mut State, claims: Vec<Claim>, message: Option<&Arc<Loaded>>, now: Timestamp) {
        for claim in claims {
            let status = LeaseStatus::new(now.plus(self.bounds.lease));
            state.leases.insert(claim.lease, Arc::clone(&status));
            state.jobs.push_back(Job { claim, message: message.cloned(), status });
            self.work.notify_one();
        }
    }

    /// Reserves up to `wanted` slots for new mail; none while older mail waits in the store.
    pub(super) fn reserve(&self, wanted: usize) -> usize {
        let mut state = self.lock();
        if state.draining || state.behind || state.breaker.admits().is_some() {
            return 0;
        }
        let taken = state.jobs.len() + state.reserved + state.busy;
        let slots = wanted.min((self.bounds.workers + self.bounds.ahead).saturating_sub(taken));
        state.reserved += slots;
        // the rest goes to the store, and later mail must wait behind it
        state.behind = slots < wanted;
        slots
    }

    /// Queues claims for reserved slots and releases the reservation.
    pub(super) fn redeem(
        &self,
        slots: usize,
        claims: Vec<Claim>,
        message: Option<&Arc<Loaded>>,
        now: Timestamp,
    ) {
        let mut state = self.lock();
        state.reserved = state.reserved.saturating_sub(slots);
        self.add(&mut state, claims, message, now);
        self.claim_more(&state);
    }

    /// Whether slots are reserved for mail that is being committed now.
    pub(super) fn awaits_claims(&self) -> bool {
        self.lock().reserved > 0
    }

    /// Waits for the next job and marks a worker busy. `None` once the courier drains.
    pub(super) async fn next(&self) -> Option<Job> {
        loop {
            let arrived = self.work.notified();
            {
                let mut state = self.lock();
                if state.draining {
                    return None;
                }
                if state.unrecorded < self.bounds.unrecorded
                    && let Some(job) = state.jobs.pop_front()
                {
                    state.busy += 1;
                    if !state.jobs.is_empty() {
                        // one notification may have been for several jobs
                        self.work.notify_one();
                    }
                    self.claim_more(&state);
                    return Some(job);
                }
            }
            arrived.await;
        }
    }

    /// Notes that a worker is free again. The lease lasts until its result is recorded, and what this returns dropped.
    pub(super) fn sent(board: &Arc<Self>, lease: Lease) -> Unrecorded {
        let mut state = board.lock();
        state.busy = state.busy.saturating_sub(1);
        state.unrecorded += 1;
        board.claim_more(&state);
        Unrecorded { board: Arc::clone(board), lease }
    }

    fn recorded(&self, lease: Lease) {
        let mut state = self.lock();
        if state.unrecorded == self.bounds.unrecorded {
            self.work.notify_one();
        }
        state.unrecorded -= 1;
        state.leases.remove(&lease);
    }

    /// Whether results are being recorded.
    pub(super) fn is_recording(&self) -> bool {
        self.lock().unrecorded > 0
    }

    /// Wakes the claiming task if there may be more to claim and enough workers are free to make a commit
    /// worthwhile.
    fn claim_more(&self, state: &State) {
        if state.behind && state.jobs.len() + state.reserved <= self.bounds.workers / 2 {
            self.changed.notify_one();
        }
    }

    /// Resets the circuit breaker, because the upstream was replaced.
    pub(super) fn forget_breaker(&self) {
        self.lock().breaker = Breaker::default();
    }

    /// Reports an event to the circuit breaker. If it opens, returns the queued jobs, to be given back to
    /// the store.
    pub(super) fn report(&self, event: breaker::Event, now: Timestamp) -> Vec<Job> {
        let mut state = self.lock();
        let was = state.breaker.admits();
        state.breaker = std::mem::take(&mut state.breaker).after(event, now, &self.bounds.breaker);
        if state.breaker.admits() == was {
            return Vec::new();
        }
        drop(state);
        let breaker = self.breaker();
        self.changed.notify_one();
        if breaker.admits().is_some() {
            tracing::warn!(%breaker, "circuit breaker opened");
            self.take_back()
        } else {
            tracing::warn!("circuit breaker closed");
            Vec::new()
        }
    }

    /// Removes all queued jobs and stops renewing their leases.
    fn take_back(&self) -> Vec<Job> {
        let mut state = self.lock();
        let jobs: Vec<Job> = state.jobs.drain(..).collect();
        for job in &jobs {
            state.leases.remove(&job.claim.lease);
        }
        jobs
    }

    /// Begins a drain: no job is queued or started any more. Returns the queued jobs.
    pub(super) fn drain(&self) -> Vec<Job> {
        self.lock().draining = true;
        self.work.notify_waiters();
        self.changed.notify_one();
        self.take_back()
    }

    /// Notes that a delivery became due in the store.
    pub(super) fn wake(&self) {
        self.lock().behind = true;
        self.changed.notify_one();
    }

    /// Whether the store may have due deliveries.
    pub(super) fn is_behind(&self) -> bool {
        self.lock().behind
    }

    /// Waits until there may be more to claim, or room for it.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(super) fn is_draining(&self) -> bool {
        self.lock().draining
    }

    /// The leases to renew.
    pub(super) fn leases(&self) -> Vec<Lease> {
        self.lock().leases.keys().copied().collect()
    }

    /// Records the result of renewing `leases`: those in `lost` are gone, the others last `until`.
    pub(super) fn renewed(&self, leases: &[Lease], lost: &[Lease], until: Timestamp) {
        let state = self.lock();
        for lease in leases {
            if let Some(status) = state.leases.get(lease) {
                if lost.contains(lease) {
                    status.lost.store(true, Ordering::Release);
                } else {
                    status.until.store(until.0, Ordering::Release);
                }
            }
        }
    }

    pub(super) fn breaker(&self) -> Breaker {
        self.lock().breaker.clone()
    }

    pub(super) fn load(&self) -> Load {
        let state = self.lock();
        let ahead = state.jobs.len() + state.reserved;
        Load { busy: state.busy, recording: state.unrecorded, ahead }
    }
}
