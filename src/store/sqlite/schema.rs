//! The tables, and how an older database is brought up to them.
//!
//! Rows of one message lie together: the key of a delivery and of a journal entry is the message's
//! row number shifted left by 24 bits plus a number within the message. So all deliveries of a
//! message are one range of the table, and no index has to be kept for it.

use super::error::{corrupt, sentence};
use crate::store::StoreError;
use rusqlite::Connection;
use std::path::Path;

/// Bits of a delivery's or journal entry's key that number it within its message.
const NUMBER_BITS: u32 = 24;

/// Marks a file as ours (`PRAGMA application_id`): "Seki".
const APPLICATION_ID: i64 = 0x5365_6b69;

/// What brings a database from each version to the next; the last version is their number.
const MIGRATIONS: &[&str] = &[VERSION_1];

const VERSION_1: &str = "
CREATE TABLE messages (
    row        INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE CHECK (length(id) = 16),
    received   INTEGER NOT NULL,
    people     TEXT    NOT NULL,  -- MAIL FROM, then every RCPT TO, as written, a line each
    keys       TEXT,              -- the same in comparison form, where that differs
    message_id TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    action     TEXT    NOT NULL,
    exposures  INTEGER NOT NULL,
    prevented  INTEGER NOT NULL CHECK (prevented IN (0, 1)),
    events     TEXT    NOT NULL   -- the journal entries it came with, JSON
) STRICT;

CREATE TABLE contents (
    message INTEGER PRIMARY KEY REFERENCES messages (row) ON DELETE CASCADE,
    file    TEXT,                 -- where a large body is; then `body` is NULL
    size    INTEGER NOT NULL CHECK (size >= 0),
    meta    TEXT    NOT NULL,     -- origin, envelope, verdict, JSON
    needles TEXT    NOT NULL,     -- JSON
    header  BLOB    NOT NULL,
    body    BLOB,
    CHECK ((file IS NULL) = (body IS NOT NULL))
) STRICT;
CREATE INDEX contents_file ON contents (file) WHERE file IS NOT NULL;

CREATE TABLE deliveries (
    row        INTEGER PRIMARY KEY,
    state      INTEGER NOT NULL CHECK (state BETWEEN 0 AND 7),
    due        INTEGER,           -- the end of the lease while it is being sent
    token      INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    duplicate  INTEGER NOT NULL CHECK (duplicate IN (0, 1)),
    queued     INTEGER NOT NULL,
    ended      INTEGER,           -- when it was delivered: its journal entry is made from this row
    recipients INTEGER NOT NULL CHECK (recipients > 0),
    reply      TEXT    NOT NULL,
    copy       BLOB    NOT NULL
) STRICT;
CREATE INDEX deliveries_open ON deliveries (due) WHERE state < 5;

CREATE TABLE journal (
    row   INTEGER PRIMARY KEY,
    at    INTEGER NOT NULL,
    event TEXT    NOT NULL
) STRICT;

CREATE TABLE held (
    message    INTEGER PRIMARY KEY REFERENCES messages (row) ON DELETE CASCADE,
    state      INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),
    kind       INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 2),
    expires    INTEGER NOT NULL,
    reasons    TEXT    NOT NULL,
    hits       TEXT    NOT NULL,
    decided_by TEXT,
    decided_at INTEGER,
    decision   TEXT,
    CHECK ((state = 0) = (decided_by IS NULL)),
    CHECK ((state = 0) = (decided_at IS NULL))
) STRICT;
CREATE INDEX held_open ON held (expires) WHERE state = 0;

CREATE TABLE notices (
    row     INTEGER PRIMARY KEY AUTOINCREMENT,
    message INTEGER NOT NULL REFERENCES messages (row) ON DELETE CASCADE,
    kind    INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 7),
    due     INTEGER,              -- NULL: when every delivery of the message is final
    state   INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2)
) STRICT;
CREATE UNIQUE INDEX notices_open ON notices (message, kind) WHERE state = 0;
CREATE INDEX notices_due ON notices (due) WHERE state = 0;
CREATE INDEX notices_message ON notices (message);

CREATE TABLE ledger (
    week       INTEGER NOT NULL,  -- first, so that new entries lie together whatever their ids are
    message_id TEXT    NOT NULL,
    message    INTEGER NOT NULL,
    disclosed  TEXT    NOT NULL,
    PRIMARY KEY (week, message_id, message)
) STRICT, WITHOUT ROWID;

CREATE TABLE probe (
    row  INTEGER PRIMARY KEY CHECK (row = 1),
    beat INTEGER NOT NULL
) STRICT;
INSERT INTO probe (row, beat) VALUES (1, 0);
";

/// The first key of a message's range: its rows are numbered from 1 above this.
pub(super) fn base(message: i64) -> i64 {
    message << NUMBER_BITS
}

/// The last key of a message's range.
pub(super) fn last(message: i64) -> i64 {
    base(message) | ((1 << NUMBER_BITS) - 1)
}

/// The message that a delivery or journal entry belongs to.
pub(super) fn message_of(key: i64) -> i64 {
    key >> NUMBER_BITS
}

/// The number of a delivery or journal entry within its message.
pub(super) fn number_of(key: i64) -> i64 {
    key & ((1 << NUMBER_BITS) - 1)
}

/// Creates the tables in an empty database, or brings an older one up to date, in one transaction.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let transaction = connection
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .map_err(|error| sentence(path, &error))?;
    let read = |name: &str| transaction.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let version = read("user_version").map_err(|error| sentence(path, &error))?;
    let application = read("application_id").map_err(|error| sentence(path, &error))?;
    let tables: i64 = transaction
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(|error| sentence(path, &error))?;
    if tables > 0 && application != APPLICATION_ID {
        return Err(StoreError::Unavailable(format!(
            "{} is a database of some other program: name another file in [store] url",
            path.display()
        )));
    }
    let done = usize::try_from(version).map_err(|_| corrupt(path, "its version is negative"))?;
    if done > MIGRATIONS.len() {
        return Err(StoreError::Unavailable(format!(
            "{} was written by a newer sekisho (its version is {done}, this program knows up to {}): \
             install that version or a later one",
            path.display(),
            MIGRATIONS.len()
        )));
    }
    for (index, step) in MIGRATIONS.iter().enumerate().skip(done) {
        transaction.execute_batch(step).map_err(|error| sentence(path, &error))?;
        tracing::debug!(version = index + 1, "database schema brought up");
    }
    if done < MIGRATIONS.len() {
        transaction
            .pragma_update(None, "user_version", super::codes::number(MIGRATIONS.len()))
            .and_then(|()| transaction.pragma_update(None, "application_id", APPLICATION_ID))
            .map_err(|error| sentence(path, &error))?;
    }
    transaction.commit().map_err(|error| sentence(path, &error))
}
