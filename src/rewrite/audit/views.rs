//! Ways a text may hide an address from a plain search: look-alike characters, escapes, tags.
//!
//! Each is a small machine that keeps at most one unfinished piece between chunks.

use crate::message::walk::transfer::hex;
use memchr::memchr;
use unicode_normalization::UnicodeNormalization;

/// Compatibility forms made plain (fullwidth `ａ＠ｘ．ｊｐ`), invisible characters left out.
#[derive(Debug, Default)]
pub(super) struct Fold {
    carry: Vec<u8>,
}

impl Fold {
    /// Folds UTF-8; what is not UTF-8 passes as it is.
    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.carry.is_empty() {
            let rest = fold(bytes, out);
            self.carry.extend_from_slice(rest);
            return;
        }
        let mut joined = std::mem::take(&mut self.carry);
        joined.extend_from_slice(bytes);
        let rest = fold(&joined, out);
        self.carry.extend_from_slice(rest);
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.carry);
    }
}

/// Folds all but a character that is cut off at the end, which is given back.
fn fold<'a>(mut bytes: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    loop {
        let plain = bytes.iter().position(|&byte| byte >= 0x80).unwrap_or(bytes.len());
        out.extend_from_slice(&bytes[..plain]);
        bytes = &bytes[plain..];
        let Some(&lead) = bytes.first() else { return bytes };
        let length = match lead {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        if bytes.len() < length && bytes[1..].iter().all(|&byte| byte & 0xc0 == 0x80) {
            return bytes;
        }
        let letter = bytes.get(..length).and_then(|piece| std::str::from_utf8(piece).ok());
        if let Some(letter) = letter.and_then(|text| text.chars().next()) {
            fold_letter(letter, &bytes[..length], out);
            bytes = &bytes[length..];
        } else {
            out.push(lead);
            bytes = &bytes[1..];
        }
    }
}

fn fold_letter(letter: char, bytes: &[u8], out: &mut Vec<u8>) {
    match letter {
        // Kana, ideographs, Hangul: most text, and their own compatibility form.
        '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' => {
            out.extend_from_slice(bytes);
        }
        // RFC 3490 §3.1 takes these for dots between labels.
        '\u{3002}' | '\u{ff61}' => out.push(b'.'),
        _ if is_invisible(letter) => {}
        _ => {
            let mut buffer = [0; 4];
            for plain in std::iter::once(letter).nfkc() {
                out.extend_from_slice(plain.encode_utf8(&mut buffer).as_bytes());
            }
        }
    }
}

/// Characters that take no room on the screen.
fn is_invisible(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

/// Longest escape that is understood, in octets.
const LONGEST: usize = 48;

/// HTML character references, percent-encoding, JavaScript and CSS escapes, quoted-printable that was
/// quoted as text: all undone in one go.
#[derive(Debug, Default)]
pub(super) struct Unescape {
    carry: Vec<u8>,
}

impl Unescape {
    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.carry.is_empty() {
            let rest = unescape(bytes, false, out);
            self.carry.extend_from_slice(rest);
            return;
        }
        let mut joined = std::mem::take(&mut self.carry);
        joined.extend_from_slice(bytes);
        let rest = unescape(&joined, false, out);
        self.carry.extend_from_slice(rest);
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        let carry = std::mem::take(&mut self.carry);
        unescape(&carry, true, out);
    }
}

/// Whether a byte may begin an escape.
const BEGINS: [bool; 256] = {
    let mut table = [false; 256];
    table[b'&' as usize] = true;
    table[b'%' as usize] = true;
    table[b'\\' as usize] = true;
    table[b'=' as usize] = true;
    table
};

fn unescape<'a>(mut bytes: &'a [u8], last: bool, out: &mut Vec<u8>) -> &'a [u8] {
    loop {
        let plain = bytes.iter().position(|&byte| BEGINS[usize::from(byte)]).unwrap_or(bytes.len());
        out.extend_from_slice(&bytes[..plain]);
        bytes = &bytes[plain..];
        if bytes.is_empty() || (bytes.len() < LONGEST && !last) {
            return bytes;
        }
        let piece = &bytes[..bytes.len().min(LONGEST)];
        let read = match bytes[0] {
            b'&' => reference(piece),
            b'\\' => backslash(piece),
            b'%' => octet(piece, 1).map(|(used, value)| (used, Plain::Octet(value))),
            // Only what is printable: `local=domain` must stay as it is.
            _ => octet(piece, 1)
                .filter(|(_, value)| value.is_ascii_graphic())
                .map(|(used, value)| (used, Plain::Octet(value))),
        };
        if let Some((used, plain)) = read {
            plain.write(out);
            bytes = &bytes[used..];
        } else {
            out.push(bytes[0]);
            bytes = &bytes[1..];
        }
    }
}

/// What an escape stands for.
enum Plain {
    Octet(u8),
    Letter(char),
    Nothing,
}

