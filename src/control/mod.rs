//! How commands talk to a running relay: requests and answers as JSON, one per line, over a Unix socket
//! beside the database.
//!
//! * [`execute`] executes requests, in the relay or, if none is running, in the command itself
//! * [`server`] the relay's side; it checks the user of the peer, and the socket has mode 0600
//! * [`client`] the command's side

pub mod client;
pub mod execute;
pub mod server;

use crate::clock::Timestamp;
use crate::desk::HeldDetail;
use crate::desk::circles::CircleWish;
use crate::desk::learning::ArchiveRead;
use crate::desk::report::Numbers;
use crate::desk::wish::{How, Released};
use crate::id::Id;
use crate::journal::Entry;
use crate::message::Address;
use crate::policy::facts::{Disclosed, KnownCircle};
use crate::policy::learned::{Learned, Shared};
use crate::policy::verdict::RuleOutcome;
use crate::store::absences::Absence;
use crate::store::chain::{Head, Verified};
use crate::store::circles::{Circle, CircleId};
use crate::store::{HeldRow, HeldState, MessageRow, QueueChange, QueueFilter, QueueRow};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A request of a command.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum Request {
    /// Lists held messages.
    Held {
        /// Only those in this state.
        state: Option<HeldState>,
        /// Most messages to return.
        limit: Option<usize>,
    },
    /// Shows one held message.
    ShowHeld {
        /// The message.
        id: Id,
    },
    /// Releases a held message.
    Release {
        /// The message.
        id: Id,
        /// In which form to send it.
        how: How,
        /// Recipients to remove.
        drop: Vec<Address>,
    },
    /// Returns a held message to its sender.
    Return {
        /// The message.
        id: Id,
        /// The reason, for the sender.
        reason: String,
    },
    /// Lists deliveries.
    Queue {
        /// Which deliveries.
        filter: QueueFilter,
    },
    /// Changes deliveries.
    Change {
        /// Which deliveries.
        filter: QueueFilter,
        /// The change.
        change: QueueChange,
    },
    /// Finds messages and returns everything about them.
    Trace {
        /// Our id, a Message-ID, an address or words of the subject.
        text: String,
        /// Most messages to return.
        limit: usize,
    },
    /// Returns the numbers for a report.
    Report {
        /// Start of the period.
        since: Timestamp,
        /// By how many milliseconds a day begins earlier than in UTC.
        offset: i64,
    },
    /// Creates an API token.
    AddToken {
        /// The name.
        name: String,
        /// The scopes.
        scopes: Vec<String>,
        /// When it expires; `None` is never.
        expires: Option<Timestamp>,
    },
    /// Lists the API tokens.
    Tokens,
    /// Removes an API token.
    RemoveToken {
        /// Its name.
        name: String,
    },
    /// Lists the circles.
    Circles,
    /// Creates a circle.
    MakeCircle {
        /// The circle.
        wish: CircleWish,
    },
    /// Lists absences and deputies.
    Absences,
    /// An approver is away until a day.
    Away {
        /// Who.
        approver: Address,
        /// The deputy.
        deputy: Address,
        /// The last day, `YYYY-MM-DD`.
        until: String,
    },
    /// An approver is back.
    Back {
        /// Who.
        approver: Address,
    },
    /// Ends a circle.
    EndCircle {
        /// Its number.
        id: CircleId,
    },
    /// Returns what is known about the people of a message: earlier disclosures and circles.
    Knowledge {
        /// The message ids in In-Reply-To and References.
        references: Vec<String>,
        /// Outside addresses that would see each other.
        #[serde(default)]
        concerned: Vec<Address>,
    },
    /// Asks whether archives may be learned from, and since when the relay has recorded what it sends.
    MayLearn,
    /// Learns who wrote with whom from mails of an archive.
    Learn {
        /// The mails.
        mails: Vec<Met>,
    },
    /// Records that an archive was read to its end.
    ArchiveRead {
        /// The result.
        read: ArchiveRead,
    },
    /// Removes an address from everything that was learned.
    Forget {
        /// The address.
        address: Address,
    },
    /// Asks whether budgets have room for copies to these recipients.
    Room {
        /// MAIL FROM.
        sender: Option<Address>,
        /// All recipients of copies.
        recipients: Vec<Address>,
    },
    /// Verifies the chain of the journal.
    Verify {
        /// An earlier head to compare with.
        head: Option<Head>,
    },
    /// Returns journal entries.
    Journal {
        /// Messages received since then.
        since: Timestamp,
        /// Messages after this one.
        after: Option<Id>,
        /// Most messages to return.
        limit: usize,
    },
    /// Asks whether a relay answers.
    Ping,
}

