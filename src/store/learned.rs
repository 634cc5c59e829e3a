//! Which people openly wrote with each other, kept for `[knowledge] keep`. Learned from journal copies, from archives
//! and from what the relay itself delivered.

use super::StoreError;
use crate::clock::{Day, Timestamp};
use crate::message::Address;
use crate::policy::learned::{Began, Learned, Shared};
use crate::records::SentId;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most people that [`LearnedStore::pairs`] answers for.
pub const MOST_PAIRED: usize = 40;

/// The result of learning a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taught {
    /// Mails that were new.
    pub learned: usize,
    /// Mails that were known already, from another host or an earlier run.
    pub known: usize,
}

/// How much is known, and how often it was used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    /// Known mails, by source: `journal`, `archive`, `sent`.
    pub mails: BTreeMap<String, u64>,
    /// Known people.
    pub people: u64,
    /// Distinct sets of people.
    pub sets: u64,
    /// Mails that passed, in a period, because their people know each other.
    pub passed: u64,
}

/// Two people who were shown to each other by a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The index of the first person in the given list.
    pub one: usize,
    /// The index of the second person; it is higher.
    pub other: usize,
    /// The day of the first mail that showed them to each other.
    pub since: Day,
}

/// Mails that this relay has finished: each copy was delivered or given up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Through {
    /// The mails, with those whom they reached.
    pub mails: Vec<Sent>,
    /// Where the next page starts; `None` after the last page.
    pub after: Option<SentId>,
}

/// A mail that this relay has finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its id.
    pub id: SentId,
    /// Its Message-ID.
    pub message_id: String,
    /// When it was received.
    pub received: Timestamp,
    /// Recipients who were visible to everybody and whom a copy reached, over all transactions of the mail. Empty if
    /// somebody had to decide on it.
    pub reached: Vec<Address>,
}

/// The part of a [`super::Store`] that keeps which people wrote with each other.
#[async_trait]
pub trait LearnedStore {
    /// Durably learns from these mails. A mail that is learned again counts once: it is identified by its Message-ID,
    /// else by its day and people. The work is done in steps that do not delay mail: a batch may have any length;
    /// some thousand mails are best.
    async fn learn(&self, batch: Vec<Learned>, now: Timestamp) -> Result<Taught, StoreError>;

    /// What showed these outsiders to each other: mails that a reference names, and sets of people that contain all
    /// of them; if there is none, those that contain most of them. It searches the latest known sets of each person,
    /// some thousand, and takes some microseconds per person.
    async fn shared(&self, references: &[String], people: &[Address]) -> Result<Vec<Shared>, StoreError>;

    /// Which of these people saw each other, as far as the latest known sets of each tell. Only for a few people, up
    /// to [`MOST_PAIRED`].
    async fn pairs(&self, people: &[Address]) -> Result<Vec<Pair>, StoreError>;

    /// Records that somebody let these people see each other.
    async fn let_together(&self, people: &[Address], at: Timestamp) -> Result<(), StoreError>;

    /// How often somebody let exactly these people see each other.
    async fn times_let_together(&self, people: &[Address]) -> Result<usize, StoreError>;

    /// Mails that passed and have been finished since they were last asked for, one page of them; see
    /// [`Self::learn_sent`].
    async fn through(&self, after: Option<SentId>) -> Result<Through, StoreError>;

    /// Learns from mails that this relay sent, and no longer returns those with these ids from [`Self::through`].
    /// A mail of several transactions grows with each.
    async fn learn_sent(
        &self,
        ids: Vec<SentId>,
        batch: Vec<Learned>,
        now: Timestamp,
    ) -> Result<Taught, StoreError>;

    /// Removes a person from everything that was learned, in all spellings of the mailbox. Returns from how many sets
    /// of people. Later mail teaches about them anew.
    async fn forget(&self, address: &Address) -> Result<usize, StoreError>;

    /// How much is known, and how many mails have passed because of it since a time.
    async fn stock(&self, since: Timestamp) -> Result<Stock, StoreError>;

    /// Since when the store has recorded what leaves.
    async fn began(&self) -> Result<Began, StoreError>;
}
