//! The sender's relation to each recipient: written to before, a stranger, or at a domain that looks like one
//! the sender knows.

use super::organisation::is_shared;
use super::risks::{Kind, Risk};
use crate::clock::Timestamp;
use crate::message::Address;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Most known domains that others are compared with.
pub const MOST_DOMAINS: usize = 5_000;
/// Shortest domain for which a difference of one letter is suspicious.
const SHORTEST: usize = 7;

/// Registries that verify who may have a domain. Nobody can register a look-alike there, and `go.jp` is not a
/// mistake for `co.jp`.
const CHECKED: [&str; 4] = [".ac.jp", ".ed.jp", ".go.jp", ".lg.jp"];

/// The sender's relation to one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation<'a> {
    /// Never written to, as far as the record goes back.
    Stranger {
        /// Whether the address looks like a mailing list, with more people behind it.
        list: bool,
    },
    /// Written to before.
    Written {
        /// When a mail last reached them.
        last: Timestamp,
        /// Whether the address looks like a mailing list.
        list: bool,
    },
    /// Never written to, and the domain looks like this one, which the sender knows.
    LookAlike(&'a str),
}

/// The sender's relation to the recipients of one message.
#[derive(Clone, Debug, Default)]
pub struct RecipientHistory {
    /// When each recipient was last written to, by comparison key.
    last: HashMap<String, Timestamp>,
    /// Domains that look like known ones, each with the known domain.
    alike: HashMap<String, String>,
}

impl RecipientHistory {
    /// Combines when each recipient was last written to with the domains that the sender knows.
    pub fn new(recipients: &[Address], last: HashMap<String, Timestamp>, domains: &[String]) -> Self {
        let known: HashSet<&str> = domains.iter().map(String::as_str).collect();
        let index = Alike::new(domains);
        let mut alike = HashMap::new();
        let mut looked = HashSet::new();
        for recipient in recipients {
            let domain = recipient.domain_key();
            if known.contains(domain) || is_shared(domain) || !looked.insert(domain) {
                continue;
            }
            if let Some(original) = index.taken_for(domain) {
                alike.insert(domain.to_owned(), original.to_owned());
            }
        }
        Self { last, alike }
    }

    /// The relation to one recipient.
    pub fn of(&self, recipient: &Address) -> Relation<'_> {
        let list = looks_like_a_list(recipient);
        match (self.last.get(recipient.key()), self.alike.get(recipient.domain_key())) {
            (Some(&moment), _) => Relation::Written { last: moment, list },
            (None, Some(original)) => Relation::LookAlike(original),
            (None, None) => Relation::Stranger { list },
        }
    }
}

impl RecipientHistory {
    /// The recipients at look-alike domains, as risks.
    pub fn look_alikes(&self, recipients: &[Address]) -> Vec<Risk> {
        let mut by_domain: BTreeMap<&str, Vec<&Address>> = BTreeMap::new();
        for recipient in recipients {
            if let Relation::LookAlike(original) = self.of(recipient) {
                by_domain.entry(original).or_default().push(recipient);
            }
        }
        by_domain.into_iter().map(|(original, people)| Risk::look_alike(&people, original)).collect()
    }

    /// When each recipient was last written to, for the journal.
    pub fn stood(&self) -> Vec<(String, Timestamp)> {
        let mut all: Vec<_> = self.last.iter().map(|(key, at)| (key.clone(), *at)).collect();
        all.sort();
        all
    }

    /// Restored from the journal entry of a decision, and the domains that its risks name.
    pub fn then(stood: &[(String, Timestamp)], risks: &[Risk]) -> Self {
        let alike = risks.iter().filter(|risk| risk.kind == Kind::LookAlike).flat_map(|risk| {
            let domains = risk.about.iter().filter_map(|text| Address::parse(text).ok());
            domains.map(|address| (address.domain_key().to_owned(), risk.place.clone()))
        });
        Self { last: stood.iter().cloned().collect(), alike: alike.collect() }
    }
}

/// Whether an address looks like a mailing list, by names that lists commonly have.
fn looks_like_a_list(address: &Address) -> bool {
    let (local, domain) = (address.local_key(), address.domain_key());
    let words = || local.split(['-', '_', '.', '+']);
    words().any(|word| {
        matches!(word, "ml" | "list" | "lists" | "all" | "members" | "everyone" | "group" | "zenin")
    }) || ["lists.", "list.", "ml.", "groups."].iter().any(|prefix| domain.starts_with(prefix))
        || matches!(domain, "googlegroups.com" | "groups.io" | "freeml.com")
}

/// Known domains, indexed for look-alikes.
struct Alike<'a> {
    /// By their skeleton, in which characters that look alike are the same.
    skeletons: HashMap<String, &'a str>,
    /// By each form with one letter removed. Two words share such a form if one letter differs or is missing,
    /// or two neighbours are swapped.
    without_one: HashMap<String, Vec<&'a str>>,
}

