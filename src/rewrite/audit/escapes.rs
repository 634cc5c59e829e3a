//! Decodes escapes: character references, percent-encoding, the escapes of JSON, JavaScript, CSS and C, and
//! quoted-printable inside a text.

use crate::message::walk::hex_digit;
use markup5ever::data::{C1_REPLACEMENTS, NAMED_ENTITIES};
use std::sync::LazyLock;

/// The maximum length of an escape that is decoded, in octets.
const LONGEST: usize = 48;
/// The maximum length of the name of a character reference.
const LONGEST_NAME: usize = 32;

/// How `\40` is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Digits {
    /// As hexadecimal, as in CSS, where one blank after the digits belongs to the escape.
    #[default]
    Css,
    /// As octal, as in C and similar languages, where `\b` and `\f` are control characters.
    Octal,
    /// Not decoded, because the contained text is decoded again later. Escaped line ends and blanks are decoded:
    /// `\n`, `=0A`, `%0A+`.
    Lines,
}

/// A filter that decodes one layer of escapes.
#[derive(Debug, Default)]
pub(super) struct Unescape {
    digits: Digits,
    carry: Vec<u8>,
}

impl Unescape {
    pub(super) fn new(digits: Digits) -> Self {
        Self { digits, carry: Vec::new() }
    }

    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.carry.is_empty() {
            let rest = self.undo(bytes, false, out);
            self.carry.extend_from_slice(rest);
            return;
        }
        let mut joined = std::mem::take(&mut self.carry);
        joined.extend_from_slice(bytes);
        let rest = self.undo(&joined, false, out);
        self.carry.extend_from_slice(rest);
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        let carry = std::mem::take(&mut self.carry);
        self.undo(&carry, true, out);
    }

    fn undo<'a>(&self, mut bytes: &'a [u8], last: bool, out: &mut Vec<u8>) -> &'a [u8] {
        loop {
            let plain = bytes.iter().position(|&byte| BEGINS[usize::from(byte)]).unwrap_or(bytes.len());
            out.extend_from_slice(&bytes[..plain]);
            bytes = &bytes[plain..];
            if bytes.is_empty() || (bytes.len() < LONGEST && !last) {
                return bytes;
            }
            let piece = &bytes[..bytes.len().min(LONGEST)];
            if let Some((mut used, mut plain)) = self.escape(piece) {
                // JSON, Java and others write some characters as two UTF-16 surrogates.
                if let Plain::Half(high @ 0xd800..=0xdbff) = plain
                    && let Some((more, Plain::Half(low @ 0xdc00..=0xdfff))) = self.escape(&piece[used..])
                {
                    used += more;
                    plain = Plain::letter(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00));
                }
                plain.write(out);
                bytes = &bytes[used..];
            } else {
                out.push(bytes[0]);
                bytes = &bytes[1..];
            }
        }
    }

    /// The escape at the start of the text: its length in octets and what it means.
    fn escape(&self, text: &[u8]) -> Option<(usize, Plain)> {
        let lines = self.digits == Digits::Lines;
        match text.first()? {
            // With `Digits::Lines`, a reference whose semicolon is escaped or on the next line is left for a later
            // pass.
            b'&' => reference(text)
                .filter(|(end, _)| !lines || matches!(text[..*end], [.., last, b';'] if last != b'\\')),
            b'\\' => self.backslash(text),
            b'%' => match text {
                [_, b'0', b'A' | b'a', b'+', ..] if lines => Some((4, Plain::Letters('\n', ' '))),
                // JavaScript's `escape` writes `%u0040`.
                [_, b'u' | b'U', ..] => number(text, 2, 16, 4)
                    .filter(|(end, _)| *end == 6)
                    .map(|(end, code)| (end, Plain::letter(code))),
                _ => octet(text, 1).map(|(used, value)| (used, Plain::Octet(value))),
            },
            // Only printable characters are decoded: `local=domain` must stay, and the search treats `=0A` before
            // an address as the end of a word.
            b'=' => octet(text, 1)
                .filter(|(_, value)| {
                    value.is_ascii_graphic() || (lines && matches!(value, b'\r' | b'\n' | b'\t' | b' '))
                })
                .map(|(used, value)| (used, Plain::Octet(value))),
            _ => None,
        }
    }

    /// `\u0040`, `\u{40}`, `\x40`, CSS's `\40 ` or C's `\100`, and a backslash before punctuation.
    /// `\n` and similar escapes stay: the search reads them both as an escape and as a backslash and a letter.
    fn backslash(&self, text: &[u8]) -> Option<(usize, Plain)> {
        let next = *text.get(1)?;
        match next {
            b'u' | b'x' if text.get(2) == Some(&b'{') => {
                let (end, code) = number(text, 3, 16, 8)?;
                (text.get(end) == Some(&b'}')).then(|| (end + 1, Plain::letter(code)))
            }
            b'u' | b'U' => {
                // C, Python and YAML write eight digits after a capital `U`.
                let long = number(text, 2, 16, 8).filter(|(end, code)| *end == 10 && *code <= 0x0010_ffff);
                if let Some((end, code)) = long.filter(|_| next == b'U') {
                    return Some((end, Plain::letter(code)));
                }
                let (end, code) = number(text, 2, 16, 4)?;
                (end == 6).then(|| (end, Plain::letter(code)))
            }
            // A backslash that continues the line, before a line end that is written as `=0A`.
            b'=' | b'%' if self.digits == Digits::Lines && octet(text, 2).is_some() => None,
            b'n' | b'N' if self.digits == Digits::Lines => Some((2, Plain::Octet(b'\n'))),
            b'r' if self.digits == Digits::Lines => Some((2, Plain::Octet(b'\r'))),
            b't' if self.digits == Digits::Lines => Some((2, Plain::Octet(b'\t'))),
            // RTF writes `\'40`.
            b'x' | b'\'' if octet(text, 2).is_some() => {
                octet(text, 2).map(|(end, value)| (end, Plain::Octet(value)))
            }
            b'0'..=b'7' if self.digits == Digits::Octal => {
                let (end, code) = number(text, 1, 8, if next <= b'3' { 3 } else { 2 })?;
                Some((end, Plain::Octet(u8::try_from(code).ok()?)))
            }
            _ if next.is_ascii_hexdigit() && self.digits == Digits::Css => {
                let (end, code) = number(text, 1, 16, 6)?;
                let blank = matches!(text.get(end), Some(b' ' | b'\t' | b'\n'));
                Some((end + usize::from(blank), Plain::letter(code)))
            }
            _ if next.is_ascii_punctuation() => Some((2, Plain::Octet(next))),
            _ => None,
        }
    }
}

