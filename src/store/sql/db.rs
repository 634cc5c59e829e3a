//! One interface to both engines: connections, statements and rows.
//!
//! Each statement is written once, in the SQL that SQLite and PostgreSQL share (`ON CONFLICT`, `RETURNING`,
//! parameters such as `?1`). Where they differ, the code asks [`Connection::dialect`]. The interface follows
//! rusqlite, so that it costs SQLite only a branch.

#![allow(clippy::needless_pass_by_value, reason = "parameters are given as rusqlite takes them")]

use super::error::Error;
use crate::store::postgres::session::{self, Session};
use rusqlite::types::{ToSqlOutput, ValueRef};
use std::time::Duration;

/// The SQL dialect of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Dialect {
    Sqlite,
    Postgres,
}

/// A connection, used by one thread at a time.
pub(in crate::store) enum Connection {
    Sqlite(rusqlite::Connection),
    Postgres(Session),
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
            Self::Postgres(session) => session.control(sql),
        }
        Ok(())
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
    pub(in crate::store) fn write_something(&self) -> Result<(), Error> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(_) => self.control("SELECT pg_logical_emit_message(true, 'sekisho', '')"),
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
            Self::Postgres(row) => session::cell(row, column),
        }
    }
}

/// A column, by number.
pub(in crate::store) trait Column {
    fn at(&self) -> usize;
}

impl Column for usize {
    fn at(&self) -> usize {
        *self
    }
}

/// The value of a column or of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Value<'a> {
    Null,
    Integer(i64),
    Text(&'a str),
    Blob(&'a [u8]),
    /// A text that is not valid UTF-8.
    Broken(&'a [u8]),
}

impl<'a> Value<'a> {
    pub(in crate::store) fn as_str(self) -> Result<&'a str, Error> {
        if let Value::Text(text) = self { Ok(text) } else { Err(Error::Kind("a text")) }
    }

    pub(in crate::store) fn as_blob(self) -> Result<&'a [u8], Error> {
        if let Value::Blob(octets) = self { Ok(octets) } else { Err(Error::Kind("octets")) }
    }

    pub(in crate::store) fn as_str_or_null(self) -> Result<Option<&'a str>, Error> {
        if self == Value::Null { Ok(None) } else { self.as_str().map(Some) }
    }

    pub(in crate::store) fn as_blob_or_null(self) -> Result<Option<&'a [u8]>, Error> {
        if self == Value::Null { Ok(None) } else { self.as_blob().map(Some) }
    }

    /// The octets of a text, valid UTF-8 or not.
    pub(in crate::store) fn as_bytes(self) -> Result<&'a [u8], Error> {
        match self {
            Value::Text(text) => Ok(text.as_bytes()),
            Value::Broken(octets) | Value::Blob(octets) => Ok(octets),
            Value::Null | Value::Integer(_) => Err(Error::Kind("a text")),
        }
    }
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Integer(number) => ValueRef::Integer(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Broken(text) => ValueRef::Text(text),
            Value::Blob(octets) => ValueRef::Blob(octets),
        }))
    }
}

/// A type that a column can be read into.
pub(in crate::store) trait FromValue: Sized {
    fn from_value(value: Value<'_>) -> Option<Self>;
}

impl FromValue for i64 {
    fn from_value(value: Value<'_>) -> Option<Self> {
        if let Value::Integer(number) = value { Some(number) } else { None }
    }
}

impl FromValue for u32 {
    fn from_value(value: Value<'_>) -> Option<Self> {
        i64::from_value(value).and_then(|number| number.try_into().ok())
    }
}

impl FromValue for u8 {
    fn from_value(value: Value<'_>) -> Option<Self> {
        i64::from_value(value).and_then(|number| number.try_into().ok())
    }
}

impl FromValue for bool {
    fn from_value(value: Value<'_>) -> Option<Self> {
        i64::from_value(value).map(|number| number != 0)
    }
}

impl FromValue for String {
    fn from_value(value: Value<'_>) -> Option<Self> {
        if let Value::Text(text) = value { Some(text.to_owned()) } else { None }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Value<'_>) -> Option<Self> {
        if let Value::Blob(octets) = value { Some(octets.to_vec()) } else { None }
    }
}

impl<const N: usize> FromValue for [u8; N] {
    fn from_value(value: Value<'_>) -> Option<Self> {
        if let Value::Blob(octets) = value { octets.try_into().ok() } else { None }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value<'_>) -> Option<Self> {
        if value == Value::Null { Some(None) } else { T::from_value(value).map(Some) }
    }
}

/// A type that can be a parameter.
pub(in crate::store) trait ToValue {
    fn value(&self) -> Value<'_>;
}

macro_rules! numbers {
    ($($number:ty),+) => {
        $(impl ToValue for $number {
            fn value(&self) -> Value<'_> {
                Value::Integer(i64::from(*self))
            }
        })+
    };
}
numbers!(i64, i32, u32, bool);

