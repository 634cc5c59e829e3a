//! When a copy is tried again, when it is given up, and which notices follow. Pure functions.

use crate::clock::Timestamp;
use crate::message::envelope::Notify;
use crate::store::{DeliveryState, NewNotice, NoticeKind, RecipientResult};
use crate::upstream::Fate;
use std::time::Duration;

const MINUTE: Duration = Duration::from_mins(1);

/// The retry schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// How long to wait after the first, second, … attempt. The last value applies to all later attempts.
    pub waits: Vec<Duration>,
    /// Upper limit of the random extension of a wait, which keeps copies that failed together from being
    /// tried again together.
    pub jitter: Duration,
    /// Age at which a copy is given up. Time spent on hold does not count.
    pub give_up: Duration,
    /// Age at which the sender is notified of a delay, once.
    pub tell_delay: Duration,
    /// How long failures are collected for one report.
    pub gather: Duration,
}

impl Default for Schedule {
    /// Waits of 1, 5, 15, 30, then 60 minutes, each up to a tenth longer; given up after 5 days.
    fn default() -> Self {
        Self {
            waits: [1, 5, 15, 30, 60].map(|minutes| minutes * MINUTE).to_vec(),
            jitter: 6 * MINUTE,
            give_up: 5 * 24 * 60 * MINUTE,
            tell_delay: 4 * 60 * MINUTE,
            gather: 15 * MINUTE,
        }
    }
}

/// An attempt that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Number of the attempt, from 1.
    pub number: u32,
    /// When the copy was first due.
    pub queued: Timestamp,
    /// The current time.
    pub now: Timestamp,
    /// A random number for the jitter.
    pub random: u64,
}

impl Schedule {
    /// The state of a recipient after an attempt.
    pub fn after(&self, fate: Fate, attempt: &Attempt) -> RecipientResult {
        match fate {
            Fate::Delivered(reply) => settled(DeliveryState::Delivered, reply),
            Fate::Failed(reply) => settled(DeliveryState::Failed, reply),
            Fate::NotTried(reply) => {
                RecipientResult { state: DeliveryState::Ready, reply, due: Some(attempt.now) }
            }
            Fate::Postponed(reply, until) => {
                let due = until.max(attempt.now);
                self.later(DeliveryState::Ready, reply, due, attempt)
            }
            Fate::Deferred(reply) => self.again(DeliveryState::Waiting, reply, attempt),
            Fate::Uncertain(reply) => self.again(DeliveryState::Uncertain, reply, attempt),
        }
    }

    fn again(&self, state: DeliveryState, reply: String, attempt: &Attempt) -> RecipientResult {
        self.later(state, reply, attempt.now.plus(self.wait(attempt)), attempt)
    }

    /// Due at `due`, unless the copy is given up.
    fn later(
        &self,
        state: DeliveryState,
        reply: String,
        due: Timestamp,
        attempt: &Attempt,
    ) -> RecipientResult {
        if attempt.now.since(attempt.queued) >= self.give_up {
            let days = self.give_up.as_secs() / 86_400;
            let reply = format!("{reply} (given up after {days} days and {} attempts)", attempt.number);
            return settled(DeliveryState::Failed, reply);
        }
        RecipientResult { state, reply, due: Some(due) }
    }

    /// How long to wait after this attempt, jitter included.
    fn wait(&self, attempt: &Attempt) -> Duration {
        let index = usize::try_from(attempt.number.saturating_sub(1)).unwrap_or(usize::MAX);
        let wait = self.waits.get(index).or(self.waits.last()).copied().unwrap_or(60 * MINUTE);
        let most = (wait / 10).min(self.jitter);
        let permille = u32::try_from(attempt.random % 1_000).unwrap_or(0);
        wait + most * permille / 1_000
    }

    /// The notices that follow from an attempt. `results` pairs each recipient's NOTIFY parameter (RFC 3461
    /// §4.1) with its result; `last` says whether no other recipient of the message is open.
    ///
    /// A failure is reported at once if it is the last open recipient of the message, otherwise after
    /// [`Self::gather`]. The store brings the report forward if the message is finished earlier.
    ///
    /// A notice of delay is scheduled at the first deferral. The store keeps one notice of each kind, and
    /// a delay notice is dropped when due if nothing is waiting any more.
    pub fn notices<'a>(
        &self,
        results: impl Iterator<Item = (Option<Notify>, &'a RecipientResult)>,
        attempt: &Attempt,
        last: bool,
    ) -> Vec<NewNotice> {
        let (mut failed, mut delayed) = (false, false);
        for (notify, result) in results {
            match result.state {
                DeliveryState::Failed => failed |= notify.is_none_or(|wish| wish.failure),
                DeliveryState::Waiting | DeliveryState::Uncertain => {
                    delayed |= notify.is_none_or(|wish| wish.delay);
                }
                // postponed; after `tell_delay` the notice has been scheduled already
                DeliveryState::Ready if attempt.now < attempt.queued.plus(self.tell_delay) => {
                    delayed |= result.due > Some(attempt.now) && notify.is_none_or(|wish| wish.delay);
                }
                _ => {}
            }
        }
        let mut notices = Vec::new();
        if failed {
            let due = if last { attempt.now } else { attempt.now.plus(self.gather) };
            notices.push(NewNotice { kind: NoticeKind::Failure, due });
        }
        let due = attempt.queued.plus(self.tell_delay);
        // after `due` the notice was scheduled earlier, unless this is the first attempt
        if delayed && (attempt.number == 1 || attempt.now < due) {
            notices.push(NewNotice { kind: NoticeKind::Delayed, due: due.max(attempt.now) });
        }
        notices
    }
}

