//! `[store]` and `[knowledge]`: how long what is kept.

use super::Place;
use super::keys::store::{Keep, Knowledge};
use crate::diagnostic::Diagnostic;
use crate::store::Retention;
use std::time::Duration;

/// Mail hosts try again for two days, and late transactions follow an earlier decision: decisions stay
/// for a week at least.
const LEAST: Duration = Duration::from_hours(24 * 7);
/// The day of a mail is kept, and no more of when it was.
const DAY: Duration = Duration::from_hours(24);

pub(super) fn retention(
    keep: Keep,
    knowledge: &Knowledge,
    place: &Place<'_>,
) -> Result<Retention, Diagnostic> {
    let usual = Retention::default();
    let span = |wish: Option<super::units::Span>, usual| wish.map_or(usual, |span| span.0);
    let messages = span(keep.messages, usual.messages);
    let retention = Retention {
        // Where records are kept for less than contents usually are, contents go with them.
        contents: span(keep.contents, usual.contents.min(messages)),
        messages,
        ledger: span(keep.ledger, usual.ledger),
        knowledge: knowledge.keep.map_or(usual.knowledge, |span| span.0),
    };
    if retention.messages < LEAST {
        let why = "`messages` are kept for at least 7d: mail that comes late follows the decisions of a week";
        return Err(place.wrong("[store]", "keep", why));
    }
    if retention.knowledge < DAY {
        let why = "what is known of people is told by days: keep it for at least 1d";
        return Err(place.wrong("[knowledge]", "keep", why));
    }
    if retention.contents > retention.messages {
        let why = "`contents` cannot be kept longer than `messages`, to which they belong";
        return Err(place.wrong("[store]", "keep", why));
    }
    Ok(retention)
}
