//! One interface to both engines: connections, statements and rows.
//!
//! Each statement is written once, in the SQL that SQLite and PostgreSQL share (`ON CONFLICT`, `RETURNING`,
//! parameters such as `?1`). Where they differ, the code asks [`Connection::dialect`]. The interface follows
//! rusqlite, so that it costs SQLite only a branch.

#![allow(clippy::needless_pass_by_value, reason = "parameters are given as rusqlite takes them")]

use super::error::Error;
use crate::store::postgres::draft::Draft;
use crate::store::postgres::session::Session;
use crate::store::postgres::values::cell;
use rusqlite::types::ValueRef;
use std::time::Duration;

mod values;

pub(in crate::store) use values::{
    Column, FromValue, OptionalExtension, Owned, Params, ToValue, Value, params,
};

/// The SQL dialect of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Dialect {
    Sqlite,
    Postgres,
}

/// A request that has begun: how many entries of the chain there were before it.
pub(in crate::store) struct Request {
    added: usize,
}

/// A connection, used by one thread at a time.
pub(in crate::store) enum Connection {
    Sqlite(rusqlite::Connection),
    Postgres(Box<Session>),
}

impl Connection {
    pub(in crate::store) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Prepares a statement and caches it.
    pub(in crate::store) fn prepare_cached(&self, sql: &str) -> Result<Statement<'_>, Error> {
        Ok(match self {
            Self::Sqlite(connection) => Statement::Sqlite(connection.prepare_cached(sql)?),
            Self::Postgres(session) => Statement::Postgres(session, sql.to_owned()),
        })
    }

    /// Executes a statement and returns the number of rows it wrote.
    pub(in crate::store) fn execute(&self, sql: &str, params: impl Params) -> Result<usize, Error> {
        self.prepare_cached(sql)?.execute(params)
    }

    /// Reads the first row.
    pub(in crate::store) fn query_row<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.prepare_cached(sql)?.query_row(params, read)
    }

    /// Begins or ends a transaction, or sets a savepoint. PostgreSQL receives it together with the next
    /// statement.
    pub(in crate::store) fn control(&self, sql: &'static str) -> Result<(), Error> {
        match self {
            Self::Sqlite(connection) => drop(connection.prepare_cached(sql)?.execute([])?),
            Self::Postgres(session) => session.control(sql)?,
        }
        Ok(())
    }

    /// Begins a group of requests. PostgreSQL runs a quick one with as few round trips as possible: without savepoints,
    /// and on assumptions. [`Error::Assumed`] says that it must be run again, and not quickly.
    pub(in crate::store) fn begin_group(&self, quick: bool) {
        if let Self::Postgres(session) = self {
            session.draft.begin(quick);
        }
    }

    /// Begins a request, which can be undone by itself.
    pub(in crate::store) fn begin_request(&self) -> Result<Request, Error> {
        match self.quick_draft() {
            Some(draft) => draft.begin_request(),
            None => self.control("SAVEPOINT request")?,
        }
        Ok(Request { added: self.draft().map_or(0, |draft| draft.added.borrow().len()) })
    }

    /// Undoes a request that was refused.
    pub(in crate::store) fn undo_request(&self, request: &Request) -> Result<(), Error> {
        if let Some(draft) = self.quick_draft() {
            let untouched = !draft.wrote() && draft.added.borrow().len() == request.added;
            return if untouched { Ok(()) } else { Err(Error::Assumed) };
        }
        if let Some(draft) = self.draft() {
            draft.added.borrow_mut().truncate(request.added);
            draft.forget_numbers();
        }
        self.control("ROLLBACK TO request")
    }

    /// Ends a request.
    pub(in crate::store) fn end_request(&self) -> Result<(), Error> {
        if self.quick_draft().is_some() { Ok(()) } else { self.control("RELEASE request") }
    }

    /// Empties the table of the rows that a group touched, which are so many. PostgreSQL cannot vacuum a temporary
    /// table by itself, and each read of it passes what was deleted: now and then it starts anew.
    pub(in crate::store) fn forget_touched(&self, rows: usize) -> Result<(), Error> {
        match self.draft() {
            Some(draft) if draft.forgets(rows) => self.control("TRUNCATE touched"),
            _ => self.prepare_cached("DELETE FROM touched")?.put([]),
        }
    }

    /// What a group on PostgreSQL keeps until it ends.
    pub(in crate::store) fn draft(&self) -> Option<&Draft> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(session) => Some(&session.draft),
        }
    }

    /// Takes in that another node used the numbers of messages up to this one.
    pub(in crate::store) fn skip_numbers(&self, highest: i64) {
        if let Some(draft) = self.draft() {
            let next = draft.next_message.get();
            draft.next_message.set(next.map(|next| next.max(highest + 1)));
        }
    }

    /// Forgets which number the next message has, because another node may have used it.
    pub(in crate::store) fn forget_numbers(&self) {
        if let Some(draft) = self.draft() {
            draft.forget_numbers();
        }
    }

    fn quick_draft(&self) -> Option<&Draft> {
        self.draft().filter(|draft| draft.is_quick())
    }

    /// Commits, and waits until the engine has confirmed it.
    ///
    /// # Errors
    /// [`Error::Unconfirmed`] if PostgreSQL stopped waiting for its synchronous replica.
    pub(in crate::store) fn commit(&self) -> Result<(), Error> {
        match self {
            Self::Sqlite(_) => self.control("COMMIT"),
            Self::Postgres(session) => session.commit(),
        }
    }

    /// Makes the commit of this transaction wait for everything that it may have read, even if it writes nothing else.
    /// With PostgreSQL a row can be read before the synchronous replica has it (its commit's wait was cancelled, or the
    /// server was restarted meanwhile), and only a transaction that writes waits for the replica.
    pub(in crate::store) fn write_something(&self) {
        if let Some(draft) = self.draft() {
            draft.write_something();
        }
    }

    /// Whether a transaction is open, as far as this side knows.
    pub(in crate::store) fn in_transaction(&self) -> bool {
        match self {
            Self::Sqlite(connection) => !connection.is_autocommit(),
            Self::Postgres(session) => !session.is_over(),
        }
    }

    /// Whether the connection is unusable.
    pub(in crate::store) fn is_over(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(session) => session.is_over(),
        }
    }

    /// How many milliseconds the clock that leases are by is ahead of the relay's: PostgreSQL's own clock; with
    /// SQLite there is only the relay's.
    pub(in crate::store) fn apart(&self) -> Result<i64, Error> {
        match self {
            Self::Sqlite(_) => Ok(0),
            Self::Postgres(session) => session.apart(Duration::ZERO),
        }
    }

    /// The same, measured within the last second, for what every message needs.
    pub(in crate::store) fn apart_lately(&self) -> Result<i64, Error> {
        match self {
            Self::Sqlite(_) => Ok(0),
            Self::Postgres(session) => session.apart(Duration::from_secs(1)),
        }
    }

    /// Waits until everything sent so far has been executed, and reports any error.
    pub(in crate::store) fn settle(&self) -> Result<(), Error> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(session) => session.settle(),
        }
    }
}

