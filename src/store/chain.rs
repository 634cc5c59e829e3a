//! The chain over the journal: what was accepted and what happened to it cannot be changed unseen.

pub mod format;

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

impl std::fmt::Display for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.entries, self.link)
    }
}

impl std::str::FromStr for Head {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no head: it is NUMBER:LINK, as the log has it");
        let (entries, link) = text.split_once(':').ok_or_else(wrong)?;
        let sound = link.len() == 64 && link.bytes().all(|byte| byte.is_ascii_hexdigit());
        let entries = entries.parse().map_err(|_| wrong())?;
        if sound { Ok(Self { entries, link: link.to_ascii_lowercase() }) } else { Err(wrong()) }
    }
}

/// What somebody else wrote to the database, recorded after an admin had looked at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// When.
    pub at: Timestamp,
    /// The operating system's user.
    pub by: String,
    /// Why it may stay so.
    pub why: String,
    /// How many entries it names.
    pub entries: u64,
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
    /// It was compared with an earlier head, and goes on from there; not so where that was cut off since.
    #[serde(default)]
    pub compared: bool,
    /// What was found before, and recorded: it is no fault any more, and not this relay's.
    #[serde(default)]
    pub accepted: Vec<Accepted>,
    /// The first entry that is not as it was written: its number, and what is wrong.
    pub broken: Option<(u64, String)>,
}

/// The part of a [`super::Store`] that keeps the chain.
#[async_trait]
pub trait ChainStore {
    /// The end of the chain.
    async fn chain_head(&self) -> Result<Head, StoreError>;

    /// Checks every link and every entry.
    async fn verify_chain(&self) -> Result<Verified, StoreError> {
        self.verify_chain_from(None).await
    }

    /// The same, and that the chain goes on from a head that was put out earlier: only so is it found that
    /// its end was taken off while nobody had it in memory.
    async fn verify_chain_from(&self, earlier: Option<Head>) -> Result<Verified, StoreError>;

    /// Messages received since a moment, oldest first, after this one, at most so many.
    async fn messages_since(
        &self,
        since: Timestamp,
        after: Option<Id>,
        limit: usize,
    ) -> Result<Vec<Id>, StoreError>;
}
