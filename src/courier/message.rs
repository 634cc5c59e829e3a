//! A cache of messages, so that what the copies of one message share is read and built once.

use super::hashes::{Hashes, hash};
use crate::dkim::BodyHash;
use crate::id::Id;
use crate::message::Header;
use crate::rewrite::Needles;
use crate::store::{Body, Store, StoreError, StoredMessage};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

/// Most messages in the cache. Each has a header of up to 1 MiB; only small bodies are held in memory.
const KEPT: usize = 16;
/// How long a message stays in the cache. The limit is short because a decision at the desk can change
/// which addresses its copies are searched for.
const FRESH: Duration = Duration::from_secs(30);

/// A message with the search for its hidden addresses, built on demand.
pub(super) struct Loaded {
    pub(super) stored: Arc<StoredMessage>,
    pub(super) eight_bit: bool,
    needles: OnceLock<Needles>,
    signatures: OnceLock<usize>,
}

impl Loaded {
    pub(super) fn new(stored: Arc<StoredMessage>) -> Self {
        let eight_bit = stored.envelope.eight_bit
            || !stored.header.is_ascii()
            || matches!(&stored.body, Body::Inline(body) if !body.is_ascii());
        Self { stored, eight_bit, needles: OnceLock::new(), signatures: OnceLock::new() }
    }

    /// The search for hidden addresses.
    pub(super) fn needles(&self) -> &Needles {
        self.needles.get_or_init(|| Needles::new(self.stored.needles.as_ref().clone()))
    }

    /// How many DKIM signatures the message had when it arrived.
    pub(super) fn signatures(&self) -> usize {
        *self.signatures.get_or_init(|| {
            Header::parse(self.stored.header.clone())
                .map_or(0, |header| header.named("dkim-signature").count())
        })
    }
}

/// The most recently used messages.
#[derive(Default)]
pub(super) struct MessageCache {
    entries: Mutex<VecDeque<Entry>>,
    hashes: Mutex<Hashes>,
}

struct Entry {
    id: Id,
    since: Instant,
    cell: Arc<OnceCell<Arc<Loaded>>>,
}

impl MessageCache {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a message.
    pub(super) fn put(&self, loaded: &Arc<Loaded>) {
        let cell = OnceCell::new_with(Some(Arc::clone(loaded)));
        self.insert(loaded.stored.id, Arc::new(cell));
    }

    fn insert(&self, id: Id, cell: Arc<OnceCell<Arc<Loaded>>>) {
        let mut entries = self.lock();
        entries.retain(|entry| entry.id != id && entry.since.elapsed() < FRESH);
        entries.truncate(KEPT - 1);
        entries.push_front(Entry { id, since: Instant::now(), cell });
    }

    fn find(&self, id: Id) -> Option<Arc<OnceCell<Arc<Loaded>>>> {
        let entries = self.lock();
        let found = entries.iter().find(|entry| entry.id == id && entry.since.elapsed() < FRESH)?;
        Some(Arc::clone(&found.cell))
    }

    /// The message. Concurrent callers share one read from the store.
    pub(super) async fn get(&self, id: Id, store: &dyn Store) -> Result<Arc<Loaded>, StoreError> {
        let cell = self.find(id).unwrap_or_else(|| {
            let cell = Arc::new(OnceCell::new());
            self.insert(id, Arc::clone(&cell));
            cell
        });
        let load = || async { Ok(Arc::new(Loaded::new(Arc::new(store.message(id).await?)))) };
        cell.get_or_try_init(load).await.cloned()
    }

    /// The DKIM hash of a message's body. Concurrent callers share one computation.
    pub(super) async fn body_hash(
        &self,
        id: Id,
        body: &Body,
        store: &dyn Store,
    ) -> Result<BodyHash, StoreError> {
        let cell = self.hashes.lock().unwrap_or_else(PoisonError::into_inner).of(id);
        cell.get_or_try_init(|| hash(body, store)).await.copied()
    }

    /// Removes a message whose state changed.
    pub(super) fn forget(&self, id: Id) {
        self.lock().retain(|entry| entry.id != id);
    }
}
