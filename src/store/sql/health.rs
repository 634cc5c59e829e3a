//! Whether the database can still be relied on: damage stops everything, and its files must stay in place.

use crate::store::StoreError;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Why the store has stopped. The code that finds the fault sets it once; everything that reads or writes
/// checks it.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct Health(Arc<OnceLock<Fault>>);

#[derive(Debug)]
enum Fault {
    /// SQLite found the database damaged.
    Damaged(String),
    /// Nothing may be written any more.
    Stopped(String),
}

impl Health {
    /// The error that every request gets from now on, if there is one.
    pub(in crate::store) fn check(&self) -> Result<(), StoreError> {
        match self.0.get() {
            None => Ok(()),
            Some(Fault::Damaged(why)) => Err(StoreError::Corrupt(why.clone())),
            Some(Fault::Stopped(why)) => Err(StoreError::Unavailable(why.clone())),
        }
    }

    /// Stops all writing from now on.
    pub(in crate::store) fn stop(&self, why: &str) {
        let _ = self.0.set(Fault::Stopped(why.to_owned()));
    }

    /// Notes an error of SQLite: after damage, nothing is served until a person has examined it. (A single row
    /// that cannot be decoded is [`StoreError::Unreadable`], and stops nothing.)
    pub(in crate::store) fn note(&self, error: &StoreError) {
        if let StoreError::Corrupt(why) = error
            && self.0.set(Fault::Damaged(why.clone())).is_ok()
        {
            tracing::error!(%why, "the database is damaged: nothing is accepted or sent until it is repaired");
        }
    }
}

/// The device and inode of a file.
type Inode = (u64, u64);

fn inode(path: &Path) -> io::Result<Inode> {
    std::fs::metadata(path).map(|found| (found.dev(), found.ino()))
}

/// The files of the database as they were opened. SQLite continues to write to a file that was renamed, removed
/// or replaced without an error, and its contents are lost at the next start.
pub(in crate::store) struct Files {
    files: Vec<(PathBuf, Inode)>,
}

impl Files {
    /// The files of this database as they are now; those that do not exist yet are not watched.
    pub(in crate::store) fn of(path: &Path) -> Self {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let there = |path: PathBuf| inode(&path).ok().map(|inode| (path, inode));
        Self { files: [path.to_owned(), log.into()].into_iter().filter_map(there).collect() }
    }

    /// One file that was just opened at this path.
    pub(in crate::store) fn one(path: &Path, file: &std::fs::File) -> io::Result<Self> {
        let found = file.metadata()?;
        Ok(Self { files: vec![(path.to_owned(), (found.dev(), found.ino()))] })
    }

    /// Returns an error that names a file that is no longer in place.
    pub(in crate::store) fn in_place(&self) -> Result<(), String> {
        for (path, opened) in &self.files {
            if inode(path).ok().as_ref() != Some(opened) {
                return Err(format!(
                    "{} was renamed, removed or replaced while the relay runs: put the former file back, or \
                     restart the relay to go on with what is there now",
                    path.display()
                ));
            }
        }
        Ok(())
    }
}
