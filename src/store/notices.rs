//! What the store keeps of notices beyond the list of those that are due: who is told of what waits for
//! a decision, and calls to programs of others (hooks) that are still to be made.

use super::{Claim, HeldState, HoldKind, NewMessage, NewNotice, StoreError};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::message::Address;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Why somebody is told of a message that waits for a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AskWhy {
    /// They are asked to decide.
    Asked,
    /// The same, in the place of somebody who is away.
    Deputy,
    /// Nobody answered.
    Escalated,
    /// The hold ends soon.
    Expiring,
    /// The sender asks that it leave as it is.
    AsIs,
    /// The second lock stopped it.
    Stopped,
    /// Somebody decided.
    Settled,
}

/// Somebody to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAsk {
    /// Whom.
    pub approver: Address,
    /// Why.
    pub why: AskWhy,
    /// Together with what else they are told of; else in a mail of its own.
    pub digest: bool,
    /// When.
    pub due: Timestamp,
}

/// Somebody who is due to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Its row.
    pub row: i64,
    /// Of which message.
    pub message: Id,
    /// Whom, as it is written.
    pub approver: Address,
    /// Why.
    pub why: AskWhy,
    /// Together with what else they are told of.
    pub digest: bool,
}

/// What becomes of a notice to those who decide: who is told, and what comes later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AskPlan {
    /// Who is told, and when. They may decide from now on, too.
    pub asks: Vec<NewAsk>,
    /// Notices that follow, each put down unless one of its kind waits.
    pub notices: Vec<NewNotice>,
    /// Who may decide from now on although they are told later, if at all.
    pub assigned: Vec<Address>,
}

/// Something a hook is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookEvent {
    /// A message came to be held.
    Held,
    /// It was decided: released, returned or expired.
    Decided,
}

/// A hook, as the store knows it: where, and of what it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookTarget {
    /// Its URL, which is its name.
    pub url: String,
    /// Told of what comes to be held.
    pub held: bool,
    /// Told of decisions.
    pub decided: bool,
}

/// A call that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookCall {
    /// Its row: the same at every try.
    pub row: i64,
    /// Where.
    pub url: String,
    /// Of what.
    pub event: HookEvent,
    /// When that was.
    pub at: Timestamp,
    /// Tries so far.
    pub attempts: u32,
    /// Which message.
    pub message: Id,
    /// When it was received.
    pub received: Timestamp,
    /// MAIL FROM; empty for the null sender.
    pub sender: String,
    /// How many recipients it has.
    pub recipients: usize,
    /// Why it is (or was) held.
    pub kind: HoldKind,
    /// The state that the event led to.
    pub state: HeldState,
    /// When the hold expires.
    pub expires: Timestamp,
    /// Who decided.
    pub by: Option<String>,
    /// How it was released, or why it was returned.
    pub decision: Option<String>,
}

/// See the module.
#[async_trait]
pub trait NoticeStore: Send + Sync + 'static {
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