/// Whether a byte can begin an escape.
const BEGINS: [bool; 256] = {
    let mut table = [false; 256];
    table[b'&' as usize] = true;
    table[b'%' as usize] = true;
    table[b'\\' as usize] = true;
    table[b'=' as usize] = true;
    table
};

/// Whether these bytes can contain the beginning of an escape.
pub(super) fn may_begin(bytes: &[u8]) -> bool {
    memchr::memchr3(b'&', b'%', b'\\', bytes).is_some() || memchr::memchr(b'=', bytes).is_some()
}

/// Whether these bytes can contain the beginning of an escape that C and CSS read differently.
pub(super) fn may_be_octal(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'\\', bytes)
        .any(|at| bytes.get(at + 1).is_none_or(|next| next.is_ascii_digit() || b"abef".contains(next)))
}

/// What an escape means.
enum Plain {
    Octet(u8),
    Letter(char),
    Letters(char, char),
    /// A UTF-16 surrogate.
    Half(u32),
}

impl Plain {
    fn letter(code: u32) -> Self {
        match code {
            0xd800..=0xdfff => Self::Half(code),
            _ => Self::Letter(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)),
        }
    }

    fn write(self, out: &mut Vec<u8>) {
        let mut push = |letter: char| out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        match self {
            Self::Octet(value) => out.push(value),
            Self::Letter(letter) => push(letter),
            Self::Half(_) => push(char::REPLACEMENT_CHARACTER),
            Self::Letters(one, two) => {
                push(one);
                push(two);
            }
        }
    }
}

