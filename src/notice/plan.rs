//! Decides who is asked about a held message and when, and what follows: turns a due notice into rows for the
//! store. Pure functions.

use super::Letterhead;
use super::asking::in_time;
use super::whom::{alerted, deciders_of, owners};
use crate::clock::Timestamp;
use crate::message::{Address, Header};
use crate::store::{AskPlan, AskWhy, HeldRow, HeldState, NewAsk, NewNotice, NoticeKind, StoredMessage};
use std::time::Duration;

/// A warning that is due this much too early was scheduled for an earlier hold of the same message.
const EARLY: Duration = Duration::from_mins(1);

pub(super) fn is_held(message: &StoredMessage) -> Option<&HeldRow> {
    message.held.as_ref().filter(|held| held.state == HeldState::Held)
}

/// Whether a sender can decide on a held message alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alone {
    /// No: an approver has to decide.
    No,
    /// Yes: they may send it individually, and have asked for nothing.
    Yes,
    /// Yes, but they asked to send it as it is, so the approvers know of it.
    Asked,
}

/// Tells the approvers who know of a message that it was decided; in their digest, if they have one.
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

/// Who is told, and what follows; `None` if the message is no longer held.
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
    // what senders can decide alone is left to them first; they can still ask for more
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
        // those who are asked again include the current deputies
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
    // the time for an answer starts when they are told
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

/// Schedules the warnings before a hold expires.
fn following(held: &HeldRow, letterhead: &Letterhead, now: Timestamp) -> Vec<NewNotice> {
    let since = held.received.max(now.minus(held.expires.since(now)));
    let due = letterhead.asking.hours.warning(since, held.expires);
    let kinds = [NoticeKind::Expiring, NoticeKind::ExpiringApprovers];
    kinds.map(|kind| NewNotice { kind, due }).into()
}

/// When the warning is due, if that is still to come: the message was held again after the warning was
/// scheduled.
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
