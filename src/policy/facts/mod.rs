//! The facts of one message that rules ask about, counted as `docs/MAIL.md` §5 says.
//!
//! They are read in two steps: [`Preface::read`] takes the header and envelope before the body arrives,
//! because the audit of the body must know whom to hide; [`Preface::complete`] adds the results from the body
//! and the ledger.

mod form;
mod ids;
mod read;

use super::Organisation;
use super::learned::{Acquaintance, Shared};
use super::organisation::Affiliation;
use crate::message::{Address, BodyFacts, Envelope, Header, Mailbox};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// What the store knows that is relevant to one message, read before the verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Knowledge {
    /// For each known id in In-Reply-To and References: what that mail openly disclosed.
    pub threads: Vec<Disclosed>,
    /// The circles in force.
    pub circles: Arc<Vec<KnownCircle>>,
    /// Which of [`Facts::concerned`] were shown to each other by one mail.
    pub shared: Vec<Shared>,
    /// The authenticated identity, a login or an address, if it is known.
    pub identity: Option<String>,
}

/// People who may see each other because an approver allowed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownCircle {
    /// Its members.
    pub members: Vec<Address>,
    /// The person who made the circle, as the journal names them. Disclosing takes two people, so a circle
    /// does not exempt mail of its maker.
    pub made_by: String,
    /// The maker's addresses.
    #[serde(default)]
    pub makers: Vec<Address>,
}

/// A ledger entry: who could see whom in a mail that we delivered as is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disclosed {
    /// The Message-ID, without angle brackets.
    pub message_id: String,
    /// The From address.
    pub from: Option<Address>,
    /// The addresses that every recipient could see and that got a copy.
    pub addresses: Vec<Address>,
    /// Identifies the mail. The transactions of one mail, each with its own recipient, are counted together.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mail: String,
}

/// A field that shows addresses to recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShownIn {
    /// `To`.
    To,
    /// `Cc`.
    Cc,
    /// `Resent-To`.
    ResentTo,
    /// `Resent-Cc`.
    ResentCc,
    /// `Reply-To`.
    ReplyTo,
    /// `Mail-Followup-To`.
    MailFollowupTo,
    /// `Disposition-Notification-To`.
    DispositionNotificationTo,
    /// Any other place that shows an address: an outside mailbox of a From with several, a display name, a
    /// rare field.
    Other,
}

/// A mailbox that recipients would see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visible {
    /// The mailbox.
    pub mailbox: Mailbox,
    /// The field that shows it.
    pub field: ShownIn,
    /// Whether it is one of ours.
    pub internal: bool,
    /// Whether it belongs to a partner.
    pub partner: bool,
}

