//! The courier delivers copies: claim → render → audit → sign → send → record.
//!
//! * `claims` claims due deliveries and renews their leases
//! * `worker` sends one delivery after another, and has the results recorded meanwhile
//! * `copy` renders and audits one copy; `seal` adds our marks and signatures
//! * `message` the cache of messages; `hashes` the DKIM hashes of their bodies
//! * [`schedule`] when a copy is tried again, and which notices follow (pure functions)
//! * `board` the state shared by these tasks

mod board;
mod claims;
mod copy;
mod hashes;
mod message;
pub mod schedule;
mod seal;
mod worker;

use crate::clock::hours::Term;
use crate::clock::{Clock, Entropy};
use crate::intake::{Dispatch, Reservation};
use crate::message::Address;
use crate::store::{Claim, Store, StoredMessage};
use crate::upstream::Upstream;
pub use crate::upstream::breaker;
use board::{Board, Bounds, Load};
use breaker::Breaker;
use message::{Loaded, MessageCache};
use schedule::Schedule;
use seal::Sealer;
pub use seal::{OutgoingCopy, SealSettings, Signed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use tokio::task::{JoinHandle, JoinSet};

/// How many results may wait to be recorded, for each worker: as many as a busy relay records in one flush to disk.
const UNRECORDED: usize = 4;
/// How often a drain looks whether the last commits have ended.
const DRAIN_PAUSE: Duration = Duration::from_millis(10);

/// What the courier works with.
pub struct Deps {
    /// Where deliveries are stored.
    pub store: Arc<dyn Store>,
    /// Where deliveries are sent.
    pub upstream: Arc<dyn Upstream>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for the jitter.
    pub entropy: Arc<dyn Entropy>,
    /// DKIM keys and loop marks.
    pub seals: Arc<SealSettings>,
    /// Settings.
    pub settings: Settings,
}

/// The courier's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Number of workers: deliveries in progress at once.
    pub workers: usize,
    /// Deliveries claimed in advance of a free worker.
    pub ahead: usize,
    /// How long a lease lasts unless it is renewed.
    pub lease: Duration,
    /// Interval between renewals.
    pub renew: Duration,
    /// Interval at which the store is checked for due deliveries.
    pub poll: Duration,
    /// How long a drain waits for the reply to a final dot.
    pub drain: Duration,
    /// How long a message stopped by the final check is held before it is returned to the sender.
    pub hold_for: Term,
    /// Who decides about a message stopped by the final check, if it has no approver yet.
    pub approvers: Vec<Address>,
    /// Retry schedule.
    pub schedule: Schedule,
    /// Limits of the circuit breaker.
    pub breaker: breaker::Limits,
}

impl Default for Settings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            workers: 20,
            ahead: 60,
            lease: seconds(60),
            renew: seconds(15),
            poll: seconds(1),
            drain: seconds(60),
            hold_for: Term::always(seconds(3 * 86_400)),
            approvers: Vec::new(),
            schedule: Schedule::default(),
            breaker: breaker::Limits::default(),
        }
    }
}

/// What the courier's tasks share.
pub struct Courier {
    store: Arc<dyn Store>,
    upstream: RwLock<Arc<dyn Upstream>>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    settings: Settings,
    /// How long a stopped message is held, and who decides about it.
    stopping: RwLock<(Term, Vec<Address>)>,
    board: Arc<Board>,
    cache: MessageCache,
    sealer: Sealer,
    draining: watch::Sender<bool>,
    /// Becomes true when a task has ended.
    ended: watch::Sender<bool>,
}

/// Owned by a task; its drop reports that the task has ended, even if it panicked.
struct Ends(Arc<Courier>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.ended.send_replace(true);
    }
}

impl Courier {
    /// Starts the courier's tasks on the current runtime.
    pub fn start(deps: Deps) -> CourierHandle {
        let Deps { store, upstream, clock, entropy, seals, settings } = deps;
        let bounds = Bounds {
            workers: settings.workers.max(1),
            ahead: settings.ahead,
            unrecorded: UNRECORDED * settings.workers.max(1),
            lease: settings.lease,
            breaker: settings.breaker,
        };
        let courier = Arc::new(Self {
            board: Arc::new(Board::new(bounds)),
            cache: MessageCache::default(),
            sealer: Sealer::new(seals),
            draining: watch::Sender::new(false),
            ended: watch::Sender::new(false),
            store,
            upstream: RwLock::new(upstream),
            clock,
            entropy,
            stopping: RwLock::new((settings.hold_for.clone(), settings.approvers.clone())),
            settings,
        });
        let mut tasks = JoinSet::new();
        for _ in 0..bounds.workers {
            tasks.spawn(watched(Ends(Arc::clone(&courier)), worker::work(Arc::clone(&courier))));
        }
        tasks.spawn(watched(Ends(Arc::clone(&courier)), claims::claim(Arc::clone(&courier))));
        let renewer = tokio::spawn(watched(Ends(Arc::clone(&courier)), claims::renew(Arc::clone(&courier))));
        CourierHandle { courier, tasks: Arc::new(Mutex::new(tasks)), renewer: Arc::new(renewer) }
    }

