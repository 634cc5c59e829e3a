//! The gate before the views of a text. It decides cheaply that no view of some octets can show an address, so that
//! the views need not run on them; see [`Reading`](super::sleep::Reading).
//!
//! Each address that the search finds stands around a separator (`@`, `=` or `%`) that is followed by the domain of a
//! hidden address. A view can show such a separator only if the text contains
//!
//! * the separator itself, or a look-alike that [`Fold`] makes plain;
//! * an escape that stands for it. Escapes begin with `&`, `%`, `\` or `=`, or with an escape that stands for one of
//!   these;
//! * base64 ([`tokens`](super::tokens));
//! * the octets of a look-alike, divided by something that a view drops.
//!
//! The gate examines each of these places. It looks past line ends, because some views drop them. If it cannot tell
//! what follows, it opens.
//!
//! Views that drop tags have a state of any length: a comment can have begun long ago. The gate opens for everything
//! that can make such a view run, and the reading does not close it while one runs.
//!
//! What stands before a separator is not examined. The views are given the octets before it, and
//! [`Gate::is_sparse`] makes sure that these are enough for the longest local part.

mod signs;

use super::Needles;
use super::fold::Fold;
use super::join::{self, Lines};
use super::reading::{doubles_quotes, may_escape_tag};
use super::sleep::BEFORE;
use super::tokens::{EARLIER, LATER};
use memchr::memchr_iter;
use signs::{Class, Signs, Tags};

/// How many octets are tested together.
const MANY: usize = 32;
/// The number of octets after a place that must be known before it is examined.
pub(super) const AHEAD: usize = 256;
/// The number of octets before a place that are kept.
const BEHIND: usize = 16;
/// After so many octets, their density is checked.
const SAMPLE: usize = 1_024;

/// What the views of a text do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holds {
    /// They search base64 inside the text.
    pub(super) tokens: bool,
    /// They drop tags.
    pub(super) tags: bool,
    /// The text is a page, whose own tags are dropped elsewhere.
    pub(super) is_html: bool,
    /// They join lines.
    pub(super) joins: bool,
}

/// The gate of one text.
#[derive(Debug)]
pub(super) struct Gate {
    holds: Holds,
    fold: Fold,
    /// Octets that are not examined yet begin at `asked`.
    text: Vec<u8>,
    asked: usize,
    /// Octets since the last escaped line end, and since the last escape that can belong to base64.
    since_line: usize,
    since_letter: usize,
    sample: Sample,
}

/// What the last octets consist of.
#[derive(Debug, Default)]
struct Sample {
    octets: usize,
    /// Octets that folding removed, and octets of escapes.
    hidden: usize,
    blanks: usize,
}

impl Gate {
    pub(super) fn new(holds: Holds) -> Self {
        Self {
            holds,
            fold: Fold::default(),
            text: Vec::new(),
            asked: 0,
            since_line: BEFORE,
            since_letter: BEFORE,
            sample: Sample::default(),
        }
    }

    /// Whether some view could show an address in these octets, or around the boundary between `before` and them.
    pub(super) fn feed(&mut self, needles: &Needles, before: &[u8], bytes: &[u8]) -> bool {
        let start = self.text.len();
        self.fold.feed(bytes, &mut self.text);
        let added = &self.text[start..];
        let may_wake_page = self.holds.is_html
            && (may_escape_tag(added)
                || doubles_quotes(added)
                || (self.holds.joins
                    && (join::may_join(Lines::Folded, before, bytes)
                        || join::may_join(Lines::Flowed, before, bytes))));
        self.sample.octets += bytes.len();
        self.sample.hidden += bytes.len().saturating_sub(added.len());
        self.sample.blanks += blanks(added);
        let until = self.text.len().saturating_sub(AHEAD).max(self.asked);
        let found = self.ask(needles, until, false);
        let keep = until.saturating_sub(BEHIND);
        self.text.drain(..keep);
        self.asked = until - keep;
        let is_sparse = self.is_sparse();
        may_wake_page || found || is_sparse
    }

    /// The same at the end of the text.
    pub(super) fn finish(&mut self, needles: &Needles) -> bool {
        self.fold.finish(&mut self.text);
        let found = self.ask(needles, self.text.len(), true);
        self.text.clear();
        self.asked = 0;
        found
    }

