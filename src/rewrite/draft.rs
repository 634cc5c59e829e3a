//! What a plan is made from, and what it is: one message, how copies are wanted, the copies.

use super::{Delivery, Hit, Needles};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::message::fork::ForkGroup;
use crate::message::{Address, Envelope, Header};
use crate::policy::facts::Disclosed;
use crate::policy::{Facts, Organisation};

/// How copies are made, as the admin wants it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyOptions {
    /// Fields kept in a split copy beyond the built-in list (lower case).
    pub also_keep: Vec<String>,
    /// An external's copy does not name the visible internal addresses.
    pub hide_internal: bool,
    /// An internal's copy names the visible external addresses.
    pub show_external_to_internal: bool,
}

/// What our own trace fields say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Our id.
    pub id: Id,
    /// When the message was received.
    pub received: Timestamp,
    /// Our host name.
    pub hostname: String,
    /// What the client called itself, and its address: `client.example ([192.0.2.1])`; empty for own mail.
    pub client: String,
    /// `ESMTP`, `ESMTPS`, …
    pub protocol: String,
}

/// All copies of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    /// What leaves.
    pub deliveries: Vec<Delivery>,
    /// What the second lock searches rendered headers for (each delivery's own recipients excepted).
    pub needles: Vec<Address>,
    /// What is openly disclosed, for the ledger; `None` when nothing is.
    pub ledger: Option<Disclosed>,
    /// Fields of a passed mail that are left out, for they name somebody whom it hides.
    pub left_out: Vec<String>,
}

/// One message as the plan needs it.
#[derive(Clone, Copy)]
pub struct Draft<'a> {
    /// Envelope.
    pub envelope: &'a Envelope,
    /// Header.
    pub header: &'a Header,
    /// Facts.
    pub facts: &'a Facts,
    /// What the audit searches for: see [`needles`].
    pub needles: &'a Needles,
    /// What the body scan found of the needles.
    pub body_hits: &'a [Hit],
    /// Who is ours.
    pub organisation: &'a Organisation,
    /// How copies are made.
    pub options: &'a CopyOptions,
    /// Our trace fields.
    pub stamp: &'a Stamp,
    /// Which mail this is a transaction of, for the ledger.
    pub mail: Option<&'a ForkGroup>,
    /// It leaves because a rule was exempted from, and nobody looked at it: it enters no ledger.
    pub exempt: bool,
    /// Recipients an approver dropped: out of the envelope, and out of To and Cc.
    pub dropped: &'a [Address],
}
