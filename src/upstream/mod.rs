//! The way out: one transaction in, an outcome for each recipient out.
//!
//! * [`smarthost`] one next hop over SMTP: TLS, AUTH, reuse, pipelining
//! * [`capture`] a Maildir instead of a next hop
//! * [`oauth`] access tokens, where the next hop wants them in place of a password
//! * [`router`] which way; [`group`] several that stand in for each other; [`guard`] one of several,
//!   looked after by a [`breaker`]
//! * [`mx`] the mail exchangers of each recipient's domain
//! * [`pace`] a way that keeps to rates; [`tally`] what the ways count
//! * [`rate`] how many transactions may start in a span of time

pub mod breaker;
pub mod capture;
pub mod group;
pub mod guard;
pub mod mx;
pub mod oauth;
pub mod pace;
pub mod rate;
pub mod router;
pub mod smarthost;
pub mod tally;
#[cfg(test)]
mod tests;

use crate::clock::Timestamp;
use crate::dkim::BodyHash;
use crate::message::{Address, Recipient, envelope::Ret};
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;
use tokio::io::AsyncRead;

/// One copy, rendered and ready to leave.
pub struct Transaction {
    /// MAIL FROM; `None` is the null sender.
    pub sender: Option<Address>,
    /// Its recipients.
    pub recipients: Vec<Recipient>,
    /// The rendered header block, each field ending in CRLF.
    pub header: Bytes,
    /// The body as stored: from the empty line on.
    pub body: Content,
    /// The copy needs SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// The content has octets over 127 (declare BODY=8BITMIME, RFC 6152).
    pub eight_bit: bool,
    /// RET=.
    pub ret: Option<Ret>,
    /// ENVID=, xtext.
    pub envid: Option<String>,
    /// Signs the copy anew, should its body have to be re-encoded on the way out.
    pub reseal: Option<Arc<dyn Reseal>>,
}

/// Signs a copy whose body was re-encoded, for its signatures went with the octets they covered.
#[async_trait]
pub trait Reseal: Send + Sync {
    /// This header with our signature over this body in front of it, where the copy is to have one. The
    /// error is a sentence for the queue.
    async fn reseal(&self, header: Bytes, body: BodyHash) -> Result<Bytes, String>;
}

/// The bytes of a body, small ones in memory.
pub enum Content {
    /// All of it.
    Inline(Bytes),
    /// A stream with its size in octets.
    Stream(Box<dyn AsyncRead + Send + Unpin>, u64),
    /// It was begun to be sent: it cannot be sent another way.
    Spent,
}

impl Transaction {
    /// Nothing of the content was sent yet: another way may be tried.
    pub fn is_whole(&self) -> bool {
        !matches!(self.body, Content::Spent)
    }
}

/// How one transaction ended, recipient by recipient (same order as given).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// One for each recipient of the transaction.
    pub recipients: Vec<Fate>,
    /// The next hop could not be reached or used at all (connect, banner, EHLO, TLS, AUTH, a lost
    /// connection): what the circuit breaker counts. A refusal of this one mail is none.
    pub unreachable: bool,
    /// The next hop took our wishes about reports (RFC 3461): what was delivered is its to report.
    pub reports: bool,
}

impl Outcome {
    /// The same fate for every recipient, over a connection that works.
    pub fn all(recipients: usize, fate: &Fate) -> Self {
        Self { recipients: vec![fate.clone(); recipients], unreachable: false, reports: false }
    }

    /// Nobody was served, for the next hop is not there: every recipient `Deferred`.
    pub fn unreachable(recipients: usize, why: impl Into<String>) -> Self {
        Self { recipients: vec![Fate::Deferred(why.into()); recipients], unreachable: true, reports: false }
    }
}

impl Outcome {
    /// What went wrong first.
    pub fn reason(&self) -> Option<&str> {
        self.recipients.iter().find_map(|fate| match fate {
            Fate::Deferred(why) | Fate::Uncertain(why) => Some(why.as_str()),
            _ => None,
        })
    }
}

/// What became of one recipient in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The upstream took it: its answer to the final dot.
    Delivered(String),
    /// Not now: 4xx, no connection, a time-out before the final dot. The reply or the reason.
    Deferred(String),
    /// Never: 5xx.
    Failed(String),
    /// The connection was lost after the final dot and before the answer.
    Uncertain(String),
    /// Not tried in this transaction (452 too many recipients; RFC 5321 §4.5.3.1.10): try the rest at
    /// once in another.
    NotTried(String),
    /// Not tried, and of no use before that moment: the way out keeps to a rate, or is down. No attempt
    /// is counted.
    Postponed(String, Timestamp),
}

impl Fate {
    /// Nothing was sent, and nothing was refused.
    pub fn is_untried(&self) -> bool {
        matches!(self, Self::NotTried(_) | Self::Postponed(..))
    }
}

/// A way out.
#[async_trait]
pub trait Upstream: Send + Sync + 'static {
    /// A name for logs and metrics, such as `smtp.example.net:587`.
    fn name(&self) -> &str;

    /// Sends one transaction. `last_look` is called just before the final dot: when it says no (the
    /// lease is gone), the transaction is broken off and every recipient is `Deferred`. A transaction
    /// none of whose content was sent is left whole.
    async fn send(
        &self,
        transaction: &mut Transaction,
        last_look: Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Outcome;

    /// Connects, greets, secures and authenticates, then leaves: for `check --connect`.
    async fn probe(&self) -> Result<String, String>;

    /// Takes leave of the next hop: idle connections are closed. Nothing is sent afterwards.
    async fn close(&self) {}
}
