//! How stored times are adjusted at a restart.
//!
//! While the relay runs, its clock follows elapsed time, and regularly records its own time beside the system
//! clock's. At the next start the record is compared with the system clock, and stored times are shifted to fit the
//! relay's new clock.
//!
//! How long the relay was down is unknown: a clock that was set forward looks like a long stop. So retries are due
//! as if the stop was real (an early attempt does no harm), but ages and holds, which end in giving up, count at most
//! an hour of it.

use crate::clock::Timestamp;
use crate::records::{AskWhy, NoticeKind};
use std::time::Duration;

/// The most of a stop that counts for ages and holds.
const STOP_COUNTS: Duration = Duration::from_hours(1);
/// A smaller difference is not worth an update of every row.
const LEAST: i64 = 1_000;

/// How far stored times are shifted, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// For times at which something is due.
    pub due: i64,
    /// For ages and expiry.
    pub age: i64,
}

/// How far stored times are shifted, from the last record of the relay's clock and the system clock, and from where
/// the relay's clock begins now.
pub fn moved(relay: Timestamp, wall: Timestamp, now: Timestamp) -> Moved {
    let stop = now.0.saturating_sub(wall.0).max(0);
    let counted = stop.min(i64::try_from(STOP_COUNTS.as_millis()).unwrap_or(i64::MAX));
    let to = |then: i64| Some(now.0.saturating_sub(then)).filter(|moved| moved.abs() >= LEAST).unwrap_or(0);
    Moved { due: to(relay.0.saturating_add(stop)), age: to(relay.0.saturating_add(counted)) }
}

impl Moved {
    /// For an open notice: notices about an age or an end shift with ages.
    pub fn notice(self, kind: NoticeKind) -> i64 {
        match kind {
            NoticeKind::Delayed
            | NoticeKind::Expiring
            | NoticeKind::ExpiringApprovers
            | NoticeKind::Escalated => self.age,
            _ => self.due,
        }
    }

    /// For an open ask: reminders are due by the age of the mail, so they shift like its age.
    pub fn ask(self, why: AskWhy) -> i64 {
        match why {
            AskWhy::Deputy | AskWhy::Escalated | AskWhy::Expiring => self.age,
            AskWhy::Asked | AskWhy::AsIs | AskWhy::Stopped | AskWhy::Settled => self.due,
        }
    }

    /// For sessions and codes: setting a clock back must not prolong a session or revive an old code.
    pub fn secret(self) -> i64 {
        self.due.min(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_that_clocks_can_differ() {
        const MINUTE: i64 = 60_000;
        const HOUR: i64 = 60 * MINUTE;
        const YEAR: i64 = 365 * 24 * HOUR;
        let at = 1_760_000_000_000;
        // last record of the relay's clock and the system clock, system clock now → shifts
        for (relay, wall, now, due, age) in [
            (at, at, at, 0, 0),
            (at, at, at + 5 * MINUTE, 0, 0),
            (at, at, at + HOUR, 0, 0),
            // down for a night, or set forward while it was down
            (at, at, at + 9 * HOUR, 0, 8 * HOUR),
            (at, at, at + YEAR, 0, YEAR - HOUR),
            // set back while it was down
            (at, at, at - HOUR, -HOUR, -HOUR),
            (at, at, at - YEAR, -YEAR, -YEAR),
            // set while it ran, and then stopped for five minutes
            (at, at + YEAR, at + YEAR + 5 * MINUTE, YEAR, YEAR),
            (at, at - YEAR, at - YEAR + 5 * MINUTE, -YEAR, -YEAR),
            // set while it ran, and put right while it was down
            (at, at + YEAR, at + 5 * MINUTE, 5 * MINUTE, 5 * MINUTE),
            (at, at - YEAR, at + 5 * MINUTE, -YEAR, 5 * MINUTE - HOUR),
            (at, at, at + 900, 0, 0),
            (at + 900, at, at, 0, 0),
        ] {
            assert_eq!(
                moved(Timestamp(relay), Timestamp(wall), Timestamp(now)),
                Moved { due, age },
                "{relay} {wall} {now}"
            );
        }
    }
}
