//! What decides for all relays that share a database, with two handles that are open at once.

use super::*;
use crate::store::shared::{Drawn, Limited, Once, PaceDraw, PaceRate, SpendAsk};
use crate::token::Digest;

fn draw(upstream: &str, count: u32, block: u64, now: Timestamp) -> PaceDraw {
    let rate = PaceRate { rate: format!("{count}/min"), count, per: minutes(1), sent: 0, price: 1, block };
    PaceDraw { upstream: upstream.to_owned(), rates: vec![rate], now }
}

/// Two nodes that draw by turns get the rate once, not twice, and later ones get times that are apart.
pub(in crate::store) async fn a_rate_is_one_for_all_nodes(harness: &impl Harness) {
    let one = harness.open();
    let two = harness.beside(&one);
    let (mut at_once, mut times) = (0, Vec::new());
    for number in 0..50 {
        let store = if number % 2 == 0 { &one } else { &two };
        match store.draw(draw("host:25", 30, 1, NOW)).await.unwrap() {
            Drawn::Block | Drawn::Once => at_once += 1,
            Drawn::Later { at, waiting, last } => {
                times.push(at);
                assert_eq!((waiting, last), (times.len(), at));
            }
        }
    }
    assert_eq!(at_once, 30);
    let wanted: Vec<Timestamp> = (1..=20).map(|n| NOW.plus(Duration::from_secs(2 * n))).collect();
    assert_eq!(times, wanted);
    // A promise holds at either node, whoever gave it, and is good once.
    let first = NOW.plus(Duration::from_secs(2));
    assert_eq!(two.draw(draw("host:25", 30, 1, first)).await.unwrap(), Drawn::Once);
    assert!(matches!(one.draw(draw("host:25", 30, 1, first)).await.unwrap(), Drawn::Later { .. }));
    assert_eq!(one.draw(draw("other:25", 30, 1, NOW)).await.unwrap(), Drawn::Block, "another upstream");
}

/// Far from its limit a rate is given in blocks; near it, one by one, and together never more than the rate.
pub(in crate::store) async fn blocks_add_up_to_the_rate(harness: &impl Harness) {
    let one = harness.open();
    let two = harness.beside(&one);
    let (mut given, mut draws) = (0, 0);
    loop {
        let store = if draws % 2 == 0 { &one } else { &two };
        draws += 1;
        match store.draw(draw("host:25", 1_005, 10, NOW)).await.unwrap() {
            Drawn::Block => given += 10,
            Drawn::Once => given += 1,
            Drawn::Later { .. } => break,
        }
    }
    assert_eq!((given, draws), (1_005, 100 + 5 + 1));
}

/// An account of the sending budgets is one for both nodes; nothing is taken if one of several has no room.
pub(in crate::store) async fn a_budget_is_one_for_all_nodes(harness: &impl Harness) {
    let one = harness.open();
    let two = harness.beside(&one);
    let ask = |account: &str, most: u64, wanted, block| SpendAsk {
        account: account.to_owned(),
        slot: 100,
        wanted,
        block,
        limits: vec![(most, 90), (10 * most, 0)],
        known: vec![(80, 5), (95, 40)],
        forced: false,
    };
    let spent = one.spend(vec![ask("sato", 100, 10, 20)], 70).await.unwrap();
    assert_eq!((spent[0].given, spent[0].slots.clone()), (20, vec![(80, 5), (95, 40), (100, 20)]));
    let spent = two.spend(vec![ask("sato", 100, 30, 50)], 70).await.unwrap();
    assert_eq!(spent[0].given, 30, "the block has no room, what is wanted has");
    let spent = one.spend(vec![ask("sato", 100, 11, 11), ask("ito", 100, 1, 1)], 70).await.unwrap();
    assert_eq!((spent[0].given, spent[1].given), (0, 0));
    let forced = SpendAsk { forced: true, ..ask("sato", 100, 11, 99) };
    assert_eq!(two.spend(vec![forced], 70).await.unwrap()[0].given, 11);
    let spent = one.spend(vec![ask("sato", 200, 1, 1)], 90).await.unwrap();
    assert_eq!(spent[0].slots, [(95, 40), (100, 62)], "what is old is forgotten");
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..20 {
        let (store, ask) = (if number % 2 == 0 { one.clone() } else { two.clone() }, ask("all", 50, 1, 1));
        tasks.spawn(async move { store.spend(vec![ask], 70).await.unwrap()[0].given });
    }
    assert_eq!(tasks.join_all().await.into_iter().sum::<u64>(), 10, "40 were known before");
}

