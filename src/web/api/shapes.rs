//! The JSON of requests and responses. Times are RFC 3339 texts in UTC.
//!
//! Held messages and common types are here; the rest is in [`records`].

pub(super) mod records;

use crate::clock::Timestamp;
use crate::desk::wish::Released;
use crate::store::{HeldLine, HeldRow};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

pub(super) fn moment(at: Timestamp) -> String {
    at.to_jiff().to_string()
}

/// An error (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// What went wrong.
    pub title: String,
    /// Details.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The state of the message, if somebody else decided first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Who decided first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// When they decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<String>,
    /// Places in the message that contain hidden addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub places: Option<Vec<String>>,
}

/// A held message, in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HeldItem {
    /// Its id.
    pub id: String,
    /// MAIL FROM; empty for the null sender.
    pub sender: String,
    /// Decoded subject.
    pub subject: String,
    /// The first recipients.
    pub recipients: Vec<String>,
    /// The number of recipients.
    pub recipient_count: usize,
    /// Why it is held, in sentences.
    pub reasons: Vec<String>,
    /// `ask`, `rule` or `unsafe`.
    pub kind: String,
    /// `held`, `released`, `returned` or `expired`.
    pub state: String,
    /// When it was received.
    pub received: String,
    /// When it is returned if nobody decides.
    pub expires: String,
    /// Who decided.
    pub decided_by: Option<String>,
    /// When it was decided.
    pub decided_at: Option<String>,
    /// How it was released (`split`, `bcc`, `as-is`), or why it was returned.
    pub decision: Option<String>,
}

/// A page of held messages, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HeldList {
    /// The messages.
    pub items: Vec<HeldItem>,
    /// The value of `after` for the next page; null on the last page.
    pub next: Option<String>,
}

/// Selects held messages.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HeldAsked {
    /// State: `held`, `released`, `returned`, `expired`.
    #[param(inline)]
    pub state: Option<State>,
    /// Text in the subject, or an address or domain of the sender or a recipient.
    #[param(max_length = 200)]
    pub q: Option<String>,
    /// The rule that held it.
    #[param(max_length = 200)]
    pub rule: Option<String>,
    /// The message after which the page begins: `next` of the previous page.
    #[param(max_length = 64)]
    pub after: Option<String>,
    /// Most messages to return; 50 by default.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u16>,
}

/// The state of a held message.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    /// Held: waits for a decision.
    Held,
    /// Sent.
    Released,
    /// Returned to the sender.
    Returned,
    /// Returned because the hold expired.
    Expired,
}

/// A held message in full.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HeldWhole {
    /// The same as in the list.
    #[serde(flatten)]
    pub item: HeldItem,
    /// Every recipient.
    pub all_recipients: Vec<String>,
    /// The approvers.
    pub approvers: Vec<String>,
    /// Outside addresses that would see each other.
    pub external_addresses: Vec<String>,
    /// The number of their organisations.
    pub external_organisations: usize,
    /// The number of disclosures: n×(n−1).
    pub exposures: u64,
    /// Rules that matched.
    pub rules: Vec<Rule>,
    /// What the audit found.
    pub hits: Vec<Found>,
}

/// A rule that matched.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Rule {
    /// Its name.
    pub name: String,
    /// Why it matched.
    pub why: String,
}

/// A hidden address that others would see.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Found {
    /// The address.
    pub address: String,
    /// The place that contains it.
    pub place: String,
}

/// How to release.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReleaseWish {
    /// `split` (the default), `bcc` or `as-is`.
    #[serde(default, rename = "as")]
    pub how: Way,
    /// Recipients to remove.
    #[serde(default)]
    #[schema(max_items = 5000)]
    pub drop: Vec<String>,
    /// Places with hidden addresses that are acknowledged (for `as-is`).
    #[serde(default)]
    #[schema(max_items = 5000)]
    pub acknowledge: Vec<String>,
}

