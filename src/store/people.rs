//! What the store keeps of people: who is signed in, links and codes that were sent, tokens of the API;
//! and lists of held messages as far as somebody may see them.
//!
//! Every method that lists takes a [`Scope`]: there is no way around it.

use super::{DeliveryState, HeldRow, HeldState, HoldKind, NewNotice, StoreError};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::journal::Event;
use crate::message::Address;
use crate::policy::risks::Risk;
use crate::policy::verdict::Language;
use crate::token::Digest;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Somebody who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// The hash of what their browser shows.
    pub hash: Digest,
    /// What the record calls them.
    pub name: String,
    /// Who they are, as JSON that the store does not look into.
    pub who: String,
    /// When they signed in.
    pub made: Timestamp,
    /// When they were last here, to a minute or so.
    pub seen: Timestamp,
    /// When it ends in any case.
    pub expires: Timestamp,
}

/// What a link out of a mail does. Only ever what is safe, or what asks another person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkAction {
    /// Send individually.
    Split,
    /// Take the mail back.
    TakeBack,
    /// Undo the taking back.
    Undo,
    /// Ask an approver to send it as it is.
    AskAsIs,
    /// Ask an approver to send it again, openly, after it went to each without showing the others.
    AskAgain,
    /// Look at it.
    View,
    /// Of an approver: send individually.
    ApproveSplit,
    /// Of an approver: give it back to its sender.
    GiveBack,
}

/// A link, kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRow {
    /// The hash of what stands in the URL.
    pub hash: Digest,
    /// Which message.
    pub message: Id,
    /// Whom it was sent to.
    pub person: Address,
    /// What it does.
    pub action: LinkAction,
    /// The hash of the message's content when it was made.
    pub content: Digest,
    /// When it was made.
    pub made: Timestamp,
    /// When it ends in any case.
    pub expires: Timestamp,
    /// When it was followed, and what came of it.
    pub used: Option<(Timestamp, String)>,
}

/// A code that was mailed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeRow {
    /// The hash of what the browser that asked for it shows.
    pub browser: Digest,
    /// Whom it was sent to.
    pub person: Address,
    /// The hash of the code with the browser's secret.
    pub code: Digest,
    /// When it ends.
    pub expires: Timestamp,
}

/// A token of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiTokenRow {
    /// Its name, which no other has.
    pub name: String,
    /// The hash of what programs show.
    pub hash: Digest,
    /// What it is good for.
    pub scopes: Vec<String>,
    /// Who made it.
    pub made_by: String,
    /// When.
    pub made: Timestamp,
    /// When it was last shown, to a minute or so.
    pub used: Option<Timestamp>,
    /// When it ends.
    pub expires: Option<Timestamp>,
}

/// Whose held messages somebody may know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All.
    All,
    /// Those of these senders, and those these approvers were asked about; in comparison form.
    Of {
        /// Their own.
        senders: Vec<String>,
        /// What they were asked about.
        approvers: Vec<String>,
    },
}

/// In which order a list of held messages comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The newest first.
    #[default]
    Newest,
    /// Whose time runs out first comes first: page by page as they were accepted, and by their deadlines within
    /// a page.
    Deadline,
}

/// Which held messages, and which page of them. Every text is as people type it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldQuery {
    /// As far as this reaches.
    pub scope: Scope,
    /// Only in this state.
    pub state: Option<HeldState>,
    /// Of this sender: an address, or a domain.
    pub sender: Option<String>,
    /// To this recipient: an address, or a domain.
    pub recipient: Option<String>,
    /// With this text in the subject.
    pub subject: Option<String>,
    /// Anywhere: in the subject or the name of an attachment, or as sender or recipient.
    pub text: Option<String>,
    /// Held by this rule.
    pub rule: Option<String>,
    /// Its sender asks that it leave as it is.
    pub as_is: bool,
    /// Received at this moment or later.
    pub since: Option<Timestamp>,
    /// Received before this moment.
    pub before: Option<Timestamp>,
    /// Only those behind this one in their order: the next page after it.
    pub after: Option<Id>,
    /// In which order.
    pub order: Order,
    /// At most so many; 1 to 500.
    pub limit: usize,
}

