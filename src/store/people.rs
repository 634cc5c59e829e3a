//! What the store keeps about people: sessions, links and codes that were sent, API tokens; and lists of held
//! messages, limited to what somebody may see.
//!
//! Every method that lists held messages takes a [`Scope`], so that no caller can see more.

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

/// A session of somebody who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// The hash of the secret in their browser's cookie.
    pub hash: Digest,
    /// Their name in the record.
    pub name: String,
    /// Their identity, as JSON that the store does not interpret.
    pub who: String,
    /// When they signed in.
    pub made: Timestamp,
    /// When they were last active, to about a minute.
    pub seen: Timestamp,
    /// When it expires.
    pub expires: Timestamp,
}

/// What a link in a mail does: only what is safe, or what asks another person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkAction {
    /// Send individually.
    Split,
    /// Take the mail back.
    TakeBack,
    /// Undo the taking back.
    Undo,
    /// Ask an approver to send it as is.
    AskAsIs,
    /// Ask an approver to send it again, openly, after each recipient got it without seeing the others.
    AskAgain,
    /// View it.
    View,
    /// For an approver: send individually.
    ApproveSplit,
    /// For an approver: return it to its sender.
    GiveBack,
}

/// A stored link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRow {
    /// The hash of the secret in the URL.
    pub hash: Digest,
    /// The message that it is about.
    pub message: Id,
    /// Whom it was sent to.
    pub person: Address,
    /// What it does.
    pub action: LinkAction,
    /// The hash of the message's content when it was made.
    pub content: Digest,
    /// When it was made.
    pub made: Timestamp,
    /// When it expires.
    pub expires: Timestamp,
    /// When it was followed, and what came of it.
    pub used: Option<(Timestamp, String)>,
}

/// A code that was mailed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeRow {
    /// The hash of the cookie of the browser that asked for it.
    pub browser: Digest,
    /// Whom it was sent to.
    pub person: Address,
    /// The hash of the code with the browser's secret.
    pub code: Digest,
    /// When it expires.
    pub expires: Timestamp,
}

/// An API token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiTokenRow {
    /// Its name, which is unique.
    pub name: String,
    /// The hash of the token that programs present.
    pub hash: Digest,
    /// The scopes that it grants.
    pub scopes: Vec<String>,
    /// Who made it.
    pub made_by: String,
    /// When.
    pub made: Timestamp,
    /// When it was last used, to about a minute.
    pub used: Option<Timestamp>,
    /// When it expires.
    pub expires: Option<Timestamp>,
}

/// Which held messages somebody may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All.
    All,
    /// Those of these senders, and those about which these approvers were asked. Addresses are keys.
    Of {
        /// The person's own addresses.
        senders: Vec<String>,
        /// The approvers on whose behalf they may see messages.
        approvers: Vec<String>,
    },
}

/// The order of a list of held messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Newest first.
    #[default]
    Newest,
    /// Earliest deadline first, within a page; the pages themselves are in the order in which messages were accepted.
    Deadline,
}

/// Selects held messages, and a page of them. Texts are given as people type them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldQuery {
    /// Only what this scope allows.
    pub scope: Scope,
    /// Only in this state.
    pub state: Option<HeldState>,
    /// Only from this sender: an address or a domain.
    pub sender: Option<String>,
    /// Only to this recipient: an address or a domain.
    pub recipient: Option<String>,
    /// Only with this text in the subject.
    pub subject: Option<String>,
    /// Only with this text in the subject, the name of an attachment, the sender or a recipient.
    pub text: Option<String>,
    /// Only those held by this rule.
    pub rule: Option<String>,
    /// Only those whose sender asked that they be sent as is.
    pub as_is: bool,
    /// Only those received at this time or later.
    pub since: Option<Timestamp>,
    /// Only those received before this time.
    pub before: Option<Timestamp>,
    /// Only those after this message: the next page.
    pub after: Option<Id>,
    /// The order.
    pub order: Order,
    /// The size of a page, 1 to 500.
    pub limit: usize,
}

