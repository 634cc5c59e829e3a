//! The walk with the pitfalls of RFC 2046, in chunks of any size.

#![allow(
    clippy::format_collect,
    clippy::format_push_string,
    reason = "short texts, where clarity counts more than an allocation"
)]

use super::*;
use bytes::Bytes;
use proptest::prelude::*;

/// Records what it is told: parts as `(path type`, data, `)`.
#[derive(Default, Debug, PartialEq, Eq)]
struct Log {
    parts: Vec<(String, String, Vec<u8>)>,
    stray: Vec<u8>,
    problems: Vec<String>,
    open: Vec<usize>,
}

impl Visitor for Log {
    fn begin(&mut self, part: &Part, _: &Header) {
        self.open.push(self.parts.len());
        self.parts.push((part.path.clone(), part.content_type.clone(), Vec::new()));
    }
    fn data(&mut self, _: &Part, decoded: &[u8]) {
        let index = *self.open.last().unwrap();
        self.parts[index].2.extend_from_slice(decoded);
    }
    fn end(&mut self, _: &Part) {
        self.open.pop().unwrap();
    }
    fn stray(&mut self, bytes: &[u8]) {
        self.stray.extend_from_slice(bytes);
    }
    fn problem(&mut self, _: &str, why: String) {
        self.problems.push(why);
    }
}

fn walk_in(message: &str, size: usize) -> Result<Log, WalkError> {
    let at = message.find("\r\n\r\n").map_or(message.len(), |at| at + 2);
    let header = Header::parse(Bytes::copy_from_slice(&message.as_bytes()[..at])).unwrap();
    let mut log = Log::default();
    let mut walker = Walker::new(&header, Limits::default(), &mut log)?;
    for chunk in message.as_bytes()[at..].chunks(size.max(1)) {
        walker.feed(chunk, &mut log)?;
    }
    walker.finish(&mut log)?;
    assert!(log.open.is_empty(), "every part is closed");
    Ok(log)
}

fn walk(message: &str) -> Log {
    let log = walk_in(message, message.len()).unwrap();
    for size in [1, 2, 3, 5, 64] {
        assert_eq!(walk_in(message, size).unwrap(), log, "in chunks of {size}");
    }
    log
}

fn seen(log: &Log) -> Vec<String> {
    log.parts
        .iter()
        .map(|(path, kind, data)| format!("{path} {kind} {}", String::from_utf8_lossy(data)))
        .collect()
}

#[test]
fn plain_and_empty_bodies() {
    assert_eq!(seen(&walk("Subject: s\r\n\r\nhello\r\n")), ["0 text/plain hello\r\n"]);
    assert_eq!(seen(&walk("Subject: s\r\n")), ["0 text/plain "]);
    assert_eq!(seen(&walk("A: b\r\n\r\n\r\nx")), ["0 text/plain \r\nx"]);
}

#[test]
fn boundaries_by_the_book() {
    let log = walk(
        "Content-Type: multipart/mixed; boundary=a\r\n\r\npre\r\n--a\r\nContent-Type: multipart/alternative;\r\n boundary=ab\r\n\r\n--ab  \t\r\n\r\none\r\n--ab\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\ndHdv\r\n--ab--\r\ninner end\r\n--a\r\n\r\nthree\r\n--a--\r\npost",
    );
    assert_eq!(
        seen(&log),
        [
            "0 multipart/mixed ",
            "1 multipart/alternative ",
            "1.1 text/plain one",
            "1.2 text/html two",
            "2 text/plain three",
        ]
    );
    let stray = String::from_utf8(log.stray).unwrap();
    assert!(stray.contains("pre") && stray.contains("inner end") && stray.contains("post"));
    assert_eq!(log.problems, Vec::<String>::new());
}

#[test]
fn outer_boundary_ends_inner_and_the_last_may_be_missing() {
    let log = walk(
        "Content-Type: multipart/mixed; boundary=\"o u\"\r\n\r\n--o u\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\none\r\n--o u\r\n\r\ntwo",
    );
    assert_eq!(seen(&log)[2..], ["1.1 text/plain one", "2 text/plain two"]);
}

#[test]
fn embedded_messages_plain_encoded_and_in_a_digest() {
    let log = walk(
        "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: in\r\n\r\nplain\r\n--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeAoKZW5jb2RlZAo=\r\n--b--\r\n",
    );
    assert_eq!(
        seen(&log)[1..],
        ["1 message/rfc822 ", "1.1 text/plain plain", "2 message/rfc822 ", "2.1 text/plain encoded\n",]
    );
    let root = walk("Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody");
    assert_eq!(seen(&root)[1], "1 text/plain body");
}

#[test]
fn what_readers_may_see_differently_is_a_problem() {
    for message in [
        "Content-Type: multipart/mixed\r\n\r\n--a\r\n\r\nx",
        "Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\nx",
        "Content-Type: multipart/mixed; boundary=a\r\nContent-Transfer-Encoding: base64\r\n\r\n--a\r\n\r\nx",
        "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a junk\r\n\r\nx",
        "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nno field here\r\n\r\nx",
        "Content-Type: multipart/mixed; boundary=a; boundary=b\r\n\r\n--a\r\n\r\nx",
    ] {
        assert_ne!(walk(message).problems, Vec::<String>::new(), "{message}");
    }
}

#[test]
fn bombs_are_refused() {
    let mut deep = String::from("Content-Type: multipart/mixed; boundary=b0\r\n\r\n");
    for depth in 1..10_000 {
        deep.push_str(&format!(
            "--b{}\r\nContent-Type: multipart/mixed; boundary=b{depth}\r\n\r\n",
            depth - 1
        ));
    }
    assert_eq!(walk_in(&deep, 4_096), Err(WalkError::TooDeep(50)));
    let wide =
        format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", "--b\r\n\r\nx\r\n".repeat(100_000));
    assert_eq!(walk_in(&wide, 4_096), Err(WalkError::TooMany(1_000)));
    let long =
        format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{}", "X: y\r\n".repeat(100_000));
    assert_eq!(walk_in(&long, 4_096), Err(WalkError::HeaderTooLarge(PART_HEADER)));
    let rfc822 = "Content-Type: message/rfc822\r\n\r\n".repeat(10_000);
    assert_eq!(walk_in(&rfc822, 4_096), Err(WalkError::TooDeep(50)));
}

proptest! {
    #[test]
    fn chunks_do_not_matter(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "--a\r\n", "--ab\r\n", "--a--\r\n", "--ab--\r\n", "\r\n", "-", "--", "x", "line\r\n", "\r", "\n",
                "Content-Type: multipart/mixed; boundary=ab\r\n\r\n", "Content-Type: message/rfc822\r\n\r\n",
                "Content-Transfer-Encoding: base64\r\n", "Content-Type: message/rfc822\r\n", "LS1hCg==", "=40", "--a b\r\n",
            ]),
            0..40,
        ),
        size in 1usize..20,
    ) {
        let message = format!("Content-Type: multipart/mixed; boundary=a\r\n\r\n{}", pieces.concat());
        prop_assert_eq!(walk_in(&message, size), walk_in(&message, message.len()));
    }
}
