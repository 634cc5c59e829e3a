//! Sending again openly, with the real intake, desk and store, without sockets.

use super::*;
use crate::clock::hours::Term;
use crate::clock::{Clock, ManualClock};
use crate::desk::links::{LinkState, Links};
use crate::desk::principal::{Principal, Roles, Via};
use crate::desk::wish::How;
use crate::intake::{Answer, ClientIntake, Deps, Dispatch, Intake, Reservation, Settings};
use crate::message::Recipient;
use crate::policy::{Organisation, Policy};
use crate::store::sqlite::{Options, SqliteStore};
use crate::store::{
    AttemptResult, Claim, LinkAction, Origin, QueueRow, RecipientResult, Retention, Store, StoredMessage,
};
use bytes::Bytes;
use std::time::Duration;
use tokio::sync::watch;

const SENDER: &str = "sato@example.co.jp";
const HOLD: Duration = Duration::from_hours(5);
/// Not ASCII, with a line that begins with a dot, and without a line end at the end.
const BODY: &str = "\r\n会議のご案内\r\n.\r\nlast line";

/// A courier without slots: copies wait in the store.
struct Nowhere;

impl Dispatch for Nowhere {
    fn reserve(&self, _: usize) -> Box<dyn Reservation> {
        Box::new(Self)
    }
    fn wake(&self) {}
}

impl Reservation for Nowhere {
    fn slots(&self) -> usize {
        0
    }
    fn dispatch(self: Box<Self>, _: Arc<StoredMessage>, _: Vec<Claim>) {}
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

/// Twelve people at as many organisations: split at once.
fn people() -> Vec<String> {
    (0..12).map(|one| format!("p{one}@org{one}.example")).collect()
}

struct World {
    clock: Arc<ManualClock>,
    intake: Intake,
    desk: Desk,
    sender: Principal,
    approver: Principal,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::open(folder.path().join("x.db"), Options::default()).unwrap());
        let clock = Arc::new(ManualClock::at(Timestamp(1_760_000_000_000)));
        let examiner = Examiner {
            organisation: Arc::new(Organisation::of_sender()),
            policy: Arc::new(Policy::shipped().unwrap()),
            options: Arc::default(),
            approvers: Arc::default(),
            budgets: Arc::default(),
        };
        let settings = Settings {
            hostname: "relay.example".to_owned(),
            hold_for: Term::always(HOLD),
            lease: Duration::from_mins(1),
        };
        let intake = Intake::new(Deps {
            examiner: examiner.clone(),
            store: store.clone(),
            dispatch: Arc::new(Nowhere),
            clock: clock.clone(),
            entropy: Arc::new(SystemEntropy),
            marks: Arc::default(),
            watcher: Arc::new(()),
            settings,
        });
        let desk = Desk {
            store,
            examiner: watch::channel(examiner).1,
            courier: None,
            bell: None,
            clock: clock.clone(),
            hostname: Arc::from("relay.example"),
            preview_seals: watch::channel(Arc::default()).1,
            hold_for: watch::channel(Term::always(HOLD)).1,
            asking: watch::channel(Arc::new(crate::notice::asking::Asking::plain(
                crate::notice::hours::Hours::always(jiff::tz::TimeZone::UTC),
            )))
            .1,
            grace: std::time::Duration::ZERO,
        };
        let approver = Principal {
            name: "soumu".to_owned(),
            addresses: vec![address("soumu@example.co.jp")],
            roles: Roles { admin: true, ..Roles::default() },
            via: Via::Login,
        };
        Self { clock, intake, desk, sender: Principal::by_link(&address(SENDER)), approver, _folder: folder }
    }

    /// One transaction, to some recipients, of a mail that names all of `shown`.
    async fn comes(&self, shown: &[String], to: &[String]) -> Id {
        self.clock.advance_millis(1_000);
        let envelope = Envelope {
            sender: Some(address(SENDER)),
            recipients: to.iter().map(|one| Recipient::plain(address(one))).collect(),
            smtputf8: false,
            eight_bit: true,
            ret: None,
            envid: None,
        };
        let (peer, helo) = ("192.0.2.9:4025".to_owned(), "pc".to_owned());
        let origin = Origin::Client { peer, helo, identity: None, secured: false };
        let text = format!(
            "From: {SENDER}\r\nTo: {}\r\nSubject: news\r\nMessage-ID: <1@example.co.jp>\r\n\
             Date: Thu, 09 Oct 2025 17:53:20 +0900\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: 8bit\r\n{BODY}",
            shown.join(",\r\n ")
        );
        let Ok(mut reception) = self.intake.begin(origin, envelope, None).await else { panic!("refused") };
        reception.write(Bytes::from(text)).await.unwrap();
        match reception.finish().await {
            Answer::Queued(id) | Answer::Held(id, _) => id,
            other => panic!("{other:?}"),
        }
    }

    async fn asks(&self, id: Id) -> Result<Option<Id>, DeskError> {
        self.desk.ask_as_is(&self.sender, id, "a project team").await
    }

    async fn message(&self, id: Id) -> StoredMessage {
        self.desk.store.message(id).await.unwrap()
    }

    async fn body(&self, id: Id) -> Vec<u8> {
        let mut all = Vec::new();
        let message = self.message(id).await;
        self.desk.store.open_body(&message.body).await.unwrap().stream.read_to_end(&mut all).await.unwrap();
        all
    }

    async fn state(&self, id: Id) -> Option<HeldState> {
        self.message(id).await.held.map(|held| held.state)
    }

    async fn copies(&self, id: Id) -> Vec<QueueRow> {
        self.desk.store.deliveries(id).await.unwrap()
    }

    /// Delivers up to this many of the copies that are due.
    async fn leave(&self, most: usize) {
        let now = self.clock.now();
        for claim in self.desk.store.claim(now, most, Duration::from_mins(1)).await.unwrap() {
            let fate =
                || RecipientResult { state: DeliveryState::Delivered, reply: "250 ok".to_owned(), due: None };
            let recipients = claim.delivery.recipients().iter();
            let result = AttemptResult {
                lease: claim.lease,
                message: claim.message,
                at: now,
                recipients: recipients.map(|to| (to.address.clone(), fate())).collect(),
                attempt: claim.attempt,
                notices: Vec::new(),
            };
            self.desk.store.record(result).await.unwrap();
        }
    }
}

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn it_is_the_same_mail_under_another_message_id_and_waits_for_somebody_else() {
    run(async {
        let world = World::new();
        let all = people();
        let old = world.comes(&all, &all).await;
        world.leave(5).await; // partly delivered
        let new = world.asks(old).await.unwrap().unwrap();
        let (before, after) = (world.message(old).await, world.message(new).await);

        let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        let (was, is) = ("<1@example.co.jp>".to_owned(), format!("<{}>", after.message_id));
        assert_eq!(text(&after.header), text(&before.header).replace(&was, &is));
        assert_ne!(after.message_id, before.message_id);
        assert_eq!(world.body(new).await, BODY.as_bytes());
        assert_eq!(world.body(old).await, BODY.as_bytes());
        assert_eq!(after.envelope.recipients, before.envelope.recipients);

        let held = after.held.clone().unwrap();
        assert_eq!((held.state, held.kind, held.hits.len()), (HeldState::Held, HoldKind::Rule, 0));
        assert_eq!(held.expires, world.clock.now().plus(HOLD));
        assert!(world.copies(new).await.is_empty());
        for how in [How::Split, How::AsIs] {
            let tried = world.desk.release(&world.sender, new, how, &[]).await;
            assert!(matches!(tried, Err(DeskError::NotAllowed(_))), "{how}");
        }

        // the journals of both name each other
        let journal = world.desk.store.journal(old).await.unwrap();
        assert!(
            journal.iter().any(|entry| matches!(entry.event, Event::AskedAgain { anew, .. } if anew == new))
        );
        let journal = world.desk.store.journal(new).await.unwrap();
        assert!(journal.iter().any(|entry| entry.event == Event::Again { of: old }));

        let released = world.desk.release(&world.approver, new, How::AsIs, &[]).await.unwrap();
        assert_eq!((released.recipients.len(), released.had_it_already.len()), (12, 0));
        assert_eq!(world.copies(new).await.iter().map(|row| row.recipients.len()).sum::<usize>(), 12);
        assert_eq!(world.asks(old).await.unwrap(), Some(new), "it was sent again already");
    });
}

