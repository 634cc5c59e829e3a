//! Mail addresses from header fields and from the envelope: compared by key, delivered as written.

mod cross;
mod lex;
mod list;
mod name;
mod octets;
pub(in crate::message) mod spell;

pub use cross::cross_check;
pub use list::parse_list;
pub use name::names_another;

use serde::{Deserialize, Serialize};
use std::hash::{Hash, Hasher};

/// One mailbox address (`local@domain`) as it was written, with the key by which it is compared.
///
/// Two addresses are equal if their keys are (`docs/MAIL.md` §5): the domain as a lower-case A-label, the
/// local part unquoted, NFC and case-folded. Only the parser constructs one; [`Self::stored`] (which serde
/// uses) reads back what the parser accepted earlier.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    /// As written, without comments and folding. Mail is delivered to this form.
    text: String,
    /// Position of the last `@` outside quotes in `text`.
    at: usize,
    /// `local@domain` in comparison form.
    key: String,
}

impl Address {
    /// Parses one bare address: `local@domain`. Quoted local parts and address literals are allowed, and so
    /// is `a..b.@example.jp`, because Japanese carriers issued such addresses. Display names, comments, angle
    /// brackets and control characters are not allowed.
    ///
    /// # Errors
    /// The text is not an address (RFC 5321 §4.1.2, RFC 6531), or it is too long.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let fail = |why| AddressError { text: printable(text), why };
        let (at, key) = spell::read(text).map_err(fail)?;
        Ok(Self { text: text.to_owned(), at, key })
    }

    /// Reads back an address that was accepted earlier. The input grammar may have become stricter since
    /// then, and accepted mail must still be delivered. Never use it for what a client or a file says.
    ///
    /// # Errors
    /// There is no `@` between two parts, or there is a control character.
    pub fn stored(text: &str) -> Result<Self, AddressError> {
        let (at, key) = match spell::read(text) {
            Ok(read) => read,
            Err(why) => spell::stored(text).ok_or_else(|| AddressError { text: printable(text), why })?,
        };
        Ok(Self { text: text.to_owned(), at, key })
    }

    /// The address as written: mail is delivered to this form.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The local part as written (quotes included).
    pub fn local(&self) -> &str {
        &self.text[..self.at]
    }

    /// The domain as written.
    pub fn domain(&self) -> &str {
        &self.text[self.at + 1..]
    }

    /// The comparison form of the whole address.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The comparison form of the domain: lower-case A-labels.
    pub fn domain_key(&self) -> &str {
        self.key.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// The comparison form of the local part: unquoted, NFC, case-folded.
    pub fn local_key(&self) -> &str {
        self.key.rsplit_once('@').map_or("", |(local, _)| local)
    }

    /// Whether the address is at this domain (lower-case A-labels). `*.example.jp` stands for all subdomains,
    /// not for the domain itself.
    pub fn is_at(&self, domain: &str) -> bool {
        let own = self.domain_key();
        match domain.strip_prefix("*.") {
            Some(parent) => {
                own.strip_suffix(parent).is_some_and(|below| below.len() > 1 && below.ends_with('.'))
            }
            None => domain == own,
        }
    }

    /// Whether the address has characters outside ASCII, so that it needs SMTPUTF8 (RFC 6531).
    pub fn needs_utf8(&self) -> bool {
        !self.text.is_ascii()
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}
impl Eq for Address {}
impl Hash for Address {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}
impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Address {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}
impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}
impl std::str::FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}
impl TryFrom<String> for Address {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        Self::stored(&text)
    }
}
impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.text
    }
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a mail address: {why}")]
pub struct AddressError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// A mailbox in a header field: an address, perhaps with a display name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailbox {
    /// The address.
    pub address: Address,
    /// The display name, decoded (RFC 2047), `None` when there is none.
    pub name: Option<String>,
    /// The bytes of the mailbox, without comments, unfolded to one line, encoded-words kept: `"Yamada"
    /// <y@example.jp>`. The To of a copy is built from it.
    pub raw: Vec<u8>,
    /// Whether a copy may use `raw`: the decoded display name contains no other address, no control
    /// characters, and no 8-bit octets that are not UTF-8. If false, a copy uses the bare address.
    pub name_is_safe: bool,
}

/// All mailboxes of one address field, and what could not be read reliably.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressList {
    /// Every mailbox, groups flattened, in order.
    pub mailboxes: Vec<Mailbox>,
    /// What could not be read reliably. Any entry is a reason to hold the message.
    pub problems: Vec<AddressProblem>,
}

/// A part of an address field that could not be read reliably.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{why} (at byte {at}: `{excerpt}`)")]
pub struct AddressProblem {
    /// Byte offset in the field's body.
    pub at: usize,
    /// The first characters from there, made printable.
    pub excerpt: String,
    /// What is wrong.
    pub why: String,
}

/// The first characters of a text for error messages; control and invisible characters are replaced.
fn printable(text: &str) -> String {
    text.chars().take(60).map(|c| if spell::is_invisible(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
