//! What the store keeps, as types: states are enums, every state has its reason.

use crate::clock::Timestamp;
use crate::id::Id;
use crate::journal::Event;
use crate::message::fork::Variant;
use crate::message::{Address, Envelope, Fork};
use crate::policy::facts::Disclosed;
use crate::policy::{Disclosure, Verdict};
use crate::rewrite::{Delivery, Hit};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

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

/// Why a message is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HoldKind {
    /// Only `ask`: the sender may split it or take it back.
    Ask,
    /// A `hold` rule: an approver decides.
    Rule,
    /// The audit found a hidden address, or the message cannot be parsed.
    Unsafe,
}

/// A hold to commit.
#[derive(Clone, Debug)]
pub struct NewHold {
    /// Why.
    pub kind: HoldKind,
    /// In sentences (English, Japanese).
    pub reasons: Vec<(String, String)>,
    /// What the audit found.
    pub hits: Vec<Hit>,
    /// When it is returned if nobody decides.
    pub expires: Timestamp,
    /// Who is asked to decide.
    pub approvers: Vec<Address>,
    /// Where it stands among the forks of its mail.
    pub place: Place,
}

/// Where a held message stands among the forks of its mail. By default it is an item of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The item it becomes a member of, and whose decision (if one was made) it shares.
    pub joins: Option<Id>,
    /// The item whose decision it does not share: it is an addendum to it.
    pub adds_to: Option<Id>,
    /// Whom its header names beyond those it came for.
    pub awaited: Vec<Awaited>,
    /// What was known of the mail when this was planned: a commit is refused (`Moved`) when that
    /// changed since.
    pub expected: Option<String>,
}

/// Somebody whom the header of a held message names, and whom no transaction brought so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaited {
    /// The address in comparison form.
    pub key: String,
    /// Notices wait (a little) for their transaction. Mail to colleagues may never come this way.
    pub outside: bool,
}

/// How a mail was released: what is done with siblings that come late.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// Who may see whom.
    pub disclosure: Disclosure,
    /// Recipients taken off.
    pub dropped: Vec<Address>,
    /// Places with hidden addresses that were acknowledged.
    pub acknowledged: Vec<String>,
}

/// What is known of a mail some of whose transactions were held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupStanding {
    /// Its items, the oldest first.
    pub items: Vec<ItemStanding>,
    /// Changes with every item and every decision.
    pub token: String,
}

/// One item of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemStanding {
    /// The item.
    pub id: Id,
    /// Its state.
    pub state: HeldState,
    /// It is an addendum to an earlier one.
    pub addendum: bool,
    /// How it was released.
    pub way: Option<Way>,
    /// The contents that were seen when it was decided on.
    pub variants: Vec<Variant>,
}

/// State of a held message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum HeldState {
    Held,
    Released,
    Returned,
    Expired,
}

impl fmt::Display for HeldState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Held => "held",
            Self::Released => "released",
            Self::Returned => "returned",
            Self::Expired => "expired",
        })
    }
}

/// State of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

/// One line of the list of held messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldRow {
    /// Our id.
    pub id: Id,
    /// MAIL FROM; empty for the null sender.
    pub sender: String,
    /// Decoded subject.
    pub subject: String,
    /// Envelope recipients.
    pub recipients: Vec<String>,
    /// Why, in sentences.
    pub reasons: Vec<String>,
    /// The same in Japanese.
    pub reasons_ja: Vec<String>,
    /// Why, as a kind.
    pub kind: HoldKind,
    /// What the audit found.
    pub hits: Vec<Hit>,
    /// When it was received.
    pub received: Timestamp,
    /// When it is returned if nobody decides.
    pub expires: Timestamp,
    /// Who was asked to decide, in comparison form.
    pub approvers: Vec<String>,
    /// State.
    pub state: HeldState,
    /// Who decided.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Timestamp>,
    /// How it was released (`split`, `bcc`, `as-is`), or why it was returned.
    pub decision: Option<String>,
    /// The item it belongs to: its own id, unless it joined another.
    pub item: Id,
    /// The item it is an addendum to: somebody the approver did not see, or another content.
    pub addendum_to: Option<Id>,
    /// In how many transactions it came so far.
    pub members: usize,
    /// Whom the header names and no transaction brought so far, in comparison form.
    pub awaited: Vec<String>,
    /// Until when its sender may undo taking it back.
    pub undo_until: Option<Timestamp>,
}

impl HeldRow {
    /// Of how many recipients the mail has come: the second number has those that its header names
    /// beyond them.
    pub fn received_of(&self) -> (usize, usize) {
        (self.recipients.len(), self.recipients.len() + self.awaited.len())
    }
}

/// Which held messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldFilter {
    /// Only this one, be it an item or a member of one. Without, items alone.
    pub id: Option<Id>,
    /// Only in this state.
    pub state: Option<HeldState>,
    /// Only those whose deadline lies before this moment.
    pub expired_by: Option<Timestamp>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// A decision on a held item, with all its members.
#[derive(Clone, Debug)]
pub struct HeldDecision {
    /// Which item.
    pub id: Id,
    /// The state it comes to.
    pub state: HeldState,
    /// Who decides.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// How, or why.
    pub decision: String,
    /// The copies that leave (for `Released`).
    pub deliveries: Vec<NewDelivery>,
    /// What the second lock searches for from now on.
    pub needles: Vec<Address>,
    /// What is disclosed, for the ledger.
    pub ledger: Option<Disclosed>,
    /// Notices that follow.
    pub notices: Vec<NewNotice>,
    /// Journal, of each member.
    pub events: Vec<Event>,
    /// What leaves of the item's other members (for `Released`): all of them, or the decision is
    /// refused (`Moved`).
    pub siblings: Vec<Sibling>,
    /// How it is released, for siblings that come late.
    pub way: Option<Way>,
    /// Until when this may be undone.
    pub undo_until: Option<Timestamp>,
}

