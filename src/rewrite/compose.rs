//! Composes the header fields that the relay writes: To, Cc, Received, and a missing Date or Message-ID.

use super::draft::Stamp;
use crate::message::address::parse_list;
use crate::message::{Address, Header, Mailbox};

/// The length, in octets, to which lines are folded if they contain a space (RFC 5322 §2.1.1).
const SOFT_LIMIT: usize = 78;
/// The maximum length of a line in octets, without its CRLF (RFC 5322 §2.1.1).
const HARD_LIMIT: usize = 998;

/// A To field that names nobody. RFC 5322 §3.6.3 does not require a destination field, but mail without one is
/// often classified as spam.
pub(super) const UNDISCLOSED: &[u8] = b"To: undisclosed-recipients:;\r\n";

/// A mailbox as a copy shows it: as it was written if that is safe, otherwise its address without a name.
pub(super) fn shown(mailbox: &Mailbox) -> Vec<u8> {
    let raw_fits = mailbox.name_is_safe && longest_word(&mailbox.raw) < HARD_LIMIT;
    if raw_fits && !mailbox.raw.is_empty() { mailbox.raw.clone() } else { bare(&mailbox.address) }
}

/// An address without a name.
pub(super) fn bare(address: &Address) -> Vec<u8> {
    address.as_str().as_bytes().to_vec()
}

/// The mailboxes in all fields with this name, except the dropped ones, as a copy shows them.
pub(super) fn remaining(header: &Header, name: &str, dropped: &[Address]) -> Vec<Vec<u8>> {
    let kept = |mailbox: &Mailbox| !dropped.contains(&mailbox.address);
    header
        .named(name)
        .flat_map(|field| parse_list(header.body(field)).mailboxes)
        .filter(kept)
        .map(|mailbox| shown(&mailbox))
        .collect()
}

/// A complete address field, folded. `None` if the list is empty or a mailbox does not fit within the line
/// limit.
pub(super) fn address_field(name: &str, mailboxes: &[Vec<u8>]) -> Option<Vec<u8>> {
    if mailboxes.is_empty() || mailboxes.iter().any(|bytes| longest_word(bytes) >= HARD_LIMIT) {
        return None;
    }
    let mut field = Vec::with_capacity(16 + mailboxes.iter().map(|bytes| bytes.len() + 3).sum::<usize>());
    field.extend_from_slice(name.as_bytes());
    field.push(b':');
    let mut column = field.len();
    for (index, mailbox) in mailboxes.iter().enumerate() {
        let last = index + 1 == mailboxes.len();
        for (position, word) in words(mailbox).enumerate() {
            let comma = usize::from(!last);
            let fits = column + 1 + word.len() + comma <= SOFT_LIMIT;
            // The first word stays on the first line: a line of white space alone is obsolete syntax
            // (RFC 5322 §4.2).
            let first = index == 0 && position == 0;
            if !fits && !first {
                field.extend_from_slice(b"\r\n");
                column = 0;
            }
            field.push(b' ');
            field.extend_from_slice(word);
            column += 1 + word.len();
        }
        if !last {
            field.push(b',');
            column += 1;
        }
    }
    field.extend_from_slice(b"\r\n");
    Some(field)
}

/// The words between single spaces. Further spaces stay with the word that follows them, so that a quoted name
/// keeps its spacing when it is folded.
fn words(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let start = rest.iter().position(|byte| *byte != b' ').unwrap_or(rest.len());
        let end = rest[start..].iter().position(|byte| *byte == b' ').map_or(rest.len(), |at| start + at);
        let word = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        Some(word)
    })
}

fn longest_word(bytes: &[u8]) -> usize {
    words(bytes).map(<[u8]>::len).max().unwrap_or(0)
}

/// Our trace field (RFC 5321 §4.4). It has no `for` clause, which would show a recipient to the others.
/// `alike` marks copies that must be identical to the last byte; these get no mark of their own later.
pub(super) fn received(stamp: &Stamp, alike: bool) -> Vec<u8> {
    let us = if alike { "Sekisho, alike" } else { "Sekisho" };
    let date = stamp.received.to_rfc5322();
    let text = if stamp.client.is_empty() {
        format!("Received: by {} ({us}) id {};\r\n\t{date}\r\n", stamp.hostname, stamp.id)
    } else {
        format!(
            "Received: from {}\r\n\tby {} ({us}) with {} id {};\r\n\t{date}\r\n",
            printable(&stamp.client),
            stamp.hostname,
            stamp.protocol,
            stamp.id
        )
    };
    text.into_bytes()
}

/// Reduces the name that a client gave, which can contain anything, to printable ASCII.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).take(300).collect()
}

/// A Date field for a message without one (RFC 6409 §8.1).
pub(super) fn date(stamp: &Stamp) -> Vec<u8> {
    format!("Date: {}\r\n", stamp.received.to_rfc5322()).into_bytes()
}

/// The Message-ID, without angle brackets, for a message without one (RFC 6409 §8.2).
pub fn synthesised_message_id(stamp: &Stamp) -> String {
    format!("{}.sekisho@{}", stamp.id, stamp.hostname)
}

pub(super) fn message_id(stamp: &Stamp) -> Vec<u8> {
    format!("Message-ID: <{}>\r\n", synthesised_message_id(stamp)).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::id::Id;

    fn unfold(field: &[u8]) -> Vec<u8> {
        let text = String::from_utf8(field.to_vec()).unwrap();
        text.replace("\r\n", "").into_bytes()
    }

    #[test]
    fn long_lists_fold_and_unfold_to_the_same() {
        let list: Vec<Vec<u8>> = (0..60)
            .map(|n| format!("\"Name  {n} of many\" <person{n}@host{n}.example>").into_bytes())
            .collect();
        let field = address_field("Cc", &list).unwrap();
        for line in field.split(|byte| *byte == b'\n') {
            assert!(line.len() <= SOFT_LIMIT + 1, "{}", String::from_utf8_lossy(line));
        }
        let want = [b"Cc: ".to_vec(), list.join(&b", "[..])].concat();
        assert_eq!(String::from_utf8(unfold(&field)).unwrap(), String::from_utf8(want).unwrap());
    }

    #[test]
    fn a_word_over_the_hard_limit_is_refused() {
        assert!(address_field("To", &[vec![b'a'; HARD_LIMIT]]).is_none());
        assert!(address_field("To", &[]).is_none());
        assert!(address_field("To", &[vec![b'a'; 900]]).is_some());
    }

    #[test]
    fn our_received_names_no_recipient_and_no_hostile_client() {
        let stamp = Stamp {
            id: Id::new(Timestamp(0), 1),
            received: Timestamp(0),
            hostname: "mx.example.jp".into(),
            client: "evil\r\nBcc: x ([192.0.2.1])".into(),
            protocol: "ESMTP".into(),
        };
        let text = String::from_utf8(received(&stamp, false)).unwrap();
        assert!(!text.contains(" for "));
        assert_eq!(text.matches("\r\n").count(), 3, "{text}");
    }
}
