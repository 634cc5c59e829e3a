//! Links in mails: what each may do, and what happens when it is followed.
//!
//! A link is 256 random bits, bound to a person, a message and its contents, and an action. A person who follows
//! it acts as that person *by link*, and can only do what is safe, because mail scanners follow links and
//! press buttons. An approver's link gives the rights of somebody who signed in by a mailed code, if they are
//! an approver of the message when it is followed. A link ends with the hold, or with any decision; after
//! that it shows what was decided.

use super::again::LONGEST_REASON;
use super::deputies::DecisionRole;
use super::principal::{Parties, Principal};
use super::wish::Wish;
use super::{Desk, DeskError};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::journal::{Entry, Event};
use crate::lifecycle::UNDO;
use crate::message::Address;
use crate::policy::risks::Risk;
use crate::store::absences::Absence;
use crate::store::{
    Body, DeliveryState, HeldRow, HeldState, LinkAction, LinkRow, QueueRow, StoreError, StoredMessage,
};
use crate::token::{Digest, Token};
use std::sync::Arc;
use std::time::Duration;

/// How long a link about a mail that is not held is valid.
const OTHERWISE: Duration = Duration::from_hours(24);
/// How long a mail that was sent individually can be asked for again; by default as long as contents are
/// kept.
const AGAIN: Duration = Duration::from_hours(24 * 30);
/// The text in the record before the id of the new message.
const ANEW: &str = "asked for as ";

/// Creates and follows links. Cheap to clone.
#[derive(Clone)]
pub struct Links {
    desk: Desk,
    /// The base URL of the desk, without a slash at the end. Without it there are no links.
    url: Option<Arc<str>>,
}

/// What a link would do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// It can be followed.
    Open(Box<Offer>),
    /// It is no longer valid; shows the outcome of the message.
    Over(Box<Outcome>),
    /// Its mail was sent, and the contents have been purged.
    Past,
    /// It belongs to an approver who currently does not decide on the message.
    NotTheirs {
        /// The message.
        message: Id,
        /// Their role in the decision; `None` if decisions by mail are switched off.
        stands: Option<DecisionRole>,
    },
    /// There is no such link, or it has expired.
    Nothing,
}

/// A link that can be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The action.
    pub action: LinkAction,
    /// The person it was sent to.
    pub person: Address,
    /// The message.
    pub message: Id,
    /// Its decoded subject.
    pub subject: String,
    /// Envelope recipients.
    pub recipients: Vec<String>,
    /// When it was received.
    pub received: Timestamp,
    /// When the link expires.
    pub expires: Timestamp,
    /// The risks that remain when the link is followed; each has to be ticked.
    pub left: Vec<Risk>,
}

/// The outcome of a message whose link is no longer valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The action of the link.
    pub action: LinkAction,
    /// The message.
    pub message: Id,
    /// Its decoded subject.
    pub subject: String,
    /// Its state, if it was ever held.
    pub state: Option<HeldState>,
    /// Who decided.
    pub by: Option<String>,
    /// When it was decided.
    pub at: Option<Timestamp>,
    /// How it was released, or why it was returned.
    pub decision: Option<String>,
    /// When this link was followed, if it made the decision.
    pub followed: Option<Timestamp>,
    /// The person it was sent to.
    pub person: Address,
    /// The approvers it waits for, if any.
    pub approvers: Vec<String>,
    /// Until when the action of this link can be undone.
    pub undo_until: Option<Timestamp>,
    /// The number of copies that were sent or will be.
    pub copies: usize,
    /// The new message that it created.
    pub anew: Option<Id>,
}

impl Links {
    /// Creates links below this URL.
    pub fn new(desk: Desk, url: Option<&str>) -> Self {
        Self { desk, url: url.map(|url| Arc::from(url.trim_end_matches('/'))) }
    }

    /// Whether links are enabled.
    pub fn enabled(&self) -> bool {
        self.url.is_some()
    }

    /// The URL of a path of the desk (`/held/ID`); `None` if no URL is configured.
    pub fn page(&self, path: &str) -> Option<String> {
        self.url.as_ref().map(|url| format!("{url}{path}"))
    }

