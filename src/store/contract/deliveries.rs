//! Claims, leases, results and the queue.

use super::*;
use DeliveryState::{Delivered, Dropped, Failed, Ready, Sending, Uncertain, Waiting};

/// Deliveries that are due are claimed under a lease, oldest first, each once.
pub(in crate::store) async fn claims_what_is_due(harness: &impl Harness) {
    let store = harness.open();
    for (random, state) in [
        (1, InitialState::Waiting(at(2))),
        (2, InitialState::Waiting(at(1))),
        (3, InitialState::Waiting(at(90))),
        (4, InitialState::Ready),
    ] {
        store.accept(message(random, &[&["a@x.example"]], state)).await.unwrap();
    }
    assert_eq!(store.next_due().await.unwrap(), Some(NOW));
    let claims = store.claim(at(3), 2, LEASE).await.unwrap();
    let ids: Vec<Id> = claims.iter().map(|claim| claim.message).collect();
    assert_eq!(ids, [Id::new(NOW, 4), Id::new(NOW, 2)]);
    assert_eq!((claims[0].attempt, claims[0].possible_duplicate), (1, false));
    assert_eq!((claims[0].queued, claims[1].queued), (NOW, at(1)), "a delay does not count");
    assert_eq!(claims[0].delivery, copy(&["a@x.example"]));
    let claims = store.claim(at(3), 10, LEASE).await.unwrap();
    assert_eq!(claims.iter().map(|claim| claim.message).collect::<Vec<_>>(), [Id::new(NOW, 1)]);
    assert!(store.claim(at(3), 10, LEASE).await.unwrap().is_empty());
}

/// Concurrent claims never return the same delivery.
pub(in crate::store) async fn nobody_claims_twice(harness: &impl Harness) {
    let store = harness.open();
    for random in 0..60 {
        store.accept(message(random, &[&["a@x.example"]], InitialState::Ready)).await.unwrap();
    }
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let store = store.clone();
        tasks.spawn(async move { store.claim(NOW, 3, LEASE).await.unwrap() });
    }
    let mut taken = Vec::new();
    while let Some(claims) = tasks.join_next().await {
        taken.extend(claims.unwrap().into_iter().map(|claim| claim.lease.delivery));
    }
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), 60);
}

/// A delivery that is accepted as sending is returned as a claim at once.
pub(in crate::store) async fn a_fresh_delivery_is_claimed(harness: &impl Harness) {
    let store = harness.open();
    let mut new = message(1, &[&["a@x.example"], &["b@x.example"]], InitialState::Ready);
    new.deliveries[1].state = InitialState::Sending { until: at(1) };
    let claims = store.accept(new.clone()).await.unwrap();
    assert_eq!(claims.len(), 1);
    assert_eq!(claims[0].delivery, copy(&["b@x.example"]));
    assert_eq!(states(store.as_ref(), new.id).await[1].0, Sending);
    store.record(result(&claims[0], at(1), &[("b@x.example", Delivered)])).await.unwrap();
    assert_eq!(
        states(store.as_ref(), new.id).await,
        [(Ready, "a@x.example".to_owned()), (Delivered, "b@x.example".to_owned())]
    );
    let journal = store.journal(new.id).await.unwrap();
    assert_eq!(journal[1].at, at(1));
    assert_eq!(
        journal[1].event,
        Event::Attempt {
            delivery: 2,
            recipients: vec!["b@x.example".to_owned()],
            state: "delivered".to_owned(),
            reply: "the upstream said delivered".to_owned(),
            attempt: 1,
            possible_duplicate: false,
        }
    );
}

