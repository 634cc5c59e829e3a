//! The numbers of states and kinds in the database. Their meaning never changes.

use crate::store::{DeliveryState, HeldState, HoldKind, NoticeKind};

/// Deliveries with a lower state are not final; the index of due deliveries contains only these.
pub(in crate::store) const FIRST_FINAL: i64 = 5;

pub(in crate::store) const READY: i64 = 0;
pub(in crate::store) const WAITING: i64 = 1;
pub(in crate::store) const UNCERTAIN: i64 = 2;
pub(in crate::store) const SENDING: i64 = 3;
pub(in crate::store) const PAUSED: i64 = 4;
pub(in crate::store) const DELIVERED: i64 = 5;
pub(in crate::store) const FAILED: i64 = 6;
pub(in crate::store) const DROPPED: i64 = 7;

/// A count as a number of the database.
pub(in crate::store) fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A 64-bit count as a number of the database.
pub(in crate::store) fn from_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A number of the database as a count.
pub(in crate::store) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

pub(in crate::store) fn delivery(state: DeliveryState) -> i64 {
    match state {
        DeliveryState::Ready => READY,
        DeliveryState::Waiting => WAITING,
        DeliveryState::Uncertain => UNCERTAIN,
        DeliveryState::Sending => SENDING,
        DeliveryState::Paused => PAUSED,
        DeliveryState::Delivered => DELIVERED,
        DeliveryState::Failed => FAILED,
        DeliveryState::Dropped => DROPPED,
    }
}

pub(in crate::store) fn to_delivery(code: i64) -> Option<DeliveryState> {
    Some(match code {
        READY => DeliveryState::Ready,
        WAITING => DeliveryState::Waiting,
        UNCERTAIN => DeliveryState::Uncertain,
        SENDING => DeliveryState::Sending,
        PAUSED => DeliveryState::Paused,
        DELIVERED => DeliveryState::Delivered,
        FAILED => DeliveryState::Failed,
        DROPPED => DeliveryState::Dropped,
        _ => return None,
    })
}

/// All states of held mail.
pub(super) const HELD_STATES: [HeldState; 4] =
    [HeldState::Held, HeldState::Released, HeldState::Returned, HeldState::Expired];

pub(in crate::store) fn held(state: HeldState) -> i64 {
    match state {
        HeldState::Held => 0,
        HeldState::Released => 1,
        HeldState::Returned => 2,
        HeldState::Expired => 3,
    }
}

pub(in crate::store) fn to_held(code: i64) -> Option<HeldState> {
    Some(match code {
        0 => HeldState::Held,
        1 => HeldState::Released,
        2 => HeldState::Returned,
        3 => HeldState::Expired,
        _ => return None,
    })
}

pub(in crate::store) fn hold(kind: HoldKind) -> i64 {
    match kind {
        HoldKind::Ask => 0,
        HoldKind::Rule => 1,
        HoldKind::Unsafe => 2,
    }
}

pub(in crate::store) fn to_hold(code: i64) -> Option<HoldKind> {
    Some(match code {
        0 => HoldKind::Ask,
        1 => HoldKind::Rule,
        2 => HoldKind::Unsafe,
        _ => return None,
    })
}

pub(in crate::store) fn notice(kind: NoticeKind) -> i64 {
    match kind {
        NoticeKind::Held => 0,
        NoticeKind::HeldApprovers => 1,
        NoticeKind::Split => 2,
        NoticeKind::Returned => 3,
        NoticeKind::Expired => 4,
        NoticeKind::Failure => 5,
        NoticeKind::Delayed => 6,
        NoticeKind::Stopped => 7,
        NoticeKind::Waits => 8,
        NoticeKind::TakenBack => 9,
        NoticeKind::AskedAsIs => 10,
        NoticeKind::Expiring => 11,
        NoticeKind::ExpiringApprovers => 12,
        NoticeKind::Escalated => 13,
        NoticeKind::Delivered => 14,
        NoticeKind::Released => 15,
        NoticeKind::Settled => 16,
    }
}

pub(in crate::store) fn to_notice(code: i64) -> Option<NoticeKind> {
    Some(match code {
        0 => NoticeKind::Held,
        1 => NoticeKind::HeldApprovers,
        2 => NoticeKind::Split,
        3 => NoticeKind::Returned,
        4 => NoticeKind::Expired,
        5 => NoticeKind::Failure,
        6 => NoticeKind::Delayed,
        7 => NoticeKind::Stopped,
        8 => NoticeKind::Waits,
        9 => NoticeKind::TakenBack,
        10 => NoticeKind::AskedAsIs,
        11 => NoticeKind::Expiring,
        12 => NoticeKind::ExpiringApprovers,
        13 => NoticeKind::Escalated,
        14 => NoticeKind::Delivered,
        15 => NoticeKind::Released,
        16 => NoticeKind::Settled,
        _ => return None,
    })
}
