//! The spelling of one bare address: what is allowed in it, and the form in which it is compared.

use crate::message::invisible;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// Longest address in octets: a local part of 64, `@` and a domain of 255 (RFC 5321 §4.5.3.1). Local parts
/// longer than 64 occur (VERP, SRS), so only the total is limited.
const MAX_OCTETS: usize = 320;
/// Longest domain in octets (RFC 5321 §4.5.3.1.2).
const MAX_DOMAIN: usize = 255;

/// Parses `local@domain`; returns the position of the `@` and the comparison form.
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

/// The same for an address that an earlier version accepted and this one would not. It needs an `@` with
/// something on both sides, and no character that could end a protocol line.
pub(super) fn stored(text: &str) -> Option<(usize, String)> {
    let at = text.rfind('@').filter(|at| *at > 0 && *at + 1 < text.len())?;
    if text.chars().any(char::is_control) {
        return None;
    }
    Some((at, format!("{}@{}", fold(&text[..at]), fold(&text[at + 1..]))))
}

/// Parses the local part: words separated by dots, each bare or quoted. Empty words are accepted because
/// Japanese carriers issued `a..b.@…`. Returns the position of the `@` and the text without quotes.
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

/// Punctuation that people type with a Japanese keyboard to separate or to frame addresses.
fn is_wide_separator(c: char) -> bool {
    matches!(c, '、' | '，' | '；' | '：' | '＠' | '＜' | '＞' | '〈' | '〉' | '（' | '）' | '＂')
}

/// The comparison form of a domain: lower-case A-labels without the final dot, or an address literal.
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
    // Two spellings of one internationalised name must have the same key, so A-labels are normalised too.
    if name.contains("xn--") {
        return Ok(idna::domain_to_ascii(name).unwrap_or_else(|_| name.to_owned()));
    }
    Ok(name.to_owned())
}

fn a_labels(domain: &str) -> Result<String, &'static str> {
    idna::domain_to_ascii(domain).map_err(|_| "its domain is not a valid internationalised name")
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

/// NFC and case-folded, character by character, so that folding is idempotent.
pub(super) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let lower = |c: char| if c == 'ς' { 'σ' } else { c };
    let folded: String = text.nfc().flat_map(char::to_lowercase).map(lower).collect();
    if is_nfc_quick(folded.chars()) == IsNormalized::Yes { folded } else { folded.nfc().collect() }
}

/// Characters that are invisible, change the text direction, or cannot be printed: they make two addresses
/// look alike.
pub(in crate::message) fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffd}')
        || invisible::is_invisible(c)
}
