//! What is learned from archives of who wrote with whom, and somebody taken out of all that was learned.

use super::principal::{Principal, Via};
use super::{Desk, DeskError};
use crate::clock::{Entropy, SystemEntropy};
use crate::id::Id;
use crate::journal::Event;
use crate::message::{Address, Envelope};
use crate::policy::learned::{Began, Learned};
use crate::store::learned::Taught;
use crate::store::{NewMessage, Origin, StoreError};
use bytes::Bytes;
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
    pub async fn archive_read(&self, who: &Principal, read: ArchiveRead) -> Result<(), DeskError> {
        admin(who, "teach the relay who knows whom")?;
        let ArchiveRead { mails, learned, unreadable } = read;
        let by = who.name.clone();
        tracing::info!(mails, learned, unreadable, by, "an archive was learned from");
        let event = Event::Learned { by, mails, learned, unreadable };
        Ok(self.put_on_record("an archive was learned from", event).await?)
    }

    /// Takes somebody out of all that was learned; out of how many sets of people.
    pub async fn forget(&self, who: &Principal, address: &Address) -> Result<usize, DeskError> {
        admin(who, "take people out of what was learned")?;
        let sets = self.store.forget(address).await?;
        let by = who.name.clone();
        // Whom it was about is what they wanted forgotten.
        tracing::info!(sets, by, "somebody was taken out of what was learned");
        if sets > 0 {
            let event = Event::Forgotten { by, sets };
            self.put_on_record("somebody was taken out of what was learned", event).await?;
        }
        Ok(sets)
    }

    /// What somebody did that is about no mail stands in the journal as a message of ours that goes to nobody:
    /// chained, shown and kept as long as any other.
    async fn put_on_record(&self, what: &str, event: Event) -> Result<(), StoreError> {
        let received = self.now();
        let id = Id::new(received, SystemEntropy.bits());
        let record = NewMessage {
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
            needles: Vec::new(),
            deliveries: Vec::new(),
            held: None,
            ledger: None,
            notices: Vec::new(),
            answers: None,
            events: vec![event],
            fork: None,
        };
        self.store.accept(record).await.map(drop)
    }
}

/// What is known of who knows whom loosens verdicts: only an admin changes it. What a token is good for is
/// asked where it is shown.
fn admin(who: &Principal, what: &str) -> Result<(), DeskError> {
    if who.via == Via::Token || (who.roles.admin && who.via != Via::Link) {
        return Ok(());
    }
    Err(DeskError::NotAllowed(format!("{} may not {what}", who.name)))
}
