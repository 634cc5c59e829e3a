//! What a restart makes of the moments that were stored.
//!
//! While the relay runs, its clock goes by the time that really went by, and notes now and then where it
//! stands, beside what the system's clock says. At the next start that is compared with the system's
//! clock, and whatever is stored is moved over to where the relay's clock begins anew.
//!
//! How long the relay was down nobody can know: a clock that was set forward looks like a long stop. So
//! retries are due as if it was true (one attempt too early does no harm), while ages and holds, which
//! end in giving up, take an hour of it at most.

use crate::clock::Timestamp;
use crate::records::{AskWhy, NoticeKind};
use std::time::Duration;

/// So much of a stop counts for ages and holds.
const STOP_COUNTS: Duration = Duration::from_hours(1);
/// Less is not worth moving every row for.
const LEAST: i64 = 1_000;

/// By how much, in milliseconds, what was stored is moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// What becomes due.
    pub due: i64,
    /// What ages and expires.
    pub age: i64,
}

/// By how much stored moments are moved, from what the relay's clock and the system's said last, and what the
/// relay's begins with now.
pub fn moved(relay: Timestamp, wall: Timestamp, now: Timestamp) -> Moved {
    let stop = now.0.saturating_sub(wall.0).max(0);
    let counted = stop.min(i64::try_from(STOP_COUNTS.as_millis()).unwrap_or(i64::MAX));
    let to = |then: i64| Some(now.0.saturating_sub(then)).filter(|moved| moved.abs() >= LEAST).unwrap_or(0);
    Moved { due: to(relay.0.saturating_add(stop)), age: to(relay.0.saturating_add(counted)) }
}

impl Moved {
    /// For an open notice: those that tell of an age or of an end move with it.
    pub fn notice(self, kind: NoticeKind) -> i64 {
        match kind {
            NoticeKind::Delayed
            | NoticeKind::Expiring
            | NoticeKind::ExpiringApprovers
            | NoticeKind::Escalated => self.age,
            _ => self.due,
        }
    }

    /// For an open ask: those that remind people move with ages.
    pub fn ask(self, why: AskWhy) -> i64 {
        match why {
            AskWhy::Deputy | AskWhy::Escalated | AskWhy::Expiring => self.age,
            AskWhy::Asked | AskWhy::AsIs | AskWhy::Stopped | AskWhy::Settled => self.due,
        }
    }

    /// For sessions and codes: nobody is signed in for longer, or with an older code, because a clock was set
    /// back.
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
        // what the relay's clock and the system's said last, what the system's says now → moved by
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
