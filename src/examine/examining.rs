//! One message being examined while it is received.

use super::{Examination, MAX_HEADER, MAX_RECEIVED, Refusal, judged};
use crate::clock::Timestamp;
use crate::message::{Address, Envelope, Fork, Header};
use crate::policy::facts::Preface;
use crate::policy::{Knowledge, Organisation, Policy};
use crate::rewrite::Needles;
use crate::rewrite::audit::{BodyReport, BodyScan};
use crate::rewrite::plan;
use bytes::{Bytes, BytesMut};
use std::sync::Arc;

/// One message being examined: the header is gathered, the body scanned as it arrives.
pub struct Examining {
    policy: Arc<Policy>,
    configured: Arc<Organisation>,
    envelope: Envelope,
    /// When it was received, if known: a Date far from it does not identify the mail.
    received: Option<Timestamp>,
    size: u64,
    stage: Stage,
}

enum Stage {
    /// Gathering the header; the search for its end continues at `searched`.
    Header { gathered: BytesMut, searched: usize },
    /// The header is complete.
    Body(Box<Opened>),
}

/// A message whose header is complete.
struct Opened {
    header: Bytes,
    index: Result<Header, String>,
    organisation: Arc<Organisation>,
    preface: Preface,
    needles: Arc<Needles>,
    scan: Option<BodyScan>,
}

impl Examining {
    /// Begins with a message for this envelope, to be judged by this policy.
    pub(super) fn new(policy: Arc<Policy>, configured: Arc<Organisation>, envelope: Envelope) -> Self {
        let stage = Stage::Header { gathered: BytesMut::new(), searched: 0 };
        Self { policy, configured, envelope, received: None, size: 0, stage }
    }

    /// Sets the time at which the message was received.
    #[must_use]
    pub fn received_at(mut self, received: Timestamp) -> Self {
        self.received = Some(received);
        self
    }

    /// Takes the next octets (CRLF line ends, unstuffed); returns those that belong to the body.
    ///
    /// # Errors
    /// The header is too large or has too many Received fields, or the MIME structure exceeds a limit.
    pub fn feed(&mut self, bytes: &Bytes) -> Result<Bytes, Refusal> {
        self.size += bytes.len() as u64;
        match &mut self.stage {
            Stage::Header { gathered, searched } => {
                gathered.extend_from_slice(bytes);
                let Some(end) = header_end(gathered, searched) else {
                    if gathered.len() > MAX_HEADER {
                        return Err(Refusal::HeaderTooLarge(MAX_HEADER));
                    }
                    return Ok(Bytes::new());
                };
                if end > MAX_HEADER {
                    return Err(Refusal::HeaderTooLarge(MAX_HEADER));
                }
                let header = gathered.split_to(end).freeze();
                let body = gathered.split().freeze();
                self.open(header)?;
                self.scan(&body)?;
                Ok(body)
            }
            Stage::Body(_) => {
                self.scan(bytes)?;
                Ok(bytes.clone())
            }
        }
    }

    fn open(&mut self, header: Bytes) -> Result<(), Refusal> {
        let index = Header::parse(header.clone()).map_err(|error| error.to_string());
        if let Ok(index) = &index
            && index.named("received").nth(MAX_RECEIVED).is_some()
        {
            return Err(Refusal::Loop(MAX_RECEIVED));
        }
        let organisation = self.organisation(index.as_ref().ok());
        let preface = Preface::read(&organisation, &self.envelope, index.as_ref().map_err(Clone::clone));
        let needles = Arc::new(Needles::new(plan::needles(preface.facts(), &organisation)));
        let scan = index.as_ref().ok().map(|header| BodyScan::new(header, Arc::clone(&needles)));
        self.stage = Stage::Body(Box::new(Opened { header, index, organisation, preface, needles, scan }));
        Ok(())
    }

