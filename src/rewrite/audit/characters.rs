//! Tests: an address is found in any character set and in any place for text; address fields of enclosed messages;
//! and what does not cause a hold.

use super::tests::{address, attached, scan_in};
use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

const NEEDLE: &str = "user@host.example";
/// For each codec of Python: its names, whether the address is in full-width letters, and the octets.
const SAMPLES: &str = include_str!("../../message/charset/samples.txt");

struct Sample {
    names: Vec<&'static str>,
    octets: Vec<u8>,
}

fn samples() -> Vec<Sample> {
    let digit = |digits: &str, at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    let sample = |line: &'static str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let octets = (0..fields[2].len()).step_by(2).map(|at| digit(fields[2], at)).collect();
        Sample { names: fields[0].split(' ').collect(), octets }
    };
    SAMPLES.lines().map(sample).collect()
}

fn needles() -> Arc<Needles> {
    Arc::new(Needles::new(vec![address(NEEDLE)]))
}

fn report(message: &[u8]) -> BodyReport {
    scan_in(message, &needles(), 1_000).unwrap()
}

fn is_found(message: &[u8]) -> bool {
    !report(message).hits.is_empty()
}

fn text(head: &str, octets: &[u8]) -> Vec<u8> {
    format!("{head}\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n", STANDARD.encode(octets)).into_bytes()
}

fn percent(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |text, octet| text + &format!("%{octet:02X}"))
}

fn quoted(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |text, octet| text + &format!("={octet:02X}"))
}

/// A message for each place that can contain text with a declared character set.
fn places(name: &str, octets: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let coded = STANDARD.encode(octets);
    let forwarded = |subject: &str| {
        format!(
            "Content-Type: message/rfc822\r\n\r\nFrom: a@example.co.jp\r\nSubject: {subject}\r\n\r\nx\r\n"
        )
        .into_bytes()
    };
    let file = |parameter: &str| {
        let head = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/csv";
        format!("{head}\r\nContent-Disposition: attachment; {parameter}\r\n\r\n1,2\r\n--b--\r\n").into_bytes()
    };
    let half = octets.len() / 2;
    let (first, rest) = octets.split_at(half);
    vec![
        ("body", text(&format!("Content-Type: text/plain; charset=\"{name}\""), octets)),
        ("page", text(&format!("Content-Type: text/html; charset=\"{name}\""), octets)),
        ("encoded-word B", forwarded(&format!("=?{name}?B?{coded}?="))),
        ("encoded-word Q", forwarded(&format!("=?{name}?Q?{}?=", quoted(octets)))),
        ("RFC 2231", file(&format!("filename*={name}''{}", percent(octets)))),
        (
            "RFC 2231 in pieces",
            file(&format!("filename*0*={name}''{};\r\n filename*1*={}", percent(first), percent(rest))),
        ),
        ("encoded-word in a file name", file(&format!("filename=\"=?{name}?b?{coded}?=\""))),
    ]
}

#[test]
fn every_character_set_that_python_knows_in_every_place() {
    for Sample { names, octets } in samples() {
        let ends = [names.first(), names.last()];
        for name in ends.into_iter().flatten() {
            for (place, message) in places(name, &octets) {
                assert!(is_found(&message), "{name} in {place}: {}", String::from_utf8_lossy(&message));
            }
        }
    }
}

/// Japanese and Chinese programs use these character sets without declaring them.
#[test]
fn text_of_no_declared_set() {
    let named = |name: &str| name == "cp932" || name == "euc_jp" || name == "gbk" || name == "big5";
    let undeclared = |name: &str| named(name) || name == "iso-2022-jp" || name == "utf-8";
    let heads = [
        "X: y",
        "Content-Type: text/plain",
        "Content-Type: text/plain; charset=us-ascii",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Type: text/plain; charset=x-klingon",
        "Content-Type: application/octet-stream; name=list.txt",
        "Content-Type: text/html",
    ];
    let mut seen = 0;
    for Sample { names, octets } in samples() {
        if !names.iter().any(|name| undeclared(name)) {
            continue;
        }
        seen += 1;
        for head in heads {
            for before in ["", "name: "] {
                let long = "x".repeat(5_000);
                for filler in ["", &long] {
                    let body = [filler.as_bytes(), b"\r\n", before.as_bytes(), &octets, b"\r\nend"].concat();
                    assert!(is_found(&text(head, &body)), "{names:?} {head} {before} {}", filler.len());
                }
            }
        }
        for parameter in [
            format!("filename*=''{}", percent(&octets)),
            format!("filename*=x-klingon''{}", percent(&octets)),
        ] {
            let head = format!("Content-Type: text/csv\r\nContent-Disposition: attachment; {parameter}");
            let message = format!(
                "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{head}\r\n\r\n1\r\n--b--\r\n"
            );
            assert!(is_found(message.as_bytes()), "{names:?} {parameter}");
        }
        let word = format!("Subject: =?x-klingon?B?{}?=\r\n", STANDARD.encode(&octets));
        assert!(!needles().search_header(word.as_bytes()).is_empty(), "{names:?} {word}");
    }
    assert!(seen >= 10, "{seen}");
}