/// Reads two hexadecimal digits at `start`: where they end, and their value.
pub(super) fn octet(text: &[u8], start: usize) -> Option<(usize, u8)> {
    let digits = text.get(start..start + 2)?;
    digits
        .iter()
        .all(u8::is_ascii_hexdigit)
        .then(|| (start + 2, hex_digit(digits[0]) << 4 | hex_digit(digits[1])))
}

/// Reads up to `most` digits from `start`: where they end, and their value.
fn number(text: &[u8], start: usize, radix: u32, most: usize) -> Option<(usize, u32)> {
    let digits = text[start.min(text.len())..]
        .iter()
        .take(most)
        .take_while(|byte| char::from(**byte).is_digit(radix))
        .count();
    let read = std::str::from_utf8(text.get(start..start + digits)?).ok()?;
    let significant = read.trim_start_matches('0');
    let value = if significant.is_empty() { 0 } else { u32::from_str_radix(significant, radix).ok()? };
    (digits > 0).then_some((start + digits, value))
}

/// Reads `&#64;`, `&#x40`, `&commat;`, and the names that HTML allows without a semicolon.
fn reference(text: &[u8]) -> Option<(usize, Plain)> {
    if text.get(1) != Some(&b'#') {
        return named(text);
    }
    let (end, code) = match text.get(2) {
        Some(b'x' | b'X') => number(text, 3, 16, LONGEST)?,
        _ => number(text, 2, 10, LONGEST)?,
    };
    // HTML treats 0x80 to 0x9F as windows-1252.
    let replaced = usize::try_from(code).ok().and_then(|code| code.checked_sub(0x80));
    let replaced = replaced.and_then(|index| C1_REPLACEMENTS.get(index).copied().flatten());
    let plain = replaced.map_or_else(|| Plain::letter(code), Plain::Letter);
    let closed = text.get(end..).map_or(0, closing);
    Some((end + closed, plain))
}

/// The maximum number of backslashes before an escaped semicolon: a calendar within JSON has two, and a calendar
/// within a calendar three.
const BACKSLASHES: usize = 3;

/// The length of the semicolon that ends a reference, in octets. Calendars and cards put a backslash before it, and
/// there are more if they are inside another text.
fn closing(text: &[u8]) -> usize {
    let backslashes = text.iter().take(BACKSLASHES).take_while(|byte| **byte == b'\\').count();
    if text.get(backslashes) == Some(&b';') { backslashes + 1 } else { 0 }
}

/// The pairs of letters with which names begin that HTML defines, by [`pair`]. Of links, most parameters begin otherwise.
static BEGINNINGS: LazyLock<Box<[bool; 1 << 14]>> = LazyLock::new(|| {
    let mut table = Box::new([false; 1 << 14]);
    for name in NAMED_ENTITIES.keys() {
        if let Some(at) = name.as_bytes().first_chunk().and_then(|letters| pair(*letters)) {
            table[at] = true;
        }
    }
    table
});

/// The place of two letters of ASCII.
fn pair([first, second]: [u8; 2]) -> Option<usize> {
    (first | second < 0x80).then_some(usize::from(first) << 7 | usize::from(second))
}

/// Whether a name that HTML defines may begin with these two letters.
pub(super) fn may_begin_name(letters: [u8; 2]) -> bool {
    pair(letters).is_some_and(|at| BEGINNINGS[at])
}

