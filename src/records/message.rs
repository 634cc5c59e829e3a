//! Messages: their origin, what is committed with them, and what is read back.

use super::{HeldRow, HeldState, NewHold, NewNotice, NoticeId};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::journal::Event;
use crate::message::{Address, Envelope, Fork};
use crate::policy::facts::Disclosed;
use crate::policy::{Action, Disclosure, Verdict};
use crate::rewrite::Delivery;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A message's body: everything after the empty line that ends the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// In memory; stored in the message's row, or where the engine stores bodies of middle size.
    Inline(Bytes),
    /// In a file beside the database.
    Stored {
        /// Name of the file.
        name: String,
        /// Its size in octets.
        size: u64,
        /// Whether it was seen, as it was written, that it is sent as it is: each line ends in CRLF, and none
        /// begins with a dot. Of a body that is read back nobody knows.
        as_is: bool,
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
        /// The authenticated identity, if the client authenticated.
        identity: Option<String>,
        /// Whether the connection used TLS.
        #[serde(default)]
        secured: bool,
    },
    /// The relay itself: a notice or report. No rules apply to it, and no notices are sent about it.
    Own {
        /// The message that it is about.
        about: Option<Id>,
    },
}

impl Origin {
    /// The authenticated identity: a login or an address.
    pub fn identity(&self) -> Option<String> {
        match self {
            Self::Client { identity, .. } => identity.clone(),
            Self::Own { .. } => None,
        }
    }

    /// The protocol for `with` in our trace field (RFC 3848): `ESMTP`, `ESMTPS`, `ESMTPA`, `ESMTPSA`.
    pub fn protocol(&self) -> &'static str {
        match self {
            Self::Client { secured: true, identity: Some(_), .. } => "ESMTPSA",
            Self::Client { secured: true, .. } => "ESMTPS",
            Self::Client { identity: Some(_), .. } => "ESMTPA",
            Self::Client { .. } | Self::Own { .. } => "ESMTP",
        }
    }
}

/// What is known of a message when it is received, and does not change.
#[derive(Clone, Debug)]
pub struct Message {
    /// Our id.
    pub id: Id,
    /// When it was received.
    pub received: Timestamp,
    /// Where it came from.
    pub origin: Origin,
    /// The envelope.
    pub envelope: Envelope,
    /// The header block as received.
    pub header: Bytes,
    /// The body.
    pub body: Body,
    /// The decoded subject, for lists.
    pub subject: String,
    /// The Message-ID without angle brackets; a new one if it had none.
    pub message_id: String,
    /// The verdict; `None` for the relay's own mail.
    pub verdict: Option<Verdict>,
    /// Addresses that the final check before sending searches rendered headers for. A release replaces them.
    pub needles: Arc<Vec<Address>>,
}

/// A message to commit, with everything that belongs to it.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// The message.
    pub message: Message,
    /// Its copies; empty while it is held.
    pub deliveries: Vec<NewDelivery>,
    /// The hold, if it is held.
    pub held: Option<NewHold>,
    /// What it openly discloses, for the ledger.
    pub ledger: Option<Disclosed>,
    /// Notices that become due with it.
    pub notices: Vec<NewNotice>,
    /// The notice that this message is (origin `Own`); it is marked as sent in the same
    /// transaction.
    pub answers: Option<NoticeId>,
    /// Journal entries.
    pub events: Vec<Event>,
    /// The mail of which it is a transaction; `None` if that is unknown, and for the relay's own mail.
    pub fork: Option<Fork>,
    /// If a circle exempts it: how many circles had ended when it was judged. The commit is refused (`Moved`) if
    /// another has ended since.
    pub circles: Option<i64>,
}

impl NewMessage {
    /// A message without copies, hold, notices or journal entries.
    pub fn of(message: Message) -> Self {
        Self {
            message,
            deliveries: Vec::new(),
            held: None,
            ledger: None,
            notices: Vec::new(),
            answers: None,
            events: Vec::new(),
            fork: None,
            circles: None,
        }
    }
}

impl Deref for NewMessage {
    type Target = Message;

    fn deref(&self) -> &Message {
        &self.message
    }
}

impl DerefMut for NewMessage {
    fn deref_mut(&mut self) -> &mut Message {
        &mut self.message
    }
}

/// A copy to commit.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    /// The copy.
    pub delivery: Delivery,
    /// Its initial state.
    pub state: InitialState,
}

/// The initial state of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitialState {
    /// Due now.
    Ready,
    /// Due later (`delay`).
    Waiting(Timestamp),
    /// Handed to a worker that has a free slot, which saves a claim.
    Sending {
        /// When the lease ends.
        until: Timestamp,
    },
}

/// A message as the courier, the desk and the notices need it.
#[derive(Clone, Debug)]
pub struct StoredMessage {
    /// The message.
    pub message: Message,
    /// The hold, if it was ever held.
    pub held: Option<HeldRow>,
}

impl Deref for StoredMessage {
    type Target = Message;

    fn deref(&self) -> &Message {
        &self.message
    }
}

impl DerefMut for StoredMessage {
    fn deref_mut(&mut self) -> &mut Message {
        &mut self.message
    }
}

impl StoredMessage {
    /// Whether its recipients were hidden from each other when it was sent, or will be: it was split, or sent
    /// as Bcc, by its verdict or by a decision.
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

/// One line of the output of `trace`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRow {
    /// Our id.
    pub id: Id,
    /// When it was received.
    pub received: Timestamp,
    /// MAIL FROM; empty for the null sender.
    pub sender: String,
    /// Envelope recipients.
    pub recipients: Vec<String>,
    /// Decoded subject.
    pub subject: String,
    /// Message-ID.
    pub message_id: String,
    /// What was done when it was received.
    pub action: String,
    /// In observe mode: what enforce mode would have done.
    #[serde(default)]
    pub would: Option<String>,
    /// The reasons for that, a sentence for each rule that demanded something.
    #[serde(default)]
    pub would_reasons: Vec<String>,
}
