//! A sender asks to send a mail as it is, or to send it again openly.
//!
//! "Send again openly": a mail that was sent individually is created again as a new message. It is held until
//! somebody other than its sender agrees to show the recipients to each other.
//!
//! The new message is the stored mail with a new Message-ID, for everybody who got a copy, over all of its
//! transactions. The Message-ID is derived from the first transaction and the number of earlier requests, so
//! that two concurrent requests create the same mail, which the store keeps once.

use super::principal::{Parties, Principal};
use super::{CHUNK, Desk, DeskError};
use crate::clock::{Entropy, SystemEntropy, Timestamp};
use crate::examine::{Examination, Examiner};
use crate::id::Id;
use crate::journal::Event;
use crate::message::{Address, Envelope, Header};
use crate::policy::{Action, Disclosure};
use crate::rewrite::again::renamed;
use crate::store::{
    Body, DeliveryState, ForkRelation, Glance, HeldState, HoldKind, Message, NewHold, NewMessage, NewNotice,
    NoticeKind, Reason, StoreError, StoredMessage,
};
use bytes::BytesMut;
use std::collections::HashSet;
use std::sync::Arc;
use tokio::io::AsyncReadExt;

/// Longest reason of a sender's request, in characters.
pub(super) const LONGEST_REASON: usize = 2_000;

/// The parts that every hold requested by a sender has.
pub(super) struct Request {
    /// When the hold expires.
    pub(super) expires: Timestamp,
    /// Notices for the approvers.
    pub(super) notices: Vec<NewNotice>,
}

/// A mail that was sent, with all its transactions.
struct Left {
    /// Its first transaction, which identifies it.
    first: Id,
    /// Its sender, and everybody who got a copy.
    envelope: Envelope,
    /// The messages created by earlier requests, the latest last.
    before: Vec<Id>,
}

impl Desk {
    /// Asks the approvers, with a reason, to send a mail as it is. If the mail is held or delayed, the
    /// request is about it; if it was sent individually, a new message is created, whose id is returned.
    ///
    /// # Errors
    /// There is no reason, the person did not send the mail or may not ask for it, it is too late, or the store failed.
    pub async fn ask_as_is(&self, who: &Principal, id: Id, reason: &str) -> Result<Option<Id>, DeskError> {
        let message = self.item_seen_by(who, id).await?;
        let id = message.id;
        let reason: String = reason.trim().chars().take(LONGEST_REASON).collect();
        if !who.sent(&Parties::of(&message)) {
            return Err(StoreError::NotFound(id.to_string()).into());
        }
        if reason.is_empty() {
            return Err(DeskError::NotAllowed("say why everybody may see everybody's address".to_owned()));
        }
        let delayed = message.verdict.as_ref().is_some_and(|verdict| verdict.action() == Action::Delay);
        if message.held.is_none() && delayed {
            return match self.hold_and_ask(who, &message, reason.clone()).await {
                Err(DeskError::TooLate(_)) => self.ask_again(who, &message, reason).await.map(Some),
                asked => asked.map(|()| None),
            };
        }
        if message.held.is_none() || message.goes_individually() {
            return self.ask_again(who, &message, reason).await.map(Some);
        }
        let now = self.now();
        let event = Event::Asked { by: who.name.clone(), reason };
        let notice = NewNotice { kind: NoticeKind::AskedAsIs, due: now };
        self.store.note_held(id, now, event, vec![notice]).await?;
        self.wake();
        Ok(None)
    }

    /// The hold of a request to send something as it is: it lasts as long as any hold, and the approvers are
    /// told.
    pub(super) fn request(&self, now: Timestamp) -> Request {
        let term = self.hold_for.borrow();
        let expires = term.ends(now);
        let soon = term.hours.warning(now, expires);
        let due = |kind, due| NewNotice { kind, due };
        let notices = vec![
            due(NoticeKind::AskedAsIs, now),
            due(NoticeKind::Expiring, soon),
            due(NoticeKind::ExpiringApprovers, soon),
        ];
        Request { expires, notices }
    }

    /// Requests to send a mail again openly. Returns the new message, or the one that an earlier request
    /// created.
    pub(super) async fn ask_again(
        &self,
        who: &Principal,
        message: &StoredMessage,
        reason: String,
    ) -> Result<Id, DeskError> {
        let left = self.left(message).await?;
        if !message.goes_individually() || left.envelope.recipients.is_empty() {
            return Err(DeskError::TooLate(message.id));
        }
        if let Some(open) = self.asked_before(&left).await? {
            return Ok(open);
        }
        let new = self.made_again(message, &left, who, reason).await?;
        let (id, at) = (new.id, new.received);
        let anew = match self.store.accept(new).await {
            Ok(_) => id,
            Err(StoreError::Known { original, .. }) => original,
            Err(error) => return Err(error.into()),
        };
        // the new message already names the old one; if this fails, the next request repeats it
        if !self.asked_as(left.first).await?.contains(&anew) {
            let event = Event::AskedAgain { by: who.name.clone(), anew };
            self.store.enter(left.first, at, event.clone(), Vec::new()).await?;
            if message.id != left.first {
                self.store.enter(message.id, at, event, Vec::new()).await?;
            }
        }
        tracing::info!(id = %message.id, %anew, "its sender asks to send it again openly: the new message is held");
        self.wake();
        Ok(anew)
    }

