//! Commits a held transaction in its place among the forks of its mail.
//!
//! The states of the other forks are read, a plan is made, and the store commits it only if nothing changed
//! since. So twelve concurrent sessions make one item, and a fork that arrives during a decision is either
//! included in it or follows it.

use super::accept::{Outcome, Planned};
use super::budget;
use super::forks::{self, ForkAction};
use super::{Answer, Intake};
use crate::clock::Timestamp;
use crate::examine::{Examination, Examiner};
use crate::id::Id;
use crate::journal::Event;
use crate::message::Address;
use crate::policy::Disclosure;
use crate::rewrite::plan::{Copies, Stamp};
use crate::store::{
    Body, ForkRelation, HeldState, InitialState, NewHold, NewNotice, NoticeKind, Release, StoreError,
};

/// How often a plan is made again before the client is asked to retry.
const ROUNDS: usize = 100;

impl Intake {
    /// Commits a held message; returns the answer to the client.
    pub(super) async fn commit_held(
        &self,
        examiner: &Examiner,
        planned: &Planned,
        body: &Body,
    ) -> Result<Answer, StoreError> {
        let seen = &planned.judged.seen;
        let alike = self.look_alikes(examiner, seen).await?;
        let now = self.clock().now();
        let hold = planned.hold(examiner, alike, self.hold_ends(now));
        let Some(fork) = seen.fork else {
            let (outcome, answer) = self.outcome(planned, hold, &ForkAction::Begin, None, now);
            let message = planned.clone().into_new(body.clone(), planned.accepted(), outcome);
            return self.commit(message, Vec::new()).await.map(|()| answer);
        };
        let mut again = false;
        for _ in 0..ROUNDS {
            let group = self.store().group_items(fork.group).await?;
            let named = seen.facts.envelope_only.is_empty();
            let action = match forks::action(&group, fork.variant, named) {
                // Its sender sent it again after it was returned: it is judged as a new mail.
                ForkAction::Return(..) if again => ForkAction::Begin,
                action => action,
            };
            let (action, copies) = carried_out(examiner, seen, &planned.stamp, action);
            let relation = ForkRelation {
                joins: joins(&action),
                adds_to: if let ForkAction::Addendum(item) = &action { Some(*item) } else { None },
                awaited: forks::awaited(seen),
                expected: Some(group.token),
            };
            let hold = NewHold { relation, ..hold.clone() };
            let (outcome, answer) = self.outcome(planned, hold, &action, copies, now);
            let following = budget::of(outcome.copies.deliveries.iter());
            let following: Vec<Address> = following.into_iter().cloned().collect();
            let message = planned.clone().into_new(body.clone(), planned.accepted(), outcome);
            match self.commit(message, Vec::new()).await {
                Err(StoreError::Moved) => {}
                Err(StoreError::SentAgain) => again = true,
                done => {
                    if done.is_ok() {
                        budget::follow(examiner, seen, &following, &self.0.store, self.clock().now());
                        tracing::info!(id = %planned.judged.id, ?action, "a further transaction of a held mail");
                    }
                    return done.map(|()| answer);
                }
            }
        }
        Err(StoreError::Unavailable("too many transactions of one mail at once".to_owned()))
    }

    /// What becomes of a held message after this action, and the answer to the client. `copies` are those of
    /// a message that follows an earlier release.
    fn outcome(
        &self,
        planned: &Planned,
        hold: NewHold,
        action: &ForkAction,
        copies: Option<Copies>,
        now: Timestamp,
    ) -> (Outcome, Answer) {
        let id = planned.judged.id;
        let waits = Answer::Held(id, planned.settled.verdict.short_reason());
        let joined =
            |item: &Id, state: HeldState| Some(Event::Joined { item: *item, state: state.to_string() });
        let (notices, event, answer) = match action {
            ForkAction::Begin | ForkAction::Addendum(_) => (planned.hold_notices(now), None, waits),
            ForkAction::Join(item) => (Vec::new(), joined(item, HeldState::Held), waits),
            ForkAction::Follow(item, _) => {
                (Vec::new(), joined(item, HeldState::Released), Answer::Queued(id))
            }
            ForkAction::Return(item, state) => {
                let kind =
                    if *state == HeldState::Expired { NoticeKind::Expired } else { NoticeKind::Returned };
                let due = self.clock().now().plus(forks::QUIET);
                // If the header names everybody, the notice has listed them already.
                let told = hold.relation.awaited.is_empty();
                let notices = if told { Vec::new() } else { vec![NewNotice { kind, due }] };
                let text = "its mail was already returned to the sender".to_owned();
                (notices, joined(item, *state), Answer::Held(id, text))
            }
        };
        // If the release can still be undone, this leaves together with the rest.
        let state = match action {
            ForkAction::Follow(_, release) => {
                let later = release.leaves.filter(|leaves| *leaves > self.clock().now());
                later.map_or(InitialState::Ready, InitialState::Waiting)
            }
            _ => InitialState::Ready,
        };
        let copies = copies.unwrap_or_default();
        (Outcome { copies, state, held: Some(hold), notices, event }, answer)
    }
}

fn joins(action: &ForkAction) -> Option<Id> {
    match action {
        ForkAction::Join(item) | ForkAction::Follow(item, _) | ForkAction::Return(item, _) => Some(*item),
        ForkAction::Begin | ForkAction::Addendum(_) => None,
    }
}

/// A decision applies to a further fork only if its copies pass the audit as the others did; otherwise it
/// becomes an addendum.
fn carried_out(
    examiner: &Examiner,
    seen: &Examination,
    stamp: &Stamp,
    action: ForkAction,
) -> (ForkAction, Option<Copies>) {
    let ForkAction::Follow(item, release) = action else { return (action, None) };
    match follow(examiner, seen, stamp, &release) {
        Some(copies) => (ForkAction::Follow(item, release), Some(copies)),
        None => (ForkAction::Addendum(item), None),
    }
}

fn follow(examiner: &Examiner, seen: &Examination, stamp: &Stamp, release: &Release) -> Option<Copies> {
    if !seen.facts.problems.is_empty() && release.disclosure != Disclosure::AsIs {
        return None;
    }
    match examiner.copies(seen, release.disclosure, stamp, &release.dropped) {
        Ok(copies) => Some(copies),
        Err(hits) if release.disclosure == Disclosure::AsIs => {
            let acknowledged = hits.iter().all(|hit| release.acknowledged.contains(&hit.place));
            acknowledged.then(|| examiner.as_written(seen, stamp, &release.dropped))
        }
        Err(_) => None,
    }
}
