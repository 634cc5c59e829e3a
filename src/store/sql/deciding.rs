//! Implements [`DeskStore`] for the SQL store.

use super::{SqlStore, decide, encode, groups, journal, notices, observed, queue, read, taken, transactions};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::journal::Event;
use crate::store::forks::{Again, HoldWaiting};
use crate::store::sql::db::Connection;
use crate::store::{
    DeskStore, HeldDecision, HeldFilter, HeldRow, NewNotice, QueueChange, QueueFilter, QueueRow, StoreError,
};
use async_trait::async_trait;

#[async_trait]
impl DeskStore for SqlStore {
    async fn held(&self, filter: &HeldFilter) -> Result<Vec<HeldRow>, StoreError> {
        let filter = filter.clone();
        self.readers.read(move |db| read::held(db, &filter)).await
    }

    async fn decide(&self, decision: HeldDecision) -> Result<(), StoreError> {
        let ids: Vec<Id> =
            std::iter::once(decision.id).chain(decision.siblings.iter().map(|one| one.id)).collect();
        let rows = decide::DecisionRows::of(decision)?;
        let decided = self.writer.submit(rows.weight(), move |tx| decide::decide(tx, &rows)).await;
        for id in ids {
            self.recent.forget(id);
        }
        decided
    }

    async fn members(&self, item: Id) -> Result<Vec<Id>, StoreError> {
        self.readers.read(move |db| groups::member_ids(db, item)).await
    }

    async fn transactions(&self, id: Id) -> Result<Vec<Id>, StoreError> {
        let all = move |db: &Connection| transactions::ids(db, id);
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

    async fn queue(&self, filter: &QueueFilter) -> Result<Vec<QueueRow>, StoreError> {
        let filter = filter.clone();
        let list = move |db: &Connection| {
            let mut rows = queue::list(db, &filter)?;
            observed::tell(db, &mut rows)?;
            Ok(rows)
        };
        self.readers.read(list).await
    }

    async fn change_queue(
        &self,
        filter: &QueueFilter,
        change: QueueChange,
        by: &str,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        // A reader finds the deliveries, because that may take long; the writer checks each one again.
        let wanted = filter.clone();
        let picked = self.readers.read(move |db| queue::pick(db, &wanted, change)).await?;
        let mut changed = 0;
        for rows in picked.chunks(queue::BATCH) {
            let (filter, by, rows) = (filter.clone(), by.to_owned(), rows.to_vec());
            changed += self.write(move |tx| queue::change(tx, &filter, change, &by, now, &rows)).await?;
        }
        Ok(changed)
    }

    async fn deliveries(&self, id: Id) -> Result<Vec<QueueRow>, StoreError> {
        let list = move |db: &Connection| {
            let mut rows = queue::of_message(db, id)?;
            observed::tell(db, &mut rows)?;
            Ok(rows)
        };
        self.readers.read(list).await
    }
}
