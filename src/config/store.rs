//! `[store]` and `[knowledge]`: how long data is kept.

use super::Reporter;
use super::keys::store::{Keep, Knowledge};
use crate::diagnostic::Diagnostic;
use crate::store::Retention;
use std::time::Duration;

/// Shortest retention of messages: mail hosts retry for two days, and late transactions follow an earlier
/// decision.
const LEAST: Duration = Duration::from_hours(24 * 7);
/// Shortest retention of knowledge: only the day of a mail is kept.
const DAY: Duration = Duration::from_hours(24);

pub(super) fn retention(
    keep: Keep,
    knowledge: &Knowledge,
    reporter: &Reporter<'_>,
) -> Result<Retention, Diagnostic> {
    let usual = Retention::default();
    let span = |wish: Option<super::units::Span>, usual| wish.map_or(usual, |span| span.0);
    let messages = span(keep.messages, usual.messages);
    let retention = Retention {
        // If messages are kept for less than the default for contents, contents are kept as long as messages.
        contents: span(keep.contents, usual.contents.min(messages)),
        messages,
        ledger: span(keep.ledger, usual.ledger),
        knowledge: knowledge.keep.map_or(usual.knowledge, |span| span.0),
    };
    if retention.messages < LEAST {
        let why =
            "`messages` are kept for at least 7d: late mail follows decisions that are up to a week old";
        return Err(reporter.wrong("[store]", "keep", why));
    }
    if retention.knowledge < DAY {
        let why = "knowledge is recorded by day: keep it for at least 1d";
        return Err(reporter.wrong("[knowledge]", "keep", why));
    }
    if retention.contents > retention.messages {
        let why = "`contents` cannot be kept longer than `messages`, to which they belong";
        return Err(reporter.wrong("[store]", "keep", why));
    }
    Ok(retention)
}
