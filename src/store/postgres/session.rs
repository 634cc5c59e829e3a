//! One connection to PostgreSQL, used by one thread at a time.
//!
//! It has a runtime of its own and is driven only while its thread waits for an answer. Statements whose answers
//! nobody needs are sent ahead of the next one whose answer is needed ([`Session::put`], [`Session::control`]): ten
//! statements, of which two need an answer, take two round trips. The first error of those that were sent ahead is
//! returned with the next answer.

use crate::clock::Clock;
use crate::store::sql::db::{Owned, ToValue, Value};
use crate::store::sql::error::Error;
use bytes::BytesMut;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio_postgres::error::Severity;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{AsyncMessage, Client, Row, Statement};

/// How many prepared statements are kept at most. The text of some statements varies without limit.
const STATEMENTS: usize = 256;
/// How many statements are sent ahead at most.
const AHEAD: usize = 64;
/// Clocks that differ by so many milliseconds at most count as the same.
const AGREED: i64 = 1_000;

/// The last warning of the server, which its connection notes while it is driven.
#[derive(Clone, Default)]
pub(super) struct Warnings(Arc<Mutex<Option<String>>>);

impl Warnings {
    /// Notes a warning; everything else the server may say is of no consequence.
    pub(super) fn note(&self, said: &AsyncMessage) {
        if let AsyncMessage::Notice(said) = said
            && said.parsed_severity() == Some(Severity::Warning)
        {
            *self.last() = Some(said.message().to_owned());
        }
    }

