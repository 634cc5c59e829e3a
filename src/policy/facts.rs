//! The facts of one message: what rules ask about, counted as `MAIL_RULES` §4 says.

use super::Organisation;
use crate::message::{Address, BodyFacts, Envelope, Header, Mailbox};
use serde::{Deserialize, Serialize};

/// What the store knows that bears on one message: a snapshot, taken before the verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Knowledge {
    /// For each id in In-Reply-To and References that our ledger knows: what was openly disclosed.
    pub threads: Vec<Disclosed>,
}

/// One entry of the ledger of open disclosures: who could see whom in a mail that we delivered as is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disclosed {
    /// The Message-ID, without angle brackets.
    pub message_id: String,
    /// Its From.
    pub from: Option<Address>,
    /// The addresses that every recipient could see.
    pub addresses: Vec<Address>,
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
    /// Any other header field that holds a recipient's address.
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
    /// Envelope recipients (all).
    pub recipients: Vec<Address>,
    /// Envelope recipients that stand in no visible field: true Bcc, expanded groups.
    pub envelope_only: Vec<Address>,
    /// Mailboxes in Bcc header fields.
    pub bcc_header: Vec<Address>,
    /// In-Reply-To or References present.
    pub reply: bool,
    /// The visible set is within what was already openly disclosed on this thread.
    pub circle: bool,
    /// A report in transit (`MAIL_RULES` §3).
    pub report: bool,
    /// An automatic forward (`MAIL_RULES` §4).
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
    /// What could not be read for certain: any entry makes the message `unparseable`.
    pub problems: Vec<String>,
    /// All fields as decoded text, for header rules: lower-case name, text.
    #[serde(skip)]
    pub header_texts: Vec<(String, String)>,
}

/// What the header and envelope tell, before a byte of the body is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preface(Facts);

impl Preface {
    /// Reads header and envelope. `header` is the error text when the block could not be indexed.
    pub fn read(organisation: &Organisation, envelope: &Envelope, header: Result<&Header, String>) -> Self {
        let _ = (organisation, envelope, header);
        todo!()
    }

    /// The facts so far (body empty, size 0, circle false).
    pub fn facts(&self) -> &Facts {
        &self.0
    }

    /// The whole facts, once the body is walked and the knowledge is at hand.
    pub fn complete(
        self,
        body: BodyFacts,
        size: u64,
        knowledge: &Knowledge,
        organisation: &Organisation,
    ) -> Facts {
        let _ = (body, size, knowledge, organisation);
        todo!()
    }
}
