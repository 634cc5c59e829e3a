//! Every outcome in every state, and properties that hold for any mix of outcomes.

use super::*;
use crate::message::{HeaderEdits, Recipient};
use crate::records::{DeliveryId, Lease};
use DeliveryState::{Delivered, Dropped, Failed, Paused, Ready, Sending, Uncertain, Waiting};
use proptest::prelude::*;
use std::collections::BTreeSet;

const AT: Timestamp = Timestamp(1_000_000);
const STATES: [DeliveryState; 8] = [Ready, Waiting, Uncertain, Sending, Paused, Delivered, Failed, Dropped];

fn address(number: usize) -> Address {
    Address::parse(&format!("a{number}@x.example")).unwrap()
}

fn copy(recipients: usize) -> Delivery {
    let to: Vec<Recipient> = (0..recipients).map(|number| Recipient::plain(address(number))).collect();
    let none: Vec<Address> = Vec::new();
    let stored = (to, HeaderEdits::default(), true, none, false);
    postcard::from_bytes(&postcard::to_allocvec(&stored).unwrap()).unwrap()
}

fn current(state: DeliveryState) -> Progress {
    Progress {
        state,
        due: None,
        token: 7,
        attempts: 2,
        duplicate: false,
        queued: Timestamp(5),
        reply: String::new(),
    }
}

fn result(fates: &[(usize, DeliveryState)]) -> AttemptResult {
    let fate = |state| RecipientResult { state, reply: format!("said {state}"), due: None };
    AttemptResult {
        lease: Lease { delivery: DeliveryId::from_engine(1), token: 7 },
        message: crate::id::Id::new(AT, 1),
        at: AT,
        recipients: fates.iter().map(|(number, state)| (address(*number), fate(*state))).collect(),
        attempt: 2,
        notices: Vec::new(),
    }
}

#[test]
fn every_outcome_of_what_is_on_its_way_or_was_dropped() {
    let later = AT.plus(DUE_AGAIN);
    for (outcome, sending, dropped, due) in [
        (Delivered, Delivered, Delivered, None),
        (Failed, Failed, Failed, None),
        (Waiting, Waiting, Dropped, Some(later)),
        (Uncertain, Uncertain, Dropped, Some(later)),
        (Ready, Ready, Dropped, Some(AT)),
        (Sending, Ready, Dropped, Some(AT)),
        (Paused, Ready, Dropped, Some(AT)),
        (Dropped, Ready, Dropped, Some(AT)),
    ] {
        for (before, then) in [(Sending, sending), (Dropped, dropped)] {
            let one = parts(&current(before), &copy(1), &result(&[(0, outcome)])).remove(0);
            assert_eq!(one.progress.state, then, "{before} {outcome}");
            assert_eq!(one.progress.due, if then == Dropped { None } else { due });
            assert_eq!(one.progress.attempts, if outcome == Ready { 1 } else { 2 });
            assert_eq!(one.progress.duplicate, outcome == Uncertain);
            assert_eq!(one.ended, (then == Delivered).then_some(AT));
            let told = one.entry(1, &current(before), 2).is_some();
            assert_eq!(told, outcome != Ready && then != Delivered);
        }
    }
}

#[test]
fn reports_wait_for_the_end_once_one_was_sent() {
    let due = |kind, sent| notice_due(&NewNotice { kind, due: AT }, sent);
    assert_eq!(due(NoticeKind::Failure, false), Some(AT));
    assert_eq!(due(NoticeKind::Failure, true), None);
    assert_eq!((due(NoticeKind::Delivered, false), due(NoticeKind::Delayed, true)), (None, Some(AT)));
}

proptest! {
    /// For any mix of outcomes: each recipient is in exactly one part, with the outcome the result gives it, and no
    /// two parts have the same outcome.
    #[test]
    fn nobody_is_lost_or_doubled(fates in prop::collection::vec((0_usize..6, 0_usize..8), 0..6)) {
        let named: std::collections::BTreeMap<usize, DeliveryState> =
            fates.into_iter().map(|(who, state)| (who, STATES[state])).collect();
        let result = result(&named.iter().map(|(who, state)| (*who, *state)).collect::<Vec<_>>());
        let parts = parts(&current(Sending), &copy(5), &result);
        let mut met = BTreeSet::new();
        for part in &parts {
            let in_copy: Vec<&Address> = part.copy.recipients().iter().map(|to| &to.address).collect();
            prop_assert_eq!(in_copy, part.recipients.iter().collect::<Vec<_>>());
            for who in &part.recipients {
                prop_assert!(met.insert(who.as_str().to_owned()));
                let number = (0..5).find(|number| address(*number) == *who).unwrap();
                prop_assert_eq!(part.outcome.state, named.get(&number).copied().unwrap_or(Ready));
            }
        }
        prop_assert_eq!(met.len(), 5);
        let outcomes: std::collections::HashSet<&RecipientResult> = parts.iter().map(|part| &part.outcome).collect();
        prop_assert_eq!(outcomes.len(), parts.len());
        let all = !named.is_empty() && named.values().all(|state| *state == Delivered);
        prop_assert_eq!(all_delivered(&result).is_some(), all);
    }
}
