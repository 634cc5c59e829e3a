//! Adjusts stored times after the clock was set: [`crate::lifecycle::stored`] determines by how much.

use super::error::Failure;
use super::{asks, codes};
use crate::clock::Timestamp;
use crate::lifecycle::stored::{self, Moved};
use crate::store::sql::db::{Connection, OptionalExtension};

/// Records the relay's time and the system's.
pub(in crate::store) fn note(tx: &Connection, now: Timestamp, wall: Timestamp) -> Result<(), Failure> {
    tx.prepare_cached(
        "INSERT INTO clocks (one, relay, wall) VALUES (1, ?1, ?2) \
         ON CONFLICT (one) DO UPDATE SET relay = ?1, wall = ?2",
    )?
    .execute([now.0, wall.0])?;
    Ok(())
}

/// Adjusts stored times to a clock that begins at `now`, which is the system's time.
pub(in crate::store) fn carry_over(tx: &Connection, now: Timestamp) -> Result<(), Failure> {
    let last: Option<(i64, i64)> = tx
        .prepare_cached("SELECT relay, wall FROM clocks")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let moved =
        last.map(|(relay, wall)| stored::moved(Timestamp(relay), Timestamp(wall), now)).unwrap_or_default();
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
    let mut notices = tx.prepare_cached("UPDATE notices SET due = due + ?2 WHERE state = 0 AND kind = ?1")?;
    for (code, kind) in (0..).map_while(|code| codes::to_notice(code).map(|kind| (code, kind))) {
        notices.execute([code, moved.notice(kind)])?;
    }
    asks::shift(tx, moved)?;
    tx.execute("UPDATE hook_calls SET due = CASE WHEN due + ?1 > 0 THEN due + ?1 ELSE 0 END", [due])?;
    let secret = moved.secret();
    tx.execute("UPDATE sessions SET expires = expires + ?1, seen = seen + ?1", [secret])?;
    tx.execute("UPDATE codes SET expires = expires + ?1", [secret])?;
    Ok(())
}
