//! What the relay remembers over a restart. Nothing depends on it: losing it only costs time.

use super::StoreError;
use crate::clock::Timestamp;
use async_trait::async_trait;

/// Kinds of knowledge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryKind {
    /// An MTA-STS policy (RFC 8461), by domain.
    StsPolicy,
    /// A network from which somebody logged in to an account with the right password.
    KnownSource,
    /// How many sessions an upstream allows at once, by its name.
    SessionsLimit,
    /// The head of the journal's chain that was mailed last.
    MailedHead,
}

/// One remembered value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Identifies it within its kind.
    pub name: String,
    /// The value, in a format that only its user knows.
    pub value: String,
    /// When it is forgotten.
    pub until: Timestamp,
}

/// Keeps remembered values.
#[async_trait]
pub trait MemoryStore {
    /// Stores these values, replacing those with the same names, and deletes expired ones.
    async fn remember(&self, kind: MemoryKind, all: Vec<Memory>, now: Timestamp) -> Result<(), StoreError>;

    /// All values of a kind that have not expired, by name.
    async fn remembered(&self, kind: MemoryKind, now: Timestamp) -> Result<Vec<Memory>, StoreError>;
}
