//! Held messages: why they are held, how the forks of a mail belong together, and what decisions change.

use super::{NewDelivery, NewNotice};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::journal::Event;
use crate::message::Address;
use crate::message::fork::Variant;
use crate::policy::Disclosure;
use crate::policy::facts::{Disclosed, Facts};
use crate::policy::risks::{self, Kind, Risk};
use crate::policy::verdict::{Bilingual, Language};
use crate::rewrite::Hit;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a message is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HoldKind {
    /// Only a demand of `ask`: the sender may split it or take it back.
    Ask,
    /// A rule demands a hold: an approver decides.
    Rule,
    /// The audit found a hidden address, or the message cannot be parsed.
    Unsafe,
}

/// A new hold to commit.
#[derive(Clone, Debug)]
pub struct NewHold {
    /// The kind of hold.
    pub kind: HoldKind,
    /// What is dangerous about it, most serious first; or only sentences.
    pub reasons: Vec<Reason>,
    /// What the audit found.
    pub hits: Vec<Hit>,
    /// When it is returned if nobody decides.
    pub expires: Timestamp,
    /// Who is asked to decide.
    pub approvers: Vec<Address>,
    /// How it belongs to the other forks of its mail.
    pub relation: ForkRelation,
    /// What a list shows of it besides its people.
    pub glance: Glance,
}

/// What a list shows of a held message besides its people, and what it is searched by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Glance {
    /// The display name in From.
    pub author: String,
    /// The names of its attachments, without images embedded in the text.
    pub files: Vec<String>,
}

impl Glance {
    /// Taken from the facts of a message.
    pub fn of(facts: &Facts) -> Self {
        let author = facts.from.first().and_then(|mailbox| mailbox.name.clone());
        let files = facts.body.attachments.iter().filter(|file| !file.in_text);
        Self { author: author.unwrap_or_default(), files: files.map(|file| file.name.clone()).collect() }
    }
}

/// One reason to hold a message: its sentences, and the risk behind it.
///
/// Serialised as a list of two or three; entries from before risks existed have only the sentences.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason(
    /// The sentence in English.
    pub String,
    /// The sentence in Japanese.
    pub String,
    /// The risk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub Option<Risk>,
);

impl Reason {
    /// Creates a reason without a risk.
    pub fn said(en: impl Into<String>, ja: impl Into<String>) -> Self {
        Self(en.into(), ja.into(), None)
    }

    /// The risk behind this reason. For a sentence alone it is "a rule holds it", which sending individual
    /// copies removes if the rule only asked who may see whom.
    fn into_risk(self, kind: HoldKind) -> Risk {
        let text = Some(Bilingual::new(self.0, self.1));
        let told = if kind == HoldKind::Ask { Kind::Exposed } else { Kind::Rule };
        self.2.unwrap_or(Risk { text, ..Risk::new(told) })
    }
}

impl From<Risk> for Reason {
    fn from(risk: Risk) -> Self {
        Self(risk.line(Language::En), risk.line(Language::Ja), Some(risk))
    }
}

/// What is dangerous about a held message, in order and without duplicates; and the same as sentences
/// (English, Japanese).
pub fn told(reasons: Vec<Reason>, kind: HoldKind) -> (Vec<Risk>, Vec<String>, Vec<String>) {
    let risks = reasons.into_iter().map(|reason| reason.into_risk(kind)).collect();
    let risks = risks::arranged(risks);
    let sentence = |risk: &Risk, language| match &risk.text {
        Some(_) if matches!(risk.kind, Kind::Exposed | Kind::Rule) => risk.headline(language),
        _ => risk.line(language),
    };
    let said = |language| risks.iter().map(|risk| sentence(risk, language)).collect();
    let (en, ja) = (said(Language::En), said(Language::Ja));
    (risks, en, ja)
}

/// How a held message belongs to the other forks of its mail. The default is an item of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForkRelation {
    /// The item that it joins, whose decision (if any) it shares.
    pub joins: Option<Id>,
    /// The item to which it is an addendum: it does not share that item's decision.
    pub adds_to: Option<Id>,
    /// People whom its header names and who are not among its recipients.
    pub awaited: Vec<Awaited>,
    /// The state of the forks when this was planned. The commit is refused (`Moved`) if it has changed since.
    pub expected: Option<String>,
}

