//! From a verdict to the store: what is committed with a message, in one transaction.

use super::{Answer, Enclosed, OwnMail, budget, forks};
use crate::clock::hours::Term;
use crate::clock::{Clock, Entropy, Timestamp};
use crate::courier::{Dispatch, Seals};
use crate::desk::known::known_to;
use crate::examine::{Examination, Examiner, Settled};
use crate::id::Id;
use crate::journal::{Event, Would};
use crate::message::{Address, Envelope, Header, Recipient};
use crate::policy::learned::Acquaintance;
use crate::policy::risks::{self, Risk};
use crate::policy::{Action, Timing};
use crate::rewrite::compose::synthesised_message_id;
use crate::rewrite::plan::{self, Copies, Stamp};
use crate::rewrite::{Delivery, Hit};
use crate::smtp::trace_client;
use crate::store::{
    Body, BodyWriter, Glance, HoldKind, InitialState, NewDelivery, NewHold, NewMessage, NewNotice,
    NoticeKind, Origin, Place, Reason, Store, StoreError, StoredMessage,
};
use bytes::{Bytes, BytesMut};
use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::Notify;
use tracing::{info, warn};

/// Octets of an enclosed mail copied at once.
const CHUNK: usize = 64 * 1024;

/// What the intake is told of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Our host name, for trace fields and Message-IDs.
    pub hostname: String,
    /// How long a hold waits for a decision.
    pub hold_for: Term,
    /// The first lease of deliveries that go straight to the courier.
    pub lease: Duration,
}

/// The doorway: cheap to clone, all clones are one.
#[derive(Clone)]
pub struct Intake(Arc<Inner>);

struct Inner {
    examiner: RwLock<Arc<Examiner>>,
    seals: RwLock<Arc<Seals>>,
    store: Arc<dyn Store>,
    dispatch: Arc<dyn Dispatch>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    settings: Settings,
    hold_for: RwLock<Term>,
    bell: Arc<Notify>,
    copies: super::copies::Tally,
}

/// A message that has arrived whole, but for its body, which the store is still to close.
pub(super) struct Arrived {
    pub(super) id: Id,
    pub(super) received: Timestamp,
    pub(super) origin: Origin,
    pub(super) seen: Examination,
}

