//! From a judged message to its commit: its copies are planned and audited, budgets are asked, and what becomes of
//! it is put together once.

use super::commit::born;
use super::mail::Incoming;
use super::{Answer, Intake, budget, forks};
use crate::clock::Timestamp;
use crate::examine::{Examination, Examiner, Settled};
use crate::id::Id;
use crate::journal::{Event, Would};
use crate::message::Address;
use crate::policy::budget::Reserved;
use crate::policy::learned::Acquaintance;
use crate::policy::risks::{self, Risk};
use crate::policy::{Action, Timing};
use crate::rewrite::Hit;
use crate::rewrite::compose::synthesised_message_id;
use crate::rewrite::plan::{Copies, Stamp};
use crate::store::{
    Body, ForkRelation, Glance, HoldKind, InitialState, Message, NewHold, NewMessage, NewNotice, NoticeKind,
    Origin, Reason, StoreError,
};
use std::sync::Arc;
use tracing::{info, warn};

/// A message that arrived completely and was judged; only its body has still to be closed in the store.
#[derive(Clone)]
pub(super) struct Judged {
    pub(super) id: Id,
    pub(super) received: Timestamp,
    pub(super) origin: Origin,
    pub(super) seen: Examination,
    /// How many circles had ended when it was judged.
    pub(super) circles: Option<i64>,
}

/// A judged message whose copies were planned and audited, and for which budgets were asked. If it is held, its
/// place among the forks of its mail is still open; else it is complete.
#[derive(Clone)]
pub(super) struct Planned {
    pub(super) judged: Judged,
    pub(super) stamp: Stamp,
    pub(super) settled: Settled,
}

/// What becomes of a planned message, put together once and not changed after that.
pub(super) struct Outcome {
    /// What leaves, and from when.
    pub(super) copies: Copies,
    pub(super) state: InitialState,
    /// The hold, if it is held.
    pub(super) held: Option<NewHold>,
    /// Whom it is told.
    pub(super) notices: Vec<NewNotice>,
    /// What the journal says beside that it was accepted.
    pub(super) event: Option<Event>,
}

impl Intake {
    /// Carries out the verdict on a message from a client.
    pub(super) async fn accept(
        &self,
        examiner: &Examiner,
        judged: Judged,
        body: Incoming,
    ) -> Result<Answer, Answer> {
        let (planned, reserved) = self.plan(examiner, judged).await;
        let (id, settled) = (planned.judged.id, &planned.settled);
        if settled.verdict.action() == Action::Reject {
            info!(%id, action = "reject", "refused by a rule");
            return Ok(Answer::Rejected(settled.verdict.short_reason()));
        }
        let body = body.finish().await.map_err(|error| refused(&error))?;
        planned.log();
        let (client, recipients) =
            (planned.stamp.client.clone(), planned.judged.seen.envelope.recipients.len());
        let done = if settled.copies.is_some() {
            self.commit(self.leaving(planned, body), Vec::new()).await.map(|()| Answer::Queued(id))
        } else {
            self.commit_held(examiner, &planned, &body).await
        };
        if let (Some(reserved), true) = (reserved, done.is_ok()) {
            reserved.keep();
        }
        match done {
            Err(StoreError::Known { original, held }) => {
                Ok(self.came_before(original, held, client, recipients).await)
            }
            other => other.map_err(|error| refused(&error)),
        }
    }

    /// Plans and audits the copies, and asks budgets for room; the reservation is kept once all is committed.
    async fn plan(&self, examiner: &Examiner, judged: Judged) -> (Planned, Option<Reserved>) {
        let stamp = self.stamp(judged.id, judged.received, &judged.origin);
        let settled = examiner.settle(&judged.seen, &stamp);
        let (mut settled, reserved) =
            budget::within(examiner, &judged.seen, settled, self.store(), self.clock()).await;
        if settled.copies.is_none() {
            examiner.complete(&mut settled.verdict, &judged.seen, false);
        }
        (Planned { judged, stamp, settled }, reserved)
    }

    /// A message whose copies leave, now or after a delay.
    fn leaving(&self, mut planned: Planned, body: Body) -> NewMessage {
        let now = self.clock().now();
        let (action, timing) = (planned.settled.verdict.action(), planned.settled.verdict.demand.timing);
        let event = planned.accepted();
        let outcome = Outcome {
            state: match (action, timing) {
                (Action::Delay, Timing::Delay(span)) => InitialState::Waiting(now.plus(span)),
                _ => InitialState::Ready,
            },
            held: None,
            notices: notices(action, false, planned.told_at(now)),
            event: None,
            copies: planned.settled.copies.take().unwrap_or_default(),
        };
        planned.into_new(body, event, outcome)
    }

    /// All recipients got the same mail within a day: the client gets the id of the original.
    async fn came_before(&self, original: Id, held: bool, client: String, recipients: usize) -> Answer {
        info!(id = %original, recipients, "duplicate within a day: nothing is delivered for it");
        let event = Event::Repeated { client, recipients };
        if let Err(error) = self.0.store.enter(original, self.0.clock.now(), event, Vec::new()).await {
            warn!(id = %original, %error, "the duplicate could not be recorded in the journal");
        }
        if held {
            Answer::Held(original, "it was received before and waits for a decision".to_owned())
        } else {
            Answer::Queued(original)
        }
    }
}

impl Planned {
    fn log(&self) {
        let (verdict, copies) = (&self.settled.verdict, self.settled.copies.as_ref());
        info!(
            id = %self.judged.id,
            action = ?verdict.action(),
            would = verdict.would().map(Action::word),
            recipients = self.judged.seen.envelope.recipients.len(),
            copies = copies.map_or(0, |copies| copies.deliveries.len()),
            size = self.judged.seen.facts.size,
            "decided"
        );
    }

