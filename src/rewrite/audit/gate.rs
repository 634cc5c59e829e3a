//! The gate before the views of a text: a cheap look that tells whether an address could be written in it at all,
//! in any spelling that some view knows. Only then the views run; see [`Reading`](super::reading::Reading).
//!
//! Why nothing is missed: every address that is found stands around a separator, `@`, `=` or `%`, and before a
//! domain that matters. The views make a separator of nothing but
//!
//! * the octet itself, or a look-alike that [`Fold`] makes plain, as it does here;
//! * an escape, which begins with `&`, `%`, `\` or `=`, or with an escape that stands for one of those;
//! * letters of base64: within one text ([`tokens`]), and in a `data:` URI of a page;
//! * the octets of a look-alike that were cut in two by what the views drop.
//!
//! At each place where one of these begins it is asked what may follow ([`Text`]): that is the rest of the
//! separator's spelling and the first letters of the domain, with everything passed over that any view drops.
//! Where that cannot be told, the views run. What stands before a separator is not asked about: the views are given
//! [`CONTEXT`](super::reading::CONTEXT) octets before and behind.

use super::Needles;
use super::fold::Fold;
use super::follow::{AHEAD, Text, is_active};
use super::tokens::{self, EARLIER, LATER, PLACES};
use memchr::memchr_iter;
use regex::bytes::Regex;
use std::sync::LazyLock;

/// Octets that are asked about together.
const MANY: usize = 32;
/// All places that an `@` may have in its group of base64.
const ANY_PLACE: u8 = 7;
/// Octets before a line end that belong to it: what is dropped where lines are joined.
const BEHIND: usize = 8;
/// How a `data:` URI begins, or says that it is base64.
static DATA: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("(?i-u:data:|base64)").ok());
/// Longest of these.
const DATA_LENGTH: usize = 6;

/// What a text may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holds {
    /// Base64 inside the text.
    pub(super) tokens: bool,
    /// Pages, in which there may be `data:` URIs.
    pub(super) pages: bool,
}

/// The look at one text as it streams by.
#[derive(Debug)]
pub(super) struct Gate {
    holds: Holds,
    fold: Fold,
    /// Letters; those before `asked` were asked about.
    text: Vec<u8>,
    asked: usize,
}

impl Gate {
    pub(super) fn new(holds: Holds) -> Self {
        Self { holds, fold: Fold::default(), text: Vec::new(), asked: 0 }
    }

    /// Whether an address may stand around the end of what came before, or in these octets.
    pub(super) fn feed(&mut self, needles: &Needles, bytes: &[u8]) -> bool {
        self.fold.feed(bytes, &mut self.text);
        let until = self.text.len().saturating_sub(AHEAD);
        if until <= self.asked {
            return false;
        }
        let found = self.ask(needles, until, false);
        let keep = until.saturating_sub(BEHIND);
        self.text.drain(..keep);
        self.asked = until - keep;
        found
    }

    /// The same at the end of the text.
    pub(super) fn finish(&mut self, needles: &Needles) -> bool {
        self.fold.finish(&mut self.text);
        let found = self.ask(needles, self.text.len(), true);
        self.text.clear();
        self.asked = 0;
        found
    }

    fn ask(&self, needles: &Needles, until: usize, is_over: bool) -> bool {
        let asking = Asking { needles, text: &self.text, holds: self.holds, is_over };
        #[cfg(test)]
        if tests::is_open() {
            return true;
        }
        asking.signs(self.asked, until)
            || (self.holds.tokens && asking.cut_tokens(self.asked, until))
            || (self.holds.pages && asking.data(self.asked, until))
    }
}

struct Asking<'a> {
    needles: &'a Needles,
    text: &'a [u8],
    holds: Holds,
    is_over: bool,
}

