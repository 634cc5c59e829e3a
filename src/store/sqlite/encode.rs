//! A message as rows: made by whoever asks, so that the writer only binds and steps.

use super::{codes, schema, terms};
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
    Body, Claim, ForkRelation, InitialState, Lease, NewDelivery, NewHold, NewMessage, NewNotice, Origin,
    StoreError,
};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Most attachments that are named beside a hold, and most characters of a name.
const FILES: usize = 100;
const LONGEST_NAME: usize = 200;

/// What the content row keeps of a message beside its bytes.
#[derive(Serialize)]
struct MetaRef<'a> {
    origin: &'a Origin,
    envelope: &'a Envelope,
    verdict: Option<&'a Verdict>,
}

/// The same, read back.
#[derive(Deserialize)]
pub(super) struct Meta {
    pub(super) origin: Origin,
    pub(super) envelope: Envelope,
    pub(super) verdict: Option<Verdict>,
}

/// One delivery's row.
pub(super) struct CopyRow {
    pub(super) progress: Progress,
    pub(super) recipients: usize,
    pub(super) copy: Vec<u8>,
}

/// A hold's row.
pub(super) struct HoldRow {
    pub(super) kind: i64,
    pub(super) expires: i64,
    pub(super) reasons: String,
    pub(super) hits: String,
    pub(super) approvers: Vec<String>,
    pub(super) relation: ForkRelation,
    /// As a list shows it; see `Glance`.
    pub(super) author: String,
    pub(super) files: String,
}

/// A ledger entry's row.
pub(super) struct LedgerRow {
    pub(super) week: i64,
    pub(super) message_id: String,
    pub(super) disclosed: String,
}

/// Everything that `accept` commits.
pub(super) struct MessageRows {
    pub(super) id: Id,
    pub(super) received: i64,
    pub(super) people: String,
    pub(super) keys: Option<String>,
    pub(super) message_id: String,
    pub(super) subject: String,
    pub(super) counts: Counts,
    pub(super) events: String,
    pub(super) meta: String,
    pub(super) needles: String,
    pub(super) header: Bytes,
    /// The header's hash, which the chain covers.
    pub(super) sealed: [u8; 32],
    pub(super) body: Body,
    pub(super) copies: Vec<CopyRow>,
    pub(super) hold: Option<HoldRow>,
    pub(super) ledger: Option<LedgerRow>,
    pub(super) notices: Vec<NewNotice>,
    pub(super) answers: Option<i64>,
    /// What a held message is found by in lists.
    pub(super) terms: Vec<String>,
    pub(super) fork: Option<Fork>,
}

impl MessageRows {
    pub(super) fn of(message: &NewMessage) -> Result<Self, StoreError> {
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
            needles: to_json(&message.needles)?,
            header: message.header.clone(),
            sealed: format::sealed(&message.header),
            body: message.body.clone(),
            copies: copies(&message.deliveries, message.received),
            hold: message.held.as_ref().map(hold).transpose()?,
            ledger: message.ledger.as_ref().map(|entry| ledger(entry, message.received)).transpose()?,
            notices: message.notices.clone(),
            answers: message.answers,
            terms: if message.held.is_some() { terms::terms_of_new(message) } else { Vec::new() },
            fork: message.fork,
        })
    }

    /// Roughly how many octets this adds to a transaction.
    pub(super) fn weight(&self) -> usize {
        let body = match &self.body {
            Body::Inline(bytes) => bytes.len(),
            Body::Stored { .. } => 0,
        };
        let copies: usize = self.copies.iter().map(|row| row.copy.len() + 64).sum();
        body + copies + self.header.len() + self.meta.len() + self.people.len() + self.needles.len()
    }
}

/// MAIL FROM and every RCPT TO, each on a line, first as written, then in comparison form where that
/// is another text. A line break can stand in no address.
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

