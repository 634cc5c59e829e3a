//! Flushes the write-ahead log, so that what was committed is on disk, and then answers the requests.
//!
//! SQLite's own commit would flush while the writer waits (`synchronous=FULL`). Here it only writes the log, and other
//! threads flush it while the writer runs the next group. A flush covers all groups that were committed before it
//! began, so several may share one, and on a slow disk two are under way at once.
//!
//! Readers may see a group before it is on disk. Whatever acts on what it read first asks the writer (a claim, a
//! decision, a repeat), and is answered after the flush of its own group, which covers the earlier ones.

use crate::store::StoreError;
use crate::store::sql::error::io_error;
use crate::store::sql::health::{Files, Health};
use crate::store::sql::writer::{Job, OnFatal, answer};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::fs::{File, OpenOptions};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The number of threads: how many flushes can be under way.
const THREADS: usize = 2;

type Group = Vec<Box<dyn Job>>;

/// The log, as each thread has it open. Errors of a flush are told once to each opened file, so the threads do not
/// share one.
struct Log {
    file: File,
    files: Arc<Files>,
    health: Health,
    on_fatal: OnFatal,
}

/// The threads that flush. If it is dropped, all groups are answered first.
pub(super) struct Flusher {
    own: Log,
    groups: Option<Sender<Group>>,
    threads: Vec<JoinHandle<()>>,
}

impl Flusher {
    /// Opens the log of this database and flushes it: what a relay that was killed had not flushed is in it, too.
    /// Returns also how long each flush took, as each ends.
    pub(super) fn start(
        database: &Path,
        health: &Health,
        on_fatal: &OnFatal,
    ) -> Result<(Self, Receiver<Duration>), StoreError> {
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        let path = Path::new(&path);
        let files = Arc::new(Files::of(database));
        let open = || -> Result<Log, StoreError> {
            let file = OpenOptions::new().read(true).write(true).open(path);
            let file = file.map_err(|error| io_error("open the log", path, &error))?;
            let (files, health) = (Arc::clone(&files), health.clone());
            Ok(Log { file, files, health, on_fatal: Arc::clone(on_fatal) })
        };
        let own = open()?;
        own.file.sync_data().map_err(|error| io_error("flush the log", path, &error))?;
        let (groups, given) = unbounded::<Group>();
        let (ended, flushes) = unbounded();
        let mut threads = Vec::with_capacity(THREADS);
        for _ in 0..THREADS {
            let (log, given, ended) = (open()?, given.clone(), ended.clone());
            let thread = std::thread::Builder::new().name("store-flush".to_owned()).spawn(move || {
                let run = || flush_all(&log, &given, &ended);
                if catch_unwind(AssertUnwindSafe(run)).is_err() {
                    log.fatal("a thread that flushes panicked");
                }
            });
            threads.push(
                thread.map_err(|error| StoreError::Unavailable(format!("cannot start a thread: {error}")))?,
            );
        }
        Ok((Self { own, groups: Some(groups), threads }, flushes))
    }

    /// Whether the files of the database are in place.
    pub(super) fn in_place(&self) -> Result<(), String> {
        self.own.files.in_place()
    }

    /// Flushes a committed group and answers it. Returns how long the flush took.
    pub(super) fn now(&self, group: Group) -> Duration {
        self.own.flush(vec![group])
    }

    /// Lets another thread do so.
    pub(super) fn soon(&self, group: Group) {
        let given = match &self.groups {
            Some(groups) => groups.send(group).map_err(|unsent| unsent.0),
            None => Err(group),
        };
        if let Err(group) = given {
            self.own.flush(vec![group]);
        }
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.groups = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread that flushes panicked");
            }
        }
    }
}

/// Flushes groups until there can be no more: all that wait are flushed together.
fn flush_all(log: &Log, given: &Receiver<Group>, ended: &Sender<Duration>) {
    while let Ok(first) = given.recv() {
        let mut groups = vec![first];
        groups.extend(given.try_iter());
        let count = groups.len();
        let took = log.flush(groups);
        for _ in 0..count {
            // The writer may be gone.
            let _ = ended.send(took);
        }
    }
}

impl Log {
    /// A failed flush is never tried again: nobody knows what is on the disk then, and a second flush may report
    /// success for pages that the kernel has discarded.
    fn flush(&self, groups: Vec<Group>) -> Duration {
        let began = Instant::now();
        let flushed = self.file.sync_data();
        let took = began.elapsed();
        let failed = match flushed {
            Ok(()) => {
                self.health.check().err().or_else(|| self.files.in_place().err().map(StoreError::Uncertain))
            }
            Err(error) => {
                let why = format!("a flush to disk failed: {error}");
                self.fatal(&why);
                Some(StoreError::Uncertain(why))
            }
        };
        for group in groups {
            answer(group, failed.as_ref());
        }
        took
    }

    fn fatal(&self, why: &str) {
        (self.on_fatal)(why);
        self.health.stop(why);
    }
}
