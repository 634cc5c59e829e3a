//! The sender's relation to each recipient: written to before, a stranger, or at a domain that looks like one
//! the sender knows.

use super::{Desk, DeskError};
use crate::clock::Timestamp;
use crate::intake::known::known_to;
use crate::message::Address;
use crate::policy::known::RecipientHistory;
use crate::store::StoredMessage;

impl Desk {
    /// The sender's relation to the recipients of a message.
    ///
    /// # Errors
    /// The store failed.
    pub async fn known(&self, message: &StoredMessage) -> Result<RecipientHistory, DeskError> {
        let recipients = message.envelope.recipients.iter();
        let recipients: Vec<Address> = recipients.map(|recipient| recipient.address.clone()).collect();
        let examiner = self.examiner.borrow().clone();
        Ok(known_to(&*self.store, &examiner, message.envelope.sender.as_ref(), &recipients).await?)
    }

    /// The same for the journal entry of a decision; `None` if the store failed.
    pub(super) async fn stood(&self, message: &StoredMessage) -> Option<Vec<(String, Timestamp)>> {
        self.known(message).await.ok().map(|known| known.stood())
    }
}