impl Asking<'_> {
    /// Whether a separator may begin between these places.
    fn signs(&self, start: usize, until: usize) -> bool {
        let mut at = start;
        while at < until {
            let ones = &self.text[at..until.min(at + MANY)];
            if is_any(ones) != 0
                && (at..at + ones.len()).any(|at| IS_SIGN[usize::from(self.text[at])] && self.sign(at))
            {
                return true;
            }
            let others = &self.text[at + 1..self.text.len().min(at + 1 + ones.len())];
            if self.holds.tokens && is_any_pair(ones, others) != 0 {
                let is_token =
                    |(index, other): (usize, &u8)| self.token(at + index, LATER[usize::from(*other)]);
                if others.iter().enumerate().any(is_token) {
                    return true;
                }
            }
            at += ones.len();
        }
        false
    }

    /// Whether a separator may begin here.
    fn sign(&self, at: usize) -> bool {
        match self.text[at] {
            b'@' => self.separates(at),
            0xe2 | 0xef => Text::new(self.text, at, self.is_over).is_cut(at),
            _ => {
                (self.holds.tokens && at > 0 && self.token(at - 1, ANY_PLACE))
                    || (!self.is_plain(at) && self.run(at))
            }
        }
    }

    /// Whether an `@` in base64 may begin with this letter, of which the next allows these places.
    fn token(&self, at: usize, places: u8) -> bool {
        let places = places & EARLIER[usize::from(self.text[at])];
        places != 0
            && PLACES.into_iter().enumerate().any(|(place, bit)| {
                places & bit != 0
                    && tokens::next_may_begin(self.needles, self.text, at, place)
                    && Text::new(self.text, at, self.is_over).holds_token(self.needles, at, place)
            })
    }

    /// The usual `="` and `=w`: neither an escape nor before a domain that matters.
    fn is_plain(&self, at: usize) -> bool {
        let plain = |octet: u8| octet.is_ascii_graphic() && !is_active(octet) && octet != b'<';
        match self.text[at..] {
            [b'=' | b'%', next, ..] if self.needles.starts_with(next) || !plain(next) => false,
            [b'%', b'u' | b'U', ..] => false,
            [b'=' | b'%', next, ..] if !next.is_ascii_hexdigit() => true,
            [b'=' | b'%', _, other, ..] => plain(other) && !other.is_ascii_hexdigit(),
            _ => false,
        }
    }

    fn separates(&self, at: usize) -> bool {
        Text::new(self.text, at, self.is_over).separates(self.needles, self.text[at], at + 1)
    }

    /// Whether an octet that may begin an escape, or is a separator, does so here. Of a line of `=` the last is
    /// asked, and the others only where it is an escape: otherwise they stand before a plain `=`.
    fn run(&self, at: usize) -> bool {
        let octet = self.text[at];
        if self.text.get(at + 1) != Some(&octet) || octet == b'&' {
            return self.separates(at);
        }
        let more = self.text[at..].iter().take(AHEAD).take_while(|&&other| other == octet).count();
        match self.text.get(at + more) {
            // Each `\` of many stands for one, or for itself.
            _ if octet == b'\\' => more == AHEAD,
            None => !self.is_over,
            _ if more == AHEAD => true,
            Some(&next) if is_active(next) || next == b'<' => true,
            Some(next) if next.is_ascii_hexdigit() => !self.is_plain(at + more - 1),
            // Where lines are joined, all stand before what the last stands before.
            Some(_) => self.separates(at + more - 1),
        }
    }

    /// Whether base64 that holds an `@` may be cut in two at the end of a line.
    fn cut_tokens(&self, start: usize, until: usize) -> bool {
        memchr_iter(b'\n', &self.text[start..until]).any(|at| {
            let mut line = &self.text[..start + at];
            for dropped in [&b"\r"[..], b"\r", b"\r", b" ", b"=", b"\\"] {
                line = line.strip_suffix(dropped).unwrap_or(line);
            }
            !line.is_empty() && self.token(line.len() - 1, ANY_PLACE)
        })
    }

    /// Whether a `data:` URI stands here that is no picture.
    fn data(&self, start: usize, until: usize) -> bool {
        let Some(pattern) = &*DATA else { return true };
        let text = &self.text[start.saturating_sub(DATA_LENGTH)..until];
        pattern.is_match(text)
    }
}

/// Octets that may begin a separator: the last two, a look-alike that is cut in two.
const SIGNS: [u8; 7] = [b'@', b'=', b'%', b'&', b'\\', 0xe2, 0xef];

static IS_SIGN: [bool; 256] = {
    let mut table = [false; 256];
    let mut at = 0;
    while at < SIGNS.len() {
        table[SIGNS[at] as usize] = true;
        at += 1;
    }
    table
};

/// Whether any of these is one of [`SIGNS`].
fn is_any(octets: &[u8]) -> u8 {
    octets.iter().fold(0, |any, &octet| {
        any | u8::from(octet == b'@')
            | u8::from(octet == b'=')
            | u8::from(octet == b'%')
            | u8::from(octet == b'&')
            | u8::from(octet == b'\\')
            | u8::from(octet == 0xe2)
            | u8::from(octet == 0xef)
    })
}

/// Whether any two octets may be the letters of base64 that an `@` begins with: what [`EARLIER`] and [`LATER`] say,
/// in a form that is asked of many octets at once.
#[allow(clippy::needless_bitwise_bool)] // without branches it is asked of many at once
fn is_any_pair(ones: &[u8], others: &[u8]) -> u8 {
    ones.iter().zip(others).fold(0, |any, (&one, &other)| {
        let value = other.wrapping_sub(b'A');
        let first = u8::from(one == b'Q') & u8::from(value < 16);
        let second =
            u8::from((one == b'E') | (one == b'U') | (one == b'k') | (one == b'0')) & u8::from(value < 4);
        let low = one & 0x63;
        let third = u8::from((low == 0x42) | (low == 0x60) | (low == 0x21)) & u8::from(value == 0);
        any | first | second | third
    })
}

#[cfg(test)]
pub(super) mod tests;
