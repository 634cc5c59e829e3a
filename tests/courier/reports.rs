//! From an upstream's rejection to the report for the sender: courier, store, postman, intake, and the
//! courier again.

use super::rig::{
    NoDice, Relay, Rig, SENDER, Scene, as_is, eventually, examiner, minutes, not_now, settings, split,
};
use super::{THREE, hop};
use async_trait::async_trait;
use jiff::tz::TimeZone;
use mail_parser::MessageParser;
use sekisho::clock::SystemEntropy;
use sekisho::intake::Dispatch;
use sekisho::intake::Intake;
use sekisho::message::Address;
use sekisho::notice::asking::Asking;
use sekisho::notice::hours::Hours;
use sekisho::notice::links::LinkMaker;
use sekisho::notice::{Deps, Letterhead, Postman};
use sekisho::policy::Organisation;
use sekisho::store::DeliveryState::{Delivered, Failed, Waiting};
use sekisho::store::prelude::*;
use sekisho::store::{LinkAction, NoticeKind, QueueChange, QueueFilter, StoreError, StoredMessage};
use sekisho::upstream::Fate;
use sekisho::upstream::smarthost::{Security, Smarthost, SmarthostConfig};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A desk without URL: no links.
struct Unlinked;

#[async_trait]
impl LinkMaker for Unlinked {
    async fn links(
        &self,
        _: &Address,
        _: &StoredMessage,
        _: &[LinkAction],
    ) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    fn page(&self, _: &str) -> Option<String> {
        None
    }

    async fn away(&self) -> Result<Vec<sekisho::store::absences::Absence>, StoreError> {
        Ok(Vec::new())
    }
}

fn postman(relay: &Relay) -> Postman {
    let intake = Intake::new(sekisho::intake::Deps {
        examiner: examiner(),
        store: relay.store.clone(),
        dispatch: Arc::new(relay.courier.clone()),
        clock: relay.clock.clone(),
        entropy: Arc::new(SystemEntropy),
        marks: Arc::default(),
        watcher: Arc::new(()),
        settings: sekisho::intake::Settings {
            hostname: "relay.example.co.jp".to_owned(),
            hold_for: sekisho::clock::hours::Term::always(minutes(60)),
            lease: minutes(1),
        },
    });
    let letterhead = Letterhead {
        hostname: "relay.example.co.jp".to_owned(),
        from: Address::parse("postmaster@example.co.jp").unwrap(),
        organisation: Arc::new(Organisation::of_sender()),
        approvers: Vec::new(),
        asking: Asking::plain(Hours::always(TimeZone::UTC)),
        admin: None,
        language: None,
        zone: TimeZone::UTC,
        contact: None,
        upstream: Some("hop.example.net".to_owned()),
    };
    let bell = intake.bell();
    let deps = Deps {
        store: relay.store.clone(),
        intake: Arc::new(intake),
        links: Arc::new(Unlinked),
        clock: relay.clock.clone(),
        entropy: Arc::new(NoDice),
        bell,
    };
    Postman::new(deps, letterhead)
}

async fn due(relay: &Relay) -> Vec<NoticeKind> {
    let due = relay.store.due_notices(relay.now(), 10).await.unwrap();
    due.iter().map(|notice| notice.kind).collect()
}

/// The reports to the sender, once there are this many.
async fn reports(rig: &Rig, count: usize) -> Vec<String> {
    eventually(|| async {
        let mut found = Vec::new();
        rig.upstream.each(|taken| {
            if taken.to == [SENDER] {
                found.push(String::from_utf8(taken.body.clone()).unwrap());
            }
        });
        if found.len() == count { Ok(found) } else { Err(format!("{} reports", found.len())) }
    })
    .await
}

