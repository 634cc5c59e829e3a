//! Everything needed to decide on one message: its facts and rules, the copies that each way of sending would
//! create, earlier mail to its recipients, its contents.

use super::explain::{OutgoingCopy, PreviewSeals};
use super::principal::{Parties, Principal};
use super::wish::How;
use super::{Desk, DeskError};
use crate::clock::Timestamp;
use crate::dkim::{BodyHash, BodyHasher};
use crate::examine::{Examination, Examiner};
use crate::id::Id;
use crate::journal::Entry;
use crate::message::{Address, Header};
use crate::policy::organisation::{is_shared, organisation_of};
use crate::rewrite::plan::{Copies, Stamp};
use crate::rewrite::{Delivery, Hit};
use crate::store::{Origin, QueueRow, StoredMessage};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use tokio::io::AsyncReadExt;

/// One message with its examination.
pub struct Dossier {
    /// The message.
    pub message: StoredMessage,
    /// Its senders and approvers.
    pub parties: Parties,
    /// The examiner that was used.
    examiner: Examiner,
    stamp: Stamp,
    /// Keys and marks for previews of copies.
    preview_seals: Arc<PreviewSeals>,
    /// The hash of its body, if there are keys to sign with.
    body: Option<BodyHash>,
    /// The result of the examination, or why it failed.
    pub seen: Result<Examination, String>,
    /// The copies that exist already.
    pub deliveries: Vec<QueueRow>,
    /// Its journal, oldest first.
    pub journal: Vec<Entry>,
}

/// Why the message cannot be sent in some way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The recipients would see addresses that are hidden from them.
    Audit(Vec<Hit>),
    /// The message cannot be read reliably.
    Unreadable(String),
}

/// The contents of a message; only for people who may read them.
pub struct Written {
    /// Header and body.
    raw: Bytes,
}

impl Desk {
    /// Examines a message that this person may see.
    ///
    /// # Errors
    /// There is no such message for this person, or the store failed.
    pub async fn dossier(&self, who: &Principal, id: Id) -> Result<Dossier, DeskError> {
        let message = self.seen_by(who, id).await?;
        let deliveries = self.store.deliveries(id).await?;
        let journal = self.store.journal(id).await?;
        let examiner = self.examiner.borrow().clone();
        let preview_seals = Arc::clone(&self.preview_seals.borrow());
        let mut hasher = (!preview_seals.seals.keys.is_empty()).then(BodyHasher::default);
        let passes = |octets: &[u8]| hasher.iter_mut().for_each(|hasher| hasher.feed(octets));
        let seen = self.examine_and(&examiner, &message, passes).await.map_err(|error| error.to_string());
        Ok(Dossier {
            parties: Parties::of(&message),
            stamp: self.stamp(&message),
            body: hasher.map(BodyHasher::finish),
            message,
            examiner,
            preview_seals,
            seen,
            deliveries,
            journal,
        })
    }

    /// The contents of a message, for people who may read them; `None` if it is larger than `most` octets.
    ///
    /// # Errors
    /// The person may not read it, or the store failed.
    pub async fn written(
        &self,
        who: &Principal,
        message: &StoredMessage,
        most: u64,
    ) -> Result<Option<Written>, DeskError> {
        if !who.may_read(&Parties::of(message)) {
            return Err(DeskError::NotAllowed(format!("{} may not read this message", who.name)));
        }
        if message.body.size() > most {
            return Ok(None);
        }
        let room = usize::try_from(message.body.size()).unwrap_or_default();
        let mut raw = BytesMut::with_capacity(message.header.len() + room);
        raw.extend_from_slice(&message.header);
        let mut body = self.store.open_body(&message.body).await?.stream;
        let unreadable =
            |error| crate::store::StoreError::Unavailable(format!("the body of {}: {error}", message.id));
        while body.read_buf(&mut raw).await.map_err(unreadable)? > 0 {}
        Ok(Some(Written { raw: raw.freeze() }))
    }

    /// The contents of a message by its id.
    ///
    /// # Errors
    /// There is no such message for this person, they may not read it, or the store failed.
    pub async fn written_by_id(
        &self,
        who: &Principal,
        id: Id,
        most: u64,
    ) -> Result<Option<Written>, DeskError> {
        let message = self.seen_by(who, id).await?;
        self.written(who, &message, most).await
    }
}

impl Written {
    /// Header and body as received.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }
}

impl Dossier {
    /// The copies that this way of sending would create, after the audit. For `as is`, findings of the audit
    /// are returned with the copies, to be acknowledged.
    ///
    /// # Errors
    /// The message cannot be sent in this way.
    pub fn copies(&self, how: How, drop: &[Address]) -> Result<(Copies, Vec<Hit>), Closed> {
        let seen = self.seen.as_ref().map_err(|why| Closed::Unreadable(why.clone()))?;
        if how != How::AsIs
            && let Some(why) = seen.index.as_ref().err().or(seen.facts.problems.first())
        {
            return Err(Closed::Unreadable(why.clone()));
        }
        match self.examiner.copies(seen, how.disclosure(), &self.stamp, drop) {
            Ok(copies) => Ok((copies, Vec::new())),
            Err(hits) if how == How::AsIs => Ok((self.examiner.as_written(seen, &self.stamp, drop), hits)),
            Err(hits) => Err(Closed::Audit(hits)),
        }
    }

    /// A copy's header as it would be sent: with our marks, and signed if there is a key.
    pub fn header_of(&self, delivery: &Delivery) -> Option<Header> {
        let message = &self.message;
        let leaving = OutgoingCopy {
            id: message.id,
            sender: message.envelope.sender.as_ref(),
            delivery,
            own: matches!(message.origin, Origin::Own { .. }),
            received: message.received,
        };
        // without keys the hash is not used
        let body = || self.body.unwrap_or_default();
        match leaving.header(&self.preview_seals.seals, &message.header, body) {
            Ok(block) => Header::parse(block).ok(),
            Err(why) => {
                tracing::warn!(id = %message.id, why, "a copy cannot be shown");
                None
            }
        }
    }

    /// Whether an address is ours, for this message.
    pub fn is_internal(&self, address: &Address) -> bool {
        self.seen.as_ref().is_ok_and(|seen| seen.organisation.is_internal(address))
    }

    /// The organisation of an outside address, and whether its domain is shared by strangers.
    pub fn organisation_of(&self, address: &Address) -> (String, bool) {
        let domain = address.domain_key();
        match &self.seen {
            Ok(seen) => (seen.organisation.of(address), seen.organisation.shares(domain)),
            Err(_) => (organisation_of(address), is_shared(domain)),
        }
    }

    /// When it was received.
    pub fn received(&self) -> Timestamp {
        self.message.received
    }
}
