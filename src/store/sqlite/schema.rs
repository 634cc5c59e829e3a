//! The tables, and how an older database is brought up to date.

use super::error::{corrupt, sentence};
use crate::store::StoreError;
use rusqlite::Connection;
use std::path::Path;

/// Marks a file as ours (`PRAGMA application_id`): "Seki".
const APPLICATION_ID: i64 = 0x5365_6b69;

/// The step from each version to the next. The number of steps is the latest version.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("schema-1.sql"),
    include_str!("schema-2.sql"),
    include_str!("schema-3.sql"),
    include_str!("schema-4.sql"),
    include_str!("schema-5.sql"),
    include_str!("schema-6.sql"),
    include_str!("schema-7.sql"),
    include_str!("schema-8.sql"),
    include_str!("schema-9.sql"),
    include_str!("schema-10.sql"),
    include_str!("schema-11.sql"),
    include_str!("schema-12.sql"),
    include_str!("schema-13.sql"),
    include_str!("schema-14.sql"),
    include_str!("schema-15.sql"),
    include_str!("schema-16.sql"),
    include_str!("schema-17.sql"),
    include_str!("schema-18.sql"),
    include_str!("schema-19.sql"),
];

/// Repairs what an earlier form of a step left behind in a database that was brought up to date.
const REPAIR: &str = include_str!("schema-repair.sql");

/// Creates the tables in an empty database, or brings an older one up to date, in one transaction.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    migrate_by(connection, path, MIGRATIONS, REPAIR)
}

fn migrate_by(
    connection: &mut Connection,
    path: &Path,
    steps: &[&str],
    repair: &str,
) -> Result<(), StoreError> {
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
    if done > steps.len() {
        return Err(StoreError::Unavailable(format!(
            "{} was written by a newer sekisho (its version is {done}, this program knows up to {}): \
             install that version or a later one",
            path.display(),
            steps.len()
        )));
    }
    for (index, step) in steps.iter().enumerate().skip(done) {
        transaction.execute_batch(step).map_err(|error| sentence(path, &error))?;
        tracing::debug!(version = index + 1, "database schema brought up");
    }
    if done < steps.len() {
        if done > 0 {
            transaction.execute_batch(repair).map_err(|error| sentence(path, &error))?;
        }
        transaction
            .pragma_update(None, "user_version", crate::store::sql::codes::number(steps.len()))
            .and_then(|()| transaction.pragma_update(None, "application_id", APPLICATION_ID))
            .map_err(|error| sentence(path, &error))?;
    }
    transaction.commit().map_err(|error| sentence(path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "CREATE TABLE one (a INTEGER) STRICT; INSERT INTO one VALUES (1)";
    const TWO: &str = "ALTER TABLE one ADD COLUMN b INTEGER NOT NULL DEFAULT 2";
    const BROKEN: &str = "INSERT INTO one (a, b) VALUES (9, 9); INSERT INTO nowhere VALUES (1)";

    fn version(db: &Connection) -> i64 {
        db.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    }

    #[test]
    fn each_step_is_taken_once() {
        let mut db = Connection::open_in_memory().unwrap();
        let path = Path::new("x.db");
        for steps in [&[ONE][..], &[ONE], &[ONE, TWO], &[ONE, TWO]] {
            migrate_by(&mut db, path, steps, "").unwrap();
            assert_eq!(version(&db), i64::try_from(steps.len()).unwrap());
        }
        let kept: (i64, i64) =
            db.query_row("SELECT a, b FROM one", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(kept, (1, 2));
        assert!(migrate_by(&mut db, path, &[ONE], "").unwrap_err().to_string().contains("newer sekisho"));
    }

    #[test]
    fn a_step_that_fails_changes_nothing() {
        let mut db = Connection::open_in_memory().unwrap();
        let path = Path::new("x.db");
        migrate_by(&mut db, path, &[ONE], "").unwrap();
        assert!(migrate_by(&mut db, path, &[ONE, TWO, BROKEN], "").is_err());
        assert_eq!(version(&db), 1);
        migrate_by(&mut db, path, &[ONE, TWO], "").unwrap();
        let rows: i64 = db.query_row("SELECT count(*) FROM one", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 1);
    }

    #[test]
    fn the_newest_mails_of_a_sender_are_found_by_their_index() {
        let mut db = Connection::open_in_memory().unwrap();
        migrate(&mut db, Path::new("memory")).unwrap();
        let mut plan =
            db.prepare(&format!("EXPLAIN QUERY PLAN {}", crate::store::sql::mine::OF_SENDER)).unwrap();
        let steps: Vec<String> = plan
            .query_map(rusqlite::params!["a@x.example", 1], |row| row.get(3))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert!(steps.iter().any(|step| step.contains("messages_sender")), "{steps:?}");
        assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{steps:?}");
    }
}
