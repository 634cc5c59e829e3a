//! Encoded text in header fields: encoded-words (RFC 2047), parameters (RFC 2045 §5.1, with the continuations
//! and charsets of RFC 2231), and unencoded 8-bit text as older clients write it.
//!
//! All functions accept any input, return some text, and take linear time.

use super::charset::{Charset, LONGEST_NAME};
use encoding_rs::{EUC_JP, SHIFT_JIS};

/// Maximum number of parameters read from one field; continuation segments are counted one by one.
const MAX_PARAMETERS: usize = 2_000;

/// Unfolds and decodes. Every encoded-word becomes text, and white space between two of them is dropped (RFC
/// 2047 §6.2). Adjacent words of one charset are joined before decoding, because clients do split multi-byte
/// characters between two words. Unencoded 8-bit text is read by [`decode_raw`]. What is not an encoded-word,
/// or has an unknown charset, is left as it was written.
pub fn decode_words(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = Run::default();
    let (mut plain, mut at) = (0, 0);
    while let Some(start) = memchr::memmem::find(&text[at..], b"=?").map(|offset| at + offset) {
        let Some(word) = Word::read(text, start) else {
            at = start + 2;
            continue;
        };
        let between = &text[plain..start];
        if !(run.is_open() && between.iter().all(|byte| is_blank(*byte))) {
            run.flush(&mut out);
            push_plain(&mut out, between);
        }
        at = word.end;
        plain = word.end;
        run.add(&word, &mut out);
    }
    let rest = &text[plain..];
    run.flush(&mut out);
    push_plain(&mut out, rest);
    out
}

/// Decodes unlabelled bytes: UTF-8 if valid, else ISO-2022-JP if there are escapes, else whichever of EUC-JP
/// and `Shift_JIS` decodes them without errors; else UTF-8 with U+FFFD for invalid bytes.
pub fn decode_raw(bytes: &[u8]) -> String {
    if bytes.contains(&0x1b) && bytes.is_ascii() {
        return Charset::ISO_2022_JP.decode(bytes);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    let euc = EUC_JP.decode_without_bom_handling_and_without_replacement(bytes);
    let sjis = SHIFT_JIS.decode_without_bom_handling_and_without_replacement(bytes);
    match (euc, sjis) {
        // If both decode it, the one that gives half-width katakana is nearly always wrong.
        (Some(euc), Some(sjis)) => {
            if half_width(&sjis) >= half_width(&euc) { euc } else { sjis }.into_owned()
        }
        (Some(text), None) | (None, Some(text)) => text.into_owned(),
        (None, None) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn half_width(text: &str) -> usize {
    text.chars().filter(|c| ('\u{ff61}'..='\u{ff9f}').contains(c)).count()
}

/// The length of the ISO-2022-JP shift sequence at the start of `bytes`; 0 if there is none.
pub(super) fn shift_length(bytes: &[u8]) -> usize {
    match bytes {
        [0x1b, b'(', b'B' | b'J' | b'I', ..] | [0x1b, b'$', b'B' | b'@', ..] => 3,
        [0x1b, b'$', b'(', b'D', ..] => 4,
        _ => 0,
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Text between encoded-words, unfolded.
fn push_plain(out: &mut String, bytes: &[u8]) {
    if bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        let unfolded: Vec<u8> = bytes.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
        out.push_str(&decode_raw(&unfolded));
    } else {
        out.push_str(&decode_raw(bytes));
    }
}

/// One encoded-word: `=?charset?B?text?=`.
pub(super) struct Word<'a> {
    charset: Charset,
    base64: bool,
    text: &'a [u8],
    /// Where the word ends, past its `?=`.
    pub(super) end: usize,
}

impl<'a> Word<'a> {
    /// Parses the word that begins at `start`. Each question mark is visited at most four times, so scanning
    /// a whole field is linear.
    pub(super) fn read(bytes: &'a [u8], start: usize) -> Option<Self> {
        let rest = bytes.get(start..)?.strip_prefix(b"=?")?;
        let head = &rest[..rest.len().min(LONGEST_NAME + 1)];
        let name_end = memchr::memchr(b'?', head)?;
        let charset = Charset::named(&rest[..name_end])?;
        let base64 = match rest.get(name_end + 1)? {
            b'B' | b'b' => true,
            b'Q' | b'q' => false,
            _ => return None,
        };
        let text = rest.get(name_end + 2..)?.strip_prefix(b"?")?;
        let text_end = memchr::memchr(b'?', text)?;
        if text.get(text_end + 1) != Some(&b'=') {
            return None;
        }
        let end = start + 2 + name_end + 3 + text_end + 2;
        Some(Self { charset, base64, text: &text[..text_end], end })
    }

    /// The encoded text.
    pub(super) fn text(&self) -> &'a [u8] {
        self.text
    }

    fn decoded(&self) -> Vec<u8> {
        if self.base64 { decode_base64(self.text) } else { decode_q(self.text) }
    }
}

/// Adjacent encoded-words of one charset.
#[derive(Default)]
struct Run {
    open: Option<(Charset, Vec<Vec<u8>>)>,
}

impl Run {
    fn is_open(&self) -> bool {
        self.open.is_some()
    }

    fn add(&mut self, word: &Word<'_>, out: &mut String) {
        if self.open.as_ref().is_some_and(|(charset, _)| *charset != word.charset) {
            self.flush(out);
        }
        let decoded = word.decoded();
        self.open.get_or_insert_with(|| (word.charset, Vec::new())).1.push(decoded);
    }

    fn flush(&mut self, out: &mut String) {
        let Some((charset, words)) = self.open.take() else { return };
        let joined = charset.decode(&words.concat());
        // A word that ends inside a shift state would spoil what follows when joined.
        if words.len() > 1 && joined.contains('\u{fffd}') {
            let apart: String = words.iter().map(|word| charset.decode(word)).collect();
            if apart.matches('\u{fffd}').count() < joined.matches('\u{fffd}').count() {
                out.push_str(&apart);
                return;
            }
        }
        out.push_str(&joined);
    }
}

/// The Q encoding (RFC 2047 §4.2). A malformed escape is left as written.
fn decode_q(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'_' => out.push(b' '),
            b'=' => {
                if let Some(byte) = hex_pair(&text[at + 1..]) {
                    out.push(byte);
                    at += 2;
                } else {
                    out.push(b'=');
                }
            }
            b'\r' | b'\n' => {}
            byte => out.push(byte),
        }
        at += 1;
    }
    out
}