/// Attempts at both nodes count together, under each of their names, until an hour is over.
pub(in crate::store) async fn attempts_count_at_all_nodes(harness: &impl Harness) {
    let one = harness.open();
    let two = harness.beside(&one);
    let limited = |account: &str, from: u32| {
        let from = Digest::of(&[b"source", &from.to_be_bytes()]);
        vec![
            Limited { name: Digest::of(&[b"account", account.as_bytes()]), most: 20 },
            Limited { name: from, most: 30 },
        ]
    };
    let mut made = Vec::new();
    for number in 0..50 {
        let store = if number % 2 == 0 { &one } else { &two };
        made.extend(store.attempt(limited("hanako", number), NOW).await.unwrap());
    }
    assert_eq!(made.len(), 20);
    two.retract(made.pop().unwrap()).await.unwrap();
    assert!(one.attempt(limited("hanako", 99), NOW).await.unwrap().is_some(), "one was right");
    assert!(two.attempt(limited("hanako", 98), at(59)).await.unwrap().is_none());
    assert!(two.attempt(limited("hanako", 98), at(60)).await.unwrap().is_some());
    let mut from_one = 0;
    for number in 0..50 {
        let store = if number % 2 == 0 { &one } else { &two };
        let tried = store.attempt(limited(&format!("user{number}"), 7), at(60)).await.unwrap();
        from_one += usize::from(tried.is_some());
    }
    assert_eq!(from_one, 30);
}

/// Of two nodes that take what is good once, one gets it; nobody gets it too late, or under another kind.
pub(in crate::store) async fn once_is_once_for_all_nodes(harness: &impl Harness) {
    let one = harness.open();
    let two = harness.beside(&one);
    let name = |number: u32| Digest::of(&[&number.to_be_bytes()]);
    let put = async |number, until| {
        one.put_once(Once::Login, name(number), format!("who {number}"), until, NOW).await.unwrap();
    };
    for number in 0..10 {
        put(number, at(5)).await;
        let taken = tokio::join!(
            one.take_once(Once::Login, name(number), NOW),
            two.take_once(Once::Login, name(number), NOW)
        );
        let taken = [taken.0.unwrap(), taken.1.unwrap()];
        assert_eq!(taken.iter().flatten().collect::<Vec<_>>(), [&format!("who {number}")]);
    }
    put(1, at(5)).await;
    assert_eq!(two.take_once(Once::Challenge, name(1), NOW).await.unwrap(), None);
    assert_eq!(two.look_once(Once::Login, name(1), at(4)).await.unwrap().as_deref(), Some("who 1"));
    assert_eq!(two.look_once(Once::Login, name(1), at(5)).await.unwrap(), None);
    assert_eq!(two.take_once(Once::Login, name(1), at(5)).await.unwrap(), None, "too late");
    assert_eq!(two.take_once(Once::Login, name(1), at(4)).await.unwrap(), None, "and gone");
}

/// A secret that two nodes replace is replaced by one of them; the other reads the new one.
pub(in crate::store) async fn secrets_are_replaced_by_one(harness: &impl Harness) {
    let one = harness.open();
    let two = harness.beside(&one);
    assert_eq!(one.secret("oauth").await.unwrap(), None);
    assert!(one.replace_secret("oauth", None, "first".to_owned()).await.unwrap());
    assert!(!two.replace_secret("oauth", None, "other".to_owned()).await.unwrap());
    let was = two.secret("oauth").await.unwrap();
    assert_eq!(was.as_deref(), Some("first"));
    let done = tokio::join!(
        one.replace_secret("oauth", was.clone(), "second".to_owned()),
        two.replace_secret("oauth", was, "third".to_owned())
    );
    let (done, now) = ([done.0.unwrap(), done.1.unwrap()], two.secret("oauth").await.unwrap().unwrap());
    assert!(done == [true, false] && now == "second" || done == [false, true] && now == "third", "{now}");
    assert_eq!(one.secret("other").await.unwrap(), None);
    drop((one, two));
    assert_eq!(harness.open().secret("oauth").await.unwrap(), Some(now));
}

/// A task is led by one node until its time is over by the database's clock.
pub(in crate::store) async fn a_task_is_led_by_one(harness: &impl Harness) {
    let one = harness.open();
    let two = harness.beside(&one);
    let shared = one.is_shared();
    let short = Duration::from_millis(1_500);
    assert!(one.lead("order", short).await.unwrap());
    assert!(one.lead("order", short).await.unwrap(), "it goes on");
    assert_eq!(two.lead("order", short).await.unwrap(), !shared);
    assert!(two.lead("another", short).await.unwrap());
    tokio::time::sleep(Duration::from_millis(1_600)).await;
    assert!(two.lead("order", minutes(1)).await.unwrap());
    assert_eq!(one.lead("order", short).await.unwrap(), !shared);
}
