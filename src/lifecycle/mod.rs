//! What becomes of a message once it is kept: pure functions from a state, an event and the time to a new
//! state and what follows from it. An engine of the store reads the state, asks here, and writes what it is
//! told: no engine decides anything, so that two of them cannot decide differently.
//!
//! * [`delivery`] the states of a copy; [`attempt`] what follows from an attempt
//! * [`repeats`] what came before; [`forks`] how the transactions of one mail become one item
//! * [`deciding`] decisions on what is held, and the second lock's stop; [`taking`] taking back, and undoing
//! * [`notices`] when people are told; [`counting`] what a message adds to the numbers
//! * [`stored`] moments under a clock that was set
//!
//! Messages are named by whatever key an engine has for them: here it is a parameter.

pub mod attempt;
pub mod counting;
pub mod deciding;
pub mod delivery;
pub mod forks;
pub mod notices;
pub mod repeats;
pub mod stored;
pub mod taking;

use crate::clock::Timestamp;
use crate::id::Id;
use crate::journal::Event;
use crate::records::{HeldState, HookEvent, NoticeKind, Way};
use std::time::Duration;

/// How long taking back can be undone: a mail scanner that follows a link destroys nothing.
pub const UNDO: Duration = Duration::from_hours(24);

/// Nobody is told of a mail before it was quiet for so long: more transactions of it may be on their way.
pub const QUIET: Duration = Duration::from_secs(30);

/// Why an event changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// All of it came before.
    Known {
        /// The message that it is a copy of.
        original: Id,
        /// That one is held.
        held: bool,
    },
    /// What it was planned on is not so any more.
    Moved,
    /// It joins what went back to its sender, and is for somebody who was to get that.
    SentAgain,
    /// It comes too early, or from somebody whose turn is over.
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

/// What follows from an event. An engine writes all of them, in order and in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<K> {
    /// The members of an item that are in a state come to another.
    Hold {
        /// The item.
        item: K,
        /// The state they are in.
        from: HeldState,
        /// What they come to.
        to: Becomes,
    },
    /// The members of an item become members of another, which waits for a decision.
    MoveInto {
        /// Who moves.
        members: Vec<K>,
        /// Where.
        item: K,
    },
    /// Whether what a message discloses counts as prevented.
    Prevented(K, bool),
    /// What was withdrawn of a message, its sender took back.
    TakenBack {
        /// Which.
        message: K,
        /// Who.
        by: String,
        /// When.
        at: Timestamp,
    },
    /// A notice becomes due: [`notices::merged`] with one of its kind that is open.
    Notice(K, NoticeKind, Option<Timestamp>),
    /// Open notices of these kinds are not sent.
    Drop(K, Vec<NoticeKind>),
    /// Hooks are told of an item.
    Call(K, HookEvent, Timestamp),
    /// What a decision of that moment entered into the ledger is taken out.
    Undisclose(K, Timestamp),
    /// An entry of a message's journal.
    Enter(K, Timestamp, Event),
}

/// What a hold becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Becomes {
    /// Its state.
    pub state: HeldState,
    /// When it expires; `None` where that stays.
    pub expires: Option<Timestamp>,
    /// Who decided, and when.
    pub decided: Option<(String, Timestamp)>,
    /// How, or why.
    pub decision: Option<String>,
    /// How it was released, for siblings that come late.
    pub way: Option<Way>,
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
            way: None,
            undo_until: None,
        }
    }
}
