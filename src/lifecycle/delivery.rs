//! The states of one copy, and what moves it from one to another: claims, attempts, an operator's changes, the
//! sender taking it back, and the stop by the final check.

use crate::clock::Timestamp;
use crate::journal::Event;
use crate::records::{DeliveryState, InitialState, QueueChange};

/// The token of a delivery that is accepted as `Sending`, and the number of its first attempt.
pub const FIRST_CLAIM: u32 = 1;

/// The last reply of a delivery whose message the final check stopped,
pub const STOPPED: &str = "taken back before it was sent";
/// whose release was undone,
pub const UNDONE: &str = "the release was undone before it left";
/// or that its sender took back.
pub const TAKEN_BACK: &str = "taken back by its sender before it was sent";

/// The part of a delivery that changes over its life. Its recipients and its copy are kept separately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Its state.
    pub state: DeliveryState,
    /// When it is due, or (in `Sending`) when the lease ends.
    pub due: Option<Timestamp>,
    /// The fencing token: a result with an older one is not recorded.
    pub token: i64,
    /// Attempts so far, including the current one.
    pub attempts: u32,
    /// An earlier attempt ended without an answer.
    pub duplicate: bool,
    /// When it was first due: the retry schedule counts from here.
    pub queued: Timestamp,
    /// The upstream's last reply, or the relay's own reason.
    pub reply: String,
}

impl Progress {
    /// A delivery that is being committed.
    pub fn born(state: InitialState, now: Timestamp) -> Self {
        let (state, due, queued, claims) = match state {
            InitialState::Ready => (DeliveryState::Ready, now, now, 0),
            InitialState::Waiting(at) => (DeliveryState::Waiting, at, at, 0),
            InitialState::Sending { until } => (DeliveryState::Sending, until, now, FIRST_CLAIM),
        };
        Self {
            state,
            due: Some(due),
            token: i64::from(claims),
            attempts: claims,
            duplicate: false,
            queued,
            reply: String::new(),
        }
    }

    /// The delivery, claimed until then. A delivery that another courier holds is claimed only when its lease has
    /// run out. How that attempt ended is unknown, so this one may send a duplicate.
    #[must_use]
    pub fn claimed(self, until: Timestamp) -> Self {
        Self {
            duplicate: self.duplicate || self.state == DeliveryState::Sending,
            state: DeliveryState::Sending,
            due: Some(until),
            token: self.token + 1,
            attempts: self.attempts + 1,
            ..self
        }
    }

    /// The delivery after a restart during its attempt: uncertain, and due at once.
    #[must_use]
    pub fn recovered(self, now: Timestamp) -> Self {
        Self { state: DeliveryState::Uncertain, due: Some(now), duplicate: true, ..self }
    }

    /// The delivery if its copy cannot be read from the store: the claim is not counted as an attempt, and the
    /// delivery waits for an operator.
    #[must_use]
    pub fn put_aside(self, why: String) -> Self {
        let attempts = self.attempts.saturating_sub(1);
        Self { state: DeliveryState::Paused, due: None, attempts, reply: why, ..self }
    }

    /// The delivery after an operator's change; `None` if the change does not apply to this state. A delivery that is
    /// being sent can only be dropped, and keeps its token: if it turns out to be delivered, that is recorded. A failed
    /// delivery that is retried starts a new schedule.
    pub fn changed(self, change: QueueChange, now: Timestamp) -> Option<Self> {
        use DeliveryState::{Failed, Paused, Ready, Uncertain, Waiting};
        let to_do = matches!(self.state, Ready | Waiting | Uncertain);
        match change {
            QueueChange::Retry if to_do => Some(Self { state: Ready, due: Some(now), ..self }),
            QueueChange::Retry if self.state == Failed => {
                Some(Self { state: Ready, due: Some(now), queued: now, attempts: 0, ..self })
            }
            QueueChange::Drop if !self.state.is_final() => Some(self.dropped()),
            QueueChange::Pause if to_do => Some(Self { state: Paused, due: None, ..self }),
            QueueChange::Resume if self.state == Paused => {
                Some(Self { state: Ready, due: Some(now), ..self })
            }
            _ => None,
        }
    }

    /// The delivery, dropped from the queue. A courier that is sending it may still record that it was delivered: the
    /// end of its lease is kept, so that the recipients [do not get another copy](Self::is_given_up) meanwhile.
    fn dropped(self) -> Self {
        let sending = self.state == DeliveryState::Sending;
        let (token, due) = (self.token + i64::from(!sending), self.due.filter(|_| sending));
        Self { state: DeliveryState::Dropped, due, token, ..self }
    }

    /// Whether it was dropped, and its attempt may still be running.
    fn is_dropped_on_its_way(&self, now: Timestamp) -> bool {
        self.state == DeliveryState::Dropped && self.due.is_some_and(|lease_ends| lease_ends > now)
    }

