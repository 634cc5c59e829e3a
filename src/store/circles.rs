//! How circles are stored.

use super::StoreError;
use crate::clock::Timestamp;
use crate::policy::facts::KnownCircle;
pub use crate::records::{Circle, CircleId, NewCircle};
use async_trait::async_trait;
use std::sync::Arc;

/// The circles in force, as they were read.
#[derive(Clone, Debug)]
pub struct InForce {
    /// They, in the form that the policy uses.
    pub circles: Arc<Vec<KnownCircle>>,
    /// How many circles somebody had ended by then. Mail that a circle exempts names it
    /// ([`crate::records::NewMessage::circles`]): it is refused if another has ended until it is committed.
    pub ended: i64,
}

impl std::ops::Deref for InForce {
    type Target = [KnownCircle];

    fn deref(&self) -> &[KnownCircle] {
        &self.circles
    }
}

/// The part of a [`super::Store`] that keeps circles.
#[async_trait]
pub trait CircleStore {
    /// All circles that were ever created, newest first.
    async fn circles(&self) -> Result<Vec<Circle>, StoreError>;

    /// The circles in force: from memory, unless another relay may end one.
    async fn circles_in_force(&self, now: Timestamp) -> Result<InForce, StoreError>;

    /// Creates a circle. Returns its id.
    async fn make_circle(&self, circle: NewCircle) -> Result<CircleId, StoreError>;

    /// Ends a circle before its time.
    ///
    /// # Errors
    /// `NotFound` if no circle with this number is in force.
    async fn end_circle(&self, id: CircleId, by: &str, at: Timestamp) -> Result<(), StoreError>;
}
