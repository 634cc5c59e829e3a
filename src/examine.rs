//! From bytes to verdict: the part of the journey that intake, `explain`, `replay`, `policy test` and
//! a release share, so that all of them run the same code.
//!
//! The header is gathered; at its end the facts that need no body are taken and the addresses to hide
//! are known; the body is walked, decoded and searched as it comes; then the rules decide, and the
//! copies are planned and audited.

use crate::clock::Timestamp;
use crate::message::{Address, Envelope, Fork, Header};
use crate::policy::facts::Preface;
use crate::policy::learned::Shared;
use crate::policy::risks::places::in_words;
use crate::policy::risks::{self, Risk};
use crate::policy::rules::{builtin_title as title, plain};
use crate::policy::verdict::{Language, RuleOutcome};
use crate::policy::{
    Action, Approvers, Budgets, Demand, Disclosure, Facts, Knowledge, Mode, Organisation, Policy, Timing,
    Verdict,
};
use crate::rewrite::audit::{BodyReport, BodyScan};
use crate::rewrite::plan::{self, Copies, CopyOptions, Draft, Stamp};
use crate::rewrite::{Delivery, Hit, Needles};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;

/// Largest header block in octets (`docs/PROMISES.md` promise 4).
pub const MAX_HEADER: usize = 1024 * 1024;
/// Most Received fields before a message is taken to go round in a loop (RFC 5321 §6.3).
pub const MAX_RECEIVED: usize = 100;
/// The rule under which a message is held because the audit found a hidden address.
pub const AUDIT_RULE: &str = "builtin:audit";
/// Under this name fields are noted that were left out of a passed message.
const LEFT_OUT: &str = "builtin:left-out";
/// Under this name the odd form of a header is noted that discloses nobody.
const FORM: &str = "builtin:form";

/// Looks at messages with one policy.
#[derive(Clone, Debug)]
pub struct Examiner {
    /// Who is ours.
    pub organisation: Arc<Organisation>,
    /// The rules.
    pub policy: Arc<Policy>,
    /// How copies are made.
    pub options: Arc<CopyOptions>,
    /// Who is asked to decide.
    pub approvers: Arc<Approvers>,
    /// How much upstreams let through, and how much of that is used up.
    pub budgets: Arc<Budgets>,
}

/// One message on its way through: header gathered, body scanned as it comes.
pub struct Examining {
    policy: Arc<Policy>,
    configured: Arc<Organisation>,
    envelope: Envelope,
    /// When it was received, where that is known: a Date far from it identifies nothing.
    received: Option<Timestamp>,
    size: u64,
    stage: Stage,
}

enum Stage {
    /// Gathering the header; the search for its end goes on at `searched`.
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
    /// What the audit searched the body for.
    pub needles: Arc<Needles>,
    /// What the body scan found.
    pub report: BodyReport,
    /// The facts.
    pub facts: Facts,
    /// The verdict of the rules. [`Examiner::settle`] adds the audit's word.
    pub verdict: Verdict,
    /// Who is ours, for this message.
    pub organisation: Arc<Organisation>,
    /// Which mail this is a transaction of; `None` where that cannot be told.
    pub fork: Option<Fork>,
}

/// What happens to a message, with everything carried out but the sending.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The verdict, the audit's word included.
    pub verdict: Verdict,
    /// The copies that leave (now or after a delay); none while it is held or when it is rejected.
    pub copies: Option<Copies>,
    /// What the audit found.
    pub hits: Vec<Hit>,
    /// Recipients do not see each other who would have, had it left as it was written: it is held or
    /// rejected, or its copies name nobody else. In observe mode, what carrying it out would have done.
    pub prevents: bool,
}

impl Examiner {
    /// Starts with a message for this envelope.
    pub fn begin(&self, envelope: Envelope) -> Examining {
        Examining {
            policy: Arc::clone(&self.policy),
            configured: Arc::clone(&self.organisation),
            envelope,
            received: None,
            size: 0,
            stage: Stage::Header { gathered: BytesMut::new(), searched: 0 },
        }
    }

    /// The whole way for a message in memory. `Err` for what a session would refuse.
    pub fn examine(
        &self,
        envelope: Envelope,
        message: &[u8],
        knowledge: &Knowledge,
    ) -> Result<Examination, Refusal> {
        let mut examining = self.begin(envelope);
        examining.feed(&Bytes::copy_from_slice(message))?;
        examining.finish(knowledge)
    }

    /// The same message, had this been known of its outsiders.
    pub fn acquainted(&self, seen: &mut Examination, shared: &[Shared]) {
        seen.facts.meet(shared);
        seen.verdict = judged(&self.policy, &mut seen.facts);
    }

