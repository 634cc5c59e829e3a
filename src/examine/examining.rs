//! One message being examined: from its header on, while its body arrives.

use super::{Examination, MAX_RECEIVED, Refusal, judged};
use crate::clock::Timestamp;
use crate::message::{Address, Envelope, Fork, Header};
use crate::policy::facts::Preface;
use crate::policy::{Knowledge, Organisation, Policy};
use crate::rewrite::Needles;
use crate::rewrite::audit::{BodyReport, BodyScan};
use crate::rewrite::plan;
use bytes::Bytes;
use std::sync::Arc;

/// One message being examined: its header was read, its body is scanned as it arrives.
pub struct Examining {
    policy: Arc<Policy>,
    envelope: Envelope,
    /// When it was received, if known: a Date far from it does not identify the mail.
    received: Option<Timestamp>,
    /// Octets of header and body so far.
    size: u64,
    header: Bytes,
    index: Result<Header, String>,
    organisation: Arc<Organisation>,
    preface: Preface,
    needles: Arc<Needles>,
    scan: Option<BodyScan>,
}

impl Examining {
    /// Begins with the complete header block of a message for this envelope.
    pub(super) fn open(
        policy: Arc<Policy>,
        configured: &Arc<Organisation>,
        envelope: Envelope,
        received: Option<Timestamp>,
        header: Bytes,
    ) -> Result<Self, Refusal> {
        let index = Header::parse(header.clone()).map_err(|error| error.to_string());
        if let Ok(index) = &index
            && index.named("received").nth(MAX_RECEIVED).is_some()
        {
            return Err(Refusal::Loop(MAX_RECEIVED));
        }
        let organisation = organisation(configured, index.as_ref().ok(), &envelope);
        let preface = Preface::read(&organisation, &envelope, index.as_ref().map_err(Clone::clone));
        let needles = Arc::new(Needles::new(plan::needles(preface.facts(), &organisation)));
        let scan = index.as_ref().ok().map(|header| BodyScan::new(header, Arc::clone(&needles)));
        let size = header.len() as u64;
        Ok(Self { policy, envelope, received, size, header, index, organisation, preface, needles, scan })
    }

    /// Takes the next octets of the body (CRLF line ends, unstuffed).
    ///
    /// # Errors
    /// The MIME structure exceeds a limit.
    pub fn feed(&mut self, body: &Bytes) -> Result<(), Refusal> {
        self.size += body.len() as u64;
        match &mut self.scan {
            Some(scan) => scan.feed(body).map_err(|error| Refusal::Mime(error.to_string())),
            None => Ok(()),
        }
    }

    /// The header, or why it cannot be indexed; and the envelope.
    pub fn opened(&self) -> (Result<&Header, &String>, &Envelope) {
        (self.index.as_ref(), &self.envelope)
    }

    /// The ids in In-Reply-To and References whose earlier disclosures matter for the verdict; empty if
    /// nobody would see anybody.
    pub fn references(&self) -> &[String] {
        &self.preface.facts().references
    }

    /// The outside recipients for whom it matters whether they know each other; empty if there are fewer than
    /// two.
    pub fn concerned(&self) -> &[Address] {
        match self.preface.facts().concerned.as_slice() {
            [] | [_] => &[],
            several => several,
        }
    }

    /// Whether [`Self::finish`] may take long because it has containers to open.
    pub fn is_heavy(&self) -> bool {
        self.scan.as_ref().is_some_and(BodyScan::has_pending)
    }

    /// Completes the facts and gives the verdict.
    ///
    /// # Errors
    /// The MIME structure exceeds a limit.
    pub fn finish(self, knowledge: &Knowledge) -> Result<Examination, Refusal> {
        let Self { policy, envelope, received, size, header, index, organisation, preface, needles, scan } =
            self;
        let report = match scan {
            Some(scan) => scan.finish().map_err(|error| Refusal::Mime(error.to_string()))?,
            None => BodyReport::default(),
        };
        let mut facts = preface.complete(report.facts, size, knowledge, &organisation);
        let verdict = judged(&policy, &mut facts);
        let fork = index
            .as_ref()
            .ok()
            .and_then(|header| Fork::of(envelope.sender.as_ref(), header, report.variant, received));
        let body_hits = report.hits;
        Ok(Examination { envelope, header, index, needles, body_hits, facts, verdict, organisation, fork })
    }
}

/// Which addresses are internal for this message: as configured, or by the sender's own domain.
fn organisation(
    configured: &Arc<Organisation>,
    header: Option<&Header>,
    envelope: &Envelope,
) -> Arc<Organisation> {
    if !configured.depends_on_sender() {
        return Arc::clone(configured);
    }
    let from = header.and_then(|header| {
        let field = header.named("from").next()?;
        crate::message::address::parse_list(header.body(field)).mailboxes.into_iter().next()
    });
    let sender = from.map(|mailbox| mailbox.address).or_else(|| envelope.sender.clone());
    Arc::new(configured.for_sender(sender.as_ref()))
}