    /// Whether it was withdrawn before it was sent: what becomes of its recipients is decided elsewhere.
    pub fn is_withdrawn(&self) -> bool {
        self.state == DeliveryState::Dropped && [STOPPED, UNDONE, TAKEN_BACK].contains(&self.reply.as_str())
    }

    /// Whether its recipients did not get it and may be sent it again: it failed, or an operator dropped it from the
    /// queue.
    pub fn is_given_up(&self, now: Timestamp) -> bool {
        match self.state {
            DeliveryState::Failed => true,
            DeliveryState::Dropped => !self.is_withdrawn() && !self.is_dropped_on_its_way(now),
            _ => false,
        }
    }

    /// Whether its recipients may have it although it was not recorded as delivered: an attempt ended without an
    /// answer, or it was dropped during one whose end nobody recorded. If they are sent another copy, that one may be a
    /// duplicate.
    pub fn may_have_arrived(&self) -> bool {
        let dropped = self.state == DeliveryState::Dropped && self.due.is_some();
        self.state != DeliveryState::Delivered && (self.duplicate || dropped)
    }

    /// Whether a release at that time has sent it, or tried to.
    pub fn was_tried_since(&self, released: Timestamp) -> bool {
        self.attempts > 0 && self.queued >= released
    }

    /// The delivery after the final check stopped its message; `None` if it is final already.
    pub fn stopped(self) -> Option<Self> {
        (!self.state.is_final()).then(|| Self { reply: STOPPED.to_owned(), ..self.dropped() })
    }

    /// Whether it is not due yet and was never tried: it can be taken back, or sent early.
    fn is_put_off(&self, now: Timestamp) -> bool {
        self.state == DeliveryState::Waiting && self.attempts == 0 && self.due.is_some_and(|due| due > now)
    }

    /// The delivery, withdrawn before its first attempt, with this as its last reply; `None` if it is too late.
    pub fn withdrawn(self, now: Timestamp, why: &str) -> Option<Self> {
        self.is_put_off(now).then(|| Self { reply: why.to_owned(), ..self.dropped() })
    }

    /// The delivery after the release that made it was undone; `None` if it is too late. What becomes of the recipients
    /// of a copy that an operator had dropped is for the next decision, too.
    pub fn undone(self, now: Timestamp) -> Option<Self> {
        if self.state == DeliveryState::Dropped && self.attempts == 0 && !self.is_withdrawn() {
            return Some(Self { reply: UNDONE.to_owned(), ..self });
        }
        self.withdrawn(now, UNDONE)
    }

    /// The delivery, sent early; `None` if it is due already, or was tried.
    pub fn sent_now(self, now: Timestamp) -> Option<Self> {
        self.is_put_off(now).then_some(Self { due: Some(now), ..self })
    }

    /// The delivery after its sender undid taking it back: due when it was before, or now. `None` if it was not taken
    /// back.
    pub fn restored(self, now: Timestamp) -> Option<Self> {
        let taken_back = self.state == DeliveryState::Dropped && self.reply == TAKEN_BACK;
        let due = Some(self.queued.max(now));
        taken_back.then(|| Self { state: DeliveryState::Waiting, due, reply: String::new(), ..self })
    }
}

/// Why the end of an attempt is unknown: its lease ran out,
pub const LEASE_LOST: &str = "the lease ran out before the attempt was recorded";
/// or the relay stopped.
pub const RELAY_STOPPED: &str = "the relay stopped while this copy was on its way";

/// The journal entry of an attempt whose end is unknown.
pub fn interrupted(number: i64, recipients: Vec<String>, before: &Progress, why: &str) -> Event {
    Event::Attempt {
        delivery: number,
        recipients,
        state: DeliveryState::Uncertain.to_string(),
        reply: why.to_owned(),
        attempt: before.attempts,
        possible_duplicate: before.duplicate,
    }
}

