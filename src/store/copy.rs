//! Copies a whole store from SQLite to PostgreSQL or back: table by table, in one transaction on the target, so that
//! a copy that fails leaves nothing behind. No relay may run on either side meanwhile.

#![allow(clippy::similar_names, reason = "two sides, and what each is told, have names alike")]

use super::chain::{ChainStore, Verified};
use super::sql::db::{Connection, Dialect, Owned, params};
use super::sql::error::{Failure, io_error};
use super::sql::{SqlStore, terms};
use super::{StoreError, postgres, sqlite};
use std::path::{Path, PathBuf};

/// Every table with data of its own, with the columns that identify a row. A table comes after those that its rows
/// refer to.
const TABLES: &[(&str, &str)] = &[
    ("messages", "row"),
    ("contents", "message"),
    ("deliveries", "row"),
    ("journal", "row"),
    ("held", "message"),
    ("held_approvers", "approver, message"),
    ("held_terms", "term, state, message"),
    ("notices", "row"),
    ("ledger", "week, message_id, message"),
    ("taken", "message"),
    ("later_transactions", "message"),
    ("circles", "row"),
    ("chain", "seq"),
    ("purges", "row"),
    ("chain_cut", "one"),
    ("foreign_accepted", "row"),
    ("last_purged", "one"),
    ("sessions", "hash"),
    ("links", "hash"),
    ("codes", "browser"),
    ("api_tokens", "name"),
    ("passkeys", "id"),
    ("languages", "person"),
    ("absences", "row"),
    ("asks", "row"),
    ("hooks", "url"),
    ("hook_calls", "row"),
    ("correspondents", "sender, recipient"),
    ("memory", "kind, name"),
    ("attempts", "row"),
    ("buckets", "upstream, rate"),
    ("promises", "row"),
    ("spent", "account, slot"),
    ("once", "kind, name"),
    ("secrets", "name"),
    ("observed", "message"),
    ("clocks", "one"),
    ("learning", "one"),
    ("known_sets", "number"),
    ("known_mails", "mail"),
    ("known_lists", "person, first"),
    ("released_sets", "digest, at"),
    ("untaught", "message"),
    // Triggers count while the other tables are filled; the copied values replace theirs at the end.
    ("totals", "kind, name"),
];
/// Tables that an engine fills itself, when they are created or when others are filled.
const MADE: [&str; 5] = ["held_terms", "last_purged", "learning", "totals", "clocks"];
/// Columns that only PostgreSQL has.
const OWN: [(&str, &str); 3] = [("deliveries", "node"), ("hook_calls", "node"), ("hook_calls", "claimed")];
/// How many rows are read at once.
const PAGE: i64 = 500;

/// One side of a copy.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "there are two of them")]
pub enum Side {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database.
    Postgres(postgres::Place),
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "{}", path.display()),
            Self::Postgres(place) => write!(f, "{place}"),
        }
    }
}

