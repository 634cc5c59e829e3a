//! Who openly wrote with whom: what one mail teaches, and what is known of people who were shown to each
//! other.
//!
//! Only what a header shows to everybody counts (From, To, Cc), only of mail that somebody of ours was on,
//! and never what one of ours merely wrote: whether such a mail left is the relay's own to know.

use super::Organisation;
use super::facts::{Facts, Preface, ShownIn};
use super::organisation::counting_key;
use crate::clock::{Day, Timestamp};
use crate::message::{Address, Envelope, Header};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::time::Duration;

/// A mail that showed more outsiders than this is a mailing, and nobody's acquaintance.
pub const MOST_PEOPLE: usize = 500;

/// Mail of our own people that showed more outsiders than this, before the relay was there, may have been the
/// very accident that it is there for: it is nobody's word that these people know each other.
pub const MOST_OF_OURS: usize = 9;

/// So long before the relay was there is what a Date of ours must be from: clocks are wrong, and a Date has no
/// parts of a second.
const CLOCKS: Duration = Duration::from_hours(24);

/// Where a mail was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A mail host sent a copy of it to the journal.
    Journal,
    /// An archive that was read.
    Archive,
    /// The relay delivered it as it was written.
    Sent,
}

/// What one mail teaches: these outsiders saw each other on that day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learned {
    message_id: Option<String>,
    date: Timestamp,
    from: Option<Address>,
    people: Vec<Address>,
    source: Source,
}

/// Why a mail teaches nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untaught {
    /// Who is shown cannot be told for certain.
    #[error("its header cannot be read for certain: {0}")]
    Unreadable(String),
    /// It shows no two outsiders.
    #[error("it shows fewer than two outsiders")]
    FewOutsiders,
    /// Nobody of ours stands in From, To or Cc: it is not for our people to build on.
    #[error("nobody of this organisation stands in From, To or Cc")]
    NobodyOfOurs,
    /// One of ours wrote it after the relay was there to know whether it left.
    #[error("one of this organisation wrote it, and only what the relay delivers of that counts")]
    OwnMail,
    /// It is a mailing.
    #[error(
        "it shows {0} outsiders, more than a conversation has ({MOST_PEOPLE}; {MOST_OF_OURS} where one of ours wrote it)"
    )]
    TooMany(usize),
}

/// Since when copies of our own people's mail prove nothing; see [`Learned::read`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Began(pub Timestamp);

impl Learned {
    /// What a mail with this header teaches. `date` is when it was written or received; `began` is since
    /// when the relay keeps account of what leaves.
    ///
    /// A copy of our own people's mail shows what they wrote, which may be held, taken back or refused: it
    /// counts only from an archive, from a day before the relay was there, and with a few people.
    pub fn read(
        organisation: &Organisation,
        header: &Header,
        date: Timestamp,
        source: Source,
        began: Began,
    ) -> Result<Self, Untaught> {
        let nobody = Envelope {
            sender: None,
            recipients: Vec::new(),
            smtputf8: false,
            eight_bit: false,
            ret: None,
            envid: None,
        };
        let preface = Preface::read(organisation, &nobody, Ok(header));
        let facts = preface.facts();
        if let Some(problem) = facts.problems.first() {
            return Err(Untaught::Unreadable(problem.clone()));
        }
        let [from] = facts.from.as_slice() else {
            return Err(Untaught::Unreadable(format!("From names {} mailboxes", facts.from.len())));
        };
        let ours = organisation.is_internal(&from.address);
        let shown = || facts.visible.iter().filter(|one| matches!(one.field, ShownIn::To | ShownIn::Cc));
        if !ours && !shown().any(|one| one.internal) {
            return Err(Untaught::NobodyOfOurs);
        }
        let outsiders = shown().filter(|one| !one.internal).map(|one| one.mailbox.address.clone());
        let author = (!ours).then(|| from.address.clone());
        let learned =
            Self::together(facts.message_id.clone(), date, author.into_iter().chain(outsiders), source)?;
        if ours && (source != Source::Archive || date >= began.0.minus(CLOCKS)) {
            return Err(Untaught::OwnMail);
        }
        if ours && learned.people.len() > MOST_OF_OURS {
            return Err(Untaught::TooMany(learned.people.len()));
        }
        Ok(Self { from: Some(from.address.clone()), ..learned })
    }

