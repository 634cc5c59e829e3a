//! What several pages say of a message in the same way.

use super::super::words::{Words, calm};
use super::people::LONGEST;
use crate::policy::risks::places::in_words;
use crate::rewrite::Hit;

/// Largest body whose text and attachments are shown, in octets.
pub(super) const MOST_READ: u64 = 64 * 1024 * 1024;
/// Longest line of text from outside, in characters.
pub(super) const LINE: usize = 1_000;

/// A subject on one line, or a placeholder.
pub(super) fn subject(t: &Words, subject: &str) -> String {
    if subject.trim().is_empty() { t.p("desk-no-subject").to_string() } else { calm(subject, 300) }
}

/// A found address and its place, in words.
pub(super) fn found(t: &Words, hit: &Hit) -> String {
    let place = in_words(&hit.place, t.tongue.language());
    t.p("desk-hit").s("address", calm(hit.address.as_str(), LONGEST)).s("place", place).to_string()
}
