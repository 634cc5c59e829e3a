//! Reading connections: a pool for the mail path, and one for what people ask. Neither waits for the writer.

use super::db::{Connection, Dialect};
use super::error::Failure;
use super::health::Health;
use crate::store::StoreError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// A connection to a server that was idle for so long is asked whether it still stands.
const IDLE: Duration = Duration::from_secs(1);

/// Makes a connection that only reads.
pub(in crate::store) type Connect = Arc<dyn Fn() -> Result<Connection, StoreError> + Send + Sync>;

/// A pool. There are two, so that people's searches never keep mail waiting.
#[derive(Clone)]
pub(in crate::store) struct Readers {
    connect: Connect,
    idle: Arc<Mutex<Vec<(Connection, Instant)>>>,
    places: Arc<Semaphore>,
    health: Health,
    /// What is done is committed.
    commits: bool,
}

impl Readers {
    /// A pool of at most so many connections, some of which are made now.
    pub(in crate::store) fn open(
        most: usize,
        now: usize,
        connect: Connect,
        health: Health,
    ) -> Result<Self, StoreError> {
        let connections =
            (0..now).map(|_| connect().map(|one| (one, Instant::now()))).collect::<Result<Vec<_>, _>>()?;
        let (idle, places) = (Arc::new(Mutex::new(connections)), Arc::new(Semaphore::new(most)));
        Ok(Self { connect, idle, places, health, commits: false })
    }

    /// A pool whose connections write: what is done on one is committed.
    pub(in crate::store) fn committing(
        most: usize,
        connect: Connect,
        health: Health,
    ) -> Result<Self, StoreError> {
        Ok(Self { commits: true, ..Self::open(most, 0, connect, health)? })
    }

    /// Runs `work` on a connection, off the async threads, in one snapshot of the database.
    pub(in crate::store) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        let gone = |why: &dyn std::fmt::Display| StoreError::Unavailable(format!("cannot read: {why}"));
        let place = self.places.clone().acquire_owned().await.map_err(|error| gone(&error))?;
        let pool = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _place = place;
            let connection = pool.begin()?;
            let result = work(&connection).map_err(Failure::named);
            let end = if pool.commits { "COMMIT" } else { "ROLLBACK" };
            let ended = connection.control(end).and_then(|()| connection.settle());
            if let Err(error) = &result {
                pool.health.note(error);
            }
            let is_ended = ended.is_ok();
            let result = match ended {
                Err(error) if pool.commits && result.is_ok() => Err(Failure::from(error).named()),
                _ => result,
            };
            // One whose transaction cannot be ended is of no use to anybody.
            if is_ended && !connection.is_over() {
                pool.give_back(connection);
            }
            result
        });
        task.await.map_err(|error| gone(&error))?
    }

    /// A connection with its snapshot: an idle one, or a new one.
    fn begin(&self) -> Result<Connection, StoreError> {
        loop {
            let taken = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some((connection, since)) = taken else {
                let connection = (self.connect)()?;
                return match self.begins(&connection, false) {
                    Ok(()) => Ok(connection),
                    Err(failure) => Err(failure.named()),
                };
            };
            match self.begins(&connection, since.elapsed() > IDLE) {
                Ok(()) => return Ok(connection),
                Err(_) if connection.is_over() => {}
                Err(failure) => return Err(failure.named()),
            }
        }
    }

    fn give_back(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push((connection, Instant::now()));
    }

    fn begins(&self, connection: &Connection, ask: bool) -> Result<(), Failure> {
        connection.control(match connection.dialect() {
            Dialect::Postgres if !self.commits => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            _ => "BEGIN",
        })?;
        if ask {
            connection.settle()?;
        }
        Ok(())
    }
}
