//! Passkeys.

use super::encode::{from_json, to_json};
use super::error::Failure;
use crate::clock::Timestamp;
use crate::store::PasskeyRow;
use crate::store::sql::db::{Connection, OptionalExtension, Row, params};

const COLUMNS: &str = "SELECT id, name, keys, label, who, algorithm, key, count, made, used FROM passkeys";

pub(in crate::store) fn add(tx: &Connection, key: &PasskeyRow) -> Result<bool, Failure> {
    let added = tx
        .prepare_cached(
            "INSERT INTO passkeys (id, name, keys, label, who, algorithm, key, count, made) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            key.id,
            key.name,
            to_json(&key.keys)?,
            key.label,
            key.who,
            key.algorithm,
            key.key,
            key.count,
            key.made.0
        ])?;
    Ok(added > 0)
}

pub(in crate::store) fn one(db: &Connection, id: &[u8]) -> Result<Option<PasskeyRow>, Failure> {
    let mut select = db.prepare_cached(&format!("{COLUMNS} WHERE id = ?1"))?;
    let found = select.query_row([id], |row| Ok(passkey(row))).optional()?;
    found.transpose()
}

pub(in crate::store) fn of(db: &Connection, name: &str, keys: &[String]) -> Result<Vec<PasskeyRow>, Failure> {
    let mut select = db.prepare_cached(&format!(
        "{COLUMNS} WHERE name = ?1 OR EXISTS (SELECT 1 FROM json_each(passkeys.keys) a \
         JOIN json_each(?2) b ON a.value = b.value) ORDER BY made"
    ))?;
    let rows = select.query_map(params![name, to_json(&keys)?], |row| Ok(passkey(row)))?;
    rows.map(|row| row?).collect()
}

pub(in crate::store) fn all(db: &Connection) -> Result<Vec<PasskeyRow>, Failure> {
    let mut select = db.prepare_cached(&format!("{COLUMNS} ORDER BY name, made"))?;
    let rows = select.query_map([], |row| Ok(passkey(row)))?;
    rows.map(|row| row?).collect()
}

pub(in crate::store) fn used(tx: &Connection, id: &[u8], count: u32, now: Timestamp) -> Result<(), Failure> {
    tx.prepare_cached("UPDATE passkeys SET count = ?2, used = ?3 WHERE id = ?1")?
        .execute(params![id, count, now.0])?;
    Ok(())
}

pub(in crate::store) fn remove(tx: &Connection, id: &[u8]) -> Result<bool, Failure> {
    Ok(tx.prepare_cached("DELETE FROM passkeys WHERE id = ?1")?.execute([id])? > 0)
}

fn passkey(row: &Row<'_>) -> Result<PasskeyRow, Failure> {
    Ok(PasskeyRow {
        id: row.get(0)?,
        name: row.get(1)?,
        keys: from_json(&row.get::<_, String>(2)?)?,
        label: row.get(3)?,
        who: row.get(4)?,
        algorithm: row.get(5)?,
        key: row.get(6)?,
        count: row.get(7)?,
        made: Timestamp(row.get(8)?),
        used: row.get::<_, Option<i64>>(9)?.map(Timestamp),
    })
}
