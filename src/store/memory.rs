//! What the relay knows again after a restart, though nothing depends on it: losing it costs a detour.

use super::StoreError;
use crate::clock::Timestamp;
use async_trait::async_trait;

/// Kinds of knowledge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryKind {
    /// A policy of MTA-STS, by domain.
    StsPolicy,
    /// A network that gave the right password of an account.
    KnownSource,
    /// How many sessions an upstream allows at once, by its name.
    SessionsLimit,
    /// The head of the journal's chain that was mailed last.
    MailedHead,
}

/// One thing that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// What it is about; one of a name is kept of each kind.
    pub name: String,
    /// What is known, in a form of whoever knows it.
    pub value: String,
    /// It is forgotten then.
    pub until: Timestamp,
}

/// Remembers.
#[async_trait]
pub trait MemoryStore {
    /// Keeps these in place of what was kept under their names; forgets what is past its time.
    async fn remember(&self, kind: MemoryKind, all: Vec<Memory>, now: Timestamp) -> Result<(), StoreError>;

    /// All of a kind that is not past its time, by name.
    async fn remembered(&self, kind: MemoryKind, now: Timestamp) -> Result<Vec<Memory>, StoreError>;
}
