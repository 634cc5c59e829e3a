//! Random orders of events: transactions of one mail arrive, repeatedly and late, while people decide, take
//! back and undo, time passes, and copies are sent. With the real intake, desk and store, without sockets.
//!
//! Invariants: nobody gets the same contents twice; exactly the recipients of released transactions get them;
//! no item is decided twice; one mail never waits as two items, and the list has one line for each.

use super::principal::{Principal, Roles, Via};
use super::wish::How;
use super::{Desk, DeskError};
use crate::clock::hours::Term;
use crate::clock::{Clock, ManualClock, SystemEntropy, Timestamp};
use crate::examine::Examiner;
use crate::id::Id;
use crate::intake::{Answer, ClientIntake, Deps, Dispatch, Intake, Reservation, Settings};
use crate::journal::Event;
use crate::message::{Address, Envelope, Recipient};
use crate::policy::{Organisation, Policy};
use crate::store::sqlite::{Options, SqliteStore};
use crate::store::{
    AttemptResult, Claim, DeliveryState, HeldFilter, HeldQuery, HeldState, Origin, RecipientResult, Scope,
    Store, StoredMessage,
};
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const START: Timestamp = Timestamp(1_760_000_000_000);
const SENDER: &str = "sato@example.co.jp";
const APPROVER: &str = "soumu@example.co.jp";
/// The people in the header, at five organisations; the last is only an envelope recipient.
const PEOPLE: [&str; 6] =
    ["a@a.example", "b@b.example", "c@c.example", "d@d.example", "e@e.example", "x@x.example"];
const HOLD: Duration = Duration::from_hours(1);

/// An event.
#[derive(Clone, Debug)]
enum Step {
    /// A transaction arrives for these people, with this content.
    Comes {
        people: Vec<usize>,
        content: usize,
    },
    Release(How),
    Return,
    TakeBack,
    Undo,
    /// This many minutes pass, and what is due expires.
    Wait(u64),
    /// Copies that are due are sent.
    Leave,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let people = proptest::sample::subsequence((0..PEOPLE.len()).collect::<Vec<_>>(), 1..=PEOPLE.len());
    let step = prop_oneof![
        8 => (people, prop_oneof![4 => Just(0_usize), 1 => Just(1)])
            .prop_map(|(people, content)| Step::Comes { people, content }),
        2 => prop_oneof![Just(How::Split), Just(How::Bcc), Just(How::AsIs)].prop_map(Step::Release),
        1 => Just(Step::Return),
        2 => Just(Step::TakeBack),
        2 => Just(Step::Undo),
        1 => prop_oneof![Just(1_u64), Just(61)].prop_map(Step::Wait),
        2 => Just(Step::Leave),
    ];
    proptest::collection::vec(step, 1..16)
}

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

