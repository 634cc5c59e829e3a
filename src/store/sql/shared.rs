//! Implements [`SharedStore`]: limited attempts, values that can be used once, secrets and tasks. Rates and
//! budgets are in [`super::pacing`].

use super::error::Failure;
use super::{SqlStore, pacing};
use crate::clock::Timestamp;
use crate::store::StoreError;
use crate::store::shared::{ATTEMPTS_COUNT, Drawn, Limited, Once, PaceDraw, SharedStore, SpendAsk, SpentNow};
use crate::store::sql::db::{Connection, OptionalExtension, params};
use crate::token::Digest;
use async_trait::async_trait;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use std::time::Duration;

/// The maximum number of stored values of each kind of [`Once`]. Those that expire first are dropped.
const MOST_OPEN: i64 = 10_000;

fn code(kind: Once) -> i64 {
    match kind {
        Once::Login => 1,
        Once::Challenge => 2,
        Once::Acme => 3,
    }
}

#[async_trait]
impl SharedStore for SqlStore {
    fn is_shared(&self) -> bool {
        self.node.is_some()
    }

    async fn draw(&self, draw: PaceDraw) -> Result<Drawn, StoreError> {
        self.write(move |tx| pacing::draw(tx, &draw)).await
    }

    async fn spend(&self, asks: Vec<SpendAsk>, oldest: i64) -> Result<Vec<SpentNow>, StoreError> {
        self.write(move |tx| pacing::spend(tx, &asks, oldest)).await
    }

    async fn attempt(&self, names: Vec<Limited>, now: Timestamp) -> Result<Option<Vec<i64>>, StoreError> {
        self.write(move |tx| attempt(tx, &names, now)).await
    }

    async fn retract(&self, attempt: Vec<i64>) -> Result<(), StoreError> {
        self.write(move |tx| {
            let mut delete = tx.prepare_cached("DELETE FROM attempts WHERE row = ?1")?;
            attempt.iter().try_for_each(|row| delete.execute([*row]).map(drop))?;
            Ok(())
        })
        .await
    }

    async fn put_once(
        &self,
        kind: Once,
        name: Digest,
        value: String,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.prepare_cached("DELETE FROM once WHERE kind = ?1 AND until <= ?2")?
                .execute([code(kind), now.0])?;
            tx.prepare_cached(
                "INSERT INTO once (kind, name, value, until) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (kind, name) DO UPDATE SET value = excluded.value, until = excluded.until",
            )?
            .execute(params![code(kind), name.0, value, until.0])?;
            tx.prepare_cached(
                "DELETE FROM once WHERE kind = ?1 AND until < (SELECT until FROM once WHERE kind = ?1 \
                 ORDER BY until DESC LIMIT 1 OFFSET ?2)",
            )?
            .execute([code(kind), MOST_OPEN - 1])?;
            Ok(())
        })
        .await
    }

    async fn take_once(
        &self,
        kind: Once,
        name: Digest,
        now: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        self.write(move |tx| {
            let taken: Option<(String, i64)> = tx
                .prepare_cached("DELETE FROM once WHERE kind = ?1 AND name = ?2 RETURNING value, until")?
                .query_row(params![code(kind), name.0], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            Ok(taken.filter(|(_, until)| now.0 < *until).map(|(value, _)| value))
        })
        .await
    }

    async fn look_once(
        &self,
        kind: Once,
        name: Digest,
        now: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        self.readers
            .read(move |db| {
                Ok(db
                    .prepare_cached("SELECT value FROM once WHERE kind = ?1 AND name = ?2 AND until > ?3")?
                    .query_row(params![code(kind), name.0, now.0], |row| row.get(0))
                    .optional()?)
            })
            .await
    }

    async fn secret(&self, name: &str) -> Result<Option<String>, StoreError> {
        let (name, key) = (name.to_owned(), self.key.clone());
        self.readers.read(move |db| secret(db, &key, &name)).await
    }

    async fn replace_secret(&self, name: &str, was: Option<String>, new: String) -> Result<bool, StoreError> {
        let (name, key) = (name.to_owned(), self.key.clone());
        self.write(move |tx| {
            if secret(tx, &key, &name)? != was {
                return Ok(false);
            }
            tx.prepare_cached(
                "INSERT INTO secrets (name, value) VALUES (?1, ?2) \
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            )?
            .execute(params![name, seal(&key, &name, &new)?])?;
            Ok(true)
        })
        .await
    }

    async fn lead(&self, task: &str, lasts: Duration) -> Result<bool, StoreError> {
        let Some(node) = self.node.clone() else { return Ok(true) };
        let (task, lasts) = (task.to_owned(), i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX / 2));
        self.write(move |tx| {
            let led = tx
                .prepare_cached(
                    "INSERT INTO tasks AS t (name, node, until) VALUES (?1, ?2, now_in_millis() + ?3) \
                     ON CONFLICT (name) DO UPDATE SET node = excluded.node, until = excluded.until \
                     WHERE t.node = excluded.node OR t.until < now_in_millis()",
                )?
                .execute(params![task, node.name(), lasts])?;
            Ok(led > 0)
        })
        .await
    }
}

