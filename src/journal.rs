//! The journal: append-only events of each message. Traces, timelines and reports are derived from it.

use crate::clock::Timestamp;
use crate::id::Id;
use serde::{Deserialize, Serialize};

/// One event of one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The message.
    pub message: Id,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What would have happened to a message that passed in observe mode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Would {
    /// `pass`, `split`, …
    pub action: String,
    /// The disclosures that it would have prevented.
    pub exposures_prevented: u64,
}

/// What can happen to a message, with details.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
#[allow(missing_docs)] // each field says what its name says
pub enum Event {
    /// Accepted from a client (or from ourselves) with this verdict.
    Accepted {
        client: String,
        action: String,
        disclosure: String,
        recipients: usize,
        copies: usize,
        exposures: u64,
        /// In observe mode: what would have been done.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        would: Option<Would>,
        /// It passed because one known mail showed its outside recipients to each other.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        known: bool,
    },
    /// An attempt to deliver one copy ended.
    Attempt {
        delivery: i64,
        recipients: Vec<String>,
        state: String,
        reply: String,
        attempt: u32,
        possible_duplicate: bool,
    },
    /// Released by a person, as `split`, `bcc` or `as-is`.
    Released {
        by: String,
        how: String,
        dropped: Vec<String>,
        /// Which recipients the sender had written to before, and when last; `None` if this was not looked
        /// up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stood: Option<Vec<(String, Timestamp)>>,
    },
    /// Returned to the sender by a person.
    Returned { by: String, reason: String },
    /// The sender asked for it to be sent as it is, with a reason.
    Asked { by: String, reason: String },
    /// It was sent individually, and its sender asks to send it again openly, as a mail of its own (`anew`).
    AskedAgain { by: String, anew: Id },
    /// Made again from a mail that was sent individually.
    Again { of: Id },
    /// Nobody decided in time.
    Expired {},
    /// The same mail came again from this client within a day; nothing was delivered for it.
    Repeated { client: String, recipients: usize },
    /// It has the MAIL FROM and Message-ID of another mail, but other visible header fields.
    Namesake { of: Id },
    /// Taken back by its sender.
    TakenBack { by: String },
    /// Taking it back was undone.
    Undone { by: String },
    /// A further transaction of a held mail: it joined the item, or followed its decision.
    Joined { item: Id, state: String },
    /// A notice about the message was queued as a message of its own.
    Noticed { kind: String, notice: Id },
    /// A person dropped, paused, resumed or retried deliveries.
    Queue { by: String, verb: String, deliveries: usize },
    /// It was learned from an archive of this many mails who wrote with whom.
    Learned { by: String, mails: u64, learned: u64, unreadable: u64 },
    /// A person was removed from this many sets of people that were learned. Who it was is not recorded.
    Forgotten { by: String, sets: usize },
    /// The last check before sending stopped deliveries: a copy contained a hidden address.
    Stopped { places: Vec<String>, left: usize, total: usize },
}
