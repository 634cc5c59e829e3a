//! What was spent: recipients by account and slot of time.

use super::limit::{Limit, Whose};
use crate::clock::Timestamp;
use crate::message::Address;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How finely time is told, in milliseconds. What stands in a slot counts until all of it is out of the span.
const SLOT: i64 = 10 * 60 * 1_000;

/// Whose recipients, over which way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Account {
    way: String,
    /// MAIL FROM in comparison form; `None` for all together.
    sender: Option<String>,
    outside: bool,
}

impl Account {
    /// The one that a limit counts on; none for a mail without a sender, where it counts for each.
    pub(super) fn of(way: &str, limit: &Limit, sender: Option<&Address>) -> Option<Self> {
        let sender = match limit.whose {
            Whose::All => None,
            Whose::Sender => Some(sender?.key().to_owned()),
        };
        Some(Self { way: way.to_owned(), sender, outside: limit.outside })
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    accounts: HashMap<Account, BTreeMap<i64, u64>>,
    /// The slot in which what is past was last forgotten.
    swept: i64,
}

fn slot(at: Timestamp) -> i64 {
    at.0.div_euclid(SLOT)
}

/// The first slot that reaches into the span before a moment.
fn first(at: Timestamp, per: Duration) -> i64 {
    slot(at.minus(per))
}

impl Ledger {
    /// What of an account lies in the span before a moment, or after it: what is due later was promised.
    pub(super) fn used(&self, account: &Account, per: Duration, at: Timestamp) -> u64 {
        self.accounts.get(account).map_or(0, |slots| slots.range(first(at, per)..).map(|(_, sum)| sum).sum())
    }

    /// When so many more would fit; `None` if they never do.
    pub(super) fn room(
        &self,
        account: &Account,
        limit: &Limit,
        wanted: u64,
        at: Timestamp,
    ) -> Option<Timestamp> {
        let mut free = u64::from(limit.count).checked_sub(wanted)?;
        // from the newest back: what is met once the room is gone has to be out of the span first
        let slots = self.accounts.get(account)?;
        for (slot, sum) in slots.range(first(at, limit.per)..).rev() {
            match free.checked_sub(*sum) {
                Some(left) => free = left,
                None => return Some(Timestamp((slot + 1).saturating_mul(SLOT)).plus(limit.per)),
            }
        }
        Some(at)
    }

    /// The most that any account of a limit has used.
    pub(super) fn most_used(&self, way: &str, limit: &Limit, now: Timestamp) -> u64 {
        let same = |account: &&Account| {
            account.way == way
                && account.outside == limit.outside
                && account.sender.is_some() == (limit.whose == Whose::Sender)
        };
        let accounts = self.accounts.keys().filter(same);
        accounts.map(|account| self.used(account, limit.per, now)).max().unwrap_or(0)
    }

    /// Forgets what is past the longest span.
    pub(super) fn sweep(&mut self, now: Timestamp, longest: Duration) {
        if slot(now) == self.swept {
            return;
        }
        self.swept = slot(now);
        let begin = first(now, longest);
        self.accounts.retain(|_, slots| {
            *slots = slots.split_off(&begin);
            !slots.is_empty()
        });
    }

    /// Takes these sums.
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
        Reserved { ledger: Arc::clone(this), sums, slot }
    }
}

/// What was taken for a mail that is about to be committed: given back when that comes to nothing.
#[derive(Debug)]
#[must_use = "what is not kept is given back"]
pub struct Reserved {
    ledger: Arc<Mutex<Ledger>>,
    sums: BTreeMap<Account, u64>,
    slot: i64,
}

impl Reserved {
    /// It is spent.
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
        }
    }
}
