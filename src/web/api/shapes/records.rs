//! The JSON of queue, messages, report and chain.

use super::moment;
use crate::desk::report::Numbers;
use crate::journal::Entry;
use crate::store::known::{Tally, Would, WouldBe};
use crate::store::{HeldState, MessageRow, QueueChange, QueueRow};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// The head of the journal's chain. Kept elsewhere, it proves later that no earlier entry was changed.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::web::api) struct ChainHead {
    /// The number of entries.
    pub entries: u64,
    /// The last link, in hexadecimal; empty for an empty chain.
    pub link: String,
}

/// Selects deliveries.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::web::api) struct QueueAsked {
    /// The sender.
    #[param(max_length = 320)]
    pub sender: Option<String>,
    /// A recipient.
    #[param(max_length = 320)]
    pub recipient: Option<String>,
    /// Most deliveries to return; 50 by default.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u16>,
}

/// Deliveries, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::web::api) struct QueueList {
    /// The deliveries.
    pub items: Vec<QueueItem>,
}

/// One delivery.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::web::api) struct QueueItem {
    /// `MESSAGE.N`.
    pub id: String,
    /// The message.
    pub message: String,
    /// MAIL FROM; empty for the null sender.
    pub sender: String,
    /// Recipients of this copy.
    pub recipients: Vec<String>,
    /// `ready`, `sending`, `waiting`, `delivered`, `failed`, `uncertain`, `paused`, `dropped`.
    pub state: String,
    /// Attempts so far.
    pub attempts: u32,
    /// The server's last reply.
    pub last_reply: String,
    /// When it is due again.
    pub due: Option<String>,
    /// In observe mode: what enforce mode would have done with the message.
    pub would: Option<String>,
}

/// A change of deliveries.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::web::api) struct QueueWish {
    /// Deliveries, as `MESSAGE.N`.
    #[schema(min_items = 1, max_items = 500)]
    pub ids: Vec<String>,
    /// The change.
    pub change: Change,
}

/// The possible changes.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::web::api) enum Change {
    /// Try again now.
    Retry,
    /// Pause.
    Pause,
    /// Resume.
    Resume,
}

impl From<Change> for QueueChange {
    fn from(change: Change) -> Self {
        match change {
            Change::Retry => Self::Retry,
            Change::Pause => Self::Pause,
            Change::Resume => Self::Resume,
        }
    }
}

/// The result of a change.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::web::api) struct QueueDone {
    /// The number of deliveries that changed.
    pub changed: usize,
}

/// A search for messages.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::web::api) struct TraceAsked {
    /// An id, a Message-ID, an address, or words of the subject.
    #[param(min_length = 1, max_length = 1000)]
    pub q: String,
    /// Most messages to return; 50 by default.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u16>,
}

/// Messages, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::web::api) struct MessageList {
    /// The messages.
    pub items: Vec<MessageItem>,
}

/// One message.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::web::api) struct MessageItem {
    /// Its id.
    pub id: String,
    /// When it was received.
    pub received: String,
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
    pub would: Option<String>,
    /// The reasons for that, a sentence for each rule that demanded something.
    pub would_reasons: Vec<String>,
}

/// The history of one message.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::web::api) struct History {
    /// Its id.
    pub id: String,
    /// When it was received.
    pub received: String,
    /// The events, oldest first.
    pub events: Vec<Happened>,
    /// Its copies.
    pub deliveries: Vec<QueueItem>,
}

/// One event.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::web::api) struct Happened {
    /// When it happened.
    pub at: String,
    /// The kind: `accepted`, `attempt`, `released`, `returned`, …
    pub event: String,
    /// Details, depending on the kind.
    #[schema(value_type = Object)]
    pub detail: serde_json::Value,
}

/// The period of a report.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::web::api) struct ReportAsked {
    /// The number of days; 30 by default.
    #[param(minimum = 1, maximum = 3650)]
    pub days: Option<u32>,
}

