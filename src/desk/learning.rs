//! Learning from archives who wrote with whom, and removing a person from everything that was learned.

use super::principal::{Principal, Via};
use super::{Desk, DeskError};
use crate::clock::{Entropy, SystemEntropy};
use crate::id::Id;
use crate::journal::Event;
use crate::message::{Address, Envelope};
use crate::policy::learned::{Began, Learned};
use crate::store::learned::Taught;
use crate::store::{Message, NewMessage, Origin, StoreError};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The result of reading an archive, for the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveRead {
    /// Mails that were read.
    pub mails: u64,
    /// Mails that added something new.
    pub learned: u64,
    /// Places at which no mail could be read.
    pub unreadable: u64,
}

impl Desk {
    /// Checks that a person may teach the relay from archives; returns when the relay began to record what is
    /// sent.
    ///
    /// # Errors
    /// The person may not, or the store failed.
    pub async fn may_learn(&self, who: &Principal) -> Result<Began, DeskError> {
        admin(who, "teach the relay from archives")?;
        Ok(self.store.began().await?)
    }

    /// Stores what these mails teach.
    ///
    /// # Errors
    /// The person may not, or the store failed.
    pub async fn learn(&self, who: &Principal, mails: Vec<Learned>) -> Result<Taught, DeskError> {
        admin(who, "teach the relay from archives")?;
        Ok(self.store.learn(mails, self.now()).await?)
    }

    /// Records that an archive was read to its end.
    ///
    /// # Errors
    /// The person may not, or the store failed.
    pub async fn archive_read(&self, who: &Principal, read: ArchiveRead) -> Result<(), DeskError> {
        admin(who, "teach the relay from archives")?;
        let ArchiveRead { mails, learned, unreadable } = read;
        let by = who.name.clone();
        tracing::info!(mails, learned, unreadable, by, "an archive was learned from");
        let event = Event::Learned { by, mails, learned, unreadable };
        Ok(self.put_on_record("an archive was learned from", event).await?)
    }

    /// Removes a person from everything that was learned; returns the number of sets of people they were in.
    ///
    /// # Errors
    /// The person may not do this, or the store failed.
    pub async fn forget(&self, who: &Principal, address: &Address) -> Result<usize, DeskError> {
        admin(who, "remove people from what was learned")?;
        let sets = self.store.forget(address).await?;
        let by = who.name.clone();
        // without the address, because that is what is to be forgotten
        tracing::info!(sets, by, "a person was removed from what was learned");
        if sets > 0 {
            let event = Event::Forgotten { by, sets };
            self.put_on_record("a person was removed from what was learned", event).await?;
        }
        Ok(sets)
    }

    /// Writes an event that belongs to no mail into the journal, as a message of ours without recipients:
    /// chained, shown and kept as any other.
    async fn put_on_record(&self, what: &str, event: Event) -> Result<(), StoreError> {
        let received = self.now();
        let id = Id::new(received, SystemEntropy.bits());
        let record = NewMessage {
            events: vec![event],
            ..NewMessage::of(Message {
                id,
                received,
                origin: Origin::Own { about: None },
                envelope: Envelope {
                    sender: None,
                    recipients: Vec::new(),
                    smtputf8: false,
                    eight_bit: false,
                    ret: None,
                    envid: None,
                },
                header: Bytes::new(),
                body: self.store.new_body().await?.finish().await?,
                subject: what.to_owned(),
                message_id: format!("{id}@record"),
                verdict: None,
                needles: Arc::default(),
            })
        };
        self.store.accept(record).await.map(drop)
    }
}

/// Only an admin may do this, because knowledge loosens verdicts. The scopes of tokens are checked by the
/// API.
fn admin(who: &Principal, what: &str) -> Result<(), DeskError> {
    if who.via == Via::Token || (who.roles.admin && who.via != Via::Link) {
        return Ok(());
    }
    Err(DeskError::NotAllowed(format!("{} may not {what}", who.name)))
}
