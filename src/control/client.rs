//! The command's side of the control socket.

use super::{Answer, Request};
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// Longest answer in octets.
const LONGEST_ANSWER: u64 = 512 * 1024 * 1024;
/// A relay that does not answer for so long is stuck.
const PATIENCE: Duration = Duration::from_mins(1);

/// Asks the relay behind this socket. `None` when none runs.
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
    // A relay of another user answers before it reads: its refusal counts more than the broken pipe.
    let sent = write.write_all(&line).await;
    let mut answer = Vec::new();
    BufReader::new(read).take(LONGEST_ANSWER).read_until(b'\n', &mut answer).await?;
    if answer.is_empty() {
        sent?;
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the running relay hung up"));
    }
    Ok(serde_json::from_slice(&answer)?)
}
