//! Which people openly wrote with each other.

use super::*;
use crate::policy::learned::{Learned, Shared, Source};
use DeliveryState::{Delivered, Failed};

fn learned(id: &str, day: u64, people: &[&str]) -> Learned {
    let when = NOW.minus(minutes(60 * 24 * day));
    Learned::together(Some(id.to_owned()), when, addresses(people), Source::Journal).unwrap()
}

async fn asked(store: &Arc<dyn Store>, references: &[&str], people: &[&str]) -> Vec<Shared> {
    let references: Vec<String> = references.iter().map(|id| (*id).to_owned()).collect();
    store.shared(&references, &addresses(people)).await.unwrap()
}

/// Whether one mail showed all these people to each other.
async fn known(store: &Arc<dyn Store>, references: &[&str], people: &[&str]) -> bool {
    asked(store, references, people).await.iter().any(|one| one.met.len() == people.len())
}

const FIVE: [&str; 5] =
    ["a@one.example", "b@two.example", "c@three.example", "d@four.example", "e@five.example"];

/// The same mail counts once, whatever its source; people in other spellings are the same people.
pub(in crate::store) async fn what_is_learned_counts_once(harness: &impl Harness) {
    let store = harness.open();
    let batch = || vec![learned("1@x", 9, &FIVE), learned("2@x", 5, &FIVE), learned("3@x", 1, &FIVE[..3])];
    let first = store.learn(batch(), NOW).await.unwrap();
    assert_eq!((first.learned, first.known), (3, 0));
    drop(store);
    let store = harness.open();
    let again = store.learn(batch(), NOW).await.unwrap();
    assert_eq!((again.learned, again.known), (0, 3));
    // Without a Message-ID, a mail is identified by its day and people.
    let nameless = |day: u64| {
        let when = NOW.minus(minutes(60 * 24 * day));
        Learned::together(None, when, addresses(&FIVE[..2]), Source::Archive).unwrap()
    };
    let taught = store.learn(vec![nameless(3), nameless(3), nameless(4)], NOW).await.unwrap();
    assert_eq!((taught.learned, taught.known), (2, 1));

    let found = asked(&store, &["2@x"], &FIVE).await;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].cited.as_deref(), found[0].met.len()), (Some("2@x"), 5));
    let found = asked(&store, &[], &FIVE).await;
    assert_eq!((found[0].cited.as_deref(), found[0].last.0 - found[0].since.0), (None, 4));
    let gmail = learned("4@x", 2, &["t.a.r.o+work@gmail.com", "K@xn--bcher-kva.example"]);
    store.learn(vec![gmail], NOW).await.unwrap();
    assert!(known(&store, &[], &["taro@googlemail.com", "k@bücher.example"]).await);
    // A date in the future comes from a wrong clock.
    let ahead = Learned::together(
        Some("5@x".into()),
        at(999_999),
        addresses(&["f@x.example", "g@x.example"]),
        Source::Journal,
    );
    store.learn(vec![ahead.unwrap()], NOW).await.unwrap();
    let found = asked(&store, &[], &["f@x.example", "g@x.example"]).await;
    assert_eq!(found[0].last, crate::clock::Day::of(NOW));
}

/// One set must contain all people; if none does, those that contain most of them are returned.
pub(in crate::store) async fn strangers_are_told_apart(harness: &impl Harness) {
    let store = harness.open();
    store
        .learn(vec![learned("1@x", 9, &FIVE), learned("2@x", 3, &["a@one.example", "z@new.example"])], NOW)
        .await
        .unwrap();
    assert!(known(&store, &[], &FIVE[1..4]).await && known(&store, &["1@x"], &FIVE).await);
    for people in [
        &["a@one.example", "b@two.example", "z@new.example"][..],
        &["b@two.example", "z@new.example"],
        &["x@x.example", "y@y.example"],
    ] {
        assert!(!known(&store, &["1@x", "2@x", "forged@x"], people).await, "{people:?}");
    }
    let found =
        asked(&store, &[], &["a@one.example", "b@two.example", "c@three.example", "z@new.example"]).await;
    assert_eq!(found[0].met, addresses(&FIVE[..3]));
    assert_eq!(asked(&store, &["1@x"], &["a@one.example"]).await, []);
    // A person with many sets is found in the latest ones; the lists consist of many pieces.
    let many =
        (0..3_000).map(|n| learned(&format!("m{n}@x"), 1, &["a@one.example", &format!("p{n}@x.example")]));
    store.learn(many.collect(), NOW).await.unwrap();
    for n in [2_999, 2_000, 1_500] {
        assert!(known(&store, &[], &["a@one.example", &format!("p{n}@x.example")]).await, "{n}");
    }
    assert!(!known(&store, &[], &["p1@x.example", "p2@x.example"]).await);
}

