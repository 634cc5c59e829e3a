//! What the relay knows again after a restart: policies of MTA-STS, networks that accounts are used from, and
//! how many sessions upstreams allow. Losing it costs a detour, so that a store that is away holds nothing up.

use super::StartError;
use crate::accounts::guesses::{Guesses, KnownSource};
use crate::clock::{Clock, Timestamp};
use crate::store::Store;
use crate::store::memory::{Memory, MemoryKind};
use crate::upstream::mx::{KnownPolicy, PolicyMemory};
use crate::upstream::tally::Tally;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How often new sources are written down.
const EVERY: Duration = Duration::from_mins(1);
/// How long the number of sessions that an upstream allows is known. It grows again by itself.
const LIMITS_KEPT: Duration = Duration::from_hours(7 * 24);

/// The policies that hold.
pub(super) async fn policies(store: &dyn Store, now: Timestamp) -> Result<Vec<KnownPolicy>, StartError> {
    let known = store.remembered(MemoryKind::StsPolicy, now).await?;
    let policy = |known: Memory| KnownPolicy { domain: known.name, text: known.value, until: known.until };
    Ok(known.into_iter().map(policy).collect())
}

/// Keeps policies in the store.
pub(super) struct Keeper {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl Keeper {
    pub(super) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }
}

#[async_trait]
impl PolicyMemory for Keeper {
    async fn keep(&self, policy: KnownPolicy) {
        let known = Memory { name: policy.domain, value: policy.text, until: policy.until };
        let kept = self.store.remember(MemoryKind::StsPolicy, vec![known], self.clock.now());
        if let Err(error) = kept.await {
            tracing::warn!(%error, "a policy of MTA-STS could not be kept over a restart");
        }
    }
}

/// The sources that are known. One that cannot be read any more is known no more.
pub(super) async fn sources(store: &dyn Store, now: Timestamp) -> Result<Vec<KnownSource>, StartError> {
    let known = store.remembered(MemoryKind::KnownSource, now).await?;
    let source = |known: Memory| {
        let (network, account) = known.name.split_once(' ')?;
        let last = known.value.parse().ok().map(Timestamp)?;
        Some(KnownSource { account: account.to_owned(), network: network.parse().ok()?, last })
    };
    Ok(known.into_iter().filter_map(source).collect())
}

/// Writes down what is new among the sources.
async fn save_sources(guesses: &Guesses, store: &dyn Store, now: Timestamp) {
    let fresh = guesses.fresh();
    if fresh.is_empty() {
        return;
    }
    let memory = |source: KnownSource| Memory {
        until: source.until(),
        name: format!("{} {}", source.network, source.account),
        value: source.last.0.to_string(),
    };
    let all = fresh.into_iter().map(memory).collect();
    if let Err(error) = store.remember(MemoryKind::KnownSource, all, now).await {
        tracing::warn!(%error, "the networks that accounts are used from could not be kept over a restart");
    }
}

/// How many sessions upstreams were found to allow.
pub(super) async fn limits(store: &dyn Store, now: Timestamp) -> Result<BTreeMap<String, usize>, StartError> {
    let known = store.remembered(MemoryKind::SessionsLimit, now).await?;
    Ok(known.into_iter().filter_map(|known| Some((known.name, known.value.parse().ok()?))).collect())
}

/// Writes down how many sessions upstreams allow, as far as that is news.
async fn save_limits(tally: &Tally, store: &dyn Store, now: Timestamp) {
    let fresh = tally.fresh_limits();
    if fresh.is_empty() {
        return;
    }
    let until = now.plus(LIMITS_KEPT);
    let memory = |(name, most): (String, usize)| Memory { name, value: most.to_string(), until };
    let all = fresh.into_iter().map(memory).collect();
    if let Err(error) = store.remember(MemoryKind::SessionsLimit, all, now).await {
        tracing::warn!(%error, "how many sessions upstreams allow could not be kept over a restart");
    }
}

/// What is found out while the relay runs.
pub(super) struct Found {
    pub(super) guesses: Arc<Guesses>,
    pub(super) tally: Tally,
}

impl Found {
    /// Writes down what is new.
    pub(super) async fn save(&self, store: &dyn Store, now: Timestamp) {
        save_sources(&self.guesses, store, now).await;
        save_limits(&self.tally, store, now).await;
    }
}

/// Does so now and then, until the task is stopped.
pub(super) async fn keep(found: Found, store: Arc<dyn Store>, clock: Arc<dyn Clock>) {
    loop {
        tokio::time::sleep(EVERY).await;
        found.save(store.as_ref(), clock.now()).await;
    }
}
