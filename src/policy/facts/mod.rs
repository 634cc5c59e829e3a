//! The facts of one message: what rules ask about, counted as `docs/MAIL.md` §5 says.
//!
//! Two steps: [`Preface::read`] takes header and envelope before a byte of the body is read, for the
//! audit must know by then whom to hide; [`Preface::complete`] adds what the body and the ledger say.

mod form;
mod ids;
mod read;

use super::Organisation;
use super::learned::{Acquaintance, Shared};
use super::organisation::Standing;
use crate::message::{Address, BodyFacts, Envelope, Header, Mailbox};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// What the store knows that bears on one message: a snapshot, taken before the verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Knowledge {
    /// For each id in In-Reply-To and References that our ledger knows: what was openly disclosed.
    pub threads: Vec<Disclosed>,
    /// The circles in force.
    pub circles: Arc<Vec<KnownCircle>>,
    /// Whom of [`Facts::concerned`] one mail showed to each other.
    pub shared: Vec<Shared>,
    /// Who was authenticated, where that is known beside what the message says of itself: a login or an
    /// address.
    pub identity: Option<String>,
}

/// Who may see each other by an approver's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownCircle {
    /// Its members.
    pub members: Vec<Address>,
    /// Whoever made it, as the record calls them. Disclosing takes two people: their own mail it does not
    /// exempt.
    pub made_by: String,
    /// The maker's addresses.
    #[serde(default)]
    pub makers: Vec<Address>,
}

/// One entry of the ledger of open disclosures: who could see whom in a mail that we delivered as is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disclosed {
    /// The Message-ID, without angle brackets.
    pub message_id: String,
    /// Its From.
    pub from: Option<Address>,
    /// Those that every recipient could see, and to whom a copy went.
    pub addresses: Vec<Address>,
    /// Which mail it was: transactions of one mail, each with a recipient of its own, are added up.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mail: String,
}

/// A field that shows addresses to recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // the variants are the field names
pub enum ShownIn {
    To,
    Cc,
    ResentTo,
    ResentCc,
    ReplyTo,
    MailFollowupTo,
    DispositionNotificationTo,
    /// Any other place that shows an address: outside mailboxes of a From that names several, a display
    /// name, a field that is seldom used.
    Other,
}

/// A mailbox that recipients would see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visible {
    /// The mailbox.
    pub mailbox: Mailbox,
    /// Where it stands.
    pub field: ShownIn,
    /// Ours.
    pub internal: bool,
    /// A named partner's.
    pub partner: bool,
}

