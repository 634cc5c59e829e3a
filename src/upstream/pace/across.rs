//! Rates that several relays share. The store keeps the token buckets and the assigned times. While a rate is
//! far from its limit, a relay takes a hundredth of it at once, so that most transactions need no request.

use super::super::rate::Rate;
use super::Sent;
use crate::clock::Timestamp;
use async_trait::async_trait;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A relay takes one part in this many of a rate at once, or the price of a transaction if that is higher. It
/// must use this within one part in this many of the shortest period.
const PARTS: u32 = 100;
/// How long a transaction waits if the request to the store fails.
const LATER: Duration = Duration::from_secs(30);

/// What a transaction requests from one rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The rate.
    pub rate: Rate,
    /// What was sent within its period. It counts if the store knows nothing about this rate yet.
    pub sent: u64,
    /// The number of tokens that this transaction costs.
    pub price: u64,
    /// The number of tokens to take at once if the rate is far from its limit.
    pub block: u64,
}

/// The answer of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The transaction may start, and the relay may use the rest of every block for others.
    Block,
    /// The transaction may start.
    Once,
    /// The transaction may start later.
    Later {
        /// The time assigned to it.
        at: Timestamp,
        /// How many transactions have an assigned time.
        waiting: usize,
        /// The latest of these times.
        last: Timestamp,
    },
}

/// Where relays that share a rate take its tokens from.
#[async_trait]
pub trait SharedPace: Send + Sync {
    /// Takes tokens from every rate of an upstream, or has a later time assigned.
    ///
    /// # Errors
    /// The request to the store failed. The text is for the log.
    async fn draw(&self, upstream: &str, wanted: &[Wanted], now: Timestamp) -> Result<Turn, String>;
}

/// Tokens that this relay has taken from the store and not used yet.
#[derive(Debug, Default)]
struct Granted {
    tokens: Vec<u64>,
    until: Option<Timestamp>,
}

/// The rates of an upstream that several relays share.
pub struct Across {
    store: Arc<dyn SharedPace>,
    upstream: String,
    rates: Vec<(Rate, u64)>,
    granted: Mutex<Granted>,
}

impl Across {
    /// The rates of this upstream, and what was sent recently under them.
    pub fn new(store: Arc<dyn SharedPace>, upstream: String, rates: &[Rate], sent: &[Sent]) -> Self {
        let sent = |rate: &Rate| {
            let same = sent.iter().find(|sent| sent.rate == *rate);
            same.map_or(0, |sent| u64::try_from(sent.count).unwrap_or(u64::MAX))
        };
        let rates = rates.iter().map(|rate| (*rate, sent(rate))).collect();
        Self { store, upstream, rates, granted: Mutex::default() }
    }

    fn granted(&self) -> MutexGuard<'_, Granted> {
        // no code that can panic runs while it is held
        self.granted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wanted(&self, recipients: usize) -> Vec<Wanted> {
        let wanted = |(rate, sent): &(Rate, u64)| {
            let price = u64::try_from(rate.price(recipients)).unwrap_or(u64::MAX);
            Wanted { rate: *rate, sent: *sent, price, block: price.max(u64::from(rate.count / PARTS)) }
        };
        self.rates.iter().map(wanted).collect()
    }

    /// How long the tokens of a block may be used.
    fn span(&self) -> Duration {
        let shortest = self.rates.iter().map(|(rate, _)| rate.per).min().unwrap_or_default();
        shortest / PARTS
    }

    /// Lets a transaction start, or returns the time assigned to it. Also returns how many transactions wait,
    /// and how long until the last of them may start.
    pub(super) async fn start(
        &self,
        recipients: usize,
        now: Timestamp,
    ) -> (Result<(), Timestamp>, (usize, Duration)) {
        let wanted = self.wanted(recipients);
        if self.granted().take(&wanted, now) {
            return (Ok(()), (0, Duration::ZERO));
        }
        match self.store.draw(&self.upstream, &wanted, now).await {
            Ok(Turn::Block) => {
                let rest: Vec<u64> = wanted.iter().map(|one| one.block - one.price).collect();
                self.granted().add(&rest, now, self.span());
                (Ok(()), (0, Duration::ZERO))
            }
            Ok(Turn::Once) => (Ok(()), (0, Duration::ZERO)),
            Ok(Turn::Later { at, waiting, last }) => (Err(at), (waiting, last.since(now))),
            Err(why) => {
                tracing::warn!(upstream = self.upstream, why, "a shared rate cannot be asked: mail waits");
                (Err(now.plus(LATER)), (1, LATER))
            }
        }
    }

