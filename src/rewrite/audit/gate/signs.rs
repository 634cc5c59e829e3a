//! What a separator, or an octet that can begin an escape, stands for in any view of the text around it.

use super::super::Needles;
use super::escaped::Escape;

/// How many escapes and tags inside each other are followed.
pub(super) const LAYERS: u8 = 4;
/// The maximum length of an address or a link in brackets.
const BRACKET: usize = 200;
/// The maximum length of a domain that is examined.
const DOMAIN: usize = 200;

/// The next octet as a view shows it that joins lines. Where lines are not joined, no escape and no domain goes on.
pub(super) enum Next {
    Plain(u8, usize),
    /// An octet that can begin an escape is at this place.
    Sign(usize),
    /// A blank that no view drops.
    Blank,
    End,
    Unknown,
}

/// What a sign is to the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// A view may read a separator with a domain that matters, or a tag.
    Matters,
    /// The end of a line, escaped, up to this place: it matters if some reader joins these lines.
    LineEnd(usize),
    /// Nothing, up to this place.
    Nothing(usize),
}

/// A text, and what is searched for.
#[derive(Clone, Copy)]
pub(super) struct Signs<'a> {
    pub(super) needles: &'a Needles,
    pub(super) text: &'a [u8],
    /// Whether views drop tags.
    pub(super) tags: bool,
    /// Nothing follows the text.
    pub(super) is_over: bool,
}

/// Whether a domain or an escape may go on with this octet, as an escape means it. The first octets of ideographs
/// and Hangul are part of no look-alike of a letter.
pub(super) fn may_continue(octet: u8) -> bool {
    let is_other =
        octet.is_ascii_graphic() && !octet.is_ascii_alphanumeric() && !b"@<>+.-_[".contains(&octet);
    !(0xe4..=0xed).contains(&octet) && (is_active(octet) || !is_other)
}

pub(super) fn is_active(octet: u8) -> bool {
    matches!(octet, b'&' | b'%' | b'\\' | b'=')
}

