//! The final check before sending, and leases.

use super::THREE;
use super::rig::{Door, Mail, NOW, Rig, Scene, as_is, minutes, one_place, settings, split};
use sekisho::courier::Settings;
use sekisho::journal::Event;
use sekisho::message::Address;
use sekisho::policy::Disclosure;
use sekisho::store::DeliveryState::{Delivered, Dropped, Sending};
use sekisho::store::prelude::*;
use sekisho::store::{HeldFilter, HeldState, HoldKind, NoticeKind, QueueChange, QueueFilter};
use std::time::Duration;

async fn held(rig: &Rig) -> Vec<(HoldKind, HeldState, Vec<String>)> {
    let rows = rig.store.held(&HeldFilter::default()).await.unwrap();
    rows.into_iter()
        .map(|row| (row.kind, row.state, row.hits.iter().map(|hit| hit.address.to_string()).collect()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_shows_somebody_hidden_is_stopped_with_all_that_is_unsent() {
    let mail = Mail::new(1, &THREE);
    let mut copies = mail.copies(Disclosure::Split);
    assert_eq!(copies.needles.len(), 3);
    // the second copy is the original, with everybody in To
    let written = mail.examiner.as_written(&mail.seen, &mail.stamp, &[]);
    copies.deliveries[1] = written.deliveries[0].only_for(|to| to.as_str() == THREE[1]);
    let rig = Rig::new(one_place(), |_, _| Scene::Takes);
    let id = rig.accept(mail.message(copies)).await;
    rig.settles(id, &[Delivered, Dropped, Dropped]).await;
    rig.linger().await;
    assert_eq!(rig.upstream.dotted(), [THREE[0]]);
    let [(kind, state, hits)] = &held(&rig).await[..] else { panic!("not held once") };
    assert_eq!((*kind, *state), (HoldKind::Unsafe, HeldState::Held));
    assert!(hits.iter().any(|hit| hit == THREE[0]) && hits.iter().any(|hit| hit == THREE[2]), "{hits:?}");
    let due = rig.store.due_notices(rig.now(), 10).await.unwrap();
    assert_eq!(
        due.iter().map(|notice| (notice.message, notice.kind)).collect::<Vec<_>>(),
        [(id, NoticeKind::Stopped)]
    );
    let journal = rig.store.journal(id).await.unwrap();
    assert!(journal.iter().any(|entry| matches!(entry.event, Event::Stopped { left: 1, total: 3, .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn needles_that_changed_stop_every_copy() {
    let mut message = split(1, &THREE);
    // every copy contains its sender
    std::sync::Arc::make_mut(&mut message.needles).push(Address::parse(super::rig::SENDER).unwrap());
    let rig = Rig::new(settings(), |_, _| Scene::Takes);
    let id = rig.accept(message).await;
    rig.settles(id, &[Dropped; 3]).await;
    assert_eq!(rig.upstream.begun(), 0);
    assert_eq!(held(&rig).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_that_is_not_its_own_is_stopped() {
    let mut message = split(1, &THREE);
    message.header = message.header.slice(..message.header.len() / 2);
    let rig = Rig::new(settings(), |_, _| Scene::Takes);
    let id = rig.accept(message).await;
    rig.settles(id, &[Dropped; 3]).await;
    assert_eq!((rig.upstream.begun(), held(&rig).await.len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_ran_out_is_noticed_before_the_dot() {
    let door = Door::new();
    let waits = door.clone();
    let rig = Rig::new(one_place(), move |number, _| match number {
        0 => Scene::WaitsBeforeTheDot(waits.clone()),
        _ => Scene::Takes,
    });
    let id = rig.accept(as_is(1, &THREE)).await;
    door.knock().await;
    // another relay takes over the delivery meanwhile
    rig.clock.advance_millis(61_000);
    let stolen = rig.store.claim(rig.now(), 10, minutes(1)).await.unwrap();
    assert_eq!(stolen.len(), 1);
    door.open();
    rig.rests().await;
    assert!(rig.upstream.dotted().is_empty());
    let rows = rig.settles(id, &[Sending]).await;
    assert_eq!(rows[0].attempts, 2, "the other's attempt stands: {rows:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_dropped_on_its_way_does_not_leave() {
    let door = Door::new();
    let waits = door.clone();
    let often = Settings { renew: Duration::from_millis(5), ..one_place() };
    let rig = Rig::new(often, move |_, _| Scene::WaitsBeforeTheDot(waits.clone()));
    let id = rig.accept(as_is(1, &THREE)).await;
    door.knock().await;
    let filter = QueueFilter { id: Some(id.to_string()), ..QueueFilter::default() };
    assert_eq!(rig.store.change_queue(&filter, QueueChange::Drop, "admin", NOW).await.unwrap(), 1);
    // more than a hundred renewals
    tokio::time::sleep(Duration::from_secs(1)).await;
    door.open();
    rig.settles(id, &[Dropped]).await;
    rig.courier.drain().await;
    assert!(rig.upstream.dotted().is_empty());
}

/// A node that was stopped past its lease goes on: claiming more work does not make the lease its own again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_was_taken_over_stays_lost() {
    let door = Door::new();
    let there = door.clone();
    let settings = Settings { workers: 2, ahead: 0, ..settings() };
    let rig = Rig::new(settings, move |_, _| Scene::WaitsBeforeTheDot(there.clone()));
    let lost = rig.accept(as_is(1, &THREE)).await;
    door.knock().await;
    let taken = rig.store.claim(NOW.plus(minutes(2)), 9, minutes(1)).await.unwrap();
    assert_eq!(taken.iter().map(|claim| claim.message).collect::<Vec<_>>(), [lost]);
    rig.pass(minutes(2));
    let other = rig.accept(as_is(2, &THREE)).await;
    door.knock().await;
    door.open();
    door.open();
    rig.settles(other, &[Delivered]).await;
    rig.rests().await;
    assert_eq!(rig.upstream.dotted().len(), 1, "the other node sends it");
    rig.settles(lost, &[Sending]).await;
}
