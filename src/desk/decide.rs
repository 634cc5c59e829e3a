//! Decisions on held messages: who may release what; release and return.
//!
//! | held because of | sender, by link | another person |
//! |---|---|---|
//! | `ask` only | split, take back | also bcc, as-is, removing recipients |
//! | a `hold` rule | take back | everything |
//! | the audit, unparseable | take back | as-is, acknowledging each named place; split or bcc only if the audit is clean |

use super::circles::{CircleWish, may_remember};
use super::principal::{Parties, Principal, Via};
use super::wish::{How, Released, Wish};
use super::{Desk, DeskError};
use crate::clock::{Clock, Timestamp};
use crate::examine::{Examination, Examiner};
use crate::id::Id;
use crate::journal::Event;
use crate::message::Address;
use crate::policy::Organisation;
use crate::policy::budget::Sending;
use crate::policy::verdict::RuleOutcome;
use crate::rewrite::Hit;
use crate::rewrite::plan::{Copies, Stamp};
use crate::store::shared::SpendAsk;
use crate::store::{
    DeliveryState, HeldDecision, HeldRow, HeldState, InitialState, NewDelivery, NewNotice, NoticeKind,
    Release, Sibling, StoreError, StoredMessage,
};
use std::collections::HashSet;
use std::sync::Arc;

/// How often a decision is planned again because another fork joined.
const ROUNDS: usize = 50;

impl Desk {
    /// Releases a held message without acknowledging anything. See [`Desk::release_as`].
    ///
    /// # Errors
    /// The same as [`Desk::release_as`].
    pub async fn release(
        &self,
        who: &Principal,
        id: Id,
        how: How,
        drop: &[Address],
    ) -> Result<Released, DeskError> {
        self.release_as(who, id, &Wish { how, drop: drop.to_vec(), ..Wish::default() }).await
    }

