//! Notices about messages that wait for a decision, mail that waits untried, and calls to hooks.

use super::*;

fn ask(to: &str, digest: bool, due: Timestamp) -> NewAsk {
    NewAsk { approver: address(to), why: AskWhy::Asked, digest, due }
}

async fn held_with_notice(store: &dyn Store, random: u64) -> (Id, NoticeId) {
    let mut new = held_message(random, &["a@x.example"]);
    new.notices = vec![NewNotice { kind: NoticeKind::HeldApprovers, due: NOW }];
    store.accept(new.clone()).await.unwrap();
    let due = store.due_notices(NOW, 99).await.unwrap();
    (new.id, due.iter().find(|notice| notice.message == new.id).unwrap().id)
}

/// A notice is turned into asks in one transaction; each ask is closed once, with its mail.
pub(in crate::store) async fn asks_are_answered_once(harness: &impl Harness) {
    let store = harness.open();
    let (id, notice) = held_with_notice(&*store, 1).await;
    let plan = AskPlan {
        asks: vec![ask("Boss@example.co.jp", false, NOW), ask("ceo@example.co.jp", false, at(9))],
        notices: vec![NewNotice { kind: NoticeKind::Expiring, due: at(45) }],
        assigned: Vec::new(),
    };
    store.plan_asks(notice, plan.clone()).await.unwrap();
    assert!(matches!(store.plan_asks(notice, plan).await, Err(StoreError::Fenced)));
    assert_eq!(store.due_notices(at(44), 9).await.unwrap(), []);
    assert_eq!(store.next_notice().await.unwrap(), Some(NOW));
    let held = store.message(id).await.unwrap().held.unwrap();
    for approver in ["boss@example.co.jp", "ceo@example.co.jp", "soumu@example.co.jp"] {
        assert!(
            held.approvers.iter().any(|one| one == approver),
            "{approver} may decide: {:?}",
            held.approvers
        );
    }
    let due = store.due_asks(NOW, 9).await.unwrap();
    assert_eq!(due.iter().map(|ask| ask.approver.as_str()).collect::<Vec<_>>(), ["Boss@example.co.jp"]);
    let mut mail = message(7, &[&["boss@example.co.jp"]], InitialState::Ready);
    mail.origin = Origin::Own { about: Some(id) };
    store.accept_telling(mail.clone(), vec![due[0].id]).await.unwrap();
    let mut again = mail;
    again.id = Id::new(NOW, 8);
    assert!(matches!(store.accept_telling(again.clone(), vec![due[0].id]).await, Err(StoreError::Fenced)));
    assert!(store.message(again.id).await.is_err(), "a mail that answers nothing is not taken in");
    let noted = store.journal(id).await.unwrap();
    assert!(
        noted
            .iter()
            .any(|entry| matches!(&entry.event, Event::Noticed { kind, .. } if kind == "held-approvers"))
    );
    let later = store.due_asks(at(9), 9).await.unwrap();
    store.drop_asks(vec![later[0].id]).await.unwrap();
    assert_eq!(store.due_asks(at(9), 9).await.unwrap(), []);
    assert_eq!(store.next_notice().await.unwrap(), Some(at(45)));
}

/// A digest that is due contains everything that waits for its recipient, and nothing else.
pub(in crate::store) async fn digests_take_all_that_waits(harness: &impl Harness) {
    let store = harness.open();
    for (random, due) in [(1, at(5)), (2, at(9))] {
        let (_, notice) = held_with_notice(&*store, random).await;
        let asks = vec![ask("boss@example.co.jp", true, due), ask("other@example.co.jp", true, at(30))];
        store.plan_asks(notice, AskPlan { asks, ..AskPlan::default() }).await.unwrap();
    }
    assert_eq!(store.due_asks(at(4), 9).await.unwrap(), []);
    let due = store.due_asks(at(5), 9).await.unwrap();
    assert_eq!(due.len(), 2);
    assert!(due.iter().all(|ask| ask.digest && ask.approver == address("boss@example.co.jp")));
}

