//! One way out of several, looked after: a circuit breaker, and a bound on what is under way. While one
//! is down or slow the others go on.

use super::breaker::{Breaker, Event, Limits};
use super::tally::Tally;
use super::{Fate, Outcome, Transaction, Upstream};
use crate::clock::{Clock, Timestamp};
use async_trait::async_trait;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long a transaction waits for a place before it makes way for others.
const PATIENCE: Duration = Duration::from_secs(5);
/// When it comes again then.
const LATER: Duration = Duration::from_secs(30);
/// When the next one may come while one tries a way that was down.
const AFTER_TRIAL: Duration = Duration::from_secs(5);

/// See the module.
pub struct Guarded {
    inner: Arc<dyn Upstream>,
    clock: Arc<dyn Clock>,
    tally: Tally,
    limits: Limits,
    state: Mutex<State>,
    places: Semaphore,
    /// Shown by its name in the metrics.
    named: bool,
}

#[derive(Default)]
struct State {
    breaker: Breaker,
    /// Somebody tries.
    trial: bool,
}

impl Guarded {
    /// Looks after `inner`, which gets at most so many transactions at once.
    pub fn new(inner: Arc<dyn Upstream>, places: usize, clock: Arc<dyn Clock>, tally: Tally) -> Self {
        let places = Semaphore::new(places.max(1));
        Self { inner, clock, tally, limits: Limits::default(), state: Mutex::default(), places, named: true }
    }

    /// One of too many to have a line of its own in the metrics.
    #[must_use]
    pub(super) fn unnamed(self) -> Self {
        Self { named: false, ..self }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // nothing can panic while it is held
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it works, as far as we know.
    pub(super) fn is_open(&self) -> bool {
        self.lock().breaker.admits().is_none()
    }

    /// A permission to try, or when to come again and why.
    fn enter(&self) -> Result<Entry<'_>, (Timestamp, String)> {
        let now = self.clock.now();
        let mut state = self.lock();
        state.breaker = std::mem::take(&mut state.breaker).after(Event::Tick, now, &self.limits);
        match state.breaker.admits() {
            None => Ok(Entry { of: self, trial: false }),
            Some(0) => {
                let until = state.breaker.changes_at().unwrap_or_else(|| now.plus(AFTER_TRIAL));
                Err((until, format!("{} is left alone: {}", self.name(), state.breaker)))
            }
            Some(_) if state.trial => {
                Err((now.plus(AFTER_TRIAL), format!("{} is being tried: {}", self.name(), state.breaker)))
            }
            Some(_) => {
                state.trial = true;
                Ok(Entry { of: self, trial: true })
            }
        }
    }

    fn report(&self, event: Event) {
        let mut state = self.lock();
        let was = state.breaker.admits();
        state.breaker = std::mem::take(&mut state.breaker).after(event, self.clock.now(), &self.limits);
        let is = state.breaker.admits();
        if was != is {
            tracing::warn!(upstream = self.name(), breaker = %state.breaker, "the way to an upstream changed");
            if self.named {
                self.tally.left_alone(self.name(), is.is_some());
            }
        }
    }
}

/// A permission to try; given back when dropped.
struct Entry<'a> {
    of: &'a Guarded,
    trial: bool,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        if self.trial {
            self.of.lock().trial = false;
        }
    }
}

#[async_trait]
impl Upstream for Guarded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn send(
        &self,
        transaction: &mut Transaction,
        last_look: Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Outcome {
        let recipients = transaction.recipients.len();
        let Ok(Ok(_place)) = tokio::time::timeout(PATIENCE, self.places.acquire()).await else {
            let why = format!("{} has its hands full", self.name());
            return Outcome::all(recipients, &Fate::Postponed(why, self.clock.now().plus(LATER)));
        };
        let _entry = match self.enter() {
            Ok(entry) => entry,
            Err((until, why)) => return Outcome::all(recipients, &Fate::Postponed(why, until)),
        };
        let outcome = self.inner.send(transaction, last_look).await;
        if outcome.unreachable {
            self.report(Event::Unreachable(outcome.reason().unwrap_or_default().to_owned()));
        } else if !outcome.recipients.iter().all(Fate::is_untried) {
            self.report(Event::Reached);
        }
        outcome
    }

    async fn probe(&self) -> Result<String, String> {
        self.inner.probe().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
