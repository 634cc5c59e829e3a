//! What those who decide, and senders who change their minds, ask of a store.

use super::{
    Again, HeldDecision, HeldFilter, HeldRow, HoldWaiting, NewNotice, QueueChange, QueueFilter, QueueRow,
    StoreError,
};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::journal::Event;
use async_trait::async_trait;

/// What is held and who decides on it, what can be taken back, and the queue.
#[async_trait]
pub trait DeskStore: Send + Sync {
    /// Held items, newest first.
    async fn held(&self, filter: &HeldFilter) -> Result<Vec<HeldRow>, StoreError>;

    /// Decides a held item with all its members: compare-and-set from `held` (or, for the clock, from
    /// an expired deadline); new deliveries, notices, ledger and journal in the same transaction.
    /// `Decided` when somebody was first, `Moved` when a sibling joined that the decision does not
    /// cover.
    async fn decide(&self, decision: HeldDecision) -> Result<(), StoreError>;

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

    /// All deliveries of one message, in order.
    async fn deliveries(&self, id: Id) -> Result<Vec<QueueRow>, StoreError>;
}
