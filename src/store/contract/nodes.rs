//! Two handles that are open on one database, like those of two nodes: each sees what the other commits, and if both
//! try the same, one succeeds. For an engine whose data belongs to one process, both are the same handle.

use super::forks::{fork, in_place, joining, passed};
use super::*;
use crate::store::circles::NewCircle;
use std::collections::HashSet;

/// Both claim at once: no delivery is claimed twice, and none is missed.
pub(in crate::store) async fn two_nodes_claim_apart(harness: &impl Harness) {
    let one = harness.open();
    let two = harness.beside(&one);
    for random in 0..40 {
        let store = if random % 2 == 0 { &one } else { &two };
        store.accept(message(random, &[&["a@x.example"]], InitialState::Ready)).await.unwrap();
    }
    let mut tasks = tokio::task::JoinSet::new();
    for turn in 0..20 {
        let store = if turn % 2 == 0 { one.clone() } else { two.clone() };
        tasks.spawn(async move { store.claim(NOW, 3, LEASE).await.unwrap() });
    }
    let (mut claims, mut keys) = (0, HashSet::new());
    while let Some(taken) = tasks.join_next().await {
        for claim in taken.unwrap() {
            claims += 1;
            keys.insert(claim.lease.delivery);
        }
    }
    assert_eq!((claims, keys.len()), (40, 40));
}

/// After one node has taken over a lease, the other can neither renew it nor record under it.
pub(in crate::store) async fn a_lease_is_of_one_node(harness: &impl Harness) {
    let one = harness.open();
    let two = harness.beside(&one);
    one.accept(message(1, &[&["a@x.example"]], InitialState::Ready)).await.unwrap();
    let first = one.claim(NOW, 1, LEASE).await.unwrap().remove(0);
    assert!(two.claim(at(0), 9, LEASE).await.unwrap().is_empty());
    let second = two.claim(at(2), 1, LEASE).await.unwrap().remove(0);
    assert!(second.possible_duplicate);
    assert_eq!(one.renew(&[first.lease], at(9)).await.unwrap(), [first.lease]);
    let delivered = [("a@x.example", DeliveryState::Delivered)];
    assert!(matches!(one.record(result(&first, at(2), &delivered)).await, Err(StoreError::Fenced)));
    two.record(result(&second, at(2), &delivered)).await.unwrap();
    assert_eq!(states(&*one, first.message).await, [(DeliveryState::Delivered, "a@x.example".to_owned())]);
}

