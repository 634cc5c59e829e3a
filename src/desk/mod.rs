//! The desk: decisions on held messages. All user interfaces call the same functions.
//!
//! * [`again`] sending again, openly, what was sent individually
//! * [`contents`] the displayable contents of a message
//! * [`decide`] who may release what; release, return; [`wish`] what a release asks for
//! * [`deputies`] absent approvers and their deputies
//! * [`dossier`] everything about one message that a decision needs
//! * [`expiry`] returns messages that were not decided in time
//! * [`known`] the sender's relation to the recipients
//! * [`explain`] a message, its verdict and its copies, for display
//! * [`report`] statistics over a period
//! * [`preview`] kinds and previews of attachments; [`waiting`] the next message, new messages, progress
//! * [`principal`] who asks, and what they may do
//! * [`learning`] learning from archives, and removing a person
//! * [`links`] links in mails
//! * [`own`] a person's own mail, and what they can do with it; [`operate`] the queue and tokens
//!
//! A release never goes straight to the courier: the message is examined again, its copies are planned and
//! audited again, and everything is committed in one transaction.

pub mod again;
pub mod circles;
pub mod company;
pub mod contents;
pub mod decide;
pub mod deputies;
pub mod dossier;
pub mod expiry;
pub mod explain;
#[cfg(test)]
mod interleavings;
mod known;
pub mod learning;
mod link_maker;
pub mod links;
pub mod operate;
pub mod own;
pub mod preview;
pub mod principal;
pub mod report;
mod sent;
pub mod taking;
pub mod waiting;
pub mod wish;

pub use crate::notice::canned;

use crate::clock::hours::Term;
use crate::clock::{Clock, Timestamp};
use crate::examine::{Examination, Examiner, Refusal};
use crate::id::Id;
use crate::intake::openings::apart;
use crate::intake::{Dispatch, stamp};
use crate::message::Address;
use crate::notice::asking::Asking;
use crate::policy::Knowledge;
use crate::policy::budget::Sending;
use crate::policy::risks::Risk;
use crate::policy::verdict::{Language, RuleOutcome};
use crate::rewrite::Hit;
use crate::rewrite::plan::Stamp;
use crate::store::{HeldFilter, HeldRow, HeldState, QueueRow, Store, StoreError, StoredMessage};
use bytes::Bytes;
use explain::{Explanation, PreviewSeals};
use principal::{Parties, Principal};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::{Notify, watch};

/// Octets of a body read at once.
const CHUNK: usize = 64 * 1024;

/// Most decided messages that a list shows after those that are held.
const DECIDED_SHOWN: usize = 200;

/// The desk. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The current examiner, replaced by a reload.
    pub examiner: watch::Receiver<Examiner>,
    /// The courier, if a relay runs in this process.
    pub courier: Option<Arc<dyn Dispatch>>,
    /// Wakes the task that sends notices, if a relay runs in this process.
    pub bell: Option<Arc<Notify>>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Our host name, for trace fields.
    pub hostname: Arc<str>,
    /// Keys and marks for previews, replaced by a reload.
    pub preview_seals: watch::Receiver<Arc<PreviewSeals>>,
    /// How long a release on a page or by a link can be undone before it is sent.
    pub grace: Duration,
    /// How long a hold lasts, replaced by a reload.
    pub hold_for: watch::Receiver<Term>,
    /// How approvers are told, replaced by a reload.
    pub asking: watch::Receiver<Arc<Asking>>,
}

