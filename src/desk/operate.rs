//! What administrators look at and change beside mail that is held: the queue, and tokens of the API.
//! Auditors see the queue, which has no contents; everybody else is told nothing.

use super::principal::{Principal, Via};
use super::{Desk, DeskError};
use crate::store::{ApiTokenRow, QueueChange, QueueFilter, QueueRow};

/// Whether somebody may look at what runs. Of a token, the API has looked at its scope.
pub fn looks(who: &Principal) -> bool {
    who.roles.admin || who.roles.auditor || who.via == Via::Token
}

/// Whether somebody may change it.
pub fn operates(who: &Principal) -> bool {
    who.roles.admin || who.via == Via::Token
}

fn only(may: bool, who: &Principal, what: &str) -> Result<(), DeskError> {
    if may { Ok(()) } else { Err(DeskError::NotAllowed(format!("{} may not {what}", who.name))) }
}

impl Desk {
    /// Deliveries that a filter names, oldest first.
    pub async fn queue(&self, who: &Principal, filter: &QueueFilter) -> Result<Vec<QueueRow>, DeskError> {
        only(looks(who), who, "look at the queue")?;
        Ok(self.store.queue(filter).await?)
    }

    /// Changes these deliveries (`MESSAGE.N`); how many. Each is named: nothing is changed by a filter that
    /// may have come to mean others.
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
                // What was purged meanwhile needs no change.
                Err(crate::store::StoreError::NotFound(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.wake();
        tracing::info!(by = who.name, ?change, changed, "deliveries were changed");
        Ok(changed)
    }

    /// Tokens of the API, by name.
    pub async fn tokens(&self, who: &Principal) -> Result<Vec<ApiTokenRow>, DeskError> {
        only(who.roles.admin, who, "look at tokens")?;
        Ok(self.store.api_tokens().await?)
    }

    /// Takes a token away; whether there was one.
    pub async fn remove_token(&self, who: &Principal, name: &str) -> Result<bool, DeskError> {
        only(who.roles.admin, who, "take tokens away")?;
        let removed = self.store.remove_api_token(name).await?;
        if removed {
            tracing::info!(by = who.name, token = name, "a token of the API was taken away");
        }
        Ok(removed)
    }
}
