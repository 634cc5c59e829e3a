//! Keeps an upstream to its rates: a number of transactions or recipients in a period of time.
//!
//! A transaction that comes too early is assigned a time to come again, and its tokens are taken at once.
//! A fan-out of 500 copies thus spreads over 500 times, which are kept in the store across restarts.
//!
//! Relays that share a database share the rates too ([`across`]).

pub mod across;

use super::rate::{Bucket, Rate};
use super::tally::Tally;
use super::{Fate, Outcome, Transaction, Upstream};
use crate::clock::{Clock, Timestamp};
use across::Across;
use async_trait::async_trait;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long after its time an assignment is still valid.
const KEPT_FOR: Duration = Duration::from_mins(5);

/// The token buckets of an upstream's rates, all of which apply.
#[derive(Debug)]
pub struct Pace {
    buckets: Vec<Bucket>,
    /// Assigned times with their numbers of recipients, earliest first.
    promised: VecDeque<(Timestamp, usize)>,
}

impl Pace {
    /// Buckets that are full except for what was sent recently.
    pub fn new(rates: &[Rate], sent: &[Sent], now: Timestamp) -> Self {
        let buckets = rates.iter().map(|rate| {
            let mut bucket = Bucket::new(*rate, now);
            for sent in sent.iter().filter(|sent| sent.rate == *rate) {
                bucket.take(sent.count);
            }
            bucket
        });
        Self { buckets: buckets.collect(), promised: VecDeque::new() }
    }

    /// Lets a transaction with this many recipients start. The error is the time assigned to it.
    fn start(&mut self, recipients: usize, now: Timestamp) -> Result<(), Timestamp> {
        while self.promised.front().is_some_and(|(at, _)| at.plus(KEPT_FOR) < now) {
            self.promised.pop_front();
        }
        if let Some(&(at, paid)) = self.promised.front()
            && at <= now
        {
            self.promised.pop_front();
            // the transaction may differ from the one the time was assigned to, so its price may as well
            self.put_back(paid);
            self.take(recipients);
            return Ok(());
        }
        let at = self.buckets.iter_mut().map(|bucket| bucket.when(recipients, now)).max().unwrap_or(now);
        self.take(recipients);
        if at <= now {
            return Ok(());
        }
        self.promised.push_back((at, recipients));
        Err(at)
    }

    fn take(&mut self, recipients: usize) {
        for bucket in &mut self.buckets {
            bucket.take(bucket.price(recipients));
        }
    }

    fn put_back(&mut self, recipients: usize) {
        for bucket in &mut self.buckets {
            bucket.put_back(bucket.price(recipients));
        }
    }

    /// How many transactions wait for their assigned time, and how long until the last one.
    fn waiting(&self, now: Timestamp) -> (usize, Duration) {
        let last = self.promised.back().map_or(Duration::ZERO, |(at, _)| at.since(now));
        (self.promised.iter().filter(|(at, _)| *at > now).count(), last)
    }
}

/// What was sent recently under a rate, so that a restart does not reset it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The rate.
    pub rate: Rate,
    /// How many of its unit were sent within its period.
    pub count: usize,
}

/// An upstream kept to rates; see the module documentation.
pub struct Paced {
    inner: Arc<dyn Upstream>,
    clock: Arc<dyn Clock>,
    tally: Tally,
    pace: Arc<Mutex<Pace>>,
    /// Decides in place of `pace` if other relays send under the same rates.
    across: Option<Arc<Across>>,
    text: String,
}

impl Paced {
    /// Keeps `inner` to these rates. `pace` holds the buckets of the same rates, possibly in use already.
    pub fn new(
        inner: Arc<dyn Upstream>,
        rates: &[Rate],
        pace: Arc<Mutex<Pace>>,
        clock: Arc<dyn Clock>,
        tally: Tally,
    ) -> Self {
        let texts: Vec<String> = rates.iter().map(ToString::to_string).collect();
        Self { inner, clock, tally, pace, across: None, text: texts.join(", ") }
    }

    /// The same, with rates that other relays share.
    #[must_use]
    pub fn shared(self, across: Option<Arc<Across>>) -> Self {
        Self { across, ..self }
    }

