//! State that the relay stores to restore after a restart: MTA-STS policies, known sources of accounts, and
//! connection limits of upstreams. It can all be learned again, so nothing waits when the store is
//! unavailable.

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

/// Interval at which new state is stored.
const EVERY: Duration = Duration::from_mins(1);
/// How long an upstream's connection limit is remembered. It also rises by itself.
const LIMITS_KEPT: Duration = Duration::from_hours(7 * 24);

/// The MTA-STS policies that are still valid.
pub(super) async fn policies(store: &dyn Store, now: Timestamp) -> Result<Vec<KnownPolicy>, StartError> {
    let known = store.remembered(MemoryKind::StsPolicy, now).await?;
    let policy = |known: Memory| KnownPolicy { domain: known.name, text: known.value, until: known.until };
    Ok(known.into_iter().map(policy).collect())
}

/// Stores MTA-STS policies.
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
            tracing::warn!(%error, "an MTA-STS policy could not be stored");
        }
    }
}

/// The known sources; rows that cannot be read are skipped.
pub(super) async fn sources(store: &dyn Store, now: Timestamp) -> Result<Vec<KnownSource>, StartError> {
    let known = store.remembered(MemoryKind::KnownSource, now).await?;
    let source = |known: Memory| {
        let (network, account) = known.name.split_once(' ')?;
        let last = known.value.parse().ok().map(Timestamp)?;
        Some(KnownSource { account: account.to_owned(), network: network.parse().ok()?, last })
    };
    Ok(known.into_iter().filter_map(source).collect())
}

/// Stores the sources that are new.
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
        tracing::warn!(%error, "the known sources of accounts could not be stored");
    }
}

/// The connection limits that were found for upstreams.
pub(super) async fn limits(store: &dyn Store, now: Timestamp) -> Result<BTreeMap<String, usize>, StartError> {
    let known = store.remembered(MemoryKind::SessionsLimit, now).await?;
    Ok(known.into_iter().filter_map(|known| Some((known.name, known.value.parse().ok()?))).collect())
}

/// Stores connection limits that changed.
async fn save_limits(tally: &Tally, store: &dyn Store, now: Timestamp) {
    let fresh = tally.fresh_limits();
    if fresh.is_empty() {
        return;
    }
    let until = now.plus(LIMITS_KEPT);
    let memory = |(name, most): (String, usize)| Memory { name, value: most.to_string(), until };
    let all = fresh.into_iter().map(memory).collect();
    if let Err(error) = store.remember(MemoryKind::SessionsLimit, all, now).await {
        tracing::warn!(%error, "the connection limits of upstreams could not be stored");
    }
}

/// State that is found while the relay runs.
pub(super) struct Found {
    pub(super) guesses: Arc<Guesses>,
    pub(super) tally: Tally,
}

impl Found {
    /// Stores what is new.
    pub(super) async fn save(&self, store: &dyn Store, now: Timestamp) {
        save_sources(&self.guesses, store, now).await;
        save_limits(&self.tally, store, now).await;
    }
}

/// Stores what is new at intervals, until the task is stopped.
pub(super) async fn keep(found: Found, store: Arc<dyn Store>, clock: Arc<dyn Clock>) {
    loop {
        tokio::time::sleep(EVERY).await;
        found.save(store.as_ref(), clock.now()).await;
        // Somebody may have signed in at another relay.
        if store.is_shared()
            && let Ok(known) = sources(store.as_ref(), clock.now()).await
        {
            found.guesses.learn(known);
        }
    }
}
