//! What is dangerous about a held mail: one list, the strongest first, told alike wherever people decide.
//!
//! Each rule that matched says what it found as risks, and keeps them with its outcome. [`of`] gathers them
//! with what the audit found; [`arranged`] puts them in order, each once. [`words`] says them, [`places`]
//! where something was found.

pub mod places;
pub mod words;

use super::Disclosure;
use super::verdict::{Bilingual, RuleOutcome, Timing, Verdict};
use crate::message::Address;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// As many addresses or files are named with a risk; the rest is counted.
pub const NAMED: usize = 3;

/// What may go wrong, the gravest first: what no way of sending cures stands before what one does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A recipient's domain is easily taken for one the sender knows.
    LookAlike,
    /// The text or a file lists people.
    ListOfPeople,
    /// A file's name, kind or size met a rule.
    File,
    /// The subject, or another field, has words that a rule looks for.
    Words,
    /// The header cannot be read reliably: no safe copies can be made.
    Unreadable,
    /// An invitation names its attendees.
    Invitation,
    /// Recipients stand inside signed content.
    SignedContent,
    /// Encryption shows who else gets it.
    Encrypted,
    /// A winmail.dat names recipients, or cannot be read.
    WinmailDat,
    /// Recipients' addresses stand in what others would get, however it is sent.
    Inside,
    /// Files that cannot be looked into.
    Opaque,
    /// A part of the body cannot be read reliably.
    UnreadablePart,
    /// The mail is not from us.
    ForeignSender,
    /// A rule of the organisation holds it, in its own words.
    #[default]
    Rule,
    /// Files leave.
    Attachment,
    /// Many recipients stand in nobody's To or Cc.
    LargeBcc,
    /// Outsiders would see each other's addresses.
    Exposed,
}

/// One risk, with what is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Risk {
    /// What may go wrong.
    pub kind: Kind,
    /// What the rule that found it calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<Bilingual>,
    /// What it is about: the first addresses, files or words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub about: Vec<String>,
    /// How many those are in all.
    #[serde(skip_serializing_if = "is_zero")]
    pub total: usize,
    /// How many people it concerns.
    #[serde(skip_serializing_if = "is_zero")]
    pub people: usize,
    /// At how many organisations.
    #[serde(skip_serializing_if = "is_zero")]
    pub organisations: usize,
    /// The domain that another is taken for; the part of the mail.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub place: String,
    /// What is said of it where the rest says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<Bilingual>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde asks
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Risk {
    /// A risk of this kind of which nothing else is known.
    pub fn new(kind: Kind) -> Self {
        Self { kind, ..Self::default() }
    }

    /// About these: the first are named, all are counted.
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

    /// The same with how many would see each other, where a rule asked without counting them.
    #[must_use]
    pub fn counted(self, people: usize, organisations: usize) -> Self {
        if self.kind == Kind::Exposed && self.people == 0 {
            Self { people, organisations, ..self }
        } else {
            self
        }
    }

    /// Recipients whose addresses stand in what others would get: whose was found, and where.
    pub fn inside<'a>(found: impl IntoIterator<Item = (&'a Address, &'a str)>) -> Self {
        let mut found = found.into_iter().peekable();
        let place = found.peek().map(|(_, place)| (*place).to_owned()).unwrap_or_default();
        let mut seen = HashSet::new();
        let people: Vec<&Address> =
            found.map(|(address, _)| address).filter(|address| seen.insert(*address)).collect();
        Self { people: people.len(), place, ..Self::new(Kind::Inside).about(people) }
    }

    /// A recipient at a domain that is taken for another, which the sender knows.
    pub fn look_alike(addresses: &[&Address], known: &str) -> Self {
        Self { place: known.to_owned(), ..Self::new(Kind::LookAlike).about(addresses) }
    }

    /// Whether nothing is left of it when the mail is sent in this way.
    pub fn is_cured_by(&self, way: Disclosure) -> bool {
        self.kind == Kind::Exposed && way >= Disclosure::Bcc
    }

    /// Whether no safe copies can be made: it can go back, or as it is.
    pub fn allows_no_copies(&self) -> bool {
        matches!(self.kind, Kind::Unreadable | Kind::Inside)
    }

    /// What a tick for this risk is called in a form: it says what was seen, so that a tick for one thing
    /// never stands for another.
    pub fn key(&self) -> String {
        let word = serde_word(self.kind);
        if self.about.is_empty() { word } else { format!("{word} {} {}", self.total, self.about.join(" ")) }
    }
}

/// A kind as it is written in JSON.
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

/// The risks of a mail that was held by this verdict, with what the audit found: whose address, and where.
pub fn of<'a>(verdict: &Verdict, found: impl IntoIterator<Item = (&'a Address, &'a str)>) -> Vec<Risk> {
    let mut all: Vec<Risk> = verdict.rules.iter().filter(|rule| rule.matched).flat_map(from_rule).collect();
    let mut found = found.into_iter().peekable();
    if found.peek().is_some() {
        all.retain(|risk| risk.kind != Kind::Inside);
        all.push(Risk::inside(found));
    }
    arranged(all)
}

/// What a rule that matched adds: what only delays a mail holds nothing, and what only asks who may see
/// whom is about that alone.
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

/// In order, each once: of two that say the same, the one that says more.
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

/// How much a risk says.
fn says(risk: &Risk) -> (usize, usize, bool) {
    (risk.people, risk.total, risk.title.is_some())
}

/// Whether the earlier says all that the later does.
fn covers(earlier: &Risk, later: &Risk) -> bool {
    if earlier.kind == Kind::ListOfPeople && later.kind == Kind::File {
        return earlier.about == later.about;
    }
    if earlier.kind != later.kind {
        // What lists people, is named by a rule or cannot be looked into is an attachment as well.
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
