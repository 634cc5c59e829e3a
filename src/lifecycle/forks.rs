//! How the transactions of one mail become one item: what a plan was made on, what an item takes over from a
//! member that joins, and when people are told of a mail that is still coming in.

use super::repeats::went_back;
use super::{QUIET, Refusal};
use crate::clock::Timestamp;
use crate::records::{Awaited, GroupStanding, HeldState, HoldKind, ItemStanding, NoticeKind};
use std::collections::HashSet;
use std::fmt::Write;
use std::time::Duration;

/// People are told of a mail at the latest so long after its first transaction.
const LONGEST: Duration = Duration::from_mins(3);

/// Transactions of one mail are looked for from so long before the one that is named.
pub const BEFORE: Duration = Duration::from_hours(1);

/// What is known of a mail, from its items, the oldest first, with the moment each was decided on. Its token
/// changes with every item and every decision.
pub fn standing(items: impl IntoIterator<Item = (ItemStanding, Option<Timestamp>)>) -> GroupStanding {
    let mut standing = GroupStanding::default();
    for (item, decided) in items {
        let decided = decided.map_or(0, |at| at.0);
        let _ = write!(standing.token, "{}:{}:{decided};", item.id, item.state);
        standing.items.push(item);
    }
    standing
}

/// Refuses what was planned on something that is not so any more.
///
/// # Errors
/// [`Refusal::Moved`].
pub fn unmoved(expected: &str, now: &GroupStanding) -> Result<(), Refusal> {
    if now.token == expected { Ok(()) } else { Err(Refusal::Moved) }
}

/// Refuses what would join an item that went back to its sender, if it is for somebody who was to get that
/// (`back`): it was sent again.
///
/// # Errors
/// [`Refusal::SentAgain`].
pub fn joinable(item: Option<HeldState>, back: bool) -> Result<(), Refusal> {
    if back && item.is_some_and(went_back) { Err(Refusal::SentAgain) } else { Ok(()) }
}

/// What an item is held for: of its own, or brought by a member. Reasons and hits are in whatever form they
/// are kept: they are only compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grounds<T> {
    /// Why, as a kind.
    pub kind: HoldKind,
    /// What is dangerous about it.
    pub reasons: Vec<T>,
    /// What the audit found.
    pub hits: Vec<T>,
}

/// What an item is held for once a member joined. What was decided is not changed by who comes late; while it
/// waits, it has the strongest kind, and every reason and hit once.
#[must_use]
pub fn joined<T: PartialEq>(item: Grounds<T>, state: HeldState, member: Grounds<T>) -> Grounds<T> {
    if state != HeldState::Held {
        return item;
    }
    Grounds {
        kind: item.kind.max(member.kind),
        reasons: merged(item.reasons, member.reasons),
        hits: merged(item.hits, member.hits),
    }
}

fn merged<T: PartialEq>(mut known: Vec<T>, more: Vec<T>) -> Vec<T> {
    for one in more {
        if !known.contains(&one) {
            known.push(one);
        }
    }
    known
}

/// Whom an item still waits for, once a transaction for these came.
#[must_use]
#[allow(clippy::implicit_hasher)] // callers collect into it
pub fn still_awaited(mut awaited: Vec<Awaited>, came: &HashSet<&str>) -> Vec<Awaited> {
    awaited.retain(|one| !came.contains(one.key.as_str()));
    awaited
}

/// Nobody is missing: colleagues may never come this way.
pub fn is_complete(awaited: &[Awaited]) -> bool {
    !awaited.iter().any(|one| one.outside)
}

/// Notices that wait until a held mail is quiet.
pub const WAIT_FOR_ITEM: [NoticeKind; 2] = [NoticeKind::Held, NoticeKind::HeldApprovers];

/// When an open notice about a mail is due after one more of its transactions came, the first at `first`: it
/// waits until the mail is quiet, or is due at once when nobody is missing. `None` where that stays: one that
/// is due later for other reasons.
pub fn put_off(
    due: Option<Timestamp>,
    first: Timestamp,
    now: Timestamp,
    complete: bool,
) -> Option<Timestamp> {
    let latest = first.plus(LONGEST);
    let then = if complete { now } else { now.plus(QUIET).min(latest) };
    due.is_some_and(|due| due <= latest).then_some(then)
}

