//! Tests of groups, circuit breakers, routing and rates with fake upstreams.

use super::breaker::Limits;
use super::group::{Member, UpstreamGroup};
use super::guard::Guarded;
use super::pace::Paced;
use super::router::{Route, Router};
use super::tally::Tally;
use super::*;
use crate::clock::{Clock, Entropy, ManualClock, SystemEntropy};
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// An upstream that works or fails, and records its recipients.
struct Fake {
    name: &'static str,
    up: AtomicBool,
    /// Whether it fails in the middle of the content.
    breaks: AtomicBool,
    tried: AtomicUsize,
    taken: Mutex<Vec<String>>,
}

impl Fake {
    fn new(name: &'static str, up: bool) -> Arc<Self> {
        Arc::new(Self {
            name,
            up: AtomicBool::new(up),
            breaks: AtomicBool::new(false),
            tried: AtomicUsize::new(0),
            taken: Mutex::default(),
        })
    }

    fn taken(&self) -> Vec<String> {
        self.taken.lock().unwrap().clone()
    }
}

#[async_trait]
impl Upstream for Fake {
    fn name(&self) -> &str {
        self.name
    }

    async fn send(
        &self,
        transaction: &mut Transaction,
        last_look: Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Outcome {
        self.tried.fetch_add(1, Ordering::Relaxed);
        let count = transaction.recipients.len();
        if !self.up.load(Ordering::Relaxed) {
            return Outcome::unreachable(count, format!("{} is down", self.name));
        }
        assert!(transaction.is_whole(), "a body is sent once");
        transaction.body = Content::Spent;
        if self.breaks.load(Ordering::Relaxed) {
            return Outcome::unreachable(count, format!("{} broke", self.name));
        }
        assert!(last_look());
        let to = transaction.recipients.iter().map(|to| to.address.as_str().to_owned());
        self.taken.lock().unwrap().extend(to);
        Outcome::all(count, &Fate::Delivered(format!("250 {}", self.name)))
    }

    async fn probe(&self) -> Result<String, String> {
        Ok(self.name.to_owned())
    }
}

fn mail(from: &str, to: &[&str]) -> Transaction {
    let recipient = |text: &&str| Recipient::plain(Address::parse(text).unwrap());
    Transaction {
        sender: (!from.is_empty()).then(|| Address::parse(from).unwrap()),
        recipients: to.iter().map(recipient).collect(),
        header: Bytes::from_static(b"Subject: x\r\n"),
        body: Content::Stream { stream: Box::new(&b"\r\nx\r\n"[..]), size: 5, file: None },
        smtputf8: false,
        eight_bit: false,
        ret: None,
        envid: None,
        reseal: None,
    }
}

async fn send(way: &dyn Upstream, from: &str, to: &[&str]) -> Outcome {
    way.send(&mut mail(from, to), Arc::new(|| true)).await
}

struct Rig {
    clock: Arc<ManualClock>,
}

impl Rig {
    fn new() -> Self {
        Self { clock: Arc::new(ManualClock::at(NOW)) }
    }

    fn pass(&self, span: Duration) {
        self.clock.advance_millis(i64::try_from(span.as_millis()).unwrap());
    }

    fn guarded(&self, fake: &Arc<Fake>) -> Guarded {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        Guarded::new(Arc::clone(fake) as Arc<dyn Upstream>, 9, clock, Tally::default())
    }

    fn paced(&self, fake: &Arc<Fake>, rate: &str) -> Arc<Paced> {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let rates = [rate.parse().unwrap()];
        let pace = Arc::new(Mutex::new(pace::Pace::new(&rates, &[], clock.now())));
        Arc::new(Paced::new(Arc::clone(fake) as Arc<dyn Upstream>, &rates, pace, clock, Tally::default()))
    }

