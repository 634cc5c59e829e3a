//! What becomes of a stored message: pure functions from a state, an event and the time to a new state and its
//! effects. A storage engine reads the state, calls these functions and writes the result. No engine decides
//! anything, so two of them cannot decide differently.
//!
//! * [`delivery`] the states of a copy; [`attempt`] what follows from an attempt
//! * [`repeats`] repeated messages; [`forks`] how the transactions of one mail become one item
//! * [`deciding`] decisions on held messages, and the stop by the final check; [`taking`] taking back, and undoing
//! * [`notices`] when people are told; [`counting`] what a message adds to the numbers
//! * [`pacing`] rates that several relays share
//! * [`stored`] stored times after the clock was set
//!
//! The key that an engine uses for messages is a type parameter here.

pub mod attempt;
pub mod counting;
pub mod deciding;
pub mod delivery;
pub mod forks;
pub mod notices;
pub mod pacing;
pub mod repeats;
pub mod stored;
pub mod taking;

use crate::clock::Timestamp;
use crate::id::Id;
use crate::journal::Event;
use crate::records::{HeldState, HookEvent, NoticeKind, Release};
use std::time::Duration;

/// How long taking back can be undone, so that a mail scanner that follows a link loses nothing.
pub const UNDO: Duration = Duration::from_hours(24);

/// How long people are not told of a mail after its last transaction: more of them may follow.
pub const QUIET: Duration = Duration::from_secs(30);

/// Why an event changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The message is a repeat for all of its recipients.
    Known {
        /// The message that it repeats.
        original: Id,
        /// Whether that message is held.
        held: bool,
    },
    /// The state that it was planned on has changed.
    Moved,
    /// It would join a returned item, and is for one of that item's recipients.
    SentAgain,
    /// It is too early, or its fencing token is outdated.
    Fenced,
    /// Somebody decided first.
    Decided {
        /// The state it is in.
        state: HeldState,
        /// Who decided.
        by: String,
        /// When.
        at: Timestamp,
    },
}

/// An effect of an event. An engine writes all effects, in order and in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<K> {
    /// The members of an item that are in one state change to another.
    Hold {
        /// The item.
        item: K,
        /// The state they are in.
        from: HeldState,
        /// Their new state.
        to: Becomes,
    },
    /// The members of an item become members of another, which waits for a decision.
    MoveInto {
        /// The item whose members move.
        members: Vec<K>,
        /// Their new item.
        item: K,
    },
    /// Whether a message's exposures count as prevented.
    Prevented(K, bool),
    /// The sender took back the withdrawn copies of a message.
    TakenBack {
        /// Which.
        message: K,
        /// Who.
        by: String,
        /// When.
        at: Timestamp,
    },
    /// A notice becomes due; it is [merged](notices::merged) with an open one of its kind.
    Notice(K, NoticeKind, Option<Timestamp>),
    /// Open notices of these kinds are not sent.
    Drop(K, Vec<NoticeKind>),
    /// Hooks are told of an item.
    Call(K, HookEvent, Timestamp),
    /// The ledger entries of the decision made at that time are removed.
    Undisclose(K, Timestamp),
    /// An entry of a message's journal.
    Enter(K, Timestamp, Event),
}

/// What a hold becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Becomes {
    /// Its state.
    pub state: HeldState,
    /// When it expires; `None` if that does not change.
    pub expires: Option<Timestamp>,
    /// Who decided, and when.
    pub decided: Option<(String, Timestamp)>,
    /// How it was released, or why it was returned.
    pub decision: Option<String>,
    /// How it was released, for transactions that arrive late.
    pub release: Option<Release>,
    /// Until when that can be undone.
    pub undo_until: Option<Timestamp>,
}

impl Becomes {
    /// Held again, until then.
    fn held(expires: Timestamp) -> Self {
        Self {
            state: HeldState::Held,
            expires: Some(expires),
            decided: None,
            decision: None,
            release: None,
            undo_until: None,
        }
    }
}