impl HeldQuery {
    /// The newest in this scope.
    pub fn new(scope: Scope) -> Self {
        Self {
            scope,
            state: None,
            sender: None,
            recipient: None,
            subject: None,
            text: None,
            rule: None,
            as_is: false,
            since: None,
            before: None,
            after: None,
            order: Order::Newest,
            limit: 50,
        }
    }
}

/// One line of a list: what fits in it, however many recipients there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldLine {
    /// Our id.
    pub id: Id,
    /// MAIL FROM; empty for the null sender.
    pub sender: String,
    /// What the author goes by; empty where that is not known.
    #[serde(default)]
    pub author: String,
    /// How many attachments it has, as far as that is known.
    #[serde(default)]
    pub files: usize,
    /// Decoded subject.
    pub subject: String,
    /// The first recipients.
    pub recipients: Vec<String>,
    /// How many there are.
    pub recipient_count: usize,
    /// Who would see whom: pairs of strangers.
    pub exposures: u64,
    /// What is dangerous about it, the strongest first.
    #[serde(default)]
    pub risks: Vec<Risk>,
    /// The same in sentences.
    pub reasons: Vec<String>,
    /// The same in Japanese.
    pub reasons_ja: Vec<String>,
    /// Why, as a kind.
    pub kind: HoldKind,
    /// When it was received.
    pub received: Timestamp,
    /// When it is returned if nobody decides.
    pub expires: Timestamp,
    /// State.
    pub state: HeldState,
    /// Who decided.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Timestamp>,
    /// How it was released, or why it was returned.
    pub decision: Option<String>,
    /// Its sender asks that it leave as it is.
    #[serde(default)]
    pub asked: bool,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldPage {
    /// In the order asked for.
    pub lines: Vec<HeldLine>,
    /// What to ask for as `after` to get the next page; `None` on the last.
    pub next: Option<Id>,
}

/// A key that somebody signs in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasskeyRow {
    /// The credential's id.
    pub id: Vec<u8>,
    /// Whose.
    pub name: String,
    /// Their addresses, in comparison form.
    pub keys: Vec<String>,
    /// What they call it.
    pub label: String,
    /// How they were known when they made it, as JSON that the store does not look into.
    pub who: String,
    /// What it signs with (COSE).
    pub algorithm: i64,
    /// The public key.
    pub key: Vec<u8>,
    /// The authenticator's counter when it was last used.
    pub count: u32,
    /// When it was made.
    pub made: Timestamp,
    /// When it was last used.
    pub used: Option<Timestamp>,
}

/// A mail of somebody's own, as far as a line about it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentRow {
    /// Our id.
    pub id: Id,
    /// When it was received.
    pub received: Timestamp,
    /// Decoded subject.
    pub subject: String,
    /// The first recipients.
    pub recipients: Vec<String>,
    /// How many there are.
    pub recipient_count: usize,
    /// What was decided: `pass`, `split`, …
    pub action: String,
    /// Where it was held: its state, how it was decided, and the item that it belongs to.
    pub held: Option<(HeldState, Option<String>, Id)>,
    /// Until when its taking back can be undone.
    pub undo_until: Option<Timestamp>,
    /// Its copies, by state.
    pub copies: BTreeMap<DeliveryState, usize>,
    /// When the first copy leaves that waits and was never tried.
    pub leaves: Option<Timestamp>,
}

/// People in the store.
#[async_trait]
pub trait PeopleStore {
    /// Keeps a session; forgets those that ended.
    async fn open_session(&self, session: SessionRow) -> Result<(), StoreError>;

    /// A session that has not ended.
    async fn session(&self, hash: Digest, now: Timestamp) -> Result<Option<SessionRow>, StoreError>;

    /// Somebody was here.
    async fn touch_session(&self, hash: Digest, now: Timestamp) -> Result<(), StoreError>;

    /// Ends a session; no harm where there is none.
    async fn end_session(&self, hash: Digest) -> Result<(), StoreError>;

    /// Sessions of somebody that have not ended, newest first.
    async fn sessions_of(&self, name: &str, now: Timestamp) -> Result<Vec<SessionRow>, StoreError>;

    /// The newest mails that one of these addresses (in comparison form) sent.
    async fn recent(&self, senders: &[String], limit: usize) -> Result<Vec<RecentRow>, StoreError>;

    /// Ends all sessions of somebody; how many.
    async fn end_sessions_of(&self, name: &str) -> Result<usize, StoreError>;

