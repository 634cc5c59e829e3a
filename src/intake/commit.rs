//! The commit: a message with everything that belongs to it in one transaction, and its copies to the courier.

use super::Intake;
use crate::rewrite::Delivery;
use crate::store::{AskId, Claim, InitialState, NewDelivery, NewMessage, StoreError, StoredMessage};
use std::sync::Arc;

/// The courier as intake sees it. New deliveries can go directly to it.
pub trait Dispatch: Send + Sync + 'static {
    /// Reserves up to `wanted` free slots for deliveries. Deliveries without a slot wait in the store.
    fn reserve(&self, wanted: usize) -> Box<dyn Reservation>;
    /// Tells the courier that a delivery became due.
    fn wake(&self);
}

/// Reserved slots in the courier. Dropping the reservation releases them.
pub trait Reservation: Send {
    /// The number of slots reserved.
    fn slots(&self) -> usize;
    /// Fills the slots with these claims, at most [`Self::slots`]. All are deliveries of `message`, which
    /// the courier then need not read from the store.
    fn dispatch(self: Box<Self>, message: Arc<StoredMessage>, claims: Vec<Claim>);
}

impl Intake {
    /// Commits a message. New deliveries go directly to the courier as far as it has room. `asks` are the
    /// asks that one of our own mails answers.
    pub(super) async fn commit(&self, mut message: NewMessage, asks: Vec<AskId>) -> Result<(), StoreError> {
        let due = message.deliveries.iter().filter(|new| new.state == InitialState::Ready).count();
        let reservation = self.0.dispatch.reserve(due);
        let places = reservation.slots().min(due);
        let until = self.0.clock.now().plus(self.0.settings.lease);
        for new in message.deliveries.iter_mut().take(places) {
            new.state = InitialState::Sending { until };
        }
        let rings = !message.notices.is_empty() || message.held.is_some();
        let stored =
            (places > 0).then(|| Arc::new(StoredMessage { message: message.message.clone(), held: None }));
        let store = Arc::clone(&self.0.store);
        // a task of its own: if the caller is stopped meanwhile, the claims must still reach the courier, which
        // gives them back in a drain; nobody else would before their leases end
        let committed = tokio::spawn(async move {
            let claims = if asks.is_empty() {
                store.accept(message).await?
            } else {
                store.accept_telling(message, asks).await?
            };
            if let Some(stored) = stored {
                reservation.dispatch(stored, claims);
            }
            Ok::<(), StoreError>(())
        });
        committed.await.map_err(|error| StoreError::Unavailable(format!("the commit ended: {error}")))??;
        if due > places {
            self.0.dispatch.wake();
        }
        if rings {
            self.0.bell.notify_one();
        }
        Ok(())
    }
}

/// Copies as they are committed.
pub(super) fn born(deliveries: Vec<Delivery>, state: InitialState) -> Vec<NewDelivery> {
    deliveries.into_iter().map(|delivery| NewDelivery { delivery, state }).collect()
}