#[test]
fn a_page_says_its_own_set() {
    let wide = encoding_rs::BIG5.encode("ｕｓｅｒ＠ｈｏｓｔ．ｅｘａｍｐｌｅ").0;
    for meta in [
        "<meta charset=big5>",
        "<META HTTP-EQUIV=content-type CONTENT='text/html; charset=BIG5'>",
        "<?xml version=\"1.0\" encoding=\"big5\"?>",
    ] {
        for label in ["", "; charset=iso-8859-1", "; charset=utf-8"] {
            let page = [meta.as_bytes(), b"<p>", &wide, b"</p>"].concat();
            assert!(is_found(&text(&format!("Content-Type: text/html{label}"), &page)), "{meta} {label}");
        }
    }
}

#[test]
fn a_set_that_nobody_knows_is_named() {
    let report = report(b"Content-Type: text/plain; charset=x-klingon\r\n\r\nhello\r\n");
    assert_eq!(report.facts.opaque[0].why, "its character set `x-klingon` is not known");
    assert!(report.facts.problems.is_empty());
}

#[test]
fn mailboxes_in_forwarded_headers() {
    for value in [
        "user @ host . example (c)",
        "us(a (nested) comment)er@host.example"
            .replace("us(a (nested) comment)er", "(a (nested) c) user (b)")
            .as_str(),
        "\"user\"@host.example",
        "\"us\\er\"@host.example",
        "Team: x@example.co.jp, User <user@\r\n\thost\r\n .example>;",
        "<@relay.example,@b.example:user (x) @ host(y).example>",
        "=?utf-8?q?User?= <user\r\n @host.example>",
        "(\\) x) user(\\( )@(z)host.(a)example",
    ] {
        for field in ["To", "Cc", "Bcc", "From", "Reply-To", "Resent-To", "X-Original-To", "Delivered-To"] {
            let header = format!("Subject: x\r\n{field}: {value}\r\n");
            for message in [
                format!("Content-Type: message/rfc822\r\n\r\n{header}\r\nx\r\n"),
                format!(
                    "Content-Type: message/rfc822\r\n\r\nFrom x@y Mon Jan  1 00:00:00 2026\r\n{header}\r\nx\r\n"
                ),
                format!("Content-Type: text/rfc822-headers\r\n\r\n{header}"),
                format!("Content-Type: message/external-body; access-type=x\r\n\r\n{header}\r\n"),
                String::from_utf8(attached("application/octet-stream", "mail.eml", header.as_bytes()))
                    .unwrap(),
            ] {
                assert!(is_found(message.as_bytes()), "{message}");
            }
        }
    }
}

/// Odd syntax in a forwarded message or in how a part is shown does not cause a hold. The contents are searched.
#[test]
fn form_alone_is_no_problem() {
    let embedded = |header: &str| {
        format!("Content-Type: message/rfc822\r\n\r\n{header}Content-Type: text/plain\r\n\r\n{NEEDLE}\r\n")
    };
    let multipart = |head: &str, part: &str| {
        format!(
            "Content-Type: multipart/mixed; boundary=b\r\n{head}\r\n--b\r\n{part}\r\n{NEEDLE}\r\n--b--\r\n"
        )
    };
    for message in [
        embedded("From x@y.jp Mon Jan  1 00:00:00 2026\r\nTo: a@b.jp\r\n"),
        embedded(">From x@y.jp Mon Jan  1 00:00:00 2026\r\nTo: a@b.jp\r\n"),
        embedded("To: a@b.jp\r\nthis is no field\r\n"),
        multipart("Content-Transfer-Encoding: quoted-printable\r\n", ""),
        multipart("", "Content-Disposition: inline\r\nContent-Disposition: attachment; filename=a.txt\r\n"),
    ] {
        let report = report(message.as_bytes());
        assert_eq!(report.facts.problems, [""; 0], "{message}");
        assert!(!report.hits.is_empty(), "{message}");
    }
    // It is unclear how to read such parts.
    for message in
        [multipart("Content-Transfer-Encoding: base64\r\n", ""), multipart("", "this is no field\r\n")]
    {
        assert!(!report(message.as_bytes()).facts.problems.is_empty(), "{message}");
    }
}

proptest! {
    #[test]
    fn wherever_the_octets_are_cut(at in 0usize..120, size in 1usize..40) {
        let samples = samples();
        let Sample { names, octets } = &samples[at % samples.len()];
        for (place, message) in places(names[0], octets) {
            let report = scan_in(&message, &needles(), size).unwrap();
            prop_assert!(!report.hits.is_empty(), "{} in {place}", names[0]);
        }
    }
}
