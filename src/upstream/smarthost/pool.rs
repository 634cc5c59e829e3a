//! Connections that wait for their next transaction.

use super::connection::Connection;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// Idle connections, the freshest taken first.
pub(super) struct Pool {
    idle: Mutex<Idle>,
    /// How long an unused connection is kept.
    keep: Duration,
    /// How long the answer to QUIT is waited for.
    farewell: Duration,
}

#[derive(Default)]
struct Idle {
    waiting: Vec<(Connection, Instant)>,
    /// A task looks after those that wait too long.
    watched: bool,
    closed: bool,
}

impl Pool {
    pub(super) fn new(keep: Duration, farewell: Duration) -> Arc<Self> {
        Arc::new(Self { idle: Mutex::default(), keep, farewell })
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        // nothing can panic while it is held
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that was not idle for too long.
    pub(super) fn take(&self) -> Option<Connection> {
        let (connection, since) = self.lock().waiting.pop()?;
        // the freshest is too old: so are all others, and the watch takes leave of them
        (since.elapsed() < self.keep).then_some(connection)
    }

    /// Keeps a connection for the next transaction.
    pub(super) fn put(self: &Arc<Self>, connection: Connection) {
        let mut idle = self.lock();
        if idle.closed {
            drop(idle);
            tokio::spawn(connection.quit(self.farewell));
            return;
        }
        idle.waiting.push((connection, Instant::now()));
        if !idle.watched {
            idle.watched = true;
            tokio::spawn(watch(Arc::downgrade(self), self.keep));
        }
    }

    /// Takes out those that waited too long; when the next will have, or `None` when none is left.
    fn expire(&self) -> (Vec<Connection>, Option<Instant>) {
        let mut idle = self.lock();
        let now = Instant::now();
        let fresh = idle.waiting.partition_point(|(_, since)| now.duration_since(*since) >= self.keep);
        let old = idle.waiting.drain(..fresh).map(|(connection, _)| connection).collect();
        let next = idle.waiting.first().map(|(_, since)| *since + self.keep);
        idle.watched = next.is_some();
        (old, next)
    }

    /// Closes all that wait, and keeps none from now on.
    pub(super) async fn close(&self) {
        let waiting = {
            let mut idle = self.lock();
            idle.closed = true;
            std::mem::take(&mut idle.waiting)
        };
        leave(waiting.into_iter().map(|(connection, _)| connection).collect(), self.farewell).await;
    }
}

/// Takes leave of connections as they grow old; ends with the last of them, or with the pool.
async fn watch(pool: Weak<Pool>, keep: Duration) {
    let mut next = Instant::now() + keep;
    loop {
        tokio::time::sleep_until(next).await;
        let Some(pool) = pool.upgrade() else { return };
        let (old, due) = pool.expire();
        leave(old, pool.farewell).await;
        let Some(due) = due else { return };
        next = due;
    }
}

async fn leave(connections: Vec<Connection>, farewell: Duration) {
    let mut goodbyes = tokio::task::JoinSet::new();
    for connection in connections {
        goodbyes.spawn(connection.quit(farewell));
    }
    goodbyes.join_all().await;
}
