//! The input of a plan, which is one message and the options for its copies; and the result, the copies.

use super::{Delivery, Hit, Needles};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::message::fork::ForkGroup;
use crate::message::{Address, Envelope, Header};
use crate::policy::facts::Disclosed;
use crate::policy::{Facts, Organisation};

/// How copies are made, as configured by the administrator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyOptions {
    /// Fields that rewritten copies keep in addition to the built-in list (lower case).
    pub also_keep: Vec<String>,
    /// Copies for outside recipients do not show the visible internal addresses.
    pub hide_internal: bool,
    /// Copies for internal recipients show the visible outside addresses.
    pub show_external_to_internal: bool,
}

/// The contents of our trace field and of a Message-ID that we write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Our id of the message.
    pub id: Id,
    /// When the message was received.
    pub received: Timestamp,
    /// Our host name.
    pub hostname: String,
    /// The client's name and address, such as `client.example ([192.0.2.1])`; empty for our own mail.
    pub client: String,
    /// `ESMTP`, `ESMTPS`, …
    pub protocol: String,
}

/// All copies of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    /// The copies to send.
    pub deliveries: Vec<Delivery>,
    /// Addresses that the final check searches rendered headers for, except those that a copy may show.
    pub needles: Vec<Address>,
    /// What is openly disclosed, for the ledger; `None` if nothing is.
    pub ledger: Option<Disclosed>,
    /// Names of the fields that a passed mail leaves out because they name a hidden recipient.
    pub left_out: Vec<String>,
}

/// One message, with everything that planning its copies needs.
#[derive(Clone, Copy)]
pub struct Draft<'a> {
    /// The envelope.
    pub envelope: &'a Envelope,
    /// The original header.
    pub header: &'a Header,
    /// The facts about the message.
    pub facts: &'a Facts,
    /// What the audit searches for: see [`needles`](super::plan::needles).
    pub needles: &'a Needles,
    /// The needles that were found in the body.
    pub body_hits: &'a [Hit],
    /// Our organisation, which decides who is internal.
    pub organisation: &'a Organisation,
    /// How copies are made.
    pub options: &'a CopyOptions,
    /// The contents of our trace field.
    pub stamp: &'a Stamp,
    /// The mail that this transaction belongs to, for the ledger.
    pub mail: Option<&'a ForkGroup>,
    /// The message leaves because of an exemption from a rule, and nobody approved it: the ledger does not
    /// record it.
    pub exempt: bool,
    /// Recipients that an approver removed, from the envelope and from To and Cc.
    pub dropped: &'a [Address],
}