/// The recipients that a report is about.
fn named(report: &str) -> Vec<&str> {
    report.lines().filter_map(|line| line.strip_prefix("Final-Recipient: rfc822; ")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_reported_at_once_in_the_upstreams_words() {
    for (stage, reply) in [
        ("MAIL", "550 5.7.1 this sender is not welcome"),
        ("RCPT", "550 5.1.1 no such mailbox here"),
        ("DATA", "554 5.5.1 no valid recipients"),
        (".", "554 5.7.1 this looks like spam"),
    ] {
        let (port, letters) = hop::start(stage, reply).await;
        let mut config = SmarthostConfig::new("127.0.0.1", port, "relay.example.co.jp");
        config.security = Security::Off;
        let relay = Relay::new(settings(), Arc::new(Smarthost::new(config).unwrap()));
        let id = relay.accept(as_is(1, &THREE)).await;
        let rows = relay.settles(id, &[Failed]).await;
        assert_eq!(rows[0].last_reply, reply);
        assert_eq!(due(&relay).await, [NoticeKind::Failure], "at once");
        assert_eq!(postman(&relay).round().await.unwrap(), 1);
        let report = eventually(|| async {
            letters.lock().unwrap().first().cloned().ok_or_else(|| "no report came".to_owned())
        })
        .await;
        let parsed = MessageParser::default().parse(report.as_bytes()).unwrap();
        let for_people = parsed.body_text(0).unwrap();
        assert!(for_people.contains(reply), "{stage}: {for_people}");
        assert!(report.contains(&format!("Diagnostic-Code: smtp; {reply}\r\n")), "{stage}: {report}");
        assert_eq!(named(&report), THREE, "{stage}");
        assert_eq!(parsed.to().unwrap().first().unwrap().address(), Some(SENDER));
        relay.courier.drain().await;
        assert_eq!(letters.lock().unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_report_names_only_who_failed_since() {
    let late = Arc::new(AtomicBool::new(false));
    let is_late = Arc::clone(&late);
    let rig = Rig::new(settings(), move |_, to| {
        let late = is_late.load(Ordering::SeqCst);
        match THREE.iter().position(|one| to == [*one]) {
            Some(0) => Scene::Says(vec![Fate::Failed("550 5.1.1 nobody".to_owned())]),
            Some(1) if late => Scene::Says(vec![Fate::Failed("550 5.2.2 full".to_owned())]),
            Some(_) if !late => Scene::Says(vec![not_now()]),
            _ => Scene::Takes,
        }
    });
    let postman = postman(&rig);
    let id = rig.accept(split(1, &THREE)).await;
    rig.settles(id, &[Failed, Waiting, Waiting]).await;
    assert!(due(&rig).await.is_empty(), "more failures may follow");
    rig.pass(minutes(15));
    assert_eq!(postman.round().await.unwrap(), 1);
    assert_eq!(named(&reports(&rig, 1).await[0]), [THREE[0]]);

    late.store(true, Ordering::SeqCst);
    rig.pass(minutes(60));
    rig.settles(id, &[Failed, Failed, Delivered]).await;
    assert_eq!(postman.round().await.unwrap(), 1);
    assert_eq!(named(&reports(&rig, 2).await[1]), [THREE[1]]);

    // an operator retries, and it fails again
    let filter =
        QueueFilter { state: Some(Failed), recipient: Some(THREE[0].to_owned()), ..Default::default() };
    assert_eq!(rig.store.change_queue(&filter, QueueChange::Retry, "admin", rig.now()).await.unwrap(), 1);
    rig.courier.wake();
    eventually(|| async { if due(&rig).await.is_empty() { Err("not tried".to_owned()) } else { Ok(()) } })
        .await;
    assert_eq!(postman.round().await.unwrap(), 1);
    assert_eq!(named(&reports(&rig, 3).await[2]), [THREE[0]]);
    assert_eq!(postman.round().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delay_is_told_only_of_what_still_waits() {
    for recovers in [true, false] {
        let rig = Rig::new(settings(), move |number, to| match to {
            [one] if one == SENDER => Scene::Takes,
            _ if recovers && number > 0 => Scene::Takes,
            _ => Scene::Says(vec![not_now()]),
        });
        let postman = postman(&rig);
        let id = rig.accept(as_is(1, &THREE[..1])).await;
        rig.settles(id, &[Waiting]).await;
        rig.pass(minutes(1));
        eventually(|| async {
            if rig.upstream.begun() == 2 { Ok(()) } else { Err("not tried again".to_owned()) }
        })
        .await;
        rig.settles(id, &[if recovers { Delivered } else { Waiting }]).await;
        rig.clock.advance_millis(i64::try_from(minutes(4 * 60).as_millis()).unwrap());
        assert_eq!(due(&rig).await, [NoticeKind::Delayed]);
        assert_eq!(postman.round().await.unwrap(), 1);
        assert!(due(&rig).await.is_empty());
        if recovers {
            tokio::time::sleep(Duration::from_millis(100)).await;
            reports(&rig, 0).await;
        } else {
            let report = &reports(&rig, 1).await[0];
            assert_eq!(named(report), THREE[..1]);
            assert!(report.contains("Action: delayed") && report.contains("451 4.7.1 not now"), "{report}");
        }
    }
}
