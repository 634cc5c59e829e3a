//! Reads and writes with deadlines. An idle session holds no buffer.

use super::stream::Stream;
use super::{Limits, Shutdown};
use bytes::BytesMut;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::server::TlsStream;

/// Size of the stack buffer of a normal read, in octets. Only what was received is then copied to the
/// heap. A pipelined transaction of a usual message fits.
const SMALL: usize = 16 * 1024;
/// Size of a read while content arrives fast, in octets. It goes directly into the heap buffer.
const LARGE: usize = 64 * 1024;
/// Most octets, and the longest time, to read and discard after the final reply. Closing a socket with
/// unread input resets the connection, and the client might not get that reply.
const LINGER_OCTETS: usize = 1 << 20;
const LINGER: std::time::Duration = std::time::Duration::from_secs(1);

/// Why a session cannot continue.
#[derive(Debug)]
pub(super) enum Over {
    /// The client closed the connection, or it failed.
    Gone,
    /// A deadline passed.
    TimedOut,
    /// The relay is draining.
    Drained,
}

impl From<io::Error> for Over {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// The deadline of the next read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// When the read times out.
    pub(super) deadline: Instant,
    /// Whether content is being received. A drain lets it finish.
    pub(super) in_content: bool,
}

/// A stream with its deadlines.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    shutdown: Shutdown,
    drain_by: Option<Instant>,
    /// Whether the last read filled its buffer, so that more input is probably waiting.
    fast: bool,
}

impl Wire {
    pub(super) fn new(stream: Stream, shutdown: Shutdown) -> Self {
        Self { stream, shutdown, drain_by: None, fast: false }
    }

    /// Takes out the socket for a handshake; `None` if TLS is in use already.
    pub(super) fn take_plain(&mut self) -> Option<TcpStream> {
        self.stream.take_plain()
    }

    /// A receiver that tells when the relay drains.
    pub(super) fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Continues over TLS.
    pub(super) fn secure(&mut self, stream: Box<TlsStream<TcpStream>>) {
        self.stream = Stream::Tls(stream);
        self.fast = false;
    }

    /// Reads once and appends to `input`.
    pub(super) async fn read(
        &mut self,
        input: &mut BytesMut,
        patience: Patience,
        limits: &Limits,
    ) -> Result<(), Over> {
        if input.is_empty() {
            *input = BytesMut::new();
        }
        loop {
            if self.drain_by.is_none() && *self.shutdown.borrow_and_update() {
                self.drain_by = Some(Instant::now() + limits.drain);
            }
            if self.drain_by.is_some() && !patience.in_content {
                return Err(Over::Drained);
            }
            let deadline = self.drain_by.map_or(patience.deadline, |drain| drain.min(patience.deadline));
            let large = patience.in_content && self.fast;
            tokio::select! {
                biased;
                read = fill(&mut self.stream, input, large) => {
                    let read = read?;
                    self.fast = read >= SMALL;
                    return if read == 0 { Err(Over::Gone) } else { Ok(()) };
                }
                () = sleep_until(deadline) => {
                    let drained = self.drain_by.is_some_and(|drain| drain <= deadline);
                    return Err(if drained { Over::Drained } else { Over::TimedOut });
                }
                changed = self.shutdown.changed(), if self.drain_by.is_none() => if changed.is_err() {
                    self.drain_by = Some(Instant::now() + limits.drain);
                }
            }
        }
    }

    /// Writes all of it.
    pub(super) async fn write(&mut self, output: &[u8], limits: &Limits) -> Result<(), Over> {
        let write = async {
            self.stream.write_all(output).await?;
            self.stream.flush().await
        };
        match timeout(limits.reply, write).await {
            Ok(written) => Ok(written?),
            Err(_) => Err(Over::TimedOut),
        }
    }

    /// Closes the connection after the client had a chance to read the final reply.
    pub(super) async fn close(mut self) {
        let rest = async {
            self.stream.shutdown().await?;
            let mut left = LINGER_OCTETS;
            while left > 0 {
                let read = skip(&mut self.stream).await?;
                if read == 0 {
                    break;
                }
                left = left.saturating_sub(read);
            }
            io::Result::Ok(())
        };
        if !matches!(timeout(LINGER, rest).await, Ok(Ok(()))) {
            tracing::debug!("the client did not close the connection after the final reply");
        }
    }
}

/// Reads once and appends to `input`. Cancel safe: no input is lost if the future is dropped.
async fn fill<S: AsyncRead + Unpin>(stream: &mut S, input: &mut BytesMut, large: bool) -> io::Result<usize> {
    if large {
        input.reserve(LARGE);
        return stream.read_buf(input).await;
    }
    small_read(stream, |octets| input.extend_from_slice(octets)).await
}

async fn skip<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<usize> {
    small_read(stream, |_| ()).await
}

/// Reads through a buffer on the stack of `poll`. It is not part of the future, so a waiting task does
/// not hold it.
async fn small_read<S: AsyncRead + Unpin>(stream: &mut S, mut take: impl FnMut(&[u8])) -> io::Result<usize> {
    poll_fn(|context| {
        let mut octets = [MaybeUninit::uninit(); SMALL];
        let mut buffer = ReadBuf::uninit(&mut octets);
        ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer))?;
        take(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    })
    .await
}
