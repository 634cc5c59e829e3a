//! The command line's way to a running relay: requests and answers, one JSON line each, over a Unix
//! socket beside the store.
//!
//! * [`execute`] does what a request asks, in the relay or, while none runs, in the command itself
//! * [`server`] the relay's side: socket mode 0600, the peer's credentials checked
//! * [`client`] the command's side

pub mod client;
pub mod execute;
pub mod server;

use crate::clock::Timestamp;
use crate::desk::HeldDetail;
use crate::desk::circles::CircleWish;
use crate::desk::decide::{How, Released};
use crate::desk::learning::ArchiveRead;
use crate::desk::report::Numbers;
use crate::id::Id;
use crate::journal::Entry;
use crate::message::Address;
use crate::policy::facts::{Disclosed, KnownCircle};
use crate::policy::learned::{Learned, Shared};
use crate::policy::verdict::RuleOutcome;
use crate::store::absences::Absence;
use crate::store::chain::{Head, Verified};
use crate::store::circles::Circle;
use crate::store::{HeldRow, HeldState, MessageRow, QueueChange, QueueFilter, QueueRow};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What a command may ask.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum Request {
    /// Held messages.
    Held {
        /// Only in this state.
        state: Option<HeldState>,
        /// At most so many.
        limit: Option<usize>,
    },
    /// One held message.
    ShowHeld {
        /// Which.
        id: Id,
    },
    /// Releases a held message.
    Release {
        /// Which.
        id: Id,
        /// How.
        how: How,
        /// Recipients taken off.
        drop: Vec<Address>,
    },
    /// Gives a held message back.
    Return {
        /// Which.
        id: Id,
        /// Why, for the sender.
        reason: String,
    },
    /// Deliveries.
    Queue {
        /// Which.
        filter: QueueFilter,
    },
    /// Changes deliveries.
    Change {
        /// Which.
        filter: QueueFilter,
        /// How.
        change: QueueChange,
    },
    /// Everything about one message.
    Trace {
        /// Our id, a Message-ID, an address or words of the subject.
        text: String,
        /// At most so many messages.
        limit: usize,
    },
    /// Numbers.
    Report {
        /// Since when.
        since: Timestamp,
        /// By how many milliseconds days begin before those of UTC.
        offset: i64,
    },
    /// Makes a token of the API.
    AddToken {
        /// Its name.
        name: String,
        /// What it is good for.
        scopes: Vec<String>,
        /// When it ends.
        expires: Option<Timestamp>,
    },
    /// All tokens of the API.
    Tokens,
    /// Takes a token of the API away.
    RemoveToken {
        /// Which.
        name: String,
    },
    /// Circles.
    Circles,
    /// Makes a circle.
    MakeCircle {
        /// As it is wished for.
        wish: CircleWish,
    },
    /// Who is away, and who stands in.
    Absences,
    /// An approver is away until a day.
    Away {
        /// Who.
        approver: Address,
        /// Who decides meanwhile.
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
        id: i64,
    },
    /// What is known that bears on a message with these ids in In-Reply-To and References.
    Knowledge {
        /// The ids.
        references: Vec<String>,
        /// Outsiders who would see each other.
        #[serde(default)]
        concerned: Vec<Address>,
    },
    /// Whether who wrote with whom may be learned, and since when the relay knows what leaves by itself.
    MayLearn,
    /// Keeps what mails of an archive teach.
    Learn {
        /// The mails.
        mails: Vec<Met>,
    },
    /// An archive was read to its end.
    ArchiveRead {
        /// What it came to.
        read: ArchiveRead,
    },
    /// Takes somebody out of all that was learned.
    Forget {
        /// Whom.
        address: Address,
    },
    /// Whether budgets have room for copies to these recipients.
    Room {
        /// MAIL FROM.
        sender: Option<Address>,
        /// Everybody a copy goes to.
        recipients: Vec<Address>,
    },
    /// Checks the journal's chain.
    Verify {
        /// A head that was put out earlier, to compare with.
        head: Option<Head>,
    },
    /// Journal entries of messages received since a moment.
    Journal {
        /// The moment.
        since: Timestamp,
        /// Only after this message.
        after: Option<Id>,
        /// Of at most so many messages.
        limit: usize,
    },
    /// Whether a relay answers.
    Ping,
}