/// Everything that rules can ask about one message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "facts that a rule asks for one by one")]
pub struct Facts {
    /// The From mailboxes.
    pub from: Vec<Mailbox>,
    /// The Sender mailbox.
    pub sender: Option<Mailbox>,
    /// MAIL FROM.
    pub mail_from: Option<Address>,
    /// Whether every From mailbox, and MAIL FROM unless it is null, is ours.
    pub from_is_ours: bool,
    /// Every mailbox that recipients would see, each once with the first field that shows it; without From
    /// and Sender.
    pub visible: Vec<Visible>,
    /// The visible outside addresses that count: no partners; variants with plus or dots are one address.
    pub external_addresses: Vec<Address>,
    /// The number of outside organisations among them.
    pub external_organisations: usize,
    /// The organisation with the most of these addresses.
    #[serde(default)]
    pub largest_organisation: Option<Largest>,
    /// All envelope recipients.
    pub recipients: Vec<Address>,
    /// Envelope recipients in no visible field: true Bcc, members of expanded lists.
    pub envelope_only: Vec<Address>,
    /// Mailboxes in Bcc header fields.
    pub bcc_header: Vec<Address>,
    /// Whether there is an In-Reply-To or References field.
    pub reply: bool,
    /// Whether the visible people were all openly disclosed on this thread before, or are in one circle.
    pub circle: bool,
    /// Outsiders who see somebody in this message or are seen: visible ones, an outside author, and outside
    /// recipients in no field. Without partners; each mailbox once.
    #[serde(skip)]
    pub concerned: Vec<Address>,
    /// What is known of earlier contact between them; `None` if there are fewer than two.
    #[serde(default)]
    pub acquaintance: Option<Acquaintance>,
    /// Whether it is a report in transit (`docs/MAIL.md` §4): null sender, one recipient, no other outsider
    /// visible, and either a multipart/report or a corresponding Auto-Submitted field.
    pub report: bool,
    /// Whether the envelope is that of a report: null sender and one recipient.
    #[serde(default)]
    pub report_envelope: bool,
    /// Whether there is an Auto-Submitted field other than `no` (RFC 3834 §5).
    #[serde(default)]
    pub auto_submitted: bool,
    /// Whether it is an automatic forward (`docs/MAIL.md` §5) that shows no outsider but its recipient.
    pub auto_forward: bool,
    /// The decoded subject.
    pub subject: String,
    /// The Message-ID, without angle brackets.
    pub message_id: Option<String>,
    /// The ids in In-Reply-To and References.
    pub references: Vec<String>,
    /// Size in octets.
    pub size: u64,
    /// What the MIME walk found.
    pub body: BodyFacts,
    /// Outside addresses in calendar parts, each once.
    #[serde(default)]
    pub calendar_outside: Vec<Address>,
    /// The body part in which the most outside addresses are written.
    #[serde(default)]
    pub written_outside: Option<WrittenOutside>,
    /// The number of outside envelope recipients, partners included.
    #[serde(default)]
    pub outside_recipients: usize,
    /// What cannot be read reliably. With any entry the message is `unparseable`.
    pub problems: Vec<String>,
    /// Everybody in a visible field, our own people too: nobody has to be hidden from them.
    #[serde(skip)]
    pub open: HashSet<Address>,
    /// Whether an `unless` condition exempted the message from a matching rule. Its disclosures are not
    /// entered in the ledger.
    #[serde(default)]
    pub exempt: bool,
    /// Peculiarities of the header's form that disclose nobody; for information only.
    #[serde(default)]
    pub notes: Vec<String>,
    /// All fields as decoded text, for rules about header fields: lower-case name, text.
    #[serde(skip)]
    pub header_texts: Vec<(String, String)>,
}

/// The outside organisation with the most visible addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Largest {
    /// Its domain; the whole mailbox at a provider.
    pub name: String,
    /// Number of visible addresses.
    pub addresses: usize,
}

/// Outside addresses written in one part of the body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenOutside {
    /// Path of the part.
    pub path: String,
    /// Number of distinct addresses.
    pub count: usize,
    /// The first few of them.
    pub examples: Vec<Address>,
}

/// Most addresses kept as examples.
const EXAMPLES: usize = 20;

impl Facts {
    /// Whether no outsider is a recipient and none is visible.
    pub fn is_internal_only(&self) -> bool {
        self.outside_recipients == 0 && self.visible.iter().all(|visible| visible.internal)
    }

    /// Adds what is known of earlier contact between the outsiders.
    pub fn meet(&mut self, shared: &[Shared]) {
        self.acquaintance = Acquaintance::of(self, shared);
    }

    /// The decoded text of every field with that name (lower case).
    pub fn header_texts_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.header_texts.iter().filter(move |(field, _)| field == name).map(|(_, text)| text.as_str())
    }
}

/// The facts from the header and envelope, before the body is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preface(Facts);

impl Preface {
    /// Reads header and envelope. `header` is `Err` with a description if the header could not be indexed:
    /// then it is unknown who would see whom, and the message is unparseable.
    pub fn read(organisation: &Organisation, envelope: &Envelope, header: Result<&Header, String>) -> Self {
        Self(read::read(organisation, envelope, header))
    }

