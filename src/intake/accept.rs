//! Carries out a verdict: commits a message with everything that belongs to it in one transaction.

use super::{Answer, budget, forks};
use crate::clock::hours::Term;
use crate::clock::{Clock, Entropy, Timestamp};
use crate::courier::{Dispatch, SealSettings};
use crate::desk::known::known_to;
use crate::examine::{Examination, Examiner, Settled};
use crate::id::Id;
use crate::journal::{Event, Would};
use crate::message::Address;
use crate::policy::learned::Acquaintance;
use crate::policy::risks::{self, Risk};
use crate::policy::{Action, Timing};
use crate::rewrite::compose::synthesised_message_id;
use crate::rewrite::plan::{Copies, Stamp};
use crate::rewrite::{Delivery, Hit};
use crate::smtp::trace_client;
use crate::store::{
    Body, BodyWriter, ForkRelation, Glance, HoldKind, InitialState, NewDelivery, NewHold, NewMessage,
    NewNotice, NoticeKind, Origin, Reason, Store, StoreError, StoredMessage,
};
use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Notify;
use tracing::{info, warn};

/// Settings of the intake.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Our host name, for trace fields and Message-IDs.
    pub hostname: String,
    /// How long a message is held for a decision.
    pub hold_for: Term,
    /// The first lease of deliveries that go directly to the courier.
    pub lease: Duration,
}

/// The way in for all mail. Cheap to clone; all clones share one state.
#[derive(Clone)]
pub struct Intake(Arc<Inner>);

struct Inner {
    examiner: RwLock<Arc<Examiner>>,
    seals: RwLock<Arc<SealSettings>>,
    store: Arc<dyn Store>,
    dispatch: Arc<dyn Dispatch>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    settings: Settings,
    hold_for: RwLock<Term>,
    bell: Arc<Notify>,
    copies: super::copies::Tally,
}

/// A message that arrived completely; only its body has still to be closed in the store.
pub(super) struct Arrived {
    pub(super) id: Id,
    pub(super) received: Timestamp,
    pub(super) origin: Origin,
    pub(super) seen: Examination,
}

impl Intake {
    /// An intake into this store. New deliveries go directly to this courier if it has room.
    pub fn new(
        examiner: Examiner,
        store: Arc<dyn Store>,
        dispatch: Arc<dyn Dispatch>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        settings: Settings,
        seals: Arc<SealSettings>,
    ) -> Self {
        let bell = Arc::new(Notify::new());
        let (examiner, seals) = (RwLock::new(Arc::new(examiner)), RwLock::new(seals));
        let hold_for = RwLock::new(settings.hold_for.clone());
        let copies = super::copies::Tally::default();
        Self(Arc::new(Inner {
            examiner,
            seals,
            store,
            dispatch,
            clock,
            entropy,
            settings,
            hold_for,
            bell,
            copies,
        }))
    }

