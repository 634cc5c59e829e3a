//! The journal: append-only events of each message. Trace, timelines and reports are read from it.

use crate::clock::Timestamp;
use crate::id::Id;
use serde::{Deserialize, Serialize};

/// One thing that happened to one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Which message.
    pub message: Id,
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What would have happened to a message that passed in observe mode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Would {
    /// `pass`, `split`, …
    pub action: String,
    /// The exposures that it would have prevented.
    pub exposures_prevented: u64,
}

/// What can happen to a message, each with its typed detail.
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
        /// In observe mode: what would have been done, and the exposures that would have prevented.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        would: Option<Would>,
        /// It passed because one known mail showed its outsiders to each other.
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
    /// Released by somebody, as `split`, `bcc` or `as-is`.
    Released {
        by: String,
        how: String,
        dropped: Vec<String>,
        /// Who of the recipients had been written to before, and when last; `None` where that was not asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stood: Option<Vec<(String, Timestamp)>>,
    },
    /// Returned to the sender by somebody.
    Returned { by: String, reason: String },
    /// The sender asks that it be sent as it is, and says why.
    Asked { by: String, reason: String },
    /// It went to each without showing the others; its sender asks that all of them get it again and see
    /// each other, as a mail of its own.
    AskedAgain { by: String, anew: Id },
    /// Made anew from a mail that went to each without showing the others.
    Again { of: Id },
    /// Nobody decided in time.
    Expired {},
    /// The same came again from this client within a day: nothing was delivered for it.
    Repeated { client: String, recipients: usize },
    /// It has the MAIL FROM and Message-ID of another mail, whose header says something else.
    Namesake { of: Id },
    /// Taken back by its sender.
    TakenBack { by: String },
    /// Taking it back was undone.
    Undone { by: String },
    /// A transaction of a mail that was held: it joined the item, or followed its decision.
    Joined { item: Id, state: String },
    /// A notice about the message was queued as a message of its own.
    Noticed { kind: String, notice: Id },
    /// Deliveries were dropped, paused, resumed or retried by somebody.
    Queue { by: String, verb: String, deliveries: usize },
    /// Who wrote with whom was learned from an archive of so many mails.
    Learned { by: String, mails: u64, learned: u64, unreadable: u64 },
    /// Somebody was taken out of so many sets of people that were learned. Who it was is not kept.
    Forgotten { by: String, sets: usize },
    /// The second lock stopped deliveries: a hidden address was found at sending.
    Stopped { places: Vec<String>, left: usize, total: usize },
}
