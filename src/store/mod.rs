//! The store: the only shared state. There is a trait for each user of the store, and [`Store`], which combines them.
//! An engine implements them and decides nothing: the rules are in [`crate::lifecycle`].
//!
//! Everything about a message is committed in one transaction before its 250 reply. Many sessions share one fsync
//! (group commit). Bodies are stored once: small ones in the row, larger ones beside it.

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
pub mod shared;
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
use tokio::io::AsyncBufRead;
pub use upkeep::UpkeepStore;

/// The traits of a store, for code that uses an engine directly instead of a `dyn Store`.
pub mod prelude {
    pub use super::chain::ChainStore;
    pub use super::circles::CircleStore;
    pub use super::known::KnownStore;
    pub use super::learned::LearnedStore;
    pub use super::memory::MemoryStore;
    pub use super::shared::SharedStore;
    pub use super::{
        CourierStore, DeskStore, IntakeStore, JournalStore, NoticeStore, PeopleStore, Store, UpkeepStore,
    };
}

/// Why the store could not carry out a request.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No space; the SMTP reply is 452 4.3.1.
    #[error("storage is full: {0}")]
    Full(String),
    /// Temporarily unavailable; the SMTP reply is 451 4.3.0.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The database is damaged: the relay serves nothing until somebody repairs it.
    #[error("the database is damaged: {0}")]
    Corrupt(String),
    /// One row cannot be decoded. It is set aside or shown as unreadable, and affects nothing else.
    #[error("a row cannot be read: {0}")]
    Unreadable(String),
    /// Whether the request was committed is unknown; the SMTP reply is 451 4.3.0. A repeated request is told what
    /// became of the first.
    #[error("it is not known whether this was kept: {0}")]
    Uncertain(String),
    /// The lease expired or was taken over, so the result must not be recorded.
    #[error("the lease on this delivery is no longer ours")]
    Fenced,
    /// No such message.
    #[error("there is no message {0}")]
    NotFound(String),
    /// The message is a repeat for all of its recipients: nothing was stored.
    #[error("it came before, as {original}")]
    Known {
        /// The message that it repeats.
        original: Id,
        /// Whether that message is held.
        held: bool,
    },
    /// Another fork came, or the mail was decided, since this message was planned: it must be planned again.
    #[error("the mail changed meanwhile")]
    Moved,
    /// It would join a returned item, and is for one of that item's recipients: the mail was sent again, and is
    /// judged as a new one.
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

/// All functions of an engine. Its methods may be called from many tasks at once.
///
/// # Errors
/// Every method returns a [`StoreError`] if the database cannot be used (`Full`, `Unavailable`, `Corrupt`,
/// `Uncertain`) or has a row that cannot be decoded (`Unreadable`). The methods name the other errors.
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
    + shared::SharedStore
    + UpkeepStore
    + Send
    + Sync
    + 'static
{
    /// One message with everything that is needed to render its copies.
    ///
    /// # Errors
    /// `NotFound` if there is no such message.
    async fn message(&self, id: Id) -> Result<StoredMessage, StoreError>;

    /// Opens a body for reading, from its first byte.
    async fn open_body(&self, body: &Body) -> Result<OpenBody, StoreError>;
}

/// A body that was opened for reading.
pub struct OpenBody {
    /// Its octets.
    pub stream: Box<dyn AsyncBufRead + Send + Unpin>,
    /// The same as a file, if there is one and the body is known to be sent as it is.
    pub file: Option<std::fs::File>,
}
