//! Replaces compatibility forms of characters with the plain ones, and removes invisible characters.

use crate::message::invisible::{is_invisible, parts_words};
use unicode_normalization::UnicodeNormalization;

/// Replaces compatibility forms of characters, such as fullwidth `ａ＠ｘ．ｊｐ`, with the plain ones.
#[derive(Debug, Default)]
pub(super) struct Fold {
    carry: Vec<u8>,
    way: Way,
    /// What the text so far ends in.
    last: Origin,
    /// Whether an invisible character was seen since this was last asked.
    seen: bool,
    /// Whether a word changed its origin since this was last asked.
    turned: bool,
    /// Whether something was seen that is not UTF-8 since this was last asked.
    broken: bool,
}

/// What becomes of a place where one word may end and another begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Way {
    /// Invisible characters are removed, and words go on.
    #[default]
    Joined,
    /// Each invisible character becomes a blank.
    Blanks,
    /// So it does, and there is a blank where a word changes its origin: `①taro` and `１．taro` are a list, though
    /// `ｔaro` is a word.
    Parted,
}

/// Where the word at the end of a text is from; a word is of letters and digits, and of dots and the like behind
/// them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Origin {
    /// There is no word.
    #[default]
    Apart,
    /// It was written in ASCII.
    Ascii,
    /// It was written in the full-width forms of ASCII.
    Wide,
    /// It is what other characters stand for.
    Other,
}

impl Fold {
    pub(super) fn new(way: Way) -> Self {
        Self { way, ..Self::default() }
    }

    /// Folds the next octets of a UTF-8 text. Octets that are not UTF-8 are copied unchanged.
    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.carry.is_empty() {
            let cut = self.fold(bytes, out);
            self.carry.extend_from_slice(&bytes[cut..]);
            return;
        }
        let mut joined = std::mem::take(&mut self.carry);
        joined.extend_from_slice(bytes);
        let cut = self.fold(&joined, out);
        self.carry.extend_from_slice(&joined[cut..]);
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.broken |= !self.carry.is_empty();
        out.append(&mut self.carry);
    }

    /// Whether an invisible character was seen since the last call.
    pub(super) fn take_seen(&mut self) -> bool {
        std::mem::take(&mut self.seen)
    }

    /// Whether a word changed its origin since the last call.
    pub(super) fn take_turned(&mut self) -> bool {
        std::mem::take(&mut self.turned)
    }

    /// Whether something was seen that is not UTF-8 since the last call.
    pub(super) fn take_broken(&mut self) -> bool {
        std::mem::take(&mut self.broken)
    }

    /// Folds everything except an incomplete character at the end. Returns where that character begins, or
    /// the length of `bytes` if there is none.
    fn fold(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> usize {
        let mut at = 0;
        loop {
            let plain = &bytes[at..at + unchanged(&bytes[at..])];
            if let [first, ..] = plain {
                self.enter(*first, Origin::Ascii, out);
                out.extend_from_slice(plain);
                self.last = ending(plain, self.last);
                at += plain.len();
            }
            let Some(&lead) = bytes.get(at) else { return at };
            let length = match lead {
                0xc2..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf4 => 4,
                _ => 1,
            };
            let rest = &bytes[at..];
            if rest.len() < length && rest[1..].iter().all(|&byte| byte & 0xc0 == 0x80) {
                return at;
            }
            let letter = rest.get(..length).and_then(|piece| std::str::from_utf8(piece).ok());
            if let Some(letter) = letter.and_then(|text| text.chars().next()) {
                self.letter(letter, &rest[..length], out);
                at += length;
            } else {
                self.broken = true;
                self.last = Origin::Apart;
                out.push(lead);
                at += 1;
            }
        }
    }

    /// An octet of this origin is about to follow. It may go on with a word of another one.
    fn enter(&mut self, octet: u8, origin: Origin, out: &mut Vec<u8>) {
        let goes_on = octet.is_ascii_alphanumeric() || joins(octet);
        if goes_on && self.last != Origin::Apart && self.last != origin {
            self.turned = true;
            if self.way == Way::Parted {
                out.push(b' ');
                self.last = Origin::Apart;
            }
        }
    }

    /// Puts an octet that was written otherwise.
    fn put(&mut self, octet: u8, origin: Origin, out: &mut Vec<u8>) {
        self.enter(octet, origin, out);
        out.push(octet);
        let is_word = octet.is_ascii_alphanumeric() || (joins(octet) && self.last != Origin::Apart);
        self.last = if is_word { origin } else { Origin::Apart };
    }

    fn letter(&mut self, letter: char, bytes: &[u8], out: &mut Vec<u8>) {
        match letter {
            // Most text. Copied as it is, which is faster, and which is what NFKC does too.
            _ if is_own_form(letter) => {
                self.last = Origin::Apart;
                out.extend_from_slice(bytes);
            }
            // The full-width forms of ASCII, at a constant distance.
            '\u{ff01}'..='\u{ff5e}' => {
                self.put(bytes[2].wrapping_sub(0x80) + 0x20 + (bytes[1] & 3) * 0x40, Origin::Wide, out);
            }
            '\u{a0}' => self.put(b' ', Origin::Wide, out),
            // RFC 3490 §3.1 treats these as dots between labels.
            '\u{3002}' | '\u{ff61}' => self.put(b'.', Origin::Wide, out),
            // What word processors make of a hyphen and of an apostrophe, and what looks like them.
            '\u{2010}'..='\u{2013}' | '\u{2212}' => self.put(b'-', Origin::Other, out),
            '\u{2018}' | '\u{2019}' => self.put(b'\'', Origin::Other, out),
            _ if parts_words(letter) => {
                self.last = Origin::Apart;
                out.extend_from_slice(bytes);
            }
            _ if letter.is_control() || is_invisible(letter) => {
                self.seen = true;
                if self.way != Way::Joined {
                    out.push(b' ');
                    self.last = Origin::Apart;
                }
            }
            _ => {
                let mut buffer = [0; 4];
                for plain in std::iter::once(letter).nfkc() {
                    match *plain.encode_utf8(&mut buffer).as_bytes() {
                        [octet] => self.put(octet, Origin::Other, out),
                        ref octets => {
                            self.last = Origin::Apart;
                            out.extend_from_slice(octets);
                        }
                    }
                }
            }
        }
    }
}

