//! A million mails: how much disk space one takes, and what a query costs. This takes minutes; run it by hand:
//! `cargo test -p sekisho-storage --lib a_million_mails -- --ignored --nocapture`, with fewer by `MAILS=100000`.

use super::search::{self, Query};
use crate::clock::Timestamp;
use crate::message::Address;
use crate::policy::learned::{Learned, Source};
use crate::store::learned::LearnedStore;
use crate::store::sqlite::{Options, SqliteStore};
use std::time::{Duration, Instant};

const MILLION: u64 = 1_000_000;
const BATCH: usize = 5_000;
const PEOPLE: u64 = 200_000;
const ROUNDS: u32 = 20_000;
const NOW: Timestamp = Timestamp(1_794_000_000_000);

/// Numbers that look random, but are the same for the same seed.
fn mixed(seed: u64) -> u64 {
    let mut value = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The number of mails.
#[expect(clippy::disallowed_methods, reason = "how much a test does")]
fn mails() -> u64 {
    std::env::var("MAILS").ok().and_then(|number| number.parse().ok()).unwrap_or(MILLION)
}

/// The processor time of this thread so far: the cost of a query on a machine that others keep busy.
fn worked() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(told.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default())
}

fn people(mail: u64) -> Vec<Address> {
    let one = |n| mixed(mail * 5 + n) % PEOPLE;
    (0..5)
        .map(|n| Address::parse(&format!("person.{}@org{}.example", one(n), one(n) % 9_000)).unwrap())
        .collect()
}

fn message_id(mail: u64) -> String {
    format!("{mail}.{:x}@mail.example", mixed(mail))
}

/// Five people who need not know each other, each in other sets, like the recipients of a mailing.
fn strangers(round: u64) -> Vec<Address> {
    (0..5).map(|n| people(mixed(round * 7 + n) % mails()).swap_remove(0)).collect()
}

async fn fill(store: &SqliteStore) {
    let mut slowest = Duration::ZERO;
    for start in (0..mails()).step_by(BATCH) {
        let mail = |mail: u64| {
            let date = NOW.minus(Duration::from_secs((mails() - mail) * 30));
            Learned::together(Some(message_id(mail)), date, people(mail), Source::Journal).ok()
        };
        let batch = (start..start + BATCH as u64).filter_map(mail).collect();
        let began = Instant::now();
        store.learn(batch, NOW).await.unwrap();
        slowest = slowest.max(began.elapsed());
        if (start + BATCH as u64).is_multiple_of(100_000) {
            println!("{} mails; slowest batch {slowest:?}", start + BATCH as u64);
        }
    }
}

/// The cost of a query: average processor time, and median elapsed time.
async fn measured(store: &SqliteStore, what: &str, asked: impl Fn(u64) -> (Vec<String>, Vec<Address>)) {
    let questions: Vec<Query> = (0..u64::from(ROUNDS))
        .map(|round| {
            let (references, people) = asked(round);
            Query::new(&store.digests, &references, &people)
        })
        .collect();
    let (mut spans, found, each) = store
        .mail
        .read(move |db| {
            let mut found = 0;
            let mut spans = Vec::with_capacity(questions.len());
            let before = worked();
            for one in &questions {
                let began = Instant::now();
                found += usize::from(!search::shared(db, one)?.is_empty());
                spans.push(began.elapsed());
            }
            Ok((spans, found, worked().saturating_sub(before) / ROUNDS))
        })
        .await
        .unwrap();
    spans.sort_unstable();
    let half = spans[spans.len() / 2];
    println!("{what}: {each:?} of a processor, half within {half:?}; {found} of {ROUNDS} found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "fills a million mails: minutes, and some hundred megabytes"]
async fn a_million_mails() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("sekisho.db");
    let store = SqliteStore::open(&database, Options::default()).unwrap();
    let began = Instant::now();
    fill(&store).await;
    println!("filled in {:?}", began.elapsed());
    println!("{:?}", store.seconds);
    measured(&store, "by Message-ID", |round| {
        let mail = mixed(round) % mails();
        (vec![message_id(mail)], people(mail))
    })
    .await;
    measured(&store, "by the set", |round| (Vec::new(), people(mixed(round) % mails()))).await;
    measured(&store, "a thread that is unknown, and strangers", |round| {
        (vec![message_id(mails() + round)], strangers(round))
    })
    .await;
    drop(store);
    let octets = std::fs::metadata(&database).unwrap().len();
    println!("{octets} octets, {} a mail", octets / mails());
    assert!(octets / mails() <= 400);
}
