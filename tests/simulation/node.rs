//! A simulated node: an intake and the work that its courier has in memory, which a crash takes away.

use crate::dice::Dice;
use sekisho::clock::{ManualClock, Timestamp};
use sekisho::examine::Examiner;
use sekisho::intake::{Deps, Dispatch, Intake, Reservation, Settings};
use sekisho::store::{Claim, Lease, Store, StoredMessage};
use sekisho::upstream::Fate;
use std::sync::{Arc, Mutex};

/// A delivery that a node has claimed.
pub(crate) struct Job {
    pub(crate) claim: Claim,
    /// The end of the lease, as far as the node knows.
    pub(crate) until: Timestamp,
    /// What the upstream said, once it was asked.
    pub(crate) answer: Option<Vec<Fate>>,
}

pub(crate) struct Node {
    pub(crate) intake: Intake,
    pub(crate) slots: Arc<Slots>,
    pub(crate) jobs: Vec<Job>,
    /// It was stopped (SIGSTOP, a long pause): it does nothing, and does not know that time goes by.
    pub(crate) frozen: bool,
}

impl Node {
    pub(crate) fn new(
        store: &Arc<dyn Store>,
        clock: &Arc<ManualClock>,
        entropy: &Arc<Dice>,
        examiner: Examiner,
        settings: Settings,
    ) -> Self {
        let slots = Arc::new(Slots::default());
        let intake = Intake::new(Deps {
            examiner,
            store: Arc::clone(store),
            dispatch: Arc::clone(&slots) as Arc<dyn Dispatch>,
            clock: Arc::clone(clock) as _,
            entropy: Arc::clone(entropy) as _,
            marks: Arc::default(),
            watcher: Arc::new(()),
            settings,
        });
        Self { intake, slots, jobs: Vec::new(), frozen: false }
    }

    pub(crate) fn leases(&self) -> Vec<Lease> {
        self.jobs.iter().map(|job| job.claim.lease).collect()
    }
}

/// The courier as the intake sees it: takes new deliveries directly, as far as there is room.
#[derive(Default)]
pub(crate) struct Slots {
    pub(crate) free: Mutex<usize>,
    pub(crate) given: Arc<Mutex<Vec<Claim>>>,
}

/// Room for some deliveries of one message.
struct Room(Arc<Mutex<Vec<Claim>>>, usize);

impl Dispatch for Slots {
    fn reserve(&self, wanted: usize) -> Box<dyn Reservation> {
        let room = wanted.min(*self.free.lock().unwrap());
        Box::new(Room(Arc::clone(&self.given), room))
    }

    fn wake(&self) {}
}

impl Reservation for Room {
    fn slots(&self) -> usize {
        self.1
    }

    fn dispatch(self: Box<Self>, _: Arc<StoredMessage>, claims: Vec<Claim>) {
        self.0.lock().unwrap().extend(claims);
    }
}
