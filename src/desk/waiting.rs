//! What waits for a person: the next message, how many there are, which are new; and the progress of a
//! message.

use super::principal::Principal;
use super::{Desk, DeskError};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::store::{DeliveryState, HeldQuery, HeldRow, HeldState, Order, QueueRow};

/// Most that are counted; above this, only "more" is shown.
pub const MOST_COUNTED: usize = 999;

/// The progress of sending a message, in recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Recipients who have it.
    pub delivered: usize,
    /// Recipients who will not get it.
    pub failed: usize,
    /// Recipients of all copies.
    pub total: usize,
}

impl Progress {
    /// From these copies; `None` if there are none.
    pub fn of(copies: &[QueueRow]) -> Option<Self> {
        if copies.is_empty() {
            return None;
        }
        let count =
            |state| copies.iter().filter(|copy| copy.state == state).map(|copy| copy.recipients.len()).sum();
        Some(Self {
            delivered: count(DeliveryState::Delivered),
            failed: count(DeliveryState::Failed),
            total: copies.iter().map(|copy| copy.recipients.len()).sum(),
        })
    }

    /// Whether nothing more will happen.
    pub fn is_over(&self) -> bool {
        self.delivered + self.failed >= self.total
    }
}

/// The current state of a held message.
#[derive(Clone, Debug)]
pub struct Now {
    /// Its row.
    pub row: HeldRow,
    /// The progress of sending, once it was released.
    pub progress: Option<Progress>,
    /// When it is sent, if the release can still be undone.
    pub leaves: Option<Timestamp>,
}

impl Desk {
    /// The current state of a message, for people who may see it, without reading or examining it.
    ///
    /// # Errors
    /// There is no such message for this person, it was never held, or the store failed.
    pub async fn stands(&self, who: &Principal, id: Id) -> Result<Now, DeskError> {
        let row = self.seen_by(who, id).await?.held.ok_or(DeskError::NeverHeld(id))?;
        let copies = match row.state {
            HeldState::Released => self.store.deliveries(id).await?,
            _ => Vec::new(),
        };
        let leaves = row.undo_until.filter(|until| row.state == HeldState::Released && *until > self.now());
        Ok(Now { progress: Progress::of(&copies), leaves, row })
    }

    /// The next message of a query other than `but`, and how many more there are; `None` if there are none.
    ///
    /// # Errors
    /// The store failed.
    pub async fn waits_next(&self, query: &HeldQuery, but: Id) -> Result<Option<(Id, usize)>, DeskError> {
        let waiting =
            HeldQuery { state: Some(HeldState::Held), order: Order::Deadline, after: None, ..query.clone() };
        let count = self.store.held_count(&waiting, MOST_COUNTED + 2).await?;
        let page = self.store.held_page(&HeldQuery { limit: 2, ..waiting }).await?;
        let itself = usize::from(page.lines.iter().any(|line| line.id == but));
        let next = page.lines.into_iter().map(|line| line.id).find(|id| *id != but);
        Ok(next.map(|id| (id, count.saturating_sub(itself))))
    }

    /// The latest message of a query; later ones are new.
    ///
    /// # Errors
    /// The store failed.
    pub async fn latest(&self, query: &HeldQuery) -> Result<Option<Id>, DeskError> {
        let latest = HeldQuery { order: Order::Newest, after: None, limit: 1, ..query.clone() };
        Ok(self.store.held_page(&latest).await?.lines.first().map(|line| line.id))
    }

    /// How many messages of a query came after that one; all if there is none.
    ///
    /// # Errors
    /// The store failed.
    pub async fn came_after(&self, query: &HeldQuery, latest: Option<Id>) -> Result<usize, DeskError> {
        let since = HeldQuery { order: Order::Deadline, after: latest, ..query.clone() };
        Ok(self.store.held_count(&since, MOST_COUNTED + 1).await?)
    }
}
