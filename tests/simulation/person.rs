//! One recipient of one mail: how they stand to it, and what may be under way to them.

use crate::model::Kind;
use sekisho::clock::Timestamp;
use sekisho::desk::wish::How;
use sekisho::store::{DeliveryId, Lease};
use sekisho::upstream::Fate;
use std::collections::HashMap;
use std::time::Duration;

/// What the documentation promises of tries: after 1, 5, 15, 30 and then every 60 minutes, for five days.
const WAITS: [u64; 5] = [1, 5, 15, 30, 60];
pub(crate) const GIVE_UP: Duration = Duration::from_hours(5 * 24);

/// How one recipient stands to one mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Absent,
    Going,
    Held,
    /// Returned, expired, or taken back.
    Back,
    /// Taken off by a release.
    Removed,
    /// Dropped from the queue by an operator.
    Dropped,
    Delivered,
    Failed,
}

#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) address: String,
    pub(crate) state: State,
    pub(crate) how: How,
    pub(crate) due: Timestamp,
    pub(crate) queued: Timestamp,
    pub(crate) attempts: u32,
    /// A client got a 250 for it.
    pub(crate) acked: bool,
    /// An attempt ended without an answer on record: the next may be the second.
    pub(crate) lost: bool,
    pub(crate) lease: Option<Lease>,
    /// It was dropped while it was being sent: until then that may go on, if its end is not recorded before.
    dropped_until: Option<Timestamp>,
    /// The leases under which copies were dropped on their way before the mail came again, and how that ended is
    /// not on record so far.
    in_doubt: Vec<Lease>,
    /// Copies that the upstream took.
    pub(crate) took: u32,
    pub(crate) reports: u32,
    /// The item it was held in, as a number in its mail.
    pub(crate) item: usize,
    /// The transaction it came in.
    pub(crate) came: usize,
}

impl Person {
    pub(crate) fn new(address: &str, kind: Kind, now: Timestamp) -> Self {
        Self {
            address: address.to_owned(),
            state: State::Absent,
            how: if kind == Kind::Pass { How::AsIs } else { How::Split },
            due: now,
            queued: now,
            attempts: 0,
            acked: false,
            lost: false,
            lease: None,
            dropped_until: None,
            in_doubt: Vec::new(),
            took: 0,
            reports: 0,
            item: 0,
            came: 0,
        }
    }

    pub(crate) fn is_leased(&self) -> bool {
        self.lease.is_some()
    }

    /// Whether an operator dropped it while it was being sent, and that may still go on.
    pub(crate) fn is_dropped_on_its_way(&self, now: Timestamp) -> bool {
        self.state == State::Dropped && self.dropped_until.is_some_and(|until| until > now)
    }

    /// Whether they may have the mail already, so that the next copy may be the second.
    pub(crate) fn may_have_it(&self) -> bool {
        self.lost || !self.in_doubt.is_empty()
    }

    /// The mail came for them, once more if they had been given up.
    pub(crate) fn comes(&mut self, state: State, how: How, due: Timestamp) {
        if self.dropped_until.take().is_some() {
            self.in_doubt.extend(self.lease);
        }
        (self.state, self.how, self.due, self.queued) = (state, how, due, due);
        (self.attempts, self.lease) = (0, None);
    }

    /// An operator drops the copy.
    pub(crate) fn dropped(&mut self, leases: &HashMap<DeliveryId, (i64, Timestamp, usize)>) {
        self.state = State::Dropped;
        self.dropped_until =
            self.lease.and_then(|lease| leases.get(&lease.delivery)).map(|(_, until, _)| *until);
    }

    /// How a copy under this lease ended was recorded.
    pub(crate) fn ended(&mut self, lease: Lease, fate: &Fate, now: Timestamp) {
        if self.lease != Some(lease) {
            // They have another copy since. Whether the next may be the second is decided when it is released.
            if self.in_doubt.contains(&lease) {
                self.in_doubt.retain(|one| *one != lease);
                self.lost |= matches!(fate, Fate::Delivered(_) | Fate::Uncertain(_));
            }
            return;
        }
        (self.lease, self.dropped_until) = (None, None);
        let old = now.since(self.queued) >= GIVE_UP;
        let number = usize::try_from(self.attempts).unwrap().clamp(1, WAITS.len());
        let again = now.plus(Duration::from_mins(WAITS[number - 1]));
        let dropped = self.state == State::Dropped;
        match fate {
            Fate::Delivered(_) => self.state = State::Delivered,
            Fate::Failed(_) => self.state = State::Failed,
            Fate::Deferred(_) | Fate::Uncertain(_) if old => self.state = State::Failed,
            Fate::Deferred(_) if dropped => {}
            // They may have it, if the mail is sent again.
            Fate::Uncertain(_) if dropped => self.lost = true,
            Fate::Deferred(_) => self.due = again,
            Fate::Uncertain(_) => (self.due, self.lost) = (again, true),
            Fate::NotTried(_) | Fate::Postponed(..) => (self.due, self.attempts) = (now, self.attempts - 1),
        }
    }
}