/// What was copied.
#[derive(Clone, Debug, Default)]
pub struct Copied {
    /// The number of rows of each table that has any.
    pub rows: Vec<(&'static str, u64)>,
    /// The number of large bodies.
    pub bodies: u64,
}

/// Copies everything. It blocks, and must not be called on a thread of an async runtime.
///
/// # Errors
/// `Unavailable`, as a sentence that says what to do, if the target is not empty or either side cannot be opened. The
/// target's database is then unchanged.
pub fn copy(from: &Side, to: &Side) -> Result<Copied, StoreError> {
    let (source, target) = (open(from, false)?, open(to, true)?);
    let copied = whole(&source, &target, from, to).map_err(Failure::named)?;
    for (table, rows) in &copied.rows {
        let there = count(&target, table).map_err(Failure::named)?;
        if there != *rows {
            return Err(StoreError::Unavailable(format!(
                "{table} has {there} rows in {to} and {rows} in {from}: the copy is not to be used"
            )));
        }
    }
    Ok(copied)
}

/// Verifies the whole chain of an open store: the last step of a copy.
///
/// # Errors
/// `Corrupt` if an entry differs from what was written.
pub async fn verify(store: &SqlStore) -> Result<Verified, StoreError> {
    let verified = store.verify_chain().await?;
    match &verified.broken {
        None => Ok(verified),
        Some((at, why)) => Err(StoreError::Corrupt(format!("entry {at} of the journal's chain: {why}"))),
    }
}

fn open(side: &Side, make: bool) -> Result<Connection, StoreError> {
    match side {
        Side::Sqlite(path) if !make && !path.exists() => {
            Err(StoreError::Unavailable(format!("there is no database at {}", path.display())))
        }
        Side::Sqlite(path) => sqlite::for_copying(path),
        Side::Postgres(place) => {
            let connection = postgres::for_copying(place)?;
            if postgres::nodes::is_alone(&connection).map_err(Failure::named)? {
                return Ok(connection);
            }
            Err(StoreError::Unavailable(format!("a relay is at work in {place}: stop it first")))
        }
    }
}

fn whole(source: &Connection, target: &Connection, from: &Side, to: &Side) -> Result<Copied, Failure> {
    source.control("BEGIN")?;
    target.control("BEGIN")?;
    if count(target, "messages")? + count(target, "chain")? > 0 {
        let why = format!("{to} is not empty: copy into a new database");
        return Err(StoreError::Unavailable(why).into());
    }
    let (renamed, bodies) = bodies(source, target, from, to)?;
    let mut copied = Copied { bodies, ..Copied::default() };
    for (table, key) in TABLES {
        if MADE.contains(table) {
            target.execute(&format!("DELETE FROM {table}"), [])?;
        }
        let rows = rows(source, target, table, key)?;
        if rows > 0 {
            copied.rows.push((table, rows));
        }
    }
    rename(target, &renamed)?;
    found_again(target)?;
    if target.dialect() == Dialect::Postgres {
        numbers(target)?;
    }
    target.commit()?;
    source.control("ROLLBACK")?;
    source.settle()?;
    Ok(copied)
}

fn count(db: &Connection, table: &str) -> Result<u64, Failure> {
    let rows: i64 = db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
    Ok(super::sql::codes::count(rows))
}

/// The columns of a table, without those that only one engine has.
fn columns(db: &Connection, table: &str) -> Result<Vec<String>, Failure> {
    let text = match db.dialect() {
        Dialect::Sqlite => "SELECT name FROM pragma_table_info(?1)",
        Dialect::Postgres => {
            "SELECT column_name::text FROM information_schema.columns WHERE table_schema = current_schema() \
             AND table_name = ?1 ORDER BY ordinal_position"
        }
    };
    let mut select = db.prepare_cached(text)?;
    let mut names: Vec<String> = select.query_map([table], |row| row.get(0))?.collect::<Result<_, _>>()?;
    names.retain(|name| !OWN.contains(&(table, name.as_str())));
    Ok(names)
}

fn rows(source: &Connection, target: &Connection, table: &str, key: &str) -> Result<u64, Failure> {
    let names = columns(source, table)?;
    let list = names.join(", ");
    let keys: Vec<usize> =
        key.split(", ").filter_map(|one| names.iter().position(|name| name == one)).collect();
    let places = |count: usize| (1..=count).map(|at| format!("?{at}")).collect::<Vec<_>>().join(", ");
    let first = format!("SELECT {list} FROM {table} ORDER BY {key} LIMIT {PAGE}");
    let next = format!(
        "SELECT {list} FROM {table} WHERE ({key}) > ({}) ORDER BY {key} LIMIT {PAGE}",
        places(keys.len())
    );
    // Some terms already exist, because a trigger made them.
    let insert =
        format!("INSERT INTO {table} ({list}) VALUES ({}) ON CONFLICT DO NOTHING", places(names.len()));
    let (mut all, mut last): (u64, Option<Vec<Owned>>) = (0, None);
    loop {
        let mut select = source.prepare_cached(if last.is_none() { &first } else { &next })?;
        let mut found = match &last {
            None => select.query([])?,
            Some(last) => select.query(last)?,
        };
        let mut page = 0;
        while let Some(row) = found.next()? {
            let values = (0..names.len()).map(|at| Ok(Owned::of(row.get_ref(at)?)));
            let values: Vec<Owned> = values.collect::<Result<_, Failure>>()?;
            target.prepare_cached(&insert)?.put(&values)?;
            last = Some(keys.iter().filter_map(|at| values.get(*at).cloned()).collect());
            page += 1;
        }
        all += page;
        if page < PAGE.unsigned_abs() {
            target.settle()?;
            return Ok(all);
        }
    }
}

/// Rebuilds the index for searching held messages: each engine has its own.
fn found_again(target: &Connection) -> Result<(), Failure> {
    let mut select = target.prepare_cached(
        "SELECT h.message, m.subject, h.files FROM held h JOIN messages m ON m.row = h.message \
         WHERE h.item = h.message",
    )?;
    let all: Vec<(i64, String, String)> =
        select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect::<Result<_, _>>()?;
    all.iter().try_for_each(|(message, subject, files)| terms::index(target, *message, subject, files))
}

/// Sets each identity sequence to continue after the highest number.
fn numbers(target: &Connection) -> Result<(), Failure> {
    let mut select = target.prepare_cached(
        "SELECT table_name::text, column_name::text FROM information_schema.columns \
         WHERE table_schema = current_schema() AND is_identity = 'YES'",
    )?;
    let all: Vec<(String, String)> =
        select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    for (table, column) in all {
        // Safe to format into the statement: the names come from the schema.
        let text = format!(
            "SELECT setval(pg_get_serial_sequence('{table}', '{column}'), coalesce(max({column}), 0) + 1, false) \
             FROM {table}"
        );
        target.query_row(&text, [], |_| Ok(()))?;
    }
    Ok(())
}

/// Copies the bodies that are not in their rows; on either side they are files, or chunks of rows. Returns the messages
/// whose body has another name in the target, with that name; and the number of all bodies.
fn bodies(
    source: &Connection,
    target: &Connection,
    from: &Side,
    to: &Side,
) -> Result<(Vec<(i64, String)>, u64), Failure> {
    let mut select = source
        .prepare_cached("SELECT message, file, size FROM contents WHERE file IS NOT NULL ORDER BY file")?;
    let named: Vec<(i64, String, i64)> =
        select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect::<Result<_, _>>()?;
    let (mut renamed, count) = (Vec::new(), named.len() as u64);
    for (message, name, size) in named {
        let body = match from {
            Side::Sqlite(path) => sqlite::bodies::read_whole(&folder(path), &name)?,
            Side::Postgres(_) => postgres::bodies::read_whole(source, &name)?.into(),
        };
        if body.len() as u64 != super::sql::codes::count(size) {
            let why = format!("the body {name} in {from} has {} octets in place of {size}", body.len());
            return Err(StoreError::Corrupt(why).into());
        }
        let own = sqlite::bodies::own_name(&name);
        match to {
            Side::Sqlite(path) => write_file(&folder(path).join(&own), &body)?,
            Side::Postgres(_) => postgres::bodies::write_whole(target, &own, &body)?,
        }
        if own != name {
            renamed.push((message, own));
        }
    }
    Ok((renamed, count))
}

/// Names bodies as they are named in the target.
fn rename(target: &Connection, names: &[(i64, String)]) -> Result<(), Failure> {
    let mut rename = target.prepare_cached("UPDATE contents SET file = ?2 WHERE message = ?1")?;
    for (message, name) in names {
        rename.put(params![message, name])?;
    }
    Ok(())
}

fn folder(database: &Path) -> PathBuf {
    super::lock::beside(database, "bodies")
}

fn write_file(path: &Path, body: &[u8]) -> Result<(), StoreError> {
    use std::io::Write;
    let failed = |error: std::io::Error| io_error("write the body", path, &error);
    if let Some(folder) = path.parent() {
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(folder).map_err(failed)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let mut file = super::lock::private(&mut options).open(path).map_err(failed)?;
    file.write_all(body).and_then(|()| file.sync_all()).map_err(failed)
}
