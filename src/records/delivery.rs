//! Deliveries: claimed under a lease, tried, and shown in the queue.

use super::NewNotice;
use crate::clock::Timestamp;
use crate::id::Id;
use crate::message::Address;
use crate::rewrite::Delivery;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A copy that left, or waits to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// When it left, or is due; `None` where that is now.
    pub at: Option<Timestamp>,
    /// MAIL FROM; `None` for the null sender.
    pub sender: Option<Address>,
    /// Whom it is for.
    pub recipients: Vec<Address>,
}

/// State of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    /// Due.
    Ready,
    /// Under a lease.
    Sending,
    /// Taken by the upstream.
    Delivered,
    /// To be tried again later.
    Waiting,
    /// Refused for good, or given up.
    Failed,
    /// The connection was lost after the final dot and before the answer; it is tried again, flagged
    /// as a possible duplicate (RFC 5321 §4.5.4.2 asks for the retry).
    Uncertain,
    /// Held back by an operator.
    Paused,
    /// Taken out of the queue by an operator.
    Dropped,
}

impl DeliveryState {
    /// Whether nothing follows by itself: delivered, failed or dropped.
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
    /// The lease it is held under.
    pub lease: Lease,
    /// Which message.
    pub message: Id,
    /// The copy.
    pub delivery: Delivery,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// An earlier attempt ended `uncertain`: this one may be a duplicate.
    pub possible_duplicate: bool,
    /// When the copy was first due (hold and delay do not count): for the schedule.
    pub queued: Timestamp,
}

/// A fenced lease: a delivery and the token that this claim gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The delivery's row.
    pub delivery: i64,
    /// Grows with every claim of that row.
    pub token: i64,
}

/// How one attempt on one copy ended.
#[derive(Clone, Debug)]
pub struct AttemptResult {
    /// Whose.
    pub lease: Lease,
    /// Which message.
    pub message: Id,
    /// When.
    pub at: Timestamp,
    /// How each recipient fared. Recipients of one row may part ways: the store splits the row.
    pub recipients: Vec<(Address, RecipientResult)>,
    /// Which attempt it was.
    pub attempt: u32,
    /// Notices that follow (a failure report, a delay notice).
    pub notices: Vec<NewNotice>,
}

/// How one recipient fared in one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecipientResult {
    /// The state it leaves: `Delivered`, `Waiting`, `Failed`, `Uncertain`, or `Ready` (not tried).
    pub state: DeliveryState,
    /// The upstream's reply, or why there was none; shown by `queue list` and quoted in reports.
    pub reply: String,
    /// When it is due again, for the states that are.
    pub due: Option<Timestamp>,
}

/// Which deliveries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueFilter {
    /// One message's, or one delivery's (`MESSAGE` or `MESSAGE.N` as `queue list` shows it).
    pub id: Option<String>,
    /// MAIL FROM.
    pub sender: Option<String>,
    /// One of its recipients.
    pub recipient: Option<String>,
    /// State; `None` means all that are not final.
    pub state: Option<DeliveryState>,
    /// Received before.
    pub before: Option<Timestamp>,
    /// Final ones too.
    pub all: bool,
    /// At most so many.
    pub limit: Option<usize>,
}

/// What an operator does to deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum QueueChange {
    Retry,
    Drop,
    Pause,
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
    /// The upstream's last words.
    pub last_reply: String,
    /// When it is due again.
    pub due: Option<Timestamp>,
    /// When the message was received.
    pub received: Timestamp,
    /// It may have been delivered once already.
    pub possible_duplicate: bool,
    /// In observe mode: what would have been done to the message.
    #[serde(default)]
    pub would: Option<String>,
}
