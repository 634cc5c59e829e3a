//! Processes a due notice: sends a mail to the sender, or tells the approvers.
//!
//! A notice to approvers is turned into asks, one row for each approver with its own time. The first of them
//! also schedules the notices that follow from a hold: the warning before it expires, and the escalation if
//! nobody answers.

use super::links::{Links, NO_LINKS, offered, offered_to_decide};
use super::pages::{self, Entry};
use super::plan::{Alone, again, is_held, plan, settled, too_early};
use super::postman::Postman;
use super::whom::sender_of;
use super::{Details, Encloses, Letterhead, Matter, Moment, compose, compose_ask};
use crate::clock::Timestamp;
use crate::intake::OwnMail;
use crate::journal::{Entry as Noted, Event};
use crate::store::{
    Ask, AskPlan, AskWhy, DeliveryState, DueNotice, HoldKind, NoticeKind, StoreError, StoredMessage,
};
use std::collections::HashSet;
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tracing::debug;

/// [`NoticeKind::Failure`] in the journal.
const FAILURE: &str = "failure";
/// Largest mail that is returned as a whole; most mailboxes accept this size.
const MAX_ENCLOSED: u64 = 20 * 1024 * 1024;
/// Octets of a body examined at once.
const CHUNK: usize = 64 * 1024;

impl Postman {
    /// Sends a notice, turns it into asks, or discards it.
    pub(super) async fn deal_with(&self, notice: &DueNotice, now: Timestamp) -> Result<(), StoreError> {
        let message = match self.store.message(notice.message).await {
            Ok(message) => message,
            Err(StoreError::NotFound(_)) => return self.store.drop_notice(notice.id).await,
            Err(error) => return Err(error),
        };
        let letterhead = self.letterhead_now(now).await?;
        match notice.kind {
            NoticeKind::HeldApprovers
            | NoticeKind::Stopped
            | NoticeKind::AskedAsIs
            | NoticeKind::ExpiringApprovers
            | NoticeKind::Escalated => {
                let alone = self.settles_alone(&message, &letterhead).await?;
                match plan(notice.kind, &message, &letterhead, alone, now) {
                    Some(plan) => self.store.plan_asks(notice.id, plan).await,
                    None => self.store.drop_notice(notice.id).await,
                }
            }
            NoticeKind::Settled => {
                let told = self.store.told(message.id).await?;
                match settled(&message, told, &letterhead, now) {
                    Some(plan) => self.store.plan_asks(notice.id, plan).await,
                    None => self.store.drop_notice(notice.id).await,
                }
            }
            NoticeKind::Expiring if too_early(&message, &letterhead, now).is_some() => {
                let plan =
                    AskPlan { notices: again(notice.kind, &message, &letterhead, now), ..AskPlan::default() };
                self.store.plan_asks(notice.id, plan).await
            }
            _ => self.tell_sender(notice, &message, &letterhead, now).await,
        }
    }

    /// The letterhead with the current absences.
    async fn letterhead_now(&self, now: Timestamp) -> Result<Arc<Letterhead>, StoreError> {
        let letterhead = self.letterhead();
        let away = self.links.away().await?;
        if away.is_empty() {
            return Ok(letterhead);
        }
        let asking = letterhead.asking.with(&away, now);
        Ok(Arc::new(Letterhead { asking, ..Letterhead::clone(&letterhead) }))
    }

    /// Whether the sender can decide on this alone.
    async fn settles_alone(
        &self,
        message: &StoredMessage,
        letterhead: &Letterhead,
    ) -> Result<Alone, StoreError> {
        let ask = is_held(message).is_some_and(|held| held.kind == HoldKind::Ask && held.hits.is_empty());
        let told = sender_of(message, letterhead).is_some_and(|told| told.is_sender);
        // without the desk's URL the mail to the sender has no links
        if !ask || !told || self.links.page("/").is_none() {
            return Ok(Alone::No);
        }
        let asked = wish(&self.store.journal(message.id).await?).is_some();
        Ok(if asked { Alone::Asked } else { Alone::Yes })
    }

    async fn tell_sender(
        &self,
        notice: &DueNotice,
        message: &StoredMessage,
        letterhead: &Letterhead,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut deliveries = self.store.deliveries(notice.message).await?;
        if notice.kind == NoticeKind::Failure {
            // reads the journal after the deliveries: a failure in between replaces the notice, so this
            // report is not sent
            let new = unreported(&self.store.journal(notice.message).await?);
            for row in deliveries.iter_mut().filter(|row| row.state == DeliveryState::Failed) {
                row.recipients.retain(|recipient| new.contains(recipient));
            }
        }
        let moment = Moment { now, bits: self.entropy.bits() };
        let details = self.details(notice.kind, message, letterhead).await?;
        let without = Matter { message, deliveries: &deliveries, links: &NO_LINKS, details: &details };
        // links are created only for mail that is sent
        if compose(notice, &without, letterhead, moment).is_none() {
            return self.store.drop_notice(notice.id).await;
        }
        let links = self.sender_links(notice.kind, message, letterhead).await?;
        let matter = Matter { links: &links, ..without };
        let Some(mail) = compose(notice, &matter, letterhead, moment) else {
            return self.store.drop_notice(notice.id).await;
        };
        let id = self.intake.own(mail).await?;
        debug!(about = %notice.message, kind = ?notice.kind, %id, "notice queued");
        Ok(())
    }