/// The answer to a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "answer", content = "value")]
pub enum Answer {
    /// Held messages.
    Held(Vec<HeldRow>),
    /// One held message.
    HeldDetail(Box<HeldDetail>),
    /// The result of a release.
    Released(Released),
    /// The message was returned to its sender.
    Returned(Id),
    /// Deliveries.
    Queue(Vec<QueueRow>),
    /// The number of deliveries changed.
    Changed(usize),
    /// The messages found.
    Traces(Vec<Trace>),
    /// The numbers for a report.
    Report(Box<Numbers>),
    /// A new API token, with its secret.
    Token(String),
    /// The API tokens.
    Tokens(Vec<TokenView>),
    /// Whether a token of that name existed.
    TokenRemoved(bool),
    /// Circles.
    Circles(Vec<Circle>),
    /// The number of the new circle.
    Made(CircleId),
    /// The circle was ended.
    Ended(CircleId),
    /// The absences.
    Absences(Vec<Absence>),
    /// Whether an absence was stored, or existed and was ended.
    Absent(bool),
    /// What is known.
    Knowledge {
        /// Earlier messages of the thread, with the addresses they disclosed.
        threads: Vec<Disclosed>,
        /// The circles in force.
        circles: Vec<KnownCircle>,
        /// Earlier occasions on which the outside addresses saw each other.
        #[serde(default)]
        shared: Vec<Shared>,
    },
    /// Since when the relay has recorded what it sends.
    LearnBefore(Timestamp),
    /// The result of learning from mails.
    Taught {
        /// The number of new mails.
        learned: usize,
        /// The number of mails already known.
        known: usize,
    },
    /// The event was recorded.
    Noted,
    /// From how many sets of people the address was removed.
    Forgotten(usize),
    /// The rule that would hold these copies because a budget is used up; `None` if there is room.
    Room(Option<RuleOutcome>),
    /// The result of verifying the chain.
    Verified(Verified),
    /// Journal entries.
    Journal {
        /// The entries.
        entries: Vec<Entry>,
        /// The last message they are of; `None` if there are no more.
        last: Option<Id>,
    },
    /// The relay's version.
    Pong(String),
    /// The request was refused or failed, and why.
    Refused(String),
}

/// Outside addresses that saw each other in one mail of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Met {
    /// The mail's Message-ID, without angle brackets.
    pub message_id: Option<String>,
    /// When it was written.
    pub date: Timestamp,
    /// The addresses.
    pub people: Vec<Address>,
}

impl Met {
    /// Converts it for a request.
    pub fn of(learned: &Learned) -> Self {
        Self {
            message_id: learned.message_id().map(str::to_owned),
            date: learned.date(),
            people: learned.people().to_vec(),
        }
    }
}

/// An API token without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenView {
    /// Its name.
    pub name: String,
    /// Its scopes.
    pub scopes: Vec<String>,
    /// Who created it.
    pub made_by: String,
    /// When it was created.
    pub made: Timestamp,
    /// When it was last used.
    pub used: Option<Timestamp>,
    /// When it expires; `None` is never.
    pub expires: Option<Timestamp>,
}

/// Everything about one message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trace {
    /// The message.
    pub message: MessageRow,
    /// In observe mode, the action that enforce mode would have taken.
    #[serde(default)]
    pub would: Option<String>,
    /// The hold, if it was ever held.
    pub held: Option<HeldRow>,
    /// Its deliveries.
    pub deliveries: Vec<QueueRow>,
    /// What happened to it, oldest first.
    pub events: Vec<Entry>,
}

/// The path of the control socket of the relay with this database.
pub fn socket_path(database: &Path) -> PathBuf {
    let mut path = OsString::from(database);
    path.push(".sock");
    PathBuf::from(path)
}

/// The name of an operating system user for records, or `uid NUMBER` if `/etc/passwd` does not have it.
pub fn user_name(uid: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        (number == uid).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("uid {uid}"))
}

/// The user id of this process.
pub fn own_uid() -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").ok().map(|meta| meta.uid())
}