/// About which message a notice is that comes with a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The item it joined.
    Item,
    /// The first transaction of its mail, once: people are told of a split or a delay once a mail.
    First,
    /// Itself.
    Itself,
}

/// About which message a notice of this kind is: of a transaction that joined an item, or has a first one.
pub fn about(kind: NoticeKind, joined: bool, has_first: bool) -> About {
    match kind {
        _ if joined => About::Item,
        NoticeKind::Split | NoticeKind::Waits if has_first => About::First,
        _ => About::Itself,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Id;
    use HeldState::{Expired, Held, Released, Returned};

    const NOW: Timestamp = Timestamp(1_760_000_000_000);
    const STATES: [HeldState; 4] = [Held, Released, Returned, Expired];

    fn seconds(seconds: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(seconds))
    }

    fn item(number: u64, state: HeldState) -> ItemStanding {
        ItemStanding { id: Id::new(NOW, number), state, addendum: false, way: None, variants: Vec::new() }
    }

    #[test]
    fn the_token_changes_with_every_item_and_decision() {
        assert_eq!(standing([]), GroupStanding::default());
        let mut tokens = HashSet::from([String::new()]);
        for state in STATES {
            for decided in [None, Some(NOW)] {
                assert!(tokens.insert(standing([(item(1, state), decided)]).token));
                assert!(tokens.insert(standing([(item(1, state), decided), (item(2, Held), None)]).token));
            }
        }
        let now = standing([(item(1, Held), None)]);
        assert_eq!(unmoved(&now.token, &now), Ok(()));
        assert_eq!(unmoved("", &now), Err(Refusal::Moved));
    }

    #[test]
    fn what_went_back_is_not_joined_by_who_was_to_get_it() {
        for state in STATES {
            let refused = matches!(state, Returned | Expired);
            let expected = if refused { Err(Refusal::SentAgain) } else { Ok(()) };
            assert_eq!(joinable(Some(state), true), expected);
            assert_eq!(joinable(Some(state), false), Ok(()));
        }
        assert_eq!(joinable(None, true), Ok(()));
    }

    #[test]
    fn only_what_waits_takes_over_reasons() {
        let own = Grounds { kind: HoldKind::Ask, reasons: vec![1, 2], hits: vec![7] };
        let more = Grounds { kind: HoldKind::Unsafe, reasons: vec![2, 3], hits: vec![8, 7] };
        for state in STATES {
            let then = joined(own.clone(), state, more.clone());
            if state == Held {
                let all = Grounds { kind: HoldKind::Unsafe, reasons: vec![1, 2, 3], hits: vec![7, 8] };
                assert_eq!(then, all);
                assert_eq!(joined(more.clone(), state, own.clone()).kind, HoldKind::Unsafe);
            } else {
                assert_eq!(then, own);
            }
        }
    }

    #[test]
    fn notices_wait_for_quiet_but_not_for_ever() {
        for (due, now, complete, then) in [
            (Some(30), 10, false, Some(40)),
            (Some(30), 10, true, Some(10)),
            (Some(40), 170, false, Some(180)),
            (Some(180), 175, false, Some(180)),
            (Some(181), 10, false, None),
            (None, 10, true, None),
        ] {
            let put_off = put_off(due.map(seconds), NOW, seconds(now), complete);
            assert_eq!(put_off, then.map(seconds), "{due:?} {now} {complete}");
        }
    }

    #[test]
    fn colleagues_are_not_waited_for() {
        let one = |key: &str, outside| Awaited { key: key.to_owned(), outside };
        let left = still_awaited(vec![one("a", true), one("b", false)], &HashSet::from(["a"]));
        assert_eq!(left, [one("b", false)]);
        assert!(is_complete(&left) && !is_complete(&[one("c", true)]));
    }

    #[test]
    fn a_mail_is_told_of_once() {
        use NoticeKind::{Held as IsHeld, Split, Waits};
        for (kind, joined, first, whom) in [
            (Split, false, true, About::First),
            (Waits, false, true, About::First),
            (Split, false, false, About::Itself),
            (IsHeld, false, true, About::Itself),
            (IsHeld, true, true, About::Item),
            (Split, true, true, About::Item),
        ] {
            assert_eq!(about(kind, joined, first), whom, "{kind:?}");
        }
    }
}
