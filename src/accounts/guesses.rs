//! Limits guesses at passwords.
//!
//! A *source* is an IPv4 address or an IPv6 /64. A source that gave the right password of an account is
//! *known* for that account, for 30 days from the last time.
//!
//! | guesses by | most guesses evaluated within an hour |
//! |---|---|
//! | all sources that are not known for an account, together | 20 for each account |
//! | one source, at all accounts it is not known for | 100 |
//! | one source, at an account it is known for | 100 |
//!
//! An attacker with any number of addresses thus has 20 guesses an hour at an account, and users who sign
//! in from their usual source are not locked out meanwhile. A guess over the limit is refused before
//! any look-up, so the reply reveals neither whether the password is right nor whether the account exists.
//!
//! Relays that share a database count the guesses of the first two lines together ([`SharedGuesses`]).
//!
//! Memory is bounded: counts are kept in a fixed number of slots, and names or sources in the same slot share
//! a count. Guesses at a million names therefore cannot evict the count of one.

use crate::clock::{Clock, Timestamp};
use async_trait::async_trait;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Most guesses at one account from sources not known for it, within the window.
pub const PER_ACCOUNT: usize = 20;
/// Most guesses from one source, within the window.
pub const PER_SOURCE: usize = 100;
/// How long a guess counts.
const WINDOW: Duration = Duration::from_hours(1);
/// How long a source stays known.
const KNOWN_FOR: Duration = Duration::from_hours(30 * 24);
/// Number of slots for accounts, and for sources.
const SLOTS: u64 = 16_384;
/// Most known pairs of account and source.
const MOST_KNOWN: usize = 65_536;

/// How long until a known source that is still used is stored again.
const WRITTEN_FOR: Duration = Duration::from_hours(24);

/// A source that is known for an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownSource {
    /// The account's [`key`](super::key).
    pub account: String,
    /// An IPv4 address, or the first address of an IPv6 /64.
    pub network: IpAddr,
    /// When it last gave the right password.
    pub last: Timestamp,
}

impl KnownSource {
    /// Until when the source stays known.
    pub fn until(&self) -> Timestamp {
        self.last.plus(KNOWN_FOR)
    }
}

/// Counts guesses. The counts are lost with the process. Known sources can be stored ([`Self::fresh`]) and
/// loaded again ([`Self::learn`]).
pub struct Guesses {
    clock: Arc<dyn Clock>,
    hasher: RandomState,
    state: Mutex<State>,
    shared: OnceLock<Arc<dyn SharedGuesses>>,
}

/// Where relays that share a database count guesses together.
#[async_trait]
pub trait SharedGuesses: Send + Sync {
    /// Counts a guess under all these names unless one has reached its limit within the window (`None`).
    ///
    /// # Errors
    /// The store cannot be asked; the text is for the log.
    async fn admit(&self, names: Vec<(String, usize)>) -> Result<Option<Vec<i64>>, String>;

    /// The guess does not count after all.
    async fn retract(&self, guess: Vec<i64>);
}

/// Why a guess must not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There were too many.
    TooMany,
    /// They cannot be counted.
    Down(String),
}

impl std::fmt::Debug for Guesses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guesses").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    accounts: HashMap<u64, Window>,
    sources: HashMap<u64, Window>,
    known: HashMap<u64, KnownEntry>,
}

/// The times of guesses within the last hour.
#[derive(Default)]
struct Window(Vec<Timestamp>);

struct KnownEntry {
    account: Box<str>,
    network: IpAddr,
    last: Timestamp,
    /// The value of `last` when it was stored.
    written: Option<Timestamp>,
    guesses: Window,
}

impl Window {
    /// Counts a guess and returns true, unless the limit is reached.
    fn admit(&mut self, now: Timestamp, most: usize) -> bool {
        self.forget(now);
        let room = self.0.len() < most;
        if room {
            self.0.push(now);
        }
        room
    }

    /// Drops guesses that no longer count. Times in the future (the clock was set back) become `now`.
    fn forget(&mut self, now: Timestamp) {
        self.0.retain(|moment| now.since(*moment) < WINDOW);
        for moment in &mut self.0 {
            *moment = (*moment).min(now);
        }
    }

    fn take_back(&mut self, moment: Timestamp) {
        if let Some(at) = self.0.iter().rposition(|known| *known == moment) {
            self.0.swap_remove(at);
        }
    }
}

