//! Opening the database: the settings that durability depends on are asserted, and damage is found early.

use super::bodies::flush_folder;
use super::error::{corrupt, sentence};
use super::schema;
use crate::store::StoreError;
use crate::store::lock::private;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::fs::OpenOptions;
use std::path::Path;
use std::time::Duration;

/// How long a connection waits while another process (a command) writes.
const BUSY: Duration = Duration::from_secs(10);
/// Up to this size, in bytes, the whole database is checked at start (about a second per GiB). Of a larger one only
/// the first pages and both ends of the main tables are read.
const CHECK_WHOLE: u64 = 256 << 20;
/// How many prepared statements a connection keeps.
const STATEMENTS: usize = 64;

/// The connection for writing. The database is created if necessary, checked, and brought up to date.
pub(super) fn writer(path: &Path, max_pages: Option<u32>) -> Result<Connection, StoreError> {
    create(path)?;
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let fail = |error: rusqlite::Error| sentence(path, &error);
    let fresh = connection.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0)).map_err(fail)? == 0;
    if !fresh {
        check(&connection, path)?;
    }
    durable(&connection, path)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(fail)?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20).map_err(fail)?;
    schema::migrate(&mut connection, path)?;
    flush_names(path)?;
    if let Some(pages) = max_pages {
        connection.pragma_update(None, "max_page_count", pages).map_err(fail)?;
    }
    Ok(connection)
}

pub(super) fn reader(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.pragma_update(None, "query_only", true).map_err(|error| sentence(path, &error))?;
    Ok(connection)
}

/// A second connection that may write, for moving the log into the database.
pub(super) fn checkpointer(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    durable(&connection, path)?;
    Ok(connection)
}

/// Creates the file with narrow permissions, before SQLite would create it with wide ones. The log and the
/// shared-memory file get the same permissions.
fn create(path: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    private(&mut options).open(path).map(drop).map_err(|error| {
        StoreError::Unavailable(format!(
            "cannot write the database {}: {error}. Its folder must exist and belong to the user \
             that runs the relay",
            path.display()
        ))
    })
}

/// Makes the names of the database and its log durable. SQLite does this too when it first flushes the log, but
/// ignores a failure.
fn flush_names(path: &Path) -> Result<(), StoreError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    flush_folder(folder)
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection, StoreError> {
    let fail = |error: rusqlite::Error| sentence(path, &error);
    // Each connection is used by one thread at a time, so SQLite's own locking is not needed.
    let connection =
        Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(fail)?;
    connection.busy_timeout(BUSY).map_err(fail)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Otherwise statements whose plan might depend on a value, such as that of LIMIT, are prepared again for each one.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(fail)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(fail)?;
    connection.pragma_update(None, "temp_store", "MEMORY").map_err(fail)?;
    connection.pragma_update(None, "cache_size", -16 * 1024).map_err(fail)?;
    Ok(connection)
}

/// Ensures that a commit is on disk when it returns. Fails if that is not possible.
fn durable(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let fail = |error: rusqlite::Error| sentence(path, &error);
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0)).map_err(fail)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(fail)?;
    let synchronous: i64 =
        connection.pragma_query_value(None, "synchronous", |row| row.get(0)).map_err(fail)?;
    let keys: bool = connection.pragma_query_value(None, "foreign_keys", |row| row.get(0)).map_err(fail)?;
    if mode != "wal" || synchronous != 2 || !keys {
        return Err(StoreError::Unavailable(format!(
            "the database {} cannot be written durably (journal_mode {mode}, synchronous {synchronous}): \
             it must lie on a local disk, not on a network file system",
            path.display()
        )));
    }
    Ok(())
}

/// Leaves it to the caller to flush the log after each commit. SQLite itself still flushes it before it moves pages from
/// it into the database, and the database before it writes over the log.
pub(super) fn flushed_elsewhere(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    connection.pragma_update(None, "synchronous", "NORMAL").map_err(|error| sentence(path, &error))
}

fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let fail = |error: rusqlite::Error| sentence(path, &error);
    let size = std::fs::metadata(path).map_or(0, |data| data.len());
    if size <= CHECK_WHOLE {
        let found: String =
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(fail)?;
        return if found == "ok" { Ok(()) } else { Err(corrupt(path, &found)) };
    }
    for table in ["messages", "contents", "deliveries", "journal", "notices"] {
        // Safe to format into the statement: the names come from this list.
        let ends = format!("SELECT min(rowid), max(rowid) FROM {table}");
        connection.query_row(&ends, [], |_| Ok(())).map_err(fail)?;
    }
    Ok(())
}