/// The same mail is sent to both at once, and is stored once.
pub(in crate::store) async fn two_nodes_keep_the_same_once(harness: &impl Harness) {
    let one = harness.open();
    let two = harness.beside(&one);
    let mut tasks = tokio::task::JoinSet::new();
    for random in 0..20 {
        let store = if random % 2 == 0 { one.clone() } else { two.clone() };
        tasks.spawn(async move { store.accept(passed(random, &["a@x.example"])).await });
    }
    let mut kept = 0;
    while let Some(done) = tasks.join_next().await {
        match done.unwrap() {
            Ok(_) => kept += 1,
            Err(StoreError::Known { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(kept, 1);
    assert_eq!(two.queue(&QueueFilter::default()).await.unwrap().len(), 1);
}

/// Transactions of a held mail that come to both nodes become one item, which only one node decides.
pub(in crate::store) async fn two_nodes_make_one_item(harness: &impl Harness) {
    let one = harness.open();
    let two = harness.beside(&one);
    let group = fork("one", "text").group;
    let item = in_place(
        1,
        &["a@x.example"],
        ForkRelation { expected: Some(String::new()), ..ForkRelation::default() },
    );
    one.accept(item.clone()).await.unwrap();
    let stale = in_place(
        2,
        &["b@y.example"],
        ForkRelation { expected: Some(String::new()), ..ForkRelation::default() },
    );
    assert!(matches!(two.accept(stale).await, Err(StoreError::Moved)), "it was planned on what is over");
    let token = two.group_items(group).await.unwrap().token;
    two.accept(in_place(2, &["b@y.example"], joining(item.id, &token))).await.unwrap();
    assert_eq!(one.members(item.id).await.unwrap().len(), 2);
    let back = |by: &str| HeldDecision::new(item.id, HeldState::Returned, by, at(1), "no");
    let (first, second) = tokio::join!(one.decide(back("ito")), two.decide(back("soumu")));
    assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
    let late = [first, second].into_iter().find_map(Result::err).unwrap();
    assert!(matches!(late, StoreError::Decided { state: HeldState::Returned, .. }));
    let by = |row: StoredMessage| row.held.unwrap().decided_by;
    assert_eq!(by(one.message(item.id).await.unwrap()), by(two.message(item.id).await.unwrap()));
}

/// A circle that was ended on one node has no effect on the other, and a message that was held on one is held on the
/// other.
pub(in crate::store) async fn what_one_node_changes_the_other_sees(harness: &impl Harness) {
    let one = harness.open();
    let two = harness.beside(&one);
    let circle = NewCircle {
        name: "c".to_owned(),
        members: addresses(&["a@x.example", "b@y.example"]),
        expires: at(60),
        by: "soumu".to_owned(),
        makers: Vec::new(),
        at: NOW,
    };
    let number = one.make_circle(circle).await.unwrap();
    assert_eq!(two.circles_in_force(at(1)).await.unwrap().len(), 1);
    one.end_circle(number, "soumu", at(1)).await.unwrap();
    assert!(two.circles_in_force(at(1)).await.unwrap().is_empty());

    let sent = message(1, &[&["a@x.example"]], InitialState::Ready);
    one.accept(sent.clone()).await.unwrap();
    assert!(two.message(sent.id).await.unwrap().held.is_none());
    let expires = at(60);
    let stop = Stop { id: sent.id, at: at(1), hits: Vec::new(), expires, approvers: Vec::new() };
    two.stop(stop).await.unwrap();
    assert!(one.message(sent.id).await.unwrap().held.is_some());
    assert!(one.claim(at(2), 9, LEASE).await.unwrap().is_empty());
}

/// A notice that both nodes found due is answered by one of them.
pub(in crate::store) async fn two_nodes_tell_once(harness: &impl Harness) {
    let one = harness.open();
    let two = harness.beside(&one);
    let mut held = held_message(1, &["a@x.example"]);
    held.notices = vec![NewNotice { kind: NoticeKind::Held, due: NOW }];
    one.accept(held).await.unwrap();
    let found = [one.due_notices(NOW, 9).await.unwrap(), two.due_notices(NOW, 9).await.unwrap()];
    let mut done = Vec::new();
    for (random, (store, found)) in [&one, &two].into_iter().zip(&found).enumerate() {
        let mut mail = message(50 + random as u64, &[&["sato@example.co.jp"]], InitialState::Ready);
        mail.answers = Some(found[0].id);
        done.push(store.accept(mail).await);
    }
    assert!(matches!(done.as_slice(), [Ok(_), Err(StoreError::Fenced)]), "{done:?}");
}

/// Both nodes find that a hold must escalate, and both find whom to ask then: one asks, and the other does not do it
/// again, whatever it knew.
pub(in crate::store) async fn two_nodes_escalate_once(harness: &impl Harness) {
    let one = harness.open();
    let two = harness.beside(&one);
    let mut held = held_message(1, &["a@x.example"]);
    held.notices = vec![NewNotice { kind: NoticeKind::Escalated, due: at(5) }];
    one.accept(held.clone()).await.unwrap();
    assert_eq!(two.due_notices(at(4), 9).await.unwrap(), [], "it is not time yet");
    let found = [one.due_notices(at(5), 9).await.unwrap(), two.due_notices(at(5), 9).await.unwrap()];
    assert_eq!(found[0], found[1]);
    let approver = address("boss@example.co.jp");
    let ask = || NewAsk { approver: approver.clone(), why: AskWhy::Escalated, digest: false, due: at(5) };
    let plan = || AskPlan { asks: vec![ask()], ..AskPlan::default() };
    let (first, second) =
        tokio::join!(one.plan_asks(found[0][0].id, plan()), two.plan_asks(found[1][0].id, plan()));
    assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
    assert!(matches!(first.and(second), Err(StoreError::Fenced)));
    assert_eq!(one.due_notices(at(9), 9).await.unwrap(), [], "it has escalated");

    let found = [one.due_asks(at(5), 9).await.unwrap(), two.due_asks(at(5), 9).await.unwrap()];
    assert_eq!(found[0].iter().map(|ask| &ask.approver).collect::<Vec<_>>(), [&approver]);
    assert_eq!(found[0], found[1]);
    let mail = |random| {
        let mut mail = message(random, &[&["boss@example.co.jp"]], InitialState::Ready);
        mail.origin = Origin::Own { about: Some(held.id) };
        mail
    };
    let (first, second) = tokio::join!(
        one.accept_telling(mail(50), vec![found[0][0].id]),
        two.accept_telling(mail(51), vec![found[1][0].id])
    );
    assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
    assert!(matches!(first.and(second), Err(StoreError::Fenced)));
    assert_eq!(two.due_asks(at(9), 9).await.unwrap(), []);
    assert_eq!(one.queue(&QueueFilter::default()).await.unwrap().len(), 1, "one mail is sent");
    for store in [&one, &two] {
        let approvers = store.message(held.id).await.unwrap().held.unwrap().approvers;
        assert!(approvers.contains(&approver.key().to_owned()), "{approvers:?}");
    }
}

/// A circle that has ended exempts nothing that is committed after that, whichever node judged it, and when.
pub(in crate::store) async fn an_ended_circle_exempts_nowhere(harness: &impl Harness) {
    let one = harness.open();
    let two = harness.beside(&one);
    let circle = |name: &str| NewCircle {
        name: name.to_owned(),
        members: addresses(&["a@x.example", "b@y.example"]),
        expires: at(60),
        by: "soumu".to_owned(),
        makers: Vec::new(),
        at: NOW,
    };
    let first = one.make_circle(circle("one")).await.unwrap();
    let exempt = |random, ended| NewMessage {
        circles: Some(ended),
        ..message(random, &[&["a@x.example"]], InitialState::Ready)
    };
    let judged = two.circles_in_force(at(1)).await.unwrap();
    assert_eq!((judged.len(), judged.ended), (1, 0));
    two.accept(exempt(1, judged.ended)).await.unwrap();
    one.end_circle(first, "soumu", at(1)).await.unwrap();
    assert!(matches!(two.accept(exempt(2, judged.ended)).await, Err(StoreError::Moved)));
    assert!(matches!(one.accept(exempt(3, judged.ended)).await, Err(StoreError::Moved)));
    one.make_circle(circle("two")).await.unwrap();
    let judged = two.circles_in_force(at(2)).await.unwrap();
    assert_eq!((judged.len(), judged.ended), (1, 1));
    two.accept(exempt(4, judged.ended)).await.unwrap();
    two.accept(message(5, &[&["c@z.example"]], InitialState::Ready)).await.unwrap();
    assert_eq!(one.queue(&QueueFilter::default()).await.unwrap().len(), 3);
}

/// Both nodes purge, expire and look for late mail at once: all of it is done, and each thing once.
pub(in crate::store) async fn two_nodes_look_after_it_at_once(harness: &impl Harness) {
    let one = harness.open();
    let two = harness.beside(&one);
    let later = |mut message: NewMessage, random| {
        (message.id, message.received) = (Id::new(at(300), random), at(300));
        message
    };
    for random in 0..40 {
        one.accept(message(random, &[], InitialState::Ready)).await.unwrap();
    }
    let late = minutes(240);
    for random in 100..120 {
        one.accept(later(message(random, &[&["a@x.example"]], InitialState::Ready), random)).await.unwrap();
    }
    for random in 200..220 {
        one.accept(later(held_message(random, &["a@x.example"]), random)).await.unwrap();
    }

    // A body that one node is still receiving is not swept by the other.
    let mut body = two.new_body().await.unwrap();
    let octets = Bytes::from(vec![b'x'; 300 * 1024]);
    body.write(octets.clone()).await.unwrap();
    let keep =
        Retention { contents: minutes(1), messages: minutes(1), ledger: minutes(1), knowledge: minutes(1) };
    let purged = tokio::join!(one.purge(at(60), keep), two.purge(at(60), keep));
    let (first, second) = (purged.0.unwrap(), purged.1.unwrap());
    assert_eq!(first.messages + second.messages, 40);
    body.write(octets).await.unwrap();
    let mut large = message(300, &[&["a@x.example"]], InitialState::Waiting(at(900)));
    large.body = body.finish().await.unwrap();
    two.accept(large.clone()).await.unwrap();
    let mut read = Vec::new();
    let mut stored = one.open_body(&large.body).await.unwrap().stream;
    tokio::io::AsyncReadExt::read_to_end(&mut stored, &mut read).await.unwrap();
    assert_eq!(read.len(), 600 * 1024);

    let filter =
        HeldFilter { state: Some(HeldState::Held), expired_by: Some(at(400)), ..HeldFilter::default() };
    let found = tokio::join!(one.held(&filter), two.held(&filter));
    let (mut expired, mut decided) = (0, 0);
    for (a, b) in found.0.unwrap().into_iter().zip(found.1.unwrap()) {
        let over =
            |id| HeldDecision::new(id, HeldState::Expired, "expiry", at(400), "nobody decided in time");
        let done = tokio::join!(one.decide(over(a.id)), two.decide(over(b.id)));
        for done in [done.0, done.1] {
            match done {
                Ok(()) => expired += 1,
                Err(StoreError::Decided { .. }) => decided += 1,
                Err(other) => panic!("{other}"),
            }
        }
    }
    assert_eq!((expired, decided), (20, 20));

    let noted = tokio::join!(one.note_untried(at(600), late), two.note_untried(at(600), late));
    assert_eq!(noted.0.unwrap() + noted.1.unwrap(), 20);
    let delayed = one.due_notices(at(600), 99).await.unwrap();
    assert_eq!(delayed.iter().filter(|notice| notice.kind == NoticeKind::Delayed).count(), 20);
    assert_eq!(two.verify_chain().await.unwrap().broken, None);
}

/// A call to another program is made by the node that claimed it; another takes it over when it is put off.
pub(in crate::store) async fn two_nodes_call_once(harness: &impl Harness) {
    let one = harness.open();
    let two = harness.beside(&one);
    if !one.is_shared() {
        return;
    }
    let target = HookTarget { url: "https://h.example/".to_owned(), held: true, decided: true };
    one.set_hooks(vec![target]).await.unwrap();
    for random in 0..10 {
        one.accept(held_message(random, &["a@x.example"])).await.unwrap();
    }
    let due = tokio::join!(one.due_hooks(at(1), 99), two.due_hooks(at(1), 99));
    let (first, second) = (due.0.unwrap(), due.1.unwrap());
    assert_eq!(first.len() + second.len(), 10, "each is one node's");
    let (theirs, mine, other) = if first.is_empty() { (second, &two, &one) } else { (first, &one, &two) };
    assert!(mine.keep_hook(theirs[0].id).await.unwrap());
    assert!(!other.keep_hook(theirs[0].id).await.unwrap());
    mine.retry_hook(theirs[0].id, at(2)).await.unwrap();
    let again = other.due_hooks(at(3), 99).await.unwrap();
    assert_eq!(again.iter().map(|call| call.id).collect::<Vec<_>>(), [theirs[0].id]);
    assert!(!mine.keep_hook(theirs[0].id).await.unwrap());
    other.end_hook(theirs[0].id).await.unwrap();
    assert!(mine.due_hooks(at(9), 99).await.unwrap().iter().all(|call| call.id != theirs[0].id));
}
