//! Explains one message: the verdict, the facts it is based on, the result of each rule, and every copy as it
//! would be sent. `explain`, `held show` and `try` all show it.

pub use crate::courier::OutgoingCopy;
use crate::courier::SealSettings;
use crate::dkim::BodyHasher;
use crate::examine::{Examination, Examiner, Settled};
use crate::message::Header;
use crate::policy::budget::BUDGET_RULE;
use crate::policy::learned::Acquaintance;
use crate::policy::risks::{self, Risk};
use crate::policy::verdict::{Bilingual, Language, RuleOutcome};
use crate::policy::{Action, Disclosure, Facts, Mode, Timing, Verdict};
use crate::rewrite::plan::Stamp;
use crate::rewrite::{Delivery, Hit};
use crate::store::StoredMessage;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The explanation of a message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Explanation {
    /// The verdict.
    pub verdict: VerdictView,
    /// In observe mode: what enforce mode would do.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub would: Option<Action>,
    /// The facts.
    pub facts: FactsView,
    /// The risks, most serious first, each with what removes it; empty if the message passes.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub risks: Vec<Bilingual>,
    /// The result of every rule.
    pub rules: Vec<RuleView>,
    /// The copies that are sent now or after the delay; empty if the message is held or rejected.
    pub deliveries: Vec<CopyView>,
    /// What a release of a held message would send.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub if_released: Option<IfReleased>,
    /// What the audit found.
    pub hits: Vec<Hit>,
}

/// The verdict, for display.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictView {
    /// `pass`, `bcc`, `split`, `delay`, `hold`, `reject`.
    pub action: Action,
    /// `as-is`, `ask`, `bcc`, `split`.
    pub disclosure: Disclosure,
    /// `now`, `delay`, `hold`, `reject`.
    pub timing: String,
    /// The delay in seconds, for `delay`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub delay_seconds: Option<u64>,
    /// In observe mode: the action of enforce mode.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub would: Option<Action>,
    /// Whether verdicts are enforced.
    pub mode: Mode,
    /// The reasons, in sentences.
    pub reasons: Vec<String>,
}

/// The result of one rule, for display.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleView {
    /// Its name.
    pub name: String,
    /// Its title.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub title: Option<Bilingual>,
    /// Whether it matched.
    pub matched: bool,
    /// Why it matched, or why not.
    pub why: String,
    /// The same in Japanese.
    pub why_ja: String,
    /// What it demands if it matched: `ask`, `split`, `hold`, …
    pub demand: Vec<String>,
}

/// The facts, for display.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct FactsView {
    /// MAIL FROM; empty for the null sender.
    pub sender: String,
    /// The From mailboxes.
    pub from: Vec<String>,
    /// Whether every From is ours.
    pub from_is_ours: bool,
    /// Decoded subject.
    pub subject: String,
    /// Message-ID.
    pub message_id: Option<String>,
    /// Size in octets.
    pub size: u64,
    /// Envelope recipients.
    pub recipients: Vec<String>,
    /// Mailboxes that every recipient would see.
    pub visible: Vec<String>,
    /// Outside addresses that count.
    pub external_addresses: Vec<String>,
    /// The number of outside organisations.
    pub external_organisations: usize,
    /// Recipients in no header field.
    pub envelope_only: Vec<String>,
    /// Mailboxes in Bcc fields.
    pub bcc_header: Vec<String>,
    /// n×(n−1) over the outside addresses: the number of disclosures.
    pub exposures: u64,
    /// Whether it is a reply.
    pub reply: bool,
    /// Whether these people were openly together on this thread before, or are in a circle.
    pub circle: bool,
    /// Whether one earlier mail showed all outsiders to each other.
    #[serde(default)]
    pub known_to_each_other: bool,
    /// The earlier mail that most of them were on; all of them, if they know each other.
    #[serde(default)]
    pub nearest_mail: Option<KnownView>,
    /// Whether it is a report in transit.
    pub report: bool,
    /// Whether it is an automatic forward.
    pub auto_forward: bool,
    /// Names of attachments.
    pub attachments: Vec<String>,
    /// Parts that cannot be opened: `name: why`.
    pub opaque_parts: Vec<String>,
    /// The method of a calendar part; empty if it has none.
    pub calendar: Option<String>,
    /// Whether there is a winmail.dat.
    pub tnef: bool,
    /// `smime` or `pgp`.
    pub encrypted: Option<String>,
    /// Whether it is signed.
    pub signed: bool,
    /// What could not be read reliably.
    pub problems: Vec<String>,
}

/// An earlier mail that showed outsiders to each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownView {
    /// How many of the outsiders it showed.
    pub people: usize,
    /// Whether the message answers it.
    pub answered: bool,
    /// The day of the first mail to exactly these people.
    pub since: String,
    /// The day of that mail.
    pub last: String,
    /// The outsiders who were not on it; empty if all know each other.
    pub strangers: Vec<String>,
}