    /// Releases a held item with all its members. Each is examined, planned and audited again, and the copies
    /// are committed with the decision in one transaction. A fork that joins meanwhile is included.
    ///
    /// # Errors
    /// The audit found something, the person may not release it in this way, it has been decided already, or
    /// the store failed. Nothing has changed then.
    pub async fn release_as(&self, who: &Principal, id: Id, wish: &Wish) -> Result<Released, DeskError> {
        if let Some((name, seconds)) = &wish.circle {
            // a person who may not see the message only learns that it is not found
            self.item_seen_by(who, id).await?;
            may_remember(who, name, *seconds)?;
        }
        for _ in 0..ROUNDS {
            match self.release_once(who, id, wish).await {
                Err(DeskError::Store(StoreError::Moved)) => {}
                Ok(released) => {
                    self.note_together(&released).await;
                    self.remember(who, &released, wish).await;
                    return Ok(released);
                }
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Moved.into())
    }

    /// Records who was shown to whom, so that a circle can be suggested. A failure is only logged.
    async fn note_together(&self, released: &Released) {
        if released.together.len() < 2 {
            return;
        }
        if let Err(error) = self.store.let_together(&released.together, self.now()).await {
            tracing::warn!(id = %released.id, %error, "released, but the recipients could not be counted");
        }
    }

    /// Creates a circle of those who see each other now. The mail is released already, so a failure is only
    /// logged.
    async fn remember(&self, who: &Principal, released: &Released, wish: &Wish) {
        let Some((name, seconds)) = &wish.circle else { return };
        let members: Vec<Address> = released.together.clone();
        let circle = CircleWish { name: name.clone(), members, seconds: *seconds };
        if let Err(error) = self.make_circle(who, circle).await {
            tracing::warn!(id = %released.id, %error, "released, but no circle was created");
        }
    }

    async fn release_once(&self, who: &Principal, id: Id, wish: &Wish) -> Result<Released, DeskError> {
        let item = self.item_seen_by(who, id).await?;
        let held = item.held.clone().ok_or(DeskError::NeverHeld(id))?;
        let parties = Parties::of(&item);
        permitted(who, &parties, &held, wish)?;
        let examiner = self.examiner.borrow().clone();
        let now = self.now();
        let leaves = wish.ticked.as_ref().map(|_| now.plus(self.grace)).filter(|leaves| *leaves > now);
        let mut members = Vec::with_capacity(held.members);
        for member in self.store.members(item.id).await? {
            let message = self.store.message(member).await?;
            members.push(self.plan_member(&examiner, &message, wish, leaves).await?);
        }
        for stranger in &wish.drop {
            if !members.iter().any(|member| member.recipients.contains(stranger)) {
                return Err(DeskError::NoRecipient(stranger.clone()));
            }
        }
        // a sender who releases their own mail is not notified
        let told = !who.sent(&parties);
        let due = leaves.unwrap_or(now);
        let mut notices = vec![NewNotice { kind: NoticeKind::Settled, due }];
        notices.extend(told.then_some(NewNotice { kind: NoticeKind::Released, due }));
        let released = released(item.id, wish, &members)?;
        if who.via != Via::Console {
            all_acknowledged(&released.acknowledged, &wish.acknowledge)?;
        }
        let spending = Spending::of(&examiner, &members);
        if who.sent(&parties)
            && who.via != Via::Console
            && let Some(over) = spending.forecast(&examiner, &*self.clock)
        {
            return Err(DeskError::NotAllowed(format!("{}: another person has to release it", over.why)));
        }
        let event = Event::Released {
            by: who.name.clone(),
            how: how_recorded(&released),
            dropped: released.dropped.clone(),
            stood: self.stood(&item).await,
        };
        let release = Release {
            disclosure: wish.how.disclosure(),
            dropped: wish.drop.clone(),
            acknowledged: released.acknowledged.iter().map(|hit| hit.place.clone()).collect(),
            leaves,
        };
        let mut leaving = members.into_iter().map(|member| member.leaving);
        let first = leaving.next().ok_or(DeskError::NobodyLeft)?;
        self.store
            .decide(HeldDecision {
                deliveries: first.deliveries,
                needles: first.needles,
                ledger: first.ledger,
                siblings: leaving.collect(),
                release: Some(release),
                events: vec![event],
                notices,
                undo_until: leaves,
                deciders: who.addresses.clone(),
                ..HeldDecision::new(item.id, HeldState::Released, &who.name, now, &wish.how.to_string())
            })
            .await?;
        let asks = spending.with(|sending| examiner.budgets.asks(sending, now));
        if self.store.is_shared() && !asks.is_empty() {
            let asks = asks.iter().map(|ask| SpendAsk::of(ask, true)).collect();
            if let Err(error) = self.store.spend(asks, examiner.budgets.oldest(now)).await {
                tracing::warn!(%error, "what was released is counted at this relay only");
            }
        }
        spending.spend(&examiner, now);
        tracing::info!(id = %item.id, how = %wish.how, copies = released.copies, "released");
        self.wake();
        Ok(released)
    }

    /// The number of copies in which a held item is sent, or was.
    ///
    /// # Errors
    /// The store failed.
    pub async fn copies_of(&self, item: &HeldRow) -> Result<usize, DeskError> {
        let mut copies = 0;
        for member in self.store.members(item.id).await? {
            let deliveries = self.store.deliveries(member).await?;
            copies += deliveries.iter().filter(|copy| copy.state != DeliveryState::Dropped).count();
        }
        Ok(copies)
    }

    async fn plan_member(
        &self,
        examiner: &Examiner,
        message: &StoredMessage,
        wish: &Wish,
        leaves: Option<Timestamp>,
    ) -> Result<Member, DeskError> {
        let seen = self.examine(examiner, message).await?;
        let (copies, acknowledged) = plan(examiner, &seen, &self.stamp(message), wish.how, &wish.drop)?;
        let already = self.delivered_already(message.id).await?;
        let state = leaves.map_or(InitialState::Ready, InitialState::Waiting);
        let deliveries: Vec<NewDelivery> = copies
            .deliveries
            .iter()
            .map(|delivery| delivery.only_for(|address| !already.contains(address)))
            .filter(|delivery| !delivery.recipients().is_empty())
            .map(|delivery| NewDelivery { delivery, state })
            .collect();
        Ok(Member {
            recipients: message.envelope.recipients.iter().map(|to| to.address.clone()).collect(),
            sender: message.envelope.sender.clone(),
            organisation: Arc::clone(&seen.organisation),
            leaving: Sibling { id: message.id, deliveries, needles: copies.needles, ledger: copies.ledger },
            already,
            acknowledged,
            together: if wish.how == How::AsIs {
                let outside = seen.facts.visible.iter().filter(|shown| !shown.internal);
                outside
                    .map(|shown| shown.mailbox.address.clone())
                    .filter(|address| !wish.drop.contains(address))
                    .collect()
            } else {
                Vec::new()
            },
        })
    }

    /// Returns a held message to its sender.
    ///
    /// # Errors
    /// The person may not do this, it has been decided already, or the store failed.
    pub async fn give_back(&self, who: &Principal, id: Id, reason: &str) -> Result<(), DeskError> {
        let item = self.item_seen_by(who, id).await?;
        let held = item.held.as_ref().ok_or(DeskError::NeverHeld(id))?;
        if !who.may_return(&Parties::of(&item)) {
            undecided(held)?;
            return Err(DeskError::NotAllowed(format!("{} may not give this message back", who.name)));
        }
        let now = self.now();
        let event = Event::Returned { by: who.name.clone(), reason: reason.to_owned() };
        self.store
            .decide(HeldDecision {
                notices: vec![
                    NewNotice { kind: NoticeKind::Returned, due: now },
                    NewNotice { kind: NoticeKind::Settled, due: now },
                ],
                events: vec![event],
                deciders: who.addresses.clone(),
                ..HeldDecision::new(item.id, HeldState::Returned, &who.name, now, reason)
            })
            .await?;
        tracing::info!(id = %item.id, "returned");
        self.wake();
        Ok(())
    }

    /// Recipients who have a copy already. If the final check stopped a message half way, a release concerns
    /// only the others.
    async fn delivered_already(&self, id: Id) -> Result<HashSet<Address>, DeskError> {
        let rows = self.store.deliveries(id).await?;
        let delivered = rows.into_iter().filter(|row| row.state == DeliveryState::Delivered);
        Ok(delivered.flat_map(|row| row.recipients).filter_map(|text| Address::parse(&text).ok()).collect())
    }
}

/// Checks that the person may release it in this way, before anything is planned.
fn permitted(who: &Principal, parties: &Parties, held: &HeldRow, wish: &Wish) -> Result<(), DeskError> {
    // a decision that was made already is reported first
    undecided(held)?;
    if !who.may_release(parties, wish.how, !wish.drop.is_empty()) {
        return Err(DeskError::NotAllowed(format!(
            "{} may not release this message as {}: another person has to",
            who.name, wish.how
        )));
    }
    let left = wish.left(&held.risks);
    if let Some(ticked) = &wish.ticked
        && left.iter().any(|risk| !ticked.contains(&risk.key()))
    {
        return Err(DeskError::Unticked(left.into_iter().cloned().collect()));
    }
    Ok(())
}

/// What a release makes of one transaction.
struct Member {
    recipients: HashSet<Address>,
    sender: Option<Address>,
    organisation: Arc<Organisation>,
    leaving: Sibling,
    already: HashSet<Address>,
    acknowledged: Vec<Hit>,
    together: Vec<Address>,
}

/// What a release costs of the budgets.
struct Spending {
    sender: Option<Address>,
    organisation: Arc<Organisation>,
    recipients: Vec<Address>,
}

impl Spending {
    /// From all transactions of a mail, which have the same sender.
    fn of(examiner: &Examiner, members: &[Member]) -> Self {
        let leaving = members.iter().flat_map(|member| &member.leaving.deliveries);
        let recipients = leaving.flat_map(|new| new.delivery.recipients()).map(|to| to.address.clone());
        Self {
            sender: members.first().and_then(|member| member.sender.clone()),
            organisation: members.first().map_or_else(
                || Arc::clone(&examiner.organisation),
                |member| Arc::clone(&member.organisation),
            ),
            recipients: recipients.collect(),
        }
    }

