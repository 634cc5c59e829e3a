//! From octets to a verdict: the steps that intake, `explain`, `replay`, `policy test` and a release share,
//! so that all of them run the same code.
//!
//! The header is gathered. At its end the facts that need no body are collected, and the addresses to hide
//! are known. The body is walked, decoded and searched as it arrives. Then the rules decide, and the copies
//! are planned and audited.

use crate::clock::Timestamp;
use crate::message::gathering::{HeaderTooLarge, split};
use crate::message::{Address, Envelope, Fork, Header};
use crate::policy::learned::Shared;
use crate::policy::risks::places::in_words;
use crate::policy::risks::{self, Risk};
use crate::policy::rules::{builtin_title as title, plain};
use crate::policy::verdict::{Language, RuleOutcome};
use crate::policy::{
    Action, Approvers, Budgets, Demand, Disclosure, Facts, Knowledge, Mode, Organisation, Policy, Timing,
    Verdict,
};
use crate::rewrite::plan::{self, Copies, CopyOptions, Draft, Stamp};
use crate::rewrite::{Delivery, Hit, Needles};
use bytes::Bytes;
use std::sync::Arc;

mod examining;

pub use examining::Examining;

/// Maximum number of Received fields before a message counts as looping (RFC 5321 §6.3).
pub const MAX_RECEIVED: usize = 100;
/// The rule by which a message is held if the audit finds a hidden address.
pub const AUDIT_RULE: &str = "builtin:audit";
/// The rule name for header fields that were left out of a passed message.
const LEFT_OUT: &str = "builtin:left-out";
/// The rule name for a malformed header that discloses nobody.
const FORM: &str = "builtin:form";

/// Examines messages with one policy.
#[derive(Clone, Debug)]
pub struct Examiner {
    /// Which addresses are internal.
    pub organisation: Arc<Organisation>,
    /// The rules.
    pub policy: Arc<Policy>,
    /// How copies are made.
    pub options: Arc<CopyOptions>,
    /// Who is asked to decide.
    pub approvers: Arc<Approvers>,
    /// The limits of upstreams on recipients, and how much of them is used.
    pub budgets: Arc<Budgets>,
}

/// Why a message is refused while it is received, rather than held.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The header block is over its limit: 552 5.3.4.
    #[error(transparent)]
    HeaderTooLarge(#[from] HeaderTooLarge),
    /// MIME over the limits: 554 5.6.0.
    #[error("{0}")]
    Mime(String),
    /// More than 100 Received fields: 554 5.4.6.
    #[error("more than {0} Received fields: the message is in a loop")]
    Loop(usize),
}

/// A message that was examined.
#[derive(Clone, Debug)]
pub struct Examination {
    /// Envelope.
    pub envelope: Envelope,
    /// The header block's bytes.
    pub header: Bytes,
    /// The header, indexed, or why it cannot be.
    pub index: Result<Header, String>,
    /// What the audit searched the body for.
    pub needles: Arc<Needles>,
    /// Where the body shows hidden addresses.
    pub body_hits: Vec<Hit>,
    /// The facts.
    pub facts: Facts,
    /// The verdict of the rules. [`Examiner::settle`] adds the result of the audit.
    pub verdict: Verdict,
    /// Which addresses are internal, for this message.
    pub organisation: Arc<Organisation>,
    /// The fork that this message is; `None` if it cannot be identified.
    pub fork: Option<Fork>,
}

/// What happens to a message: everything up to sending.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The verdict, with the result of the audit.
    pub verdict: Verdict,
    /// The copies that leave (now or after a delay); `None` if the message is held or rejected.
    pub copies: Option<Copies>,
    /// Hidden addresses that the audit found.
    pub hits: Vec<Hit>,
    /// Whether the verdict keeps recipients from seeing each other who would have, had the message left as
    /// written: it is held or rejected, or its copies name nobody else. In observe mode: whether enforcing it
    /// would have.
    pub prevents: bool,
}

impl Examiner {
    /// Begins with the complete header block of a message for this envelope, received at this time.
    ///
    /// # Errors
    /// The header has too many Received fields.
    pub fn open(
        &self,
        envelope: Envelope,
        received: Option<Timestamp>,
        header: Bytes,
    ) -> Result<Examining, Refusal> {
        Examining::open(Arc::clone(&self.policy), &self.organisation, envelope, received, header)
    }

