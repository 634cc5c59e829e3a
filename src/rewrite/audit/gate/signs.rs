//! What a separator, or an octet that can begin an escape, stands for in any view of the text around it.

use super::super::Needles;
use super::super::fold::is_own_form;
use crate::message::walk::transfer::hex;
use markup5ever::data::NAMED_ENTITIES;
use unicode_normalization::UnicodeNormalization;

/// How many escapes inside each other are followed.
const LAYERS: u8 = 4;
/// The maximum number of digits of a character reference that are examined.
const DIGITS: usize = 7;
/// The maximum length of the name of a character reference.
const NAME: usize = 32;
/// Stands for an octet that shows no letter of ASCII.
pub(super) const NO_LETTER: u8 = 0x80;
/// The maximum length of an address or a link in brackets.
const BRACKET: usize = 200;
/// The maximum length of a domain that is examined.
const DOMAIN: usize = 200;

/// What stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// No view reads an escape here.
    Literal,
    /// An escape of a letter beyond ASCII that all views show as it is, and where it ends.
    Wide(usize),
    /// Another escape: where it ends, and the octet it stands for. 0 means that this is unknown, and [`NO_LETTER`] that
    /// it is no letter of ASCII.
    Narrow(usize, u8),
    /// Some view may show a separator with a domain that matters, or the beginning of a tag; or that is unknown.
    Hot,
}

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

fn is_active(octet: u8) -> bool {
    matches!(octet, b'&' | b'%' | b'\\' | b'=')
}

