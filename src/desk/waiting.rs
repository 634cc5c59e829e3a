//! What waits for somebody: what comes next, how much there is, what came meanwhile; and how far a message is
//! that somebody looks at.

use super::principal::Principal;
use super::{Desk, DeskError};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::store::{DeliveryState, HeldQuery, HeldRow, HeldState, Order, QueueRow};

/// Most that are counted: of more it is said that there are more.
pub const MOST_COUNTED: usize = 999;

/// How far the sending of a message is, by recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Those who have it.
    pub delivered: usize,
    /// Those who will not get it.
    pub failed: usize,
    /// All for whom a copy was made.
    pub total: usize,
}

impl Progress {
    /// Of these copies; `None` where there are none.
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

    /// Nothing more will come of it.
    pub fn is_over(&self) -> bool {
        self.delivered + self.failed >= self.total
    }
}

/// How a held message stands now.
#[derive(Clone, Debug)]
pub struct Now {
    /// Its row.
    pub row: HeldRow,
    /// How far its sending is, once it was released.
    pub progress: Option<Progress>,
    /// It leaves then, and can be called back until then.
    pub leaves: Option<Timestamp>,
}

impl Desk {
    /// How a message stands, for whoever may know of it: nothing of it is read or examined.
    pub async fn stands(&self, who: &Principal, id: Id) -> Result<Now, DeskError> {
        let row = self.seen_by(who, id).await?.held.ok_or(DeskError::NeverHeld(id))?;
        let copies = match row.state {
            HeldState::Released => self.store.deliveries(id).await?,
            _ => Vec::new(),
        };
        let leaves = row.undo_until.filter(|until| row.state == HeldState::Released && *until > self.now());
        Ok(Now { progress: Progress::of(&copies), leaves, row })
    }

    /// What waits next by a query, that message aside, and how many more there are; `None` where nothing is left.
    pub async fn waits_next(&self, query: &HeldQuery, but: Id) -> Result<Option<(Id, usize)>, DeskError> {
        let waiting =
            HeldQuery { state: Some(HeldState::Held), order: Order::Deadline, after: None, ..query.clone() };
        let count = self.store.held_count(&waiting, MOST_COUNTED + 2).await?;
        let page = self.store.held_page(&HeldQuery { limit: 2, ..waiting }).await?;
        let itself = usize::from(page.lines.iter().any(|line| line.id == but));
        let next = page.lines.into_iter().map(|line| line.id).find(|id| *id != but);
        Ok(next.map(|id| (id, count.saturating_sub(itself))))
    }

    /// The latest that a query finds: what comes behind it is new.
    pub async fn latest(&self, query: &HeldQuery) -> Result<Option<Id>, DeskError> {
        let latest = HeldQuery { order: Order::Newest, after: None, limit: 1, ..query.clone() };
        Ok(self.store.held_page(&latest).await?.lines.first().map(|line| line.id))
    }

    /// How many a query finds that came after that message; all where there was none.
    pub async fn came_after(&self, query: &HeldQuery, latest: Option<Id>) -> Result<usize, DeskError> {
        let since = HeldQuery { order: Order::Deadline, after: latest, ..query.clone() };
        Ok(self.store.held_count(&since, MOST_COUNTED + 1).await?)
    }
}
