//! What a restart makes of the moments that were stored.
//!
//! While the relay runs, its clock goes by the time that really went by, and notes now and then where it
//! stands, beside what the system's clock says. At the next start that is compared with the system's
//! clock, and whatever is stored is moved over to where the relay's clock begins anew.
//!
//! How long the relay was down nobody can know: a clock that was set forward looks like a long stop. So
//! retries are due as if it was true (one attempt too early does no harm), while ages and holds, which
//! end in giving up, take an hour of it at most.

use super::error::Failure;
use super::{asks, codes};
use crate::clock::Timestamp;
use crate::store::NoticeKind;
use rusqlite::{Connection, OptionalExtension, params};
use std::time::Duration;

/// So much of a stop counts for ages and holds.
const STOP_COUNTS: Duration = Duration::from_hours(1);
/// Less is not worth moving every row for.
const LEAST: i64 = 1_000;

/// Notes the relay's time and the system's.
pub(super) fn note(tx: &Connection, now: Timestamp, wall: Timestamp) -> Result<(), Failure> {
    tx.prepare_cached("INSERT OR REPLACE INTO clocks (one, relay, wall) VALUES (1, ?1, ?2)")?
        .execute([now.0, wall.0])?;
    Ok(())
}

/// By how much, in milliseconds, what was stored is moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moved {
    /// What becomes due.
    due: i64,
    /// What ages and expires.
    age: i64,
}

/// What the clocks said last, and what the relay's begins with now.
fn moved(relay: i64, wall: i64, now: i64) -> Moved {
    let stop = now.saturating_sub(wall).max(0);
    let counted = stop.min(i64::try_from(STOP_COUNTS.as_millis()).unwrap_or(i64::MAX));
    let to = |then: i64| Some(now.saturating_sub(then)).filter(|moved| moved.abs() >= LEAST).unwrap_or(0);
    Moved { due: to(relay.saturating_add(stop)), age: to(relay.saturating_add(counted)) }
}

/// Moves what was stored over to a clock that begins at `now`, which is what the system's says.
pub(super) fn carry_over(tx: &Connection, now: Timestamp) -> Result<(), Failure> {
    let last: Option<(i64, i64)> = tx
        .prepare_cached("SELECT relay, wall FROM clocks")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let moved = last.map(|(relay, wall)| moved(relay, wall, now.0)).unwrap_or_default();
    if moved != Moved::default() {
        let seconds = |millis: i64| millis / 1_000;
        tracing::warn!(
            retries = seconds(moved.due),
            ages_and_holds = seconds(moved.age),
            "the system's clock was set, or the relay was down for more than an hour: what was stored is \
             moved by so many seconds"
        );
        shift(tx, moved)?;
    }
    note(tx, now, now)
}

fn shift(tx: &Connection, moved: Moved) -> Result<(), Failure> {
    let Moved { due, age } = moved;
    tx.execute("UPDATE deliveries SET due = due + ?1, queued = queued + ?2 WHERE state < 5", [due, age])?;
    tx.execute("UPDATE held SET expires = expires + ?1 WHERE state = 0", [age])?;
    tx.execute("UPDATE held SET undo_until = undo_until + ?1 WHERE undo_until IS NOT NULL", [age])?;
    tx.execute("UPDATE links SET expires = expires + ?1 WHERE used IS NULL", [age])?;
    let aged =
        [NoticeKind::Delayed, NoticeKind::Expiring, NoticeKind::ExpiringApprovers, NoticeKind::Escalated]
            .map(codes::notice);
    tx.execute(
        "UPDATE notices SET due = due + iif(kind IN (?3, ?4, ?5, ?6), ?2, ?1) WHERE state = 0",
        params![due, age, aged[0], aged[1], aged[2], aged[3]],
    )?;
    asks::shift(tx, due, age)?;
    tx.execute("UPDATE hook_calls SET due = max(0, due + ?1)", [due])?;
    // Nobody is signed in for longer, or with an older code, because a clock was set back.
    tx.execute("UPDATE sessions SET expires = expires + min(?1, 0), seen = seen + min(?1, 0)", [due])?;
    tx.execute("UPDATE codes SET expires = expires + min(?1, 0)", [due])?;
    Ok(())
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
            assert_eq!(moved(relay, wall, now), Moved { due, age }, "{relay} {wall} {now}");
        }
    }
}