impl<'a> Alike<'a> {
    fn new(domains: &'a [String]) -> Self {
        let mut alike = Self { skeletons: HashMap::new(), without_one: HashMap::new() };
        for domain in domains.iter().filter(|domain| !is_shared(domain)).take(MOST_DOMAINS) {
            alike.skeletons.entry(skeleton(domain)).or_insert(domain);
            if domain.chars().count() >= SHORTEST {
                for part in without_one(domain) {
                    alike.without_one.entry(part).or_default().push(domain);
                }
            }
        }
        alike
    }

    /// The known domain that an unknown one looks like.
    fn taken_for(&self, domain: &str) -> Option<&'a str> {
        if CHECKED.iter().any(|suffix| domain.ends_with(suffix)) {
            return None;
        }
        if let Some(known) = self.skeletons.get(&skeleton(domain)) {
            return Some(known);
        }
        if domain.chars().count() < SHORTEST {
            return None;
        }
        let near = |known: &&&str| strsim::osa_distance(known, domain) == 1;
        without_one(domain).find_map(|part| self.without_one.get(&part)?.iter().find(near).copied())
    }
}

/// The word itself, and the word without each of its letters.
fn without_one(word: &str) -> impl Iterator<Item = String> + '_ {
    let letters: Vec<char> = word.chars().take(255).collect();
    let count = letters.len();
    std::iter::once(word.to_owned()).chain((0..count).map(move |gap| {
        letters.iter().enumerate().filter(|(index, _)| *index != gap).map(|(_, letter)| *letter).collect()
    }))
}

/// The skeleton of a domain: characters that look alike become the same (digits for letters, pairs for single
/// letters, letters of other alphabets). An xn-- domain is decoded first.
fn skeleton(domain: &str) -> String {
    let (shown, _) = idna::domain_to_unicode(domain);
    let single: String = shown
        .chars()
        .filter(|c| *c != '-')
        .map(|c| match c {
            '0' | 'о' | 'ο' | 'օ' | '〇' | 'ö' | 'ó' | 'ò' | 'ô' => 'o',
            '1' | 'l' | 'і' | 'ι' | 'ı' | 'í' | 'ì' | 'ӏ' | '|' => 'i',
            '5' | 'ѕ' => 's',
            'а' | 'α' | 'á' | 'à' | 'ä' | 'â' => 'a',
            '3' | 'з' | 'е' | 'ε' | 'é' | 'è' | 'ê' | 'ë' => 'e',
            'р' | 'ρ' => 'p',
            'с' | 'ç' | 'ϲ' => 'c',
            'у' | 'γ' | 'ý' => 'y',
            'х' | 'χ' => 'x',
            'ո' | 'ñ' | 'п' => 'n',
            'ԁ' => 'd',
            'ɡ' | 'ց' => 'g',
            'һ' => 'h',
            'ј' => 'j',
            'к' | 'κ' => 'k',
            'м' => 'm',
            'т' | 'τ' => 't',
            'в' | 'ß' => 'b',
            'ν' => 'v',
            'ѡ' | 'ω' => 'w',
            'ü' | 'ú' | 'ù' | 'û' | 'υ' => 'u',
            other => other,
        })
        .collect();
    single.replace("rn", "m").replace("vv", "w").replace("cl", "d").replace("ci", "d")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn what_is_taken_for_what() {
        let known: Vec<String> =
            ["tanaka-shoji.co.jp", "example.co.jp", "modern.example", "abc.jp"].map(str::to_owned).to_vec();
        let alike = Alike::new(&known);
        for (domain, expected) in [
            ("tanaka-shoii.co.jp", Some("tanaka-shoji.co.jp")),
            ("tanakashoji.co.jp", Some("tanaka-shoji.co.jp")),
            ("examp1e.co.jp", Some("example.co.jp")),
            ("exampel.co.jp", Some("example.co.jp")),
            ("examplle.co.jp", Some("example.co.jp")),
            ("modem.example", Some("modern.example")),
            ("xn--exmple-4nf.co.jp", Some("example.co.jp")),
            ("yamada-kensetsu.jp", None),
            ("example.go.jp", None),
            ("abd.jp", None),
            ("sample.ne.jp", None),
        ] {
            assert_eq!(alike.taken_for(domain), expected, "{domain}");
        }
    }

    #[test]
    fn strangers_acquaintances_and_look_alikes() {
        let people =
            ["a@tanaka.example", "b@tanaca.example", "c@new.example", "ml-all@lists.example", "d@gmail.com"];
        let people = people.map(address);
        let last = HashMap::from([(people[0].key().to_owned(), Timestamp(5))]);
        let known =
            RecipientHistory::new(&people, last, &["tanaka.example".to_owned(), "gmai1.com".to_owned()]);
        assert_eq!(known.of(&people[0]), Relation::Written { last: Timestamp(5), list: false });
        assert_eq!(known.of(&people[1]), Relation::LookAlike("tanaka.example"));
        assert_eq!(known.of(&people[2]), Relation::Stranger { list: false });
        assert_eq!(known.of(&people[3]), Relation::Stranger { list: true });
        assert_eq!(known.of(&people[4]), Relation::Stranger { list: false });
    }
}
