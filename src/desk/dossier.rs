//! Everything a person needs to decide on one message, looked at once: facts, rules, what each way of
//! sending would make of it, how its recipients stand to the sender, what is written in it.

use super::explain::{Leaving, Shown};
use super::principal::{Principal, Whose};
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

/// One message, looked at.
pub struct Dossier {
    /// The message.
    pub message: StoredMessage,
    /// Whose it is.
    pub whose: Whose,
    /// How it is looked at.
    examiner: Examiner,
    stamp: Stamp,
    /// Keys and marks of copies that people look at.
    shown: Arc<Shown>,
    /// The hash of its body, where there are keys to sign with.
    body: Option<BodyHash>,
    /// What it is; or why that cannot be told.
    pub seen: Result<Examination, String>,
    /// Copies that exist already.
    pub deliveries: Vec<QueueRow>,
    /// What happened to it, oldest first.
    pub journal: Vec<Entry>,
}

/// Why a way of sending is not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Others would see hidden recipients' addresses there.
    Audit(Vec<Hit>),
    /// The message cannot be read for certain.
    Unreadable(String),
}

/// What a person reads in a message: only for whoever may read it.
pub struct Written {
    /// Header and body.
    raw: Bytes,
}

impl Desk {
    /// Looks at a message that this person may know of.
    pub async fn dossier(&self, who: &Principal, id: Id) -> Result<Dossier, DeskError> {
        let message = self.seen_by(who, id).await?;
        let deliveries = self.store.deliveries(id).await?;
        let journal = self.store.journal(id).await?;
        let examiner = self.examiner.borrow().clone();
        let shown = Arc::clone(&self.shown.borrow());
        let mut hasher = (!shown.seals.keys.is_empty()).then(BodyHasher::default);
        let passes = |octets: &[u8]| hasher.iter_mut().for_each(|hasher| hasher.feed(octets));
        let seen = self.examine_and(&examiner, &message, passes).await.map_err(|error| error.to_string());
        Ok(Dossier {
            whose: Whose::of(&message),
            stamp: self.stamp(&message),
            body: hasher.map(BodyHasher::finish),
            message,
            examiner,
            shown,
            seen,
            deliveries,
            journal,
        })
    }

    /// What is written in a message, for whoever may read it; `None` where it is larger than `most`
    /// octets.
    pub async fn written(
        &self,
        who: &Principal,
        message: &StoredMessage,
        most: u64,
    ) -> Result<Option<Written>, DeskError> {
        if !who.may_read(&Whose::of(message).standing()) {
            return Err(DeskError::NotAllowed(format!("{} may not read this message", who.name)));
        }
        if message.body.size() > most {
            return Ok(None);
        }
        let room = usize::try_from(message.body.size()).unwrap_or_default();
        let mut raw = BytesMut::with_capacity(message.header.len() + room);
        raw.extend_from_slice(&message.header);
        let mut body = self.store.open_body(&message.body).await?;
        let unreadable =
            |error| crate::store::StoreError::Unavailable(format!("the body of {}: {error}", message.id));
        while body.read_buf(&mut raw).await.map_err(unreadable)? > 0 {}
        Ok(Some(Written { raw: raw.freeze() }))
    }

    /// A message that this person may read, by its id.
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
    /// Header and body as they came.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }
}

impl Dossier {
    /// The copies that this way of sending would make, audited. As it is, what the audit found does
    /// not close the way: it comes beside the copies, to be acknowledged.
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

    /// A copy's header as it would leave: with our marks, and signed where there is a key.
    pub fn header_of(&self, delivery: &Delivery) -> Option<Header> {
        let message = &self.message;
        let leaving = Leaving {
            id: message.id,
            sender: message.envelope.sender.as_ref(),
            delivery,
            own: matches!(message.origin, Origin::Own { .. }),
            received: message.received,
        };
        // Without keys nobody asks for the hash.
        let body = || self.body.unwrap_or_default();
        match leaving.header(&self.shown.seals, &message.header, body) {
            Ok(block) => Header::parse(block).ok(),
            Err(why) => {
                tracing::warn!(id = %message.id, why, "a copy cannot be shown");
                None
            }
        }
    }

    /// Who is ours, for this message.
    pub fn is_internal(&self, address: &Address) -> bool {
        self.seen.as_ref().is_ok_and(|seen| seen.organisation.is_internal(address))
    }

    /// The organisation that an outside address belongs to, and whether strangers share its domain.
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
