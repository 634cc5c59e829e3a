//! One mail in several transactions: what came before, items and their members, taking back.

use super::*;
use crate::message::Header;
use crate::message::fork::{Fork, Leaves};
use crate::message::walk::Part;
use crate::store::forks::{Again, HoldWaiting};
use DeliveryState::{Dropped, Failed, Ready, Waiting};

/// The fork of a mail with this subject and text.
pub(in crate::store) fn fork(subject: &str, text: &str) -> Fork {
    let mut leaves = Leaves::default();
    leaves.data(text.as_bytes());
    leaves.end(&Part::default());
    let block = format!(
        "From: sato@example.co.jp\r\nDate: Mon, 6 Oct 2025 10:00:00 +0900\r\nMessage-ID: <1@x>\r\nSubject: {subject}\r\n"
    );
    Fork::of(None, &Header::parse(Bytes::from(block)).unwrap(), leaves.finish(), None).unwrap()
}

pub(in crate::store) fn passed(random: u64, to: &[&str]) -> NewMessage {
    NewMessage { fork: Some(fork("one", "text")), ..message(random, &[to], InitialState::Ready) }
}

pub(super) fn in_place(random: u64, to: &[&str], relation: ForkRelation) -> NewMessage {
    let mut new = held_message(random, to);
    new.fork = Some(fork("one", "text"));
    new.held.as_mut().unwrap().relation = relation;
    new
}

pub(super) fn joining(item: Id, token: &str) -> ForkRelation {
    ForkRelation { joins: Some(item), expected: Some(token.to_owned()), ..ForkRelation::default() }
}

fn awaited(keys: &[&str]) -> Vec<Awaited> {
    keys.iter().map(|key| Awaited { key: (*key).to_owned(), outside: true }).collect()
}

pub(super) fn original(result: &Result<Vec<Claim>, StoreError>) -> Option<Id> {
    match result {
        Err(StoreError::Known { original, .. }) => Some(*original),
        _ => None,
    }
}

/// The same mail for the same recipient is stored once within a day, also after a restart.
pub(in crate::store) async fn the_same_is_kept_once(harness: &impl Harness) {
    let store = harness.open();
    let first = passed(1, &["A@x.example", "b@y.example"]);
    store.accept(first.clone()).await.unwrap();
    assert_eq!(original(&store.accept(passed(2, &["a@X.example"])).await), Some(first.id));
    // Another mail comes after the clock was set back: its row is higher, and its id is lower.
    let mut back = message(0, &[&["d@x.example"]], InitialState::Ready);
    back.received = Timestamp(NOW.0 - 1_800_000);
    back.id = Id::new(back.received, 0);
    back.fork = Some(fork("another", "text"));
    store.accept(back).await.unwrap();
    drop(store);
    let store = harness.open();
    store.recover(at(1)).await.unwrap();
    assert_eq!(original(&store.accept(passed(3, &["b@y.example", "a@x.example"])).await), Some(first.id));

    // A new recipient gets it; the others do not get it again.
    let more = passed(4, &["a@x.example", "c@z.example"]);
    store.accept(more.clone()).await.unwrap();
    assert_eq!(states(&*store, more.id).await, [(Ready, "c@z.example".to_owned())]);
    let kept = store.message(more.id).await.unwrap();
    assert!(kept.envelope.recipients.iter().any(|to| to.address.key() == "c@z.example"));

    // The recipient who was left out is still known.
    assert_eq!(original(&store.accept(passed(9, &["a@x.example"])).await), Some(first.id));
    assert_eq!(original(&store.accept(passed(10, &["c@z.example"])).await), Some(more.id));

    // A mail with other contents, another header, or no fork to identify it is not the same.
    for (random, other) in [(5, Some(fork("one", "other"))), (6, Some(fork("two", "text"))), (7, None)] {
        let new = NewMessage { fork: other, ..passed(random, &["a@x.example"]) };
        store.accept(new.clone()).await.unwrap();
        assert_eq!(states(&*store, new.id).await.len(), 1);
    }
    let namesake = store.journal(Id::new(NOW, 6)).await.unwrap();
    assert_eq!(namesake[1].event, Event::Namesake { of: first.id });

    let mut late = passed(8, &["a@x.example"]);
    (late.received, late.id) = (at(24 * 60 + 1), Id::new(at(24 * 60 + 1), 8));
    store.accept(late.clone()).await.unwrap();
    assert_eq!(states(&*store, late.id).await.len(), 1);
}

