//! How circles are stored.

use super::StoreError;
use crate::clock::Timestamp;
use crate::policy::facts::KnownCircle;
pub use crate::records::{Circle, NewCircle};
use async_trait::async_trait;
use std::sync::Arc;

/// The part of a [`super::Store`] that keeps circles.
#[async_trait]
pub trait CircleStore {
    /// All circles that were ever created, newest first.
    async fn circles(&self) -> Result<Vec<Circle>, StoreError>;

    /// The circles in force, in the form that the policy uses: a snapshot from memory.
    async fn circles_in_force(&self, now: Timestamp) -> Result<Arc<Vec<KnownCircle>>, StoreError>;

    /// Creates a circle. Returns its number.
    async fn make_circle(&self, circle: NewCircle) -> Result<i64, StoreError>;

    /// Ends a circle before its time.
    ///
    /// # Errors
    /// `NotFound` if no circle with this number is in force.
    async fn end_circle(&self, id: i64, by: &str, at: Timestamp) -> Result<(), StoreError>;
}
