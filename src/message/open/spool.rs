//! Spools a container until it is complete: small ones in memory, larger ones in an unnamed file.

use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use tempfile::SpooledTempFile;

/// Octets kept in memory.
const IN_MEMORY: usize = 256 * 1_024;

/// Stores the octets of a leaf as they arrive.
#[derive(Debug)]
pub(super) struct Spool {
    file: SpooledTempFile,
    length: u64,
    failed: Option<io::Error>,
}

/// Reads a spooled container.
pub(super) type SpoolReader = BufReader<SpooledTempFile>;

impl Spool {
    pub(super) fn new() -> Self {
        Self { file: SpooledTempFile::new(IN_MEMORY), length: 0, failed: None }
    }

    /// Stores the bytes; [`Self::into_reader`] returns the first error.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.failed = self.file.write_all(bytes).err();
            self.length += bytes.len() as u64;
        }
    }

    /// How many octets are in memory.
    pub(super) fn length(&self) -> u64 {
        if self.file.is_rolled() { 0 } else { self.length }
    }

    /// Moves the octets to a file, and keeps further ones there.
    pub(super) fn move_to_disk(&mut self) {
        if self.failed.is_none() {
            self.failed = self.file.roll().err();
        }
    }

    /// A reader at the start of all that was written.
    pub(super) fn into_reader(mut self) -> io::Result<SpoolReader> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.file.seek(SeekFrom::Start(0))?;
        Ok(BufReader::new(self.file))
    }
}

/// Reads `length` octets at offset `at`; an error if there are fewer.
pub(super) fn read_at(file: &mut SpoolReader, at: u64, length: usize) -> io::Result<Vec<u8>> {
    seek(file, at)?;
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Seeks without discarding the buffer, because most steps are short.
fn seek(file: &mut SpoolReader, at: u64) -> io::Result<()> {
    let here = file.stream_position()?;
    let step = at.checked_signed_diff(here).ok_or(io::ErrorKind::InvalidInput)?;
    file.seek_relative(step)
}

/// The length of the file in octets.
pub(super) fn length(file: &mut SpoolReader) -> io::Result<u64> {
    file.seek(SeekFrom::End(0))
}

/// Passes a range of the file to `take`, in pieces.
pub(super) fn copy(
    file: &mut SpoolReader,
    start: u64,
    length: u64,
    mut take: impl FnMut(&[u8]),
) -> io::Result<()> {
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
