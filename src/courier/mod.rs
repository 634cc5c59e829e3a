//! The courier: claims due deliveries, renders, audits once more, sends, records.
//!
//! claim → render → audit → send → record; retry schedule, circuit breaker, leases.
//!
//! * [`schedule`] when a copy is tried again, and who is told (pure)
//! * `board` what the tasks share
//! * `message` messages at hand; `copy` one copy, rendered and audited; `seal` marked and signed
//! * `place` one delivery after another; `claims` where they come from, and their leases

mod board;
mod claims;
mod copy;
mod message;
mod place;
pub mod schedule;
mod seal;

use crate::clock::hours::Term;
use crate::clock::{Clock, Entropy};
use crate::message::Address;
use crate::store::{Claim, Store, StoredMessage};
use crate::upstream::Upstream;
pub use crate::upstream::breaker;
use board::{Board, Bounds};
use breaker::Breaker;
use message::{Loaded, Shelf};
use schedule::Schedule;
use seal::Sealer;
pub use seal::{Leaving, Seals, Signed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use tokio::task::{JoinHandle, JoinSet};

/// The courier as intake sees it: may a fresh delivery go straight to it?
pub trait Dispatch: Send + Sync + 'static {
    /// Takes up to `wanted` free places; the rest waits in the store.
    fn reserve(&self, wanted: usize) -> Box<dyn Reservation>;
    /// Says that something became due.
    fn wake(&self);
}

/// Places taken in the courier; given back when dropped unused.
pub trait Reservation: Send {
    /// How many.
    fn places(&self) -> usize;
    /// Uses the places for these claims (at most as many), all of this message, which is at hand and
    /// need not be read from the store.
    fn dispatch(self: Box<Self>, message: Arc<StoredMessage>, claims: Vec<Claim>);
}

/// What the courier works with.
pub struct Deps {
    /// Where deliveries are.
    pub store: Arc<dyn Store>,
    /// Where they go.
    pub upstream: Arc<dyn Upstream>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Jitter.
    pub entropy: Arc<dyn Entropy>,
    /// Keys that sign copies, and our marks.
    pub seals: Arc<Seals>,
    /// Numbers.
    pub settings: Settings,
}

/// The courier's numbers, each with a default worth keeping.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Deliveries under way at once.
    pub places: usize,
    /// Deliveries claimed ahead of a free place.
    pub ahead: usize,
    /// How long a claim holds without being renewed.
    pub lease: Duration,
    /// How often it is renewed.
    pub renew: Duration,
    /// How often the store is looked at when nobody says that something is due.
    pub poll: Duration,
    /// How long a drain waits for the answer to a final dot.
    pub drain: Duration,
    /// How long a message that the second lock stopped is held before it is returned.
    pub hold_for: Term,
    /// Who is asked about what the second lock stopped, where nobody was asked before.
    pub approvers: Vec<Address>,
    /// Retries.
    pub schedule: Schedule,
    /// Circuit breaker.
    pub breaker: breaker::Limits,
}

impl Default for Settings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            places: 20,
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

/// Everything the courier's tasks know.
pub struct Courier {
    store: Arc<dyn Store>,
    upstream: RwLock<Arc<dyn Upstream>>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    settings: Settings,
    /// How long a stopped message is held, and who is asked about it.
    stopping: RwLock<(Term, Vec<Address>)>,
    board: Arc<Board>,
    shelf: Shelf,
    sealer: Sealer,
    draining: watch::Sender<bool>,
    /// One of its tasks has ended.
    ended: watch::Sender<bool>,
}

