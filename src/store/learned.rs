//! Who openly wrote with whom, kept for `[knowledge] keep`: taught by mail hosts' copies, by archives and
//! by what the relay itself delivered.

use super::StoreError;
use crate::clock::{Day, Timestamp};
use crate::message::Address;
use crate::policy::learned::{Began, Learned, Shared};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Of so many people is told who of them saw whom.
pub const MOST_PAIRED: usize = 40;

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taught {
    /// Mails that were new.
    pub learned: usize,
    /// Mails that were known, by another host or from an earlier run.
    pub known: usize,
}

/// How much is known, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    /// Known mails, by where they were seen: `journal`, `archive`, `sent`.
    pub mails: BTreeMap<String, u64>,
    /// People.
    pub people: u64,
    /// Different sets of people.
    pub sets: u64,
    /// Mails that passed, over a span of time, because their people know each other.
    pub passed: u64,
}

/// Two people whom a mail showed to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The place of one in the list that was asked about,
    pub one: usize,
    /// and of the other, which is later.
    pub other: usize,
    /// The first day of a mail that showed them to each other.
    pub since: Day,
}

/// Mails of ours that are through, delivered or given up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Through {
    /// What became of each.
    pub mails: Vec<Sent>,
    /// Look on after this one; `None` when all were looked at.
    pub after: Option<i64>,
}

/// A mail of ours that is through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The store's number for it.
    pub number: i64,
    /// Its Message-ID.
    pub message_id: String,
    /// When it came.
    pub received: Timestamp,
    /// Those whom everybody saw and whom a copy reached, all transactions of the mail together. Nobody where
    /// somebody had to decide on it.
    pub reached: Vec<Address>,
}

/// The part of a [`super::Store`] that keeps who wrote with whom.
#[async_trait]
pub trait LearnedStore {
    /// Keeps what these mails teach, durably. The same mail again, by Message-ID, counts once; without one
    /// its day and people tell it. It works in steps that hold up no mail: any length will do, some
    /// thousand are best.
    async fn learn(&self, batch: Vec<Learned>, now: Timestamp) -> Result<Taught, StoreError>;

    /// What brought these outsiders together: mails that one of them names, and sets of people that hold all
    /// of them; where there is none, what holds most of them. It looks at the latest of what is known of
    /// each, some thousand sets, and takes some microseconds a person.
    async fn shared(&self, references: &[String], people: &[Address]) -> Result<Vec<Shared>, StoreError>;

    /// Who of these people saw each other, as far as the latest of what is known of each goes. Only of a few
    /// people, up to [`MOST_PAIRED`].
    async fn pairs(&self, people: &[Address]) -> Result<Vec<Pair>, StoreError>;

    /// Notes that somebody let these people see each other.
    async fn let_together(&self, people: &[Address], at: Timestamp) -> Result<(), StoreError>;

    /// How often somebody let just these people see each other.
    async fn times_let_together(&self, people: &[Address]) -> Result<usize, StoreError>;

    /// Mails that passed and are through since they were last asked for, as far as one page goes; see
    /// [`Self::learn_sent`].
    async fn through(&self, after: i64) -> Result<Through, StoreError>;

    /// Keeps what mails of ours teach, and asks no more for those of these numbers. A mail of several
    /// transactions grows with each.
    async fn learn_sent(
        &self,
        numbers: Vec<i64>,
        batch: Vec<Learned>,
        now: Timestamp,
    ) -> Result<Taught, StoreError>;

    /// Takes somebody out of everything that was learned, in all spellings of the mailbox; of how many sets
    /// of people. Mail that comes later teaches anew.
    async fn forget(&self, address: &Address) -> Result<usize, StoreError>;

    /// How much is known, and how many mails passed for it since a moment.
    async fn stock(&self, since: Timestamp) -> Result<Stock, StoreError>;

    /// Since when the store keeps account of what leaves.
    async fn began(&self) -> Result<Began, StoreError>;
}
