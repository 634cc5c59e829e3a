//! Held messages: why, in which place among the transactions of a mail, and what decisions do.

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
    /// Only `ask`: the sender may split it or take it back.
    Ask,
    /// A `hold` rule: an approver decides.
    Rule,
    /// The audit found a hidden address, or the message cannot be parsed.
    Unsafe,
}

/// A hold to commit.
#[derive(Clone, Debug)]
pub struct NewHold {
    /// Why.
    pub kind: HoldKind,
    /// What is dangerous about it, the strongest first; or sentences alone.
    pub reasons: Vec<Reason>,
    /// What the audit found.
    pub hits: Vec<Hit>,
    /// When it is returned if nobody decides.
    pub expires: Timestamp,
    /// Who is asked to decide.
    pub approvers: Vec<Address>,
    /// Where it stands among the forks of its mail.
    pub place: Place,
    /// What a list shows of it beside its people.
    pub glance: Glance,
}

/// What a list shows of a held message beside its people, and finds it by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Glance {
    /// What its author goes by: the display name of From.
    pub author: String,
    /// The names of its attachments, pictures in the text aside.
    pub files: Vec<String>,
}

impl Glance {
    /// Of a message that was looked at.
    pub fn of(facts: &Facts) -> Self {
        let author = facts.from.first().and_then(|mailbox| mailbox.name.clone());
        let files = facts.body.attachments.iter().filter(|file| !file.in_text);
        Self { author: author.unwrap_or_default(), files: files.map(|file| file.name.clone()).collect() }
    }
}

/// One reason to hold a message: what people read, and the risk that it tells of.
///
/// It is kept as a list of two or three: what was kept before there were risks has the sentences alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason(
    /// In English.
    pub String,
    /// In Japanese.
    pub String,
    /// What it tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub Option<Risk>,
);

impl Reason {
    /// A sentence in English and in Japanese.
    pub fn said(en: impl Into<String>, ja: impl Into<String>) -> Self {
        Self(en.into(), ja.into(), None)
    }

    /// The risk that it tells of: a sentence alone is a rule's word, which individual copies settle where
    /// it was only asked who may see whom.
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

/// What is dangerous about a held message, from the reasons that were kept, in order and each once; and the
/// same in sentences (English, Japanese).
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

/// Where a held message stands among the forks of its mail. By default it is an item of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The item it becomes a member of, and whose decision (if one was made) it shares.
    pub joins: Option<Id>,
    /// The item whose decision it does not share: it is an addendum to it.
    pub adds_to: Option<Id>,
    /// Whom its header names beyond those it came for.
    pub awaited: Vec<Awaited>,
    /// What was known of the mail when this was planned: a commit is refused (`Moved`) when that
    /// changed since.
    pub expected: Option<String>,
}

/// Somebody whom the header of a held message names, and whom no transaction brought so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaited {
    /// The address in comparison form.
    pub key: String,
    /// Notices wait (a little) for their transaction. Mail to colleagues may never come this way.
    pub outside: bool,
}

/// How a mail was released: what is done with siblings that come late.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// Who may see whom.
    pub disclosure: Disclosure,
    /// Recipients taken off.
    pub dropped: Vec<Address>,
    /// Places with hidden addresses that were acknowledged.
    pub acknowledged: Vec<String>,
    /// When its copies leave, where that was put off so that it could be undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaves: Option<Timestamp>,
}

/// What is known of a mail some of whose transactions were held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupStanding {
    /// Its items, the oldest first.
    pub items: Vec<ItemStanding>,
    /// Changes with every item and every decision.
    pub token: String,
}

/// One item of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemStanding {
    /// The item.
    pub id: Id,
    /// Its state.
    pub state: HeldState,
    /// It is an addendum to an earlier one.
    pub addendum: bool,
    /// How it was released.
    pub way: Option<Way>,
    /// The contents that were seen when it was decided on.
    pub variants: Vec<Variant>,
}

