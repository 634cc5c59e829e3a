//! One place of the courier: takes a job, sends it, records what came of it, takes the next.

use super::board::Job;
use super::copy::{self, Refusal};
use super::message::Loaded;
use super::schedule::Attempt;
use super::{Courier, breaker};
use crate::message::Address;
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

/// The first pause before a result is recorded again that the store could not take; doubled each time.
const RECORD_PAUSE: Duration = Duration::from_millis(100);
/// The longest of these pauses.
const RECORD_PAUSE_MOST: Duration = Duration::from_secs(5);

/// Works until the courier drains.
pub(super) async fn work(courier: Arc<Courier>) {
    while let Some(job) = courier.board.next().await {
        if let Err(breakdown) = caught(courier.process(&job)).await
            && let Err(again) = caught(courier.broke_down(&job, &breakdown)).await
        {
            tracing::error!(message = %job.claim.message, again, "nor could that be written down");
        }
        courier.board.done(job.claim.lease);
    }
}

/// Runs work to its end or to its panic, whose words it gives: a place that was lost with one delivery
/// would be missing until the next start. What the work shares is locks that forgive being left.
async fn caught(work: impl Future<Output = ()>) -> Result<(), String> {
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

/// What a panic said.
fn words(cause: &(dyn Any + Send)) -> String {
    let fixed = cause.downcast_ref::<&str>().map(|text| (*text).to_owned());
    fixed.or_else(|| cause.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// What became of the sending.
enum Sent {
    /// The upstream's word on each recipient, or the reason there is none.
    Outcome(Outcome),
    /// Broken off before the final dot, for the relay stops or the lease is gone.
    Withdrawn,
}

impl Courier {
    async fn process(&self, job: &Job) {
        let message = job.claim.message;
        let loaded = match job.message.clone() {
            Some(loaded) => Ok(loaded),
            None => self.shelf.get(message, self.store.as_ref()).await,
        };
        let prepared = match &loaded {
            Ok(loaded) => copy::prepare(self, loaded, &job.claim).await,
            Err(error) => {
                let why = format!("4.3.0 the message cannot be read: {error}");
                return self.settle(&job.claim, None, |_| Fate::Deferred(why.clone())).await;
            }
        };
        let loaded = loaded.ok();
        match prepared {
            Ok(transaction) => match self.send(job, transaction).await {
                Sent::Outcome(outcome) => self.finish(job, loaded.as_deref(), outcome).await,
                Sent::Withdrawn => self.give_back(&job.claim, "").await,
            },
            Err(Refusal::Unsafe(hits)) => self.stop(&job.claim, hits).await,
            Err(Refusal::Store(error)) => {
                let why = format!("4.3.0 the body cannot be read: {error}");
                self.settle(&job.claim, loaded.as_deref(), |_| Fate::Deferred(why.clone())).await;
            }
            Err(Refusal::Unsealed(error)) => {
                tracing::error!(%message, %error, "a copy could not be signed");
                let why = format!("4.3.0 {error}");
                self.settle(&job.claim, loaded.as_deref(), |_| Fate::Deferred(why.clone())).await;
            }
        }
    }

    /// A fault of our own ended a delivery. It is tried again later; once its dot was let go, as one
    /// that the upstream may have.
    async fn broke_down(&self, job: &Job, words: &str) {
        let (message, delivery) = (job.claim.message, job.claim.lease.delivery);
        tracing::error!(%message, delivery, words, "a delivery broke down: a fault in the relay");
        let why = "4.3.0 a fault in the relay itself; its log has the details".to_owned();
        let fate = if job.hold.is_dotted() { Fate::Uncertain(why) } else { Fate::Deferred(why) };
        // for whoever is to be told, should it be given up
        let loaded = self.shelf.get(message, self.store.as_ref()).await.ok();
        self.settle(&job.claim, loaded.as_deref(), |_| fate.clone()).await;
    }

    /// Sends; a drain breaks it off before the final dot, and waits a while after it.
    async fn send(&self, job: &Job, mut transaction: crate::upstream::Transaction) -> Sent {
        let recipients = transaction.recipients.len();
        let refused = Arc::new(AtomicBool::new(false));
        let look = {
            let refused = Arc::clone(&refused);
            let (hold, clock, board) =
                (Arc::clone(&job.hold), Arc::clone(&self.clock), Arc::clone(&self.board));
            Arc::new(move || {
                let go = hold.is_ours(clock.now()) && !board.is_draining();
                if go {
                    hold.dot();
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
            // nothing ran in between: whether the dot left is settled
            None if !job.hold.is_dotted() => return Sent::Withdrawn,
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

    /// Tells the breaker, records.
    async fn finish(&self, job: &Job, loaded: Option<&Loaded>, outcome: Outcome) {
        let event = if outcome.unreachable {
            breaker::Event::Unreachable(outcome.reason().unwrap_or_default().to_owned())
        } else {
            breaker::Event::Reached
        };
        let returned = self.board.report(event, self.clock.now());
        let mut fates = outcome.recipients.into_iter();
        // an upstream that forgets a recipient must not lose it
        let forgotten = || Fate::Deferred("4.3.0 the upstream gave no answer for this recipient".to_owned());
        let fate = |_: &Address| fates.next().unwrap_or_else(forgotten);
        self.settle_delivered(&job.claim, loaded, outcome.reports, fate).await;
        let why = self.board.breaker().to_string();
        for job in returned {
            self.give_back(&job.claim, &format!("not tried: the upstream's breaker is {why}")).await;
        }
    }

    /// Records a fate for each recipient where none was delivered.
    async fn settle(&self, claim: &Claim, loaded: Option<&Loaded>, fate: impl FnMut(&Address) -> Fate) {
        self.settle_delivered(claim, loaded, true, fate).await;
    }

    /// Records a fate for each recipient. Who asked to hear of success hears it from the next hop where
    /// that `reports`, else from us (RFC 3461 §5.2.1, §5.2.2).
    async fn settle_delivered(
        &self,
        claim: &Claim,
        loaded: Option<&Loaded>,
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
        if let Some(loaded) = loaded.filter(|loaded| may_be_told(loaded)) {
            let last = recipients.len() == loaded.stored.envelope.recipients.len()
                && results.iter().all(|(_, result)| result.due.is_none());
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

    /// Puts a delivery back that was claimed and not tried.
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

    /// Records, again and again while the store is away: what the upstream said must not be forgotten,
    /// and nothing new is begun at this place before.
    async fn record(&self, result: AttemptResult) {
        let mut pause = RECORD_PAUSE;
        let began = tokio::time::Instant::now();
        loop {
            let (message, delivery) = (result.message, result.lease.delivery);
            match self.store.record(result.clone()).await {
                Ok(()) => return,
                // where it was kept after all, the second time is fenced
                Err(StoreError::Unavailable(_) | StoreError::Full(_) | StoreError::Uncertain(_))
                    if !self.board.is_draining() || began.elapsed() < self.settings.drain =>
                {
                    tracing::warn!(%message, delivery, "a result could not be recorded yet; trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RECORD_PAUSE_MOST);
                }
                Err(StoreError::Fenced) => {
                    // stopped, dropped or taken over meanwhile: the store knows better
                    tracing::warn!(%message, delivery, "a result came after the lease was lost");
                    return;
                }
                Err(error) => {
                    tracing::error!(%message, delivery, %error, "a result could not be recorded");
                    return;
                }
            }
        }
    }

    /// The second lock: nothing more of this message leaves, somebody must look.
    async fn stop(&self, claim: &Claim, hits: Vec<crate::rewrite::Hit>) {
        let places: Vec<&str> = hits.iter().map(|hit| hit.place.as_str()).collect();
        tracing::error!(
            message = %claim.message,
            ?places,
            "a copy was stopped: a hidden recipient's address stands in it, or it does not fit its message"
        );
        self.shelf.forget(claim.message);
        let at = self.clock.now();
        let (term, approvers) = self.stopping.read().unwrap_or_else(PoisonError::into_inner).clone();
        let expires = term.ends(at);
        let mut pause = RECORD_PAUSE;
        // a stop that is not written down would leave the copy to be sent by another attempt
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

/// Nobody is told of the fate of our own mail, or of mail without a sender (RFC 5321 §6.1).
fn may_be_told(loaded: &Loaded) -> bool {
    loaded.stored.envelope.sender.is_some() && !matches!(loaded.stored.origin, Origin::Own { .. })
}

fn log_attempt(claim: &Claim, results: &[(Address, RecipientResult)]) {
    for (_, result) in results {
        match result.state {
            DeliveryState::Delivered | DeliveryState::Ready => {
                tracing::debug!(message = %claim.message, state = %result.state, reply = %result.reply);
            }
            _ => tracing::info!(
                message = %claim.message,
                delivery = claim.lease.delivery,
                attempt = claim.attempt,
                state = %result.state,
                reply = %result.reply,
                "not delivered"
            ),
        }
    }
}