    /// The current absences that approvers entered themselves.
    ///
    /// # Errors
    /// The store failed.
    pub async fn away(&self) -> Result<Vec<Absence>, DeskError> {
        self.desk.absences().await
    }

    /// Creates and stores a link for a person; returns its URL, or `None` if no URL is configured.
    ///
    /// # Errors
    /// The store failed.
    pub async fn new_link(
        &self,
        person: &Address,
        message: &StoredMessage,
        action: LinkAction,
    ) -> Result<Option<String>, DeskError> {
        Ok(self.new_links(person, message, &[action]).await?.into_iter().next())
    }

    /// The same for several actions, in order; empty if no URL is configured.
    ///
    /// # Errors
    /// The store failed.
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

    /// What a link would do, or the outcome of its message. Changes nothing.
    ///
    /// # Errors
    /// The store failed.
    pub async fn look(&self, token: &str) -> Result<LinkState, DeskError> {
        Ok(match self.find(token).await? {
            Found::Here(found) => self.judge(&found),
            Found::Past => LinkState::Past,
            Found::Nothing => LinkState::Nothing,
        })
    }

    /// Follows a link: performs its action once, and returns the outcome, or `Nothing`. `reason` is the text
    /// of a sender who asks to send the mail as it is, `ticked` are the risks that they ticked.
    ///
    /// # Errors
    /// The action was refused, or the store failed.
    pub async fn follow(&self, token: &str, reason: &str, ticked: &[String]) -> Result<LinkState, DeskError> {
        let found = match self.find(token).await? {
            Found::Here(found) => found,
            Found::Past => return Ok(LinkState::Past),
            Found::Nothing => return Ok(LinkState::Nothing),
        };
        let LinkState::Open(offer) = self.judge(&found) else { return Ok(self.judge(&found)) };
        let done = self.act(&offer, reason, ticked).await;
        match done {
            Ok(Some(outcome)) => {
                self.desk.store.use_link(found.row.hash, self.desk.now(), &outcome).await?;
                tracing::info!(id = %offer.message, action = ?offer.action, "a link was followed");
            }
            // somebody else decided first; the page shows the outcome
            Ok(None) | Err(DeskError::Store(StoreError::Decided { .. })) => {}
            Err(DeskError::Store(StoreError::NotFound(_))) => return Ok(LinkState::Nothing),
            Err(error) => return Err(error),
        }
        self.look(token).await
    }

    /// Performs the action; returns text for the record, or `None` for an action that can be repeated.
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

