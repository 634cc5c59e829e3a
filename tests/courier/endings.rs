//! The drain: a transaction before its final dot is given up, one after it is awaited. And the results, which are
//! recorded while other copies are sent.

use super::THREE;
use super::rig::{Door, NOW, Rig, Scene, as_is, eventually, minutes, one_place, split};
use sekisho::courier::Settings;
use sekisho::intake::Dispatch;
use sekisho::store::DeliveryState::{Delivered, Ready, Sending, Uncertain};
use sekisho::store::InitialState;
use sekisho::store::prelude::*;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_the_dot_everything_goes_back() {
    let door = Door::new();
    let waits = door.clone();
    let ahead = Settings { ahead: 10, ..one_place() };
    let rig = Rig::new(ahead, move |_, _| Scene::WaitsBeforeTheDot(waits.clone()));
    let id = rig.accept(split(1, &THREE)).await;
    door.knock().await;
    rig.courier.drain().await;
    let rows = rig.settles(id, &[Ready; 3]).await;
    assert!(rows.iter().all(|row| row.attempts == 0 && !row.possible_duplicate), "{rows:?}");
    assert!(rig.upstream.dotted().is_empty());
    assert_eq!(rig.courier.reserve(5).slots(), 0, "nothing is taken on any more");
    // after a restart all of it is due
    assert_eq!(rig.store.claim(NOW, 10, minutes(1)).await.unwrap().len(), 3);
}

/// A drain waits for commits that run when it begins, and gives back what they bring.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_that_come_after_the_drain_began_go_back() {
    let rig = Rig::new(one_place(), |_, _| Scene::Takes);
    // until it has looked into the store, it keeps room for what waits there
    let reserved = eventually(|| async {
        let reserved = rig.courier.reserve(1);
        if reserved.slots() == 1 { Ok(reserved) } else { Err("no room".to_owned()) }
    })
    .await;
    let courier = rig.courier.clone();
    let drain = tokio::spawn(async move { courier.drain().await });
    rig.linger().await;
    assert!(!drain.is_finished(), "a commit is running");
    let mut message = as_is(1, &THREE);
    message.deliveries[0].state = InitialState::Sending { until: NOW.plus(minutes(1)) };
    let id = message.id;
    let claims = rig.store.accept(message).await.unwrap();
    let stored = rig.store.message(id).await.unwrap();
    reserved.dispatch(Arc::new(stored), claims);
    drain.await.unwrap();
    let rows = rig.settles(id, &[Ready]).await;
    assert!(rows[0].attempts == 0 && !rows[0].possible_duplicate, "{rows:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_dot_the_answer_is_waited_for() {
    let door = Door::new();
    let waits = door.clone();
    let rig = Rig::new(one_place(), move |_, _| Scene::WaitsAfterTheDot(waits.clone()));
    let id = rig.accept(as_is(1, &THREE)).await;
    door.knock().await;
    let courier = rig.courier.clone();
    let drain = tokio::spawn(async move { courier.drain().await });
    rig.linger().await;
    assert!(!drain.is_finished());
    door.open();
    drain.await.unwrap();
    let rows = rig.settles(id, &[Delivered]).await;
    assert!(!rows[0].possible_duplicate);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_does_not_come_leaves_the_copy_uncertain() {
    let door = Door::new();
    let waits = door.clone();
    let hurried = Settings { drain: Duration::from_millis(50), ..one_place() };
    let rig = Rig::new(hurried, move |_, _| Scene::WaitsAfterTheDot(waits.clone()));
    let id = rig.accept(as_is(1, &THREE)).await;
    door.knock().await;
    rig.courier.drain().await;
    let rows = rig.settles(id, &[Uncertain]).await;
    assert!(rows[0].possible_duplicate);
    assert_eq!(rows[0].due, Some(NOW.plus(minutes(1))));
}

/// The next copies leave while results are being recorded, but only so many; a drain waits for all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_copies_leave_before_their_results_are_on_record() {
    let door = Door::new();
    let waits = door.clone();
    let rig = Rig::new(Settings { ahead: 10, ..one_place() }, move |number, _| match number {
        0 => Scene::WaitsBeforeTheDot(waits.clone()),
        _ => Scene::Takes,
    });
    let id = rig.accept(split(1, &["a@x.jp", "b@x.jp", "c@x.jp", "d@x.jp", "e@x.jp", "f@x.jp"])).await;
    door.knock().await;
    let locked = rig.locked();
    door.open();
    let four_left = || async {
        let left = rig.upstream.dotted().len();
        if left == 4 { Ok(()) } else { Err(format!("{left} left")) }
    };
    eventually(four_left).await;
    rig.linger().await;
    assert_eq!(rig.upstream.begun(), 4, "four results for each worker may wait");
    assert!(rig.rows(id).await.iter().all(|row| row.state == Sending));
    let courier = rig.courier.clone();
    let drain = tokio::spawn(async move { courier.drain().await });
    rig.linger().await;
    assert!(!drain.is_finished(), "results are not on record");
    drop(locked);
    drain.await.unwrap();
    let rows = rig.settles(id, &[Delivered, Delivered, Delivered, Delivered, Ready, Ready]).await;
    assert!(rows.iter().all(|row| !row.possible_duplicate), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_go_on_once_results_are_on_record() {
    let rig = Rig::new(one_place(), |_, _| Scene::Takes);
    for number in 0..40 {
        rig.accept(as_is(number, &THREE)).await;
    }
    rig.rests().await;
    eventually(|| async {
        let left = rig.upstream.dotted().len();
        if left == 40 { Ok(()) } else { Err(format!("{left} left")) }
    })
    .await;
}
