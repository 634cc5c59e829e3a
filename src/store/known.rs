//! Whom each sender's mail reached before: kept up as copies are delivered, asked by the desk; and the
//! numbers of the report page, a day at a time.

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
    /// Of the recipients asked about, those written to before, by comparison key: when last, to the day.
    pub last: HashMap<String, Timestamp>,
    /// Domains of this sender's correspondents, in comparison form.
    pub domains: Vec<String>,
}

/// Held messages by what they have in common, and by their state now.
pub type Tally = BTreeMap<String, BTreeMap<HeldState, u64>>;

/// What happened over a span of time. Over everything, the sums are those of [`super::Store::summary`];
/// what was never held is in nobody's smaller scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Days on which messages were accepted, oldest first.
    pub days: Vec<Day>,
    /// Held messages by state now: all that wait, and those decided on that came in the span.
    pub held: BTreeMap<HeldState, u64>,
    /// Held messages by the rule that held them.
    pub rules: Tally,
    /// Held messages by who was asked to decide.
    pub approvers: Tally,
    /// How long each decision took that a person made, shortest first; at most 100,000.
    pub waits: Vec<Duration>,
    /// Held messages that were released as they were, by the rule that held them.
    pub unchanged: BTreeMap<String, u64>,
    /// How many decisions each person made within each of [`PACES`], and later.
    pub paces: BTreeMap<String, [u64; 4]>,
}

/// Spans that decisions are counted by: an hour, half a working day, a day.
pub const PACES: [Duration; 3] = [Duration::from_hours(1), Duration::from_hours(4), Duration::from_hours(24)];

/// One day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// When it begins.
    pub begins: Timestamp,
    /// Messages accepted from clients, by the action decided.
    pub accepted: BTreeMap<String, u64>,
    /// Disclosures prevented.
    pub prevented: u64,
}

/// What the policy would have done to mail that passed in observe mode.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Would {
    /// Messages by the action that would have been.
    pub accepted: BTreeMap<String, u64>,
    /// Disclosures that would have been prevented.
    pub exposures_prevented: u64,
    /// Those that would not have passed, by each rule that demanded something,
    pub rules: BTreeMap<String, WouldBe>,
    /// and by MAIL FROM (empty where there is none); at most a thousand, those with most disclosures.
    pub senders: BTreeMap<String, WouldBe>,
}

/// Of one rule, or of one sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WouldBe {
    /// Messages that would not have passed.
    pub messages: u64,
    /// Disclosures that would have been prevented.
    pub exposures_prevented: u64,
}

/// Counted as it happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Messages by action.
    pub accepted: BTreeMap<String, u64>,
    /// Disclosures.
    pub exposures_prevented: u64,
}

/// Totals since the store was made, which never fall; and how much is open now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Messages accepted from clients, and disclosures prevented.
    pub done: Counted,
    /// In observe mode: what would have been.
    pub would: Counted,
    /// Deliveries that ended, by state.
    pub ended: BTreeMap<String, u64>,
    /// Deliveries that are not final, by state now.
    pub open: BTreeMap<String, u64>,
    /// Held messages by state now: all that wait, and those decided on that came since a moment.
    pub held: BTreeMap<String, u64>,
}

/// What an engine knows of correspondents, and of days.
#[async_trait]
pub trait KnownStore {
    /// Which of these recipients mail of this sender reached before, and up to `most` domains that it
    /// reached, the latest written to first.
    async fn correspondents(
        &self,
        sender: &Address,
        recipients: &[Address],
        most: usize,
    ) -> Result<Correspondents, StoreError>;

    /// What happened since a moment, as far as a scope reaches; days begin `offset` milliseconds before
    /// those of UTC.
    async fn activity(&self, scope: &Scope, since: Timestamp, offset: i64) -> Result<Activity, StoreError>;

    /// The days of that alone.
    async fn days(&self, scope: &Scope, since: Timestamp, offset: i64) -> Result<Vec<Day>, StoreError>;

    /// What the policy would have done since a moment to mail that passed in observe mode.
    async fn would(&self, since: Timestamp) -> Result<Would, StoreError>;

    /// Totals, with held messages that came since a moment.
    async fn totals(&self, since: Timestamp) -> Result<Totals, StoreError>;

    /// Held messages that came since a moment, as far as a scope reaches, by MAIL FROM (empty where there
    /// is none).
    async fn held_senders(&self, scope: &Scope, since: Timestamp) -> Result<Tally, StoreError>;
}
