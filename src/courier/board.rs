//! What the courier's tasks share: work at hand, places taken, breaker, leases. Its lock is held
//! for moments only, never across a wait.

use super::breaker::{self, Breaker};
use super::message::Loaded;
use crate::clock::Timestamp;
use crate::store::{Claim, Lease};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// A claimed delivery, perhaps with its message at hand.
pub(super) struct Job {
    pub(super) claim: Claim,
    pub(super) message: Option<Arc<Loaded>>,
    pub(super) hold: Arc<Hold>,
}

/// Our hold on a lease, looked at just before the final dot.
#[derive(Debug)]
pub(super) struct Hold {
    lost: AtomicBool,
    until: AtomicI64,
    dotted: AtomicBool,
}

impl Hold {
    fn new(until: Timestamp) -> Arc<Self> {
        let (lost, dotted) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self { lost, until: AtomicI64::new(until.0), dotted })
    }

    /// Whether the lease is ours at this moment.
    pub(super) fn is_ours(&self, now: Timestamp) -> bool {
        !self.lost.load(Ordering::Acquire) && now.0 < self.until.load(Ordering::Acquire)
    }

    /// The final dot leaves now.
    pub(super) fn dot(&self) {
        self.dotted.store(true, Ordering::Release);
    }

    /// Whether the final dot was let go: from then on the upstream may have the copy.
    pub(super) fn is_dotted(&self) -> bool {
        self.dotted.load(Ordering::Acquire)
    }
}

/// How much is taken on at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Deliveries under way at once.
    pub(super) places: usize,
    /// Claimed ahead, so that a claim's commit serves many.
    pub(super) ahead: usize,
    pub(super) lease: Duration,
    pub(super) breaker: breaker::Limits,
}

/// See the module.
pub(super) struct Board {
    state: Mutex<State>,
    bounds: Bounds,
    /// Work came, for the places.
    work: Notify,
    /// Something changed that a claim depends on.
    changed: Notify,
}

struct State {
    jobs: VecDeque<Job>,
    busy: usize,
    reserved: usize,
    breaker: Breaker,
    /// The store may have due work: it is claimed as room comes, and fresh mail queues up behind it.
    behind: bool,
    draining: bool,
    leases: HashMap<Lease, Arc<Hold>>,
}

/// What may be claimed now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// So many.
    For(usize),
    /// None before that moment, unless something changes.
    None(Option<Timestamp>),
}

