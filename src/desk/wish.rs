//! A request to release a held message, and its result.

use crate::id::Id;
use crate::message::Address;
use crate::policy::Disclosure;
use crate::policy::risks::{Kind, Risk};
use crate::rewrite::Hit;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The way in which a message is released.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// A separate copy for each recipient.
    #[default]
    Split,
    /// One text for all, without the recipients' names.
    Bcc,
    /// As the sender wrote it: all recipients see each other.
    AsIs,
}

impl How {
    /// The corresponding demand on the disclosure axis.
    pub fn disclosure(self) -> Disclosure {
        match self {
            Self::Split => Disclosure::Split,
            Self::Bcc => Disclosure::Bcc,
            Self::AsIs => Disclosure::AsIs,
        }
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Split => "split",
            Self::Bcc => "bcc",
            Self::AsIs => "as-is",
        })
    }
}

/// A request to release a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// The way of sending.
    pub how: How,
    /// Recipients to remove, also from To and Cc.
    #[serde(default)]
    pub drop: Vec<Address>,
    /// Places where the audit found hidden addresses, acknowledged by a person who releases as is. On the
    /// command line the release itself acknowledges them.
    #[serde(default)]
    pub acknowledge: Vec<String>,
    /// A circle to create of those who see each other: its name, and its duration in seconds.
    #[serde(default)]
    pub circle: Option<(String, u64)>,
    /// The risks that a person ticked on a page or after following a link ([`Risk::key`]). Every risk that
    /// remains must be among them, and the release can be undone for a short time. `None` for programs, which
    /// tick nothing and cannot undo.
    #[serde(default)]
    pub ticked: Option<Vec<String>>,
}

impl Wish {
    /// The risks that remain in this way of sending and have to be ticked. For "as is", recipients seeing
    /// each other is what was requested, and places inside the mail are acknowledged separately.
    pub fn left<'a>(&self, risks: &'a [Risk]) -> Vec<&'a Risk> {
        risks.iter().filter(|risk| !self.cures(risk)).collect()
    }

    fn cures(&self, risk: &Risk) -> bool {
        let dropped = || {
            let named = risk.about.iter().filter_map(|text| Address::parse(text).ok());
            risk.about.len() == risk.total
                && named.collect::<Vec<_>>().iter().all(|one| self.drop.contains(one))
        };
        match risk.kind {
            Kind::Exposed => self.how == How::AsIs || risk.is_cured_by(self.how.disclosure()),
            Kind::Inside => true,
            Kind::LookAlike => dropped(),
            _ => false,
        }
    }
}

/// The result of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// The message.
    pub id: Id,
    /// The way of sending.
    pub how: How,
    /// The number of copies.
    pub copies: usize,
    /// The recipients of the copies.
    pub recipients: Vec<String>,
    /// The recipients who were removed.
    pub dropped: Vec<String>,
    /// Recipients who had it already when the final check stopped the rest.
    pub had_it_already: Vec<String>,
    /// Places with hidden addresses that were acknowledged.
    pub acknowledged: Vec<Hit>,
    /// Outsiders who see each other because of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub together: Vec<Address>,
}
