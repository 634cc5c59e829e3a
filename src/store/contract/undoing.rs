//! Undoing a release: whether it can be undone, and what becomes of its copies.

use super::forks::{fork, in_place, original, passed, released};
use super::*;
use crate::store::forks::Again;
use DeliveryState::{Failed, Waiting};

/// A release can be undone as a whole during its grace time, and not after that.
pub(in crate::store) async fn a_release_is_undone_before_it_leaves(harness: &impl Harness) {
    let store = harness.open();
    let item = held_message(1, &["a@x.example", "b@y.example"]);
    store.accept(item.clone()).await.unwrap();
    let release = || HeldDecision {
        deliveries: message(1, &[&["a@x.example"], &["b@y.example"]], InitialState::Waiting(at(20)))
            .deliveries,
        notices: vec![NewNotice { kind: NoticeKind::Released, due: at(20) }],
        undo_until: Some(at(20)),
        ..HeldDecision::new(item.id, HeldState::Released, "soumu", at(10), "split")
    };
    let undo = |minute| Again { id: item.id, by: "soumu".to_owned(), at: at(minute), expires: at(60) };
    store.decide(release()).await.unwrap();
    assert!(store.claim(at(19), 9, LEASE).await.unwrap().is_empty(), "it waits");
    store.undo_release(undo(11)).await.unwrap();
    let held = store.message(item.id).await.unwrap().held.unwrap();
    assert_eq!((held.state, held.decided_by, held.undo_until), (HeldState::Held, None, None));
    assert!(store.claim(at(30), 9, LEASE).await.unwrap().is_empty(), "nothing is left to send");
    assert!(store.due_notices(at(30), 9).await.unwrap().iter().all(|due| due.kind != NoticeKind::Released));
    assert!(matches!(store.undo_release(undo(12)).await, Err(StoreError::Decided { .. })));

    // It can be decided again; that release cannot be undone once its copies are due.
    store.decide(release()).await.unwrap();
    assert!(matches!(store.undo_release(undo(20)).await, Err(StoreError::Decided { .. })));
    assert_eq!(store.claim(at(20), 9, LEASE).await.unwrap().len(), 2);
    assert!(
        matches!(store.undo_release(undo(15)).await, Err(StoreError::Decided { .. })),
        "one is on its way"
    );
    assert_eq!(store.message(item.id).await.unwrap().held.unwrap().state, HeldState::Released);

    // Nor once an operator had one tried before its time, whatever came of that.
    for (seed, outcome) in [(2, DeliveryState::Delivered), (3, Failed), (4, Waiting)] {
        let item = held_message(seed, &["a@x.example"]);
        store.accept(item.clone()).await.unwrap();
        let copies = message(seed, &[&["a@x.example"]], InitialState::Waiting(at(90))).deliveries;
        let release = HeldDecision { id: item.id, deliveries: copies, undo_until: Some(at(90)), ..release() };
        store.decide(release).await.unwrap();
        let one = QueueFilter { id: Some(item.id.to_string()), ..QueueFilter::default() };
        assert_eq!(store.change_queue(&one, QueueChange::Retry, "root", at(30)).await.unwrap(), 1);
        let mut claims = store.claim(at(30), 9, LEASE).await.unwrap();
        claims.retain(|claim| claim.message == item.id);
        store.record(result(&claims[0], at(30), &[("a@x.example", outcome)])).await.unwrap();
        store.change_queue(&one, QueueChange::Drop, "root", at(30)).await.unwrap();
        let undone = store.undo_release(Again { id: item.id, ..undo(31) }).await;
        assert!(matches!(undone, Err(StoreError::Decided { .. })), "{outcome}: {undone:?}");
    }
}

