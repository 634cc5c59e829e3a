//! What relays that share a database decide together: rates of upstreams, sending budgets, limited attempts,
//! values that can be used once, secrets that are replaced from time to time, and tasks that one relay does
//! at a time.
//!
//! A relay that does not share its database ([`SharedStore::is_shared`]) keeps rates, budgets and attempts in
//! memory instead.

use super::StoreError;
use crate::clock::Timestamp;
use crate::policy::budget::Ask;
use crate::token::Digest;
use async_trait::async_trait;
use std::time::Duration;

/// How long an attempt counts.
pub const ATTEMPTS_COUNT: Duration = Duration::from_hours(1);

/// One rate of an upstream, and what a transaction costs under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaceRate {
    /// The text of the rate, which identifies it.
    pub rate: String,
    /// The number of tokens in a period.
    pub count: u32,
    /// The period.
    pub per: Duration,
    /// What was sent within the period. It counts if nothing is stored about the rate yet.
    pub sent: u64,
    /// The number of tokens that this transaction costs.
    pub price: u64,
    /// The number of tokens to take at once if the rate is far from its limit, at least the price.
    pub block: u64,
}

/// A request for tokens from all rates of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaceDraw {
    /// Identifies the upstream.
    pub upstream: String,
    /// Its rates.
    pub rates: Vec<PaceRate>,
    /// The current time by the relay's clock.
    pub now: Timestamp,
}

/// The answer to a [`PaceDraw`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawn {
    /// Every rate gave its whole block.
    Block,
    /// Every rate gave only the price of this transaction.
    Once,
    /// The transaction must wait until a promised time.
    Later {
        /// The promised time.
        at: Timestamp,
        /// How many promises are open, including this one.
        waiting: usize,
        /// The latest time of an open promise.
        last: Timestamp,
    },
}

/// A request for room in one account of the sending budgets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpendAsk {
    /// The name of the account.
    pub account: String,
    /// The time slot in which the recipients count.
    pub slot: i64,
    /// How many recipients count.
    pub wanted: u64,
    /// How many recipients to take at once if there is plenty of room.
    pub block: u64,
    /// For each budget, the maximum number of recipients and the first slot that counts.
    pub limits: Vec<(u64, i64)>,
    /// The account's usage as the relay knows it, by slot. It counts if nothing is stored about the account
    /// yet.
    pub known: Vec<(i64, u64)>,
    /// Whether the recipients count even if a budget has no room, because it is already decided that the mail
    /// is sent. An example is a release by a person.
    pub forced: bool,
}

impl SpendAsk {
    /// Makes a request to the store from what a message requests; see [`Self::forced`].
    pub fn of(ask: &Ask, forced: bool) -> Self {
        Self {
            account: ask.name.clone(),
            slot: ask.slot,
            wanted: ask.wanted,
            block: ask.block,
            limits: ask.limits.clone(),
            known: ask.known.clone(),
            forced,
        }
    }
}

/// The answer to a [`SpendAsk`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpentNow {
    /// How many recipients the account gave now: the block, what was wanted, or 0.
    pub given: u64,
    /// Everything that the account has given to all relays, by slot.
    pub slots: Vec<(i64, u64)>,
}

/// A name under which attempts are counted and limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    /// The hash of the name: it says what is tried, or who tries.
    pub name: Digest,
    /// The maximum number of attempts within [`ATTEMPTS_COUNT`].
    pub most: usize,
}

/// The kinds of values that can be used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Once {
    /// A link that signs somebody in.
    Login,
    /// A challenge for a passkey.
    Challenge,
    /// The answer to the challenge of an ACME authority. Unlike the others, it is read more than once.
    Acme,
}

/// What relays that share a database decide together.
#[async_trait]
pub trait SharedStore: Send + Sync {
    /// Whether other relays may use the same database.
    fn is_shared(&self) -> bool;

    /// Takes tokens from all rates of an upstream, or promises a later time. Later requests queue behind this
    /// one.
    async fn draw(&self, draw: PaceDraw) -> Result<Drawn, StoreError>;

    /// Takes room in all these accounts. If one of them has too little, takes room in none, and each `given`
    /// is 0. Deletes slots before `oldest`.
    async fn spend(&self, asks: Vec<SpendAsk>, oldest: i64) -> Result<Vec<SpentNow>, StoreError>;

    /// Counts an attempt under all these names, and returns what [`Self::retract`] needs. If one of the names
    /// has reached its limit, counts nothing and returns `None`.
    async fn attempt(&self, names: Vec<Limited>, now: Timestamp) -> Result<Option<Vec<i64>>, StoreError>;

    /// Removes an attempt, so that it no longer counts.
    async fn retract(&self, attempt: Vec<i64>) -> Result<(), StoreError>;

    /// Stores a value that can be used once before `until`. Replaces a value of the same kind and name.
    async fn put_once(
        &self,
        kind: Once,
        name: Digest,
        value: String,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Removes the value and returns it. Only one of several callers gets it.
    async fn take_once(&self, kind: Once, name: Digest, now: Timestamp)
    -> Result<Option<String>, StoreError>;

    /// Returns the value without removing it.
    async fn look_once(&self, kind: Once, name: Digest, now: Timestamp)
    -> Result<Option<String>, StoreError>;

    /// The current secret of this name.
    ///
    /// # Errors
    /// `Unreadable` if it was sealed with another key.
    async fn secret(&self, name: &str) -> Result<Option<String>, StoreError>;

    /// Replaces the secret if it is still `was`. Returns false if another relay has replaced it.
    async fn replace_secret(&self, name: &str, was: Option<String>, new: String) -> Result<bool, StoreError>;

    /// Reserves a task for this relay for a time, or extends its reservation. The time is measured by the
    /// database's clock. Returns false if another relay has reserved the task.
    async fn lead(&self, task: &str, lasts: Duration) -> Result<bool, StoreError>;
}