/// A person whom the header of a held message names, but no transaction has brought yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaited {
    /// The address in comparison form.
    pub key: String,
    /// Whether they are outside. Notices wait a short time for their transaction; mail to colleagues may
    /// never pass the relay.
    pub outside: bool,
}

/// How a mail was released, for forks that come later.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Who may see whom.
    pub disclosure: Disclosure,
    /// Recipients who were removed.
    pub dropped: Vec<Address>,
    /// Places with hidden addresses that the approver acknowledged.
    pub acknowledged: Vec<String>,
    /// When its copies are sent, if there is a grace period for undoing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaves: Option<Timestamp>,
}

/// The items of a mail whose transactions were held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupItems {
    /// Its items, oldest first.
    pub items: Vec<GroupItem>,
    /// A token that changes with every new item and every decision.
    pub token: String,
}

/// One item of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupItem {
    /// The item.
    pub id: Id,
    /// State of the item.
    pub state: HeldState,
    /// Whether it is an addendum to an earlier item.
    pub addendum: bool,
    /// How it was released.
    pub release: Option<Release>,
    /// The variants of the contents that were shown when it was decided.
    pub variants: Vec<Variant>,
}

/// State of a held message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeldState {
    /// It waits for a decision.
    Held,
    /// Its copies are sent.
    Released,
    /// It is not sent; its sender has it back.
    Returned,
    /// Nobody decided in time; it is not sent.
    Expired,
}

impl fmt::Display for HeldState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Held => "held",
            Self::Released => "released",
            Self::Returned => "returned",
            Self::Expired => "expired",
        })
    }
}

/// One line of the list of held messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldRow {
    /// Our id.
    pub id: Id,
    /// MAIL FROM; empty for the null sender.
    pub sender: String,
    /// Decoded subject.
    pub subject: String,
    /// Envelope recipients.
    pub recipients: Vec<String>,
    /// What is dangerous about it, most serious first.
    #[serde(default)]
    pub risks: Vec<Risk>,
    /// The same as sentences, in English.
    pub reasons: Vec<String>,
    /// The same as sentences, in Japanese.
    pub reasons_ja: Vec<String>,
    /// The kind of hold.
    pub kind: HoldKind,
    /// What the audit found.
    pub hits: Vec<Hit>,
    /// When it was received.
    pub received: Timestamp,
    /// When it is returned if nobody decides.
    pub expires: Timestamp,
    /// Who was asked to decide, in comparison form.
    pub approvers: Vec<String>,
    /// State of the hold.
    pub state: HeldState,
    /// Who decided.
    pub decided_by: Option<String>,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
    /// How it was released (`split`, `bcc`, `as-is`), or why it was returned.
    pub decision: Option<String>,
    /// The item it belongs to; its own id unless it joined another.
    pub item: Id,
    /// The item to which it is an addendum, because it has recipients or contents that the approver did not
    /// see.
    pub addendum_to: Option<Id>,
    /// Number of transactions that have come so far.
    pub members: usize,
    /// People whom the header names and no transaction has brought yet, in comparison form.
    pub awaited: Vec<String>,
    /// Until when the decision can be undone: a take-back by the sender, a release by the approver.
    pub undo_until: Option<Timestamp>,
}

impl HeldRow {
    /// How many recipients have come, and how many are expected in all.
    pub fn received_of(&self) -> (usize, usize) {
        (self.recipients.len(), self.recipients.len() + self.awaited.len())
    }
}

/// Selects held messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldFilter {
    /// Only this item or member. `None` lists items only.
    pub id: Option<Id>,
    /// Only in this state.
    pub state: Option<HeldState>,
    /// Only those that expire before this time.
    pub expired_by: Option<Timestamp>,
    /// Most rows to return.
    pub limit: Option<usize>,
}

