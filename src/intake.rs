//! The one way in: decide, plan, commit in one transaction, then answer. The relay's own notices use it too.
//!
//! A session begins a [`Reception`], writes the content as it arrives, and finishes it at the final dot. 250
//! is never answered before everything is on disk in the store. An error before the verdict leads to an
//! answer that keeps the message with the client, or to a hold.
//!
//! What is known of a message grows from step to step, and no step changes what an earlier one found:
//!
//! | step | value | where |
//! |---|---|---|
//! | taken in | envelope and header block | [`Reception`] in `reception` |
//! | read | [`Examining`](crate::examine::Examining) | `mail` |
//! | judged | [`Examination`](crate::examine::Examination) | `mail` |
//! | planned | `Planned`: the copies, or that it is held | `accept`; for a fork of a held mail `held` |
//! | committed | [`NewMessage`](crate::store::NewMessage), [`Answer`] | `commit` |
//!
//! * `copies` the content of a journal copy; `own` mail of the relay's own; [`known`] how recipients stand to the
//!   sender; `budget` what upstreams have room for; [`openings`] expensive work apart; `share` memory for headers

mod accept;
mod budget;
mod commit;
pub mod copies;
mod forks;
mod held;
pub mod known;
mod mail;
pub mod openings;
mod own;
mod reception;
mod share;

use crate::clock::hours::Term;
use crate::clock::{Clock, Entropy, Timestamp};
use crate::examine::Examiner;
use crate::id::Id;
use crate::marks::Marks;
use crate::message::{Address, Envelope};
use crate::rewrite::plan::Stamp;
use crate::smtp::trace_client;
use crate::store::{Body, NoticeId, Origin, Store};
use bytes::Bytes;
pub use commit::{Dispatch, Reservation};
pub use reception::{Content, HeaderCheck, Reception};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Notify;

/// What the client is told after the final dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `250 2.0.0 queued as ID`
    Queued(Id),
    /// `250 2.0.0 held as ID: REASON` (the first 100 ASCII characters must be understandable)
    Held(Id, String),
    /// `250 2.0.0 noted as ID`: a copy for the journal. What was learned is on disk; the rest is discarded.
    Noted(Id),
    /// `550 5.7.1 …`: a rule rejects the message; nothing is stored.
    Rejected(String),
    /// `554 5.4.6`: a loop.
    Loop(String),
    /// `552 5.3.4`: the header block is over its limit.
    TooLarge(String),
    /// `554 5.6.0`: MIME over the limits.
    Mime(String),
    /// `452 4.3.1`: the store is full.
    Full,
    /// `451 4.3.0`: the store is not available.
    Unavailable,
}

/// The intake as SMTP sessions use it: mail from clients. The listener's tests use a fake.
#[async_trait::async_trait]
pub trait ClientIntake: Send + Sync + 'static {
    /// Begins the content of a transaction (after DATA, before 354). An `Err` is sent instead of the 354.
    /// `check` is asked about the header before anything of it is kept.
    async fn begin(
        &self,
        origin: Origin,
        envelope: Envelope,
        check: Option<HeaderCheck>,
    ) -> Result<Reception, Answer>;

    /// The same for a journal copy from a mail host: it is learned from and discarded.
    async fn copied(&self, _origin: Origin, _check: Option<HeaderCheck>) -> Result<Reception, Answer> {
        Err(Answer::Unavailable)
    }
}

/// Told of every answer that intake gives to a client.
pub trait Watcher: Send + Sync {
    /// This was the answer.
    fn saw(&self, answer: &Answer);
}

/// Nobody watches.
impl Watcher for () {
    fn saw(&self, _: &Answer) {}
}

/// What the intake works with.
pub struct Deps {
    /// The policy.
    pub examiner: Examiner,
    /// Where messages are kept.
    pub store: Arc<dyn Store>,
    /// New deliveries go directly to this courier if it has room.
    pub dispatch: Arc<dyn Dispatch>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for ids.
    pub entropy: Arc<dyn Entropy>,
    /// By which mail of ours is recognised that comes back.
    pub marks: Arc<Marks>,
    /// Who is told of every answer.
    pub watcher: Arc<dyn Watcher>,
    /// Settings.
    pub settings: Settings,
}

/// Settings of the intake.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Our host name, for trace fields and Message-IDs.
    pub hostname: String,
    /// How long a message is held for a decision.
    pub hold_for: Term,
    /// The first lease of deliveries that go directly to the courier.
    pub lease: Duration,
}