/// Whether an octet joins the parts of a word.
fn joins(octet: u8) -> bool {
    matches!(octet, b'.' | b'_' | b'-' | b'+')
}

/// What a text ends in whose last octets are these, which were copied.
fn ending(copied: &[u8], before: Origin) -> Origin {
    let joined = copied.iter().rev().take_while(|octet| joins(**octet)).count();
    match copied[..copied.len() - joined].last() {
        Some(octet) if octet.is_ascii_alphanumeric() => Origin::Ascii,
        None if before != Origin::Apart => Origin::Ascii,
        _ => Origin::Apart,
    }
}

/// Octets that are looked at together.
const MANY: usize = 32;

/// How many octets, from the first on, are simply copied.
fn unchanged(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        // Most text has no control characters but line ends.
        let is_odd = |&byte: &u8| {
            u8::from(byte >= 0x7f)
                | (u8::from(byte < 0x20) & u8::from(byte != b'\n') & u8::from(byte != b'\r'))
        };
        while let Some(many) = bytes.get(at..at + MANY)
            && many.iter().fold(0, |any, byte| any | is_odd(byte)) == 0
        {
            at += MANY;
        }
        let rest = &bytes[at..];
        let plain = rest.iter().take(MANY).take_while(|&&byte| !CHANGES[usize::from(byte)]).count();
        let wide = wide_unchanged(&rest[plain..]);
        at += plain + wide;
        if at == bytes.len() || (wide == 0 && plain < MANY) {
            return at;
        }
    }
}

/// How many octets at the beginning are kana, ideographs or Hangul, which take three each.
fn wide_unchanged(bytes: &[u8]) -> usize {
    let (threes, _) = bytes.as_chunks::<3>();
    let is_own = |&&[lead, second, third]: &&[u8; 3]| {
        let is_letter = u32::from_be_bytes([lead, second, third, 0]) & 0xf0c0_c000 == 0xe080_8000;
        let block = OWN[usize::from(lead & 0xf)] >> (second & 0x3f) & 1 == 1;
        // Commas and brackets, but not the full stop, which may be a dot.
        let mark = lead == 0xe3 && second == 0x80 && matches!(third, 0x81 | 0x83..=0xa9);
        is_letter && (block || mark)
    };
    3 * threes.iter().take_while(is_own).count()
}

/// A bit for each second octet of a letter whose block is kana, ideographs or Hangul throughout, by its first octet: text
/// changes between them so often that a branch for each is slow.
const OWN: [u64; 16] = {
    let mut table = [0; 16];
    let mut at = 0;
    while at < 16 * 64 {
        let (lead, second) = (0xe0 + at / 64, 0x80 + at % 64);
        let block = match lead {
            0xe3 => matches!(second, 0x81..=0x83 | 0x90..=0xbf),
            0xe4..=0xe9 | 0xeb | 0xec => true,
            // Up to U+D77F, for what follows is not assigned throughout.
            0xea => second >= 0xb0,
            0xed => second <= 0x9d,
            _ => false,
        };
        table[at / 64] |= (block as u64) << (at % 64);
        at += 1;
    }
    table
};

/// Whether a character is copied as it is: visible, and of no other compatibility form.
fn is_own_form(letter: char) -> bool {
    matches!(
        letter,
        '\u{3040}'..='\u{30ff}'
            | '\u{3400}'..='\u{9fff}'
            | '\u{ac00}'..='\u{d7a3}'
            | '\u{c0}'..='\u{131}'
            | '\u{400}'..='\u{45f}'
            | '\u{2014}'..='\u{2016}'
            | '\u{201a}'..='\u{2022}'
            | '\u{3001}'
            | '\u{3003}'..='\u{3029}'
    )
}

