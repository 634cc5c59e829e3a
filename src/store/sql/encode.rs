//! A message as rows. The caller encodes them, so that the writer only binds parameters and executes
//! statements.

use super::{codes, keys, terms};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::lifecycle::counting::{self, Counts};
use crate::lifecycle::delivery::{FIRST_CLAIM, Progress};
use crate::message::{Address, Envelope, Fork};
use crate::policy::Verdict;
use crate::policy::facts::Disclosed;
use crate::rewrite::Delivery;
use crate::store::chain::format;
use crate::store::{
    Body, Claim, DeliveryId, ForkRelation, InitialState, Lease, NewDelivery, NewHold, NewMessage, NewNotice,
    NoticeId, Origin, StoreError,
};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// The maximum number of attachments named for a hold, and the maximum length of a name in characters.
const FILES: usize = 100;
const LONGEST_NAME: usize = 200;

/// The metadata in the content row.
#[derive(Serialize)]
struct MetaRef<'a> {
    origin: &'a Origin,
    envelope: &'a Envelope,
    verdict: Option<&'a Verdict>,
}

/// The metadata as it is read.
#[derive(Deserialize)]
pub(in crate::store) struct Meta {
    pub(in crate::store) origin: Origin,
    pub(in crate::store) envelope: Envelope,
    pub(in crate::store) verdict: Option<Verdict>,
}

pub(in crate::store) struct CopyRow {
    pub(in crate::store) progress: Progress,
    pub(in crate::store) recipients: usize,
    pub(in crate::store) copy: Vec<u8>,
}

pub(in crate::store) struct HoldRow {
    pub(in crate::store) kind: i64,
    pub(in crate::store) expires: i64,
    pub(in crate::store) reasons: String,
    pub(in crate::store) hits: String,
    pub(in crate::store) approvers: Vec<String>,
    pub(in crate::store) relation: ForkRelation,
    /// As a list shows it; see `Glance`.
    pub(in crate::store) author: String,
    pub(in crate::store) files: String,
}

pub(in crate::store) struct LedgerRow {
    pub(in crate::store) week: i64,
    pub(in crate::store) message_id: String,
    pub(in crate::store) disclosed: String,
}

/// Everything that `accept` commits.
pub(in crate::store) struct MessageRows {
    pub(in crate::store) id: Id,
    pub(in crate::store) received: i64,
    pub(in crate::store) people: String,
    pub(in crate::store) keys: Option<String>,
    pub(in crate::store) message_id: String,
    pub(in crate::store) subject: String,
    pub(in crate::store) counts: Counts,
    pub(in crate::store) events: String,
    pub(in crate::store) meta: String,
    pub(in crate::store) needles: String,
    pub(in crate::store) header: Bytes,
    /// The header's hash, which the chain covers.
    pub(in crate::store) sealed: [u8; 32],
    pub(in crate::store) body: Body,
    pub(in crate::store) copies: Vec<CopyRow>,
    pub(in crate::store) hold: Option<HoldRow>,
    pub(in crate::store) ledger: Option<LedgerRow>,
    pub(in crate::store) notices: Vec<NewNotice>,
    pub(in crate::store) answers: Option<i64>,
    /// The terms by which lists find a held message.
    pub(in crate::store) terms: Vec<String>,
    pub(in crate::store) fork: Option<Fork>,
    pub(in crate::store) circles: Option<i64>,
}

