//! Implements [`CourierStore`] for the SQL store.

use super::unsure::Taken;
use super::{SMALL, SqlStore, claims, decide, encode, read, record};
use crate::clock::Timestamp;
use crate::store::{AttemptResult, Claim, CourierStore, Lease, Spent, Stop, StoreError};
use async_trait::async_trait;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

#[async_trait]
impl CourierStore for SqlStore {
    async fn claim_beside(
        &self,
        now: Timestamp,
        limit: usize,
        lease: Duration,
        mine: &[Lease],
    ) -> Result<Vec<Claim>, StoreError> {
        let _alone = self.unsure.claiming().await;
        let (until, mine, unsure) = (now.plus(lease), mine.to_vec(), self.unsure.take());
        let claimed: Arc<Mutex<Vec<Taken>>> = Arc::default();
        let (again, noted) = (unsure.clone(), Arc::clone(&claimed));
        let raw = self.write(move |tx| {
            let claims = claims::claim(tx, now, limit, until, &mine, &again)?;
            *noted.lock().unwrap_or_else(PoisonError::into_inner) =
                claims.iter().map(Taken::of_raw).collect();
            Ok(claims)
        });
        let raw = raw.await.inspect_err(|error| {
            if let StoreError::Uncertain(_) = error {
                let mut taken = std::mem::take(&mut *claimed.lock().unwrap_or_else(PoisonError::into_inner));
                taken.retain(|one| !unsure.contains(one));
                self.unsure.add(taken);
            }
            self.unsure.add(unsure.iter().copied());
        })?;
        let (mut claims, mut unread) = (Vec::new(), Vec::new());
        for one in raw {
            match one.decode() {
                Ok(claim) => claims.push(claim),
                Err(one) => unread.push(one),
            }
        }
        if !unread.is_empty() {
            let aside = self.write(move |tx| claims::put_aside(tx, &unread, now)).await;
            if let Err(error) = aside {
                // They are claimed again when their leases expire.
                tracing::warn!(%error, "copies that cannot be read back could not be put aside");
            }
        }
        Ok(claims)
    }

    async fn renew(&self, leases: &[Lease], until: Timestamp) -> Result<Vec<Lease>, StoreError> {
        let leases = leases.to_vec();
        self.write(move |tx| claims::renew(tx, &leases, until)).await
    }

    async fn record(&self, result: AttemptResult) -> Result<(), StoreError> {
        self.writer.submit_patiently(SMALL, move |tx| record::record(tx, &result)).await
    }

    async fn stop(&self, stop: Stop) -> Result<(), StoreError> {
        let id = stop.id;
        let hold = encode::hold(&stop.hold())?;
        let stopped = self.write(move |tx| decide::stop(tx, &stop, &hold)).await;
        self.recent.forget(id);
        stopped
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        if !self.unsure.is_empty() {
            return Ok(Some(Timestamp(0)));
        }
        self.mail.read(claims::next_due).await
    }

    async fn sent_since(&self, since: Timestamp) -> Result<(usize, usize), StoreError> {
        self.readers.read(move |db| read::sent_since(db, since)).await
    }

    async fn spent_since(&self, since: Timestamp) -> Result<Vec<Spent>, StoreError> {
        self.readers.read(move |db| read::spent_since(db, since)).await
    }
}