/// The way in for all mail. Cheap to clone; all clones share one state.
#[derive(Clone)]
pub struct Intake(Arc<Inner>);

struct Inner {
    examiner: RwLock<Arc<Examiner>>,
    marks: RwLock<Arc<Marks>>,
    store: Arc<dyn Store>,
    dispatch: Arc<dyn Dispatch>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    watcher: Arc<dyn Watcher>,
    settings: Settings,
    hold_for: RwLock<Term>,
    bell: Arc<Notify>,
    copies: copies::Tally,
}

impl Intake {
    /// An intake.
    pub fn new(deps: Deps) -> Self {
        let Deps { examiner, store, dispatch, clock, entropy, marks, watcher, settings } = deps;
        Self(Arc::new(Inner {
            examiner: RwLock::new(Arc::new(examiner)),
            marks: RwLock::new(marks),
            store,
            dispatch,
            clock,
            entropy,
            watcher,
            hold_for: RwLock::new(settings.hold_for.clone()),
            settings,
            bell: Arc::new(Notify::new()),
            copies: copies::Tally::default(),
        }))
    }

    /// The current policy.
    pub fn examiner(&self) -> Arc<Examiner> {
        Arc::clone(&self.0.examiner.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the policy for messages that begin from now on.
    pub fn replace_examiner(&self, examiner: Examiner) {
        *self.0.examiner.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(examiner);
    }

    /// Changes how long messages are held from now on.
    pub fn replace_hold_for(&self, hold_for: Term) {
        *self.0.hold_for.write().unwrap_or_else(PoisonError::into_inner) = hold_for;
    }

    fn hold_ends(&self, now: Timestamp) -> Timestamp {
        self.0.hold_for.read().unwrap_or_else(PoisonError::into_inner).ends(now)
    }

    /// The marks that identify our own mail.
    fn marks(&self) -> Arc<Marks> {
        Arc::clone(&self.0.marks.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the marks.
    pub fn replace_marks(&self, marks: Arc<Marks>) {
        *self.0.marks.write().unwrap_or_else(PoisonError::into_inner) = marks;
    }

    /// Notified whenever a notice may be due.
    pub fn bell(&self) -> Arc<Notify> {
        Arc::clone(&self.0.bell)
    }

    /// Counts of journal copies.
    pub fn copies(&self) -> copies::Tally {
        self.0.copies.clone()
    }

    fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    fn store(&self) -> &dyn Store {
        &*self.0.store
    }

    fn watcher(&self) -> Arc<dyn Watcher> {
        Arc::clone(&self.0.watcher)
    }

    fn new_id(&self, now: Timestamp) -> Id {
        Id::new(now, self.0.entropy.bits())
    }

    /// The contents of our trace field (Received) for a message.
    pub fn stamp(&self, id: Id, received: Timestamp, origin: &Origin) -> Stamp {
        stamp(self.clock(), &self.0.settings.hostname, id, received, origin)
    }
}

/// The contents of our trace field (Received) for a message that this host received.
pub fn stamp(clock: &dyn Clock, hostname: &str, id: Id, received: Timestamp, origin: &Origin) -> Stamp {
    let client = match origin {
        Origin::Client { peer, helo, .. } => trace_client(helo, peer),
        Origin::Own { .. } => String::new(),
    };
    let (received, hostname) = (clock.shown(received), hostname.to_owned());
    Stamp { id, received, hostname, client, protocol: origin.protocol().to_owned() }
}

/// Mail of our own: null sender, no rules, no notice about it.
pub struct OwnMail {
    /// The message it is about.
    pub about: Option<Id>,
    /// Who gets it.
    pub to: Vec<Address>,
    /// The whole message: header (with From, To, Date, Message-ID, Auto-Submitted), empty line, body; CRLF.
    pub message: Bytes,
    /// The notice that this mail is; it is marked as sent in the same transaction.
    pub answers: Option<NoticeId>,
    /// An enclosed mail, appended to `message`.
    pub enclosed: Option<Enclosed>,
}

/// A mail that is enclosed in one of ours. Its body is streamed, whatever its size.
pub struct Enclosed {
    /// Its header, up to the empty line.
    pub header: Bytes,
    /// Its body, from the empty line on.
    pub body: Body,
    /// What follows it: the end of the MIME parts.
    pub closing: Bytes,
    /// It has 8-bit octets.
    pub eight_bit: bool,
}