/// A deputy is asked once about waiting mail of which the approver was notified, or will be.
pub(in crate::store) async fn deputies_are_asked_about_what_waits(harness: &impl Harness) {
    let store = harness.open();
    let boss = address("boss@example.co.jp");
    let told = ["Boss@example.co.jp", "Boss@example.co.jp", "ceo@example.co.jp", "boss@example.co.jp"];
    let mut items = Vec::new();
    for (random, approver) in (1..).zip(told) {
        let (id, notice) = held_with_notice(&*store, random).await;
        let asks = vec![ask(approver, false, NOW)];
        store.plan_asks(notice, AskPlan { asks, ..AskPlan::default() }).await.unwrap();
        items.push(id);
    }
    let first = store.due_asks(NOW, 9).await.unwrap().into_iter().find(|ask| ask.message == items[0]);
    let mut mail = message(9, &[&["boss@example.co.jp"]], InitialState::Ready);
    mail.origin = Origin::Own { about: Some(items[0]) };
    store.accept_telling(mail, vec![first.unwrap().id]).await.unwrap();
    let decision = HeldDecision::new(items[3], HeldState::Returned, "soumu", at(1), "please not");
    store.decide(decision).await.unwrap();
    let asks: Vec<(Id, NewAsk)> = items
        .iter()
        .map(|item| {
            let ask = ask("hosa@example.co.jp", false, at(2));
            (*item, NewAsk { why: AskWhy::Deputy, ..ask })
        })
        .collect();
    assert_eq!(store.ask_deputies(&boss, asks.clone()).await.unwrap(), 2, "one is another's, one is decided");
    assert_eq!(harness.open().ask_deputies(&boss, asks).await.unwrap(), 0, "they were asked");
    let due = store.due_asks(at(2), 99).await.unwrap();
    let theirs = due.iter().filter(|ask| ask.approver == address("hosa@example.co.jp"));
    let theirs: Vec<_> = theirs.map(|ask| (ask.message, ask.why)).collect();
    assert_eq!(theirs, [(items[0], AskWhy::Deputy), (items[1], AskWhy::Deputy)]);
    let held = store.message(items[0]).await.unwrap().held.unwrap();
    assert!(held.approvers.iter().any(|one| one == "hosa@example.co.jp"), "{:?}", held.approvers);
}

/// Mail that has waited untried gets one delay notice.
pub(in crate::store) async fn untried_mail_is_noted(harness: &impl Harness) {
    let store = harness.open();
    store.accept(message(1, &[&["a@x.example"], &["b@x.example"]], InitialState::Ready)).await.unwrap();
    store.accept(message(2, &[&["c@x.example"]], InitialState::Waiting(at(200)))).await.unwrap();
    assert_eq!(store.note_untried(at(9), minutes(10)).await.unwrap(), 0);
    assert_eq!(store.note_untried(at(10), minutes(10)).await.unwrap(), 1);
    assert_eq!(store.note_untried(at(11), minutes(10)).await.unwrap(), 0);
    let due = store.due_notices(at(11), 9).await.unwrap();
    assert_eq!(
        due.iter().map(|notice| (notice.message, notice.kind)).collect::<Vec<_>>(),
        [(Id::new(NOW, 1), NoticeKind::Delayed)]
    );
}

/// Hooks are called for the events that they want, in the transaction of the change; a call stays until it is made.
pub(in crate::store) async fn hooks_are_told(harness: &impl Harness) {
    let store = harness.open();
    store.accept(held_message(1, &["a@x.example"])).await.unwrap();
    assert_eq!(store.due_hooks(at(99), 9).await.unwrap(), [], "nobody wanted to know");
    let target = |url: &str, held, decided| HookTarget { url: url.to_owned(), held, decided };
    let both = vec![target("https://a.example/", true, true), target("https://b.example/", false, true)];
    store.set_hooks(both.clone()).await.unwrap();
    let new = held_message(2, &["a@x.example", "b@x.example"]);
    store.accept(new.clone()).await.unwrap();
    let calls = store.due_hooks(at(9_999_999), 9).await.unwrap();
    assert_eq!(calls.len(), 1);
    let call = &calls[0];
    assert_eq!((call.event, call.message, call.recipients), (HookEvent::Held, new.id, 2));
    assert_eq!(call.at, new.received, "the relay's clock tells when");
    assert_eq!(
        (call.sender.as_str(), call.kind, call.expires),
        ("Sato@example.co.jp", HoldKind::Ask, at(60))
    );
    store.retry_hook(call.id, at(20)).await.unwrap();
    let decision = HeldDecision::new(new.id, HeldState::Returned, "soumu", at(10), "please not");
    store.decide(decision.clone()).await.unwrap();
    assert!(store.decide(decision).await.is_err());
    let calls = store.due_hooks(at(19), 9).await.unwrap();
    let told: Vec<_> = calls.iter().map(|call| (call.url.as_str(), call.event, call.state)).collect();
    assert_eq!(
        told,
        [
            ("https://a.example/", HookEvent::Decided, HeldState::Returned),
            ("https://b.example/", HookEvent::Decided, HeldState::Returned),
        ]
    );
    assert_eq!((calls[0].by.as_deref(), calls[0].at), (Some("soumu"), at(10)));
    assert_eq!(store.due_hooks(at(20), 9).await.unwrap()[2].attempts, 1);
    store.end_hook(calls[0].id).await.unwrap();
    // A hook that was removed from the configuration is not called any more.
    store.set_hooks(both[..1].to_vec()).await.unwrap();
    assert_eq!(store.due_hooks(at(20), 9).await.unwrap().len(), 1);
    drop(store);
    assert_eq!(harness.open().due_hooks(at(20), 9).await.unwrap().len(), 1, "it outlives a restart");
}

