//! What a sender may do alone: take back what is still here, and change his mind about it.

use super::decide::undecided;
use super::principal::{Principal, Whose};
use super::{Desk, DeskError};
use crate::id::Id;
use crate::journal::Event;
use crate::store::forks::Again;
use crate::store::{HeldDecision, HeldState, NewNotice, NoticeKind};
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
