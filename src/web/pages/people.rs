//! The recipients of a message as its page shows them: by organisation, outsiders first, each with how
//! they stand to the sender.

use super::super::words::{Words, calm};
use crate::desk::dossier::Dossier;
use crate::desk::known::{Acquaintance, Known};
use crate::message::Address;
use std::collections::{BTreeMap, HashSet};

/// Most characters of an address or a name.
pub(super) const LONGEST: usize = 200;

/// Recipients of one organisation.
pub(super) struct Organisation {
    /// Its name: a domain; empty for ours.
    pub name: String,
    /// It is ours.
    pub ours: bool,
    /// A free-mail or internet provider: each mailbox there is a person of their own.
    pub provider: bool,
    /// Who.
    pub people: Vec<Person>,
}

/// One recipient.
pub(super) struct Person {
    /// The address.
    pub address: String,
    /// In nobody's To or Cc.
    pub hidden: bool,
    /// How they stand to the sender, in words; nothing is said of our own.
    pub stand: String,
    /// `new`, `danger`, or nothing.
    pub class: &'static str,
}

/// All recipients: organisations with most people first, ours last.
pub(super) fn organisations(t: &Words, dossier: &Dossier, known: &Known) -> Vec<Organisation> {
    let hidden: HashSet<&Address> = dossier.seen.iter().flat_map(|seen| &seen.facts.envelope_only).collect();
    let mut groups: BTreeMap<(bool, String), Organisation> = BTreeMap::new();
    for recipient in &dossier.message.envelope.recipients {
        let address = &recipient.address;
        let ours = dossier.is_internal(address);
        let (organisation, shared) = dossier.organisation_of(address);
        let provider = !ours && shared;
        let name = match (ours, provider) {
            (true, _) => String::new(),
            (_, true) => address.domain_key().to_owned(),
            _ => organisation,
        };
        let (stand, class) = if ours { (String::new(), "") } else { stand(t, known.of(address)) };
        let person = Person {
            address: calm(address.as_str(), LONGEST),
            hidden: hidden.contains(address),
            stand,
            class,
        };
        let group = groups.entry((ours, name.clone())).or_insert_with(|| Organisation {
            name: calm(&name, LONGEST),
            ours,
            provider,
            people: Vec::new(),
        });
        group.people.push(person);
    }
    let mut all: Vec<Organisation> = groups.into_values().collect();
    all.sort_by_key(|group| {
        let danger = group.people.iter().any(|person| person.class == "danger");
        (group.ours, !danger, std::cmp::Reverse(group.people.len()))
    });
    all
}

fn stand(t: &Words, acquaintance: Acquaintance<'_>) -> (String, &'static str) {
    match acquaintance {
        Acquaintance::LookAlike(domain) => {
            (t.p("desk-stand-look-alike").s("domain", calm(domain, LONGEST)).to_string(), "danger")
        }
        Acquaintance::Stranger { list: true } => (t.p("desk-stand-new-list").to_string(), "new"),
        Acquaintance::Stranger { list: false } => (t.p("desk-stand-new").to_string(), "new"),
        Acquaintance::Written { last, list } => {
            let ago = t.ago(&last);
            let key = if list { "desk-stand-written-list" } else { "desk-stand-written" };
            (t.p(key).s("ago", ago).to_string(), "")
        }
    }
}
