//! The content of a mail that is to be relayed: read and stored while it arrives, judged at the final dot.

use super::accept::{Judged, refused};
use super::openings::apart;
use super::{Answer, ClientIntake, Content, HeaderCheck, Intake, Reception};
use crate::clock::Timestamp;
use crate::examine::{Examination, Examiner, Examining, Refusal};
use crate::id::Id;
use crate::message::Envelope;
use crate::policy::Knowledge;
use crate::smtp::AsIs;
use crate::store::{Body, BodyWriter, Origin, StoreError};
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;

/// Messages above this size, and those with containers to open, are finished on a blocking thread, so that
/// they do not delay other sessions.
const HEAVY: u64 = 256 * 1024;

struct Mail {
    intake: Intake,
    examiner: Arc<Examiner>,
    id: Id,
    received: Timestamp,
    origin: Origin,
    /// The envelope, until the header is complete.
    envelope: Option<Envelope>,
    /// What was read so far, from then on.
    examining: Option<Examining>,
    body: Incoming,
    size: u64,
    eight_bit: bool,
}

/// The body of a mail on its way into the store.
pub(super) struct Incoming {
    writer: Box<dyn BodyWriter>,
    /// Whether it can be sent as it is.
    as_is: AsIs,
}

impl Incoming {
    async fn write(&mut self, octets: Bytes) -> Result<(), StoreError> {
        self.as_is.feed(&octets);
        self.writer.write(octets).await
    }

    /// The body, once all of it is stored.
    pub(super) async fn finish(self) -> Result<Body, StoreError> {
        let mut body = self.writer.finish().await?;
        if let Body::Stored { as_is, .. } = &mut body {
            *as_is = self.as_is.all();
        }
        Ok(body)
    }
}

#[async_trait]
impl ClientIntake for Intake {
    async fn begin(
        &self,
        origin: Origin,
        envelope: Envelope,
        check: Option<HeaderCheck>,
    ) -> Result<Reception, Answer> {
        let received = self.clock().now();
        let writer = self.store().new_body().await.map_err(|error| {
            let answer = refused(&error);
            self.watcher().saw(&answer);
            answer
        })?;
        let mail = Mail {
            id: self.new_id(received),
            intake: self.clone(),
            examiner: self.examiner(),
            received,
            origin,
            envelope: Some(envelope),
            examining: None,
            body: Incoming { writer, as_is: AsIs::default() },
            size: 0,
            eight_bit: false,
        };
        Ok(Reception::new(Box::new(mail), check, self.watcher()))
    }

    async fn copied(&self, origin: Origin, check: Option<HeaderCheck>) -> Result<Reception, Answer> {
        Ok(Reception::new(self.copy(&origin), check, self.watcher()))
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            Refusal::HeaderTooLarge(_) => Self::TooLarge(text),
            Refusal::Mime(_) => Self::Mime(text),
            Refusal::Loop(_) => Self::Loop(text),
        }
    }
}

#[async_trait]
impl Content for Mail {
    async fn header(&mut self, header: Bytes) -> Result<(), Answer> {
        let envelope = self.envelope.take().ok_or(Answer::Unavailable)?;
        self.count(&header);
        let examining = self.examiner.open(envelope, Some(self.received), header)?;
        refuse_loop(&self.intake, &examining)?;
        self.examining = Some(examining);
        Ok(())
    }

    async fn body(&mut self, octets: Bytes) -> Result<(), Answer> {
        self.count(&octets);
        self.examining.as_mut().ok_or(Answer::Unavailable)?.feed(&octets)?;
        self.body.write(octets).await.map_err(|error| refused(&error))
    }

    async fn finish(self: Box<Self>) -> Answer {
        match Box::pin(self.conclude()).await {
            Ok(answer) | Err(answer) => answer,
        }
    }
}

impl Mail {
    fn count(&mut self, octets: &Bytes) {
        self.size += octets.len() as u64;
        self.eight_bit |= !octets.is_ascii();
    }

    async fn conclude(self) -> Result<Answer, Answer> {
        let examining = self.examining.ok_or(Answer::Unavailable)?;
        let (knowledge, ended) = knowledge(&self.intake, &examining, self.origin.identity()).await?;
        let heavy = self.size > HEAVY || examining.is_heavy();
        let mut seen = judged(examining, knowledge, heavy).await?;
        // The actual content, not what the client declared, decides whether 8BITMIME is needed.
        seen.envelope.eight_bit = self.eight_bit;
        let judged =
            Judged { id: self.id, received: self.received, origin: self.origin, seen, circles: Some(ended) };
        self.intake.accept(&self.examiner, judged, self.body).await
    }
}

/// The verdict; for heavy messages it is computed on a blocking thread.
async fn judged(examining: Examining, knowledge: Knowledge, heavy: bool) -> Result<Examination, Answer> {
    if heavy {
        return Ok(apart(move || examining.finish(&knowledge)).await.map_err(|_| Answer::Unavailable)??);
    }
    Ok(examining.finish(&knowledge)?)
}

/// Refuses a message that is in a loop. A header that cannot be parsed is held anyway.
fn refuse_loop(intake: &Intake, examining: &Examining) -> Result<(), Answer> {
    let (header, envelope) = examining.opened();
    match header.ok().and_then(|header| intake.marks().loops(header, envelope)) {
        Some(found) => Err(Answer::Loop(found.to_string())),
        None => Ok(()),
    }
}

/// What the store knows about this message: disclosures in the threads it belongs to, the circles in force,
/// and mails that showed its outside recipients to each other; and how many circles have ended.
async fn knowledge(
    intake: &Intake,
    examining: &Examining,
    identity: Option<String>,
) -> Result<(Knowledge, i64), Answer> {
    let now = intake.clock().now();
    let in_force = intake.store().circles_in_force(now).await.map_err(|error| refused(&error))?;
    let (references, concerned) = (examining.references(), examining.concerned());
    let threads = match references {
        [] => Vec::new(),
        _ => intake.store().disclosed(references).await.map_err(|error| refused(&error))?,
    };
    let shared = match concerned {
        [] => Vec::new(),
        _ => intake.store().shared(references, concerned).await.map_err(|error| refused(&error))?,
    };
    Ok((Knowledge { threads, circles: in_force.circles, shared, identity }, in_force.ended))
}
