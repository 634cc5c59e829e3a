//! Notices: what people are still to be told, and who is told of what waits for a decision.

use crate::clock::Timestamp;
use crate::id::Id;
use crate::message::Address;
use serde::{Deserialize, Serialize};

/// What a notice tells, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeKind {
    /// To the sender: it is held, and why.
    Held,
    /// To the approvers: it is held.
    HeldApprovers,
    /// To the sender: it was split without asking.
    Split,
    /// To the sender: it was returned.
    Returned,
    /// To the sender: nobody decided in time.
    Expired,
    /// To the sender (RFC 3464): some recipients failed.
    Failure,
    /// To the sender (RFC 3464): not delivered yet.
    Delayed,
    /// To the approvers: the second lock stopped a copy.
    Stopped,
    /// To the sender: it leaves later, and can be taken back until then.
    Waits,
    /// To the sender: they took it back, and can undo that.
    TakenBack,
    /// To the approvers: the sender asks that it leave as it is, and says why.
    AskedAsIs,
    /// To the sender: it is held, and soon nobody can decide any more.
    Expiring,
    /// To the approvers: the same.
    ExpiringApprovers,
    /// To those behind the approvers: nobody answered.
    Escalated,
    /// To the sender (RFC 3461): some recipients have it, as was asked to be told.
    Delivered,
    /// To the sender: somebody else let it go.
    Released,
    /// To the approvers who were told of it: somebody decided.
    Settled,
}

/// A notice that becomes due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNotice {
    /// What.
    pub kind: NoticeKind,
    /// When. A second notice of the same kind for a message that is still due moves it to the earlier
    /// of both.
    pub due: Timestamp,
}

/// A notice that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueNotice {
    /// Its row.
    pub notice: i64,
    /// What it is about.
    pub message: Id,
    /// What.
    pub kind: NoticeKind,
}

/// Why somebody is told of a message that waits for a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AskWhy {
    /// They are asked to decide.
    Asked,
    /// The same, in the place of somebody who is away.
    Deputy,
    /// Nobody answered.
    Escalated,
    /// The hold ends soon.
    Expiring,
    /// The sender asks that it leave as it is.
    AsIs,
    /// The second lock stopped it.
    Stopped,
    /// Somebody decided.
    Settled,
}

/// Somebody to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAsk {
    /// Whom.
    pub approver: Address,
    /// Why.
    pub why: AskWhy,
    /// Together with what else they are told of; else in a mail of its own.
    pub digest: bool,
    /// When.
    pub due: Timestamp,
}

/// Somebody who is due to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Its row.
    pub row: i64,
    /// Of which message.
    pub message: Id,
    /// Whom, as it is written.
    pub approver: Address,
    /// Why.
    pub why: AskWhy,
    /// Together with what else they are told of.
    pub digest: bool,
}

/// What becomes of a notice to those who decide: who is told, and what comes later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AskPlan {
    /// Who is told, and when. They may decide from now on, too.
    pub asks: Vec<NewAsk>,
    /// Notices that follow, each put down unless one of its kind waits.
    pub notices: Vec<NewNotice>,
    /// Who may decide from now on although they are told later, if at all.
    pub assigned: Vec<Address>,
}