    /// Carries the verdict out as far as planning and auditing the copies. What the audit finds turns
    /// the verdict into a hold (but in observe mode, where everything passes).
    pub fn settle(&self, seen: &Examination, stamp: &Stamp) -> Settled {
        let carried_out = self.carried_out(seen, stamp);
        match seen.verdict.mode {
            Mode::Enforce => carried_out,
            // The verdict stands in the record, the audit's word with it, and the message passes as it is.
            Mode::Observe => Settled { copies: Some(self.as_written(seen, stamp, &[])), ..carried_out },
        }
    }

    /// What the rules demand, whatever the mode.
    fn carried_out(&self, seen: &Examination, stamp: &Stamp) -> Settled {
        let mut verdict = seen.verdict.clone();
        let unsent = |verdict, hits| Settled { verdict, copies: None, hits, prevents: true };
        match verdict.demand.action() {
            Action::Reject => return unsent(verdict, Vec::new()),
            Action::Hold => {
                // What an individual sending would meet, for whoever has to decide.
                let hits = self.copies(seen, Disclosure::Split, stamp, &[]).err().unwrap_or_default();
                return unsent(verdict, hits);
            }
            Action::Pass | Action::Bcc | Action::Split | Action::Delay => {}
        }
        match self.copies(seen, verdict.demand.disclosure, stamp, &[]) {
            Ok(copies) => {
                verdict.rules.push(audit_outcome(&[]));
                let prevents = copies.deliveries.iter().any(Delivery::is_rewritten);
                verdict.rules.extend(left_out(&copies.left_out));
                Settled { verdict, copies: Some(copies), hits: Vec::new(), prevents }
            }
            Err(hits) => {
                let outcome = if hits.is_empty() { not_audited() } else { audit_outcome(&hits) };
                verdict.add(outcome);
                unsent(verdict, hits)
            }
        }
    }

    /// The copies as the sender wrote them, not audited: for observe mode, and for an approver who
    /// acknowledged what the audit found.
    pub fn as_written(&self, seen: &Examination, stamp: &Stamp, dropped: &[Address]) -> Copies {
        match &seen.index {
            Ok(header) => plan::unaudited(&self.draft(seen, header, stamp, dropped)),
            Err(_) => plan::unread(&seen.envelope, &seen.header, stamp, dropped),
        }
    }

    /// Plans and audits the copies of a message that was looked at. A header that could not be
    /// indexed has no audited copies.
    pub fn copies(
        &self,
        seen: &Examination,
        disclosure: Disclosure,
        stamp: &Stamp,
        dropped: &[Address],
    ) -> Result<Copies, Vec<Hit>> {
        match &seen.index {
            Ok(header) => plan::copies(&self.draft(seen, header, stamp, dropped), disclosure),
            Err(_) => Err(Vec::new()),
        }
    }

    fn draft<'a>(
        &'a self,
        seen: &'a Examination,
        header: &'a Header,
        stamp: &'a Stamp,
        dropped: &'a [Address],
    ) -> Draft<'a> {
        Draft {
            envelope: &seen.envelope,
            header,
            facts: &seen.facts,
            needles: &seen.needles,
            body_hits: &seen.report.hits,
            organisation: &seen.organisation,
            options: &self.options,
            stamp,
            dropped,
            mail: seen.fork.as_ref().map(|fork| &fork.group),
            exempt: seen.facts.exempt && seen.verdict.demand.action() != Action::Hold,
        }
    }
}

impl Examining {
    /// The same, for a message that was received then.
    #[must_use]
    pub fn received_at(mut self, received: Timestamp) -> Self {
        self.received = Some(received);
        self
    }

    /// Takes the next bytes (content: CRLF only, unstuffed); gives back the part of them that belongs
    /// to the body.
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

    /// Who is ours for this message: fixed where it is configured, else the sender's own domain.
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

    /// The header, once it is complete, or why it cannot be read; and the envelope.
    pub fn opened(&self) -> Option<(Result<&Header, &String>, &Envelope)> {
        match &self.stage {
            Stage::Header { .. } => None,
            Stage::Body(opened) => Some((opened.index.as_ref(), &self.envelope)),
        }
    }

    /// The header block's bytes, once complete.
    pub fn header(&self) -> Option<&Bytes> {
        match &self.stage {
            Stage::Header { .. } => None,
            Stage::Body(opened) => Some(&opened.header),
        }
    }

    /// The ids in In-Reply-To and References whose disclosures would bear on the verdict: none where
    /// nobody would see anybody.
    pub fn references(&self) -> &[String] {
        match &self.stage {
            Stage::Header { .. } => &[],
            Stage::Body(opened) => &opened.preface.facts().references,
        }
    }