impl Signs<'_> {
    fn get(&self, at: usize) -> Option<u8> {
        self.text.get(at).copied()
    }

    /// What views may read from the octet at `at`.
    pub(super) fn examine(&self, at: usize) -> Sign {
        self.shows(self.text[at], at + 1, 0)
    }

    /// The same for an octet as a view shows it, before the text at `next`.
    fn shows(&self, octet: u8, next: usize, layer: u8) -> Sign {
        let separates = matches!(octet, b'@' | b'=' | b'%') && self.separates(octet, next);
        if separates || layer > LAYERS {
            return Sign::Matters;
        }
        match octet {
            b'=' | b'%' | b'&' | b'\\' => match self.escape(octet, next, 0) {
                Escape::None => Sign::Nothing(next),
                Escape::Octet(octet, end) => self.shows(octet, end, layer + 1),
                Escape::Letter(end) => Sign::Nothing(end),
                Escape::Unknown => Sign::Matters,
            },
            b'<' if self.tags && layer > 0 && self.is_tag(next) => Sign::Matters,
            b'\n' if layer > 0 => Sign::LineEnd(next),
            _ => Sign::Nothing(next),
        }
    }

    /// Whether a tag may begin with a `<` that ends at `at`.
    pub(super) fn is_tag(&self, at: usize) -> bool {
        self.is_tag_in(at, 0)
    }

    fn is_tag_in(&self, at: usize, layer: u8) -> bool {
        match self.peek(at, layer) {
            Next::Plain(octet, _) => octet.is_ascii_alphabetic() || matches!(octet, b'/' | b'!' | b'?'),
            Next::Sign(at) => self.escape(self.text[at], at + 1, layer) != Escape::None,
            Next::Unknown => true,
            Next::Blank | Next::End => false,
        }
    }

    /// The length of an address or a link in brackets, after the `<` at `at`. Views take it for a tag, and all agree
    /// where it ends: no quote, blank or escape is in it. The name of an element that hides text is followed by none of
    /// the octets that are required here.
    pub(super) fn bracket(&self, at: usize) -> Option<usize> {
        let text = &self.text[at + 1..self.text.len().min(at + BRACKET)];
        let name = text.iter().take_while(|octet| octet.is_ascii_alphanumeric() || **octet == b'-').count();
        let is_part = |octet: &&u8| octet.is_ascii_alphanumeric() || b"-._+@:/~,".contains(*octet);
        let length = name + text[name..].iter().take_while(is_part).count();
        let is_name_over = text.get(name).is_some_and(|octet| b"._+@:".contains(octet));
        (is_name_over && text[0].is_ascii_alphabetic() && text.get(length) == Some(&b'>'))
            .then_some(length + 2)
    }

    /// Whether the octets at `at` are a whole letter in UTF-8.
    fn is_letter(&self, at: usize) -> bool {
        let piece = &self.text[at..self.text.len().min(at + 4)];
        match std::str::from_utf8(piece) {
            Ok(_) => true,
            Err(error) => error.valid_up_to() > 0,
        }
    }

    /// The next octet from `at` on, behind so many escapes and tags that are open.
    pub(super) fn peek(&self, mut at: usize, layer: u8) -> Next {
        let mut is_joined = false;
        loop {
            let Some(octet) = self.get(at) else {
                return if self.is_over { Next::End } else { Next::Unknown };
            };
            match octet {
                b'\r' | b'\n' => is_joined = true,
                b' ' | b'\t' | b'>' if is_joined => {}
                b' ' | b'\t' => {
                    let blanks =
                        self.text[at..].iter().take_while(|octet| matches!(octet, b' ' | b'\t')).count();
                    match self.get(at + blanks) {
                        Some(b'\r' | b'\n') => at += blanks - 1,
                        None if !self.is_over => return Next::Unknown,
                        Some(octet) if is_active(octet) => return Next::Unknown,
                        _ => return Next::Blank,
                    }
                }
                // A line that goes on in the next.
                b'=' | b'\\' if matches!(self.get(at + 1), Some(b'\r' | b'\n')) => {}
                b'<' if self.tags && (layer >= LAYERS || self.is_tag_in(at + 1, layer + 1)) => {
                    return Next::Unknown;
                }
                _ if is_active(octet) => return Next::Sign(at),
                0x80.. if !self.is_letter(at) => return Next::Unknown,
                _ => return Next::Plain(octet, at + 1),
            }
            at += 1;
        }
    }

    /// Whether this separator is followed by something that can be a domain that matters.
    fn separates(&self, separator: u8, mut at: usize) -> bool {
        let mut start = [0; Needles::START];
        let mut length = 0;
        let mut first = None;
        loop {
            match self.peek(at, 0) {
                Next::Blank if separator == b'@' && length == 0 => {
                    at += self.text[at..].iter().take_while(|octet| matches!(octet, b' ' | b'\t')).count();
                }
                // In a form, it is a blank.
                Next::Plain(b'+', end) if separator == b'@' && length == 0 => at = end,
                Next::Blank | Next::End => return false,
                Next::Unknown => return true,
                Next::Sign(at) => {
                    return match self.escape(self.text[at], at + 1, 0) {
                        Escape::None => false,
                        Escape::Octet(octet, end) if is_active(octet) => !self.ends_before(octet, end, 0),
                        Escape::Octet(octet, _) => may_continue(octet),
                        Escape::Letter(_) | Escape::Unknown => true,
                    };
                }
                Next::Plain(octet, end) => {
                    first = match first {
                        None => Some(end - 1),
                        Some(first) => Some(first).filter(|first| first + length + 1 == end),
                    };
                    if length > 0 && first.is_none() {
                        return true;
                    }
                    start[length] = octet;
                    length += 1;
                    match self.needles.may_start(&start[..length]) {
                        None => return false,
                        Some(true) => return first.is_none_or(|first| self.has_domain(first)),
                        // An octet of zero looks like the end of a shorter beginning.
                        Some(false) if length == Needles::START => return true,
                        Some(false) => at = end,
                    }
                }
            }
        }
    }

    /// Whether the domain that begins at `at` matters. If its end is not plain, that is unknown.
    fn has_domain(&self, at: usize) -> bool {
        let text = &self.text[at..];
        let is_domain = |octet: &&u8| octet.is_ascii_alphanumeric() || b".-_".contains(*octet);
        let length = text.iter().take(DOMAIN).take_while(is_domain).count();
        let is_plain = |octet: u8| match octet {
            b'<' => !self.tags,
            _ if is_active(octet) => self.ends(at + length, 0),
            _ => octet.is_ascii_graphic(),
        };
        !text.get(length).is_some_and(|next| is_plain(*next))
            || length == 0
            || self.needles.may_be_followed(text, false)
    }
}