/// A prepared statement.
pub(in crate::store) enum Statement<'a> {
    Sqlite(rusqlite::CachedStatement<'a>),
    Postgres(&'a Session, String),
}

impl Statement<'_> {
    /// Returns the number of rows written.
    pub(in crate::store) fn execute(&mut self, params: impl Params) -> Result<usize, Error> {
        params.with(|values| match self {
            Self::Sqlite(statement) => Ok(statement.execute(rusqlite::params_from_iter(values))?),
            Self::Postgres(session, sql) => session.execute(sql, values),
        })
    }

    /// Writes without waiting: PostgreSQL's answer, and any error, is read with the next query.
    pub(in crate::store) fn put(&mut self, params: impl Params) -> Result<(), Error> {
        params.with(|values| match self {
            Self::Sqlite(statement) => {
                statement.execute(rusqlite::params_from_iter(values))?;
                Ok(())
            }
            Self::Postgres(session, sql) => session.put(sql, values),
        })
    }

    /// Writes rows whose order among those of other statements does not matter, without waiting. PostgreSQL writes
    /// those of a quick group together: the statement has one `VALUES` tuple of parameters, or one `WHERE`, by which
    /// each set of parameters writes rows of its own.
    pub(in crate::store) fn put_row(&mut self, params: impl Params) -> Result<(), Error> {
        params.with(|values| match self {
            Self::Sqlite(statement) => {
                statement.execute(rusqlite::params_from_iter(values))?;
                Ok(())
            }
            Self::Postgres(session, sql) => session.put_row(sql, values),
        })
    }

    /// The same for one row. Returns whether it was written, which a quick group assumes.
    pub(in crate::store) fn write_one(&mut self, params: impl Params) -> Result<bool, Error> {
        params.with(|values| match self {
            Self::Sqlite(statement) => Ok(statement.execute(rusqlite::params_from_iter(values))? == 1),
            Self::Postgres(session, sql) => session.write_one(sql, values),
        })
    }

    /// Reads what is assumed to be one row. PostgreSQL does not wait for it: if it is not, [`Error::Assumed`] is the
    /// error of what follows.
    pub(in crate::store) fn assume_one(&mut self, params: impl Params) -> Result<(), Error> {
        params.with(|values| match self {
            Self::Sqlite(statement) => {
                let found = statement.exists(rusqlite::params_from_iter(values))?;
                if found { Ok(()) } else { Err(Error::Assumed) }
            }
            Self::Postgres(session, sql) => session.assume_one(sql, values),
        })
    }

    pub(in crate::store) fn query(&mut self, params: impl Params) -> Result<Rows<'_>, Error> {
        params.with(|values| {
            Ok(match self {
                Self::Sqlite(statement) => Rows::Sqlite(statement.query(rusqlite::params_from_iter(values))?),
                Self::Postgres(session, sql) => Rows::Postgres(session.query(sql, values)?.into_iter(), None),
            })
        })
    }

    /// Reads the first row; [`Error::NoRows`] if there is none.
    pub(in crate::store) fn query_row<T>(
        &mut self,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut rows = self.query(params)?;
        let row = rows.next()?.ok_or(Error::NoRows)?;
        read(&row)
    }

    /// Reads all rows.
    pub(in crate::store) fn query_map<T>(
        &mut self,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<std::vec::IntoIter<Result<T, Error>>, Error> {
        let mut rows = self.query(params)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(read(&row));
        }
        Ok(all.into_iter())
    }

    pub(in crate::store) fn exists(&mut self, params: impl Params) -> Result<bool, Error> {
        Ok(self.query(params)?.next()?.is_some())
    }
}

