//! Links out of a mail: what each may do, and what becomes of it.
//!
//! A link is 256 random bits, bound to a person, a message, what it does, and the message's content as
//! it was. Whoever follows it acts as that person *by link*, who may only ever do what is safe: mail
//! scanners follow links and press buttons. An approver's link acts as who has their mailbox, as with a code
//! that is mailed, and is judged by who decides on the message when it is followed. It ends with the hold, and is dead after any decision; then
//! it shows what was decided.

use super::deputies::Stands;
use super::principal::{Principal, Whose};
use super::wish::Wish;
use super::{Desk, DeskError};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::journal::{Entry, Event};
use crate::lifecycle::UNDO;
use crate::message::Address;
use crate::policy::Action;
use crate::policy::risks::Risk;
use crate::store::absences::Absence;
use crate::store::{
    Body, DeliveryState, HeldRow, HeldState, LinkAction, LinkRow, NewNotice, NoticeKind, QueueRow,
    StoreError, StoredMessage,
};
use crate::token::{Digest, Token};
use std::sync::Arc;
use std::time::Duration;

/// How long a link to a mail that is not held can be followed.
const OTHERWISE: Duration = Duration::from_hours(24);
/// How long a mail that was sent individually can be asked for again: by default as long as contents are kept.
const AGAIN: Duration = Duration::from_hours(24 * 30);
/// What stands in the record before the id of the mail that was made anew.
const ANEW: &str = "asked for as ";

/// Makes links and follows them. Cheap to clone.
#[derive(Clone)]
pub struct Links {
    desk: Desk,
    /// What people reach the desk by, without a slash at the end; without it there are no links.
    url: Option<Arc<str>>,
}

/// What a link would do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// It can be followed.
    Open(Box<Offer>),
    /// It is over: what became of the message.
    Over(Box<Outcome>),
    /// What it is about was sent, and its content is past its time.
    Past,
    /// It is an approver's, who does not decide on the message as things stand now.
    NotTheirs {
        /// Which message.
        message: Id,
        /// How they stand; `None` where mails decide nothing any more.
        stands: Option<Stands>,
    },
    /// There is no such link, or it ended, or it does not fit what is here.
    Nothing,
}

/// A link that can be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What it does.
    pub action: LinkAction,
    /// Whom it was sent to.
    pub person: Address,
    /// Which message.
    pub message: Id,
    /// Its decoded subject.
    pub subject: String,
    /// Envelope recipients.
    pub recipients: Vec<String>,
    /// When it was received.
    pub received: Timestamp,
    /// When the link ends.
    pub expires: Timestamp,
    /// What is dangerous about it and left when the link is followed: each has to be ticked.
    pub left: Vec<Risk>,
}

/// What became of a message whose link is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What the link would have done.
    pub action: LinkAction,
    /// Which message.
    pub message: Id,
    /// Its decoded subject.
    pub subject: String,
    /// Its state, where it was ever held.
    pub state: Option<HeldState>,
    /// Who decided.
    pub by: Option<String>,
    /// When.
    pub at: Option<Timestamp>,
    /// How it was released, or why it was returned.
    pub decision: Option<String>,
    /// Set when this very link did it: when.
    pub followed: Option<Timestamp>,
    /// Whom it was sent to.
    pub person: Address,
    /// Whom it waits for, where it does.
    pub approvers: Vec<String>,
    /// Until when what was done can be undone by this link.
    pub undo_until: Option<Timestamp>,
    /// In how many copies it was, or is, sent.
    pub copies: usize,
    /// The mail that it made anew.
    pub anew: Option<Id>,
}

impl Links {
    /// Links of this desk, below this URL.
    pub fn new(desk: Desk, url: Option<&str>) -> Self {
        Self { desk, url: url.map(|url| Arc::from(url.trim_end_matches('/'))) }
    }

    /// Whether there are links at all.
    pub fn enabled(&self) -> bool {
        self.url.is_some()
    }

    /// The desk's page at this path, for mails: `/held/ID`. `None` where no URL is configured.
    pub fn page(&self, path: &str) -> Option<String> {
        self.url.as_ref().map(|url| format!("{url}{path}"))
    }

    /// Who is away now by their own word.
    pub async fn away(&self) -> Result<Vec<Absence>, DeskError> {
        self.desk.absences().await
    }

