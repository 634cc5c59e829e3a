//! The store's methods about mail that comes in several transactions.

use super::{SqliteStore, encode, groups, journal, notices, read, taken};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::journal::Event;
use crate::message::fork::Group;
use crate::store::forks::{Again, ForksStore, HoldWaiting};
use crate::store::{GroupStanding, NewNotice, StoreError};
use async_trait::async_trait;

#[async_trait]
impl ForksStore for SqliteStore {
    async fn standing(&self, group: Group) -> Result<GroupStanding, StoreError> {
        self.mail.read(move |db| groups::standing(db, &group)).await
    }

    async fn members(&self, item: Id) -> Result<Vec<Id>, StoreError> {
        self.readers.read(move |db| groups::member_ids(db, item)).await
    }

    async fn transactions(&self, id: Id) -> Result<Vec<Id>, StoreError> {
        let all = move |db: &rusqlite::Connection| taken::transactions(db, id);
        self.readers.read(all).await
    }

    async fn enter(
        &self,
        id: Id,
        at: Timestamp,
        event: Event,
        notices: Vec<NewNotice>,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            let message = read::row_of(tx, id)?;
            for notice in &notices {
                notices::put(tx, message, notice.kind, Some(notice.due.0))?;
            }
            journal::append(tx, message, at, &event)
        })
        .await
    }

    async fn take_back(&self, id: Id, by: &str, at: Timestamp) -> Result<usize, StoreError> {
        let by = by.to_owned();
        self.write(move |tx| taken::take(tx, id, &by, at)).await
    }

    async fn undo_take_back(&self, id: Id, by: &str, at: Timestamp) -> Result<usize, StoreError> {
        let by = by.to_owned();
        self.write(move |tx| taken::untake(tx, id, &by, at)).await
    }

    async fn send_now(&self, id: Id, by: &str, at: Timestamp) -> Result<usize, StoreError> {
        let by = by.to_owned();
        self.write(move |tx| taken::send_now(tx, id, &by, at)).await
    }

    async fn hold_waiting(&self, wish: HoldWaiting) -> Result<usize, StoreError> {
        let id = wish.id;
        let row = encode::hold(&wish.hold)?;
        let held = self.write(move |tx| taken::hold_waiting(tx, &wish, &row)).await;
        self.recent.forget(id);
        held
    }

    async fn hold_again(&self, again: Again) -> Result<(), StoreError> {
        let id = again.id;
        let held = self.write(move |tx| taken::hold_again(tx, &again)).await;
        self.recent.forget(id);
        held
    }

    async fn undo_release(&self, again: Again) -> Result<(), StoreError> {
        let id = again.id;
        let held = self.write(move |tx| taken::undo_release(tx, &again)).await;
        self.recent.forget(id);
        held
    }
}