/// Sender and recipients out of the lines of [`people`].
pub(super) fn from_people(people: &str) -> (String, Vec<String>) {
    let mut lines = people.strip_prefix('\n').unwrap_or(people).lines().map(str::to_owned);
    let sender = lines.next().unwrap_or_default();
    (sender, lines.collect())
}

/// The sender alone: a queue's listing asks for it in every row, and the lines may be thousands.
pub(super) fn sender_of(people: &str) -> &str {
    people.strip_prefix('\n').unwrap_or(people).lines().next().unwrap_or_default()
}

/// Rows of copies that are first due at `now`.
pub(super) fn copies(deliveries: &[NewDelivery], now: Timestamp) -> Vec<CopyRow> {
    deliveries.iter().map(|new| copy(new, now)).collect()
}

/// A copy without these recipients (comparison form); `None` when nobody is left.
pub(super) fn without(row: &CopyRow, known: &HashSet<String>) -> Result<Option<CopyRow>, StoreError> {
    let delivery = Delivery::from_bytes(&row.copy)
        .map_err(|error| StoreError::Unreadable(format!("the copy: {error}")))?;
    let rest = delivery.only_for(|address| !known.contains(address.key()));
    let recipients = rest.recipients().len();
    Ok((recipients > 0).then(|| CopyRow {
        progress: row.progress.clone(),
        recipients,
        copy: rest.to_bytes(),
    }))
}

/// What the content row keeps, without these recipients.
pub(super) fn meta_without(meta: &str, known: &HashSet<String>) -> Result<String, StoreError> {
    let mut meta: Meta = from_json(meta)?;
    meta.envelope.recipients.retain(|to| !known.contains(to.address.key()));
    to_json(&MetaRef { origin: &meta.origin, envelope: &meta.envelope, verdict: meta.verdict.as_ref() })
}

/// The lines of [`people`] without these.
pub(super) fn people_without(people: &str, known: &HashSet<String>) -> String {
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

/// Leaves recipients (comparison form) out of a message's copies.
pub(super) fn leave_out(message: &mut NewMessage, known: &HashSet<String>) {
    if known.is_empty() {
        return;
    }
    for new in &mut message.deliveries {
        new.delivery = new.delivery.only_for(|address| !known.contains(address.key()));
    }
    message.deliveries.retain(|new| !new.delivery.recipients().is_empty());
}

/// The claims on the deliveries that were accepted as `Sending`, taken out of the message.
pub(super) fn fresh_claims(row: i64, message: &NewMessage) -> Vec<Claim> {
    let queued = message.received;
    let id = message.id;
    let mut claims = Vec::new();
    for (key, new) in (schema::base(row) + 1..).zip(&message.deliveries) {
        if let InitialState::Sending { .. } = new.state {
            claims.push(Claim {
                lease: Lease { delivery: key, token: i64::from(FIRST_CLAIM) },
                message: id,
                delivery: new.delivery.clone(),
                attempt: FIRST_CLAIM,
                possible_duplicate: false,
                queued,
            });
        }
    }
    claims
}

pub(super) fn hold(hold: &NewHold) -> Result<HoldRow, StoreError> {
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

/// Names on a line each: a line break within one is a blank. Those without a name are counted, too.
fn files(names: &[String]) -> String {
    names.iter().take(FILES).map(|name| line_of(name) + "\n").collect()
}

fn line_of(text: &str) -> String {
    text.chars().take(LONGEST_NAME).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

pub(super) fn ledger(entry: &Disclosed, at: Timestamp) -> Result<LedgerRow, StoreError> {
    Ok(LedgerRow { week: week(at), message_id: entry.message_id.clone(), disclosed: to_json(entry)? })
}

/// The week a moment lies in, counted from the Unix epoch.
pub(super) fn week(at: Timestamp) -> i64 {
    at.0.div_euclid(7 * 24 * 3_600_000)
}

pub(super) fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|error| StoreError::Unavailable(format!("this cannot be written down: {error}")))
}

pub(super) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Unreadable(format!("{error}")))
}
