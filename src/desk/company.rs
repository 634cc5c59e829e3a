//! Who of a message's outsiders knows whom, since when; and a circle that is offered for people who are let see
//! each other again and again.

use super::dossier::Dossier;
use super::principal::Principal;
use super::{Desk, DeskError, circles};
use crate::clock::Day;
use crate::message::Address;
use crate::policy::organisation::counting_key;
use crate::policy::rules;
use crate::store::learned::MOST_PAIRED;
use std::collections::HashSet;

/// After so many releases of just these people a circle is offered.
const RELEASES: usize = 3;

/// How the outsiders of one message stand to each other.
#[derive(Clone, Debug, Default)]
pub struct Company {
    /// In one sentence, English and Japanese; nothing for fewer than two outsiders.
    pub sentence: Option<(String, String)>,
    /// Each of them; nobody where they are too many.
    pub people: Vec<Companion>,
    /// A circle is offered: they were let see each other so often, and are in none.
    pub releases: Option<usize>,
    /// For these.
    pub outsiders: Vec<Address>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Companion {
    /// Who.
    pub address: Address,
    /// How many of the others a mail showed to them, and them to it.
    pub knows: usize,
    /// How many others there are.
    pub others: usize,
    /// The first day of such a mail.
    pub since: Option<Day>,
}

impl Desk {
    /// Who knows whom in a message, for those who decide on such things and for auditors: others have
    /// nothing to learn about who wrote with whom.
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

    /// How often these were let see each other, where that is often enough and no circle holds them all.
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

/// The outsiders whom everybody sees: those whom a release as it is lets see each other.
fn together(dossier: &Dossier) -> Vec<Address> {
    let facts = dossier.seen.iter().map(|seen| &seen.facts);
    let outside = facts.flat_map(|facts| &facts.visible).filter(|shown| !shown.internal);
    outside.map(|shown| shown.mailbox.address.clone()).collect()
}
