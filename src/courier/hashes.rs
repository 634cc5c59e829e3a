//! DKIM hashes of stored bodies, computed once for all copies of a message.

use crate::dkim::{BodyHash, BodyHasher};
use crate::id::Id;
use crate::store::{Body, Store, StoreError};
use std::sync::Arc;
use tokio::io::AsyncReadExt;

/// Octets of a stored body read at a time.
const CHUNK: usize = 128 * 1024;

/// Reads a body and computes its DKIM hash.
pub(super) async fn hash(body: &Body, store: &dyn Store) -> Result<BodyHash, StoreError> {
    if let Body::Inline(bytes) = body {
        return Ok(BodyHasher::whole(bytes));
    }
    let mut hasher = BodyHasher::default();
    let mut reader = store.open_body(body).await?.stream;
    let mut chunk = vec![0; CHUNK];
    let mut seen = 0;
    loop {
        let count =
            reader.read(&mut chunk).await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        if count == 0 {
            break;
        }
        seen += count as u64;
        hasher.feed(&chunk[..count]);
    }
    if seen == body.size() {
        Ok(hasher.finish())
    } else {
        Err(StoreError::Unavailable(format!("the body has {seen} octets in place of {}", body.size())))
    }
}

/// A cache of body hashes by message. A body never changes.
#[derive(Debug, Default)]
pub(super) struct Hashes(std::collections::VecDeque<(Id, Arc<tokio::sync::OnceCell<BodyHash>>)>);

/// Most hashes in the cache. Many messages can be in progress at once when an upstream limits the rate.
const KEPT: usize = 512;

impl Hashes {
    /// The cache entry of a message.
    pub(super) fn of(&mut self, id: Id) -> Arc<tokio::sync::OnceCell<BodyHash>> {
        if let Some((_, cell)) = self.0.iter().find(|(known, _)| *known == id) {
            return Arc::clone(cell);
        }
        let cell = Arc::default();
        self.0.truncate(KEPT - 1);
        self.0.push_front((id, Arc::clone(&cell)));
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn hashes_are_kept_for_the_latest_messages() {
        let mut hashes = Hashes::default();
        let id = |number: u64| Id::new(Timestamp(1), number);
        let first = hashes.of(id(0));
        assert!(Arc::ptr_eq(&first, &hashes.of(id(0))));
        for number in 1..=KEPT as u64 {
            hashes.of(id(number));
        }
        assert!(!Arc::ptr_eq(&first, &hashes.of(id(0))));
        assert!(hashes.0.len() <= KEPT);
    }
}