/// An absence lasts until its last day, or until it is ended or replaced.
pub(in crate::store) async fn absences_come_and_go(harness: &impl Harness) {
    use crate::store::absences::Absence;
    let store = harness.open();
    let absence = |approver: &str, deputy: &str, until: &str| Absence {
        approver: address(approver),
        deputy: address(deputy),
        until: until.to_owned(),
        made_by: "soumu".to_owned(),
        made_at: NOW,
    };
    let first = absence("Boss@example.co.jp", "hosa@example.co.jp", "2026-12-04");
    store.set_absence(first.clone()).await.unwrap();
    store.set_absence(absence("ceo@example.co.jp", "hosa@example.co.jp", "2026-12-31")).await.unwrap();
    assert_eq!(store.absences("2026-12-04").await.unwrap()[0], first);
    assert_eq!(store.absences("2026-12-05").await.unwrap().len(), 1);
    let anew = absence("boss@example.co.jp", "other@example.co.jp", "2026-12-10");
    store.set_absence(anew.clone()).await.unwrap();
    assert_eq!(store.absences("2026-12-01").await.unwrap()[0], anew);
    let boss = address("BOSS@example.co.jp");
    assert!(store.end_absence(&boss, "soumu", at(9)).await.unwrap());
    assert!(!store.end_absence(&boss, "soumu", at(9)).await.unwrap());
    assert_eq!(harness.open().absences("2026-12-01").await.unwrap().len(), 1);
}

/// Everybody who was notified of an item by mail is listed, without those who decided; deputies may decide at once.
pub(in crate::store) async fn who_was_told_is_known(harness: &impl Harness) {
    let store = harness.open();
    let (id, notice) = held_with_notice(&*store, 1).await;
    let asks = ["boss@example.co.jp", "ceo@example.co.jp", "late@example.co.jp"];
    let plan = AskPlan {
        asks: asks
            .iter()
            .map(|one| ask(one, false, if one.starts_with("late") { at(99) } else { NOW }))
            .collect(),
        assigned: vec![address("hosa@example.co.jp")],
        ..AskPlan::default()
    };
    store.plan_asks(notice, plan).await.unwrap();
    let held = store.message(id).await.unwrap().held.unwrap();
    assert!(held.approvers.iter().any(|one| one == "hosa@example.co.jp"));
    assert_eq!(store.told(id).await.unwrap(), []);
    for (random, due) in store.due_asks(NOW, 9).await.unwrap().into_iter().enumerate() {
        let mut mail = message(70 + random as u64, &[&["boss@example.co.jp"]], InitialState::Ready);
        mail.origin = Origin::Own { about: Some(id) };
        store.accept_telling(mail, vec![due.id]).await.unwrap();
    }
    assert_eq!(store.told(id).await.unwrap(), addresses(&["boss@example.co.jp", "ceo@example.co.jp"]));
    let decision = HeldDecision {
        deciders: addresses(&["Boss@example.co.jp"]),
        notices: vec![NewNotice { kind: NoticeKind::Settled, due: at(1) }],
        ..HeldDecision::new(id, HeldState::Returned, "boss", at(1), "no")
    };
    store.decide(decision).await.unwrap();
    assert_eq!(store.told(id).await.unwrap(), addresses(&["ceo@example.co.jp"]));
    let due = store.due_notices(at(1), 9).await.unwrap();
    assert_eq!(due.iter().map(|notice| notice.kind).collect::<Vec<_>>(), [NoticeKind::Settled]);
}

/// A message whose sender asked for sending as is, is marked and can be searched for.
pub(in crate::store) async fn asked_as_is_is_found(harness: &impl Harness) {
    let store = harness.open();
    let (asked, _) = held_with_notice(&*store, 1).await;
    held_with_notice(&*store, 2).await;
    let event =
        Event::Asked { by: "sato@example.co.jp".to_owned(), reason: "they know each other".to_owned() };
    let notice = NewNotice { kind: NoticeKind::AskedAsIs, due: at(1) };
    store.note_held(asked, at(1), event, vec![notice]).await.unwrap();
    let query = HeldQuery { as_is: true, state: Some(HeldState::Held), ..HeldQuery::new(Scope::All) };
    let found = store.held_page(&query).await.unwrap().lines;
    assert_eq!(found.iter().map(|line| (line.id, line.asked)).collect::<Vec<_>>(), [(asked, true)]);
    let all = store.held_page(&HeldQuery::new(Scope::All)).await.unwrap().lines;
    assert_eq!(all.iter().map(|line| line.asked).collect::<Vec<_>>(), [false, true]);
}
