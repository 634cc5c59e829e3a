//! Reading connections: a pool for the mail path, and one for what people ask. Neither waits for the writer.

use super::error::{Failure, classify};
use super::health::Health;
use super::open;
use crate::store::StoreError;
use rusqlite::Connection;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// How many read at once in each pool.
const CONNECTIONS: usize = 3;

/// A pool. There are two, so that people's searches never keep mail waiting.
#[derive(Clone)]
pub(super) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    places: Arc<Semaphore>,
    health: Health,
}

impl Readers {
    pub(super) fn open(path: &Path, health: Health) -> Result<Self, StoreError> {
        let connections = (0..CONNECTIONS).map(|_| open::reader(path)).collect::<Result<Vec<_>, _>>()?;
        let (idle, places) = (Arc::new(Mutex::new(connections)), Arc::new(Semaphore::new(CONNECTIONS)));
        Ok(Self { idle, places, health })
    }

    /// Runs `work` on a connection, off the async threads, in one snapshot of the database.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        let gone = |why: &dyn std::fmt::Display| StoreError::Unavailable(format!("cannot read: {why}"));
        let health = self.health.clone();
        let place = self.places.clone().acquire_owned().await.map_err(|error| gone(&error))?;
        let idle = self.idle.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _place = place;
            let taken = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = taken.ok_or_else(|| gone(&"a reader was lost"))?;
            let result = snapshot(&connection, work);
            if let Err(error) = &result {
                health.note(error);
            }
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            result
        });
        task.await.map_err(|error| StoreError::Unavailable(format!("cannot read: {error}")))?
    }
}

fn snapshot<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, Failure>,
) -> Result<T, StoreError> {
    let result =
        connection.unchecked_transaction().map_err(Failure::from).and_then(|transaction| work(&transaction));
    result.map_err(|failure| match failure {
        Failure::Refused(why) => why,
        Failure::Sql(error) => classify(&error),
    })
}
