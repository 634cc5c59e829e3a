//! The relay's clock, which does not jump when the system clock is set.
//!
//! Ages, retries, leases and deadlines all use this clock, also when stored. Setting the system clock
//! therefore causes nothing to be given up, sent twice or expired. The relay's clock starts at the system
//! time and follows the monotonic clock. While it differs from the system clock it runs up to 5 % faster or
//! slower, so a difference of an hour is made up within a day, and no duration is off by more than 5 %. Times
//! shown to others (`Date`, `Received`) are converted to the system clock ([`Clock::shown`]).
//!
//! Relays that share a database all follow the database's clock ([`Clock::agree`]), which then takes the
//! place of the system clock.
//!
//! `Store::recover` adjusts stored times after a restart.

use super::{Clock, Timestamp};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The relay's clock runs faster or slower than real time by at most one part in this many.
const SLEW: i128 = 20;
/// If, between two readings, the system clock and the monotonic clock have advanced by times that differ by
/// at least this many nanoseconds, the system clock was set.
const SET: i128 = 2_000_000_000;

/// The clocks that a [`RelayClock`] reads.
pub trait Sources: Send + Sync + 'static {
    /// The monotonic clock: the time since an arbitrary start.
    fn monotonic(&self) -> Duration;
    /// The system clock, in nanoseconds since the Unix epoch.
    fn system(&self) -> i128;
}

/// The clocks of the operating system.
#[derive(Clone, Copy, Debug)]
pub struct OperatingSystem(Instant);

impl Sources for OperatingSystem {
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn system(&self) -> i128 {
        let signed = |span: Duration| i128::try_from(span.as_nanos()).unwrap_or(i128::MAX);
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => signed(since),
            Err(before) => -signed(before.duration()),
        }
    }
}

/// The relay's clock; see the module documentation.
#[derive(Debug)]
pub struct RelayClock<S = OperatingSystem> {
    sources: S,
    state: Mutex<State>,
}

/// The last readings, in nanoseconds.
#[derive(Debug)]
struct State {
    monotonic: i128,
    system: i128,
    now: i128,
    /// What must be added to the system clock to get the time of the database's clock; 0 until
    /// [`Clock::agree`] is told of a difference.
    offset: i128,
}

impl RelayClock {
    /// Starts a clock at the system time.
    pub fn start() -> Self {
        Self::over(OperatingSystem(Instant::now()))
    }
}

impl<S: Sources> RelayClock<S> {
    /// Starts a clock with these sources.
    pub fn over(sources: S) -> Self {
        let system = sources.system();
        let state =
            Mutex::new(State { monotonic: nanos(sources.monotonic()), system, now: system, offset: 0 });
        Self { sources, state }
    }

    /// Reads both clocks. Returns the relay's time, and the system time corrected by the offset.
    fn look(&self) -> (i128, i128) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (monotonic, system) = (nanos(self.sources.monotonic()), self.sources.system());
        let went_by = (monotonic - state.monotonic).max(0);
        let set = system - state.system - went_by;
        let offset = state.offset;
        if set.abs() >= SET {
            tracing::warn!(
                seconds = i64::try_from(set / 1_000_000_000).unwrap_or(i64::MAX),
                "the system clock was set: ages, retries and deadlines continue by elapsed time"
            );
        }
        let straight = state.now + went_by;
        let most = went_by / SLEW;
        let target = system + offset;
        let now = straight + (target - straight).clamp(-most, most);
        *state = State { monotonic, system, now, offset };
        (now, target)
    }

    /// Sets this clock to the one that the relays agree on, which is ahead by this many milliseconds. Call
    /// this only at the start, before anything depends on this clock.
    pub fn jump(&self, ahead: i64) {
        self.agree(ahead);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.now = state.system + state.offset;
    }
}

fn nanos(span: Duration) -> i128 {
    i128::try_from(span.as_nanos()).unwrap_or(i128::MAX)
}

fn timestamp(nanos: i128) -> Timestamp {
    Timestamp(i64::try_from(nanos.div_euclid(1_000_000)).unwrap_or(i64::MAX))
}

impl<S: Sources> Clock for RelayClock<S> {
    fn now(&self) -> Timestamp {
        timestamp(self.look().0)
    }

    fn wall(&self) -> Timestamp {
        timestamp(self.look().1)
    }

    fn agree(&self, ahead: i64) {
        if ahead == 0 {
            return;
        }
        let (now, _) = self.look();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let offset = now + i128::from(ahead) * 1_000_000 - state.system;
        if (offset - state.offset).abs() >= SET {
            tracing::warn!(
                seconds = i64::try_from(offset / 1_000_000_000).unwrap_or(i64::MAX),
                "this machine's clock differs from the database's, which counts: let NTP set it"
            );
        }
        state.offset = offset;
    }

