//! Circles, and the chain over the journal.

use super::*;
use crate::store::circles::NewCircle;

fn circle(name: &str, members: &[&str], expires: Timestamp) -> NewCircle {
    NewCircle {
        name: name.to_owned(),
        members: addresses(members),
        expires,
        by: "soumu".to_owned(),
        makers: addresses(&["soumu@example.co.jp"]),
        at: NOW,
    }
}

/// What was idle for a while is read from, by several at once and by statements of every kind.
pub(in crate::store) async fn connections_read_after_a_rest(harness: &impl Harness) {
    let store = harness.open();
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        let all = tokio::join!(store.circles(), store.circles(), store.circles(), store.circles());
        assert!([all.0, all.1, all.2, all.3].iter().all(|read| read.as_ref().is_ok_and(Vec::is_empty)));
        store.circles_in_force(NOW).await.unwrap();
        store.next_due().await.unwrap();
    }
}

/// A circle is in force until it expires or somebody ends it.
pub(in crate::store) async fn circles_come_and_go(harness: &impl Harness) {
    let store = harness.open();
    assert!(store.circles_in_force(NOW).await.unwrap().is_empty());
    let one = store.make_circle(circle("one", &["a@x.example", "b@y.example"], at(10))).await.unwrap();
    let two = store.make_circle(circle("two", &["c@x.example", "d@y.example"], at(20))).await.unwrap();
    let known = store.circles_in_force(at(0)).await.unwrap();
    assert!(known.iter().all(|circle| circle.made_by == "soumu"));
    assert!(known.iter().all(|circle| circle.makers == addresses(&["soumu@example.co.jp"])));
    assert!(known.iter().any(|circle| circle.members == addresses(&["a@x.example", "b@y.example"])));
    let in_force = async |minute| store.circles_in_force(at(minute)).await.unwrap().len();
    assert_eq!((in_force(0).await, in_force(9).await, in_force(10).await), (2, 2, 1));
    store.end_circle(two, "ito", at(11)).await.unwrap();
    assert_eq!(in_force(11).await, 0);
    for gone in [one, two, CircleId::from_engine(99)] {
        assert!(matches!(store.end_circle(gone, "ito", at(12)).await, Err(StoreError::NotFound(_))));
    }
    drop(store);
    let all = harness.open().circles().await.unwrap();
    assert_eq!(all.iter().map(|circle| circle.id).collect::<Vec<_>>(), [two, one]);
    assert_eq!(
        (all[0].ended_by.as_deref(), all[0].ended_at, all[1].ended_at),
        (Some("ito"), Some(at(11)), None)
    );
}

/// The chain grows with every acceptance, journal entry and hold, and verifies after restarts and purges.
pub(in crate::store) async fn the_chain_holds(harness: &impl Harness) {
    let store = harness.open();
    assert_eq!(store.verify_chain().await.unwrap().broken, None);
    for random in 0..20 {
        let new = held_message(random, &["a@x.example"]);
        store.accept(new.clone()).await.unwrap();
        store.enter(new.id, at(1), Event::Expired {}, Vec::new()).await.unwrap();
    }
    let before = store.verify_chain().await.unwrap();
    assert_eq!((before.head.entries, before.purged, before.broken), (60, 0, None));
    assert_eq!(store.chain_head().await.unwrap(), before.head);
    drop(store);
    let store = harness.open();
    let done = message(77, &[], InitialState::Ready);
    store.accept(done.clone()).await.unwrap();
    let keep =
        Retention { contents: minutes(1), messages: minutes(1), ledger: minutes(1), knowledge: minutes(1) };
    assert_eq!(store.purge(at(60), keep).await.unwrap().messages, 1);
    let after = store.verify_chain().await.unwrap();
    assert_eq!((after.head.entries, after.purged, after.broken), (62, 1, None));
    assert_ne!(after.head.link, before.head.link);
    let listed = store.messages_since(NOW, None, 15).await.unwrap();
    let rest = store.messages_since(NOW, listed.last().copied(), 15).await.unwrap();
    assert_eq!((listed.len(), rest.len()), (15, 5));
}