impl HeldQuery {
    /// The newest messages in a scope, 50 on a page.
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

/// One line of a list. Its size is limited, however many recipients the message has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldLine {
    /// Our id.
    pub id: Id,
    /// MAIL FROM; empty for the null sender.
    pub sender: String,
    /// The author's display name; empty if it is not known.
    #[serde(default)]
    pub author: String,
    /// The number of attachments, as far as it is known.
    #[serde(default)]
    pub files: usize,
    /// Decoded subject.
    pub subject: String,
    /// The first recipients.
    pub recipients: Vec<String>,
    /// How many there are.
    pub recipient_count: usize,
    /// The number of disclosures: pairs of strangers who would see each other.
    pub exposures: u64,
    /// What is dangerous about it, most serious first.
    #[serde(default)]
    pub risks: Vec<Risk>,
    /// The same as sentences, in English.
    pub reasons: Vec<String>,
    /// The same as sentences, in Japanese.
    pub reasons_ja: Vec<String>,
    /// The kind of reason.
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
    /// Its sender asked that it be sent as is.
    #[serde(default)]
    pub asked: bool,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldPage {
    /// The lines, in the requested order.
    pub lines: Vec<HeldLine>,
    /// The value of `after` for the next page; `None` on the last page.
    pub next: Option<Id>,
}

/// A passkey with which somebody signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasskeyRow {
    /// The credential ID.
    pub id: Vec<u8>,
    /// The owner's name.
    pub name: String,
    /// The keys of the owner's addresses.
    pub keys: Vec<String>,
    /// The owner's label for it.
    pub label: String,
    /// The owner's identity when the passkey was created, as JSON that the store does not interpret.
    pub who: String,
    /// The COSE number of its signature algorithm (RFC 9053).
    pub algorithm: i64,
    /// The public key.
    pub key: Vec<u8>,
    /// The authenticator's signature counter at its last use.
    pub count: u32,
    /// When it was made.
    pub made: Timestamp,
    /// When it was last used.
    pub used: Option<Timestamp>,
}

/// One of a sender's own mails, with what a line about it needs.
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
    /// If it was held: its state, how it was decided, and its item.
    pub held: Option<(HeldState, Option<String>, Id)>,
    /// Until when taking it back can be undone.
    pub undo_until: Option<Timestamp>,
    /// The number of its copies in each state.
    pub copies: BTreeMap<DeliveryState, usize>,
    /// When the first of its waiting copies that were never tried will leave.
    pub leaves: Option<Timestamp>,
}

/// Sessions, links, codes, passkeys, tokens, and scoped lists.
#[async_trait]
pub trait PeopleStore {
    /// Stores a session, and deletes expired ones.
    async fn open_session(&self, session: SessionRow) -> Result<(), StoreError>;

    /// A session, unless it has expired.
    async fn session(&self, hash: Digest, now: Timestamp) -> Result<Option<SessionRow>, StoreError>;

    /// Records that a session is active.
    async fn touch_session(&self, hash: Digest, now: Timestamp) -> Result<(), StoreError>;

    /// Ends a session, if there is one.
    async fn end_session(&self, hash: Digest) -> Result<(), StoreError>;

    /// A person's sessions that have not expired, newest first.
    async fn sessions_of(&self, name: &str, now: Timestamp) -> Result<Vec<SessionRow>, StoreError>;

    /// The newest mails that were sent from one of these addresses, given as keys.
    async fn recent(&self, senders: &[String], limit: usize) -> Result<Vec<RecentRow>, StoreError>;

    /// Ends all sessions of a person. Returns how many.
    async fn end_sessions_of(&self, name: &str) -> Result<usize, StoreError>;

    /// Stores links.
    async fn put_links(&self, links: Vec<LinkRow>) -> Result<(), StoreError>;

    /// A link, even if it was used or has expired.
    async fn link(&self, hash: Digest) -> Result<Option<LinkRow>, StoreError>;

