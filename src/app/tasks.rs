//! The tasks of a running relay, and what happens if one ends unexpectedly.

use super::shared::Shared;
use crate::clock::Clock;
use crate::desk::Desk;
use crate::listener::Tally;
use crate::message::Address;
use crate::notice::Postman;
use crate::store::memory::{Memory, MemoryKind};
use crate::store::{Retention, StoreError};
use crate::tls::{Server, acme};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Interval of the purge.
const PURGE_EVERY: Duration = Duration::from_hours(1);

/// Shortest time between mails with the journal's head: a little less than the purge interval, which is not
/// exact.
const MAIL_EVERY: Duration = Duration::from_mins(59);

/// What other nodes say is passed on at most once in this time.
const BETWEEN: Duration = Duration::from_millis(20);

/// Interval at which the current time is stored.
const TIME_EVERY: Duration = Duration::from_secs(20);

/// All tasks.
pub(super) struct Tasks {
    listeners: JoinSet<()>,
    background: Vec<(&'static str, JoinHandle<()>)>,
    failure: watch::Sender<Option<String>>,
}

impl Default for Tasks {
    fn default() -> Self {
        Self { listeners: JoinSet::new(), background: Vec::new(), failure: watch::Sender::new(None) }
    }
}

impl Tasks {
    /// Runs a listener. It may only end when the relay drains.
    pub(super) fn listener(
        &mut self,
        address: SocketAddr,
        draining: Arc<AtomicBool>,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let failure = self.failure.clone();
        self.listeners.spawn(async move {
            let work = tokio::spawn(work);
            let guard = AbortOnDrop(work.abort_handle());
            let ended = work.await;
            drop(guard);
            let why = match ended {
                Ok(()) if draining.load(Ordering::Relaxed) => return,
                Ok(()) => format!("the listener on {address} ended unexpectedly"),
                Err(error) => format!("the listener on {address} failed: {error}"),
            };
            failure.send_replace(Some(why));
        });
    }

    /// The reason why the relay has to stop, once a task has died.
    pub(super) fn failure(&self) -> watch::Receiver<Option<String>> {
        self.failure.subscribe()
    }

    /// Runs a task that must never end. If it does, the relay stops with an error.
    pub(super) fn background(&mut self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let failure = self.failure.clone();
        let task = tokio::spawn(async move {
            let work = tokio::spawn(work);
            let guard = AbortOnDrop(work.abort_handle());
            let why = match work.await {
                Ok(()) => format!("a task of the relay ended unexpectedly: {name}"),
                Err(error) => format!("a task of the relay failed: {name}: {error}"),
            };
            drop(guard);
            failure.send_replace(Some(why));
        });
        self.background.push((name, task));
    }

    /// Waits for the first task that ended unexpectedly.
    pub(super) async fn failed(&self) -> String {
        let mut failure = self.failure.subscribe();
        match failure.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            // the sender lives as long as `self`
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits until every listener has ended.
    pub(super) async fn listeners_end(&mut self) {
        while let Some(ended) = self.listeners.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a listener ended with an error");
            }
        }
    }

    /// Stops one task.
    pub(super) async fn stop(&mut self, name: &str) {
        let (stopped, kept) = std::mem::take(&mut self.background).into_iter().partition(|(n, _)| *n == name);
        self.background = kept;
        end(stopped).await;
    }

    /// Stops the remaining tasks.
    pub(super) async fn stop_all(&mut self) {
        end(std::mem::take(&mut self.background)).await;
    }
}

