//! How one bare address is spelled: what is allowed in it, and the form it is compared in.

use crate::message::invisible;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// Longest address in octets: a local part of 64, `@` and a domain of 255 (RFC 5321 §4.5.3.1); local
/// parts longer than 64 do occur (VERP, SRS), so only the sum is held to.
const MAX_OCTETS: usize = 320;
/// Longest domain in octets (RFC 5321 §4.5.3.1.2).
const MAX_DOMAIN: usize = 255;

/// Reads `local@domain`: where its `@` stands, and its comparison form.
pub(super) fn read(text: &str) -> Result<(usize, String), &'static str> {
    if text.len() > MAX_OCTETS {
        return Err("it is longer than any address");
    }
    if text.chars().any(is_invisible) {
        return Err("it has a control character or an invisible one");
    }
    if text.chars().any(|c| c != ' ' && c.is_whitespace()) {
        return Err("it has a space in it");
    }
    if text.chars().any(is_wide_separator) {
        return Err("it has a full-width or ideographic punctuation mark");
    }
    let (at, local) = local_part(text)?;
    let domain = domain_key(&text[at + 1..])?;
    let mut key = fold(&local);
    key.push('@');
    key.push_str(&domain);
    Ok((at, key))
}

/// The same for an address that some earlier grammar allowed and this one does not: all it takes is an
/// `@` with something on both sides, and nothing that could end a line of a protocol.
pub(super) fn stored(text: &str) -> Option<(usize, String)> {
    let at = text.rfind('@').filter(|at| *at > 0 && *at + 1 < text.len())?;
    if text.chars().any(char::is_control) {
        return None;
    }
    Some((at, format!("{}@{}", fold(&text[..at]), fold(&text[at + 1..]))))
}

/// Reads the local part: dot-separated words, each bare or quoted. Empty words are let through, for
/// Japanese carriers issued `a..b.@…`. Gives the position of the `@`, and the text without quotes.
fn local_part(text: &str) -> Result<(usize, String), &'static str> {
    let mut bare = String::with_capacity(text.len());
    let mut chars = text.char_indices();
    let mut word_begins = true;
    while let Some((at, c)) = chars.next() {
        match c {
            '@' if at == 0 => return Err("there is nothing before the `@`"),
            '@' => return Ok((at, bare)),
            '"' if word_begins => {
                loop {
                    match chars.next() {
                        Some((_, '"')) => break,
                        Some((_, '\\')) => bare.push(chars.next().ok_or("its quote is never closed")?.1),
                        Some((_, other)) => bare.push(other),
                        None => return Err("its quote is never closed"),
                    }
                }
                if !matches!(text[chars.offset()..].chars().next(), Some('.' | '@')) {
                    return Err("something stands beside a quote");
                }
                word_begins = false;
            }
            ' ' => return Err("it has a space in it"),
            '(' | ')' | '<' | '>' | '[' | ']' | ':' | ';' | ',' | '\\' | '"' => {
                return Err("it has a character that must be quoted");
            }
            other => {
                bare.push(other);
                word_begins = other == '.';
            }
        }
    }
    Err("it has no `@`")
}

/// Marks that a person may have typed, with a Japanese keyboard, to part two addresses or to frame one.
fn is_wide_separator(c: char) -> bool {
    matches!(c, '、' | '，' | '；' | '：' | '＠' | '＜' | '＞' | '〈' | '〉' | '（' | '）' | '＂')
}

/// The comparison form of a domain: lower-case A-labels without the root's dot, or an address literal.
fn domain_key(domain: &str) -> Result<String, &'static str> {
    if let Some(literal) = domain.strip_prefix('[') {
        return literal_key(literal);
    }
    let ascii = if domain.is_ascii() { domain.to_ascii_lowercase() } else { a_labels(domain)? };
    let name = ascii.strip_suffix('.').unwrap_or(&ascii);
    if name.is_empty() {
        return Err("there is nothing after the `@`");
    }
    if name.len() > MAX_DOMAIN {
        return Err("its domain is longer than any domain");
    }
    if name.split('.').any(str::is_empty) {
        return Err("its domain has an empty label");
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
        return Err("its domain has a character that no domain has");
    }
    // Two spellings of one internationalised name must share a key: decode what claims to be encoded.
    if name.contains("xn--") {
        return Ok(idna::domain_to_ascii(name).unwrap_or_else(|_| name.to_owned()));
    }
    Ok(name.to_owned())
}

fn a_labels(domain: &str) -> Result<String, &'static str> {
    idna::domain_to_ascii(domain).map_err(|_| "its domain is no valid internationalised name")
}

/// An address literal (RFC 5321 §4.1.3) after its `[`.
fn literal_key(literal: &str) -> Result<String, &'static str> {
    let content = literal.strip_suffix(']').ok_or("its address literal is never closed")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'-');
    if content.is_empty() || !content.bytes().all(plain) {
        return Err("its address literal is malformed");
    }
    Ok(format!("[{}]", content.to_ascii_lowercase()))
}

/// NFC and case-folded, character by character, so that folding twice changes nothing.
pub(super) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let lower = |c: char| if c == 'ς' { 'σ' } else { c };
    let folded: String = text.nfc().flat_map(char::to_lowercase).map(lower).collect();
    if is_nfc_quick(folded.chars()) == IsNormalized::Yes { folded } else { folded.nfc().collect() }
}

/// Characters that show nothing, turn the reading direction, or cannot be printed: they make two
/// addresses look alike, or one look like another.
pub(in crate::message) fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffd}')
        || invisible::is_invisible(c)
}
