//! One connection to the next hop: sends commands and content, receives replies, each with a timeout.

use super::capabilities::Capabilities;
use super::mechanism::AUTH_STAGE;
use super::sessions::SessionSlot;
use super::tls::Tls;
use crate::smtp::{BadReply, Reply, ReplyReader};
use crate::upstream::tally::Trouble;
use bytes::{Buf, BytesMut};
use std::fs::File;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

/// Why a connection can no longer be used. The second value of most variants is the stage of the session.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// A read or write timed out.
    #[error("4.4.1 no answer within {0:?} {1}")]
    Timeout(Duration, &'static str),
    /// The next hop closed the connection.
    #[error("4.4.2 the connection was closed {0}")]
    Closed(&'static str),
    /// A network error.
    #[error("4.4.2 the connection was lost {1}: {0}")]
    Io(io::Error, &'static str),
    /// The next hop sent something that is not a valid reply.
    #[error("4.5.0 {0} {1}")]
    Bad(BadReply, &'static str),
    /// A reply with a code that is not allowed at this stage.
    #[error("4.5.0 unexpected reply {1}: {0}")]
    Unexpected(Reply, &'static str),
    /// The next hop refused the connection, not a particular message.
    #[error("{0} ({1})")]
    Refused(Reply, &'static str),
    /// The TLS handshake failed.
    #[error("4.7.5 the TLS handshake failed: {0}")]
    Tls(io::Error),
    /// We aborted for a reason of our own; nothing is wrong with the next hop.
    #[error("{0}")]
    Local(String),
    /// The next hop does not meet our requirements.
    #[error("{1}")]
    Unfit(Trouble, String),
}

impl Broken {
    /// The category in metrics.
    pub(super) fn trouble(&self) -> Trouble {
        match self {
            Self::Tls(_) => Trouble::Unverified,
            Self::Unfit(trouble, _) => *trouble,
            Self::Refused(_, AUTH_STAGE) => Trouble::Auth,
            Self::Refused(..) => Trouble::Refused,
            _ => Trouble::Connection,
        }
    }
}

/// A socket, or TLS over one.
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

    /// Sends octets of a file, which do not pass through this process.
    async fn send_file(&mut self, file: &File, from: &mut u64, to: u64) -> io::Result<()> {
        let Self::Plain(stream) = self else { return Err(io::ErrorKind::Unsupported.into()) };
        while *from < to {
            let most = usize::try_from(to - *from).unwrap_or(usize::MAX);
            match stream.async_io(Interest::WRITABLE, || sendfile(stream, file, from, most)).await {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    async fn read_buf(&mut self, input: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read_buf(input).await,
            Self::Tls(stream) => stream.read_buf(input).await,
        }
    }
}

/// Sends at most this many octets of a file, from this place on, which moves.
#[cfg(target_os = "linux")]
fn sendfile(stream: &TcpStream, file: &File, from: &mut u64, most: usize) -> io::Result<usize> {
    Ok(rustix::fs::sendfile(stream, file, Some(from), most)?)
}

#[cfg(not(target_os = "linux"))]
fn sendfile(_: &TcpStream, _: &File, _: &mut u64, _: usize) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The stream, with received octets and the reply being assembled.
pub(super) struct Line {
    wire: Wire,
    input: BytesMut,
    replies: ReplyReader,
}

impl Line {
    /// Communicates in plain text.
    pub(super) fn plain(stream: TcpStream) -> Self {
        Self::over(Wire::Plain(stream))
    }

    fn over(wire: Wire) -> Self {
        Self { wire, input: BytesMut::new(), replies: ReplyReader::new() }
    }

    /// Does the TLS handshake; also returns whether the certificate verified. Fails if unread octets from
    /// before TLS are left, because they may have been injected (RFC 3207 §6).
    pub(super) async fn secure(self, tls: &Tls, limit: Duration) -> Result<(Self, bool), Broken> {
        if self.has_unread() {
            return Err(Broken::Unfit(
                Trouble::Unverified,
                "4.7.0 the upstream sent more after its reply to STARTTLS".to_owned(),
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

    /// Writes all octets. `stage` is for the error.
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

    /// Whether octets of a file can be sent without reading them.
    pub(super) fn takes_files(&self) -> bool {
        cfg!(target_os = "linux") && matches!(self.wire, Wire::Plain(_))
    }

    /// Sends the octets of a file from `from`, which moves with what was sent, up to `to`. `stage` is for the error.
    pub(super) async fn send_file(
        &mut self,
        file: &File,
        from: &mut u64,
        to: u64,
        limit: Duration,
        stage: &'static str,
    ) -> Result<(), Broken> {
        match timeout(limit, self.wire.send_file(file, from, to)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(Broken::Local("4.3.0 the file of the body is shorter than it was".to_owned()))
            }
            Ok(Err(error)) => Err(Broken::Io(error, stage)),
            Err(_) => Err(Broken::Timeout(limit, stage)),
        }
    }

    /// Reads the next reply.
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

    /// Sends a command and reads its reply.
    pub(super) async fn ask(
        &mut self,
        command: &str,
        limit: Duration,
        stage: &'static str,
    ) -> Result<Reply, Broken> {
        self.write(format!("{command}\r\n").as_bytes(), limit, stage).await?;
        self.reply(limit, stage).await
    }

    /// Whether octets were received beyond the last reply. The two sides then disagree about the state of
    /// the session.
    pub(super) fn has_unread(&self) -> bool {
        !self.input.is_empty() || self.replies.is_midway()
    }
}

/// A connection ready for transactions: EHLO, TLS and AUTH are done.
pub(super) struct Connection {
    pub(super) line: Line,
    pub(super) offers: Capabilities,
    /// Transactions started over it.
    pub(super) used: u32,
    /// Whether a transaction was started and not finished, so that RSET must precede the next.
    pub(super) dirty: bool,
    /// A reusable buffer for outgoing commands.
    pub(super) out: Vec<u8>,
    /// A description of its TLS and AUTH, for `check`.
    pub(super) about: String,
    /// The generation of our client certificate it was opened with.
    pub(super) shown: Option<u64>,
    /// Its slot among the sessions that the next hop allows.
    pub(super) slot: Option<SessionSlot>,
}

impl Connection {
    /// Sends QUIT and waits briefly for the reply.
    pub(super) async fn quit(mut self, limit: Duration) {
        if let Some(slot) = &mut self.slot {
            slot.leaves();
        }
        // all transactions are finished, so the reply does not matter
        let _ = self.line.ask("QUIT", limit, "after QUIT").await;
    }
}

/// The error for a refusal before any message was offered. It does not concern the message, which is tried
/// again later even after a 5xx.
pub(super) fn refused(reply: Reply, stage: &'static str) -> Broken {
    if reply.is_transient() || reply.is_permanent() {
        Broken::Refused(reply, stage)
    } else {
        Broken::Unexpected(reply, stage)
    }
}
