//! What is learned from archives of who wrote with whom, and somebody taken out of all that was learned.

use super::principal::{Principal, Via};
use super::{Desk, DeskError};
use crate::message::Address;
use crate::policy::learned::{Began, Learned};
use crate::store::learned::Taught;
use serde::{Deserialize, Serialize};

/// What a whole archive came to, for the record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveRead {
    /// Mails that were read.
    pub mails: u64,
    /// Mails that taught something new.
    pub learned: u64,
    /// Places at which no mail could be read.
    pub unreadable: u64,
}

impl Desk {
    /// Since when the relay keeps account of what leaves; and that this person may teach it what was before.
    pub async fn may_learn(&self, who: &Principal) -> Result<Began, DeskError> {
        admin(who, "teach the relay who knows whom")?;
        Ok(self.store.began().await?)
    }

    /// Keeps what these mails teach.
    pub async fn learn(&self, who: &Principal, mails: Vec<Learned>) -> Result<Taught, DeskError> {
        admin(who, "teach the relay who knows whom")?;
        Ok(self.store.learn(mails, self.now()).await?)
    }

    /// An archive was read to its end.
    pub fn archive_read(&self, who: &Principal, read: ArchiveRead) -> Result<(), DeskError> {
        admin(who, "teach the relay who knows whom")?;
        let ArchiveRead { mails, learned, unreadable } = read;
        tracing::info!(mails, learned, unreadable, by = %who.name, "an archive was learned from");
        Ok(())
    }

    /// Takes somebody out of all that was learned; out of how many sets of people.
    pub async fn forget(&self, who: &Principal, address: &Address) -> Result<usize, DeskError> {
        admin(who, "take people out of what was learned")?;
        let sets = self.store.forget(address).await?;
        // Whom it was about is what they wanted forgotten.
        tracing::info!(sets, by = %who.name, "somebody was taken out of what was learned");
        Ok(sets)
    }
}

/// What is known of who knows whom loosens verdicts: only an admin changes it.
fn admin(who: &Principal, what: &str) -> Result<(), DeskError> {
    if who.roles.admin && who.via != Via::Link {
        return Ok(());
    }
    Err(DeskError::NotAllowed(format!("{} may not {what}", who.name)))
}
