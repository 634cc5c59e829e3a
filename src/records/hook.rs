//! Hooks: calls to other programs, and the queue of calls still to be made.

use super::{HeldState, HoldKind, HookCallId};
use crate::clock::Timestamp;
use crate::id::Id;
use serde::{Deserialize, Serialize};

/// An event that hooks are called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookEvent {
    /// A message was held.
    Held,
    /// A held message was decided: released, returned or expired.
    Decided,
}

/// A hook as the store knows it: its URL and its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookTarget {
    /// Its URL, which identifies it.
    pub url: String,
    /// Called for new holds.
    pub held: bool,
    /// Called for decisions.
    pub decided: bool,
}

/// A call that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookCall {
    /// Its id, the same for every attempt.
    pub id: HookCallId,
    /// The hook's URL.
    pub url: String,
    /// The event.
    pub event: HookEvent,
    /// When the event happened.
    pub at: Timestamp,
    /// Attempts so far.
    pub attempts: u32,
    /// The message.
    pub message: Id,
    /// When it was received.
    pub received: Timestamp,
    /// MAIL FROM; empty for the null sender.
    pub sender: String,
    /// How many recipients it has.
    pub recipients: usize,
    /// Why it is (or was) held.
    pub kind: HoldKind,
    /// The state of the message after the event.
    pub state: HeldState,
    /// When the hold expires.
    pub expires: Timestamp,
    /// Who decided.
    pub by: Option<String>,
    /// How it was released, or why it was returned.
    pub decision: Option<String>,
}