#[cfg(test)]
thread_local! {
    /// The steps of SQLite's machine that statements took on this thread.
    static STEPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// The steps that statements took on this thread since the last call.
#[cfg(test)]
pub(in crate::store) fn steps() -> u64 {
    STEPS.take()
}

#[cfg(test)]
impl Drop for Statement<'_> {
    fn drop(&mut self) {
        if let Self::Sqlite(statement) = self {
            let taken = statement.reset_status(rusqlite::StatementStatus::VmStep);
            STEPS.set(STEPS.get() + u64::try_from(taken).unwrap_or(0));
        }
    }
}

pub(in crate::store) enum Rows<'a> {
    Sqlite(rusqlite::Rows<'a>),
    Postgres(std::vec::IntoIter<tokio_postgres::Row>, Option<tokio_postgres::Row>),
}

impl Rows<'_> {
    pub(in crate::store) fn next(&mut self) -> Result<Option<Row<'_>>, Error> {
        Ok(match self {
            Self::Sqlite(rows) => rows.next()?.map(Row::Sqlite),
            Self::Postgres(rest, row) => {
                *row = rest.next();
                row.as_ref().map(Row::Postgres)
            }
        })
    }
}

pub(in crate::store) enum Row<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a tokio_postgres::Row),
}

impl Row<'_> {
    /// Reads a column into the type asked for.
    pub(in crate::store) fn get<C: Column, T: FromValue>(&self, column: C) -> Result<T, Error> {
        let at = column.at();
        T::from_value(self.get_ref(at)?).ok_or_else(|| Error::Column(at))
    }

    pub(in crate::store) fn get_ref(&self, column: usize) -> Result<Value<'_>, Error> {
        match self {
            Self::Sqlite(row) => Ok(match row.get_ref(column)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(number) => Value::Integer(number),
                ValueRef::Real(_) => return Err(Error::Column(column)),
                ValueRef::Text(text) => match std::str::from_utf8(text) {
                    Ok(text) => Value::Text(text),
                    Err(_) => Value::Broken(text),
                },
                ValueRef::Blob(octets) => Value::Blob(octets),
            }),
            Self::Postgres(row) => cell(row, column),
        }
    }
}
