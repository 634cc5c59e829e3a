//! The one way in: decide, plan, commit in one transaction, then answer. The relay's own notices use it too.
//!
//! A session begins a [`Reception`], writes the content as it arrives, and finishes it at the final dot. 250
//! is never answered before everything is on disk in the store. An error before the verdict leads to an
//! answer that keeps the message with the client, or to a hold.

mod accept;
mod budget;
pub mod copies;
mod forks;
mod held;
pub mod openings;
mod own;
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
    /// `250 2.0.0 held as ID: REASON` (the first 100 ASCII characters must be understandable)
    Held(Id, String),
    /// `250 2.0.0 noted as ID`: a copy for the journal. What was learned is on disk; the rest is discarded.
    Noted(Id),
    /// `550 5.7.1 …`: a rule rejects the message; nothing is stored.
    Rejected(String),
    /// `554 5.4.6`: a loop.
    Loop(String),
    /// `552 5.3.4`: the header block is over its limit.
    TooLarge(String),
    /// `554 5.6.0`: MIME over the limits.
    Mime(String),
    /// `452 4.3.1`: the store is full.
    Full,
    /// `451 4.3.0`: the store is not available.
    Unavailable,
}

/// The intake as sessions see it. The listener's tests use a fake.
#[async_trait::async_trait]
pub trait Doorway: Send + Sync + 'static {
    /// Begins the content of a transaction (after DATA, before 354). An `Err` is sent instead of the 354.
    async fn begin(&self, origin: Origin, envelope: Envelope) -> Result<Box<dyn Reception>, Answer>;

    /// The same for a journal copy from a mail host: it is learned from and discarded.
    async fn copied(&self, _origin: Origin) -> Result<Box<dyn Reception>, Answer> {
        Err(Answer::Unavailable)
    }
}

/// The content of one message while it is received.
#[async_trait::async_trait]
pub trait Reception: Send {
    /// Takes the next octets of the content: dots unstuffed, CRLF line ends, no bare CR, LF or NUL, without
    /// the final dot. After an `Err` nothing more is written; the session reads on to the final dot and then
    /// sends that answer. Dropping a reception discards everything.
    async fn write(&mut self, content: Bytes) -> Result<(), Answer>;
    /// The final dot has come: decides, plans and commits; returns the answer to the client.
    async fn finish(self: Box<Self>) -> Answer;
}

/// Mail of our own: null sender, no rules, no notice about it.
pub struct OwnMail {
    /// The message it is about.
    pub about: Option<Id>,
    /// Who gets it.
    pub to: Vec<Address>,
    /// The whole message: header (with From, To, Date, Message-ID, Auto-Submitted), empty line, body; CRLF.
    pub message: Bytes,
    /// The notice row that it answers; the row is marked as sent in the same transaction.
    pub answers: Option<i64>,
    /// An enclosed mail, appended to `message`.
    pub enclosed: Option<Enclosed>,
}

/// A mail that is enclosed in one of ours. Its body is streamed, whatever its size.
pub struct Enclosed {
    /// Its header, up to the empty line.
    pub header: Bytes,
    /// Its body, from the empty line on.
    pub body: Body,
    /// What follows it: the end of the MIME parts.
    pub closing: Bytes,
    /// It has 8-bit octets.
    pub eight_bit: bool,
}
