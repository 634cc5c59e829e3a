//! Upstreams: where copies are sent. Each takes one transaction and returns an outcome for each recipient.
//!
//! * [`smarthost`] one next hop over SMTP: TLS, AUTH, connection reuse, pipelining
//! * [`mx`] the mail exchangers of each recipient's domain
//! * [`capture`] a Maildir instead of a next hop
//! * [`router`] chooses the upstream by domain; [`group`] load balancing and fail-over; [`guard`] circuit
//!   breaker ([`breaker`]) and connection limit of one upstream
//! * [`pace`] keeps an upstream to rates; [`rate`] the rates
//! * [`oauth`] access tokens for next hops that want them in place of a password
//! * [`tally`] metrics

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
use tokio::io::AsyncBufRead;

/// One copy, rendered and ready to be sent.
pub struct Transaction {
    /// MAIL FROM; `None` is the null sender.
    pub sender: Option<Address>,
    /// Its recipients.
    pub recipients: Vec<Recipient>,
    /// The rendered header block, each field ending in CRLF.
    pub header: Bytes,
    /// The body as stored, beginning with the empty line after the header.
    pub body: Content,
    /// Whether the copy needs SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// Whether the content has octets over 127 and needs BODY=8BITMIME (RFC 6152).
    pub eight_bit: bool,
    /// `RET=` (RFC 3461 §4.3).
    pub ret: Option<Ret>,
    /// `ENVID=`, encoded as xtext (RFC 3461 §4.4).
    pub envid: Option<String>,
    /// Signs the copy again if its body must be re-encoded for the next hop.
    pub reseal: Option<Arc<dyn Reseal>>,
}

/// Signs a copy again after its body was re-encoded, which invalidates the earlier signatures.
#[async_trait]
pub trait Reseal: Send + Sync {
    /// Returns the header with our signature over this body added, if the copy is to be signed.
    ///
    /// # Errors
    /// Signing failed. The error is a text for the queue.
    async fn reseal(&self, header: Bytes, body: BodyHash) -> Result<Bytes, String>;
}

/// The body of a copy.
pub enum Content {
    /// In memory.
    Inline(Bytes),
    /// A stream.
    Stream {
        /// Its octets.
        stream: Box<dyn AsyncBufRead + Send + Unpin>,
        /// Their number.
        size: u64,
        /// The same as a file, if it is known that each line ends in CRLF and none begins with a dot.
        file: Option<std::fs::File>,
    },
    /// Sending it has begun, so it cannot be sent again.
    Spent,
}

impl Transaction {
    /// Whether no content has been sent yet, so that another upstream may be tried.
    pub fn is_whole(&self) -> bool {
        !matches!(self.body, Content::Spent)
    }
}

/// The result of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The fate of each recipient, in the order of the transaction.
    pub recipients: Vec<Fate>,
    /// Whether the next hop could not be used at all (connect, banner, EHLO, TLS, AUTH, a lost connection).
    /// The circuit breaker counts these. A refusal of this particular message does not count.
    pub unreachable: bool,
    /// Whether the next hop supports DSN (RFC 3461) and will report successful delivery itself.
    pub reports: bool,
}

impl Outcome {
    /// The same fate for every recipient; the next hop was usable.
    pub fn all(recipients: usize, fate: &Fate) -> Self {
        Self { recipients: vec![fate.clone(); recipients], unreachable: false, reports: false }
    }

    /// Every recipient is `Deferred`, because the next hop could not be used.
    pub fn unreachable(recipients: usize, why: impl Into<String>) -> Self {
        Self { recipients: vec![Fate::Deferred(why.into()); recipients], unreachable: true, reports: false }
    }
}

impl Outcome {
    /// The reason of the first deferred or uncertain recipient.
    pub fn reason(&self) -> Option<&str> {
        self.recipients.iter().find_map(|fate| match fate {
            Fate::Deferred(why) | Fate::Uncertain(why) => Some(why.as_str()),
            _ => None,
        })
    }
}

/// The result of a transaction for one recipient. The text is the reply or the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The upstream accepted the copy; the text is its reply to the final dot.
    Delivered(String),
    /// Temporary failure: 4xx, no connection, or a timeout before the final dot.
    Deferred(String),
    /// Permanent failure: 5xx.
    Failed(String),
    /// The connection was lost between the final dot and its reply.
    Uncertain(String),
    /// Not tried in this transaction, for example because of 452 too many recipients (RFC 5321
    /// §4.5.3.1.10). To be sent at once in another transaction.
    NotTried(String),
    /// Not tried, and not to be tried before this time: the upstream has reached a rate or connection
    /// limit, or is suspended. It does not count as an attempt.
    Postponed(String, Timestamp),
}

impl Fate {
    /// Whether the recipient was not tried.
    pub fn is_untried(&self) -> bool {
        matches!(self, Self::NotTried(_) | Self::Postponed(..))
    }
}

/// Somewhere to send copies.
#[async_trait]
pub trait Upstream: Send + Sync + 'static {
    /// A name for logs and metrics, such as `smtp.example.net:587`.
    fn name(&self) -> &str;

    /// Sends one transaction. `last_look` is called just before the final dot. If it returns false (the
    /// lease was lost, or the relay drains), the transaction is aborted and every recipient is `Deferred`.
    /// The body is left in the transaction unless sending it has begun.
    async fn send(
        &self,
        transaction: &mut Transaction,
        last_look: Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Outcome;

    /// Connects, does EHLO, TLS and AUTH, then quits; for `check --connect`. Returns a text for the
    /// administrator.
    ///
    /// # Errors
    /// The upstream cannot be used. The error is a text for the administrator.
    async fn probe(&self) -> Result<String, String>;

    /// Closes idle connections. Nothing is sent afterwards.
    async fn close(&self) {}
}