    fn with<T>(&self, act: impl FnOnce(Sending<'_>) -> T) -> T {
        let recipients: Vec<&Address> = self.recipients.iter().collect();
        let (sender, organisation) = (self.sender.as_ref(), &*self.organisation);
        act(Sending { sender, recipients: &recipients, organisation })
    }

    fn forecast(&self, examiner: &Examiner, clock: &dyn Clock) -> Option<RuleOutcome> {
        self.with(|sending| examiner.budgets.forecast(sending, clock))
    }

    fn spend(&self, examiner: &Examiner, now: Timestamp) {
        self.with(|sending| examiner.budgets.spend(sending, now));
    }
}

/// Who sees each other after a release: those whom the header shows and who got a copy.
fn together(first: &Member, members: &[Member]) -> Vec<Address> {
    let got = |address: &&Address| members.iter().any(|member| member.recipients.contains(*address));
    first.together.iter().filter(got).cloned().collect()
}

/// The result of a release; at least one recipient must be left.
fn released(id: Id, wish: &Wish, members: &[Member]) -> Result<Released, DeskError> {
    let mut acknowledged: Vec<Hit> = Vec::new();
    for hit in members.iter().flat_map(|member| &member.acknowledged) {
        if !acknowledged.contains(hit) {
            acknowledged.push(hit.clone());
        }
    }
    let deliveries = || members.iter().flat_map(|member| &member.leaving.deliveries);
    if deliveries().next().is_none() {
        return Err(DeskError::NobodyLeft);
    }
    Ok(Released {
        id,
        how: wish.how,
        copies: deliveries().count(),
        recipients: deliveries()
            .flat_map(|new| new.delivery.recipients())
            .map(|recipient| recipient.address.to_string())
            .collect(),
        dropped: wish.drop.iter().map(ToString::to_string).collect(),
        had_it_already: members.iter().flat_map(|member| &member.already).map(ToString::to_string).collect(),
        acknowledged,
        together: members.first().map(|member| together(member, members)).unwrap_or_default(),
    })
}

fn plan(
    examiner: &Examiner,
    seen: &Examination,
    stamp: &Stamp,
    how: How,
    drop: &[Address],
) -> Result<(Copies, Vec<Hit>), DeskError> {
    let disclosure = how.disclosure();
    let unreadable = seen.index.as_ref().err().or(seen.facts.problems.first());
    if let Some(why) = unreadable
        && how != How::AsIs
    {
        return Err(DeskError::Unreadable(why.clone()));
    }
    match examiner.copies(seen, disclosure, stamp, drop) {
        Ok(copies) => Ok((copies, Vec::new())),
        Err(hits) if how == How::AsIs => Ok((examiner.as_written(seen, stamp, drop), hits)),
        Err(hits) => Err(DeskError::Audit(hits)),
    }
}

/// The text of a release in the journal, with the places that were acknowledged.
fn how_recorded(released: &Released) -> String {
    let mut places: Vec<&str> = released.acknowledged.iter().map(|hit| hit.place.as_str()).collect();
    places.dedup();
    if places.is_empty() {
        released.how.to_string()
    } else {
        format!("{}, acknowledging {}", released.how, places.join(", "))
    }
}

/// Returns an error that says who decided, if the message has been decided.
///
/// # Errors
/// The message has been decided already.
pub fn undecided(held: &HeldRow) -> Result<(), DeskError> {
    match held.state {
        HeldState::Held => Ok(()),
        state => Err(DeskError::Store(StoreError::Decided {
            state,
            by: held.decided_by.clone().unwrap_or_default(),
            at: held.decided_at.unwrap_or(held.received),
        })),
    }
}

/// Checks that each place where the audit found something was acknowledged.
fn all_acknowledged(hits: &[Hit], named: &[String]) -> Result<(), DeskError> {
    if hits.iter().all(|hit| named.contains(&hit.place)) {
        Ok(())
    } else {
        Err(DeskError::Unacknowledged(hits.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_must_be_named() {
        let hit = |place: &str| Hit {
            address: Address::parse("a@x.example").unwrap(),
            place: place.to_owned(),
            form: "as text".to_owned(),
        };
        let hits = [hit("Subject"), hit("the text"), hit("Subject")];
        let named = |places: &[&str]| places.iter().map(|&place| place.to_owned()).collect::<Vec<_>>();
        for (places, enough) in [
            (&["Subject", "the text"][..], true),
            (&["the text", "Subject", "elsewhere"], true),
            (&["Subject"], false),
            (&[], false),
        ] {
            assert_eq!(all_acknowledged(&hits, &named(places)).is_ok(), enough, "{places:?}");
        }
        assert!(all_acknowledged(&[], &[]).is_ok());
    }
}