    /// Whether so much of the last octets may be dropped by views that an address could be very long.
    fn is_sparse(&mut self) -> bool {
        if self.sample.octets < SAMPLE {
            return false;
        }
        let Sample { octets, hidden, blanks } = std::mem::take(&mut self.sample);
        hidden > octets / 2 || hidden + blanks > octets / 4 * 3
    }

    fn ask(&mut self, needles: &Needles, until: usize, is_over: bool) -> bool {
        #[cfg(test)]
        if tests::is_open() {
            return true;
        }
        let tags = match self.holds {
            Holds { tags: false, .. } => Tags::None,
            Holds { is_html: true, .. } => Tags::Own,
            _ => Tags::Any,
        };
        let signs = Signs { needles, text: &self.text, tags, is_over };
        let asked = self.asked;
        if tags == Tags::Any
            && memchr_iter(b'<', &self.text[asked..until]).any(|at| signs.is_tag(asked + at + 1))
        {
            return true;
        }
        if self.holds.tokens && cut_tokens(&signs, asked, until) {
            return true;
        }
        let (mut has_line, mut has_letter) = (false, false);
        let (mut at, mut place) = (asked, asked);
        while at < until {
            let end = until.min(at + MANY);
            if self.holds.tokens && is_any_pair(&signs.text[at..end], &signs.text[at + 1..]) != 0 {
                let is_pair = |at: &usize| {
                    let next = signs.text.get(at + 1).map_or(0, |&next| LATER[usize::from(next)]);
                    EARLIER[usize::from(signs.text[*at])] & next != 0
                };
                if (at..end).filter(is_pair).any(|at| signs.is_token(at)) {
                    return true;
                }
            }
            if is_any(&signs.text[at..end]) != 0 {
                place = place.max(at);
                while place < end {
                    match signs.examine(place) {
                        Class::Hot => return true,
                        Class::Literal => place += 1,
                        Class::Wide(after) => {
                            self.sample.hidden += after - place;
                            place = after;
                        }
                        Class::Narrow(after, octet) => {
                            self.sample.hidden += after - place;
                            match octet {
                                b'\r' | b'\n' if tags == Tags::Own => return true,
                                b'\r' | b'\n' => has_line = true,
                                _ if self.holds.tokens && signs.is_token_around(place, after, octet) => {
                                    has_letter = true;
                                }
                                _ => {}
                            }
                            if (has_line || self.since_line < BEFORE)
                                && (has_letter || self.since_letter < BEFORE)
                            {
                                return true;
                            }
                            place += 1;
                        }
                    }
                }
            }
            at = end;
        }
        let since = |seen, before: usize| if seen { 0 } else { before.saturating_add(until - asked) };
        self.since_line = since(has_line, self.since_line);
        self.since_letter = since(has_letter, self.since_letter);
        false
    }
}

/// Whether base64 that contains a separator may be divided by the end of a line.
fn cut_tokens(signs: &Signs<'_>, start: usize, until: usize) -> bool {
    memchr_iter(b'\n', &signs.text[start..until]).any(|at| {
        let mut line = &signs.text[..start + at];
        for dropped in [&b"\r"[..], b"\r", b"\r", b" ", b"=", b"\\"] {
            line = line.strip_suffix(dropped).unwrap_or(line);
        }
        line.last().is_some_and(|last| EARLIER[usize::from(*last)] != 0) && signs.is_token(line.len() - 1)
    })
}

fn blanks(text: &[u8]) -> usize {
    let is_blank = |octet: u8| {
        (octet == b' ') | (octet == b'\t') | (octet == b'\r') | (octet == b'\n') | (octet == b'>')
    };
    // Counted in octets first, which is done for many at once.
    text.chunks(128)
        .map(|piece| usize::from(piece.iter().fold(0_u8, |sum, &octet| sum + u8::from(is_blank(octet)))))
        .sum()
}

/// Whether any of these can begin a separator. The last two can be the beginning of a look-alike.
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

/// Whether any two adjacent octets can be the letters of base64 with which an `@` begins: what [`EARLIER`] and
/// [`LATER`] say, in a form that is tested for many octets at once.
#[allow(clippy::needless_bitwise_bool)] // without branches it is tested for many octets at once
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
