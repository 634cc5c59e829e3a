//! What taking mail in asks of a store.

use super::{Claim, GroupStanding, NewMessage, StoreError};
use crate::message::fork::ForkGroup;
use crate::policy::facts::Disclosed;
use crate::records::Body;
use async_trait::async_trait;
use bytes::Bytes;

/// A body on its way in. Dropped before `finish`, it leaves nothing behind.
#[async_trait]
pub trait BodyWriter: Send {
    /// Takes the next bytes.
    async fn write(&mut self, chunk: Bytes) -> Result<(), StoreError>;
    /// Makes it durable (file and folder fsynced, where it is a file).
    async fn finish(self: Box<Self>) -> Result<Body, StoreError>;
}

/// Bodies on their way in, what is known beforehand, and the commit before a 250.
#[async_trait]
pub trait IntakeStore: Send + Sync {
    /// A place for the body of one message. Small ones (256 KiB in SQLite) stay in memory and go into the row.
    async fn new_body(&self) -> Result<Box<dyn BodyWriter>, StoreError>;

    /// Commits a message with all that belongs to it, durably; returns once it is on disk. The
    /// deliveries given as [`InitialState::Sending`] come back as claims, in order.
    ///
    /// Recipients for whom the same fork came within 24 hours are left out, unless their delivery
    /// failed or the mail went back to its sender; `Known` when that is all of them. `Moved` when a held
    /// one was planned on what is not so any more, `SentAgain` when it would join what went back.
    async fn accept(&self, message: NewMessage) -> Result<Vec<Claim>, StoreError>;

    /// What was held of a mail, and what became of it.
    async fn standing(&self, group: ForkGroup) -> Result<GroupStanding, StoreError>;

    /// What the ledger of open disclosures has for these Message-IDs.
    async fn disclosed(&self, message_ids: &[String]) -> Result<Vec<Disclosed>, StoreError>;
}
