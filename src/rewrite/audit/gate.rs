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
//! * octets that are not UTF-8, which are the parts of a look-alike when a view drops what divides them.
//!
//! The gate examines all of these places. What an escape means is certain if its octets follow each other and what
//! follows ends it in every view ([`escaped`]); then the gate opens only for a separator. It looks past line ends,
//! because some views drop them. If it cannot tell what follows, it opens.
//!
//! Views that drop tags have a state of any length: a comment can have begun long ago. The gate opens for everything
//! that can make such a view run, and the reading does not close it while one runs. The tags of a page itself are
//! dropped elsewhere, by a view that always runs ([`Markup`](super::markup::Markup)); the gate before the text of a
//! page opens where others would.
//!
//! What stands before a separator is not examined. The views are given the octets before it, and
//! [`Gate::is_sparse`] makes sure that these are enough for the longest local part.

mod base64;
mod escaped;
mod signs;

use super::Needles;
use super::fold::Fold;
use super::foreign;
use super::join::{Lines, may_join};
use super::lines;
use super::reading::{doubles_quotes, is_escaped_tag};
use super::tokens::{EARLIER, may_escape};
use memchr::{memchr_iter, memchr2_iter, memchr3_iter};
use signs::{Sign, Signs};

/// The number of octets after a place that must be known before it is examined.
pub(super) const AHEAD: usize = 256;
/// The number of octets before a place that are kept: for line ends, and letters of base64.
const BEHIND: usize = 128;
/// After so many octets, their density is checked.
const SAMPLE: usize = 1_024;

/// What the views of a text do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holds {
    /// They search base64 inside the text.
    pub(super) tokens: bool,
    /// They drop tags.
    pub(super) tags: bool,
    /// The text is a page: its own tags are dropped in another place, see [`Markup`](super::markup::Markup).
    pub(super) is_html: bool,
}

/// The gate of one text.
#[derive(Debug)]
pub(super) struct Gate {
    holds: Holds,
    fold: Fold,
    /// Octets that are not examined yet begin at `asked`.
    text: Vec<u8>,
    asked: usize,
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
        Self { holds, fold: Fold::default(), text: Vec::new(), asked: 0, sample: Sample::default() }
    }

    /// Whether some view could show an address in these octets, or around the end of those before.
    pub(super) fn feed(&mut self, needles: &Needles, bytes: &[u8]) -> bool {
        let start = self.text.len();
        self.fold.feed(bytes, &mut self.text);
        let added = &self.text[start..];
        self.sample.octets += bytes.len();
        self.sample.hidden += bytes.len().saturating_sub(added.len());
        self.sample.blanks += blanks(added);
        let until = self.text.len().saturating_sub(AHEAD).max(self.asked);
        let found = self.ask(needles, until, false);
        let keep = until.saturating_sub(BEHIND);
        self.text.drain(..keep);
        self.asked = until - keep;
        let is_sparse = self.is_sparse();
        // One view has a blank for what is invisible, where a domain may end.
        let is_parted = self.fold.take_seen() | self.fold.take_turned();
        let is_open = found || is_sparse || is_parted || self.fold.take_broken();
        #[cfg(test)]
        tests::count(is_open);
        is_open
    }

    /// The same at the end of the text.
    pub(super) fn finish(&mut self, needles: &Needles) -> bool {
        self.fold.finish(&mut self.text);
        let found = self.ask(needles, self.text.len(), true);
        self.text.clear();
        self.asked = 0;
        found || self.fold.take_seen() || self.fold.take_turned() || self.fold.take_broken()
    }

    /// Whether so much of the last octets may be dropped by views that an address could be very long.
    fn is_sparse(&mut self) -> bool {
        if self.sample.octets < SAMPLE {
            return false;
        }
        let Sample { octets, hidden, blanks } = std::mem::take(&mut self.sample);
        hidden > octets / 4 || hidden + blanks > octets / 4 * 3
    }

    fn ask(&mut self, needles: &Needles, until: usize, is_over: bool) -> bool {
        #[cfg(test)]
        if tests::is_open() {
            return true;
        }
        let signs = Signs { needles, text: &self.text, tags: self.holds.tags, is_over };
        let near = &self.text[self.asked.saturating_sub(BEHIND)..];
        if foreign::may_be(near) || (self.holds.tokens && may_escape(near)) {
            return true;
        }
        let mut asking = Asking { signs, holds: self.holds, joins: None, hidden: 0 };
        let is_open = asking.is_open(self.asked, until);
        self.sample.hidden += asking.hidden;
        is_open
    }
}

/// The examination of some octets.
struct Asking<'a> {
    signs: Signs<'a>,
    holds: Holds,
    /// Whether the ends of lines that are escaped join them, once that was asked.
    joins: Option<bool>,
    /// Octets that some view does not show.
    hidden: usize,
}