impl Board {
    pub(super) fn new(bounds: Bounds) -> Self {
        let state = State {
            jobs: VecDeque::new(),
            busy: 0,
            reserved: 0,
            breaker: Breaker::default(),
            behind: true,
            draining: false,
            leases: HashMap::new(),
        };
        Self { state: Mutex::new(state), bounds, work: Notify::new(), changed: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // no code that can panic runs under it
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many deliveries may be claimed now.
    pub(super) fn room(&self, now: Timestamp) -> Room {
        let mut state = self.lock();
        state.breaker =
            std::mem::take(&mut state.breaker).after(breaker::Event::Tick, now, &self.bounds.breaker);
        let taken = state.jobs.len() + state.reserved;
        if state.draining || taken > self.bounds.places / 2 {
            return Room::None(None);
        }
        let mut room = (self.bounds.places + self.bounds.ahead).saturating_sub(taken + state.busy);
        if let Some(most) = state.breaker.admits() {
            room = room.min(most.saturating_sub(taken + state.busy));
        }
        if room == 0 {
            return Room::None(state.breaker.changes_at());
        }
        Room::For(room)
    }

    /// Takes claims in, of `room` that were asked for.
    pub(super) fn claimed(&self, claims: Vec<Claim>, room: usize, now: Timestamp) {
        let count = claims.len();
        let mut state = self.lock();
        state.behind = count >= room;
        self.add(&mut state, claims, None, now);
    }

    fn add(&self, state: &mut State, claims: Vec<Claim>, message: Option<&Arc<Loaded>>, now: Timestamp) {
        for claim in claims {
            let hold = Hold::new(now.plus(self.bounds.lease));
            state.leases.insert(claim.lease, Arc::clone(&hold));
            state.jobs.push_back(Job { claim, message: message.cloned(), hold });
            self.work.notify_one();
        }
    }

    /// Takes up to `wanted` places for fresh mail: none while older mail waits in the store.
    pub(super) fn reserve(&self, wanted: usize) -> usize {
        let mut state = self.lock();
        if state.draining || state.behind || state.breaker.admits().is_some() {
            return 0;
        }
        let taken = state.jobs.len() + state.reserved + state.busy;
        let places = wanted.min((self.bounds.places + self.bounds.ahead).saturating_sub(taken));
        state.reserved += places;
        // the rest is going to the store, and what comes next belongs behind it
        state.behind = places < wanted;
        places
    }

    /// Turns reserved places into work, or gives them back.
    pub(super) fn redeem(
        &self,
        places: usize,
        claims: Vec<Claim>,
        message: Option<&Arc<Loaded>>,
        now: Timestamp,
    ) {
        let mut state = self.lock();
        state.reserved = state.reserved.saturating_sub(places);
        self.add(&mut state, claims, message, now);
        self.claim_more(&state);
    }

    /// The next job for a place, which is then busy; `None` once the courier drains.
    pub(super) async fn next(&self) -> Option<Job> {
        loop {
            let arrived = self.work.notified();
            {
                let mut state = self.lock();
                if state.draining {
                    return None;
                }
                if let Some(job) = state.jobs.pop_front() {
                    state.busy += 1;
                    if !state.jobs.is_empty() {
                        // one call may have stood for several jobs
                        self.work.notify_one();
                    }
                    self.claim_more(&state);
                    return Some(job);
                }
            }
            arrived.await;
        }
    }

    /// A place is free again.
    pub(super) fn done(&self, lease: Lease) {
        let mut state = self.lock();
        state.busy = state.busy.saturating_sub(1);
        state.leases.remove(&lease);
        self.claim_more(&state);
    }

    /// Has more claimed, if there may be more, once enough was worked off to make it worth a commit.
    fn claim_more(&self, state: &State) {
        if state.behind && state.jobs.len() + state.reserved <= self.bounds.places / 2 {
            self.changed.notify_one();
        }
    }

    /// What the breaker knows is of a way that is used no more.
    pub(super) fn forget_breaker(&self) {
        self.lock().breaker = Breaker::default();
    }

    /// Tells the breaker. What was claimed ahead is handed out when it just opened: to be given back.
    pub(super) fn report(&self, event: breaker::Event, now: Timestamp) -> Vec<Job> {
        let mut state = self.lock();
        let was = state.breaker.admits();
        state.breaker = std::mem::take(&mut state.breaker).after(event, now, &self.bounds.breaker);
        if state.breaker.admits() == was {
            return Vec::new();
        }
        drop(state);
        tracing::warn!(breaker = %self.breaker(), "the way to the upstream changed");
        self.changed.notify_one();
        if self.breaker().admits().is_some() { self.take_back() } else { Vec::new() }
    }

    /// All work not begun. Its leases are let go.
    fn take_back(&self) -> Vec<Job> {
        let mut state = self.lock();
        let jobs: Vec<Job> = state.jobs.drain(..).collect();
        for job in &jobs {
            state.leases.remove(&job.claim.lease);
        }
        jobs
    }

    /// No more work is taken or begun. What was not begun is handed out.
    pub(super) fn drain(&self) -> Vec<Job> {
        self.lock().draining = true;
        self.work.notify_waiters();
        self.changed.notify_one();
        self.take_back()
    }

    /// Something became due in the store.
    pub(super) fn wake(&self) {
        self.lock().behind = true;
        self.changed.notify_one();
    }

    /// Whether the store may have due work.
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

    /// The leases that must be kept.
    pub(super) fn leases(&self) -> Vec<Lease> {
        self.lock().leases.keys().copied().collect()
    }

    /// Notes what a renewal of these leases gave.
    pub(super) fn renewed(&self, leases: &[Lease], lost: &[Lease], until: Timestamp) {
        let state = self.lock();
        for lease in leases {
            if let Some(hold) = state.leases.get(lease) {
                if lost.contains(lease) {
                    hold.lost.store(true, Ordering::Release);
                } else {
                    hold.until.store(until.0, Ordering::Release);
                }
            }
        }
    }

    pub(super) fn breaker(&self) -> Breaker {
        self.lock().breaker.clone()
    }

    /// Deliveries under way, and claimed ahead.
    pub(super) fn load(&self) -> (usize, usize) {
        let state = self.lock();
        (state.busy, state.jobs.len() + state.reserved)
    }
}
