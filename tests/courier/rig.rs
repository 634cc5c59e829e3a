//! A courier with a real store in a temporary folder and a scripted upstream.

use async_trait::async_trait;
use bytes::Bytes;
use sekisho::clock::{Clock, Entropy, ManualClock, Timestamp};
use sekisho::courier::{Courier, CourierHandle, Deps, Settings};
use sekisho::examine::{Examination, Examiner};
use sekisho::id::Id;
use sekisho::intake::Dispatch;
use sekisho::message::{Address, Envelope, Recipient};
use sekisho::policy::{Disclosure, Knowledge, Organisation, Policy};
use sekisho::rewrite::plan::{Copies, CopyOptions, Stamp};
use sekisho::store::prelude::*;
use sekisho::store::sqlite::{Options, SqliteStore};
use sekisho::store::{Body, DeliveryState, InitialState, Message, NewDelivery, NewMessage, Origin, QueueRow};
use sekisho::upstream::{Content, Fate, Outcome, Transaction, Upstream};
use std::future::Future;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::Semaphore;

pub(crate) const NOW: Timestamp = Timestamp(1_792_000_000_000);
pub(crate) const SENDER: &str = "yamada@example.co.jp";

pub(crate) fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

/// Jitter that is always zero.
pub(crate) struct NoDice;

impl Entropy for NoDice {
    fn bits(&self) -> u64 {
        0
    }
}

/// A barrier at which transactions wait.
#[derive(Clone)]
pub(crate) struct Door {
    knocked: Arc<Semaphore>,
    opened: Arc<Semaphore>,
}

impl Door {
    pub(crate) fn new() -> Self {
        Self { knocked: Arc::new(Semaphore::new(0)), opened: Arc::new(Semaphore::new(0)) }
    }

    async fn pass(&self) {
        self.knocked.add_permits(1);
        self.opened.acquire().await.unwrap().forget();
    }

    /// Waits until a transaction is waiting at it.
    pub(crate) async fn knock(&self) {
        self.knocked.acquire().await.unwrap().forget();
    }

    /// Lets one transaction through.
    pub(crate) fn open(&self) {
        self.opened.add_permits(1);
    }
}

/// The result of one transaction.
pub(crate) enum Scene {
    /// Accepts every recipient.
    Takes,
    /// A given fate for each recipient.
    Says(Vec<Fate>),
    /// The upstream is unreachable.
    Unreachable,
    /// Waits at a barrier before the final dot, then accepts.
    WaitsBeforeTheDot(Door),
    /// Waits at a barrier between the final dot and the reply, then accepts.
    WaitsAfterTheDot(Door),
    /// Panics, before or after the final dot.
    Panics { after_the_dot: bool },
}

/// A transaction whose final dot was sent.
pub(crate) struct Taken {
    pub(crate) to: Vec<String>,
    pub(crate) header: String,
    pub(crate) body: Vec<u8>,
}

type Script = Box<dyn Fn(usize, &[String]) -> Scene + Send + Sync>;

/// The upstream. For the n-th transaction (from 0) to these recipients, the script gives the scene.
pub(crate) struct Scripted {
    script: Script,
    begun: AtomicUsize,
    dotted: Mutex<Vec<Taken>>,
}

impl Scripted {
    /// The number of transactions begun.
    pub(crate) fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    /// Recipients of the transactions whose final dot was sent, in order.
    pub(crate) fn dotted(&self) -> Vec<String> {
        self.dotted.lock().unwrap().iter().map(|taken| taken.to.join(" ")).collect()
    }

    pub(crate) fn each(&self, mut look: impl FnMut(&Taken)) {
        self.dotted.lock().unwrap().iter().for_each(&mut look);
    }
}

