//! Lists of held messages: how long a page, a search and the counts take with 100,000 held messages.
//!
//! `cargo bench --bench desk -- [FOLDER] [--held N]`; the database is made in a temporary folder in FOLDER
//! (default: the system's). It prints the median and the 99th percentile of 200 runs of each, in
//! milliseconds, and asserts nothing.

use bytes::Bytes;
use sekisho::clock::Timestamp;
use sekisho::id::Id;
use sekisho::message::{Address, Envelope, Recipient};
use sekisho::policy::risks::Risk;
use sekisho::store::prelude::*;
use sekisho::store::sqlite::{Options, SqliteStore};
use sekisho::store::{Body, HeldQuery, HeldState, HoldKind, Message, NewHold, NewMessage, Origin, Scope};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

const NOW: Timestamp = Timestamp(1_760_000_000_000);
/// Messages accepted concurrently while the database is filled.
const AT_ONCE: u64 = 256;
/// How often each query is run.
const ROUNDS: usize = 200;
const RECIPIENTS: u64 = 12;

type Anything<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A message of one of 500 senders to twelve people, to be decided by one of 20 approvers.
fn held(number: u64) -> Anything<NewMessage> {
    let received = Timestamp(NOW.0 + i64::try_from(number * 100)?);
    let sender = Address::parse(&format!("person{}@example.co.jp", number % 500))?;
    let to = |n: u64| {
        Address::parse(&format!("to{}@org{}.example", (number * 7 + n) % 20_000, (number + n) % 900))
    };
    let recipients: Result<Vec<Recipient>, _> =
        (0..RECIPIENTS).map(|n| to(n).map(Recipient::plain)).collect();
    let subject = match number % 1_000 {
        0 => format!("稟議書の件 {number}"),
        n if n % 3 == 0 => format!("【重要】会議のお知らせ {number}"),
        _ => format!("お見積りの送付について {number}"),
    };
    Ok(NewMessage {
        held: Some(NewHold {
            kind: HoldKind::Ask,
            reasons: vec![Risk::exposed(12, 12).into()],
            hits: Vec::new(),
            expires: received.plus(Duration::from_hours(72)),
            approvers: vec![Address::parse(&format!("approver{}@example.co.jp", number % 20))?],
            relation: sekisho::store::ForkRelation::default(),
            glance: sekisho::store::Glance::default(),
        }),
        ..NewMessage::of(Message {
            id: Id::new(received, number),
            received,
            origin: Origin::Client {
                peer: "192.0.2.1:5000".to_owned(),
                helo: "client.example".to_owned(),
                identity: None,
                secured: false,
            },
            envelope: Envelope {
                sender: Some(sender.clone()),
                recipients: recipients?,
                smtputf8: false,
                eight_bit: false,
                ret: None,
                envid: None,
            },
            header: Bytes::from(format!("From: {sender}\r\nSubject: x\r\n")),
            body: Body::Inline(Bytes::from_static(b"\r\nhello\r\n")),
            subject,
            message_id: format!("{number}@example.co.jp"),
            verdict: None,
            needles: Arc::default(),
        })
    })
}

