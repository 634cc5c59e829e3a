//! Replaces compatibility forms of characters with the plain ones, and removes invisible characters.

use crate::message::invisible::{is_invisible, parts_words};
use unicode_normalization::UnicodeNormalization;

/// Replaces compatibility forms of characters, such as fullwidth `ａ＠ｘ．ｊｐ`, with the plain ones. It either
/// removes invisible characters or replaces each with a blank, because the text on the two sides of one may
/// be one word or two.
#[derive(Debug, Default)]
pub(super) struct Fold {
    carry: Vec<u8>,
    blanks: bool,
    /// Whether an invisible character was seen since this was last asked.
    seen: bool,
}

impl Fold {
    /// A fold that replaces each invisible character with a blank.
    pub(super) fn with_blanks() -> Self {
        Self { blanks: true, ..Self::default() }
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
        out.append(&mut self.carry);
    }

    /// Whether an invisible character was seen since the last call.
    pub(super) fn take_seen(&mut self) -> bool {
        std::mem::take(&mut self.seen)
    }

    /// Folds everything except an incomplete character at the end. Returns where that character begins, or
    /// the length of `bytes` if there is none.
    fn fold(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> usize {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            let plain = rest.iter().position(|&byte| CHANGES[usize::from(byte)]).unwrap_or(rest.len());
            out.extend_from_slice(&rest[..plain]);
            at += plain;
            let east = bytes[at..].chunks_exact(3).take_while(|octets| is_east_asian(octets)).count() * 3;
            out.extend_from_slice(&bytes[at..at + east]);
            at += east;
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
                out.push(lead);
                at += 1;
            }
        }
    }

    fn letter(&mut self, letter: char, bytes: &[u8], out: &mut Vec<u8>) {
        match letter {
            // Kana, ideographs and Hangul are copied as they are, which is faster: most Japanese text
            // consists of them, and NFKC changes almost none of them.
            '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' => {
                out.extend_from_slice(bytes);
            }
            // RFC 3490 §3.1 treats these as dots between labels.
            '\u{3002}' | '\u{ff61}' => out.push(b'.'),
            _ if parts_words(letter) => out.extend_from_slice(bytes),
            _ if letter.is_control() || is_invisible(letter) => {
                self.seen = true;
                if self.blanks {
                    out.push(b' ');
                }
            }
            _ => {
                let mut buffer = [0; 4];
                for plain in std::iter::once(letter).nfkc() {
                    out.extend_from_slice(plain.encode_utf8(&mut buffer).as_bytes());
                }
            }
        }
    }
}

/// Whether these three octets are the UTF-8 form of a character that [`Fold::letter`] copies unchanged. The
/// ranges are the same as there. This check allows many such characters to be copied at once, which matters
/// because most Japanese text consists of them.
fn is_east_asian(octets: &[u8]) -> bool {
    let &[0xe3..=0xed, second @ 0x80..=0xbf, third @ 0x80..=0xbf] = octets else { return false };
    let bits = |octet: u8, mask: u8| u32::from(octet & mask);
    let letter = bits(octets[0], 0x0f) << 12 | bits(second, 0x3f) << 6 | bits(third, 0x3f);
    matches!(letter, 0x3040..=0x30ff | 0x3400..=0x9fff | 0xac00..=0xd7a3)
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
            if is_east_asian(&octets) {
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
            assert!(!is_east_asian(&octets), "{octets:02x?} is no letter");
        }
    }

    #[test]
    fn folding() {
        for (text, plain, parted) in [
            ("ａ＠ｘ．ｊｐ", "a@x.jp", "a@x.jp"),
            ("a\u{200b}@\u{ad}x。jp", "a@x.jp", "a @ x.jp"),
            ("𝐚﹫x.jp", "a@x.jp", "a@x.jp"),
            ("宛先: 山田", "宛先: 山田", "宛先: 山田"),
            ("to\u{1}a\u{7f}@x.jp\u{85}\r\n", "toa@x.jp\u{85}\r\n", "to a @x.jp\u{85}\r\n"),
        ] {
            for (blanks, expected) in [(false, plain), (true, parted)] {
                let found = in_chunks(text, |text, size| {
                    let mut fold = Fold { blanks, ..Fold::default() };
                    let mut out = Vec::new();
                    text.as_bytes().chunks(size).for_each(|chunk| fold.feed(chunk, &mut out));
                    fold.finish(&mut out);
                    out
                });
                assert_eq!(found, expected);
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
                assert_eq!(through(Fold::with_blanks()), b"ta ro", "{letter:?}");
            }
        }
    }
}
