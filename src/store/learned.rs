//! Who openly wrote with whom, kept for `[knowledge] keep`: taught by mail hosts' copies, by archives and
//! by what the relay itself delivered.

use super::StoreError;
use crate::clock::Timestamp;
use crate::message::Address;
use crate::policy::learned::{Began, Learned, Shared};
use async_trait::async_trait;

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taught {
    /// Mails that were new.
    pub learned: usize,
    /// Mails that were known, by another host or from an earlier run.
    pub known: usize,
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

    /// Takes somebody out of everything that was learned, in all spellings of the mailbox; of how many sets
    /// of people. Mail that comes later teaches anew.
    async fn forget(&self, address: &Address) -> Result<usize, StoreError>;

    /// Since when the store keeps account of what leaves.
    async fn began(&self) -> Result<Began, StoreError>;
}
