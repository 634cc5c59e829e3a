//! What a sender may do alone: take back what is still here, and change his mind about it.

use super::again::Request;
use super::decide::{How, undecided};
use super::principal::{Principal, Whose};
use super::{Desk, DeskError};
use crate::id::Id;
use crate::journal::Event;
use crate::message::Address;
use crate::store::forks::{Again, HoldWaiting};
use crate::store::{HeldDecision, HeldState, HoldKind, NewHold, NewNotice, NoticeKind, Place, StoredMessage};
use std::time::Duration;

/// How long taking back can be undone: a mail scanner that follows a link destroys nothing.
pub const UNDO: Duration = Duration::from_hours(24);

/// Whether somebody takes this back, or changes their mind about it: the sender, or an administrator for
/// him.
fn takes_back(who: &Principal, whose: &Whose) -> bool {
    who.sent(&whose.standing()) || who.roles.admin
}

impl Desk {
    /// Takes a mail back for its sender: a held one goes back to him; of a delayed one nothing leaves.
    /// Either can be undone for 24 hours.
    pub async fn take_back(&self, who: &Principal, id: Id) -> Result<(), DeskError> {
        let item = self.item_seen_by(who, id).await?;
        let now = self.now();
        let whose = Whose::of(&item);
        if !takes_back(who, &whose) {
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
        let own = who.sent(&whose.standing());
        let why = if own { "taken back by its sender" } else { "taken back for its sender" };
        self.store
            .decide(HeldDecision {
                notices: vec![NewNotice { kind: NoticeKind::TakenBack, due: now }],
                events: vec![Event::TakenBack { by: who.name.clone() }],
                undo_until: Some(now.plus(UNDO)),
                ..HeldDecision::new(item.id, HeldState::Returned, &who.name, now, why)
            })
            .await?;
        tracing::info!(id = %item.id, "held mail was taken back");
        self.wake();
        Ok(())
    }

    /// Sends individually: a held mail is released so, of a delayed one that is split what waits leaves now.
    pub async fn split_now(&self, who: &Principal, id: Id) -> Result<(), DeskError> {
        let item = self.item_seen_by(who, id).await?;
        if item.held.is_some() {
            return self.release(who, id, How::Split, &[]).await.map(|_| ());
        }
        if !takes_back(who, &Whose::of(&item)) {
            return Err(DeskError::NotAllowed(format!("{} did not send this message", who.name)));
        }
        match self.store.send_now(id, &who.name, self.now()).await? {
            0 => Err(DeskError::TooLate(id)),
            copies => {
                tracing::info!(%id, copies, "delayed mail leaves before its time");
                self.wake();
                Ok(())
            }
        }
    }

    /// Holds a delayed mail for its sender, who says why everybody may see everybody: an approver decides.
    pub(super) async fn hold_and_ask(
        &self,
        who: &Principal,
        item: &StoredMessage,
        reason: String,
    ) -> Result<(), DeskError> {
        let now = self.now();
        let verdict = item.verdict.as_ref();
        let examiner = self.examiner.borrow().clone();
        let senders = Whose::of(item).senders;
        let approvers = verdict.map(|verdict| {
            let senders: Vec<&Address> = senders.iter().collect();
            examiner.approvers.of(verdict, &senders)
        });
        let (en, ja) = (
            "its sender says that all of these people may see each other".to_owned(),
            "宛先の全員が互いに見えてよい、と送信者が述べています".to_owned(),
        );
        let Request { expires, notices } = self.request(now);
        let hold = NewHold {
            kind: HoldKind::Ask,
            reasons: vec![(en, ja)],
            hits: Vec::new(),
            expires,
            approvers: approvers.unwrap_or_default(),
            place: Place::default(),
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

    /// Undoes [`Desk::take_back`] within 24 hours: a held mail is held again, with its time to decide
    /// renewed; a delayed one is due when it was, or now.
    pub async fn undo(&self, who: &Principal, id: Id) -> Result<(), DeskError> {
        let item = self.item_seen_by(who, id).await?;
        let now = self.now();
        let whose = Whose::of(&item);
        if !takes_back(who, &whose) {
            return Err(DeskError::NotAllowed(format!("{} did not send this message", who.name)));
        }
        let Some(held) = &item.held else {
            return match self.store.undo_take_back(id, &who.name, now).await? {
                0 => Err(DeskError::NothingToUndo(id)),
                copies => {
                    tracing::info!(%id, copies, "taking delayed mail back was undone");
                    self.wake();
                    Ok(())
                }
            };
        };
        if held.undo_until.is_none_or(|until| until <= now) {
            undecided(held)?;
            return Err(DeskError::NothingToUndo(id));
        }
        let span = Duration::from_millis(u64::try_from(held.expires.0 - held.received.0).unwrap_or(0));
        let again = Again { id: item.id, by: who.name.clone(), at: now, expires: now.plus(span) };
        self.store.hold_again(again).await?;
        tracing::info!(id = %item.id, "taking held mail back was undone");
        self.wake();
        Ok(())
    }
}
