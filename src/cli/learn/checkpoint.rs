//! The position of an interrupted run: a small file next to the database, removed when the run ends.

use super::Totals;
use crate::config::units::Span;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Largest checkpoint file, in octets.
const LARGEST: u64 = 1 << 20;

/// The checkpoint file.
pub(super) struct Checkpoint {
    file: PathBuf,
    paths: Vec<PathBuf>,
    since: u64,
}

/// Where an earlier run on the same paths stopped.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stopped {
    pub(super) path: PathBuf,
    pub(super) offset: u64,
    pub(super) totals: Totals,
}

#[derive(Serialize, Deserialize)]
struct Noted {
    paths: Vec<PathBuf>,
    since: u64,
    path: PathBuf,
    offset: u64,
    totals: Totals,
}

impl Checkpoint {
    pub(super) fn new(database: &Path, paths: &[PathBuf], since: Span) -> Self {
        let mut file = OsString::from(database);
        file.push(".learning");
        Self { file: PathBuf::from(file), paths: paths.to_vec(), since: since.0.as_secs() }
    }

    /// The saved position, if it belongs to a run on the same paths and still exists.
    pub(super) fn stopped(&self) -> Option<Stopped> {
        let meta = std::fs::metadata(&self.file).ok()?;
        let text = (meta.len() <= LARGEST).then(|| std::fs::read_to_string(&self.file).ok())??;
        let noted: Noted = serde_json::from_str(&text).ok()?;
        let same = noted.paths == self.paths && noted.since == self.since;
        let there =
            noted.path.metadata().is_ok_and(|meta| noted.offset == u64::MAX || noted.offset <= meta.len());
        (same && there).then_some(Stopped { path: noted.path, offset: noted.offset, totals: noted.totals })
    }

    /// Saves a position: everything before it is learned. If it cannot be saved, the next run merely takes
    /// longer.
    pub(super) fn note(&mut self, path: &Path, offset: u64, totals: Totals) {
        let noted =
            Noted { paths: self.paths.clone(), since: self.since, path: path.to_owned(), offset, totals };
        let mut new = OsString::from(&self.file);
        new.push(".new");
        let written = serde_json::to_vec(&noted)
            .map_err(std::io::Error::from)
            .and_then(|text| std::fs::File::create(&new)?.write_all(&text))
            .and_then(|()| std::fs::rename(&new, &self.file));
        if let Err(error) = written {
            tracing::debug!(%error, "the checkpoint could not be saved");
        }
    }

    /// The run has ended: removes the file.
    pub(super) fn done(&self) {
        match std::fs::remove_file(&self.file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::debug!(%error, "the checkpoint could not be removed");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn only_the_same_run_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let mbox = folder.path().join("mbox");
        std::fs::write(&mbox, "0123456789").unwrap();
        let year = Span(Duration::from_hours(365 * 24));
        let of = |paths: &[PathBuf], since| Checkpoint::new(&folder.path().join("db"), paths, since);
        let mut place = of(std::slice::from_ref(&mbox), year);
        assert_eq!(place.stopped(), None);
        let totals = Totals { mails: 7, ..Totals::default() };
        place.note(&mbox, 5, totals);
        let stopped = Stopped { path: mbox.clone(), offset: 5, totals };
        assert_eq!(place.stopped(), Some(stopped));
        assert_eq!(of(&[folder.path().to_owned()], year).stopped(), None, "other paths");
        assert_eq!(
            of(std::slice::from_ref(&mbox), Span(Duration::from_secs(5))).stopped(),
            None,
            "another span"
        );
        place.note(&mbox, 11, totals);
        assert_eq!(place.stopped(), None, "the file became shorter");
        place.done();
        place.done();
        assert_eq!(place.stopped(), None);
    }
}
