//! One worker of the courier: takes a job, sends it, has the result recorded, takes the next.

use super::board::{Board, Job};
use super::copy::{self, Refusal};
use super::message::Loaded;
use super::schedule::Attempt;
use super::{Courier, breaker};
use crate::message::Address;
use crate::rewrite::Hit;
use crate::store::{
    AttemptResult, Claim, DeliveryState, NewNotice, NoticeKind, Origin, RecipientResult, Stop, StoreError,
};
use crate::upstream::{Fate, Outcome};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::task::Poll;
use std::time::Duration;

/// Pause before recording a result again after the store failed; doubled each time.
const RECORD_PAUSE: Duration = Duration::from_millis(100);
/// The longest such pause.
const RECORD_PAUSE_MOST: Duration = Duration::from_secs(5);

/// Processes jobs until the courier drains. What became of a copy is recorded by a task of its own, so that the worker
/// and its connection need not wait for the flush to disk.
pub(super) async fn work(courier: Arc<Courier>) {
    while let Some(mut job) = courier.board.next().await {
        let attempted = caught(courier.attempt(&mut job)).await;
        let unrecorded = Board::sent(&courier.board, job.claim.lease);
        let courier = Arc::clone(&courier);
        tokio::spawn(async move {
            let concluded = match attempted {
                Ok(attempted) => caught(courier.conclude(&job, attempted)).await,
                Err(breakdown) => Err(breakdown),
            };
            if let Err(breakdown) = concluded
                && let Err(again) = caught(courier.broke_down(&job, &breakdown)).await
            {
                tracing::error!(message = %job.claim.message, again, "the failure of the delivery could not be recorded either");
            }
            drop(unrecorded);
        });
    }
}

/// Runs `work` and catches a panic, whose message is the error: without this, each panic would cost a
/// worker until the next start. The locks shared with other tasks ignore poisoning.
async fn caught<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        match polled {
            Ok(poll) => poll.map(Ok),
            Err(cause) => Poll::Ready(Err(words(cause.as_ref()))),
        }
    })
    .await
}

