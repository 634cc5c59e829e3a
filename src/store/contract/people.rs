//! Held messages, decisions, the stop by the final check, notices, the ledger, statistics.

use super::*;
use DeliveryState::{Delivered, Dropped, Failed, Ready, Waiting};

fn decision(id: Id, state: HeldState, by: &str) -> HeldDecision {
    HeldDecision::new(id, state, by, at(10), "split")
}

pub(in crate::store) fn release(id: Id, by: &str, to: &[&str]) -> HeldDecision {
    let copies = to.iter().map(|to| NewDelivery {
        delivery: sample(vec![Recipient::plain(address(to))], true),
        state: InitialState::Ready,
    });
    HeldDecision { deliveries: copies.collect(), ..decision(id, HeldState::Released, by) }
}

/// A message is held, listed and released: its copies leave, and everybody can see who decided.
pub(in crate::store) async fn holds_and_releases(harness: &impl Harness) {
    let store = harness.open();
    let new = held_message(1, &["a@x.example", "b@y.example"]);
    store.accept(new.clone()).await.unwrap();
    store.accept(held_message(2, &["c@x.example"])).await.unwrap();
    let rows = store.held(&HeldFilter::default()).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [Id::new(NOW, 2), new.id]);
    let row = &rows[1];
    assert_eq!((row.state, row.kind, row.expires), (HeldState::Held, HoldKind::Ask, at(60)));
    assert_eq!(
        (row.reasons[0].as_str(), row.reasons_ja[0].as_str()),
        ("They would see each other.", "互いに見えます。")
    );
    assert_eq!((row.sender.as_str(), row.recipients.len()), ("Sato@example.co.jp", 2));
    let overdue = HeldFilter { expired_by: Some(at(60)), ..HeldFilter::default() };
    assert_eq!(store.held(&overdue).await.unwrap(), []);

    let mut verdict = release(new.id, "soumu@example.co.jp", &["a@x.example", "b@y.example"]);
    verdict.needles = addresses(&["a@x.example"]);
    verdict.ledger = Some(super::messages::disclosed("1@example.co.jp"));
    verdict.events = vec![Event::Released {
        by: "soumu".to_owned(),
        how: "split".to_owned(),
        dropped: vec![],
        stood: None,
    }];
    store.decide(verdict.clone()).await.unwrap();
    let kept = store.message(new.id).await.unwrap();
    let hold = kept.held.as_ref().unwrap();
    assert_eq!((hold.state, hold.decided_at), (HeldState::Released, Some(at(10))));
    assert_eq!(hold.decided_by.as_deref(), Some("soumu@example.co.jp"));
    assert_eq!(*kept.needles, addresses(&["a@x.example"]));
    assert_eq!(store.journal(new.id).await.unwrap()[1].event, verdict.events[0]);
    let claims = store.claim(at(10), 9, LEASE).await.unwrap();
    assert_eq!(claims.iter().map(|claim| claim.queued).collect::<Vec<_>>(), [at(10), at(10)]);
    assert_eq!(store.disclosed(&["1@example.co.jp".to_owned()]).await.unwrap().len(), 1);
    let undecided = HeldFilter { state: Some(HeldState::Held), ..HeldFilter::default() };
    assert_eq!(store.held(&undecided).await.unwrap().len(), 1);
}