#[async_trait]
impl Upstream for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    async fn send(
        &self,
        transaction: &mut Transaction,
        last_look: Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Outcome {
        let to: Vec<String> =
            transaction.recipients.iter().map(|to| to.address.as_str().to_owned()).collect();
        let count = to.len();
        let scene = (self.script)(self.begun.fetch_add(1, Ordering::SeqCst), &to);
        match &scene {
            Scene::Unreachable => return Outcome::unreachable(count, "4.4.1 connection refused"),
            Scene::WaitsBeforeTheDot(door) => door.pass().await,
            Scene::Panics { after_the_dot: false } => panic!("as the script says"),
            _ => {}
        }
        let mut body = Vec::new();
        match std::mem::replace(&mut transaction.body, Content::Spent) {
            Content::Spent => panic!("a body is sent once"),
            Content::Inline(bytes) => body.extend_from_slice(&bytes),
            Content::Stream { mut stream, .. } => {
                stream.read_to_end(&mut body).await.unwrap();
            }
        }
        if !last_look() {
            return Outcome::all(count, &Fate::Deferred("broken off".to_owned()));
        }
        let header = String::from_utf8(transaction.header.to_vec()).unwrap();
        self.dotted.lock().unwrap().push(Taken { to, header, body });
        match scene {
            Scene::Says(fates) => Outcome { recipients: fates, unreachable: false, reports: false },
            Scene::Panics { .. } => panic!("as the script says"),
            Scene::WaitsAfterTheDot(door) => {
                door.pass().await;
                Outcome::all(count, &taken())
            }
            _ => Outcome::all(count, &taken()),
        }
    }

    async fn probe(&self) -> Result<String, String> {
        Ok("here".to_owned())
    }
}

pub(crate) fn taken() -> Fate {
    Fate::Delivered("250 2.0.0 taken".to_owned())
}

pub(crate) fn not_now() -> Fate {
    Fate::Deferred("451 4.7.1 not now".to_owned())
}

/// Settings for tests, with short times.
pub(crate) fn settings() -> Settings {
    Settings { workers: 4, ahead: 8, poll: Duration::from_millis(10), ..Settings::default() }
}

/// One slot, and nothing claimed ahead.
pub(crate) fn one_place() -> Settings {
    Settings { workers: 1, ahead: 0, ..settings() }
}

/// A courier with a store in a temporary folder, and a clock that stands still.
pub(crate) struct Relay {
    folder: tempfile::TempDir,
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) courier: CourierHandle,
}

/// A relay with a scripted upstream.
pub(crate) struct Rig {
    relay: Relay,
    pub(crate) upstream: Arc<Scripted>,
}

impl Rig {
    pub(crate) fn new(
        settings: Settings,
        script: impl Fn(usize, &[String]) -> Scene + Send + Sync + 'static,
    ) -> Self {
        let upstream = Arc::new(Scripted {
            script: Box::new(script),
            begun: AtomicUsize::new(0),
            dotted: Mutex::default(),
        });
        Self { relay: Relay::new(settings, upstream.clone()), upstream }
    }
}

impl Deref for Rig {
    type Target = Relay;

    fn deref(&self) -> &Relay {
        &self.relay
    }
}

impl Relay {
    pub(crate) fn new(settings: Settings, upstream: Arc<dyn Upstream>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path().join("s.db"), Options::default()).unwrap());
        let clock = Arc::new(ManualClock::at(NOW));
        let courier = Courier::start(Deps {
            store: store.clone(),
            upstream,
            clock: clock.clone(),
            entropy: Arc::new(NoDice),
            seals: Arc::default(),
            settings,
        });
        Self { folder, store, clock, courier }
    }

    /// Commits a message and tells the courier.
    pub(crate) async fn accept(&self, message: NewMessage) -> Id {
        let id = message.id;
        self.store.accept(message).await.unwrap();
        self.courier.wake();
        id
    }

    pub(crate) fn pass(&self, span: Duration) {
        self.clock.advance_millis(i64::try_from(span.as_millis()).unwrap());
        self.courier.wake();
    }

    /// Advances the clock by a duration less one millisecond, and lets some real time pass.
    pub(crate) async fn nearly_pass(&self, span: Duration) {
        self.clock.advance_millis(i64::try_from(span.as_millis()).unwrap() - 1);
        self.courier.wake();
        self.linger().await;
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) async fn rows(&self, id: Id) -> Vec<QueueRow> {
        self.store.deliveries(id).await.unwrap()
    }

    /// Waits until the deliveries of a message are in these states, in order.
    pub(crate) async fn settles(&self, id: Id, states: &[DeliveryState]) -> Vec<QueueRow> {
        eventually(|| async {
            let rows = self.rows(id).await;
            let now: Vec<_> = rows.iter().map(|row| row.state).collect();
            if now == states { Ok(rows) } else { Err(format!("{now:?}, not yet {states:?}")) }
        })
        .await
    }

    /// Keeps the store from writing until what this returns is dropped.
    pub(crate) fn locked(&self) -> rusqlite::Connection {
        let other = rusqlite::Connection::open(self.folder.path().join("s.db")).unwrap();
        other.busy_timeout(minutes(1)).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        other
    }

    /// Waits until no transaction is open, all results are recorded, and nothing is claimed ahead.
    pub(crate) async fn rests(&self) {
        eventually(|| async {
            let stats = self.courier.stats();
            if (stats.busy, stats.recording, stats.ahead) == (0, 0, 0) {
                Ok(())
            } else {
                Err(format!("{stats:?}"))
            }
        })
        .await;
    }

    /// Waits long enough for a forbidden action to happen.
    pub(crate) async fn linger(&self) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Waits up to half a minute until a condition holds.
