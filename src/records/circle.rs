//! Circles: people who may see each other by an approver's word.

use crate::clock::Timestamp;
use crate::message::Address;
use crate::policy::facts::KnownCircle;
use serde::{Deserialize, Serialize};

/// A circle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circle {
    /// Its number.
    pub id: i64,
    /// What people call it.
    pub name: String,
    /// Who is in it.
    pub members: Vec<Address>,
    /// When it is no more.
    pub expires: Timestamp,
    /// Who made it.
    pub made_by: String,
    /// When.
    pub made_at: Timestamp,
    /// The maker's addresses: their own mail it does not exempt.
    #[serde(default, skip_serializing)]
    pub makers: Vec<Address>,
    /// Who ended it before its time.
    pub ended_by: Option<String>,
    /// When.
    pub ended_at: Option<Timestamp>,
}

impl Circle {
    /// What the policy asks of it.
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
    /// What people call it.
    pub name: String,
    /// Who is in it.
    pub members: Vec<Address>,
    /// When it is no more.
    pub expires: Timestamp,
    /// Who makes it.
    pub by: String,
    /// The maker's addresses.
    pub makers: Vec<Address>,
    /// When.
    pub at: Timestamp,
}
