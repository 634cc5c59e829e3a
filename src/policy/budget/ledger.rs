//! Usage of the budgets: recipients by account and time slot.

use super::limit::{Limit, Whose};
use crate::clock::Timestamp;
use crate::message::Address;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Length of a slot in milliseconds. A slot counts until all of it lies outside the period.
const SLOT: i64 = 10 * 60 * 1_000;

/// Whose recipients are counted, for which upstream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Account {
    upstream: String,
    /// MAIL FROM in comparison form; `None` counts all senders together.
    sender: Option<String>,
    outside: bool,
}

impl Account {
    /// The account that a budget counts on; `None` for a mail without sender if the budget is per sender.
    pub(super) fn of(upstream: &str, limit: &Limit, sender: Option<&Address>) -> Option<Self> {
        let sender = match limit.whose {
            Whose::All => None,
            Whose::Sender => Some(sender?.key().to_owned()),
        };
        Some(Self { upstream: upstream.to_owned(), sender, outside: limit.outside })
    }

    /// Its name in the store.
    pub(super) fn name(&self) -> String {
        let outside = if self.outside { "outside" } else { "" };
        format!("{}\n{}\n{outside}", self.upstream, self.sender.as_deref().unwrap_or_default())
    }
}

/// Recipients by account and slot.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    accounts: HashMap<Account, BTreeMap<i64, u64>>,
    /// What was granted to this relay from budgets that several relays share, by account and slot.
    granted: HashMap<(Account, i64), u64>,
    /// The slot of the last sweep.
    swept: i64,
}

pub(super) fn slot(at: Timestamp) -> i64 {
    at.0.div_euclid(SLOT)
}

/// The first slot that overlaps the period before a moment.
pub(super) fn first(at: Timestamp, per: Duration) -> i64 {
    slot(at.minus(per))
}

impl Ledger {
    /// An account's usage in the period before a moment, with everything due later, which is already
    /// promised.
    pub(super) fn used(&self, account: &Account, per: Duration, at: Timestamp) -> u64 {
        self.accounts.get(account).map_or(0, |slots| slots.range(first(at, per)..).map(|(_, sum)| sum).sum())
    }

    /// When this many more recipients fit; `None` if they never do.
    pub(super) fn room(
        &self,
        account: &Account,
        limit: &Limit,
        wanted: u64,
        at: Timestamp,
    ) -> Option<Timestamp> {
        let mut free = u64::from(limit.count).checked_sub(wanted)?;
        // walks back from the newest slot: the slot at which the room is used up must leave the period first
        let slots = self.accounts.get(account)?;
        for (slot, sum) in slots.range(first(at, limit.per)..).rev() {
            match free.checked_sub(*sum) {
                Some(left) => free = left,
                None => return Some(Timestamp((slot + 1).saturating_mul(SLOT)).plus(limit.per)),
            }
        }
        Some(at)
    }

    /// The highest usage of any account of a budget.
    pub(super) fn most_used(&self, upstream: &str, limit: &Limit, now: Timestamp) -> u64 {
        let same = |account: &&Account| {
            account.upstream == upstream
                && account.outside == limit.outside
                && account.sender.is_some() == (limit.whose == Whose::Sender)
        };
        let accounts = self.accounts.keys().filter(same);
        accounts.map(|account| self.used(account, limit.per, now)).max().unwrap_or(0)
    }

    /// Removes slots that are older than the longest period.
    pub(super) fn sweep(&mut self, now: Timestamp, longest: Duration) {
        if slot(now) == self.swept {
            return;
        }
        self.swept = slot(now);
        let begin = first(now, longest);
        self.granted.retain(|(_, slot), _| *slot >= begin);
        self.accounts.retain(|_, slots| {
            *slots = slots.split_off(&begin);
            !slots.is_empty()
        });
    }

    /// What is known of an account, by slot.
    pub(super) fn slots(&self, account: &Account) -> Vec<(i64, u64)> {
        self.accounts
            .get(account)
            .map_or_else(Vec::new, |slots| slots.iter().map(|(slot, sum)| (*slot, *sum)).collect())
    }

    /// Replaces what is known of an account by what all relays have given out.
    pub(super) fn learn(&mut self, account: &Account, slots: &[(i64, u64)]) {
        self.accounts.insert(account.clone(), slots.iter().copied().collect());
    }

    /// Takes these amounts from what was granted, if there is enough of each.
    pub(super) fn take_granted(&mut self, sums: &[(&Account, i64, u64)]) -> bool {
        let there = |(account, slot, sum): &(&Account, i64, u64)| {
            self.granted.get(&((*account).clone(), *slot)).is_some_and(|granted| granted >= sum)
        };
        let all = sums.iter().all(there);
        if all {
            for (account, slot, sum) in sums {
                if let Some(granted) = self.granted.get_mut(&((*account).clone(), *slot)) {
                    *granted -= sum;
                }
            }
        }
        all
    }

    /// Adds to what was granted.
    pub(super) fn grant(&mut self, account: &Account, slot: i64, more: u64) {
        *self.granted.entry((account.clone(), slot)).or_default() += more;
    }

    /// Adds these amounts.
    pub(super) fn take(
        &mut self,
        this: &Arc<Mutex<Self>>,
        sums: BTreeMap<Account, u64>,
        at: Timestamp,
    ) -> Reserved {
        let slot = slot(at);
        for (account, sum) in &sums {
            *self.accounts.entry(account.clone()).or_default().entry(slot).or_default() += sum;
        }
        Reserved { ledger: Arc::clone(this), sums, slot, shared: false }
    }
}

/// A reservation for a mail that is about to be committed. Dropping it gives the amounts back.
#[derive(Debug)]
#[must_use = "what is not kept is given back"]
pub struct Reserved {
    ledger: Arc<Mutex<Ledger>>,
    sums: BTreeMap<Account, u64>,
    slot: i64,
    /// It was granted to this relay from a shared budget, and is returned to what was granted.
    shared: bool,
}

impl Reserved {
    /// The same of budgets that other relays share.
    pub(super) fn shared(mut self) -> Self {
        self.shared = true;
        self
    }

    /// Keeps the amounts: the mail is committed.
    pub fn keep(mut self) {
        self.sums.clear();
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if self.sums.is_empty() {
            return;
        }
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        for (account, sum) in &self.sums {
            if let Some(spent) = ledger.accounts.get_mut(account).and_then(|slots| slots.get_mut(&self.slot))
            {
                *spent = spent.saturating_sub(*sum);
            }
            if self.shared {
                ledger.grant(account, self.slot, *sum);
            }
        }
    }
}