async fn fill(store: &Arc<SqliteStore>, count: u64) -> Anything<()> {
    let mut tasks = tokio::task::JoinSet::new();
    for first in 0..AT_ONCE {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            let mut number = first;
            while number < count {
                store.accept(held(number)?).await?;
                number += AT_ONCE;
            }
            Anything::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

fn show(name: &str, mut times: Vec<Duration>, found: usize) {
    times.sort();
    let at = |part: usize| times.get(times.len() * part / 100).map_or(0.0, |time| time.as_secs_f64() * 1e3);
    println!("{name:<44} {:>8.2} {:>8.2}   {found}", at(50), at(99));
}

fn questions() -> Vec<(&'static str, HeldQuery)> {
    let all = || HeldQuery { state: Some(HeldState::Held), ..HeldQuery::new(Scope::All) };
    let of = |senders: &[&str], approvers: &[&str]| HeldQuery {
        state: Some(HeldState::Held),
        ..HeldQuery::new(Scope::Of {
            senders: senders.iter().map(|&one| one.to_owned()).collect(),
            approvers: approvers.iter().map(|&one| one.to_owned()).collect(),
        })
    };
    let text = |text: &str| Some(text.to_owned());
    vec![
        ("admin: first page", all()),
        ("admin: any state", HeldQuery::new(Scope::All)),
        ("admin: a decided state", HeldQuery { state: Some(HeldState::Released), ..all() }),
        ("approver: first page", of(&["approver3@example.co.jp"], &["approver3@example.co.jp"])),
        ("sender: first page", of(&["person7@example.co.jp"], &[])),
        ("stranger: nothing", of(&["nobody@example.co.jp"], &["nobody@example.co.jp"])),
        ("admin: of one sender", HeldQuery { sender: text("person7@example.co.jp"), ..all() }),
        ("admin: of our domain", HeldQuery { sender: text("example.co.jp"), ..all() }),
        ("admin: to one recipient", HeldQuery { recipient: text("to77@org11.example"), ..all() }),
        ("admin: to a domain", HeldQuery { recipient: text("org11.example"), ..all() }),
        ("admin: a common subject", HeldQuery { subject: text("会議"), ..all() }),
        ("admin: a rare subject", HeldQuery { subject: text("稟議書"), ..all() }),
        ("admin: a subject nobody wrote", HeldQuery { subject: text("ありえない件名"), ..all() }),
        ("admin: anywhere", HeldQuery { text: text("org11.example"), ..all() }),
        (
            "sender: a common subject",
            HeldQuery { subject: text("会議"), ..of(&["person7@example.co.jp"], &[]) },
        ),
        (
            "approver: common subject of one domain",
            HeldQuery {
                subject: text("お見積り"),
                recipient: text("org11.example"),
                ..of(&[], &["approver3@example.co.jp"])
            },
        ),
    ]
}

async fn measure(store: &SqliteStore) -> Anything<()> {
    println!("{:<44} {:>8} {:>8}   rows", "", "median", "p99");
    for (name, query) in questions() {
        let (mut times, mut found) = (Vec::new(), 0);
        for _ in 0..ROUNDS {
            let began = Instant::now();
            let page = store.held_page(&query).await?;
            times.push(began.elapsed());
            found = page.lines.len();
        }
        show(name, times, found);
    }
    let (mut times, mut after, mut found) = (Vec::new(), None, 0);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let query = HeldQuery { after, ..HeldQuery::new(Scope::All) };
        let page = store.held_page(&query).await?;
        times.push(began.elapsed());
        after = page.next;
        found += page.lines.len();
    }
    show("admin: page after page", times, found);
    for (name, scope) in [
        ("admin: counts", Scope::All),
        (
            "approver: counts",
            Scope::Of { senders: Vec::new(), approvers: vec!["approver3@example.co.jp".to_owned()] },
        ),
    ] {
        let mut times = Vec::new();
        let mut found = 0;
        for _ in 0..ROUNDS {
            let began = Instant::now();
            found = store.held_counts(&scope).await?.values().sum();
            times.push(began.elapsed());
        }
        show(name, times, found);
    }
    Ok(())
}

fn main() -> Anything<()> {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let (mut folder, mut count) = (std::env::temp_dir(), 100_000);
    while let Some(argument) = arguments.next() {
        if argument == "--held" {
            count = arguments.next().unwrap_or_default().parse()?;
        } else {
            folder = PathBuf::from(argument);
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let folder = tempfile::tempdir_in(&folder)?;
        let store = Arc::new(SqliteStore::open(folder.path().join("bench.db"), Options::default())?);
        let began = Instant::now();
        fill(&store, count).await?;
        println!("{count} held messages, accepted in {:.0} s", began.elapsed().as_secs_f64());
        measure(&store).await
    })
}