/// A guess being evaluated. It counts until [`Guesses::right`] or [`Guesses::take_back`].
#[derive(Debug)]
pub struct Guess {
    account: u64,
    source: u64,
    pair: u64,
    name: Box<str>,
    network: IpAddr,
    known: bool,
    at: Timestamp,
    /// How it is counted among several relays.
    rows: Vec<i64>,
}

impl Guesses {
    /// Creates counts without guesses or known sources.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, hasher: RandomState::new(), state: Mutex::default(), shared: OnceLock::new() }
    }

    /// Counts guesses together with other relays from now on.
    pub fn share(&self, shared: Arc<dyn SharedGuesses>) {
        let _ = self.shared.set(shared);
    }

    /// Counts a guess at an account, named by its [`key`](super::key), here and at the relays that share the
    /// database.
    ///
    /// # Errors
    /// The limit is reached, or guesses cannot be counted.
    pub async fn open(&self, account: &str, address: IpAddr) -> Result<Guess, Refused> {
        let mut guess = self.begin(account, address).ok_or(Refused::TooMany)?;
        let Some(shared) = self.shared.get().filter(|_| !guess.known) else { return Ok(guess) };
        let names = vec![
            (format!("account {account}"), PER_ACCOUNT),
            (format!("source {}", guess.network), PER_SOURCE),
        ];
        let refused = match shared.admit(names).await {
            Ok(Some(rows)) => {
                guess.rows = rows;
                return Ok(guess);
            }
            Ok(None) => Refused::TooMany,
            Err(why) => Refused::Down(why),
        };
        self.take_back(&guess);
        Err(refused)
    }

    /// Counts a guess at an account, named by its [`key`](super::key). `None` if the limit is reached: the
    /// guess must not be evaluated.
    pub fn begin(&self, account: &str, address: IpAddr) -> Option<Guess> {
        let now = self.clock.now();
        let prefix = source(address);
        let pair = self.pair(account, prefix);
        let name: Box<str> = account.into();
        let slot = |hash: u64| hash % SLOTS;
        let account = slot(self.hasher.hash_one(("account", account)));
        let source = slot(self.hasher.hash_one(("source", prefix)));
        let mut state = self.lock();
        let guess =
            |known| Guess { account, source, pair, name, network: prefix, known, at: now, rows: Vec::new() };
        if let Some(known) = state.known.get_mut(&pair).filter(|known| now.since(known.last) < KNOWN_FOR) {
            return known.guesses.admit(now, PER_SOURCE).then(|| guess(true));
        }
        let state = &mut *state;
        let by_source = state.sources.entry(source).or_default();
        if !by_source.admit(now, PER_SOURCE) {
            return None;
        }
        if !state.accounts.entry(account).or_default().admit(now, PER_ACCOUNT) {
            by_source.take_back(now);
            return None;
        }
        Some(guess(false))
    }

    /// The guess was right: it does not count, and its source becomes known.
    pub fn right(&self, guess: &Guess) {
        self.take_back(guess);
        let source = KnownSource { account: guess.name.to_string(), network: guess.network, last: guess.at };
        self.know(guess.pair, source, None);
    }

    /// Adds sources known from before the start.
    pub fn learn(&self, sources: Vec<KnownSource>) {
        for source in sources {
            let written = Some(source.last);
            self.know(self.pair(&source.account, source.network), source, written);
        }
    }

    /// The known sources to store: those that are new since the last call, or were stored a day ago or
    /// earlier and used since.
    pub fn fresh(&self) -> Vec<KnownSource> {
        let mut state = self.lock();
        let due = |known: &&mut KnownEntry| {
            known.written.is_none_or(|written| known.last.since(written) >= WRITTEN_FOR)
        };
        let tell = |known: &mut KnownEntry| {
            known.written = Some(known.last);
            KnownSource { account: known.account.to_string(), network: known.network, last: known.last }
        };
        state.known.values_mut().filter(due).map(tell).collect()
    }

    fn pair(&self, account: &str, network: IpAddr) -> u64 {
        self.hasher.hash_one((account, network))
    }

    fn know(&self, pair: u64, source: KnownSource, written: Option<Timestamp>) {
        let mut state = self.lock();
        if state.known.len() >= MOST_KNOWN && !state.known.contains_key(&pair) {
            let oldest = state.known.iter().min_by_key(|(_, known)| known.last).map(|(pair, _)| *pair);
            oldest.and_then(|pair| state.known.remove(&pair));
        }
        let last = source.last;
        let known = state.known.entry(pair).or_insert_with(|| KnownEntry {
            account: source.account.into(),
            network: source.network,
            last,
            written,
            guesses: Window::default(),
        });
        known.last = last;
    }

    /// The guess was not evaluated after all: it does not count.
    pub fn take_back(&self, guess: &Guess) {
        if let Some(shared) = self.shared.get().filter(|_| !guess.rows.is_empty()) {
            let (shared, rows) = (Arc::clone(shared), guess.rows.clone());
            tokio::spawn(async move { shared.retract(rows).await });
        }
        let mut state = self.lock();
        if guess.known {
            if let Some(known) = state.known.get_mut(&guess.pair) {
                known.guesses.take_back(guess.at);
            }
            return;
        }
        if let Some(window) = state.accounts.get_mut(&guess.account) {
            window.take_back(guess.at);
        }
        if let Some(window) = state.sources.get_mut(&guess.source) {
            window.take_back(guess.at);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The source of an address. A host with one address of an IPv6 /64 usually has all of them.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !(u128::MAX >> 64))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use std::net::Ipv4Addr;

    fn guesses() -> (Guesses, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(Timestamp(1_700_000_000_000)));
        (Guesses::new(clock.clone()), clock)
    }

    fn v4(number: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number))
    }

    #[test]
    fn ten_thousand_guesses_from_two_hundred_addresses() {
        let (guesses, clock) = guesses();
        let home = v4(9_999);
        let guess = guesses.begin("hanako", home).unwrap();
        guesses.right(&guess);
        // Over three hours; no hour may contain more than 20.
        let mut evaluated: Vec<Timestamp> = Vec::new();
        for number in 0..10_000 {
            if guesses.begin("hanako", v4(number % 200)).is_some() {
                evaluated.push(clock.now());
            }
            if number % 100 == 0 {
                let guess = guesses.begin("hanako", home).expect("a known source is not locked out");
                guesses.right(&guess);
            }
            clock.advance_millis(3 * 3_600_000 / 10_000);
        }
        for (at, moment) in evaluated.iter().enumerate() {
            let hour = evaluated[at..].iter().take_while(|later| later.since(*moment) < WINDOW).count();
            assert!(hour <= PER_ACCOUNT, "{hour} within an hour");
        }
        assert_eq!(evaluated.len(), 3 * PER_ACCOUNT);
    }

    /// Counts in one place for several relays.
    #[derive(Default)]
    struct Together(Mutex<Counted>);

    /// How often each name was counted, and the names of each guess.
    type Counted = (HashMap<String, usize>, Vec<Vec<String>>);

    #[async_trait]
    impl SharedGuesses for Together {
        async fn admit(&self, names: Vec<(String, usize)>) -> Result<Option<Vec<i64>>, String> {
            let (counts, made) = &mut *self.0.lock().unwrap();
            if names.iter().any(|(name, most)| counts.get(name).is_some_and(|count| count >= most)) {
                return Ok(None);
            }
            for (name, _) in &names {
                *counts.entry(name.clone()).or_default() += 1;
            }
            made.push(names.into_iter().map(|(name, _)| name).collect());
            Ok(Some(vec![i64::try_from(made.len() - 1).unwrap()]))
        }

        async fn retract(&self, guess: Vec<i64>) {
            let (counts, made) = &mut *self.0.lock().unwrap();
            let names = &made[usize::try_from(guess[0]).unwrap()];
            for name in names {
                *counts.get_mut(name).unwrap() -= 1;
            }
        }
    }

    #[tokio::test]
    async fn two_relays_count_together() {
        let shared = Arc::new(Together::default());
        let relays: Vec<Guesses> = (0..2).map(|_| guesses().0).collect();
        for relay in &relays {
            relay.share(shared.clone());
        }
        let home = v4(9_999);
        let right = relays[0].open("hanako", home).await.unwrap();
        relays[0].right(&right);
        tokio::task::yield_now().await;
        let mut evaluated = 0;
        for number in 0..200_u32 {
            let relay = &relays[usize::try_from(number % 2).unwrap()];
            evaluated += usize::from(relay.open("hanako", v4(number)).await.is_ok());
        }
        assert_eq!(evaluated, PER_ACCOUNT, "what was right does not count");
        assert!(relays[0].open("hanako", home).await.is_ok(), "a known source is not locked out");
        assert_eq!(relays[1].open("hanako", v4(300)).await.unwrap_err(), Refused::TooMany);
        for number in 0..30 {
            assert!(
                relays[1].open(&format!("user{number}"), v4(1)).await.is_ok(),
                "{number} is refused nowhere"
            );
        }
    }

    #[test]
    fn who_is_known_is_told_once_a_day_and_learnt_again() {
        let (guesses, clock) = guesses();
        let home: IpAddr = "2001:db8::7".parse().unwrap();
        let sign_in = |guesses: &Guesses| guesses.right(&guesses.begin("hanako", home).unwrap());
        sign_in(&guesses);
        let told = guesses.fresh();
        let network = "2001:db8::".parse().unwrap();
        assert_eq!(told, [KnownSource { account: "hanako".to_owned(), network, last: clock.now() }]);
        sign_in(&guesses);
        assert_eq!(guesses.fresh(), []);
        clock.advance_millis(24 * 3_600_000);
        sign_in(&guesses);
        assert_eq!(guesses.fresh().len(), 1);
        // after a restart, guesses from everywhere lock out all but known sources
        let again = Guesses::new(clock.clone());
        again.learn(told);
        for number in 0..1_000 {
            again.begin("hanako", v4(number));
        }
        assert!(again.begin("hanako", v4(2_000)).is_none());
        assert!(again.begin("hanako", home).is_some());
        assert_eq!(again.fresh(), [], "what was learnt is written down already");
    }

    #[test]
    fn a_known_source_that_guesses_wrong_stays_within_bounds_too() {
        let (guesses, clock) = guesses();
        let guess = guesses.begin("hanako", v4(1)).unwrap();
        guesses.right(&guess);
        let evaluated = (0..1_000).filter(|_| guesses.begin("hanako", v4(1)).is_some()).count();
        assert_eq!(evaluated, PER_SOURCE);
        assert!(guesses.begin("hanako", v4(2)).is_some(), "others have their own count");
        clock.advance_millis(3_600_000);
        assert!(guesses.begin("hanako", v4(1)).is_some(), "an hour later");
    }

    #[test]
    fn one_source_at_many_accounts_is_bounded() {
        let (guesses, _) = guesses();
        let evaluated =
            (0..1_000).filter(|number| guesses.begin(&format!("user{number}"), v4(1)).is_some()).count();
        assert_eq!(evaluated, PER_SOURCE);
        let near =
            |host: u128| IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8_0000_0001_0000_0000_0000_0000 + host));
        let evaluated =
            (0..1_000).filter(|number| guesses.begin(&format!("u{number}"), near(*number)).is_some()).count();
        assert_eq!(evaluated, PER_SOURCE, "a /64 is one source");
    }

    #[test]
    fn many_names_push_out_no_count_and_memory_is_bounded() {
        let (guesses, _) = guesses();
        for number in 0..20 {
            assert!(guesses.begin("hanako", v4(number)).is_some());
        }
        for number in 0..100_000_u32 {
            guesses.begin(&format!("nobody{number}"), v4(1_000 + number));
        }
        assert!(guesses.begin("hanako", v4(500)).is_none());
        let state = guesses.lock();
        let most = usize::try_from(SLOTS).unwrap();
        assert!(state.accounts.len() <= most && state.sources.len() <= most);
        assert!(state.accounts.values().all(|window| window.0.len() <= PER_ACCOUNT));
    }

    #[test]
    fn what_was_right_or_never_evaluated_does_not_count() {
        let (guesses, _) = guesses();
        for number in 0..1_000 {
            let guess = guesses.begin("hanako", v4(number)).expect("it never counts");
            if number % 2 == 0 {
                guesses.take_back(&guess);
            } else {
                guesses.right(&guess);
            }
        }
    }

    #[test]
    fn a_clock_that_is_set_back_opens_nothing_and_closes_nothing_for_good() {
        let (guesses, clock) = guesses();
        for number in 0..20 {
            assert!(guesses.begin("hanako", v4(number)).is_some());
        }
        clock.advance_millis(-365 * 86_400_000);
        assert!(guesses.begin("hanako", v4(1)).is_none());
        clock.advance_millis(3_600_000);
        assert!(guesses.begin("hanako", v4(1)).is_some());
    }
}
