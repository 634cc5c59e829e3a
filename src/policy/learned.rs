//! Who openly wrote with whom: what one mail teaches, and what is known of people who were shown to each
//! other.
//!
//! Only header fields that everybody sees count (From, To, Cc), and only mail that somebody of ours was on. A
//! mail that one of ours wrote does not count as such, since it may never have been sent; the relay records
//! what it sends.

use super::Organisation;
use super::facts::{Facts, Preface, ShownIn};
use super::organisation::counting_key;
use crate::clock::{Day, Timestamp};
use crate::message::{Address, Envelope, Header};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::time::Duration;

/// A mail that shows more outsiders than this is a mailing and says nothing about who knows whom.
pub const MOST_PEOPLE: usize = 500;

/// The limit for mail that our own people sent before the relay was installed: with more outsiders than this
/// it may have been an accident, and so does not show that they know each other.
pub const MOST_OF_OURS: usize = 9;

/// A mail of ours counts as sent before the relay was installed only if its Date is this much earlier: clocks
/// can be wrong, and a Date has no fractions of a second.
const CLOCKS: Duration = Duration::from_hours(24);

/// Where a mail was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A mail host sent a journal copy of it.
    Journal,
    /// It was read from an archive.
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
    /// It cannot be told reliably who was visible.
    #[error("its header cannot be read reliably: {0}")]
    Unreadable(String),
    /// It shows fewer than two outsiders.
    #[error("it shows fewer than two outsiders")]
    FewOutsiders,
    /// Nobody of ours is in From, To or Cc, so it says nothing about our contacts.
    #[error("nobody of this organisation is in From, To or Cc")]
    NobodyOfOurs,
    /// One of ours wrote it after the relay was installed, and only the relay knows whether it was sent.
    #[error("it is from this organisation, and such mail counts only if the relay delivered it")]
    OwnMail,
    /// It is a mailing.
    #[error(
        "it shows {0} outsiders, more than a conversation has ({MOST_PEOPLE}; {MOST_OF_OURS} where one of ours wrote it)"
    )]
    TooMany(usize),
}

/// When the relay began to record what is sent. From then on, copies of our own people's mail prove nothing;
/// see [`Learned::read`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Began(pub Timestamp);

impl Learned {
    /// What a mail with this header teaches. `date` is when it was written or received; `began` is when the
    /// relay began to record what is sent.
    ///
    /// A copy of our own people's mail only proves that it was written: it can be held, taken back or refused
    /// later. It counts only if it comes from an archive, is at least a day older than the relay's records,
    /// and shows few people.
    ///
    /// # Errors
    /// Says why the mail teaches nothing.
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

    /// Records that these outsiders saw each other.
    ///
    /// # Errors
    /// Says why this teaches nothing.
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

    /// The author, if it was read from a header.
    pub fn from(&self) -> Option<&Address> {
        self.from.as_ref()
    }

    /// The outsiders who were shown to each other, each mailbox once.
    pub fn people(&self) -> &[Address] {
        &self.people
    }

    /// Where it was seen.
    pub fn source(&self) -> Source {
        self.source
    }
}

/// People whom one mail showed to each other, as far as they matter for the current message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    /// That mail's id, if the current message names it in In-Reply-To or References.
    pub cited: Option<String>,
    /// The day of the first mail to exactly these people.
    pub since: Day,
    /// The day of the mail that is named; otherwise the day of the last mail to exactly these people.
    pub last: Day,
    /// Those of the current message's people whom it showed.
    pub met: Vec<Address>,
}

/// What is known of earlier contact between the outsiders of one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acquaintance {
    /// Number of outsiders who see somebody or are seen.
    pub people: usize,
    /// The mail that showed the most of them to each other; `None` if there is none.
    pub nearest: Option<Nearest>,
    /// Those who were not on that mail.
    pub strangers: Vec<Address>,
}

/// A mail that showed people to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nearest {
    /// Whether the current message answers it.
    pub answered: bool,
    /// The day of the first mail to exactly these people.
    pub since: Day,
    /// The day of the mail.
    pub last: Day,
}

impl Acquaintance {
    /// Whether one mail showed all of them to each other. Not meaningful for fewer than two.
    pub fn complete(&self) -> bool {
        self.people >= 2 && self.nearest.is_some() && self.strangers.is_empty()
    }

    /// Finds the mail that showed the most outsiders of a message to each other. Several mails are not added
    /// up: two that each showed some of them did not show all of them to each other.
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
            // a mail that showed only two of ten, or one, says nothing
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
