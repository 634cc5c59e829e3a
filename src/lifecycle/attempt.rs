//! What follows from an attempt. The common case is that every recipient of a copy was delivered; recipients
//! that part ways split the copy: the first outcome keeps its place, each other outcome gets one of its own.

use super::delivery::Progress;
use crate::clock::Timestamp;
use crate::journal::Event;
use crate::message::Address;
use crate::records::{AttemptResult, DeliveryState, NewNotice, NoticeKind, RecipientResult};
use crate::rewrite::Delivery;
use std::collections::HashMap;
use std::time::Duration;

/// When a recipient is due again whose result does not say so.
const DUE_AGAIN: Duration = Duration::from_mins(1);

/// What the last reply is if all recipients were delivered, which a result says of at least one; `None` if
/// any of them fared otherwise.
pub fn all_delivered(result: &AttemptResult) -> Option<&str> {
    let (_, first) = result.recipients.first()?;
    let all = result.recipients.iter().all(|(_, one)| one.state == DeliveryState::Delivered);
    all.then_some(first.reply.as_str())
}

/// Whether a result for a delivery in this state is recorded. One that was taken out of the queue while it
/// was on its way may have been delivered all the same.
pub fn is_awaited(state: DeliveryState) -> bool {
    matches!(state, DeliveryState::Sending | DeliveryState::Dropped)
}

/// What becomes of some recipients of a copy, who fared alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// How they fared.
    pub outcome: RecipientResult,
    /// Who.
    pub recipients: Vec<Address>,
    /// Their copy.
    pub copy: Delivery,
    /// What becomes of it.
    pub progress: Progress,
    /// When it was delivered, if it was.
    pub ended: Option<Timestamp>,
}

/// A copy after an attempt, in as many parts as its recipients fared differently, in order. A recipient
/// that the result does not name was not tried.
pub fn parts(current: &Progress, copy: &Delivery, result: &AttemptResult) -> Vec<Part> {
    let alike = alike(copy, result);
    let copies = if alike.len() > 1 {
        let mut places: HashMap<&Address, usize> = HashMap::new();
        for (place, (_, recipients)) in alike.iter().enumerate() {
            places.extend(recipients.iter().map(|address| (address, place)));
        }
        copy.in_parts(alike.len(), |address| places.get(address).copied())
    } else {
        // Recipients who fared alike keep their copy, which thousands of them may share.
        vec![copy.clone()]
    };
    let part = |((outcome, recipients), copy)| {
        let progress = after(current, &outcome, result.at);
        let ended = (progress.state == DeliveryState::Delivered).then_some(result.at);
        Part { outcome, recipients, copy, progress, ended }
    };
    alike.into_iter().zip(copies).map(part).collect()
}

/// The copy's recipients by how they fared, in order.
fn alike(copy: &Delivery, result: &AttemptResult) -> Vec<(RecipientResult, Vec<Address>)> {
    let fates: HashMap<&Address, &RecipientResult> =
        result.recipients.iter().map(|(address, fate)| (address, fate)).collect();
    let not_tried =
        RecipientResult { state: DeliveryState::Ready, reply: String::new(), due: Some(result.at) };
    let mut alike: Vec<(RecipientResult, Vec<Address>)> = Vec::new();
    let mut places: HashMap<RecipientResult, usize> = HashMap::new();
    for recipient in copy.recipients() {
        let fate = fates.get(&recipient.address).copied().unwrap_or(&not_tried);
        let place = *places.entry(fate.clone()).or_insert_with(|| {
            alike.push((fate.clone(), Vec::new()));
            alike.len() - 1
        });
        alike[place].1.push(recipient.address.clone());
    }
    alike
}

/// A delivery after an attempt that ended so. What was taken out of the queue while it was on its way stays
/// out, unless it is final by itself. A recipient that was not tried has not used up an attempt: the
/// schedule must not see one.
fn after(current: &Progress, outcome: &RecipientResult, at: Timestamp) -> Progress {
    let left = match outcome.state {
        DeliveryState::Sending | DeliveryState::Paused | DeliveryState::Dropped => DeliveryState::Ready,
        other => other,
    };
    let dropped = current.state == DeliveryState::Dropped && !left.is_final();
    let state = if dropped { DeliveryState::Dropped } else { left };
    let due = match state {
        DeliveryState::Ready => Some(outcome.due.unwrap_or(at)),
        DeliveryState::Waiting | DeliveryState::Uncertain => {
            Some(outcome.due.unwrap_or_else(|| at.plus(DUE_AGAIN)))
        }
        _ => None,
    };
    let tried = outcome.state != DeliveryState::Ready;
    Progress {
        state,
        due,
        token: current.token,
        attempts: if tried { current.attempts } else { current.attempts.saturating_sub(1) },
        duplicate: current.duplicate || outcome.state == DeliveryState::Uncertain,
        queued: current.queued,
        reply: outcome.reply.clone(),
    }
}

impl Part {
    /// What the journal says of it, as the delivery with this number; nothing of what was not tried, and
    /// nothing of what was delivered, for which the delivery itself stands.
    pub fn entry(&self, number: i64, current: &Progress, attempt: u32) -> Option<Event> {
        let tried = self.outcome.state != DeliveryState::Ready;
        (tried && self.progress.state != DeliveryState::Delivered).then(|| Event::Attempt {
            delivery: number,
            recipients: self.recipients.iter().map(|address| address.as_str().to_owned()).collect(),
            state: self.outcome.state.to_string(),
            reply: self.outcome.reply.clone(),
            attempt,
            possible_duplicate: current.duplicate,
        })
    }
}

/// When a notice that follows from an attempt is due; `None` for once every delivery of the message is
/// final. The first failure report is due as asked; one more after it was `sent` waits for the end, so that
/// a message with many recipients is reported twice at most. Of what was relayed there is one report.
pub fn notice_due(notice: &NewNotice, sent: bool) -> Option<Timestamp> {
    match notice.kind {
        NoticeKind::Failure if sent => None,
        NoticeKind::Delivered => None,
        _ => Some(notice.due),
    }
}

#[cfg(test)]
#[path = "attempt_tests.rs"]
mod tests;