/// Everything the rules may ask about one message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools)] // facts that a rule asks for one by one
pub struct Facts {
    /// From mailboxes.
    pub from: Vec<Mailbox>,
    /// Sender mailbox.
    pub sender: Option<Mailbox>,
    /// MAIL FROM.
    pub mail_from: Option<Address>,
    /// Every From (and MAIL FROM, unless null) is ours.
    pub from_is_ours: bool,
    /// Every mailbox recipients would see, each once (first place wins), From/Sender left out.
    pub visible: Vec<Visible>,
    /// The visible, counted outside addresses: no internals, no partners, plus/dot variants collapsed.
    pub external_addresses: Vec<Address>,
    /// How many outside organisations they are.
    pub external_organisations: usize,
    /// The organisation with the most of them.
    #[serde(default)]
    pub largest_organisation: Option<Largest>,
    /// Envelope recipients (all).
    pub recipients: Vec<Address>,
    /// Envelope recipients that stand in no visible field: true Bcc, expanded groups.
    pub envelope_only: Vec<Address>,
    /// Mailboxes in Bcc header fields.
    pub bcc_header: Vec<Address>,
    /// In-Reply-To or References present.
    pub reply: bool,
    /// The visible set is within what was already openly disclosed on this thread, or within a circle.
    pub circle: bool,
    /// Outsiders who see somebody in this message, or are seen: those on show, an outside author, and
    /// outside recipients in no field. Partners left out, each mailbox once.
    #[serde(skip)]
    pub concerned: Vec<Address>,
    /// How these stand to each other; `None` where they are fewer than two.
    #[serde(default)]
    pub acquaintance: Option<Acquaintance>,
    /// A report in transit (`docs/MAIL.md` §4): null sender, one recipient, nobody else outside on show, and
    /// either a multipart/report or an Auto-Submitted that says so.
    pub report: bool,
    /// Null sender and one recipient: what a report's envelope looks like.
    #[serde(default)]
    pub report_envelope: bool,
    /// Auto-Submitted other than `no` (RFC 3834 §5).
    #[serde(default)]
    pub auto_submitted: bool,
    /// An automatic forward (`docs/MAIL.md` §5) that shows nobody outside but its recipient.
    pub auto_forward: bool,
    /// Subject, decoded.
    pub subject: String,
    /// Message-ID without angle brackets.
    pub message_id: Option<String>,
    /// Ids in In-Reply-To and References.
    pub references: Vec<String>,
    /// Size in octets.
    pub size: u64,
    /// What the MIME walk found.
    pub body: BodyFacts,
    /// Outside addresses in the calendar part, each once.
    #[serde(default)]
    pub calendar_outside: Vec<Address>,
    /// The part in which the most outside addresses are written.
    #[serde(default)]
    pub written_outside: Option<WrittenOutside>,
    /// How many envelope recipients are not ours (partners included).
    #[serde(default)]
    pub outside_recipients: usize,
    /// What could not be read for certain: any entry makes the message `unparseable`.
    pub problems: Vec<String>,
    /// Who stands in a field that is shown, ours too: nobody has to be hidden from them.
    #[serde(skip)]
    pub open: HashSet<Address>,
    /// A rule that would have matched was exempted from: what is disclosed by it enters no ledger.
    #[serde(default)]
    pub exempt: bool,
    /// What is odd about the header's form and discloses nobody: said, and nothing more.
    #[serde(default)]
    pub notes: Vec<String>,
    /// All fields as decoded text, for header rules: lower-case name, text.
    #[serde(skip)]
    pub header_texts: Vec<(String, String)>,
}

/// The outside organisation with the most addresses on show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Largest {
    /// Its domain; a whole mailbox, where each is an organisation.
    pub name: String,
    /// How many.
    pub addresses: usize,
}

/// Outside addresses written in one part of the body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenOutside {
    /// Part path.
    pub path: String,
    /// How many distinct ones.
    pub count: usize,
    /// The first few of them.
    pub examples: Vec<Address>,
}

/// As many written addresses are kept as examples.
const EXAMPLES: usize = 20;

impl Facts {
    /// Nobody outside gets the message, and nobody outside is named in it where people see it.
    pub fn is_internal_only(&self) -> bool {
        self.outside_recipients == 0 && self.visible.iter().all(|visible| visible.internal)
    }

    /// Takes in what is known of the outsiders' acquaintance.
    pub fn meet(&mut self, shared: &[Shared]) {
        self.acquaintance = Acquaintance::of(self, shared);
    }

    /// The text of every field of that name (lower case), decoded.
    pub fn header_texts_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.header_texts.iter().filter(move |(field, _)| field == name).map(|(_, text)| text.as_str())
    }
}

/// What the header and envelope tell, before a byte of the body is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preface(Facts);

impl Preface {
    /// Reads header and envelope. `header` is the error text when the block could not be indexed: then
    /// nothing is known of who would see whom, and the message is unparseable.
    pub fn read(organisation: &Organisation, envelope: &Envelope, header: Result<&Header, String>) -> Self {
        Self(read::read(organisation, envelope, header))
    }

    /// The facts so far (body empty, size 0, circle false).
    pub fn facts(&self) -> &Facts {
        &self.0
    }

    /// The whole facts, once the body is walked and the knowledge is at hand. `size` is in octets.
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
        let outside = |address: &&Address| organisation.standing(address) != Standing::Internal;
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

/// Whether all outsiders on show were already openly together on one thread that we delivered
/// (`docs/MAIL.md` §5 "circle"), or are of one circle that an approver made. One mail must account for all
/// of them: a forged id gains nothing, and the sets of two mails are not added up, only those of one mail's
/// transactions.
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
            // With nobody on show there is nothing that a circle would say anything about.
            facts.visible.iter().any(|visible| !visible.internal)
                && !is_makers(circle, facts, knowledge.identity.as_deref())
                && all_within(facts, circle.members.iter())
        })
}

/// Whether the mail is of whoever made the circle: by MAIL FROM, From, Sender or authentication.
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

/// Whether all outsiders on show are among these.
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