/// Why the desk refused a request.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// An error of the store: not found, decided already, unavailable.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The message was never held.
    #[error("{0} is not held: it was passed on when it came; `sekisho trace {0}` shows what happened to it")]
    NeverHeld(Id),
    /// The person may not do that.
    #[error("{0}")]
    NotAllowed(String),
    /// The audit found hidden addresses, so nothing was released.
    #[error("{}", audit_text(.0))]
    Audit(Vec<Hit>),
    /// The message cannot be parsed, so no safe copies can be created.
    #[error(
        "nothing was released: the message cannot be read reliably ({0}); it can leave with `--as as-is` only, \
         or go back with `return`"
    )]
    Unreadable(String),
    /// The risks that this way of sending leaves were not all ticked.
    #[error("nothing was released: {} is left whatever way it is sent", .0.iter().map(|risk| risk.headline(Language::En)).collect::<Vec<_>>().join("; "))]
    Unticked(Vec<Risk>),
    /// Returning a message by a link requires a reason.
    #[error("say why it goes back: nothing was done")]
    NoReason,
    /// The request was to remove recipients, but named none.
    #[error("choose at least one recipient to leave out")]
    NobodyDropped,
    /// Sending as is requires acknowledging the places where the audit found something.
    #[error("{}", acknowledge_text(.0))]
    Unacknowledged(Vec<Hit>),
    /// The circle exceeds a limit.
    #[error("{0}")]
    NoCircle(String),
    /// It was sent already, or was never delayed.
    #[error("it is too late: {0} cannot be taken back any more")]
    TooLate(Id),
    /// There is nothing to undo, or the time for it has passed.
    #[error("there is nothing to undo on {0}, or the time for it is over")]
    NothingToUndo(Id),
    /// An address to remove is not a recipient.
    #[error("{0} is no recipient of this message")]
    NoRecipient(Address),
    /// No recipient would be left.
    #[error("no recipient would be left; give the message back with `return` instead")]
    NobodyLeft,
    /// The stored message exceeds a limit when it is examined again.
    #[error("the stored message cannot be examined: {0}")]
    Refused(#[from] Refusal),
}

fn acknowledge_text(hits: &[Hit]) -> String {
    let mut places: Vec<&str> = hits.iter().map(|hit| hit.place.as_str()).collect();
    places.sort_unstable();
    places.dedup();
    format!(
        "nothing was released: others would see the addresses of hidden recipients in {}; each of these places has to \
         be acknowledged",
        places.join(", ")
    )
}

fn audit_text(hits: &[Hit]) -> String {
    let places: Vec<String> = hits
        .iter()
        .take(20)
        .map(|hit| format!("  {} in {} ({})", hit.address, hit.place, hit.form))
        .collect();
    let more = hits.len().saturating_sub(places.len());
    let rest = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    format!(
        "nothing was released: others would see the addresses of hidden recipients\n{}{rest}\n\
         `--as as-is` sends it all the same, and records that these places were acknowledged",
        places.join("\n")
    )
}

/// A held message in full.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeldDetail {
    /// Its line in the list.
    pub row: HeldRow,
    /// The message, its verdict and copies, or why they cannot be shown.
    pub explanation: Result<Explanation, String>,
    /// The copies that exist already (released, or sent before the final check stopped the rest).
    pub deliveries: Vec<QueueRow>,
}

/// Any stored message.
#[derive(Clone, Debug)]
pub struct MessageDetail {
    /// The message.
    pub message: StoredMessage,
    /// The message, its verdict and copies, or why they cannot be shown.
    pub explanation: Result<Explanation, String>,
    /// Its copies.
    pub deliveries: Vec<QueueRow>,
}

