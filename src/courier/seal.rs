//! Adds our loop marks and DKIM signatures to a copy just before it is sent.
//!
//! Keys and marks are those current at that time. The body is hashed once for all copies of a message.
//! Headers are signed on blocking threads, at most one per CPU core at a time.

use super::message::{Loaded, MessageCache};
use crate::clock::Timestamp;
use crate::dkim::{self, BodyHash, Keyring};
use crate::id::Id;
use crate::marks::Marks;
use crate::message::{Address, Field, Header, address};
use crate::rewrite::Delivery;
use crate::store::{Claim, Origin, Store, StoreError};
use crate::upstream::Reseal;
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::Semaphore;

/// Which mail is signed, if there is a key for the domain of its From.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signed {
    /// Rewritten copies, mail written by the relay, and mail whose signature we had to remove.
    #[default]
    Ours,
    /// Also unmodified mail without a signature by the domain of its From.
    All,
}

/// What is added to every copy just before it is sent: DKIM signatures and loop marks.
#[derive(Debug, Default)]
pub struct SealSettings {
    /// DKIM keys.
    pub keys: Keyring,
    /// Which mail is signed.
    pub signed: Signed,
    /// Loop marks.
    pub marks: Arc<Marks>,
}

/// Why a copy cannot be sealed now.
#[derive(Debug, thiserror::Error)]
pub(super) enum SealError {
    /// Its body cannot be read.
    #[error("the body cannot be read: {0}")]
    Store(#[from] StoreError),
    /// Signing failed.
    #[error("the copy cannot be signed: {0}")]
    Signature(String),
}

/// The current seals, and the limit on concurrent signing.
pub(super) struct Sealer {
    seals: RwLock<Arc<SealSettings>>,
    cores: Arc<Semaphore>,
}

impl Sealer {
    pub(super) fn new(seals: Arc<SealSettings>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { seals: RwLock::new(seals), cores: Arc::new(Semaphore::new(cores)) }
    }

    pub(super) fn replace(&self, seals: Arc<SealSettings>) {
        *self.seals.write().unwrap_or_else(PoisonError::into_inner) = seals;
    }

    /// Returns the header block as sent, and what signs it again if the body must be re-encoded.
    pub(super) async fn seal(
        &self,
        copy: &Copy<'_>,
        header: Bytes,
        messages: &MessageCache,
        store: &dyn Store,
    ) -> Result<(Bytes, Option<Arc<dyn Reseal>>), SealError> {
        let seals = Arc::clone(&self.seals.read().unwrap_or_else(PoisonError::into_inner));
        let stored = &copy.loaded.stored;
        let leaving = OutgoingCopy {
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

/// A copy about to be sent.
pub(super) struct Copy<'a> {
    pub(super) loaded: &'a Loaded,
    pub(super) claim: &'a Claim,
}

/// What marks and signatures of a copy depend on, apart from its header.
#[derive(Clone, Copy, Debug)]
pub struct OutgoingCopy<'a> {
    /// The message.
    pub id: Id,
    /// MAIL FROM.
    pub sender: Option<&'a Address>,
    /// The copy.
    pub delivery: &'a Delivery,
    /// Whether the relay wrote the message.
    pub own: bool,
    /// When the message was received.
    pub received: Timestamp,
}

impl OutgoingCopy<'_> {
    /// The copy's header block as it would be sent, for display. `header` is the header of the stored
    /// message. `body` is called only if the copy is signed.
    ///
    /// # Errors
    /// The delivery's edits do not match the header, or signing failed. The error is a text for people.
    pub fn header(
        &self,
        seals: &SealSettings,
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

    fn marked(&self, seals: &SealSettings, header: &Bytes) -> Bytes {
        seals.marks.put(header, self.id, self.sender, self.delivery.recipients())
    }

    fn about(&self, came_with: usize) -> About {
        About {
            ours: self.delivery.is_rewritten() || self.own,
            came_with,
            // the same for every copy and attempt, so that identical copies stay identical
            at: self.received.0 / 1_000,
        }
    }
}

/// What a signature depends on, apart from header and body.
#[derive(Clone, Copy)]
struct About {
    /// Whether the relay rewrote the copy or wrote the message.
    ours: bool,
    /// How many signatures the message had when it arrived.
    came_with: usize,
    /// `t=`, in seconds since the Unix epoch.
    at: i64,
}

/// A header to be signed: parsed, with the domain of its From.
type Wanted = (Header, String);

impl About {
    /// Returns the parsed header if a copy with it is to be signed.
    fn wanted(&self, seals: &SealSettings, header: &Bytes) -> Option<Wanted> {
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

    /// The header with our signatures before it.
    fn sign(
        &self,
        seals: &SealSettings,
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

/// Signs one copy on a blocking thread.
struct Signer {
    seals: Arc<SealSettings>,
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

/// Whether a signature is by `domain` or a subdomain of it, which DMARC counts as aligned.
fn is_by(header: &Header, field: &Field, domain: &str) -> bool {
    let text = String::from_utf8_lossy(header.body(field));
    let signer = text.split(';').filter_map(|tag| tag.split_once('=')).find(|(tag, _)| tag.trim() == "d");
    signer.is_some_and(|(_, signer)| {
        let signer = signer.trim().to_ascii_lowercase();
        signer == domain || signer.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligned_signatures_are_known() {
        let text = "DKIM-Signature: v=1;\r\n d=Mail.Example.jp; s=x\r\nDKIM-Signature: d=badexample.jp\r\n";
        let header = Header::parse(Bytes::from(text)).unwrap();
        let by: Vec<bool> = signatures(&header).map(|field| is_by(&header, field, "example.jp")).collect();
        assert_eq!(by, [true, false]);
        assert!(!is_by(&header, &header.fields()[0], "west.example.jp"));
    }
}
