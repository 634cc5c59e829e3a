//! What SQLite's errors mean for the relay.

use crate::store::StoreError;
use rusqlite::{Error, ErrorCode, ffi};
use std::path::Path;

/// Classifies an error.
pub(in crate::store) fn classify(error: &Error) -> StoreError {
    let text = error.to_string();
    match error.sqlite_error() {
        // If the shared-memory file cannot grow, the disk is full too.
        Some(
            ffi::Error { code: ErrorCode::DiskFull, .. }
            | ffi::Error { extended_code: ffi::SQLITE_IOERR_SHMSIZE, .. },
        ) => StoreError::Full(text),
        Some(ffi::Error { code: ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, .. }) => {
            StoreError::Corrupt(text)
        }
        _ => StoreError::Unavailable(text),
    }
}

/// Whether a flush to disk failed. It is never retried: after a failure nobody knows what is on the disk, and a
/// second flush may report success for pages that the kernel has already discarded.
pub(super) fn is_fsync(error: &Error) -> bool {
    matches!(
        error.sqlite_error(),
        Some(ffi::Error { extended_code: ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC, .. })
    )
}

/// Classifies an error while opening the database, as a sentence with the file's name.
pub(super) fn sentence(path: &Path, error: &Error) -> StoreError {
    match classify(error) {
        StoreError::Corrupt(why) => corrupt(path, &why),
        StoreError::Full(why) => StoreError::Full(format!("{}: {why}", path.display())),
        _ => StoreError::Unavailable(format!("cannot open the database {}: {error}", path.display())),
    }
}

/// Damage to the file, with the command that rescues what can be read.
pub(super) fn corrupt(path: &Path, why: &str) -> StoreError {
    let file = path.display();
    StoreError::Corrupt(format!(
        "{file}: {why}. Keep a copy of the file, then rescue what can be read with \
         `sqlite3 '{file}' .recover | sqlite3 '{file}.rescued'` and put that file in its place, or \
         put a backup in its place"
    ))
}
