//! Connections that read: one pool for the mail path and one for people's queries. Neither waits for the
//! writer.

use super::db::{Connection, Dialect};
use super::error::Failure;
use super::health::Health;
use super::reconnect::Reconnect;
use crate::store::StoreError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// A connection to a server that has been idle for this long is checked before it is used.
const IDLE: Duration = Duration::from_secs(1);
/// A connection that ends says so sooner than this. If that takes longer, the server does not answer, and the other
/// connections are lost, too.
const SILENT: Duration = Duration::from_secs(5);

/// Makes a read-only connection.
pub(in crate::store) type Connect = Arc<dyn Fn() -> Result<Connection, StoreError> + Send + Sync>;

/// A pool of connections. There are two, so that people's searches never delay mail.
#[derive(Clone)]
pub(in crate::store) struct Readers {
    reconnect: Arc<Reconnect>,
    idle: Arc<Mutex<Vec<(Connection, Instant)>>>,
    places: Arc<Semaphore>,
    health: Health,
    /// Whether work is committed.
    commits: bool,
}

impl Readers {
    /// A pool of at most `most` connections, `now` of which are opened now.
    pub(in crate::store) fn open(
        most: usize,
        now: usize,
        reconnect: Reconnect,
        health: Health,
    ) -> Result<Self, StoreError> {
        let connections = (0..now)
            .map(|_| reconnect.patiently().map(|one| (one, Instant::now())))
            .collect::<Result<Vec<_>, _>>()?;
        let (idle, places) = (Arc::new(Mutex::new(connections)), Arc::new(Semaphore::new(most)));
        Ok(Self { reconnect: Arc::new(reconnect), idle, places, health, commits: false })
    }

    /// A pool of connections that write: each piece of work is committed.
    pub(in crate::store) fn committing(
        most: usize,
        reconnect: Reconnect,
        health: Health,
    ) -> Result<Self, StoreError> {
        Ok(Self { commits: true, ..Self::open(most, 0, reconnect, health)? })
    }

    /// Runs `work` on a connection, off the async threads, in one snapshot of the database.
    pub(in crate::store) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        self.run(work, true).await
    }

    /// The same for work that is one statement, which sees one snapshot without a transaction.
    pub(in crate::store) async fn read_one<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        self.run(work, false).await
    }

    async fn run<T, F>(&self, work: F, snapshot: bool) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        let gone = |why: &dyn std::fmt::Display| StoreError::Unavailable(format!("cannot read: {why}"));
        let place = self.places.clone().acquire_owned().await.map_err(|error| gone(&error))?;
        let pool = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _place = place;
            let connection = pool.begin(snapshot)?;
            let began = Instant::now();
            let result = work(&connection).map_err(Failure::named);
            let ended = if !snapshot {
                connection.settle()
            } else if pool.commits {
                connection.commit()
            } else {
                connection.control("ROLLBACK").and_then(|()| connection.settle())
            };
            if let Err(error) = &result {
                pool.health.note(error);
            }
            let is_ended = ended.is_ok();
            let result = match ended {
                Err(error) if pool.commits && result.is_ok() => Err(Failure::from(error).named()),
                _ => result,
            };
            // A connection whose transaction cannot be ended is discarded.
            if is_ended && !connection.is_over() {
                pool.give_back(connection);
            } else {
                pool.lost(began);
            }
            result
        });
        task.await.map_err(|error| gone(&error))?
    }

    /// An idle connection or a new one, with its snapshot begun.
    fn begin(&self, snapshot: bool) -> Result<Connection, StoreError> {
        loop {
            let taken = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some((connection, since)) = taken else {
                let connection = self.reconnect.connection()?;
                return match self.begins(&connection, snapshot, false) {
                    Ok(()) => Ok(connection),
                    Err(failure) => Err(failure.named()),
                };
            };
            let asked = Instant::now();
            match self.begins(&connection, snapshot, since.elapsed() > IDLE) {
                Ok(()) => return Ok(connection),
                Err(_) if connection.is_over() => self.lost(asked),
                Err(failure) => return Err(failure.named()),
            }
        }
    }

    /// A connection was lost, while its answer was waited for since then.
    fn lost(&self, since: Instant) {
        if since.elapsed() > SILENT {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    fn give_back(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push((connection, Instant::now()));
    }

    fn begins(&self, connection: &Connection, snapshot: bool, ask: bool) -> Result<(), Failure> {
        let is_server = connection.dialect() == Dialect::Postgres;
        if snapshot && is_server && !self.commits {
            connection.control("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        } else if snapshot {
            connection.control("BEGIN")?;
        } else if ask && is_server {
            connection.control("SELECT 1")?;
        }
        if ask {
            connection.settle()?;
        }
        Ok(())
    }
}
