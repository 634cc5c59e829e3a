//! The store alone: how many messages per second are accepted and recorded as delivered with different
//! numbers of concurrent writers, and what the group commit gains.
//!
//! `cargo bench --bench store -- [FOLDER]`; the database is made in a temporary folder in FOLDER (default:
//! the system's). It prints numbers and asserts nothing.

use bytes::Bytes;
use sekisho::clock::Timestamp;
use sekisho::id::Id;
use sekisho::journal::Event;
use sekisho::message::{Address, Envelope, Recipient};
use sekisho::rewrite::plan::{Stamp, unread};
use sekisho::store::prelude::*;
use sekisho::store::sqlite::{Options, SqliteStore};
use sekisho::store::{
    AttemptResult, Body, DeliveryState, InitialState, Message, NewDelivery, NewMessage, Origin,
    RecipientResult,
};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const NOW: Timestamp = Timestamp(1_760_000_000_000);
const SPAN: Duration = Duration::from_secs(3);

type Anything<T> = Result<T, Box<dyn std::error::Error>>;

fn message(number: u64, to: &[Address], body: Bytes) -> Anything<NewMessage> {
    let millis = i64::try_from(number / 4)?;
    let received = Timestamp(NOW.0 + millis);
    let id = Id::new(received, number);
    let envelope = Envelope {
        sender: Some(Address::parse("sato@example.co.jp")?),
        recipients: to.iter().cloned().map(Recipient::plain).collect(),
        smtputf8: false,
        eight_bit: false,
        ret: None,
        envid: None,
    };
    let header = Bytes::from_static(
        b"From: Sato <sato@example.co.jp>\r\nTo: a@x.example\r\nSubject: Estimate\r\n\
          Date: Mon, 6 Oct 2025 10:00:00 +0900\r\nMessage-ID: <1@example.co.jp>\r\n",
    );
    let stamp = Stamp {
        id,
        received,
        hostname: "relay.example.co.jp".to_owned(),
        client: "client.example ([192.0.2.1])".to_owned(),
        protocol: "ESMTP".to_owned(),
    };
    let copies = unread(&envelope, &header, &stamp, &[]);
    let state = InitialState::Sending { until: Timestamp(received.0 + 60_000) };
    Ok(NewMessage {
        deliveries: copies.deliveries.into_iter().map(|delivery| NewDelivery { delivery, state }).collect(),
        events: vec![Event::Accepted {
            client: "192.0.2.1".to_owned(),
            action: "pass".to_owned(),
            disclosure: "as-is".to_owned(),
            recipients: to.len(),
            copies: to.len(),
            exposures: 0,
            would: None,
            known: false,
        }],
        ..NewMessage::of(Message {
            id,
            received,
            origin: Origin::Client {
                peer: "192.0.2.1:5000".to_owned(),
                helo: "client.example".to_owned(),
                identity: None,
                secured: false,
            },
            header,
            body: Body::Inline(body),
            subject: "Estimate".to_owned(),
            message_id: format!("{number}@example.co.jp"),
            verdict: None,
            needles: Arc::default(),
            envelope,
        })
    })
}

fn delivered(claim: &sekisho::store::Claim) -> AttemptResult {
    let fate = RecipientResult {
        state: DeliveryState::Delivered,
        reply: "250 2.0.0 Ok: queued as 4cXyZ123".to_owned(),
        due: None,
    };
    AttemptResult {
        lease: claim.lease,
        message: claim.message,
        at: Timestamp(NOW.0 + 1_000),
        recipients: claim
            .delivery
            .recipients()
            .iter()
            .map(|recipient| (recipient.address.clone(), fate.clone()))
            .collect(),
        attempt: claim.attempt,
        notices: Vec::new(),
    }
}

/// Messages per second with this many writers; each accepts one and records it as delivered, in turn.
async fn round_trips(folder: &PathBuf, writers: u64) -> Anything<f64> {
    let folder = tempfile::tempdir_in(folder)?;
    let store = Arc::new(SqliteStore::open(folder.path().join("bench.db"), Options::default())?);
    let to = [Address::parse("a@x.example")?];
    let body = Bytes::from(vec![b'x'; 4096]);
    let (next, begun) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..writers {
        let (store, next, to, body) = (store.clone(), next.clone(), to.clone(), body.clone());
        tasks.spawn(async move {
            while begun.elapsed() < SPAN {
                let new = message(next.fetch_add(1, Ordering::Relaxed), &to, body.clone())
                    .map_err(|e| e.to_string())?;
                let id = new.id;
                let claims = store.accept(new).await.map_err(|error| error.to_string())?;
                store.message(id).await.map_err(|error| error.to_string())?;
                for claim in &claims {
                    store.record(delivered(claim)).await.map_err(|error| error.to_string())?;
                }
            }
            Ok::<_, String>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    Ok(next.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64())
}

/// How long it takes to accept one message to this many recipients, and to record its deliveries.
async fn fan_out(folder: &PathBuf, recipients: usize) -> Anything<(Duration, Duration)> {
    let folder = tempfile::tempdir_in(folder)?;
    let store = Arc::new(SqliteStore::open(folder.path().join("bench.db"), Options::default())?);
    let to = (0..recipients)
        .map(|i| Address::parse(&format!("user{i}@domain{}.example", i % 97)))
        .collect::<Result<Vec<_>, _>>()?;
    let new = message(1, &to, Bytes::from(vec![b'x'; 4096]))?;
    let begun = Instant::now();
    let claims = store.accept(new).await?;
    let accepted = begun.elapsed();
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for part in claims.chunks(claims.len().div_ceil(20)) {
        let (store, part) = (store.clone(), part.to_vec());
        tasks.spawn(async move {
            for claim in &part {
                store.record(delivered(claim)).await.map_err(|error| error.to_string())?;
            }
            Ok::<_, String>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok((accepted, begun.elapsed()))
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Anything<()> {
    let folder = std::env::args().nth(1).filter(|text| !text.starts_with('-')).map(PathBuf::from);
    let folder = folder.unwrap_or_else(std::env::temp_dir);
    println!("4 KiB bodies, one recipient; accepted, read and recorded as delivered, durably");
    println!("{:>8}  {:>12}  {:>14}", "writers", "messages/s", "against one");
    let alone = round_trips(&folder, 1).await?;
    println!("{:>8}  {alone:>12.0}  {:>14}", 1, "1.0×");
    for writers in [10, 100] {
        let rate = round_trips(&folder, writers).await?;
        println!("{writers:>8}  {rate:>12.0}  {:>13.1}×", rate / alone);
    }
    println!("\none message to many, a copy each");
    println!("{:>8}  {:>12}  {:>14}", "copies", "accepted ms", "recorded ms");
    for recipients in [500, 4_500] {
        let (accepted, recorded) = fan_out(&folder, recipients).await?;
        println!(
            "{recipients:>8}  {:>12.1}  {:>14.1}",
            accepted.as_secs_f64() * 1e3,
            recorded.as_secs_f64() * 1e3
        );
    }
    Ok(())
}