struct World {
    clock: Arc<ManualClock>,
    intake: Intake,
    desk: Desk,
    sender: Principal,
    approver: Principal,
    /// The content of each accepted message.
    came: BTreeMap<Id, usize>,
    sent: BTreeSet<(usize, usize)>,
    /// How often each person got each content.
    got: BTreeMap<(usize, String), usize>,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::open(folder.path().join("x.db"), Options::default()).unwrap());
        let clock = Arc::new(ManualClock::at(START));
        let examiner = Examiner {
            organisation: Arc::new(Organisation::of_sender()),
            policy: Arc::new(Policy::shipped().unwrap()),
            options: Arc::default(),
            approvers: Arc::default(),
            budgets: Arc::default(),
        };
        let settings = Settings {
            hostname: "relay.example.co.jp".to_owned(),
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
            hostname: Arc::from("relay.example.co.jp"),
            preview_seals: watch::channel(Arc::default()).1,
            grace: std::time::Duration::ZERO,
            hold_for: watch::channel(Term::always(HOLD)).1,
            asking: watch::channel(Arc::new(crate::notice::asking::Asking::plain(
                crate::notice::hours::Hours::always(jiff::tz::TimeZone::UTC),
            )))
            .1,
        };
        let approver = Principal {
            name: "soumu".to_owned(),
            addresses: vec![address(APPROVER)],
            roles: Roles { admin: true, ..Roles::default() },
            via: Via::Login,
        };
        let sender = Principal::by_link(&address(SENDER));
        let (came, sent, got) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        Self { clock, intake, desk, sender, approver, came, sent, got, _folder: folder }
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Comes { people, content } => self.comes(people, *content).await,
            Step::Release(how) => {
                for item in self.items(HeldState::Held).await {
                    self.desk.release(&self.approver, item, *how, &[]).await.unwrap();
                    self.refuses_everything(item).await;
                }
            }
            Step::Return => {
                for item in self.items(HeldState::Held).await {
                    self.desk.give_back(&self.approver, item, "no").await.unwrap();
                    self.refuses_everything(item).await;
                }
            }
            Step::TakeBack => {
                for item in self.items(HeldState::Held).await {
                    self.desk.take_back(&self.sender, item).await.unwrap();
                    self.refuses_everything(item).await;
                }
            }
            Step::Undo => {
                for item in self.items(HeldState::Returned).await {
                    // what an approver returned cannot be undone by the sender
                    let _ = self.desk.undo(&self.sender, item).await;
                }
            }
            Step::Wait(minutes) => {
                self.clock.advance_millis(i64::try_from(minutes * 60_000).unwrap());
                self.desk.expire().await.unwrap();
            }
            Step::Leave => self.leave().await,
        }
        self.holds().await;
    }

    /// Receives one transaction.
    async fn comes(&mut self, people: &[usize], content: usize) {
        // ids are made from the time, so the clock must advance between transactions
        self.clock.advance_millis(1_000);
        let envelope = Envelope {
            sender: Some(address(SENDER)),
            recipients: people.iter().map(|one| Recipient::plain(address(PEOPLE[*one]))).collect(),
            smtputf8: false,
            eight_bit: false,
            ret: None,
            envid: None,
        };
        let origin = Origin::Client {
            peer: "192.0.2.9:4025".to_owned(),
            helo: "pc".to_owned(),
            identity: None,
            secured: false,
        };
        let text = format!(
            "From: {SENDER}\r\nTo: {}\r\nSubject: news\r\nMessage-ID: <1@example.co.jp>\r\n\
             Date: Thu, 15 Oct 2026 01:46:40 +0900\r\n\r\nHello {content}\r\n",
            PEOPLE[..5].join(", ")
        );
        let Ok(mut reception) = self.intake.begin(origin, envelope, None).await else { panic!("refused") };
        reception.write(Bytes::from(text)).await.unwrap();
        let id = match reception.finish().await {
            Answer::Queued(id) | Answer::Held(id, _) => id,
            other => panic!("{other:?}"),
        };
        let known = self.came.insert(id, content);
        assert!(known.is_none_or(|known| known == content), "taken for another content");
        self.sent.extend(people.iter().map(|one| (content, *one)));
    }

    async fn items(&self, state: HeldState) -> Vec<Id> {
        let filter = HeldFilter { state: Some(state), ..HeldFilter::default() };
        self.desk.store.held(&filter).await.unwrap().iter().map(|row| row.id).collect()
    }

    /// Checks that a decided item cannot be changed.
    async fn refuses_everything(&self, item: Id) {
        let decided = |result: Result<(), DeskError>| {
            let why = result.expect_err("decided twice").to_string();
            assert!(why.contains("already"), "{why}");
        };
        for how in [How::Split, How::AsIs] {
            decided(self.desk.release(&self.approver, item, how, &[]).await.map(|_| ()));
        }
        decided(self.desk.give_back(&self.approver, item, "no").await);
        decided(self.desk.take_back(&self.sender, item).await);
    }

    /// Delivers every copy that is due.
    async fn leave(&mut self) {
        let now = self.clock.now();
        for claim in self.desk.store.claim(now, 1_000, Duration::from_mins(1)).await.unwrap() {
            let content = self.came[&claim.message];
            let mut recipients = Vec::new();
            for recipient in claim.delivery.recipients() {
                *self.got.entry((content, recipient.address.to_string())).or_default() += 1;
                let fate = RecipientResult {
                    state: DeliveryState::Delivered,
                    reply: "250 ok".to_owned(),
                    due: None,
                };
                recipients.push((recipient.address.clone(), fate));
            }
            let result = AttemptResult {
                lease: claim.lease,
                message: claim.message,
                at: now,
                recipients,
                attempt: claim.attempt,
                notices: Vec::new(),
            };
            self.desk.store.record(result).await.unwrap();
        }
    }

    /// Checks the invariants.
    async fn holds(&self) {
        let held = self.items(HeldState::Held).await;
        assert!(held.len() <= 1, "one mail waits as {} items", held.len());
        for (who, times) in &self.got {
            assert_eq!(*times, 1, "{who:?}");
        }
        let all = self.desk.store.held(&HeldFilter::default()).await.unwrap();
        let page = self.desk.store.held_page(&HeldQuery::new(Scope::All)).await.unwrap();
        let lines: BTreeSet<Id> = page.lines.iter().map(|line| line.id).collect();
        assert_eq!((lines.len(), page.lines.len()), (all.len(), all.len()), "a list shows each item once");
        for row in &all {
            assert_eq!(row.id, row.item, "a member is listed");
            let mut open = 0;
            for entry in self.desk.store.journal(row.id).await.unwrap() {
                open += match entry.event {
                    Event::Released { .. }
                    | Event::Returned { .. }
                    | Event::TakenBack { .. }
                    | Event::Expired {} => 1,
                    Event::Undone { .. } => -1,
                    _ => 0,
                };
                assert!((0..=1).contains(&open), "decided twice");
            }
            assert_eq!(open == 1, row.state != HeldState::Held, "{row:?}");
        }
    }

    /// Decides and sends everything that is left, at the end.
    async fn settle(&mut self) {
        self.step(&Step::Release(How::Split)).await;
        self.leave().await;
        let mut kept: BTreeMap<(usize, String), HeldState> = BTreeMap::new();
        for (id, content) in &self.came {
            let row = self.desk.store.find(id.as_str(), 1).await.unwrap().remove(0);
            let held = self.desk.store.message(*id).await.unwrap().held.expect("all of it is held");
            for recipient in row.recipients {
                // a returned mail may be sent again as a new mail, so only one of them counts
                let back = |state| matches!(state, HeldState::Returned | HeldState::Expired);
                match kept.get(&(*content, recipient.clone())) {
                    Some(stands) if !back(*stands) => assert!(back(held.state), "kept twice"),
                    _ => {
                        kept.insert((*content, recipient), held.state);
                    }
                }
            }
        }
        for (content, person) in &self.sent {
            let who = (*content, PEOPLE[*person].to_owned());
            let state = kept.get(&who).unwrap_or_else(|| panic!("{who:?} is lost"));
            let times = self.got.get(&who).copied().unwrap_or(0);
            assert_eq!(times, usize::from(*state == HeldState::Released), "{who:?}: {state}");
        }
    }
}

fn play(steps: &[Step]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut world = World::new();
        for step in steps {
            world.step(step).await;
        }
        world.settle().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn in_any_order_each_gets_it_once(steps in steps()) {
        play(&steps);
    }
}

/// An addendum is taken back, another one arrives meanwhile, and the first take-back is undone.
#[test]
fn an_addendum_that_comes_back_joins_the_one_that_waits() {
    let comes = |people: &[usize]| Step::Comes { people: people.to_vec(), content: 0 };
    let other = |people: &[usize]| Step::Comes { people: people.to_vec(), content: 1 };
    play(&[
        comes(&[0, 1]),
        Step::Release(How::Split),
        comes(&[5]),
        Step::TakeBack,
        other(&[2]),
        Step::Undo,
        Step::Leave,
        comes(&[3]),
    ]);
}

/// After a transaction for two people, one of whom had the mail already, another one for that person is
/// recognised.
#[test]
fn who_was_left_out_once_is_left_out_again() {
    let comes = |people: &[usize]| Step::Comes { people: people.to_vec(), content: 0 };
    play(&[comes(&[5]), comes(&[4, 5]), comes(&[5])]);
}
