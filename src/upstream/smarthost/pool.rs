//! The pool of idle connections.

use super::connection::Connection;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// Idle connections. The most recently used one is taken first.
pub(super) struct Pool {
    idle: Mutex<Idle>,
    /// How long an idle connection is kept.
    keep: Duration,
    /// Timeout of QUIT.
    farewell: Duration,
}

#[derive(Default)]
struct Idle {
    waiting: Vec<(Connection, Instant)>,
    /// Whether a task is running that closes expired connections.
    watched: bool,
    closed: bool,
}

impl Pool {
    pub(super) fn new(keep: Duration, farewell: Duration) -> Arc<Self> {
        Arc::new(Self { idle: Mutex::default(), keep, farewell })
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        // no code that can panic runs while it is held
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection that has not expired.
    pub(super) fn take(&self) -> Option<Connection> {
        let (connection, since) = self.lock().waiting.pop()?;
        // if the most recent one has expired, so have all others; the task closes them
        (since.elapsed() < self.keep).then_some(connection)
    }

    /// Adds an idle connection.
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

    /// Removes expired connections. Also returns when the next one expires, `None` if none is left.
    fn expire(&self) -> (Vec<Connection>, Option<Instant>) {
        let mut idle = self.lock();
        let now = Instant::now();
        let fresh = idle.waiting.partition_point(|(_, since)| now.duration_since(*since) >= self.keep);
        let old = idle.waiting.drain(..fresh).map(|(connection, _)| connection).collect();
        let next = idle.waiting.first().map(|(_, since)| *since + self.keep);
        idle.watched = next.is_some();
        (old, next)
    }

    /// Closes all idle connections. Connections added later are closed at once.
    pub(super) async fn close(&self) {
        let waiting = {
            let mut idle = self.lock();
            idle.closed = true;
            std::mem::take(&mut idle.waiting)
        };
        leave(waiting.into_iter().map(|(connection, _)| connection).collect(), self.farewell).await;
    }
}

/// Closes connections as they expire. Ends when none is left or the pool is dropped.
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
