//! The queue and the API tokens. Administrators see and change them; auditors see the queue, which has no
//! contents; everybody else is refused.

use super::principal::{Principal, Via};
use super::{Desk, DeskError};
use crate::store::{ApiTokenRow, QueueChange, QueueFilter, QueueRow};

/// Whether a person may see the queue. The scopes of a token are checked by the API.
pub fn looks(who: &Principal) -> bool {
    who.roles.admin || who.roles.auditor || who.via == Via::Token
}

/// Whether a person may change the queue and tokens.
pub fn operates(who: &Principal) -> bool {
    who.roles.admin || who.via == Via::Token
}

fn only(may: bool, who: &Principal, what: &str) -> Result<(), DeskError> {
    if may { Ok(()) } else { Err(DeskError::NotAllowed(format!("{} may not {what}", who.name))) }
}

impl Desk {
    /// The deliveries that match a filter, oldest first.
    ///
    /// # Errors
    /// The person may not see the queue, or the store failed.
    pub async fn queue(&self, who: &Principal, filter: &QueueFilter) -> Result<Vec<QueueRow>, DeskError> {
        only(looks(who), who, "look at the queue")?;
        Ok(self.store.queue(filter).await?)
    }

    /// Changes these deliveries (`MESSAGE.N`); returns how many. They are named one by one, because a filter
    /// could match others by now.
    ///
    /// # Errors
    /// The person may not change the queue, or the store failed.
    pub async fn change_deliveries(
        &self,
        who: &Principal,
        deliveries: &[String],
        change: QueueChange,
    ) -> Result<usize, DeskError> {
        only(operates(who), who, "change the queue")?;
        let mut changed = 0;
        for id in deliveries {
            let filter = QueueFilter { id: Some(id.clone()), all: true, ..QueueFilter::default() };
            match self.store.change_queue(&filter, change, &who.name, self.clock.now()).await {
                Ok(count) => changed += count,
                // it was purged meanwhile and needs no change
                Err(crate::store::StoreError::NotFound(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.wake();
        tracing::info!(by = who.name, ?change, changed, "deliveries were changed");
        Ok(changed)
    }

    /// The API tokens, by name.
    ///
    /// # Errors
    /// The person may not see them, or the store failed.
    pub async fn tokens(&self, who: &Principal) -> Result<Vec<ApiTokenRow>, DeskError> {
        only(who.roles.admin, who, "look at tokens")?;
        Ok(self.store.api_tokens().await?)
    }

    /// Removes a token; returns whether it existed.
    ///
    /// # Errors
    /// The person may not remove tokens, or the store failed.
    pub async fn remove_token(&self, who: &Principal, name: &str) -> Result<bool, DeskError> {
        only(who.roles.admin, who, "remove tokens")?;
        let removed = self.store.remove_api_token(name).await?;
        if removed {
            tracing::info!(by = who.name, token = name, "an API token was removed");
        }
        Ok(removed)
    }
}
