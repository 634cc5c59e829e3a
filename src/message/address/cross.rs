//! A second opinion: the same field read by mail-parser. If two readers see different addresses in one field,
//! the message is held, because nobody knows which of them the recipient's mail program agrees with.

use super::{Address, AddressList, octets};
use crate::message::charset::Charset;
use mail_parser::{HeaderValue, parsers::MessageStream};
use std::collections::HashSet;

/// Longest field that is read by both, in octets. A longer one counts as unreadable.
const MAX_OCTETS: usize = 512 * 1024;

/// Reads a field body with mail-parser as well, and describes the first address that only one of the two
/// readers sees. `None` if they agree, if our own reading has problems already, or where mail-parser is known
/// to be wrong.
pub fn cross_check(body: &[u8], ours: &AddressList) -> Option<String> {
    if !ours.problems.is_empty() {
        return None;
    }
    if body.len() > MAX_OCTETS {
        return Some(format!("with {} octets it is too long to be read reliably", body.len()));
    }
    if let Some(difference) = octets::other_reading(body, ours) {
        return Some(difference);
    }
    let known: HashSet<&str> = ours.mailboxes.iter().map(|mailbox| mailbox.address.key()).collect();
    let theirs = if body.contains(&0x1b) {
        // Readers that see only octets do not decode ISO-2022-JP, and its octets may be any ASCII: what looks
        // like an address to them may be two Kanji. Something spelled like a usual address is not there by
        // chance.
        let hidden = |text: &String| {
            is_plain(text) && Address::parse(text).is_ok_and(|address| !known.contains(address.key()))
        };
        if let Some(other) = as_octets(body).into_iter().find(hidden) {
            return Some(format!("a reader of octets sees `{other}` in this field"));
        }
        as_octets(Charset::ISO_2022_JP.decode(body).as_bytes())
    } else {
        as_octets(body)
    };
    let mut seen = HashSet::new();
    let mut garbled = false;
    for text in theirs {
        match Address::parse(&text) {
            Ok(address) if known.contains(address.key()) => {
                seen.insert(address.key().to_owned());
            }
            Ok(address) if !is_artefact(&address, ours) => {
                return Some(format!("another reader sees `{address}` in this field"));
            }
            _ => garbled = true,
        }
    }
    // mail-parser returned something that is not an address, so what it did not find means nothing.
    if garbled || mail_parser_is_unsure(body) {
        return None;
    }
    let missing = ours.mailboxes.iter().find(|mailbox| !seen.contains(mailbox.address.key()))?;
    Some(format!("another reader does not see `{}` in this field", missing.address))
}

/// The addresses that mail-parser sees in a field.
fn as_octets(body: &[u8]) -> Vec<String> {
    // mail-parser drops the last address of a field that has no line end.
    let ended = [body, b"\r\n"].concat();
    match MessageStream::new(&ended).parse_address() {
        HeaderValue::Address(address) => {
            address.iter().filter_map(|entry| entry.address()).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a text is spelled like a usual address: letters and digits around the `@`, a dot in the domain,
/// letters in the top-level domain.
fn is_plain(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let Some((_, last)) = domain.rsplit_once('.') else { return false };
    let usual = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
    !local.is_empty()
        && local.chars().all(usual)
        && domain.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c))
        && last.len() >= 2
        && last.chars().all(|c| c.is_ascii_alphabetic())
}

/// Whether the difference comes from how mail-parser reads a harmless quoted local part (`"a..b."@c.jp`, `"a
/// b"@c.jp`). With special characters in the quotes the difference counts: other readers misread `"a@b"@c.jp`
/// too.
fn is_artefact(address: &Address, ours: &AddressList) -> bool {
    ours.mailboxes.iter().any(|mailbox| {
        let local = mailbox.address.local();
        local.contains('"')
            && !local.contains(['@', '<', '>', ',', ';', ':', '(', ')', '\\', '[', ']'])
            && mailbox.address.domain_key() == address.domain_key()
    })
}

/// Syntax that mail-parser reads wrongly or not at all: comments inside addresses, quoted local parts,
/// escapes, semicolons between mailboxes.
fn mail_parser_is_unsure(body: &[u8]) -> bool {
    body.iter().any(|byte| matches!(byte, b'(' | b'\\' | b';' | 0x1b))
        || memchr::memmem::find(body, b"\"@").is_some()
}
