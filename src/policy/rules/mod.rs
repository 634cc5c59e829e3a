//! The rules of policy files. All are evaluated; each that matches adds its demand.
//!
//! * [`load`] reads files, with every mistake reported at its place
//! * [`raw`] the file format
//! * [`values`] the values that conditions take: ranges, sizes, texts
//! * [`pattern`] lists of addresses and domains
//! * [`condition`] evaluates one condition
//! * [`finding`] describes what a condition found as a risk
//! * [`known`] describes who was on which mail
//! * [`builtin`] the holds that no file can remove
//! * [`reason`] the sentences

mod builtin;
mod condition;
mod finding;
mod known;
mod load;
pub(super) mod pattern;
mod raw;
mod reason;
mod values;

use super::approvers::NamedApprover;
use super::risks::{Kind, Risk};
use super::verdict::{Bilingual, RuleOutcome};
use super::{Demand, Disclosure, Facts, Mode, Verdict};
use condition::Condition;
use reason::Phrase;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

pub use builtin::NAMES as BUILTIN_NAMES;
pub use builtin::title as builtin_title;
pub use finding::plain;

/// What is known of earlier contact between the outsiders of a message, in English and in Japanese.
pub fn acquaintance(facts: &Facts) -> (String, String) {
    let phrase = known::told(facts);
    (phrase.en, phrase.ja)
}

/// The default policy: `policy/default.toml`.
pub const DEFAULT: &str = include_str!("../../../policy/default.toml");

/// How [`Policy::load`] reads the lists that rules name with `file:`.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> std::io::Result<String>;

/// A policy: the rules of all its files.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    mode: Mode,
    rules: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug)]
struct Rule {
    name: String,
    /// All must hold.
    when: Vec<Condition>,
    /// Any one of them exempts the message.
    unless: Vec<Condition>,
    demand: Demand,
    /// The title that people see.
    title: Option<Bilingual>,
    /// The author's reason.
    reason: Option<Bilingual>,
    /// Who is asked about the mail that it holds, if it says so.
    approvers: Vec<NamedApprover>,
}

impl Policy {
    /// Loads policy files: each has a path (from which relative `file:` lists start, and which errors name)
    /// and its contents.
    ///
    /// # Errors
    /// Lists all mistakes of all files.
    pub fn load(
        files: &[(PathBuf, String)],
        read_file: ReadFile<'_>,
    ) -> Result<Self, Vec<crate::diagnostic::Diagnostic>> {
        Ok(Self { mode: Mode::default(), rules: load::rules(files, read_file)? })
    }

    /// Reads policy files from disk.
    ///
    /// # Errors
    /// Lists all mistakes of all files.
    pub fn read(paths: &[PathBuf]) -> Result<Self, Vec<crate::diagnostic::Diagnostic>> {
        let (files, missing): (Vec<_>, Vec<_>) = paths
            .iter()
            .map(|path| match std::fs::read_to_string(path) {
                Ok(text) => Ok((path.clone(), text)),
                Err(error) => Err(load::unreadable(path, &error)),
            })
            .partition(Result::is_ok);
        let missing: Vec<_> = missing.into_iter().filter_map(Result::err).collect();
        if !missing.is_empty() {
            return Err(missing);
        }
        let files: Vec<_> = files.into_iter().filter_map(Result::ok).collect();
        Self::load(&files, &|path| std::fs::read_to_string(path))
    }

    /// The default policy, for commands that run without configuration.
    ///
    /// # Errors
    /// Lists its mistakes; the shipped file has none.
    pub fn shipped() -> Result<Self, Vec<crate::diagnostic::Diagnostic>> {
        let path = PathBuf::from("policy/default.toml");
        Self::load(&[(path, DEFAULT.to_owned())], &|_| Err(std::io::ErrorKind::NotFound.into()))
    }