/// A person who was removed is a stranger; the others stay known.
pub(in crate::store) async fn people_are_forgotten(harness: &impl Harness) {
    let store = harness.open();
    let many = (0..1_200).map(|n| {
        learned(&format!("m{n}@x"), 1, &["Taro@Gmail.com", "b@two.example", &format!("p{n}@x.example")])
    });
    store.learn(many.collect(), NOW).await.unwrap();
    assert_eq!(store.forget(&address("ta.ro@googlemail.com")).await.unwrap(), 1_200);
    assert_eq!(store.forget(&address("ta.ro@googlemail.com")).await.unwrap(), 0);
    assert!(known(&store, &["m7@x"], &["b@two.example", "p7@x.example"]).await);
    for references in [&["m7@x"][..], &[]] {
        assert!(!known(&store, references, &["taro@gmail.com", "p7@x.example"]).await);
    }
    // Later mail teaches about them anew, but not what was known before.
    store
        .learn(vec![learned("n@x", 0, &["taro@gmail.com", "b@two.example", "p9@x.example"])], NOW)
        .await
        .unwrap();
    assert!(known(&store, &[], &["taro@gmail.com", "p9@x.example"]).await);
    assert!(!known(&store, &["m7@x"], &["taro@gmail.com", "p7@x.example"]).await);
}

/// Knowledge past its retention is purged, and nothing else.
pub(in crate::store) async fn knowledge_has_its_time(harness: &impl Harness) {
    let store = harness.open();
    let mut all: Vec<Learned> = (0..700)
        .map(|n| learned(&format!("o{n}@x"), 500, &["a@one.example", &format!("p{n}@x.example")]))
        .collect();
    all.push(learned("old@x", 500, &FIVE));
    all.push(learned("new@x", 10, &FIVE));
    all.push(learned("gone@x", 500, &["q@x.example", "r@x.example"]));
    store.learn(all, NOW).await.unwrap();
    let keep = Retention { knowledge: minutes(60 * 24 * 400), ..Retention::default() };
    store.purge(NOW, keep).await.unwrap();
    assert!(!known(&store, &["gone@x"], &["q@x.example", "r@x.example"]).await);
    assert!(!known(&store, &["o650@x"], &["a@one.example", "p650@x.example"]).await);
    assert!(known(&store, &[], &FIVE).await);
    let cited = asked(&store, &["old@x"], &FIVE).await;
    assert_eq!(cited[0].cited, None, "the mail itself is past its time");
    store.purge(at(60 * 24 * 500), keep).await.unwrap();
    assert!(!known(&store, &["new@x"], &FIVE).await);
}

/// A mail that the relay sent is learned from once it is finished, and teaches only those whom a copy reached.
pub(in crate::store) async fn what_was_delivered_teaches(harness: &impl Harness) {
    let store = harness.open();
    let people = ["a@one.example", "b@two.example", "c@three.example"];
    let disclosed = |id: &str, mail: &str, to: &[&str]| Disclosed {
        message_id: id.to_owned(),
        from: None,
        addresses: addresses(to),
        mail: mail.to_owned(),
    };
    let through = async || store.through(None).await.unwrap().mails;
    let sent = async |random: u64, to: &[&str], mail: &str, fates: &[DeliveryState]| {
        let id = if mail.is_empty() { format!("{random}@example.co.jp") } else { "whole@x".to_owned() };
        let mut new = message(random, &[to], InitialState::Sending { until: at(1) });
        new.message_id.clone_from(&id);
        new.ledger = Some(disclosed(&id, mail, to));
        let claims = store.accept(new).await.unwrap();
        let fates: Vec<(&str, DeliveryState)> = to.iter().copied().zip(fates.iter().copied()).collect();
        store.record(result(&claims[0], at(1), &fates)).await.unwrap();
    };
    sent(1, &people, "", &[Delivered, Failed, Delivered]).await;
    let found = through().await;
    assert_eq!(found[0].reached, addresses(&["a@one.example", "c@three.example"]));
    store.learn_sent(vec![found[0].id], Vec::new(), NOW).await.unwrap();
    assert_eq!(through().await, []);
    // One copy is still waiting.
    sent(2, &people[..2], "", &[Delivered, DeliveryState::Waiting]).await;
    assert_eq!(through().await, []);
    // A mail that was taken back before it left teaches nobody, and neither does a held one.
    let mut back = message(3, &[&people[..2]], InitialState::Waiting(at(60)));
    back.ledger = Some(disclosed("3@example.co.jp", "", &people[..2]));
    store.accept(back).await.unwrap();
    assert_eq!(through().await, []);
    let ids = ["3@example.co.jp".to_owned()];
    assert_eq!(store.disclosed(&ids).await.unwrap().len(), 1);
    store.take_back(Id::new(NOW, 3), "sato", at(2)).await.unwrap();
    assert_eq!(store.disclosed(&ids).await.unwrap(), [], "what was taken back was shown to nobody");
    let mut held = held_message(4, &people);
    held.ledger = Some(disclosed("4@example.co.jp", "", &people));
    store.accept(held).await.unwrap();
    let found = through().await;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|mail| mail.reached.is_empty()), "{found:?}");
    store.learn_sent(found.iter().map(|mail| mail.id).collect(), Vec::new(), NOW).await.unwrap();
    // The transactions of one mail are combined, and the mail grows.
    for (random, to) in [(5, people[0]), (6, people[1]), (7, people[2])] {
        sent(random, &[to], "00ff", &[Delivered]).await;
        let found = through().await;
        let taught = found.iter().filter(|mail| mail.reached.len() > 1).map(|mail| {
            let people = mail.reached.clone();
            Learned::together(Some(mail.message_id.clone()), mail.received, people, Source::Sent).unwrap()
        });
        store.learn_sent(vec![found[0].id], taught.collect(), NOW).await.unwrap();
    }
    assert!(known(&store, &["whole@x"], &people).await);
}