/// Counts an attempt, unless a name has reached its limit.
fn attempt(tx: &Connection, names: &[Limited], now: Timestamp) -> Result<Option<Vec<i64>>, Failure> {
    let now = Timestamp(now.0 + tx.apart()?);
    let since = now.minus(ATTEMPTS_COUNT).0;
    tx.prepare_cached("DELETE FROM attempts WHERE at <= ?1")?.execute([since])?;
    for one in names {
        let made: i64 = tx
            .prepare_cached("SELECT count(*) FROM attempts WHERE name = ?1")?
            .query_row(params![one.name.0], |row| row.get(0))?;
        if usize::try_from(made).unwrap_or(usize::MAX) >= one.most {
            return Ok(None);
        }
    }
    let mut insert = tx.prepare_cached("INSERT INTO attempts (name, at) VALUES (?1, ?2) RETURNING row")?;
    let rows = names.iter().map(|one| insert.query_row(params![one.name.0, now.0], |row| row.get(0)));
    Ok(Some(rows.collect::<Result<_, _>>()?))
}

/// The key that encrypts secrets. It is derived from the journal key, which is the same at every relay that
/// shares the database.
fn sealing(key: &hmac::Key) -> Result<RandomizedNonceKey, StoreError> {
    let derived = hmac::sign(key, b"sekisho secrets");
    RandomizedNonceKey::new(&AES_256_GCM, derived.as_ref()).map_err(|_| unsealed("?"))
}

fn unsealed(name: &str) -> StoreError {
    StoreError::Unreadable(format!("the secret `{name}` cannot be sealed or read with this journal key"))
}

fn seal(key: &hmac::Key, name: &str, text: &str) -> Result<Vec<u8>, StoreError> {
    let mut octets = text.as_bytes().to_vec();
    let nonce = sealing(key)?
        .seal_in_place_append_tag(Aad::from(name.as_bytes()), &mut octets)
        .map_err(|_| unsealed(name))?;
    let mut sealed = nonce.as_ref().to_vec();
    sealed.append(&mut octets);
    Ok(sealed)
}

fn secret(db: &Connection, key: &hmac::Key, name: &str) -> Result<Option<String>, Failure> {
    let sealed: Option<Vec<u8>> = db
        .prepare_cached("SELECT value FROM secrets WHERE name = ?1")?
        .query_row(params![name], |row| row.get(0))
        .optional()?;
    let Some(sealed) = sealed else { return Ok(None) };
    let (nonce, rest) = sealed.split_at_checked(NONCE_LEN).ok_or_else(|| unsealed(name))?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| unsealed(name))?;
    let mut rest = rest.to_vec();
    let plain = sealing(key)?
        .open_in_place(nonce, Aad::from(name.as_bytes()), &mut rest)
        .map_err(|_| unsealed(name))?;
    Ok(Some(String::from_utf8(plain.to_vec()).map_err(|_| unsealed(name))?))
}
