//! Decisions on held messages. The first decision counts, and it covers every member of an item or none. A
//! decision can be undone for a limited time. The stop by the final check is here too.

use super::{Becomes, Effect, Refusal};
use crate::clock::Timestamp;
use crate::journal::Event;
use crate::records::{HeldDecision, HeldState, HookEvent, NoticeKind, Stop};
use std::collections::HashSet;
use std::hash::Hash;

/// A hold, as far as decisions depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Its state.
    pub state: HeldState,
    /// When it expires.
    pub expires: Timestamp,
    /// Who decided, if anybody has.
    pub decided_by: Option<String>,
    /// When that was.
    pub decided_at: Option<Timestamp>,
    /// Until when that can be undone.
    pub undo_until: Option<Timestamp>,
}

impl Hold {
    fn decided(&self) -> Refusal {
        Refusal::Decided {
            state: self.state,
            by: self.decided_by.clone().unwrap_or_default(),
            at: self.decided_at.unwrap_or(Timestamp(0)),
        }
    }

    /// Refuses a decision if the message is no longer held. Refuses expiry before its time: the hold may be a new
    /// one since the clock was read.
    fn decidable(&self, to: HeldState, at: Timestamp) -> Result<(), Refusal> {
        if self.state != HeldState::Held {
            return Err(self.decided());
        }
        if to == HeldState::Expired && self.expires > at { Err(Refusal::Fenced) } else { Ok(()) }
    }

    /// Refuses to undo a decision that led to another state, or whose time to undo is over.
    fn undoable(&self, from: HeldState, at: Timestamp) -> Result<(), Refusal> {
        let late = self.undo_until.is_none_or(|until| until <= at);
        if self.state != from || late { Err(self.decided()) } else { Ok(()) }
    }
}

/// What follows from a decision on an item with these members. `leaving` are the members whose copies a release
/// sends; if they are not all of the members, one joined that the release does not cover. `rewritten` says whether
/// any of the copies was rewritten.
///
/// # Errors
/// [`Refusal::Decided`], [`Refusal::Fenced`] or [`Refusal::Moved`].
pub fn decide<K: Copy + Eq + Hash>(
    item: K,
    hold: &Hold,
    decision: &HeldDecision,
    members: &[K],
    leaving: &[K],
    rewritten: bool,
) -> Result<Vec<Effect<K>>, Refusal> {
    hold.decidable(decision.state, decision.at)?;
    let released = decision.state == HeldState::Released;
    let same = || members.iter().collect::<HashSet<_>>() == leaving.iter().collect::<HashSet<_>>();
    if released && !same() {
        return Err(Refusal::Moved);
    }
    let to = Becomes {
        state: decision.state,
        expires: None,
        decided: Some((decision.by.clone(), decision.at)),
        decision: Some(decision.decision.clone()),
        release: decision.release.clone(),
        undo_until: decision.undo_until,
    };
    let mut effects = vec![
        Effect::Hold { item, from: HeldState::Held, to },
        Effect::Prevented(item, !released || rewritten),
        Effect::Call(item, HookEvent::Decided, decision.at),
    ];
    let notices = decision.notices.iter();
    effects.extend(notices.map(|notice| Effect::Notice(item, notice.kind, Some(notice.due))));
    for member in members {
        let events = decision.events.iter().cloned();
        effects.extend(events.map(|event| Effect::Enter(*member, decision.at, event)));
    }
    Ok(effects)
}

/// A request to undo a decision.
#[derive(Clone, Copy, Debug)]
pub struct Undo<'a> {
    /// Who asks.
    pub by: &'a str,
    /// When that was.
    pub at: Timestamp,
    /// When the new hold expires.
    pub expires: Timestamp,
}

/// Holds a returned item again. `members` are those that were returned with it; `sent_again` says whether one of
/// them was sent again meanwhile. If another item of the same mail waits, this one joins it: one mail waits as one
/// item.
///
/// # Errors
/// [`Refusal::Decided`] if that cannot be undone, or can no longer be undone.
pub fn hold_again<K: Copy>(
    item: K,
    hold: &Hold,
    members: Vec<K>,
    undo: Undo<'_>,
    sent_again: bool,
    waiting: Option<K>,
) -> Result<Vec<Effect<K>>, Refusal> {
    hold.undoable(HeldState::Returned, undo.at)?;
    if sent_again {
        return Err(hold.decided());
    }
    let mut effects = vec![Effect::Drop(item, vec![NoticeKind::Returned, NoticeKind::TakenBack])];
    effects.extend(waits_again(item, HeldState::Returned, members, undo, waiting));
    Ok(effects)
}