/// The store's answers equal those of a plain search through all mails.
pub(in crate::store) async fn answers_are_those_of_a_plain_look(harness: &impl Harness) {
    let store = harness.open();
    let mut state = 88_172_645_463_325_252_u64;
    let mut draw = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut some = |most: u64| {
        let people: std::collections::BTreeSet<u64> = (0..2 + draw(most)).map(|_| draw(25)).collect();
        people.into_iter().map(|n| format!("p{n}@x.example")).collect::<Vec<String>>()
    };
    let mut sets: Vec<Vec<String>> = Vec::new();
    for round in 0..4 {
        let fresh: Vec<Vec<String>> = (0..60).map(|_| some(5)).filter(|set| set.len() > 1).collect();
        let mails = fresh.iter().enumerate().map(|(n, set)| {
            let people: Vec<&str> = set.iter().map(String::as_str).collect();
            learned(&format!("{round}-{n}@x"), 1, &people)
        });
        store.learn(mails.collect(), NOW).await.unwrap();
        sets.extend(fresh);
        let gone = format!("p{round}@x.example");
        store.forget(&address(&gone)).await.unwrap();
        for set in &mut sets {
            set.retain(|one| *one != gone);
        }
        for _ in 0..150 {
            let asked = some(3);
            if asked.len() < 2 {
                continue;
            }
            let wanted = sets.iter().any(|set| asked.iter().all(|one| set.contains(one)));
            let people: Vec<&str> = asked.iter().map(String::as_str).collect();
            assert_eq!(known(&store, &[], &people).await, wanted, "{asked:?}");
        }
    }
}

/// Who knows whom since when, how often somebody let people see each other, and how much is known.
pub(in crate::store) async fn knowledge_is_shown(harness: &impl Harness) {
    let store = harness.open();
    store.learn(vec![learned("1@x", 9, &FIVE[..3]), learned("2@x", 3, &FIVE[..2])], NOW).await.unwrap();
    let asked = addresses(&["b@two.example", "z@new.example", "a@one.example", "c@three.example"]);
    let pairs = store.pairs(&asked).await.unwrap();
    let told: Vec<(usize, usize)> = pairs.iter().map(|pair| (pair.one, pair.other)).collect();
    assert_eq!(told, [(0, 2), (0, 3), (2, 3)]);
    assert_eq!(crate::clock::Day::of(NOW).0 - pairs[0].since.0, 9);

    let people = addresses(&["Taro@gmail.com", "b@two.example"]);
    for minute in 1..=3 {
        store.let_together(&people, at(minute)).await.unwrap();
    }
    let spelt = addresses(&["b@TWO.example", "t.aro@googlemail.com"]);
    assert_eq!(store.times_let_together(&spelt).await.unwrap(), 3);
    assert_eq!(store.times_let_together(&addresses(&["b@two.example", "c@three.example"])).await.unwrap(), 0);

    let mut passed = message(1, &[&["a@x.example"]], InitialState::Ready);
    if let Event::Accepted { known, .. } = &mut passed.events[0] {
        *known = true;
    }
    store.accept(passed).await.unwrap();
    store.accept(message(2, &[&["a@x.example"]], InitialState::Ready)).await.unwrap();
    let stock = store.stock(NOW).await.unwrap();
    assert_eq!((stock.mails.get("journal"), stock.people, stock.sets, stock.passed), (Some(&2), 3, 2, 1));
    assert_eq!(store.stock(at(1)).await.unwrap().passed, 0);
}
