//! The store: the only shared state. One trait; engines: SQLite (embedded, default), PostgreSQL later.
//!
//! Everything about a message is committed in one transaction before its 250. Many sessions share one
//! fsync (group commit). Bodies are stored once; small ones in the row, large ones beside it.

pub mod chain;
pub mod circles;
#[cfg(test)]
mod contract;
pub mod forks;
pub mod known;
pub mod learned;
pub mod lock;
pub mod memory;
mod notices;
pub mod people;
pub mod sqlite;

use crate::clock::Timestamp;
use crate::id::Id;
use crate::journal::Entry;
use crate::lifecycle::Refusal;
use crate::policy::facts::Disclosed;
pub use crate::records::*;
use async_trait::async_trait;
use bytes::Bytes;
use forks::ForksStore;
pub use notices::*;
pub use people::*;
pub use prometheus_client::metrics::histogram::Histogram;
use std::time::Duration;
use tokio::io::AsyncRead;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No room: 452 4.3.1.
    #[error("storage is full: {0}")]
    Full(String),
    /// Not there for now: 451 4.3.0.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The database is damaged: nothing is served until somebody looks.
    #[error("the database is damaged: {0}")]
    Corrupt(String),
    /// One row cannot be understood: it is put aside or shown as such, and stops nothing else.
    #[error("a row cannot be read: {0}")]
    Unreadable(String),
    /// Perhaps written, perhaps not: 451 4.3.0. Whoever asks again is told what became of it.
    #[error("it is not known whether this was kept: {0}")]
    Uncertain(String),
    /// The lease ran out or was taken over: the result is not ours to record.
    #[error("the lease on this delivery is no longer ours")]
    Fenced,
    /// No such message.
    #[error("there is no message {0}")]
    NotFound(String),
    /// All of it came before: nothing was kept.
    #[error("it came before, as {original}")]
    Known {
        /// The message that it is a copy of.
        original: Id,
        /// That one is held.
        held: bool,
    },
    /// A sibling came, or the mail was decided on, since this was planned: plan again.
    #[error("the mail changed meanwhile")]
    Moved,
    /// It joins what went back to its sender, and is for somebody who was to get that: it was sent again,
    /// and is judged as a new mail.
    #[error("the mail was sent again after it went back")]
    SentAgain,
    /// Somebody decided first.
    #[error("already {state} by {by} at {at}")]
    Decided {
        /// The state it is in.
        state: HeldState,
        /// Who decided.
        by: String,
        /// When.
        at: Timestamp,
    },
}

impl From<Refusal> for StoreError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Known { original, held } => Self::Known { original, held },
            Refusal::Moved => Self::Moved,
            Refusal::SentAgain => Self::SentAgain,
            Refusal::Fenced => Self::Fenced,
            Refusal::Decided { state, by, at } => Self::Decided { state, by, at },
        }
    }
}

/// A body on its way in. Dropped before `finish`, it leaves nothing behind.
#[async_trait]
pub trait BodyWriter: Send {
    /// Takes the next bytes.
    async fn write(&mut self, chunk: Bytes) -> Result<(), StoreError>;
    /// Makes it durable (file and folder fsynced, where it is a file).
    async fn finish(self: Box<Self>) -> Result<Body, StoreError>;
}

