//! Notices that are still to be sent, and who is told about a held message.

use super::{AskId, NoticeId};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::message::Address;
use serde::{Deserialize, Serialize};

/// The kind of a notice, and to whom it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeKind {
    /// To the sender: the message is held, and why.
    Held,
    /// To the approvers: the message is held.
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
    /// To the approvers: the final check before sending stopped a copy.
    Stopped,
    /// To the sender: it is sent later, and can be taken back until then.
    Waits,
    /// To the sender: they took it back, and can undo that.
    TakenBack,
    /// To the approvers: the sender asks to send it as it is, with a reason.
    AskedAsIs,
    /// To the sender: the hold will expire soon.
    Expiring,
    /// To the approvers: the hold will expire soon.
    ExpiringApprovers,
    /// To those who are asked next: the approvers have not answered.
    Escalated,
    /// To the sender (RFC 3461): some recipients have received it, as requested.
    Delivered,
    /// To the sender: somebody else released it.
    Released,
    /// To the approvers who were told of it: it has been decided.
    Settled,
}

/// A notice that becomes due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNotice {
    /// The kind.
    pub kind: NoticeKind,
    /// When it is due. If a notice of the same kind for this message is already due, the earlier time counts.
    pub due: Timestamp,
}

/// A notice that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueNotice {
    /// Its id.
    pub id: NoticeId,
    /// The message that it is about.
    pub message: Id,
    /// The kind.
    pub kind: NoticeKind,
}

/// Why a person is told about a held message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AskWhy {
    /// They are asked to decide.
    Asked,
    /// They are asked to decide in place of a person who is away.
    Deputy,
    /// The approvers did not answer.
    Escalated,
    /// The hold expires soon.
    Expiring,
    /// The sender asks to send it as it is.
    AsIs,
    /// The final check before sending stopped it.
    Stopped,
    /// It has been decided.
    Settled,
}

/// A person to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAsk {
    /// The person.
    pub approver: Address,
    /// Why they are told.
    pub why: AskWhy,
    /// Whether this goes into a digest; otherwise it is a mail of its own.
    pub digest: bool,
    /// When they are told.
    pub due: Timestamp,
}

/// A person who is due to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Its id.
    pub id: AskId,
    /// The message.
    pub message: Id,
    /// The person, as the address is written.
    pub approver: Address,
    /// Why they are told.
    pub why: AskWhy,
    /// Whether this goes into a digest.
    pub digest: bool,
}

/// What follows from a notice to the approvers: who is told, and which notices come later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AskPlan {
    /// Who is told, and when. They may decide from now on.
    pub asks: Vec<NewAsk>,
    /// Notices that follow; each is added unless one of its kind is already waiting.
    pub notices: Vec<NewNotice>,
    /// Who may decide from now on although they are told later or not at all.
    pub assigned: Vec<Address>,
}
