//! Deliveries: their states, leases and attempts, and the queue as operators see it.

use super::{DeliveryId, NewNotice};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::message::Address;
use crate::rewrite::Delivery;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A copy that counts for the sending budgets: it was sent, or waits to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// When it was sent or is due; `None` means now.
    pub at: Option<Timestamp>,
    /// MAIL FROM; `None` for the null sender.
    pub sender: Option<Address>,
    /// Its recipients.
    pub recipients: Vec<Address>,
}

/// State of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    /// Due now.
    Ready,
    /// Leased by a worker.
    Sending,
    /// Accepted by the upstream.
    Delivered,
    /// Will be tried again later.
    Waiting,
    /// Rejected permanently, or given up.
    Failed,
    /// The connection was lost between the final dot and the reply. The delivery is tried again and flagged
    /// as a possible duplicate (RFC 5321 §4.5.4.2 demands the retry).
    Uncertain,
    /// Paused by an operator.
    Paused,
    /// Removed from the queue by an operator.
    Dropped,
}

impl DeliveryState {
    /// Whether the state is final: delivered, failed or dropped.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Delivered | Self::Failed | Self::Dropped)
    }
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready => "ready",
            Self::Sending => "sending",
            Self::Delivered => "delivered",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
            Self::Uncertain => "uncertain",
            Self::Paused => "paused",
            Self::Dropped => "dropped",
        })
    }
}

/// A claim on one delivery: work for the courier.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The lease of this claim.
    pub lease: Lease,
    /// The message.
    pub message: Id,
    /// The copy.
    pub delivery: Delivery,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// An earlier attempt ended `uncertain`: this one may be a duplicate.
    pub possible_duplicate: bool,
    /// When the copy was first due, after any hold and delay: the start of the retry schedule.
    pub queued: Timestamp,
}

/// A lease with a fencing token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Increases with every claim of the delivery.
    pub token: i64,
}

/// The result of one attempt at one copy.
#[derive(Clone, Debug)]
pub struct AttemptResult {
    /// The lease of the attempt.
    pub lease: Lease,
    /// The message.
    pub message: Id,
    /// When the attempt ended.
    pub at: Timestamp,
    /// The result for each recipient. If the results differ, the store splits the delivery.
    pub recipients: Vec<(Address, RecipientResult)>,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// Notices that become due (a failure report, a delay notice).
    pub notices: Vec<NewNotice>,
}

/// The result of one attempt for one recipient.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecipientResult {
    /// The new state: `Delivered`, `Waiting`, `Failed`, `Uncertain`, or `Ready` (not tried).
    pub state: DeliveryState,
    /// The upstream's reply, or why there was none; `queue list` shows it and reports quote it.
    pub reply: String,
    /// When it is due again, if it is to be tried again.
    pub due: Option<Timestamp>,
}

/// Selects deliveries; every field that is set must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueFilter {
    /// A message or a delivery (`MESSAGE` or `MESSAGE.N` as `queue list` shows it).
    pub id: Option<String>,
    /// MAIL FROM.
    pub sender: Option<String>,
    /// One of its recipients.
    pub recipient: Option<String>,
    /// The state; `None` selects all that are not final.
    pub state: Option<DeliveryState>,
    /// Received before this time.
    pub before: Option<Timestamp>,
    /// Include final states.
    pub all: bool,
    /// Most rows to return.
    pub limit: Option<usize>,
}

/// What an operator can do with deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueueChange {
    /// Tries them now; failed ones start a new schedule.
    Retry,
    /// Takes them out of the queue for good.
    Drop,
    /// Keeps them until they are resumed.
    Pause,
    /// Tries paused ones now.
    Resume,
}

/// One line of the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueRow {
    /// `MESSAGE.N`.
    pub id: String,
    /// Our id of the message.
    pub message: Id,
    /// MAIL FROM; empty for the null sender.
    pub sender: String,
    /// Recipients of this copy.
    pub recipients: Vec<String>,
    /// State.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// The upstream's last reply.
    pub last_reply: String,
    /// When it is due again.
    pub due: Option<Timestamp>,
    /// When the message was received.
    pub received: Timestamp,
    /// It may already have been delivered once.
    pub possible_duplicate: bool,
    /// In observe mode: what enforce mode would have done with the message.
    #[serde(default)]
    pub would: Option<String>,
}