async fn end(tasks: Vec<(&'static str, JoinHandle<()>)>) {
    for (_, task) in tasks {
        task.abort();
        // it was cancelled just now
        let _ = task.await;
    }
}

/// Aborts the inner task when dropped.
struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Logs the head of the journal's chain. Kept elsewhere, it proves later that no earlier entry was changed.
pub(super) async fn log_head(desk: &Desk) {
    match desk.store.chain_head().await {
        Ok(head) => tracing::info!(%head, "journal head"),
        Err(error) => tracing::warn!(%error, "the journal's head cannot be read"),
    }
}

/// Stores the current time at intervals, until the task is stopped: after a restart it tells how long the
/// relay was down.
pub(super) async fn time(desk: Desk) {
    loop {
        match desk.store.apart().await {
            Ok(ahead) => desk.clock.agree(ahead),
            Err(error) => tracing::debug!(%error, "the database's clock cannot be read"),
        }
        if let Err(error) = desk.store.note_time(desk.clock.now(), desk.clock.wall()).await {
            tracing::warn!(%error, "the current time could not be stored");
        }
        tokio::time::sleep(TIME_EVERY).await;
    }
}

/// Who gets the head of the journal's chain by mail.
pub(super) struct Heads {
    pub(super) to: Option<Address>,
    pub(super) postman: Arc<Postman>,
}

impl Heads {
    /// Mails it unless that was done within the last hour, so that a relay that restarts often sends no more
    /// mails than one that runs.
    async fn mail(&self, desk: &Desk) {
        let Some(to) = &self.to else { return };
        let now = desk.clock.now();
        let mailed = async {
            if !desk.store.remembered(MemoryKind::MailedHead, now).await?.is_empty() {
                return Ok(());
            }
            let head = desk.store.chain_head().await?;
            if head.entries == 0 {
                return Ok(());
            }
            self.postman.mail_head(&head, to).await?;
            let known =
                Memory { name: "head".to_owned(), value: head.to_string(), until: now.plus(MAIL_EVERY) };
            desk.store.remember(MemoryKind::MailedHead, vec![known], now).await
        };
        if let Err::<(), StoreError>(error) = mailed.await {
            tracing::warn!(%error, "the journal's head could not be mailed");
        }
    }
}

/// Purges what has passed its retention, at intervals until the task is stopped; also logs and mails the
/// journal's head.
pub(super) async fn purge(desk: Desk, keep: Retention, heads: Heads) {
    loop {
        log_head(&desk).await;
        heads.mail(&desk).await;
        tokio::time::sleep(PURGE_EVERY).await;
        match desk.store.purge(desk.clock.now(), keep).await {
            Ok(purged) => tracing::info!(?purged, "purged what has passed its retention"),
            Err(error) => tracing::warn!(%error, "the purge failed"),
        }
    }
}

/// Orders certificates by ACME as configured, until the task is stopped; uses the new settings after a
/// reload.
pub(super) async fn acme(
    mut wanted: watch::Receiver<Option<acme::Settings>>,
    server: Server,
    clock: Arc<dyn Clock>,
    shared: Option<Arc<Shared>>,
    tally: Tally,
) {
    loop {
        let settings = wanted.borrow_and_update().clone();
        let told = tally.clone();
        let renewing = async {
            match settings {
                Some(settings) => {
                    let shared = shared.clone().map(|shared| shared as Arc<dyn acme::Shared>);
                    let (server, clock) = (server.clone(), Arc::clone(&clock));
                    acme::renew(settings, server, clock, shared, move |ok| told.order(ok)).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = renewing => {}
            changed = wanted.changed() => {
                if changed.is_err() {
                    // the relay is stopping, so there will be no other settings
                    std::future::pending::<()>().await;
                }
            }
        }
    }
}

/// Wakes the courier and the notices when another node has stored something that may be due. Without this they
/// poll every few seconds.
pub(super) async fn others(desk: Desk) {
    if let Some(mut heard) = desk.store.heard() {
        while heard.changed().await.is_ok() {
            if let Some(courier) = &desk.courier {
                courier.wake();
            }
            if let Some(bell) = &desk.bell {
                bell.notify_one();
            }
            tokio::time::sleep(BETWEEN).await;
        }
    }
    std::future::pending::<()>().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn told(tasks: &Tasks) -> Option<String> {
        tokio::time::timeout(Duration::from_millis(200), tasks.failed()).await.ok()
    }

    #[tokio::test]
    async fn every_part_that_ends_is_seen() {
        let address = SocketAddr::from(([127, 0, 0, 1], 25));
        let draining = Arc::new(AtomicBool::new(false));
        let flag = || Arc::clone(&draining);
        for panics in [false, true] {
            let work = move || async move { assert!(!panics, "as the test says") };
            let mut tasks = Tasks::default();
            tasks.listener(address, flag(), work());
            assert!(told(&tasks).await.unwrap().contains("the listener on 127.0.0.1:25"));
            let mut tasks = Tasks::default();
            tasks.background("http", work());
            assert!(told(&tasks).await.unwrap().contains("http"));
            assert!(tasks.failure().borrow().is_some());
        }
        draining.store(true, Ordering::Relaxed);
        let mut tasks = Tasks::default();
        tasks.listener(address, flag(), async {});
        tasks.background("control", std::future::pending());
        assert_eq!(told(&tasks).await, None, "a listener that drained");
        tasks.stop("control").await;
        tasks.listeners_end().await;
        assert_eq!(told(&tasks).await, None, "what was stopped");
    }
}
