//! What SQLite's errors mean for the relay.

use crate::store::StoreError;
use rusqlite::{Error, ErrorCode, ffi};
use std::path::Path;

/// The error as the trait names it.
pub(in crate::store) fn classify(error: &Error) -> StoreError {
    let text = error.to_string();
    match error.sqlite_error() {
        // That the shared-memory file cannot grow says the same: there is no room on the disk.
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

/// Whether a flush to disk failed. After that nobody knows what is on the disk, and a second try may
/// report success for pages that the kernel has already given up: it is never retried.
pub(super) fn is_fsync(error: &Error) -> bool {
    matches!(
        error.sqlite_error(),
        Some(ffi::Error { extended_code: ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC, .. })
    )
}

/// An error while opening, as a sentence with the file's name.
pub(super) fn sentence(path: &Path, error: &Error) -> StoreError {
    match classify(error) {
        StoreError::Corrupt(why) => corrupt(path, &why),
        StoreError::Full(why) => StoreError::Full(format!("{}: {why}", path.display())),
        _ => StoreError::Unavailable(format!("cannot open the database {}: {error}", path.display())),
    }
}

/// A damaged file, with what to run.
pub(super) fn corrupt(path: &Path, why: &str) -> StoreError {
    let file = path.display();
    StoreError::Corrupt(format!(
        "{file}: {why}. Keep a copy of the file, then rescue what can be read with \
         `sqlite3 '{file}' .recover | sqlite3 '{file}.rescued'` and put that file in its place, or \
         put a backup in its place"
    ))
}
