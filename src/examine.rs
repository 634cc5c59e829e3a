//! From bytes to verdict: the part of the journey that intake, `explain`, `replay`, `policy test` and
//! a release share, so that all of them run the same code.

use crate::message::{Address, Envelope, Header};
use crate::policy::{Disclosure, Facts, Knowledge, Organisation, Policy, Verdict};
use crate::rewrite::Hit;
use crate::rewrite::audit::BodyReport;
use crate::rewrite::plan::{Copies, CopyOptions, Stamp};
use bytes::Bytes;
use std::sync::Arc;

/// Looks at messages with one policy.
#[derive(Clone)]
pub struct Examiner {
    /// Who is ours.
    pub organisation: Arc<Organisation>,
    /// The rules.
    pub policy: Arc<Policy>,
    /// How copies are made.
    pub options: Arc<CopyOptions>,
}

/// One message on its way through: header gathered, body scanned as it comes.
pub struct Examining {
    _todo: (),
}

/// Why a message is refused while it is read, rather than held.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The header block is over its limit: 552 5.3.4.
    #[error("the header is larger than {0} octets")]
    HeaderTooLarge(usize),
    /// MIME over the limits: 554 5.6.0.
    #[error("{0}")]
    Mime(String),
    /// More than 100 Received fields: 554 5.4.6.
    #[error("more than {0} Received fields: the message goes round in a loop")]
    Loop(usize),
}

/// A message, looked at.
#[derive(Clone, Debug)]
pub struct Examination {
    /// Envelope.
    pub envelope: Envelope,
    /// The header block's bytes.
    pub header: Bytes,
    /// The same, indexed; or why not.
    pub index: Result<Header, String>,
    /// What the body scan found.
    pub report: BodyReport,
    /// The facts.
    pub facts: Facts,
    /// The verdict.
    pub verdict: Verdict,
    /// Who is ours, for this message.
    pub organisation: Arc<Organisation>,
}

impl Examiner {
    /// Starts with a message for this envelope.
    pub fn begin(&self, envelope: Envelope) -> Examining {
        let _ = envelope;
        todo!()
    }

    /// The whole way for a message in memory. `Err` for what a session would refuse.
    pub fn examine(
        &self,
        envelope: Envelope,
        message: &[u8],
        knowledge: &Knowledge,
    ) -> Result<Examination, Refusal> {
        let _ = (envelope, message, knowledge);
        todo!()
    }

    /// Plans the copies of a message that was looked at.
    pub fn copies(
        &self,
        seen: &Examination,
        disclosure: Disclosure,
        stamp: &Stamp,
        dropped: &[Address],
    ) -> Result<Copies, Vec<Hit>> {
        let _ = (seen, disclosure, stamp, dropped);
        todo!()
    }
}

impl Examining {
    /// Takes the next bytes (content: CRLF only, unstuffed); gives back the part of them that belongs
    /// to the body.
    pub fn feed(&mut self, bytes: &Bytes) -> Result<Bytes, Refusal> {
        let _ = bytes;
        todo!()
    }

    /// The ids in In-Reply-To and References, once the header is complete: what [`Knowledge`] is for.
    pub fn references(&self) -> &[String] {
        todo!()
    }

    /// Ends: facts completed, verdict given.
    pub fn finish(self, knowledge: &Knowledge) -> Result<Examination, Refusal> {
        let _ = knowledge;
        todo!()
    }
}
