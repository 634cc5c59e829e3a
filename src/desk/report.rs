//! Statistics over a period, for the report page, the API and the command line.

use super::principal::Principal;
use super::{Desk, DeskError};
use crate::clock::Timestamp;
use crate::message::Address;
use crate::policy::approvers::Approvers;
use crate::store::Scope;
use crate::store::known::{Day, Tally, Would};
use crate::store::learned::Stock;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Statistics over a period, limited to what the reader may see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbers {
    /// Start of the period.
    pub since: Timestamp,
    /// Whether all mail is counted; otherwise only held messages that the reader may see.
    pub everything: bool,
    /// Messages accepted from clients, by action: `pass`, `split`, …
    pub accepted: BTreeMap<String, u64>,
    /// Held messages by current state.
    pub held: BTreeMap<String, u64>,
    /// Deliveries by current state; empty unless all mail is counted.
    pub deliveries: BTreeMap<String, u64>,
    /// Disclosures prevented: the sum of n×(n−1) over rewritten or returned mail.
    pub exposures_prevented: u64,
    /// How long people took to decide.
    pub decisions: Decisions,
    /// Held messages by rule and current state.
    pub rules: Tally,
    /// Held messages by the sender's group and current state; a sender can be in several groups.
    pub groups: Tally,
    /// Held messages by approver and current state; empty unless all mail is counted.
    pub approvers: Tally,
    /// What enforce mode would have done with mail that passed in observe mode; empty unless all mail is
    /// counted.
    #[serde(default)]
    pub would: Would,
    /// Held messages by sender and current state.
    #[serde(default)]
    pub senders: Tally,
    /// Held messages that were released as is, by rule.
    #[serde(default)]
    pub unchanged: BTreeMap<String, u64>,
    /// How many decisions each person made within an hour, four hours, a day, and later; only the reader's
    /// own unless all mail is counted.
    #[serde(default)]
    pub paces: BTreeMap<String, [u64; 4]>,
    /// The previous period of the same length: accepted messages by action, and disclosures prevented. `None`
    /// if it was not requested.
    #[serde(default)]
    pub before: Option<Before>,
    /// What is known of who wrote with whom, and how much mail passed because of it; empty unless all mail is
    /// counted.
    #[serde(default)]
    pub knowledge: Stock,
    /// Days on which messages were accepted, oldest first.
    pub days: Vec<Day>,
}

/// The previous period.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Messages accepted from clients, by action.
    pub accepted: BTreeMap<String, u64>,
    /// Disclosures prevented.
    pub exposures_prevented: u64,
}

impl Before {
    /// Sums up days that begin before a moment. The day in which a period begins counts towards that period.
    fn of(days: &[Day], since: Timestamp) -> Self {
        let mut before = Self::default();
        for day in days.iter().filter(|day| day.begins < since) {
            before.exposures_prevented += day.prevented;
            for (action, count) in &day.accepted {
                *before.accepted.entry(action.clone()).or_default() += count;
            }
        }
        before
    }
}

/// How long decisions took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decisions {
    /// Number of decisions.
    pub count: usize,
    /// The median, in seconds.
    pub median_seconds: Option<u64>,
    /// The 90th percentile, in seconds.
    pub nine_of_ten_seconds: Option<u64>,
}

impl Decisions {
    /// From durations, shortest first.
    fn of(waits: &[Duration]) -> Self {
        let within = |part: usize| waits.get((waits.len() * part).div_ceil(100).saturating_sub(1));
        Self {
            count: waits.len(),
            median_seconds: within(50).map(Duration::as_secs),
            nine_of_ten_seconds: within(90).map(Duration::as_secs),
        }
    }
}

impl Principal {
    /// Which held messages the person may see; with `own`, only their own mail.
    pub fn scope(&self, own: bool) -> Scope {
        if (self.roles.admin || self.roles.auditor) && !own {
            return Scope::All;
        }
        let keys = || self.addresses.iter().map(|address| address.key().to_owned()).collect();
        let asked = self.roles.approver && !own;
        Scope::Of { senders: keys(), approvers: if asked { keys() } else { Vec::new() } }
    }
}

