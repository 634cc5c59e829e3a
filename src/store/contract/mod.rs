//! What every engine must do, as tests that do not depend on the engine: every engine passes the same suite.
//!
//! An engine implements [`Harness`] and passes it to [`contract_tests`].

mod again;
mod circles;
mod deliveries;
mod desk;
mod forks;
mod known;
mod learned;
mod memory;
mod messages;
mod nodes;
mod notices;
mod observed;
mod people;
mod shared;
mod undoing;

use super::*;
use crate::journal::{Entry, Event};
use crate::message::{Address, Envelope, HeaderEdits, Recipient};
use crate::policy::facts::Disclosed;
use crate::rewrite::Delivery;
pub(super) use again::*;
use bytes::Bytes;
pub(super) use circles::*;
pub(super) use deliveries::*;
pub(super) use desk::*;
pub(super) use forks::*;
pub(super) use known::*;
pub(super) use learned::*;
pub(super) use memory::*;
pub(super) use messages::*;
pub(super) use nodes::*;
pub(super) use notices::*;
pub(super) use observed::*;
pub(super) use people::*;
pub(super) use shared::*;
use std::sync::Arc;
use std::time::Duration;
pub(super) use undoing::*;

/// Opens the engine under test, always on the same data.
pub(super) trait Harness: Send + Sync {
    /// Opens the engine, or opens it again.
    fn open(&self) -> Arc<dyn Store>;

    /// Another handle on the same data while `first` is open, like that of a second node. For an engine whose data
    /// belongs to one process, it is the same handle.
    fn beside(&self, first: &Arc<dyn Store>) -> Arc<dyn Store> {
        Arc::clone(first)
    }
}

/// Makes a test of each named function of the suite.
macro_rules! contract_tests {
    ($harness:expr; $($name:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                crate::store::contract::$name(&$harness).await;
            }
        )+
    };
}
pub(super) use contract_tests;

pub(super) const NOW: Timestamp = Timestamp(1_760_000_000_000);
pub(super) const LEASE: Duration = Duration::from_mins(1);

pub(super) fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

pub(super) fn at(minutes: u64) -> Timestamp {
    NOW.plus(self::minutes(minutes))
}

pub(super) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

pub(super) fn addresses(texts: &[&str]) -> Vec<Address> {
    texts.iter().map(|text| address(text)).collect()
}

pub(super) fn copy(recipients: &[&str]) -> Delivery {
    sample(recipients.iter().map(|to| Recipient::plain(address(to))).collect(), false)
}

/// A copy as it is read back from a database. Elsewhere, only `rewrite` makes copies.
pub(super) fn sample(recipients: Vec<Recipient>, rewritten: bool) -> Delivery {
    let none: Vec<Address> = Vec::new();
    let stored = (recipients, HeaderEdits::default(), rewritten, none, false);
    postcard::from_bytes(&postcard::to_allocvec(&stored).unwrap()).unwrap()
}

/// A message for these recipients, received at `NOW`, with one copy for each group of them.
pub(super) fn message(random: u64, copies: &[&[&str]], state: InitialState) -> NewMessage {
    let recipients = copies.iter().flat_map(|group| group.iter());
    NewMessage {
        deliveries: copies.iter().map(|group| NewDelivery { delivery: copy(group), state }).collect(),
        events: vec![Event::Accepted {
            client: "192.0.2.7".to_owned(),
            action: "pass".to_owned(),
            disclosure: "as-is".to_owned(),
            recipients: copies.iter().map(|group| group.len()).sum(),
            copies: copies.len(),
            exposures: 6,
            would: None,
            known: false,
        }],
        ..NewMessage::of(Message {
            id: Id::new(NOW, random),
            received: NOW,
            origin: Origin::Client {
                peer: "192.0.2.7:40000".to_owned(),
                helo: "client.example".to_owned(),
                identity: None,
                secured: false,
            },
            envelope: Envelope {
                sender: Some(address("Sato@example.co.jp")),
                recipients: recipients.map(|to| Recipient::plain(address(to))).collect(),
                smtputf8: false,
                eight_bit: true,
                ret: None,
                envid: Some("QQ314159".to_owned()),
            },
            header: Bytes::from_static(b"From: Sato@example.co.jp\r\nSubject: x\r\n"),
            body: Body::Inline(Bytes::from_static(b"\r\nhello\r\n")),
            subject: "お知らせ".to_owned(),
            message_id: format!("{random}@example.co.jp"),
            verdict: None,
            needles: Arc::new(addresses(&["x@other.example"])),
        })
    }
}

/// A message for these recipients that is held.
pub(super) fn held_message(random: u64, recipients: &[&str]) -> NewMessage {
    let mut message = message(random, &[recipients], InitialState::Ready);
    message.deliveries.clear();
    message.held = Some(NewHold {
        kind: HoldKind::Ask,
        reasons: vec![Reason::said("They would see each other.", "互いに見えます。")],
        hits: Vec::new(),
        expires: at(60),
        approvers: addresses(&["Soumu@example.co.jp"]),
        relation: ForkRelation::default(),
        glance: Glance::default(),
    });
    message
}

/// The result of an attempt, with the state of each recipient.
pub(super) fn result(claim: &Claim, when: Timestamp, fates: &[(&str, DeliveryState)]) -> AttemptResult {
    let fate = |state| RecipientResult {
        state,
        reply: format!("the upstream said {state}"),
        due: matches!(state, DeliveryState::Waiting | DeliveryState::Uncertain)
            .then(|| when.plus(minutes(5))),
    };
    AttemptResult {
        lease: claim.lease,
        message: claim.message,
        at: when,
        recipients: fates.iter().map(|(to, state)| (address(to), fate(*state))).collect(),
        attempt: claim.attempt,
        notices: Vec::new(),
    }
}

/// The states of a message's deliveries with their recipients.
pub(super) async fn states(store: &dyn Store, id: Id) -> Vec<(DeliveryState, String)> {
    let rows = store.deliveries(id).await.unwrap();
    rows.into_iter().map(|row| (row.state, row.recipients.join(" "))).collect()
}
