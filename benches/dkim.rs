//! The cost of signatures: the headers of 500 copies signed on all cores, compared with the rates that
//! `openssl speed` reports for RSA-2048 and Ed25519 on the same machine.
//!
//!     cargo bench --bench dkim

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a test fails by panicking, and has no users"
)]

use bytes::Bytes;
use sekisho::dkim::key::generate;
use sekisho::dkim::{Algorithm, BodyHasher, SigningKey, sign};
use sekisho::message::Header;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const COPIES: usize = 500;
const ROUNDS: usize = 7;

fn main() {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let body = BodyHasher::whole(b"\r\nhello\r\n");
    println!("{COPIES} headers over {cores} cores, the median of {ROUNDS} rounds");
    for (algorithm, name) in [(Algorithm::Rsa, "rsa2048"), (Algorithm::Ed25519, "ed25519")] {
        let key = SigningKey::from_pem("example.co.jp", "s1", &generate(algorithm).unwrap()).unwrap();
        let mut times: Vec<Duration> = (0..ROUNDS).map(|_| round(cores, &key, &body)).collect();
        times.sort_unstable();
        let ours = times[ROUNDS / 2].as_secs_f64();
        print!("{algorithm}: {:.1} ms, {:.0}/s", ours * 1e3, COPIES as f64 / ours);
        match openssl(cores, name) {
            Some(rate) => {
                println!("; openssl speed {rate:.0}/s: {:.2} of its time", ours * rate / COPIES as f64);
            }
            None => println!("; there is no openssl to compare with"),
        }
    }
    let megabytes = 64;
    let text = b"Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod.\r\n".repeat(14_000);
    let started = Instant::now();
    let mut hasher = BodyHasher::default();
    let mut fed = 0;
    while fed < megabytes << 20 {
        hasher.feed(&text);
        fed += text.len();
    }
    hasher.finish();
    println!("body hash of text: {:.0} MB/s", fed as f64 / 1e6 / started.elapsed().as_secs_f64());
}

/// Signs the header of every copy, with one thread per core.
fn round(cores: usize, key: &SigningKey, body: &[u8; 32]) -> Duration {
    let next = AtomicUsize::new(0);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let copy = next.fetch_add(1, Ordering::Relaxed);
                    if copy >= COPIES {
                        return;
                    }
                    let header = Header::parse(Bytes::from(format!(
                        "Received: by mx.example.co.jp (Sekisho) id 1;\r\n\tTue, 24 Nov 2026 14:40:00 +0900\r\n\
                         From: Hanako Sato <hanako.sato@example.co.jp>\r\nTo: Person {copy} <p{copy}@example.com>\r\n\
                         Subject: =?UTF-8?B?57eP5YuZ6KqyIOS9kOiXpOiKseWtkA==?=\r\nDate: Tue, 24 Nov 2026 14:40:00 +0900\r\n\
                         Message-ID: <1@example.co.jp>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n"
                    )))
                    .unwrap();
                    sign(&header, body, std::slice::from_ref(key), 1_792_000_000).unwrap();
                }
            });
        }
    });
    started.elapsed()
}

/// Signatures per second with one process per core.
fn openssl(cores: usize, name: &str) -> Option<f64> {
    let cores = cores.to_string();
    let done =
        Command::new("openssl").args(["speed", "-seconds", "3", "-multi", &cores, name]).output().ok()?;
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    // `rsa 2048 bits 0.000590s 0.000017s   1694.1  57474.3`
    let line = said.lines().rfind(|line| line.contains("bits") && line.contains("s "))?;
    let rates: Vec<f64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    rates.get(rates.len().checked_sub(2)?).copied()
}