fn settled(state: DeliveryState, reply: String) -> RecipientResult {
    RecipientResult { state, reply, due: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DeliveryState::{Delivered, Failed, Ready, Uncertain, Waiting};

    const HOUR: Duration = Duration::from_hours(1);

    fn attempt(number: u32, age: Duration) -> Attempt {
        let queued = Timestamp(1_000_000);
        Attempt { number, queued, now: queued.plus(age), random: 0 }
    }

    #[test]
    fn each_fate_leads_to_one_state() {
        let schedule = Schedule::default();
        let day = 24 * HOUR;
        let deferred = || Fate::Deferred("450 x".to_owned());
        let uncertain = || Fate::Uncertain("lost".to_owned());
        let until = |minutes: u32| Timestamp(1_000_000).plus(MINUTE * minutes);
        let postponed = |minutes| Fate::Postponed("its turn is later".to_owned(), until(minutes));
        let table = [
            (Fate::Delivered("250 x".to_owned()), 1, day * 9, Delivered, None),
            (Fate::Failed("550 x".to_owned()), 1, HOUR, Failed, None),
            (Fate::NotTried("452 x".to_owned()), 7, day * 9, Ready, Some(0)),
            (deferred(), 1, HOUR, Waiting, Some(1)),
            (deferred(), 2, HOUR, Waiting, Some(5)),
            (deferred(), 3, HOUR, Waiting, Some(15)),
            (deferred(), 4, HOUR, Waiting, Some(30)),
            (deferred(), 5, HOUR, Waiting, Some(60)),
            (deferred(), u32::MAX, HOUR, Waiting, Some(60)),
            (deferred(), 0, HOUR, Waiting, Some(1)),
            (deferred(), 99, 119 * HOUR + 59 * MINUTE, Waiting, Some(60)),
            (deferred(), 99, 5 * day, Failed, None),
            (uncertain(), 1, HOUR, Uncertain, Some(1)),
            (uncertain(), 99, 5 * day, Failed, None),
            (postponed(120), 1, HOUR, Ready, Some(60)),
            (postponed(30), 1, HOUR, Ready, Some(0)),
            (postponed(600), 1, 5 * day, Failed, None),
        ];
        for (fate, number, age, state, minutes) in table {
            let attempt = attempt(number, age);
            let result = schedule.after(fate.clone(), &attempt);
            let due = minutes.map(|minutes: u32| attempt.now.plus(MINUTE * minutes));
            assert_eq!((result.state, result.due), (state, due), "{fate:?} {number} {age:?}");
        }
    }

    #[test]
    fn jitter_lengthens_by_a_tenth_at_most() {
        let schedule = Schedule::default();
        for random in [0, 1, 499, 999, 1_000, u64::MAX] {
            let attempt = Attempt { random, ..attempt(5, HOUR) };
            let due = schedule.after(Fate::Deferred(String::new()), &attempt).due.unwrap();
            let wait = due.since(attempt.now);
            assert!((60 * MINUTE..=66 * MINUTE).contains(&wait), "{wait:?}");
        }
    }

    #[test]
    fn a_clock_set_back_gives_nothing_up() {
        let queued = Timestamp(10_000_000_000);
        let attempt = Attempt { number: 1, queued, now: Timestamp(0), random: 0 };
        let result = Schedule::default().after(Fate::Deferred(String::new()), &attempt);
        assert_eq!(result.state, Waiting);
    }

    #[test]
    fn notices_follow_the_wishes() {
        let schedule = Schedule::default();
        let only = |failure, delay| Some(Notify { failure, delay, ..Notify::default() });
        let never = Some(Notify { never: true, ..Notify::default() });
        let failure = |minutes: u32| (NoticeKind::Failure, MINUTE * minutes);
        let delayed = |minutes: u32| (NoticeKind::Delayed, MINUTE * minutes);
        // wish, state, attempt, age, last of its message → kind, due after now
        let table = [
            (None, Delivered, 1, HOUR, true, vec![]),
            (None, Ready, 1, HOUR, false, vec![]),
            (None, Failed, 1, HOUR, true, vec![failure(0)]),
            (None, Failed, 1, HOUR, false, vec![failure(15)]),
            (never, Failed, 1, HOUR, true, vec![]),
            (only(false, true), Failed, 1, HOUR, true, vec![]),
            (only(true, false), Failed, 1, HOUR, true, vec![failure(0)]),
            (None, Waiting, 1, HOUR, false, vec![delayed(180)]),
            (None, Uncertain, 3, HOUR, false, vec![delayed(180)]),
            (None, Waiting, 9, 4 * HOUR, false, vec![]),
            (None, Waiting, 1, 7 * HOUR, false, vec![delayed(0)]),
            (only(true, false), Waiting, 1, HOUR, false, vec![]),
            (never, Waiting, 1, HOUR, false, vec![]),
        ];
        for (wish, state, number, age, last, expected) in table {
            let attempt = attempt(number, age);
            let result = RecipientResult { state, reply: String::new(), due: None };
            let notices = schedule.notices([(wish, &result)].into_iter(), &attempt, last);
            let notices: Vec<_> =
                notices.iter().map(|notice| (notice.kind, notice.due.since(attempt.now))).collect();
            assert_eq!(notices, expected, "{wish:?} {state} {number} {age:?}");
        }
    }
}