/// A result under a lease that is no longer ours is always refused.
pub(in crate::store) async fn stale_leases_are_fenced(harness: &impl Harness) {
    let store = harness.open();
    store.accept(message(1, &[&["a@x.example"]], InitialState::Ready)).await.unwrap();
    let first = store.claim(NOW, 1, LEASE).await.unwrap().remove(0);
    assert!(store.renew(&[first.lease], at(5)).await.unwrap().is_empty());
    assert!(store.claim(at(4), 1, LEASE).await.unwrap().is_empty(), "the lease was lengthened");
    let second = store.claim(at(6), 1, LEASE).await.unwrap().remove(0);
    assert!(second.possible_duplicate, "nobody knows how the first attempt ended");
    assert_eq!((second.attempt, second.lease.delivery), (2, first.lease.delivery));
    assert_eq!(store.renew(&[first.lease, second.lease], at(9)).await.unwrap(), [first.lease]);
    for state in [Delivered, Waiting, Failed] {
        let late = store.record(result(&first, at(6), &[("a@x.example", state)])).await;
        assert!(matches!(late, Err(StoreError::Fenced)), "{state}");
    }
    store.record(result(&second, at(7), &[("a@x.example", Delivered)])).await.unwrap();
    let twice = store.record(result(&second, at(7), &[("a@x.example", Waiting)])).await;
    assert!(matches!(twice, Err(StoreError::Fenced)));
    let told = store.journal(first.message).await.unwrap();
    let states: Vec<String> = told
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::Attempt { state, .. } => Some(state.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(states, ["uncertain", "delivered"]);
}

/// The recipients of one copy have different results: each result has a row of its own, and no recipient is lost or
/// duplicated.
pub(in crate::store) async fn recipients_part_ways(harness: &impl Harness) {
    let store = harness.open();
    let to = ["a@x.example", "b@x.example", "c@x.example", "d@x.example", "e@x.example"];
    store.accept(message(1, &[&to, &["z@x.example"]], InitialState::Ready)).await.unwrap();
    let claim = store.claim(NOW, 1, LEASE).await.unwrap().remove(0);
    // e has no result: it was not tried.
    let fates = [(to[0], Delivered), (to[1], Waiting), (to[2], Failed), (to[3], Delivered)];
    store.record(result(&claim, at(1), &fates)).await.unwrap();
    assert_eq!(
        states(store.as_ref(), claim.message).await,
        [
            (Delivered, "a@x.example d@x.example".to_owned()),
            (Ready, "z@x.example".to_owned()),
            (Waiting, "b@x.example".to_owned()),
            (Failed, "c@x.example".to_owned()),
            (Ready, "e@x.example".to_owned()),
        ]
    );
    let mut claims = store.claim(at(10), 9, LEASE).await.unwrap();
    claims.sort_by_key(|claim| claim.lease.delivery);
    let taken: Vec<(u32, &str)> =
        claims.iter().map(|claim| (claim.attempt, claim.delivery.recipients()[0].address.as_str())).collect();
    assert_eq!(taken, [(1, "z@x.example"), (2, "b@x.example"), (1, "e@x.example")]);
    store.record(result(&claims[1], at(11), &[(to[1], Delivered)])).await.unwrap();
    let late = store.record(result(&claim, at(12), &fates)).await;
    assert!(matches!(late, Err(StoreError::Fenced)));
}

/// An uncertain delivery is retried, and marked as a possible duplicate.
pub(in crate::store) async fn uncertain_is_flagged(harness: &impl Harness) {
    let store = harness.open();
    store.accept(message(1, &[&["a@x.example"]], InitialState::Ready)).await.unwrap();
    let claim = store.claim(NOW, 1, LEASE).await.unwrap().remove(0);
    store.record(result(&claim, NOW, &[("a@x.example", Uncertain)])).await.unwrap();
    let row = store.queue(&QueueFilter::default()).await.unwrap().remove(0);
    assert_eq!((row.state, row.possible_duplicate, row.due), (Uncertain, true, Some(at(5))));
    let claim = store.claim(at(5), 1, LEASE).await.unwrap().remove(0);
    assert!(claim.possible_duplicate);
    store.record(result(&claim, at(5), &[("a@x.example", Waiting)])).await.unwrap();
    assert!(store.claim(at(10), 1, LEASE).await.unwrap()[0].possible_duplicate, "it stays flagged");
}

/// After a crash, deliveries that were being sent are uncertain and due at once; the others are unchanged.
pub(in crate::store) async fn recovers_after_a_crash(harness: &impl Harness) {
    let store = harness.open();
    for random in 1..=3 {
        store.accept(message(random, &[&["a@x.example"]], InitialState::Waiting(at(1)))).await.unwrap();
    }
    let claims = store.claim(at(1), 2, LEASE).await.unwrap();
    drop(store);
    let store = harness.open();
    assert_eq!(store.recover(at(1)).await.unwrap().uncertain, 2);
    assert_eq!(store.recover(at(1)).await.unwrap().uncertain, 0);
    let late = store.record(result(&claims[0], at(1), &[("a@x.example", Delivered)])).await;
    assert!(matches!(late, Err(StoreError::Fenced)));
    let again = store.claim(at(1), 9, LEASE).await.unwrap();
    let flags: Vec<(u32, bool)> = again.iter().map(|one| (one.attempt, one.possible_duplicate)).collect();
    assert_eq!(flags.iter().filter(|flag| **flag == (2, true)).count(), 2);
    assert_eq!(flags.iter().filter(|flag| **flag == (1, false)).count(), 1);
    let journal = store.journal(claims[0].message).await.unwrap();
    assert!(matches!(&journal[1].event, Event::Attempt { state, .. } if state == "uncertain"));
}

/// Filters match exactly what they say.
pub(in crate::store) async fn filters_the_queue(harness: &impl Harness) {
    let store = harness.open();
    let first = message(1, &[&["A@x.example"], &["b@x.example"]], InitialState::Ready);
    let mut second = message(2, &[&["a@x.example"]], InitialState::Waiting(at(9)));
    second.received = at(1);
    second.envelope.sender = Some(address("\"o'; DROP TABLE x--\"@example.jp"));
    store.accept(first.clone()).await.unwrap();
    store.accept(second.clone()).await.unwrap();
    let claim = store.claim(NOW, 1, LEASE).await.unwrap().remove(0);
    store.record(result(&claim, NOW, &[("a@x.example", Delivered)])).await.unwrap();

    let text = |text: &str| Some(text.to_owned());
    let none = QueueFilter::default;
    let cases = [
        (none(), 2),
        (QueueFilter { all: true, ..none() }, 3),
        (QueueFilter { state: Some(Delivered), ..none() }, 1),
        (QueueFilter { state: Some(Waiting), ..none() }, 1),
        (QueueFilter { id: text(first.id.as_str()), ..none() }, 1),
        (QueueFilter { id: text(&format!("{}.1", first.id)), all: true, ..none() }, 1),
        (QueueFilter { id: text(&format!("{}.7", first.id)), all: true, ..none() }, 0),
        (QueueFilter { sender: text("SATO@example.co.jp"), ..none() }, 1),
        (QueueFilter { sender: text("\"o'; DROP TABLE x--\"@example.jp"), ..none() }, 1),
        (QueueFilter { recipient: text("A@X.example"), all: true, ..none() }, 2),
        (QueueFilter { recipient: text("b@x.example"), ..none() }, 1),
        (QueueFilter { before: Some(at(1)), ..none() }, 1),
        (QueueFilter { limit: Some(1), all: true, ..none() }, 1),
    ];
    for (filter, count) in cases {
        assert_eq!(store.queue(&filter).await.unwrap().len(), count, "{filter:?}");
    }
    for id in ["nonsense", "0000000000000000", "0000000000000000.x"] {
        let found = store.queue(&QueueFilter { id: text(id), ..none() }).await;
        assert!(matches!(found, Err(StoreError::NotFound(_))), "{id}");
    }
}

/// Each change affects what it concerns, and nothing else.
pub(in crate::store) async fn operators_change_the_queue(harness: &impl Harness) {
    let store = harness.open();
    let new = message(1, &[&["a@x.example"], &["b@x.example"]], InitialState::Waiting(at(30)));
    store.accept(new.clone()).await.unwrap();
    let all = QueueFilter::default();
    let change = async |what, now| store.change_queue(&all, what, "root", now).await.unwrap();
    assert_eq!(change(QueueChange::Pause, NOW).await, 2);
    assert!(store.claim(at(60), 9, LEASE).await.unwrap().is_empty());
    assert_eq!(store.next_due().await.unwrap(), None);
    assert_eq!(change(QueueChange::Retry, NOW).await, 0, "what is paused stays paused");
    assert_eq!(change(QueueChange::Resume, at(1)).await, 2);
    let claim = store.claim(at(1), 1, LEASE).await.unwrap().remove(0);
    assert_eq!(change(QueueChange::Pause, at(1)).await, 1, "not what is on its way");
    assert_eq!(change(QueueChange::Drop, at(2)).await, 2);
    assert_eq!(store.renew(&[claim.lease], at(9)).await.unwrap(), [claim.lease], "stop before the dot");
    // The drop came too late: the upstream has the copy, and that is recorded.
    store.record(result(&claim, at(3), &[("a@x.example", Delivered)])).await.unwrap();
    assert_eq!(
        states(store.as_ref(), new.id).await,
        [(Delivered, "a@x.example".to_owned()), (Dropped, "b@x.example".to_owned())]
    );
    let journal = store.journal(new.id).await.unwrap();
    let queue = |entry: &Entry| matches!(&entry.event, Event::Queue { by, .. } if by == "root");
    assert_eq!(journal.iter().filter(|entry| queue(entry)).count(), 4);
}

/// A failed delivery can be retried, and its schedule starts again.
pub(in crate::store) async fn failed_is_retried_on_request(harness: &impl Harness) {
    let store = harness.open();
    store.accept(message(1, &[&["a@x.example"]], InitialState::Ready)).await.unwrap();
    let claim = store.claim(NOW, 1, LEASE).await.unwrap().remove(0);
    store.record(result(&claim, NOW, &[("a@x.example", Failed)])).await.unwrap();
    let failed = QueueFilter { state: Some(Failed), ..QueueFilter::default() };
    assert_eq!(store.change_queue(&failed, QueueChange::Retry, "root", at(9)).await.unwrap(), 1);
    let claim = store.claim(at(9), 1, LEASE).await.unwrap().remove(0);
    assert_eq!((claim.attempt, claim.queued), (1, at(9)));
}

/// Thousands of copies of one message are stored completely, in one commit.
pub(in crate::store) async fn thousands_of_copies(harness: &impl Harness) {
    let store = harness.open();
    let all: Vec<String> = (0..4_500).map(|i| format!("user{i}@domain{}.example", i % 90)).collect();
    let groups: Vec<[&str; 1]> = all.iter().map(|to| [to.as_str()]).collect();
    let copies: Vec<&[&str]> = groups.iter().map(<[&str; 1]>::as_slice).collect();
    let new = message(1, &copies, InitialState::Ready);
    store.accept(new.clone()).await.unwrap();
    let claims = store.claim(NOW, 5_000, LEASE).await.unwrap();
    assert_eq!(claims.len(), 4_500);
    let dropped = store.change_queue(&QueueFilter::default(), QueueChange::Drop, "root", NOW).await.unwrap();
    assert_eq!(dropped, 4_500, "in several steps");
}

/// What was sent since a time, and what waits, is returned with its sender, also after a restart.
pub(in crate::store) async fn tells_what_was_spent(harness: &impl Harness) {
    let store = harness.open();
    let mut new = message(1, &[&["a@x.example", "b@x.example"], &["c@y.example"]], InitialState::Ready);
    new.deliveries[0].state = InitialState::Sending { until: at(1) };
    let claims = store.accept(new).await.unwrap();
    let ended = [("a@x.example", Delivered), ("b@x.example", Delivered)];
    store.record(result(&claims[0], at(5), &ended)).await.unwrap();
    store.accept(message(2, &[&["d@y.example"]], InitialState::Waiting(at(30)))).await.unwrap();
    drop(store);
    let store = harness.open();
    let told = async |since| {
        let mut found = store.spent_since(since).await.unwrap();
        found.sort_by(|one, other| one.recipients.cmp(&other.recipients));
        assert!(found.iter().all(|one| one.sender == Some(address("sato@example.co.jp"))));
        found.into_iter().map(|one| (one.at, one.recipients)).collect::<Vec<_>>()
    };
    let waiting = [(None, addresses(&["c@y.example"])), (Some(at(30)), addresses(&["d@y.example"]))];
    let left = (Some(at(5)), addresses(&["a@x.example", "b@x.example"]));
    assert_eq!(told(at(5)).await, [vec![left], waiting.to_vec()].concat());
    assert_eq!(told(at(6)).await, waiting);
}
