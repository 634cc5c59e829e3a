//! The store: the only shared state. A trait for each who asks of it, and [`Store`], which is all of them;
//! an engine implements them, and decides nothing: the rules are in [`crate::lifecycle`].
//!
//! Everything about a message is committed in one transaction before its 250. Many sessions share one
//! fsync (group commit). Bodies are stored once; small ones in the row, large ones beside it.

pub mod absences;
pub mod chain;
pub mod circles;
#[cfg(test)]
mod contract;
pub mod copy;
mod courier;
mod desk;
pub mod forks;
mod intake;
mod journal;
pub mod known;
pub mod learned;
pub mod lock;
pub mod memory;
mod notices;
pub mod people;
pub mod postgres;
mod sql;
pub mod sqlite;
mod upkeep;

use crate::clock::Timestamp;
use crate::id::Id;
use crate::lifecycle::Refusal;
pub use crate::records::*;
use async_trait::async_trait;
pub use courier::CourierStore;
pub use desk::DeskStore;
pub use intake::{BodyWriter, IntakeStore};
pub use journal::JournalStore;
pub use notices::*;
pub use people::*;
pub use prometheus_client::metrics::histogram::Histogram;
pub use sql::SqlStore;
use tokio::io::AsyncRead;
pub use upkeep::UpkeepStore;

/// The traits of a store, for whoever has an engine itself in place of a `dyn Store`.
pub mod prelude {
    pub use super::chain::ChainStore;
    pub use super::circles::CircleStore;
    pub use super::known::KnownStore;
    pub use super::learned::LearnedStore;
    pub use super::memory::MemoryStore;
    pub use super::{
        CourierStore, DeskStore, IntakeStore, JournalStore, NoticeStore, PeopleStore, Store, UpkeepStore,
    };
}

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

/// All that an engine does. Its methods are safe to call from many tasks at once.
#[async_trait]
pub trait Store:
    IntakeStore
    + CourierStore
    + DeskStore
    + absences::AbsenceStore
    + NoticeStore
    + PeopleStore
    + JournalStore
    + chain::ChainStore
    + circles::CircleStore
    + known::KnownStore
    + learned::LearnedStore
    + memory::MemoryStore
    + UpkeepStore
    + Send
    + Sync
    + 'static
{
    /// One message with everything needed to render its copies.
    async fn message(&self, id: Id) -> Result<StoredMessage, StoreError>;

    /// Opens a body for reading, from its first byte.
    async fn open_body(&self, body: &Body) -> Result<Box<dyn AsyncRead + Send + Unpin>, StoreError>;
}