    /// The outsiders whose acquaintance with each other bears on the verdict; nobody where they are fewer
    /// than two.
    pub fn concerned(&self) -> &[Address] {
        match &self.stage {
            Stage::Header { .. } => &[],
            Stage::Body(opened) => match opened.preface.facts().concerned.as_slice() {
                [] | [_] => &[],
                several => several,
            },
        }
    }

    /// Whether [`Self::finish`] may keep a thread busy for long: containers are opened there.
    pub fn is_heavy(&self) -> bool {
        match &self.stage {
            Stage::Header { .. } => false,
            Stage::Body(opened) => opened.scan.as_ref().is_some_and(BodyScan::has_pending),
        }
    }

    /// The content is over: a header without an empty line after it is complete now.
    pub fn end(&mut self) -> Result<(), Refusal> {
        if let Stage::Header { gathered, .. } = &mut self.stage {
            let header = gathered.split().freeze();
            self.open(header)?;
        }
        Ok(())
    }

    /// Ends: facts completed, verdict given.
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

/// What the rules make of the facts.
fn judged(policy: &Policy, facts: &mut Facts) -> Verdict {
    facts.exempt = policy.exempts(facts);
    let mut verdict = policy.decide(facts);
    verdict.rules.extend(form_note(&facts.notes));
    verdict
}

/// Where the header block ends: before the first empty line (RFC 5322 §2.1).
fn header_end(gathered: &[u8], searched: &mut usize) -> Option<usize> {
    if gathered.starts_with(b"\r\n") {
        return Some(0);
    }
    let from = searched.saturating_sub(3);
    *searched = gathered.len();
    memchr::memmem::find(&gathered[from..], b"\r\n\r\n").map(|at| from + at + 2)
}

/// The audit's word where copies could not be made, and so not be audited: that is a hold as well.
fn not_audited() -> RuleOutcome {
    RuleOutcome {
        name: AUDIT_RULE.to_owned(),
        matched: true,
        demand: Demand { timing: Timing::Hold, ..Demand::default() },
        why: "the copies cannot be made and audited reliably".to_owned(),
        why_ja: "個別のメールを安全に作って検査することができません".to_owned(),
        title: title(AUDIT_RULE),
        risks: vec![Risk::new(risks::Kind::Unreadable)],
    }
}

/// Something said among the rules that demands nothing.
fn note(name: &str, why: String, why_ja: String) -> RuleOutcome {
    RuleOutcome { name: name.to_owned(), why, why_ja, title: title(name), ..RuleOutcome::default() }
}

/// Fields that went, though the rest passed as it came.
fn left_out(names: &[String]) -> Option<RuleOutcome> {
    let list = names.join(", ");
    (!names.is_empty()).then(|| {
        note(
            LEFT_OUT,
            format!("left out, for they name a recipient who stands in no To or Cc: {list}"),
            format!("To・Cc にない宛先を示すため、次のヘッダー欄を除きました：{list}"),
        )
    })
}

/// A header that could not be read for certain, and in which nobody could be shown to anybody.
fn form_note(notes: &[String]) -> Option<RuleOutcome> {
    let first = notes.first()?;
    Some(note(
        FORM,
        format!(
            "an odd header that names nobody but its one recipient, its author and us: {}",
            plain(first).en
        ),
        format!(
            "ヘッダーの書き方に不備がありますが、宛先は1名だけで、ほかの宛先のアドレスが見えることはありません：{}",
            plain(first).ja
        ),
    ))
}

/// What the audit says among the rules.
fn audit_outcome(hits: &[Hit]) -> RuleOutcome {
    let (why, why_ja) = match hits {
        [] => (
            "no hidden recipient's address stands in any copy".to_owned(),
            "どの個別のメールにも、隠すべき宛先のアドレスは含まれていません".to_owned(),
        ),
        [first, ..] => {
            let people = hits.iter().map(|hit| &hit.address).collect::<std::collections::HashSet<_>>().len();
            (
                format!(
                    "{people} hidden recipient address(es) stand in what others would get, first {} in {} ({})",
                    first.address,
                    in_words(&first.place, Language::En),
                    first.form
                ),
                format!(
                    "隠すべき宛先{people}名のアドレスが、ほかの人に届く内容に含まれています（最初は {}、場所は {}）",
                    first.address,
                    in_words(&first.place, Language::Ja)
                ),
            )
        }
    };
    let matched = !hits.is_empty();
    let timing = if matched { Timing::Hold } else { Timing::Now };
    let demand = Demand { timing, ..Demand::default() };
    let risks = if matched { vec![Risk::inside(hits.iter().map(Hit::whose_and_where))] } else { Vec::new() };
    RuleOutcome { name: AUDIT_RULE.to_owned(), matched, demand, why, why_ja, title: title(AUDIT_RULE), risks }
}

#[cfg(test)]
mod tests;
