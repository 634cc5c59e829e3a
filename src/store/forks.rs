//! What a store knows of the forks of one mail, and what can be taken back.

use super::{GroupStanding, NewNotice, StoreError};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::journal::Event;
use crate::message::fork::Group;
pub use crate::records::{Again, HoldWaiting};
use async_trait::async_trait;

/// The part of a [`super::Store`] that concerns mail in several transactions.
#[async_trait]
pub trait ForksStore {
    /// What was held of a mail, and what became of it.
    async fn standing(&self, group: Group) -> Result<GroupStanding, StoreError>;

    /// The members of an item that share its state, itself first.
    async fn members(&self, item: Id) -> Result<Vec<Id>, StoreError>;

    /// The transactions of the mail that a message is one of, the oldest first; itself alone where nothing
    /// tells which others there are.
    async fn transactions(&self, id: Id) -> Result<Vec<Id>, StoreError>;

    /// Adds an entry to a message's journal, with the notices that follow from it.
    async fn enter(
        &self,
        id: Id,
        at: Timestamp,
        event: Event,
        notices: Vec<NewNotice>,
    ) -> Result<(), StoreError>;

    /// Takes back what waits of a delayed mail, in however many transactions it came: copies never
    /// tried and not yet due. How many copies; 0 when it is too late.
    async fn take_back(&self, id: Id, by: &str, at: Timestamp) -> Result<usize, StoreError>;

    /// Undoes that within 24 hours: the copies are due when they were, or now. How many copies; 0 when
    /// there is nothing to undo.
    async fn undo_take_back(&self, id: Id, by: &str, at: Timestamp) -> Result<usize, StoreError>;

    /// Lets what waits of a delayed mail go now, in however many transactions it came. How many copies; 0
    /// when it is too late.
    async fn send_now(&self, id: Id, by: &str, at: Timestamp) -> Result<usize, StoreError>;

    /// Holds what waits of a delayed mail, as one item, for somebody to decide whether it may be sent as it
    /// is. How many copies; 0 when it is too late.
    async fn hold_waiting(&self, hold: HoldWaiting) -> Result<usize, StoreError>;

    /// Holds an item again that its sender took back; `Decided` when that cannot be undone (any more).
    async fn hold_again(&self, again: Again) -> Result<(), StoreError>;

    /// Holds an item again whose release was put off, while none of its copies has left; `Decided` when one
    /// has, or the time for it is over.
    async fn undo_release(&self, again: Again) -> Result<(), StoreError>;
}