    /// A new link for this person, kept; its whole URL. `None` where no URL is configured.
    pub async fn new_link(
        &self,
        person: &Address,
        message: &StoredMessage,
        action: LinkAction,
    ) -> Result<Option<String>, DeskError> {
        Ok(self.new_links(person, message, &[action]).await?.into_iter().next())
    }

    /// The same for several at once, in order; empty where no URL is configured.
    pub async fn new_links(
        &self,
        person: &Address,
        message: &StoredMessage,
        actions: &[LinkAction],
    ) -> Result<Vec<String>, DeskError> {
        let Some(url) = &self.url else { return Ok(Vec::new()) };
        let now = self.desk.now();
        let (mut urls, mut rows) = (Vec::new(), Vec::new());
        for action in actions {
            let token = Token::new().map_err(|error| StoreError::Unavailable(error.to_string()))?;
            urls.push(format!("{url}/l/{}", token.text()));
            rows.push(LinkRow {
                hash: token.digest(),
                message: message.id,
                person: person.clone(),
                action: *action,
                content: content(message),
                made: now,
                expires: end(*action, message, now),
                used: None,
            });
        }
        self.desk.store.put_links(rows).await?;
        Ok(urls)
    }

    /// What a link would do, or what became of its message. Changes nothing.
    pub async fn look(&self, token: &str) -> Result<Look, DeskError> {
        Ok(match self.find(token).await? {
            Found::Here(found) => self.judge(&found),
            Found::Past => Look::Past,
            Found::Nothing => Look::Nothing,
        })
    }

    /// Follows a link: does what it is for, once. `reason` is what the sender says who asks for the mail
    /// to be sent as it is. What became of it, or `Nothing`.
    /// `ticked` are the risks that they ticked.
    pub async fn follow(&self, token: &str, reason: &str, ticked: &[String]) -> Result<Look, DeskError> {
        let found = match self.find(token).await? {
            Found::Here(found) => found,
            Found::Past => return Ok(Look::Past),
            Found::Nothing => return Ok(Look::Nothing),
        };
        let Look::Open(offer) = self.judge(&found) else { return Ok(self.judge(&found)) };
        let done = self.act(&offer, reason, ticked).await;
        match done {
            Ok(Some(outcome)) => {
                self.desk.store.use_link(found.row.hash, self.desk.now(), &outcome).await?;
                tracing::info!(id = %offer.message, action = ?offer.action, "a link was followed");
            }
            // Of what somebody else decided first, the page tells.
            Ok(None) | Err(DeskError::Store(StoreError::Decided { .. })) => {}
            Err(DeskError::Store(StoreError::NotFound(_))) => return Ok(Look::Nothing),
            Err(error) => return Err(error),
        }
        self.look(token).await
    }

    /// Does it; a word for the record, `None` for what can be followed again and again.
    async fn act(&self, offer: &Offer, reason: &str, ticked: &[String]) -> Result<Option<String>, DeskError> {
        let who = as_whom(offer.action, &offer.person);
        let id = offer.message;
        let done = match offer.action {
            LinkAction::GiveBack if reason.trim().is_empty() => return Err(DeskError::NoReason),
            LinkAction::GiveBack => {
                let reason: String = reason.trim().chars().take(LONGEST_REASON).collect();
                self.desk.give_back(&who, id, &reason).await?;
                "returned"
            }
            LinkAction::Split | LinkAction::ApproveSplit => {
                self.desk.split_now(&who, id, ticked).await?;
                "split"
            }
            LinkAction::TakeBack => {
                self.desk.take_back(&who, id).await?;
                "taken back"
            }
            LinkAction::AskAsIs | LinkAction::AskAgain => {
                match self.desk.ask_as_is(&who, id, reason).await? {
                    Some(anew) => return Ok(Some(format!("{ANEW}{anew}"))),
                    None => "asked",
                }
            }
            LinkAction::Undo => {
                self.desk.undo(&who, id).await?;
                "undone"
            }
            LinkAction::View => return Ok(None),
        };
        Ok(Some(done.to_owned()))
    }

    /// Undoes what this link did, while that can be: it was taken back, or has not left yet.
    pub async fn undo(&self, token: &str) -> Result<Look, DeskError> {
        let Found::Here(found) = self.find(token).await? else { return self.look(token).await };
        let Look::Over(outcome) = self.judge(&found) else { return self.look(token).await };
        if outcome.undo_until.is_none() {
            return Err(DeskError::NothingToUndo(outcome.message));
        }
        self.desk.undo(&as_whom(outcome.action, &outcome.person), outcome.message).await?;
        tracing::info!(id = %outcome.message, "what a link did was undone by it");
        self.look(token).await
    }