/// An item waits again, by itself or as part of the one that waits.
fn waits_again<K: Copy>(
    item: K,
    from: HeldState,
    members: Vec<K>,
    undo: Undo<'_>,
    waiting: Option<K>,
) -> Vec<Effect<K>> {
    let mut effects = undone(&members, undo);
    match waiting {
        Some(waiting) => effects.push(Effect::MoveInto { members, item: waiting }),
        None => effects.extend(held_again(item, from, undo)),
    }
    effects
}

/// Holds a released item again of which nothing has left. For each member: how many of its copies have left or may
/// leave, and how many could be withdrawn. It is all or nothing: if one copy was tried, the release stands.
/// `sent_again` says whether one of the members was sent again meanwhile. If another item of the same mail waits,
/// this one joins it: one mail waits as one item.
///
/// # Errors
/// [`Refusal::Decided`] if a copy has left, or the time to undo is over.
pub fn undo_release<K: Copy>(
    item: K,
    hold: &Hold,
    members: &[(K, Withdrawn)],
    undo: Undo<'_>,
    sent_again: bool,
    waiting: Option<K>,
) -> Result<Vec<Effect<K>>, Refusal> {
    hold.undoable(HeldState::Released, undo.at)?;
    if sent_again || members.iter().any(|(_, copies)| copies.open != copies.withdrawn) {
        return Err(hold.decided());
    }
    let decided = hold.decided_at.unwrap_or(Timestamp(0));
    let members: Vec<K> = members.iter().map(|(member, _)| *member).collect();
    let mut effects: Vec<_> = members.iter().map(|one| Effect::Undisclose(*one, decided)).collect();
    effects.push(Effect::Drop(item, vec![NoticeKind::Released]));
    effects.extend(waits_again(item, HeldState::Released, members, undo, waiting));
    Ok(effects)
}

/// The copies of a message whose release is undone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Withdrawn {
    /// Not final, or tried since the release.
    pub open: usize,
    /// How many of these were withdrawn.
    pub withdrawn: usize,
}

fn held_again<K: Copy>(item: K, from: HeldState, undo: Undo<'_>) -> [Effect<K>; 3] {
    [
        Effect::Hold { item, from, to: Becomes::held(undo.expires) },
        Effect::Call(item, HookEvent::Held, undo.at),
        Effect::Prevented(item, false),
    ]
}

fn undone<K: Copy>(members: &[K], undo: Undo<'_>) -> Vec<Effect<K>> {
    let event = || Event::Undone { by: undo.by.to_owned() };
    members.iter().map(|member| Effect::Enter(*member, undo.at, event())).collect()
}

