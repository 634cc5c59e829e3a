//! Expiry: a held message that is not decided in time is returned to its sender, with a notice.

use super::{Desk, DeskError};
use crate::journal::Event;
use crate::store::{HeldDecision, HeldFilter, HeldRow, HeldState, NewNotice, NoticeKind, StoreError};
use std::time::Duration;

/// Interval of the search for expired messages.
const EVERY: Duration = Duration::from_secs(30);

/// Most messages expired in one round.
const ROUND: usize = 200;

/// The name of the decider in the journal.
const BY: &str = "expiry";

impl Desk {
    /// Returns the messages whose hold has expired; the result is their number.
    ///
    /// # Errors
    /// The store failed.
    pub async fn expire(&self) -> Result<usize, DeskError> {
        let now = self.now();
        let due = HeldFilter {
            state: Some(HeldState::Held),
            expired_by: Some(now),
            limit: Some(ROUND),
            ..HeldFilter::default()
        };
        let mut expired = 0;
        for row in self.store.held(&due).await? {
            match self.expire_one(&row).await {
                Ok(()) => expired += 1,
                // a person decided in the last moment, which takes precedence
                Err(DeskError::Store(StoreError::Decided { .. })) => {}
                // one failure must not stop the others
                Err(error) => tracing::error!(id = %row.id, %error, "a held message could not be expired"),
            }
        }
        if expired > 0 {
            self.wake();
        }
        Ok(expired)
    }

    async fn expire_one(&self, row: &HeldRow) -> Result<(), DeskError> {
        let now = self.now();
        let decision = HeldDecision {
            notices: vec![NewNotice { kind: NoticeKind::Expired, due: now }],
            events: vec![Event::Expired {}],
            ..HeldDecision::new(row.id, HeldState::Expired, BY, now, "nobody decided in time")
        };
        Ok(self.store.decide(decision).await?)
    }

    /// Returns expired messages until the task is stopped.
    pub async fn expire_forever(self) {
        loop {
            match self.expire().await {
                Ok(0) => {}
                Ok(expired) => tracing::info!(expired, "held messages expired and were returned"),
                Err(error) => tracing::warn!(%error, "held messages could not be expired"),
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}
