//! Budgets that several relays share. The store gives each relay the room that it asks for. While a budget
//! has plenty of room, the store gives a hundredth of it at once, so that most messages need no request.

use super::ledger::{self, Account};
use super::{Budgets, Reserved, RuleOutcome, Sending};
use crate::clock::{Clock, Timestamp};
use std::collections::BTreeMap;

/// A relay asks for one part in this many of a budget at once, or for what a message needs if that is more.
const PARTS: u32 = 100;

/// What a message requests from one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    account: Account,
    /// The account's name in the store.
    pub name: String,
    /// The time slot in which the recipients count.
    pub slot: i64,
    /// How many recipients count.
    pub wanted: u64,
    /// How many recipients to take at once if there is plenty of room.
    pub block: u64,
    /// For each budget of the account, the maximum number of recipients and the first slot that counts.
    pub limits: Vec<(u64, i64)>,
    /// The account's usage as this relay knows it, by slot.
    pub known: Vec<(i64, u64)>,
}

/// What an account has given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The number of recipients given now: 0 if a budget has no room.
    pub given: u64,
    /// Everything that the account has given to all relays, by slot.
    pub slots: Vec<(i64, u64)>,
}

impl Budgets {
    /// What these recipients request from each account at the given time.
    pub fn asks(&self, sending: Sending<'_>, at: Timestamp) -> Vec<Ask> {
        let ledger = self.lock();
        let mut asks: BTreeMap<Account, Ask> = BTreeMap::new();
        for cost in self.costs(sending) {
            let part = u64::from(cost.limit.count / PARTS);
            let ask = asks.entry(cost.account.clone()).or_insert_with(|| Ask {
                name: cost.account.name(),
                slot: ledger::slot(at),
                wanted: cost.wanted,
                block: u64::MAX,
                limits: Vec::new(),
                known: ledger.slots(&cost.account),
                account: cost.account,
            });
            ask.block = ask.block.min(part).max(ask.wanted);
            ask.limits.push((u64::from(cost.limit.count), ledger::first(at, cost.limit.per)));
        }
        asks.into_values().collect()
    }

    /// The first slot that any budget still counts.
    pub fn oldest(&self, now: Timestamp) -> i64 {
        ledger::first(now, self.by_route.longest().unwrap_or_default())
    }

    /// Takes room for these requests from what the store has already given to this relay, if that is enough.
    /// If not, it returns false, and the caller asks the store and passes its answer to [`Self::learn`].
    pub fn take_granted(&self, asks: &[Ask]) -> bool {
        let sums: Vec<_> = asks.iter().map(|ask| (&ask.account, ask.slot, ask.wanted)).collect();
        self.lock().take_granted(&sums)
    }

    /// Records what the store gave for these requests.
    pub fn learn(&self, asks: &[Ask], given: &[Given]) {
        let mut ledger = self.lock();
        for (ask, given) in asks.iter().zip(given) {
            let mut slots = given.slots.clone();
            // What was given to this relay is counted here only when it is used.
            for (slot, sum) in &mut slots {
                if *slot == ask.slot {
                    *sum = sum.saturating_sub(given.given);
                }
            }
            ledger.learn(&ask.account, &slots);
            if given.given > ask.wanted {
                ledger.grant(&ask.account, ask.slot, given.given - ask.wanted);
            }
        }
    }

    /// As [`Self::reserve`], for room that the store has given to this relay. If the reservation is dropped,
    /// this relay can use the room for other messages.
    ///
    /// # Errors
    /// The rule that holds the message, with a forecast.
    pub fn reserve_shared(
        &self,
        sending: Sending<'_>,
        at: Timestamp,
        clock: &dyn Clock,
    ) -> Result<Reserved, RuleOutcome> {
        self.reserve(sending, at, clock).map(Reserved::shared)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Organisation, RouteBudgets};
    use super::*;
    use crate::clock::ManualClock;
    use crate::message::Address;
    use std::collections::HashMap;

    /// Gives out room as the store does. The second field counts the requests.
    #[derive(Default)]
    struct Together(HashMap<String, BTreeMap<i64, u64>>, usize);

    impl Together {
        fn give(&mut self, asks: &[Ask]) -> Vec<Given> {
            self.1 += 1;
            let used = |ask: &Ask, first: i64| -> u64 {
                self.0.get(&ask.name).map_or(0, |slots| slots.range(first..).map(|(_, sum)| sum).sum())
            };
            let fits =
                |ask: &Ask, more| ask.limits.iter().all(|(most, first)| used(ask, *first) + more <= *most);
            let all = asks.iter().all(|ask| fits(ask, ask.wanted));
            let sums: Vec<u64> = asks
                .iter()
                .map(|ask| match all {
                    true if fits(ask, ask.block) => ask.block,
                    true => ask.wanted,
                    false => 0,
                })
                .collect();
            let mut given = Vec::new();
            for (ask, sum) in asks.iter().zip(sums) {
                let slots = self.0.entry(ask.name.clone()).or_default();
                *slots.entry(ask.slot).or_default() += sum;
                given.push(Given { given: sum, slots: slots.clone().into_iter().collect() });
            }
            given
        }
    }

    #[test]
    fn two_relays_send_one_budget() {
        let clock = ManualClock::at(Timestamp(1_790_000_000_000));
        let usual = ["1000/day", "400/hour"].iter().map(|text| text.parse().unwrap()).collect();
        let by_route = RouteBudgets { usual, ..RouteBudgets::default() };
        let relays = [Budgets::new(by_route.clone()), Budgets::new(by_route)];
        let mut store = Together::default();
        let (sender, to) = (Address::parse("a@x.example").unwrap(), Address::parse("b@y.example").unwrap());
        let organisation = Organisation::default();
        let recipients = [&to];
        let sending = Sending { sender: Some(&sender), recipients: &recipients, organisation: &organisation };
        let mut send = |relay: &Budgets, keeps: bool| {
            let now = clock.now();
            let asks = relay.asks(sending, now);
            if !relay.take_granted(&asks) {
                relay.learn(&asks, &store.give(&asks));
            }
            let reserved = relay.reserve_shared(sending, now, &clock);
            let done = reserved.is_ok();
            if keeps {
                reserved.into_iter().for_each(Reserved::keep);
            }
            done
        };
        let mut count = 0;
        for number in 0..600 {
            if number % 5 == 4 {
                send(&relays[number % 2], false);
            } else {
                count += usize::from(send(&relays[number % 2], true));
            }
        }
        assert!((392..=400).contains(&count), "{count} of 400");
        clock.advance_millis(2 * 3_600_000);
        let more = (0..300).filter(|number| send(&relays[number % 2], true)).count();
        assert_eq!(more, 300);
        assert!(store.1 < 400, "{} requests for 900 messages", store.1);
    }
}
