//! Time and randomness as parameters.
//!
//! Nothing below the wiring reads the wall clock by itself, or draws chance that shows in what it does: both
//! come in through these two traits, so that a whole relay can run in a simulation. Two things do not pass
//! through them: secrets (tokens, keys, nonces), which come from the system alone, for nobody may be able to
//! foretell them; and the monotonic clock, by which deadlines of sockets are kept.

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

/// A moment, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This moment plus a span; saturates at the ends of time.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This moment minus a span; saturates at the ends of time.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long ago `earlier` was; zero when it lies ahead (a clock that was set back).
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The moment as jiff knows it, for printing.
    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    /// The moment as an RFC 5322 date in the configured time zone, for `Date:` and `Received:`.
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

/// Where "now" comes from.
pub trait Clock: Send + Sync + 'static {
    /// The present moment. All that is compared with it later is told by it.
    fn now(&self) -> Timestamp;

    /// What the system's clock says, where that is another: for what the world outside compares with its
    /// own clocks.
    fn wall(&self) -> Timestamp {
        self.now()
    }

    /// A moment of this clock as the world outside would tell it.
    fn shown(&self, at: Timestamp) -> Timestamp {
        at
    }
}

/// The system's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that stands where it is put: for tests and simulations.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that stands at `at`.
    pub fn at(at: Timestamp) -> Self {
        Self(AtomicI64::new(at.0))
    }

    /// Moves the clock on (or, with a negative span of milliseconds, back).
    pub fn advance_millis(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// Where random bits come from.
pub trait Entropy: Send + Sync + 'static {
    /// 64 random bits, fit for identifiers and jitter.
    fn bits(&self) -> u64;
}

/// The thread's cryptographic generator, seeded by the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "this is the source of randomness")]
    fn bits(&self) -> u64 {
        rand::random()
    }
}