/// A decision on a held item and all its members.
#[derive(Clone, Debug)]
pub struct HeldDecision {
    /// The item.
    pub id: Id,
    /// The new state.
    pub state: HeldState,
    /// Who decides.
    pub by: String,
    /// When it was decided.
    pub at: Timestamp,
    /// How it is released, or why it is returned.
    pub decision: String,
    /// The copies to send (for `Released`).
    pub deliveries: Vec<NewDelivery>,
    /// Addresses that the final check before sending searches for from now on.
    pub needles: Vec<Address>,
    /// What is disclosed, for the ledger.
    pub ledger: Option<Disclosed>,
    /// Notices that become due.
    pub notices: Vec<NewNotice>,
    /// Journal entry, for each member.
    pub events: Vec<Event>,
    /// What is sent of the item's other members (for `Released`). It must list all of them, or the decision
    /// is refused (`Moved`).
    pub siblings: Vec<Sibling>,
    /// How it is released, for forks that come later.
    pub release: Option<Release>,
    /// Until when this can be undone.
    pub undo_until: Option<Timestamp>,
    /// The addresses of the person who decides; they are not told of their own decision.
    pub deciders: Vec<Address>,
}

impl HeldDecision {
    /// Creates a decision without deliveries, notices or events.
    pub fn new(id: Id, state: HeldState, by: &str, at: Timestamp, decision: &str) -> Self {
        Self {
            id,
            state,
            by: by.to_owned(),
            at,
            decision: decision.to_owned(),
            deliveries: Vec::new(),
            needles: Vec::new(),
            ledger: None,
            notices: Vec::new(),
            events: Vec::new(),
            siblings: Vec::new(),
            release: None,
            undo_until: None,
            deciders: Vec::new(),
        }
    }
}

/// What is sent of one member of a released item.
#[derive(Clone, Debug)]
pub struct Sibling {
    /// The member.
    pub id: Id,
    /// The copies to send.
    pub deliveries: Vec<NewDelivery>,
    /// Addresses that the final check before sending searches for from now on.
    pub needles: Vec<Address>,
    /// What is disclosed, for the ledger.
    pub ledger: Option<Disclosed>,
}

/// A finding of the final check before sending.
#[derive(Clone, Debug)]
pub struct Stop {
    /// The message.
    pub id: Id,
    /// When it was found.
    pub at: Timestamp,
    /// What was found.
    pub hits: Vec<Hit>,
    /// When the hold expires.
    pub expires: Timestamp,
    /// Who is asked to decide, if the message had no approvers.
    pub approvers: Vec<Address>,
}

impl Stop {
    /// The hold that results.
    pub fn hold(&self) -> NewHold {
        NewHold {
            kind: HoldKind::Unsafe,
            reasons: vec![Risk::inside(self.hits.iter().map(Hit::whose_and_where)).into()],
            hits: self.hits.clone(),
            expires: self.expires,
            approvers: self.approvers.clone(),
            relation: ForkRelation::default(),
            // the message is not examined again; what the store has is kept
            glance: Glance::default(),
        }
    }
}

/// Holds a mail that waits because of a delay.
#[derive(Clone, Debug)]
pub struct HoldWaiting {
    /// Any transaction of the mail.
    pub id: Id,
    /// When it is held.
    pub at: Timestamp,
    /// The hold.
    pub hold: NewHold,
    /// Journal entry.
    pub event: Event,
    /// Notices that become due.
    pub notices: Vec<NewNotice>,
}

/// Holds an item again that was taken back.
#[derive(Clone, Debug)]
pub struct Again {
    /// The item.
    pub id: Id,
    /// Who asks for it.
    pub by: String,
    /// When they ask.
    pub at: Timestamp,
    /// The new end of the hold.
    pub expires: Timestamp,
}

/// What stands as the decision on a held mail that its sender took back,
pub const TAKEN_BACK: &str = "taken back by its sender";
/// or that somebody took back for its sender.
pub const TAKEN_BACK_FOR: &str = "taken back for its sender";

/// Whether a decision in words is that the mail was taken back.
pub fn was_taken_back(decision: &str) -> bool {
    [TAKEN_BACK, TAKEN_BACK_FOR].contains(&decision)
}
