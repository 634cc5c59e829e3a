//! Implements [`AbsenceStore`] for the SQL store.

use super::SqlStore;
use super::error::Failure;
use super::{asks, read};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::message::Address;
use crate::records::NewAsk;
use crate::store::StoreError;
use crate::store::absences::{Absence, AbsenceStore};
use crate::store::sql::db::{Connection, params};
use async_trait::async_trait;

#[async_trait]
impl AbsenceStore for SqlStore {
    async fn absences(&self, today: &str) -> Result<Vec<Absence>, StoreError> {
        let today = today.to_owned();
        self.readers.read(move |db| open(db, &today)).await
    }

    async fn set_absence(&self, absence: Absence) -> Result<(), StoreError> {
        self.write(move |tx| {
            end(tx, absence.approver.key(), &absence.made_by, absence.made_at)?;
            tx.prepare_cached(
                "INSERT INTO absences (approver, key, deputy, until, made_by, made_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                absence.approver.as_str(),
                absence.approver.key(),
                absence.deputy.as_str(),
                absence.until,
                absence.made_by,
                absence.made_at.0
            ])?;
            Ok(())
        })
        .await
    }

    async fn ask_deputies(&self, approver: &Address, asks: Vec<(Id, NewAsk)>) -> Result<usize, StoreError> {
        let approver = approver.key().to_owned();
        self.write(move |tx| {
            let mut asked = 0;
            for (item, ask) in &asks {
                asked += usize::from(asks::hand_over(tx, read::row_of(tx, *item)?, &approver, ask)?);
            }
            Ok(asked)
        })
        .await
    }

    async fn end_absence(&self, approver: &Address, by: &str, at: Timestamp) -> Result<bool, StoreError> {
        let (key, by) = (approver.key().to_owned(), by.to_owned());
        self.write(move |tx| end(tx, &key, &by, at)).await
    }
}

fn end(tx: &Connection, key: &str, by: &str, at: Timestamp) -> Result<bool, Failure> {
    let ended = tx
        .prepare_cached(
            "UPDATE absences SET ended_by = ?2, ended_at = ?3 WHERE key = ?1 AND ended_at IS NULL",
        )?
        .execute(params![key, by, at.0])?;
    Ok(ended > 0)
}

fn open(db: &Connection, today: &str) -> Result<Vec<Absence>, Failure> {
    let mut select = db.prepare_cached(
        "SELECT approver, deputy, until, made_by, made_at FROM absences \
         WHERE ended_at IS NULL AND until >= ?1 ORDER BY key",
    )?;
    let mut rows = select.query([today])?;
    let mut found = Vec::new();
    let read = |text: String| {
        Address::parse(&text)
            .map_err(|_| StoreError::Unreadable("an address of an absence cannot be read back".to_owned()))
    };
    while let Some(row) = rows.next()? {
        found.push(Absence {
            approver: read(row.get(0)?)?,
            deputy: read(row.get(1)?)?,
            until: row.get(2)?,
            made_by: row.get(3)?,
            made_at: Timestamp(row.get(4)?),
        });
    }
    Ok(found)
}