    /// Records that a link was followed, and the outcome. Only the first time is recorded.
    async fn use_link(&self, hash: Digest, now: Timestamp, outcome: &str) -> Result<(), StoreError>;

    /// Stores a code, which replaces an earlier one of the same browser, and deletes expired codes.
    async fn put_code(&self, code: CodeRow, now: Timestamp) -> Result<(), StoreError>;

    /// To whom this browser's code was sent, and how often one was tried; `None` if it has expired.
    async fn code_sent(&self, browser: Digest, now: Timestamp) -> Result<Option<(Address, u32)>, StoreError>;

    /// Tries a code. Returns the person if it is right, and then deletes it. Every try counts; after `most` tries no
    /// code is accepted.
    async fn try_code(
        &self,
        browser: Digest,
        code: Digest,
        now: Timestamp,
        most: u32,
    ) -> Result<Option<Address>, StoreError>;

    /// Stores a passkey. Returns false if one with this ID exists.
    async fn add_passkey(&self, key: PasskeyRow) -> Result<bool, StoreError>;

    /// A passkey.
    async fn passkey(&self, id: Vec<u8>) -> Result<Option<PasskeyRow>, StoreError>;

    /// Passkeys whose owner has this name or one of these addresses (given as keys), oldest first.
    async fn passkeys_of(&self, name: &str, keys: &[String]) -> Result<Vec<PasskeyRow>, StoreError>;

    /// All passkeys, by name.
    async fn all_passkeys(&self) -> Result<Vec<PasskeyRow>, StoreError>;

    /// Records the use of a passkey, with its new counter.
    async fn use_passkey(&self, id: Vec<u8>, count: u32, now: Timestamp) -> Result<(), StoreError>;

    /// Deletes a passkey. Returns whether there was one.
    async fn remove_passkey(&self, id: Vec<u8>) -> Result<bool, StoreError>;

    /// Stores the language that a person chose, for all their addresses, given as keys.
    async fn choose_language(&self, people: &[String], language: Language) -> Result<(), StoreError>;

    /// The language that a person chose, by the key of an address.
    async fn chosen_language(&self, person: &str) -> Result<Option<Language>, StoreError>;

    /// Stores an API token. Returns false if one with this name exists.
    async fn add_api_token(&self, token: ApiTokenRow) -> Result<bool, StoreError>;

    /// All API tokens, by name.
    async fn api_tokens(&self) -> Result<Vec<ApiTokenRow>, StoreError>;

    /// An API token, unless it has expired.
    async fn api_token(&self, hash: Digest, now: Timestamp) -> Result<Option<ApiTokenRow>, StoreError>;

    /// Records that an API token was used.
    async fn touch_api_token(&self, hash: Digest, now: Timestamp) -> Result<(), StoreError>;

    /// Deletes an API token. Returns whether there was one.
    async fn remove_api_token(&self, name: &str) -> Result<bool, StoreError>;

    /// Adds an entry to the journal of a message that is still held, with the notices that follow from it.
    ///
    /// # Errors
    /// `Decided` if it is no longer held.
    async fn note_held(
        &self,
        id: Id,
        at: Timestamp,
        event: Event,
        notices: Vec<NewNotice>,
    ) -> Result<(), StoreError>;

    /// A page of held messages, in the order that the query asks for.
    async fn held_page(&self, query: &HeldQuery) -> Result<HeldPage, StoreError>;

    /// How many held messages match a query (after its `after`, if it has one), counted up to `most`.
    async fn held_count(&self, query: &HeldQuery, most: usize) -> Result<usize, StoreError>;

    /// How many held messages there are in each state, within a scope.
    async fn held_counts(&self, scope: &Scope) -> Result<BTreeMap<HeldState, usize>, StoreError>;

    /// These held messages in full. Those outside the scope are left out.
    async fn held_rows(&self, scope: &Scope, ids: &[Id]) -> Result<Vec<HeldRow>, StoreError>;

    /// Whether one of these addresses, given as keys, was asked to decide on any message that is still stored.
    async fn was_asked(&self, addresses: &[String]) -> Result<bool, StoreError>;
}
