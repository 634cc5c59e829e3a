//! Learns from what the relay delivered itself. It runs later in a task, so that no mail waits for it.

use super::Desk;
use crate::policy::Organisation;
use crate::policy::learned::{Learned, Source};
use crate::store::StoreError;
use crate::store::learned::Sent;
use std::time::Duration;

/// Interval of the search for finished mail.
const EVERY: Duration = Duration::from_secs(10);

impl Desk {
    /// Learns from finished mail until the task is stopped.
    pub async fn learn_forever(self) {
        loop {
            tokio::time::sleep(EVERY).await;
            if let Err(error) = self.learn_sent().await {
                tracing::warn!(%error, "learning from delivered mail failed");
            }
        }
    }

    /// Learns from all finished mail; returns how many mails that were.
    ///
    /// # Errors
    /// The store failed.
    pub async fn learn_sent(&self) -> Result<usize, StoreError> {
        let organisation = self.examiner.borrow().organisation.clone();
        let (mut after, mut learned) = (None, 0);
        loop {
            let page = self.store.through(after).await?;
            let ids: Vec<_> = page.mails.iter().map(|mail| mail.id).collect();
            let batch = page.mails.into_iter().filter_map(|mail| teaches(&organisation, mail)).collect();
            if !ids.is_empty() {
                learned += self.store.learn_sent(ids, batch, self.now()).await?.learned;
            }
            after = page.after;
            if after.is_none() {
                return Ok(learned);
            }
        }
    }
}

/// What one mail teaches; `None` if it did not show outsiders to each other.
fn teaches(organisation: &Organisation, mail: Sent) -> Option<Learned> {
    let outside = mail.reached.into_iter().filter(|address| !organisation.is_internal(address));
    Learned::together(Some(mail.message_id), mail.received, outside, Source::Sent).ok()
}
