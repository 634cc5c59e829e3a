//! Display names: how they are decoded, and whether a copy may show one.

use super::super::encoded_word::decode_words;
use super::Address;
use super::lex::{Kind, Token};
use super::spell::{fold, is_invisible};
use unicode_normalization::UnicodeNormalization;

/// Longest display name that is decoded, in octets. A longer one is truncated and counts as unsafe.
const MAX_NAME: usize = 4_096;

/// A display name in an address field.
pub(super) struct Name {
    /// Decoded.
    pub(super) text: String,
    /// On one line, as written, without comments and folding.
    pub(super) raw: Vec<u8>,
    /// Whether the text can be trusted: nothing undecodable, no control characters, not truncated.
    pub(super) clean: bool,
}

impl Name {
    /// Joins the words before an address; `None` if there are none.
    pub(super) fn read(body: &[u8], words: &[Token]) -> Option<Self> {
        if words.is_empty() {
            return None;
        }
        let (mut raw, mut shown) = (Vec::new(), Vec::new());
        let mut must_quote = false;
        for (index, word) in words.iter().enumerate() {
            if index > 0 && word.spaced {
                raw.push(b' ');
                shown.push(b' ');
            }
            let bytes = &body[word.span.clone()];
            match word.kind {
                Kind::Quoted => {
                    raw.extend(bytes.iter().filter(|byte| !matches!(byte, b'\r' | b'\n')));
                    unquote(&bytes[1..bytes.len() - 1], &mut shown);
                }
                kind => {
                    must_quote |= kind != Kind::Atom;
                    raw.extend_from_slice(bytes);
                    shown.extend_from_slice(bytes);
                }
            }
        }
        let cut = shown.len() > MAX_NAME;
        shown.truncate(MAX_NAME);
        let decoded = decode_words(&shown);
        let text = decoded.trim();
        let doubtful = cut
            || std::str::from_utf8(&raw).is_err()
            || raw.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t')
            || text.chars().any(|c| c.is_control() || turns_direction(c) || c == '\u{fffd}')
            || (text.contains("=?") && text.contains("?="));
        if must_quote {
            raw = quote(&shown);
        }
        Some(Self { text: text.to_owned(), raw, clean: !doubtful })
    }

    /// Whether a copy may show the name next to this address.
    pub(super) fn is_safe_for(&self, own: &Address) -> bool {
        self.clean && !holds_other_address(&self.text, own)
    }
}

/// Characters that change the direction in which text is displayed.
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The content of a quoted string, unfolded and unescaped.
fn unquote(content: &[u8], out: &mut Vec<u8>) {
    let mut bytes = content.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' | b'\n' => {}
            b'\\' => out.extend(bytes.next()),
            byte => out.push(*byte),
        }
    }
}

fn quote(text: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
    out
}

/// Whether a text contains an address other than `own`. It is searched in NFKC (full-width `＠`), without
/// invisible characters and without white space around `@` and dots.
pub(super) fn holds_other_address(text: &str, own: &Address) -> bool {
    let tight = tight(text);
    tight.iter().enumerate().filter(|(_, c)| **c == '@').any(|(at, _)| is_other(&tight, at, own))
}

/// Whether a text contains an address that is not known, by the same search. An `@` before an address
/// literal, or an address that cannot be parsed, counts as unknown.
pub fn names_another(text: &str, known: &dyn Fn(&Address) -> bool) -> bool {
    let tight = tight(text);
    tight.iter().enumerate().filter(|(_, c)| **c == '@').any(|(at, _)| {
        let (local, domain) = around(&tight, at);
        let literal = tight.get(at + 1) == Some(&'[');
        let found = Address::parse(&format!("{local}@{domain}"));
        literal || (domain.contains('.') && !found.is_ok_and(|found| known(&found)))
    })
}

/// A text in NFKC, without invisible characters and without white space around `@` and dots. Empty if it
/// cannot contain an address.
fn tight(text: &str) -> Vec<char> {
    if text.is_ascii() && !text.contains('@') {
        return Vec::new();
    }
    let plain: Vec<char> = text.nfkc().filter(|c| !is_invisible(*c)).collect();
    let mut tight: Vec<char> = Vec::with_capacity(plain.len());
    for (index, c) in plain.iter().enumerate() {
        if c.is_whitespace() {
            let before = tight.last().is_some_and(|c| is_joint(*c));
            let after = plain[index..].iter().find(|c| !c.is_whitespace()).is_some_and(|c| is_joint(*c));
            if before || after {
                continue;
            }
        }
        tight.push(if matches!(c, '\u{3002}' | '\u{ff61}') { '.' } else { *c });
    }
    tight
}

fn is_joint(c: char) -> bool {
    matches!(c, '@' | '.')
}

/// Whether the `@` at this position belongs to an address other than `own`.
fn is_other(text: &[char], at: usize, own: &Address) -> bool {
    let (local, domain) = around(text, at);
    // `山田＠営業部` is a way to write a department, not an address: a domain has a dot.
    if local.is_empty() || !domain.contains('.') {
        return false;
    }
    let found = format!("{local}@{domain}");
    match Address::parse(&found) {
        Ok(found) => found != *own,
        Err(_) => fold(&found) != own.key(),
    }
}

/// The words on both sides of the `@` at this position.
fn around(text: &[char], at: usize) -> (String, String) {
    // Longer runs cannot be addresses, and would make the search quadratic in the number of `@`.
    let local: String = {
        let run: Vec<char> =
            text[..at].iter().rev().take(100).take_while(|c| is_word(**c)).copied().collect();
        run.into_iter().rev().collect()
    };
    let domain: String = text[at + 1..].iter().take(260).take_while(|c| is_word(**c)).collect();
    (local, domain.trim_end_matches('.').to_owned())
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric()
        || matches!(
            c,
            '.' | '-'
                | '_'
                | '+'
                | '!'
                | '#'
                | '$'
                | '%'
                | '&'
                | '*'
                | '/'
                | '='
                | '?'
                | '^'
                | '`'
                | '{'
                | '|'
                | '}'
                | '~'
        )
}
