//! Budgets on the way in: a message that would exceed one is held, with a forecast for the approver.

use crate::clock::{Clock, Timestamp};
use crate::examine::{Examination, Examiner, Settled};
use crate::message::Address;
use crate::policy::budget::{Reserved, Sending};
use crate::policy::{Mode, Timing};
use crate::rewrite::Delivery;

/// Reserves what the copies of a message need; the caller keeps the reservation once they are committed. If a
/// budget has no room the message is held; in observe mode this is only recorded.
pub(super) fn within(
    examiner: &Examiner,
    seen: &Examination,
    settled: Settled,
    clock: &dyn Clock,
) -> (Settled, Option<Reserved>) {
    let Some(copies) = settled.copies.as_ref().filter(|_| !examiner.budgets.is_idle()) else {
        return (settled, None);
    };
    let now = clock.now();
    let at = match settled.verdict.demand.timing {
        Timing::Delay(span) if settled.verdict.mode == Mode::Enforce => now.plus(span),
        _ => now,
    };
    let recipients = of(copies.deliveries.iter());
    let sending = sending(seen, &recipients);
    match examiner.budgets.reserve(sending, at, clock) {
        Ok(reserved) => (settled, Some(reserved)),
        Err(outcome) => {
            let observed = settled.verdict.mode == Mode::Observe;
            if observed {
                examiner.budgets.spend(sending, at);
            }
            let Settled { mut verdict, copies, hits, prevents } = settled;
            verdict.add(outcome);
            let copies = copies.filter(|_| observed);
            (Settled { verdict, copies, hits, prevents: prevents || !observed }, None)
        }
    }
}

/// Counts the copies of a message that follows an earlier decision; they are not checked, because the
/// decision included them.
pub(super) fn follow(examiner: &Examiner, seen: &Examination, recipients: &[Address], now: Timestamp) {
    let recipients: Vec<&Address> = recipients.iter().collect();
    examiner.budgets.spend(sending(seen, &recipients), now);
}

/// All recipients of these copies.
pub(super) fn of<'a>(deliveries: impl Iterator<Item = &'a Delivery>) -> Vec<&'a Address> {
    deliveries.flat_map(Delivery::recipients).map(|to| &to.address).collect()
}

fn sending<'a>(seen: &'a Examination, recipients: &'a [&'a Address]) -> Sending<'a> {
    Sending { sender: seen.envelope.sender.as_ref(), recipients, organisation: &seen.organisation }
}
