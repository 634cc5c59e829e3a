//! What senders can do alone: take back mail that has not been sent, and undo that.

use super::again::Request;
use super::decide::undecided;
use super::principal::{Parties, Principal};
use super::wish::Wish;
use super::{Desk, DeskError};
use crate::id::Id;
use crate::journal::Event;
pub use crate::lifecycle::UNDO;
use crate::message::Address;
use crate::policy::risks;
use crate::store::circles::Circle;
use crate::store::forks::{Again, HoldWaiting};
use crate::store::{
    ForkRelation, Glance, HeldDecision, HeldRow, HeldState, HoldKind, NewHold, NewNotice, NoticeKind, Reason,
    StoredMessage,
};
use crate::store::{TAKEN_BACK, TAKEN_BACK_FOR};
use std::time::Duration;

/// Time left for a decision, at least, after a release was undone.
const LEFT: Duration = Duration::from_hours(1);
/// Whether a person may take this mail back, or undo that: the sender, or an administrator for them.
fn takes_back(who: &Principal, parties: &Parties) -> bool {
    who.sent(parties) || who.roles.admin
}

/// Whether a person may undo the decision: the sender for a take-back, the person who released it for a
/// release.
pub fn undoes(who: &Principal, parties: &Parties, held: &HeldRow) -> bool {
    match held.state {
        HeldState::Released => {
            held.decided_by.as_deref() == Some(who.name.as_str()) && who.may_return(parties)
        }
        _ => takes_back(who, parties),
    }
}

/// Whether the text is this address.
fn is_same(text: &str, address: &Address) -> bool {
    Address::parse(text).is_ok_and(|one| one == *address)
}

fn not_theirs(who: &Principal) -> DeskError {
    DeskError::NotAllowed(format!("{} may not undo that", who.name))
}

impl Desk {
    /// Takes a mail back for its sender: a held one is returned, a delayed one is not sent. Both can be
    /// undone for 24 hours.
    ///
    /// # Errors
    /// The person may not do this, it is too late, or the store failed.
    pub async fn take_back(&self, who: &Principal, id: Id) -> Result<(), DeskError> {
        let item = self.item_seen_by(who, id).await?;
        let now = self.now();
        let parties = Parties::of(&item);
        if !takes_back(who, &parties) {
            return Err(DeskError::NotAllowed(format!("{} did not send this message", who.name)));
        }
        if item.held.is_none() {
            return match self.store.take_back(id, &who.name, now).await? {
                0 => Err(DeskError::TooLate(id)),
                copies => {
                    tracing::info!(%id, copies, "delayed mail was taken back");
                    self.wake();
                    Ok(())
                }
            };
        }
        let own = who.sent(&parties);
        let why = if own { TAKEN_BACK } else { TAKEN_BACK_FOR };
        self.store
            .decide(HeldDecision {
                notices: vec![
                    NewNotice { kind: NoticeKind::TakenBack, due: now },
                    NewNotice { kind: NoticeKind::Settled, due: now },
                ],
                events: vec![Event::TakenBack { by: who.name.clone() }],
                deciders: who.addresses.clone(),
                undo_until: Some(now.plus(UNDO)),
                ..HeldDecision::new(item.id, HeldState::Returned, &who.name, now, why)
            })
            .await?;
        tracing::info!(id = %item.id, "held mail was taken back");
        self.wake();
        Ok(())
    }

    /// Sends individually: a held mail is released once each remaining risk is ticked; the waiting copies of
    /// a delayed mail that is split are sent now.
    ///
    /// # Errors
    /// A risk was not ticked, the person may not do this, it is too late, or the store failed.
    pub async fn split_now(&self, who: &Principal, id: Id, ticked: &[String]) -> Result<(), DeskError> {
        let item = self.item_seen_by(who, id).await?;
        if item.held.is_some() {
            let wish = Wish { ticked: Some(ticked.to_vec()), ..Wish::default() };
            return self.release_as(who, id, &wish).await.map(|_| ());
        }
        if !takes_back(who, &Parties::of(&item)) {
            return Err(DeskError::NotAllowed(format!("{} did not send this message", who.name)));
        }
        match self.store.send_now(id, &who.name, self.now()).await? {
            0 => Err(DeskError::TooLate(id)),
            copies => {
                tracing::info!(%id, copies, "delayed mail is sent early");
                self.wake();
                Ok(())
            }
        }
    }