    async fn find(&self, token: &str) -> Result<Found, DeskError> {
        let Some(token) = Token::read(token) else { return Ok(Found::Nothing) };
        let Some(row) = self.desk.store.link(token.digest()).await? else { return Ok(Found::Nothing) };
        match self.desk.store.message(row.message).await {
            Ok(message) => {
                let deliveries = self.desk.store.deliveries(message.id).await?;
                let journal = self.desk.store.journal(message.id).await?;
                let (back, undone) = (taken_back(&journal), undone(&journal));
                let bars = self.bars(&row, &message).await?;
                Ok(Found::Here(Box::new(Linked { row, message, deliveries, back, undone, bars })))
            }
            // The link knows of the message, so only its content is gone.
            Err(StoreError::NotFound(_)) if row.action == LinkAction::AskAgain => Ok(Found::Past),
            Err(StoreError::NotFound(_)) => Ok(Found::Nothing),
            Err(error) => Err(error.into()),
        }
    }

    /// What keeps an approver from deciding by their link, as things stand now.
    async fn bars(&self, row: &LinkRow, message: &StoredMessage) -> Result<Option<Bar>, DeskError> {
        if !decides(row.action) {
            return Ok(None);
        }
        if !self.desk.asking.borrow().by_mail {
            return Ok(Some(Bar(None)));
        }
        let what = Whose::of(message);
        let who = as_whom(row.action, &row.person);
        let stands = match self.desk.decides_now(&row.person, message).await? {
            // Who was never asked about this one is not let in by a configuration that came later.
            Stands::Decides if !who.decides(&what.standing()) => Stands::Not,
            stands => stands,
        };
        Ok((stands != Stands::Decides).then_some(Bar(Some(stands))))
    }

    fn judge(&self, found: &Linked) -> Look {
        let Linked { row, message, deliveries, back, .. } = found;
        let used = found.used();
        if row.content != content(message) {
            return Look::Nothing;
        }
        // Who does not decide on it any more is told nothing of what became of it.
        if let Some(Bar(Some(Stands::Not))) = &found.bars {
            return Look::NotTheirs { message: row.message, stands: Some(Stands::Not) };
        }
        let held = message.held.as_ref();
        let state = held.map(|held| held.state);
        let alive = match row.action {
            LinkAction::Undo => matches!(state, Some(HeldState::Returned) | None),
            LinkAction::View => true,
            LinkAction::AskAgain => message.goes_individually(),
            LinkAction::ApproveSplit | LinkAction::GiveBack => state == Some(HeldState::Held),
            _ => matches!(state, Some(HeldState::Held) | None),
        };
        let now = self.desk.now();
        if alive && used.is_none() && now < row.expires {
            if let Some(Bar(stands)) = &found.bars {
                return Look::NotTheirs { message: row.message, stands: stands.clone() };
            }
            return Look::Open(Box::new(Offer {
                action: row.action,
                person: row.person.clone(),
                message: row.message,
                subject: message.subject.clone(),
                recipients: message.envelope.recipients.iter().map(|to| to.address.to_string()).collect(),
                received: message.received,
                expires: row.expires,
                left: left(row.action, held),
            }));
        }
        let decided = |held: &HeldRow| held.state != HeldState::Held;
        if row.used.is_none() && !held.is_some_and(decided) {
            return Look::Nothing;
        }
        Look::Over(Box::new(Outcome {
            action: row.action,
            message: row.message,
            subject: message.subject.clone(),
            state,
            by: held.and_then(|held| held.decided_by.clone()),
            at: held.and_then(|held| held.decided_at),
            decision: held.and_then(|held| held.decision.clone()),
            followed: used,
            undo_until: row.used.as_ref().and_then(|_| undoable(row, held, *back, now)),
            person: row.person.clone(),
            approvers: held.map(|held| held.approvers.clone()).unwrap_or_default(),
            copies: deliveries.iter().filter(|copy| copy.state != DeliveryState::Dropped).count(),
            anew: row.used.as_ref().and_then(|(_, done)| done.strip_prefix(ANEW)?.parse().ok()),
        }))
    }
}

/// What there is behind a token.
enum Found {
    /// A link, and its message.
    Here(Box<Linked>),
    /// A link to a message whose content is past its time.
    Past,
    /// No link, or none to a message that is kept.
    Nothing,
}