impl HeldDecision {
    /// A decision of which nothing follows yet.
    pub fn new(id: Id, state: HeldState, by: &str, at: Timestamp, decision: &str) -> Self {
        Self {
            id,
            state,
            by: by.to_owned(),
            at,
            decision: decision.to_owned(),
            deliveries: Vec::new(),
            needles: Vec::new(),
            ledger: None,
            notices: Vec::new(),
            events: Vec::new(),
            siblings: Vec::new(),
            way: None,
            undo_until: None,
        }
    }
}

/// What leaves of a member of a released item.
#[derive(Clone, Debug)]
pub struct Sibling {
    /// Which.
    pub id: Id,
    /// The copies that leave.
    pub deliveries: Vec<NewDelivery>,
    /// What the second lock searches for from now on.
    pub needles: Vec<Address>,
    /// What is disclosed, for the ledger.
    pub ledger: Option<Disclosed>,
}

/// The second lock's finding.
#[derive(Clone, Debug)]
pub struct Stop {
    /// The message.
    pub id: Id,
    /// When.
    pub at: Timestamp,
    /// What was found.
    pub hits: Vec<Hit>,
    /// When the hold expires.
    pub expires: Timestamp,
    /// Who is asked to decide, where nobody was before.
    pub approvers: Vec<Address>,
}

impl Stop {
    /// The hold that this makes of the message: a sentence for each finding, in English and Japanese.
    pub fn hold(&self) -> NewHold {
        let sentence = |hit: &Hit| {
            (
                format!("{} was found in {} of another recipient's copy", hit.address, hit.place),
                format!("別の受信者宛てのメールの {} に {} が見つかりました", hit.place, hit.address),
            )
        };
        NewHold {
            kind: HoldKind::Unsafe,
            reasons: self.hits.iter().map(sentence).collect(),
            hits: self.hits.clone(),
            expires: self.expires,
            approvers: self.approvers.clone(),
            place: Place::default(),
        }
    }
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
}

/// What a notice tells, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeKind {
    /// To the sender: it is held, and why.
    Held,
    /// To the approvers: it is held.
    HeldApprovers,
    /// To the sender: it was split without asking.
    Split,
    /// To the sender: it was returned.
    Returned,
    /// To the sender: nobody decided in time.
    Expired,
    /// To the sender (RFC 3464): some recipients failed.
    Failure,
    /// To the sender (RFC 3464): not delivered yet.
    Delayed,
    /// To the approvers: the second lock stopped a copy.
    Stopped,
    /// To the sender: it leaves later, and can be taken back until then.
    Waits,
    /// To the sender: they took it back, and can undo that.
    TakenBack,
    /// To the approvers: the sender asks that it leave as it is, and says why.
    AskedAsIs,
    /// To the sender: it is held, and soon nobody can decide any more.
    Expiring,
    /// To the approvers: the same.
    ExpiringApprovers,
    /// To those behind the approvers: nobody answered.
    Escalated,
    /// To the sender (RFC 3461): some recipients have it, as was asked to be told.
    Delivered,
    /// To the sender: somebody else let it go.
    Released,
}

/// A notice that becomes due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNotice {
    /// What.
    pub kind: NoticeKind,
    /// When. A second notice of the same kind for a message that is still due moves it to the earlier
    /// of both.
    pub due: Timestamp,
}

/// A notice that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueNotice {
    /// Its row.
    pub notice: i64,
    /// What it is about.
    pub message: Id,
    /// What.
    pub kind: NoticeKind,
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
    /// What was decided.
    pub action: String,
}

/// Numbers over a span of time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Messages accepted from clients, by the action decided: `pass`, `split`, …
    pub accepted: std::collections::BTreeMap<String, u64>,
    /// Held messages by state now.
    pub held: std::collections::BTreeMap<String, u64>,
    /// Deliveries by state now.
    pub deliveries: std::collections::BTreeMap<String, u64>,
    /// Disclosures prevented: the sum of n×(n−1) over rewritten or returned mail.
    pub exposures_prevented: u64,
}

/// How long a message is kept once nothing of it is left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Header and body, counted from when the message was received.
    pub contents: Duration,
    /// Everything else about it: envelope, deliveries, journal.
    pub messages: Duration,
    /// The ledger of open disclosures: how far back a thread's circle is known.
    pub ledger: Duration,
}

impl Default for Retention {
    /// 7, 30 and 90 days.
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 24 * 3600);
        Self { contents: days(7), messages: days(30), ledger: days(90) }
    }
}

/// What a purge removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Contents (header and body) of finished messages.
    pub contents: usize,
    /// Messages, with their deliveries and journal.
    pub messages: usize,
    /// Entries of the journal's chain of which nothing else was left.
    pub chain: usize,
    /// Entries of the ledger.
    pub ledger: usize,
    /// Body files that no message names.
    pub orphans: usize,
}

/// What was found at start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Deliveries that a crash left in `sending`.
    pub uncertain: usize,
    /// Body files that no message names.
    pub orphans: usize,
}
