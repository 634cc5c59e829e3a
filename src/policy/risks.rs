//! What is dangerous about a held mail: one ordered list, the same on every screen.
//!
//! Each matching rule describes what it found as risks, and stores them with its outcome. [`of`] combines
//! them with the findings of the audit; [`arranged`] sorts them and removes duplicates. [`words`] has the
//! sentences, [`places`] describes where something was found.

pub mod places;
pub mod words;

use super::Disclosure;
use super::verdict::{Bilingual, RuleOutcome, Timing, Verdict};
use crate::message::Address;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Most addresses or files that are named with a risk; the rest is counted.
pub const NAMED: usize = 3;

/// The kinds of risk, most serious first. Those that no way of sending removes come before the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A recipient's domain is easily confused with one that the sender knows.
    LookAlike,
    /// The text or a file contains a list of people.
    ListOfPeople,
    /// A file's name, type or size matched a rule.
    File,
    /// The subject or another field contains words that a rule looks for.
    Words,
    /// The header cannot be read reliably: no safe copies can be made.
    Unreadable,
    /// An invitation names its attendees.
    Invitation,
    /// Recipients' addresses are inside signed content.
    SignedContent,
    /// The encryption shows who else gets the message.
    Encrypted,
    /// A winmail.dat names recipients, or cannot be read.
    WinmailDat,
    /// Recipients' addresses are inside the content that others would get, in every way of sending.
    Inside,
    /// There are files that cannot be opened.
    Opaque,
    /// A part of the body cannot be read reliably.
    UnreadablePart,
    /// The mail is not from our organisation.
    ForeignSender,
    /// A rule of the organisation holds it, in that rule's words.
    #[default]
    Rule,
    /// It has attachments.
    Attachment,
    /// Many recipients are in neither To nor Cc.
    LargeBcc,
    /// Outsiders would see each other's addresses.
    Exposed,
}

/// One risk, with its details.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Risk {
    /// The kind of risk.
    pub kind: Kind,
    /// The title of the rule that found it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<Bilingual>,
    /// The first addresses, files or words that it is about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub about: Vec<String>,
    /// The total number of those.
    #[serde(skip_serializing_if = "is_zero")]
    pub total: usize,
    /// The number of people affected.
    #[serde(skip_serializing_if = "is_zero")]
    pub people: usize,
    /// The number of their organisations.
    #[serde(skip_serializing_if = "is_zero")]
    pub organisations: usize,
    /// The domain that another is confused with, or the part of the mail.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub place: String,
    /// The sentence to show, if the other fields are not enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<Bilingual>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Risk {
    /// Creates a risk without details.
    pub fn new(kind: Kind) -> Self {
        Self { kind, ..Self::default() }
    }

    /// Adds what it is about: the first items are named, all are counted.
    #[must_use]
    pub fn about<T: ToString>(mut self, items: impl IntoIterator<Item = T>) -> Self {
        for item in items {
            if self.about.len() < NAMED {
                self.about.push(item.to_string());
            }
            self.total += 1;
        }
        self
    }

    /// Outsiders who would see each other.
    pub fn exposed(people: usize, organisations: usize) -> Self {
        Self { people, organisations, ..Self::new(Kind::Exposed) }
    }

    /// The same risk with the number of people affected, for a rule that did not count them.
    #[must_use]
    pub fn counted(self, people: usize, organisations: usize) -> Self {
        if self.kind == Kind::Exposed && self.people == 0 {
            Self { people, organisations, ..self }
        } else {
            self
        }
    }

    /// Recipients whose addresses are inside what others would get: each address with its place.
    pub fn inside<'a>(found: impl IntoIterator<Item = (&'a Address, &'a str)>) -> Self {
        let mut found = found.into_iter().peekable();
        let place = found.peek().map(|(_, place)| (*place).to_owned()).unwrap_or_default();
        let mut seen = HashSet::new();
        let people: Vec<&Address> =
            found.map(|(address, _)| address).filter(|address| seen.insert(*address)).collect();
        Self { people: people.len(), place, ..Self::new(Kind::Inside).about(people) }
    }

    /// A recipient at a domain that can be confused with a known one.
    pub fn look_alike(addresses: &[&Address], known: &str) -> Self {
        Self { place: known.to_owned(), ..Self::new(Kind::LookAlike).about(addresses) }
    }

    /// Whether sending the mail in this way removes the risk.
    pub fn is_cured_by(&self, way: Disclosure) -> bool {
        self.kind == Kind::Exposed && way >= Disclosure::Bcc
    }

    /// Whether the mail cannot be rewritten safely: it can only be returned, or sent as is.
    pub fn allows_no_copies(&self) -> bool {
        matches!(self.kind, Kind::Unreadable | Kind::Inside)
    }

    /// The name of its checkbox in a form. It contains what was shown, so that a tick for one risk never
    /// counts for another.
    pub fn key(&self) -> String {
        let word = serde_word(self.kind);
        if self.about.is_empty() { word } else { format!("{word} {} {}", self.total, self.about.join(" ")) }
    }
}