/// Of many concurrent decisions one counts; the others are told who decided.
pub(in crate::store) async fn one_of_many_decides(harness: &impl Harness) {
    let store = harness.open();
    let new = held_message(1, &["a@x.example"]);
    store.accept(new.clone()).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for person in 0..20 {
        let store = store.clone();
        let name = format!("person{person}");
        let verdict = release(new.id, &name, &["a@x.example"]);
        tasks.spawn(async move { (name, store.decide(verdict).await) });
    }
    let (mut winner, mut told) = (None, Vec::new());
    while let Some(done) = tasks.join_next().await {
        match done.unwrap() {
            (name, Ok(())) => assert!(winner.replace(name).is_none(), "two decided"),
            (_, Err(StoreError::Decided { state, by, at: when })) => {
                assert_eq!((state, when), (HeldState::Released, at(10)));
                told.push(by);
            }
            (name, other) => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!(told, vec![winner.unwrap(); 19]);
    assert_eq!(store.deliveries(new.id).await.unwrap().len(), 1);
    let unknown = store.decide(release(Id::new(NOW, 9), "x", &[])).await;
    assert!(matches!(unknown, Err(StoreError::NotFound(_))));
}

/// A hold expires only after its deadline.
pub(in crate::store) async fn expires_no_sooner(harness: &impl Harness) {
    let store = harness.open();
    let new = held_message(1, &["a@x.example"]);
    store.accept(new.clone()).await.unwrap();
    let mut verdict = decision(new.id, HeldState::Expired, "clock");
    assert!(matches!(store.decide(verdict.clone()).await, Err(StoreError::Fenced)));
    verdict.at = at(60);
    verdict.notices = vec![NewNotice { kind: NoticeKind::Expired, due: at(60) }];
    store.decide(verdict).await.unwrap();
    assert_eq!(store.due_notices(at(60), 9).await.unwrap().len(), 1);
}

/// The final check stops a message: what was delivered stays so, the rest is withdrawn, and the message is held
/// again.
pub(in crate::store) async fn stops_what_is_unsent(harness: &impl Harness) {
    let store = harness.open();
    let new = message(1, &[&["a@x.example"], &["b@x.example"], &["c@x.example"]], InitialState::Ready);
    store.accept(new.clone()).await.unwrap();
    let claims = store.claim(NOW, 2, LEASE).await.unwrap();
    store.record(result(&claims[0], NOW, &[("a@x.example", Delivered)])).await.unwrap();
    let hit = crate::rewrite::Hit {
        address: address("c@x.example"),
        place: "header Subject".to_owned(),
        form: "as text".to_owned(),
    };
    let stop =
        Stop { id: new.id, at: at(1), hits: vec![hit.clone()], expires: at(90), approvers: Vec::new() };
    store.stop(stop.clone()).await.unwrap();
    store.stop(stop).await.unwrap();
    let expected = [(Delivered, "a@x.example"), (Dropped, "b@x.example"), (Dropped, "c@x.example")];
    assert_eq!(states(store.as_ref(), new.id).await, expected.map(|(state, to)| (state, to.to_owned())));
    assert_eq!(store.renew(&[claims[1].lease], at(2)).await.unwrap(), [claims[1].lease]);
    assert!(store.claim(at(5), 9, LEASE).await.unwrap().is_empty());
    let hold = store.message(new.id).await.unwrap().held.unwrap();
    assert_eq!(
        (hold.state, hold.kind, hold.hits, hold.expires),
        (HeldState::Held, HoldKind::Unsafe, vec![hit], at(90))
    );
    assert!(hold.reasons[0].contains("c@x.example"), "{:?}", hold.reasons);
    let journal = store.journal(new.id).await.unwrap();
    let stopped = Event::Stopped { places: vec!["header Subject".to_owned()], left: 1, total: 3 };
    assert_eq!(journal.iter().filter(|entry| entry.event == stopped).count(), 1);
    assert_eq!(store.due_notices(at(1), 9).await.unwrap()[0].kind, NoticeKind::Stopped);
    // A release adds new copies, which continue the numbering.
    store.decide(release(new.id, "soumu", &["b@x.example"])).await.unwrap();
    // The copy for this recipient was on its way: it may have arrived.
    let row = store.deliveries(new.id).await.unwrap().remove(3);
    assert_eq!((row.id, row.possible_duplicate), (format!("{}.4", new.id), true));
}

/// A notice is closed when it is answered or dropped, and is never answered twice.
pub(in crate::store) async fn notices_are_answered_once(harness: &impl Harness) {
    let store = harness.open();
    let mut new = held_message(1, &["a@x.example"]);
    let notice = |kind, due| NewNotice { kind, due };
    new.notices = vec![
        notice(NoticeKind::Held, at(2)),
        notice(NoticeKind::HeldApprovers, at(1)),
        notice(NoticeKind::Held, at(3)),
    ];
    store.accept(new.clone()).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), Some(at(1)));
    assert_eq!(store.due_notices(NOW, 9).await.unwrap(), []);
    let due = store.due_notices(at(5), 9).await.unwrap();
    let kinds: Vec<NoticeKind> = due.iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [NoticeKind::HeldApprovers, NoticeKind::Held], "the earlier of both counts");

    let mut own = message(2, &[&["sato@example.co.jp"]], InitialState::Ready);
    own.origin = Origin::Own { about: Some(new.id) };
    own.answers = Some(due[1].id);
    store.accept(own.clone()).await.unwrap();
    let event = Event::Noticed { kind: "held".to_owned(), notice: own.id };
    assert_eq!(store.journal(new.id).await.unwrap()[1].event, event);
    let mut twice = own.clone();
    twice.id = Id::new(NOW, 3);
    assert!(matches!(store.accept(twice).await, Err(StoreError::Fenced)));
    assert!(matches!(store.message(Id::new(NOW, 3)).await, Err(StoreError::NotFound(_))));
    store.drop_notice(due[0].id).await.unwrap();
    assert_eq!(store.due_notices(at(5), 9).await.unwrap(), []);
}