    /// Puts the tokens of a transaction that did not take place back into what was granted to this relay.
    pub(super) fn put_back(&self, recipients: usize, now: Timestamp) {
        let prices: Vec<u64> = self.wanted(recipients).iter().map(|one| one.price).collect();
        self.granted().add(&prices, now, self.span());
    }
}

impl Granted {
    fn take(&mut self, wanted: &[Wanted], now: Timestamp) -> bool {
        let enough = self.until.is_some_and(|until| now < until)
            && self.tokens.iter().zip(wanted).all(|(tokens, one)| *tokens >= one.price);
        if enough {
            for (tokens, one) in self.tokens.iter_mut().zip(wanted) {
                *tokens -= one.price;
            }
        }
        enough
    }

    /// Adds tokens. If there are tokens that have not expired, the new ones expire with them: adding tokens
    /// must not extend the time of the old ones.
    fn add(&mut self, more: &[u64], now: Timestamp, span: Duration) {
        let until = self.until.filter(|until| now < *until);
        if until.is_none() {
            self.tokens = vec![0; more.len()];
        }
        self.until = Some(until.unwrap_or_else(|| now.plus(span)));
        for (tokens, more) in self.tokens.iter_mut().zip(more) {
            *tokens = tokens.saturating_add(*more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    /// A store with this many tokens, which gives only whole blocks. The second number counts the requests.
    struct Given(Mutex<(u64, usize)>);

    #[async_trait]
    impl SharedPace for Given {
        async fn draw(&self, _: &str, wanted: &[Wanted], now: Timestamp) -> Result<Turn, String> {
            let mut state = self.0.lock().unwrap();
            state.1 += 1;
            if state.0 >= wanted[0].block {
                state.0 -= wanted[0].block;
                return Ok(Turn::Block);
            }
            let at = now.plus(Duration::from_secs(9));
            if state.0 == 0 { Ok(Turn::Later { at, waiting: 1, last: at }) } else { Err("gone".to_owned()) }
        }
    }

    #[tokio::test]
    async fn most_transactions_need_no_request() {
        let store = Arc::new(Given(Mutex::new((1_000, 0))));
        let rate: Rate = "10000/h".parse().unwrap();
        let relays: Vec<Across> =
            (0..2).map(|_| Across::new(store.clone(), "host:25".to_owned(), &[rate], &[])).collect();
        let mut started = 0;
        for number in 0..1_100 {
            started += usize::from(relays[number % 2].start(1, NOW).await.0.is_ok());
        }
        assert_eq!(started, 1_000);
        assert_eq!(store.0.lock().unwrap().1, 10 + 100, "ten blocks, and everybody after them");
        relays[0].put_back(1, NOW);
        assert_eq!(relays[0].start(1, NOW).await.0, Ok(()));
        assert_eq!(relays[0].start(1, NOW).await.0, Err(NOW.plus(Duration::from_secs(9))));
        relays[0].put_back(1, NOW);
        let late = NOW.plus(Duration::from_secs(37));
        assert!(relays[0].start(1, late).await.0.is_err(), "a block is good for a hundredth of the period");
        store.0.lock().unwrap().0 = 1;
        assert_eq!(relays[0].start(1, late).await.0, Err(late.plus(LATER)), "the store is gone");
    }

    #[tokio::test]
    async fn a_small_rate_is_asked_each_time() {
        let store = Arc::new(Given(Mutex::new((30, 0))));
        let across = Across::new(store.clone(), "host:25".to_owned(), &["30/min".parse().unwrap()], &[]);
        for _ in 0..30 {
            assert_eq!(across.start(1, NOW).await.0, Ok(()));
        }
        assert!(across.start(1, NOW).await.0.is_err());
        assert_eq!(store.0.lock().unwrap().1, 31);
    }
}
