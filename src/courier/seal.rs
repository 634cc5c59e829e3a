//! What a copy gets last: our marks, and our signature over the header as it leaves.
//!
//! Keys and marks are those in force when the copy is sent. The body is hashed once for all copies of
//! its message; each copy's header is signed on a thread that may be busy, as many at once as there are
//! cores, while others are sent.

use super::message::{Loaded, Shelf};
use crate::dkim::{self, BodyHash, BodyHasher, Keyring};
use crate::id::Id;
use crate::marks::Marks;
use crate::message::{Field, Header, address};
use crate::store::{Body, Claim, Origin, Store, StoreError};
use bytes::Bytes;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::io::AsyncReadExt;
use tokio::sync::Semaphore;

/// Octets of a stored body read at a time.
const CHUNK: usize = 128 * 1024;

/// Which mail is signed, where a key is there for its From.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signed {
    /// What we wrote: rewritten copies, our own mail, and mail whose signature we had to break.
    #[default]
    Ours,
    /// Also passed mail that bears no signature of its From's domain.
    All,
}

/// Keys and marks.
#[derive(Debug, Default)]
pub struct Seals {
    /// Keys.
    pub keys: Keyring,
    /// What is signed with them.
    pub signed: Signed,
    /// Marks.
    pub marks: Marks,
}

/// Why a copy cannot be sealed now.
#[derive(Debug, thiserror::Error)]
pub(super) enum SealError {
    /// Its body cannot be read.
    #[error("the body cannot be read: {0}")]
    Store(#[from] StoreError),
    /// The signature failed.
    #[error("the copy cannot be signed: {0}")]
    Signature(String),
}

/// The seals in force, and the threads that sign.
pub(super) struct Sealer {
    seals: RwLock<Arc<Seals>>,
    cores: Semaphore,
}

impl Sealer {
    pub(super) fn new(seals: Arc<Seals>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { seals: RwLock::new(seals), cores: Semaphore::new(cores) }
    }

    pub(super) fn replace(&self, seals: Arc<Seals>) {
        *self.seals.write().unwrap_or_else(PoisonError::into_inner) = seals;
    }

    /// The header block as it leaves.
    pub(super) async fn seal(
        &self,
        copy: &Copy<'_>,
        header: Bytes,
        messages: &Shelf,
        store: &dyn Store,
    ) -> Result<Bytes, SealError> {
        let seals = Arc::clone(&self.seals.read().unwrap_or_else(PoisonError::into_inner));
        let stored = &copy.loaded.stored;
        let sender = stored.envelope.sender.as_ref();
        let header = seals.marks.put(&header, stored.id, sender, copy.claim.delivery.recipients());
        if seals.keys.is_empty() {
            return Ok(header);
        }
        let Some((index, domain)) = wanted(&seals, copy, &header) else { return Ok(header) };
        let body = messages.body_hash(stored.id, &stored.body, store).await?;
        let failed = |why: &dyn std::fmt::Display| SealError::Signature(why.to_string());
        let _core = self.cores.acquire().await.map_err(|error| failed(&error))?;
        // the same for every copy and every attempt, so that copies that are alike stay so
        let signed_at = stored.received.0 / 1_000;
        let fields = tokio::task::spawn_blocking(move || {
            dkim::sign(&index, &body, seals.keys.for_domain(&domain), signed_at)
        });
        let mut sealed = fields.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
        sealed.extend_from_slice(&header);
        Ok(Bytes::from(sealed))
    }
}

/// A copy that is about to leave.
pub(super) struct Copy<'a> {
    pub(super) loaded: &'a Loaded,
    pub(super) claim: &'a Claim,
}

/// Whether a copy is to be signed: its header, indexed, and the domain of its From.
fn wanted(seals: &Seals, copy: &Copy<'_>, header: &Bytes) -> Option<(Header, String)> {
    let index = Header::parse(header.clone()).ok()?;
    let from = index.named("from").next()?;
    let author = address::parse_list(index.body(from)).mailboxes.into_iter().next()?;
    let domain = author.address.domain_key().to_owned();
    let keys = seals.keys.for_domain(&domain);
    let key = keys.first()?;
    let ours = copy.claim.delivery.is_rewritten() || matches!(copy.loaded.stored.origin, Origin::Own { .. });
    let signed = ours
        || signatures(&index).count() < copy.loaded.signatures()
        || (seals.signed == Signed::All
            && !signatures(&index).any(|field| is_by(&index, field, key.domain())));
    signed.then_some((index, domain))
}

fn signatures(header: &Header) -> impl Iterator<Item = &Field> {
    header.named("dkim-signature")
}

/// Whether a signature is by a domain that receivers take as aligned with ours: the same, or one below.
fn is_by(header: &Header, field: &Field, domain: &str) -> bool {
    let text = String::from_utf8_lossy(header.body(field));
    let signer = text.split(';').filter_map(|tag| tag.split_once('=')).find(|(tag, _)| tag.trim() == "d");
    signer.is_some_and(|(_, signer)| {
        let signer = signer.trim().to_ascii_lowercase();
        signer == domain || signer.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
    })
}

/// The hash of a body, read through once.
pub(super) async fn hash(body: &Body, store: &dyn Store) -> Result<BodyHash, StoreError> {
    if let Body::Inline(bytes) = body {
        return Ok(BodyHasher::whole(bytes));
    }
    let mut hasher = BodyHasher::default();
    let mut reader = store.open_body(body).await?;
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

/// Hashes of bodies by message: a body never changes.
#[derive(Debug, Default)]
pub(super) struct Hashes(std::collections::VecDeque<(Id, Arc<tokio::sync::OnceCell<BodyHash>>)>);

/// Most hashes kept: enough for every message whose copies are paced at the same time.
const KEPT: usize = 512;

impl Hashes {
    /// The place for a message's hash.
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
    fn aligned_signatures_are_known() {
        let text = "DKIM-Signature: v=1;\r\n d=Mail.Example.jp; s=x\r\nDKIM-Signature: d=badexample.jp\r\n";
        let header = Header::parse(Bytes::from(text)).unwrap();
        let by: Vec<bool> = signatures(&header).map(|field| is_by(&header, field, "example.jp")).collect();
        assert_eq!(by, [true, false]);
        assert!(!is_by(&header, &header.fields()[0], "west.example.jp"));
    }

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
