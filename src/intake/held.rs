//! Commits a held transaction in its place among the forks of its mail.
//!
//! The states of the other forks are read, a plan is made, and the store commits it only if nothing changed
//! since. So twelve concurrent sessions make one item, and a fork that arrives during a decision is either
//! included in it or follows it.

use super::Answer;
use super::accept::{Intake, born};
use super::budget;
use super::forks::{self, Course};
use crate::examine::{Examination, Examiner};
use crate::id::Id;
use crate::journal::Event;
use crate::message::Address;
use crate::policy::Disclosure;
use crate::rewrite::plan::{Copies, Stamp};
use crate::store::{
    ForkRelation, HeldState, InitialState, NewMessage, NewNotice, NoticeKind, StoreError, Way,
};

/// How often a plan is made again before the client is asked to retry.
const ROUNDS: usize = 100;

impl Intake {
    /// Commits a held message; returns the answer to the client.
    pub(super) async fn commit_held(
        &self,
        examiner: &Examiner,
        seen: &Examination,
        stamp: &Stamp,
        message: NewMessage,
        answer: Answer,
    ) -> Result<Answer, StoreError> {
        let Some(fork) = seen.fork else { return self.commit(message, Vec::new()).await.map(|()| answer) };
        let mut again = false;
        for _ in 0..ROUNDS {
            let standing = self.store().standing(fork.group).await?;
            let named = seen.facts.envelope_only.is_empty();
            let course = match forks::course(&standing, fork.variant, named) {
                // Its sender sent it again after it was returned: it is judged as a new mail.
                Course::Back(..) if again => Course::Begin,
                course => course,
            };
            let (course, copies) = carried_out(examiner, seen, stamp, course);
            let mut planned = message.clone();
            if let Some(hold) = &mut planned.held {
                hold.relation = ForkRelation {
                    joins: joins(&course),
                    adds_to: if let Course::Addendum(item) = &course { Some(*item) } else { None },
                    awaited: forks::awaited(seen),
                    expected: Some(standing.token),
                };
            }
            let answer = self.as_planned(&mut planned, &course, copies, &answer);
            let following = budget::of(planned.deliveries.iter().map(|new| &new.delivery));
            let following: Vec<Address> = following.into_iter().cloned().collect();
            match self.commit(planned, Vec::new()).await {
                Err(StoreError::Moved) => {}
                Err(StoreError::SentAgain) => again = true,
                done => {
                    if done.is_ok() {
                        budget::follow(examiner, seen, &following, self.clock().now());
                        tracing::info!(id = %message.id, ?course, "a further transaction of a held mail");
                    }
                    return done.map(|()| answer);
                }
            }
        }
        Err(StoreError::Unavailable("too many transactions of one mail at once".to_owned()))
    }

    /// Changes the message as its plan requires; returns the answer to the client.
    fn as_planned(
        &self,
        planned: &mut NewMessage,
        course: &Course,
        copies: Option<Copies>,
        answer: &Answer,
    ) -> Answer {
        let joined = |item: &Id, state: HeldState| Event::Joined { item: *item, state: state.to_string() };
        match course {
            Course::Begin | Course::Addendum(_) => answer.clone(),
            Course::Join(item) => {
                planned.notices.clear();
                planned.events.push(joined(item, HeldState::Held));
                answer.clone()
            }
            Course::Follow(item, way) => {
                planned.notices.clear();
                planned.events.push(joined(item, HeldState::Released));
                if let Some(copies) = copies {
                    // If the release can still be undone, this leaves together with the rest.
                    let later = way.leaves.filter(|leaves| *leaves > self.clock().now());
                    let state = later.map_or(InitialState::Ready, InitialState::Waiting);
                    planned.deliveries = born(copies.deliveries, state);
                    planned.needles = copies.needles;
                    planned.ledger = copies.ledger;
                }
                Answer::Queued(planned.id)
            }
            Course::Back(item, state) => {
                let kind =
                    if *state == HeldState::Expired { NoticeKind::Expired } else { NoticeKind::Returned };
                let due = self.clock().now().plus(forks::QUIET);
                // If the header names everybody, the notice has listed them already.
                let told = planned.held.as_ref().is_some_and(|hold| hold.relation.awaited.is_empty());
                planned.notices = if told { Vec::new() } else { vec![NewNotice { kind, due }] };
                planned.events.push(joined(item, *state));
                Answer::Held(planned.id, "its mail was already returned to the sender".to_owned())
            }
        }
    }
}

fn joins(course: &Course) -> Option<Id> {
    match course {
        Course::Join(item) | Course::Follow(item, _) | Course::Back(item, _) => Some(*item),
        Course::Begin | Course::Addendum(_) => None,
    }
}

/// A decision applies to a further fork only if its copies pass the audit as the others did; otherwise it
/// becomes an addendum.
fn carried_out(
    examiner: &Examiner,
    seen: &Examination,
    stamp: &Stamp,
    course: Course,
) -> (Course, Option<Copies>) {
    let Course::Follow(item, way) = course else { return (course, None) };
    match follow(examiner, seen, stamp, &way) {
        Some(copies) => (Course::Follow(item, way), Some(copies)),
        None => (Course::Addendum(item), None),
    }
}

fn follow(examiner: &Examiner, seen: &Examination, stamp: &Stamp, way: &Way) -> Option<Copies> {
    if !seen.facts.problems.is_empty() && way.disclosure != Disclosure::AsIs {
        return None;
    }
    match examiner.copies(seen, way.disclosure, stamp, &way.dropped) {
        Ok(copies) => Some(copies),
        Err(hits) if way.disclosure == Disclosure::AsIs => {
            let acknowledged = hits.iter().all(|hit| way.acknowledged.contains(&hit.place));
            acknowledged.then(|| examiner.as_written(seen, stamp, &way.dropped))
        }
        Err(_) => None,
    }
}
