//! Escapes in the text before the views: what all views read that decode them, where that is certain.
//!
//! It is certain if the octets of the escape follow each other, and if what follows them ends it in every view. Views
//! that join lines, drop tags or decode other escapes may read something else where that is not so.

use super::super::escapes::may_begin_name;
use super::signs::{LAYERS, Next, Signs, is_active, may_continue};
use crate::message::invisible::is_invisible;
use crate::message::walk::hex_digit;
use markup5ever::data::{C1_REPLACEMENTS, NAMED_ENTITIES};
use unicode_normalization::UnicodeNormalization;

/// The maximum length of the name or the number of a reference that is examined. Decoders take somewhat more.
const LONGEST: usize = 32;
/// The maximum number of hexadecimal digits behind a backslash.
const CODE: usize = 6;
/// How many `=` in a row are examined.
const SIGNS: usize = 80;

/// What views read where an escape could begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// No view reads an escape.
    None,
    /// This octet, before what follows at this place. An octet beyond ASCII is part of a letter.
    Octet(u8, usize),
    /// A letter beyond ASCII that looks like no sign.
    Letter(usize),
    /// That depends on the view, or on what is not known yet.
    Unknown,
}

impl Signs<'_> {
    /// The escape that begins with this octet, which views show before the text at `next`.
    pub(super) fn escape(&self, octet: u8, next: usize, layer: u8) -> Escape {
        if layer > LAYERS {
            return Escape::Unknown;
        }
        match octet {
            b'=' => match self.digits(next, layer) {
                // Others stay, see [`Unescape`](super::super::escapes::Unescape).
                Escape::Octet(value, _) if !(value.is_ascii_graphic() || b"\r\n\t ".contains(&value)) => {
                    Escape::None
                }
                other => other,
            },
            b'%' if matches!(self.text.get(next), Some(b'u' | b'U')) => Escape::Unknown,
            b'%' => match self.digits(next, layer) {
                Escape::Octet(lead @ (0xe2 | 0xef), end) => self.letter(lead, end, layer),
                other => other,
            },
            b'&' => self.reference(next, layer),
            b'\\' => self.backslash(next, layer),
            _ => Escape::None,
        }
    }

    /// An octet as two hexadecimal digits.
    fn digits(&self, next: usize, layer: u8) -> Escape {
        let digit = |at: usize| self.text.get(at).filter(|octet| octet.is_ascii_hexdigit());
        if let (Some(&high), Some(&low)) = (digit(next), digit(next + 1)) {
            return Escape::Octet(hex_digit(high) << 4 | hex_digit(low), next + 2);
        }
        // A second sign may be dropped at the end of a line.
        let signs = self.text[next..].iter().take(SIGNS).take_while(|octet| **octet == b'=').count();
        match self.peek(next + signs, layer) {
            Next::Plain(octet, end) if octet.is_ascii_hexdigit() => match self.peek(end, layer) {
                Next::Plain(octet, _) if !octet.is_ascii_hexdigit() => Escape::None,
                Next::Blank | Next::End => Escape::None,
                Next::Sign(at) if self.ends(at, layer) => Escape::None,
                _ => Escape::Unknown,
            },
            Next::Plain(..) | Next::Blank | Next::End => Escape::None,
            Next::Sign(at) if self.ends(at, layer) => Escape::None,
            Next::Sign(_) | Next::Unknown => Escape::Unknown,
        }
    }

    /// A letter of three octets, which may look like a sign. The others follow its first in percent-encoding.
    fn letter(&self, lead: u8, next: usize, layer: u8) -> Escape {
        let octet = |at: usize| match self.text.get(at..at + 3) {
            Some([b'%', high, low]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                Some(hex_digit(*high) << 4 | hex_digit(*low))
            }
            _ => None,
        };
        if let (Some(second), Some(third)) = (octet(next), octet(next + 3))
            && let Some(letter) =
                str::from_utf8(&[lead, second, third]).ok().and_then(|text| text.chars().next())
        {
            return shown((letter, '\0'), next + 6);
        }
        // It is not completed before what no view drops.
        match self.peek(next, layer) {
            Next::Plain(0..0x80, end) if end == next + 1 => Escape::Letter(next),
            _ => Escape::Unknown,
        }
    }

    /// What a backslash and the text at `next` stand for, in all the languages that views know.
    fn backslash(&self, next: usize, layer: u8) -> Escape {
        let octet = match self.peek(next, layer) {
            Next::Plain(octet, end) if end == next + 1 => octet,
            Next::Sign(at) if at == next && self.escape(self.text[at], at + 1, layer + 1) == Escape::None => {
                self.text[at]
            }
            Next::Blank | Next::End => return Escape::None,
            _ => return Escape::Unknown,
        };
        match octet {
            b'n' | b'N' => Escape::Octet(b'\n', next + 1),
            b'r' => Escape::Octet(b'\r', next + 1),
            b't' => Escape::Octet(b' ', next + 1),
            b'u' | b'U' | b'x' | b'\'' => Escape::Unknown,
            _ if octet.is_ascii_hexdigit() => self.code(next, layer),
            _ if octet.is_ascii_punctuation() => Escape::Octet(octet, next + 1),
            _ => Escape::None,
        }
    }

    /// A letter by its number, behind a backslash: hexadecimal in CSS, octal in C.
    fn code(&self, next: usize, layer: u8) -> Escape {
        let text = &self.text[next..];
        let length = text.iter().take(CODE).take_while(|octet| octet.is_ascii_hexdigit()).count();
        let is_over = match self.peek(next + length, layer) {
            Next::Plain(octet, _) => length == CODE || !octet.is_ascii_hexdigit(),
            Next::Blank | Next::End => true,
            Next::Sign(_) | Next::Unknown => false,
        };
        let most = if matches!(text.first(), Some(b'0'..=b'3')) { 3 } else { 2 };
        let octal = text.iter().take(most).take_while(|octet| matches!(octet, b'0'..=b'7')).count();
        let number = |length: usize, radix: u32| {
            u32::from_str_radix(std::str::from_utf8(&text[..length]).unwrap_or_default(), radix).unwrap_or(0)
        };
        let is_sign = |code: u32| match char::from_u32(code).map(|letter| shown((letter, '\0'), next)) {
            Some(Escape::Octet(octet, _)) => is_active(octet) || matches!(octet, b'@' | b'<'),
            Some(Escape::Unknown) => true,
            // A number that is too large stands for no letter.
            _ => false,
        };
        // An octet beyond ASCII may be part of a letter that looks like a sign.
        let (hexadecimal, octal) = (number(length, 16), number(octal, 8));
        if !is_over || is_sign(hexadecimal) || octal >= 0x80 || is_sign(octal) {
            return Escape::Unknown;
        }
        Escape::Letter(next + length)
    }

    /// A reference whose name or number is at `next`.
    fn reference(&self, next: usize, layer: u8) -> Escape {
        let text = &self.text[next..];
        if text.first() == Some(&b'#') {
            return self.number(next + 1, layer);
        }
        match text {
            // Most references.
            [b'a', b'm', b'p', b';', ..] => return Escape::Octet(b'&', next + 4),
            [b'n', b'b', b's', b'p', b';', ..] => return Escape::Letter(next + 5),
            _ => {}
        }
        let length = text.iter().take(LONGEST).take_while(|octet| octet.is_ascii_alphanumeric()).count();
        if length > 1 && !may_begin_name([text[0], text[1]]) {
            return Escape::None;
        }
        let mut short = Escape::None;
        for end in 1..=length {
            match entity(&text[..end]) {
                // No name begins like this, whatever follows.
                None => return short,
                Some(('\0', _)) => {}
                Some(letters) => short = shown(letters, next + end),
            }
        }
        match self.peek(next + length, layer) {
            Next::Plain(b';', end) if end == next + length + 1 => entity(&self.text[next..end])
                .filter(|letters| letters.0 != '\0')
                .map_or(short, |letters| shown(letters, end)),
            Next::Plain(octet, end) => {
                let goes_on = octet.is_ascii_alphanumeric() || octet == b'#' || octet == b';';
                if goes_on || end != next + length + 1 { Escape::Unknown } else { short }
            }
            Next::Blank | Next::End => short,
            Next::Sign(at) if self.ends(at, layer) => short,
            Next::Sign(_) | Next::Unknown => Escape::Unknown,
        }
    }

    /// Whether an escape before `at` ends there in every view, although an escape may begin there.
    pub(super) fn ends(&self, at: usize, layer: u8) -> bool {
        self.ends_before(self.text[at], at + 1, layer)
    }

    /// The same for an octet as views show it, before the text at `next`.
    pub(super) fn ends_before(&self, octet: u8, next: usize, layer: u8) -> bool {
        // It may be dropped with the end of its line.
        let is_last = matches!(self.text.get(next), None | Some(b'\r' | b'\n'));
        if matches!(octet, b'=' | b'\\') && is_last {
            return false;
        }
        match self.escape(octet, next, layer + 1) {
            Escape::None => true,
            Escape::Octet(octet, end) if is_active(octet) => self.ends_before(octet, end, layer + 1),
            Escape::Octet(octet, _) => !may_continue(octet) && !matches!(octet, b'#' | b';'),
            Escape::Letter(_) | Escape::Unknown => false,
        }
    }

    /// A reference by the number at `next`.
    fn number(&self, next: usize, layer: u8) -> Escape {
        let is_hex = matches!(self.text.get(next), Some(b'x' | b'X'));
        let (radix, start) = if is_hex { (16, next + 1) } else { (10, next) };
        let is_digit = |octet: &&u8| char::from(**octet).is_digit(radix);
        let length = self.text[start..].iter().take(LONGEST).take_while(is_digit).count();
        let end = match self.peek(start + length, layer) {
            Next::Plain(b';', end) if end == start + length + 1 => end,
            Next::Plain(octet, end) if end == start + length + 1 && !octet.is_ascii_alphanumeric() => end - 1,
            Next::Blank | Next::End => start + length,
            _ => return Escape::Unknown,
        };
        let digits = std::str::from_utf8(&self.text[start..start + length]).unwrap_or_default();
        let Ok(code) = u32::from_str_radix(digits, radix) else { return Escape::Unknown };
        // HTML treats 0x80 to 0x9F as windows-1252.
        let replaced = usize::try_from(code).ok().and_then(|code| code.checked_sub(0x80));
        let replaced = replaced.and_then(|index| C1_REPLACEMENTS.get(index).copied().flatten());
        match replaced.or_else(|| char::from_u32(code)) {
            Some(letter) => shown((letter, '\0'), end),
            None => Escape::Unknown,
        }
    }
}

/// The letters that a name stands for, which are zero for the beginning of a longer name.
fn entity(name: &[u8]) -> Option<(char, char)> {
    let &(one, two) = NAMED_ENTITIES.get(std::str::from_utf8(name).ok()?)?;
    Some((char::from_u32(one)?, char::from_u32(two)?))
}

/// What these letters are to the gate.
fn shown((one, two): (char, char), end: usize) -> Escape {
    if let (Ok(octet @ 0..0x80), '\0') = (u8::try_from(u32::from(one)), two) {
        return Escape::Octet(octet, end);
    }
    let is_sign = |letter: char| "@=%&\\<".contains(letter);
    let letters = [one, two].into_iter().filter(|letter| *letter != '\0' && !is_invisible(*letter));
    if letters.nfkc().any(is_sign) { Escape::Unknown } else { Escape::Letter(end) }
}
