//! What approvers, operators, and senders who change their minds need from a store.

use super::{
    Again, HeldDecision, HeldFilter, HeldRow, HoldWaiting, NewNotice, QueueChange, QueueFilter, QueueRow,
    StoreError,
};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::journal::Event;
use async_trait::async_trait;

/// Held messages and decisions on them, taking back, and the queue.
#[async_trait]
pub trait DeskStore: Send + Sync {
    /// Held items, newest first.
    async fn held(&self, filter: &HeldFilter) -> Result<Vec<HeldRow>, StoreError>;

    /// Decides a held item with all its members: a compare-and-set from `held` (or, for the clock, from an expired
    /// deadline). The new deliveries, notices, ledger and journal entries are written in the same transaction.
    ///
    /// # Errors
    /// `Decided` if somebody decided first; `Moved` if a fork joined that the decision does not cover.
    async fn decide(&self, decision: HeldDecision) -> Result<(), StoreError>;

    /// The members of an item that are in its state, starting with the item itself.
    async fn members(&self, item: Id) -> Result<Vec<Id>, StoreError>;

    /// The transactions of the mail that a message belongs to, oldest first; only the message itself if nothing
    /// identifies the others.
    async fn transactions(&self, id: Id) -> Result<Vec<Id>, StoreError>;

    /// Adds an entry to a message's journal, with the notices that follow from it.
    async fn enter(
        &self,
        id: Id,
        at: Timestamp,
        event: Event,
        notices: Vec<NewNotice>,
    ) -> Result<(), StoreError>;

    /// Takes back the waiting copies of a delayed mail, in all its transactions: copies that were never tried and are
    /// not yet due. Returns how many; 0 if it is too late.
    async fn take_back(&self, id: Id, by: &str, at: Timestamp) -> Result<usize, StoreError>;

    /// Undoes taking back, within 24 hours: the copies are due at their old time, or now. Returns how many; 0 if
    /// there is nothing to undo.
    async fn undo_take_back(&self, id: Id, by: &str, at: Timestamp) -> Result<usize, StoreError>;

    /// Makes the waiting copies of a delayed mail due now, in all its transactions. Returns how many; 0 if it is too
    /// late.
    async fn send_now(&self, id: Id, by: &str, at: Timestamp) -> Result<usize, StoreError>;

    /// Holds the waiting copies of a delayed mail as one item, for a decision whether it may be sent as is. Returns
    /// how many; 0 if it is too late.
    async fn hold_waiting(&self, hold: HoldWaiting) -> Result<usize, StoreError>;

    /// Holds an item again that its sender took back.
    ///
    /// # Errors
    /// `Decided` if that cannot be undone, or no longer.
    async fn hold_again(&self, again: Again) -> Result<(), StoreError>;

    /// Holds an item again whose release was postponed by the grace time, while none of its copies has left.
    ///
    /// # Errors
    /// `Decided` if one has left, or if the time for undoing is over.
    async fn undo_release(&self, again: Again) -> Result<(), StoreError>;

    /// Deliveries, oldest first.
    async fn queue(&self, filter: &QueueFilter) -> Result<Vec<QueueRow>, StoreError>;

    /// Retries, drops, pauses or resumes the deliveries that match the filter. Returns how many.
    async fn change_queue(
        &self,
        filter: &QueueFilter,
        change: QueueChange,
        by: &str,
        now: Timestamp,
    ) -> Result<usize, StoreError>;

    /// All deliveries of one message, in order.
    async fn deliveries(&self, id: Id) -> Result<Vec<QueueRow>, StoreError>;
}
