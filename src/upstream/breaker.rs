//! The circuit breaker of an upstream. While the upstream cannot be reached, deliveries stay in the queue
//! instead of each failing by itself. A pure function: (state, event, now) → state.

use crate::clock::Timestamp;
use std::fmt;
use std::time::Duration;

/// When the breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Consecutive failures that open it.
    pub failures: u32,
    /// How long it stays open the first time. Doubled each time a trial delivery fails.
    pub pause: Duration,
    /// The longest time it stays open.
    pub longest: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { failures: 5, pause: Duration::from_secs(10), longest: Duration::from_mins(5) }
    }
}

/// The state of a circuit breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Breaker {
    /// The upstream works, as far as is known.
    Closed {
        /// Consecutive failures so far.
        failures: u32,
    },
    /// The upstream is suspended: nothing is sent to it.
    Open {
        /// When a trial delivery is allowed.
        until: Timestamp,
        /// How many times it opened since the upstream last worked.
        times: u32,
        /// The last failure.
        why: String,
    },
    /// One trial delivery at a time is allowed.
    HalfOpen {
        /// How many times it opened since the upstream last worked.
        times: u32,
        /// The last failure.
        why: String,
    },
}

/// What happened to the upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The upstream answered, whether it accepted the mail or not.
    Reached,
    /// The upstream could not be reached, or the connection was lost.
    Unreachable(String),
    /// Time passed.
    Tick,
}

impl Default for Breaker {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    /// The state after an event.
    #[must_use]
    pub fn after(self, event: Event, now: Timestamp, limits: &Limits) -> Self {
        match (self, event) {
            (Self::Closed { failures }, Event::Unreachable(why)) if failures + 1 >= limits.failures => {
                open(1, why, now, limits)
            }
            (Self::Closed { failures }, Event::Unreachable(_)) => Self::Closed { failures: failures + 1 },
            (_, Event::Reached) => Self::default(),
            (Self::HalfOpen { times, .. }, Event::Unreachable(why)) => {
                open(times.saturating_add(1), why, now, limits)
            }
            // the second condition: a clock that was set back must not keep the breaker open for ever
            (Self::Open { until, times, why }, Event::Tick)
                if now >= until || until.since(now) > limits.longest =>
            {
                Self::HalfOpen { times, why }
            }
            (state, _) => state,
        }
    }

    /// How many deliveries may be in progress at once; `None` means no limit.
    pub fn admits(&self) -> Option<usize> {
        match self {
            Self::Closed { .. } => None,
            Self::Open { .. } => Some(0),
            Self::HalfOpen { .. } => Some(1),
        }
    }

    /// When the state changes by itself; `None` if it does not.
    pub fn changes_at(&self) -> Option<Timestamp> {
        match self {
            Self::Open { until, .. } => Some(*until),
            _ => None,
        }
    }
}

fn open(times: u32, why: String, now: Timestamp, limits: &Limits) -> Breaker {
    let factor = 1_u32.checked_shl(times.saturating_sub(1)).unwrap_or(u32::MAX);
    let pause = limits.pause.checked_mul(factor).unwrap_or(limits.longest).min(limits.longest);
    Breaker::Open { until: now.plus(pause), times, why }
}

impl fmt::Display for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed { .. } => f.write_str("closed"),
            Self::Open { until, why, .. } => write!(f, "open until {until}: {why}"),
            Self::HalfOpen { why, .. } => write!(f, "half-open: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000);

    fn after(seconds: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(seconds))
    }

    fn opened(seconds: u64, times: u32) -> Breaker {
        Breaker::Open { until: after(seconds), times, why: "no".to_owned() }
    }

    fn half(times: u32) -> Breaker {
        Breaker::HalfOpen { times, why: "no".to_owned() }
    }

    #[test]
    fn every_state_and_event() {
        let closed = |failures| Breaker::Closed { failures };
        let failure = || Event::Unreachable("no".to_owned());
        let table = [
            (closed(0), Event::Reached, closed(0)),
            (closed(3), Event::Reached, closed(0)),
            (closed(0), Event::Tick, closed(0)),
            (closed(0), failure(), closed(1)),
            (closed(3), failure(), closed(4)),
            (closed(4), failure(), opened(10, 1)),
            (opened(1, 1), Event::Tick, opened(1, 1)),
            (opened(0, 1), Event::Tick, half(1)),
            (opened(301, 1), Event::Tick, half(1)),
            (opened(5, 1), failure(), opened(5, 1)),
            (opened(5, 1), Event::Reached, closed(0)),
            (half(1), Event::Tick, half(1)),
            (half(1), Event::Reached, closed(0)),
            (half(1), failure(), opened(20, 2)),
            (half(4), failure(), opened(160, 5)),
            (half(5), failure(), opened(300, 6)),
            (half(u32::MAX), failure(), opened(300, u32::MAX)),
        ];
        for (state, event, expected) in table {
            let said = format!("{state} {event:?}");
            assert_eq!(state.after(event, NOW, &Limits::default()), expected, "{said}");
        }
    }

    #[test]
    fn admission() {
        assert_eq!(Breaker::default().admits(), None);
        assert_eq!(opened(1, 1).admits(), Some(0));
        assert_eq!(half(1).admits(), Some(1));
        assert_eq!(opened(1, 1).changes_at(), Some(after(1)));
        assert!(opened(1, 1).to_string().ends_with(": no"));
    }
}
