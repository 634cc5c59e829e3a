//! Decodes encoded-words as leniently as a mail program may: next to other text, unterminated, too long, or split
//! within a character. RFC 2047 forbids all of this, and all of it occurs in mail.

use crate::message::charset::{self, Charset};
use crate::message::walk::hex_digit;
use crate::message::walk::transfer::Base64;
use memchr::memmem;

/// The body of a field with all encoded-words decoded. White space between two words is left out, and the octets of
/// adjacent words in one charset are joined before they are decoded. Octets in an unknown charset are decoded in
/// each way that is possible.
pub(super) fn decode(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut gathered: Option<(Option<Charset>, Vec<u8>)> = None;
    let mut rest = body;
    while let Some(at) = memmem::find(rest, b"=?") {
        let (text, word) = rest.split_at(at);
        let Some((charset, octets, used)) = read(word) else {
            flush(&mut gathered, &mut out);
            out.extend_from_slice(&rest[..at + 2]);
            rest = &rest[at + 2..];
            continue;
        };
        if !text.iter().all(u8::is_ascii_whitespace) {
            flush(&mut gathered, &mut out);
            out.extend_from_slice(text);
        }
        match &mut gathered {
            Some((known, bytes)) if *known == charset => bytes.extend_from_slice(&octets),
            _ => {
                flush(&mut gathered, &mut out);
                gathered = Some((charset, octets));
            }
        }
        rest = &word[used..];
    }
    flush(&mut gathered, &mut out);
    out.extend_from_slice(rest);
    out
}

fn flush(gathered: &mut Option<(Option<Charset>, Vec<u8>)>, out: &mut Vec<u8>) {
    if let Some((charset, bytes)) = gathered.take() {
        // If a word claims ASCII or UTF-8 and is not valid UTF-8, its charset is unknown, too.
        let known = charset.filter(|known| !known.is_utf8_or_ascii() || std::str::from_utf8(&bytes).is_ok());
        let readings = match known {
            Some(known) => vec![known.decode(&bytes)],
            None => charset::readings(&bytes),
        };
        out.extend_from_slice(readings.join(" ").as_bytes());
        let other = charset.and_then(Charset::other_order).map(|other| other.decode(&bytes));
        out.extend(other.iter().flat_map(|other| [b" ", other.as_bytes()].concat()));
    }
}

/// Reads the word at the start of this text, which begins with `=?`: its charset, its octets, and its length.
fn read(word: &[u8]) -> Option<(Option<Charset>, Vec<u8>, usize)> {
    let mark = memchr::memchr(b'?', &word[2..]).filter(|&at| at < 80)? + 2;
    let charset = Charset::named(&word[2..mark]);
    let [kind, b'?', text @ ..] = &word[mark + 1..] else { return None };
    let end = memmem::find(text, b"?=");
    let content = &text[..end.unwrap_or(text.len())];
    let mut octets = Vec::with_capacity(content.len());
    match kind {
        b'B' | b'b' => {
            let mut decoder = Base64::default();
            decoder.feed(content, &mut octets);
            decoder.finish(&mut octets);
        }
        b'Q' | b'q' => quoted(content, &mut octets),
        _ => return None,
    }
    Some((charset, octets, mark + 3 + end.map_or(text.len(), |at| at + 2)))
}

fn quoted(content: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while at < content.len() {
        match content[at..] {
            [b'=', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(hex_digit(high) << 4 | hex_digit(low));
                at += 3;
                continue;
            }
            [b'=', b'\r', b'\n', ..] => {
                at += 3;
                continue;
            }
            [b'_', ..] => out.push(b' '),
            [byte, ..] => out.push(byte),
            [] => {}
        }
        at += 1;
    }
}

/// Decodes raw 8-bit text, or text with shift sequences, in the charsets that Japanese mail uses undeclared.
pub(super) fn guesses(body: &[u8]) -> Vec<String> {
    // Valid UTF-8 is in no other 8-bit charset. It can still contain shift sequences.
    let eight_bit = std::str::from_utf8(body).is_err();
    let shifted = body.contains(&0x1b);
    let wanted = |charset: &&Charset| if charset.is_shifted() { shifted } else { eight_bit };
    Charset::GUESSES.iter().filter(wanted).map(|charset| charset.decode(body)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_every_shape() {
        for (body, plain) in [
            ("=?utf-8?B?YUB4Lmpw?=", "a@x.jp"),
            ("to=?utf-8?q?_a=40x.jp?=end", "to a@x.jpend"),
            ("=?utf-8?B?YUB4?= \r\n =?utf-8?B?Lmpw?=", "a@x.jp"),
            ("=?utf-8?B?YUB4Lmpw", "a@x.jp"),
            ("=?utf-8*ja?Q?a=40x.jp?=", "a@x.jp"),
            ("=?nonsense?Q?a=40x.jp?=", "a@x.jp"),
            ("=?utf-8?B?44E=?==?utf-8?B?gg==?=", "あ"),
            ("=? no word", "=? no word"),
            ("=?cp932?B?goGBl4KYgUSCioKQ?=", "ａ＠ｘ．ｊｐ"),
            ("=?utf-7?Q?a+AEA-x.jp?=", "a@x.jp"),
            ("=?ibm037?B?gXynS5GX?=", "a@x.jp"),
            ("=?iso-2022-jp?B?YRsoQkAbJEIbKEJ4Lmpw?=", "a@x.jp"),
        ] {
            assert_eq!(String::from_utf8_lossy(&decode(body.as_bytes())), plain, "{body}");
        }
    }
}