    /// When notices about it are due: if its header names outsiders who are not among its recipients, their
    /// transactions may follow, and one notice is to name all.
    fn told_at(&self, now: Timestamp) -> Timestamp {
        let complete = !forks::awaited(&self.judged.seen).iter().any(|one| one.outside);
        if complete { now } else { now.plus(forks::QUIET) }
    }

    /// The notices of a hold.
    pub(super) fn hold_notices(&self, now: Timestamp) -> Vec<NewNotice> {
        notices(self.settled.verdict.action(), true, self.told_at(now))
    }

    /// What the journal says of its acceptance.
    pub(super) fn accepted(&self) -> Event {
        let (settled, facts) = (&self.settled, &self.judged.seen.facts);
        let action = settled.verdict.action();
        let exposures = exposures(facts.external_addresses.len());
        let known = facts.exempt && facts.acquaintance.as_ref().is_some_and(Acquaintance::complete);
        Event::Accepted {
            known: known && action == Action::Pass && !facts.circle,
            client: self.stamp.client.clone(),
            action: wire(&action),
            disclosure: wire(&settled.verdict.demand.disclosure),
            recipients: self.judged.seen.envelope.recipients.len(),
            copies: settled.copies.as_ref().map_or(0, |copies| copies.deliveries.len()),
            exposures,
            would: settled.verdict.would().map(|action| Would {
                action: action.word().to_owned(),
                exposures_prevented: if settled.prevents { exposures } else { 0 },
            }),
        }
    }

    /// Why and until when it is held, apart from its place among the forks of its mail.
    pub(super) fn hold(&self, examiner: &Examiner, alike: Vec<Risk>, expires: Timestamp) -> NewHold {
        let (settled, seen) = (&self.settled, &self.judged.seen);
        let demand = settled.verdict.demand;
        let unsafe_to_split = !seen.facts.problems.is_empty()
            || (!settled.hits.is_empty() && seen.verdict.action() != Action::Hold);
        let kind = match demand.timing {
            _ if unsafe_to_split => HoldKind::Unsafe,
            Timing::Hold => HoldKind::Rule,
            _ => HoldKind::Ask,
        };
        let mut found = risks::of(&settled.verdict, settled.hits.iter().map(Hit::whose_and_where));
        found.extend(alike);
        let (people, organisations) =
            (seen.facts.external_addresses.len(), seen.facts.external_organisations);
        let found = found.into_iter().map(|risk| risk.counted(people, organisations)).collect();
        let reasons = risks::arranged(found).into_iter().map(Reason::from).collect();
        NewHold {
            kind,
            reasons,
            hits: settled.hits.clone(),
            expires,
            approvers: examiner
                .approvers
                .of(&settled.verdict, &whose(&self.judged.origin, seen).iter().collect::<Vec<_>>()),
            relation: ForkRelation::default(),
            glance: Glance::of(&seen.facts),
        }
    }

    /// What is committed: the message, and what becomes of it.
    pub(super) fn into_new(self, body: Body, accepted: Event, outcome: Outcome) -> NewMessage {
        let Self { judged: Judged { id, received, origin, seen, circles }, stamp, settled } = self;
        let Outcome { copies, state, held, notices, event } = outcome;
        let circles = circles.filter(|_| seen.facts.circle && held.is_none());
        let Copies { deliveries, needles, ledger, left_out: _ } = copies;
        NewMessage {
            deliveries: born(deliveries, state),
            held,
            ledger,
            notices,
            events: std::iter::once(accepted).chain(event).collect(),
            fork: seen.fork,
            circles,
            ..NewMessage::of(Message {
                id,
                received,
                origin,
                message_id: seen.facts.message_id.unwrap_or_else(|| synthesised_message_id(&stamp)),
                subject: seen.facts.subject,
                envelope: seen.envelope,
                header: seen.header,
                body,
                verdict: Some(settled.verdict),
                needles: Arc::new(needles),
            })
        }
    }
}

/// Whose mail it is: MAIL FROM, every From address, and the authenticated identity. None of them may decide
/// on it.
fn whose(origin: &Origin, seen: &Examination) -> Vec<Address> {
    let identity = match origin {
        Origin::Client { identity, .. } => identity.as_deref().and_then(|text| Address::parse(text).ok()),
        Origin::Own { .. } => None,
    };
    let from = seen.facts.from.iter().map(|mailbox| mailbox.address.clone());
    seen.envelope.sender.iter().cloned().chain(from).chain(identity).collect()
}

/// The answer to the client if the store fails; the cause is logged.
pub(super) fn refused(error: &StoreError) -> Answer {
    warn!(%error, "the store refused a message");
    match error {
        StoreError::Full(_) => Answer::Full,
        _ => Answer::Unavailable,
    }
}

/// The number of disclosures among this many people who see each other.
fn exposures(people: usize) -> u64 {
    let people = people as u64;
    people.saturating_mul(people.saturating_sub(1))
}

/// The name of an enum's variant in JSON.
fn wire<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn notices(action: Action, held: bool, due: Timestamp) -> Vec<NewNotice> {
    let kinds: &[NoticeKind] = match action {
        _ if held => &[NoticeKind::Held, NoticeKind::HeldApprovers],
        Action::Split | Action::Bcc => &[NoticeKind::Split],
        Action::Delay => &[NoticeKind::Waits],
        _ => &[],
    };
    kinds.iter().map(|kind| NewNotice { kind: *kind, due }).collect()
}
