//! The tables in PostgreSQL, and how an older database is brought up to date.
//!
//! A step either adds what programs of the previous version do not look at (it *expands*), or removes what they no
//! longer use (it *contracts*, and says so by `oldest`). So a node of the previous version and one of this version
//! can run side by side.

use super::connect::Place;
use super::session::Session;
use crate::store::StoreError;
use crate::store::sql::chain;
use crate::store::sql::db::Value;
use crate::store::sql::error::{Error, io_error};
use aws_lc_rs::hmac;
use std::path::Path;

/// A version of the tables.
pub(super) struct Step {
    version: i64,
    /// The oldest version of the program that can work with them.
    oldest: i64,
    text: &'static str,
}

/// The step from each version to the next. The first creates the tables.
pub(super) const STEPS: &[Step] = &[
    Step { version: 16, oldest: 16, text: include_str!("schema.sql") },
    Step { version: 17, oldest: 16, text: include_str!("schema-17.sql") },
    Step { version: 18, oldest: 16, text: include_str!("schema-18.sql") },
    Step { version: 19, oldest: 16, text: include_str!("schema-19.sql") },
    Step { version: 20, oldest: 16, text: include_str!("schema-20.sql") },
    Step { version: 21, oldest: 16, text: include_str!("schema-21.sql") },
    Step { version: 22, oldest: 16, text: include_str!("schema-22.sql") },
];

/// Creates the tables, or brings them up to date, one node at a time.
pub(super) fn prepare(session: &Session, place: &Place) -> Result<(), StoreError> {
    let done = prepare_by(session, place, STEPS);
    if done.is_err() {
        // The caller drops the session, which also ends its transaction.
        tracing::debug!("the tables were not made or brought up");
    }
    done
}

/// Each step is a transaction of its own, so that one which reads a large table takes no lock that mail waits for.
pub(super) fn prepare_by(session: &Session, place: &Place, steps: &[Step]) -> Result<(), StoreError> {
    let newest = steps.last().map_or(0, |step| step.version);
    while let Some(version) = next_step(session, place, steps, newest)? {
        tracing::info!(version, "database schema brought up");
    }
    Ok(())
}

/// Makes the next step, unless another node is ahead. Returns its version; `None` if there is none.
fn next_step(
    session: &Session,
    place: &Place,
    steps: &[Step],
    newest: i64,
) -> Result<Option<i64>, StoreError> {
    let failed = |error: Error| place.failed(&error);
    session.batch("BEGIN").map_err(failed)?;
    session.batch("SELECT pg_advisory_xact_lock(22896714941169666)").map_err(failed)?;
    let version = match found(session).map_err(failed)? {
        None => {
            if others(session).map_err(failed)? > 0 {
                return Err(place.wrong(
                    "holds tables of some other program: make a database of its own for Sekisho, and name that in \
                     [store] url",
                ));
            }
            0
        }
        Some((version, oldest)) if oldest > newest => {
            return Err(place.wrong(&format!(
                "was brought up by a newer sekisho (its version is {version}, this program knows up to {newest}): \
                 install that version or a later one"
            )));
        }
        Some((version, _)) => version,
    };
    let next = steps.iter().find(|step| step.version > version);
    if let Some(step) = next {
        session.batch(step.text).map_err(failed)?;
        session
            .execute(
                "INSERT INTO sekisho_schema (one, version, oldest) VALUES (1, ?1, ?2) \
                 ON CONFLICT (one) DO UPDATE SET version = ?1, oldest = ?2",
                &[Value::Integer(step.version), Value::Integer(step.oldest)],
            )
            .map_err(failed)?;
    }
    session.batch("COMMIT").map_err(failed)?;
    Ok(next.map(|step| step.version))
}

/// The version of the tables, and the oldest version of the program that can work with them.
fn found(session: &Session) -> Result<Option<(i64, i64)>, Error> {
    let there = session.query("SELECT 1 WHERE to_regclass('sekisho_schema') IS NOT NULL", &[])?;
    if there.is_empty() {
        return Ok(None);
    }
    let rows = session.query("SELECT version, oldest FROM sekisho_schema", &[])?;
    Ok(rows.first().map(|row| (row.get(0), row.get(1))))
}

/// The number of tables in the schema.
fn others(session: &Session) -> Result<i64, Error> {
    let rows = session.query("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()", &[])?;
    Ok(rows.first().map_or(0, |row| row.get(0)))
}

/// The key of the journal's chain, which all nodes share. The first node creates it and stores its hash in the
/// database, so that no node starts with another key.
pub(super) fn key(session: &Session, path: &Path) -> Result<hmac::Key, StoreError> {
    let failed = |error: Error| crate::store::sql::error::classify(&error);
    let rows = session.query("SELECT key FROM sekisho_schema", &[]).map_err(failed)?;
    let known: Option<Vec<u8>> = rows.first().and_then(|row| row.get(0));
    if known.is_some() && !path.exists() {
        return Err(StoreError::Unavailable(format!(
            "{} is not there: every relay that shares this database has the same key of the journal. Copy that \
             file from the relay that made it",
            path.display()
        )));
    }
    let key = chain::key(path)?;
    let octets = std::fs::read(path).map_err(|error| io_error("read the journal's key", path, &error))?;
    let mut named = b"sekisho journal key ".to_vec();
    named.extend(octets);
    let print = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &named).as_ref().to_vec();
    let set = "UPDATE sekisho_schema SET key = ?1 WHERE key IS NULL OR key = ?1";
    if session.execute(set, &[Value::Blob(&print)]).map_err(failed)? == 1 {
        return Ok(key);
    }
    Err(StoreError::Unavailable(format!(
        "{} is another key than the one that this database's journal was made with: copy that file from a relay \
         that shares it",
        path.display()
    )))
}
