//! What may have arrived before is sent again as a possible duplicate.

use super::*;
use DeliveryState::{Failed, Uncertain, Waiting};

/// A copy that was dropped on its way may be recorded as delivered after the mail came again within a day, or not at
/// all: then that is sent as a possible duplicate, too.
pub(in crate::store) async fn what_arrived_after_all_is_sent_again_marked(harness: &impl Harness) {
    let store = harness.open();
    for (seed, minutes, recorded) in [(1, 10, true), (11, 10, false), (21, 1_200, true), (31, 1_200, false)] {
        let with = |new: NewMessage| NewMessage { fork: Some(fork("late", &seed.to_string())), ..new };
        let first = with(passed(seed, &["a@x.example"]));
        store.accept(first.clone()).await.unwrap();
        let claim = store.claim(NOW, 1, LEASE).await.unwrap().remove(0);
        let one = QueueFilter { id: Some(first.id.to_string()), ..QueueFilter::default() };
        assert_eq!(store.change_queue(&one, QueueChange::Drop, "root", NOW).await.unwrap(), 1);
        let mut held = with(in_place(seed + 1, &["a@x.example"], ForkRelation::default()));
        (held.received, held.id) = (at(minutes), Id::new(at(minutes), seed + 1));
        store.accept(held.clone()).await.unwrap();
        let arrived = [("a@x.example", DeliveryState::Delivered)];
        if recorded {
            store.record(result(&claim, at(minutes), &arrived)).await.unwrap();
        }
        store.decide(released(&held, &[])).await.unwrap();
        let claim = store.claim(at(minutes), 1, LEASE).await.unwrap().remove(0);
        assert!(claim.possible_duplicate, "after {minutes} minutes, recorded: {recorded}");
        store
            .record(result(&claim, at(minutes), &[("a@x.example", DeliveryState::Delivered)]))
            .await
            .unwrap();
    }
}

/// So is a mail that was returned in between, although nothing of its latest transaction was ever sent.
pub(in crate::store) async fn what_was_returned_in_between_is_sent_again_marked(harness: &impl Harness) {
    let store = harness.open();
    for (seed, sent) in [(1, true), (11, false)] {
        let with = |new: NewMessage| NewMessage { fork: Some(fork("between", &seed.to_string())), ..new };
        let first = with(passed(seed, &["a@x.example", "b@y.example"]));
        store.accept(first.clone()).await.unwrap();
        if sent {
            store.claim(NOW, 1, LEASE).await.unwrap();
        }
        let one = QueueFilter { id: Some(first.id.to_string()), ..QueueFilter::default() };
        assert_eq!(store.change_queue(&one, QueueChange::Drop, "root", NOW).await.unwrap(), 1);
        for number in 1..3 {
            let mut held = with(in_place(seed + number, &["a@x.example"], ForkRelation::default()));
            (held.received, held.id) = (at(10 * number), Id::new(at(10 * number), seed + number));
            store.accept(held.clone()).await.unwrap();
            store
                .decide(HeldDecision::new(held.id, HeldState::Returned, "soumu", held.received, ""))
                .await
                .unwrap();
        }
        let mut last = with(passed(seed + 3, &["a@x.example"]));
        (last.received, last.id) = (at(40), Id::new(at(40), seed + 3));
        store.accept(last.clone()).await.unwrap();
        let claim = store.claim(at(40), 1, LEASE).await.unwrap().remove(0);
        assert_eq!(claim.possible_duplicate, sent);
        store.record(result(&claim, at(40), &[("a@x.example", DeliveryState::Delivered)])).await.unwrap();
    }
}

/// Whoever may have a copy that was given up is sent another one as a possible duplicate: at once, or when the mail
/// that was held meanwhile is released.
pub(in crate::store) async fn what_may_have_arrived_is_sent_again_marked(harness: &impl Harness) {
    let store = harness.open();
    let drop_it = async |id: Id| {
        let one = QueueFilter { id: Some(id.to_string()), ..QueueFilter::default() };
        store.change_queue(&one, QueueChange::Drop, "root", NOW).await.unwrap()
    };
    // What is recorded of an attempt, if anything; and whether that copy is dropped then, before, or has failed.
    let cases: [(&str, Option<DeliveryState>, bool); 5] = [
        ("lost on its way", None, true),
        ("uncertain", Some(Uncertain), true),
        ("failed at last", Some(Failed), false),
        ("not taken", Some(Waiting), true),
        ("refused", Some(Failed), true),
    ];
    for (number, (text, outcome, dropped)) in (0..).zip(cases) {
        let marked = number < 3;
        let with = |new: NewMessage| NewMessage { fork: Some(fork("one", text)), ..new };
        let seed = 100 * (number + 1);
        let first = with(passed(seed, &["a@x.example", "b@y.example"]));
        store.accept(first.clone()).await.unwrap();
        let mut claim = store.claim(NOW, 1, LEASE).await.unwrap().remove(0);
        if !dropped {
            let uncertain = [("a@x.example", Uncertain), ("b@y.example", DeliveryState::Delivered)];
            store.record(result(&claim, NOW, &uncertain)).await.unwrap();
            claim = store.claim(at(5), 1, LEASE).await.unwrap().remove(0);
        }
        if let Some(outcome) = outcome {
            let fates = [("a@x.example", outcome), ("b@y.example", DeliveryState::Delivered)];
            let fates = if dropped { &fates[..] } else { &fates[..1] };
            store.record(result(&claim, at(5), fates)).await.unwrap();
        }
        assert_eq!(drop_it(first.id).await, usize::from(dropped && outcome != Some(Failed)), "{text}");

        // It waits for a decision: the next transaction is an addendum, the one after that is for somebody else.
        let late = |random, to: &[&str]| {
            let mut new = with(in_place(random, to, ForkRelation::default()));
            (new.received, new.id) = (at(10), Id::new(at(10), random));
            new
        };
        let held = late(seed + 1, &["a@x.example"]);
        store.accept(held.clone()).await.unwrap();
        store.decide(released(&held, &[])).await.unwrap();
        let claim = store.claim(at(10), 1, LEASE).await.unwrap().remove(0);
        assert_eq!(claim.possible_duplicate, marked, "{text}, then held");
        store.record(result(&claim, at(11), &[("a@x.example", Failed)])).await.unwrap();

        let until = at(12);
        let mut direct =
            with(message(seed + 2, &[&["a@x.example", "c@z.example"]], InitialState::Sending { until }));
        (direct.received, direct.id) = (at(11), Id::new(at(11), seed + 2));
        let claim = store.accept(direct.clone()).await.unwrap().remove(0);
        assert_eq!(claim.possible_duplicate, marked, "{text}, then sent at once");
        assert_eq!(store.deliveries(direct.id).await.unwrap()[0].possible_duplicate, marked, "{text}");
        let all = [("a@x.example", DeliveryState::Delivered), ("c@z.example", DeliveryState::Delivered)];
        store.record(result(&claim, at(11), &all)).await.unwrap();
    }
}