    /// Keeps links.
    async fn put_links(&self, links: Vec<LinkRow>) -> Result<(), StoreError>;

    /// A link, used or expired too.
    async fn link(&self, hash: Digest) -> Result<Option<LinkRow>, StoreError>;

    /// Says that a link was followed, and what came of it; the first time counts.
    async fn use_link(&self, hash: Digest, now: Timestamp, outcome: &str) -> Result<(), StoreError>;

    /// Keeps a code, in place of an earlier one of the same browser; forgets those that ended.
    async fn put_code(&self, code: CodeRow, now: Timestamp) -> Result<(), StoreError>;

    /// To whom the code of this browser was sent, while it has not ended, and how often one was tried.
    async fn code_sent(&self, browser: Digest, now: Timestamp) -> Result<Option<(Address, u32)>, StoreError>;

    /// Tries a code: whose it is when it is right, and then it is used up. Every try counts, and after
    /// `most` nothing is right.
    async fn try_code(
        &self,
        browser: Digest,
        code: Digest,
        now: Timestamp,
        most: u32,
    ) -> Result<Option<Address>, StoreError>;

    /// Keeps a passkey; false when there is one with that id.
    async fn add_passkey(&self, key: PasskeyRow) -> Result<bool, StoreError>;

    /// A passkey.
    async fn passkey(&self, id: Vec<u8>) -> Result<Option<PasskeyRow>, StoreError>;

    /// Passkeys of whoever goes by this name, or by one of these addresses (in comparison form), oldest first.
    async fn passkeys_of(&self, name: &str, keys: &[String]) -> Result<Vec<PasskeyRow>, StoreError>;

    /// All passkeys, by name.
    async fn all_passkeys(&self) -> Result<Vec<PasskeyRow>, StoreError>;

    /// A passkey was used; its counter now.
    async fn use_passkey(&self, id: Vec<u8>, count: u32, now: Timestamp) -> Result<(), StoreError>;

    /// Takes a passkey away; whether there was one.
    async fn remove_passkey(&self, id: Vec<u8>) -> Result<bool, StoreError>;

    /// Keeps the language that somebody chose, for all their addresses (in comparison form).
    async fn choose_language(&self, people: &[String], language: Language) -> Result<(), StoreError>;

    /// The language that somebody chose, by an address in comparison form.
    async fn chosen_language(&self, person: &str) -> Result<Option<Language>, StoreError>;

    /// Keeps a token of the API; false when there is one of that name.
    async fn add_api_token(&self, token: ApiTokenRow) -> Result<bool, StoreError>;

    /// All tokens of the API, by name.
    async fn api_tokens(&self) -> Result<Vec<ApiTokenRow>, StoreError>;

    /// A token that has not ended.
    async fn api_token(&self, hash: Digest, now: Timestamp) -> Result<Option<ApiTokenRow>, StoreError>;

    /// A token was shown.
    async fn touch_api_token(&self, hash: Digest, now: Timestamp) -> Result<(), StoreError>;

    /// Takes a token away; whether there was one.
    async fn remove_api_token(&self, name: &str) -> Result<bool, StoreError>;

    /// Writes something into the journal of a message that is still held, with notices that follow;
    /// `Decided` when it is not held any more.
    async fn note_held(
        &self,
        id: Id,
        at: Timestamp,
        event: Event,
        notices: Vec<NewNotice>,
    ) -> Result<(), StoreError>;

    /// A page of held messages, newest first.
    async fn held_page(&self, query: &HeldQuery) -> Result<HeldPage, StoreError>;

    /// How many held messages meet a query (behind its `after`, where it has one), counted up to so many.
    async fn held_count(&self, query: &HeldQuery, most: usize) -> Result<usize, StoreError>;

    /// How many held messages there are in each state, as far as a scope reaches.
    async fn held_counts(&self, scope: &Scope) -> Result<BTreeMap<HeldState, usize>, StoreError>;

    /// These held messages in full, as far as the scope reaches; what is not in it is not in the answer.
    async fn held_rows(&self, scope: &Scope, ids: &[Id]) -> Result<Vec<HeldRow>, StoreError>;

    /// Whether one of these addresses (in comparison form) was ever asked to decide on something that is
    /// kept.
    async fn was_asked(&self, addresses: &[String]) -> Result<bool, StoreError>;
}