/// A mail may be sent again to a recipient whose delivery failed or was dropped.
pub(in crate::store) async fn what_failed_may_come_again(harness: &impl Harness) {
    let store = harness.open();
    let first = passed(1, &["a@x.example", "b@y.example"]);
    store.accept(first.clone()).await.unwrap();
    let claim = store.claim(NOW, 1, LEASE).await.unwrap().remove(0);
    let fates = [("a@x.example", Failed), ("b@y.example", DeliveryState::Delivered)];
    store.record(result(&claim, at(1), &fates)).await.unwrap();
    assert_eq!(original(&store.accept(passed(2, &["b@y.example"])).await), Some(first.id));
    let again = passed(3, &["a@x.example", "b@y.example"]);
    store.accept(again.clone()).await.unwrap();
    assert_eq!(states(&*store, again.id).await, [(Ready, "a@x.example".to_owned())]);
}

/// A copy that an operator drops while it is being sent may arrive: nobody is sent another one before its attempt has
/// ended.
pub(in crate::store) async fn what_is_dropped_on_its_way_may_come_again_later(harness: &impl Harness) {
    let store = harness.open();
    for (seed, to, recorded) in [(1, "a@x.example", true), (11, "b@x.example", false)] {
        let first = passed(seed, &[to]);
        store.accept(first.clone()).await.unwrap();
        let claim = store.claim(NOW, 1, LEASE).await.unwrap().remove(0);
        let one = QueueFilter { id: Some(first.id.to_string()), ..QueueFilter::default() };
        assert_eq!(store.change_queue(&one, QueueChange::Drop, "root", NOW).await.unwrap(), 1);
        assert_eq!(
            original(&store.accept(passed(seed + 1, &[to])).await),
            Some(first.id),
            "it is on its way"
        );
        let mut again = passed(seed + 2, &[to]);
        if recorded {
            store.record(result(&claim, NOW, &[(to, Waiting)])).await.unwrap();
        } else {
            // Its lease has run out.
            (again.received, again.id) = (at(1), Id::new(at(1), seed + 2));
        }
        store.accept(again.clone()).await.unwrap();
        assert_eq!(states(&*store, first.id).await[0].0, Dropped);
        assert_eq!(states(&*store, again.id).await, [(Ready, to.to_owned())]);
        let claim = store.claim(at(1), 1, LEASE).await.unwrap().remove(0);
        store.record(result(&claim, at(1), &[(to, DeliveryState::Delivered)])).await.unwrap();
    }
}

