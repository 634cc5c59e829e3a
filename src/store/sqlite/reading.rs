//! Reading the file of a body in large pieces, outside the async threads. One piece is in memory at a time.

use std::fs::File;
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};
use tokio::task::{JoinHandle, spawn_blocking};

/// A file that is being read from its beginning.
pub(super) struct Reading(State);

enum State {
    /// A piece, of which the octets from `at` on are not yet taken.
    Ready { piece: Piece, at: usize },
    /// The next piece is being read.
    Reading(JoinHandle<io::Result<Piece>>),
    /// Reading failed.
    Failed,
}

/// A piece of the file: the first `filled` octets. There is no room for it before the first is read.
struct Piece {
    file: File,
    room: usize,
    octets: Box<[u8]>,
    filled: usize,
}

impl Piece {
    /// Reads the next piece; none is filled at the end of the file.
    fn next(mut self) -> io::Result<Self> {
        if self.octets.is_empty() {
            self.octets = vec![0; self.room].into();
        }
        loop {
            match self.file.read(&mut self.octets) {
                Ok(filled) => return Ok(Self { filled, ..self }),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Reading {
    /// Reads a file that was just opened, in pieces of at most this size. It blocks.
    pub(super) fn of(file: File, most: usize) -> io::Result<Self> {
        let room = usize::try_from(file.metadata()?.len()).unwrap_or(most).clamp(1, most);
        let piece = Piece { file, room, octets: Box::default(), filled: 0 };
        Ok(Self(State::Ready { piece, at: 0 }))
    }
}

impl AsyncBufRead for Reading {
    fn poll_fill_buf(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        let mut read = false;
        loop {
            this.0 = match std::mem::replace(&mut this.0, State::Failed) {
                State::Ready { piece, at } if at < piece.filled || read => {
                    this.0 = State::Ready { piece, at };
                    break;
                }
                State::Ready { piece, .. } => State::Reading(spawn_blocking(move || piece.next())),
                State::Reading(mut task) => {
                    let Poll::Ready(ended) = Pin::new(&mut task).poll(context) else {
                        this.0 = State::Reading(task);
                        return Poll::Pending;
                    };
                    read = true;
                    State::Ready { piece: ended.map_err(io::Error::other)??, at: 0 }
                }
                State::Failed => break,
            };
        }
        match &this.0 {
            State::Ready { piece, at } => Poll::Ready(Ok(&piece.octets[*at..piece.filled])),
            _ => Poll::Ready(Err(io::Error::other("an earlier read failed"))),
        }
    }

    fn consume(mut self: Pin<&mut Self>, taken: usize) {
        if let State::Ready { piece, at } = &mut self.0 {
            *at = (*at + taken).min(piece.filled);
        }
    }
}

impl AsyncRead for Reading {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let piece = ready!(self.as_mut().poll_fill_buf(context))?;
        let taken = piece.len().min(out.remaining());
        out.put_slice(&piece[..taken]);
        self.consume(taken);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn what_is_read_is_the_file_whatever_the_sizes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("body");
        for size in [0, 1, 9, 10, 11, 20, 1_003] {
            let octets: Vec<u8> = (0..size).map(|number: u32| number.to_le_bytes()[0]).collect();
            std::fs::write(&path, &octets).unwrap();
            for taken in [1, 3, 10, 64] {
                let mut reading = Reading::of(File::open(&path).unwrap(), 10).unwrap();
                let (mut all, mut some) = (Vec::new(), vec![0; taken]);
                loop {
                    match reading.read(&mut some).await.unwrap() {
                        0 => break,
                        read => all.extend_from_slice(&some[..read]),
                    }
                }
                assert_eq!(all, octets, "{size} by {taken}");
                assert_eq!(reading.read(&mut some).await.unwrap(), 0, "the end lasts");
            }
        }
    }

    #[tokio::test]
    async fn a_read_that_fails_is_an_error_and_no_end() {
        let folder = tempfile::tempdir().unwrap();
        // A folder can be opened and not read.
        let mut reading = Reading::of(File::open(folder.path()).unwrap(), 10).unwrap();
        let mut some = [0; 4];
        assert!(reading.read(&mut some).await.is_err());
        assert!(reading.read(&mut some).await.is_err());
    }
}
