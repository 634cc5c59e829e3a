//! Earlier contact between the outsiders of a message; and the suggestion of a circle for people who are
//! released openly again and again.

use super::dossier::Dossier;
use super::principal::Principal;
use super::{Desk, DeskError, circles};
use crate::clock::Day;
use crate::message::Address;
use crate::policy::organisation::counting_key;
use crate::policy::rules;
use crate::store::learned::MOST_PAIRED;
use std::collections::HashSet;

/// Number of open releases to the same people after which a circle is suggested.
const RELEASES: usize = 3;

/// What is known of earlier contact between the outsiders of one message.
#[derive(Clone, Debug, Default)]
pub struct Company {
    /// A sentence in English and Japanese; `None` for fewer than two outsiders.
    pub sentence: Option<(String, String)>,
    /// The outsiders one by one; empty if there are too many.
    pub people: Vec<Companion>,
    /// The number of open releases to these people, if a circle is suggested.
    pub releases: Option<usize>,
    /// The people of the suggested circle.
    pub outsiders: Vec<Address>,
}

/// One of the outsiders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Companion {
    /// Their address.
    pub address: Address,
    /// How many of the others were shown to them by an earlier mail.
    pub knows: usize,
    /// The number of others.
    pub others: usize,
    /// The day of the first such mail.
    pub since: Option<Day>,
}

impl Desk {
    /// Earlier contact between the outsiders of a message. Only for approvers and auditors, because it says
    /// who wrote with whom.
    ///
    /// # Errors
    /// The store failed.
    pub async fn company(&self, who: &Principal, dossier: &Dossier) -> Result<Company, DeskError> {
        let Ok(seen) = &dossier.seen else { return Ok(Company::default()) };
        if !circles::makes(who) && !who.roles.auditor {
            return Ok(Company::default());
        }
        let people = &seen.facts.concerned;
        if people.len() < 2 {
            return Ok(Company::default());
        }
        let pairs = self.store.pairs(people).await?;
        let others = people.len() - 1;
        let companion = |(index, address): (usize, &Address)| {
            let theirs = || pairs.iter().filter(move |pair| pair.one == index || pair.other == index);
            let since = theirs().map(|pair| pair.since).min();
            Companion { address: address.clone(), knows: theirs().count(), others, since }
        };
        let few = if people.len() <= MOST_PAIRED { people.as_slice() } else { &[] };
        let outsiders: Vec<Address> = together(dossier);
        Ok(Company {
            sentence: Some(rules::acquaintance(&seen.facts)),
            people: few.iter().enumerate().map(companion).collect(),
            releases: if circles::makes(who) { self.offered(&outsiders).await? } else { None },
            outsiders,
        })
    }

    /// The number of open releases to these people, if it is high enough and no circle contains them all.
    async fn offered(&self, outsiders: &[Address]) -> Result<Option<usize>, DeskError> {
        let releases = self.store.times_let_together(outsiders).await?;
        if outsiders.len() < 2 || releases < RELEASES {
            return Ok(None);
        }
        let circles = self.store.circles_in_force(self.now()).await?;
        let within = circles.iter().any(|circle| {
            let members: HashSet<String> = circle.members.iter().map(counting_key).collect();
            outsiders.iter().all(|one| members.contains(&counting_key(one)))
        });
        Ok((!within).then_some(releases))
    }
}

/// The outsiders whom a release as is would show to each other.
fn together(dossier: &Dossier) -> Vec<Address> {
    let facts = dossier.seen.iter().map(|seen| &seen.facts);
    let outside = facts.flat_map(|facts| &facts.visible).filter(|shown| !shown.internal);
    outside.map(|shown| shown.mailbox.address.clone()).collect()
}
