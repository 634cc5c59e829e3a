//! The relay that is played with: the real store, intake, desk, schedule and notices, under a clock and a source of
//! chance of the test's own.

use crate::dice::Dice;
use crate::engine::Engine;
use crate::model::Model;
use crate::node::Node;
use async_trait::async_trait;
use sekisho::clock::hours::Term;
use sekisho::clock::{Clock, ManualClock, Timestamp};
use sekisho::courier::schedule::Schedule;
use sekisho::desk::Desk;
use sekisho::desk::principal::{Principal, Roles, Via};
use sekisho::examine::Examiner;
use sekisho::intake::Settings;
use sekisho::message::Address;
use sekisho::notice::asking::Asking;
use sekisho::notice::hours::Hours;
use sekisho::notice::links::LinkMaker;
use sekisho::notice::{self, Letterhead, Postman};
use sekisho::policy::{Organisation, Policy};
use sekisho::store::{LinkAction, Store, StoreError, StoredMessage, absences::Absence};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

pub(crate) const START: Timestamp = Timestamp(1_792_000_000_000);
pub(crate) const SENDER: &str = "sato@example.co.jp";
pub(crate) const LEASE: Duration = Duration::from_mins(1);
pub(crate) const HOLD: Duration = Duration::from_hours(5);
const HOST: &str = "relay.example.co.jp";

/// What the subject demands.
const POLICY: &str = r#"
[[rule]]
name = "hold"
when = { subject = { contains = ["holdme"] } }
demand = "hold"

[[rule]]
name = "split"
when = { subject = { contains = ["splitme"] } }
demand = "split"

[[rule]]
name = "delay"
when = { subject = { contains = ["delayme"] } }
demand = ["split", "delay 10m"]
"#;

pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

/// A desk without a URL: no links.
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

    async fn away(&self) -> Result<Vec<Absence>, StoreError> {
        Ok(Vec::new())
    }
}

pub(crate) struct World<'a> {
    pub(crate) seed: u64,
    pub(crate) dice: Dice,
    entropy: Arc<Dice>,
    pub(crate) clock: Arc<ManualClock>,
    examiner: Examiner,
    pub(crate) schedule: Schedule,
    pub(crate) grace: Duration,
    /// Of the two nodes: with SQLite it is the same.
    pub(crate) stores: [Arc<dyn Store>; 2],
    pub(crate) nodes: Vec<Node>,
    pub(crate) desk: Desk,
    pub(crate) postman: Postman,
    pub(crate) sender: Principal,
    pub(crate) approver: Principal,
    pub(crate) model: Model,
    /// From now on the upstream takes what it is given.
    pub(crate) settling: bool,
    pub(crate) log: Vec<String>,
    /// Dropped last, when all its connections are closed.
    pub(crate) engine: Engine<'a>,
}

