//! The recipients of a message on its page: first those at look-alike domains, then strangers; outsiders
//! before our own. Each with the name in the header, their organisation, and the sender's relation to them.

use super::super::words::{Words, calm};
use crate::desk::dossier::Dossier;
use crate::message::Address;
use crate::policy::known::{RecipientHistory, Relation};
use std::collections::{HashMap, HashSet};

/// Longest address or name shown, in characters.
pub(super) const LONGEST: usize = 200;
/// Up to this many recipients are all shown; of more, those who are neither dangerous nor new are folded.
const ALL_SHOWN: usize = 40;

/// The recipients of a message.
pub(super) struct People {
    /// The number of recipients and organisations, in words.
    pub(super) summary: Vec<String>,
    /// Recipients shown at once.
    pub(super) open: Vec<Person>,
    /// Recipients shown after unfolding.
    pub(super) folded: Vec<Person>,
}

/// One recipient.
pub(super) struct Person {
    /// The name in the header; empty if it has none.
    pub(super) name: String,
    /// The address.
    pub(super) address: String,
    /// Their organisation, a domain; empty for our own, and at domains that strangers share.
    pub(super) organisation: String,
    /// Whether they are one of our own.
    pub(super) ours: bool,
    /// Whether they are at a free-mail or internet provider, where every mailbox is a separate person.
    pub(super) provider: bool,
    /// Whether they are in neither To nor Cc.
    pub(super) hidden: bool,
    /// The sender's relation to them, in words; empty for our own.
    pub(super) stand: String,
    /// The CSS class: `new`, `danger`, or empty.
    pub(super) class: &'static str,
}

impl Person {
    /// The sort order.
    fn rank(&self) -> usize {
        match self.class {
            "danger" => 0,
            "new" => 1,
            _ if self.ours => 3,
            _ => 2,
        }
    }
}

/// All recipients of a message.
pub(super) fn people(t: &Words, dossier: &Dossier, known: &RecipientHistory) -> People {
    let facts = dossier.seen.as_ref().ok().map(|seen| &seen.facts);
    let hidden: HashSet<&Address> = facts.iter().flat_map(|facts| &facts.envelope_only).collect();
    let visible = facts.iter().flat_map(|facts| &facts.visible);
    let names: HashMap<&str, &str> =
        visible.filter_map(|one| Some((one.mailbox.address.key(), one.mailbox.name.as_deref()?))).collect();
    let one = |address: &Address| {
        let ours = dossier.is_internal(address);
        let (organisation, shared) = dossier.organisation_of(address);
        let (stand, class) = if ours { (String::new(), "") } else { stand(t, known.of(address)) };
        let name = names.get(address.key()).map(|name| calm(name, LONGEST)).unwrap_or_default();
        Person {
            // many mail programs repeat the address as the name
            name: if name == address.as_str() { String::new() } else { name },
            address: calm(address.as_str(), LONGEST),
            organisation: if ours || shared { String::new() } else { calm(&organisation, LONGEST) },
            ours,
            provider: !ours && shared,
            hidden: hidden.contains(address),
            stand,
            class,
        }
    };
    let mut all: Vec<Person> =
        dossier.message.envelope.recipients.iter().map(|to| one(&to.address)).collect();
    let summary = summary(t, dossier, &all);
    all.sort_by(|one, other| {
        let key = |person: &Person| (person.rank(), person.organisation.is_empty());
        key(one).cmp(&key(other)).then_with(|| one.organisation.cmp(&other.organisation))
    });
    let folded = if all.len() > ALL_SHOWN { all.split_off(shown_of_many(&all)) } else { Vec::new() };
    People { summary, open: all, folded }
}

/// How many recipients of a long list are shown at once: all who are dangerous, and new ones up to [`ALL_SHOWN`].
fn shown_of_many(sorted: &[Person]) -> usize {
    let dangerous = sorted.iter().filter(|person| person.class == "danger").count();
    let new = sorted.iter().filter(|person| person.class == "new").count();
    dangerous.max((dangerous + new).min(ALL_SHOWN))
}

/// The number of recipients in words. It names the visible outsiders and their organisations, because rules
/// and the headline use these numbers.
fn summary(t: &Words, dossier: &Dossier, all: &[Person]) -> Vec<String> {
    let (outside, organisations) = dossier
        .seen
        .as_ref()
        .map_or((0, 0), |seen| (seen.facts.external_addresses.len(), seen.facts.external_organisations));
    let count = |wanted: &dyn Fn(&Person) -> bool| all.iter().filter(|person| wanted(person)).count();
    let parts = [
        ("desk-sum-outside", outside),
        ("desk-sum-ours", count(&|person| person.ours)),
        ("desk-sum-hidden", count(&|person| person.hidden)),
        ("desk-sum-danger", count(&|person| person.class == "danger")),
        ("desk-sum-new", count(&|person| person.class == "new")),
    ];
    let part = |(key, count): (&'static str, usize)| {
        (count > 0).then(|| {
            let organisations = t.p("desk-organisations").n("count", organisations);
            t.p(key).n("count", count).s("organisations", organisations).to_string()
        })
    };
    parts.into_iter().filter_map(part).collect()
}

fn stand(t: &Words, acquaintance: Relation<'_>) -> (String, &'static str) {
    match acquaintance {
        Relation::LookAlike(domain) => {
            (t.p("desk-stand-look-alike").s("domain", calm(domain, LONGEST)).to_string(), "danger")
        }
        Relation::Stranger { list: true } => (t.p("desk-stand-new-list").to_string(), "new"),
        Relation::Stranger { list: false } => (t.p("desk-stand-new").to_string(), "new"),
        Relation::Written { last, list } => {
            let ago = t.ago(&last);
            let key = if list { "desk-stand-written-list" } else { "desk-stand-written" };
            (t.p(key).s("ago", ago).to_string(), "")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(class: &'static str) -> Person {
        Person {
            name: String::new(),
            address: String::new(),
            organisation: String::new(),
            ours: false,
            provider: false,
            hidden: false,
            stand: String::new(),
            class,
        }
    }

    #[test]
    fn of_many_the_dangerous_are_all_shown_and_the_new_to_a_bound() {
        for (danger, new, others, shown) in
            [(1, 0, 99, 1), (1, 11, 99, 12), (50, 3, 99, 50), (2, 498, 0, 40), (0, 0, 99, 0), (3, 37, 1, 40)]
        {
            let all = [("danger", danger), ("new", new), ("", others)];
            let all: Vec<Person> =
                all.into_iter().flat_map(|(class, count)| (0..count).map(move |_| person(class))).collect();
            assert_eq!(shown_of_many(&all), shown, "{danger} {new} {others}");
        }
    }
}