/// What follows when the final check stopped the unsent copies of a message; `left` recipients had been sent to
/// already.
pub fn stopped<K: Copy>(message: K, stop: &Stop, left: usize, total: usize) -> Vec<Effect<K>> {
    let mut places: Vec<String> = stop.hits.iter().map(|hit| hit.place.clone()).collect();
    places.dedup();
    vec![
        Effect::Call(message, HookEvent::Held, stop.at),
        Effect::Notice(message, NoticeKind::Stopped, Some(stop.at)),
        Effect::Enter(message, stop.at, Event::Stopped { places, left, total }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Id;
    use HeldState::{Expired, Held, Released, Returned};

    const STATES: [HeldState; 4] = [Held, Released, Returned, Expired];
    const NOW: Timestamp = Timestamp(1_000);

    fn hold(state: HeldState, undo_until: Option<i64>) -> Hold {
        let decided = state != Held;
        Hold {
            state,
            expires: Timestamp(2_000),
            decided_by: decided.then(|| "soumu".to_owned()),
            decided_at: decided.then_some(Timestamp(500)),
            undo_until: undo_until.map(Timestamp),
        }
    }

    fn decision(state: HeldState, at: i64) -> HeldDecision {
        HeldDecision::new(Id::new(NOW, 1), state, "taro", Timestamp(at), "why")
    }

    /// Any decision in any state: it is made once, and expiry does not come before its time.
    #[test]
    fn who_comes_first_decides() {
        for state in STATES {
            for to in [Released, Returned, Expired] {
                for at in [1_999, 2_000] {
                    let done = decide(1, &hold(state, None), &decision(to, at), &[1], &[1], false);
                    match done {
                        Ok(_) => assert!(state == Held && (to != Expired || at >= 2_000)),
                        Err(Refusal::Fenced) => assert!(state == Held && to == Expired && at < 2_000),
                        Err(Refusal::Decided { state: found, by, .. }) => {
                            assert_eq!((found, by.as_str()), (state, "soumu"));
                            assert_ne!(state, Held);
                        }
                        Err(other) => panic!("{other:?}"),
                    }
                }
            }
        }
    }

    #[test]
    fn a_release_covers_every_member_and_a_return_needs_not() {
        for (members, leaving, covers) in [
            (&[1, 2][..], &[2, 1][..], true),
            (&[1, 2], &[1], false),
            (&[1], &[1, 2], false),
            (&[1], &[], false),
        ] {
            let release = decide(1, &hold(Held, None), &decision(Released, 1), members, leaving, true);
            assert_eq!(release.is_ok(), covers, "{members:?} {leaving:?}");
            let back = decide(1, &hold(Held, None), &decision(Returned, 1), members, leaving, false).unwrap();
            assert!(back.contains(&Effect::Prevented(1, true)));
        }
        let as_is = decide(1, &hold(Held, None), &decision(Released, 1), &[1], &[1], false).unwrap();
        assert!(as_is.contains(&Effect::Prevented(1, false)));
    }

    #[test]
    fn undoing_has_its_time_and_its_state() {
        let undo = Undo { by: "taro", at: NOW, expires: Timestamp(9_000) };
        for state in STATES {
            for until in [None, Some(999), Some(1_000), Some(1_001)] {
                let hold = hold(state, until);
                let in_time = until == Some(1_001);
                let again = hold_again(1, &hold, vec![1, 2], undo, false, None);
                assert_eq!(again.is_ok(), in_time && state == Returned, "{state} {until:?}");
                assert!(hold_again(1, &hold, vec![1, 2], undo, true, None).is_err(), "it came again");
                let whole = Withdrawn { open: 2, withdrawn: 2 };
                let part = Withdrawn { open: 2, withdrawn: 1 };
                let release = undo_release(1, &hold, &[(1, whole), (2, whole)], undo, false, None);
                assert_eq!(release.is_ok(), in_time && state == Released, "{state} {until:?}");
                let left = undo_release(1, &hold, &[(1, whole), (2, part)], undo, false, None);
                assert!(left.is_err(), "one has left");
                let again = undo_release(1, &hold, &[(1, whole), (2, whole)], undo, true, None);
                assert!(again.is_err(), "it came again");
            }
        }
    }

    #[test]
    fn one_mail_waits_as_one_item() {
        let undo = Undo { by: "taro", at: NOW, expires: Timestamp(9_000) };
        let members = [1, 2].map(|member| (member, Withdrawn::default()));
        for from in [Returned, Released] {
            let hold = hold(from, Some(2_000));
            let undone = |waiting| match from {
                Returned => hold_again(1, &hold, vec![1, 2], undo, false, waiting).unwrap(),
                _ => undo_release(1, &hold, &members, undo, false, waiting).unwrap(),
            };
            let is_moved = |one: &Effect<i32>| matches!(one, Effect::MoveInto { .. });
            let expected = Effect::Hold { item: 1, from, to: Becomes::held(Timestamp(9_000)) };
            let (alone, beside) = (undone(None), undone(Some(7)));
            assert!(alone.contains(&expected) && !alone.iter().any(is_moved));
            assert_eq!(beside.last(), Some(&Effect::MoveInto { members: vec![1, 2], item: 7 }));
            assert!(!beside.iter().any(|one| matches!(one, Effect::Hold { .. })));
        }
    }
}
