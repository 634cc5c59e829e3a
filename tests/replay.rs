//! The fuzz targets without a fuzzer: each runs over its corpus (`fuzz/seeds/TARGET`, and the messages,
//! dialogues and policies of the project) and over a fixed number of mutated copies of each file.
//!
//! The mutations come from a fixed seed, so that a failure is caused by the code and not by chance.
//! Coverage-guided fuzzing with fresh seeds is `fuzz/run`; what it finds is kept in `fuzz/seeds/TARGET` and
//! replayed here. `REPLAY_CHANGES` (default 200) is the number of mutated copies per file.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and has no users"
)]

#[path = "../fuzz/targets/address.rs"]
mod address;
#[path = "../fuzz/targets/command.rs"]
mod command;
#[path = "../fuzz/targets/data.rs"]
mod data;
#[path = "../fuzz/targets/header.rs"]
mod header;
#[path = "../fuzz/targets/link.rs"]
mod link;
#[path = "../fuzz/targets/mime.rs"]
mod mime;
#[path = "../fuzz/targets/reply.rs"]
mod reply;
#[path = "../fuzz/targets/rewrite.rs"]
mod rewrite;
#[path = "../fuzz/targets/rule.rs"]
mod rule;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Inputs above this length are truncated, as the fuzzer does.
const LONGEST: usize = 65_536;
/// Longest time for one input, even on a slow machine; usually it takes milliseconds.
const PATIENCE: Duration = Duration::from_mins(1);

/// Fragments that mean something to one of the parsers.
const PIECES: [&[u8]; 24] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"\r\n.\r\n",
    b"@",
    b"<",
    b">",
    b"\"",
    b"\\",
    b"(",
    b")",
    b":",
    b";",
    b",",
    b"=",
    b"=?utf-8?B?",
    b"?=",
    b"\x1b$B",
    b"\x1b(B",
    b"\xff\xfe",
    b"\xe2\x80\x8b",
    b"--",
    b"\r\n\r\n",
];

/// A small pseudo-random generator (xorshift64*), seeded by the file.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap_or(0) % bound.max(1)
    }
}

/// A copy with one to four mutations.
fn changed(file: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut copy = file.to_vec();
    for _ in 0..=dice.below(4) {
        let (from, to) = (dice.below(copy.len() + 1), dice.below(copy.len() + 1));
        let (from, to) = (from.min(to), from.max(to).min(from.min(to) + 200));
        match dice.below(6) {
            0 if from < copy.len() => copy[from] ^= 1 << dice.below(8),
            1 => drop(copy.splice(from..from, PIECES[dice.below(PIECES.len())].iter().copied())),
            2 => drop(copy.drain(from..to)),
            3 => {
                let piece = copy[from..to].to_vec();
                drop(copy.splice(to..to, piece));
            }
            4 if !other.is_empty() => {
                let start = dice.below(other.len());
                let piece = &other[start..(start + dice.below(200)).min(other.len())];
                drop(copy.splice(from..to, piece.iter().copied()));
            }
            _ => copy.truncate(from.max(1)),
        }
    }
    copy.truncate(LONGEST);
    copy
}

/// The files of these folders, sorted by name.
fn corpus(target: &str, more: &[&str]) -> Vec<(PathBuf, Vec<u8>)> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = format!("fuzz/seeds/{target}");
    let mut files = Vec::new();
    for folder in std::iter::once(own.as_str()).chain(more.iter().copied()) {
        let entries = std::fs::read_dir(top.join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
        let paths = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
        files.extend(paths.map(|path| {
            let mut text = std::fs::read(&path).unwrap();
            text.truncate(LONGEST);
            (path, text)
        }));
    }
    assert!(!files.is_empty(), "no corpus for {target}");
    files.sort();
    files
}

/// Runs one target over a corpus and mutated copies of it.
fn replay(target: &str, more: &[&str], check: fn(&[u8])) {
    let changes = std::env::var("REPLAY_CHANGES").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let files = corpus(target, more);
    for (index, (path, file)) in files.iter().enumerate() {
        let other = &files[(index + 1) % files.len()].1;
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (index as u64 + 1));
        for number in 0..=changes {
            let input = if number == 0 { file.clone() } else { changed(file, other, &mut dice) };
            let started = Instant::now();
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(&input))) {
                let kept = std::env::temp_dir().join(format!("sekisho-replay-{target}-{index}-{number}"));
                std::fs::write(&kept, &input).unwrap();
                eprintln!(
                    "{target}: change {number} of {} fails; the input is kept as {}",
                    path.display(),
                    kept.display()
                );
                resume_unwind(panic);
            }
            assert!(
                started.elapsed() < PATIENCE,
                "{target}: change {number} of {} takes too long",
                path.display()
            );
        }
    }
}

#[test]
fn addresses() {
    replay("address", &[], address::check);
}

#[test]
fn commands() {
    replay("command", &["tests/dialogues"], command::check);
}

#[test]
fn content() {
    replay("data", &["tests/corpus"], data::check);
}

#[test]
fn headers() {
    replay("header", &["tests/corpus"], header::check);
}

#[test]
fn links() {
    replay("link", &[], link::check);
}

#[test]
fn bodies() {
    replay("mime", &["tests/corpus"], mime::check);
}

#[test]
fn replies() {
    replay("reply", &[], reply::check);
}

#[test]
fn copies() {
    replay("rewrite", &["tests/corpus"], rewrite::check);
}

#[test]
fn policies() {
    replay("rule", &["policy"], |input| {
        if let Ok(text) = std::str::from_utf8(input) {
            rule::check(text);
        }
    });
}
