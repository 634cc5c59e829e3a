//! What observe mode would have done, totals that outlive a purge, and searches by subject.

use super::*;
use crate::journal::Would;
use crate::policy::verdict::RuleOutcome;
use crate::policy::{Demand, Disclosure, Mode, Verdict};
use crate::store::forks::Again;
use crate::store::known::{Counted, WouldBe};
use std::collections::BTreeMap;

/// A message that passed in observe mode, with the action and the rules that enforce mode would have had.
fn observed(random: u64, action: &str, rules: &[&str]) -> NewMessage {
    let mut new = message(random, &[&["a@x.example"]], InitialState::Sending { until: at(1) });
    let demand = Demand { disclosure: Disclosure::Split, ..Demand::default() };
    let rule = |name: &str, matched, demand| RuleOutcome {
        name: name.to_owned(),
        matched,
        demand,
        why: format!("because of {name}"),
        why_ja: format!("{name} のため"),
        ..RuleOutcome::default()
    };
    let matched = rules.iter().map(|name| rule(name, true, demand));
    let others = [rule("silent", true, Demand::default()), rule("elsewhere", false, demand)];
    new.verdict = Some(Verdict { demand, mode: Mode::Observe, rules: matched.chain(others).collect() });
    let prevents = if action == "pass" { 0 } else { 6 };
    if let Event::Accepted { would, .. } = &mut new.events[0] {
        *would = Some(Would { action: action.to_owned(), exposures_prevented: prevents });
    }
    new
}

fn counted(accepted: &[(&str, u64)], exposures_prevented: u64) -> Counted {
    let accepted = accepted.iter().map(|(action, count)| ((*action).to_owned(), *count)).collect();
    Counted { accepted, exposures_prevented }
}

/// What was done and what would have been done are kept apart in every listing.
pub(in crate::store) async fn what_would_have_been_stands_apart(harness: &impl Harness) {
    let store = harness.open();
    let split = observed(1, "split", &["many", "strangers"]);
    let mut other = observed(2, "hold", &["many"]);
    other.envelope.sender = None;
    for new in [split.clone(), other, observed(3, "pass", &[])] {
        store.accept(new).await.unwrap();
    }
    store.accept(message(4, &[&["b@x.example"]], InitialState::Ready)).await.unwrap();
    let store = harness.open();
    let since = NOW.minus(minutes(60));

    let summary = store.summary(since).await.unwrap();
    assert_eq!((summary.accepted.get("pass"), summary.exposures_prevented), (Some(&4), 0));
    let would = store.would(since).await.unwrap();
    let accepted = [("hold", 1), ("pass", 1), ("split", 1)];
    assert_eq!(would.accepted, counted(&accepted, 0).accepted);
    assert_eq!(would.exposures_prevented, 12);
    let be = |messages| WouldBe { messages, exposures_prevented: 6 * messages };
    let named = |list: &[(&str, WouldBe)]| -> BTreeMap<String, WouldBe> {
        list.iter().map(|(name, be)| ((*name).to_owned(), *be)).collect()
    };
    assert_eq!(would.rules, named(&[("many", be(2)), ("strangers", be(1))]));
    assert_eq!(would.senders, named(&[("", be(1)), ("Sato@example.co.jp", be(1))]));
    assert_eq!(store.would(at(60)).await.unwrap(), crate::store::known::Would::default());

    let found = &store.find(split.id.as_str(), 1).await.unwrap()[0];
    assert_eq!((found.action.as_str(), found.would.as_deref()), ("pass", Some("split")));
    assert_eq!(found.would_reasons, ["because of many", "because of strangers"]);
    let enforced = &store.find("b@x.example", 1).await.unwrap()[0];
    assert_eq!((enforced.would.as_deref(), enforced.would_reasons.len()), (None, 0));
    let queue = store.queue(&QueueFilter::default()).await.unwrap();
    let woulds: Vec<Option<&str>> = queue.iter().map(|row| row.would.as_deref()).collect();
    assert_eq!(woulds, [Some("split"), Some("hold"), Some("pass"), None]);
    assert_eq!(store.deliveries(split.id).await.unwrap()[0].would.as_deref(), Some("split"));
    assert_eq!(store.journal(split.id).await.unwrap()[0].event, split.events[0]);
}