/// What it is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "answer", content = "value")]
pub enum Answer {
    /// Held messages.
    Held(Vec<HeldRow>),
    /// One held message.
    HeldDetail(Box<HeldDetail>),
    /// What a release did.
    Released(Released),
    /// It went back.
    Returned(Id),
    /// Deliveries.
    Queue(Vec<QueueRow>),
    /// How many were changed.
    Changed(usize),
    /// Traces.
    Traces(Vec<Trace>),
    /// Numbers.
    Report(Box<Numbers>),
    /// A new token: what programs show.
    Token(String),
    /// All tokens.
    Tokens(Vec<TokenView>),
    /// Whether there was such a token.
    TokenRemoved(bool),
    /// Circles.
    Circles(Vec<Circle>),
    /// A circle was made: its number.
    Made(i64),
    /// A circle was ended.
    Ended(i64),
    /// Who is away.
    Absences(Vec<Absence>),
    /// An absence was put down; or one was ended, where there was one.
    Absent(bool),
    /// What is known.
    Knowledge {
        /// What was openly disclosed before.
        threads: Vec<Disclosed>,
        /// The circles in force.
        circles: Vec<KnownCircle>,
        /// What brought the outsiders together.
        #[serde(default)]
        shared: Vec<Shared>,
    },
    /// Since when the relay knows what leaves by itself.
    LearnBefore(Timestamp),
    /// What became of mails that were to be learned from.
    Taught {
        /// Mails that were new.
        learned: usize,
        /// Mails that were known.
        known: usize,
    },
    /// It is on record.
    Noted,
    /// Somebody was taken out of so many sets of people.
    Forgotten(usize),
    /// The rule that would hold these copies for a budget; nothing where there is room.
    Room(Option<RuleOutcome>),
    /// What a look at the chain found.
    Verified(Verified),
    /// Journal entries, and the last message they are of.
    Journal {
        /// The entries.
        entries: Vec<Entry>,
        /// The last message looked at; nothing when there are no more.
        last: Option<Id>,
    },
    /// The relay is there: its version.
    Pong(String),
    /// It was not done: why.
    Refused(String),
}

/// Outsiders whom one mail of an archive showed to each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Met {
    /// The mail's Message-ID, without angle brackets.
    pub message_id: Option<String>,
    /// When it was written.
    pub date: Timestamp,
    /// Who they are.
    pub people: Vec<Address>,
}

impl Met {
    /// As it travels to the relay.
    pub fn of(learned: &Learned) -> Self {
        Self {
            message_id: learned.message_id().map(str::to_owned),
            date: learned.date(),
            people: learned.people().to_vec(),
        }
    }
}

/// A token of the API, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenView {
    /// Its name.
    pub name: String,
    /// What it is good for.
    pub scopes: Vec<String>,
    /// Who made it.
    pub made_by: String,
    /// When.
    pub made: Timestamp,
    /// When it was last shown.
    pub used: Option<Timestamp>,
    /// When it ends.
    pub expires: Option<Timestamp>,
}

/// Everything about one message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trace {
    /// Its line.
    pub message: MessageRow,
    /// In observe mode: what would have been done, beside what was.
    #[serde(default)]
    pub would: Option<String>,
    /// The hold, if it was ever held.
    pub held: Option<HeldRow>,
    /// Its copies.
    pub deliveries: Vec<QueueRow>,
    /// What happened to it, oldest first.
    pub events: Vec<Entry>,
}

/// Where the socket of the relay over this database is.
pub fn socket_path(database: &Path) -> PathBuf {
    let mut path = OsString::from(database);
    path.push(".sock");
    PathBuf::from(path)
}

/// The name of an operating system's user, for the record: from the user database, else the number.
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

/// The user this process runs as.
pub fn own_uid() -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").ok().map(|meta| meta.uid())
}
