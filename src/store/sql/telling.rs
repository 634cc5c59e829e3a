//! Implements [`NoticeStore`] for the SQL store.

use super::{SqlStore, asks, encode, hooks, notices};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::message::Address;
use crate::store::{
    Ask, AskId, AskPlan, Claim, DueNotice, HookCall, HookCallId, HookTarget, NewMessage, NoticeId,
    NoticeStore, StoreError,
};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

#[async_trait]
impl NoticeStore for SqlStore {
    async fn due_notices(&self, now: Timestamp, limit: usize) -> Result<Vec<DueNotice>, StoreError> {
        self.readers.read(move |db| notices::due(db, now, limit)).await
    }

    async fn drop_notice(&self, notice: NoticeId) -> Result<(), StoreError> {
        self.write(move |tx| notices::drop_open(tx, notice.for_engine())).await
    }

    async fn plan_asks(&self, notice: NoticeId, plan: AskPlan) -> Result<(), StoreError> {
        self.write(move |tx| asks::plan(tx, notice.for_engine(), &plan)).await
    }

    async fn due_asks(&self, now: Timestamp, limit: usize) -> Result<Vec<Ask>, StoreError> {
        self.readers.read(move |db| asks::due(db, now, limit)).await
    }

    async fn told(&self, item: Id) -> Result<Vec<Address>, StoreError> {
        self.readers.read(move |db| asks::told(db, item)).await
    }

    async fn accept_telling(&self, mail: NewMessage, asks: Vec<AskId>) -> Result<Vec<Claim>, StoreError> {
        let rows = encode::MessageRows::of(&mail)?;
        let (id, at) = (mail.id, mail.received);
        let (weight, inserted) = (rows.weight(), Arc::default());
        let mut insert = self.insert(rows, &inserted);
        let stored = self.writer.submit(weight, move |tx| {
            asks::answer(tx, &asks, id, at)?;
            insert(tx)
        });
        let stored = stored.await;
        self.if_unsure(&stored, &inserted, &mail);
        let stored = stored?;
        let claims = encode::fresh_claims(stored.row, &mail, &stored.uncertain);
        self.recent.put(mail);
        Ok(claims)
    }

    async fn drop_asks(&self, asks: Vec<AskId>) -> Result<(), StoreError> {
        self.write(move |tx| asks::drop_open(tx, &asks)).await
    }

    async fn next_notice(&self) -> Result<Option<Timestamp>, StoreError> {
        self.readers.read(asks::next).await
    }

    async fn note_untried(&self, now: Timestamp, age: Duration) -> Result<usize, StoreError> {
        // Not by the writer, whom others wait for.
        let late = self.readers.read(move |db| asks::untried(db, now, age)).await?;
        if late.is_empty() {
            return Ok(0);
        }
        self.write(move |tx| asks::note_untried(tx, &late, now, age)).await
    }

    async fn set_hooks(&self, hooks: Vec<HookTarget>) -> Result<(), StoreError> {
        self.write(move |tx| hooks::set(tx, &hooks)).await
    }

    async fn due_hooks(&self, now: Timestamp, limit: usize) -> Result<Vec<HookCall>, StoreError> {
        let due = self.readers.read(move |db| hooks::due(db, now, limit)).await?;
        let Some(node) = self.node.clone().filter(|_| !due.is_empty()) else { return Ok(due) };
        self.write(move |tx| hooks::claim(tx, node.name(), now, limit)).await
    }

    async fn keep_hook(&self, call: HookCallId) -> Result<bool, StoreError> {
        let Some(node) = self.node.clone() else { return Ok(true) };
        self.write(move |tx| hooks::keep(tx, call.for_engine(), node.name())).await
    }

    async fn end_hook(&self, call: HookCallId) -> Result<(), StoreError> {
        self.write(move |tx| hooks::end(tx, call.for_engine())).await
    }

    async fn retry_hook(&self, call: HookCallId, due: Timestamp) -> Result<(), StoreError> {
        let shared = self.node.is_some();
        self.write(move |tx| hooks::retry(tx, call.for_engine(), due, shared)).await
    }
}