    /// Reads a whole message in memory, up to its verdict.
    ///
    /// # Errors
    /// A session would refuse the message: it is too large, too deeply nested, or in a loop.
    pub fn read(&self, envelope: Envelope, message: &Bytes) -> Result<Examining, Refusal> {
        let (header, body) = split(message)?;
        let mut examining = self.open(envelope, None, header)?;
        examining.feed(&body)?;
        Ok(examining)
    }

    /// Examines a whole message in memory.
    ///
    /// # Errors
    /// A session would refuse the message: it is too large, too deeply nested, or in a loop.
    pub fn examine(
        &self,
        envelope: Envelope,
        message: &[u8],
        knowledge: &Knowledge,
    ) -> Result<Examination, Refusal> {
        self.read(envelope, &Bytes::copy_from_slice(message))?.finish(knowledge)
    }

    /// Judges the message again, as if these mails had shown its outside recipients to each other before.
    pub fn acquainted(&self, seen: &mut Examination, shared: &[Shared]) {
        seen.facts.meet(shared);
        seen.verdict = judged(&self.policy, &mut seen.facts);
    }

    /// Carries out the verdict up to planning and auditing the copies. If the audit finds something, the
    /// verdict becomes a hold, except in observe mode, where everything passes.
    pub fn settle(&self, seen: &Examination, stamp: &Stamp) -> Settled {
        let carried_out = self.carried_out(seen, stamp);
        match seen.verdict.mode {
            Mode::Enforce => carried_out,
            // The verdict is recorded with the result of the audit, and the message passes unmodified.
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
                // what sending individually would disclose, for the approver
                let hits = self.copies(seen, Disclosure::Split, stamp, &[]).err().unwrap_or_default();
                return unsent(verdict, hits);
            }
            Action::Pass | Action::Bcc | Action::Split | Action::Delay => {}
        }
        match self.copies(seen, verdict.demand.disclosure, stamp, &[]) {
            Ok(copies) => {
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

    /// Adds to a verdict why the other rules did not match, and that the audit found nothing if copies were made.
    pub fn complete(&self, verdict: &mut Verdict, seen: &Examination, copied: bool) {
        self.policy.complete(verdict, &seen.facts);
        if copied && verdict.rules.iter().all(|rule| rule.name != AUDIT_RULE) {
            verdict.rules.push(audit_outcome(&[]));
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

    /// Plans and audits the copies of an examined message.
    ///
    /// # Errors
    /// The hidden addresses that the audit found; an empty list if the header could not be indexed, so that
    /// no copies can be made.
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
            body_hits: &seen.body_hits,
            organisation: &seen.organisation,
            options: &self.options,
            stamp,
            dropped,
            mail: seen.fork.as_ref().map(|fork| &fork.group),
            exempt: seen.facts.exempt && seen.verdict.demand.action() != Action::Hold,
        }
    }
}

/// The verdict of the rules on these facts.
fn judged(policy: &Policy, facts: &mut Facts) -> Verdict {
    facts.exempt = policy.exempts(facts);
    let mut verdict = policy.decide(facts);
    verdict.rules.extend(form_note(&facts.notes));
    verdict
}

/// The result of the audit if copies could not be made and so not be audited: a hold as well.
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

/// A remark among the rules that demands nothing.
fn note(name: &str, why: String, why_ja: String) -> RuleOutcome {
    RuleOutcome { name: name.to_owned(), why, why_ja, title: title(name), ..RuleOutcome::default() }
}

/// Names the fields that were removed although the message passed.
fn left_out(names: &[String]) -> Option<RuleOutcome> {
    let list = names.join(", ");
    (!names.is_empty()).then(|| {
        note(
            LEFT_OUT,
            format!("left out because they name a recipient who is in neither To nor Cc: {list}"),
            format!("To・Cc にない宛先を示すため、次のヘッダー欄を除きました：{list}"),
        )
    })
}

/// A malformed header in which nobody could be shown to anybody.
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

/// The result of the audit, among the rules.
fn audit_outcome(hits: &[Hit]) -> RuleOutcome {
    let (why, why_ja) = match hits {
        [] => (
            "no copy contains the address of a hidden recipient".to_owned(),
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