fn hex_pair(bytes: &[u8]) -> Option<u8> {
    let digit = |byte: &u8| (*byte as char).to_digit(16).and_then(|value| u8::try_from(value).ok());
    Some(digit(bytes.first()?)? << 4 | digit(bytes.get(1)?)?)
}

/// Base64 as clients write it: padding may be missing or in the middle, and other bytes are skipped.
fn decode_base64(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0u32);
    for byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' => 63,
            b'=' => {
                (bits, count) = (0, 0);
                continue;
            }
            _ => continue,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from((bits >> count) & 0xff).unwrap_or(0));
        }
    }
    out
}

/// Parses a field body such as that of Content-Type or Content-Disposition: the value before the first `;` in
/// lower case, and every parameter with its name in lower case and its value decoded.
///
/// RFC 2231 continuations are joined in the order of their numbers and decoded in their charset.
/// Encoded-words in a value are decoded too: RFC 2047 §5 forbids them, but clients write them. Comments are
/// skipped. A parameter that is given twice is listed twice.
pub fn decode_parameters(body: &[u8]) -> (String, Vec<(String, String)>) {
    let mut reader = Reader { body, at: 0 };
    let value = reader.until_semicolon();
    let value = String::from_utf8_lossy(&value).trim().to_ascii_lowercase();
    let mut segments: Vec<Segment> = Vec::new();
    while segments.len() < MAX_PARAMETERS && reader.at < body.len() {
        if let Some((name, value)) = reader.parameter() {
            segments.push(Segment::new(&name, value));
        }
    }
    (value, join_segments(segments))
}

/// One parameter as written: `name*3*=value`.
struct Segment {
    name: String,
    /// Its number, if it is a continuation.
    number: Option<u32>,
    /// Its name ends in `*`: the value is percent-encoded.
    extended: bool,
    value: Vec<u8>,
}

