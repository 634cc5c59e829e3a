//! The desk: what becomes of held messages. The same functions stand behind every surface.
//!
//! * [`again`] sending again, openly, what was sent individually
//! * [`contents`] what stands in a message, to be read
//! * [`decide`] who may release what; release, return; [`wish`] how they wish it
//! * [`deputies`] approvers who are away, and who stands in for them
//! * [`dossier`] everything about one message that a decision needs
//! * [`expiry`] messages nobody decided on go back to their senders
//! * `known` how recipients stand to the sender
//! * [`explain`] a message, its verdict and its copies, for people to look at
//! * [`report`] numbers over a span of time
//! * [`preview`] what an attachment is, and its beginning; [`waiting`] what waits next, what is new, how far it is
//! * [`principal`] who asks, and what they may
//! * [`learning`] who wrote with whom, from archives; somebody taken out of it
//! * [`links`] what links out of a mail do
//! * [`own`] mail of one's own, and what can still be done; [`operate`] the queue and tokens
//!
//! A release never goes straight to the courier: the message is examined and its copies are planned
//! and audited anew, and all of it is committed in one transaction.

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
use explain::{Explanation, Shown};
use principal::{Principal, Whose};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::{Notify, watch};

/// Octets of a body read at a time.
const CHUNK: usize = 64 * 1024;

/// Most decided messages that a list shows below those still held.
const DECIDED_SHOWN: usize = 200;

/// The desk. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    /// The store.
    pub store: Arc<dyn Store>,
    /// How messages are looked at now (a reload changes it).
    pub examiner: watch::Receiver<Examiner>,
    /// The courier, where a relay runs in this process.
    pub courier: Option<Arc<dyn Dispatch>>,
    /// Rung when a notice became due, where a relay runs in this process.
    pub bell: Option<Arc<Notify>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Our host name, for trace fields.
    pub hostname: Arc<str>,
    /// Keys and marks for copies that people look at (a reload changes them).
    pub shown: watch::Receiver<Arc<Shown>>,
    /// How long a release that a person makes on a page, or by a link, can be undone before it leaves.
    pub grace: Duration,
    /// How long a hold waits for a decision (a reload changes it).
    pub hold_for: watch::Receiver<Term>,
    /// How those who decide are told (a reload changes it).
    pub asking: watch::Receiver<Arc<Asking>>,
}

/// Why the desk did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The store's word: not found, decided already, unavailable.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The message was never held.
    #[error("{0} is not held: it was passed on when it came; `sekisho trace {0}` shows what happened to it")]
    NeverHeld(Id),
    /// This person may not do that.
    #[error("{0}")]
    NotAllowed(String),
    /// The audit found hidden addresses: nothing was released.
    #[error("{}", audit_text(.0))]
    Audit(Vec<Hit>),
    /// The message cannot be parsed: no safe copies can be made of it.
    #[error(
        "nothing was released: the message cannot be read reliably ({0}); it can leave with `--as as-is` only, \
         or go back with `return`"
    )]
    Unreadable(String),
    /// It is released in this way only by somebody who ticks each risk that the way does not cure.
    #[error("nothing was released: {} is left whatever way it is sent", .0.iter().map(|risk| risk.headline(Language::En)).collect::<Vec<_>>().join("; "))]
    Unticked(Vec<Risk>),
    /// It is given back by a link only with a reason.
    #[error("say why it goes back: nothing was done")]
    NoReason,
    /// Nobody was left out by somebody who asked to leave some out.
    #[error("choose at least one recipient to leave out")]
    NobodyDropped,
    /// It is released as it is only by somebody who names the places where the audit found something.
    #[error("{}", acknowledge_text(.0))]
    Unacknowledged(Vec<Hit>),
    /// A circle cannot be made as it was asked for.
    #[error("{0}")]
    NoCircle(String),
    /// It left already, or was never delayed.
    #[error("it is too late: {0} cannot be taken back any more")]
    TooLate(Id),
    /// There is nothing to undo, or the time for it is over.
    #[error("there is nothing to undo on {0}, or the time for it is over")]
    NothingToUndo(Id),
    /// An address to drop is no recipient.
    #[error("{0} is no recipient of this message")]
    NoRecipient(Address),
    /// Nobody would be left.
    #[error("no recipient would be left; give the message back with `return` instead")]
    NobodyLeft,
    /// The stored message is refused when looked at again (limits).
    #[error("the stored message cannot be examined: {0}")]
    Refused(#[from] Refusal),
}

