//! A delivery: recipients and header edits. Only `rewrite` can make one, so code that sends mail without asking the
//! policy does not compile.

use crate::message::{Address, HeaderEdits, Recipient};
use serde::{Deserialize, Serialize};

/// The first octet of an encoded copy that has a version.
const VERSIONED: u8 = 0;
/// The version that this release writes.
const VERSION: u8 = 1;

/// Why a stored copy cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Another version of the program wrote it.
    #[error("it has version {0}, and this release knows version {VERSION}")]
    Version(u8),
    /// It is damaged.
    #[error("{0}")]
    Damaged(String),
}

/// One copy: its recipients, and how its header is made from the original header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    pub(super) recipients: Vec<Recipient>,
    pub(super) edits: HeaderEdits,
    /// The copy was rewritten (split or bcc): it gets a new ENVID, and RET=HDRS.
    pub(super) rewritten: bool,
    /// Addresses that this copy shows on purpose (by option, the outside addresses in an internal recipient's copy).
    pub(super) shows: Vec<Address>,
    /// The copy needs SMTPUTF8 (RFC 6531).
    pub(super) needs_utf8: bool,
}

impl Delivery {
    /// The recipients of this copy.
    pub fn recipients(&self) -> &[Recipient] {
        &self.recipients
    }

    /// How the header of this copy is made from the original header.
    pub fn edits(&self) -> &HeaderEdits {
        &self.edits
    }

    /// Whether the header was rewritten (split or bcc), not passed.
    pub fn is_rewritten(&self) -> bool {
        self.rewritten
    }

    /// Whether this copy may show an address: that of a recipient, or one that it shows on purpose.
    pub fn may_show(&self, address: &Address) -> bool {
        self.recipients.iter().any(|own| own.address == *address) || self.shows.contains(address)
    }

    /// Whether the copy needs SMTPUTF8 (RFC 6531) because of its header or an address in its envelope.
    pub fn needs_utf8(&self) -> bool {
        self.needs_utf8
    }

    /// The same copy for some of its recipients, such as those that are left after a partial success.
    #[must_use]
    pub fn only_for(&self, keep: impl Fn(&Address) -> bool) -> Self {
        let mut part = self.clone();
        part.recipients.retain(|recipient| keep(&recipient.address));
        part
    }

    /// The same copy in `parts` parts. `part` returns the index of a recipient's part, or `None` for no part. It is
    /// called once for each recipient, however many parts there are.
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

    /// The encoded copy, for the store: a mark, a version and the contents.
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![VERSIONED, VERSION]).unwrap_or_default()
    }

    /// Decodes bytes from the store that [`Self::to_bytes`] made, now or before there were versions.
    ///
    /// # Errors
    /// [`Unreadable`] if another release wrote the bytes, or if they are damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        let copy = match bytes {
            [VERSIONED, VERSION, copy @ ..] => copy,
            [VERSIONED, version, ..] => return Err(Unreadable::Version(*version)),
            // Copies without a version begin with the number of recipients, which is never zero.
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
