//! A container kept until its end has come: small ones in memory, larger ones in an unnamed file.

use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use tempfile::SpooledTempFile;

/// Octets kept in memory.
const IN_MEMORY: usize = 256 * 1_024;

/// What is written while a leaf goes by.
#[derive(Debug)]
pub(super) struct Spool {
    file: SpooledTempFile,
    length: u64,
    failed: Option<io::Error>,
}

/// What is read when it is over.
pub(super) type Kept = BufReader<SpooledTempFile>;

impl Spool {
    pub(super) fn new() -> Self {
        Self { file: SpooledTempFile::new(IN_MEMORY), length: 0, failed: None }
    }

    /// Keeps the bytes; the first error is told by [`Self::into_reader`].
    pub(super) fn write(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.failed = self.file.write_all(bytes).err();
            self.length += bytes.len() as u64;
        }
    }

    /// How many octets are kept in memory.
    pub(super) fn length(&self) -> u64 {
        if self.file.is_rolled() { 0 } else { self.length }
    }

    /// Keeps them in a file from now on.
    pub(super) fn move_to_disk(&mut self) {
        if self.failed.is_none() {
            self.failed = self.file.roll().err();
        }
    }

    /// The whole, from its start.
    pub(super) fn into_reader(mut self) -> io::Result<Kept> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.file.seek(SeekFrom::Start(0))?;
        Ok(BufReader::new(self.file))
    }
}

/// Reads `length` octets at `at`; an error when they are not there.
pub(super) fn read_at(file: &mut Kept, at: u64, length: usize) -> io::Result<Vec<u8>> {
    seek(file, at)?;
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Goes there without losing what is buffered, for most steps are short.
fn seek(file: &mut Kept, at: u64) -> io::Result<()> {
    let here = file.stream_position()?;
    let step = at.checked_signed_diff(here).ok_or(io::ErrorKind::InvalidInput)?;
    file.seek_relative(step)
}

/// How long the file is.
pub(super) fn length(file: &mut Kept) -> io::Result<u64> {
    file.seek(SeekFrom::End(0))
}

/// Hands a range of the file to `take`, in pieces.
pub(super) fn copy(file: &mut Kept, start: u64, length: u64, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    seek(file, start)?;
    let mut piece = vec![0; 16 * 1_024];
    let mut left = length;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
        let read = file.read(&mut piece[..most])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        take(&piece[..read]);
        left -= read as u64;
    }
    Ok(())
}