/// Statistics over a period, the same as `sekisho report`.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::web::api) struct Report {
    /// Start of the period.
    pub since: String,
    /// Messages accepted from clients, by action.
    pub accepted: BTreeMap<String, u64>,
    /// Held messages by current state.
    pub held: BTreeMap<String, u64>,
    /// Deliveries by current state.
    pub deliveries: BTreeMap<String, u64>,
    /// Disclosures prevented.
    pub exposures_prevented: u64,
    /// What enforce mode would have done with mail that passed in observe mode.
    pub would: WouldReport,
    /// Held messages by rule and current state.
    pub rules: BTreeMap<String, BTreeMap<String, u64>>,
    /// The same by the sender's group; a sender can be in several.
    pub groups: BTreeMap<String, BTreeMap<String, u64>>,
    /// The same by approver.
    pub approvers: BTreeMap<String, BTreeMap<String, u64>>,
    /// The same by sender.
    pub senders: BTreeMap<String, BTreeMap<String, u64>>,
    /// Held messages that were released as is, by rule.
    pub released_unchanged: BTreeMap<String, u64>,
    /// The number of decisions by people.
    pub decisions: usize,
    /// The median time to decide, in seconds; null if there was no decision.
    pub median_seconds_to_decide: Option<u64>,
    /// The 90th percentile of the time to decide, in seconds; null if there was no decision.
    pub nine_of_ten_seconds_to_decide: Option<u64>,
}

/// What enforce mode would have done with mail that passed in observe mode.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::web::api) struct WouldReport {
    /// Messages by the action of enforce mode.
    pub accepted: BTreeMap<String, u64>,
    /// Disclosures that would have been prevented.
    pub exposures_prevented: u64,
    /// Messages that would not have passed, by rule.
    pub rules: BTreeMap<String, WouldBeItem>,
    /// The same by MAIL FROM.
    pub senders: BTreeMap<String, WouldBeItem>,
}

/// The figures of one rule or one sender.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::web::api) struct WouldBeItem {
    /// Messages that would not have passed.
    pub messages: u64,
    /// Disclosures that would have been prevented.
    pub exposures_prevented: u64,
}

impl WouldReport {
    fn of(would: Would) -> Self {
        let items = |tally: BTreeMap<String, WouldBe>| {
            let item = |be: WouldBe| WouldBeItem {
                messages: be.messages,
                exposures_prevented: be.exposures_prevented,
            };
            tally.into_iter().map(|(name, be)| (name, item(be))).collect()
        };
        Self {
            accepted: would.accepted,
            exposures_prevented: would.exposures_prevented,
            rules: items(would.rules),
            senders: items(would.senders),
        }
    }
}

impl QueueItem {
    pub(in crate::web::api) fn of(row: QueueRow) -> Self {
        Self {
            id: row.id,
            message: row.message.to_string(),
            sender: row.sender,
            recipients: row.recipients,
            state: row.state.to_string(),
            attempts: row.attempts,
            last_reply: row.last_reply,
            due: row.due.map(moment),
            would: row.would,
        }
    }
}

impl MessageItem {
    pub(in crate::web::api) fn of(row: MessageRow) -> Self {
        Self {
            id: row.id.to_string(),
            received: moment(row.received),
            sender: row.sender,
            recipients: row.recipients,
            subject: row.subject,
            message_id: row.message_id,
            action: row.action,
            would: row.would,
            would_reasons: row.would_reasons,
        }
    }
}

impl Happened {
    pub(in crate::web::api) fn of(entry: &Entry) -> Self {
        let mut detail = serde_json::to_value(&entry.event).unwrap_or_default();
        let event = detail.as_object_mut().and_then(|fields| fields.remove("event"));
        let event = event.and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default();
        Self { at: moment(entry.at), event, detail }
    }
}

impl Report {
    pub(in crate::web::api) fn of(numbers: Numbers) -> Self {
        let named = |tally: Tally| -> BTreeMap<String, BTreeMap<String, u64>> {
            let states = |states: BTreeMap<HeldState, u64>| {
                states.into_iter().map(|(state, count)| (state.to_string(), count)).collect()
            };
            tally.into_iter().map(|(name, counts)| (name, states(counts))).collect()
        };
        Self {
            since: moment(numbers.since),
            accepted: numbers.accepted,
            held: numbers.held,
            deliveries: numbers.deliveries,
            exposures_prevented: numbers.exposures_prevented,
            would: WouldReport::of(numbers.would),
            decisions: numbers.decisions.count,
            median_seconds_to_decide: numbers.decisions.median_seconds,
            nine_of_ten_seconds_to_decide: numbers.decisions.nine_of_ten_seconds,
            rules: named(numbers.rules),
            groups: named(numbers.groups),
            approvers: named(numbers.approvers),
            senders: named(numbers.senders),
            released_unchanged: numbers.unchanged,
        }
    }
}