fn acknowledge_text(hits: &[Hit]) -> String {
    let mut places: Vec<&str> = hits.iter().map(|hit| hit.place.as_str()).collect();
    places.sort_unstable();
    places.dedup();
    format!(
        "nothing was released: others would see hidden recipients' addresses in {}; each of these places has to \
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
        "nothing was released: others would see hidden recipients' addresses\n{}{rest}\n\
         `--as as-is` sends it all the same, and records that these places were acknowledged",
        places.join("\n")
    )
}

/// A held message in full.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeldDetail {
    /// Its line in the list.
    pub row: HeldRow,
    /// The message, its verdict and copies; or why they cannot be shown.
    pub explanation: Result<Explanation, String>,
    /// Copies that exist already (released, or left before the second lock stopped the rest).
    pub deliveries: Vec<QueueRow>,
}

/// Any message that is kept.
#[derive(Clone, Debug)]
pub struct Look {
    /// The message.
    pub message: StoredMessage,
    /// What it is, its verdict and copies; or why they cannot be shown.
    pub explanation: Result<Explanation, String>,
    /// Its copies.
    pub deliveries: Vec<QueueRow>,
}

impl Desk {
    /// Held messages: those still held first, then the latest that were decided; each newest first.
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

    /// A message that this person may know of; to everybody else there is none.
    pub async fn seen_by(&self, who: &Principal, id: Id) -> Result<StoredMessage, DeskError> {
        let message = self.store.message(id).await?;
        if who.may_see(&Whose::of(&message).standing()) {
            Ok(message)
        } else {
            Err(StoreError::NotFound(id.to_string()).into())
        }
    }

    /// The item that a message is, or is a member of, for a person who may know of it.
    pub async fn item_seen_by(&self, who: &Principal, id: Id) -> Result<StoredMessage, DeskError> {
        let message = self.store.message(id).await?;
        match &message.held {
            Some(held) if held.item != id => self.seen_by(who, held.item).await,
            _ => self.seen_by(who, id).await,
        }
    }

    /// One held item with everything an approver needs to see; a member's id names its item.
    pub async fn show(&self, who: &Principal, id: Id) -> Result<HeldDetail, DeskError> {
        let item = self.item_seen_by(who, id).await?.id;
        let look = self.look(who, item).await?;
        let row = look.message.held.ok_or(DeskError::NeverHeld(id))?;
        Ok(HeldDetail { row, explanation: look.explanation, deliveries: look.deliveries })
    }

    /// Any message that is kept, explained anew.
    pub async fn look(&self, who: &Principal, id: Id) -> Result<Look, DeskError> {
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
        Ok(Look { message, explanation, deliveries })
    }

    /// What budgets would say of a release to everybody now.
    fn forecast(&self, examiner: &Examiner, seen: &Examination) -> Option<RuleOutcome> {
        let envelope = &seen.envelope;
        let recipients: Vec<&Address> = envelope.recipients.iter().map(|to| &to.address).collect();
        let (sender, organisation) = (envelope.sender.as_ref(), &*seen.organisation);
        let sending = Sending { sender, recipients: &recipients, organisation };
        examiner.budgets.forecast(sending, &*self.clock)
    }

    /// Looks at a stored message again, with what is known now.
    async fn examine(&self, examiner: &Examiner, message: &StoredMessage) -> Result<Examination, DeskError> {
        self.examine_and(examiner, message, |_| ()).await
    }

    /// The same, while somebody else takes the body's octets as they pass.
    async fn examine_and(
        &self,
        examiner: &Examiner,
        message: &StoredMessage,
        mut passes: impl FnMut(&[u8]) + Send,
    ) -> Result<Examination, DeskError> {
        let mut examining =
            examiner.open(message.envelope.clone(), Some(message.received), message.header.clone())?;
        let mut body = self.store.open_body(&message.body).await?;
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
        let circles = self.store.circles_in_force(self.now()).await?;
        let shared = self.store.shared(examining.references(), examining.concerned()).await?;
        // Archives and the like are opened now, which may take a while.
        let knowledge = Knowledge { threads, circles, shared, identity: message.origin.identity() };
        let done = apart(move || examining.finish(&knowledge)).await;
        Ok(done.map_err(|error| StoreError::Unavailable(error.to_string()))??)
    }

    /// Our trace fields for a stored message: the same that it would have left with.
    fn stamp(&self, message: &StoredMessage) -> Stamp {
        stamp(&*self.clock, &self.hostname, message.id, message.received, &message.origin)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Tells the courier, and whoever sends notices, that something became due.
    pub fn wake(&self) {
        if let Some(courier) = &self.courier {
            courier.wake();
        }
        if let Some(bell) = &self.bell {
            bell.notify_one();
        }
    }
}