impl Signs<'_> {
    fn get(&self, at: usize) -> Option<u8> {
        self.text.get(at).copied()
    }

    /// Classifies the octet at `at`.
    pub(super) fn examine(&self, at: usize) -> Class {
        let octet = self.text[at];
        match octet {
            b'@' if self.separates(octet, at + 1, 0) => Class::Hot,
            b'=' | b'%' if self.separates(octet, at + 1, 0) => Class::Hot,
            // Of a run, the last one decides.
            b'=' | b'%' | b'&' if self.get(at + 1) == Some(octet) => Class::Literal,
            _ if is_active(octet) => match self.class(octet, at + 1, 0) {
                Class::Narrow(..) if at > 0 && self.text[at - 1] == octet => Class::Hot,
                class => class,
            },
            _ => Class::Literal,
        }
    }

    /// Whether a tag may begin with a `<` that ends at `at`.
    pub(super) fn is_tag(&self, at: usize) -> bool {
        self.is_tag_in(at, 0)
    }

    fn is_tag_in(&self, at: usize, layer: u8) -> bool {
        match self.peek(at, layer) {
            Next::Plain(octet, _) => octet.is_ascii_alphabetic() || matches!(octet, b'/' | b'!' | b'?'),
            Next::Sign(at) => self.is_escape(at, layer),
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
                        Some(octet) if is_active(octet) && self.ends_line(at + blanks, layer) => {
                            return Next::Unknown;
                        }
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

    /// Whether some view may read an escape at `at` of something else than a letter beyond ASCII.
    fn is_escape(&self, mut at: usize, layer: u8) -> bool {
        let octet = self.text[at];
        if octet != b'\\' {
            at += self.text[at + 1..].iter().take_while(|&&next| next == octet).count();
        }
        !matches!(self.class(octet, at + 1, layer + 1), Class::Literal | Class::Wide(_))
    }

    /// Whether the escape at `at` may be a line end, before which a blank is dropped.
    fn ends_line(&self, at: usize, layer: u8) -> bool {
        matches!(
            self.class(self.text[at], at + 1, layer + 1),
            Class::Hot | Class::Narrow(_, 0 | b'\r' | b'\n')
        )
    }

    /// What `first` stands for with what follows from `rest` on.
    pub(super) fn class(&self, first: u8, rest: usize, layer: u8) -> Class {
        if layer >= LAYERS {
            return Class::Hot;
        }
        match first {
            b'&' => self.reference(rest, layer),
            b'\\' => self.backslash(rest, layer),
            b'%' if let Next::Plain(b'u' | b'U', end) = self.peek(rest, layer) => {
                if end == rest + 1 {
                    self.code(end, layer)
                } else {
                    Class::Hot
                }
            }
            _ => match self.pair(rest, layer) {
                Ok((end, value @ 0x80..)) if first == b'%' => self.octets(value, end, layer),
                // Quoted-printable within a text is read in letters of ASCII only.
                Ok((_, 0x80..)) => Class::Literal,
                Ok((end, value)) => self.letter(char::from(value), end, layer),
                Err(class) => class,
            },
        }
    }

    /// One hexadecimal digit.
    fn digit(&self, at: usize, layer: u8) -> Result<(u8, usize), Class> {
        match self.peek(at, layer) {
            Next::Plain(octet, end) if octet.is_ascii_hexdigit() => Ok((hex(octet), end)),
            Next::Plain(..) | Next::Blank | Next::End => Err(Class::Literal),
            Next::Sign(at) if !self.is_escape(at, layer) => Err(Class::Literal),
            Next::Sign(_) | Next::Unknown => Err(Class::Hot),
        }
    }

    /// Two hexadecimal digits.
    fn pair(&self, at: usize, layer: u8) -> Result<(usize, u8), Class> {
        let (high, end) = self.digit(at, layer)?;
        let (low, end) = self.digit(end, layer)?;
        // Where lines are joined between them, some views read the digits and some do not.
        if end == at + 2 { Ok((end, high << 4 | low)) } else { Err(Class::Hot) }
    }

    /// Four hexadecimal digits of a code point.
    fn code(&self, at: usize, layer: u8) -> Class {
        let mut code = 0;
        let mut end = at;
        for _ in 0..4 {
            match self.digit(end, layer) {
                Ok((digit, after)) if after == end + 1 => {
                    code = code << 4 | u32::from(digit);
                    end = after;
                }
                Ok(_) => return Class::Hot,
                Err(class) => return class,
            }
        }
        // More digits may follow a capital `U`.
        if self.get(end).is_none_or(|next| next.is_ascii_hexdigit()) {
            return Class::Hot;
        }
        char::from_u32(code).map_or(Class::Hot, |letter| self.letter(letter, end, layer))
    }

    /// Percent-encoded octets, of which the first is this.
    fn octets(&self, first: u8, end: usize, layer: u8) -> Class {
        let length = match first {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        let mut octets = [first, 0, 0, 0];
        let mut at = end;
        for octet in &mut octets[1..length] {
            match self.text.get(at..at + 3) {
                Some(&[b'%', high, low]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    *octet = hex(high) << 4 | hex(low);
                    at += 3;
                }
                _ => break,
            }
        }
        let letter = std::str::from_utf8(&octets[..length]).ok().and_then(|text| text.chars().next());
        if let Some(letter) = letter.filter(|_| at == end + 3 * (length - 1)) {
            return self.letter(letter, at, layer);
        }
        match self.peek(end, layer) {
            // A letter ends here.
            _ if length == 1 => Class::Narrow(end, NO_LETTER),
            Next::Plain(0..0x80, _) | Next::Blank | Next::End => Class::Narrow(end, NO_LETTER),
            // It can be the first octet of a look-alike of a separator.
            _ if matches!(first, 0xe2 | 0xef) => Class::Hot,
            _ => Class::Narrow(end, 0),
        }
    }

    /// An escape that stands for this letter and ends at `end`.
    fn letter(&self, letter: char, end: usize, layer: u8) -> Class {
        match letter {
            '=' | '%' | '&' | '\\' => {
                let Ok(octet) = u8::try_from(letter) else { return Class::Hot };
                if matches!(octet, b'=' | b'%') && self.separates(octet, end, layer + 1) {
                    return Class::Hot;
                }
                match self.class(octet, end, layer + 1) {
                    Class::Literal | Class::Wide(_) => Class::Narrow(end, octet),
                    class => class,
                }
            }
            '@' if self.separates(b'@', end, layer + 1) => Class::Hot,
            '<' if self.tags && self.is_tag_in(end, layer + 1) => Class::Hot,
            '\u{a0}' => Class::Narrow(end, b' '),
            _ if is_own_form(letter) => Class::Wide(end),
            _ if letter.is_ascii() => Class::Narrow(end, u8::try_from(letter).unwrap_or_default()),
            _ if std::iter::once(letter).nfkc().any(|plain| "@=%&\\<".contains(plain)) => Class::Hot,
            _ => Class::Narrow(end, 0),
        }
    }

    /// A character reference after its `&`.
    fn reference(&self, at: usize, layer: u8) -> Class {
        match self.peek(at, layer) {
            Next::Plain(octet, end) if end == at + 1 => match octet {
                b'#' => self.number(end, layer),
                _ if octet.is_ascii_alphabetic() => self.named(at, layer),
                _ => Class::Literal,
            },
            Next::Plain(octet, _) if octet == b'#' || octet.is_ascii_alphabetic() => Class::Hot,
            Next::Sign(at) if self.is_escape(at, layer) => Class::Hot,
            Next::Unknown => Class::Hot,
            _ => Class::Literal,
        }
    }

    fn number(&self, at: usize, layer: u8) -> Class {
        let (start, radix) = match self.get(at) {
            Some(b'x' | b'X') => (at + 1, 16),
            _ => (at, 10),
        };
        let is_digit = |octet: &&u8| char::from(**octet).is_digit(radix);
        let count =
            self.text[start.min(self.text.len())..].iter().take(DIGITS + 1).take_while(is_digit).count();
        let end = start + count;
        if count > DIGITS || !self.ends(end, layer) {
            return Class::Hot;
        }
        if count == 0 {
            return Class::Literal;
        }
        let digits = std::str::from_utf8(&self.text[start..end]).unwrap_or_default();
        let code = u32::from_str_radix(digits, radix).unwrap_or_default();
        let after = end + usize::from(self.get(end) == Some(b';'));
        match char::from_u32(code) {
            // These are read as windows-1252.
            Some('\u{80}'..='\u{9f}') => Class::Narrow(after, 0),
            Some(letter) => self.letter(letter, after, layer),
            None => Class::Hot,
        }
    }

    /// Whether what stands at `at` ends the digits or the name before it, in all views.
    fn ends(&self, at: usize, layer: u8) -> bool {
        match self.peek(at, layer) {
            Next::Plain(octet, end) => end == at + 1 || !(octet.is_ascii_alphanumeric() || octet == b';'),
            Next::Sign(at) => !self.is_escape(at, layer),
            Next::Blank | Next::End => true,
            Next::Unknown => false,
        }
    }

    fn named(&self, at: usize, layer: u8) -> Class {
        let rest = &self.text[at..];
        let length = rest.iter().take(NAME).take_while(|octet| octet.is_ascii_alphanumeric()).count();
        let name = std::str::from_utf8(&rest[..length]).unwrap_or_default();
        let meaning = |name: &str| NAMED_ENTITIES.get(name).copied().filter(|letters| letters.0 != 0);
        if self.get(at + length) == Some(b';') {
            let end = at + length + 1;
            if let Some((first, second)) = std::str::from_utf8(&rest[..=length]).ok().and_then(meaning) {
                let Some(letter) = char::from_u32(first) else { return Class::Hot };
                return match self.letter(letter, end, layer) {
                    Class::Wide(end) if second != 0 => Class::Narrow(end, 0),
                    class => class,
                };
            }
        }
        // Names that need no semicolon may end within a word.
        let short = (2..=length).rev().find_map(|end| Some((end, meaning(&name[..end])?.0)));
        // The table also contains prefixes of names.
        let goes_on =
            (short.is_some() || NAMED_ENTITIES.contains_key(name)) && !self.ends(at + length, layer);
        match short {
            _ if goes_on || length == NAME => Class::Hot,
            Some((end, letter)) => {
                char::from_u32(letter).map_or(Class::Hot, |letter| self.letter(letter, at + end, layer))
            }
            None => Class::Literal,
        }
    }

    /// What a backslash begins.
    fn backslash(&self, at: usize, layer: u8) -> Class {
        let (octet, end) = match self.peek(at, layer) {
            Next::Plain(octet, end) if end == at + 1 => (octet, end),
            // The end of a line that goes on.
            Next::Plain(octet, _) if octet.is_ascii_graphic() => return Class::Hot,
            Next::Plain(..) | Next::Blank | Next::End => return Class::Literal,
            Next::Sign(next) if self.text[next] == b'\\' => return Class::Hot,
            Next::Sign(next) if next > at || self.is_escape(next, layer) => return Class::Hot,
            Next::Sign(next) => return self.letter(char::from(self.text[next]), next + 1, layer),
            Next::Unknown => return Class::Hot,
        };
        match octet {
            b'n' | b'N' | b'r' => Class::Narrow(end, b'\n'),
            b't' => Class::Narrow(end, b' '),
            b'u' | b'U' if self.get(end) == Some(b'{') => Class::Hot,
            b'u' | b'U' => self.code(end, layer),
            b'x' | b'\'' => match self.pair(end, layer) {
                _ if self.get(end) == Some(b'{') => Class::Hot,
                // One of several octets, perhaps.
                Ok((_, 0x80..)) => Class::Hot,
                Ok((end, value)) => self.letter(char::from(value), end, layer),
                Err(Class::Literal) if octet == b'\'' => Class::Narrow(end, octet),
                Err(class) => class,
            },
            _ if octet.is_ascii_hexdigit() => self.css_or_octal(at, layer),
            _ if octet.is_ascii_punctuation() => self.letter(char::from(octet), end, layer),
            _ => Class::Literal,
        }
    }

    /// Digits after a backslash, which style sheets and C read differently.
    fn css_or_octal(&self, at: usize, layer: u8) -> Class {
        let rest = &self.text[at..];
        let count = |most: usize, radix: u32| {
            rest.iter().take(most).take_while(|octet| char::from(**octet).is_digit(radix)).count()
        };
        let code = |length: usize, radix: u32| {
            let digits = std::str::from_utf8(&rest[..length]).unwrap_or_default();
            u32::from_str_radix(digits, radix)
                .ok()
                .and_then(char::from_u32)
                .unwrap_or(char::REPLACEMENT_CHARACTER)
        };
        let (css, octal) = (count(6, 16), count(if rest[0] <= b'3' { 3 } else { 2 }, 8));
        let end = at + css;
        if matches!(self.get(end), Some(b'\r' | b'\n')) || !self.ends(end, layer) {
            return Class::Hot;
        }
        // A blank after them belongs to them.
        let end = end + usize::from(matches!(self.get(end), Some(b' ' | b'\t')));
        let css = self.letter(code(css, 16), end, layer);
        let octal = if octal == 0 { css } else { self.letter(code(octal, 8), at + octal, layer) };
        if css == Class::Hot || octal == Class::Hot { Class::Hot } else { Class::Narrow(end, NO_LETTER) }
    }

    /// Whether this separator is followed by something that can be a domain that matters.
    fn separates(&self, separator: u8, mut at: usize, layer: u8) -> bool {
        let mut start = [0; Needles::START];
        let mut length = 0;
        let mut first = None;
        loop {
            match self.peek(at, layer) {
                Next::Blank if separator == b'@' && length == 0 => {
                    at += self.text[at..].iter().take_while(|octet| matches!(octet, b' ' | b'\t')).count();
                }
                // In a form, it is a blank.
                Next::Plain(b'+', end) if separator == b'@' && length == 0 => at = end,
                Next::Blank | Next::End => return false,
                Next::Unknown => return true,
                Next::Sign(at) => {
                    return layer >= LAYERS || self.is_escape(at, layer);
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
        let is_plain =
            |octet: u8| octet.is_ascii_graphic() && !is_active(octet) && (octet != b'<' || !self.tags);
        let ends = |next: u8| {
            is_plain(next) || (is_active(next) && length < DOMAIN && self.ends(at + length, LAYERS - 2))
        };
        !text.get(length).is_some_and(|next| ends(*next))
            || length == 0
            || self.needles.may_be_followed(text, false)
    }
}
