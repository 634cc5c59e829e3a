//! The postman with the real store and a scripted intake.

use super::super::tests::{RECEIVED, address, letterhead, message};
use super::*;
use crate::clock::{ManualClock, SystemEntropy};
use crate::message::Address;
use crate::store::prelude::*;
use crate::store::sqlite::{Options, SqliteStore};
use crate::store::{
    AskId, ForkRelation, HoldKind, LinkAction, NewHold, NewMessage, NewNotice, NoticeKind, Reason,
    StoredMessage,
};
use std::collections::VecDeque;
use std::sync::Mutex;

/// Answers with scripted results (`None`: commits), and marks notices as sent.
struct Scripted {
    store: Arc<SqliteStore>,
    script: Mutex<VecDeque<Option<StoreError>>>,
    taken: Mutex<Vec<OwnMail>>,
}

#[async_trait]
impl OwnIntake for Scripted {
    async fn own(&self, mail: OwnMail) -> Result<Id, StoreError> {
        if let Some(Some(error)) = self.script.lock().unwrap().pop_front() {
            return Err(error);
        }
        self.store.drop_notice(mail.answers.unwrap()).await?;
        self.taken.lock().unwrap().push(mail);
        Ok(Id::new(RECEIVED, 99))
    }

    async fn tell(&self, mail: OwnMail, asks: Vec<AskId>) -> Result<Id, StoreError> {
        if let Some(Some(error)) = self.script.lock().unwrap().pop_front() {
            return Err(error);
        }
        self.store.drop_asks(asks).await?;
        self.taken.lock().unwrap().push(mail);
        Ok(Id::new(RECEIVED, 99))
    }
}

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

    async fn away(&self) -> Result<Vec<crate::store::absences::Absence>, StoreError> {
        Ok(Vec::new())
    }
}

struct Office {
    _folder: tempfile::TempDir,
    store: Arc<SqliteStore>,
    intake: Arc<Scripted>,
    clock: Arc<ManualClock>,
    postman: Postman,
}

impl Office {
    fn new(letterhead: Letterhead, script: Vec<Option<StoreError>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path().join("s.db"), Options::default()).unwrap());
        let intake = Arc::new(Scripted {
            store: Arc::clone(&store),
            script: Mutex::new(script.into()),
            taken: Mutex::default(),
        });
        let clock = Arc::new(ManualClock::at(Timestamp(RECEIVED.0 + 1_000)));
        let deps = Deps {
            store: store.clone(),
            intake: intake.clone(),
            links: Arc::new(Unlinked),
            clock: clock.clone(),
            entropy: Arc::new(SystemEntropy),
            bell: Arc::default(),
        };
        Self { _folder: folder, store, intake, clock, postman: Postman::new(deps, letterhead) }
    }

    /// Commits a held message with its two notices.
    async fn hold(&self, message: StoredMessage) {
        let due = |kind| NewNotice { kind, due: RECEIVED };
        let held = NewMessage {
            held: Some(NewHold {
                kind: HoldKind::Ask,
                reasons: vec![Reason::said("strangers", "他人")],
                hits: Vec::new(),
                expires: Timestamp(RECEIVED.0 + 1_000_000),
                approvers: Vec::new(),
                relation: ForkRelation::default(),
                glance: crate::store::Glance::default(),
            }),
            notices: vec![due(NoticeKind::Held), due(NoticeKind::HeldApprovers)],
            ..NewMessage::of(message.message)
        };
        self.store.accept(held).await.unwrap();
    }

    fn told(&self) -> Vec<String> {
        let taken = self.intake.taken.lock().unwrap();
        taken.iter().flat_map(|mail| mail.to.iter().map(ToString::to_string)).collect()
    }

    async fn due(&self) -> usize {
        self.store.due_notices(Timestamp(RECEIVED.0 + 1_000), 10).await.unwrap().len()
    }
}

