//! What traces, timelines and reports need from a store.

use super::{MessageRow, StoreError, Summary};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::journal::Entry;
use async_trait::async_trait;

/// Accepted messages, what happened to each, and statistics.
#[async_trait]
pub trait JournalStore: Send + Sync {
    /// Finds messages by our id, else by Message-ID, by an address (sender or recipient) or by words of the subject,
    /// newest first. Only a limited number of the newest messages is searched.
    async fn find(&self, text: &str, limit: usize) -> Result<Vec<MessageRow>, StoreError>;

    /// The journal of one message, oldest first.
    async fn journal(&self, id: Id) -> Result<Vec<Entry>, StoreError>;

    /// Statistics since a time, for `report` and the metrics.
    async fn summary(&self, since: Timestamp) -> Result<Summary, StoreError>;
}