impl Plain {
    fn letter(code: u32) -> Self {
        char::from_u32(code).map_or(Self::Nothing, Self::Letter)
    }

    fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Octet(value) => out.push(value),
            Self::Letter(letter) => out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            Self::Nothing => {}
        }
    }
}

/// Two hexadecimal digits at `start`.
fn octet(text: &[u8], start: usize) -> Option<(usize, u8)> {
    let digits = text.get(start..start + 2)?;
    digits.iter().all(u8::is_ascii_hexdigit).then(|| (start + 2, hex(digits[0]) << 4 | hex(digits[1])))
}

/// Digits in a base from `start`: where they end, and their value.
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

/// `&#64;`, `&#x40`, `&commat;`.
fn reference(text: &[u8]) -> Option<(usize, Plain)> {
    let (end, plain) = if text.get(1) == Some(&b'#') {
        let (end, code) = match text.get(2) {
            Some(b'x' | b'X') => number(text, 3, 16, LONGEST)?,
            _ => number(text, 2, 10, LONGEST)?,
        };
        (end, Plain::letter(code))
    } else {
        let length = text[1..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let name = &text[1..=length];
        let semicolon = text.get(length + 1) == Some(&b';');
        let letter = named(name).filter(|_| semicolon || SHORT.contains(&name))?;
        (length + 1, if letter == '\0' { Plain::Nothing } else { Plain::Letter(letter) })
    };
    Some((end + usize::from(text.get(end) == Some(&b';')), plain))
}

/// References that HTML reads without a semicolon too.
const SHORT: [&[u8]; 10] = [b"amp", b"AMP", b"lt", b"LT", b"gt", b"GT", b"quot", b"QUOT", b"nbsp", b"shy"];

/// The names that could stand within an address; `\0` for what is invisible.
fn named(name: &[u8]) -> Option<char> {
    Some(match name {
        b"commat" => '@',
        b"period" => '.',
        b"lowbar" | b"UnderBar" => '_',
        b"hyphen" | b"dash" => '-',
        b"plus" => '+',
        b"equals" => '=',
        b"percnt" => '%',
        b"amp" | b"AMP" => '&',
        b"lt" | b"LT" => '<',
        b"gt" | b"GT" => '>',
        b"quot" | b"QUOT" => '"',
        b"apos" => '\'',
        b"num" => '#',
        b"excl" => '!',
        b"sol" => '/',
        b"bsol" => '\\',
        b"ast" | b"midast" => '*',
        b"Hat" => '^',
        b"lcub" | b"lbrace" => '{',
        b"rcub" | b"rbrace" => '}',
        b"verbar" | b"vert" | b"VerticalLine" => '|',
        b"quest" => '?',
        b"dollar" => '$',
        b"grave" | b"DiacriticalGrave" => '`',
        b"colon" => ':',
        b"semi" => ';',
        b"comma" => ',',
        b"nbsp" | b"NonBreakingSpace" | b"Tab" | b"NewLine" => ' ',
        b"shy" | b"zwnj" | b"zwj" | b"ZeroWidthSpace" | b"NoBreak" | b"lrm" | b"rlm"
        | b"NegativeThinSpace" | b"InvisibleTimes" | b"InvisibleComma" => '\0',
        _ => return None,
    })
}

/// `\u0040`, `\u{40}`, `\x40`, CSS's `\40 `, and a backslash before punctuation.
fn backslash(text: &[u8]) -> Option<(usize, Plain)> {
    let next = *text.get(1)?;
    match next {
        b'u' if text.get(2) == Some(&b'{') => {
            let (end, code) = number(text, 3, 16, 8)?;
            (text.get(end) == Some(&b'}')).then(|| (end + 1, Plain::letter(code)))
        }
        b'u' | b'U' => {
            let (end, code) = number(text, 2, 16, 4)?;
            (end == 6).then(|| (end, Plain::letter(code)))
        }
        // RTF writes `\'40`.
        b'x' | b'\'' if octet(text, 2).is_some() => {
            octet(text, 2).map(|(end, value)| (end, Plain::Octet(value)))
        }
        _ if next.is_ascii_hexdigit() => {
            let (end, code) = number(text, 1, 16, 6)?;
            let blank = matches!(text.get(end), Some(b' ' | b'\t' | b'\n'));
            Some((end + usize::from(blank), Plain::letter(code)))
        }
        _ if next.is_ascii_punctuation() => Some((2, Plain::Octet(next))),
        _ => None,
    }
}

/// HTML without its tags and comments: `a<wbr>@<b>x.jp` becomes `a@x.jp`. Tags that begin a new line
/// or cell leave a blank.
#[derive(Debug, Default)]
pub(super) struct StripTags {
    state: Markup,
    name: Vec<u8>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Markup {
    #[default]
    Text,
    /// After `<`.
    Open,
    Name,
    Inside,
    /// In a comment, with how many of `-->` were seen.
    Comment(u8),
}

/// Tags that separate words.
const BLOCKS: [&[u8]; 26] = [
    b"address",
    b"blockquote",
    b"br",
    b"center",
    b"dd",
    b"div",
    b"dl",
    b"dt",
    b"h1",
    b"h2",
    b"h3",
    b"h4",
    b"h5",
    b"h6",
    b"hr",
    b"li",
    b"ol",
    b"option",
    b"p",
    b"pre",
    b"table",
    b"tbody",
    b"td",
    b"th",
    b"tr",
    b"ul",
];

impl StripTags {
    pub(super) fn feed(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while let Some(&byte) = bytes.first() {
            let mut used = 1;
            match self.state {
                Markup::Text => {
                    used = memchr(b'<', bytes).unwrap_or(bytes.len());
                    out.extend_from_slice(&bytes[..used]);
                    if used < bytes.len() {
                        self.state = Markup::Open;
                        used += 1;
                    }
                }
                Markup::Open => {
                    self.name.clear();
                    if byte.is_ascii_alphabetic() || matches!(byte, b'/' | b'!' | b'?') {
                        self.state = Markup::Name;
                        used = 0;
                    } else {
                        out.push(b'<');
                        self.state = Markup::Text;
                        used = 0;
                    }
                }
                Markup::Name
                    if self.name.len() < 12 && (byte.is_ascii_alphanumeric() || b"/!?-".contains(&byte)) =>
                {
                    self.name.push(byte.to_ascii_lowercase());
                    if self.name == b"!--" {
                        self.state = Markup::Comment(2);
                    }
                }
                Markup::Name => {
                    self.state = Markup::Inside;
                    used = 0;
                }
                Markup::Inside => {
                    used = memchr(b'>', bytes).map_or(bytes.len(), |at| at + 1);
                    if bytes[used - 1] == b'>' {
                        self.state = Markup::Text;
                        let name = self.name.strip_prefix(b"/").unwrap_or(&self.name);
                        let name = name.strip_suffix(b"/").unwrap_or(name);
                        if BLOCKS.contains(&name) {
                            out.push(b' ');
                        }
                    }
                }
                Markup::Comment(seen) => {
                    self.state = match (byte, seen) {
                        (b'-', _) => Markup::Comment((seen + 1).min(2)),
                        (b'>', 2) => Markup::Text,
                        _ => Markup::Comment(0),
                    };
                }
            }
            bytes = &bytes[used..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(mut feed: impl FnMut(&[u8], &mut Vec<u8>), text: &str, size: usize) -> Vec<u8> {
        let mut out = Vec::new();
        text.as_bytes().chunks(size).for_each(|chunk| feed(chunk, &mut out));
        out
    }

    fn in_chunks(text: &str, run: impl Fn(&str, usize) -> Vec<u8>) -> String {
        let whole = run(text, text.len().max(1));
        for size in [1, 2, 3, 7] {
            assert_eq!(run(text, size), whole, "{text} in chunks of {size}");
        }
        String::from_utf8_lossy(&whole).into_owned()
    }

    #[test]
    fn folding() {
        for (text, plain) in [
            ("ａ＠ｘ．ｊｐ", "a@x.jp"),
            ("a\u{200b}@\u{ad}x。jp", "a@x.jp"),
            ("𝐚﹫x.jp", "a@x.jp"),
            ("宛先: 山田", "宛先: 山田"),
        ] {
            let run = |text: &str, size| {
                let mut fold = Fold::default();
                let mut out = through(|bytes, out| fold.feed(bytes, out), text, size);
                fold.finish(&mut out);
                out
            };
            assert_eq!(in_chunks(text, run), plain);
        }
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
            ("a&shy;b&zwnj;", "ab"),
            ("R&D 100% C:\\temp x=y &unknown;", "R&D 100% C:\\temp x=y &unknown;"),
        ] {
            let run = |text: &str, size| {
                let mut unescape = Unescape::default();
                let mut out = through(|bytes, out| unescape.feed(bytes, out), text, size);
                unescape.finish(&mut out);
                out
            };
            assert_eq!(in_chunks(text, run), plain);
        }
    }

    #[test]
    fn tags() {
        for (text, plain) in [
            ("a<wbr>@<b class=\"x\">x</b>.jp", "a@x.jp"),
            ("a<!-- > - -- -->@x.jp", "a@x.jp"),
            ("foo<br/>a@x.jp<td>bar", "foo a@x.jp bar"),
            ("1 < 2 <3", "1 < 2 <3"),
            ("<!--->a@x.jp", "a@x.jp"),
        ] {
            let run = |text: &str, size| {
                let mut strip = StripTags::default();
                through(|bytes, out| strip.feed(bytes, out), text, size)
            };
            assert_eq!(in_chunks(text, run), plain);
        }
    }
}