/// The JSON name of a kind.
fn serde_word(kind: Kind) -> String {
    let mut out = String::new();
    for c in format!("{kind:?}").chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// The risks of a mail that this verdict holds, with the audit's findings: each address with its place.
pub fn of<'a>(verdict: &Verdict, found: impl IntoIterator<Item = (&'a Address, &'a str)>) -> Vec<Risk> {
    let mut all: Vec<Risk> = verdict.rules.iter().filter(|rule| rule.matched).flat_map(from_rule).collect();
    let mut found = found.into_iter().peekable();
    if found.peek().is_some() {
        all.retain(|risk| risk.kind != Kind::Inside);
        all.push(Risk::inside(found));
    }
    arranged(all)
}

/// The risks of one matching rule. A rule that only delays adds none; one that only asks who may see whom
/// adds only risks about that.
fn from_rule(rule: &RuleOutcome) -> Vec<Risk> {
    let holds = rule.demand.timing >= Timing::Hold;
    let asks = rule.demand.disclosure >= Disclosure::Ask;
    let said = || Bilingual {
        en: rule.title.as_ref().map_or(&rule.why, |title| &title.en).clone(),
        ja: rule.title.as_ref().map_or(&rule.why_ja, |title| &title.ja).clone(),
    };
    let found = rule.risks.iter();
    let found: Vec<Risk> =
        found.filter(|risk| holds || (asks && risk.kind == Kind::Exposed)).cloned().collect();
    match (holds, asks, found.is_empty()) {
        (true, _, true) => vec![Risk { text: Some(said()), ..Risk::new(Kind::Rule) }],
        (false, true, true) => vec![Risk { text: Some(said()), ..Risk::new(Kind::Exposed) }],
        _ => found,
    }
}

/// Sorts risks and removes duplicates; of two that say the same, the more detailed one is kept.
pub fn arranged(mut risks: Vec<Risk>) -> Vec<Risk> {
    risks.sort_by_key(|risk| (risk.kind, std::cmp::Reverse(says(risk))));
    let mut kept: Vec<Risk> = Vec::new();
    for risk in risks {
        if !kept.iter().any(|earlier| covers(earlier, &risk)) {
            kept.push(risk);
        }
    }
    kept
}

/// How much detail a risk has.
fn says(risk: &Risk) -> (usize, usize, bool) {
    (risk.people, risk.total, risk.title.is_some())
}

/// Whether the earlier risk says everything that the later one does.
fn covers(earlier: &Risk, later: &Risk) -> bool {
    if earlier.kind == Kind::ListOfPeople && later.kind == Kind::File {
        return earlier.about == later.about;
    }
    if earlier.kind != later.kind {
        // these kinds are about attachments too, so a general "has attachments" is redundant
        let files = matches!(earlier.kind, Kind::ListOfPeople | Kind::File | Kind::Opaque);
        return files
            && later.kind == Kind::Attachment
            && later.about.iter().all(|file| earlier.about.contains(file));
    }
    match later.kind {
        Kind::Rule | Kind::File | Kind::Words | Kind::LookAlike => {
            later.about == earlier.about && later.text == earlier.text && later.place == earlier.place
        }
        Kind::Exposed => later.text.is_none() || later.text == earlier.text || earlier.people > 0,
        Kind::ListOfPeople => later.about.is_empty() || later.about == earlier.about,
        _ => true,
    }
}

#[cfg(test)]
mod tests;
