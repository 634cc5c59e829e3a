//! State that survives a restart: one table, keyed by kind and name.

use super::SqlStore;
use crate::clock::Timestamp;
use crate::store::StoreError;
use crate::store::memory::{Memory, MemoryKind, MemoryStore};
use crate::store::sql::db::params;
use async_trait::async_trait;

fn code(kind: MemoryKind) -> i64 {
    match kind {
        MemoryKind::StsPolicy => 1,
        MemoryKind::KnownSource => 2,
        MemoryKind::SessionsLimit => 3,
        MemoryKind::MailedHead => 4,
    }
}

#[async_trait]
impl MemoryStore for SqlStore {
    async fn remember(&self, kind: MemoryKind, all: Vec<Memory>, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.prepare_cached("DELETE FROM memory WHERE kind = ?1 AND until <= ?2")?
                .execute([code(kind), now.0])?;
            let mut keep = tx.prepare_cached(
                "INSERT INTO memory (kind, name, value, until) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (kind, name) DO UPDATE SET value = excluded.value, until = excluded.until",
            )?;
            for one in &all {
                keep.execute(params![code(kind), one.name, one.value, one.until.0])?;
            }
            Ok(())
        })
        .await
    }

    async fn remembered(&self, kind: MemoryKind, now: Timestamp) -> Result<Vec<Memory>, StoreError> {
        self.readers
            .read(move |db| {
                let mut all = db.prepare_cached(
                    "SELECT name, value, until FROM memory WHERE kind = ?1 AND until > ?2 ORDER BY name",
                )?;
                let rows = all.query_map([code(kind), now.0], |row| {
                    Ok(Memory { name: row.get(0)?, value: row.get(1)?, until: Timestamp(row.get(2)?) })
                })?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .await
    }
}