/// Totals count everything once, survive restarts, and do not decrease after a purge.
pub(in crate::store) async fn totals_never_fall(harness: &impl Harness) {
    let store = harness.open();
    let since = NOW.minus(minutes(60));
    let claims = store.accept(observed(1, "split", &["many"])).await.unwrap();
    store.record(result(&claims[0], NOW, &[("a@x.example", DeliveryState::Delivered)])).await.unwrap();
    let mut split = message(2, &[], InitialState::Ready);
    let copies = [("a@x.example", DeliveryState::Delivered), ("b@y.example", DeliveryState::Failed)];
    for (to, _) in copies {
        let delivery = sample(vec![Recipient::plain(address(to))], true);
        split.envelope.recipients.push(Recipient::plain(address(to)));
        split.deliveries.push(NewDelivery { delivery, state: InitialState::Sending { until: at(1) } });
    }
    for (claim, fate) in store.accept(split).await.unwrap().iter().zip(copies) {
        store.record(result(claim, NOW, &[fate])).await.unwrap();
    }
    // Returned, held again, returned again: its disclosures are prevented once.
    let held = held_message(3, &["a@x.example", "b@y.example"]);
    store.accept(held.clone()).await.unwrap();
    let back = |when| HeldDecision {
        undo_until: Some(at(600)),
        ..HeldDecision::new(held.id, HeldState::Returned, "sato", when, "")
    };
    store.decide(back(at(1))).await.unwrap();
    let again = Again { id: held.id, by: "sato".to_owned(), at: at(2), expires: at(900) };
    store.hold_again(again).await.unwrap();
    store.decide(back(at(3))).await.unwrap();
    // The relay's own mail is not counted.
    let mut own = message(4, &[&["c@z.example"]], InitialState::Ready);
    (own.origin, own.events) = (Origin::Own { about: None }, Vec::new());
    store.accept(own).await.unwrap();

    let before = store.totals(since).await.unwrap();
    assert_eq!(before.done, counted(&[("pass", 3)], 12));
    assert_eq!(before.would, counted(&[("split", 1)], 6));
    let state = |name: &str, count| (name.to_owned(), count);
    assert_eq!(before.ended, BTreeMap::from([state("delivered", 2), state("failed", 1)]));
    assert_eq!(before.open, BTreeMap::from([state("ready", 1)]));
    assert_eq!(before.held, BTreeMap::from([state("returned", 1)]));

    let store = harness.open();
    assert_eq!(store.totals(since).await.unwrap(), before);
    let no_time =
        Retention { contents: minutes(1), messages: minutes(1), ledger: minutes(1), knowledge: minutes(1) };
    for notice in store.due_notices(at(100_000), 99).await.unwrap() {
        store.drop_notice(notice.id).await.unwrap();
    }
    assert!(store.purge(at(100_000), no_time).await.unwrap().messages >= 2);
    let after = store.totals(since).await.unwrap();
    assert_eq!((&after.done, &after.would, &after.ended), (&before.done, &before.would, &before.ended));
}

/// A message is found by words of its subject, in any case and width; one of our ids finds only that message.
pub(in crate::store) async fn finds_by_subject(harness: &impl Harness) {
    let store = harness.open();
    let subjects = ["Re: 秋の展示会のご案内 2026", "ＡＢＣ Price list", "price LIST of April"];
    for (random, subject) in (1..).zip(subjects) {
        let mut new = message(random, &[&["a@x.example"]], InitialState::Ready);
        new.subject = subject.to_owned();
        store.accept(new).await.unwrap();
    }
    let id = Id::new(NOW, 2).to_string();
    let cases: [(&str, &[u64]); 9] = [
        ("展示会", &[1]),
        (" price list ", &[3, 2]),
        ("PRICE", &[3, 2]),
        ("abc", &[2]),
        ("２０２６", &[1]),
        ("%", &[]),
        ("nothing of the kind", &[]),
        ("", &[]),
        (&id, &[2]),
    ];
    for (text, wanted) in cases {
        let found = store.find(text, 10).await.unwrap();
        let wanted: Vec<Id> = wanted.iter().map(|random| Id::new(NOW, *random)).collect();
        assert_eq!(found.iter().map(|row| row.id).collect::<Vec<_>>(), wanted, "{text}");
    }
    assert_eq!(store.find("price", 1).await.unwrap().len(), 1);
}