impl<'a> World<'a> {
    pub(crate) fn new(seed: u64, engine: Engine<'a>) -> Self {
        let (dice, entropy) = (Dice::new(seed), Arc::new(Dice::new(!seed)));
        let clock = Arc::new(ManualClock::at(START));
        let stores = engine.open(&clock);
        let files = [(PathBuf::from("simulation.toml"), POLICY.to_owned())];
        let policy = Policy::load(&files, &|_| Err(std::io::ErrorKind::NotFound.into())).unwrap();
        let examiner = Examiner {
            organisation: Arc::new(Organisation::of_sender()),
            policy: Arc::new(policy),
            options: Arc::default(),
            approvers: Arc::default(),
            budgets: Arc::default(),
        };
        let grace = Duration::from_mins(2);
        let nodes = nodes(&stores, &clock, &entropy, &examiner);
        let desk = desk(&stores[0], &clock, &examiner, grace);
        let postman = postman(&stores[0], &clock, &entropy, &nodes[0]);
        let approver = Principal {
            name: "soumu".to_owned(),
            addresses: vec![address("soumu@example.co.jp")],
            roles: Roles { admin: true, ..Roles::default() },
            via: Via::Login,
        };
        Self {
            seed,
            dice,
            entropy,
            clock,
            examiner,
            schedule: Schedule::default(),
            grace,
            stores,
            nodes,
            desk,
            postman,
            sender: Principal::by_link(&address(SENDER)),
            approver,
            model: Model::default(),
            settling: false,
            log: Vec::new(),
            engine,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn say(&mut self, what: impl std::fmt::Display) {
        let at = self.now().since(START);
        self.log.push(format!("{:>10.3} s  {what}", at.as_secs_f64()));
    }

    pub(crate) async fn pass(&mut self, span: Duration) {
        self.advance(span);
        self.stores[0].note_time(self.now(), self.now()).await.unwrap();
    }

    fn advance(&self, span: Duration) {
        self.clock.advance_millis(i64::try_from(span.as_millis()).unwrap());
        self.engine.clock_moved(&self.clock);
    }

    /// The whole relay is killed and starts again, after a short while: what was in memory is gone.
    pub(crate) async fn restart(&mut self, down: Duration) {
        self.nodes.clear();
        // A node's name is free only when its store is closed, so on PostgreSQL the stores stay open.
        if self.dice.percent(20) && !self.engine.has_nodes() {
            // The database is opened again, too.
            self.stores = self.engine.open(&self.clock);
            self.desk.store = Arc::clone(&self.stores[0]);
            self.postman = postman(&self.stores[0], &self.clock, &self.entropy, &self.bare(0));
        }
        self.advance(down);
        for store in &self.stores {
            store.recover(self.now()).await.unwrap();
        }
        self.model.recovered(None, self.now());
        self.nodes = nodes(&self.stores, &self.clock, &self.entropy, &self.examiner);
        self.postman = postman(&self.stores[0], &self.clock, &self.entropy, &self.nodes[0]);
    }

    fn bare(&self, node: usize) -> Node {
        Node::new(&self.stores[node], &self.clock, &self.entropy, self.examiner.clone(), settings())
    }

    /// One node is killed; the other goes on. On PostgreSQL it may be back at once: then what it was sending is due.
    pub(crate) async fn crash(&mut self, node: usize) {
        self.nodes[node] = self.bare(node);
        if node == 0 {
            self.postman = postman(&self.stores[0], &self.clock, &self.entropy, &self.nodes[0]);
        }
        if self.engine.has_nodes() && self.dice.percent(50) {
            self.say("and is back at once");
            self.stores[node].recover(self.now()).await.unwrap();
            self.model.recovered(Some(node), self.now());
        }
    }
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // At once, so that histories that fail side by side stay apart.
            let again = if self.engine.has_nodes() {
                "SIMULATION_POSTGRESQL=1 cargo test -p sekisho --test simulation postgresql"
            } else {
                "SIMULATION_HISTORIES=1 cargo test -p sekisho --test simulation sqlite"
            };
            let log = self.log.join("\n");
            eprintln!("history {0}:\n{log}\nagain: SIMULATION_SEED={0} {again}", self.seed);
        }
    }
}

fn settings() -> Settings {
    Settings { hostname: HOST.to_owned(), hold_for: Term::always(HOLD), lease: LEASE }
}

fn nodes(
    stores: &[Arc<dyn Store>; 2],
    clock: &Arc<ManualClock>,
    entropy: &Arc<Dice>,
    examiner: &Examiner,
) -> Vec<Node> {
    stores.iter().map(|store| Node::new(store, clock, entropy, examiner.clone(), settings())).collect()
}

fn desk(store: &Arc<dyn Store>, clock: &Arc<ManualClock>, examiner: &Examiner, grace: Duration) -> Desk {
    Desk {
        store: Arc::clone(store),
        examiner: watch::channel(examiner.clone()).1,
        courier: None,
        bell: None,
        clock: Arc::clone(clock) as _,
        hostname: Arc::from(HOST),
        preview_seals: watch::channel(Arc::default()).1,
        grace,
        hold_for: watch::channel(Term::always(HOLD)).1,
        asking: watch::channel(Arc::new(Asking::plain(Hours::always(jiff::tz::TimeZone::UTC)))).1,
    }
}

fn postman(store: &Arc<dyn Store>, clock: &Arc<ManualClock>, entropy: &Arc<Dice>, node: &Node) -> Postman {
    let letterhead = Letterhead {
        hostname: HOST.to_owned(),
        from: address("postmaster@example.co.jp"),
        organisation: Arc::new(Organisation::new(&[("example.co.jp".to_owned(), true)], &[], &[]).unwrap()),
        approvers: vec![address("soumu@example.co.jp")],
        asking: Asking::plain(Hours::always(jiff::tz::TimeZone::UTC)),
        admin: None,
        language: None,
        zone: jiff::tz::TimeZone::UTC,
        contact: None,
        upstream: None,
    };
    let deps = notice::Deps {
        store: Arc::clone(store),
        intake: Arc::new(node.intake.clone()),
        links: Arc::new(Unlinked),
        clock: Arc::clone(clock) as _,
        entropy: Arc::clone(entropy) as _,
        bell: Arc::default(),
    };
    Postman::new(deps, letterhead)
}
