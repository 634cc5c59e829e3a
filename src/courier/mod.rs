//! The courier: claims due deliveries, renders, audits once more, sends, records.
//!
//! claim → render → audit → send → record; retry schedule, rate, circuit breaker, leases.

use crate::store::{Claim, StoredMessage};
use std::sync::Arc;

/// The courier as intake sees it: may a fresh delivery go straight to it?
pub trait Dispatch: Send + Sync + 'static {
    /// Takes up to `wanted` free places; the rest waits in the store.
    fn reserve(&self, wanted: usize) -> Box<dyn Reservation>;
    /// Says that something became due.
    fn wake(&self);
}

/// Places taken in the courier; given back when dropped unused.
pub trait Reservation: Send {
    /// How many.
    fn places(&self) -> usize;
    /// Uses the places for these claims (at most as many), all of this message, which is at hand and
    /// need not be read from the store.
    fn dispatch(self: Box<Self>, message: Arc<StoredMessage>, claims: Vec<Claim>);
}
