//! What telling people and programs asks of a store.

use super::StoreError;
use crate::clock::Timestamp;
use crate::id::Id;
use crate::message::Address;
use crate::records::{Ask, AskPlan, Claim, DueNotice, HookCall, HookTarget, NewMessage};
use async_trait::async_trait;
use std::time::Duration;

/// Notices that are due, who is told of what waits for a decision, and calls to programs of others (hooks)
/// that are still to be made.
#[async_trait]
pub trait NoticeStore: Send + Sync + 'static {
    /// Notices that are due, with what they are about.
    async fn due_notices(&self, now: Timestamp, limit: usize) -> Result<Vec<DueNotice>, StoreError>;

    /// Takes a notice off the list without sending one (nobody to tell).
    async fn drop_notice(&self, notice: i64) -> Result<(), StoreError>;

    /// Carries a notice to those who decide over into asks, in one transaction. `Fenced` when the notice
    /// is not open any more.
    async fn plan_asks(&self, notice: i64, plan: AskPlan) -> Result<(), StoreError>;

    /// Asks that are due, and of everybody who is due a digest all that belongs into it; by person,
    /// oldest first.
    async fn due_asks(&self, now: Timestamp, limit: usize) -> Result<Vec<Ask>, StoreError>;

    /// Who was told of a held item by a mail, each once, without those who decided on it.
    async fn told(&self, item: Id) -> Result<Vec<Address>, StoreError>;

    /// Accepts a mail of ours and takes the asks it answers off the list, in one transaction. `Fenced`
    /// when one of them was answered already.
    async fn accept_telling(&self, mail: NewMessage, asks: Vec<i64>) -> Result<Vec<Claim>, StoreError>;

    /// Takes asks off the list without a mail.
    async fn drop_asks(&self, asks: Vec<i64>) -> Result<(), StoreError>;

    /// When the next notice or ask is due.
    async fn next_notice(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Puts down the notice of a delay for mail that has been due for so long without ever having been
    /// tried, and about which none was put down; for how many messages.
    async fn note_untried(&self, now: Timestamp, age: Duration) -> Result<usize, StoreError>;

    /// The hooks that are told from now on; what others were still to be told is forgotten.
    async fn set_hooks(&self, hooks: Vec<HookTarget>) -> Result<(), StoreError>;

    /// Calls that are due, oldest first.
    async fn due_hooks(&self, now: Timestamp, limit: usize) -> Result<Vec<HookCall>, StoreError>;

    /// A call was made, or is given up.
    async fn end_hook(&self, row: i64) -> Result<(), StoreError>;

    /// A call failed: it is due again then.
    async fn retry_hook(&self, row: i64, due: Timestamp) -> Result<(), StoreError>;
}
