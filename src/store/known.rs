//! Whom each sender's mail reached before: updated as copies are delivered, and used by the desk. Also the daily
//! statistics of the report page.

use super::{HeldState, Scope, StoreError};
use crate::clock::Timestamp;
use crate::message::Address;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// What is known of a sender's correspondents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Correspondents {
    /// Those of the recipients that the sender wrote to before, by key: when last, to the day.
    pub last: HashMap<String, Timestamp>,
    /// Domains of this sender's correspondents, in comparison form.
    pub domains: Vec<String>,
}

/// Numbers of held messages, by what they have in common and by their present state.
pub type Tally = BTreeMap<String, BTreeMap<HeldState, u64>>;

/// What happened in a period. In the scope of everything, the sums equal those of [`super::Store::summary`]; messages
/// that were never held are in no smaller scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Days on which messages were accepted, oldest first.
    pub days: Vec<Day>,
    /// Held messages by present state: all that wait, and the decided ones that were received in the period.
    pub held: BTreeMap<HeldState, u64>,
    /// Held messages by the rule that held them.
    pub rules: Tally,
    /// Held messages by the approvers who were asked.
    pub approvers: Tally,
    /// How long each decision by a person took, shortest first; at most 100,000.
    pub waits: Vec<Duration>,
    /// Held messages that were released as is, by the rule that held them.
    pub unchanged: BTreeMap<String, u64>,
    /// How many decisions each person made within each of [`PACES`], and how many took longer.
    pub paces: BTreeMap<String, [u64; 4]>,
}

/// Times by which decisions are counted: an hour, half a working day, a day.
pub const PACES: [Duration; 3] = [Duration::from_hours(1), Duration::from_hours(4), Duration::from_hours(24)];

/// The statistics of one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// Its start.
    pub begins: Timestamp,
    /// Messages accepted from clients, by action.
    pub accepted: BTreeMap<String, u64>,
    /// Disclosures prevented.
    pub prevented: u64,
}

/// What the policy would have done to messages that passed in observe mode.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Would {
    /// Messages by the action that would have been taken.
    pub accepted: BTreeMap<String, u64>,
    /// Disclosures that would have been prevented.
    pub exposures_prevented: u64,
    /// Messages that would not have passed, by each rule that made a demand.
    pub rules: BTreeMap<String, WouldBe>,
    /// The same by MAIL FROM (empty for the null sender): at most a thousand senders, those with the most
    /// disclosures.
    pub senders: BTreeMap<String, WouldBe>,
}

/// Numbers of one rule or one sender in [`Would`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WouldBe {
    /// Messages that would not have passed.
    pub messages: u64,
    /// Disclosures that would have been prevented.
    pub exposures_prevented: u64,
}

/// Counters that are updated as mail is processed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Messages by action.
    pub accepted: BTreeMap<String, u64>,
    /// Disclosures that were prevented.
    pub exposures_prevented: u64,
}

/// Totals since the store was created, which never decrease, and how much is open now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Messages accepted from clients, and disclosures prevented.
    pub done: Counted,
    /// The same for observe mode: what would have happened.
    pub would: Counted,
    /// Deliveries in a final state, by state.
    pub ended: BTreeMap<String, u64>,
    /// Deliveries in other states, by present state.
    pub open: BTreeMap<String, u64>,
    /// Held messages by present state: all that wait, and the decided ones that were received since the given time.
    pub held: BTreeMap<String, u64>,
}

/// Correspondents of senders, and statistics.
#[async_trait]
pub trait KnownStore {
    /// Which of these recipients the sender's mail reached before, and up to `most` domains that it reached, the most
    /// recent first.
    async fn correspondents(
        &self,
        sender: &Address,
        recipients: &[Address],
        most: usize,
    ) -> Result<Correspondents, StoreError>;

    /// What happened since a time, within a scope. Days begin `offset` milliseconds before those of UTC.
    async fn activity(&self, scope: &Scope, since: Timestamp, offset: i64) -> Result<Activity, StoreError>;

    /// Only the days of [`Self::activity`].
    async fn days(&self, scope: &Scope, since: Timestamp, offset: i64) -> Result<Vec<Day>, StoreError>;

    /// What the policy would have done since a time to messages that passed in observe mode.
    async fn would(&self, since: Timestamp) -> Result<Would, StoreError>;

    /// Totals. Decided messages are counted if they were received at `since` or later.
    async fn totals(&self, since: Timestamp) -> Result<Totals, StoreError>;

    /// Held messages received since a time, within a scope, by MAIL FROM (empty for the null sender).
    async fn held_senders(&self, scope: &Scope, since: Timestamp) -> Result<Tally, StoreError>;
}