    /// Undoes the action of a link while that is possible: the mail was taken back, or is not sent yet.
    ///
    /// # Errors
    /// The action cannot be undone, or the store failed.
    pub async fn undo(&self, token: &str) -> Result<LinkState, DeskError> {
        let Found::Here(found) = self.find(token).await? else { return self.look(token).await };
        let LinkState::Over(outcome) = self.judge(&found) else { return self.look(token).await };
        if outcome.undo_until.is_none() {
            return Err(DeskError::NothingToUndo(outcome.message));
        }
        self.desk.undo(&as_whom(outcome.action, &outcome.person), outcome.message).await?;
        tracing::info!(id = %outcome.message, "the action of a link was undone");
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
            // the link was kept longer than the contents of its message
            Err(StoreError::NotFound(_)) if row.action == LinkAction::AskAgain => Ok(Found::Past),
            Err(StoreError::NotFound(_)) => Ok(Found::Nothing),
            Err(error) => Err(error.into()),
        }
    }

    /// What currently prevents an approver from deciding by their link.
    async fn bars(&self, row: &LinkRow, message: &StoredMessage) -> Result<Option<Bar>, DeskError> {
        if !decides(row.action) {
            return Ok(None);
        }
        if !self.desk.asking.borrow().by_mail {
            return Ok(Some(Bar(None)));
        }
        let parties = Parties::of(message);
        let who = as_whom(row.action, &row.person);
        let stands = match self.desk.decides_now(&row.person, message).await? {
            // a newer configuration does not give access to somebody who was never asked about this message
            DecisionRole::Decides if !who.decides(&parties) => DecisionRole::Not,
            stands => stands,
        };
        Ok((stands != DecisionRole::Decides).then_some(Bar(Some(stands))))
    }

    fn judge(&self, found: &Linked) -> LinkState {
        let Linked { row, message, deliveries, back, .. } = found;
        let used = found.used();
        if row.content != content(message) {
            return LinkState::Nothing;
        }
        // somebody who no longer decides on the message does not learn its outcome
        if let Some(Bar(Some(DecisionRole::Not))) = &found.bars {
            return LinkState::NotTheirs { message: row.message, stands: Some(DecisionRole::Not) };
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
                return LinkState::NotTheirs { message: row.message, stands: stands.clone() };
            }
            return LinkState::Open(Box::new(Offer {
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
            return LinkState::Nothing;
        }
        LinkState::Over(Box::new(Outcome {
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

/// What a token refers to.
enum Found {
    /// A link, and its message.
    Here(Box<Linked>),
    /// A link to a message whose contents have been purged.
    Past,
    /// No link, or no message.
    Nothing,
}

struct Linked {
    row: LinkRow,
    message: StoredMessage,
    deliveries: Vec<QueueRow>,
    /// When a mail that was never held was taken back, unless that was undone.
    back: Option<Timestamp>,
    /// When the action of the link was last undone.
    undone: Option<Timestamp>,
    /// What prevents the person from deciding.
    bars: Option<Bar>,
}

/// Why an approver's link cannot be followed: their role; `None` if decisions by mail are switched off.
struct Bar(Option<DecisionRole>);

/// Whether this is an approver's action.
fn decides(action: LinkAction) -> bool {
    matches!(action, LinkAction::ApproveSplit | LinkAction::GiveBack)
}

/// The rights of a person who follows a link.
pub fn as_whom(action: LinkAction, person: &Address) -> Principal {
    if decides(action) { Principal::approver_by_link(person) } else { Principal::by_link(person) }
}

impl Linked {
    /// When the link was followed. `None` if its action was undone since; then it can be followed again.
    fn used(&self) -> Option<Timestamp> {
        let at = self.row.used.as_ref().map(|(at, _)| *at);
        at.filter(|at| self.row.action == LinkAction::Undo || self.undone.is_none_or(|undone| undone < *at))
    }
}

/// When something was last undone.
fn undone(journal: &[Entry]) -> Option<Timestamp> {
    journal.iter().rev().find(|entry| matches!(entry.event, Event::Undone { .. })).map(|entry| entry.at)
}

/// When the sender took the mail back, unless they undid that.
fn taken_back(journal: &[Entry]) -> Option<Timestamp> {
    journal.iter().rev().find_map(|entry| match &entry.event {
        Event::TakenBack { .. } => Some(Some(entry.at)),
        Event::Undone { .. } => Some(None),
        _ => None,
    })?
}

/// Until when the action of a link can be undone: the link's person made the decision, or took back a mail
/// that was only delayed.
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

/// The risks that remain when the link is followed.
fn left(action: LinkAction, held: Option<&HeldRow>) -> Vec<Risk> {
    match (action, held) {
        (LinkAction::Split | LinkAction::ApproveSplit, Some(held)) => {
            Wish::default().left(&held.risks).into_iter().cloned().collect()
        }
        _ => Vec::new(),
    }
}

/// When a link expires at the latest: with the hold, or with the time for undoing.
fn end(action: LinkAction, message: &StoredMessage, now: Timestamp) -> Timestamp {
    match (action, &message.held) {
        (LinkAction::Undo, Some(held)) => held.decided_at.unwrap_or(now).plus(UNDO),
        (LinkAction::Undo, None) => now.plus(UNDO),
        (LinkAction::AskAgain, _) => now.plus(AGAIN),
        (_, Some(held)) => held.expires,
        (_, None) => now.plus(OTHERWISE),
    }
}

/// The hash of the stored message.
fn content(message: &StoredMessage) -> Digest {
    let id = message.id.as_str().as_bytes();
    match &message.body {
        Body::Inline(bytes) => Digest::of(&[id, &message.header, bytes]),
        // the name is random, and a finished file never changes
        Body::Stored { name, size, .. } => {
            Digest::of(&[id, &message.header, name.as_bytes(), &size.to_be_bytes()])
        }
    }
}
