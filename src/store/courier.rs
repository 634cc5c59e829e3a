//! What sending mail out asks of a store.

use super::{AttemptResult, Claim, Lease, Spent, Stop, StoreError};
use crate::clock::Timestamp;
use async_trait::async_trait;
use std::time::Duration;

/// Claims under leases, what became of them, and what was sent and spent so far.
#[async_trait]
pub trait CourierStore: Send + Sync {
    /// Takes up to `limit` due deliveries, oldest first, of messages that are not paused; marks them
    /// `sending` under a lease and counts the attempt.
    async fn claim(&self, now: Timestamp, limit: usize, lease: Duration) -> Result<Vec<Claim>, StoreError> {
        self.claim_beside(now, limit, lease, &[]).await
    }

    /// The same for a claimer that holds these leases still: it never takes back its own, and they are
    /// lengthened in the same transaction. A copy that cannot be read back is paused and left out.
    async fn claim_beside(
        &self,
        now: Timestamp,
        limit: usize,
        lease: Duration,
        mine: &[Lease],
    ) -> Result<Vec<Claim>, StoreError>;

    /// Lengthens leases; those no longer ours are named in the answer.
    async fn renew(&self, leases: &[Lease], until: Timestamp) -> Result<Vec<Lease>, StoreError>;

    /// Records how an attempt ended, with what follows from it (the rest to retry, notices due),
    /// durably. `Fenced` when the lease is not ours any more.
    async fn record(&self, result: AttemptResult) -> Result<(), StoreError>;

    /// Holds what is unsent of a message: the second lock found a hidden address. Its deliveries not
    /// yet delivered are taken back and the message becomes held again with this reason.
    async fn stop(&self, stop: Stop) -> Result<(), StoreError>;

    /// When the next waiting delivery or notice becomes due.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Copies delivered since a moment, and their recipients: a restart gives no rate away.
    async fn sent_since(&self, since: Timestamp) -> Result<(usize, usize), StoreError>;

    /// Copies delivered since a moment, and those that wait to be: a restart gives no budget away. What is of
    /// the relay's own making is left out.
    async fn spent_since(&self, since: Timestamp) -> Result<Vec<Spent>, StoreError>;
}
