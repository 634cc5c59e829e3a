//! What the courier needs from a store.

use super::{AttemptResult, Claim, Lease, Spent, Stop, StoreError};
use crate::clock::Timestamp;
use async_trait::async_trait;
use std::time::Duration;

/// Claiming deliveries under leases, recording the results, and what was sent so far.
#[async_trait]
pub trait CourierStore: Send + Sync {
    /// Claims up to `limit` due deliveries, oldest first, of messages that are not paused: marks them `sending` under
    /// a lease and counts the attempt.
    async fn claim(&self, now: Timestamp, limit: usize, lease: Duration) -> Result<Vec<Claim>, StoreError> {
        self.claim_beside(now, limit, lease, &[]).await
    }

    /// The same for a courier that still holds the leases `mine`: it never claims its own deliveries again, and
    /// those of the leases that have run out are extended in the same transaction. A copy that cannot be read back is paused and left out. A claim
    /// whose commit ended without an answer ([`StoreError::Uncertain`]) is taken up by the next one.
    async fn claim_beside(
        &self,
        now: Timestamp,
        limit: usize,
        lease: Duration,
        mine: &[Lease],
    ) -> Result<Vec<Claim>, StoreError>;

    /// Extends leases. Returns those that are no longer ours.
    async fn renew(&self, leases: &[Lease], until: Timestamp) -> Result<Vec<Lease>, StoreError>;

    /// Durably records how an attempt ended, with what follows from it: retries and notices.
    ///
    /// # Errors
    /// `Fenced` if the lease is no longer ours.
    async fn record(&self, result: AttemptResult) -> Result<(), StoreError>;

    /// Stops a message in which the final check found a hidden address: deliveries that are not yet delivered are
    /// withdrawn, and the message is held again with this reason.
    async fn stop(&self, stop: Stop) -> Result<(), StoreError>;

    /// When the next waiting delivery or notice becomes due; at once if a claim is to be taken up.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// How many copies were delivered since a time, and to how many recipients, so that rates continue after a
    /// restart.
    async fn sent_since(&self, since: Timestamp) -> Result<(usize, usize), StoreError>;

    /// Copies delivered since a time, and those that wait, so that budgets continue after a restart. The relay's own
    /// mail is left out.
    async fn spent_since(&self, since: Timestamp) -> Result<Vec<Spent>, StoreError>;
}