/// State of a held message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum HeldState {
    Held,
    Released,
    Returned,
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
    /// What is dangerous about it, the strongest first.
    #[serde(default)]
    pub risks: Vec<Risk>,
    /// The same in sentences.
    pub reasons: Vec<String>,
    /// The same in Japanese.
    pub reasons_ja: Vec<String>,
    /// Why, as a kind.
    pub kind: HoldKind,
    /// What the audit found.
    pub hits: Vec<Hit>,
    /// When it was received.
    pub received: Timestamp,
    /// When it is returned if nobody decides.
    pub expires: Timestamp,
    /// Who was asked to decide, in comparison form.
    pub approvers: Vec<String>,
    /// State.
    pub state: HeldState,
    /// Who decided.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Timestamp>,
    /// How it was released (`split`, `bcc`, `as-is`), or why it was returned.
    pub decision: Option<String>,
    /// The item it belongs to: its own id, unless it joined another.
    pub item: Id,
    /// The item it is an addendum to: somebody the approver did not see, or another content.
    pub addendum_to: Option<Id>,
    /// In how many transactions it came so far.
    pub members: usize,
    /// Whom the header names and no transaction brought so far, in comparison form.
    pub awaited: Vec<String>,
    /// Until when the decision may be undone: taking it back by its sender, a release by whoever made it.
    pub undo_until: Option<Timestamp>,
}

impl HeldRow {
    /// Of how many recipients the mail has come: the second number has those that its header names
    /// beyond them.
    pub fn received_of(&self) -> (usize, usize) {
        (self.recipients.len(), self.recipients.len() + self.awaited.len())
    }
}

/// Which held messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldFilter {
    /// Only this one, be it an item or a member of one. Without, items alone.
    pub id: Option<Id>,
    /// Only in this state.
    pub state: Option<HeldState>,
    /// Only those whose deadline lies before this moment.
    pub expired_by: Option<Timestamp>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// A decision on a held item, with all its members.
#[derive(Clone, Debug)]
pub struct HeldDecision {
    /// Which item.
    pub id: Id,
    /// The state it comes to.
    pub state: HeldState,
    /// Who decides.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// How, or why.
    pub decision: String,
    /// The copies that leave (for `Released`).
    pub deliveries: Vec<NewDelivery>,
    /// What the second lock searches for from now on.
    pub needles: Vec<Address>,
    /// What is disclosed, for the ledger.
    pub ledger: Option<Disclosed>,
    /// Notices that follow.
    pub notices: Vec<NewNotice>,
    /// Journal, of each member.
    pub events: Vec<Event>,
    /// What leaves of the item's other members (for `Released`): all of them, or the decision is
    /// refused (`Moved`).
    pub siblings: Vec<Sibling>,
    /// How it is released, for siblings that come late.
    pub way: Option<Way>,
    /// Until when this may be undone.
    pub undo_until: Option<Timestamp>,
    /// The addresses of who decides: they are not told that somebody did.
    pub deciders: Vec<Address>,
}

impl HeldDecision {
    /// A decision of which nothing follows yet.
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
            way: None,
            undo_until: None,
            deciders: Vec::new(),
        }
    }
}

/// What leaves of a member of a released item.
#[derive(Clone, Debug)]
pub struct Sibling {
    /// Which.
    pub id: Id,
    /// The copies that leave.
    pub deliveries: Vec<NewDelivery>,
    /// What the second lock searches for from now on.
    pub needles: Vec<Address>,
    /// What is disclosed, for the ledger.
    pub ledger: Option<Disclosed>,
}

/// The second lock's finding.
#[derive(Clone, Debug)]
pub struct Stop {
    /// The message.
    pub id: Id,
    /// When.
    pub at: Timestamp,
    /// What was found.
    pub hits: Vec<Hit>,
    /// When the hold expires.
    pub expires: Timestamp,
    /// Who is asked to decide, where nobody was before.
    pub approvers: Vec<Address>,
}

impl Stop {
    /// The hold that this makes of the message.
    pub fn hold(&self) -> NewHold {
        NewHold {
            kind: HoldKind::Unsafe,
            reasons: vec![Risk::inside(self.hits.iter().map(Hit::whose_and_where)).into()],
            hits: self.hits.clone(),
            expires: self.expires,
            approvers: self.approvers.clone(),
            place: Place::default(),
            // Nobody looks into it again: what is known of it stays.
            glance: Glance::default(),
        }
    }
}

/// A delayed mail is to be held.
#[derive(Clone, Debug)]
pub struct HoldWaiting {
    /// Any transaction of it.
    pub id: Id,
    /// When.
    pub at: Timestamp,
    /// How it is held.
    pub hold: NewHold,
    /// What is written down.
    pub event: Event,
    /// Notices that it makes due.
    pub notices: Vec<NewNotice>,
}

/// A held item that was taken back is to be held again.
#[derive(Clone, Debug)]
pub struct Again {
    /// Which.
    pub id: Id,
    /// Who asks for it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// When it expires now.
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
