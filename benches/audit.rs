//! What the scan of a body and the search of a header cost: `cargo bench --bench audit`.

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

fn repeated(unit: &str, size: usize) -> Vec<u8> {
    unit.as_bytes().iter().copied().cycle().take(size).collect()
}

/// Median seconds of one run.
fn time(mut run: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..15)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn scan(head: &str, body: &[u8], needles: &Arc<Needles>) {
    let Ok(header) = Header::parse(Bytes::copy_from_slice(head.as_bytes())) else { return };
    let mut scan = BodyScan::new(&header, Arc::clone(needles));
    for chunk in body.chunks(16 * 1_024) {
        black_box(scan.feed(chunk)).ok();
    }
    black_box(scan.finish()).ok();
}

fn main() {
    let text =
        "Dear customer, please find the minutes of our meeting below. Questions: desk@mine.example\r\n";
    let japanese = "いつもお世話になっております。次回の会議の日程をお知らせいたします。\r\n";
    let html = "<tr><td class=\"a\" style=\"color:#333\">Minutes</td><td><a href=\"https://x.example/?q=1&amp;r=%20\">x</a></td></tr>\r\n";
    let base64 = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9\r\n";
    let bodies = [
        ("text", "Content-Type: text/plain\r\n", text),
        ("japanese", "Content-Type: text/plain; charset=utf-8\r\n", japanese),
        ("html", "Content-Type: text/html\r\n", html),
        ("base64", "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n", base64),
    ];
    for count in [50, 5_000] {
        let needles = Arc::new(Needles::new(addresses(count)));
        for (name, head, unit) in &bodies {
            for size in [100 * 1_024, 5 * 1_024 * 1_024] {
                let body = [b"\r\n", &repeated(unit, size)[..]].concat();
                let seconds = time(|| scan(head, &body, &needles));
                #[allow(clippy::cast_precision_loss)] // a figure for people
                let rate = size as f64 / seconds / 1e6;
                println!(
                    "{count:>5} needles  {name:<9} {size:>8} octets  {:>9.3} ms  {rate:>7.0} MB/s",
                    seconds * 1e3
                );
            }
        }
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
