//! What an accepted message adds to the totals.

use crate::journal::Event;
use crate::policy::Demand;
use crate::records::NewMessage;

/// The action under which the relay's own mail is counted.
pub const OWN: &str = "own";

/// How a message is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// What was done with it: `pass`, `split`, … or [`OWN`].
    pub action: String,
    /// The number of addresses it would show to somebody else.
    pub exposures: u64,
    /// Whether that was prevented. For a held message the decision determines it.
    pub prevented: bool,
    /// In observe mode: what would have been done.
    pub observed: Option<Observed>,
}

/// What would have been done with a message that passed in observe mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The action.
    pub action: String,
    /// The disclosures that would have been prevented.
    pub prevented: u64,
    /// The rules that demanded something: name, and why, in English and in Japanese.
    pub rules: Vec<(String, String, String)>,
}

/// How a message is counted.
pub fn counts(message: &NewMessage) -> Counts {
    let accepted = message.events.iter().find_map(|event| match event {
        Event::Accepted { action, exposures, would, .. } => Some((action, *exposures, would.as_ref())),
        _ => None,
    });
    let (action, exposures, would) = match accepted {
        Some((action, exposures, would)) => (action.clone(), exposures, would),
        None => (OWN.to_owned(), 0, None),
    };
    let rules = message.verdict.iter().flat_map(|verdict| &verdict.rules);
    let demanding = rules.filter(|rule| rule.matched && rule.demand != Demand::default());
    let observed = would.map(|would| Observed {
        action: would.action.clone(),
        prevented: would.exposures_prevented,
        rules: demanding.map(|rule| (rule.name.clone(), rule.why.clone(), rule.why_ja.clone())).collect(),
    });
    let prevented = message.deliveries.iter().any(|new| new.delivery.is_rewritten());
    Counts { action, exposures, prevented, observed }
}

impl Counts {
    /// The same for a later transaction of a mail whose first one was counted. A mail's exposures count once, however
    /// many transactions it arrives in.
    #[must_use]
    pub fn once(mut self, is_first: bool) -> Self {
        if !is_first {
            self.prevented = false;
            if let Some(observed) = &mut self.observed {
                observed.prevented = 0;
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_counts_once() {
        let observed = Observed { action: "split".to_owned(), prevented: 6, rules: Vec::new() };
        let counts =
            Counts { action: "pass".to_owned(), exposures: 6, prevented: true, observed: Some(observed) };
        assert_eq!(counts.clone().once(true), counts);
        let later = counts.once(false);
        assert_eq!((later.action.as_str(), later.exposures, later.prevented), ("pass", 6, false));
        assert_eq!(later.observed.map(|observed| observed.prevented), Some(0));
    }
}