#[test]
fn asked_twice_it_is_one_and_what_went_back_may_be_asked_for_anew() {
    run(async {
        let world = World::new();
        let all = people();
        let old = world.comes(&all, &all).await;
        let at_once = tokio::join!(world.asks(old), world.asks(old), world.asks(old));
        let first = at_once.0.unwrap().unwrap();
        assert_eq!((at_once.1.unwrap(), at_once.2.unwrap()), (Some(first), Some(first)));
        assert_eq!(world.asks(old).await.unwrap(), Some(first));
        world.desk.give_back(&world.approver, first, "no").await.unwrap();
        let second = world.asks(old).await.unwrap().unwrap();
        assert_ne!(second, first);
        assert_ne!(world.message(second).await.message_id, world.message(first).await.message_id);
        assert_eq!(
            (world.state(first).await, world.state(second).await),
            (Some(HeldState::Returned), Some(HeldState::Held))
        );

        // neither is a repeat of the old mail, and a repeat of the old mail is still recognised
        assert_eq!(world.comes(&all, &all).await, old);
        assert_eq!(world.state(second).await, Some(HeldState::Held));
    });
}

#[test]
fn a_mail_in_several_transactions_is_asked_for_as_one() {
    run(async {
        let world = World::new();
        let all = people();
        let first = world.comes(&all, &all[..4]).await;
        let second = world.comes(&all, &all[4..]).await;
        let new = world.asks(second).await.unwrap().unwrap();
        assert_eq!(world.asks(first).await.unwrap(), Some(new));
        assert_eq!(world.message(new).await.envelope.recipients.len(), 12);
        for part in [first, second] {
            let journal = world.desk.store.journal(part).await.unwrap();
            let names = |entry: &crate::journal::Entry| matches!(entry.event, Event::AskedAgain { anew, .. } if anew == new);
            assert_eq!(journal.iter().filter(|entry| names(entry)).count(), 1);
        }
    });
}

