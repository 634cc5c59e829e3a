//! How somebody wishes a held message to leave, and what came of it.

use crate::id::Id;
use crate::message::Address;
use crate::policy::Disclosure;
use crate::policy::risks::{Kind, Risk};
use crate::rewrite::Hit;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a message is released.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// A copy of one's own for each.
    #[default]
    Split,
    /// One text for all, nobody named.
    Bcc,
    /// As the sender wrote it: everybody sees everybody.
    AsIs,
}

impl How {
    /// What it means for who sees whom.
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

/// How a release is wished for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// How.
    pub how: How,
    /// Recipients taken off, out of To and Cc too.
    #[serde(default)]
    pub drop: Vec<Address>,
    /// Places where the audit found hidden addresses, named by whoever releases it as it is all the
    /// same. On the command line the release itself acknowledges them.
    #[serde(default)]
    pub acknowledge: Vec<String>,
    /// Remember those who see each other through it as a circle: its name, and how many seconds it lasts.
    #[serde(default)]
    pub circle: Option<(String, u64)>,
    /// The risks that a person ticked who decides on a page or by a link ([`Risk::key`]): each that this way
    /// does not cure has to be there, and the release can be undone for a moment. `None` where a program
    /// decides: nothing is asked of it, and nothing waits.
    #[serde(default)]
    pub ticked: Option<Vec<String>>,
}

impl Wish {
    /// The risks that are left when it is sent in this way, of those a person has to tick. As it is, that
    /// all see all is what is asked for, and places inside the mail are acknowledged by themselves.
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

/// What a release did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// Which message.
    pub id: Id,
    /// How.
    pub how: How,
    /// How many copies leave.
    pub copies: usize,
    /// To whom.
    pub recipients: Vec<String>,
    /// Who was taken off.
    pub dropped: Vec<String>,
    /// Who had it already, before the second lock stopped the rest.
    pub had_it_already: Vec<String>,
    /// Places with hidden addresses that were acknowledged.
    pub acknowledged: Vec<Hit>,
    /// Outside people who see each other through it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub together: Vec<Address>,
}
