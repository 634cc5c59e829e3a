//! What intake needs from a store.

use super::{Claim, GroupItems, NewMessage, StoreError};
use crate::message::fork::ForkGroup;
use crate::policy::facts::Disclosed;
use crate::records::Body;
use async_trait::async_trait;
use bytes::Bytes;

/// A body while it is received. If it is dropped before `finish`, nothing is kept.
#[async_trait]
pub trait BodyWriter: Send {
    /// Appends bytes.
    async fn write(&mut self, chunk: Bytes) -> Result<(), StoreError>;
    /// Makes the body durable; a file is fsynced with its folder.
    async fn finish(self: Box<Self>) -> Result<Body, StoreError>;
}

/// Storing bodies, what is known about a mail beforehand, and the commit before the 250 reply.
#[async_trait]
pub trait IntakeStore: Send + Sync {
    /// Starts a body. Small ones (up to 256 KiB) stay in memory until they are stored with their message.
    async fn new_body(&self) -> Result<Box<dyn BodyWriter>, StoreError>;

    /// Durably commits a message with everything that belongs to it, and returns once it is on disk. Deliveries given
    /// as [`InitialState::Sending`] are returned as claims, in order.
    ///
    /// Recipients for whom the same fork came within 24 hours are left out, unless their delivery failed or the mail
    /// was returned to its sender.
    ///
    /// # Errors
    /// `Known` if all recipients are left out; `Moved` if a held message was planned on a state that has changed;
    /// `SentAgain` if it would join an item that was returned.
    async fn accept(&self, message: NewMessage) -> Result<Vec<Claim>, StoreError>;

    /// Which forks of a mail were held, and what became of them.
    async fn group_items(&self, group: ForkGroup) -> Result<GroupItems, StoreError>;

    /// The ledger entries for these Message-IDs.
    async fn disclosed(&self, message_ids: &[String]) -> Result<Vec<Disclosed>, StoreError>;
}
