//! What decides for all relays that share a database: rates of upstreams, sending budgets, attempts that are limited,
//! what is good once, secrets that services replace, and work that one relay does at a time.
//!
//! A relay that shares its database with nobody keeps rates, budgets and attempts in memory, as
//! [`SharedStore::is_shared`] tells it to.

use super::StoreError;
use crate::clock::Timestamp;
use crate::policy::budget::Ask;
use crate::token::Digest;
use async_trait::async_trait;
use std::time::Duration;

/// How long an attempt counts.
pub const ATTEMPTS_COUNT: Duration = Duration::from_hours(1);

/// One rate of an upstream, and what a transaction costs of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaceRate {
    /// Its text, which names it.
    pub rate: String,
    /// So many tokens,
    pub count: u32,
    /// in this time.
    pub per: Duration,
    /// What was sent within the period, if nothing is stored yet.
    pub sent: u64,
    /// The price of this transaction.
    pub price: u64,
    /// What to take at once if the limit is far away, at least the price.
    pub block: u64,
}

/// Asks for room in all rates of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaceDraw {
    /// Identifies the upstream.
    pub upstream: String,
    /// Its rates.
    pub rates: Vec<PaceRate>,
    /// The relay's time.
    pub now: Timestamp,
}

/// What was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawn {
    /// Every rate gave its block.
    Block,
    /// Every rate gave the price.
    Once,
    /// Nothing yet: a time is promised.
    Later {
        /// That time.
        at: Timestamp,
        /// How many promises are open.
        waiting: usize,
        /// The last of them.
        last: Timestamp,
    },
}

/// Asks for room in one account of the sending budgets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpendAsk {
    /// The account.
    pub account: String,
    /// The time slot that it counts in.
    pub slot: i64,
    /// How many recipients.
    pub wanted: u64,
    /// What to take at once if the limit is far away.
    pub block: u64,
    /// Each budget: at most so many recipients from this slot on.
    pub limits: Vec<(u64, i64)>,
    /// What counts if nothing is stored about this account, by slot.
    pub known: Vec<(i64, u64)>,
    /// It counts even if a budget has no room: a person released it.
    pub forced: bool,
}

impl SpendAsk {
    /// What a message asks of an account; `forced` if a person has released it.
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

/// What an account has given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpentNow {
    /// What it gave now: the block, what was wanted, or nothing.
    pub given: u64,
    /// Everything that it has given out, by slot.
    pub slots: Vec<(i64, u64)>,
}

/// An attempt that is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    /// The hash of what is tried, and of who tries.
    pub name: Digest,
    /// How many of them count within [`ATTEMPTS_COUNT`].
    pub most: usize,
}

/// Kinds of what is good once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Once {
    /// A link that signs somebody in.
    Login,
    /// A challenge for a passkey.
    Challenge,
    /// The answer to a challenge of an authority for certificates (it is read more than once).
    Acme,
}

/// Decides for all relays that share the database.
#[async_trait]
pub trait SharedStore: Send + Sync {
    /// Whether other relays may decide by the same.
    fn is_shared(&self) -> bool;

    /// Takes room in all rates of an upstream, or promises a time. Whoever comes later queues behind.
    async fn draw(&self, draw: PaceDraw) -> Result<Drawn, StoreError>;

    /// Takes room in all these accounts, or in none: then each `given` is 0. Slots before `oldest` are forgotten.
    async fn spend(&self, asks: Vec<SpendAsk>, oldest: i64) -> Result<Vec<SpentNow>, StoreError>;

    /// Counts an attempt under all these names unless one of them has reached its limit (`None`).
    async fn attempt(&self, names: Vec<Limited>, now: Timestamp) -> Result<Option<Vec<i64>>, StoreError>;

    /// The attempt does not count after all.
    async fn retract(&self, attempt: Vec<i64>) -> Result<(), StoreError>;

    /// Stores what is good once; replaces what has the same name.
    async fn put_once(
        &self,
        kind: Once,
        name: Digest,
        value: String,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Takes it away: of all who ask, one gets it.
    async fn take_once(&self, kind: Once, name: Digest, now: Timestamp)
    -> Result<Option<String>, StoreError>;

    /// Reads it without taking it away.
    async fn look_once(&self, kind: Once, name: Digest, now: Timestamp)
    -> Result<Option<String>, StoreError>;

    /// The present secret of this name.
    ///
    /// # Errors
    /// `Unreadable` if it was sealed with another key.
    async fn secret(&self, name: &str) -> Result<Option<String>, StoreError>;

    /// Replaces the secret `was`. Returns false if another relay has replaced it.
    async fn replace_secret(&self, name: &str, was: Option<String>, new: String) -> Result<bool, StoreError>;

    /// Takes or keeps a task for this time, by the database's clock. Returns false if another relay has it.
    async fn lead(&self, task: &str, lasts: Duration) -> Result<bool, StoreError>;
}
