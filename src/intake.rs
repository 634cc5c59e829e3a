//! The one doorway: decide, plan, persist in one transaction, then answer. Our own notices too.
//!
//! A session begins a [`Reception`], writes the content as it arrives, and finishes it at the final
//! dot. Nothing is answered with 250 before the store has everything on disk. Whatever goes wrong on
//! the way to a verdict ends in an answer that keeps the message with the client, or in a hold.

mod accept;
mod budget;
pub mod copies;
mod forks;
mod held;
pub mod openings;
mod reception;

pub use accept::{Intake, Settings};

use crate::id::Id;
use crate::message::{Address, Envelope};
use crate::store::{Body, Origin};
use bytes::Bytes;

/// What the client is told after the final dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `250 2.0.0 queued as ID`
    Queued(Id),
    /// `250 2.0.0 held as ID: REASON` (first 100 ASCII characters of it are enough to understand)
    Held(Id, String),
    /// `250 2.0.0 noted as ID`: a copy for the journal; what it teaches is on disk, the rest is gone.
    Noted(Id),
    /// `550 5.7.1 …`: a rule rejects it; nothing is stored.
    Rejected(String),
    /// `554 5.4.6`: a loop.
    Loop(String),
    /// `552 5.3.4`: the header block is over its limit.
    TooLarge(String),
    /// `554 5.6.0`: MIME over the limits.
    Mime(String),
    /// `452 4.3.1`: no room.
    Full,
    /// `451 4.3.0`: the store is away.
    Unavailable,
}

/// The doorway as a session sees it; a fake stands in for it in the listener's own tests.
#[async_trait::async_trait]
pub trait Doorway: Send + Sync + 'static {
    /// A transaction's content begins (after DATA, before the 354). An answer instead of a reception
    /// is what the client gets in place of the 354.
    async fn begin(&self, origin: Origin, envelope: Envelope) -> Result<Box<dyn Reception>, Answer>;

    /// The same for a copy that a mail host sent to the journal: it is learned from, and goes nowhere.
    async fn copied(&self, _origin: Origin) -> Result<Box<dyn Reception>, Answer> {
        Err(Answer::Unavailable)
    }
}

/// One message's content on its way in.
#[async_trait::async_trait]
pub trait Reception: Send {
    /// Takes the next octets of the content: dots unstuffed, line ends CRLF, no bare CR, LF or NUL,
    /// without the final dot. After an answer nothing more is written; the session reads on to the
    /// final dot and gives it then. Dropping a reception undoes everything.
    async fn write(&mut self, content: Bytes) -> Result<(), Answer>;
    /// The final dot came: decide, plan, persist; what the client is told.
    async fn finish(self: Box<Self>) -> Answer;
}

/// Mail of our own making: null sender, no rules, no notice about it.
pub struct OwnMail {
    /// The message it is about.
    pub about: Option<Id>,
    /// Who gets it.
    pub to: Vec<Address>,
    /// The whole message: header (with From, To, Date, Message-ID, Auto-Submitted), empty line, body; CRLF.
    pub message: Bytes,
    /// The notice row it answers: marked as sent in the same transaction.
    pub answers: Option<i64>,
    /// A mail that goes along, behind all of `message`.
    pub enclosed: Option<Enclosed>,
}

/// A mail that goes along in one of ours. Its body is streamed, however large it is.
pub struct Enclosed {
    /// Its header, up to the empty line.
    pub header: Bytes,
    /// Its body, from the empty line on.
    pub body: Body,
    /// What ends the parts behind it.
    pub closing: Bytes,
    /// It has octets beyond ASCII.
    pub eight_bit: bool,
}
