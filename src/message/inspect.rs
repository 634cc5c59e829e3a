//! What the MIME walk finds that a policy asks about: attachments, calendars, TNEF, encryption,
//! addresses written in the parts.

use super::Address;
use serde::{Deserialize, Serialize};

/// What a message's body holds, as far as rules ask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyFacts {
    /// Parts that are attachments (disposition, or a file name on a leaf).
    pub attachments: Vec<Attachment>,
    /// A text/calendar part.
    pub calendar: Option<Calendar>,
    /// An application/ms-tnef part (winmail.dat).
    pub tnef: Option<Tnef>,
    /// Encrypted mail: S/MIME enveloped-data or PGP.
    pub encrypted: Option<Encrypted>,
    /// multipart/signed, opaque-signed CMS, or a clear-signed PGP text.
    pub signed: bool,
    /// Recipient addresses in headers that are inside the signed or wrapped body (RFC 9788 protected
    /// headers, memory hole, the signed message/rfc822): they cannot be changed by a split.
    pub inner_recipients: Vec<Address>,
    /// The root is multipart/report.
    pub report: bool,
    /// Distinct addresses written in each leaf that has any (quoted header blocks, lists, vCards).
    pub written: Vec<Written>,
    /// Parts that nobody but their recipient can open, each with why.
    pub opaque: Vec<Opaque>,
    /// What could not be read for certain.
    pub problems: Vec<String>,
    /// What was not looked at, for it would have cost more than one message may: each place, with why.
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
    /// A picture that is shown in the text, such as a logo in a signature (RFC 2392): it has a
    /// Content-ID, and nobody called it an attachment.
    #[serde(default)]
    pub in_text: bool,
}

/// A calendar part's disclosure (RFC 5545, RFC 5546).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calendar {
    /// METHOD, upper case; empty when there is none.
    pub method: String,
    /// ATTENDEE, ORGANIZER and CONTACT addresses.
    pub addresses: Vec<Address>,
}

/// What a winmail.dat was found to hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Tnef {
    /// Read to its end; no recipients in it.
    Clean,
    /// Read to its end; these recipients stand in it (tables, display lists).
    Recipients {
        /// Addresses found.
        addresses: Vec<Address>,
        /// Display lists found (`PR_DISPLAY_TO` and `PR_DISPLAY_CC`), names without addresses.
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
    /// How many recipient infos or key ids it shows, where that can be read.
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

/// A part that could not be looked into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opaque {
    /// Part path.
    pub path: String,
    /// File name or content type.
    pub name: String,
    /// Why, in words.
    pub why: String,
}