    /// The current upstream.
    fn upstream(&self) -> Arc<dyn Upstream> {
        Arc::clone(&self.upstream.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for the drain to begin.
    async fn drained(&self) {
        // the sender lives as long as this courier, so this cannot fail
        let _ = self.draining.subscribe().wait_for(|draining| *draining).await;
    }
}

/// Runs a task and reports its end.
async fn watched(end: Ends, work: impl Future<Output = ()>) {
    work.await;
    drop(end);
}

/// A running courier. Clones refer to the same courier.
#[derive(Clone)]
pub struct CourierHandle {
    courier: Arc<Courier>,
    tasks: Arc<Mutex<JoinSet<()>>>,
    renewer: Arc<JoinHandle<()>>,
}

/// The courier's load, for metrics and `queue list`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// The upstream's name.
    pub upstream: String,
    /// Number of workers: deliveries that can be in progress at once.
    pub workers: usize,
    /// Deliveries in progress.
    pub busy: usize,
    /// Deliveries that ended, and whose results are being recorded.
    pub recording: usize,
    /// Deliveries claimed and not started.
    pub ahead: usize,
    /// The circuit breaker.
    pub breaker: Breaker,
}

impl CourierHandle {
    /// The current load.
    pub fn stats(&self) -> Stats {
        let Load { busy, recording, ahead } = self.courier.board.load();
        Stats {
            upstream: self.courier.upstream().name().to_owned(),
            workers: self.courier.settings.workers,
            busy,
            recording,
            ahead,
            breaker: self.courier.board.breaker(),
        }
    }

    /// Whether all tasks are running.
    pub fn is_whole(&self) -> bool {
        !*self.courier.ended.borrow()
    }

    /// Waits until a task ends that must not end. Normally never returns.
    pub async fn broken(self) {
        let mut ended = self.courier.ended.subscribe();
        // The sender lives as long as the courier, so this cannot fail.
        let _ = ended.wait_for(|ended| *ended).await;
        if self.courier.board.is_draining() {
            std::future::pending::<()>().await;
        }
    }

    /// Replaces keys and marks for copies sent from now on.
    pub fn replace_seals(&self, seals: Arc<SealSettings>) {
        self.courier.sealer.replace(seals);
    }

    /// Replaces how long messages stopped by the final check are held, and who decides about them.
    pub fn replace_stopping(&self, hold_for: Term, approvers: Vec<Address>) {
        let mut stopping = self.courier.stopping.write().unwrap_or_else(PoisonError::into_inner);
        *stopping = (hold_for, approvers);
    }

    /// Replaces the upstream. Deliveries in progress finish over the old one. The circuit breaker is reset,
    /// because its state is about the old upstream.
    pub fn replace_upstream(&self, upstream: Arc<dyn Upstream>) {
        *self.courier.upstream.write().unwrap_or_else(PoisonError::into_inner) = upstream;
        self.courier.board.forget_breaker();
        self.courier.board.wake();
    }

    /// Stops the courier. No delivery is started. Transactions before their final dot are aborted and given
    /// back to the store. Those after it may finish within [`Settings::drain`] and are then recorded as
    /// uncertain. All tasks have ended when this returns.
    pub async fn drain(&self) {
        let waiting = self.courier.board.drain();
        self.courier.draining.send_replace(true);
        for job in waiting {
            self.courier.give_back(&job.claim, "").await;
        }
        let mut tasks = self.tasks.lock().await;
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a task of the courier panicked or was cancelled");
            }
        }
        drop(tasks);
        while self.courier.board.is_recording() {
            tokio::time::sleep(DRAIN_PAUSE).await;
        }
        // mail whose commit was running when the drain began brings its claims only now
        let began = tokio::time::Instant::now();
        while self.courier.board.awaits_claims() && began.elapsed() < self.courier.settings.drain {
            tokio::time::sleep(DRAIN_PAUSE).await;
        }
        // these, and claims of our own that were running then, have added jobs since
        for job in self.courier.board.drain() {
            self.courier.give_back(&job.claim, "").await;
        }
        self.renewer.abort();
        self.courier.upstream().close().await;
    }
}

impl Dispatch for CourierHandle {
    fn reserve(&self, wanted: usize) -> Box<dyn Reservation> {
        let slots = self.courier.board.reserve(wanted);
        Box::new(Slots { courier: Arc::clone(&self.courier), slots })
    }

    fn wake(&self) {
        self.courier.board.wake();
    }
}

/// Slots reserved for the deliveries of one message.
struct Slots {
    courier: Arc<Courier>,
    slots: usize,
}

impl Reservation for Slots {
    fn slots(&self) -> usize {
        self.slots
    }

    fn dispatch(mut self: Box<Self>, message: Arc<StoredMessage>, claims: Vec<Claim>) {
        let loaded = Arc::new(Loaded::new(message));
        self.courier.cache.put(&loaded);
        let slots = std::mem::take(&mut self.slots);
        self.courier.board.redeem(slots, claims, Some(&loaded), self.courier.clock.now());
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        if self.slots > 0 {
            self.courier.board.redeem(self.slots, Vec::new(), None, self.courier.clock.now());
        }
    }
}
