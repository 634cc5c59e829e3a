//! Messages that were accepted a moment ago, kept in memory: the courier needs them at once, and does not have
//! to read back what was just written.

use crate::id::Id;
use crate::store::{Body, NewMessage, StoredMessage};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// The maximum number of messages kept.
const MESSAGES: usize = 1_024;
/// The maximum size of the messages kept (header and body), in octets.
const OCTETS: usize = 16 << 20;

/// Bounded by [`MESSAGES`] and [`OCTETS`]; with two nodes it keeps nothing, because the other may change a message.
pub(in crate::store) struct Recent {
    kept: bool,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    messages: HashMap<Id, Arc<StoredMessage>>,
    order: VecDeque<(Id, usize)>,
    octets: usize,
}

impl Recent {
    /// With `kept` false, nothing is kept, because other nodes may change messages.
    pub(in crate::store) fn new(kept: bool) -> Self {
        Self { kept, inner: Mutex::default() }
    }

    /// Keeps a message that was just committed. Held messages are left out, because their stored data changes.
    pub(in crate::store) fn put(&self, message: NewMessage) {
        if !self.kept || message.held.is_some() || message.deliveries.is_empty() {
            return;
        }
        let inline = match &message.body {
            Body::Inline(bytes) => bytes.len(),
            Body::Stored { .. } => 0,
        };
        let octets = inline + message.header.len() + 1024 + 64 * message.envelope.recipients.len();
        let stored = Arc::new(StoredMessage { message: message.message, held: None });
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.messages.insert(stored.id, stored.clone());
        inner.order.push_back((stored.id, octets));
        inner.octets += octets;
        while inner.order.len() > MESSAGES || inner.octets > OCTETS {
            let Some((oldest, octets)) = inner.order.pop_front() else { break };
            inner.messages.remove(&oldest);
            inner.octets -= octets;
        }
    }

    pub(in crate::store) fn get(&self, id: Id) -> Option<Arc<StoredMessage>> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.messages.get(&id).cloned()
    }

    /// Forgets a message whose stored data changes (its hold, its needles).
    pub(in crate::store) fn forget(&self, id: Id) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.messages.remove(&id);
    }

    /// Forgets everything, so that no purged message is found.
    pub(in crate::store) fn clear(&self) {
        *self.inner.lock().unwrap_or_else(PoisonError::into_inner) = Inner::default();
    }
}
