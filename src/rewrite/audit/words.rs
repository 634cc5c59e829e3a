//! Encoded-words as a lenient reader may see them: glued to other text, without an end, over-long,
//! split within a character (RFC 2047 forbids all of it, and mail has all of it).

use crate::message::walk::transfer::{Base64, hex};
use encoding_rs::{EUC_JP, Encoding, ISO_2022_JP, SHIFT_JIS};
use memchr::memmem;

/// The body with every encoded-word decoded wherever it stands; blanks between two are left out, and
/// the octets of neighbours in one charset are put together before they are decoded.
pub(super) fn decode(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut gathered: Option<(&'static Encoding, Vec<u8>)> = None;
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

fn flush(gathered: &mut Option<(&'static Encoding, Vec<u8>)>, out: &mut Vec<u8>) {
    if let Some((charset, bytes)) = gathered.take() {
        out.extend_from_slice(charset.decode_without_bom_handling(&bytes).0.as_bytes());
    }
}

/// One word from its `=?` on: charset, octets, and how long it was.
fn read(word: &[u8]) -> Option<(&'static Encoding, Vec<u8>, usize)> {
    let mark = memchr::memchr(b'?', &word[2..]).filter(|&at| at < 80)? + 2;
    let label = word[2..mark].split(|&byte| byte == b'*').next().unwrap_or_default();
    let charset = Encoding::for_label(label).unwrap_or(encoding_rs::UTF_8);
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
                out.push(hex(high) << 4 | hex(low));
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

/// Raw 8-bit or shifted text in the charsets Japanese mail uses without saying so.
pub(super) fn guesses(body: &[u8]) -> Vec<String> {
    [ISO_2022_JP, SHIFT_JIS, EUC_JP]
        .into_iter()
        .map(|charset| charset.decode_without_bom_handling(body).0.into_owned())
        .collect()
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
        ] {
            assert_eq!(String::from_utf8_lossy(&decode(body.as_bytes())), plain, "{body}");
        }
    }
}