    fn shown(&self, at: Timestamp) -> Timestamp {
        let (now, system) = self.look();
        Timestamp(at.0.saturating_add(timestamp(system).0).saturating_sub(timestamp(now).0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// A monotonic clock and a system clock that a test can move.
    #[derive(Default)]
    struct Hands(Mutex<(Duration, i128)>);

    impl Hands {
        fn go(&self, span: Duration) {
            let mut hands = self.0.lock().unwrap();
            *hands = (hands.0 + span, hands.1 + nanos(span));
        }

        fn set(&self, seconds: i128) {
            self.0.lock().unwrap().1 += seconds * 1_000_000_000;
        }
    }

    impl Sources for Arc<Hands> {
        fn monotonic(&self) -> Duration {
            self.0.lock().unwrap().0
        }

        fn system(&self) -> i128 {
            self.0.lock().unwrap().1
        }
    }

    const START: i128 = 1_760_000_000;

    #[test]
    fn it_follows_the_clock_that_relays_agree_on() {
        for hour in [3_600, -3_600] {
            let hands = Arc::new(Hands::default());
            hands.set(START + hour);
            let clock = RelayClock::over(Arc::clone(&hands));
            // At the start it jumps to the database's time.
            clock.jump(i64::try_from(-hour).unwrap() * 1_000);
            assert_eq!(clock.now(), timestamp(START * 1_000_000_000));
            assert_eq!(clock.wall(), clock.now());
            hands.go(Duration::from_secs(100));
            assert_eq!(clock.now(), timestamp((START + 100) * 1_000_000_000));
            // Somebody corrects the system clock. The next comparison with the database's clock shows this,
            // and the relay's clock does not jump.
            hands.set(-hour);
            hands.go(Duration::from_secs(20));
            let apart = i64::try_from(START + 120).unwrap() * 1_000 - clock.now().0;
            assert!(apart.abs() <= 1_000, "{apart}: it slews by a twentieth at most");
            clock.agree(apart);
            hands.go(Duration::from_hours(1));
            let off = clock.now().0 - i64::try_from(START + 3_720).unwrap() * 1_000;
            assert!(off.abs() < 1_000, "{off}");
        }
    }

    fn clock() -> (Arc<Hands>, RelayClock<Arc<Hands>>) {
        let hands = Arc::new(Hands::default());
        hands.set(START);
        (Arc::clone(&hands), RelayClock::over(hands))
    }

    /// However the system clock is set, durations are correct to 5 %.
    #[test]
    fn a_span_is_what_really_went_by() {
        const YEAR: i128 = 365 * 86_400;
        for set in [0, 1, -1, 120, -120, 3_600, -3_600, 6 * 86_400, YEAR, -YEAR, -START] {
            for step in [Duration::from_millis(1), Duration::from_secs(1), Duration::from_mins(10)] {
                let (hands, clock) = clock();
                let before = clock.now();
                hands.set(set);
                assert_eq!(clock.now(), before, "{set}: nothing went by");
                let mut last = before;
                for _ in 0..1_000 {
                    hands.go(step);
                    assert!(clock.now() >= last, "{set}: it never goes back");
                    last = clock.now();
                }
                let (real, told) = (step * 1_000, last.since(before));
                let off = told.abs_diff(real);
                assert!(off <= real / 20 + Duration::from_millis(2), "{set}: {told:?} for {real:?}");
            }
        }
    }

    #[test]
    fn it_comes_to_agree_again() {
        for set in [120, -120, 3_600, -3_600] {
            let (hands, clock) = clock();
            clock.now();
            hands.set(set);
            // read as often as in a busy relay: correction steps this small must not be lost in rounding
            for _ in 0..100 {
                hands.go(Duration::from_nanos(700));
                clock.now();
            }
            hands.go(Duration::from_hours(21));
            assert_eq!(clock.now(), clock.wall(), "{set}");
        }
    }

    #[test]
    fn what_is_shown_is_the_systems_time() {
        let (hands, clock) = clock();
        hands.go(Duration::from_secs(10));
        let came = clock.now();
        hands.set(3_600);
        hands.go(Duration::from_secs(1));
        let shown = clock.shown(came);
        let off = shown.0 - clock.wall().minus(Duration::from_secs(1)).0;
        assert!(off.abs() <= 50, "{off} ms");
        assert_eq!(super::super::ManualClock::at(came).shown(came), came);
    }
}