    fn group(&self, members: &[(&Arc<Fake>, u16, u16)]) -> UpstreamGroup {
        let member = |(fake, priority, weight): &(&Arc<Fake>, u16, u16)| Member {
            priority: *priority,
            weight: *weight,
            upstream: self.guarded(fake),
        };
        UpstreamGroup::new(members.iter().map(member).collect(), Arc::new(SystemEntropy) as Arc<dyn Entropy>)
    }
}

fn postponed(outcome: &Outcome) -> Timestamp {
    match outcome.recipients.as_slice() {
        [Fate::Postponed(_, until), ..] => *until,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_backup_takes_over_and_gives_back() {
    let rig = Rig::new();
    let (main, backup) = (Fake::new("main", true), Fake::new("backup", true));
    let group = rig.group(&[(&backup, 20, 1), (&main, 10, 1)]);
    assert_eq!(group.name(), "main");
    assert_eq!(send(&group, "a@x.jp", &["1@y.jp"]).await.recipients, [Fate::Delivered("250 main".into())]);
    main.up.store(false, Ordering::Relaxed);
    for _ in 0..20 {
        let outcome = send(&group, "a@x.jp", &["2@y.jp"]).await;
        assert_eq!(outcome.recipients, [Fate::Delivered("250 backup".into())]);
    }
    let tries = usize::try_from(Limits::default().failures).unwrap();
    assert_eq!(main.tried.load(Ordering::Relaxed), 1 + tries, "then it is suspended");
    main.up.store(true, Ordering::Relaxed);
    rig.pass(Limits::default().pause + Duration::from_secs(1));
    assert_eq!(send(&group, "a@x.jp", &["3@y.jp"]).await.recipients, [Fate::Delivered("250 main".into())]);
}

#[tokio::test]
async fn content_that_left_goes_no_other_way() {
    let rig = Rig::new();
    let (main, backup) = (Fake::new("main", true), Fake::new("backup", true));
    main.breaks.store(true, Ordering::Relaxed);
    let group = rig.group(&[(&main, 10, 1), (&backup, 20, 1)]);
    let outcome = send(&group, "a@x.jp", &["1@y.jp"]).await;
    assert_eq!(outcome.recipients, [Fate::Deferred("main broke".into())]);
    assert_eq!(backup.tried.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn when_all_are_down_nothing_is_lost_and_soon_nothing_is_tried() {
    let rig = Rig::new();
    let (one, two) = (Fake::new("one", false), Fake::new("two", false));
    let group = rig.group(&[(&one, 10, 1), (&two, 20, 1)]);
    for _ in 0..Limits::default().failures {
        let outcome = send(&group, "a@x.jp", &["1@y.jp", "2@y.jp"]).await;
        assert!(outcome.unreachable && outcome.recipients.len() == 2, "{outcome:?}");
    }
    let until = postponed(&send(&group, "a@x.jp", &["1@y.jp"]).await);
    assert_eq!(until, NOW.plus(Limits::default().pause));
}

#[tokio::test]
async fn weights_share_the_load() {
    let rig = Rig::new();
    let (large, small) = (Fake::new("large", true), Fake::new("small", true));
    let group = rig.group(&[(&large, 10, 9), (&small, 10, 1)]);
    for _ in 0..1_000 {
        send(&group, "a@x.jp", &["1@y.jp"]).await;
    }
    let share = small.taken().len();
    assert!((30..250).contains(&share), "one in ten, more or less: {share}");
    assert_eq!(large.taken().len() + share, 1_000);
}

#[tokio::test]
async fn a_way_that_keeps_to_its_rate_has_no_stand_in() {
    let rig = Rig::new();
    let (main, backup) = (Fake::new("main", true), Fake::new("backup", true));
    let clock = Arc::clone(&rig.clock) as Arc<dyn Clock>;
    let way = Guarded::new(rig.paced(&main, "1/min"), 9, clock, Tally::default());
    let members = vec![
        Member { priority: 10, weight: 1, upstream: way },
        Member { priority: 20, weight: 1, upstream: rig.guarded(&backup) },
    ];
    let group = UpstreamGroup::new(members, Arc::new(SystemEntropy));
    assert!(!send(&group, "a@x.jp", &["1@y.jp"]).await.recipients[0].is_untried());
    let until = postponed(&send(&group, "a@x.jp", &["2@y.jp"]).await);
    assert_eq!(until, NOW.plus(Duration::from_mins(1)));
    assert!(backup.taken().is_empty());
    rig.pass(Duration::from_mins(1));
    assert!(!send(&group, "a@x.jp", &["2@y.jp"]).await.recipients[0].is_untried());
    assert_eq!(main.taken(), ["1@y.jp", "2@y.jp"]);
}

#[tokio::test]
async fn what_was_not_used_of_a_rate_is_given_back() {
    let rig = Rig::new();
    let main = Fake::new("main", false);
    let paced = rig.paced(&main, "1/h");
    for _ in 0..3 {
        assert!(send(paced.as_ref(), "a@x.jp", &["1@y.jp"]).await.unreachable);
    }
    main.up.store(true, Ordering::Relaxed);
    assert!(!send(paced.as_ref(), "a@x.jp", &["1@y.jp"]).await.recipients[0].is_untried());
    postponed(&send(paced.as_ref(), "a@x.jp", &["2@y.jp"]).await);
}

/// Sends until no recipient is untried, as the store and the courier do.
async fn send_all(way: &dyn Upstream, from: &str, to: &[&str]) -> HashMap<String, usize> {
    let mut left: Vec<&str> = to.to_vec();
    let mut counts = HashMap::new();
    while !left.is_empty() {
        let outcome = send(way, from, &left).await;
        assert_eq!(outcome.recipients.len(), left.len());
        let mut next = Vec::new();
        for (to, fate) in left.into_iter().zip(outcome.recipients) {
            match fate {
                Fate::Delivered(_) => *counts.entry(to.to_owned()).or_default() += 1,
                Fate::NotTried(_) => next.push(to),
                other => panic!("{to}: {other:?}"),
            }
        }
        left = next;
    }
    counts
}

#[tokio::test]
async fn each_recipient_goes_the_way_of_its_route_exactly_once() {
    let (usual, partner, own) =
        (Fake::new("usual", true), Fake::new("partner", true), Fake::new("own", true));
    let domains = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let route = |sender: &[&str], recipient: &[&str], way: &Arc<Fake>| Route {
        sender_domains: domains(sender),
        recipient_domains: domains(recipient),
        upstream: Arc::clone(way) as Arc<dyn Upstream>,
    };
    let router = Router::new(
        Arc::clone(&usual) as Arc<dyn Upstream>,
        vec![
            route(&[], &["partner.example", "*.partner.example"], &partner),
            route(&["b.jp"], &["own.example"], &own),
            route(&["b.jp"], &["*.wild.example"], &own),
        ],
    );
    let to = [
        "1@other.example",
        "2@partner.example",
        "3@deep.PARTNER.example",
        "4@own.example",
        "5@notpartner.example",
        "6@wild.example",
        "7@a.wild.example",
        "8@other.example",
    ];
    let counts = send_all(&router, "a@b.jp", &to).await;
    assert_eq!(counts.len(), to.len());
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
    assert_eq!(
        usual.taken(),
        ["1@other.example", "5@notpartner.example", "6@wild.example", "8@other.example"]
    );
    assert_eq!(partner.taken(), ["2@partner.example", "3@deep.PARTNER.example"]);
    assert_eq!(own.taken(), ["4@own.example", "7@a.wild.example"]);
    // a route with sender domains does not match other senders or the null sender
    for from in ["a@c.jp", ""] {
        send_all(&router, from, &["9@own.example"]).await;
    }
    assert_eq!(own.taken().len(), 2);
    // one upstream that is down does not count as a failure of the router
    partner.up.store(false, Ordering::Relaxed);
    let outcome = send(&router, "a@b.jp", &["2@partner.example", "1@other.example"]).await;
    assert!(!outcome.unreachable);
    assert!(matches!(&outcome.recipients[..], [Fate::Deferred(_), Fate::NotTried(_)]), "{outcome:?}");
}
