//! Decides whether malformed address fields can disclose anybody. They cannot if the message has one
//! recipient and no reading of the header gives any address but the recipient's, the author's and our own.
//! Such a message is not held for its form alone.

use super::Facts;
use crate::message::address::names_another;
use crate::message::charset::readings;
use crate::message::encoded_word::decode_words;
use crate::message::walk::params::strip_comments;
use crate::message::{Address, Header};
use crate::policy::Organisation;

/// Fields in which `@` belongs to identifiers of messages and keys, not to addresses.
const IDENTIFIERS: [&str; 11] = [
    "arc-authentication-results",
    "arc-message-signature",
    "arc-seal",
    "authentication-results",
    "content-id",
    "dkim-signature",
    "in-reply-to",
    "message-id",
    "references",
    "resent-message-id",
    "x-google-dkim-signature",
];
/// Longest field whose every reading is examined, in octets.
const LONGEST: usize = 64 * 1_024;
/// Escaped forms of `@`.
const ESCAPED: [&str; 8] = ["%40", "=40", "&#64", "&#x40", "&commat", "\\u0040", "\\x40", "\\100"];

/// Whether the header names nobody whom the one recipient does not know already.
pub(super) fn shows_nobody_else(header: &Header, facts: &Facts, organisation: &Organisation) -> bool {
    let [recipient] = facts.recipients.as_slice() else { return false };
    // with several authors, mail programs differ in which one they show
    let author = match facts.from.as_slice() {
        [] => None,
        [author] => Some(&author.address),
        _ => return false,
    };
    let known = |address: &Address| {
        address == recipient || Some(address) == author || organisation.is_internal(address)
    };
    header.fields().iter().all(|field| {
        let name = String::from_utf8_lossy(header.name(field)).to_ascii_lowercase();
        IDENTIFIERS.contains(&name.as_str()) || names_only(header.body(field), &known)
    })
}

/// Whether every address in any reading of the field is known.
fn names_only(body: &[u8], known: &dyn Fn(&Address) -> bool) -> bool {
    if body.len() > LONGEST {
        return false;
    }
    let decoded = decode_words(body);
    if decoded.contains("=?") {
        return false;
    }
    let unfolded: Vec<u8> = body.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let mut texts = readings(&unfolded);
    texts.push(decoded);
    let without_comments: Vec<String> = texts.iter().map(|text| strip_comments(text.as_bytes())).collect();
    texts.iter().chain(&without_comments).all(|text| {
        let lower = text.to_ascii_lowercase();
        !ESCAPED.iter().any(|escaped| lower.contains(escaped)) && !names_another(text, known)
    })
}