/// A way of sending.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Way {
    /// A separate copy for each recipient.
    #[default]
    Split,
    /// One text for all, without the recipients' names.
    Bcc,
    /// As the sender wrote it.
    AsIs,
}

/// The result of a release.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReleaseDone {
    /// The message.
    pub id: String,
    /// How it was released.
    #[serde(rename = "as")]
    pub how: String,
    /// The number of copies.
    pub copies: usize,
    /// The recipients of the copies.
    pub recipients: Vec<String>,
    /// The recipients who were removed.
    pub dropped: Vec<String>,
}

/// A request to return a message.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReturnWish {
    /// The reason, which the sender is told.
    #[serde(default)]
    #[schema(max_length = 1000)]
    pub reason: String,
}

/// The result of returning a message.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReturnDone {
    /// The message.
    pub id: String,
    /// `returned`.
    pub state: String,
}

/// The result of taking a mail back, or of undoing that.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TakenBack {
    /// The message.
    pub id: String,
    /// Whether it is taken back now.
    pub taken_back: bool,
}

/// Selects the copies to preview.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CopiesAsked {
    /// The way of sending: `split` (the default), `bcc`, `as-is`.
    #[serde(default, rename = "as")]
    #[param(inline, required = false)]
    pub how: Way,
    /// How many recipients to skip.
    #[param(maximum = 100_000)]
    pub offset: Option<u32>,
    /// Most copies to return; 50 by default.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u16>,
}

/// What each recipient would get.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CopyList {
    /// The copies, in the order of the recipients.
    pub items: Vec<CopyItem>,
    /// The number of recipients.
    pub total: usize,
}

/// One recipient's copy.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CopyItem {
    /// The recipient.
    pub recipient: String,
    /// To and Cc as the sender wrote them.
    pub before: Addressed,
    /// To and Cc as they would be sent; null if this recipient gets no copy.
    pub after: Option<Addressed>,
    /// Other header lines that the copy lacks.
    pub removed: Vec<String>,
    /// Other header lines that the copy has instead.
    pub added: Vec<String>,
}

/// The address fields of a copy.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Addressed {
    /// To, decoded.
    pub to: String,
    /// Cc, decoded.
    pub cc: String,
}

impl HeldItem {
    pub(super) fn of(line: &HeldLine) -> Self {
        Self {
            id: line.id.to_string(),
            sender: line.sender.clone(),
            subject: line.subject.clone(),
            recipients: line.recipients.clone(),
            recipient_count: line.recipient_count,
            reasons: line.reasons.clone(),
            kind: kind(line.kind),
            state: line.state.to_string(),
            received: moment(line.received),
            expires: moment(line.expires),
            decided_by: line.decided_by.clone(),
            decided_at: line.decided_at.map(moment),
            decision: line.decision.clone(),
        }
    }

    pub(super) fn of_row(row: &HeldRow) -> Self {
        Self {
            id: row.id.to_string(),
            sender: row.sender.clone(),
            subject: row.subject.clone(),
            recipients: row.recipients.iter().take(5).cloned().collect(),
            recipient_count: row.recipients.len(),
            reasons: row.reasons.clone(),
            kind: kind(row.kind),
            state: row.state.to_string(),
            received: moment(row.received),
            expires: moment(row.expires),
            decided_by: row.decided_by.clone(),
            decided_at: row.decided_at.map(moment),
            decision: row.decision.clone(),
        }
    }
}

fn kind(kind: crate::store::HoldKind) -> String {
    use crate::store::HoldKind::{Ask, Rule, Unsafe};
    match kind {
        Ask => "ask",
        Rule => "rule",
        Unsafe => "unsafe",
    }
    .to_owned()
}

impl ReleaseDone {
    pub(super) fn of(released: Released) -> Self {
        Self {
            id: released.id.to_string(),
            how: released.how.to_string(),
            copies: released.copies,
            recipients: released.recipients,
            dropped: released.dropped,
        }
    }
}
