//! The links that a mail may carry: only ever what is safe, or what asks another person.

use crate::message::Address;
use crate::policy::Disclosure;
use crate::policy::risks::Risk;
use crate::store::absences::Absence;
use crate::store::{AskWhy, HeldRow, HoldKind, LinkAction, NoticeKind, StoreError, StoredMessage};
use async_trait::async_trait;

/// Makes links, and keeps what they are good for.
#[async_trait]
pub trait LinkMaker: Send + Sync + 'static {
    /// Links for this person, in the order asked for; none at all where the desk has no URL.
    async fn links(
        &self,
        person: &Address,
        message: &StoredMessage,
        wanted: &[LinkAction],
    ) -> Result<Vec<String>, StoreError>;

    /// The desk's page at this path (`/held/ID`), where it has a URL.
    fn page(&self, path: &str) -> Option<String>;

    /// Who is away now by their own word, with who may stand in for them.
    async fn away(&self) -> Result<Vec<Absence>, StoreError>;
}

/// The links of one mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // as in `LinkAction`
pub struct Links {
    pub split: Option<String>,
    pub take_back: Option<String>,
    pub undo: Option<String>,
    pub as_is: Option<String>,
    pub again: Option<String>,
    pub approve_split: Option<String>,
    pub give_back: Option<String>,
    /// The page of the message; it asks who comes.
    pub view: Option<String>,
}

/// No links.
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
    /// Links that were made, by what they do.
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

/// What a notice of this kind offers to the sender of a message. What was held by a rule or for the
/// audit can be taken back and nothing else: sending it takes another person.
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

/// What a mail to somebody who decides offers: what is safe, and what they may do by it. Never as it is.
pub(super) fn offered_to_decide(held: &HeldRow, why: AskWhy) -> &'static [LinkAction] {
    match (why, can_be_copied(held)) {
        (AskWhy::Settled | AskWhy::Stopped, _) => &[],
        (_, false) => &[LinkAction::GiveBack],
        (_, true) => &[LinkAction::ApproveSplit, LinkAction::GiveBack],
    }
}

/// Whether safe copies of a held mail can be made: not where the audit found addresses that every copy would
/// show, and not of what cannot be read.
pub(super) fn can_be_copied(held: &HeldRow) -> bool {
    held.kind != HoldKind::Unsafe && !held.risks.iter().any(Risk::allows_no_copies)
}

fn makes_copies(message: &StoredMessage) -> bool {
    message.held.as_ref().is_some_and(can_be_copied)
}

/// Whether a mail is sent to each without showing the others.
pub(super) fn individually(message: &StoredMessage) -> bool {
    let disclosure = message.verdict.as_ref().map(|verdict| verdict.demand.disclosure);
    disclosure.is_some_and(|disclosure| disclosure >= Disclosure::Bcc)
}
