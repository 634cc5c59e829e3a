//! The chain over the journal: what was accepted and what happened to it cannot be changed unseen.

use super::StoreError;
use crate::clock::Timestamp;
use crate::id::Id;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// The end of the chain: whoever keeps it elsewhere can tell later that nothing before was changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// How many entries there are.
    pub entries: u64,
    /// The last link, in hexadecimal; empty for an empty chain.
    pub link: String,
}

/// What a look at the whole chain found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// The end of the chain.
    pub head: Head,
    /// Entries of messages that are past their time: their hashes alone are left.
    pub purged: u64,
    /// Entries before these, of which nothing is left: the chain was cut behind them.
    #[serde(default)]
    pub cut: u64,
    /// The first entry that is not as it was written: its number, and what is wrong.
    pub broken: Option<(u64, String)>,
}

/// The part of a [`super::Store`] that keeps the chain.
#[async_trait]
pub trait ChainStore {
    /// The end of the chain.
    async fn chain_head(&self) -> Result<Head, StoreError>;

    /// Checks every link and every entry.
    async fn verify_chain(&self) -> Result<Verified, StoreError>;

    /// Messages received since a moment, oldest first, after this one, at most so many.
    async fn messages_since(
        &self,
        since: Timestamp,
        after: Option<Id>,
        limit: usize,
    ) -> Result<Vec<Id>, StoreError>;
}
