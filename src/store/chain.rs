//! The hash chain over the journal: shows whether anybody changed what was accepted and what happened to it.

pub mod format;

use super::StoreError;
use crate::clock::Timestamp;
use crate::id::Id;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// The end of the chain. A head that is kept elsewhere shows later whether anything before it was changed.
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

/// A record of foreign changes: what another program wrote to the database, recorded after an administrator had
/// looked at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// When.
    pub at: Timestamp,
    /// The operating system user who recorded it.
    pub by: String,
    /// Why the changes may stay.
    pub why: String,
    /// How many entries it covers.
    pub entries: u64,
}

/// The result of verifying the whole chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// The end of the chain.
    pub head: Head,
    /// Entries of purged messages, of which only the hashes are left.
    pub purged: u64,
    /// Entries before these that were removed: the chain was cut after them.
    #[serde(default)]
    pub cut: u64,
    /// The chain was compared with an earlier head and continues from it. False if that head has been cut off since.
    #[serde(default)]
    pub compared: bool,
    /// Foreign changes that were found earlier and recorded. They are no longer reported as faults.
    #[serde(default)]
    pub accepted: Vec<Accepted>,
    /// The first entry that differs from what was written: its number, and what is wrong.
    pub broken: Option<(u64, String)>,
}

/// The part of a [`super::Store`] that keeps the chain.
#[async_trait]
pub trait ChainStore {
    /// The end of the chain.
    async fn chain_head(&self) -> Result<Head, StoreError>;

    /// Verifies every link and every entry.
    async fn verify_chain(&self) -> Result<Verified, StoreError> {
        self.verify_chain_from(None).await
    }

    /// The same, and checks that the chain continues from a head that was published earlier. Nothing else detects
    /// that the end of the chain was removed while the relay was not running.
    async fn verify_chain_from(&self, earlier: Option<Head>) -> Result<Verified, StoreError>;

    /// At most `limit` messages received at `since` or later, oldest first, starting after the message `after`.
    async fn messages_since(
        &self,
        since: Timestamp,
        after: Option<Id>,
        limit: usize,
    ) -> Result<Vec<Id>, StoreError>;
}