/// The journal entry of a copy that was set aside at this attempt.
pub fn aside(number: i64, aside: &Progress, attempt: u32) -> Event {
    Event::Attempt {
        delivery: number,
        recipients: Vec::new(),
        state: aside.state.to_string(),
        reply: aside.reply.clone(),
        attempt,
        possible_duplicate: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DeliveryState::{Delivered, Dropped, Failed, Paused, Ready, Sending, Uncertain, Waiting};
    use QueueChange::{Drop, Pause, Resume, Retry};

    const ALL: [DeliveryState; 8] = [Ready, Waiting, Uncertain, Sending, Paused, Delivered, Failed, Dropped];
    const NOW: Timestamp = Timestamp(1_000);
    const LATER: Timestamp = Timestamp(2_000);

    fn progress(state: DeliveryState) -> Progress {
        let due = (!state.is_final() && state != Paused).then_some(LATER);
        Progress {
            state,
            due,
            token: 4,
            attempts: 3,
            duplicate: false,
            queued: Timestamp(5),
            reply: "450".to_owned(),
        }
    }

    #[test]
    fn what_an_operator_can_change() {
        for (change, from, to) in [
            (Retry, &[Ready, Waiting, Uncertain, Failed][..], Ready),
            (Drop, &[Ready, Waiting, Uncertain, Sending, Paused], Dropped),
            (Pause, &[Ready, Waiting, Uncertain], Paused),
            (Resume, &[Paused], Ready),
        ] {
            for state in ALL {
                let changed = progress(state).changed(change, NOW);
                assert_eq!(changed.is_some(), from.contains(&state), "{change:?} {state}");
                let Some(changed) = changed else { continue };
                assert_eq!(changed.state, to);
                let lease = (change == Drop && state == Sending).then_some(LATER);
                assert_eq!(changed.due, (to == Ready).then_some(NOW).or(lease));
                let anew = change == Retry && state == Failed;
                assert_eq!(
                    (changed.attempts, changed.queued),
                    if anew { (0, NOW) } else { (3, Timestamp(5)) }
                );
                assert_eq!(changed.token, 4 + i64::from(change == Drop && state != Sending));
                assert_eq!(changed.reply, "450");
            }
        }
    }

    #[test]
    fn only_what_was_never_tried_is_taken_back_and_restored() {
        for state in ALL {
            for attempts in [0, 1] {
                for due in [NOW, LATER] {
                    let one = Progress { attempts, due: Some(due), ..progress(state) };
                    let can = state == Waiting && attempts == 0 && due > NOW;
                    assert_eq!(one.clone().sent_now(NOW).map(|one| one.due), can.then_some(Some(NOW)));
                    let taken = one.clone().withdrawn(NOW, TAKEN_BACK);
                    assert_eq!(taken.is_some(), can, "{one:?}");
                    let Some(taken) = taken else { continue };
                    assert_eq!((taken.state, taken.due, taken.token), (Dropped, None, 5));
                    let back = taken.restored(NOW).unwrap();
                    assert_eq!((back.state, back.due, back.token), (Waiting, Some(NOW), 5));
                    assert_eq!(one.withdrawn(NOW, UNDONE).unwrap().restored(NOW), None);
                }
            }
        }
    }

    #[test]
    fn a_claim_after_a_lost_lease_may_be_a_duplicate() {
        for state in ALL {
            let claimed = progress(state).claimed(LATER);
            assert_eq!((claimed.state, claimed.due), (Sending, Some(LATER)));
            assert_eq!((claimed.token, claimed.attempts, claimed.duplicate), (5, 4, state == Sending));
        }
        let aside = progress(Sending).put_aside("damaged".to_owned());
        assert_eq!((aside.state, aside.due, aside.attempts), (Paused, None, 2));
        assert_eq!(progress(Sending).recovered(NOW).state, Uncertain);
    }

    /// What an operator drops may come again, but not while it is being sent. What was withdrawn has not failed.
    #[test]
    fn what_is_given_up_may_come_again() {
        for state in ALL {
            assert_eq!(progress(state).is_given_up(NOW), matches!(state, Failed | Dropped), "{state}");
            if let Some(dropped) = progress(state).changed(Drop, NOW) {
                assert_eq!(dropped.is_given_up(NOW), state != Sending, "{state}");
                assert!(dropped.is_given_up(LATER), "{state}");
            }
            if let Some(stopped) = progress(state).stopped() {
                assert!(!stopped.is_given_up(LATER), "{state}");
            }
        }
        let dropped = Progress { attempts: 0, ..progress(Waiting) }.changed(Drop, NOW).unwrap();
        assert!(dropped.is_given_up(NOW) && !dropped.undone(NOW).unwrap().is_given_up(NOW));
        assert_eq!(progress(Waiting).changed(Drop, NOW).unwrap().undone(NOW), None, "it was tried");
        for why in [UNDONE, TAKEN_BACK] {
            let waiting = Progress { attempts: 0, ..progress(Waiting) };
            assert!(!waiting.withdrawn(NOW, why).unwrap().is_given_up(NOW), "{why}");
        }
    }

    #[test]
    fn a_stop_takes_everything_that_is_not_final() {
        for state in ALL {
            let stopped = progress(state).stopped();
            assert_eq!(stopped.is_some(), !state.is_final());
            let Some(stopped) = stopped else { continue };
            assert_eq!((stopped.state, stopped.reply.as_str()), (Dropped, STOPPED));
            assert_eq!(stopped.token, if state == Sending { 4 } else { 5 });
        }
    }
}