struct Linked {
    row: LinkRow,
    message: StoredMessage,
    deliveries: Vec<QueueRow>,
    /// When a mail that was never held was taken back, and not undone since.
    back: Option<Timestamp>,
    /// When what was done with it was last undone.
    undone: Option<Timestamp>,
    /// What keeps its person from deciding.
    bars: Option<Bar>,
}

/// Why an approver's link is not followed: how they stand; `None` where mails decide nothing.
struct Bar(Option<Stands>);

/// Whether a link is one of those of approvers.
fn decides(action: LinkAction) -> bool {
    matches!(action, LinkAction::ApproveSplit | LinkAction::GiveBack)
}

/// As whom somebody acts who follows a link.
pub fn as_whom(action: LinkAction, person: &Address) -> Principal {
    if decides(action) { Principal::approver_by_link(person) } else { Principal::by_link(person) }
}

impl Linked {
    /// When the link was followed, unless what it did was undone since: then it can be followed again.
    fn used(&self) -> Option<Timestamp> {
        let at = self.row.used.as_ref().map(|(at, _)| *at);
        at.filter(|at| self.row.action == LinkAction::Undo || self.undone.is_none_or(|undone| undone < *at))
    }
}

/// When something was last undone.
fn undone(journal: &[Entry]) -> Option<Timestamp> {
    journal.iter().rev().find(|entry| matches!(entry.event, Event::Undone { .. })).map(|entry| entry.at)
}

/// When the sender took it back, where that was the last that they did.
fn taken_back(journal: &[Entry]) -> Option<Timestamp> {
    journal.iter().rev().find_map(|entry| match &entry.event {
        Event::TakenBack { .. } => Some(Some(entry.at)),
        Event::Undone { .. } => Some(None),
        _ => None,
    })?
}

/// Until when what a link did can be undone: where it was decided by the person of the link, or taken back
/// of a mail that only waited.
fn undoable(
    row: &LinkRow,
    held: Option<&HeldRow>,
    taken: Option<Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    let until = match held {
        Some(held) if held.decided_by.as_deref() == Some(row.person.as_str()) => held.undo_until,
        None if row.action == LinkAction::TakeBack => taken.map(|at| at.plus(UNDO)),
        _ => None,
    };
    until.filter(|until| *until > now)
}

/// The risks that following a link leaves.
fn left(action: LinkAction, held: Option<&HeldRow>) -> Vec<Risk> {
    match (action, held) {
        (LinkAction::Split | LinkAction::ApproveSplit, Some(held)) => {
            Wish::default().left(&held.risks).into_iter().cloned().collect()
        }
        _ => Vec::new(),
    }
}

/// When a link ends in any case: with the hold, or with the time in which it can be undone.
fn end(action: LinkAction, message: &StoredMessage, now: Timestamp) -> Timestamp {
    match (action, &message.held) {
        (LinkAction::Undo, Some(held)) => held.decided_at.unwrap_or(now).plus(UNDO),
        (LinkAction::Undo, None) => now.plus(UNDO),
        (LinkAction::AskAgain, _) => now.plus(AGAIN),
        (_, Some(held)) => held.expires,
        (_, None) => now.plus(OTHERWISE),
    }
}

/// The hash of a message as it is kept.
fn content(message: &StoredMessage) -> Digest {
    let id = message.id.as_str().as_bytes();
    match &message.body {
        Body::Inline(bytes) => Digest::of(&[id, &message.header, bytes]),
        // The name is random, and a file that is finished never changes.
        Body::Stored { name, size } => {
            Digest::of(&[id, &message.header, name.as_bytes(), &size.to_be_bytes()])
        }
    }
}

/// Most characters of what a sender says who asks.
const LONGEST_REASON: usize = 2_000;

impl Desk {
    /// The sender asks that a mail be sent as it is, and says why: the approvers are told. One that is held,
    /// or waits, is asked for itself; one that went to each without showing the others is made anew, and
    /// that one is asked for: its id.
    pub async fn ask_as_is(&self, who: &Principal, id: Id, reason: &str) -> Result<Option<Id>, DeskError> {
        let message = self.item_seen_by(who, id).await?;
        let id = message.id;
        let reason: String = reason.trim().chars().take(LONGEST_REASON).collect();
        if !who.sent(&Whose::of(&message).standing()) {
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
}
