//! How the transactions of one mail become one item: the state that a plan was made on, what an item takes over
//! from a member that joins, and when people are told of a mail that is still arriving.

use super::repeats::went_back;
use super::{QUIET, Refusal};
use crate::clock::Timestamp;
use crate::records::{Awaited, GroupItem, GroupItems, HeldState, HoldKind, NoticeKind};
use std::collections::HashSet;
use std::fmt::Write;
use std::time::Duration;

/// People are told of a mail no later than this after its first transaction.
const LONGEST: Duration = Duration::from_mins(3);

/// How long before a given transaction others of the same mail are searched for.
pub const BEFORE: Duration = Duration::from_hours(1);

/// The token of what is known of a mail: from its items, oldest first, each with the time of its decision. It
/// changes with every item and every decision.
pub fn group_items(items: impl IntoIterator<Item = (GroupItem, Option<Timestamp>)>) -> GroupItems {
    let mut group = GroupItems::default();
    for (item, decided) in items {
        let decided = decided.map_or(0, |at| at.0);
        let _ = write!(group.token, "{}:{}:{decided};", item.id, item.state);
        group.items.push(item);
    }
    group
}

/// Refuses a plan whose basis has changed since.
///
/// # Errors
/// [`Refusal::Moved`].
pub fn unmoved(expected: &str, now: &GroupItems) -> Result<(), Refusal> {
    if now.token == expected { Ok(()) } else { Err(Refusal::Moved) }
}

/// Refuses a transaction that would join a returned item, if it is for one of that item's recipients (`back`): the
/// mail was sent again.
///
/// # Errors
/// [`Refusal::SentAgain`].
pub fn joinable(item: Option<HeldState>, back: bool) -> Result<(), Refusal> {
    if back && item.is_some_and(went_back) { Err(Refusal::SentAgain) } else { Ok(()) }
}

/// Why an item is held: for itself, or for a member that joined. Reasons and hits are only compared, so they can be
/// in the form in which they are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grounds<T> {
    /// The kind of hold.
    pub kind: HoldKind,
    /// Its risks.
    pub reasons: Vec<T>,
    /// What the audit found.
    pub hits: Vec<T>,
}

/// Why an item is held after a member joined. A late member does not change a decided item. A waiting item has the
/// strongest kind, and every reason and hit once.
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

/// The recipients that an item still waits for, after a transaction for these arrived.
#[must_use]
pub fn still_awaited<'a>(mut awaited: Vec<Awaited>, came: impl IntoIterator<Item = &'a str>) -> Vec<Awaited> {
    let came: HashSet<&str> = came.into_iter().collect();
    awaited.retain(|one| !came.contains(one.key.as_str()));
    awaited
}

/// Whether nobody is missing. Mail for colleagues may never pass the relay.
pub fn is_complete(awaited: &[Awaited]) -> bool {
    !awaited.iter().any(|one| one.outside)
}

/// Notices that wait until no more transactions of a held mail arrive.
pub const WAIT_FOR_ITEM: [NoticeKind; 2] = [NoticeKind::Held, NoticeKind::HeldApprovers];

/// When an open notice about a mail is due after another of its transactions arrived; the first one arrived at
/// `first`. The notice waits until no more arrive, or is due at once if nobody is missing. `None` if the time does
/// not change, because the notice is due later for another reason.
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

/// The message that a transaction's notice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The item it joined.
    Item,
    /// The first transaction of its mail: people are told of a split or a delay once per mail.
    First,
    /// The transaction itself.
    Itself,
}

/// The message that a notice of this kind is about, for a transaction that joined an item or is not the first.
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

    fn item(number: u64, state: HeldState) -> GroupItem {
        GroupItem { id: Id::new(NOW, number), state, addendum: false, release: None, variants: Vec::new() }
    }

    #[test]
    fn the_token_changes_with_every_item_and_decision() {
        assert_eq!(group_items([]), GroupItems::default());
        let mut tokens = HashSet::from([String::new()]);
        for state in STATES {
            for decided in [None, Some(NOW)] {
                assert!(tokens.insert(group_items([(item(1, state), decided)]).token));
                assert!(tokens.insert(group_items([(item(1, state), decided), (item(2, Held), None)]).token));
            }
        }
        let now = group_items([(item(1, Held), None)]);
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
        let left = still_awaited(vec![one("a", true), one("b", false)], ["a"]);
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