/// What an engine does. All methods are safe to call from many tasks at once.
#[async_trait]
pub trait Store:
    chain::ChainStore
    + circles::CircleStore
    + ForksStore
    + memory::MemoryStore
    + PeopleStore
    + NoticeStore
    + known::KnownStore
    + learned::LearnedStore
    + Send
    + Sync
    + 'static
{
    /// A place for the body of one message. Small ones (256 KiB in SQLite) stay in memory and go into the row.
    async fn new_body(&self) -> Result<Box<dyn BodyWriter>, StoreError>;

    /// Opens a body for reading, from its first byte.
    async fn open_body(&self, body: &Body) -> Result<Box<dyn AsyncRead + Send + Unpin>, StoreError>;

    /// Commits a message with all that belongs to it, durably; returns once it is on disk. The
    /// deliveries given as [`InitialState::Sending`] come back as claims, in order.
    ///
    /// Recipients for whom the same fork came within 24 hours are left out, unless their delivery
    /// failed or the mail went back to its sender; `Known` when that is all of them. `Moved` when a held
    /// one was planned on what is not so any more, `SentAgain` when it would join what went back.
    async fn accept(&self, message: NewMessage) -> Result<Vec<Claim>, StoreError>;

    /// Takes up to `limit` due deliveries, oldest first, of messages that are not paused; marks them
    /// `sending` under a lease and counts the attempt.
    async fn claim(&self, now: Timestamp, limit: usize, lease: Duration) -> Result<Vec<Claim>, StoreError> {
        self.claim_beside(now, limit, lease, &[]).await
    }

    /// The same for a claimer that holds these leases still: it never takes back its own, and they are
    /// lengthened in the same transaction. A copy that cannot be read back is paused and left out.
    async fn claim_beside(
        &self,
        now: Timestamp,
        limit: usize,
        lease: Duration,
        mine: &[Lease],
    ) -> Result<Vec<Claim>, StoreError>;

    /// Lengthens leases; those no longer ours are named in the answer.
    async fn renew(&self, leases: &[Lease], until: Timestamp) -> Result<Vec<Lease>, StoreError>;

    /// Records how an attempt ended, with what follows from it (the rest to retry, notices due),
    /// durably. `Fenced` when the lease is not ours any more.
    async fn record(&self, result: AttemptResult) -> Result<(), StoreError>;

    /// When the next waiting delivery or notice becomes due.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// At start, while nobody else can hold a lease: `sending` left by a crash becomes `uncertain`
    /// (due at once, flagged as a possible duplicate); orphaned body files are removed. Moments that were
    /// stored are carried over to a clock that was set meanwhile: retries are due as if the relay had been
    /// down for as long as the clock says; ages and holds take an hour of that at most, for nobody can
    /// tell a long stop from a wrong clock.
    async fn recover(&self, now: Timestamp) -> Result<Recovered, StoreError>;

    /// Notes the time of the relay's clock, in which moments are stored, and what the system's says:
    /// every few seconds, for [`Self::recover`].
    async fn note_time(&self, now: Timestamp, wall: Timestamp) -> Result<(), StoreError>;

    /// One message with everything needed to render its copies.
    async fn message(&self, id: Id) -> Result<StoredMessage, StoreError>;

    /// What the ledger of open disclosures has for these Message-IDs.
    async fn disclosed(&self, message_ids: &[String]) -> Result<Vec<Disclosed>, StoreError>;

    /// Held items, newest first.
    async fn held(&self, filter: &HeldFilter) -> Result<Vec<HeldRow>, StoreError>;

    /// Decides a held item with all its members: compare-and-set from `held` (or, for the clock, from
    /// an expired deadline); new deliveries, notices, ledger and journal in the same transaction.
    /// `Decided` when somebody was first, `Moved` when a sibling joined that the decision does not
    /// cover.
    async fn decide(&self, decision: HeldDecision) -> Result<(), StoreError>;

    /// Deliveries, oldest first.
    async fn queue(&self, filter: &QueueFilter) -> Result<Vec<QueueRow>, StoreError>;

    /// Retries, drops, pauses or resumes deliveries that the filter names; how many.
    async fn change_queue(
        &self,
        filter: &QueueFilter,
        change: QueueChange,
        by: &str,
        now: Timestamp,
    ) -> Result<usize, StoreError>;

    /// Holds what is unsent of a message: the second lock found a hidden address. Its deliveries not
    /// yet delivered are taken back and the message becomes held again with this reason.
    async fn stop(&self, stop: Stop) -> Result<(), StoreError>;

    /// Notices that are due, with what they are about.
    async fn due_notices(&self, now: Timestamp, limit: usize) -> Result<Vec<DueNotice>, StoreError>;

    /// Takes a notice off the list without sending one (nobody to tell).
    async fn drop_notice(&self, notice: i64) -> Result<(), StoreError>;

    /// Messages found by our id, else by Message-ID, an address (sender or recipient) or words of the
    /// subject, newest first. Only so many messages are looked at, the newest.
    async fn find(&self, text: &str, limit: usize) -> Result<Vec<MessageRow>, StoreError>;

    /// The journal of one message, oldest first.
    async fn journal(&self, id: Id) -> Result<Vec<Entry>, StoreError>;

    /// All deliveries of one message, in order.
    async fn deliveries(&self, id: Id) -> Result<Vec<QueueRow>, StoreError>;

    /// Copies delivered since a moment, and their recipients: a restart gives no rate away.
    async fn sent_since(&self, since: Timestamp) -> Result<(usize, usize), StoreError>;

    /// Copies delivered since a moment, and those that wait to be: a restart gives no budget away. What is of
    /// the relay's own making is left out.
    async fn spent_since(&self, since: Timestamp) -> Result<Vec<Spent>, StoreError>;

    /// Numbers since a moment, for `report` and the metrics.
    async fn summary(&self, since: Timestamp) -> Result<Summary, StoreError>;

    /// Removes what is past its time and has nothing left to do: no open delivery, no hold, no open
    /// notice. To be called now and then (hourly is plenty).
    async fn purge(&self, now: Timestamp, keep: Retention) -> Result<Purged, StoreError>;

    /// Whether a write could be committed now (for `/readyz`).
    async fn ready(&self) -> Result<(), StoreError>;

    /// How long requests held the writer, in seconds: nobody else's 250 is given meanwhile.
    fn request_seconds(&self) -> Histogram;
}
