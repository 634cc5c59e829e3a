//! The courier's tasks: what is sent, how often, and what is recorded.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")] // a test that cannot go on has failed

mod endings;
mod hop;
mod lock;
mod reports;
mod rig;

use rig::{NOW, Rig, Scene, as_is, minutes, not_now, one_place, settings, split, taken};
use sekisho::courier::Settings;
use sekisho::courier::breaker::Breaker;
use sekisho::intake::Dispatch;
use sekisho::store::DeliveryState::{Delivered, Failed, Ready, Uncertain, Waiting};
use sekisho::store::InitialState;
use sekisho::store::prelude::*;
use sekisho::upstream::Fate;
use std::collections::HashMap;
use std::time::Duration;

const THREE: [&str; 3] = ["a@alpha.example.com", "b@beta.example.org", "c@gamma.example.net"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_is_delivered() {
    let rig = Rig::new(settings(), |_, _| Scene::Takes);
    let id = rig.accept(split(1, &THREE)).await;
    let rows = rig.settles(id, &[Delivered; 3]).await;
    assert!(rows.iter().all(|row| row.last_reply == "250 2.0.0 taken" && row.attempts == 1));
    let mut seen = rig.upstream.dotted();
    seen.sort();
    assert_eq!(seen, THREE);
    rig.upstream.each(|taken| {
        assert_eq!(taken.body, b"\r\nHello all\r\n");
        for other in THREE {
            assert_eq!(taken.header.contains(other), taken.to[0] == other, "{}", taken.header);
        }
    });
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_sent_when_it_is_due_and_not_before() {
    let rig = Rig::new(settings(), |_, _| Scene::Takes);
    let mut message = as_is(1, &THREE);
    message.deliveries[0].state = InitialState::Waiting(NOW.plus(minutes(5)));
    let id = rig.accept(message).await;
    rig.nearly_pass(minutes(5)).await;
    assert_eq!(rig.upstream.begun(), 0);
    rig.pass(Duration::from_millis(1));
    rig.settles(id, &[Delivered]).await;
    assert_eq!(rig.upstream.dotted(), [THREE.join(" ")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_copies_leave_once_each() {
    let rig = Rig::new(Settings { workers: 20, ahead: 60, ..settings() }, |_, _| Scene::Takes);
    let to: Vec<String> = (0..500).map(|n| format!("p{n}@d{n}.example.com")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let id = rig.accept(split(1, &to)).await;
    rig.settles(id, &[Delivered; 500]).await;
    let mut counts: HashMap<String, usize> = HashMap::new();
    for one in rig.upstream.dotted() {
        *counts.entry(one).or_default() += 1;
    }
    assert_eq!(counts.len(), 500);
    assert!(counts.values().all(|count| *count == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deferred_copy_is_tried_by_the_schedule_and_given_up() {
    let rig = Rig::new(settings(), |_, to| Scene::Says(vec![not_now(); to.len()]));
    let id = rig.accept(as_is(1, &THREE)).await;
    for (number, wait) in (1..).zip([1, 5, 15, 30, 60, 60]) {
        let rows = rig.settles(id, &[Waiting]).await;
        let rows = if rows[0].attempts == number { rows } else { panic!("{rows:?}") };
        assert_eq!(rows[0].due, Some(rig.now().plus(minutes(wait))), "after attempt {number}");
        rig.nearly_pass(minutes(wait)).await;
        assert_eq!(rig.upstream.begun(), number as usize, "before it was due");
        rig.pass(Duration::from_millis(1));
        rig::eventually(|| async {
            let attempts = rig.rows(id).await[0].attempts;
            if attempts > number { Ok(()) } else { Err("not tried again".to_owned()) }
        })
        .await;
    }
    rig.settles(id, &[Waiting]).await;
    rig.pass(minutes(5 * 24 * 60));
    let rows = rig.settles(id, &[Failed]).await;
    assert!(rows[0].last_reply.starts_with("451 4.7.1 not now (given up"), "{}", rows[0].last_reply);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recipients_of_one_copy_part_ways() {
    let rig = Rig::new(settings(), |number, _| match number {
        0 => Scene::Says(vec![taken(), not_now(), Fate::Failed("550 5.1.1 nobody".to_owned())]),
        _ => Scene::Takes,
    });
    let id = rig.accept(as_is(1, &THREE)).await;
    let rows = rig.settles(id, &[Delivered, Waiting, Failed]).await;
    for (row, to) in rows.iter().zip(THREE) {
        assert_eq!(row.recipients, [to]);
    }
    assert_eq!(rows[2].last_reply, "550 5.1.1 nobody");
    rig.pass(minutes(1));
    rig.settles(id, &[Delivered, Delivered, Failed]).await;
    assert_eq!(rig.upstream.dotted(), [THREE.join(" "), THREE[1].to_owned()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recipients_that_were_too_many_follow_at_once() {
    let too_many = || Fate::NotTried("452 4.5.3 too many".to_owned());
    let rig = Rig::new(settings(), move |number, _| match number {
        0 => Scene::Says(vec![taken(), too_many(), too_many()]),
        _ => Scene::Takes,
    });
    let id = rig.accept(as_is(1, &THREE)).await;
    let rows = rig.settles(id, &[Delivered, Delivered]).await;
    assert_eq!((rows[1].attempts, rig.now()), (1, NOW));
    assert_eq!(rig.upstream.dotted(), [THREE.join(" "), THREE[1..].join(" ")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_forgets_a_recipient_loses_none() {
    let rig = Rig::new(settings(), |number, _| match number {
        0 => Scene::Says(vec![taken()]),
        _ => Scene::Takes,
    });
    let id = rig.accept(as_is(1, &THREE)).await;
    rig.settles(id, &[Delivered, Waiting]).await;
    rig.pass(minutes(1));
    rig.settles(id, &[Delivered, Delivered]).await;
    assert_eq!(rig.upstream.dotted()[1], THREE[1..].join(" "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_uncertain_copy_is_tried_again_and_marked() {
    let rig = Rig::new(settings(), |number, _| match number {
        0 => Scene::Says(vec![Fate::Uncertain("4.4.2 lost after the dot".to_owned())]),
        _ => Scene::Takes,
    });
    let id = rig.accept(as_is(1, &THREE[..1])).await;
    let rows = rig.settles(id, &[Uncertain]).await;
    assert!(rows[0].possible_duplicate);
    assert_eq!(rows[0].due, Some(NOW.plus(minutes(1))));
    rig.pass(minutes(1));
    let rows = rig.settles(id, &[Delivered]).await;
    assert!(rows[0].possible_duplicate, "the duplicate must be traceable");
    assert_eq!(rig.upstream.dotted().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_breaker_opens_gives_back_and_closes() {
    let script = |number, _: &[String]| if number < 5 { Scene::Unreachable } else { Scene::Takes };
    let rig = Rig::new(Settings { workers: 1, ahead: 11, ..settings() }, script);
    let mut ids = Vec::new();
    for number in 0..10 {
        let message = as_is(number, &THREE);
        ids.push(message.id);
        rig.store.accept(message).await.unwrap();
    }
    rig.courier.wake();
    rig.settles(ids[9], &[Ready]).await;
    rig::eventually(|| async {
        let breaker = rig.courier.stats().breaker;
        if matches!(breaker, Breaker::Open { times: 1, .. }) { Ok(()) } else { Err(breaker.to_string()) }
    })
    .await;
    rig.rests().await;
    rig.linger().await;
    assert_eq!(rig.upstream.begun(), 5, "nothing is tried while it is open");
    for (index, id) in ids.iter().enumerate() {
        let rows = rig.rows(*id).await;
        let expected = if index < 5 { (Waiting, 1) } else { (Ready, 0) };
        assert_eq!((rows[0].state, rows[0].attempts), expected, "{rows:?}");
    }
    rig.pass(Duration::from_secs(10));
    for id in &ids[5..] {
        rig.settles(*id, &[Delivered]).await;
    }
    assert_eq!(rig.courier.stats().breaker, Breaker::default());
    rig.pass(minutes(1));
    for id in &ids {
        rig.settles(*id, &[Delivered]).await;
    }
    assert_eq!(rig.upstream.dotted().len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_breakdown_in_one_delivery_keeps_its_place() {
    for after_the_dot in [false, true] {
        let rig = Rig::new(one_place(), move |number, _| match number {
            0 => Scene::Panics { after_the_dot },
            _ => Scene::Takes,
        });
        let broken = rig.accept(as_is(1, &THREE)).await;
        let state = if after_the_dot { Uncertain } else { Waiting };
        let rows = rig.settles(broken, &[state]).await;
        assert!(rows[0].last_reply.starts_with("4.3.0"), "{}", rows[0].last_reply);
        assert_eq!(rows[0].possible_duplicate, after_the_dot);
        let sound = rig.accept(as_is(2, &THREE)).await;
        rig.settles(sound, &[Delivered]).await;
        rig.pass(minutes(1));
        rig.settles(broken, &[Delivered]).await;
    }
}
