//! Two handles that are open on one database, like those of two nodes: each sees what the other commits, and if both
//! try the same, one succeeds. For an engine whose data belongs to one process, both are the same handle.

use super::forks::{fork, in_place, joining, passed};
use super::*;
use crate::store::circles::NewCircle;
use std::collections::HashSet;

/// Both claim at once: no delivery is claimed twice, and none is missed.
pub(in crate::store) async fn two_nodes_claim_apart(harness: &impl Harness) {
    let one = harness.open();
    let two = harness.beside(&one);
    for random in 0..40 {
        let store = if random % 2 == 0 { &one } else { &two };
        store.accept(message(random, &[&["a@x.example"]], InitialState::Ready)).await.unwrap();
    }
    let mut tasks = tokio::task::JoinSet::new();
    for turn in 0..20 {
        let store = if turn % 2 == 0 { one.clone() } else { two.clone() };
        tasks.spawn(async move { store.claim(NOW, 3, LEASE).await.unwrap() });
    }
    let (mut claims, mut keys) = (0, HashSet::new());
    while let Some(taken) = tasks.join_next().await {
        for claim in taken.unwrap() {
            claims += 1;
            keys.insert(claim.lease.delivery);
        }
    }
    assert_eq!((claims, keys.len()), (40, 40));
}

/// After one node has taken over a lease, the other can neither renew it nor record under it.
pub(in crate::store) async fn a_lease_is_of_one_node(harness: &impl Harness) {
    let one = harness.open();
    let two = harness.beside(&one);
    one.accept(message(1, &[&["a@x.example"]], InitialState::Ready)).await.unwrap();
    let first = one.claim(NOW, 1, LEASE).await.unwrap().remove(0);
    assert!(two.claim(at(0), 9, LEASE).await.unwrap().is_empty());
    let second = two.claim(at(2), 1, LEASE).await.unwrap().remove(0);
    assert!(second.possible_duplicate);
    assert_eq!(one.renew(&[first.lease], at(9)).await.unwrap(), [first.lease]);
    let delivered = [("a@x.example", DeliveryState::Delivered)];
    assert!(matches!(one.record(result(&first, at(2), &delivered)).await, Err(StoreError::Fenced)));
    two.record(result(&second, at(2), &delivered)).await.unwrap();
    assert_eq!(states(&*one, first.message).await, [(DeliveryState::Delivered, "a@x.example".to_owned())]);
}

/// The same mail is sent to both at once, and is stored once.
pub(in crate::store) async fn two_nodes_keep_the_same_once(harness: &impl Harness) {
    let one = harness.open();
    let two = harness.beside(&one);
    let mut tasks = tokio::task::JoinSet::new();
    for random in 0..20 {
        let store = if random % 2 == 0 { one.clone() } else { two.clone() };
        tasks.spawn(async move { store.accept(passed(random, &["a@x.example"])).await });
    }
    let mut kept = 0;
    while let Some(done) = tasks.join_next().await {
        match done.unwrap() {
            Ok(_) => kept += 1,
            Err(StoreError::Known { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(kept, 1);
    assert_eq!(two.queue(&QueueFilter::default()).await.unwrap().len(), 1);
}

/// Transactions of a held mail that come to both nodes become one item, which only one node decides.
pub(in crate::store) async fn two_nodes_make_one_item(harness: &impl Harness) {
    let one = harness.open();
    let two = harness.beside(&one);
    let group = fork("one", "text").group;
    let item = in_place(
        1,
        &["a@x.example"],
        ForkRelation { expected: Some(String::new()), ..ForkRelation::default() },
    );
    one.accept(item.clone()).await.unwrap();
    let stale = in_place(
        2,
        &["b@y.example"],
        ForkRelation { expected: Some(String::new()), ..ForkRelation::default() },
    );
    assert!(matches!(two.accept(stale).await, Err(StoreError::Moved)), "it was planned on what is over");
    let token = two.standing(group).await.unwrap().token;
    two.accept(in_place(2, &["b@y.example"], joining(item.id, &token))).await.unwrap();
    assert_eq!(one.members(item.id).await.unwrap().len(), 2);
    let back = |by: &str| HeldDecision::new(item.id, HeldState::Returned, by, at(1), "no");
    let (first, second) = tokio::join!(one.decide(back("ito")), two.decide(back("soumu")));
    assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
    let late = [first, second].into_iter().find_map(Result::err).unwrap();
    assert!(matches!(late, StoreError::Decided { state: HeldState::Returned, .. }));
    let by = |row: StoredMessage| row.held.unwrap().decided_by;
    assert_eq!(by(one.message(item.id).await.unwrap()), by(two.message(item.id).await.unwrap()));
}

/// A circle that was ended on one node has no effect on the other, and a message that was held on one is held on the
/// other.
pub(in crate::store) async fn what_one_node_changes_the_other_sees(harness: &impl Harness) {
    let one = harness.open();
    let two = harness.beside(&one);
    let circle = NewCircle {
        name: "c".to_owned(),
        members: addresses(&["a@x.example", "b@y.example"]),
        expires: at(60),
        by: "soumu".to_owned(),
        makers: Vec::new(),
        at: NOW,
    };
    let number = one.make_circle(circle).await.unwrap();
    assert_eq!(two.circles_in_force(at(1)).await.unwrap().len(), 1);
    one.end_circle(number, "soumu", at(1)).await.unwrap();
    assert!(two.circles_in_force(at(1)).await.unwrap().is_empty());

    let sent = message(1, &[&["a@x.example"]], InitialState::Ready);
    one.accept(sent.clone()).await.unwrap();
    assert!(two.message(sent.id).await.unwrap().held.is_none());
    let expires = at(60);
    let stop = Stop { id: sent.id, at: at(1), hits: Vec::new(), expires, approvers: Vec::new() };
    two.stop(stop).await.unwrap();
    assert!(one.message(sent.id).await.unwrap().held.is_some());
    assert!(one.claim(at(2), 9, LEASE).await.unwrap().is_empty());
}

/// A notice that both nodes found due is answered by one of them.
pub(in crate::store) async fn two_nodes_tell_once(harness: &impl Harness) {
    let one = harness.open();
    let two = harness.beside(&one);
    let mut held = held_message(1, &["a@x.example"]);
    held.notices = vec![NewNotice { kind: NoticeKind::Held, due: NOW }];
    one.accept(held).await.unwrap();
    let found = [one.due_notices(NOW, 9).await.unwrap(), two.due_notices(NOW, 9).await.unwrap()];
    let mut done = Vec::new();
    for (random, (store, found)) in [&one, &two].into_iter().zip(&found).enumerate() {
        let mut mail = message(50 + random as u64, &[&["sato@example.co.jp"]], InitialState::Ready);
        mail.answers = Some(found[0].notice);
        done.push(store.accept(mail).await);
    }
    assert!(matches!(done.as_slice(), [Ok(_), Err(StoreError::Fenced)]), "{done:?}");
}