    /// Ends the circle that a release created, because the release was undone and nobody was shown to
    /// anybody.
    async fn forget_circle(&self, who: &Principal, held: &HeldRow) {
        let Ok(circles) = self.circles(who).await else { return };
        let Some(since) = held.decided_at else { return };
        let made = |circle: &&Circle| {
            let members =
                circle.members.iter().all(|member| held.recipients.iter().any(|to| is_same(to, member)));
            members && circle.made_at >= since && circle.made_by == who.name
        };
        for circle in circles.iter().filter(made) {
            if let Err(error) = self.end_circle(who, circle.id).await {
                tracing::warn!(%error, circle = %circle.id, "a release was undone, but its circle could not be ended");
            }
        }
    }

    /// Holds a delayed mail for a sender who asks to send it as it is: an approver decides.
    pub(super) async fn hold_and_ask(
        &self,
        who: &Principal,
        item: &StoredMessage,
        reason: String,
    ) -> Result<(), DeskError> {
        let now = self.now();
        let verdict = item.verdict.as_ref();
        let examiner = self.examiner.borrow().clone();
        let senders = Parties::of(item).senders;
        let approvers = verdict.map(|verdict| {
            let senders: Vec<&Address> = senders.iter().collect();
            examiner.approvers.of(verdict, &senders)
        });
        let mut reasons: Vec<Reason> = verdict
            .map(|verdict| risks::of(verdict, []))
            .unwrap_or_default()
            .into_iter()
            .map(Reason::from)
            .collect();
        if reasons.is_empty() {
            reasons.push(Reason::said(
                "its sender says that all of these people may see each other",
                "宛先の全員が互いに見えてよい、と差出人が述べています",
            ));
        }
        let seen = self.examine(&examiner, item).await;
        let glance = seen.map(|seen| Glance::of(&seen.facts)).unwrap_or_default();
        let Request { expires, notices } = self.request(now);
        let hold = NewHold {
            kind: HoldKind::Ask,
            reasons,
            hits: Vec::new(),
            expires,
            approvers: approvers.unwrap_or_default(),
            relation: ForkRelation::default(),
            glance,
        };
        let wish = HoldWaiting {
            id: item.id,
            at: now,
            hold,
            event: Event::Asked { by: who.name.clone(), reason },
            notices,
        };
        match self.store.hold_waiting(wish).await? {
            0 => Err(DeskError::TooLate(item.id)),
            copies => {
                tracing::info!(id = %item.id, copies, "delayed mail is held: its sender asks to send it as it is");
                self.wake();
                Ok(())
            }
        }
    }

    /// Undoes [`Desk::take_back`] within 24 hours: a held mail is held again with a new deadline; a delayed
    /// one is due at its original time, or now. Also undoes a release that has not been sent yet.
    ///
    /// # Errors
    /// There is nothing to undo, the person may not do this, or the store failed.
    pub async fn undo(&self, who: &Principal, id: Id) -> Result<(), DeskError> {
        let item = self.item_seen_by(who, id).await?;
        let now = self.now();
        let parties = Parties::of(&item);
        let Some(held) = &item.held else {
            if !takes_back(who, &parties) {
                return Err(not_theirs(who));
            }
            return match self.store.undo_take_back(id, &who.name, now).await? {
                0 => Err(DeskError::NothingToUndo(id)),
                copies => {
                    tracing::info!(%id, copies, "taking delayed mail back was undone");
                    self.wake();
                    Ok(())
                }
            };
        };
        if !undoes(who, &parties, held) {
            return Err(not_theirs(who));
        }
        if held.undo_until.is_none_or(|until| until <= now) {
            if held.state == HeldState::Released {
                return Err(DeskError::TooLate(id));
            }
            undecided(held)?;
            return Err(DeskError::NothingToUndo(id));
        }
        // the deadline is that of a mail held now
        let expires = self.hold_for.borrow().ends(now);
        let mut again = Again { id: item.id, by: who.name.clone(), at: now, expires };
        if held.state == HeldState::Released {
            // the old deadline still counts, because nothing was sent
            again.expires = held.expires.max(now.plus(LEFT));
            self.store.undo_release(again).await?;
            self.forget_circle(who, held).await;
            tracing::info!(id = %item.id, "a release was undone before it was sent");
        } else {
            self.store.hold_again(again).await?;
            tracing::info!(id = %item.id, "taking held mail back was undone");
        }
        self.wake();
        Ok(())
    }
}
