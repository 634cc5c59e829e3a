//! The client side of the control socket, used by commands.

use super::{Answer, Request};
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// Longest answer in octets.
const LONGEST_ANSWER: u64 = 512 * 1024 * 1024;
/// Timeout for an answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// Sends a request to the relay behind this socket. `None` if no relay is running.
///
/// # Errors
/// The socket cannot be used, or the relay does not answer in time or sends an invalid answer.
pub async fn ask(socket: &Path, request: &Request) -> io::Result<Option<Answer>> {
    let stream = match UnixStream::connect(socket).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    match tokio::time::timeout(PATIENCE, talk(stream, request)).await {
        Ok(answer) => answer.map(Some),
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the running relay does not answer")),
    }
}

async fn talk(stream: UnixStream, request: &Request) -> io::Result<Answer> {
    let (read, mut write) = stream.into_split();
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    // A relay of another user refuses before it reads. Its answer matters more than a write error.
    let sent = write.write_all(&line).await;
    let mut answer = Vec::new();
    BufReader::new(read).take(LONGEST_ANSWER).read_until(b'\n', &mut answer).await?;
    if answer.is_empty() {
        sent?;
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the running relay closed the connection"));
    }
    Ok(serde_json::from_slice(&answer)?)
}