/// Reads the longest name at this place that HTML defines.
fn named(text: &[u8]) -> Option<(usize, Plain)> {
    text[1..].first_chunk().filter(|letters| may_begin_name(**letters))?;
    let length = text[1..].iter().take(LONGEST_NAME).take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let closed = length + usize::from(text.get(length + 1) == Some(&b';'));
    let name = std::str::from_utf8(&text[1..=closed]).ok()?;
    let end = text.get(length + 1..).map_or(0, closing);
    if end > 1
        && let Some(&(one, 0)) = NAMED_ENTITIES.get(&*format!("{name};")).filter(|letters| letters.0 != 0)
    {
        return char::from_u32(one).map(|letter| (length + 1 + end, Plain::Letter(letter)));
    }
    (2..=name.len()).rev().find_map(|end| {
        // The table also contains prefixes of names, which have no meaning.
        let &(one, two) = NAMED_ENTITIES.get(&name[..end]).filter(|letters| letters.0 != 0)?;
        let one = char::from_u32(one)?;
        let second = char::from_u32(two).filter(|letter| *letter != '\0');
        Some((end + 1, second.map_or(Plain::Letter(one), |two| Plain::Letters(one, two))))
    })
}

#[cfg(test)]
mod tests {
    use super::super::lazy::tests::in_chunks;
    use super::*;

    fn undone(digits: Digits, text: &str) -> String {
        in_chunks(text, |text, size| {
            let mut unescape = Unescape::new(digits);
            let mut out = Vec::new();
            text.as_bytes().chunks(size).for_each(|chunk| unescape.feed(chunk, &mut out));
            unescape.finish(&mut out);
            out
        })
    }

    #[test]
    fn escapes() {
        for (text, plain) in [
            ("a&#64;x&#x2E;jp", "a@x.jp"),
            ("a&commat;x&period;jp", "a@x.jp"),
            ("a&#64x.jp", "a@x.jp"),
            ("a&#00000000000000064;x.jp", "a@x.jp"),
            ("a%40x%2ejp", "a@x.jp"),
            ("a\\u0040x.jp a\\u{40}x.jp a\\x40x.jp", "a@x.jp a@x.jp a@x.jp"),
            ("a\\40 x.jp a\\@x\\.jp", "a@x.jp a@x.jp"),
            ("a=40x=2Ejp", "a@x.jp"),
            ("a&shy;b&zwnj;", "a\u{ad}b\u{200c}"),
            ("&ltx&gtx&ampx&nbspa@x.jp&copycat", "<x>x&x\u{a0}a@x.jp©cat"),
            ("&#128;&#x99;&#0;&NotEqualTilde;", "€™\0≂\u{338}"),
            (
                "\\ud835\\udc1a@x.jp \\uD83E\\uDFF2 \\u{d835}\\u{dc1a} %uD835%uDC1A",
                "\u{1d41a}@x.jp \u{1fbf2} \u{1d41a} \u{1d41a}",
            ),
            ("\\U0001d41a\\x{1d41a} \\U0040 %u0040 \\1d41a x", "\u{1d41a}\u{1d41a} @ @ \u{1d41a}x"),
            ("\\ud835 \\udc1a\\ud835", "\u{fffd} \u{fffd}\u{fffd}"),
            ("R&D 100% C:\\temp x=y &unknown; \\n=0A", "R&D 100% C:\\temp x=y &unknown; \\n=0A"),
        ] {
            assert_eq!(undone(Digits::Css, text), plain);
        }
        for (text, plain) in
            [("a\\100x\\56jp", "a@x.jp"), ("\\fa\\ba\\0", "\\fa\\ba\0"), ("\\u0040\\x40", "@@")]
        {
            assert_eq!(undone(Digits::Octal, text), plain);
        }
        for (text, plain) in [
            (r"ta\r\n ro@x=0D=0A=20.jp%0A+\Nx\ty", "ta\r\n ro@x\r\n .jp\n \nx\ty"),
            (r"\\\n\\x40\\r\100\40\b\v=82", "\\\n\\x40\\r\\100\\40\\b\\v=82"),
        ] {
            assert_eq!(undone(Digits::Lines, text), plain);
        }
    }
}
