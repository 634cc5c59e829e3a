//! A delivery: recipients and header edits. Only `rewrite` makes one, so mail that skipped the
//! policy does not compile.

use crate::message::{Address, HeaderEdits, Recipient};
use serde::{Deserialize, Serialize};

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

    /// For the store.
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(self).unwrap_or_default()
    }

    /// From the store: bytes that [`Self::to_bytes`] made.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, postcard::Error> {
        postcard::from_bytes(bytes)
    }
}
