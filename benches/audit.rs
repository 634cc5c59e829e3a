//! The speed of scanning bodies and searching headers, by kind of mail: `cargo bench --bench audit`.

#[path = "kinds/mod.rs"]
mod kinds;

use bytes::Bytes;
use sekisho::message::{Address, Header};
use sekisho::rewrite::audit::{BodyScan, Needles};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

fn addresses(count: usize) -> Vec<Address> {
    (0..count)
        .filter_map(|index| Address::parse(&format!("user{index}@customer{}.example", index % 700)).ok())
        .collect()
}

/// Processor time of this thread in seconds, which others on the machine do not change; the clock where the system
/// does not tell it.
fn now(start: Instant) -> f64 {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let spent = schedule.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok());
    spent.map_or_else(|| start.elapsed().as_secs_f64(), |nanoseconds| nanoseconds / 1e9)
}

/// The best of five runs, in seconds.
fn time(mut run: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut once = || {
        let before = now(start);
        run();
        now(start) - before
    };
    (0..5).map(|_| once()).fold(f64::MAX, f64::min)
}

fn scan(head: &str, body: &[u8], needles: &Arc<Needles>) {
    let Ok(header) = Header::parse(Bytes::copy_from_slice(head.as_bytes())) else { return };
    let mut scan = BodyScan::new(&header, Arc::clone(needles));
    for chunk in body.chunks(16 * 1_024) {
        black_box(scan.feed(chunk)).ok();
    }
    black_box(scan.finish()).ok();
}

#[expect(clippy::disallowed_methods, reason = "how much a measurement does")]
fn main() {
    let size = std::env::var("SIZE").ok().and_then(|size| size.parse().ok()).unwrap_or(5 << 20);
    println!("MiB a second of processor time, {size} octets, searched for so many hidden addresses:");
    println!("{:16} {:>8} {:>8} {:>8} {:>8}", "kind", 0, 50, 500, 5_000);
    for kind in kinds::KINDS {
        let mail = kinds::mail(kind, 7, size);
        let mut rates = Vec::new();
        for count in [0, 50, 500, 5_000] {
            let needles = Arc::new(Needles::new(addresses(count)));
            let seconds = time(|| scan(&mail.head, &mail.body, &needles));
            #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
            let rate = mail.body.len() as f64 / seconds / f64::from(1 << 20);
            rates.push(rate);
        }
        println!("{kind:16} {:8.0} {:8.0} {:8.0} {:8.0}", rates[0], rates[1], rates[2], rates[3]);
    }
    let list = addresses(10_000);
    println!("build 10,000 needles: {:.1} ms", time(|| drop(black_box(Needles::new(list.clone())))) * 1e3);
    let needles = Needles::new(addresses(5_000));
    let block = "From: Desk <desk@mine.example>\r\nTo: You <you@yours.example>\r\nDate: Tue, 20 Oct 2026 10:00:00 +0900\r\n\
                 Message-ID: <20261020.abc@mine.example>\r\nSubject: Minutes\r\nMIME-Version: 1.0\r\n"
        .to_owned()
        + &"X-Trace: one two three, four five six; seven eight nine (ten)\r\n".repeat(28);
    println!(
        "header of {} octets: {:.1} µs",
        block.len(),
        time(|| drop(black_box(needles.search_header(block.as_bytes())))) * 1e6
    );
}