impl KnownView {
    fn of(known: &Acquaintance) -> Option<Self> {
        let nearest = known.nearest?;
        Some(Self {
            people: known.people,
            answered: nearest.answered,
            since: nearest.since.to_string(),
            last: nearest.last.to_string(),
            strangers: texts(&known.strangers),
        })
    }
}

/// One copy as it would be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyView {
    /// Its recipients.
    pub recipients: Vec<String>,
    /// Its To, decoded.
    pub to: String,
    /// Its Cc, decoded.
    pub cc: String,
    /// Whether its header was rewritten.
    pub rewritten: bool,
}

/// What a release of a held message would send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IfReleased {
    /// The copies of `release --as split`; empty if the audit forbids it.
    pub split: Vec<CopyView>,
}

impl Explanation {
    /// Explains a message that was examined just now; the second value has the copies. `room` is the rule of
    /// an exceeded budget, if any.
    pub fn of(
        examiner: &Examiner,
        seen: &Examination,
        stamp: &Stamp,
        room: impl FnOnce(&[Delivery]) -> Option<RuleOutcome>,
    ) -> (Self, Vec<Delivery>) {
        let mut settled = examiner.settle(seen, stamp);
        if let Some(over) = settled.copies.as_ref().and_then(|copies| room(&copies.deliveries)) {
            settled.verdict.add(over);
            if settled.verdict.mode == Mode::Enforce {
                settled.copies = None;
            }
        }
        let deliveries = settled.copies.as_ref().map(|copies| copies.deliveries.clone()).unwrap_or_default();
        (Self::build(examiner, seen, stamp, settled), deliveries)
    }

    /// Explains a stored message with the verdict that was stored.
    pub fn of_stored(
        examiner: &Examiner,
        seen: &Examination,
        stamp: &Stamp,
        message: &StoredMessage,
    ) -> Self {
        let mut settled = examiner.settle(seen, stamp);
        if let Some(verdict) = &message.verdict {
            settled.verdict = verdict.clone();
        }
        if message.held.is_some() {
            settled.copies = None;
        }
        Self::build(examiner, seen, stamp, settled)
    }

    /// Replaces the budgets' result from when the message was accepted by the current one.
    pub(super) fn with_budget(&mut self, now: Option<&RuleOutcome>) {
        self.rules.retain(|rule| rule.name != BUDGET_RULE);
        self.rules.extend(now.map(RuleView::of));
    }

    fn build(examiner: &Examiner, seen: &Examination, stamp: &Stamp, mut settled: Settled) -> Self {
        examiner.complete(&mut settled.verdict, seen, settled.copies.is_some());
        let views = |deliveries: &[Delivery]| {
            deliveries.iter().map(|delivery| CopyView::of(delivery, &seen.header)).collect::<Vec<_>>()
        };
        let held = settled.verdict.action() == Action::Hold;
        let split = || match examiner.copies(seen, Disclosure::Split, stamp, &[]) {
            Ok(copies) if seen.facts.problems.is_empty() => views(&copies.deliveries),
            _ => Vec::new(),
        };
        Self {
            verdict: VerdictView::of(&settled.verdict),
            would: settled.verdict.would(),
            risks: if held { dangers(&settled, seen) } else { Vec::new() },
            facts: FactsView::of(&seen.facts),
            rules: settled.verdict.rules.iter().map(RuleView::of).collect(),
            deliveries: settled.copies.as_ref().map(|copies| views(&copies.deliveries)).unwrap_or_default(),
            if_released: held.then(|| IfReleased { split: split() }),
            hits: settled.hits,
        }
    }
}

impl VerdictView {
    /// The verdict, for display.
    pub fn of(verdict: &Verdict) -> Self {
        let (timing, delay) = match verdict.demand.timing {
            Timing::Now => ("now", None),
            Timing::Delay(span) => ("delay", Some(span.as_secs())),
            Timing::Hold => ("hold", None),
            Timing::Reject => ("reject", None),
        };
        Self {
            action: verdict.action(),
            disclosure: verdict.demand.disclosure,
            timing: timing.to_owned(),
            delay_seconds: delay,
            would: verdict.would(),
            mode: verdict.mode,
            reasons: verdict.reasons(Language::En).into_iter().map(str::to_owned).collect(),
        }
    }
}

impl RuleView {
    fn of(rule: &RuleOutcome) -> Self {
        Self {
            name: rule.name.clone(),
            title: rule.title.clone(),
            matched: rule.matched,
            why: rule.why.clone(),
            why_ja: rule.why_ja.clone(),
            demand: if rule.matched { demand_words(rule) } else { Vec::new() },
        }
    }
}