    /// The facts so far: body empty, size 0, circle false.
    pub fn facts(&self) -> &Facts {
        &self.0
    }

    /// Completes the facts with the body and the store's knowledge. `size` is in octets.
    pub fn complete(
        self,
        body: BodyFacts,
        size: u64,
        knowledge: &Knowledge,
        organisation: &Organisation,
    ) -> Facts {
        let mut facts = self.0;
        facts.size = size;
        facts.circle = is_circle(&facts, knowledge);
        facts.meet(&knowledge.shared);
        facts.report = facts.report_envelope
            && (body.report || facts.auto_submitted)
            && read::shows_nobody_else(&facts, organisation);
        let outside = |address: &&Address| organisation.affiliation(address) != Affiliation::Internal;
        if let Some(calendar) = &body.calendar {
            let distinct: BTreeSet<&Address> = calendar.addresses.iter().filter(outside).collect();
            facts.calendar_outside = distinct.into_iter().cloned().collect();
        }
        facts.written_outside = body
            .written
            .iter()
            .map(|part| WrittenOutside {
                path: part.path.clone(),
                count: part.addresses.iter().filter(outside).count(),
                examples: part.addresses.iter().filter(outside).take(EXAMPLES).cloned().collect(),
            })
            .filter(|part| part.count > 0)
            .max_by_key(|part| part.count);
        facts.body = body;
        facts
    }
}

/// Whether all visible outsiders were openly together on one thread that we delivered (`docs/MAIL.md` §5
/// "circle"), or are in one circle of an approver. One mail must account for all of them, because a thread id
/// can be forged: the recipients of two mails are not added up, only those of the transactions of one mail.
fn is_circle(facts: &Facts, knowledge: &Knowledge) -> bool {
    let cited: HashSet<&str> = facts.references.iter().map(String::as_str).collect();
    let threads = knowledge.threads.iter().filter(|thread| cited.contains(thread.message_id.as_str()));
    let mut mails: HashMap<(&str, &str), Vec<&Address>> = HashMap::new();
    for thread in threads {
        let people = thread.addresses.iter().chain(&thread.from);
        if thread.mail.is_empty() {
            if all_within(facts, people) {
                return true;
            }
            continue;
        }
        mails.entry((&thread.message_id, &thread.mail)).or_default().extend(people);
    }
    mails.into_values().any(|people| all_within(facts, people.into_iter()))
        || knowledge.circles.iter().any(|circle| {
            // without visible outsiders there is nobody whom a circle could exempt
            facts.visible.iter().any(|visible| !visible.internal)
                && !is_makers(circle, facts, knowledge.identity.as_deref())
                && all_within(facts, circle.members.iter())
        })
}

/// Whether the mail is from the circle's maker: by MAIL FROM, From, Sender or authentication.
fn is_makers(circle: &KnownCircle, facts: &Facts, identity: Option<&str>) -> bool {
    if identity.is_some_and(|login| login.eq_ignore_ascii_case(&circle.made_by)) {
        return true;
    }
    let named = Address::parse(&circle.made_by).ok();
    let identity = identity.and_then(|login| Address::parse(login).ok());
    let header = facts.from.iter().chain(&facts.sender).map(|mailbox| &mailbox.address);
    header
        .chain(&facts.mail_from)
        .chain(&identity)
        .any(|sender| named.as_ref() == Some(sender) || circle.makers.contains(sender))
}

/// Whether all visible outsiders are among these.
fn all_within<'a>(facts: &Facts, known: impl Iterator<Item = &'a Address>) -> bool {
    let known: HashSet<&Address> = known.collect();
    facts
        .visible
        .iter()
        .filter(|visible| !visible.internal && !visible.partner)
        .all(|visible| known.contains(&visible.mailbox.address))
}

#[cfg(test)]
pub(super) mod tests;