    /// These outsiders saw each other.
    pub fn together(
        message_id: Option<String>,
        date: Timestamp,
        people: impl IntoIterator<Item = Address>,
        source: Source,
    ) -> Result<Self, Untaught> {
        let mut seen = HashSet::new();
        let people: Vec<Address> = people.into_iter().filter(|one| seen.insert(counting_key(one))).collect();
        match people.len() {
            0 | 1 => Err(Untaught::FewOutsiders),
            many if many > MOST_PEOPLE => Err(Untaught::TooMany(many)),
            _ => Ok(Self { message_id, date, from: None, people, source }),
        }
    }

    /// The Message-ID, without angle brackets.
    pub fn message_id(&self) -> Option<&str> {
        self.message_id.as_deref()
    }

    /// When it was written or received.
    pub fn date(&self) -> Timestamp {
        self.date
    }

    /// Who wrote it, where it was read from a header.
    pub fn from(&self) -> Option<&Address> {
        self.from.as_ref()
    }

    /// The outsiders whom it showed to each other, each mailbox once.
    pub fn people(&self) -> &[Address] {
        &self.people
    }

    /// Where it was seen.
    pub fn source(&self) -> Source {
        self.source
    }
}

/// A set of people whom one mail showed to each other, as far as it bears on a message at hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    /// The mail itself, where the message at hand names it in In-Reply-To or References.
    pub cited: Option<String>,
    /// The first day of a mail to just this set.
    pub since: Day,
    /// The day of the mail that is named; else the last day of such a mail.
    pub last: Day,
    /// Those of the people asked about whom it showed.
    pub met: Vec<Address>,
}

/// How the outsiders of one message stand to each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acquaintance {
    /// How many outsiders see somebody, or are seen.
    pub people: usize,
    /// What brought them, or most of them, together; `None` where nothing is known.
    pub nearest: Option<Nearest>,
    /// Those who were not there.
    pub strangers: Vec<Address>,
}

/// What brought people together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nearest {
    /// It is a mail that the message at hand answers.
    pub answered: bool,
    /// The first day of a mail to just these people.
    pub since: Day,
    /// The day of the mail.
    pub last: Day,
}

impl Acquaintance {
    /// Whether one mail showed all of them to each other. Of fewer than two nobody asks.
    pub fn complete(&self) -> bool {
        self.people >= 2 && self.nearest.is_some() && self.strangers.is_empty()
    }

    /// What is known of the outsiders of a message: one mail must account for all of them, for two that
    /// showed some each showed nobody all of them.
    pub(super) fn of(facts: &Facts, shared: &[Shared]) -> Option<Self> {
        let people = &facts.concerned;
        if people.len() < 2 {
            return None;
        }
        let cites = |one: &Shared| one.cited.as_ref().is_none_or(|id| facts.references.contains(id));
        let candidates = shared.iter().filter(|one| cites(one)).map(|one| {
            let met: HashSet<String> = one.met.iter().map(counting_key).collect();
            let strangers: Vec<Address> =
                people.iter().filter(|address| !met.contains(&counting_key(address))).cloned().collect();
            (strangers, one)
        });
        let nearest = candidates
            .min_by_key(|(strangers, one)| {
                (strangers.len(), one.cited.is_none(), std::cmp::Reverse(one.last))
            })
            // Of two who met among ten strangers nobody learns anything, nor of one among others.
            .filter(|(strangers, _)| {
                strangers.len() + 2 <= people.len() && strangers.len() * 2 <= people.len()
            });
        let Some((strangers, one)) = nearest else {
            return Some(Self { people: people.len(), nearest: None, strangers: Vec::new() });
        };
        let nearest = Nearest { answered: one.cited.is_some(), since: one.since, last: one.last };
        Some(Self { people: people.len(), nearest: Some(nearest), strangers })
    }
}

#[cfg(test)]
mod tests;
