//! Facts about a message's body that rules can ask for: attachments, calendars, TNEF, encryption, written
//! addresses.

use super::Address;
use serde::{Deserialize, Serialize};

/// What is known of a message's body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyFacts {
    /// Parts that are attachments: by their disposition, or because a leaf has a file name.
    pub attachments: Vec<Attachment>,
    /// A text/calendar part.
    pub calendar: Option<Calendar>,
    /// An application/ms-tnef part (winmail.dat).
    pub tnef: Option<Tnef>,
    /// Encrypted mail: S/MIME enveloped-data or PGP.
    pub encrypted: Option<Encrypted>,
    /// multipart/signed, opaque-signed CMS, or a clear-signed PGP text.
    pub signed: bool,
    /// Recipient addresses in headers that are signed or wrapped with the body (RFC 9788 protected headers,
    /// "memory hole", a signed message/rfc822). A split cannot change them.
    pub inner_recipients: Vec<Address>,
    /// The root is multipart/report.
    pub report: bool,
    /// Distinct addresses written in each leaf that has any (quoted header blocks, lists, vCards).
    pub written: Vec<Written>,
    /// Parts that cannot be opened, each with the reason.
    pub opaque: Vec<Opaque>,
    /// What could not be read reliably.
    pub problems: Vec<String>,
    /// Places that were not read to their end because the message would exceed its budget, each with the
    /// reason.
    #[serde(default)]
    pub over_budget: Vec<String>,
}

/// An attachment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Part path.
    pub path: String,
    /// File name, decoded; empty when there is none.
    pub name: String,
    /// Lower-case content type.
    pub content_type: String,
    /// Decoded size in octets.
    pub size: u64,
    /// An image shown within the text, such as the logo of a signature (RFC 2392): it has a Content-ID and is
    /// not declared as an attachment.
    #[serde(default)]
    pub in_text: bool,
}

/// What a calendar part discloses (RFC 5545, RFC 5546).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calendar {
    /// METHOD in upper case; empty if there is none.
    pub method: String,
    /// ATTENDEE, ORGANIZER and CONTACT addresses.
    pub addresses: Vec<Address>,
}

/// What a winmail.dat contains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Tnef {
    /// Read completely; it names no recipients.
    Clean,
    /// Read completely; it names these recipients (in recipient tables or display lists).
    Recipients {
        /// Addresses found.
        addresses: Vec<Address>,
        /// Display lists (`PR_DISPLAY_TO` and `PR_DISPLAY_CC`) with names but no addresses.
        display: Vec<String>,
    },
    /// Could not be read.
    Unreadable {
        /// Why.
        why: String,
    },
}

/// An encrypted message or part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encrypted {
    /// `smime` or `pgp`.
    pub kind: String,
    /// The number of recipient infos or key ids, if it can be read.
    pub recipients: Option<usize>,
}

/// Addresses written in one leaf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Part path.
    pub path: String,
    /// Distinct addresses, at most 10,000 kept.
    pub addresses: Vec<Address>,
}

/// A part that cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opaque {
    /// Part path.
    pub path: String,
    /// File name or content type.
    pub name: String,
    /// Why.
    pub why: String,
}
