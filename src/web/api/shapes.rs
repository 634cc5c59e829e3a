//! What requests and answers of the API look like. Moments are RFC 3339 texts in UTC.
//!
//! Held messages and what is common are here; the rest is in [`records`].

pub(super) mod records;

use crate::clock::Timestamp;
use crate::desk::wish::Released;
use crate::store::{HeldLine, HeldRow};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

pub(super) fn moment(at: Timestamp) -> String {
    at.to_jiff().to_string()
}

/// What went wrong (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// The status of the answer.
    pub status: u16,
    /// What went wrong.
    pub title: String,
    /// More about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The state that somebody brought the message to before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Who that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<String>,
    /// Places in the message where hidden addresses stand.
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
    /// How many there are.
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
    /// When.
    pub decided_at: Option<String>,
    /// How it was released (`split`, `bcc`, `as-is`), or why it was returned.
    pub decision: Option<String>,
}

/// A page of held messages, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HeldList {
    /// The messages.
    pub items: Vec<HeldItem>,
    /// What to give as `after` for the next page; null on the last.
    pub next: Option<String>,
}

/// Which held messages.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HeldAsked {
    /// Only in this state: `held`, `released`, `returned`, `expired`.
    #[param(inline)]
    pub state: Option<State>,
    /// With this text in the subject, or of or to this address or domain.
    #[param(max_length = 200)]
    pub q: Option<String>,
    /// Held by this rule.
    #[param(max_length = 200)]
    pub rule: Option<String>,
    /// The page after this message: `next` of the page before.
    #[param(max_length = 64)]
    pub after: Option<String>,
    /// At most so many; 50 unless given.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u16>,
}

/// The state of a held message.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    /// Waits for a decision.
    Held,
    /// Sent.
    Released,
    /// Given back.
    Returned,
    /// Given back because nobody decided.
    Expired,
}

/// A held message in full.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HeldWhole {
    /// What the list says of it.
    #[serde(flatten)]
    pub item: HeldItem,
    /// Every recipient.
    pub all_recipients: Vec<String>,
    /// Who was asked to decide.
    pub approvers: Vec<String>,
    /// Outside addresses that would see each other.
    pub external_addresses: Vec<String>,
    /// Of how many organisations.
    pub external_organisations: usize,
    /// How many pairs would see each other: n×(n−1).
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
    /// Where it stands.
    pub place: String,
}

/// How to release.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReleaseWish {
    /// `split` (the default), `bcc` or `as-is`.
    #[serde(default, rename = "as")]
    pub how: Way,
    /// Recipients to leave out.
    #[serde(default)]
    #[schema(max_items = 5000)]
    pub drop: Vec<String>,
    /// Places with hidden addresses that are acknowledged, for `as-is`.
    #[serde(default)]
    #[schema(max_items = 5000)]
    pub acknowledge: Vec<String>,
}

/// A way of sending.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Way {
    /// A copy of one's own for each.
    #[default]
    Split,
    /// One text for all, nobody named.
    Bcc,
    /// As the sender wrote it.
    AsIs,
}

/// What a release did.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReleaseDone {
    /// Which message.
    pub id: String,
    /// How.
    #[serde(rename = "as")]
    pub how: String,
    /// How many copies leave.
    pub copies: usize,
    /// To whom.
    pub recipients: Vec<String>,
    /// Who was left out.
    pub dropped: Vec<String>,
}

/// Why to return.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReturnWish {
    /// What the sender is told.
    #[serde(default)]
    #[schema(max_length = 1000)]
    pub reason: String,
}

/// A message that was given back.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReturnDone {
    /// Which message.
    pub id: String,
    /// `returned`.
    pub state: String,
}

/// A mail that was taken back, or is no more.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TakenBack {
    /// Which message.
    pub id: String,
    /// Whether it is taken back now.
    pub taken_back: bool,
}

/// Which copies to look at.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CopiesAsked {
    /// The way of sending: `split` (the default), `bcc`, `as-is`.
    #[serde(default, rename = "as")]
    #[param(inline, required = false)]
    pub how: Way,
    /// How many recipients to pass over.
    #[param(maximum = 100_000)]
    pub offset: Option<u32>,
    /// At most so many; 50 unless given.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u16>,
}

/// What each recipient would get.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CopyList {
    /// The copies, in the order of the recipients.
    pub items: Vec<CopyItem>,
    /// How many recipients there are.
    pub total: usize,
}

/// One recipient's copy.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CopyItem {
    /// Whose.
    pub recipient: String,
    /// To and Cc as the sender wrote them.
    pub before: Addressed,
    /// To and Cc as they would leave; null where this recipient gets no copy.
    pub after: Option<Addressed>,
    /// Other lines of the header that the copy lacks.
    pub removed: Vec<String>,
    /// Other lines that it has instead.
    pub added: Vec<String>,
}

/// Whom a copy names.
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
