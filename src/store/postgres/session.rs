//! One connection to PostgreSQL, used by one thread at a time.
//!
//! It has a runtime of its own and is driven only while its thread waits for an answer. Statements whose answers
//! nobody needs are sent ahead of the next one whose answer is needed ([`Session::put`], [`Session::control`]): ten
//! statements, of which two need an answer, take two round trips. The first error of those that were sent ahead is
//! returned with the next answer. In a quick group (see [`draft`](super::draft)) rows of the same statement are
//! collected, and go as one.

use super::draft::{self, Draft, Rows};
use super::values::{of_value, translated};
use crate::clock::Clock;
use crate::store::sql::db::{Owned, ToValue, Value};
use crate::store::sql::error::Error;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio_postgres::error::Severity;
use tokio_postgres::types::{ToSql, Type};
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

type Sent = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// A connection.
pub(in crate::store) struct Session {
    /// Shut down without waiting when the session is dropped.
    runtime: Option<Runtime>,
    client: Arc<Client>,
    statements: RefCell<HashMap<String, Statement>>,
    sent: RefCell<VecDeque<Sent>>,
    /// Whether one of those must turn out to have written as many rows as was assumed.
    assumed: Cell<bool>,
    pub(in crate::store) draft: Draft,
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
            assumed: Cell::new(false),
            draft: Draft::default(),
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
        self.wait(async { Ok(self.client.batch_execute(sql).await?) })
    }

    pub(in crate::store) fn control(&self, sql: &'static str) -> Result<(), Error> {
        self.send_rows()?;
        let client = Arc::clone(&self.client);
        self.send(Box::pin(async move { Ok(client.batch_execute(sql).await?) }));
        Ok(())
    }

    pub(in crate::store) fn put(&self, sql: &str, values: &[Value<'_>]) -> Result<(), Error> {
        self.draft.writes();
        self.send_rows()?;
        self.send_one(sql, values.iter().map(|value| Owned::of(*value)).collect(), None)
    }

    /// Writes without waiting; in a quick group, together with other rows of the same statement, and after those of
    /// the statements that were used this way before it.
    pub(in crate::store) fn put_row(&self, sql: &str, values: &[Value<'_>]) -> Result<(), Error> {
        if !self.draft.is_quick() {
            return self.put(sql, values);
        }
        self.draft.add(sql, values, false);
        Ok(())
    }

    /// The same, for a statement that writes one row if that is as it should be. Returns whether it was, which a
    /// quick group assumes.
    pub(in crate::store) fn write_one(&self, sql: &str, values: &[Value<'_>]) -> Result<bool, Error> {
        if !self.draft.is_quick() {
            return Ok(self.execute(sql, values)? == 1);
        }
        self.draft.add(sql, values, true);
        Ok(true)
    }

    /// Sends a query ahead that is assumed to find one row.
    pub(in crate::store) fn assume_one(&self, sql: &str, values: &[Value<'_>]) -> Result<(), Error> {
        self.send_rows()?;
        self.send_one(sql, values.iter().map(|value| Owned::of(*value)).collect(), Some(1))
    }

    /// Sends the rows that were collected.
    fn send_rows(&self) -> Result<(), Error> {
        for Rows { sql, values: mut rows, one_each } in self.draft.take() {
            let expected = one_each.then_some(rows.len() as u64);
            match rows.pop() {
                Some(row) if rows.is_empty() => self.send_one(&sql, row, expected)?,
                Some(row) => {
                    rows.push(row);
                    self.send_many(&sql, rows, expected)?;
                }
                None => {}
            }
        }
        Ok(())
    }

    fn send_one(&self, sql: &str, values: Vec<Owned>, expected: Option<u64>) -> Result<(), Error> {
        self.not_too_far_ahead()?;
        let borrowed: Vec<Value<'_>> = values.iter().map(ToValue::value).collect();
        let statement = self.statement(sql, &borrowed)?;
        #[cfg(test)]
        super::before_tests::note(sql, &borrowed, expected);
        let client = Arc::clone(&self.client);
        self.assumed.set(self.assumed.get() || expected.is_some());
        self.send(Box::pin(
            async move { as_expected(client.execute_raw(&statement, values).await?, expected) },
        ));
        Ok(())
    }

    fn send_many(&self, sql: &str, mut rows: Vec<Vec<Owned>>, expected: Option<u64>) -> Result<(), Error> {
        self.not_too_far_ahead()?;
        let (text, columns) = draft::many(&translated(sql), &rows);
        let statement =
            self.prepared(&text, &text, || columns.iter().map(|column| column.array.clone()).collect())?;
        #[cfg(test)]
        for row in &rows {
            let row: Vec<Value<'_>> = row.iter().map(ToValue::value).collect();
            super::before_tests::note(sql, &row, expected.map(|_| 1));
        }
        let client = Arc::clone(&self.client);
        let params: Vec<draft::Array> = columns.iter().map(|column| column.take(&mut rows)).collect();
        self.assumed.set(self.assumed.get() || expected.is_some());
        self.send(Box::pin(
            async move { as_expected(client.execute_raw(&statement, params).await?, expected) },
        ));
        Ok(())
    }

    fn not_too_far_ahead(&self) -> Result<(), Error> {
        if self.sent.borrow().len() >= AHEAD { self.wait_for_sent() } else { Ok(()) }
    }

    pub(in crate::store) fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<usize, Error> {
        self.draft.writes();
        self.send_rows()?;
        let statement = self.statement(sql, values)?;
        let written = self.ask(self.client.execute_raw(&statement, values.iter().copied()))?;
        #[cfg(test)]
        super::before_tests::note(sql, values, Some(written));
        Ok(usize::try_from(written).unwrap_or(usize::MAX))
    }

    pub(in crate::store) fn query(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, Error> {
        if !sql.starts_with("SELECT") {
            self.draft.writes();
        }
        self.send_rows()?;
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
        self.send_rows()?;
        self.wait_for_sent()
    }

    fn wait_for_sent(&self) -> Result<(), Error> {
        if self.sent.borrow().is_empty() {
            return Ok(());
        }
        self.ask(async { Ok(()) })
    }

    /// Commits, and waits until the server has confirmed it. What is still to be written is sent with the commit: if
    /// it fails, the server rolls back instead, and the error is that of what failed.
    ///
    /// If an administrator cancels a commit that waits for a synchronous replica, the server reports success with a
    /// warning, though the replica may not have it (PostgreSQL 15, 27.2.8.3). So a warning counts as no answer.
    ///
    /// # Errors
    /// [`Error::Unconfirmed`] after a warning: it is not known whether what was committed will last.
    pub(in crate::store) fn commit(&self) -> Result<(), Error> {
        if self.draft.must_write() {
            self.control("SELECT pg_logical_emit_message(true, 'sekisho', '')")?;
        }
        self.send_rows()?;
        if self.assumed.get() {
            self.wait_for_sent()?;
        }
        self.warnings.last().take();
        self.control("COMMIT")?;
        self.settle()?;
        let warned = self.warnings.last().take();
        warned.map_or(Ok(()), |why| Err(Error::Unconfirmed(why)))
    }

    fn statement(&self, sql: &str, values: &[Value<'_>]) -> Result<Statement, Error> {
        if let Some(statement) = self.statements.borrow().get(sql) {
            return Ok(statement.clone());
        }
        self.prepared(sql, &translated(sql), || values.iter().map(of_value).collect())
    }

    /// The statement that was prepared under this name, or now from this text.
    fn prepared(
        &self,
        name: &str,
        text: &str,
        types: impl FnOnce() -> Vec<Type>,
    ) -> Result<Statement, Error> {
        if let Some(statement) = self.statements.borrow().get(name) {
            return Ok(statement.clone());
        }
        self.wait_for_sent()?;
        let types = types();
        #[cfg(test)]
        super::plans_tests::look(text, &types, |sql| self.answers(sql));
        let statement = self.wait(async { Ok(self.client.prepare_typed(text, &types).await?) })?;
        let mut statements = self.statements.borrow_mut();
        if statements.len() >= STATEMENTS {
            statements.clear();
        }
        statements.insert(name.to_owned(), statement.clone());
        Ok(statement)
    }

    /// The first columns of the answer to a statement.
    #[cfg(test)]
    fn answers(&self, sql: &str) -> Vec<String> {
        let said = self
            .wait(async { Ok(self.client.simple_query(sql).await?) })
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        said.iter()
            .filter_map(|one| match one {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            })
            .collect()
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
        self.assumed.set(false);
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
            match failed {
                Some(failed) => Err(failed),
                None => Ok(answer?),
            }
        })
    }

    fn wait<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let Some(runtime) = self.runtime.as_ref().filter(|_| !self.over.get()) else {
            return Err(Error::Gone("the connection to the database is gone"));
        };
        let patience = self.patience;
        match runtime.block_on(async move { tokio::time::timeout(patience, answer).await }) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                let over = matches!(&error, Error::Postgres(error) if super::error::is_over(error));
                self.over.set(self.over.get() || over);
                Err(error)
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

fn as_expected(written: u64, expected: Option<u64>) -> Result<(), Error> {
    if expected.is_none_or(|expected| expected == written) { Ok(()) } else { Err(Error::Assumed) }
}
