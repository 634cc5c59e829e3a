//! What may follow a separator: the next letter of a text as any view could show it.
//!
//! The views drop line ends and tags and undo escapes, each by its own rules. Here is their union in one cursor:
//! [`Text::next`] passes over everything that some view drops, undoes every escape that can be undone at once,
//! and answers [`Next::Unknown`] where it cannot tell. It may report more than the views see, never less.

mod escape;

use super::Needles;
use crate::message::walk::transfer::base64_value;

/// Octets behind a separator that are looked at. Whatever goes on longer is not told.
pub(super) const AHEAD: usize = 256;
/// How often an escape may stand in another.
const LAYERS: u8 = 4;
/// Stands for letters beyond ASCII that are what they are.
const INERT: u8 = 0x80;

/// Whether a separator or an escape may be read from the character of this name.
#[cfg(test)]
pub(super) fn is_sign_name(name: &[u8]) -> bool {
    escape::SIGNS.iter().any(|(sign, _)| name.starts_with(sign))
}

/// The next letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Octet(u8),
    /// One that belongs to no join of lines.
    Blank,
    /// Views may differ, or the text goes on out of sight.
    Unknown,
    /// The text is over.
    End,
}

/// What an escape stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    /// None is here, in no view.
    None,
    /// A letter of ASCII, and where the escape ends.
    Letter(u8, usize),
    /// A character that is neither a separator nor the beginning of an escape.
    Other,
    /// An octet of a letter beyond ASCII that is no other in any view.
    Inert(usize),
    /// The same as [`Self::Other`], if HTML knows the beginning of this name.
    Name,
    Unknown,
}

/// A text with a place from which it is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    bytes: &'a [u8],
    /// Nothing follows the octets.
    is_over: bool,
}

/// Whether an escape may begin with this octet.
pub(super) fn is_active(octet: u8) -> bool {
    matches!(octet, b'&' | b'%' | b'\\' | b'=')
}

impl<'a> Text<'a> {
    /// The text up to [`AHEAD`] octets behind `at`.
    pub(super) fn new(bytes: &'a [u8], at: usize, is_over: bool) -> Self {
        let end = at.saturating_add(AHEAD).min(bytes.len());
        Self { bytes: &bytes[..end], is_over: is_over && end == bytes.len() }
    }

