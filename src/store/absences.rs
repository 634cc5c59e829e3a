//! Absences: an approver says until when they are away, and who decides in their place.

use super::StoreError;
use crate::clock::Timestamp;
use crate::id::Id;
use crate::message::Address;
use crate::records::NewAsk;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// Somebody who is away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absence {
    /// Who.
    pub approver: Address,
    /// Who is told, and decides, meanwhile.
    pub deputy: Address,
    /// The last day, `YYYY-MM-DD`, in the zone of `[notices]`.
    pub until: String,
    /// Who said so: themselves, or an administrator.
    pub made_by: String,
    /// When.
    pub made_at: Timestamp,
}

/// The part of a [`super::Store`] that keeps absences. What is over is kept as a record.
#[async_trait]
pub trait AbsenceStore: Send + Sync + 'static {
    /// Those that nobody ended and whose last day is this one or later.
    async fn absences(&self, today: &str) -> Result<Vec<Absence>, StoreError>;

    /// Puts one down; an earlier one of the same approver ends.
    async fn set_absence(&self, absence: Absence) -> Result<(), StoreError>;

    /// Asks deputies about mail that waits already and of which the approver was told, or is to be: once each,
    /// and about nothing that was decided meanwhile. The number of mails that somebody is asked about now.
    async fn ask_deputies(&self, approver: &Address, asks: Vec<(Id, NewAsk)>) -> Result<usize, StoreError>;

    /// Ends an approver's; whether there was one.
    async fn end_absence(&self, approver: &Address, by: &str, at: Timestamp) -> Result<bool, StoreError>;
}