impl Desk {
    /// Statistics since a moment, as far as this person may see; days begin `offset` milliseconds before
    /// those of UTC.
    ///
    /// # Errors
    /// The store failed.
    pub async fn numbers(
        &self,
        who: &Principal,
        since: Timestamp,
        offset: i64,
    ) -> Result<Numbers, DeskError> {
        let scope = who.scope(false);
        let everything = scope == Scope::All;
        let activity = self.store.activity(&scope, since, offset).await?;
        let approvers = self.examiner.borrow().approvers.clone();
        let senders = self.store.held_senders(&scope, since).await?;
        let groups = if approvers.groups.is_empty() { Tally::new() } else { grouped(&approvers, &senders) };
        let mut paces = activity.paces;
        if !everything {
            paces.retain(|by, _| *by == who.name);
        }
        let deliveries =
            if everything { self.store.summary(since).await?.deliveries } else { BTreeMap::new() };
        let would = if everything { self.store.would(since).await? } else { Would::default() };
        let mut accepted: BTreeMap<String, u64> = BTreeMap::new();
        for (action, count) in activity.days.iter().flat_map(|day| &day.accepted) {
            *accepted.entry(action.clone()).or_default() += count;
        }
        Ok(Numbers {
            since,
            everything,
            accepted,
            held: activity.held.iter().map(|(state, count)| (state.to_string(), *count)).collect(),
            deliveries,
            exposures_prevented: activity.days.iter().map(|day| day.prevented).sum(),
            decisions: Decisions::of(&activity.waits),
            rules: activity.rules,
            groups,
            approvers: if everything { activity.approvers } else { Tally::new() },
            would,
            senders,
            unchanged: activity.unchanged,
            paces,
            before: None,
            knowledge: if everything { self.store.stock(since).await? } else { Stock::default() },
            days: activity.days,
        })
    }

    /// The same, with the previous period of the same length.
    ///
    /// # Errors
    /// The store failed.
    pub async fn numbers_compared(
        &self,
        who: &Principal,
        since: Timestamp,
        offset: i64,
    ) -> Result<Numbers, DeskError> {
        let mut numbers = self.numbers(who, since, offset).await?;
        let longer = since.minus(self.clock.now().since(since));
        let days = self.store.days(&who.scope(false), longer, offset).await?;
        numbers.before = Some(Before::of(&days, since));
        Ok(numbers)
    }
}

/// Held messages by the groups of their senders.
fn grouped(approvers: &Approvers, senders: &Tally) -> Tally {
    let mut tally = Tally::new();
    for (sender, states) in senders {
        let Ok(sender) = Address::parse(sender) else { continue };
        for group in approvers.groups.iter().filter(|group| group.holds(&sender)) {
            let counts = tally.entry(group.name.clone()).or_default();
            for (state, count) in states {
                *counts.entry(*state).or_default() += count;
            }
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::approvers::SenderGroup;
    use crate::store::HeldState;

    #[test]
    fn half_and_nine_of_ten() {
        let spans = |count: u64| (1..=count).map(Duration::from_secs).collect::<Vec<_>>();
        for (count, half, most) in [(1, 1, 1), (2, 1, 2), (3, 2, 3), (10, 5, 9), (100, 50, 90)] {
            let found = Decisions::of(&spans(count));
            assert_eq!(
                (found.median_seconds, found.nine_of_ten_seconds),
                (Some(half), Some(most)),
                "{count}"
            );
        }
        assert_eq!(Decisions::of(&[]), Decisions::default());
    }

    #[test]
    fn the_span_before_ends_where_this_one_begins() {
        let day = |begins, held| Day {
            begins: Timestamp(begins),
            accepted: BTreeMap::from([("hold".to_owned(), held)]),
            prevented: held * 10,
        };
        let before = Before::of(&[day(0, 2), day(10, 3), day(20, 4)], Timestamp(20));
        assert_eq!(before.accepted, BTreeMap::from([("hold".to_owned(), 5)]));
        assert_eq!(before.exposures_prevented, 50);
        assert_eq!(Before::of(&[], Timestamp(20)), Before::default());
    }

    #[test]
    fn senders_count_in_every_group_of_theirs() {
        let group =
            |name: &str, sender: &str| SenderGroup::new(name, &[sender.to_owned()], Vec::new()).unwrap();
        let groups = vec![group("sales", "sales-*@example.jp"), group("all", "example.jp")];
        let approvers = Approvers { groups, ..Approvers::default() };
        let held = |count| BTreeMap::from([(HeldState::Held, count)]);
        let senders = Tally::from([
            ("sales-a@example.jp".to_owned(), held(2)),
            ("sales-b@example.jp".to_owned(), held(3)),
            ("soumu@example.jp".to_owned(), held(4)),
            ("x@elsewhere.example".to_owned(), held(5)),
            (String::new(), held(6)),
        ]);
        let found = grouped(&approvers, &senders);
        assert_eq!(found, Tally::from([("sales".to_owned(), held(5)), ("all".to_owned(), held(9))]));
    }
}
