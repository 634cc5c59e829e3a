//! The lock file beside the database: the process that holds it is the relay, or a command that works in its place.

use super::StoreError;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

/// Held while a relay uses a database. It is released when it is dropped, and by the operating system when the
/// process ends in any way.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock `<database>.lock`. Returns `None` if another process holds it.
    ///
    /// # Errors
    /// `Unavailable` if the lock file cannot be created or locked.
    pub fn acquire(database: &Path) -> Result<Option<Self>, StoreError> {
        let path = beside(database, "lock");
        let failed = |error: &std::io::Error| {
            StoreError::Unavailable(format!("cannot lock {}: {error}", path.display()))
        };
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        let file = private(&mut options).open(&path).map_err(|error| failed(&error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(&error)),
        }
    }
}

/// `<database>.<suffix>`.
pub(super) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

/// Only the relay's own user may read its files.
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "no runtime is at work here")]
    fn one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("s.db");
        let first = Lock::acquire(&database).unwrap();
        assert!(first.is_some());
        assert!(Lock::acquire(&database).unwrap().is_none());
        drop(first);
        // A process that another test starts at this moment shares the open file until it runs its program.
        let free = || Lock::acquire(&database).unwrap().is_some();
        let is_free = (0..500).any(|_| {
            let free = free();
            if !free {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            free
        });
        assert!(is_free, "it is still locked");
    }

    #[test]
    fn a_place_that_is_not_there_is_named() {
        let error = Lock::acquire(Path::new("/nonexistent/s.db")).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/s.db.lock"), "{error}");
    }
}
