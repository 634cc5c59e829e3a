//! How the recipients of a message stand to its sender, from what was delivered before.

use super::Intake;
use crate::examine::{Examination, Examiner};
use crate::message::Address;
use crate::policy::known::{MOST_DOMAINS, RecipientHistory};
use crate::policy::risks::Risk;
use crate::store::{Store, StoreError};
use std::collections::{HashMap, HashSet};

/// Most recipients looked up for one message.
const MOST_RECIPIENTS: usize = 5_000;

/// A sender's relation to recipients, from the mail delivered for that sender. Everybody knows the
/// organisation's own domains.
pub async fn known_to(
    store: &dyn Store,
    examiner: &Examiner,
    sender: Option<&Address>,
    recipients: &[Address],
) -> Result<RecipientHistory, StoreError> {
    let recipients = &recipients[..recipients.len().min(MOST_RECIPIENTS)];
    let Some(sender) = sender else { return Ok(RecipientHistory::new(recipients, HashMap::new(), &[])) };
    let found = store.correspondents(sender, recipients, MOST_DOMAINS).await?;
    let mut domains = found.domains;
    domains.extend(examiner.organisation.domains().iter().map(|(domain, _)| domain.clone()));
    Ok(RecipientHistory::new(recipients, found.last, &domains))
}

impl Intake {
    /// Recipients of a held message whose domains are easily confused with domains that the sender knows.
    pub(super) async fn look_alikes(
        &self,
        examiner: &Examiner,
        seen: &Examination,
    ) -> Result<Vec<Risk>, StoreError> {
        let shown =
            seen.facts.visible.iter().filter(|shown| !shown.internal).map(|shown| &shown.mailbox.address);
        let mut outside: Vec<Address> = Vec::new();
        let mut met = HashSet::new();
        for address in shown.chain(&seen.facts.recipients) {
            if !seen.organisation.is_internal(address) && met.insert(address) {
                outside.push(address.clone());
            }
        }
        let known = known_to(self.store(), examiner, seen.envelope.sender.as_ref(), &outside).await?;
        Ok(known.look_alikes(&outside))
    }
}
