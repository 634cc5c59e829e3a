//! Statistics over a period, and retention.

use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A relay among those that share a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRow {
    /// What it is called.
    pub name: String,
    /// Its program's version.
    pub version: String,
    /// When it started, by the database's clock.
    pub started: Timestamp,
    /// When it last said that it is there.
    pub seen: Timestamp,
    /// It is connected now.
    pub here: bool,
    /// Deliveries that it has leases on.
    pub sending: usize,
}

/// Statistics over a period.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Messages accepted from clients, by action: `pass`, `split`, …
    pub accepted: std::collections::BTreeMap<String, u64>,
    /// Held messages by current state.
    pub held: std::collections::BTreeMap<String, u64>,
    /// Deliveries by current state.
    pub deliveries: std::collections::BTreeMap<String, u64>,
    /// Disclosures prevented: the sum of n×(n−1) over rewritten or returned mail.
    pub exposures_prevented: u64,
}

/// How long a message is kept after its last delivery or decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Header and body, counted from when the message was received.
    pub contents: Duration,
    /// Everything else about it: envelope, deliveries, journal.
    pub messages: Duration,
    /// The ledger of open disclosures: how far back the people of a thread are known.
    pub ledger: Duration,
    /// Who openly wrote with whom.
    pub knowledge: Duration,
}

impl Default for Retention {
    /// 30, 400, 90 and 400 days.
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 24 * 3600);
        Self { contents: days(30), messages: days(400), ledger: days(90), knowledge: days(400) }
    }
}

impl fmt::Display for Retention {
    /// A sentence for the log at start and for `check`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (contents, messages, ledger) = (span(self.contents), span(self.messages), span(self.ledger));
        let knowledge = span(self.knowledge);
        write!(
            f,
            "contents of finished mail are kept for {contents}, what is known of it (journal, audit, deliveries) \
             for {messages}, who saw whom for {ledger}, who wrote with whom for {knowledge}"
        )
    }
}

/// A duration in the largest unit that divides it.
fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    for (unit, length) in [("day", 24 * 3_600), ("hour", 3_600), ("minute", 60), ("second", 1)] {
        if seconds.is_multiple_of(length) && seconds >= length {
            let number = seconds / length;
            return format!("{number} {unit}{}", if number == 1 { "" } else { "s" });
        }
    }
    "no time".to_owned()
}

/// What a purge removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Contents (header and body) of finished messages.
    pub contents: usize,
    /// Messages, with their deliveries and journal.
    pub messages: usize,
    /// Journal entries whose message has been removed already.
    pub chain: usize,
    /// Entries of the ledger.
    pub ledger: usize,
    /// Body files that no message refers to.
    pub orphans: usize,
}

/// What was found at start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Deliveries that were in `sending` when the relay crashed.
    pub uncertain: usize,
    /// Body files that no message refers to.
    pub orphans: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_what_is_kept_is_said_in_words() {
        assert_eq!(
            Retention::default().to_string(),
            "contents of finished mail are kept for 30 days, what is known of it (journal, audit, deliveries) \
             for 400 days, who saw whom for 90 days, who wrote with whom for 400 days"
        );
        let cases =
            [(0, "no time"), (1, "1 second"), (3_600, "1 hour"), (5_400, "90 minutes"), (86_400, "1 day")];
        for (seconds, text) in cases {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }
}