/// A release is undone while an addendum waits: both wait as one item, which what comes later joins. If a copy was
/// dropped and sent again meanwhile, the release stands.
pub(in crate::store) async fn an_undone_release_joins_what_waits(harness: &impl Harness) {
    let put_off = |item: &NewMessage| {
        let mut release = HeldDecision { undo_until: Some(at(20)), ..released(item, &[]) };
        release.deliveries.iter_mut().for_each(|new| new.state = InitialState::Waiting(at(20)));
        release
    };
    let undo = |id| Again { id, by: "soumu".to_owned(), at: at(11), expires: at(60) };
    let store = harness.open();
    let group = fork("one", "text").group;
    let item = in_place(1, &["a@x.example"], ForkRelation::default());
    store.accept(item.clone()).await.unwrap();
    store.decide(put_off(&item)).await.unwrap();
    let token = store.group_items(group).await.unwrap().token;
    let relation = ForkRelation { adds_to: Some(item.id), expected: Some(token), ..ForkRelation::default() };
    let addendum = in_place(2, &["q@q.example"], relation);
    store.accept(addendum.clone()).await.unwrap();
    store.undo_release(undo(item.id)).await.unwrap();
    let waiting = store.held(&HeldFilter { state: Some(HeldState::Held), ..HeldFilter::default() }).await;
    assert_eq!(waiting.unwrap().iter().map(|row| row.id).collect::<Vec<_>>(), [addendum.id]);
    let group = store.group_items(group).await.unwrap();
    assert_eq!(
        group.items.iter().map(|one| (one.id, one.addendum)).collect::<Vec<_>>(),
        [(addendum.id, false)]
    );
    assert!(store.claim(at(30), 9, LEASE).await.unwrap().is_empty(), "nothing is left to send");
    store.decide(released(&addendum, &[&item])).await.unwrap();
    assert_eq!(store.claim(at(30), 9, LEASE).await.unwrap().len(), 2);

    let with = |new: NewMessage| NewMessage { fork: Some(fork("one", "again")), ..new };
    let item = with(in_place(3, &["a@x.example"], ForkRelation::default()));
    store.accept(item.clone()).await.unwrap();
    store.decide(put_off(&item)).await.unwrap();
    let one = QueueFilter { id: Some(item.id.to_string()), ..QueueFilter::default() };
    assert_eq!(store.change_queue(&one, QueueChange::Drop, "root", at(10)).await.unwrap(), 1);
    store.accept(with(passed(4, &["a@x.example"]))).await.unwrap();
    let undone = store.undo_release(undo(item.id)).await;
    assert!(matches!(undone, Err(StoreError::Decided { .. })), "{undone:?}");
}

/// The copies of an undone release have not failed: after the next decision, nobody gets the mail again who has it,
/// and what was returned may be sent again.
pub(in crate::store) async fn an_undone_release_is_no_failure(harness: &impl Harness) {
    let cases = [
        ("goes", false, false),
        ("returns", true, false),
        ("dropped", false, true),
        ("drop, return", true, true),
    ];
    for (number, (text, returned, dropped)) in (1..).zip(cases) {
        let store = harness.open();
        let with = |new: NewMessage| NewMessage { fork: Some(fork("one", text)), ..new };
        let seed = number * 1_000;
        let item = with(in_place(seed, &["a@x.example", "b@x.example"], ForkRelation::default()));
        store.accept(item.clone()).await.unwrap();
        let put_off = HeldDecision { undo_until: Some(at(20)), ..released(&item, &[]) };
        let mut waiting = put_off.clone();
        waiting.deliveries.iter_mut().for_each(|new| new.state = InitialState::Waiting(at(20)));
        store.decide(waiting).await.unwrap();
        if dropped {
            let its = QueueFilter { id: Some(item.id.to_string()), ..QueueFilter::default() };
            assert_eq!(store.change_queue(&its, QueueChange::Drop, "root", at(10)).await.unwrap(), 2);
        }
        let undo = Again { id: item.id, by: "soumu".to_owned(), at: at(11), expires: at(60) };
        store.undo_release(undo).await.unwrap();
        let state = if returned { HeldState::Returned } else { HeldState::Released };
        let mut next = HeldDecision { state, ..released(&item, &[]) };
        next.deliveries.truncate(1);
        store.decide(next).await.unwrap();
        // Nor has the copy failed of somebody whom the next decision took off, even if it was dropped before.
        let off = store.accept(with(passed(seed + 2, &["b@x.example"]))).await;
        assert_eq!(original(&off), (!returned).then_some(item.id), "{text}: {off:?}");
        let again = store.accept(with(passed(seed + 1, &["a@x.example"]))).await;
        assert_eq!(original(&again), (!returned).then_some(item.id), "{text}: {again:?}");
    }
}
