//! What follows from a delivery attempt. Usually every recipient of a copy has the same outcome. If outcomes
//! differ, the copy is split: the first outcome keeps the delivery, and each other outcome gets one of its own.

use super::delivery::Progress;
use crate::clock::Timestamp;
use crate::journal::Event;
use crate::message::Address;
use crate::records::{AttemptResult, DeliveryState, NewNotice, NoticeKind, RecipientResult};
use crate::rewrite::Delivery;
use std::collections::HashMap;
use std::time::Duration;

/// When a recipient is retried if the result gives no time.
const DUE_AGAIN: Duration = Duration::from_mins(1);

/// The last reply if every recipient was delivered (a result names at least one); `None` if any recipient had
/// another outcome.
pub fn all_delivered(result: &AttemptResult) -> Option<&str> {
    let (_, first) = result.recipients.first()?;
    let all = result.recipients.iter().all(|(_, one)| one.state == DeliveryState::Delivered);
    all.then_some(first.reply.as_str())
}

/// Whether a result for a delivery in this state is recorded. A delivery that was dropped from the queue during
/// an attempt may still have been delivered.
pub fn is_awaited(state: DeliveryState) -> bool {
    matches!(state, DeliveryState::Sending | DeliveryState::Dropped)
}

/// The recipients of a copy that had the same outcome, and what becomes of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Their outcome.
    pub outcome: RecipientResult,
    /// The recipients.
    pub recipients: Vec<Address>,
    /// Their copy.
    pub copy: Delivery,
    /// What becomes of it.
    pub progress: Progress,
    /// When it was delivered, if it was.
    pub ended: Option<Timestamp>,
}

/// A copy after an attempt: one part for each different outcome, in order. A recipient that the result does not
/// name was not tried.
pub fn parts(current: &Progress, copy: &Delivery, result: &AttemptResult) -> Vec<Part> {
    let alike = alike(copy, result);
    let copies = if alike.len() > 1 {
        let mut places: HashMap<&Address, usize> = HashMap::new();
        for (place, (_, recipients)) in alike.iter().enumerate() {
            places.extend(recipients.iter().map(|address| (address, place)));
        }
        copy.in_parts(alike.len(), |address| places.get(address).copied())
    } else {
        // If all recipients have the same outcome, the copy stays whole: thousands may share it.
        vec![copy.clone()]
    };
    let part = |((outcome, recipients), copy)| {
        let progress = after(current, &outcome, result.at);
        let ended = (progress.state == DeliveryState::Delivered).then_some(result.at);
        Part { outcome, recipients, copy, progress, ended }
    };
    alike.into_iter().zip(copies).map(part).collect()
}

/// The copy's recipients by outcome, in order.
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

/// A delivery after an attempt with this outcome. A delivery that was dropped during the attempt stays dropped,
/// unless the outcome is final. A recipient that was not tried has used no attempt, so the retry schedule does not
/// count one.
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
    /// The journal entry, for the delivery with this number. There is none for recipients that were not tried, and
    /// none for delivered ones: their delivery row says it.
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

/// When a notice that follows from an attempt is due; `None` if it waits until every delivery of the message is
/// final. The first failure report is due as asked. A further one, after the first was `sent`, waits for the end,
/// so that a message with many recipients is reported at most twice. Relayed copies are reported once.
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
