//! Who is asked about a held message and when, and what follows: from a notice that is due to the rows that the
//! store keeps of it. Nothing here waits or stores.

use super::Letterhead;
use super::asking::in_time;
use super::whom::{alerted, deciders_of, owners};
use crate::clock::Timestamp;
use crate::message::{Address, Header};
use crate::store::{AskPlan, AskWhy, HeldRow, HeldState, NewAsk, NewNotice, NoticeKind, StoredMessage};
use std::time::Duration;

/// A warning that would come so much too early belongs to an earlier hold of the same message.
const EARLY: Duration = Duration::from_mins(1);

pub(super) fn is_held(message: &StoredMessage) -> Option<&HeldRow> {
    message.held.as_ref().filter(|held| held.state == HeldState::Held)
}

/// How far a sender settles alone what is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alone {
    /// Not at all: another person has to decide.
    No,
    /// They may send it individually, and have asked for nothing.
    Yes,
    /// The same, but they asked that it leave as it is: those who decide know of it.
    Asked,
}

/// Those who were told of it are told that somebody decided: in their digest, where they have one.
pub(super) fn settled(
    message: &StoredMessage,
    told: Vec<Address>,
    letterhead: &Letterhead,
    now: Timestamp,
) -> Option<AskPlan> {
    let held = message.held.as_ref().filter(|held| held.state != HeldState::Held)?;
    let decider = held.decided_by.as_deref().and_then(|by| Address::parse(by).ok());
    let others: Vec<Address> =
        told.into_iter().filter(|one| decider.as_ref().is_none_or(|by| by.key() != one.key())).collect();
    let asks = renamed(letterhead.asking.each(&others, now), AskWhy::Settled);
    (!asks.is_empty()).then_some(AskPlan { asks, ..AskPlan::default() })
}

/// Who is told, and what follows; `None` when nothing waits any more.
pub(super) fn plan(
    kind: NoticeKind,
    message: &StoredMessage,
    letterhead: &Letterhead,
    alone: Alone,
    now: Timestamp,
) -> Option<AskPlan> {
    let held = is_held(message)?;
    let asking = &letterhead.asking;
    let urgent = is_urgent(message);
    let those = |urgent, why: Option<AskWhy>| {
        let asks = asking.plan(&deciders_of(message, letterhead), &owners(message), urgent, now);
        let asks = in_time(asks, held.expires, now);
        match why {
            Some(why) => renamed(asks, why),
            None => asks,
        }
    };
    // What senders may settle alone goes to them first; they ask for more themselves.
    let told_at = asking.patience(held.received);
    let first = kind == NoticeKind::HeldApprovers && alone != Alone::No;
    if first && alone == Alone::Yes && now < told_at {
        let assigned = those(false, None).into_iter().map(|ask| ask.approver).collect();
        let mut notices = following(held, letterhead, now);
        notices.push(NewNotice { kind, due: told_at });
        return Some(AskPlan { asks: Vec::new(), notices, assigned });
    }
    let at_once = |people: Vec<Address>, why| {
        people.into_iter().map(|approver| NewAsk { approver, why, digest: false, due: now }).collect()
    };
    let asks: Vec<NewAsk> = match kind {
        NoticeKind::HeldApprovers if first && alone == Alone::Asked && !asking.sender_first.is_zero() => {
            Vec::new()
        }
        NoticeKind::HeldApprovers => those(urgent, None),
        NoticeKind::Stopped => at_once(alerted(message, letterhead), AskWhy::Stopped),
        NoticeKind::Escalated => {
            let owners = owners(message);
            let behind = asking.escalation.iter().flat_map(|escalation| &escalation.to);
            let behind = behind.filter(|one| owners.iter().all(|owner| owner.key() != one.key()));
            at_once(behind.cloned().collect(), AskWhy::Escalated)
        }
        // Those who are asked anew are told in the place of who is away now.
        NoticeKind::ExpiringApprovers if too_early(message, letterhead, now).is_some() => Vec::new(),
        NoticeKind::ExpiringApprovers => those(urgent, Some(AskWhy::Expiring)),
        NoticeKind::AskedAsIs => those(urgent, Some(AskWhy::AsIs)),
        _ => Vec::new(),
    };
    let mut notices = match kind {
        NoticeKind::HeldApprovers | NoticeKind::Stopped => following(held, letterhead, now),
        NoticeKind::ExpiringApprovers => again(kind, message, letterhead, now),
        _ => Vec::new(),
    };
    // It is counted from when they are told.
    if matches!(kind, NoticeKind::HeldApprovers | NoticeKind::Stopped | NoticeKind::AskedAsIs)
        && !asks.is_empty()
    {
        let escalates = asking.escalates(now).filter(|due| *due < held.expires);
        notices.extend(escalates.map(|due| NewNotice { kind: NoticeKind::Escalated, due }));
    }
    Some(AskPlan { asks, notices, ..AskPlan::default() })
}

fn renamed(asks: Vec<NewAsk>, why: AskWhy) -> Vec<NewAsk> {
    asks.into_iter().map(|ask| NewAsk { why, ..ask }).collect()
}

/// What comes after a hold that nobody decides: a warning to both sides.
fn following(held: &HeldRow, letterhead: &Letterhead, now: Timestamp) -> Vec<NewNotice> {
    let since = held.received.max(now.minus(held.expires.since(now)));
    let due = letterhead.asking.hours.warning(since, held.expires);
    let kinds = [NoticeKind::Expiring, NoticeKind::ExpiringApprovers];
    kinds.map(|kind| NewNotice { kind, due }).into()
}

/// When the warning of a hold is really due, if that is not yet: the message was held anew since it was
/// put down.
pub(super) fn too_early(
    message: &StoredMessage,
    letterhead: &Letterhead,
    now: Timestamp,
) -> Option<Timestamp> {
    let held = is_held(message)?;
    let due = letterhead.asking.hours.warning(held.received, held.expires);
    (due > now.plus(EARLY)).then_some(due)
}

pub(super) fn again(
    kind: NoticeKind,
    message: &StoredMessage,
    letterhead: &Letterhead,
    now: Timestamp,
) -> Vec<NewNotice> {
    too_early(message, letterhead, now).map(|due| NewNotice { kind, due }).into_iter().collect()
}

/// Whether the sender marked it as urgent (RFC 4021 §2.1.54, RFC 2156 §5.3.6).
pub(super) fn is_urgent(message: &StoredMessage) -> bool {
    let Ok(header) = Header::parse(message.header.clone()) else { return false };
    let says = |name: &str, words: &[&str]| {
        header.text(name).is_some_and(|text| {
            let text = text.trim().to_ascii_lowercase();
            words.iter().any(|word| text.starts_with(word))
        })
    };
    says("Importance", &["high"])
        || says("X-Priority", &["1", "2"])
        || says("X-MSMail-Priority", &["high"])
        || says("Priority", &["urgent"])
}