/// Of many concurrent repeats one is stored.
pub(in crate::store) async fn of_many_the_same_one_is_kept(harness: &impl Harness) {
    let store = harness.open();
    let mut tasks = tokio::task::JoinSet::new();
    for random in 0..40 {
        let store = store.clone();
        tasks.spawn(async move { store.accept(passed(random, &["a@x.example"])).await });
    }
    let (mut kept, mut known) = (0, 0);
    while let Some(done) = tasks.join_next().await {
        match done.unwrap() {
            Ok(_) => kept += 1,
            Err(StoreError::Known { held: false, .. }) => known += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((kept, known), (1, 39));
    assert_eq!(store.queue(&QueueFilter::default()).await.unwrap().len(), 1);
}

/// The transactions of a held mail are one item; a plan on a state that has changed is refused.
pub(in crate::store) async fn transactions_are_one_item(harness: &impl Harness) {
    let store = harness.open();
    let group = fork("one", "text").group;
    assert_eq!(store.group_items(group).await.unwrap(), GroupItems::default());
    let place = ForkRelation {
        awaited: awaited(&["b@y.example", "c@z.example"]),
        expected: Some(String::new()),
        ..ForkRelation::default()
    };
    let item = NewMessage {
        notices: vec![NewNotice { kind: NoticeKind::Held, due: NOW.plus(Duration::from_secs(30)) }],
        ..in_place(1, &["a@x.example"], place)
    };
    store.accept(item.clone()).await.unwrap();
    let stale = in_place(
        2,
        &["b@y.example"],
        ForkRelation { expected: Some(String::new()), ..ForkRelation::default() },
    );
    assert!(matches!(store.accept(stale).await, Err(StoreError::Moved)));
    let found = store.group_items(group).await.unwrap();
    assert_eq!((found.items.len(), found.items[0].id, found.items[0].variants.len()), (1, item.id, 1));

    let mut second = in_place(2, &["b@y.example"], joining(item.id, &found.token));
    second.received = NOW.plus(Duration::from_secs(10));
    second.held.as_mut().unwrap().kind = HoldKind::Rule;
    store.accept(second.clone()).await.unwrap();
    let rows = store.held(&HeldFilter::default()).await.unwrap();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!((rows[0].id, rows[0].members, rows[0].kind), (item.id, 2, HoldKind::Rule));
    assert_eq!(rows[0].recipients, ["a@x.example", "b@y.example"]);
    assert_eq!(rows[0].received_of(), (2, 3));
    assert_eq!(store.message(second.id).await.unwrap().held.unwrap().item, item.id);
    assert_eq!(store.members(item.id).await.unwrap(), [item.id, second.id]);
    // The last transaction came only ten seconds ago.
    let due = |seconds| store.due_notices(NOW.plus(Duration::from_secs(seconds)), 9);
    assert_eq!((due(39).await.unwrap().len(), due(40).await.unwrap().len()), (0, 1));
    let mut third = in_place(3, &["c@z.example"], joining(item.id, &found.token));
    third.received = NOW.plus(Duration::from_secs(12));
    store.accept(third.clone()).await.unwrap();
    assert_eq!(due(12).await.unwrap().len(), 1, "nobody is missing: people are told at once");

    // The list has one line, whichever recipient of the item the query names.
    let query = HeldQuery { recipient: Some("c@z.example".to_owned()), ..HeldQuery::new(Scope::All) };
    let page = store.held_page(&query).await.unwrap();
    assert_eq!(
        page.lines.iter().map(|line| (line.id, line.recipient_count)).collect::<Vec<_>>(),
        [(item.id, 3)]
    );
}

pub(super) fn released(item: &NewMessage, siblings: &[&NewMessage]) -> HeldDecision {
    let deliveries = |to: &NewMessage| {
        to.envelope
            .recipients
            .iter()
            .map(|to| NewDelivery { delivery: sample(vec![to.clone()], true), state: InitialState::Ready })
            .collect::<Vec<_>>()
    };
    HeldDecision {
        deliveries: deliveries(item),
        events: vec![Event::Expired {}],
        siblings: siblings
            .iter()
            .map(|one| Sibling { id: one.id, deliveries: deliveries(one), needles: Vec::new(), ledger: None })
            .collect(),
        release: Some(Release { disclosure: crate::policy::Disclosure::Split, ..Release::default() }),
        ..HeldDecision::new(item.id, HeldState::Released, "soumu", at(10), "split")
    }
}

/// A decision on an item covers all its members or none; members that come late share it.
pub(in crate::store) async fn an_item_is_decided_whole(harness: &impl Harness) {
    let store = harness.open();
    let group = fork("one", "text").group;
    let item = in_place(1, &["a@x.example"], ForkRelation::default());
    store.accept(item.clone()).await.unwrap();
    let token = store.group_items(group).await.unwrap().token;
    let second = in_place(2, &["b@y.example"], joining(item.id, &token));
    store.accept(second.clone()).await.unwrap();
    assert!(matches!(store.decide(released(&item, &[])).await, Err(StoreError::Moved)), "a sibling joined");
    assert_eq!(store.queue(&QueueFilter::default()).await.unwrap(), []);
    store.decide(released(&item, &[&second])).await.unwrap();
    assert_eq!(store.queue(&QueueFilter::default()).await.unwrap().len(), 2);
    for id in [item.id, second.id] {
        let held = store.message(id).await.unwrap().held.unwrap();
        assert_eq!((held.state, held.decided_by.as_deref()), (HeldState::Released, Some("soumu")));
        assert_eq!(store.journal(id).await.unwrap().len(), 2);
    }
    assert!(matches!(store.decide(released(&item, &[&second])).await, Err(StoreError::Decided { .. })));

    let stale = in_place(3, &["c@z.example"], joining(item.id, &token));
    assert!(matches!(store.accept(stale).await, Err(StoreError::Moved)));
    let found = store.group_items(group).await.unwrap();
    assert!(found.items[0].release.is_some());
    let mut late = in_place(3, &["c@z.example"], joining(item.id, &found.token));
    late.deliveries = vec![NewDelivery { delivery: copy(&["c@z.example"]), state: InitialState::Ready }];
    store.accept(late.clone()).await.unwrap();
    assert_eq!(store.message(late.id).await.unwrap().held.unwrap().state, HeldState::Released);
    let addendum =
        ForkRelation { adds_to: Some(item.id), expected: Some(found.token), ..ForkRelation::default() };
    let addendum = in_place(4, &["q@q.example"], addendum);
    store.accept(addendum.clone()).await.unwrap();
    let open = HeldFilter { state: Some(HeldState::Held), ..HeldFilter::default() };
    let rows = store.held(&open).await.unwrap();
    assert_eq!(
        rows.iter().map(|row| (row.id, row.addendum_to)).collect::<Vec<_>>(),
        [(addendum.id, Some(item.id))]
    );
}

/// A returned mail may be sent again, whichever way it was returned, and is a new mail: it is sent or held by itself,
/// not refused as a repeat of a mail that was never sent. Its further transactions belong to it.
pub(in crate::store) async fn what_went_back_may_come_again(harness: &impl Harness) {
    for (state, undo) in
        [(HeldState::Returned, None), (HeldState::Returned, Some(at(60))), (HeldState::Expired, None)]
    {
        let store = harness.open();
        let text = format!("{state} {undo:?}");
        let with = |new: NewMessage| NewMessage { fork: Some(fork("one", &text)), ..new };
        let seed = text.len() as u64 * 100 + u64::from(undo.is_some());
        let item = with(in_place(seed, &["a@x.example", "b@y.example"], ForkRelation::default()));
        store.accept(item.clone()).await.unwrap();
        assert!(matches!(
            store.accept(with(in_place(seed + 10, &["a@x.example"], ForkRelation::default()))).await,
            Err(StoreError::Known { held: true, .. })
        ));
        let back =
            HeldDecision { undo_until: undo, ..HeldDecision::new(item.id, state, "sato", at(61), "no") };
        store.decide(back).await.unwrap();
        let found = store.group_items(fork("one", &text).group).await.unwrap();
        let joins = with(in_place(seed + 20, &["b@y.example"], joining(item.id, &found.token)));
        assert!(matches!(store.accept(joins).await, Err(StoreError::SentAgain)), "{text}");
        let again = with(passed(seed + 30, &["a@x.example", "b@y.example"]));
        assert_eq!(store.accept(again.clone()).await.unwrap().len(), 0);
        let kept = states(&*store, again.id).await;
        assert_eq!(kept, [(Ready, "a@x.example b@y.example".to_owned())], "{text}");
        // The new mail is the original from now on.
        let third = with(passed(seed + 40, &["b@y.example"]));
        assert_eq!(original(&store.accept(third).await), Some(again.id), "{text}");
    }
    // The same for delayed mail that was taken back.
    let store = harness.open();
    let delayed = |random, to: &[&str]| NewMessage {
        fork: Some(fork("two", "delayed")),
        ..message(random, &[to], InitialState::Waiting(at(5)))
    };
    let (one, two) = (delayed(9_001, &["a@x.example"]), delayed(9_002, &["a@x.example"]));
    store.accept(one.clone()).await.unwrap();
    assert_eq!(original(&store.accept(two.clone()).await), Some(one.id));
    assert_eq!(store.take_back(one.id, "sato", at(4)).await.unwrap(), 1);
    store.accept(two.clone()).await.unwrap();
    assert_eq!(states(&*store, two.id).await, [(Waiting, "a@x.example".to_owned())]);
    // Its further transactions belong to the new mail, also after a restart, or on another node.
    let sibling = delayed(9_003, &["b@y.example"]);
    store.accept(sibling.clone()).await.unwrap();
    let beside = harness.beside(&store);
    let third = delayed(9_004, &["c@z.example"]);
    beside.accept(third.clone()).await.unwrap();
    drop((store, beside));
    let store = harness.open();
    store.recover(at(4)).await.unwrap();
    let last = delayed(9_005, &["d@z.example"]);
    store.accept(last.clone()).await.unwrap();
    for new in [&sibling, &third, &last] {
        assert_eq!(states(&*store, new.id).await[0].0, Waiting, "{} was taken back", new.id);
    }
    assert_eq!(store.undo_take_back(one.id, "sato", at(4)).await.unwrap(), 0, "it would come twice");
    assert_eq!(states(&*store, one.id).await[0].0, Dropped);
}

/// For a while, held mail that was taken back can be held again.
pub(in crate::store) async fn taking_held_mail_back_is_undone(harness: &impl Harness) {
    let store = harness.open();
    let item = in_place(1, &["a@x.example"], ForkRelation::default());
    store.accept(item.clone()).await.unwrap();
    let back = HeldDecision {
        state: HeldState::Returned,
        notices: vec![NewNotice { kind: NoticeKind::Returned, due: at(10) }],
        release: None,
        undo_until: Some(at(60)),
        ..released(&item, &[])
    };
    store.decide(back.clone()).await.unwrap();
    // If it were sent again meanwhile, it would be a mail of its own; it does not join the returned item.
    let token = store.group_items(fork("one", "text").group).await.unwrap().token;
    let resent = in_place(2, &["a@x.example"], joining(item.id, &token));
    assert!(matches!(store.accept(resent).await, Err(StoreError::SentAgain)));
    let again = |minute| Again { id: item.id, by: "sato".to_owned(), at: at(minute), expires: at(500) };
    assert!(matches!(store.hold_again(again(60)).await, Err(StoreError::Decided { .. })));
    store.hold_again(again(59)).await.unwrap();
    let held = store.message(item.id).await.unwrap().held.unwrap();
    assert_eq!((held.state, held.expires, held.decided_by), (HeldState::Held, at(500), None));
    // Nobody was asked yet, and it waits again: the approvers are notified.
    let due = store.due_notices(at(500), 9).await.unwrap();
    assert_eq!(due.iter().map(|due| due.kind).collect::<Vec<_>>(), [NoticeKind::HeldApprovers]);
    assert!(matches!(store.hold_again(again(59)).await, Err(StoreError::Decided { .. })));
    store.decide(HeldDecision { undo_until: None, ..back }).await.unwrap();
    assert!(matches!(store.hold_again(again(11)).await, Err(StoreError::Decided { .. })));
}

/// Delayed mail is taken back in all its transactions, also those that come late; after undoing, it is due as before.
pub(in crate::store) async fn delayed_mail_is_taken_back(harness: &impl Harness) {
    let store = harness.open();
    let delayed = |random, to: &str| NewMessage {
        fork: Some(fork("one", "text")),
        ..message(random, &[&[to]], InitialState::Waiting(at(5)))
    };
    let (one, two, late) = (delayed(1, "a@x.example"), delayed(2, "b@y.example"), delayed(3, "c@z.example"));
    store.accept(one.clone()).await.unwrap();
    store.accept(two.clone()).await.unwrap();
    assert_eq!(store.take_back(two.id, "sato", at(5)).await.unwrap(), 0, "it is due");
    assert_eq!(store.take_back(two.id, "sato", at(4)).await.unwrap(), 2);
    store.accept(late.clone()).await.unwrap();
    for new in [&one, &two, &late] {
        assert_eq!(states(&*store, new.id).await[0].0, Dropped);
    }
    assert_eq!(store.claim(at(9), 9, LEASE).await.unwrap().len(), 0);
    assert_eq!(store.undo_take_back(one.id, "sato", at(3)).await.unwrap(), 3);
    assert_eq!(states(&*store, late.id).await[0].0, Waiting);
    assert_eq!(store.undo_take_back(one.id, "sato", at(3)).await.unwrap(), 0);
    assert_eq!(store.claim(at(4), 9, LEASE).await.unwrap().len(), 0);
    assert_eq!(store.claim(at(5), 9, LEASE).await.unwrap().len(), 3);
}

/// Delayed mail is sent early, or is held as one item, in all its transactions.
pub(in crate::store) async fn delayed_mail_goes_now_or_is_held(harness: &impl Harness) {
    let store = harness.open();
    let delayed = |random, text: &str, to: &str| NewMessage {
        fork: Some(fork(text, "text")),
        ..message(random, &[&[to]], InitialState::Waiting(at(5)))
    };
    let (one, two) = (delayed(1, "now", "a@x.example"), delayed(2, "now", "b@y.example"));
    store.accept(one.clone()).await.unwrap();
    store.accept(two.clone()).await.unwrap();
    assert_eq!(store.send_now(two.id, "sato", at(5)).await.unwrap(), 0, "it is due");
    assert_eq!(store.claim(at(1), 9, LEASE).await.unwrap().len(), 0);
    assert_eq!(store.send_now(two.id, "sato", at(1)).await.unwrap(), 2);
    assert_eq!(store.claim(at(1), 9, LEASE).await.unwrap().len(), 2);
    assert_eq!(store.send_now(two.id, "sato", at(1)).await.unwrap(), 0, "it has left");

    let (three, four) = (delayed(3, "ask", "a@x.example"), delayed(4, "ask", "b@y.example"));
    store.accept(three.clone()).await.unwrap();
    store.accept(four.clone()).await.unwrap();
    let wish = |minute| HoldWaiting {
        id: four.id,
        at: at(minute),
        hold: held_message(9, &["a@x.example"]).held.unwrap(),
        event: Event::Asked { by: "sato".to_owned(), reason: "a project".to_owned() },
        notices: vec![NewNotice { kind: NoticeKind::AskedAsIs, due: at(minute) }],
    };
    assert_eq!(store.hold_waiting(wish(5)).await.unwrap(), 0, "it is due");
    assert_eq!(store.hold_waiting(wish(2)).await.unwrap(), 2);
    assert_eq!(store.hold_waiting(wish(2)).await.unwrap(), 0, "it is held");
    for new in [&three, &four] {
        assert_eq!(states(&*store, new.id).await[0].0, Dropped);
    }
    let held = store.message(four.id).await.unwrap().held.unwrap();
    assert_eq!((held.state, held.item), (HeldState::Held, three.id));
    assert_eq!(store.members(three.id).await.unwrap(), [three.id, four.id]);
    assert_eq!(store.due_notices(at(2), 9).await.unwrap()[0].kind, NoticeKind::AskedAsIs);
}
