//! Escapes and tags in what may follow: every one that some view undoes or drops.

use super::super::escapes::octet;
use super::{Escape, LAYERS, Next, Text, is_active, is_sign, is_white};
use markup5ever::data::NAMED_ENTITIES;
use unicode_normalization::UnicodeNormalization;

/// Longest digits of a character reference, see `escapes`.
const DIGITS: usize = 48;
/// Longest name of a character reference.
const NAME: usize = 32;
/// Longest of those that need no semicolon.
const LEGACY: usize = 6;
/// Elements whose content is not shown: what stands behind their tag is not told.
const RAW: [&[u8]; 9] =
    [b"script", b"style", b"template", b"title", b"textarea", b"xmp", b"iframe", b"noembed", b"noframes"];
/// Names of characters that a separator or an escape may be read from (HTML §13.5, after NFKC).
pub(super) const SIGNS: [(&[u8], u8); 10] = [
    (b"amp", b'&'),
    (b"AMP", b'&'),
    (b"bne", b'='),
    (b"bsol", b'\\'),
    (b"Colone", b'='),
    (b"commat", b'@'),
    (b"Equal", b'='),
    (b"equals", b'='),
    (b"percnt", b'%'),
    (b"nbsp", b' '),
];

impl Text<'_> {
    /// Where the tag at `at` ends; 0 if it is none; `None` if a page behind it is not shown, or not plainly.
    pub(super) fn tag(&self, at: usize) -> Option<usize> {
        let mut name = &self.bytes[at + 1..];
        let is_end = name.first() == Some(&b'/');
        name = &name[usize::from(is_end)..];
        match name.first() {
            None if !self.is_over => return None,
            Some(b'!' | b'?') => return None,
            Some(first) if first.is_ascii_alphabetic() => {}
            Some(_) if is_end => return None,
            _ => return Some(0),
        }
        let length = name.iter().take_while(|octet| octet.is_ascii_alphanumeric()).count();
        if !is_end && RAW.iter().any(|raw| raw.eq_ignore_ascii_case(&name[..length])) {
            return None;
        }
        let mut quote = 0;
        for (index, &octet) in name.iter().enumerate().skip(length) {
            match octet {
                b'"' | b'\'' if quote == 0 => quote = octet,
                _ if octet == quote => quote = 0,
                b'<' => return None,
                b'>' if quote != 0 => return None,
                b'>' => return Some(at + 1 + usize::from(is_end) + index + 1),
                _ => {}
            }
        }
        None
    }

    /// The escape that `first` begins, with what stands behind it from `rest` on.
    pub(super) fn escape(&self, first: u8, rest: usize, layer: u8) -> Escape {
        if layer >= LAYERS {
            return Escape::Unknown;
        }
        match first {
            b'&' => self.reference(rest, layer),
            b'\\' => self.backslash(rest, layer),
            b'%' if matches!(self.get(rest), Some(b'u' | b'U')) => self.digits(rest + 1, 16, 4, layer),
            _ => match self.hex(rest, layer) {
                Escape::Letter(letter, _)
                    if first == b'=' && !(letter.is_ascii_graphic() || is_white(letter)) =>
                {
                    Escape::None
                }
                // The first octet of a look-alike of a separator.
                Escape::Other if first == b'=' => Escape::None,
                Escape::Other => self.wide(rest),
                found => found,
            },
        }
    }

    /// What the percent-encoded octet beyond ASCII is, of which the digits stand at `at`: `%EF%BC%A0` is an `@`.
    fn wide(&self, at: usize) -> Escape {
        let Some((end, first)) = octet(self.bytes, at) else { return Escape::Unknown };
        let seconds: &[u8] = match first {
            // Kana, ideographs, Hangul, and what is in the middle of a character.
            0x80..=0xc1 | 0xe4..=0xe9 | 0xeb | 0xec => return Escape::Inert(end),
            0xe3 if matches!(octet(self.bytes, end + 1), Some((_, 0x81..=0x83 | 0x90..=0xbf))) => {
                return Escape::Inert(end);
            }
            0xe2 => &[0x81, 0x82, 0xa9],
            0xef => &[0xb9, 0xbc],
            _ => return Escape::Other,
        };
        match (self.get(end), octet(self.bytes, end + 1)) {
            (Some(b'%'), Some((_, second))) if !seconds.contains(&second) => Escape::Other,
            // Nothing that could go on with the character.
            (Some(next), _) if next.is_ascii_graphic() && !is_active(next) && next != b'<' => Escape::Other,
            _ => Escape::Unknown,
        }
    }

    fn hex(&self, at: usize, layer: u8) -> Escape {
        self.digits(at, 16, 2, layer)
    }

    /// So many digits.
    fn digits(&self, mut at: usize, radix: u32, count: usize, layer: u8) -> Escape {
        let mut value = 0;
        for _ in 0..count {
            let (next, end) = self.next_in(at, false, layer + 1);
            let digit = match next {
                Next::Octet(octet) => char::from(octet).to_digit(radix),
                Next::Blank | Next::End => None,
                Next::Unknown => return Escape::Unknown,
            };
            let Some(digit) = digit else { return Escape::None };
            value = value * radix + digit;
            at = end;
        }
        of_code(value, at)
    }

    /// Digits up to where they end, which must not be where lines are joined: there some views end them.
    fn number(&self, mut at: usize, radix: u32, most: usize, layer: u8) -> Result<(u32, usize), Escape> {
        let mut value = 0_u32;
        let start = at;
        while at - start < most {
            let (next, end) = self.next_in(at, false, layer + 1);
            let digit = match next {
                Next::Octet(octet) => char::from(octet).to_digit(radix),
                Next::Unknown => return Err(Escape::Unknown),
                Next::Blank | Next::End => None,
            };
            match digit {
                Some(_) if end != at + 1 => return Err(Escape::Unknown),
                Some(digit) => value = value.saturating_mul(radix).saturating_add(digit),
                None => break,
            }
            at = end;
        }
        if at == start { Err(Escape::None) } else { Ok((value, at)) }
    }

    /// A character reference behind its `&`.
    fn reference(&self, at: usize, layer: u8) -> Escape {
        let (next, behind) = self.next_in(at, false, layer + 1);
        match next {
            Next::Octet(b'#') if behind == at + 1 => {
                let is_hex = matches!(self.get(behind), Some(b'x' | b'X'));
                let (radix, start) = if is_hex { (16, behind + 1) } else { (10, behind) };
                // An `x` that is not at its place may still be one for some view.
                let found = self.number(start, radix, DIGITS, layer);
                match found {
                    Ok((code, end)) => self.closed(of_code(code, end), end, layer),
                    Err(Escape::None) if self.next_in(start, false, layer + 1).1 != start + 1 => {
                        Escape::Unknown
                    }
                    Err(found) => found,
                }
            }
            Next::Octet(first) if first.is_ascii_alphabetic() && behind == at + 1 => self.named(at, layer),
            Next::Unknown => Escape::Unknown,
            Next::Octet(octet) if octet == b'#' || octet.is_ascii_alphanumeric() => Escape::Unknown,
            _ => Escape::None,
        }
    }

    fn named(&self, at: usize, layer: u8) -> Escape {
        let rest = &self.bytes[at..];
        let length = rest.iter().take(NAME).take_while(|octet| octet.is_ascii_alphanumeric()).count();
        let name = &rest[..length];
        // Names without a semicolon may end within a word.
        if let Some((sign, letter)) = SIGNS.iter().find(|(sign, _)| name.starts_with(sign)) {
            let end = at + sign.len();
            return self.closed(Escape::Letter(*letter, end), end, layer);
        }
        if self.get(at + length) == Some(b';') {
            return Escape::Other;
        }
        // A name that goes on behind a cut.
        let may_go_on = SIGNS.iter().any(|(sign, _)| sign.starts_with(name));
        match self.next_in(at + length, false, layer + 1) {
            (Next::Unknown, _) if may_go_on => Escape::Unknown,
            (Next::Octet(octet), end)
                if octet.is_ascii_alphanumeric() && end != at + length + 1 && may_go_on =>
            {
                Escape::Unknown
            }
            _ => Escape::Name,
        }
    }

    /// Whether one of the names that HTML knows without a semicolon stands at `at`.
    pub(super) fn begins_like_a_name(&self, at: usize) -> bool {
        let rest = &self.bytes[at..];
        let length = rest.iter().take(LEGACY).take_while(|octet| octet.is_ascii_alphanumeric()).count();
        let name = std::str::from_utf8(&rest[..length]).unwrap_or_default();
        (2..=length).any(|end| NAMED_ENTITIES.get(&name[..end]).is_some_and(|letters| letters.0 != 0))
    }

    /// A reference that ends at `end`, with its semicolon. One that is cut off, or stands behind backslashes as in
    /// calendars, some views take for it and some do not.
    fn closed(&self, found: Escape, end: usize, layer: u8) -> Escape {
        match (found, self.get(end)) {
            (Escape::Letter(letter, _), Some(b';')) => Escape::Letter(letter, end + 1),
            (Escape::Letter(..), Some(b'\\')) => Escape::Unknown,
            (Escape::Letter(..), _) if self.next_in(end, false, layer + 1).0 == Next::Octet(b';') => {
                Escape::Unknown
            }
            _ => found,
        }
    }

    /// What a backslash begins.
    fn backslash(&self, at: usize, layer: u8) -> Escape {
        match self.get(at) {
            // Dropped with the line end, or nothing.
            Some(b'\r' | b'\n') => return Escape::None,
            Some(b'\\') => return Escape::Letter(b'\\', at + 1),
            Some(octet) if is_active(octet) => {
                return match self.escape(octet, at + 1, layer + 1) {
                    Escape::None | Escape::Other => Escape::Letter(octet, at + 1),
                    _ => Escape::Unknown,
                };
            }
            _ => {}
        }
        let (next, behind) = self.next_in(at, false, layer + 1);
        let next = match next {
            Next::Octet(octet) => octet,
            Next::Unknown => return Escape::Unknown,
            Next::Blank | Next::End => return Escape::None,
        };
        if behind != at + 1 {
            // Behind a cut, or escaped itself.
            return if next.is_ascii_graphic() { Escape::Unknown } else { Escape::None };
        }
        match next {
            b'n' | b'N' | b'r' => Escape::Letter(b'\n', behind),
            b't' => Escape::Letter(b'\t', behind),
            b'u' | b'x' if self.get(behind) == Some(b'{') => match self.number(behind + 1, 16, 8, layer) {
                Ok((code, end)) => of_code(code, end + 1),
                Err(found) => found,
            },
            b'u' => self.digits(behind, 16, 4, layer),
            b'U' => match (self.digits(behind, 16, 8, layer), self.digits(behind, 16, 4, layer)) {
                (Escape::None, short) => short,
                _ => Escape::Unknown,
            },
            b'x' | b'\'' => match self.hex(behind, layer) {
                Escape::None if next == b'\'' => Escape::Letter(b'\'', behind),
                // Of more octets than one, perhaps.
                Escape::Other
                    if octet(self.bytes, behind).is_none_or(|(_, first)| matches!(first, 0xe2 | 0xef)) =>
                {
                    Escape::Unknown
                }
                found => found,
            },
            _ if next.is_ascii_hexdigit() => self.css_or_octal(at, layer),
            _ if next.is_ascii_punctuation() => Escape::Letter(next, behind),
            _ => Escape::None,
        }
    }

    /// Digits that style sheets read in hexadecimal, C in octal: told apart only where neither is of interest.
    fn css_or_octal(&self, at: usize, layer: u8) -> Escape {
        let css = self.number(at, 16, 6, layer);
        let octal = self.number(at, 8, 3, layer);
        let is_sign = |code: u32| matches!(of_code(code, 0), Escape::Letter(letter, _) if is_sign(letter));
        // Octal of a first digit above 3 has two digits.
        let short = octal.map(|(code, _)| code >> 3);
        for found in [css.map(|found| found.0), octal.map(|found| found.0), short] {
            match found {
                Ok(code) if is_sign(code) || code == 0xef || code == 0xe2 => return Escape::Unknown,
                Err(Escape::Unknown) => return Escape::Unknown,
                _ => {}
            }
        }
        Escape::Other
    }
}

/// A character by its code: what of it matters here.
fn of_code(code: u32, end: usize) -> Escape {
    match (u8::try_from(code), char::from_u32(code)) {
        // Control characters show nothing.
        (Ok(letter), _) if letter.is_ascii_graphic() || is_white(letter) => Escape::Letter(letter, end),
        (Ok(0xa0), _) => Escape::Letter(b' ', end),
        (_, Some(letter)) => {
            let may_be_sign =
                std::iter::once(letter).nfkc().any(|plain| u8::try_from(plain).is_ok_and(is_sign));
            if may_be_sign { Escape::Unknown } else { Escape::Other }
        }
        _ => Escape::Other,
    }
}
