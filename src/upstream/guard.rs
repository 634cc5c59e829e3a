//! One of several upstreams, with a circuit breaker and a connection limit of its own. While one is down
//! or slow, the others continue.

use super::breaker::{Breaker, Event, Limits};
use super::tally::Tally;
use super::{Fate, Outcome, Transaction, Upstream};
use crate::clock::{Clock, Timestamp};
use async_trait::async_trait;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long a transaction waits when the connection limit is reached, before it is postponed.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it is then postponed.
const LATER: Duration = Duration::from_secs(30);
/// How long other transactions are postponed while a trial delivery is in progress.
const AFTER_TRIAL: Duration = Duration::from_secs(5);

/// An upstream with a circuit breaker and a connection limit.
pub struct Guarded {
    inner: Arc<dyn Upstream>,
    clock: Arc<dyn Clock>,
    tally: Tally,
    limits: Limits,
    state: Mutex<State>,
    connections: Semaphore,
    /// Whether it has metrics under its own name.
    named: bool,
}

#[derive(Default)]
struct State {
    breaker: Breaker,
    /// Whether a trial delivery is in progress.
    trial: bool,
}

impl Guarded {
    /// Wraps `inner`, which gets at most `connections` transactions at once.
    pub fn new(inner: Arc<dyn Upstream>, connections: usize, clock: Arc<dyn Clock>, tally: Tally) -> Self {
        let connections = Semaphore::new(connections.max(1));
        Self {
            inner,
            clock,
            tally,
            limits: Limits::default(),
            state: Mutex::default(),
            connections,
            named: true,
        }
    }

    /// Leaves it out of the metrics by name, because there are too many of its kind.
    #[must_use]
    pub(super) fn unnamed(self) -> Self {
        Self { named: false, ..self }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // no code that can panic runs while it is held
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether its circuit breaker is closed.
    pub(super) fn is_working(&self) -> bool {
        self.lock().breaker.admits().is_none()
    }

    /// Asks the circuit breaker. The error says when to try again, and why not now.
    fn enter(&self) -> Result<Entry<'_>, (Timestamp, String)> {
        let now = self.clock.now();
        let mut state = self.lock();
        state.breaker = std::mem::take(&mut state.breaker).after(Event::Tick, now, &self.limits);
        match state.breaker.admits() {
            None => Ok(Entry { of: self, trial: false }),
            Some(0) => {
                let until = state.breaker.changes_at().unwrap_or_else(|| now.plus(AFTER_TRIAL));
                Err((
                    until,
                    format!("{} is suspended, its circuit breaker is {}", self.name(), state.breaker),
                ))
            }
            Some(_) if state.trial => Err((
                now.plus(AFTER_TRIAL),
                format!("{} is being tried again, its circuit breaker is {}", self.name(), state.breaker),
            )),
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
            match is {
                Some(_) => {
                    tracing::warn!(upstream = self.name(), breaker = %state.breaker, "circuit breaker opened");
                }
                None => tracing::warn!(upstream = self.name(), "circuit breaker closed"),
            }
            if self.named {
                self.tally.suspended(self.name(), is.is_some());
            }
        }
    }
}

/// Permission to send. Dropping it ends a trial delivery.
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
        let Ok(Ok(_connection)) = tokio::time::timeout(PATIENCE, self.connections.acquire()).await else {
            let why = format!("{} has reached its connection limit", self.name());
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