impl ToValue for str {
    fn value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl ToValue for String {
    fn value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl ToValue for [u8] {
    fn value(&self) -> Value<'_> {
        Value::Blob(self)
    }
}

impl ToValue for Vec<u8> {
    fn value(&self) -> Value<'_> {
        Value::Blob(self)
    }
}

impl<const N: usize> ToValue for [u8; N] {
    fn value(&self) -> Value<'_> {
        Value::Blob(self)
    }
}

impl<T: ToValue> ToValue for Option<T> {
    fn value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, ToValue::value)
    }
}

impl<T: ToValue + ?Sized> ToValue for &T {
    fn value(&self) -> Value<'_> {
        (**self).value()
    }
}

/// The parameters of a statement, in order.
pub(in crate::store) trait Params {
    fn with<R>(&self, then: impl FnOnce(&[Value<'_>]) -> R) -> R;
}

impl Params for [&str; 0] {
    fn with<R>(&self, then: impl FnOnce(&[Value<'_>]) -> R) -> R {
        then(&[])
    }
}

macro_rules! arrays {
    ($($length:literal),+) => {
        $(impl<T: ToValue> Params for [T; $length] {
            fn with<R>(&self, then: impl FnOnce(&[Value<'_>]) -> R) -> R {
                then(&self.each_ref().map(ToValue::value))
            }
        })+
    };
}
arrays!(1, 2, 3, 4, 5, 6);

impl Params for &[Value<'_>] {
    fn with<R>(&self, then: impl FnOnce(&[Value<'_>]) -> R) -> R {
        then(self)
    }
}

/// Builds parameters of different types.
macro_rules! params {
    ($($param:expr),* $(,)?) => {
        &[$($crate::store::sql::db::ToValue::value(&$param)),*][..]
    };
}
pub(in crate::store) use params;

/// A value that outlives its row, or a parameter of a statement built at run time.
#[derive(Clone, Debug)]
pub(in crate::store) enum Owned {
    Null,
    Integer(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl Owned {
    pub(in crate::store) fn of(value: Value<'_>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Integer(number) => Self::Integer(number),
            Value::Text(text) => Self::Text(text.to_owned()),
            Value::Broken(text) => Self::Text(String::from_utf8_lossy(text).into_owned()),
            Value::Blob(octets) => Self::Blob(octets.to_vec()),
        }
    }
}

impl From<i64> for Owned {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<String> for Owned {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl ToValue for Owned {
    fn value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Integer(number) => Value::Integer(*number),
            Self::Text(text) => Value::Text(text),
            Self::Blob(octets) => Value::Blob(octets),
        }
    }
}

impl Params for &Vec<Owned> {
    fn with<R>(&self, then: impl FnOnce(&[Value<'_>]) -> R) -> R {
        then(&self.iter().map(ToValue::value).collect::<Vec<_>>())
    }
}

/// Turns a missing row into `None`.
pub(in crate::store) trait OptionalExtension<T> {
    fn optional(self) -> Result<Option<T>, Error>;
}

impl<T> OptionalExtension<T> for Result<T, Error> {
    fn optional(self) -> Result<Option<T>, Error> {
        match self {
            Ok(found) => Ok(Some(found)),
            Err(Error::NoRows) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
