//! The contents of the chain, in octets: the hash of each kind of entry, the link over them, and the seal of a cut.
//! It is the same for every engine, so that each can verify what another wrote.
//!
//! An entry is identified by a kind and a key. The key of a journal entry or a delivery is the number of its message,
//! shifted left by 24 bits, plus its own number within the message. The key of an acceptance or a decision is the
//! shifted number alone; that of a purge is its negative number.

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::hmac;

/// A kind of entry: an acceptance, a journal entry or a purge, which differ by their keys.
pub const ENTRY: i64 = 0;
/// A kind of entry: the decision on a held message.
pub const DECIDED: i64 = 1;
/// A kind of entry: a successful delivery.
pub const DELIVERED: i64 = 2;
/// A kind of entry: a record of foreign changes that an administrator has looked at.
pub const FOREIGN: i64 = 3;

/// The hash of an entry.
pub type Digest = [u8; 32];

/// Hashes a list of texts with their lengths, so that different lists are never hashed as the same octets.
fn digest(parts: &[&[u8]]) -> Digest {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut all = [0; 32];
    all.copy_from_slice(context.finish().as_ref());
    all
}

/// The hash of an acceptance: id, people, Message-ID, action, events, subject. The subject was not covered before
/// headers were `sealed`.
pub fn accepted(texts: [&str; 6], received: i64, sealed: Option<&[u8]>) -> Digest {
    let [id, people, message_id, action, events, subject] = texts.map(str::as_bytes);
    let received = received.to_be_bytes();
    match sealed {
        None => digest(&[b"accepted", id, &received, people, message_id, action, events]),
        Some(sealed) => {
            digest(&[b"accepted, sealed", id, &received, people, message_id, action, events, subject, sealed])
        }
    }
}

/// The hash of a header as it was received; it is covered by the acceptance.
pub fn sealed(header: &[u8]) -> Digest {
    digest(&[b"header", header])
}

/// The hash of a journal entry, with its event as JSON.
pub fn entered(key: i64, at: i64, event: &str) -> Digest {
    digest(&[b"entry", &key.to_be_bytes(), &at.to_be_bytes(), event.as_bytes()])
}

/// The hash of a purge, with the list of the removed messages as JSON.
pub fn purged(number: i64, messages: &str) -> Digest {
    digest(&[b"purge", &number.to_be_bytes(), messages.as_bytes()])
}

/// The hash of a record of foreign changes.
pub fn foreign(number: i64, at: i64, by: &str, why: &str, found: &str) -> Digest {
    let (number, at) = (number.to_be_bytes(), at.to_be_bytes());
    digest(&[b"foreign", &number, &at, by.as_bytes(), why.as_bytes(), found.as_bytes()])
}

/// The hash of the decision on a held message: the number of its item, its state, the time; who decided, how, and in
/// which way it is released.
pub fn decided(key: i64, numbers: [Option<i64>; 3], texts: [Option<&str>; 3]) -> Digest {
    let texts = texts.map(|text| text.map(str::as_bytes));
    row(b"decided", key, &numbers, &texts)
}

/// The hash of a successful delivery: its state, the time, attempts, whether it may be a duplicate, the number of
/// recipients; the upstream's reply, and the copy.
pub fn delivered(key: i64, numbers: [Option<i64>; 5], reply: &[u8], copy: &[u8]) -> Digest {
    row(b"delivered", key, &numbers, &[Some(reply), Some(copy)])
}

/// Hashes the columns of a row. An empty column differs from a missing one.
fn row(label: &[u8], key: i64, numbers: &[Option<i64>], texts: &[Option<&[u8]>]) -> Digest {
    let key = key.to_be_bytes();
    let numbers: Vec<Option<[u8; 8]>> = numbers.iter().map(|one| one.map(i64::to_be_bytes)).collect();
    let numbers = numbers.iter().map(|one| one.as_ref().map(<[u8; 8]>::as_slice));
    let mut parts: Vec<&[u8]> = vec![label, &key];
    for column in numbers.chain(texts.iter().copied()) {
        parts.push(if column.is_some() { b"+" } else { b"-" });
        parts.push(column.unwrap_or_default());
    }
    digest(&parts)
}

/// A link being computed: an HMAC over the previous link and all entries since. Its key is not in the database.
#[derive(Clone)]
pub struct Link(hmac::Context);

impl Link {
    /// Starts after the link `before`, which is empty at the start of the chain.
    pub fn behind(key: &hmac::Key, before: &[u8]) -> Self {
        let mut link = hmac::Context::with_key(key);
        link.update(before);
        Self(link)
    }

    /// Adds an entry.
    pub fn take(&mut self, key: i64, digest: &[u8]) {
        self.0.update(&key.to_be_bytes());
        self.0.update(digest);
    }

    /// Completes the link.
    pub fn made(self) -> Vec<u8> {
        self.0.sign().as_ref().to_vec()
    }
}

/// The seal of a cut after the entry `seq` with the link `mac`, in a chain whose first message was `first`.
pub fn cut_seal(key: &hmac::Key, seq: i64, first: i64, mac: &[u8]) -> Vec<u8> {
    let mut seal = hmac::Context::with_key(key);
    seal.update(b"the chain was cut");
    seal.update(&seq.to_be_bytes());
    seal.update(&first.to_be_bytes());
    seal.update(mac);
    seal.sign().as_ref().to_vec()
}

/// Octets in hexadecimal.
pub fn hex(octets: &[u8]) -> String {
    octets
        .iter()
        .flat_map(|octet| [octet >> 4, octet & 15])
        .filter_map(|n| char::from_digit(n.into(), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Computed independently of this code, in another language.
    const PINNED: [&str; 10] = [
        "64551c0d", "98341fe2", "589d555d", "6c67c5a3", "f76e615b", "923f1eb4", "ee48dab3", "a37484e2",
        "81987ca5", "88a75ef7",
    ];

    /// These octets are in existing databases: none of them may change.
    #[test]
    fn what_is_in_chains_stays() {
        let texts = ["id", "people", "m@x", "pass", "[]", "subject"];
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
        let mut link = Link::behind(&key, b"before");
        link.take(1 << 24, &[1; 32]);
        let all = [
            hex(&accepted(texts, 5, None))[..8].to_owned(),
            hex(&accepted(texts, 5, Some(&[9; 32])))[..8].to_owned(),
            hex(&sealed(b"A: b\r\n"))[..8].to_owned(),
            hex(&entered(3, 5, "{}"))[..8].to_owned(),
            hex(&purged(1, "[1]"))[..8].to_owned(),
            hex(&foreign(1, 5, "root", "why", "{}"))[..8].to_owned(),
            hex(&decided(3, [Some(1), Some(0), None], [None, Some(""), None]))[..8].to_owned(),
            hex(&delivered(3, [Some(5); 5], b"250", b"copy"))[..8].to_owned(),
            hex(&link.made())[..8].to_owned(),
            hex(&cut_seal(&key, 4, 1, b"mac"))[..8].to_owned(),
        ];
        assert_eq!(all, PINNED);
    }

    #[test]
    fn what_is_empty_is_not_what_is_missing() {
        let texts = [None, Some(""), Some("a")];
        let mut met = HashSet::new();
        for one in texts {
            for two in texts {
                assert!(met.insert(decided(1, [None; 3], [one, two, None])));
            }
        }
    }
}