/// The message of a panic.
fn words(cause: &(dyn Any + Send)) -> String {
    let fixed = cause.downcast_ref::<&str>().map(|text| (*text).to_owned());
    fixed.or_else(|| cause.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// How an attempt to send ended.
enum Sent {
    /// The upstream's answer for each recipient, or the reason why there is none.
    Outcome(Outcome),
    /// Aborted before the final dot, because the relay stops or the lease was lost.
    Withdrawn,
}

/// What became of an attempt, to be recorded.
struct Attempted {
    told: Told,
    ended: Ended,
}

/// How many recipients a message has, if notices about it may be sent. The message itself need not stay in memory until
/// a result is on record.
#[derive(Clone, Copy)]
struct Told(Option<usize>);

impl Told {
    /// Notices are not sent about our own mail, nor about mail with the null sender (RFC 5321 §6.1).
    fn about(loaded: &Loaded) -> Self {
        let envelope = &loaded.stored.envelope;
        let may_be_told = envelope.sender.is_some() && !matches!(loaded.stored.origin, Origin::Own { .. });
        Self(may_be_told.then_some(envelope.recipients.len()))
    }
}

enum Ended {
    /// With the upstream's answers. The jobs are those that were queued when this opened the circuit breaker.
    Sent { outcome: Outcome, returned: Vec<Job> },
    /// Before the final dot, because the relay stops or the lease was lost.
    Withdrawn,
    /// Before it began, for this reason; it is tried again later.
    Deferred(String),
    /// By the final check, which is on record.
    Stopped,
}

impl Courier {
    async fn attempt(&self, job: &mut Job) -> Attempted {
        let message = job.claim.message;
        let loaded = match job.message.take() {
            Some(loaded) => Ok(loaded),
            None => self.cache.get(message, self.store.as_ref()).await,
        };
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                let ended = Ended::Deferred(format!("4.3.0 the message cannot be read: {error}"));
                return Attempted { told: Told(None), ended };
            }
        };
        let ended = match copy::prepare(self, &loaded, &job.claim).await {
            Ok(transaction) => match self.send(job, transaction).await {
                Sent::Outcome(outcome) => {
                    // before the worker takes its next job
                    let returned = self.tell_breaker(&outcome);
                    Ended::Sent { outcome, returned }
                }
                Sent::Withdrawn => Ended::Withdrawn,
            },
            Err(Refusal::Unsafe(hits)) => {
                // before the worker takes its next job, perhaps another copy of this message
                self.stop(&job.claim, hits).await;
                Ended::Stopped
            }
            Err(Refusal::Store(error)) => Ended::Deferred(format!("4.3.0 the body cannot be read: {error}")),
            Err(Refusal::Unsealed(error)) => {
                tracing::error!(%message, %error, "a copy could not be signed");
                Ended::Deferred(format!("4.3.0 {error}"))
            }
        };
        Attempted { told: Told::about(&loaded), ended }
    }

    /// Records what became of an attempt.
    async fn conclude(&self, job: &Job, attempted: Attempted) {
        let told = attempted.told;
        match attempted.ended {
            Ended::Sent { outcome, returned } => self.finish(job, told, outcome, returned).await,
            Ended::Withdrawn => self.give_back(&job.claim, "").await,
            Ended::Deferred(why) => self.settle(&job.claim, told, |_| Fate::Deferred(why.clone())).await,
            Ended::Stopped => {}
        }
    }

    /// Records a delivery that ended in a panic. It is tried again later. If the final dot may have been
    /// sent, it counts as uncertain.
    async fn broke_down(&self, job: &Job, words: &str) {
        let (message, delivery) = (job.claim.message, job.claim.lease.delivery);
        tracing::error!(%message, %delivery, words, "a delivery failed because of a bug in the relay");
        let why = "4.3.0 a bug in the relay; its log has the details".to_owned();
        let fate = if job.status.is_dotted() { Fate::Uncertain(why) } else { Fate::Deferred(why) };
        // needed for the notice, in case the delivery is given up
        let loaded = self.cache.get(message, self.store.as_ref()).await.ok();
        let told = loaded.map_or(Told(None), |loaded| Told::about(&loaded));
        self.settle(&job.claim, told, |_| fate.clone()).await;
    }

    /// Sends a copy. A drain aborts it before the final dot, and after it waits for the reply for a limited
    /// time.
    async fn send(&self, job: &Job, mut transaction: crate::upstream::Transaction) -> Sent {
        let recipients = transaction.recipients.len();
        let refused = Arc::new(AtomicBool::new(false));
        let look = {
            let refused = Arc::clone(&refused);
            let (status, clock, board) =
                (Arc::clone(&job.status), Arc::clone(&self.clock), Arc::clone(&self.board));
            Arc::new(move || {
                let go = status.is_ours(clock.now()) && !board.is_draining();
                if go {
                    status.dot();
                } else {
                    refused.store(true, Ordering::Release);
                }
                go
            })
        };
        let upstream = self.upstream();
        let mut sending = upstream.send(&mut transaction, look);
        let outcome = tokio::select! {
            outcome = &mut sending => Some(outcome),
            () = self.drained() => None,
        };
        let outcome = match outcome {
            Some(outcome) => outcome,
            // the sending future is not polled any more, so this cannot change
            None if !job.status.is_dotted() => return Sent::Withdrawn,
            None => {
                let uncertain = || {
                    let why = "4.4.1 the relay stopped before the upstream answered to the final dot";
                    Outcome::all(recipients, &Fate::Uncertain(why.to_owned()))
                };
                tokio::time::timeout(self.settings.drain, sending).await.unwrap_or_else(|_| uncertain())
            }
        };
        if refused.load(Ordering::Acquire) { Sent::Withdrawn } else { Sent::Outcome(outcome) }
    }

    /// Reports an outcome to the circuit breaker. Returns the queued jobs if that opened it.
    fn tell_breaker(&self, outcome: &Outcome) -> Vec<Job> {
        let event = if outcome.unreachable {
            breaker::Event::Unreachable(outcome.reason().unwrap_or_default().to_owned())
        } else {
            breaker::Event::Reached
        };
        self.board.report(event, self.clock.now())
    }

    /// Records the outcome, and gives back the jobs that the circuit breaker stopped.
    async fn finish(&self, job: &Job, told: Told, outcome: Outcome, returned: Vec<Job>) {
        let mut fates = outcome.recipients.into_iter();
        // a recipient missing from the outcome must not get lost
        let forgotten = || Fate::Deferred("4.3.0 the upstream gave no answer for this recipient".to_owned());
        let fate = |_: &Address| fates.next().unwrap_or_else(forgotten);
        self.settle_delivered(&job.claim, told, outcome.reports, fate).await;
        let why = self.board.breaker().to_string();
        for job in returned {
            self.give_back(&job.claim, &format!("not tried: the upstream's breaker is {why}")).await;
        }
    }

    /// Records a fate for each recipient when none was delivered.
    async fn settle(&self, claim: &Claim, told: Told, fate: impl FnMut(&Address) -> Fate) {
        self.settle_delivered(claim, told, true, fate).await;
    }

    /// Records a fate for each recipient. A sender who asked for a report of success gets it from the next
    /// hop if that `reports` (supports DSN), otherwise from us (RFC 3461 §5.2.1, §5.2.2).
    async fn settle_delivered(
        &self,
        claim: &Claim,
        told: Told,
        reports: bool,
        mut fate: impl FnMut(&Address) -> Fate,
    ) {
        let attempt = Attempt {
            number: claim.attempt,
            queued: claim.queued,
            now: self.clock.now(),
            random: self.entropy.bits(),
        };
        let recipients = claim.delivery.recipients();
        let schedule = &self.settings.schedule;
        let results: Vec<(Address, RecipientResult)> = recipients
            .iter()
            .map(|to| (to.address.clone(), schedule.after(fate(&to.address), &attempt)))
            .collect();
        let mut notices = Vec::new();
        if let Told(Some(all)) = told {
            let last = recipients.len() == all && results.iter().all(|(_, result)| result.due.is_none());
            let pairs = recipients.iter().zip(&results).map(|(to, (_, result))| (to.notify, result));
            notices = schedule.notices(pairs, &attempt, last);
            let relayed = recipients.iter().zip(&results).any(|(to, (_, result))| {
                let asked = to.notify.is_some_and(|wish| wish.success && !wish.never);
                asked && result.state == DeliveryState::Delivered
            });
            if relayed && !reports {
                notices.push(NewNotice { kind: NoticeKind::Delivered, due: attempt.now });
            }
        }
        log_attempt(claim, &results);
        let untried = results.iter().any(|(_, result)| {
            result.state == DeliveryState::Ready && result.due.is_some_and(|due| due <= attempt.now)
        });
        self.record(AttemptResult {
            lease: claim.lease,
            message: claim.message,
            at: attempt.now,
            recipients: results,
            attempt: claim.attempt,
            notices,
        })
        .await;
        if untried {
            self.board.wake();
        }
    }

    /// Gives a delivery back to the store that was claimed and not tried.
    pub(super) async fn give_back(&self, claim: &Claim, why: &str) {
        let at = self.clock.now();
        let ready = || RecipientResult { state: DeliveryState::Ready, reply: why.to_owned(), due: Some(at) };
        let recipients = claim.delivery.recipients().iter().map(|to| (to.address.clone(), ready())).collect();
        self.record(AttemptResult {
            lease: claim.lease,
            message: claim.message,
            at,
            recipients,
            attempt: claim.attempt,
            notices: Vec::new(),
        })
        .await;
        self.board.wake();
    }

    /// Records a result, retrying while the store is unavailable: the upstream's answer must not be lost.
    /// While [many](super::board::Bounds::unrecorded) wait for this, no delivery is started.
    async fn record(&self, result: AttemptResult) {
        let mut pause = RECORD_PAUSE;
        let began = tokio::time::Instant::now();
        loop {
            let (message, delivery) = (result.message, result.lease.delivery);
            match self.store.record(result.clone()).await {
                Ok(()) => return,
                // if an uncertain write did succeed, the next one gets `Fenced`
                Err(StoreError::Unavailable(_) | StoreError::Full(_) | StoreError::Uncertain(_))
                    if !self.board.is_draining() || began.elapsed() < self.settings.drain =>
                {
                    tracing::warn!(%message, %delivery, "a result could not be recorded yet; trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RECORD_PAUSE_MOST);
                }
                Err(StoreError::Fenced) => {
                    // the delivery was stopped, dropped or taken over meanwhile: the store's state stands
                    tracing::warn!(%message, %delivery, "a result came after the lease was lost");
                    return;
                }
                Err(error) => {
                    tracing::error!(%message, %delivery, %error, "a result could not be recorded");
                    return;
                }
            }
        }
    }

    /// The final check: stops all deliveries of the message until an approver decides.
    async fn stop(&self, claim: &Claim, hits: Vec<Hit>) {
        let places: Vec<&str> = hits.iter().map(|hit| hit.place.as_str()).collect();
        tracing::error!(
            message = %claim.message,
            ?places,
            "a copy was stopped: it contains a hidden recipient's address or does not match its message"
        );
        self.cache.forget(claim.message);
        let at = self.clock.now();
        let (term, approvers) = self.stopping.read().unwrap_or_else(PoisonError::into_inner).clone();
        let expires = term.ends(at);
        let mut pause = RECORD_PAUSE;
        // without the stop on record, another attempt would send the copy
        let stop = Stop { id: claim.message, at, hits, expires, approvers };
        while let Err(error) = self.store.stop(stop.clone()).await {
            tracing::error!(message = %claim.message, %error, "the stop could not be recorded");
            let passing =
                matches!(error, StoreError::Unavailable(_) | StoreError::Full(_) | StoreError::Uncertain(_));
            if !passing || self.board.is_draining() {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RECORD_PAUSE_MOST);
        }
    }
}

fn log_attempt(claim: &Claim, results: &[(Address, RecipientResult)]) {
    for (_, result) in results {
        match result.state {
            DeliveryState::Delivered | DeliveryState::Ready => {
                tracing::debug!(message = %claim.message, state = %result.state, reply = %result.reply);
            }
            _ => tracing::info!(
                message = %claim.message,
                delivery = %claim.lease.delivery,
                attempt = claim.attempt,
                state = %result.state,
                reply = %result.reply,
                "not delivered"
            ),
        }
    }
}
