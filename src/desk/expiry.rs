//! Expiry: a message nobody decided on in time goes back to its sender, with a notice.

use super::{Desk, DeskError};
use crate::journal::Event;
use crate::store::{HeldDecision, HeldFilter, HeldRow, HeldState, NewNotice, NoticeKind, StoreError};
use std::time::Duration;

/// How often the desk looks for expired messages.
const EVERY: Duration = Duration::from_secs(30);

/// Most messages expired in one round.
const ROUND: usize = 200;

/// Who decided, in the record.
const BY: &str = "expiry";

impl Desk {
    /// Expires what is due; how many.
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
                // Somebody decided in the very last moment: their word stands.
                Err(DeskError::Store(StoreError::Decided { .. })) => {}
                // One that cannot expire must not keep the others here.
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

    /// Expires messages as their time comes, until the task is stopped.
    pub async fn expire_forever(self) {
        loop {
            match self.expire().await {
                Ok(0) => {}
                Ok(expired) => tracing::info!(expired, "held messages expired and went back"),
                Err(error) => tracing::warn!(%error, "held messages could not be expired"),
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}