    /// The current policy.
    pub fn examiner(&self) -> Arc<Examiner> {
        Arc::clone(&self.0.examiner.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the policy for messages that begin from now on.
    pub fn replace_examiner(&self, examiner: Examiner) {
        *self.0.examiner.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(examiner);
    }

    /// Changes how long messages are held from now on.
    pub fn replace_hold_for(&self, hold_for: Term) {
        *self.0.hold_for.write().unwrap_or_else(PoisonError::into_inner) = hold_for;
    }

    fn hold_ends(&self, now: Timestamp) -> Timestamp {
        self.0.hold_for.read().unwrap_or_else(PoisonError::into_inner).ends(now)
    }

    /// The marks that identify our own mail.
    pub(super) fn seals(&self) -> Arc<SealSettings> {
        Arc::clone(&self.0.seals.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the marks.
    pub fn replace_seals(&self, seals: Arc<SealSettings>) {
        *self.0.seals.write().unwrap_or_else(PoisonError::into_inner) = seals;
    }

    /// Notified whenever a notice may be due.
    pub fn bell(&self) -> Arc<Notify> {
        Arc::clone(&self.0.bell)
    }

    /// Counts of journal copies.
    pub fn copies(&self) -> super::copies::Tally {
        self.0.copies.clone()
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.0.store
    }

    pub(super) fn new_id(&self, now: Timestamp) -> Id {
        Id::new(now, self.0.entropy.bits())
    }

    /// The contents of our trace field (Received) for a message.
    pub fn stamp(&self, id: Id, received: Timestamp, origin: &Origin) -> Stamp {
        let client = match origin {
            Origin::Client { peer, helo, .. } => trace_client(helo, peer),
            Origin::Own { .. } => String::new(),
        };
        let hostname = self.0.settings.hostname.clone();
        let received = self.0.clock.shown(received);
        Stamp { id, received, hostname, client, protocol: origin.protocol().to_owned() }
    }

    /// Carries out the verdict on a message from a client.
    pub(super) async fn accept(
        &self,
        examiner: &Examiner,
        arrived: Arrived,
        body: Box<dyn BodyWriter>,
    ) -> Result<Answer, Answer> {
        let stamp = self.stamp(arrived.id, arrived.received, &arrived.origin);
        let mut settled = examiner.settle(&arrived.seen, &stamp);
        let reserved = budget::within(examiner, &arrived.seen, &mut settled, self.clock());
        let action = settled.verdict.action();
        if action == Action::Reject {
            info!(id = %arrived.id, action = "reject", "refused by a rule");
            return Ok(Answer::Rejected(settled.verdict.short_reason()));
        }
        let body = body.finish().await.map_err(|error| refused(&error))?;
        let answer = match settled.copies {
            Some(_) => Answer::Queued(arrived.id),
            None => Answer::Held(arrived.id, settled.verdict.short_reason()),
        };
        info!(
            id = %arrived.id,
            action = ?action,
            would = settled.verdict.would().map(Action::word),
            recipients = arrived.seen.envelope.recipients.len(),
            copies = settled.copies.as_ref().map_or(0, |copies| copies.deliveries.len()),
            size = arrived.seen.facts.size,
            "decided"
        );
        let client = stamp.client.clone();
        let recipients = arrived.seen.envelope.recipients.len();
        let seen = settled.copies.is_none().then(|| arrived.seen.clone());
        let alike = match &seen {
            Some(seen) => self.look_alikes(examiner, seen).await.map_err(|error| refused(&error))?,
            None => Vec::new(),
        };
        let message = self.to_commit(examiner, arrived, settled, alike, body, &stamp);
        let done = match seen {
            Some(seen) => self.commit_held(examiner, &seen, &stamp, message, answer).await,
            None => self.commit(message, Vec::new()).await.map(|()| answer),
        };
        if let (Some(reserved), true) = (reserved, done.is_ok()) {
            reserved.keep();
        }
        match done {
            Err(StoreError::Known { original, held }) => {
                Ok(self.came_before(original, held, client, recipients).await)
            }
            other => other.map_err(|error| refused(&error)),
        }
    }

    /// All recipients got the same mail within a day: the client gets the id of the original.
    async fn came_before(&self, original: Id, held: bool, client: String, recipients: usize) -> Answer {
        info!(id = %original, recipients, "duplicate within a day: nothing is delivered for it");
        let event = Event::Repeated { client, recipients };
        if let Err(error) = self.0.store.enter(original, self.0.clock.now(), event, Vec::new()).await {
            warn!(id = %original, %error, "the duplicate could not be recorded in the journal");
        }
        if held {
            Answer::Held(original, "it was received before and waits for a decision".to_owned())
        } else {
            Answer::Queued(original)
        }
    }

    /// Recipients of a held message whose domains are easily confused with domains that the sender knows.
    async fn look_alikes(&self, examiner: &Examiner, seen: &Examination) -> Result<Vec<Risk>, StoreError> {
        let shown =
            seen.facts.visible.iter().filter(|shown| !shown.internal).map(|shown| &shown.mailbox.address);
        let mut outside: Vec<Address> = Vec::new();
        let mut met = HashSet::new();
        for address in shown.chain(&seen.facts.recipients) {
            if !seen.organisation.is_internal(address) && met.insert(address) {
                outside.push(address.clone());
            }
        }
        let known = known_to(self.store(), examiner, seen.envelope.sender.as_ref(), &outside).await?;
        Ok(known.look_alikes(&outside))
    }

    fn to_commit(
        &self,
        examiner: &Examiner,
        arrived: Arrived,
        settled: Settled,
        alike: Vec<Risk>,
        body: Body,
        stamp: &Stamp,
    ) -> NewMessage {
        let Arrived { id, received, origin, seen } = arrived;
        let now = self.0.clock.now();
        let action = settled.verdict.action();
        let held =
            settled.copies.is_none().then(|| self.hold(examiner, &settled, alike, &seen, &origin, now));
        let complete = !forks::awaited(&seen).iter().any(|one| one.outside);
        let due = if complete { now } else { now.plus(forks::QUIET) };
        let notices = notices(action, held.is_some(), due);
        let exposures = exposures(seen.facts.external_addresses.len());
        let known = seen.facts.exempt && seen.facts.acquaintance.as_ref().is_some_and(Acquaintance::complete);
        let event = Event::Accepted {
            known: known && action == Action::Pass && !seen.facts.circle,
            client: stamp.client.clone(),
            action: wire(&action),
            disclosure: wire(&settled.verdict.demand.disclosure),
            recipients: seen.envelope.recipients.len(),
            copies: settled.copies.as_ref().map_or(0, |copies| copies.deliveries.len()),
            exposures,
            would: settled.verdict.would().map(|action| Would {
                action: action.word().to_owned(),
                exposures_prevented: if settled.prevents { exposures } else { 0 },
            }),
        };
        let Copies { deliveries, needles, ledger, left_out: _ } = settled.copies.unwrap_or_default();
        let state = match (action, settled.verdict.demand.timing) {
            (Action::Delay, Timing::Delay(span)) => InitialState::Waiting(now.plus(span)),
            _ => InitialState::Ready,
        };
        NewMessage {
            id,
            received,
            origin,
            message_id: seen.facts.message_id.unwrap_or_else(|| synthesised_message_id(stamp)),
            subject: seen.facts.subject,
            envelope: seen.envelope,
            header: seen.header,
            body,
            verdict: Some(settled.verdict),
            needles,
            deliveries: born(deliveries, state),
            held,
            ledger,
            notices,
            answers: None,
            events: vec![event],
            fork: seen.fork,
        }
    }

    fn hold(
        &self,
        examiner: &Examiner,
        settled: &Settled,
        alike: Vec<Risk>,
        seen: &Examination,
        origin: &Origin,
        now: Timestamp,
    ) -> NewHold {
        let demand = settled.verdict.demand;
        let unsafe_to_split = !seen.facts.problems.is_empty()
            || (!settled.hits.is_empty() && seen.verdict.action() != Action::Hold);
        let kind = match demand.timing {
            _ if unsafe_to_split => HoldKind::Unsafe,
            Timing::Hold => HoldKind::Rule,
            _ => HoldKind::Ask,
        };
        let mut found = risks::of(&settled.verdict, settled.hits.iter().map(Hit::whose_and_where));
        found.extend(alike);
        let (people, organisations) =
            (seen.facts.external_addresses.len(), seen.facts.external_organisations);
        let found = found.into_iter().map(|risk| risk.counted(people, organisations)).collect();
        let reasons = risks::arranged(found).into_iter().map(Reason::from).collect();
        NewHold {
            kind,
            reasons,
            hits: settled.hits.clone(),
            expires: self.hold_ends(now),
            approvers: examiner
                .approvers
                .of(&settled.verdict, &whose(origin, seen).iter().collect::<Vec<_>>()),
            relation: ForkRelation::default(),
            glance: Glance::of(&seen.facts),
        }
    }

    /// Commits a message. New deliveries go directly to the courier as far as it has room. `asks` are the
    /// rows that one of our own mails answers.
    pub(super) async fn commit(&self, mut message: NewMessage, asks: Vec<i64>) -> Result<(), StoreError> {
        let due = message.deliveries.iter().filter(|new| new.state == InitialState::Ready).count();
        let reservation = self.0.dispatch.reserve(due);
        let places = reservation.slots().min(due);
        let until = self.0.clock.now().plus(self.0.settings.lease);
        for new in message.deliveries.iter_mut().take(places) {
            new.state = InitialState::Sending { until };
        }
        let rings = !message.notices.is_empty() || message.held.is_some();
        let stored = (places > 0).then(|| Arc::new(as_stored(&message)));
        let claims = if asks.is_empty() {
            self.0.store.accept(message).await?
        } else {
            self.0.store.accept_telling(message, asks).await?
        };
        if let Some(stored) = stored {
            reservation.dispatch(stored, claims);
        }
        if due > places {
            self.0.dispatch.wake();
        }
        if rings {
            self.0.bell.notify_one();
        }
        Ok(())
    }
}

/// Whose mail it is: MAIL FROM, every From address, and the authenticated identity. None of them may decide
/// on it.
fn whose(origin: &Origin, seen: &Examination) -> Vec<Address> {
    let identity = match origin {
        Origin::Client { identity, .. } => identity.as_deref().and_then(|text| Address::parse(text).ok()),
        Origin::Own { .. } => None,
    };
    let from = seen.facts.from.iter().map(|mailbox| mailbox.address.clone());
    seen.envelope.sender.iter().cloned().chain(from).chain(identity).collect()
}

/// The answer to the client if the store fails; the cause is logged.
pub(super) fn refused(error: &StoreError) -> Answer {
    warn!(%error, "the store refused a message");
    match error {
        StoreError::Full(_) => Answer::Full,
        _ => Answer::Unavailable,
    }
}

pub(super) fn born(deliveries: Vec<Delivery>, state: InitialState) -> Vec<NewDelivery> {
    deliveries.into_iter().map(|delivery| NewDelivery { delivery, state }).collect()
}

/// The number of disclosures among this many people who see each other.
fn exposures(people: usize) -> u64 {
    let people = people as u64;
    people.saturating_mul(people.saturating_sub(1))
}

/// The name of an enum's variant in JSON.
fn wire<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn notices(action: Action, held: bool, due: Timestamp) -> Vec<NewNotice> {
    let kinds: &[NoticeKind] = match action {
        _ if held => &[NoticeKind::Held, NoticeKind::HeldApprovers],
        Action::Split | Action::Bcc => &[NoticeKind::Split],
        Action::Delay => &[NoticeKind::Waits],
        _ => &[],
    };
    kinds.iter().map(|kind| NewNotice { kind: *kind, due }).collect()
}

/// The message as the courier would read it from the store.
fn as_stored(message: &NewMessage) -> StoredMessage {
    StoredMessage {
        id: message.id,
        received: message.received,
        origin: message.origin.clone(),
        envelope: message.envelope.clone(),
        header: message.header.clone(),
        body: message.body.clone(),
        subject: message.subject.clone(),
        message_id: message.message_id.clone(),
        verdict: None,
        needles: Arc::new(message.needles.clone()),
        held: None,
    }
}