/// Failures are reported once early, and once at the end.
pub(in crate::store) async fn failures_are_reported(harness: &impl Harness) {
    let store = harness.open();
    let to = ["a@x.example", "b@x.example", "c@x.example", "d@x.example"];
    let new = message(1, &[&[to[0]], &[to[1]], &[to[2]], &[to[3]]], InitialState::Ready);
    store.accept(new.clone()).await.unwrap();
    let claims = store.claim(NOW, 9, LEASE).await.unwrap();
    let fail = |index: usize, when: Timestamp| {
        let mut failed = result(&claims[index], when, &[(to[index], Failed)]);
        failed.notices = vec![NewNotice { kind: NoticeKind::Failure, due: when.plus(minutes(15)) }];
        failed
    };
    store.record(fail(0, NOW)).await.unwrap();
    assert_eq!(store.due_notices(at(14), 9).await.unwrap(), []);
    let first = store.due_notices(at(15), 9).await.unwrap().remove(0);
    // Another recipient fails while the report is being written, which is then out of date.
    store.record(fail(1, at(1))).await.unwrap();
    let answer = |random: u64, notice: &DueNotice| {
        let mut own = message(random, &[&["sato@example.co.jp"]], InitialState::Waiting(at(999)));
        own.answers = Some(notice.id);
        own
    };
    assert!(matches!(store.accept(answer(2, &first)).await, Err(StoreError::Fenced)));
    let first = store.due_notices(at(15), 9).await.unwrap().remove(0);
    store.accept(answer(2, &first)).await.unwrap();

    store.record(fail(2, at(20))).await.unwrap();
    assert_eq!(store.due_notices(at(500), 9).await.unwrap(), [], "the second waits for the end");
    store.record(result(&claims[3], at(21), &[(to[3], Delivered)])).await.unwrap();
    let last = store.due_notices(at(21), 9).await.unwrap();
    assert_eq!(last.iter().map(|one| one.kind).collect::<Vec<_>>(), [NoticeKind::Failure]);
    // The order of the journal shows what came before a report and what after it, whatever the times are.
    let journal = store.journal(new.id).await.unwrap();
    let told = journal.iter().filter_map(|entry| match &entry.event {
        Event::Attempt { recipients, .. } => Some(recipients[0].as_str()),
        Event::Noticed { .. } => Some("report"),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [to[0], to[1], "report", to[2], to[3]]);
}

/// A report is due at once if nothing is left to wait for, also because the rest was dropped.
pub(in crate::store) async fn the_last_failure_is_reported_at_once(harness: &impl Harness) {
    let store = harness.open();
    store.accept(message(1, &[&["a@x.example"], &["b@x.example"]], InitialState::Ready)).await.unwrap();
    let claims = store.claim(NOW, 9, LEASE).await.unwrap();
    let mut failed = result(&claims[0], NOW, &[("a@x.example", Failed)]);
    failed.notices = vec![NewNotice { kind: NoticeKind::Failure, due: at(15) }];
    store.record(failed).await.unwrap();
    store.record(result(&claims[1], NOW, &[("b@x.example", Waiting)])).await.unwrap();
    assert_eq!(store.due_notices(at(1), 9).await.unwrap(), []);
    store.change_queue(&QueueFilter::default(), QueueChange::Drop, "root", at(1)).await.unwrap();
    assert_eq!(store.due_notices(at(1), 9).await.unwrap().len(), 1);
}

/// The ledger has what was disclosed under a Message-ID, even if other mail used that Message-ID.
pub(in crate::store) async fn the_ledger_remembers(harness: &impl Harness) {
    let store = harness.open();
    for (random, when) in [(1, NOW), (2, NOW), (3, at(60 * 24 * 20))] {
        let mut new = message(random, &[&["a@x.example"]], InitialState::Ready);
        new.received = when;
        new.ledger = Some(super::messages::disclosed(if random == 2 { "two@x" } else { "one@x" }));
        store.accept(new).await.unwrap();
    }
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    assert_eq!(store.disclosed(&ids(&["one@x"])).await.unwrap().len(), 2);
    let found = store.disclosed(&ids(&["none@x", "two@x"])).await.unwrap();
    assert_eq!(found, [super::messages::disclosed("two@x")]);
    assert_eq!(store.disclosed(&[]).await.unwrap(), []);
}

/// The statistics count what they say.
pub(in crate::store) async fn summarises(harness: &impl Harness) {
    let store = harness.open();
    store.accept(message(1, &[&["a@x.example"]], InitialState::Ready)).await.unwrap();
    let mut split = message(2, &[&["a@x.example"]], InitialState::Waiting(at(5)));
    split.deliveries[0].delivery = sample(split.envelope.recipients.clone(), true);
    store.accept(split).await.unwrap();
    let returned = held_message(3, &["a@x.example"]);
    store.accept(returned.clone()).await.unwrap();
    store.accept(held_message(4, &["a@x.example"])).await.unwrap();
    let mut old = message(5, &[&["a@x.example"]], InitialState::Ready);
    old.id = Id::new(NOW.minus(minutes(600)), 5);
    old.received = NOW.minus(minutes(600));
    store.accept(old).await.unwrap();
    assert_eq!(store.summary(NOW).await.unwrap().exposures_prevented, 6);
    store.decide(decision(returned.id, HeldState::Returned, "soumu")).await.unwrap();

    let summary = store.summary(NOW).await.unwrap();
    assert_eq!(summary.exposures_prevented, 12);
    assert_eq!(summary.accepted.get("pass"), Some(&4));
    assert_eq!((summary.held["held"], summary.held["returned"]), (1, 1));
    assert_eq!(summary.deliveries[&Ready.to_string()], 2, "what is open counts whatever its age");
    assert_eq!(summary.deliveries[&Waiting.to_string()], 1);
}
