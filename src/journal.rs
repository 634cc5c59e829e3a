//! The journal: events of each message, only ever appended. Traces, timelines and reports are read from it.

use crate::clock::Timestamp;
use crate::id::Id;
use serde::{Deserialize, Serialize};

/// One event of one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The message it belongs to.
    pub message: Id,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What enforce mode would have done with a message that passed in observe mode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Would {
    /// The action: `pass`, `split`, …
    pub action: String,
    /// How many disclosures that would have prevented.
    pub exposures_prevented: u64,
}

/// What can happen to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
#[expect(missing_docs, reason = "each field says what its name says")]
pub enum Event {
    /// The message was accepted, from a client or from the relay itself, with this verdict.
    Accepted {
        client: String,
        action: String,
        disclosure: String,
        recipients: usize,
        copies: usize,
        exposures: u64,
        /// In observe mode: what enforce mode would have done.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        would: Option<Would>,
        /// It passed because an earlier mail had shown its outside recipients to each other.
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
    /// A person released it, as `split`, `bcc` or `as-is`.
    Released {
        by: String,
        how: String,
        dropped: Vec<String>,
        /// The recipients to whom the sender had written before, with the last time; `None` if this was not
        /// looked up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stood: Option<Vec<(String, Timestamp)>>,
    },
    /// A person returned it to the sender.
    Returned { by: String, reason: String },
    /// The sender asked the approver to send it as it is, and gave a reason.
    Asked { by: String, reason: String },
    /// After it was sent individually, its sender asked to send it again openly, as the new message `anew`.
    AskedAgain { by: String, anew: Id },
    /// It was made from a mail that had been sent individually.
    Again { of: Id },
    /// The hold expired without a decision.
    Expired {},
    /// The same mail came again from this client within a day, and was not delivered again.
    Repeated { client: String, recipients: usize },
    /// It has the MAIL FROM and Message-ID of another mail, but different visible header fields.
    Namesake { of: Id },
    /// The sender took it back.
    TakenBack { by: String },
    /// The sender undid taking it back.
    Undone { by: String },
    /// Another transaction of a held mail: it joined the held item, or followed the decision on it.
    Joined { item: Id, state: String },
    /// A notice about this message was queued; it is a message of its own.
    Noticed { kind: String, notice: Id },
    /// A person dropped, paused, resumed or retried deliveries.
    Queue { by: String, verb: String, deliveries: usize },
    /// `sekisho learn` read an archive of this many mails.
    Learned { by: String, mails: u64, learned: u64, unreadable: u64 },
    /// A person was removed from this many learned sets of people. The entry does not say who.
    Forgotten { by: String, sets: usize },
    /// The final check before sending stopped deliveries because a copy contained a hidden address.
    Stopped { places: Vec<String>, left: usize, total: usize },
}