impl Intake {
    /// A doorway into this store, whose fresh deliveries may go straight to this courier.
    pub fn new(
        examiner: Examiner,
        store: Arc<dyn Store>,
        dispatch: Arc<dyn Dispatch>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        settings: Settings,
        seals: Arc<Seals>,
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

    /// The policy in force.
    pub fn examiner(&self) -> Arc<Examiner> {
        Arc::clone(&self.0.examiner.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another policy in force, for messages that begin from now on.
    pub fn replace_examiner(&self, examiner: Examiner) {
        *self.0.examiner.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(examiner);
    }

    /// Holds wait so long from now on.
    pub fn replace_hold_for(&self, hold_for: Term) {
        *self.0.hold_for.write().unwrap_or_else(PoisonError::into_inner) = hold_for;
    }

    fn hold_ends(&self, now: Timestamp) -> Timestamp {
        self.0.hold_for.read().unwrap_or_else(PoisonError::into_inner).ends(now)
    }

    /// The marks that a message which was here before bears.
    pub(super) fn seals(&self) -> Arc<Seals> {
        Arc::clone(&self.0.seals.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts other marks in force.
    pub fn replace_seals(&self, seals: Arc<Seals>) {
        *self.0.seals.write().unwrap_or_else(PoisonError::into_inner) = seals;
    }

    /// Rung whenever a notice became due.
    pub fn bell(&self) -> Arc<Notify> {
        Arc::clone(&self.0.bell)
    }

    /// What copies for the journal came to.
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

    /// What our trace field says of a message.
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

    /// Everybody it is for had the same within a day: the client is told of the original.
    async fn came_before(&self, original: Id, held: bool, client: String, recipients: usize) -> Answer {
        info!(id = %original, recipients, "the same came again: nothing is delivered for it");
        let event = Event::Repeated { client, recipients };
        if let Err(error) = self.0.store.enter(original, self.0.clock.now(), event, Vec::new()).await {
            warn!(id = %original, %error, "that it came again was not written down");
        }
        if held {
            Answer::Held(original, "it came before, and waits for a decision".to_owned())
        } else {
            Answer::Queued(original)
        }
    }

    /// Recipients of a mail that is held, at domains that are easily taken for those its sender knows.
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
            place: Place::default(),
            glance: Glance::of(&seen.facts),
        }
    }

    /// Commits a message; fresh deliveries go straight to the courier as far as it has places. `asks` are
    /// those that a mail of ours answers.
    pub(super) async fn commit(&self, mut message: NewMessage, asks: Vec<i64>) -> Result<(), StoreError> {
        let due = message.deliveries.iter().filter(|new| new.state == InitialState::Ready).count();
        let reservation = self.0.dispatch.reserve(due);
        let places = reservation.places().min(due);
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

    /// Takes in mail of our own making: no rules, no notice about it.
    pub async fn own(&self, mail: OwnMail) -> Result<Id, StoreError> {
        self.tell(mail, Vec::new()).await
    }

    /// The same for a mail that answers these asks: they leave the list in the same transaction.
    pub async fn tell(&self, mail: OwnMail, asks: Vec<i64>) -> Result<Id, StoreError> {
        let received = self.0.clock.now();
        let id = self.new_id(received);
        let origin = Origin::Own { about: mail.about };
        let stamp = self.stamp(id, received, &origin);
        let at = header_length(&mail.message);
        let header = mail.message.slice(..at);
        let index = Header::parse(header.clone())
            .map_err(|error| StoreError::Unavailable(format!("our own notice cannot be read: {error}")))?;
        let mut body = self.0.store.new_body().await?;
        body.write(mail.message.slice(at..)).await?;
        if let Some(enclosed) = &mail.enclosed {
            self.enclose(enclosed, body.as_mut()).await?;
        }
        let eight_bit = !mail.message.is_ascii() || mail.enclosed.is_some_and(|enclosed| enclosed.eight_bit);
        let deliveries = plan::own(&index, &mail.to, &stamp);
        let message = NewMessage {
            id,
            received,
            origin,
            envelope: Envelope {
                sender: None,
                recipients: mail.to.into_iter().map(Recipient::plain).collect(),
                smtputf8: deliveries.iter().any(Delivery::needs_utf8),
                eight_bit,
                ret: None,
                envid: None,
            },
            body: body.finish().await?,
            subject: index.text("subject").unwrap_or_default(),
            message_id: index
                .text("message-id")
                .map(|text| text.trim_matches(['<', '>']).to_owned())
                .unwrap_or_default(),
            header,
            verdict: None,
            needles: Vec::new(),
            deliveries: born(deliveries, InitialState::Ready),
            held: None,
            ledger: None,
            notices: Vec::new(),
            answers: mail.answers,
            events: Vec::new(),
            fork: None,
        };
        self.commit(message, asks).await?;
        Ok(id)
    }

    /// Writes a mail that goes along behind what was written.
    async fn enclose(&self, enclosed: &Enclosed, into: &mut dyn BodyWriter) -> Result<(), StoreError> {
        let unreadable = |error| StoreError::Unavailable(format!("an enclosed mail cannot be read: {error}"));
        into.write(enclosed.header.clone()).await?;
        let mut body = self.0.store.open_body(&enclosed.body).await?;
        loop {
            let mut chunk = BytesMut::with_capacity(CHUNK);
            if body.read_buf(&mut chunk).await.map_err(unreadable)? == 0 {
                break;
            }
            into.write(chunk.freeze()).await?;
        }
        into.write(enclosed.closing.clone()).await
    }
}

/// Whose mail it is: MAIL FROM, every From, who was authenticated. None of them decides on it.
fn whose(origin: &Origin, seen: &Examination) -> Vec<Address> {
    let identity = match origin {
        Origin::Client { identity, .. } => identity.as_deref().and_then(|text| Address::parse(text).ok()),
        Origin::Own { .. } => None,
    };
    let from = seen.facts.from.iter().map(|mailbox| mailbox.address.clone());
    seen.envelope.sender.iter().cloned().chain(from).chain(identity).collect()
}

/// The public answer to a failing store; the cause goes to the log.
pub(super) fn refused(error: &StoreError) -> Answer {
    warn!(%error, "the store refused a message");
    match error {
        StoreError::Full(_) => Answer::Full,
        _ => Answer::Unavailable,
    }
}

/// Where the body begins: at the empty line after the header.
fn header_length(message: &Bytes) -> usize {
    memchr::memmem::find(message, b"\r\n\r\n").map_or(message.len(), |at| at + 2)
}

pub(super) fn born(deliveries: Vec<Delivery>, state: InitialState) -> Vec<NewDelivery> {
    deliveries.into_iter().map(|delivery| NewDelivery { delivery, state }).collect()
}

/// How many disclosures n people who see each other are.
fn exposures(people: usize) -> u64 {
    let people = people as u64;
    people.saturating_mul(people.saturating_sub(1))
}

/// An enum's name as it stands in JSON.
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

/// The message as the courier would read it back.
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
