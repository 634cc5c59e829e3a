//! The links in mails. They only do what is safe, or ask another person.

use crate::message::Address;
use crate::policy::Disclosure;
use crate::policy::risks::Risk;
use crate::store::absences::Absence;
use crate::store::{AskWhy, HeldRow, HoldKind, LinkAction, NoticeKind, StoreError, StoredMessage};
use async_trait::async_trait;

/// Creates links and stores what they do.
#[async_trait]
pub trait LinkMaker: Send + Sync + 'static {
    /// Creates links for a person, in the order given; empty if the desk has no URL.
    async fn links(
        &self,
        person: &Address,
        message: &StoredMessage,
        wanted: &[LinkAction],
    ) -> Result<Vec<String>, StoreError>;

    /// The URL of a path of the desk (`/held/ID`); `None` if the desk has no URL.
    fn page(&self, path: &str) -> Option<String>;

    /// The absences that people entered themselves, with their deputies.
    async fn away(&self) -> Result<Vec<Absence>, StoreError>;
}

/// The links of one mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Sends it individually.
    pub split: Option<String>,
    /// Takes it back.
    pub take_back: Option<String>,
    /// Undoes taking it back.
    pub undo: Option<String>,
    /// Asks an approver to send it as it is.
    pub as_is: Option<String>,
    /// Asks an approver to send it again, openly.
    pub again: Option<String>,
    /// For an approver: sends it individually.
    pub approve_split: Option<String>,
    /// For an approver: returns it to its sender.
    pub give_back: Option<String>,
    /// The message's page, where people have to sign in.
    pub view: Option<String>,
}

/// A mail without links.
pub static NO_LINKS: Links = Links {
    split: None,
    take_back: None,
    undo: None,
    as_is: None,
    again: None,
    approve_split: None,
    give_back: None,
    view: None,
};

impl Links {
    /// The created links, by what they do.
    pub(super) fn of(wanted: &[LinkAction], made: Vec<String>) -> Self {
        let mut links = Self::default();
        for (action, url) in wanted.iter().zip(made) {
            let place = match action {
                LinkAction::Split => &mut links.split,
                LinkAction::TakeBack => &mut links.take_back,
                LinkAction::Undo => &mut links.undo,
                LinkAction::AskAsIs => &mut links.as_is,
                LinkAction::AskAgain => &mut links.again,
                LinkAction::ApproveSplit => &mut links.approve_split,
                LinkAction::GiveBack => &mut links.give_back,
                LinkAction::View => &mut links.view,
            };
            *place = Some(url);
        }
        links
    }
}

/// The links that a notice offers to the sender. If a rule or the audit holds the message, the sender can
/// only take it back: sending it takes another person.
pub(super) fn offered(kind: NoticeKind, message: &StoredMessage) -> &'static [LinkAction] {
    match (kind, message.held.as_ref().map(|held| held.kind)) {
        (NoticeKind::Held | NoticeKind::Expiring, Some(HoldKind::Ask)) if makes_copies(message) => {
            &[LinkAction::Split, LinkAction::TakeBack, LinkAction::AskAsIs]
        }
        (NoticeKind::Held | NoticeKind::Expiring, Some(_)) => &[LinkAction::TakeBack, LinkAction::AskAsIs],
        (NoticeKind::Waits, _) if individually(message) => {
            &[LinkAction::Split, LinkAction::AskAsIs, LinkAction::TakeBack]
        }
        (NoticeKind::Waits, _) => &[LinkAction::TakeBack],
        (NoticeKind::Split | NoticeKind::Released, _) if message.goes_individually() => {
            &[LinkAction::AskAgain]
        }
        (NoticeKind::TakenBack, _) => &[LinkAction::Undo],
        _ => &[],
    }
}

/// The links that a mail offers to an approver: what is safe and they may do. Never "as is".
pub(super) fn offered_to_decide(held: &HeldRow, why: AskWhy) -> &'static [LinkAction] {
    match (why, can_be_copied(held)) {
        (AskWhy::Settled | AskWhy::Stopped, _) => &[],
        (_, false) => &[LinkAction::GiveBack],
        (_, true) => &[LinkAction::ApproveSplit, LinkAction::GiveBack],
    }
}

/// Whether safe copies of a held mail can be made: not if the audit found addresses that every copy would
/// show, and not if the mail cannot be read.
pub(super) fn can_be_copied(held: &HeldRow) -> bool {
    held.kind != HoldKind::Unsafe && !held.risks.iter().any(Risk::allows_no_copies)
}

fn makes_copies(message: &StoredMessage) -> bool {
    message.held.as_ref().is_some_and(can_be_copied)
}

/// Whether the recipients of the message do not see each other.
pub(super) fn individually(message: &StoredMessage) -> bool {
    let disclosure = message.verdict.as_ref().map(|verdict| verdict.demand.disclosure);
    disclosure.is_some_and(|disclosure| disclosure >= Disclosure::Bcc)
}
