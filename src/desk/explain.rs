//! One message explained: the verdict, the facts it stands on, each rule's word, and every copy as it
//! would leave. `explain`, `held show` and `try` show the same thing.

pub use crate::courier::Leaving;
use crate::courier::Seals;
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

/// A message explained.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Explanation {
    /// What happens.
    pub verdict: VerdictView,
    /// In observe mode: what would happen if verdicts were carried out.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub would: Option<Action>,
    /// What it stands on.
    pub facts: FactsView,
    /// What is dangerous about it, the strongest first, each with what cures it; nothing where it passes.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub risks: Vec<Bilingual>,
    /// Every rule's word.
    pub rules: Vec<RuleView>,
    /// The copies that leave now (or after a delay); none while it is held, or when it is rejected.
    pub deliveries: Vec<CopyView>,
    /// What a release would make of a held message.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub if_released: Option<IfReleased>,
    /// What the audit found.
    pub hits: Vec<Hit>,
}

/// What happens to the message now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictView {
    /// `pass`, `bcc`, `split`, `delay`, `hold`, `reject`.
    pub action: Action,
    /// `as-is`, `ask`, `bcc`, `split`.
    pub disclosure: Disclosure,
    /// `now`, `delay`, `hold`, `reject`.
    pub timing: String,
    /// How long, for `delay`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub delay_seconds: Option<u64>,
    /// In observe mode: the action that would be.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub would: Option<Action>,
    /// Whether verdicts are carried out.
    pub mode: Mode,
    /// Why, in sentences.
    pub reasons: Vec<String>,
}

/// One rule's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleView {
    /// Its name.
    pub name: String,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub title: Option<Bilingual>,
    /// Whether it matched.
    pub matched: bool,
    /// Why, or why not.
    pub why: String,
    /// The same in Japanese.
    pub why_ja: String,
    /// What it demands, where it matched: `ask`, `split`, `hold`, …
    pub demand: Vec<String>,
}

/// The facts, as far as they are worth showing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own
pub struct FactsView {
    /// MAIL FROM; empty for the null sender.
    pub sender: String,
    /// From.
    pub from: Vec<String>,
    /// Every From is ours.
    pub from_is_ours: bool,
    /// Decoded subject.
    pub subject: String,
    /// Message-ID.
    pub message_id: Option<String>,
    /// Octets.
    pub size: u64,
    /// Envelope recipients.
    pub recipients: Vec<String>,
    /// Mailboxes every recipient would see.
    pub visible: Vec<String>,
    /// Outside addresses that count.
    pub external_addresses: Vec<String>,
    /// How many outside organisations they are.
    pub external_organisations: usize,
    /// Recipients that stand in the envelope alone.
    pub envelope_only: Vec<String>,
    /// Mailboxes in Bcc fields.
    pub bcc_header: Vec<String>,
    /// n×(n−1) over the outside addresses: who would see whom.
    pub exposures: u64,
    /// A reply.
    pub reply: bool,
    /// These people were already openly together on this thread.
    pub circle: bool,
    /// One known mail showed all outsiders to each other.
    #[serde(default)]
    pub known_to_each_other: bool,
    /// The known mail that most of them were on, all of them where they know each other.
    #[serde(default)]
    pub nearest_mail: Option<KnownView>,
    /// A report in transit.
    pub report: bool,
    /// An automatic forward.
    pub auto_forward: bool,
    /// Names of attachments.
    pub attachments: Vec<String>,
    /// Parts nobody but their recipient can open: `name: why`.
    pub opaque_parts: Vec<String>,
    /// A calendar part's method; empty text for one without.
    pub calendar: Option<String>,
    /// A winmail.dat.
    pub tnef: bool,
    /// `smime` or `pgp`.
    pub encrypted: Option<String>,
    /// Signed.
    pub signed: bool,
    /// What could not be read for certain.
    pub problems: Vec<String>,
}

/// What showed the outsiders of a message to each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownView {
    /// How many they are.
    pub people: usize,
    /// The message answers that very mail.
    pub answered: bool,
    /// The first day of a mail to just these people.
    pub since: String,
    /// The day of the mail.
    pub last: String,
    /// Those who were not on it; nobody where all know each other.
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

/// One copy as it would leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyView {
    /// Who gets it.
    pub recipients: Vec<String>,
    /// Its To, decoded.
    pub to: String,
    /// Its Cc, decoded.
    pub cc: String,
    /// Its header was rewritten.
    pub rewritten: bool,
}

/// What a release would make of a held message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IfReleased {
    /// The copies of `release --as split`; none where the audit forbids it.
    pub split: Vec<CopyView>,
}

impl Explanation {
    /// Explains a message that was just looked at; the second value holds the copies themselves. `room`
    /// says whether budgets have any for copies.
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

    /// Explains a stored message: the verdict is the one it was stored with.
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

    /// Takes in what budgets say now, in place of what they said when the message came.
    pub(super) fn with_budget(&mut self, now: Option<&RuleOutcome>) {
        self.rules.retain(|rule| rule.name != BUDGET_RULE);
        self.rules.extend(now.map(RuleView::of));
    }

    fn build(examiner: &Examiner, seen: &Examination, stamp: &Stamp, settled: Settled) -> Self {
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
    /// The verdict as it is shown.
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

/// The same lines as on the page of a held mail.
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
    /// The facts as they are shown.
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

/// Keys and marks as previews show them: the secret of the marking header is not among them.
#[derive(Debug, Default)]
pub struct Shown {
    /// Keys and marks.
    pub seals: Seals,
    /// What a copy that leaves has and the preview has not, in sentences.
    pub lacking: Vec<String>,
}

/// A copy's bytes as it would leave: its own header with marks and signatures, and the shared body (from
/// the empty line on). The error says why there is none.
pub fn render(shown: &Shown, copy: &Leaving<'_>, header: &[u8], body: &[u8]) -> Result<Bytes, String> {
    let block = copy.header(&shown.seals, header, || BodyHasher::whole(body))?;
    let mut copy = bytes::BytesMut::with_capacity(block.len() + body.len());
    copy.extend_from_slice(&block);
    copy.extend_from_slice(body);
    Ok(copy.freeze())
}
