//! One connection to the next hop: octets out, replies in, every wait bounded.

use super::capabilities::Capabilities;
use super::sessions::Open;
use super::tls::Tls;
use crate::smtp::{BadReply, Reply, ReplyReader};
use crate::upstream::tally::Trouble;
use bytes::{Buf, BytesMut};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

/// Why a connection is of no more use.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// Nothing came, or went, in time.
    #[error("4.4.1 no answer within {0:?} {1}")]
    Timeout(Duration, &'static str),
    /// The other side closed.
    #[error("4.4.2 the connection was closed {0}")]
    Closed(&'static str),
    /// The network failed.
    #[error("4.4.2 the connection was lost {1}: {0}")]
    Io(io::Error, &'static str),
    /// The other side speaks something else.
    #[error("4.5.0 {0} {1}")]
    Bad(BadReply, &'static str),
    /// A reply that makes no sense at this point.
    #[error("4.5.0 an answer that makes no sense {1}: {0}")]
    Unexpected(Reply, &'static str),
    /// A refusal of the whole connection.
    #[error("{0} ({1})")]
    Refused(Reply, &'static str),
    /// TLS was begun and not agreed on.
    #[error("4.7.5 TLS could not be agreed on: {0}")]
    Tls(io::Error),
    /// Nothing is wrong with the next hop: we broke off ourselves.
    #[error("{0}")]
    Local(String),
    /// We will not go on with it.
    #[error("{1}")]
    Unfit(Trouble, String),
}

impl Broken {
    /// What it counts as.
    pub(super) fn trouble(&self) -> Trouble {
        match self {
            Self::Tls(_) => Trouble::Unverified,
            Self::Unfit(trouble, _) => *trouble,
            Self::Refused(_, super::auth::STAGE) => Trouble::Auth,
            Self::Refused(..) => Trouble::Refused,
            _ => Trouble::Connection,
        }
    }
}

/// In the clear, or not.
enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    async fn write_all(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(octets).await,
            Self::Tls(stream) => {
                stream.write_all(octets).await?;
                stream.flush().await
            }
        }
    }

    async fn read_buf(&mut self, input: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read_buf(input).await,
            Self::Tls(stream) => stream.read_buf(input).await,
        }
    }
}

/// Octets in and out, with the replies that wait to be read.
pub(super) struct Line {
    wire: Wire,
    input: BytesMut,
    replies: ReplyReader,
}

impl Line {
    /// In the clear.
    pub(super) fn plain(stream: TcpStream) -> Self {
        Self::over(Wire::Plain(stream))
    }

    fn over(wire: Wire) -> Self {
        Self { wire, input: BytesMut::new(), replies: ReplyReader::new() }
    }

    /// Shakes hands; also says whether the certificate is one we trust for this host. What was read
    /// in the clear and not used is a reason to stop (RFC 3207 §6: an injection).
    pub(super) async fn secure(self, tls: &Tls, limit: Duration) -> Result<(Self, bool), Broken> {
        if self.has_unread() {
            return Err(Broken::Unfit(
                Trouble::Unverified,
                "4.7.0 the upstream sent more behind its answer to STARTTLS".to_owned(),
            ));
        }
        let Wire::Plain(stream) = self.wire else {
            return Err(Broken::Unfit(Trouble::Unverified, "4.7.0 STARTTLS inside TLS".to_owned()));
        };
        match timeout(limit, tls.secure(stream)).await {
            Ok(Ok((stream, verified))) => Ok((Self::over(Wire::Tls(Box::new(stream))), verified)),
            Ok(Err(error)) => Err(Broken::Tls(error)),
            Err(_) => Err(Broken::Timeout(limit, "during the TLS handshake")),
        }
    }

    /// Writes all of it; `stage` says where we are, for the error.
    pub(super) async fn write(
        &mut self,
        octets: &[u8],
        limit: Duration,
        stage: &'static str,
    ) -> Result<(), Broken> {
        match timeout(limit, self.wire.write_all(octets)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Broken::Io(error, stage)),
            Err(_) => Err(Broken::Timeout(limit, stage)),
        }
    }

    /// The next reply.
    pub(super) async fn reply(&mut self, limit: Duration, stage: &'static str) -> Result<Reply, Broken> {
        if let Some(reply) = self.buffered(stage)? {
            return Ok(reply);
        }
        match timeout(limit, self.read_reply(stage)).await {
            Ok(result) => result,
            Err(_) => Err(Broken::Timeout(limit, stage)),
        }
    }

    fn buffered(&mut self, stage: &'static str) -> Result<Option<Reply>, Broken> {
        if self.input.is_empty() {
            return Ok(None);
        }
        let (taken, reply) = self.replies.read(&self.input).map_err(|bad| Broken::Bad(bad, stage))?;
        self.input.advance(taken);
        Ok(reply)
    }

    async fn read_reply(&mut self, stage: &'static str) -> Result<Reply, Broken> {
        loop {
            self.input.reserve(4096);
            match self.wire.read_buf(&mut self.input).await {
                Ok(0) => return Err(Broken::Closed(stage)),
                Ok(_) => {}
                Err(error) => return Err(Broken::Io(error, stage)),
            }
            if let Some(reply) = self.buffered(stage)? {
                return Ok(reply);
            }
        }
    }

    /// One command and its reply.
    pub(super) async fn ask(
        &mut self,
        command: &str,
        limit: Duration,
        stage: &'static str,
    ) -> Result<Reply, Broken> {
        self.write(format!("{command}\r\n").as_bytes(), limit, stage).await?;
        self.reply(limit, stage).await
    }

    /// Octets came that no reply has used: the two sides no longer agree where they are.
    pub(super) fn has_unread(&self) -> bool {
        !self.input.is_empty() || self.replies.is_midway()
    }
}

/// A greeted, secured, authenticated connection, good for transactions.
pub(super) struct Connection {
    pub(super) line: Line,
    pub(super) offers: Capabilities,
    /// Transactions begun over it.
    pub(super) used: u32,
    /// A transaction was begun and not ended: RSET before the next.
    pub(super) dirty: bool,
    /// What is sent is put together here, again and again.
    pub(super) out: Vec<u8>,
    /// How it is secured, for `check`.
    pub(super) about: String,
    /// Which of our certificates it was made with.
    pub(super) shown: Option<u64>,
    /// Its place among the sessions that the next hop allows.
    pub(super) open: Option<Open>,
}

impl Connection {
    /// Says goodbye, politely but briefly: nothing depends on it any more.
    pub(super) async fn quit(mut self, limit: Duration) {
        if let Some(open) = &mut self.open {
            open.leaves();
        }
        // the transactions are over; whether the other side says 221 changes nothing
        let _ = self.line.ask("QUIT", limit, "after QUIT").await;
    }
}