#[tokio::test]
async fn what_is_due_is_sent_once() {
    let office = Office::new(letterhead(), Vec::new());
    office.hold(message(false)).await;
    // two notices, and the ask that one of them creates
    assert_eq!(office.postman.round().await.unwrap(), 3);
    let mut told = office.told();
    told.sort();
    assert_eq!(told, ["soumu@example.co.jp", "yamada@example.co.jp"]);
    assert_eq!(office.postman.round().await.unwrap(), 0);
}

#[tokio::test]
async fn with_nobody_to_tell_a_notice_is_dropped() {
    let nobody = Letterhead { approvers: Vec::new(), admin: None, ..letterhead() };
    let office = Office::new(nobody, Vec::new());
    let mut stranger = message(false);
    stranger.envelope.sender = Some(address("stranger@alpha.example.com"));
    office.hold(stranger).await;
    assert_eq!(office.postman.round().await.unwrap(), 2);
    assert_eq!((office.told().len(), office.due().await), (0, 0));
}

#[tokio::test]
async fn a_failure_keeps_the_notice_and_not_the_others() {
    let full = Some(StoreError::Full("no room".to_owned()));
    let office = Office::new(letterhead(), vec![full]);
    office.hold(message(false)).await;
    assert!(matches!(office.postman.round().await, Err(StoreError::Full(_))));
    assert_eq!((office.told().len(), office.due().await), (1, 1));
    assert_eq!(office.postman.round().await.unwrap(), 1);
    assert_eq!((office.told().len(), office.due().await), (2, 0));
}

#[tokio::test]
async fn a_notice_that_changed_meanwhile_is_no_failure() {
    let office = Office::new(letterhead(), vec![Some(StoreError::Fenced)]);
    office.hold(message(false)).await;
    assert_eq!(office.postman.round().await.unwrap(), 3);
    assert_eq!(office.due().await, 1);
}

#[tokio::test]
async fn a_hold_that_nobody_decides_is_told_again() {
    let mut slow = letterhead();
    slow.asking.escalation = Some(crate::notice::asking::Escalation {
        after: Duration::from_secs(100),
        to: vec![address("bucho@example.co.jp")],
    });
    let office = Office::new(slow, Vec::new());
    office.hold(message(false)).await;
    office.postman.round().await.unwrap();
    office.postman.round().await.unwrap();
    let told = |office: &Office| {
        let told = office.told();
        office.intake.taken.lock().unwrap().clear();
        told
    };
    let mut first = told(&office);
    first.sort();
    assert_eq!(first, ["soumu@example.co.jp", "yamada@example.co.jp"]);
    // nobody answers
    office.clock.advance_millis(101_000);
    office.postman.round().await.unwrap();
    assert_eq!(told(&office), ["bucho@example.co.jp"]);
    // the warning is due 250 s before the hold of 1,000 s expires
    office.clock.advance_millis(600_000);
    office.postman.round().await.unwrap();
    assert_eq!(told(&office), Vec::<String>::new());
    office.clock.advance_millis(60_000);
    office.postman.round().await.unwrap();
    let mut warned = told(&office);
    warned.sort();
    assert_eq!(warned, ["bucho@example.co.jp", "soumu@example.co.jp", "yamada@example.co.jp"]);
    office.postman.round().await.unwrap();
    assert_eq!(told(&office), Vec::<String>::new());
}

#[tokio::test]
async fn who_decides_is_told_of_nothing_that_is_decided() {
    let mut daily = letterhead();
    daily.asking.digest = crate::notice::hours::Digest::Every(Duration::from_secs(50));
    let office = Office::new(daily, Vec::new());
    let held = message(false);
    office.hold(held.clone()).await;
    office.postman.round().await.unwrap();
    assert_eq!(office.told(), ["yamada@example.co.jp"]);
    office
        .store
        .decide(crate::store::HeldDecision::new(
            held.id,
            crate::store::HeldState::Returned,
            "soumu",
            RECEIVED,
            "",
        ))
        .await
        .unwrap();
    office.clock.advance_millis(2_000_000);
    office.postman.round().await.unwrap();
    assert_eq!(office.told(), ["yamada@example.co.jp"]);
    assert_eq!(office.store.next_notice().await.unwrap(), None);
}
