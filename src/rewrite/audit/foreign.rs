//! Addresses as other systems rewrite them: in the links of a mail gateway (Proofpoint's URL Defense), in the
//! addresses by which Exchange reaches others (IMCEA), and in the names of guests at Microsoft 365 (`#EXT#`). Each has
//! another sign where a link has `%`, or where an address has `@`.

use super::Needles;
use super::escapes::Digits;
use super::lazy::{Found, Machine};
use super::reading::{Escapes, Plan};
use memchr::memmem::{self, Finder};
use std::sync::LazyLock;

/// One system: words of which one stands near, and what stands for what.
struct System {
    words: &'static [&'static [u8]],
    signs: &'static [(u8, u8)],
}

/// How many systems are known.
pub(super) const SYSTEMS: usize = 4;

const KNOWN: [System; SYSTEMS] = [
    // `urldefense.proofpoint.com/v2/url?u=https-3A__x.jp_-3Fe-3Dtaro-40x.jp`
    System { words: &[b"urldefense"], signs: &[(b'-', b'%'), (b'_', b'/')] },
    // `urldefense.com/v3/__https://x.jp/?e=taro*40x.jp__;JQ!!`
    System { words: &[b"urldefense"], signs: &[(b'*', b'%')] },
    // `IMCEASMTP-taro+40x+2Ejp@exchange.example`
    System { words: &[b"IMCEASMTP"], signs: &[(b'+', b'%')] },
    // `taro_x.jp#EXT#@tenant.onmicrosoft.com`
    System { words: &[b"EXT#", b"EXT%23"], signs: &[(b'_', b'@')] },
];

/// The length of the longest word.
const LONGEST: usize = 10;

/// Whether this text, or its seam with the octets before, may be that of the system.
pub(super) fn is_near(system: usize, before: &[u8], text: &[u8]) -> bool {
    let near = |text: &[u8]| KNOWN[system].words.iter().any(|word| memmem::find(text, word).is_some());
    let seam = [&before[before.len().saturating_sub(LONGEST)..], &text[..text.len().min(LONGEST)]].concat();
    near(text) || near(&seam)
}

/// Whether this text may be that of any system.
pub(super) fn may_be(text: &[u8]) -> bool {
    WORDS.iter().any(|word| word.find(text).is_some())
}

/// The words of all systems, each once.
static WORDS: LazyLock<Vec<Finder<'static>>> = LazyLock::new(|| {
    let mut words: Vec<_> = KNOWN.iter().flat_map(|system| system.words).copied().collect();
    words.dedup();
    words.into_iter().map(Finder::new).collect()
});

/// A whole text with the signs of each system replaced that it may be of.
pub(super) fn plain(text: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..SYSTEMS).filter(|system| is_near(*system, &[], text)).map(|system| replaced(system, text).collect())
}

fn replaced(system: usize, text: &[u8]) -> impl Iterator<Item = u8> {
    let signs = KNOWN[system].signs;
    text.iter().map(|octet| signs.iter().find(|sign| sign.0 == *octet).map_or(*octet, |sign| sign.1))
}

/// A text with the signs of one system replaced and its escapes decoded.
pub(super) struct Foreign {
    system: usize,
    escapes: Escapes,
    text: Vec<u8>,
}

impl Foreign {
    pub(super) fn new(system: usize, plan: Plan) -> Self {
        let plan = Plan { depth: 0, ..plan };
        Self { system, escapes: Escapes::new(Digits::Css, false, plan), text: Vec::new() }
    }
}

impl Machine for Foreign {
    fn feed(&mut self, needles: &Needles, bytes: &[u8], found: &mut Found<'_>) {
        self.text.clear();
        self.text.extend(replaced(self.system, bytes));
        self.escapes.feed(needles, &self.text, found);
    }

    fn finish(&mut self, needles: &Needles, found: &mut Found<'_>) {
        self.escapes.finish(needles, found);
    }
}
