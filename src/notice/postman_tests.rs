//! The postman between the real store and a scripted intake.

use super::super::tests::{RECEIVED, address, letterhead, message};
use super::*;
use crate::clock::{ManualClock, SystemEntropy};
use crate::store::sqlite::{Options, SqliteStore};
use crate::store::{HoldKind, NewHold, NewMessage, NewNotice, NoticeKind, StoredMessage};
use std::collections::VecDeque;
use std::sync::Mutex;

/// Takes mails as the script says (`None`: takes it), and marks what they answer as sent.
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
}

struct Office {
    _folder: tempfile::TempDir,
    store: Arc<SqliteStore>,
    intake: Arc<Scripted>,
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
        let postman = Postman::new(
            store.clone(),
            intake.clone(),
            letterhead,
            Arc::new(ManualClock::at(Timestamp(RECEIVED.0 + 1_000))),
            Arc::new(SystemEntropy),
            Arc::default(),
        );
        Self { _folder: folder, store, intake, postman }
    }

    /// Commits a held message with its two notices.
    async fn hold(&self, message: StoredMessage) {
        let due = |kind| NewNotice { kind, due: RECEIVED };
        let held = NewMessage {
            id: message.id,
            received: message.received,
            origin: message.origin,
            envelope: message.envelope,
            header: message.header,
            body: message.body,
            subject: message.subject,
            message_id: message.message_id,
            verdict: message.verdict,
            needles: Vec::new(),
            deliveries: Vec::new(),
            held: Some(NewHold {
                kind: HoldKind::Ask,
                reasons: vec![("strangers".to_owned(), "他人".to_owned())],
                hits: Vec::new(),
                expires: Timestamp(RECEIVED.0 + 1_000_000),
                approvers: Vec::new(),
            }),
            ledger: None,
            notices: vec![due(NoticeKind::Held), due(NoticeKind::HeldApprovers)],
            answers: None,
            events: Vec::new(),
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
    assert_eq!(office.postman.round().await.unwrap(), 2);
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
    assert_eq!(office.postman.round().await.unwrap(), 2);
    assert_eq!(office.due().await, 1);
}
