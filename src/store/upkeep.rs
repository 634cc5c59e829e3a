//! What keeps a store in order.

use super::{Histogram, NodeRow, Purged, Recovered, Retention, StoreError};
use crate::clock::Timestamp;
use async_trait::async_trait;

/// Starting, ageing, and whether it serves.
#[async_trait]
pub trait UpkeepStore: Send + Sync {
    /// At start, while nobody else can hold a lease: `sending` left by a crash becomes `uncertain`
    /// (due at once, flagged as a possible duplicate); orphaned body files are removed. Moments that were
    /// stored are carried over to a clock that was set meanwhile: retries are due as if the relay had been
    /// down for as long as the clock says; ages and holds take an hour of that at most, for nobody can
    /// tell a long stop from a wrong clock.
    async fn recover(&self, now: Timestamp) -> Result<Recovered, StoreError>;

    /// Notes the time of the relay's clock, in which moments are stored, and what the system's says:
    /// every few seconds, for [`Self::recover`].
    async fn note_time(&self, now: Timestamp, wall: Timestamp) -> Result<(), StoreError>;

    /// Removes what is past its time and has nothing left to do: no open delivery, no hold, no open
    /// notice. To be called now and then (hourly is plenty).
    async fn purge(&self, now: Timestamp, keep: Retention) -> Result<Purged, StoreError>;

    /// The relays that share the database; none where one relay alone can have it.
    async fn nodes(&self) -> Result<Vec<NodeRow>, StoreError>;

    /// Changes whenever another relay may have put down what is due; `None` where there is no other.
    fn heard(&self) -> Option<tokio::sync::watch::Receiver<u64>>;

    /// Whether a write could be committed now (for `/readyz`).
    async fn ready(&self) -> Result<(), StoreError>;

    /// How long requests held the writer, in seconds: nobody else's 250 is given meanwhile.
    fn request_seconds(&self) -> Histogram;
}
