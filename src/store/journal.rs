//! What traces, timelines and reports ask of a store.

use super::{MessageRow, StoreError, Summary};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::journal::Entry;
use async_trait::async_trait;

/// Messages that were accepted, what happened to each, and numbers.
#[async_trait]
pub trait JournalStore: Send + Sync {
    /// Messages found by our id, else by Message-ID, an address (sender or recipient) or words of the
    /// subject, newest first. Only so many messages are looked at, the newest.
    async fn find(&self, text: &str, limit: usize) -> Result<Vec<MessageRow>, StoreError>;

    /// The journal of one message, oldest first.
    async fn journal(&self, id: Id) -> Result<Vec<Entry>, StoreError>;

    /// Numbers since a moment, for `report` and the metrics.
    async fn summary(&self, since: Timestamp) -> Result<Summary, StoreError>;
}