pub(crate) async fn eventually<T, F: Future<Output = Result<T, String>>>(look: impl Fn() -> F) -> T {
    let began = std::time::Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(why) => assert!(began.elapsed() < Duration::from_secs(30), "{why}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A mail of ours, examined as the intake would.
pub(crate) struct Mail {
    pub(crate) examiner: Examiner,
    pub(crate) seen: Examination,
    pub(crate) stamp: Stamp,
}

impl Mail {
    pub(crate) fn new(number: u64, to: &[&str]) -> Self {
        let text = format!(
            "From: {SENDER}\r\nTo: {}\r\nSubject: news\r\nMessage-ID: <{number}@example.co.jp>\r\n\
             Date: Thu, 15 Oct 2026 01:46:40 +0900\r\n\r\nHello all\r\n",
            to.join(",\r\n ")
        );
        let address = |text: &str| Address::parse(text).unwrap();
        let envelope = Envelope {
            sender: Some(address(SENDER)),
            recipients: to.iter().map(|to| Recipient::plain(address(to))).collect(),
            smtputf8: false,
            eight_bit: false,
            ret: None,
            envid: None,
        };
        let examiner = examiner();
        let seen = examiner.examine(envelope, text.as_bytes(), &Knowledge::default()).unwrap();
        let stamp = Stamp {
            id: Id::new(NOW, number),
            received: NOW,
            hostname: "relay.example.co.jp".to_owned(),
            client: "pc ([192.0.2.9])".to_owned(),
            protocol: "ESMTP".to_owned(),
        };
        Self { examiner, seen, stamp }
    }

    pub(crate) fn copies(&self, disclosure: Disclosure) -> Copies {
        self.examiner.copies(&self.seen, disclosure, &self.stamp, &[]).unwrap()
    }

    /// The message with these copies.
    pub(crate) fn message(&self, copies: Copies) -> NewMessage {
        let born = |delivery| NewDelivery { delivery, state: InitialState::Ready };
        NewMessage {
            deliveries: copies.deliveries.into_iter().map(born).collect(),
            ledger: copies.ledger,
            ..NewMessage::of(Message {
                id: self.stamp.id,
                received: NOW,
                origin: Origin::Client {
                    peer: "192.0.2.9:4025".to_owned(),
                    helo: "pc".to_owned(),
                    identity: None,
                    secured: false,
                },
                envelope: self.seen.envelope.clone(),
                header: self.seen.header.clone(),
                body: Body::Inline(Bytes::from_static(b"\r\nHello all\r\n")),
                subject: "news".to_owned(),
                message_id: format!("{}@example.co.jp", self.stamp.id),
                verdict: Some(self.seen.verdict.clone()),
                needles: Arc::new(copies.needles),
            })
        }
    }
}

/// An examiner in which the sender's domain is ours, with the default policy.
pub(crate) fn examiner() -> Examiner {
    Examiner {
        organisation: Arc::new(Organisation::of_sender()),
        policy: Arc::new(Policy::shipped().unwrap()),
        options: Arc::new(CopyOptions::default()),
        approvers: Arc::default(),
        budgets: Arc::default(),
    }
}

/// A message with a separate copy for each recipient.
pub(crate) fn split(number: u64, to: &[&str]) -> NewMessage {
    let mail = Mail::new(number, to);
    mail.message(mail.copies(Disclosure::Split))
}

/// A message with one copy for all.
pub(crate) fn as_is(number: u64, to: &[&str]) -> NewMessage {
    let mail = Mail::new(number, to);
    mail.message(mail.copies(Disclosure::AsIs))
}