    /// The details of a notice.
    async fn details(
        &self,
        kind: NoticeKind,
        message: &StoredMessage,
        letterhead: &Letterhead,
    ) -> Result<Details, StoreError> {
        let chosen = match sender_of(message, letterhead) {
            Some(told) => self.store.chosen_language(told.address.key()).await?,
            None => None,
        };
        let mut details = Details { chosen, ..Details::default() };
        match kind {
            NoticeKind::Returned | NoticeKind::Expired => {
                details.encloses = Some(self.encloses(message).await?);
                details.again = made_anew(&self.store.journal(message.id).await?);
            }
            NoticeKind::Expiring => details.again = made_anew(&self.store.journal(message.id).await?),
            NoticeKind::Released => {
                details.dropped = taken_off(&self.store.journal(message.id).await?);
                details.siblings = self.siblings(message).await?;
            }
            NoticeKind::Split | NoticeKind::Waits => details.siblings = self.siblings(message).await?,
            _ => {}
        }
        Ok(details)
    }

    /// Recipients of the mail's other transactions.
    async fn siblings(&self, message: &StoredMessage) -> Result<Vec<String>, StoreError> {
        let mut all = Vec::new();
        for id in self.store.transactions(message.id).await? {
            if id != message.id {
                all.extend(self.store.deliveries(id).await?.into_iter().flat_map(|row| row.recipients));
            }
        }
        Ok(all)
    }

    /// How much of a mail can be returned: all of it, unless it is too large, or its header has octets that
    /// are allowed only in `message/global` (RFC 6532 §3.7).
    async fn encloses(&self, message: &StoredMessage) -> Result<Encloses, StoreError> {
        let size = message.body.size().saturating_add(message.header.len() as u64);
        if size > MAX_ENCLOSED || !message.header.is_ascii() {
            return Ok(Encloses::Header);
        }
        let mut body = self.store.open_body(&message.body).await?.stream;
        let mut chunk = vec![0; CHUNK];
        loop {
            let unreadable = |error| StoreError::Unavailable(format!("a body cannot be read: {error}"));
            let read = body.read(&mut chunk).await.map_err(unreadable)?;
            if read == 0 {
                return Ok(Encloses::Whole { eight_bit: false });
            }
            if !chunk[..read].is_ascii() {
                return Ok(Encloses::Whole { eight_bit: true });
            }
        }
    }

    async fn sender_links(
        &self,
        kind: NoticeKind,
        message: &StoredMessage,
        letterhead: &Letterhead,
    ) -> Result<Links, StoreError> {
        let wanted = offered(kind, message);
        // a person who is told in the sender's place may see the message, but gets no action
        match sender_of(message, letterhead).filter(|told| told.is_sender && !wanted.is_empty()) {
            Some(told) => Ok(Links::of(wanted, self.links.links(&told.address, message, wanted).await?)),
            None => Ok(Links::default()),
        }
    }

    /// Tells the approvers who are due; returns the number of asks processed.
    pub(super) async fn ask_who_is_due(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let due = self.store.due_asks(now, limit).await?;
        let (digests, single): (Vec<&Ask>, Vec<&Ask>) = due.iter().partition(|ask| ask.digest);
        let mut failed = None;
        let mut keep = |result: Result<(), StoreError>| match result {
            // `Fenced`: they were told meanwhile
            Ok(()) | Err(StoreError::Fenced) => {}
            Err(error) => {
                tracing::warn!(%error, "an approver could not be told");
                failed.get_or_insert(error);
            }
        };
        for ask in single {
            keep(self.ask_one(ask, now).await);
        }
        for asks in digests.chunk_by(|one, other| one.approver.key() == other.approver.key()) {
            keep(self.ask_in_digest(asks, now).await);
        }
        failed.map_or(Ok(due.len()), Err)
    }

    async fn ask_one(&self, ask: &Ask, now: Timestamp) -> Result<(), StoreError> {
        let Some(message) = self.waiting(ask).await? else {
            return self.store.drop_asks(vec![ask.id]).await;
        };
        let journal = self.store.journal(ask.message).await?;
        let words = if ask.why == AskWhy::AsIs { wish(&journal) } else { None };
        let chosen = self.store.chosen_language(ask.approver.key()).await?;
        let details = Details { again: made_anew(&journal), chosen, ..Details::default() };
        let deliveries = self.store.deliveries(ask.message).await?;
        let letterhead = self.letterhead();
        let links = self.links_to_decide(ask, &message, &letterhead).await?;
        let matter = Matter { message: &message, deliveries: &deliveries, links: &links, details: &details };
        let moment = Moment { now, bits: self.entropy.bits() };
        match compose_ask(ask, &matter, words.as_deref(), &letterhead, moment) {
            Some(mail) => {
                let id = self.intake.tell(mail, vec![ask.id]).await?;
                debug!(about = %ask.message, why = ?ask.why, %id, "notice queued");
                Ok(())
            }
            None => self.store.drop_asks(vec![ask.id]).await,
        }
    }

