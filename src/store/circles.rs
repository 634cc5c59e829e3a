//! What an engine keeps of circles.

use super::StoreError;
use crate::clock::Timestamp;
use crate::policy::facts::KnownCircle;
pub use crate::records::{Circle, NewCircle};
use async_trait::async_trait;
use std::sync::Arc;

/// The part of a [`super::Store`] that keeps circles.
#[async_trait]
pub trait CircleStore {
    /// All circles that were ever made, the newest first.
    async fn circles(&self) -> Result<Vec<Circle>, StoreError>;

    /// Those in force, as the policy asks for them: a snapshot, from memory.
    async fn circles_in_force(&self, now: Timestamp) -> Result<Arc<Vec<KnownCircle>>, StoreError>;

    /// Makes one; its number.
    async fn make_circle(&self, circle: NewCircle) -> Result<i64, StoreError>;

    /// Ends one before its time; `NotFound` when there is none in force under that number.
    async fn end_circle(&self, id: i64, by: &str, at: Timestamp) -> Result<(), StoreError>;
}
