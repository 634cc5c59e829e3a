//! The task that sends notices: takes those that are due from the store, composes them and passes them to the
//! intake. A notice is marked as sent in the transaction that commits its mail, so a crash between the two
//! loses none.

use super::Letterhead;
use super::links::LinkMaker;
use crate::clock::{Clock, Entropy, Timestamp};
use crate::id::Id;
use crate::intake::{Intake, OwnMail};
use crate::store::{AskId, Store, StoreError};
use async_trait::async_trait;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Notify;
use tracing::{debug, info, warn};

/// Most notices taken from the store at once.
const BATCH: usize = 50;
/// Most asks taken from the store at once; more than notices, because a digest has many.
const ASKS: usize = 200;
/// How long the task sleeps when it is not woken; also the longest delay of notices that become due by time.
const EVERY: Duration = Duration::from_secs(5);
/// Shortest sleep when something is due soon.
const SOON: Duration = Duration::from_millis(100);
/// Pause after an error of the store or the intake.
const AFTER_FAILURE: Duration = Duration::from_secs(15);
/// Interval of the search for mail that waits without an attempt.
const LATE_EVERY: Duration = Duration::from_mins(2);
/// Age at which such mail is reported as delayed (RFC 5321 §4.5.4.1 leaves it to us); the same as after an
/// attempt.
const LATE: Duration = Duration::from_hours(4);

/// The intake as the postman uses it.
#[async_trait]
pub trait OwnIntake: Send + Sync + 'static {
    /// Commits a mail of our own durably, and marks its notice as sent.
    async fn own(&self, mail: OwnMail) -> Result<Id, StoreError>;

    /// Commits a mail to an approver, and marks these asks as sent.
    async fn tell(&self, mail: OwnMail, asks: Vec<AskId>) -> Result<Id, StoreError>;
}

#[async_trait]
impl OwnIntake for Intake {
    async fn own(&self, mail: OwnMail) -> Result<Id, StoreError> {
        Self::own(self, mail).await
    }

    async fn tell(&self, mail: OwnMail, asks: Vec<AskId>) -> Result<Id, StoreError> {
        Self::tell(self, mail, asks).await
    }
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
    /// The last search for mail without an attempt.
    looked: Mutex<Option<Timestamp>>,
}

/// What a postman works with.
pub struct Deps {
    /// The store with the notices.
    pub store: Arc<dyn Store>,
    /// The intake that commits our mails.
    pub intake: Arc<dyn OwnIntake>,
    /// Creates the links in them.
    pub links: Arc<dyn LinkMaker>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Random bits for boundaries and Message-IDs.
    pub entropy: Arc<dyn Entropy>,
    /// Wakes the task when a notice becomes due.
    pub bell: Arc<Notify>,
}

impl Postman {
    /// Creates a postman with this letterhead.
    pub fn new(deps: Deps, letterhead: Letterhead) -> Self {
        let Deps { store, intake, links, clock, entropy, bell } = deps;
        let letterhead = RwLock::new(Arc::new(letterhead));
        Self { store, intake, links, letterhead, clock, entropy, bell, looked: Mutex::default() }
    }

    pub(super) fn letterhead(&self) -> Arc<Letterhead> {
        Arc::clone(&self.letterhead.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Uses a new letterhead from now on, after a reload of the configuration.
    pub fn replace_letterhead(&self, letterhead: Letterhead) {
        *self.letterhead.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(letterhead);
    }

    /// Sends what is due until the task is stopped.
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

    /// How long to sleep: until the next notice is due, as far as is known.
    async fn until_next(&self) -> Duration {
        let next = self.store.next_notice().await.ok().flatten();
        next.map_or(EVERY, |due| due.since(self.clock.now()).clamp(SOON, EVERY))
    }

    /// Adds delay notices for mail that waits without an attempt because its upstream is unreachable;
    /// otherwise an attempt adds them.
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
            info!(messages = late, "mail waits without an attempt: its senders are notified");
        }
        Ok(())
    }

    /// Sends everything that is due now; returns how many notices it processed. A notice that fails does not
    /// stop the others.
    ///
    /// # Errors
    /// The first error, after all were tried.
    pub async fn round(&self) -> Result<usize, StoreError> {
        let now = self.clock.now();
        self.look_for_late(now).await?;
        let due = self.store.due_notices(now, BATCH).await?;
        let mut failed = None;
        for notice in &due {
            match self.deal_with(notice, now).await {
                Ok(()) => {}
                // the message changed while the notice was composed; it is composed again
                Err(StoreError::Fenced) => debug!(about = %notice.message, "notice composed again"),
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
