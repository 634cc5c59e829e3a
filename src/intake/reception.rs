//! Receives the content of one message: gathers the header, and scans and stores the body at the same time.

use super::accept::{Arrived, Intake, refused};
use super::openings::apart;
use super::{Answer, Doorway, Reception};
use crate::clock::Timestamp;
use crate::examine::{Examination, Examiner, Examining, Refusal};
use crate::id::Id;
use crate::message::Envelope;
use crate::policy::Knowledge;
use crate::store::{BodyWriter, Origin};
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;

/// Messages above this size, and those with containers to open, are finished on a blocking thread, so that
/// they do not delay other sessions.
const HEAVY: u64 = 256 * 1024;

/// Octets processed before other tasks get a turn: a few milliseconds of work.
const TURN: usize = 64 * 1024;

struct Incoming {
    intake: Intake,
    examiner: Arc<Examiner>,
    id: Id,
    received: Timestamp,
    origin: Origin,
    examining: Option<Examining>,
    body: Box<dyn BodyWriter>,
    size: u64,
    eight_bit: bool,
    /// Whether the message was checked for a loop.
    looked: bool,
    /// Octets processed since other tasks had a turn.
    looked_at: usize,
}

#[async_trait]
impl Doorway for Intake {
    async fn begin(&self, origin: Origin, envelope: Envelope) -> Result<Box<dyn Reception>, Answer> {
        let received = self.clock().now();
        let body = self.store().new_body().await.map_err(|error| refused(&error))?;
        let examiner = self.examiner();
        let examining = Some(examiner.begin(envelope).received_at(received));
        Ok(Box::new(Incoming {
            id: self.new_id(received),
            intake: self.clone(),
            examiner,
            received,
            origin,
            examining,
            body,
            size: 0,
            eight_bit: false,
            looked: false,
            looked_at: 0,
        }))
    }

    async fn copied(&self, origin: Origin) -> Result<Box<dyn Reception>, Answer> {
        Ok(self.begin_copy(&origin))
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
impl Reception for Incoming {
    async fn write(&mut self, content: Bytes) -> Result<(), Answer> {
        let Some(examining) = &mut self.examining else { return Err(Answer::Unavailable) };
        self.size += content.len() as u64;
        self.eight_bit |= !content.is_ascii();
        let body = examining.feed(&content)?;
        if !self.looked {
            self.looked = look_for_loop(&self.intake, examining)?;
        }
        if !body.is_empty() {
            self.body.write(body).await.map_err(|error| refused(&error))?;
        }
        self.looked_at += content.len();
        if self.looked_at >= TURN {
            // A fast client would keep this task running: let others run.
            self.looked_at = 0;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Answer {
        match self.settle().await {
            Ok(answer) | Err(answer) => answer,
        }
    }
}

impl Incoming {
    async fn settle(mut self) -> Result<Answer, Answer> {
        let Some(mut examining) = self.examining.take() else { return Err(Answer::Unavailable) };
        examining.end()?;
        if !self.looked {
            look_for_loop(&self.intake, &examining)?;
        }
        let knowledge = knowledge(&self.intake, &examining, self.origin.identity()).await?;
        let heavy = self.size > HEAVY || examining.is_heavy();
        let mut seen = conclude(examining, knowledge, heavy).await?;
        // The actual content, not what the client declared, decides whether 8BITMIME is needed.
        seen.envelope.eight_bit = self.eight_bit;
        let arrived = Arrived { id: self.id, received: self.received, origin: self.origin, seen };
        self.intake.accept(&self.examiner, arrived, self.body).await
    }
}

/// The verdict; for heavy messages it is computed on a blocking thread.
async fn conclude(examining: Examining, knowledge: Knowledge, heavy: bool) -> Result<Examination, Answer> {
    if heavy {
        return Ok(apart(move || examining.finish(&knowledge)).await.map_err(|_| Answer::Unavailable)??);
    }
    Ok(examining.finish(&knowledge)?)
}

/// Refuses a message that is in a loop, once its header is complete; returns whether it was checked. A header
/// that cannot be parsed is held anyway.
fn look_for_loop(intake: &Intake, examining: &Examining) -> Result<bool, Answer> {
    let Some((header, envelope)) = examining.opened() else { return Ok(false) };
    match header.ok().and_then(|header| intake.seals().marks.loops(header, envelope)) {
        Some(found) => Err(Answer::Loop(found.to_string())),
        None => Ok(true),
    }
}

/// What the store knows about this message: disclosures in the threads it belongs to, the circles in force,
/// and mails that showed its outside recipients to each other.
async fn knowledge(
    intake: &Intake,
    examining: &Examining,
    identity: Option<String>,
) -> Result<Knowledge, Answer> {
    let now = intake.clock().now();
    let circles = intake.store().circles_in_force(now).await.map_err(|error| refused(&error))?;
    let (references, concerned) = (examining.references(), examining.concerned());
    let threads = match references {
        [] => Vec::new(),
        _ => intake.store().disclosed(references).await.map_err(|error| refused(&error))?,
    };
    let shared = match concerned {
        [] => Vec::new(),
        _ => intake.store().shared(references, concerned).await.map_err(|error| refused(&error))?,
    };
    Ok(Knowledge { threads, circles, shared, identity })
}