    /// The whole mail, with everybody who got a copy that was not taken back.
    async fn left(&self, message: &StoredMessage) -> Result<Left, DeskError> {
        let mut envelope = Envelope { recipients: Vec::new(), ..message.envelope.clone() };
        let (mut first, mut seen) = (message.id, HashSet::new());
        for (index, id) in self.store.transactions(message.id).await?.into_iter().enumerate() {
            if index == 0 {
                first = id;
            }
            let rows = self.store.deliveries(id).await?;
            let rows = rows.into_iter().filter(|row| row.state != DeliveryState::Dropped);
            let got: HashSet<String> = rows
                .flat_map(|row| row.recipients)
                .filter_map(|text| Some(Address::parse(&text).ok()?.key().to_owned()))
                .collect();
            if got.is_empty() {
                continue;
            }
            let part = match self.store.message(id).await {
                Ok(part) => part.message.envelope,
                // the contents of this transaction were purged before those of the others
                Err(StoreError::NotFound(_)) => continue,
                Err(error) => return Err(error.into()),
            };
            envelope.smtputf8 |= part.smtputf8;
            envelope.eight_bit |= part.eight_bit;
            let with_copy = part.recipients.into_iter().filter(|to| got.contains(to.address.key()));
            envelope.recipients.extend(with_copy.filter(|to| seen.insert(to.address.key().to_owned())));
        }
        Ok(Left { first, envelope, before: self.asked_as(first).await? })
    }

    /// The messages that were created from a mail.
    async fn asked_as(&self, id: Id) -> Result<Vec<Id>, DeskError> {
        let journal = self.store.journal(id).await?;
        Ok(journal
            .into_iter()
            .filter_map(|entry| match entry.event {
                Event::AskedAgain { anew, .. } => Some(anew),
                _ => None,
            })
            .collect())
    }

    /// The latest message created from it that is held or was sent. If it was returned, the sender may ask
    /// again.
    async fn asked_before(&self, left: &Left) -> Result<Option<Id>, DeskError> {
        let Some(latest) = left.before.last() else { return Ok(None) };
        match self.store.message(*latest).await {
            Ok(message) => {
                let state = message.held.map(|held| held.state);
                Ok(matches!(state, Some(HeldState::Held | HeldState::Released)).then_some(*latest))
            }
            Err(StoreError::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Creates the new message, held.
    async fn made_again(
        &self,
        old: &StoredMessage,
        left: &Left,
        who: &Principal,
        reason: String,
    ) -> Result<NewMessage, DeskError> {
        let header =
            Header::parse(old.header.clone()).map_err(|error| DeskError::Unreadable(error.to_string()))?;
        let now = self.now();
        let message_id = format!("{}.again{}.sekisho@{}", left.first, left.before.len() + 1, self.hostname);
        let message = Message {
            id: Id::new(now, SystemEntropy.bits()),
            received: now,
            envelope: left.envelope.clone(),
            header: renamed(&header, &message_id),
            body: self.copy_of(old).await?,
            message_id,
            verdict: None,
            needles: Arc::default(),
            ..old.message.clone()
        };
        let mut new = StoredMessage { message, held: None };
        let examiner = self.examiner.borrow().clone();
        let seen = self.examine(&examiner, &new).await?;
        let asked = Event::Asked { by: who.name.clone(), reason };
        let stamp = self.stamp(&new);
        let accepted = Event::Accepted {
            client: stamp.client.clone(),
            action: Action::Hold.word().to_owned(),
            disclosure: "as-is".to_owned(),
            recipients: new.envelope.recipients.len(),
            copies: 0,
            // they were counted when the mail was accepted
            exposures: 0,
            would: None,
            known: false,
        };
        let hits = examiner.copies(&seen, Disclosure::AsIs, &stamp, &[]).err().unwrap_or_default();
        let readable = seen.index.is_ok() && seen.facts.problems.is_empty();
        // if nothing has to be acknowledged, an approver decides as they would for a rule
        let kind = if hits.is_empty() && readable { HoldKind::Rule } else { HoldKind::Unsafe };
        let Request { expires, notices } = self.request(now);
        let mut verdict = seen.verdict.clone();
        examiner.complete(&mut verdict, &seen, false);
        new.verdict = Some(verdict);
        Ok(NewMessage {
            held: Some(NewHold {
                kind,
                reasons: vec![reasons(old.id)],
                hits,
                expires,
                approvers: approvers(&examiner, &new, &seen),
                relation: ForkRelation::default(),
                glance: Glance::of(&seen.facts),
            }),
            notices,
            events: vec![accepted, Event::Again { of: old.id }, asked],
            fork: seen.fork,
            ..NewMessage::of(new.message)
        })
    }

    /// A copy of the body, because each message owns its body and removes it with itself.
    async fn copy_of(&self, message: &StoredMessage) -> Result<Body, StoreError> {
        let unreadable = |error| StoreError::Unavailable(format!("the body of {}: {error}", message.id));
        let mut from = self.store.open_body(&message.body).await?.stream;
        let mut into = self.store.new_body().await?;
        loop {
            let mut chunk = BytesMut::with_capacity(CHUNK);
            if from.read_buf(&mut chunk).await.map_err(unreadable)? == 0 {
                return into.finish().await;
            }
            into.write(chunk.freeze()).await?;
        }
    }
}

/// The approvers of the new message.
fn approvers(examiner: &Examiner, message: &StoredMessage, seen: &Examination) -> Vec<Address> {
    let senders = Parties::of(message).senders;
    examiner.approvers.of(&seen.verdict, &senders.iter().collect::<Vec<_>>())
}

/// Why it is held.
fn reasons(old: Id) -> Reason {
    Reason::said(
        format!(
            "it was sent individually, as {old}; its sender asks to send it again so that all of them see each other"
        ),
        format!(
            "{old} として個別に送信済みです。宛先の全員が互いに見える形でもう一度送りたい、と差出人が希望しています"
        ),
    )
}

#[cfg(test)]
#[path = "again_tests.rs"]
mod tests;
