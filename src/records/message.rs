//! Messages: where one came from, what is committed with it, and what is read back.

use super::{HeldRow, HeldState, NewHold, NewNotice};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::journal::Event;
use crate::message::{Address, Envelope, Fork};
use crate::policy::facts::Disclosed;
use crate::policy::{Action, Disclosure, Verdict};
use crate::rewrite::Delivery;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Where a message's body is: from the empty line that ends the header to the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// In memory, in the row.
    Inline(Bytes),
    /// Beside the database, under this name.
    Stored {
        /// The engine's name for it.
        name: String,
        /// Its size in octets.
        size: u64,
    },
}

impl Body {
    /// Size in octets.
    pub fn size(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Stored { size, .. } => *size,
        }
    }
}

/// Where a message came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "from")]
pub enum Origin {
    /// An SMTP client.
    Client {
        /// `address:port`.
        peer: String,
        /// What it called itself.
        helo: String,
        /// The authenticated identity, once there is AUTH.
        identity: Option<String>,
        /// It came through TLS.
        #[serde(default)]
        secured: bool,
    },
    /// The relay itself: a notice or report about this message. No rules, no notices about it.
    Own {
        /// What it is about.
        about: Option<Id>,
    },
}

impl Origin {
    /// Who was authenticated: a login or an address.
    pub fn identity(&self) -> Option<String> {
        match self {
            Self::Client { identity, .. } => identity.clone(),
            Self::Own { .. } => None,
        }
    }

    /// How it came, for `with` in our trace field (RFC 3848): `ESMTP`, `ESMTPS`, `ESMTPA`, `ESMTPSA`.
    pub fn protocol(&self) -> &'static str {
        match self {
            Self::Client { secured: true, identity: Some(_), .. } => "ESMTPSA",
            Self::Client { secured: true, .. } => "ESMTPS",
            Self::Client { identity: Some(_), .. } => "ESMTPA",
            Self::Client { .. } | Self::Own { .. } => "ESMTP",
        }
    }
}

/// A message to commit, with all that belongs to it.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// Our id.
    pub id: Id,
    /// When it was received.
    pub received: Timestamp,
    /// From where.
    pub origin: Origin,
    /// Envelope.
    pub envelope: Envelope,
    /// The header block as it came.
    pub header: Bytes,
    /// The body.
    pub body: Body,
    /// Decoded subject, for lists.
    pub subject: String,
    /// Message-ID without angle brackets (synthesised when there was none).
    pub message_id: String,
    /// The decision (`None` for our own mail).
    pub verdict: Option<Verdict>,
    /// Addresses that the second lock searches rendered headers for.
    pub needles: Vec<Address>,
    /// Its copies; none while it is held.
    pub deliveries: Vec<NewDelivery>,
    /// Set when it is held.
    pub held: Option<NewHold>,
    /// What it discloses openly, for the ledger.
    pub ledger: Option<Disclosed>,
    /// Notices that become due with it.
    pub notices: Vec<NewNotice>,
    /// The notice that this message is (origin `Own`): marked as sent in the same transaction.
    pub answers: Option<i64>,
    /// Journal entries.
    pub events: Vec<Event>,
    /// Which mail it is a transaction of; `None` where that cannot be told, and for our own mail.
    pub fork: Option<Fork>,
}

/// A copy to commit.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    /// The copy.
    pub delivery: Delivery,
    /// Where it starts.
    pub state: InitialState,
}

/// The state a delivery is born in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitialState {
    /// Due at once.
    Ready,
    /// Due later (`delay`).
    Waiting(Timestamp),
    /// Handed straight to the courier, which has a free place for it: saves a claim.
    Sending {
        /// End of the lease.
        until: Timestamp,
    },
}

/// A message as the courier, the desk and the notices need it.
#[derive(Clone, Debug)]
pub struct StoredMessage {
    /// Our id.
    pub id: Id,
    /// When it was received.
    pub received: Timestamp,
    /// From where.
    pub origin: Origin,
    /// Envelope.
    pub envelope: Envelope,
    /// The header block as it came.
    pub header: Bytes,
    /// The body.
    pub body: Body,
    /// Decoded subject.
    pub subject: String,
    /// Message-ID without angle brackets.
    pub message_id: String,
    /// The decision.
    pub verdict: Option<Verdict>,
    /// What the second lock searches for.
    pub needles: Arc<Vec<Address>>,
    /// The hold, if it was ever held.
    pub held: Option<HeldRow>,
}

impl StoredMessage {
    /// Whether its recipients were not shown to each other when it left, or are not to be: it was split, or
    /// sent as Bcc, by its verdict or by a decision.
    pub fn goes_individually(&self) -> bool {
        if let Some(held) = &self.held {
            let way = held.decision.as_deref().and_then(|decision| decision.split(',').next());
            return held.state == HeldState::Released && matches!(way, Some("split" | "bcc"));
        }
        let Some(verdict) = &self.verdict else { return false };
        let leaves = matches!(verdict.action(), Action::Split | Action::Bcc | Action::Delay);
        leaves && verdict.demand.disclosure >= Disclosure::Bcc
    }
}

/// One line of `trace`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRow {
    /// Our id.
    pub id: Id,
    /// When.
    pub received: Timestamp,
    /// MAIL FROM; empty for the null sender.
    pub sender: String,
    /// Envelope recipients.
    pub recipients: Vec<String>,
    /// Decoded subject.
    pub subject: String,
    /// Message-ID.
    pub message_id: String,
    /// What was done when it came.
    pub action: String,
    /// In observe mode: what would have been done,
    #[serde(default)]
    pub would: Option<String>,
    /// and why, a sentence for each rule that demanded something.
    #[serde(default)]
    pub would_reasons: Vec<String>,
}
