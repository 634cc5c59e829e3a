//! Maintenance of a store.

use super::{Histogram, NodeRow, Purged, Recovered, Retention, StoreError};
use crate::clock::Timestamp;
use async_trait::async_trait;

/// Recovery at start, purging, and readiness.
#[async_trait]
pub trait UpkeepStore: Send + Sync {
    /// Recovers at start, while nobody else can hold a lease: deliveries that a crash left `sending` become
    /// `uncertain` (due at once, marked as possible duplicates), and orphaned body files are removed.
    ///
    /// Stored times are adjusted if the clock was set meanwhile: retries are due as if the relay had been down for as
    /// long as the clock says. Ages and holds advance by an hour at most, because a long stop cannot be told from a
    /// wrong clock.
    async fn recover(&self, now: Timestamp) -> Result<Recovered, StoreError>;

    /// Records the time of the relay's clock, in which times are stored, and that of the system clock: every few
    /// seconds, for [`Self::recover`].
    async fn note_time(&self, now: Timestamp, wall: Timestamp) -> Result<(), StoreError>;

    /// How many milliseconds the clock of a database that several relays share is ahead of this relay's; 0 if they
    /// agree to a second, and for an engine that only one relay can use.
    async fn apart(&self) -> Result<i64, StoreError>;

    /// Removes messages that are past their retention and have nothing left to do: no open delivery, no hold, no open
    /// notice. To be called from time to time (hourly is enough).
    async fn purge(&self, now: Timestamp, keep: Retention) -> Result<Purged, StoreError>;

    /// The relays that share the database; empty for an engine that only one relay can use.
    async fn nodes(&self) -> Result<Vec<NodeRow>, StoreError>;

    /// Changes whenever another relay may have stored something that is due; `None` if there cannot be another.
    fn heard(&self) -> Option<tokio::sync::watch::Receiver<u64>>;

    /// Whether a write could be committed now (for `/readyz`).
    async fn ready(&self) -> Result<(), StoreError>;

    /// How long requests occupied the writer, in seconds. Nobody else gets a 250 during that time.
    fn request_seconds(&self) -> Histogram;
}
