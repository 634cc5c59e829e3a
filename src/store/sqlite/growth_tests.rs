//! What a request costs does not grow with what the store keeps: counted in steps of SQLite's machine on the writer's
//! thread, in a small store and in one that is twenty times as large.

use super::*;
use crate::journal::Event;
use crate::store::contract::{LEASE, NOW, at, fork, held_message, message, release, result};
use crate::store::forks::HoldWaiting;
use crate::store::sql::db::{Connection, steps};
use crate::store::sql::error::Failure;
use crate::store::sql::{asks, claims, transactions};
use crate::store::*;

/// A message of its own mail.
fn own(random: u64, copies: &[&[&str]], state: InitialState) -> NewMessage {
    NewMessage { fork: Some(fork(&format!("mail {random}"), "text")), ..message(random, copies, state) }
}

fn own_held(random: u64) -> NewMessage {
    NewMessage {
        fork: Some(fork(&format!("mail {random}"), "text")),
        ..held_message(random, &["c@z.example"])
    }
}

/// Fills a store with so many messages of each kind, all of this day: delivered, waiting for their time, held.
async fn filled(store: &SqliteStore, number: u64) {
    for one in 0..number {
        let [gone, later, held] = [1, 2, 3].map(|kind| 1_000 + 4 * one + kind);
        let sent = own(gone, &[&["a@x.example"]], InitialState::Sending { until: at(1) });
        let claim = store.accept(sent).await.unwrap().remove(0);
        store.record(result(&claim, at(0), &[("a@x.example", DeliveryState::Delivered)])).await.unwrap();
        store.accept(own(later, &[&["b@x.example"]], InitialState::Waiting(at(600)))).await.unwrap();
        store.accept(own_held(held)).await.unwrap();
    }
}

/// What was done since the last call, in steps.
async fn spent(store: &SqliteStore) -> u64 {
    store.write(|_| Ok(steps())).await.unwrap()
}

/// What a read costs, in steps.
async fn cost<T: Send + 'static>(
    store: &SqliteStore,
    mut read: impl FnMut(&Connection) -> Result<T, Failure> + Send + 'static,
) -> u64 {
    let counted = store.write(move |tx| {
        steps();
        read(tx)?;
        Ok(steps())
    });
    counted.await.unwrap()
}

/// The cost of each kind of request, one after the other.
async fn costs(store: &SqliteStore) -> Vec<(&'static str, u64)> {
    let mut all = Vec::new();
    spent(store).await;
    macro_rules! count {
        ($name:literal, $done:expr) => {{
            let done = $done;
            all.push(($name, spent(store).await));
            done
        }};
    }
    let passed = own(1, &[&["d@x.example"]], InitialState::Ready);
    count!("accept", store.accept(passed.clone()).await.unwrap());
    let mut again = own(2, &[&["d@x.example"]], InitialState::Ready);
    again.fork.clone_from(&passed.fork);
    assert!(matches!(count!("known", store.accept(again).await), Err(StoreError::Known { .. })));
    let claim = count!("claim", store.claim(NOW, 9, LEASE).await.unwrap()).remove(0);
    count!("renew", store.renew(&[claim.lease], at(2)).await.unwrap());
    let fates = [("d@x.example", DeliveryState::Waiting)];
    count!("defer", store.record(result(&claim, at(0), &fates)).await.unwrap());

    let sent = own(3, &[&["e@x.example"]], InitialState::Sending { until: at(1) });
    let claim = store.accept(sent).await.unwrap().remove(0);
    spent(store).await;
    let fates = [("e@x.example", DeliveryState::Delivered)];
    count!("deliver", store.record(result(&claim, at(0), &fates)).await.unwrap());

    let held = own_held(4);
    count!("hold", store.accept(held.clone()).await.unwrap());
    count!("release", store.decide(release(held.id, "soumu", &["c@z.example"])).await.unwrap());
    let held = own_held(5);
    store.accept(held.clone()).await.unwrap();
    spent(store).await;
    let back = HeldDecision::new(held.id, HeldState::Returned, "soumu", at(2), "no");
    count!("return", store.decide(back).await.unwrap());

    let later = own(6, &[&["f@x.example"]], InitialState::Waiting(at(500)));
    store.accept(later.clone()).await.unwrap();
    spent(store).await;
    assert_eq!(count!("take back", store.take_back(later.id, "sato", at(1)).await.unwrap()), 1);
    assert_eq!(count!("undo it", store.undo_take_back(later.id, "sato", at(1)).await.unwrap()), 1);
    let wish = HoldWaiting {
        id: later.id,
        at: at(1),
        hold: held_message(9, &["f@x.example"]).held.unwrap(),
        event: Event::Asked { by: "sato".to_owned(), reason: "a project".to_owned() },
        notices: vec![NewNotice { kind: NoticeKind::AskedAsIs, due: at(1) }],
    };
    assert_eq!(count!("hold what waits", store.hold_waiting(wish).await.unwrap()), 1);
    let later = own(7, &[&["f@x.example"]], InitialState::Waiting(at(500)));
    store.accept(later.clone()).await.unwrap();
    spent(store).await;
    assert_eq!(count!("send now", store.send_now(later.id, "sato", at(1)).await.unwrap()), 1);
    count!("note the time", store.note_time(at(3), at(3)).await.unwrap());

    let id = later.id;
    all.push(("its transactions", cost(store, move |tx| transactions::ids(tx, id)).await));
    all.push(("next due", cost(store, claims::next_due).await));
    all.push(("next notice", cost(store, asks::next).await));
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_costs_the_same_in_a_large_store() {
    let mut found = Vec::new();
    for number in [20, 400] {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("sekisho.db"), Options::default()).unwrap();
        filled(&store, number).await;
        found.push(costs(&store).await);
    }
    for ((name, small), (_, large)) in found[0].iter().zip(&found[1]) {
        assert!(
            *small > 0 && *large < small + small / 4 + 50,
            "{name}: {small} steps, and {large} in a large store"
        );
    }
}
