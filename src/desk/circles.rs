//! Circles: an approver allows people to see each other, until a given day.

use super::principal::{Principal, Via};
use super::{Desk, DeskError};
use crate::message::Address;
use crate::store::StoreError;
use crate::store::circles::{Circle, CircleId, NewCircle};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::time::Duration;

/// How long a circle lasts by default.
pub const LASTS: Duration = Duration::from_hours(24 * 90);
/// The longest time that a circle can last.
const LONGEST: Duration = Duration::from_hours(24 * 731);
/// Most members of one circle.
const MOST: usize = 1_000;
/// Longest name, in characters.
const LONGEST_NAME: usize = 200;

/// A circle to be created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CircleWish {
    /// Display name.
    pub name: String,
    /// Members.
    pub members: Vec<Address>,
    /// How long it lasts, in seconds.
    pub seconds: u64,
}

impl CircleWish {
    /// Checks the limits and removes duplicates.
    fn sound(mut self) -> Result<Self, DeskError> {
        self.name = String::from(self.name.trim());
        let mut seen = HashSet::new();
        self.members.retain(|member| seen.insert(member.key().to_owned()));
        lasting(&self.name, self.seconds)?;
        if self.members.len() < 2 || self.members.len() > MOST {
            let why = format!("a circle must have 2 to {MOST} members, not {}", self.members.len());
            return Err(DeskError::NoCircle(why));
        }
        Ok(self)
    }
}

/// Checks the name and the duration of a circle.
fn lasting(name: &str, seconds: u64) -> Result<(), DeskError> {
    let refused = |why: String| Err(DeskError::NoCircle(why));
    let name = name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME {
        return refused(format!("a circle must have a name of at most {LONGEST_NAME} characters"));
    }
    if seconds == 0 || seconds > LONGEST.as_secs() {
        return refused("a circle must last for at least a second and at most two years".to_owned());
    }
    Ok(())
}

/// Checks whether a release may create a circle with this name and duration. The members are known only after
/// the release, so everything else is checked before.
pub(super) fn may_remember(who: &Principal, name: &str, seconds: u64) -> Result<(), DeskError> {
    if !makes(who) {
        return Err(DeskError::NotAllowed(format!("{} may not create circles", who.name)));
    }
    lasting(name, seconds)
}

/// Whether a person may create circles.
pub fn makes(who: &Principal) -> bool {
    (who.roles.admin || who.roles.approver) && who.via != Via::Link
}

impl Desk {
    /// All circles, newest first; for those who may create circles and for auditors.
    ///
    /// # Errors
    /// The person may not see circles, or the store failed.
    pub async fn circles(&self, who: &Principal) -> Result<Vec<Circle>, DeskError> {
        if !makes(who) && !who.roles.auditor {
            return Err(DeskError::NotAllowed(format!("{} may not see circles", who.name)));
        }
        Ok(self.store.circles().await?)
    }

    /// One circle.
    ///
    /// # Errors
    /// There is no such circle, the person may not see circles, or the store failed.
    pub async fn circle(&self, who: &Principal, id: CircleId) -> Result<Circle, DeskError> {
        let found = self.circles(who).await?.into_iter().find(|circle| circle.id == id);
        found.ok_or_else(|| StoreError::NotFound(format!("circle {id}")).into())
    }

    /// Creates a circle and returns its id.
    ///
    /// # Errors
    /// The person may not create circles, the circle exceeds a limit, or the store failed.
    pub async fn make_circle(&self, who: &Principal, wish: CircleWish) -> Result<CircleId, DeskError> {
        if !makes(who) {
            return Err(DeskError::NotAllowed(format!("{} may not create circles", who.name)));
        }
        let wish = wish.sound()?;
        let now = self.now();
        let id = self
            .store
            .make_circle(NewCircle {
                name: wish.name,
                members: wish.members,
                expires: now.plus(Duration::from_secs(wish.seconds)),
                by: who.name.clone(),
                makers: who.addresses.clone(),
                at: now,
            })
            .await?;
        tracing::info!(circle = %id, by = %who.name, "a circle was created");
        Ok(id)
    }

    /// Ends a circle early.
    ///
    /// # Errors
    /// There is no such circle, the person may not end it, or the store failed.
    pub async fn end_circle(&self, who: &Principal, id: CircleId) -> Result<(), DeskError> {
        if !makes(who) {
            return Err(DeskError::NotAllowed(format!("{} may not end circles", who.name)));
        }
        self.store.end_circle(id, &who.name, self.now()).await?;
        tracing::info!(circle = %id, by = %who.name, "a circle was ended");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(name: &str, members: &[&str], seconds: u64) -> Option<CircleWish> {
        let members = members.iter().map(|text| Address::parse(text).unwrap()).collect();
        CircleWish { name: name.to_owned(), members, seconds }.sound().ok()
    }

    #[test]
    fn what_makes_no_circle() {
        let good = wish(" Board ", &["a@x.example", "A@X.example", "b@y.example"], 60).unwrap();
        assert_eq!((good.name.as_str(), good.members.len()), ("Board", 2));
        for bad in [
            wish("", &["a@x.example", "b@y.example"], 60),
            wish(&"x".repeat(201), &["a@x.example", "b@y.example"], 60),
            wish("x", &["a@x.example", "A@x.example"], 60),
            wish("x", &["a@x.example", "b@y.example"], 0),
            wish("x", &["a@x.example", "b@y.example"], 3 * 366 * 86_400),
        ] {
            assert_eq!(bad, None);
        }
    }
}
