//! Time and randomness as parameters.
//!
//! Code gets the current time and random numbers through the traits [`Clock`] and [`Entropy`], so that a
//! whole relay can run in a simulation. There are two exceptions: secrets (tokens, keys, nonces) always come
//! from the operating system, because they must be unpredictable, and timeouts of sockets use the monotonic
//! clock.

mod day;
pub mod hours;
mod relay;
mod said;

pub use day::Day;
pub use relay::{OperatingSystem, RelayClock, Sources};
pub use said::{Unit, rounded, set_zone, zone};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This time plus a duration; saturates.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This time minus a duration; saturates.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// The duration since `earlier`; zero if that is in the future (the clock was set back).
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The time as a jiff timestamp, for formatting.
    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    /// The time as an RFC 5322 date in the configured time zone, for `Date` and `Received`.
    pub fn to_rfc5322(self) -> String {
        let zoned = self.to_jiff().to_zoned(zone());
        zoned.strftime("%a, %d %b %Y %H:%M:%S %z").to_string()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0}", self.to_jiff())
    }
}

/// A source of the current time.
pub trait Clock: Send + Sync + 'static {
    /// The current time. Times that are compared with each other must come from the same clock.
    fn now(&self) -> Timestamp;

    /// The time of the system clock, if it differs. Use it for what others compare with their own clocks.
    fn wall(&self) -> Timestamp {
        self.now()
    }

    /// The clock that several relays agree on is ahead of this one by so many milliseconds: this one runs towards it.
    fn agree(&self, _ahead: i64) {}

    /// Converts a time of this clock to the time of the system clock, for display.
    fn shown(&self, at: Timestamp) -> Timestamp {
        at
    }
}

/// The system clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that only moves when told to, for tests and simulations.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock set to `at`.
    pub fn at(at: Timestamp) -> Self {
        Self(AtomicI64::new(at.0))
    }

    /// Moves the clock forward, or back if `millis` is negative.
    pub fn advance_millis(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// A source of random numbers.
pub trait Entropy: Send + Sync + 'static {
    /// 64 random bits, for identifiers and jitter.
    fn bits(&self) -> u64;
}

/// The thread's cryptographic random number generator, seeded by the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "this is the source of randomness")]
    fn bits(&self) -> u64 {
        rand::random()
    }
}