    async fn ask_in_digest(&self, asks: &[&Ask], now: Timestamp) -> Result<(), StoreError> {
        let (mut waiting, mut over, mut told) = (Vec::new(), Vec::new(), Vec::new());
        for ask in asks {
            match self.waiting(ask).await? {
                Some(message) => {
                    let words = match ask.why {
                        AskWhy::AsIs => wish(&self.store.journal(message.id).await?),
                        _ => None,
                    };
                    put_in(&mut waiting, message, ask.why, words);
                    told.push(ask.id);
                }
                None => over.push(ask.id),
            }
        }
        if !over.is_empty() {
            self.store.drop_asks(over).await?;
        }
        let chosen = match asks.first() {
            Some(ask) => self.store.chosen_language(ask.approver.key()).await?,
            None => None,
        };
        let details = Details { chosen, ..Details::default() };
        let links: Vec<Links> = waiting.iter().map(|(message, ..)| self.decider_links(message)).collect();
        let entries: Vec<Entry<'_>> = waiting
            .iter()
            .zip(&links)
            .map(|((message, why, words), links)| Entry {
                matter: Matter { message, deliveries: &[], links, details: &details },
                why: *why,
                words: words.as_deref(),
            })
            .collect();
        let Some(to) = asks.first().map(|ask| &ask.approver) else { return Ok(()) };
        let moment = Moment { now, bits: self.entropy.bits() };
        if let Some((to, message)) = pages::digest(&entries, to, &self.letterhead(), moment) {
            let mail = OwnMail { about: None, to, message: message.into(), answers: None, enclosed: None };
            let id = self.intake.tell(mail, told).await?;
            debug!(messages = entries.len(), %id, "digest queued");
        }
        Ok(())
    }

    /// The message of an ask, if it is still held; for news of a decision, if that still stands.
    async fn waiting(&self, ask: &Ask) -> Result<Option<StoredMessage>, StoreError> {
        let settled = ask.why == AskWhy::Settled;
        match self.store.message(ask.message).await {
            Ok(message) => Ok((is_held(&message).is_none() == settled).then_some(message)),
            Err(StoreError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// An approver's personal links.
    async fn links_to_decide(
        &self,
        ask: &Ask,
        message: &StoredMessage,
        letterhead: &Letterhead,
    ) -> Result<Links, StoreError> {
        let page = self.decider_links(message);
        let wanted = is_held(message).map_or(&[][..], |held| offered_to_decide(held, ask.why));
        if !letterhead.asking.by_mail || wanted.is_empty() {
            return Ok(page);
        }
        let made = self.links.links(&ask.approver, message, wanted).await?;
        Ok(Links { view: page.view, ..Links::of(wanted, made) })
    }

    fn decider_links(&self, message: &StoredMessage) -> Links {
        Links { view: self.links.page(&format!("/held/{}", message.id)), ..Links::default() }
    }
}

/// Adds a message to a digest once, with the most important reason.
fn put_in(
    waiting: &mut Vec<(StoredMessage, AskWhy, Option<String>)>,
    message: StoredMessage,
    why: AskWhy,
    words: Option<String>,
) {
    let weight = |why| match why {
        AskWhy::Asked | AskWhy::Deputy => 0,
        AskWhy::Expiring => 1,
        _ => 2,
    };
    match waiting.iter_mut().find(|(known, ..)| known.id == message.id) {
        Some(known) if weight(why) > weight(known.1) => *known = (message, why, words),
        Some(_) => {}
        None => waiting.push((message, why, words)),
    }
}

/// The sender's last reason for asking to send it as it is.
fn wish(journal: &[Noted]) -> Option<String> {
    journal.iter().rev().find_map(|entry| match &entry.event {
        Event::Asked { reason, .. } => Some(reason.clone()),
        _ => None,
    })
}

/// Whether it was made from a mail that had been sent individually.
fn made_anew(journal: &[Noted]) -> bool {
    journal.iter().any(|entry| matches!(entry.event, Event::Again { .. }))
}

/// The recipients whom the last release removed.
fn taken_off(journal: &[Noted]) -> Vec<String> {
    let last = journal.iter().rev().find_map(|entry| match &entry.event {
        Event::Released { dropped, .. } => Some(dropped.clone()),
        _ => None,
    });
    last.unwrap_or_default()
}

/// Recipients that failed since the last failure report.
pub(super) fn unreported(journal: &[Noted]) -> HashSet<String> {
    let failed = DeliveryState::Failed.to_string();
    let mut new = HashSet::new();
    for entry in journal {
        match &entry.event {
            Event::Attempt { state, recipients, .. } if *state == failed => {
                new.extend(recipients.iter().cloned());
            }
            Event::Noticed { kind, .. } if kind == FAILURE => new.clear(),
            _ => {}
        }
    }
    new
}
