//! Demands, their join, and the verdict.
//!
//! A demand is a point on two axes; the join of any set of demands is the strictest on each axis, so
//! the order of rules never matters.

use super::risks::Risk;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// May the recipients see each other?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disclosure {
    /// As the sender wrote it.
    #[default]
    AsIs,
    /// Only if somebody says so.
    Ask,
    /// One text for all, nobody named.
    Bcc,
    /// A copy of one's own for each.
    Split,
}

/// When may it leave?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Timing {
    /// At once.
    #[default]
    Now,
    /// After a while; the longest wins.
    Delay(Duration),
    /// When an approver says so.
    Hold,
    /// Never.
    Reject,
}

/// What one rule asks for: a point on both axes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Demand {
    /// On the axis of disclosure.
    pub disclosure: Disclosure,
    /// On the axis of timing.
    pub timing: Timing,
}

impl Demand {
    /// The strictest of both on each axis.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self { disclosure: self.disclosure.max(other.disclosure), timing: self.timing.max(other.timing) }
    }

    /// What happens now: reject, else hold (`ask` not settled by something stricter holds too), else
    /// delay, else the disclosure.
    pub fn action(self) -> Action {
        match (self.timing, self.disclosure) {
            (Timing::Reject, _) => Action::Reject,
            (Timing::Hold, _) | (_, Disclosure::Ask) => Action::Hold,
            (Timing::Delay(_), _) => Action::Delay,
            (Timing::Now, Disclosure::AsIs) => Action::Pass,
            (Timing::Now, Disclosure::Bcc) => Action::Bcc,
            (Timing::Now, Disclosure::Split) => Action::Split,
        }
    }
}

/// What happens to a message now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // the names say it
pub enum Action {
    Pass,
    Bcc,
    Split,
    Delay,
    Hold,
    Reject,
}

impl Action {
    /// As it is written in JSON and in the record.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Bcc => "bcc",
            Self::Split => "split",
            Self::Delay => "delay",
            Self::Hold => "hold",
            Self::Reject => "reject",
        }
    }
}

/// Whether verdicts are carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// They are.
    #[default]
    Enforce,
    /// They are recorded, and everything passes.
    Observe,
}

/// The languages that people are spoken to in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Language {
    #[default]
    En,
    Ja,
}

/// One thing said in both languages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Bilingual {
    pub en: String,
    pub ja: String,
}

impl Bilingual {
    /// In both languages.
    pub fn new(en: impl Into<String>, ja: impl Into<String>) -> Self {
        Self { en: en.into(), ja: ja.into() }
    }

    /// In one language.
    pub fn text(&self, language: Language) -> &str {
        match language {
            Language::En => &self.en,
            Language::Ja => &self.ja,
        }
    }
}

/// What one rule had to say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleOutcome {
    /// The rule's name; built-in ones start with `builtin:`.
    pub name: String,
    /// Whether it matched.
    pub matched: bool,
    /// What it demands (when it matches).
    pub demand: Demand,
    /// Why it matched, or why not, in English: a sentence a person understands.
    pub why: String,
    /// The same in Japanese.
    pub why_ja: String,
    /// What people call the rule; its name where it has no title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Bilingual>,
    /// What it found, for whoever decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub risks: Vec<Risk>,
}

/// The decision on one message, with what it stands on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The join of all demands.
    pub demand: Demand,
    /// Whether it is carried out.
    pub mode: Mode,
    /// Every rule, in the order of the files, built-in ones last.
    pub rules: Vec<RuleOutcome>,
}

impl Verdict {
    /// What happens now: in observe mode everything passes.
    pub fn action(&self) -> Action {
        match self.mode {
            Mode::Enforce => self.demand.action(),
            Mode::Observe => Action::Pass,
        }
    }

    /// What would happen if verdicts were carried out; nothing where they are.
    pub fn would(&self) -> Option<Action> {
        (self.mode == Mode::Observe).then(|| self.demand.action())
    }

    /// Why, in one language: the sentences of the rules that matched and demanded something.
    pub fn reasons(&self, language: Language) -> Vec<&str> {
        self.rules
            .iter()
            .filter(|rule| rule.matched && rule.demand != Demand::default())
            .map(|rule| match language {
                Language::En => rule.why.as_str(),
                Language::Ja => rule.why_ja.as_str(),
            })
            .collect()
    }

    /// Why, in at most 100 ASCII characters that are complete in themselves: for the SMTP answer, of
    /// which a mail program shows no more (`docs/MAIL.md` §8).
    pub fn short_reason(&self) -> String {
        let Some(rule) = self.decisive() else { return "a rule of the organisation".to_owned() };
        let why = rule.why.as_str();
        let cuts = [why.len()].into_iter().chain([": ", " (", "; "].iter().filter_map(|mark| why.find(mark)));
        if let Some(end) = cuts.filter(|end| (1..=SHORT).contains(end)).find(|end| is_plain(&why[..*end])) {
            return why[..end].to_owned();
        }
        if is_plain(&rule.name) && rule.name.len() <= SHORT - 30 {
            return format!("rule {} of the organisation", rule.name);
        }
        "a rule of the organisation".to_owned()
    }

    /// The rule that speaks for the verdict: the first whose own demand leads to what happens, else
    /// the first that demanded anything.
    fn decisive(&self) -> Option<&RuleOutcome> {
        let matched = || self.rules.iter().filter(|rule| rule.matched && rule.demand != Demand::default());
        matched().find(|rule| rule.demand.action() == self.demand.action()).or_else(|| matched().next())
    }

    /// Adds what another stage found, and joins its demand.
    pub fn add(&mut self, outcome: RuleOutcome) {
        if outcome.matched {
            self.demand = self.demand.join(outcome.demand);
        }
        self.rules.push(outcome);
    }
}

/// As much of an SMTP answer as people see.
const SHORT: usize = 100;

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests;
