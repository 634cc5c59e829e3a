//! What notices to people and calls to hooks need from a store.

use super::StoreError;
use crate::clock::Timestamp;
use crate::id::Id;
use crate::message::Address;
use crate::records::{
    Ask, AskId, AskPlan, Claim, DueNotice, HookCall, HookCallId, HookTarget, NewMessage, NoticeId,
};
use async_trait::async_trait;
use std::time::Duration;

/// Notices that are due, who is asked for a decision, and calls to other programs (hooks) that are still to be made.
#[async_trait]
pub trait NoticeStore: Send + Sync + 'static {
    /// At most `limit` notices that are due, with what they are about.
    async fn due_notices(&self, now: Timestamp, limit: usize) -> Result<Vec<DueNotice>, StoreError>;

    /// Closes a notice without sending anything, because there is nobody to notify.
    async fn drop_notice(&self, notice: NoticeId) -> Result<(), StoreError>;

    /// Turns a notice to approvers into asks, in one transaction.
    ///
    /// # Errors
    /// `Fenced` if the notice is no longer open.
    async fn plan_asks(&self, notice: NoticeId, plan: AskPlan) -> Result<(), StoreError>;

    /// Asks that are due, and for everybody whose digest is due, everything that belongs in it; by person, oldest
    /// first.
    async fn due_asks(&self, now: Timestamp, limit: usize) -> Result<Vec<Ask>, StoreError>;

    /// Everybody who was notified of a held item by mail, each once, without those who decided on it.
    async fn told(&self, item: Id) -> Result<Vec<Address>, StoreError>;

    /// Accepts a mail of the relay's own and closes the asks that it answers, in one transaction.
    ///
    /// # Errors
    /// `Fenced` if one of them was answered already.
    async fn accept_telling(&self, mail: NewMessage, asks: Vec<AskId>) -> Result<Vec<Claim>, StoreError>;

    /// Closes asks without sending a mail.
    async fn drop_asks(&self, asks: Vec<AskId>) -> Result<(), StoreError>;

    /// When the next notice or ask is due.
    async fn next_notice(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Adds a delay notice for each message that has been due for at least `age`, was never tried, and has no such
    /// notice. Returns for how many messages.
    async fn note_untried(&self, now: Timestamp, age: Duration) -> Result<usize, StoreError>;

    /// Sets the hooks that are called from now on. Pending calls to other hooks are deleted.
    async fn set_hooks(&self, hooks: Vec<HookTarget>) -> Result<(), StoreError>;

    /// Calls that are due, oldest first.
    async fn due_hooks(&self, now: Timestamp, limit: usize) -> Result<Vec<HookCall>, StoreError>;

    /// Whether a call is still this relay's to make; if so, it stays so for the next two minutes. Another relay takes
    /// over the calls of one that is too slow.
    async fn keep_hook(&self, call: HookCallId) -> Result<bool, StoreError>;

    /// Ends a call that was made or is given up.
    async fn end_hook(&self, call: HookCallId) -> Result<(), StoreError>;

    /// Reschedules a call that failed.
    async fn retry_hook(&self, call: HookCallId, due: Timestamp) -> Result<(), StoreError>;
}
