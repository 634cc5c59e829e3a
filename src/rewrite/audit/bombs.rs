//! Messages made to be expensive: each is refused, held or named within a deadline that only runaway
//! work can miss.

use super::tests::{address, attached, scan_in, zipped};
use super::*;
use std::time::{Duration, Instant};

/// Far above what any of these takes, far below what quadratic work would.
const DEADLINE: Duration = Duration::from_secs(20);

fn timed(name: &str, message: &[u8]) -> Result<BodyReport, WalkError> {
    let needles = Arc::new(Needles::new(vec![address("tanaka@example.jp")]));
    let start = Instant::now();
    let report = scan_in(message, &needles, 32_768);
    assert!(start.elapsed() < DEADLINE, "{name} took {:?}", start.elapsed());
    report
}

#[test]
fn archives() {
    let zeros = vec![0; 16 * 1_024 * 1_024];
    let bomb = zipped("zeros.txt", &zeros);
    drop(zeros);
    let report = timed("zip bomb", &attached("application/zip", "a.zip", &bomb)).unwrap();
    assert!(
        report.facts.opaque.iter().any(|opaque| opaque.why.contains("far more")),
        "{:?}",
        report.facts.opaque
    );
    let mut nested = bomb;
    for _ in 0..8 {
        nested = zipped("inner.zip", &nested);
    }
    let report = timed("nested", &attached("application/zip", "a.zip", &nested)).unwrap();
    assert!(
        report.facts.opaque.iter().any(|opaque| opaque.why.contains("too deep")),
        "{:?}",
        report.facts.opaque
    );
}

#[test]
fn texts() {
    let html = "Content-Type: text/html\r\n\r\n";
    for (name, unit) in [
        ("entities", "&#64;"),
        ("entities without end", "&#6"),
        ("separators", "@"),
        ("edges", "-@example.jp-tanaka"),
        ("tags", "<b>@</b>"),
        ("open tags", "<a "),
        ("percent", "%40"),
        ("wide", "＠"),
        ("base64", "QGV4YW1wbGUuanA"),
        ("utf-16", "@\0a\0"),
        ("quotes", "\"@example.jp"),
        ("armour", "-----BEGIN PGP MESSAGE-----"),
    ] {
        timed(name, format!("{html}{}", unit.repeat(50_000)).as_bytes()).unwrap();
    }
}

#[test]
fn headers_within() {
    let name = (0..50_000).fold(String::new(), |text, index| format!("{text}; n*{index}*=%40"));
    let message =
        format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: a/b{name}\r\n\r\nx");
    assert_eq!(timed("RFC 2231", message.as_bytes()), Err(WalkError::HeaderTooLarge(64 * 1_024)));
    let needles = Needles::new(vec![address("tanaka@example.jp")]);
    let start = Instant::now();
    for unit in ["=?utf-8?Q?=40?=", "=?", "(", "%40", "@example.jp ", "; a*0*=%40", "\r\n x", "&#64;"] {
        needles.search_header(format!("X: {}\r\n", unit.repeat(1_000_000 / unit.len())).as_bytes());
    }
    assert!(start.elapsed() < DEADLINE, "{:?}", start.elapsed());
}
