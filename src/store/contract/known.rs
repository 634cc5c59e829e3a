//! Whom a sender's mail reached before, and the daily statistics.

use super::*;
use crate::policy::{Demand, Mode, Verdict};
use crate::store::Scope;
use DeliveryState::{Delivered, Failed};
use std::collections::BTreeMap;

fn passed(random: u64, recipients: &[&str]) -> NewMessage {
    let mut new = message(random, &[recipients], InitialState::Sending { until: at(1) });
    new.verdict = Some(Verdict { demand: Demand::default(), mode: Mode::Enforce, rules: Vec::new() });
    new
}

/// Recipients who got a mail are known to its sender, in any spelling; others are not.
pub(in crate::store) async fn correspondents_are_those_reached(harness: &impl Harness) {
    let store = harness.open();
    let claims = store.accept(passed(1, &["Taro@X.example", "gone@y.example"])).await.unwrap();
    let fates = [("Taro@X.example", Delivered), ("gone@y.example", Failed)];
    store.record(result(&claims[0], at(1), &fates)).await.unwrap();
    // The relay's own mail makes nobody known.
    let mut own = message(2, &[&["own@z.example"]], InitialState::Sending { until: at(1) });
    own.origin = Origin::Own { about: None };
    own.events.clear();
    let claims = store.accept(own).await.unwrap();
    store.record(result(&claims[0], at(1), &[("own@z.example", Delivered)])).await.unwrap();
    let asked = addresses(&["taro@x.example", "gone@y.example", "own@z.example"]);
    let found = store.correspondents(&address("sato@EXAMPLE.co.jp"), &asked, 10).await.unwrap();
    assert_eq!(found.last.into_iter().collect::<Vec<_>>(), [("taro@x.example".to_owned(), at(1))]);
    assert_eq!(found.domains, ["x.example"]);
    let other = store.correspondents(&address("other@example.co.jp"), &asked, 10).await.unwrap();
    assert_eq!(other, crate::store::known::Correspondents::default());
}

/// Whoever got no mail for long is forgotten, however many they are; the others stay.
pub(in crate::store) async fn correspondents_are_forgotten_in_time(harness: &impl Harness) {
    let store = harness.open();
    let names: Vec<String> = (0..1_200).map(|number| format!("r{number}@x.example")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let (late, early) = (at(2 * 24 * 60), at(1));
    for (random, when, to) in [(1, early, &all[..]), (2, late, &all[1_100..])] {
        let claims = store.accept(passed(random, to)).await.unwrap();
        let fates: Vec<_> = to.iter().map(|to| (*to, Delivered)).collect();
        store.record(result(&claims[0], when, &fates)).await.unwrap();
    }
    let long = minutes(400 * 24 * 60);
    let keep = Retention { contents: long, messages: long, ledger: minutes(24 * 60), knowledge: long };
    store.purge(late.plus(minutes(60)), keep).await.unwrap();
    let found = store.correspondents(&address("sato@example.co.jp"), &addresses(&all), 10).await.unwrap();
    assert_eq!(found.last.len(), 100);
    assert!(found.last.values().all(|last| *last == late));
}

/// Statistics of days, and of how long decisions took.
pub(in crate::store) async fn days_and_waits_are_counted(harness: &impl Harness) {
    let store = harness.open();
    store.accept(passed(1, &["a@x.example"])).await.unwrap();
    store.accept(held_message(2, &["a@x.example", "b@y.example"])).await.unwrap();
    let decision = HeldDecision::new(Id::new(NOW, 2), HeldState::Returned, "soumu", at(7), "");
    store.decide(decision).await.unwrap();
    let since = NOW.minus(minutes(60));
    let found = store.activity(&Scope::All, since, 0).await.unwrap();
    assert_eq!(store.days(&Scope::All, since, 0).await.unwrap(), found.days);
    assert_eq!(found.days.len(), 1);
    assert_eq!(found.days[0].accepted.values().sum::<u64>(), 2);
    assert_eq!(found.waits, [minutes(7)]);
    assert_eq!(found.paces, BTreeMap::from([("soumu".to_owned(), [1, 0, 0, 0])]));
    assert!(found.unchanged.is_empty(), "it was returned");
    let asked =
        found.approvers.get("soumu@example.co.jp").and_then(|states| states.get(&HeldState::Returned));
    assert_eq!(asked, Some(&1));
    let summary = store.summary(since).await.unwrap();
    let named: BTreeMap<String, u64> =
        found.held.iter().map(|(state, count)| (state.to_string(), *count)).collect();
    assert_eq!((named, &found.days[0].accepted), (summary.held, &summary.accepted));
    assert_eq!(found.days[0].prevented, summary.exposures_prevented);
    let senders = store.held_senders(&Scope::All, since).await.unwrap();
    let held: u64 = senders.values().flat_map(BTreeMap::values).sum();
    assert_eq!(held, 1, "{senders:?}");
    // An approver who was asked sees the held message; others see nothing.
    let of = |asked: &str| Scope::Of { senders: Vec::new(), approvers: vec![asked.to_owned()] };
    let theirs = store.activity(&of("soumu@example.co.jp"), since, 0).await.unwrap();
    assert_eq!(store.days(&of("soumu@example.co.jp"), since, 0).await.unwrap(), theirs.days);
    assert_eq!(theirs.days[0].accepted.values().sum::<u64>(), 1);
    assert_eq!(theirs.days[0].prevented, summary.exposures_prevented);
    assert_eq!((&theirs.held, &theirs.rules, &theirs.waits), (&found.held, &found.rules, &found.waits));
    let nothing = crate::store::known::Activity::default();
    for stranger in [of("other@example.co.jp"), Scope::Of { senders: Vec::new(), approvers: Vec::new() }] {
        assert_eq!(store.activity(&stranger, since, 0).await.unwrap(), nothing);
        assert!(store.held_senders(&stranger, since).await.unwrap().is_empty());
    }
    let later = store.activity(&Scope::All, at(60), 0).await.unwrap();
    assert_eq!(later, nothing);
}

/// A sender's newest mails are found, whatever became of them, and nobody else's.
pub(in crate::store) async fn own_mail_is_found(harness: &impl Harness) {
    let store = harness.open();
    store.accept(passed(1, &["a@x.example"])).await.unwrap();
    let held = held_message(2, &["a@x.example", "b@y.example"]);
    store.accept(held.clone()).await.unwrap();
    let decision = HeldDecision {
        undo_until: Some(at(60)),
        ..HeldDecision::new(held.id, HeldState::Returned, "sato", at(7), "no")
    };
    store.decide(decision).await.unwrap();
    let sender = held.envelope.sender.as_ref().unwrap().key().to_owned();
    let found = store.recent(std::slice::from_ref(&sender), 10).await.unwrap();
    assert_eq!(
        found.iter().map(|row| row.id).collect::<Vec<_>>(),
        [held.id, Id::new(NOW, 1)],
        "newest first"
    );
    assert_eq!(found[0].held, Some((HeldState::Returned, Some("no".to_owned()), held.id)));
    assert_eq!((found[0].undo_until, found[0].recipient_count), (Some(at(60)), 2));
    assert_eq!((found[1].held.as_ref(), found[1].copies.values().sum::<usize>()), (None, 1));
    assert_eq!(store.recent(&[sender.clone(), sender.clone()], 1).await.unwrap().len(), 1);
    assert!(store.recent(&["stranger@example.co.jp".to_owned()], 10).await.unwrap().is_empty());
    assert!(store.recent(&[], 10).await.unwrap().is_empty());
}
