//! The task that sends what is due: takes notices from the store, composes them, hands them to the
//! intake. A notice leaves the list in the transaction that takes its mail in, so that a crash between
//! the two can lose none.

use super::{Letterhead, Matter, Moment, compose};
use crate::clock::{Clock, Entropy, Timestamp};
use crate::id::Id;
use crate::intake::OwnMail;
use crate::journal::{Entry, Event};
use crate::store::{DeliveryState, DueNotice, NoticeKind, Store, StoreError};
use async_trait::async_trait;
use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Notify;
use tracing::{debug, warn};

/// Most notices taken from the store at once.
const BATCH: usize = 50;
/// How long the task sleeps when nothing rings: notices that become due by time alone wait as long.
const EVERY: Duration = Duration::from_secs(5);
/// How long it waits after the store or the intake failed.
const AFTER_FAILURE: Duration = Duration::from_secs(15);
/// [`NoticeKind::Failure`] as the journal names it.
const FAILURE: &str = "failure";

/// The intake as the postman sees it.
#[async_trait]
pub trait OwnIntake: Send + Sync + 'static {
    /// Takes in a mail of our own making, durably, and marks the notice it answers as sent.
    async fn own(&self, mail: OwnMail) -> Result<Id, StoreError>;
}

/// Sends notices as they become due.
pub struct Postman {
    store: Arc<dyn Store>,
    intake: Arc<dyn OwnIntake>,
    letterhead: RwLock<Arc<Letterhead>>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    bell: Arc<Notify>,
}

impl Postman {
    /// A postman between this store and this intake; `bell` rings when a notice becomes due.
    pub fn new(
        store: Arc<dyn Store>,
        intake: Arc<dyn OwnIntake>,
        letterhead: Letterhead,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        bell: Arc<Notify>,
    ) -> Self {
        Self { store, intake, letterhead: RwLock::new(Arc::new(letterhead)), clock, entropy, bell }
    }

    /// Writes from now on as this says: a configuration was loaded anew.
    pub fn replace_letterhead(&self, letterhead: Letterhead) {
        *self.letterhead.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(letterhead);
    }

    /// Sends what is due, until the task is stopped.
    pub async fn run(&self) {
        loop {
            let pause = match self.round().await {
                Ok(BATCH..) => continue,
                Ok(_) => EVERY,
                Err(error) => {
                    warn!(%error, "notices wait");
                    AFTER_FAILURE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.bell.notified(), if pause == EVERY => {}
            }
        }
    }

    /// Sends what is due now, once; how many notices it looked at. One that cannot be sent does not
    /// keep the others; the first error is told when all were tried.
    pub async fn round(&self) -> Result<usize, StoreError> {
        let now = self.clock.now();
        let due = self.store.due_notices(now, BATCH).await?;
        let mut failed = None;
        for notice in &due {
            match self.deal_with(notice, now).await {
                Ok(()) => {}
                // It changed while it was being written: a newer one is on the list.
                Err(StoreError::Fenced) => debug!(about = %notice.message, "notice written anew"),
                Err(error) => {
                    warn!(about = %notice.message, kind = ?notice.kind, %error, "notice not sent");
                    failed.get_or_insert(error);
                }
            }
        }
        failed.map_or(Ok(due.len()), Err)
    }

    async fn deal_with(&self, notice: &DueNotice, now: Timestamp) -> Result<(), StoreError> {
        let message = match self.store.message(notice.message).await {
            Ok(message) => message,
            Err(StoreError::NotFound(_)) => return self.store.drop_notice(notice.notice).await,
            Err(error) => return Err(error),
        };
        let mut deliveries = self.store.deliveries(notice.message).await?;
        if notice.kind == NoticeKind::Failure {
            // read after the deliveries: a failure in between replaces the notice, so this report is not sent
            let new = unreported(&self.store.journal(notice.message).await?);
            for row in deliveries.iter_mut().filter(|row| row.state == DeliveryState::Failed) {
                row.recipients.retain(|recipient| new.contains(recipient));
            }
        }
        let matter = Matter { message: &message, deliveries: &deliveries };
        let letterhead = Arc::clone(&self.letterhead.read().unwrap_or_else(PoisonError::into_inner));
        let moment = Moment { now, bits: self.entropy.bits() };
        match compose(notice, &matter, &letterhead, moment) {
            Some(mail) => {
                let id = self.intake.own(mail).await?;
                debug!(about = %notice.message, kind = ?notice.kind, %id, "notice queued");
                Ok(())
            }
            None => self.store.drop_notice(notice.notice).await,
        }
    }
}

/// Recipients that failed since the last failure report was sent: all that failed, before the first.
fn unreported(journal: &[Entry]) -> HashSet<String> {
    let failed = DeliveryState::Failed.to_string();
    let mut new = HashSet::new();
    for entry in journal {
        match &entry.event {
            Event::Attempt { state, recipients, .. } if *state == failed => {
                new.extend(recipients.iter().cloned());
            }
            Event::Noticed { kind, .. } if kind == FAILURE => new.clear(),
            _ => {}
        }
    }
    new
}

#[cfg(test)]
#[path = "postman_tests.rs"]
mod tests;