impl MessageRows {
    pub(in crate::store) fn of(message: &NewMessage) -> Result<Self, StoreError> {
        let (people, keys) = people(&message.envelope);
        let meta = MetaRef {
            origin: &message.origin,
            envelope: &message.envelope,
            verdict: message.verdict.as_ref(),
        };
        Ok(Self {
            id: message.id,
            received: message.received.0,
            people,
            keys,
            message_id: message.message_id.clone(),
            subject: message.subject.clone(),
            counts: counting::counts(message),
            events: to_json(&message.events)?,
            meta: to_json(&meta)?,
            needles: to_json(message.needles.as_ref())?,
            header: message.header.clone(),
            sealed: format::sealed(&message.header),
            body: message.body.clone(),
            copies: copies(&message.deliveries, message.received),
            hold: message.held.as_ref().map(hold).transpose()?,
            ledger: message.ledger.as_ref().map(|entry| ledger(entry, message.received)).transpose()?,
            notices: message.notices.clone(),
            answers: message.answers.map(NoticeId::for_engine),
            terms: if message.held.is_some() { terms::terms_of_new(message) } else { Vec::new() },
            fork: message.fork,
            circles: message.circles,
        })
    }

    /// Approximately how many octets this adds to a transaction.
    pub(in crate::store) fn weight(&self) -> usize {
        let body = match &self.body {
            Body::Inline(bytes) => bytes.len(),
            Body::Stored { .. } => 0,
        };
        let copies: usize = self.copies.iter().map(|row| row.copy.len() + 64).sum();
        body + copies + self.header.len() + self.meta.len() + self.people.len() + self.needles.len()
    }
}

/// MAIL FROM and every RCPT TO, one per line: first as written, then in comparison form if that differs. No
/// address contains a line break.
fn people(envelope: &Envelope) -> (String, Option<String>) {
    let all = || envelope.sender.iter().chain(envelope.recipients.iter().map(|to| &to.address));
    let lines = |text: &dyn Fn(&Address) -> String| {
        let mut lines = String::from("\n");
        if envelope.sender.is_none() {
            lines.push('\n');
        }
        for address in all() {
            lines.push_str(&text(address));
            lines.push('\n');
        }
        lines
    };
    let written = lines(&|address| address.as_str().to_owned());
    let keys = all()
        .any(|address| address.as_str() != address.key())
        .then(|| lines(&|address| address.key().to_owned()));
    (written, keys)
}

/// Sender and recipients from the lines of [`people`].
pub(in crate::store) fn from_people(people: &str) -> (String, Vec<String>) {
    let mut lines = people.strip_prefix('\n').unwrap_or(people).lines().map(str::to_owned);
    let sender = lines.next().unwrap_or_default();
    (sender, lines.collect())
}

/// Only the sender: a listing of the queue needs it for every row, and there may be thousands of lines.
pub(in crate::store) fn sender_of(people: &str) -> &str {
    people.strip_prefix('\n').unwrap_or(people).lines().next().unwrap_or_default()
}

/// Rows of copies that are first due at `now`.
pub(in crate::store) fn copies(deliveries: &[NewDelivery], now: Timestamp) -> Vec<CopyRow> {
    deliveries.iter().map(|new| copy(new, now)).collect()
}

/// A copy without the recipients in `known` (comparison form); `None` if none are left. If one of those in `uncertain`
/// is among the others, it is marked as a possible duplicate.
pub(in crate::store) fn without(
    row: &CopyRow,
    known: &HashSet<String>,
    uncertain: &HashSet<String>,
) -> Result<Option<CopyRow>, StoreError> {
    let delivery = Delivery::from_bytes(&row.copy)
        .map_err(|error| StoreError::Unreadable(format!("the copy: {error}")))?;
    let rest = delivery.only_for(|address| !known.contains(address.key()));
    let recipients = rest.recipients().len();
    let duplicate = row.progress.duplicate || is_for(&rest, uncertain);
    Ok((recipients > 0).then(|| CopyRow {
        progress: Progress { duplicate, ..row.progress.clone() },
        recipients,
        copy: rest.to_bytes(),
    }))
}

/// Whether one of these people (comparison form) is among the recipients of a copy.
fn is_for(copy: &Delivery, people: &HashSet<String>) -> bool {
    !people.is_empty() && copy.recipients().iter().any(|to| people.contains(to.address.key()))
}