impl Desk {
    /// Held messages: first those that are still held, then the latest decided ones; each newest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn list(
        &self,
        state: Option<HeldState>,
        limit: Option<usize>,
    ) -> Result<Vec<HeldRow>, DeskError> {
        if state.is_some() {
            return Ok(self.store.held(&HeldFilter { state, limit, ..HeldFilter::default() }).await?);
        }
        let held = HeldFilter { state: Some(HeldState::Held), limit, ..HeldFilter::default() };
        let mut rows = self.store.held(&held).await?;
        let most = limit.unwrap_or(rows.len().saturating_add(DECIDED_SHOWN));
        let latest = HeldFilter { limit: Some(most), ..HeldFilter::default() };
        let decided = self.store.held(&latest).await?;
        rows.extend(decided.into_iter().filter(|row| row.state != HeldState::Held));
        rows.truncate(most);
        Ok(rows)
    }

    /// A message that this person may see; for everybody else it is not found.
    pub async fn seen_by(&self, who: &Principal, id: Id) -> Result<StoredMessage, DeskError> {
        let message = self.store.message(id).await?;
        if who.may_see(&Parties::of(&message)) {
            Ok(message)
        } else {
            Err(StoreError::NotFound(id.to_string()).into())
        }
    }

    /// The item of a message (itself, or the item it is a member of) that this person may see.
    pub async fn item_seen_by(&self, who: &Principal, id: Id) -> Result<StoredMessage, DeskError> {
        let message = self.store.message(id).await?;
        match &message.held {
            Some(held) if held.item != id => self.seen_by(who, held.item).await,
            _ => self.seen_by(who, id).await,
        }
    }

    /// One held item with everything an approver needs; the id of a member gives its item.
    ///
    /// # Errors
    /// There is no such item for this person, or the store failed.
    pub async fn show(&self, who: &Principal, id: Id) -> Result<HeldDetail, DeskError> {
        let item = self.item_seen_by(who, id).await?.id;
        let look = self.look(who, item).await?;
        let row = look.message.held.ok_or(DeskError::NeverHeld(id))?;
        Ok(HeldDetail { row, explanation: look.explanation, deliveries: look.deliveries })
    }

    /// Any stored message, examined again.
    ///
    /// # Errors
    /// There is no such message for this person, or the store failed.
    pub async fn look(&self, who: &Principal, id: Id) -> Result<MessageDetail, DeskError> {
        let message = self.seen_by(who, id).await?;
        let mut deliveries = Vec::new();
        match &message.held {
            Some(held) if held.members > 1 && held.item == id => {
                for member in self.store.members(id).await? {
                    deliveries.extend(self.store.deliveries(member).await?);
                }
            }
            _ => deliveries = self.store.deliveries(id).await?,
        }
        let examiner = self.examiner.borrow().clone();
        let explanation = match self.examine(&examiner, &message).await {
            Ok(seen) => {
                let mut explained = Explanation::of_stored(&examiner, &seen, &self.stamp(&message), &message);
                if message.held.as_ref().is_some_and(|held| held.state == HeldState::Held) {
                    explained.with_budget(self.forecast(&examiner, &seen).as_ref());
                }
                Ok(explained)
            }
            Err(error) => Err(error.to_string()),
        };
        Ok(MessageDetail { message, explanation, deliveries })
    }

    /// The budgets' current result for a release to everybody.
    fn forecast(&self, examiner: &Examiner, seen: &Examination) -> Option<RuleOutcome> {
        let envelope = &seen.envelope;
        let recipients: Vec<&Address> = envelope.recipients.iter().map(|to| &to.address).collect();
        let (sender, organisation) = (envelope.sender.as_ref(), &*seen.organisation);
        let sending = Sending { sender, recipients: &recipients, organisation };
        examiner.budgets.forecast(sending, &*self.clock)
    }

    /// Examines a stored message again with current knowledge.
    async fn examine(&self, examiner: &Examiner, message: &StoredMessage) -> Result<Examination, DeskError> {
        self.examine_and(examiner, message, |_| ()).await
    }

    /// The same, while another reader consumes the body.
    async fn examine_and(
        &self,
        examiner: &Examiner,
        message: &StoredMessage,
        mut passes: impl FnMut(&[u8]) + Send,
    ) -> Result<Examination, DeskError> {
        let mut examining =
            examiner.open(message.envelope.clone(), Some(message.received), message.header.clone())?;
        let mut body = self.store.open_body(&message.body).await?.stream;
        loop {
            let mut chunk = bytes::BytesMut::with_capacity(CHUNK);
            let read = body
                .read_buf(&mut chunk)
                .await
                .map_err(|error| StoreError::Unavailable(format!("the body of {}: {error}", message.id)))?;
            if read == 0 {
                break;
            }
            let chunk: Bytes = chunk.freeze();
            passes(&chunk);
            examining.feed(&chunk)?;
        }
        let threads = self.store.disclosed(examining.references()).await?;
        let circles = self.store.circles_in_force(self.now()).await?.circles;
        let shared = self.store.shared(examining.references(), examining.concerned()).await?;
        // this opens archives and may take a while
        let knowledge = Knowledge { threads, circles, shared, identity: message.origin.identity() };
        let done = apart(move || examining.finish(&knowledge)).await;
        Ok(done.map_err(|error| StoreError::Unavailable(error.to_string()))??)
    }

    /// Our trace fields for a stored message, the same as when it was accepted.
    fn stamp(&self, message: &StoredMessage) -> Stamp {
        stamp(&*self.clock, &self.hostname, message.id, message.received, &message.origin)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Tells the courier and the task that sends notices that something is due.
    pub fn wake(&self) {
        if let Some(courier) = &self.courier {
            courier.wake();
        }
        if let Some(bell) = &self.bell {
            bell.notify_one();
        }
    }
}