    fn last(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Sent = Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>> + Send>>;

/// A connection.
pub(in crate::store) struct Session {
    /// Shut down without waiting when the session is dropped.
    runtime: Option<Runtime>,
    client: Arc<Client>,
    statements: RefCell<HashMap<String, Statement>>,
    sent: RefCell<VecDeque<Sent>>,
    patience: Duration,
    over: Cell<bool>,
    /// The relay's clock, for a session that takes leases.
    clock: Option<Arc<dyn Clock>>,
    /// How far it is from the database's, and when that was measured.
    apart: Cell<Option<(Instant, i64)>>,
    warnings: Warnings,
}

impl Session {
    pub(super) fn new(runtime: Runtime, client: Client, patience: Duration, warnings: Warnings) -> Self {
        Self {
            runtime: Some(runtime),
            client: Arc::new(client),
            statements: RefCell::default(),
            sent: RefCell::default(),
            patience,
            over: Cell::new(false),
            clock: None,
            apart: Cell::new(None),
            warnings,
        }
    }

    /// The same session, which knows the relay's clock.
    pub(super) fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// How many milliseconds the database's clock is ahead of the relay's, measured within the last `age`.
    /// Clocks that agree to a second count as the same.
    pub(in crate::store) fn apart(&self, age: Duration) -> Result<i64, Error> {
        let Some(clock) = &self.clock else { return Ok(0) };
        if let Some((at, apart)) = self.apart.get()
            && at.elapsed() < age
        {
            return Ok(apart);
        }
        let before = clock.now();
        let rows = self.query("SELECT now_in_millis()", &[])?;
        let ours = before.0 + (clock.now().0 - before.0) / 2;
        let theirs: i64 = rows.first().map_or(ours, |row| row.get(0));
        let apart = if (theirs - ours).abs() <= AGREED { 0 } else { theirs - ours };
        self.apart.set(Some((Instant::now(), apart)));
        Ok(apart)
    }

    /// Whether the session can no longer be used.
    pub(in crate::store) fn is_over(&self) -> bool {
        self.over.get() || self.client.is_closed()
    }

    /// Runs several statements that return nothing.
    pub(in crate::store) fn batch(&self, sql: &str) -> Result<(), Error> {
        self.settle()?;
        self.wait(self.client.batch_execute(sql))
    }

    pub(in crate::store) fn control(&self, sql: &'static str) {
        let client = Arc::clone(&self.client);
        self.send(Box::pin(async move { client.batch_execute(sql).await }));
    }

    pub(in crate::store) fn put(&self, sql: &str, values: &[Value<'_>]) -> Result<(), Error> {
        if self.sent.borrow().len() >= AHEAD {
            self.settle()?;
        }
        let statement = self.statement(sql, values)?;
        let (client, owned) =
            (Arc::clone(&self.client), values.iter().map(|value| Owned::of(*value)).collect::<Vec<_>>());
        #[cfg(test)]
        super::before_tests::note(sql, values, None);
        self.send(Box::pin(async move { client.execute_raw(&statement, owned).await.map(drop) }));
        Ok(())
    }

    pub(in crate::store) fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<usize, Error> {
        let statement = self.statement(sql, values)?;
        let written = self.ask(self.client.execute_raw(&statement, values.iter().copied()))?;
        #[cfg(test)]
        super::before_tests::note(sql, values, Some(written));
        Ok(usize::try_from(written).unwrap_or(usize::MAX))
    }

    pub(in crate::store) fn query(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, Error> {
        let statement = self.statement(sql, values)?;
        let params: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
        let rows = self.ask(self.client.query(&statement, &params))?;
        #[cfg(test)]
        super::before_tests::note(sql, values, Some(rows.len() as u64));
        Ok(rows)
    }

    /// Waits for the statements that were sent ahead.
    ///
    /// # Errors
    /// The first error of these statements.
    pub(in crate::store) fn settle(&self) -> Result<(), Error> {
        if self.sent.borrow().is_empty() {
            return Ok(());
        }
        self.ask(async { Ok(()) })
    }

    /// Commits, and waits until the server has confirmed it.
    ///
    /// If an administrator cancels a commit that waits for a synchronous replica, the server reports success with a
    /// warning, though the replica may not have it (PostgreSQL 15, 27.2.8.3). So a warning counts as no answer.
    ///
    /// # Errors
    /// [`Error::Unconfirmed`] after a warning: it is not known whether what was committed will last.
    pub(in crate::store) fn commit(&self) -> Result<(), Error> {
        self.settle()?;
        self.warnings.last().take();
        self.control("COMMIT");
        self.settle()?;
        let warned = self.warnings.last().take();
        warned.map_or(Ok(()), |why| Err(Error::Unconfirmed(why)))
    }

    fn statement(&self, sql: &str, values: &[Value<'_>]) -> Result<Statement, Error> {
        if let Some(statement) = self.statements.borrow().get(sql) {
            return Ok(statement.clone());
        }
        self.settle()?;
        let types: Vec<Type> = values.iter().map(of_value).collect();
        let text = translated(sql);
        let statement = self.wait(self.client.prepare_typed(&text, &types))?;
        let mut statements = self.statements.borrow_mut();
        if statements.len() >= STATEMENTS {
            statements.clear();
        }
        statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// Sends a request without waiting: polling it once puts it into the connection's queue.
    fn send(&self, mut what: Sent) {
        let mut nobody = std::task::Context::from_waker(std::task::Waker::noop());
        match what.as_mut().poll(&mut nobody) {
            Poll::Pending => self.sent.borrow_mut().push_back(what),
            Poll::Ready(done) => self.sent.borrow_mut().push_back(Box::pin(std::future::ready(done))),
        }
    }

    /// Sends a request, waits for those before it, and then for its answer.
    fn ask<T>(&self, request: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, Error> {
        let before = std::mem::take(&mut *self.sent.borrow_mut());
        self.wait(async move {
            let mut request = pin!(request);
            let early = std::future::poll_fn(|context| match request.as_mut().poll(context) {
                Poll::Ready(done) => Poll::Ready(Some(done)),
                Poll::Pending => Poll::Ready(None),
            })
            .await;
            let mut failed = None;
            for one in before {
                let done = one.await;
                failed = failed.or(done.err());
            }
            let answer = match early {
                Some(done) => done,
                None => request.await,
            };
            failed.map_or(answer, Err)
        })
    }

    fn wait<T>(&self, answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, Error> {
        let Some(runtime) = self.runtime.as_ref().filter(|_| !self.over.get()) else {
            return Err(Error::Gone("the connection to the database is gone"));
        };
        let patience = self.patience;
        match runtime.block_on(async move { tokio::time::timeout(patience, answer).await }) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                self.over.set(self.over.get() || super::error::is_over(&error));
                Err(error.into())
            }
            Err(_) => {
                self.over.set(true);
                Err(Error::Gone("the database did not answer in time"))
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Functions that have another name in SQLite.
const NAMES: [(&str, &str); 4] = [
    ("group_concat(", "string_agg("),
    ("instr(", "strpos("),
    ("char(10)", "chr(10)"),
    // Defined in our schema.
    ("json_each(", "texts_of("),
];

/// Translates a statement from SQLite's dialect: parameters and function names; hints about indexes are removed.
fn translated(sql: &str) -> String {
    let mut text = String::with_capacity(sql.len());
    let mut words = sql.split(' ').peekable();
    while let Some(word) = words.next() {
        if word == "INDEXED" && words.peek() == Some(&"BY") {
            words.next();
            words.next();
            continue;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        let mut letters = word.chars().peekable();
        while let Some(letter) = letters.next() {
            let is_parameter = letter == '?' && letters.peek().is_some_and(char::is_ascii_digit);
            text.push(if is_parameter { '$' } else { letter });
        }
    }
    NAMES.iter().fold(text, |text, (one, other)| text.replace(one, other))
}

fn of_value(value: &Value<'_>) -> Type {
    match value {
        Value::Null => Type::UNKNOWN,
        Value::Integer(_) => Type::INT8,
        Value::Text(_) | Value::Broken(_) => Type::TEXT,
        Value::Blob(_) => Type::BYTEA,
    }
}

type Written = Result<IsNull, Box<dyn std::error::Error + Sync + Send>>;

impl ToSql for Owned {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Written {
        self.value().to_sql(ty, out)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl ToSql for Value<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Written {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Integer(number) if *ty == Type::INT4 => i32::try_from(*number)?.to_sql(ty, out),
            Value::Integer(number) if *ty == Type::BOOL => (*number != 0).to_sql(ty, out),
            Value::Integer(number) => number.to_sql(ty, out),
            // PostgreSQL does not allow NUL in a text.
            Value::Text(text) if text.contains('\0') => text.replace('\0', "\u{fffd}").to_sql(ty, out),
            Value::Text(text) => text.to_sql(ty, out),
            Value::Blob(octets) | Value::Broken(octets) => octets.to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// The value of a column.
pub(in crate::store) fn cell(row: &Row, column: usize) -> Result<Value<'_>, Error> {
    let Raw(value) = row.try_get(column)?;
    value.ok_or(Error::Column(column))
}

/// A column of any of the types that we use.
struct Raw<'a>(Option<Value<'a>>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(ty: &Type, octets: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(match *ty {
            Type::INT8 => octets.try_into().ok().map(|octets| Value::Integer(i64::from_be_bytes(octets))),
            Type::INT4 => {
                octets.try_into().ok().map(|octets| Value::Integer(i64::from(i32::from_be_bytes(octets))))
            }
            Type::BOOL => Some(Value::Integer(i64::from(octets != [0]))),
            Type::NUMERIC => whole(octets).map(Value::Integer),
            Type::TEXT | Type::VARCHAR | Type::UNKNOWN => Some(Value::Text(std::str::from_utf8(octets)?)),
            Type::BYTEA => Some(Value::Blob(octets)),
            _ => None,
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(Some(Value::Null)))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Decodes an integer from the binary form of a `numeric`, the type of sums: digits to the base 10,000.
fn whole(octets: &[u8]) -> Option<i64> {
    let word = |at: usize| Some(u16::from_be_bytes(octets.get(at..at + 2)?.try_into().ok()?));
    let (digits, weight, sign) = (word(0)?, i64::from(word(2)?.cast_signed()), word(4)?);
    let mut number: i64 = 0;
    for place in 0..=weight {
        let at = usize::try_from(place).ok()?;
        let digit = if at < usize::from(digits) { word(8 + 2 * at)? } else { 0 };
        number = number.checked_mul(10_000)?.checked_add(i64::from(digit))?;
    }
    Some(if sign == 0 { number } else { -number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_written_as_the_other_engine_writes_them() {
        assert_eq!(
            translated("SELECT a FROM t INDEXED BY t_a JOIN u WHERE a = ?1 AND (b IN (?2, ?10))"),
            "SELECT a FROM t JOIN u WHERE a = $1 AND (b IN ($2, $10))"
        );
    }

    #[test]
    fn sums_are_whole_numbers() {
        for (octets, number) in [
            (&[0, 0, 0, 0, 0, 0, 0, 0][..], 0),
            (&[0, 1, 0, 0, 0, 0, 0, 0, 0, 7], 7),
            (&[0, 1, 0, 1, 0, 0, 0, 0, 0, 3], 30_000),
            (&[0, 2, 0, 1, 0x40, 0, 0, 0, 0, 1, 0, 2], -10_002),
        ] {
            assert_eq!(whole(octets), Some(number), "{octets:?}");
        }
    }
}