    /// Sets the mode.
    #[must_use]
    pub fn in_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Whether verdicts are enforced or only recorded.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The names of the rules, in the order of the files.
    pub fn rule_names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.name.as_str())
    }

    /// The titles of all rules that have one, built-in ones included, by name.
    pub fn titles(&self) -> HashMap<String, Bilingual> {
        let own = self.rules.iter().filter_map(|rule| Some((rule.name.clone(), rule.title.clone()?)));
        own.chain(builtin::titles()).collect()
    }

    /// The approvers of the rules that name some, by rule.
    pub fn approvers(&self) -> HashMap<String, Vec<NamedApprover>> {
        let named = self.rules.iter().filter(|rule| !rule.approvers.is_empty());
        named.map(|rule| (rule.name.clone(), rule.approvers.clone())).collect()
    }

    /// Whether a rule that would otherwise match exempts this message.
    pub fn exempts(&self, facts: &Facts) -> bool {
        self.rules.iter().any(|rule| rule.exempts(facts))
    }

    /// Evaluates every rule, joins the demands of those that match, and adds the built-in rules. These depend
    /// on the join of the others and can only make it stricter, so the order of rules never matters. The verdict
    /// has the rules that match; most mail matches none, and few ask why not: [`Policy::complete`] says it.
    pub fn decide(&self, facts: &Facts) -> Verdict {
        let mut rules: Vec<RuleOutcome> =
            self.rules.iter().filter(|rule| rule.matches(facts)).map(|rule| rule.matched(facts)).collect();
        let demand = joined(&rules);
        rules.extend(builtin::matched(facts, demand.disclosure));
        Verdict { demand: joined(&rules), mode: self.mode, rules }
    }

    /// Adds the rules that did not match, and why. All are then in the order of the files, built-in ones after
    /// them, and the findings of later stages last. The verdict may be older than these facts and this policy.
    pub fn complete(&self, verdict: &mut Verdict, facts: &Facts) {
        let mut found = std::mem::take(&mut verdict.rules);
        let mut decided = |name: &str| {
            let at = found.iter().position(|outcome| outcome.name == name)?;
            Some(found.remove(at))
        };
        let mut rules: Vec<RuleOutcome> = self
            .rules
            .iter()
            .map(|rule| decided(&rule.name).unwrap_or_else(|| rule.not_matched(facts)))
            .collect();
        let disclosure = joined(&rules).disclosure;
        rules.extend(
            builtin::not_matched(facts, disclosure).map(|other| decided(&other.name).unwrap_or(other)),
        );
        rules.append(&mut found);
        verdict.rules = rules;
    }
}

/// The join of the demands of the matching rules.
fn joined(rules: &[RuleOutcome]) -> Demand {
    rules.iter().filter(|rule| rule.matched).fold(Demand::default(), |sum, rule| sum.join(rule.demand))
}

impl Rule {
    fn exempts(&self, facts: &Facts) -> bool {
        self.demand != Demand::default() && self.applies(facts) && self.exemption(facts).is_some()
    }

    fn matches(&self, facts: &Facts) -> bool {
        self.applies(facts) && self.exemption(facts).is_none()
    }

    fn applies(&self, facts: &Facts) -> bool {
        self.when.iter().all(|condition| condition.holds(facts))
    }

    fn exemption(&self, facts: &Facts) -> Option<&Condition> {
        self.unless.iter().find(|condition| condition.holds(facts))
    }

    /// What its conditions found: those that hold, or those that do not.
    fn phrases(&self, facts: &Facts, wanted: bool) -> Vec<Phrase> {
        let told = self.when.iter().filter(|condition| condition.holds(facts) == wanted);
        told.map(|condition| condition.phrase(facts)).collect()
    }

    /// Its result for a message that it matches.
    fn matched(&self, facts: &Facts) -> RuleOutcome {
        let nearly = self.unless.iter().find_map(|condition| condition.nearly(facts));
        let phrase = reason::matched(&self.phrases(facts, true), self.reason.as_ref()).but(nearly);
        RuleOutcome { risks: self.risks(facts), ..self.outcome(true, phrase) }
    }

    /// Its result for a message that it did not match when the message came. It may match now: facts and
    /// policy can have changed since.
    fn not_matched(&self, facts: &Facts) -> RuleOutcome {
        let phrase = if !self.applies(facts) {
            reason::joined(&self.phrases(facts, false))
        } else if let Some(exempting) = self.exemption(facts) {
            reason::exempted(&exempting.phrase(facts))
        } else {
            reason::later()
        };
        self.outcome(false, phrase)
    }

    fn outcome(&self, matched: bool, phrase: Phrase) -> RuleOutcome {
        RuleOutcome {
            name: self.name.clone(),
            matched,
            demand: self.demand,
            why: phrase.en,
            why_ja: phrase.ja,
            title: self.title.clone(),
            risks: Vec::new(),
        }
    }

    /// The risks that its conditions found, with the rule's title.
    fn risks(&self, facts: &Facts) -> Vec<Risk> {
        if self.demand == Demand::default() {
            return Vec::new();
        }
        let named = |mut risk: Risk| {
            risk.title = self.title.clone().or_else(|| self.reason.clone());
            risk
        };
        let mut found: Vec<Risk> =
            self.when.iter().filter_map(|condition| condition.risk(facts)).map(named).collect();
        // a number of recipients beside another condition only says which mail the rule is about
        let about_people = |risk: &Risk| matches!(risk.kind, Kind::Exposed | Kind::LargeBcc);
        if self.demand.disclosure < Disclosure::Ask && !found.iter().all(about_people) {
            found.retain(|risk| !about_people(risk));
        }
        found
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