/// Tells when the task that owns it ends, in whatever way.
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
            places: settings.places.max(1),
            ahead: settings.ahead,
            lease: settings.lease,
            breaker: settings.breaker,
        };
        let courier = Arc::new(Self {
            board: Arc::new(Board::new(bounds)),
            shelf: Shelf::default(),
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
        for _ in 0..bounds.places {
            tasks.spawn(watched(Ends(Arc::clone(&courier)), place::work(Arc::clone(&courier))));
        }
        tasks.spawn(watched(Ends(Arc::clone(&courier)), claims::claim(Arc::clone(&courier))));
        let renewer = tokio::spawn(watched(Ends(Arc::clone(&courier)), claims::renew(Arc::clone(&courier))));
        CourierHandle { courier, tasks: Arc::new(Mutex::new(tasks)), renewer: Arc::new(renewer) }
    }

    /// The way out in force.
    fn upstream(&self) -> Arc<dyn Upstream> {
        Arc::clone(&self.upstream.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for the drain to begin.
    async fn drained(&self) {
        // the sender is our own: it cannot go away
        let _ = self.draining.subscribe().wait_for(|draining| *draining).await;
    }
}

/// A task of this courier, whose end is seen.
async fn watched(end: Ends, work: impl Future<Output = ()>) {
    work.await;
    drop(end);
}

/// A running courier. Clones are the same courier.
#[derive(Clone)]
pub struct CourierHandle {
    courier: Arc<Courier>,
    tasks: Arc<Mutex<JoinSet<()>>>,
    renewer: Arc<JoinHandle<()>>,
}

/// What the courier is doing, for metrics and `queue list`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// The upstream's name.
    pub upstream: String,
    /// Deliveries that can be under way at once.
    pub places: usize,
    /// Deliveries under way.
    pub busy: usize,
    /// Deliveries claimed and not begun.
    pub ahead: usize,
    /// The circuit breaker.
    pub breaker: Breaker,
}

impl CourierHandle {
    /// What it is doing.
    pub fn stats(&self) -> Stats {
        let (busy, ahead) = self.courier.board.load();
        Stats {
            upstream: self.courier.upstream().name().to_owned(),
            places: self.courier.settings.places,
            busy,
            ahead,
            breaker: self.courier.board.breaker(),
        }
    }

    /// Whether all its tasks run.
    pub fn is_whole(&self) -> bool {
        !*self.courier.ended.borrow()
    }

    /// Waits until one of its tasks ended that must not have: for ever, if all goes well.
    pub async fn broken(self) {
        let mut ended = self.courier.ended.subscribe();
        // The sender is our own: it cannot go away.
        let _ = ended.wait_for(|ended| *ended).await;
        if self.courier.board.is_draining() {
            std::future::pending::<()>().await;
        }
    }

    /// Puts other keys and marks into force, for copies sent from now on.
    pub fn replace_seals(&self, seals: Arc<Seals>) {
        self.courier.sealer.replace(seals);
    }

    /// Holds what the second lock stops so long from now on, and asks these.
    pub fn replace_stopping(&self, hold_for: Term, approvers: Vec<Address>) {
        let mut stopping = self.courier.stopping.write().unwrap_or_else(PoisonError::into_inner);
        *stopping = (hold_for, approvers);
    }

    /// Sends another way from now on; what is under way ends the way it began. The breaker starts anew,
    /// for what it knows is of the former way.
    pub fn replace_upstream(&self, upstream: Arc<dyn Upstream>) {
        *self.courier.upstream.write().unwrap_or_else(PoisonError::into_inner) = upstream;
        self.courier.board.forget_breaker();
        self.courier.board.wake();
    }

    /// Stops: nothing new is begun, transactions before their final dot are broken off and put back,
    /// those after it are waited for, up to [`Settings::drain`], then recorded as uncertain. All tasks
    /// have ended afterwards.
    pub async fn drain(&self) {
        let waiting = self.courier.board.drain();
        self.courier.draining.send_replace(true);
        for job in waiting {
            self.courier.give_back(&job.claim, "").await;
        }
        let mut tasks = self.tasks.lock().await;
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a task of the courier did not end well");
            }
        }
        drop(tasks);
        // a claim that was on its way when the drain began came in behind it
        for job in self.courier.board.drain() {
            self.courier.give_back(&job.claim, "").await;
        }
        self.renewer.abort();
        self.courier.upstream().close().await;
    }
}

impl Dispatch for CourierHandle {
    fn reserve(&self, wanted: usize) -> Box<dyn Reservation> {
        let places = self.courier.board.reserve(wanted);
        Box::new(Places { courier: Arc::clone(&self.courier), places })
    }

    fn wake(&self) {
        self.courier.board.wake();
    }
}

/// Places kept free for one message.
struct Places {
    courier: Arc<Courier>,
    places: usize,
}

impl Reservation for Places {
    fn places(&self) -> usize {
        self.places
    }

    fn dispatch(mut self: Box<Self>, message: Arc<StoredMessage>, claims: Vec<Claim>) {
        let loaded = Arc::new(Loaded::new(message));
        self.courier.shelf.put(&loaded);
        let places = std::mem::take(&mut self.places);
        self.courier.board.redeem(places, claims, Some(&loaded), self.courier.clock.now());
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        if self.places > 0 {
            self.courier.board.redeem(self.places, Vec::new(), None, self.courier.clock.now());
        }
    }
}
