//! Demands, their join, and the verdict.
//!
//! A demand is a point on two axes. The join of demands is the strictest on each axis, so the order of rules
//! never matters.

use super::risks::Risk;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The disclosure axis: whether recipients may see each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disclosure {
    /// As the sender wrote it.
    #[default]
    AsIs,
    /// Only if a person allows it.
    Ask,
    /// One text for all, without the recipients' names.
    Bcc,
    /// A separate copy for each recipient.
    Split,
}

/// The timing axis: when the message may be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Timing {
    /// At once.
    #[default]
    Now,
    /// After this time; the longest delay is the strictest.
    Delay(Duration),
    /// After an approver's decision.
    Hold,
    /// Never: it is refused.
    Reject,
}

/// What one rule demands: a point on both axes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Demand {
    /// The demand on the disclosure axis.
    pub disclosure: Disclosure,
    /// The demand on the timing axis.
    pub timing: Timing,
}

impl Demand {
    /// The stricter of both on each axis.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self { disclosure: self.disclosure.max(other.disclosure), timing: self.timing.max(other.timing) }
    }

    /// The resulting action: reject, otherwise hold (also for an `ask` that nothing stricter settles),
    /// otherwise delay, otherwise the disclosure.
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
pub enum Action {
    /// It is sent as it was written.
    Pass,
    /// It is sent as Bcc: its recipients do not see each other.
    Bcc,
    /// It is sent in individual copies.
    Split,
    /// It is sent later.
    Delay,
    /// It waits for a decision.
    Hold,
    /// The client is refused.
    Reject,
}

impl Action {
    /// Its name in JSON and in the journal.
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

/// Whether verdicts are enforced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Verdicts are enforced.
    #[default]
    Enforce,
    /// Verdicts are recorded, and every message passes.
    Observe,
}

/// The languages of the user interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Japanese.
    Ja,
}

/// One text in both languages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bilingual {
    /// In English.
    pub en: String,
    /// In Japanese.
    pub ja: String,
}

impl Bilingual {
    /// Creates a text in both languages.
    pub fn new(en: impl Into<String>, ja: impl Into<String>) -> Self {
        Self { en: en.into(), ja: ja.into() }
    }

    /// The text in one language.
    pub fn text(&self, language: Language) -> &str {
        match language {
            Language::En => &self.en,
            Language::Ja => &self.ja,
        }
    }
}

/// The result of one rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleOutcome {
    /// The rule's name; built-in ones start with `builtin:`.
    pub name: String,
    /// Whether it matched.
    pub matched: bool,
    /// Its demand if it matches.
    pub demand: Demand,
    /// A sentence in English that says why it matched, or why not.
    pub why: String,
    /// The same in Japanese.
    pub why_ja: String,
    /// The title of the rule, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Bilingual>,
    /// The risks that it found, for the approver.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub risks: Vec<Risk>,
}

/// The decision on one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The join of all demands.
    pub demand: Demand,
    /// Whether it is enforced.
    pub mode: Mode,
    /// The rules that matched, in the order of the files, built-in ones last; of a message that is held and in
    /// an explanation also the others (`Policy::complete`).
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

    /// In observe mode: what enforce mode would do.
    pub fn would(&self) -> Option<Action> {
        (self.mode == Mode::Observe).then(|| self.demand.action())
    }

    /// The reasons in one language: the sentences of the rules that matched and demanded something.
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

    /// The reason in at most 100 ASCII characters that are complete in themselves, for the SMTP reply; mail
    /// programs show no more of it (`docs/MAIL.md` §8).
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

    /// The rule that explains the verdict: the first whose own demand leads to the action, otherwise the
    /// first that demanded anything.
    fn decisive(&self) -> Option<&RuleOutcome> {
        let matched = || self.rules.iter().filter(|rule| rule.matched && rule.demand != Demand::default());
        matched().find(|rule| rule.demand.action() == self.demand.action()).or_else(|| matched().next())
    }

    /// Adds the finding of a later stage, and joins its demand.
    pub fn add(&mut self, outcome: RuleOutcome) {
        if outcome.matched {
            self.demand = self.demand.join(outcome.demand);
        }
        self.rules.push(outcome);
    }
}

/// Longest reason in an SMTP reply, in characters; mail programs cut longer ones.
const SHORT: usize = 100;

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests;
