//! A delivery: recipients and header edits. Only `rewrite` makes one, so mail that skipped the
//! policy does not compile.

use crate::message::{Address, HeaderEdits, Recipient};
use serde::{Deserialize, Serialize};

/// What an encoded copy begins with since it has a version.
const VERSIONED: u8 = 0;
/// The version that is written.
const VERSION: u8 = 1;

/// Why a copy cannot be read back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It was written by another release.
    #[error("it has version {0}, and this release knows version {VERSION}")]
    Version(u8),
    /// It is no copy.
    #[error("{0}")]
    Damaged(String),
}

/// One copy on its way: for whom, and how its header is made from the original's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    pub(super) recipients: Vec<Recipient>,
    pub(super) edits: HeaderEdits,
    /// A copy that was rewritten (split, bcc): a fresh ENVID, RET=HDRS.
    pub(super) rewritten: bool,
    /// Addresses left visible on purpose in this copy (the externals in an internal's copy, by option).
    pub(super) shows: Vec<Address>,
    /// The copy needs SMTPUTF8 downstream.
    pub(super) needs_utf8: bool,
}

impl Delivery {
    /// Who gets this copy.
    pub fn recipients(&self) -> &[Recipient] {
        &self.recipients
    }

    /// How its header is made.
    pub fn edits(&self) -> &HeaderEdits {
        &self.edits
    }

    /// Whether the header was rewritten (split or bcc) rather than passed.
    pub fn is_rewritten(&self) -> bool {
        self.rewritten
    }

    /// Whether this copy may show an address: its own recipients', and those left visible on purpose.
    pub fn may_show(&self, address: &Address) -> bool {
        self.recipients.iter().any(|own| own.address == *address) || self.shows.contains(address)
    }

    /// Whether the copy (header or recipient) needs SMTPUTF8 (RFC 6531).
    pub fn needs_utf8(&self) -> bool {
        self.needs_utf8
    }

    /// The same copy for only some of its recipients: what is left after a partial success.
    #[must_use]
    pub fn only_for(&self, keep: impl Fn(&Address) -> bool) -> Self {
        let mut part = self.clone();
        part.recipients.retain(|recipient| keep(&recipient.address));
        part
    }

    /// The same copy in parts: each recipient in the one that `part` names (below `parts`), or in none. One
    /// walk through the recipients, however many parts there are.
    pub fn in_parts(&self, parts: usize, part: impl Fn(&Address) -> Option<usize>) -> Vec<Self> {
        let empty =
            Self { recipients: Vec::new(), edits: self.edits.clone(), shows: self.shows.clone(), ..*self };
        let mut all = vec![empty; parts];
        for recipient in &self.recipients {
            if let Some(one) = part(&recipient.address).and_then(|part| all.get_mut(part)) {
                one.recipients.push(recipient.clone());
            }
        }
        all
    }

    /// For the store: a mark, the version of what follows, and the copy.
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![VERSIONED, VERSION]).unwrap_or_default()
    }

    /// From the store: bytes that [`Self::to_bytes`] made, or that it made before there were versions.
    ///
    /// # Errors
    /// They are of a later version, or damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        let copy = match bytes {
            [VERSIONED, VERSION, copy @ ..] => copy,
            [VERSIONED, version, ..] => return Err(Unreadable::Version(*version)),
            // It began with the number of recipients, of whom there was at least one.
            unversioned => unversioned,
        };
        postcard::from_bytes(copy).map_err(|error| Unreadable::Damaged(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(to: &[&str]) -> Delivery {
        let recipients = to.iter().map(|to| Recipient::plain(Address::parse(to).unwrap())).collect();
        let edits = HeaderEdits::default();
        Delivery { recipients, edits, rewritten: true, shows: Vec::new(), needs_utf8: false }
    }

    #[test]
    fn copies_are_read_back_with_and_without_a_version() {
        let one = delivery(&["a@x.example", "b@y.example"]);
        assert_eq!(Delivery::from_bytes(&one.to_bytes()), Ok(one.clone()));
        assert_eq!(Delivery::from_bytes(&postcard::to_stdvec(&one).unwrap()), Ok(one.clone()));
        let mut newer = one.to_bytes();
        newer[1] = 2;
        assert_eq!(Delivery::from_bytes(&newer), Err(Unreadable::Version(2)));
        for length in 0..one.to_bytes().len() {
            assert!(Delivery::from_bytes(&one.to_bytes()[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn what_was_stored_is_not_parsed_as_input() {
        for text in
            ["a、b@x.example", "a b@x.example", "a(b@x.example", "a@x..example", "a\u{200b}@x.example"]
        {
            assert!(Address::parse(text).is_err(), "{text}");
            let octets = postcard::to_stdvec(&(text, None::<()>, None::<()>)).unwrap();
            let stored: Recipient = postcard::from_bytes(&octets).unwrap();
            assert_eq!(stored.address.as_str(), text);
            assert!(!stored.address.domain().is_empty());
        }
        for text in ["", "a", "@x", "a@", "a@x\r\nRCPT TO:<b@y>"] {
            assert!(Address::stored(text).is_err(), "{text}");
        }
    }

    #[test]
    fn parts_have_each_recipient_once() {
        let parts = delivery(&["a@x.example", "b@y.example", "c@z.example"])
            .in_parts(2, |address| (address.local() != "c").then(|| usize::from(address.local() == "b")));
        let whom =
            |part: &Delivery| part.recipients.iter().map(|to| to.address.to_string()).collect::<Vec<_>>();
        assert_eq!(parts.iter().map(whom).collect::<Vec<_>>(), [["a@x.example"], ["b@y.example"]]);
    }
}