#[test]
fn what_was_not_sent_individually_is_not_asked_for() {
    run(async {
        let world = World::new();
        let all = people();
        // three people see each other: passed as it is
        let passed = world.comes(&all[..3], &all[..3]).await;
        assert!(matches!(world.asks(passed).await, Err(DeskError::TooLate(_))));
        // with five, the mail is held: the request is about that hold; once it is released openly there is
        // nothing to ask for
        let held = world.comes(&all[..6], &all[..6]).await;
        assert_eq!(world.asks(held).await.unwrap(), None);
        world.desk.release(&world.approver, held, How::AsIs, &[]).await.unwrap();
        assert!(world.asks(held).await.is_err());
    });
}

#[test]
fn what_was_released_individually_is_asked_for_without_who_was_taken_off() {
    run(async {
        let world = World::new();
        let all = people();
        let held = world.comes(&all[..6], &all[..6]).await;
        world.desk.release(&world.approver, held, How::Split, &[address(&all[0])]).await.unwrap();
        let new = world.asks(held).await.unwrap().unwrap();
        let got = world.message(new).await.message.envelope.recipients;
        assert_eq!(got.iter().map(|to| to.address.as_str()).collect::<Vec<_>>(), all[1..6]);
    });
}

#[test]
fn its_link_asks_once_and_says_when_the_content_is_past_its_time() {
    run(async {
        let world = World::new();
        let all = people();
        let old = world.comes(&all, &all).await;
        let links = Links::new(world.desk.clone(), Some("https://desk.example"));
        let message = world.message(old).await;
        let url = links.new_link(&address(SENDER), &message, LinkAction::AskAgain).await.unwrap().unwrap();
        let token = url.rsplit('/').next().unwrap();
        let other = links.new_link(&address("x@example.co.jp"), &message, LinkAction::AskAgain).await;
        let other = other.unwrap().unwrap();
        let stranger = links.follow(other.rsplit('/').next().unwrap(), "why not", &[]).await.unwrap();
        assert_eq!(stranger, LinkState::Nothing, "none of theirs");
        assert!(matches!(links.look(token).await.unwrap(), LinkState::Open(_)));
        assert!(links.follow(token, " ", &[]).await.is_err(), "a reason is asked for");
        let LinkState::Over(done) = links.follow(token, "they know each other", &[]).await.unwrap() else {
            panic!()
        };
        assert_eq!(world.state(done.anew.unwrap()).await, Some(HeldState::Held));
        let LinkState::Over(again) = links.follow(token, "once more", &[]).await.unwrap() else { panic!() };
        assert_eq!(again.anew, done.anew);

        let later = links.new_link(&address(SENDER), &message, LinkAction::AskAgain).await.unwrap().unwrap();
        let token = later.rsplit('/').next().unwrap();
        world.leave(100).await;
        world.clock.advance_millis(8 * 24 * 3_600_000);
        // a message is kept until its notices are sent
        for notice in world.desk.store.due_notices(world.clock.now(), 100).await.unwrap() {
            world.desk.store.drop_notice(notice.id).await.unwrap();
        }
        let keep = Retention { contents: Duration::from_hours(7 * 24), ..Retention::default() };
        assert_eq!(world.desk.store.purge(world.clock.now(), keep).await.unwrap().contents, 1);
        assert_eq!(links.look(token).await.unwrap(), LinkState::Past);
        assert_eq!(links.follow(token, "why not", &[]).await.unwrap(), LinkState::Past);
    });
}

#[test]
fn a_delayed_mail_is_asked_for_itself_until_it_leaves_and_waits_as_long_as_any_hold() {
    run(async {
        let world = World::new();
        // twelve people of four companies: sent after ten minutes
        let team: Vec<String> = (0..12).map(|one| format!("p{one}@firm{}.example", one % 4)).collect();
        let first = world.comes(&team, &team).await;
        assert_eq!(world.asks(first).await.unwrap(), None);
        let held = world.message(first).await.held.unwrap();
        assert_eq!((held.state, held.expires), (HeldState::Held, world.clock.now().plus(HOLD)));
        world.desk.give_back(&world.approver, first, "no").await.unwrap();

        let second = world.comes(&team, &team).await;
        world.clock.advance_millis(11 * 60_000);
        world.leave(100).await;
        let new = world.asks(second).await.unwrap().unwrap();
        assert_eq!(world.state(new).await, Some(HeldState::Held));
        assert_eq!(world.state(second).await, None);
    });
}
