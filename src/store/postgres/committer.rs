//! Commits groups of requests to PostgreSQL; the writers of all nodes take turns.
//!
//! A group begins by taking the writers' lock, which ends with its transaction, however that ends: if a node stops in
//! the middle, the server ends its transaction. So each group sees everything that was committed, and nobody writes
//! between its reads and its writes.

use crate::store::StoreError;
use crate::store::sql::chain::{self, Ours};
use crate::store::sql::db::Connection;
use crate::store::sql::error::{Error, Failure, classify};
use crate::store::sql::health::Health;
use crate::store::sql::readers::Connect;
use crate::store::sql::reconnect::Reconnect;
use crate::store::sql::repeats::Repeats;
use crate::store::sql::writer::{GROUP_REQUESTS, Job, Requests, answer};
use aws_lc_rs::hmac;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the writer sleeps if there are no requests.
const IDLE: Duration = Duration::from_secs(10);
/// After how long without use a connection is tested.
const STALE: Duration = Duration::from_secs(1);

/// The writer.
pub(super) struct Committer {
    connection: Option<Connection>,
    reconnect: Reconnect,
    /// When the connection last answered.
    asked: Instant,
    requests: Requests,
    health: Health,
    key: hmac::Key,
    ours: Ours,
    repeats: Arc<Mutex<Repeats>>,
}

/// Why a group was not committed.
enum Ended {
    /// Nothing of it is in the database.
    Not(Failure),
    /// The connection was lost before the server confirmed the commit.
    Unknown(String),
}

impl<E: Into<Failure>> From<E> for Ended {
    fn from(error: E) -> Self {
        Self::Not(error.into())
    }
}

impl Committer {
    pub(super) fn new(
        connection: Connection,
        connect: Connect,
        requests: Requests,
        health: Health,
        key: hmac::Key,
        ours: Ours,
        repeats: Arc<Mutex<Repeats>>,
    ) -> Self {
        let (connection, asked, reconnect) = (Some(connection), Instant::now(), Reconnect::new(connect));
        Self { connection, reconnect, asked, requests, health, key, ours, repeats }
    }

    /// Runs until there can be no more requests.
    pub(super) fn run(mut self) {
        loop {
            match self.requests.first(IDLE) {
                Ok(first) => self.commit(first),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Commits a request together with those that arrive meanwhile.
    fn commit(&mut self, first: Box<dyn Job>) {
        let mut group = vec![first];
        match self.transact(&mut group, GROUP_REQUESTS) {
            Ok(()) => answer(group, None),
            Err(why)
                if group.len() == 1
                    || matches!(why, StoreError::Uncertain(_))
                    || self.connection.is_none() =>
            {
                answer(group, Some(&why));
            }
            Err(_) => {
                for job in group {
                    let mut alone = vec![job];
                    let failed = self.transact(&mut alone, 1).err();
                    answer(alone, failed.as_ref());
                }
            }
        }
    }

    /// Runs a group in one transaction; it grows to at most `most` requests.
    fn transact(&mut self, group: &mut Vec<Box<dyn Job>>, most: usize) -> Result<(), StoreError> {
        self.health.check()?;
        let connection = self.connected()?;
        let ended = self.try_transact(&connection, group, most);
        self.asked = Instant::now();
        let error = match ended {
            Ok((took, ours)) => {
                self.requests.flushed(took);
                self.ours = ours;
                self.connection = Some(connection);
                return Ok(());
            }
            Err(Ended::Unknown(why)) => return Err(StoreError::Uncertain(why)),
            Err(Ended::Not(failure)) => failure.named(),
        };
        // Statements that were sent ahead may fail once more. Either way the transaction is over, or the connection
        // is.
        let _ = connection.settle();
        if !connection.is_over() && connection.control("ROLLBACK").and_then(|()| connection.settle()).is_ok()
        {
            self.connection = Some(connection);
        } else {
            tracing::warn!(%error, "the connection to the database is lost");
        }
        self.health.note(&error);
        Err(error)
    }

    /// The connection, or a new one. A connection that was idle is tested first.
    fn connected(&mut self) -> Result<Connection, StoreError> {
        if let Some(connection) = self.connection.take() {
            let stands = self.asked.elapsed() < STALE
                || connection.control("SELECT 1").and_then(|()| connection.settle()).is_ok();
            if stands && !connection.is_over() {
                return Ok(connection);
            }
        }
        self.reconnect.connection()
    }

    /// Returns how long the commit took, and the new end of the chain.
    fn try_transact(
        &self,
        connection: &Connection,
        group: &mut Vec<Box<dyn Job>>,
        most: usize,
    ) -> Result<(Duration, Ours), Ended> {
        connection.control("BEGIN")?;
        connection.control(super::WRITERS_LOCK)?;
        let ours = self.ours.adopt(connection, &self.key)?.map_err(|why| {
            tracing::error!(%why, "the journal was changed by somebody else");
            self.health.stop(&why);
            StoreError::Unavailable(why)
        })?;
        if ours != self.ours {
            self.repeats().catch_up(connection)?;
        }
        self.requests.run(connection, group, most)?;
        let ours = chain::link(connection, &self.key, &ours)?;
        // No statement is pending now, so a later failure is that of the commit.
        connection.settle()?;
        let began = Instant::now();
        if let Err(error) = connection.commit() {
            return Err(match &error {
                Error::Postgres(said) if said.as_db_error().is_some() && !connection.is_over() => {
                    error.into()
                }
                _ => Ended::Unknown(classify(&error).to_string()),
            });
        }
        self.repeats().committed();
        Ok((began.elapsed(), ours))
    }

    fn repeats(&self) -> std::sync::MutexGuard<'_, Repeats> {
        self.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