impl Segment {
    fn new(written: &[u8], value: Vec<u8>) -> Self {
        let lower = String::from_utf8_lossy(written).to_ascii_lowercase();
        let (stem, extended) = lower.strip_suffix('*').map_or((lower.as_str(), false), |stem| (stem, true));
        let numbered = stem.rsplit_once('*').and_then(|(name, number)| Some((name, number.parse().ok()?)));
        let (name, number) = numbered.map_or((stem, None), |(name, number)| (name, Some(number)));
        Self { name: name.to_owned(), number, extended, value }
    }
}

fn join_segments(mut segments: Vec<Segment>) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let (mut numbered, plain): (Vec<_>, Vec<_>) =
        segments.drain(..).partition(|segment| segment.number.is_some());
    for segment in plain {
        let value =
            if segment.extended { decode_extended(&[&segment]) } else { decode_words(&segment.value) };
        out.push((segment.name, value));
    }
    numbered.sort_by(|a, b| (&a.name, a.number).cmp(&(&b.name, b.number)));
    for group in numbered.chunk_by(|a, b| a.name == b.name) {
        let all: Vec<&Segment> = group.iter().collect();
        let value = if group.iter().any(|segment| segment.extended) {
            decode_extended(&all)
        } else {
            decode_words(&group.iter().flat_map(|segment| segment.value.iter().copied()).collect::<Vec<u8>>())
        };
        out.push((group[0].name.clone(), value));
    }
    out
}

/// `charset'language'text` (RFC 2231 §4). The charset is in the first segment; segments whose name ends in
/// `*` are percent-encoded.
fn decode_extended(segments: &[&Segment]) -> String {
    let mut charset = None;
    // An escape may be split between two segments, so adjacent segments are joined before they are decoded.
    let (mut bytes, mut coded) = (Vec::new(), Vec::new());
    for (index, segment) in segments.iter().enumerate() {
        let mut value = segment.value.as_slice();
        if index == 0 && segment.extended {
            let mut parts = value.splitn(3, |byte| *byte == b'\'');
            if let (Some(name), Some(_), Some(text)) = (parts.next(), parts.next(), parts.next()) {
                charset = Charset::named(name);
                value = text;
            }
        }
        if segment.extended {
            coded.extend_from_slice(value);
        } else {
            decode_percent(&coded, &mut bytes);
            coded.clear();
            bytes.extend_from_slice(value);
        }
    }
    decode_percent(&coded, &mut bytes);
    charset.map_or_else(|| decode_raw(&bytes), |charset| charset.decode(&bytes))
}

fn decode_percent(text: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while at < text.len() {
        if text[at] == b'%'
            && let Some(byte) = hex_pair(&text[at + 1..])
        {
            out.push(byte);
            at += 3;
        } else {
            out.push(text[at]);
            at += 1;
        }
    }
}

/// A reader of parameter lists.
struct Reader<'a> {
    body: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// Everything up to the next `;`, without comments and folding, unquoted.
    fn until_semicolon(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while self.at < self.body.len() {
            match self.body[self.at] {
                b';' => {
                    self.at += 1;
                    break;
                }
                b'"' => self.quoted(&mut out),
                b'(' if out.last().is_none_or(|byte| is_blank(*byte)) => self.comment(),
                b'\r' | b'\n' => self.at += 1,
                byte => {
                    out.push(byte);
                    self.at += 1;
                }
            }
        }
        out
    }

    /// The next `name=value`; `None` if there is no `=`.
    fn parameter(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        let text = self.until_semicolon();
        let equals = text.iter().position(|byte| *byte == b'=')?;
        let name = text[..equals].trim_ascii().to_vec();
        let value = text[equals + 1..].trim_ascii().to_vec();
        (!name.is_empty()).then_some((name, value))
    }

    /// The content of a quoted string; one without a closing quote ends with the field.
    fn quoted(&mut self, out: &mut Vec<u8>) {
        self.at += 1;
        while self.at < self.body.len() {
            let byte = self.body[self.at];
            self.at += 1;
            match byte {
                b'"' => return,
                b'\\' if self.at < self.body.len() => {
                    out.push(self.body[self.at]);
                    self.at += 1;
                }
                b'\r' | b'\n' => {}
                byte => out.push(byte),
            }
        }
    }

    fn comment(&mut self) {
        let mut depth = 0usize;
        while self.at < self.body.len() {
            match self.body[self.at] {
                b'(' => depth += 1,
                b')' => depth -= 1,
                b'\\' => self.at += 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
#[path = "encoded_word_tests.rs"]
mod tests;
