//! Circles: people who may see each other because an approver allowed it.

use super::CircleId;
use crate::clock::Timestamp;
use crate::message::Address;
use crate::policy::facts::KnownCircle;
use serde::{Deserialize, Serialize};

/// A circle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circle {
    /// Its number.
    pub id: CircleId,
    /// Display name.
    pub name: String,
    /// Members.
    pub members: Vec<Address>,
    /// When it ends.
    pub expires: Timestamp,
    /// Who made it.
    pub made_by: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// The maker's addresses: a circle does not exempt its maker's own mail.
    #[serde(default, skip_serializing)]
    pub makers: Vec<Address>,
    /// Who ended it early.
    pub ended_by: Option<String>,
    /// When it was ended early.
    pub ended_at: Option<Timestamp>,
}

impl Circle {
    /// The part that the policy needs.
    pub fn known(&self) -> KnownCircle {
        let (members, made_by, makers) = (self.members.clone(), self.made_by.clone(), self.makers.clone());
        KnownCircle { members, made_by, makers }
    }

    /// Whether it is in force.
    pub fn in_force(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.expires
    }
}

/// A circle to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCircle {
    /// Display name.
    pub name: String,
    /// Members.
    pub members: Vec<Address>,
    /// When it ends.
    pub expires: Timestamp,
    /// Who makes it.
    pub by: String,
    /// The maker's addresses.
    pub makers: Vec<Address>,
    /// When it is made.
    pub at: Timestamp,
}
