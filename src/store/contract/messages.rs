//! Accepting, reading back, bodies, searching, purging.

use super::*;
use tokio::io::AsyncReadExt;

/// Everything about a message can be read back, at once and after a restart.
pub(in crate::store) async fn accepts_and_reads_back(harness: &impl Harness) {
    let new = message(1, &[&["a@x.example", "b@x.example"], &["c@y.example"]], InitialState::Ready);
    let store = harness.open();
    assert!(store.accept(new.clone()).await.unwrap().is_empty(), "nothing was asked to be claimed");
    for _ in 0..2 {
        let store = harness.open();
        let kept = store.message(new.id).await.unwrap();
        assert_eq!((kept.id, kept.received, &kept.origin), (new.id, new.received, &new.origin));
        assert_eq!((&kept.envelope, &kept.header, &kept.body), (&new.envelope, &new.header, &new.body));
        assert_eq!((&kept.subject, &kept.message_id), (&new.subject, &new.message_id));
        assert_eq!((kept.needles.as_slice(), &kept.held), (new.needles.as_slice(), &None));
        let rows = store.deliveries(new.id).await.unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].id, format!("{}.1", new.id));
        assert_eq!(rows[0].recipients, ["a@x.example", "b@x.example"]);
        assert_eq!(rows[0].sender, "Sato@example.co.jp");
        assert_eq!(rows[1].state, DeliveryState::Ready);
        let journal = store.journal(new.id).await.unwrap();
        assert_eq!(journal.iter().map(|entry| &entry.event).collect::<Vec<_>>(), [&new.events[0]]);
    }
    assert!(matches!(store.message(Id::new(NOW, 99)).await, Err(StoreError::NotFound(_))));
    assert!(store.ready().await.is_ok());
}