    fn get(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    /// The letter at `at`, and where the text goes on behind it. In base64 a `+` is a letter; elsewhere, behind
    /// a line end, it may be the blank of a form.
    pub(super) fn next(&self, at: usize, in_base64: bool) -> (Next, usize) {
        self.next_in(at, in_base64, 0)
    }

    fn next_in(&self, mut at: usize, in_base64: bool, layer: u8) -> (Next, usize) {
        let mut blank = None;
        let mut after_line = false;
        let mut line_is_escaped = false;
        loop {
            let (next, end) = self.one(at, layer);
            match next {
                Next::Octet(b'\r' | b'\n') => {
                    line_is_escaped |= !matches!(self.get(at), Some(b'\r' | b'\n'));
                    after_line = true;
                }
                Next::Octet(b' ' | b'\t') => blank = blank.or(Some(end)),
                // Quote marks of flowed text.
                Next::Octet(b'>') if after_line => {}
                Next::Octet(b'+') if after_line && in_base64 && line_is_escaped => {
                    return (Next::Unknown, end);
                }
                Next::Octet(b'+') if after_line && !in_base64 => {}
                _ => {
                    return match blank {
                        Some(behind) if !after_line && next != Next::Unknown => (Next::Blank, behind),
                        _ => (next, end),
                    };
                }
            }
            at = end;
        }
    }

    /// One letter, escaped or not. A tag is passed over; a soft line break is a line end.
    fn one(&self, at: usize, layer: u8) -> (Next, usize) {
        let Some(octet) = self.get(at) else {
            return (if self.is_over { Next::End } else { Next::Unknown }, at);
        };
        match octet {
            b'=' | b'\\' if self.is_line_end(at + 1, layer) => (Next::Octet(b'\n'), at + 1),
            b'<' => match self.tag(at) {
                Some(0) => (Next::Octet(b'<'), at + 1),
                // A tag may begin a line, which is a blank that ends words, and may not.
                Some(end) => self.one(end, layer),
                None => (Next::Unknown, at),
            },
            _ if is_active(octet) => self.undone(octet, at + 1, layer),
            _ => (Next::Octet(octet), at + 1),
        }
    }

    /// Whether a line ends here, in whatever escape.
    fn is_line_end(&self, at: usize, layer: u8) -> bool {
        match self.get(at) {
            Some(b'\r' | b'\n') => true,
            Some(octet) if is_active(octet) => {
                matches!(self.one(at, layer + 1).0, Next::Octet(b'\r' | b'\n'))
            }
            _ => false,
        }
    }

    /// What an octet that may begin an escape shows, with what stands behind it.
    fn undone(&self, first: u8, rest: usize, layer: u8) -> (Next, usize) {
        match self.escape(first, rest, layer) {
            Escape::None => (Next::Octet(first), rest),
            Escape::Letter(letter, end) if is_active(letter) => match self.get(end) {
                // `=` at the end of a line, escaped.
                Some(b'\r' | b'\n' | b' ' | b'\t') | None => (Next::Unknown, end),
                Some(octet) if is_active(octet) => (Next::Unknown, end),
                _ if layer >= LAYERS => (Next::Unknown, end),
                _ => self.undone(letter, end, layer + 1),
            },
            Escape::Inert(end) => (Next::Octet(INERT), end),
            // A tag, perhaps, that is escaped.
            Escape::Letter(b'<', end) => (Next::Unknown, end),
            Escape::Letter(letter, end) => (Next::Octet(letter), end),
            Escape::Name if !self.begins_like_a_name(rest) => (Next::Octet(first), rest),
            Escape::Name | Escape::Other | Escape::Unknown => (Next::Unknown, rest),
        }
    }

    /// Whether a separator may be read from `first` and what stands behind it, with a domain that matters.
    pub(super) fn separates(&self, needles: &Needles, first: u8, rest: usize) -> bool {
        self.separates_in(needles, first, rest, 0)
    }

    fn separates_in(&self, needles: &Needles, first: u8, rest: usize, layer: u8) -> bool {
        if matches!(first, b'@' | b'=' | b'%') && self.has_domain(needles, first == b'@', rest) {
            return true;
        }
        if !is_active(first) {
            return false;
        }
        match self.escape(first, rest, 0) {
            Escape::None | Escape::Other | Escape::Inert(_) | Escape::Name => false,
            Escape::Unknown => true,
            Escape::Letter(letter, end) => {
                is_sign(letter) && (layer >= 2 * LAYERS || self.separates_in(needles, letter, end, layer + 1))
            }
        }
    }

    /// Whether the beginning of a domain that matters may be read from `at` on.
    fn has_domain(&self, needles: &Needles, after_blanks: bool, mut at: usize) -> bool {
        let mut start = [0; Needles::START];
        let mut length = 0;
        // Where the domain begins, as long as its letters stand there plainly.
        let mut plain = None;
        loop {
            let (next, end) = self.next(at, false);
            match next {
                Next::Blank | Next::Octet(b'+') if after_blanks && length == 0 => {}
                Next::Octet(octet) => {
                    if length == 0 {
                        plain = Some(end - 1);
                    }
                    plain =
                        plain.filter(|start| *start + length + 1 == end && self.get(end - 1) == Some(octet));
                    start[length] = octet;
                    length += 1;
                    match needles.may_start(&start[..length]) {
                        None => return octet >= 0xc2 && self.is_cut(end - 1),
                        Some(true) => return plain.is_none_or(|at| self.has_whole(needles, at)),
                        Some(false) => {}
                    }
                }
                Next::Blank | Next::End => return false,
                Next::Unknown => return true,
            }
            at = end;
        }
    }

    /// Whether the character at `at` could be put together behind what cuts it in two.
    pub(super) fn is_cut(&self, at: usize) -> bool {
        let behind = self.bytes[at + 1..].iter().take(3).find(|octet| octet.is_ascii());
        behind.is_some_and(|octet| is_active(*octet) || matches!(octet, b'\r' | b'\n' | b' ' | b'<'))
            && std::str::from_utf8(&self.bytes[at..(at + 4).min(self.bytes.len())])
                .is_err_and(|error| error.valid_up_to() == 0)
    }

    /// Whether a domain whose beginning matters does so as a whole, where it stands plainly.
    fn has_whole(&self, needles: &Needles, at: usize) -> bool {
        let text = &self.bytes[at..];
        let length =
            text.iter().take_while(|octet| octet.is_ascii_alphanumeric() || b".-_".contains(octet)).count();
        let ends = match self.next(at + length, false).0 {
            Next::Octet(octet) => {
                octet.is_ascii_graphic() && !octet.is_ascii_alphanumeric() && !b".-_".contains(&octet)
            }
            Next::Blank | Next::End => true,
            Next::Unknown => false,
        };
        length == 0 || !ends || needles.may_be_followed(text, false)
    }

    /// Whether an `@` that is written in base64 from `at` on, at this place of its group, may be followed by a
    /// domain that matters.
    pub(super) fn holds_token(&self, needles: &Needles, mut at: usize, place: usize) -> bool {
        let mut bits = 0_u64;
        let mut letters = 0_usize;
        let mut is_unknown = false;
        while letters < 9 {
            let (next, end) = self.next(at, true);
            match next {
                Next::Octet(octet) => {
                    let Some(value) = base64_value(octet) else { break };
                    bits = bits << 6 | u64::from(value);
                }
                Next::Unknown => {
                    is_unknown = true;
                    break;
                }
                Next::Blank | Next::End => break,
            }
            letters += 1;
            at = end;
        }
        // The sign begins two bits later for each octet before it.
        let skipped = 2 * place;
        let used = (6 * letters).saturating_sub(skipped);
        let octets = used / 8;
        #[allow(clippy::cast_possible_truncation)] // octets are cut out of the letters' bits on purpose
        let octet = |index: usize| (bits >> (used - 8 * (index + 1))) as u8;
        if octets == 0 {
            return is_unknown;
        }
        let all: Vec<u8> = (0..octets).map(octet).collect();
        all[0] == b'@' && needles.may_begin(&all[1..], is_unknown || letters == 9)
    }
}

fn is_white(letter: u8) -> bool {
    matches!(letter, b' ' | b'\t' | b'\r' | b'\n')
}

/// Whether a separator or an escape may be read from this.
fn is_sign(letter: u8) -> bool {
    letter == b'@' || is_active(letter)
}
