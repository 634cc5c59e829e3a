//! Absences: until when an approver is away, and who decides in their place.

use super::StoreError;
use crate::clock::Timestamp;
use crate::id::Id;
use crate::message::Address;
use crate::records::NewAsk;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// One approver's absence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absence {
    /// Who is away.
    pub approver: Address,
    /// Who is notified and decides instead.
    pub deputy: Address,
    /// The last day, `YYYY-MM-DD`, in the time zone of `[notices]`.
    pub until: String,
    /// Who entered it: the approver or an administrator.
    pub made_by: String,
    /// When it was entered.
    pub made_at: Timestamp,
}

/// The part of a [`super::Store`] that keeps absences. Past ones are kept as a record.
#[async_trait]
pub trait AbsenceStore: Send + Sync + 'static {
    /// Absences that nobody ended and whose last day is `today` or later.
    async fn absences(&self, today: &str) -> Result<Vec<Absence>, StoreError>;

    /// Records an absence. An earlier one of the same approver ends.
    async fn set_absence(&self, absence: Absence) -> Result<(), StoreError>;

    /// Asks deputies about waiting mail of which the approver was notified, or will be: once for each mail, and not
    /// about mail that has been decided meanwhile. Returns how many mails somebody is now asked about.
    async fn ask_deputies(&self, approver: &Address, asks: Vec<(Id, NewAsk)>) -> Result<usize, StoreError>;

    /// Ends an approver's absence. Returns whether there was one.
    async fn end_absence(&self, approver: &Address, by: &str, at: Timestamp) -> Result<bool, StoreError>;
}