/// The risks, in the words of the page of a held mail.
fn dangers(settled: &Settled, seen: &Examination) -> Vec<Bilingual> {
    let found = risks::of(&settled.verdict, settled.hits.iter().map(Hit::whose_and_where));
    let (people, organisations) = (seen.facts.external_addresses.len(), seen.facts.external_organisations);
    let counted = found.into_iter().map(|risk| risk.counted(people, organisations)).collect();
    let lines = |risk: Risk| Bilingual::new(risk.line(Language::En), risk.line(Language::Ja));
    risks::arranged(counted).into_iter().map(lines).collect()
}

fn demand_words(rule: &RuleOutcome) -> Vec<String> {
    let disclosure = match rule.demand.disclosure {
        Disclosure::AsIs => None,
        Disclosure::Ask => Some("ask".to_owned()),
        Disclosure::Bcc => Some("bcc".to_owned()),
        Disclosure::Split => Some("split".to_owned()),
    };
    let timing = match rule.demand.timing {
        Timing::Now => None,
        Timing::Delay(span) => Some(format!("delay {}s", span.as_secs())),
        Timing::Hold => Some("hold".to_owned()),
        Timing::Reject => Some("reject".to_owned()),
    };
    timing.into_iter().chain(disclosure).collect()
}

fn texts<T: ToString>(list: &[T]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

impl FactsView {
    /// The facts, for display.
    pub fn of(facts: &Facts) -> Self {
        let outside = facts.external_addresses.len() as u64;
        let body = &facts.body;
        Self {
            sender: facts.mail_from.as_ref().map(ToString::to_string).unwrap_or_default(),
            from: facts.from.iter().map(|mailbox| mailbox.address.to_string()).collect(),
            from_is_ours: facts.from_is_ours,
            subject: facts.subject.clone(),
            message_id: facts.message_id.clone(),
            size: facts.size,
            recipients: texts(&facts.recipients),
            visible: facts.visible.iter().map(|shown| shown.mailbox.address.to_string()).collect(),
            external_addresses: texts(&facts.external_addresses),
            external_organisations: facts.external_organisations,
            envelope_only: texts(&facts.envelope_only),
            bcc_header: texts(&facts.bcc_header),
            exposures: outside * outside.saturating_sub(1),
            reply: facts.reply,
            circle: facts.circle,
            known_to_each_other: facts.acquaintance.as_ref().is_some_and(Acquaintance::complete),
            nearest_mail: facts.acquaintance.as_ref().and_then(KnownView::of),
            report: facts.report,
            auto_forward: facts.auto_forward,
            attachments: body
                .attachments
                .iter()
                .map(|part| if part.name.is_empty() { part.content_type.clone() } else { part.name.clone() })
                .collect(),
            opaque_parts: body.opaque.iter().map(|part| format!("{}: {}", part.name, part.why)).collect(),
            calendar: body.calendar.as_ref().map(|calendar| calendar.method.clone()),
            tnef: body.tnef.is_some(),
            encrypted: body.encrypted.as_ref().map(|encrypted| encrypted.kind.clone()),
            signed: body.signed,
            problems: facts.problems.clone(),
        }
    }
}

impl CopyView {
    /// A copy as its recipients see it.
    pub fn of(delivery: &Delivery, original: &[u8]) -> Self {
        let header = delivery.edits().render(original).ok().and_then(|block| Header::parse(block).ok());
        Self {
            recipients: delivery.recipients().iter().map(|to| to.address.to_string()).collect(),
            to: header.as_ref().and_then(|header| header.text("to")).unwrap_or_default(),
            cc: header.as_ref().and_then(|header| header.text("cc")).unwrap_or_default(),
            rewritten: delivery.is_rewritten(),
        }
    }
}

/// Keys and marks for previews, without the secret of the marking header.
#[derive(Debug, Default)]
pub struct PreviewSeals {
    /// The keys and marks.
    pub seals: SealSettings,
    /// What a preview lacks compared with the copy that is sent, in sentences.
    pub lacking: Vec<String>,
}

/// A copy's bytes as they would be sent: its own header with marks and signatures, then the shared body (from
/// the empty line on).
///
/// # Errors
/// Says why the copy cannot be built.
pub fn render(
    preview_seals: &PreviewSeals,
    copy: &OutgoingCopy<'_>,
    header: &[u8],
    body: &[u8],
) -> Result<Bytes, String> {
    let block = copy.header(&preview_seals.seals, header, || BodyHasher::whole(body))?;
    let mut copy = bytes::BytesMut::with_capacity(block.len() + body.len());
    copy.extend_from_slice(&block);
    copy.extend_from_slice(body);
    Ok(copy.freeze())
}
