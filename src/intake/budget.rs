//! Budgets on the way in: a message that would exceed one is held, with a forecast for the approver.

use crate::clock::{Clock, Timestamp};
use crate::examine::{Examination, Examiner, Settled};
use crate::message::Address;
use crate::policy::budget::{Ask, Budgets, Given, Reserved, Sending};
use crate::policy::{Mode, Timing};
use crate::rewrite::Delivery;
use crate::store::Store;
use crate::store::shared::SpendAsk;
use std::sync::Arc;

/// Reserves what the copies of a message need; the caller keeps the reservation once they are committed. If a
/// budget has no room the message is held; in observe mode this is only recorded.
pub(super) async fn within(
    examiner: &Examiner,
    seen: &Examination,
    settled: Settled,
    store: &dyn Store,
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
    let budgets = &examiner.budgets;
    let reserved = if store.is_shared() {
        asked(budgets, store, sending, at, now).await;
        budgets.reserve_shared(sending, at, clock)
    } else {
        budgets.reserve(sending, at, clock)
    };
    match reserved {
        Ok(reserved) => (settled, Some(reserved)),
        Err(outcome) => {
            let observed = settled.verdict.mode == Mode::Observe;
            if observed {
                spend(budgets, store, sending, at, now).await;
            }
            let Settled { mut verdict, copies, hits, prevents } = settled;
            verdict.add(outcome);
            let copies = copies.filter(|_| observed);
            (Settled { verdict, copies, hits, prevents: prevents || !observed }, None)
        }
    }
}

/// Asks the other relays for room, unless they left enough to us. If the store cannot be asked, the message is not
/// committed either.
async fn asked(budgets: &Budgets, store: &dyn Store, sending: Sending<'_>, at: Timestamp, now: Timestamp) {
    let asks = budgets.asks(sending, at);
    if asks.is_empty() || budgets.take_granted(&asks) {
        return;
    }
    let wanted = asks.iter().map(|ask| SpendAsk::of(ask, false)).collect();
    match store.spend(wanted, budgets.oldest(now)).await {
        Ok(given) => {
            let given: Vec<Given> =
                given.into_iter().map(|now| Given { given: now.given, slots: now.slots }).collect();
            budgets.learn(&asks, &given);
        }
        Err(error) => tracing::warn!(%error, "the budgets of all relays cannot be asked"),
    }
}

/// Counts these recipients even if a budget is exceeded, at all relays.
async fn spend(budgets: &Budgets, store: &dyn Store, sending: Sending<'_>, at: Timestamp, now: Timestamp) {
    let asks = budgets.asks(sending, at);
    budgets.spend(sending, at);
    tell(store, &asks, budgets.oldest(now)).await;
}

/// Counts these requests at the other relays, whether or not there is room.
async fn tell(store: &dyn Store, asks: &[Ask], oldest: i64) {
    if asks.is_empty() || !store.is_shared() {
        return;
    }
    let forced = asks.iter().map(|ask| SpendAsk::of(ask, true)).collect();
    if let Err(error) = store.spend(forced, oldest).await {
        tracing::warn!(%error, "what was released is counted at this relay only");
    }
}

/// Counts the copies of a message that follows an earlier decision; they are not checked, because the
/// decision included them. The message is committed, so its client does not wait until the other relays know.
pub(super) fn follow(
    examiner: &Examiner,
    seen: &Examination,
    recipients: &[Address],
    store: &Arc<dyn Store>,
    now: Timestamp,
) {
    let recipients: Vec<&Address> = recipients.iter().collect();
    let (budgets, sending) = (&examiner.budgets, sending(seen, &recipients));
    let (asks, oldest) = (budgets.asks(sending, now), budgets.oldest(now));
    budgets.spend(sending, now);
    let store = Arc::clone(store);
    tokio::spawn(async move { tell(&*store, &asks, oldest).await });
}

/// All recipients of these copies.
pub(super) fn of<'a>(deliveries: impl Iterator<Item = &'a Delivery>) -> Vec<&'a Address> {
    deliveries.flat_map(Delivery::recipients).map(|to| &to.address).collect()
}

fn sending<'a>(seen: &'a Examination, recipients: &'a [&'a Address]) -> Sending<'a> {
    Sending { sender: seen.envelope.sender.as_ref(), recipients, organisation: &seen.organisation }
}