/// The metadata of the content row without these recipients.
pub(in crate::store) fn meta_without(meta: &str, known: &HashSet<String>) -> Result<String, StoreError> {
    let mut meta: Meta = from_json(meta)?;
    meta.envelope.recipients.retain(|to| !known.contains(to.address.key()));
    to_json(&MetaRef { origin: &meta.origin, envelope: &meta.envelope, verdict: meta.verdict.as_ref() })
}

/// The lines of [`people`] without these recipients.
pub(in crate::store) fn people_without(people: &str, known: &HashSet<String>) -> String {
    let mut lines = people.strip_prefix('\n').unwrap_or(people).lines();
    let mut rest = format!("\n{}\n", lines.next().unwrap_or_default());
    for line in lines.filter(|line| !known.contains(&super::queue::key(line))) {
        rest.push_str(line);
        rest.push('\n');
    }
    rest
}

fn copy(new: &NewDelivery, now: Timestamp) -> CopyRow {
    CopyRow {
        progress: Progress::born(new.state, now),
        recipients: new.delivery.recipients().len(),
        copy: new.delivery.to_bytes(),
    }
}

/// Removes recipients (comparison form) from a message's copies.
pub(in crate::store) fn leave_out(message: &mut NewMessage, known: &HashSet<String>) {
    if known.is_empty() {
        return;
    }
    for new in &mut message.deliveries {
        new.delivery = new.delivery.only_for(|address| !known.contains(address.key()));
    }
    message.deliveries.retain(|new| !new.delivery.recipients().is_empty());
}

/// The claims on those deliveries of a message that were accepted as `Sending`. Those to people in `uncertain` may be
/// duplicates.
pub(in crate::store) fn fresh_claims(
    row: i64,
    message: &NewMessage,
    uncertain: &HashSet<String>,
) -> Vec<Claim> {
    let queued = message.received;
    let id = message.id;
    let mut claims = Vec::new();
    for (key, new) in (keys::base(row) + 1..).zip(&message.deliveries) {
        if let InitialState::Sending { .. } = new.state {
            claims.push(Claim {
                lease: Lease { delivery: DeliveryId::from_engine(key), token: i64::from(FIRST_CLAIM) },
                message: id,
                delivery: new.delivery.clone(),
                attempt: FIRST_CLAIM,
                possible_duplicate: is_for(&new.delivery, uncertain),
                queued,
            });
        }
    }
    claims
}

pub(in crate::store) fn hold(hold: &NewHold) -> Result<HoldRow, StoreError> {
    Ok(HoldRow {
        kind: codes::hold(hold.kind),
        expires: hold.expires.0,
        reasons: to_json(&hold.reasons)?,
        hits: to_json(&hold.hits)?,
        approvers: hold.approvers.iter().map(|address| address.key().to_owned()).collect(),
        relation: hold.relation.clone(),
        author: line_of(&hold.glance.author),
        files: files(&hold.glance.files),
    })
}

/// One name per line; a line break within a name becomes a blank. An attachment without a name counts, too.
fn files(names: &[String]) -> String {
    names.iter().take(FILES).map(|name| line_of(name) + "\n").collect()
}

fn line_of(text: &str) -> String {
    text.chars().take(LONGEST_NAME).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

pub(in crate::store) fn ledger(entry: &Disclosed, at: Timestamp) -> Result<LedgerRow, StoreError> {
    Ok(LedgerRow { week: week(at), message_id: entry.message_id.clone(), disclosed: to_json(entry)? })
}

/// The week of a time, counted from the Unix epoch.
pub(in crate::store) fn week(at: Timestamp) -> i64 {
    at.0.div_euclid(7 * 24 * 3_600_000)
}

pub(in crate::store) fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|error| StoreError::Unavailable(format!("this cannot be written down: {error}")))
}

pub(in crate::store) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Unreadable(format!("{error}")))
}
