//! Calls to programs of others (hooks): where, of what, and those still to be made.

use super::{HeldState, HoldKind};
use crate::clock::Timestamp;
use crate::id::Id;
use serde::{Deserialize, Serialize};

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
