//! How the recipients of a message stand to its sender, for whoever decides and for the record.

use super::{Desk, DeskError};
use crate::clock::Timestamp;
use crate::intake::known::known_to;
use crate::message::Address;
use crate::policy::known::Known;
use crate::store::StoredMessage;

impl Desk {
    /// How the recipients of a message stand to its sender.
    pub async fn known(&self, message: &StoredMessage) -> Result<Known, DeskError> {
        let recipients = message.envelope.recipients.iter();
        let recipients: Vec<Address> = recipients.map(|recipient| recipient.address.clone()).collect();
        let examiner = self.examiner.borrow().clone();
        Ok(known_to(&*self.store, &examiner, message.envelope.sender.as_ref(), &recipients).await?)
    }

    /// The same for the record of a decision. What cannot be told is not said.
    pub(super) async fn stood(&self, message: &StoredMessage) -> Option<Vec<(String, Timestamp)>> {
        self.known(message).await.ok().map(|known| known.stood())
    }
}