    /// Which addresses are internal for this message: as configured, or by the sender's own domain.
    fn organisation(&self, header: Option<&Header>) -> Arc<Organisation> {
        if !self.configured.depends_on_sender() {
            return Arc::clone(&self.configured);
        }
        let from = header.and_then(|header| {
            let field = header.named("from").next()?;
            crate::message::address::parse_list(header.body(field)).mailboxes.into_iter().next()
        });
        let sender = from.map(|mailbox| mailbox.address).or_else(|| self.envelope.sender.clone());
        Arc::new(self.configured.for_sender(sender.as_ref()))
    }

    fn scan(&mut self, body: &Bytes) -> Result<(), Refusal> {
        if let Stage::Body(opened) = &mut self.stage
            && let Some(scan) = &mut opened.scan
        {
            scan.feed(body).map_err(|error| Refusal::Mime(error.to_string()))?;
        }
        Ok(())
    }

    /// The header, once it is complete, or why it cannot be indexed; and the envelope.
    pub fn opened(&self) -> Option<(Result<&Header, &String>, &Envelope)> {
        match &self.stage {
            Stage::Header { .. } => None,
            Stage::Body(opened) => Some((opened.index.as_ref(), &self.envelope)),
        }
    }

    /// The octets of the header block, once it is complete.
    pub fn header(&self) -> Option<&Bytes> {
        match &self.stage {
            Stage::Header { .. } => None,
            Stage::Body(opened) => Some(&opened.header),
        }
    }

    /// The ids in In-Reply-To and References whose earlier disclosures matter for the verdict; empty if
    /// nobody would see anybody.
    pub fn references(&self) -> &[String] {
        match &self.stage {
            Stage::Header { .. } => &[],
            Stage::Body(opened) => &opened.preface.facts().references,
        }
    }

    /// The outside recipients for whom it matters whether they know each other; empty if there are fewer than
    /// two.
    pub fn concerned(&self) -> &[Address] {
        match &self.stage {
            Stage::Header { .. } => &[],
            Stage::Body(opened) => match opened.preface.facts().concerned.as_slice() {
                [] | [_] => &[],
                several => several,
            },
        }
    }

    /// Whether [`Self::finish`] may take long because it has containers to open.
    pub fn is_heavy(&self) -> bool {
        match &self.stage {
            Stage::Header { .. } => false,
            Stage::Body(opened) => opened.scan.as_ref().is_some_and(BodyScan::has_pending),
        }
    }

    /// The content has ended: a header without an empty line after it is complete now.
    ///
    /// # Errors
    /// The header has too many Received fields.
    pub fn end(&mut self) -> Result<(), Refusal> {
        if let Stage::Header { gathered, .. } = &mut self.stage {
            let header = gathered.split().freeze();
            self.open(header)?;
        }
        Ok(())
    }

    /// Completes the facts and gives the verdict.
    ///
    /// # Errors
    /// The message would be refused, see [`Self::feed`].
    pub fn finish(mut self, knowledge: &Knowledge) -> Result<Examination, Refusal> {
        self.end()?;
        let Stage::Body(opened) = self.stage else {
            return Err(Refusal::Mime("the message has no end of header".to_owned()));
        };
        let Opened { header, index, organisation, preface, needles, scan } = *opened;
        let report = match scan {
            Some(scan) => scan.finish().map_err(|error| Refusal::Mime(error.to_string()))?,
            None => BodyReport::default(),
        };
        let mut facts = preface.complete(report.facts.clone(), self.size, knowledge, &organisation);
        let verdict = judged(&self.policy, &mut facts);
        let fork = index.as_ref().ok().and_then(|header| {
            Fork::of(self.envelope.sender.as_ref(), header, report.variant, self.received)
        });
        Ok(Examination {
            envelope: self.envelope,
            header,
            index,
            needles,
            report,
            facts,
            verdict,
            organisation,
            fork,
        })
    }
}

/// The length of the header block: it ends before the first empty line (RFC 5322 §2.1).
fn header_end(gathered: &[u8], searched: &mut usize) -> Option<usize> {
    if gathered.starts_with(b"\r\n") {
        return Some(0);
    }
    let from = searched.saturating_sub(3);
    *searched = gathered.len();
    memchr::memmem::find(&gathered[from..], b"\r\n\r\n").map(|at| from + at + 2)
}