    async fn start(&self, recipients: usize, now: Timestamp) -> (Result<(), Timestamp>, (usize, Duration)) {
        if let Some(across) = &self.across {
            return across.start(recipients, now).await;
        }
        let mut pace = self.lock();
        (pace.start(recipients, now), pace.waiting(now))
    }

    fn put_back(&self, recipients: usize) {
        match &self.across {
            Some(across) => across.put_back(recipients, self.clock.now()),
            None => self.lock().put_back(recipients),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pace> {
        // no code that can panic runs while it is held
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Upstream for Paced {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn send(
        &self,
        transaction: &mut Transaction,
        last_look: Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Outcome {
        let recipients = transaction.recipients.len();
        let now = self.clock.now();
        let (start, waiting) = self.start(recipients, now).await;
        self.tally.paced(self.name(), waiting.0, waiting.1);
        if let Err(at) = start {
            let why = format!("postponed to {at} by the rate limit of {}", self.text);
            return Outcome::all(recipients, &Fate::Postponed(why, at));
        }
        let outcome = self.inner.send(transaction, last_look).await;
        let unused = outcome.unreachable && transaction.is_whole();
        if unused || outcome.recipients.iter().all(Fate::is_untried) {
            self.put_back(recipients);
        }
        outcome
    }

    async fn probe(&self) -> Result<String, String> {
        self.inner.probe().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_000_000_000);

    fn rates(texts: &[&str]) -> Vec<Rate> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn after(seconds: u64) -> Timestamp {
        START.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn a_fan_out_gets_a_moment_each_and_keeps_to_every_rate() {
        let mut pace = Pace::new(&rates(&["30/min", "100/h"]), &[], START);
        let mut due: Vec<Timestamp> = Vec::new();
        for _ in 0..500 {
            due.push(pace.start(1, START).err().unwrap_or(START));
        }
        assert_eq!(due.iter().filter(|at| **at == START).count(), 30, "the first minute's worth at once");
        assert!(due.is_sorted());
        assert!(due.windows(2).skip(30).all(|pair| pair[0] < pair[1]), "each has a moment of its own");
        for (minute, most) in [(60, 60), (3_600, 200)] {
            let until = after(minute);
            assert!(due.iter().filter(|at| **at < until).count() <= most, "{minute}");
        }
        assert_eq!(pace.waiting(START).0, 470);
        // each comes at its assigned time and is accepted
        let mut moments = due.clone();
        moments.retain(|at| *at > START);
        for at in moments {
            assert_eq!(pace.start(1, at), Ok(()), "{at}");
        }
        assert_eq!(pace.waiting(after(1_000_000)).0, 0);
    }

    #[test]
    fn whoever_comes_later_queues_behind() {
        let mut pace = Pace::new(&rates(&["1/min"]), &[], START);
        assert_eq!(pace.start(1, START), Ok(()));
        assert_eq!(pace.start(1, START), Err(after(60)));
        assert_eq!(pace.start(1, after(30)), Err(after(120)));
        assert_eq!(pace.start(1, after(60)), Ok(()));
        assert_eq!(pace.start(1, after(120)), Ok(()));
        assert_eq!(pace.start(1, after(120)), Err(after(180)));
        // an assigned time that is not used is lost, not saved up
        assert_eq!(pace.start(1, after(3_600)), Ok(()));
        assert_eq!(pace.start(1, after(3_600)), Err(after(3_660)));
    }

    #[test]
    fn recipients_are_counted_where_the_rate_says_so() {
        let mut pace = Pace::new(&rates(&["10 recipients/min"]), &[], START);
        assert_eq!(pace.start(8, START), Ok(()));
        assert_eq!(pace.start(8, START), Err(after(36)), "two left, six missing");
        // a transaction larger than the bucket starts from a full one, and later ones wait for the debt
        assert_eq!(pace.start(25, after(1_000)), Ok(()));
        assert!(pace.start(1, after(1_000)).is_err());
    }

    #[test]
    fn what_was_sent_before_a_restart_counts() {
        let rate = rates(&["30/min"]);
        let mut pace = Pace::new(&rate, &[Sent { rate: rate[0], count: 29 }], START);
        assert_eq!(pace.start(1, START), Ok(()));
        assert!(pace.start(1, START).is_err());
    }
}
