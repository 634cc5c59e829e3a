//! Whom each sender's mail reached before: kept up as copies are delivered, asked by the desk; and the
//! numbers of the report page, a day at a time.

use super::{HeldState, StoreError};
use crate::clock::Timestamp;
use crate::message::Address;
use async_trait::async_trait;
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

/// What happened over a span of time, for the report page. The sums are those of
/// [`super::Store::summary`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Days on which messages were accepted, oldest first.
    pub days: Vec<Day>,
    /// Held messages by the rule that held them and their state now.
    pub rules: BTreeMap<String, BTreeMap<HeldState, u64>>,
    /// Held messages by who was asked to decide, and their state now.
    pub approvers: BTreeMap<String, BTreeMap<HeldState, u64>>,
    /// How long each decision took that a person made, shortest first; at most 100,000.
    pub waits: Vec<Duration>,
}

/// One day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    /// When it begins.
    pub begins: Timestamp,
    /// Messages accepted from clients, by the action decided.
    pub accepted: BTreeMap<String, u64>,
    /// Disclosures prevented.
    pub prevented: u64,
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

    /// What happened since a moment; days begin `offset` milliseconds before those of UTC.
    async fn activity(&self, since: Timestamp, offset: i64) -> Result<Activity, StoreError>;
}
