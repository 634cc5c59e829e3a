//! What a copy gets last: our marks, and our signature over the header as it leaves.
//!
//! Keys and marks are those in force when the copy is sent. The body is hashed once for all copies of
//! its message; each copy's header is signed on a thread that may be busy, as many at once as there are
//! cores, while others are sent.

use super::message::{Loaded, Shelf};
use crate::clock::Timestamp;
use crate::dkim::{self, BodyHash, BodyHasher, Keyring};
use crate::id::Id;
use crate::marks::Marks;
use crate::message::{Address, Field, Header, address};
use crate::rewrite::Delivery;
use crate::store::{Body, Claim, Origin, Store, StoreError};
use crate::upstream::Reseal;
use async_trait::async_trait;
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
    cores: Arc<Semaphore>,
}

impl Sealer {
    pub(super) fn new(seals: Arc<Seals>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { seals: RwLock::new(seals), cores: Arc::new(Semaphore::new(cores)) }
    }

    pub(super) fn replace(&self, seals: Arc<Seals>) {
        *self.seals.write().unwrap_or_else(PoisonError::into_inner) = seals;
    }

    /// The header block as it leaves, and who signs it anew should its body have to be re-encoded.
    pub(super) async fn seal(
        &self,
        copy: &Copy<'_>,
        header: Bytes,
        messages: &Shelf,
        store: &dyn Store,
    ) -> Result<(Bytes, Option<Arc<dyn Reseal>>), SealError> {
        let seals = Arc::clone(&self.seals.read().unwrap_or_else(PoisonError::into_inner));
        let stored = &copy.loaded.stored;
        let leaving = Leaving {
            id: stored.id,
            sender: stored.envelope.sender.as_ref(),
            delivery: &copy.claim.delivery,
            own: matches!(stored.origin, Origin::Own { .. }),
            received: stored.received,
        };
        let header = leaving.marked(&seals, &header);
        if seals.keys.is_empty() {
            return Ok((header, None));
        }
        let about = leaving.about(copy.loaded.signatures());
        let signer = Signer { seals, about, cores: Arc::clone(&self.cores) };
        let sealed = match signer.wanted(&header) {
            Some(wanted) => {
                let body = messages.body_hash(stored.id, &stored.body, store).await?;
                signer.sign(wanted, header, body).await.map_err(SealError::Signature)?
            }
            None => header,
        };
        let again: Option<Arc<dyn Reseal>> =
            if copy.loaded.eight_bit { Some(Arc::new(signer)) } else { None };
        Ok((sealed, again))
    }
}

/// A copy that is about to leave.
pub(super) struct Copy<'a> {
    pub(super) loaded: &'a Loaded,
    pub(super) claim: &'a Claim,
}

/// What the seals of a copy depend on, beside its header.
#[derive(Clone, Copy, Debug)]
pub struct Leaving<'a> {
    /// The message.
    pub id: Id,
    /// MAIL FROM.
    pub sender: Option<&'a Address>,
    /// The copy.
    pub delivery: &'a Delivery,
    /// It is mail of our own making.
    pub own: bool,
    /// When the message came.
    pub received: Timestamp,
}

impl Leaving<'_> {
    /// The copy's header block as it leaves, for people to look at: `header` is the message's own.
    /// `body` is asked only where the copy is signed. The error says why there is none.
    pub fn header(
        &self,
        seals: &Seals,
        header: &[u8],
        body: impl FnOnce() -> BodyHash,
    ) -> Result<Bytes, String> {
        let rendered = self.delivery.edits().render(header);
        let rendered = rendered.map_err(|_| "its edits do not fit the header".to_owned())?;
        let came_with = Header::parse(Bytes::copy_from_slice(header));
        let about = self.about(came_with.map_or(0, |header| signatures(&header).count()));
        let marked = self.marked(seals, &rendered);
        match about.wanted(seals, &marked) {
            Some(wanted) => about.sign(seals, &wanted, &marked, &body()),
            None => Ok(marked),
        }
    }

    fn marked(&self, seals: &Seals, header: &Bytes) -> Bytes {
        seals.marks.put(header, self.id, self.sender, self.delivery.recipients())
    }

    fn about(&self, came_with: usize) -> About {
        About {
            ours: self.delivery.is_rewritten() || self.own,
            came_with,
            // the same for every copy and every attempt, so that copies that are alike stay so
            at: self.received.0 / 1_000,
        }
    }
}

/// What a signature depends on, beside header and body.
#[derive(Clone, Copy)]
struct About {
    /// We wrote the copy.
    ours: bool,
    /// How many signatures the message came with.
    came_with: usize,
    /// `t=`, in seconds since the Unix epoch.
    at: i64,
}

/// A header that is to be signed: indexed, and the domain of its From.
type Wanted = (Header, String);

impl About {
    /// Whether a copy with this header is to be signed.
    fn wanted(&self, seals: &Seals, header: &Bytes) -> Option<Wanted> {
        let index = Header::parse(header.clone()).ok()?;
        let from = index.named("from").next()?;
        let author = address::parse_list(index.body(from)).mailboxes.into_iter().next()?;
        let domain = author.address.domain_key().to_owned();
        let keys = seals.keys.for_domain(&domain);
        let key = keys.first()?;
        let signed = self.ours
            || signatures(&index).count() < self.came_with
            || (seals.signed == Signed::All
                && !signatures(&index).any(|field| is_by(&index, field, key.domain())));
        signed.then_some((index, domain))
    }

    /// The header with its signatures in front.
    fn sign(
        &self,
        seals: &Seals,
        (index, domain): &Wanted,
        header: &Bytes,
        body: &BodyHash,
    ) -> Result<Bytes, String> {
        let fields = dkim::sign(index, body, seals.keys.for_domain(domain), self.at);
        let mut sealed = fields.map_err(|error| error.to_string())?;
        sealed.extend_from_slice(header);
        Ok(Bytes::from(sealed))
    }
}

/// Signs one copy, on a thread that may be busy.
struct Signer {
    seals: Arc<Seals>,
    about: About,
    cores: Arc<Semaphore>,
}

impl Signer {
    fn wanted(&self, header: &Bytes) -> Option<Wanted> {
        self.about.wanted(&self.seals, header)
    }

    async fn sign(&self, wanted: Wanted, header: Bytes, body: BodyHash) -> Result<Bytes, String> {
        let _core = self.cores.acquire().await.map_err(|error| error.to_string())?;
        let (seals, about) = (Arc::clone(&self.seals), self.about);
        let signed = tokio::task::spawn_blocking(move || about.sign(&seals, &wanted, &header, &body));
        signed.await.map_err(|error| error.to_string())?
    }
}

#[async_trait]
impl Reseal for Signer {
    async fn reseal(&self, header: Bytes, body: BodyHash) -> Result<Bytes, String> {
        match self.wanted(&header) {
            Some(wanted) => {
                let signed = self.sign(wanted, header, body).await;
                signed.map_err(|why| SealError::Signature(why).to_string())
            }
            None => Ok(header),
        }
    }
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
