//! A second opinion: the same field read by mail-parser. Two readers that see different addresses in
//! one field are a reason to hold, for nobody knows which of them a recipient's client agrees with.

use super::{Address, AddressList, octets};
use crate::message::charset::Charset;
use mail_parser::{HeaderValue, parsers::MessageStream};
use std::collections::HashSet;

/// Longest field that is read twice, in octets; a longer one is not certain.
const MAX_OCTETS: usize = 512 * 1024;

/// Reads the same field body with mail-parser and says, in words, which address only one of the two
/// readers sees. `None` when they agree, when our own reading has problems already, and where
/// mail-parser is known to be wrong.
pub fn cross_check(body: &[u8], ours: &AddressList) -> Option<String> {
    if !ours.problems.is_empty() {
        return None;
    }
    if body.len() > MAX_OCTETS {
        return Some(format!("with {} octets it is too long to be read for certain", body.len()));
    }
    if let Some(difference) = octets::other_reading(body, ours) {
        return Some(difference);
    }
    // It does not know unencoded ISO-2022-JP, whose octets may be any of ASCII.
    let mut ended =
        if body.contains(&0x1b) { Charset::ISO_2022_JP.decode(body).into_bytes() } else { body.to_vec() };
    // mail-parser drops the last address of a field without a line end.
    ended.extend_from_slice(b"\r\n");
    let value = MessageStream::new(&ended).parse_address();
    let theirs = match &value {
        HeaderValue::Address(address) => address.iter().filter_map(|entry| entry.address()).collect(),
        _ => Vec::new(),
    };
    let known: HashSet<&str> = ours.mailboxes.iter().map(|mailbox| mailbox.address.key()).collect();
    let mut seen = HashSet::new();
    let mut garbled = false;
    for text in theirs {
        match Address::parse(text) {
            Ok(address) if known.contains(address.key()) => {
                seen.insert(address.key().to_owned());
            }
            Ok(address) if !is_artefact(&address, ours) => {
                return Some(format!("another reader sees `{address}` in this field"));
            }
            _ => garbled = true,
        }
    }
    // Garbled: it read something that is no address, so what it lacks says nothing.
    if garbled || mail_parser_is_unsure(body) {
        return None;
    }
    let missing = ours.mailboxes.iter().find(|mailbox| !seen.contains(mailbox.address.key()))?;
    Some(format!("another reader does not see `{}` in this field", missing.address))
}

/// What mail-parser makes of a harmless quoted local part (`"a..b."@c.jp`, `"a b"@c.jp`): it drops or
/// mistakes what is in the quotes. With specials in the quotes the doubt stands: other readers too
/// take `"a@b"@c.jp` for something else.
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