/// Of a hundred concurrent messages all are stored, none twice.
pub(in crate::store) async fn accepts_many_at_once(harness: &impl Harness) {
    let store = harness.open();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..100_u64 {
        let store = store.clone();
        tasks.spawn(async move {
            for turn in 0..5 {
                let new = message(task * 5 + turn, &[&["a@x.example"]], InitialState::Ready);
                store.accept(new).await.unwrap();
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    drop(store);
    let store = harness.open();
    let rows = store.queue(&QueueFilter::default()).await.unwrap();
    let mut ids: Vec<Id> = rows.iter().map(|row| row.message).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((rows.len(), ids.len()), (500, 500));
}

/// A message whose id exists is refused, and the others of its commit are not.
pub(in crate::store) async fn one_refused_harms_no_other(harness: &impl Harness) {
    let store = harness.open();
    store.accept(message(0, &[&["a@x.example"]], InitialState::Ready)).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..40_u64 {
        let store = store.clone();
        // Every fourth has the id that exists.
        let new = message(if task % 4 == 0 { 0 } else { task }, &[&["a@x.example"]], InitialState::Ready);
        tasks.spawn(async move { (task, store.accept(new).await.is_ok()) });
    }
    while let Some(done) = tasks.join_next().await {
        let (task, accepted) = done.unwrap();
        assert_eq!(accepted, task % 4 != 0, "task {task}");
    }
    assert_eq!(store.queue(&QueueFilter::default()).await.unwrap().len(), 31);
}

/// Bodies of every size are read back unchanged, whatever the chunk boundaries are.
pub(in crate::store) async fn bodies_come_back(harness: &impl Harness) {
    let store = harness.open();
    let sizes = [0, 1, 32_768, 32_769, 65_536, 100_000, 262_143, 262_144, 262_145, 300_000, 3_000_001];
    for (random, size) in (1..).zip(sizes) {
        let content: Vec<u8> = (0..size).map(|i: usize| u8::try_from(i % 251).unwrap()).collect();
        let mut writer = store.new_body().await.unwrap();
        for chunk in content.chunks(40_009) {
            writer.write(Bytes::copy_from_slice(chunk)).await.unwrap();
        }
        let body = writer.finish().await.unwrap();
        assert_eq!(body.size(), size as u64);
        assert_eq!(matches!(body, Body::Inline(_)), size <= 262_144, "{size}");
        let mut new = message(random, &[&["a@x.example"]], InitialState::Ready);
        new.body = body;
        store.accept(new.clone()).await.unwrap();
        let kept = harness.open().message(new.id).await.unwrap();
        assert_eq!(matches!(kept.body, Body::Inline(_)), size <= 262_144, "{size}");
        let mut read = Vec::new();
        store.open_body(&kept.body).await.unwrap().stream.read_to_end(&mut read).await.unwrap();
        assert!(read == content, "{size} octets came back differently");
    }
}

/// Bodies that were never committed are swept; those that were, stay.
pub(in crate::store) async fn orphans_are_swept(harness: &impl Harness) {
    let store = harness.open();
    let large = || Bytes::from(vec![b'x'; 300_000]);
    let mut kept = message(1, &[&["a@x.example"]], InitialState::Ready);
    let mut writer = store.new_body().await.unwrap();
    writer.write(large()).await.unwrap();
    kept.body = writer.finish().await.unwrap();
    store.accept(kept.clone()).await.unwrap();

    let mut dropped = store.new_body().await.unwrap();
    dropped.write(large()).await.unwrap();
    dropped.write(large()).await.unwrap();
    drop(dropped);
    let mut finished = store.new_body().await.unwrap();
    finished.write(large()).await.unwrap();
    let lost = finished.finish().await.unwrap();

    assert_eq!(store.recover(NOW).await.unwrap().orphans, 1, "the one that was finished and not committed");
    assert!(store.open_body(&lost).await.is_err());
    assert!(store.open_body(&kept.body).await.is_ok());
    assert_eq!(store.recover(NOW).await.unwrap(), Recovered::default());
}

/// The large body of a refused message is removed.
pub(in crate::store) async fn a_refused_message_leaves_no_body(harness: &impl Harness) {
    let store = harness.open();
    store.accept(message(1, &[&["a@x.example"]], InitialState::Ready)).await.unwrap();
    let mut writer = store.new_body().await.unwrap();
    writer.write(Bytes::from(vec![b'x'; 300_000])).await.unwrap();
    let mut again = message(1, &[&["a@x.example"]], InitialState::Ready);
    again.body = writer.finish().await.unwrap();
    let body = again.body.clone();
    assert!(store.accept(again).await.is_err());
    assert!(store.open_body(&body).await.is_err());
}

/// Messages are found by our id (also with a delivery's number), by Message-ID, and by any address in any case.
pub(in crate::store) async fn finds_messages(harness: &impl Harness) {
    let store = harness.open();
    let first = message(1, &[&["Yamada@X.example"], &["b@x.example"]], InitialState::Ready);
    let second = message(2, &[&["yamada@x.example"]], InitialState::Ready);
    store.accept(first.clone()).await.unwrap();
    store.accept(second.clone()).await.unwrap();
    let id = first.id.to_string();
    let numbered = format!("{id}.2");
    let cases: [(&str, &[Id]); 9] = [
        (&id, &[first.id]),
        (&numbered, &[first.id]),
        ("<2@example.co.jp>", &[second.id]),
        ("2@example.co.jp", &[second.id]),
        ("yamada@x.example", &[second.id, first.id]),
        ("YAMADA@X.EXAMPLE", &[second.id, first.id]),
        ("sato@example.co.jp", &[second.id, first.id]),
        ("amada@x.example", &[]),
        ("%", &[]),
    ];
    for (text, ids) in cases {
        let found = store.find(text, 10).await.unwrap();
        assert_eq!(found.iter().map(|row| row.id).collect::<Vec<_>>(), ids, "{text}");
    }
    let found = store.find("sato@example.co.jp", 1).await.unwrap();
    assert_eq!((found.len(), found[0].action.as_str()), (1, "pass"));
    assert_eq!(found[0].recipients, ["yamada@x.example"]);
}

/// The null sender is empty, and the relay's own mail is marked as such.
pub(in crate::store) async fn own_mail_has_no_sender(harness: &impl Harness) {
    let store = harness.open();
    let mut own = message(1, &[&["a@x.example"]], InitialState::Ready);
    own.envelope.sender = None;
    own.origin = Origin::Own { about: Some(Id::new(NOW, 7)) };
    own.events.clear();
    store.accept(own.clone()).await.unwrap();
    let kept = harness.open().message(own.id).await.unwrap();
    assert_eq!((&kept.envelope, &kept.origin), (&own.envelope, &own.origin));
    let rows = store.queue(&QueueFilter { sender: Some("<>".to_owned()), ..QueueFilter::default() }).await;
    assert_eq!(rows.unwrap()[0].sender, "");
    let found = store.find("a@x.example", 5).await.unwrap();
    assert_eq!((found[0].sender.as_str(), found[0].action.as_str()), ("", "own"));
    assert_eq!(store.summary(NOW).await.unwrap().accepted.len(), 0);
}

/// A message is purged only if it has nothing left to do and is past its retention.
pub(in crate::store) async fn purges_what_is_done(harness: &impl Harness) {
    let store = harness.open();
    let done = message(1, &[&["a@x.example"]], InitialState::Sending { until: at(1) });
    let claims = store.accept(done.clone()).await.unwrap();
    store.record(result(&claims[0], NOW, &[("a@x.example", DeliveryState::Delivered)])).await.unwrap();
    let open = message(2, &[&["a@x.example"]], InitialState::Ready);
    store.accept(open.clone()).await.unwrap();
    let held = held_message(3, &["a@x.example", "b@y.example"]);
    store.accept(held.clone()).await.unwrap();
    let mut disclosing = message(4, &[&["a@x.example"]], InitialState::Ready);
    disclosing.ledger = Some(disclosed("4@example.co.jp"));
    store.accept(disclosing.clone()).await.unwrap();

    let span = |days: u64| Duration::from_secs(days * 86_400);
    let keep = Retention { contents: span(7), messages: span(30), ledger: span(90), knowledge: span(400) };
    let days = |days: u64| NOW.plus(span(days));
    assert_eq!(store.purge(days(6), keep).await.unwrap(), Purged::default());
    let purged = store.purge(days(8), keep).await.unwrap();
    assert_eq!((purged.contents, purged.messages), (1, 0));
    assert!(matches!(store.message(done.id).await, Err(StoreError::NotFound(_))));
    assert_eq!(store.find(done.id.as_str(), 1).await.unwrap().len(), 1);
    assert!(store.message(open.id).await.is_ok());
    assert!(store.message(held.id).await.is_ok());
    let purged = store.purge(days(31), keep).await.unwrap();
    assert_eq!((purged.contents, purged.messages, purged.ledger), (0, 1, 0));
    assert!(matches!(store.journal(done.id).await, Err(StoreError::NotFound(_))));
    assert_eq!(store.purge(days(100), keep).await.unwrap().ledger, 1);
    assert_eq!(store.disclosed(&["4@example.co.jp".to_owned()]).await.unwrap(), []);
    assert!(store.message(open.id).await.is_ok());
}

pub(super) fn disclosed(message_id: &str) -> Disclosed {
    Disclosed {
        message_id: message_id.to_owned(),
        from: Some(address("sato@example.co.jp")),
        addresses: addresses(&["a@x.example", "b@y.example"]),
        mail: "0a1b".to_owned(),
    }
}