impl Asking<'_> {
    fn is_open(&mut self, start: usize, until: usize) -> bool {
        if self.holds.is_html {
            if self.holds.tags && self.drops_unseen(start) {
                return true;
            }
        } else if self.holds.tags && self.has_tag(start, until) {
            return true;
        }
        if self.holds.tokens && self.has_cut_token(start, until) {
            return true;
        }
        if self.holds.tokens && self.has_token(start, until) {
            return true;
        }
        let region = &self.signs.text[start..until];
        memchr3_iter(b'@', b'%', b'&', region).any(|at| self.has_sign(start + at))
            || memchr2_iter(b'=', b'\\', region).any(|at| self.has_sign(start + at))
    }

    fn has_sign(&mut self, at: usize) -> bool {
        // Pages have many of these.
        if let Some([b'=', b'"' | b'\'']) = self.signs.text.get(at..at + 2) {
            return false;
        }
        // Views of a page in this one would run.
        if self.holds.is_html && self.holds.tags && is_escaped_tag(&self.signs.text[at..]) {
            return true;
        }
        let (end, joins) = match self.signs.examine(at) {
            Sign::Matters => return true,
            Sign::LineEnd(end) => (end, self.joins_escaped_lines()),
            Sign::Nothing(end) => (end, false),
        };
        self.hidden += end.saturating_sub(at + 2);
        joins
    }

    /// Whether lines may be joined that were broken before the text was escaped. Asked once for all of the text.
    fn joins_escaped_lines(&mut self) -> bool {
        *self.joins.get_or_insert_with(|| lines::may_join(b"", self.signs.text))
    }

    /// Whether views of a page may drop tags that were not dropped before: in joined lines, and in a text whose quotes
    /// are doubled.
    fn drops_unseen(&self, start: usize) -> bool {
        let text = &self.signs.text[start.saturating_sub(BEHIND)..];
        may_join(Lines::Folded, b"", text) || may_join(Lines::Flowed, b"", text) || doubles_quotes(text)
    }

    fn has_tag(&mut self, start: usize, until: usize) -> bool {
        memchr_iter(b'<', &self.signs.text[start..until]).any(|at| match self.signs.bracket(start + at) {
            Some(length) => {
                self.hidden += length;
                false
            }
            None => self.signs.is_tag(start + at + 1),
        })
    }

    fn has_token(&self, start: usize, until: usize) -> bool {
        let text = self.signs.text;
        // The second letter of the last pair follows.
        let mut pairs = lines::pairs(&text[start..text.len().min(until + 1)], is_pair);
        pairs.any(|at| self.may_begin_token(start + at + 1))
    }

    /// Whether base64 that contains a separator may be divided by the end of a line.
    fn has_cut_token(&self, start: usize, until: usize) -> bool {
        let text = self.signs.text;
        memchr_iter(b'\n', &text[start..until]).any(|at| {
            let mut line = &text[..start + at];
            for dropped in [&b"\r"[..], b"\r", b"\r", b" ", b"=", b"\\"] {
                line = line.strip_suffix(dropped).unwrap_or(line);
            }
            self.may_begin_token(line.len())
        })
    }

    /// Whether the letter before `end` may begin a separator in base64.
    fn may_begin_token(&self, end: usize) -> bool {
        let last = self.signs.text[..end].last();
        last.is_some_and(|last| EARLIER[usize::from(*last)] != 0) && self.signs.is_token(end - 1)
    }
}

#[expect(clippy::needless_bitwise_bool, reason = "without branches it is tested for many octets at once")]
fn blanks(text: &[u8]) -> usize {
    let is_blank = |octet: u8| {
        (octet == b' ') | (octet == b'\t') | (octet == b'\r') | (octet == b'\n') | (octet == b'>')
    };
    // Counted in octets first, which is done for many at once.
    text.chunks(128)
        .map(|piece| usize::from(piece.iter().fold(0_u8, |sum, &octet| sum + u8::from(is_blank(octet)))))
        .sum()
}

/// Whether two adjacent octets can be the letters of base64 with which an `@` begins: what [`EARLIER`] and
/// [`LATER`](super::tokens::LATER) say, in a form that is tested for many octets at once.
#[expect(clippy::needless_bitwise_bool, reason = "without branches it is tested for many octets at once")]
fn is_pair(one: u8, other: u8) -> bool {
    let value = other.wrapping_sub(b'A');
    let first = (one == b'Q') & (value < 16);
    let second = ((one == b'E') | (one == b'U') | (one == b'k') | (one == b'0')) & (value < 4);
    let low = one & 0x63;
    let third = ((low == 0x42) | (low == 0x60) | (low == 0x21)) & (value == 0);
    first | second | third
}

#[cfg(test)]
pub(super) mod tests;