/// Bytes that are not simply copied: those beyond ASCII, and control characters except those that
/// [`parts_words`] accepts.
const CHANGES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = byte >= 0x7f || (byte < 0x20 && !matches!(byte, 0 | 9..=15 | 0x1b));
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::super::lazy::tests::in_chunks;
    use super::*;

    /// Every character that [`is_east_asian`] accepts is copied unchanged by [`Fold::letter`], too.
    #[test]
    fn east_asian_letters_stay() {
        for letter in ('\u{800}'..=char::MAX).filter(|letter| letter.len_utf8() == 3) {
            let mut octets = [0; 3];
            letter.encode_utf8(&mut octets);
            if wide_unchanged(&octets) == 3 {
                let mut out = Vec::new();
                Fold::default().letter(letter, &octets, &mut out);
                assert_eq!(out, octets, "{letter}");
            }
        }
        for octets in [
            [0xed, 0xa0, 0x80],
            [0xe3, 0x81, 0x41],
            [0xe3, 0xc1, 0x81],
            [0xe0, 0x81, 0x81],
            [0xff, 0x81, 0x81],
        ] {
            assert_eq!(wide_unchanged(&octets), 0, "{octets:02x?} is no letter");
        }
    }

    #[test]
    fn folding() {
        for (text, joined, blanks, parted) in [
            ("ａ＠ｘ．ｊｐ", "a@x.jp", "a@x.jp", "a@x.jp"),
            ("a\u{200b}@\u{ad}x。jp", "a@x.jp", "a @ x.jp", "a @ x .jp"),
            ("𝐚﹫x.jp", "a@x.jp", "a@x.jp", "a@x.jp"),
            ("宛先: 山田", "宛先: 山田", "宛先: 山田", "宛先: 山田"),
            (
                "to\u{1}a\u{7f}@x.jp\u{85}\r\n",
                "toa@x.jp\u{85}\r\n",
                "to a @x.jp\u{85}\r\n",
                "to a @x.jp\u{85}\r\n",
            ),
            ("①a@x.jp②b@x.jp", "1a@x.jp2b@x.jp", "1a@x.jp2b@x.jp", "1 a@x.jp 2 b@x.jp"),
            ("１．a@x.jp ℡a@x.jp", "1.a@x.jp TELa@x.jp", "1.a@x.jp TELa@x.jp", "1. a@x.jp TEL a@x.jp"),
            ("①ａ@x.jp。Ｂ", "1a@x.jp.B", "1a@x.jp.B", "1 a@x.jp .B"),
            ("です。a@x.jp", "です.a@x.jp", "です.a@x.jp", "です.a@x.jp"),
            ("o’b@x.jp don’t", "o'b@x.jp don't", "o'b@x.jp don't", "o'b@x.jp don't"),
            ("a\u{2011}b@x.jp\u{2010}c", "a-b@x.jp-c", "a-b@x.jp-c", "a -b@x.jp -c"),
        ] {
            for (way, expected) in [(Way::Joined, joined), (Way::Blanks, blanks), (Way::Parted, parted)] {
                let found = in_chunks(text, |text, size| {
                    let mut fold = Fold::new(way);
                    let mut out = Vec::new();
                    text.as_bytes().chunks(size).for_each(|chunk| fold.feed(chunk, &mut out));
                    fold.finish(&mut out);
                    assert_eq!(fold.take_turned(), blanks.trim() != parted.trim(), "{text}");
                    out
                });
                assert_eq!(found, expected);
            }
        }
    }

    /// What is copied without a look, and what is at a constant distance, is what the tables of Unicode say.
    #[test]
    fn short_ways() {
        for letter in (0x80..=0x0010_ffff).filter_map(char::from_u32) {
            let text = letter.to_string();
            let is_wide = wide_unchanged(text.as_bytes()) > 0;
            assert!(!is_wide || is_own_form(letter), "{letter:?}");
            // Marks of kana were always copied: no address has one.
            if is_own_form(letter) && !('\u{3099}'..='\u{30ff}').contains(&letter) && letter < '\u{3130}' {
                assert!(text.nfkc().eq(std::iter::once(letter)), "{letter:?}");
                assert!(!letter.is_control() && !is_invisible(letter), "{letter:?}");
            }
            if ('\u{ff01}'..='\u{ff5e}').contains(&letter) {
                let (mut fold, mut out) = (Fold::default(), Vec::new());
                fold.feed(text.as_bytes(), &mut out);
                assert_eq!(String::from_utf8(out).unwrap(), text.nfkc().collect::<String>());
            }
        }
    }

    #[test]
    fn what_is_invisible_when_parsing_is_when_searching() {
        for letter in (0..=0x0010_ffff).filter_map(char::from_u32) {
            if crate::message::Address::parse(&format!("ta{letter}ro@x.jp")).is_ok() || letter.is_whitespace()
            {
                continue;
            }
            let through = |mut fold: Fold| {
                let mut out = Vec::new();
                fold.feed(format!("ta{letter}ro").as_bytes(), &mut out);
                out
            };
            if is_invisible(letter) {
                assert_eq!(through(Fold::default()), b"taro", "{letter:?}");
                assert_eq!(through(Fold::new(Way::Blanks)), b"ta ro", "{letter:?}");
            }
        }
    }
}
