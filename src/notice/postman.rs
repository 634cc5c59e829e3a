//! The task that sends what is due: takes notices from the store, composes them, hands them to the
//! intake. A notice leaves the list in the transaction that takes its mail in, so that a crash between
//! the two can lose none.

use super::Letterhead;
use super::links::LinkMaker;
use crate::clock::{Clock, Entropy, Timestamp};
use crate::id::Id;
use crate::intake::OwnMail;
use crate::store::{Store, StoreError};
use async_trait::async_trait;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Notify;
use tracing::{debug, info, warn};

/// Most notices taken from the store at once.
const BATCH: usize = 50;
/// Most asks taken at once: a digest tells of many.
const ASKS: usize = 200;
/// How long the task sleeps when nothing rings: notices that become due by time alone wait as long.
const EVERY: Duration = Duration::from_secs(5);
/// How long it sleeps at least when something is due before long.
const SOON: Duration = Duration::from_millis(100);
/// How long it waits after the store or the intake failed.
const AFTER_FAILURE: Duration = Duration::from_secs(15);
/// How often mail is looked for that waits and was never tried.
const LATE_EVERY: Duration = Duration::from_mins(2);
/// How old it is then (RFC 5321 §4.5.4.1 leaves it to us; the same as for mail that was tried).
const LATE: Duration = Duration::from_hours(4);

/// The intake as the postman sees it.
#[async_trait]
pub trait OwnIntake: Send + Sync + 'static {
    /// Takes in a mail of our own making, durably, and marks the notice it answers as sent.
    async fn own(&self, mail: OwnMail) -> Result<Id, StoreError>;

    /// The same for a mail to somebody who decides: it answers these asks.
    async fn tell(&self, mail: OwnMail, asks: Vec<i64>) -> Result<Id, StoreError>;
}

/// Sends notices as they become due.
pub struct Postman {
    pub(super) store: Arc<dyn Store>,
    pub(super) intake: Arc<dyn OwnIntake>,
    pub(super) links: Arc<dyn LinkMaker>,
    letterhead: RwLock<Arc<Letterhead>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    bell: Arc<Notify>,
    /// When mail that was never tried was looked for last.
    looked: Mutex<Option<Timestamp>>,
}

/// What a postman works between.
pub struct Deps {
    /// Where notices wait.
    pub store: Arc<dyn Store>,
    /// Where mails go in.
    pub intake: Arc<dyn OwnIntake>,
    /// What makes their links.
    pub links: Arc<dyn LinkMaker>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// For boundaries and Message-IDs.
    pub entropy: Arc<dyn Entropy>,
    /// Rung when a notice becomes due.
    pub bell: Arc<Notify>,
}

impl Postman {
    /// A postman that writes as this letterhead says.
    pub fn new(deps: Deps, letterhead: Letterhead) -> Self {
        let Deps { store, intake, links, clock, entropy, bell } = deps;
        let letterhead = RwLock::new(Arc::new(letterhead));
        Self { store, intake, links, letterhead, clock, entropy, bell, looked: Mutex::default() }
    }

    pub(super) fn letterhead(&self) -> Arc<Letterhead> {
        Arc::clone(&self.letterhead.read().unwrap_or_else(PoisonError::into_inner))
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
                Ok(_) => self.until_next().await,
                Err(error) => {
                    warn!(%error, "notices wait");
                    AFTER_FAILURE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.bell.notified(), if pause <= EVERY => {}
            }
        }
    }

    /// How long nothing will be due, as far as is known now.
    async fn until_next(&self) -> Duration {
        let next = self.store.next_notice().await.ok().flatten();
        next.map_or(EVERY, |due| due.since(self.clock.now()).clamp(SOON, EVERY))
    }

    /// Mail that waits behind an upstream that cannot be reached was never tried: no attempt puts the
    /// notice of its delay down.
    async fn look_for_late(&self, now: Timestamp) -> Result<(), StoreError> {
        {
            let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
            if looked.is_some_and(|last| now.since(last) < LATE_EVERY) {
                return Ok(());
            }
            *looked = Some(now);
        }
        let late = self.store.note_untried(now, LATE).await?;
        if late > 0 {
            info!(messages = late, "mail waits and was never tried: its senders are told");
        }
        Ok(())
    }

    /// Sends what is due now, once; how many notices it looked at. One that cannot be sent does not
    /// keep the others; the first error is told when all were tried.
    pub async fn round(&self) -> Result<usize, StoreError> {
        let now = self.clock.now();
        self.look_for_late(now).await?;
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
        match (failed, self.ask_who_is_due(now, ASKS).await) {
            (None, Ok(asked)) => Ok(due.len() + asked),
            (Some(error), _) | (None, Err(error)) => Err(error),
        }
    }
}

#[cfg(test)]
#[path = "postman_tests.rs"]
mod tests;
