//! Bodies of middle size: one after another in files that they share, the segments.
//!
//! A body in its row is written twice, to the log and then to the database, page by page; a file of its own costs a name
//! in the folder. So one thread appends the bodies of all sessions to a segment, and flushes those that came meanwhile
//! together, before the commits that name them. That is one flush more for a message, so where flushes are slow, or one
//! client sends alone, these bodies are stored in their rows.
//!
//! The blocks of a body that is removed are given back to the file system at once (a hole in the file). A segment is
//! removed by a sweep once no message names a body in it. After an error, nothing more is written to a segment.

use crate::clock::Entropy;
use crate::store::StoreError;
use crate::store::lock::private;
use crate::store::sql::error::io_error;
use crate::store::sql::health::Files;
use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, unbounded};
use rustix::fs::{FallocateFlags, fallocate};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// The largest body, in bytes, that is stored in the row whatever a flush takes.
const ROW: usize = 32 << 10;
/// A segment of this size, in bytes, is full.
const SEGMENT: u64 = if cfg!(test) { 1 << 20 } else { 64 << 20 };
/// Each body begins at a multiple of this, in bytes, so that its blocks are its own.
const BLOCK: u64 = 4096;
/// How many bodies are flushed together at most.
const GROUP: usize = 64;
/// The end of a segment's file name.
const ENDING: &str = ".segment";

/// Where a body lies in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    segment: String,
    offset: u64,
    size: usize,
}

impl Place {
    /// Reads the name by which a message refers to the place.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (segment, rest) = name.split_once('-')?;
        let (offset, size) = rest.split_once('-')?;
        let place =
            Self { segment: segment.to_owned(), offset: offset.parse().ok()?, size: size.parse().ok()? };
        (super::bodies::is_name(segment) && place.name() == name).then_some(place)
    }

    fn name(&self) -> String {
        format!("{}-{}-{}", self.segment, self.offset, self.size)
    }

    /// The name of the segment's file.
    pub(super) fn file(&self) -> String {
        format!("{}{ENDING}", self.segment)
    }

    /// Reads the body. It blocks.
    pub(super) fn read(&self, folder: &Path) -> Result<Bytes, StoreError> {
        let path = folder.join(self.file());
        let mut body = vec![0; self.size];
        File::open(&path)
            .and_then(|file| file.read_exact_at(&mut body, self.offset))
            .map_err(|error| io_error("read the body", &path, &error))?;
        Ok(body.into())
    }

    /// Gives the body's blocks back. A file system that cannot do so keeps them until the segment is removed.
    pub(super) fn clear(&self, folder: &Path) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(folder.join(self.file()))?;
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match fallocate(&file, flags, self.offset, whole_blocks(self.size)) {
            Err(error) if error != rustix::io::Errno::OPNOTSUPP => Err(error.into()),
            _ => Ok(()),
        }
    }
}

fn whole_blocks(size: usize) -> u64 {
    (size as u64).next_multiple_of(BLOCK)
}

/// Whether this is the name of a segment's file.
pub(super) fn is_segment(name: &str) -> bool {
    name.strip_suffix(ENDING).is_some_and(super::bodies::is_name)
}

/// A body to append.
struct Adding {
    body: Bytes,
    reply: oneshot::Sender<Result<Place, StoreError>>,
}

/// The thread that appends bodies. If it is dropped, it ends.
pub(super) struct Segments {
    bodies: Option<Sender<Adding>>,
    thread: Option<JoinHandle<()>>,
    /// The file that is being appended to.
    present: Arc<Mutex<Option<String>>>,
    /// Whether one flush more for a body costs little.
    cheap: Arc<AtomicBool>,
}

impl Segments {
    pub(super) fn start(
        folder: Arc<PathBuf>,
        entropy: Arc<dyn Entropy>,
        cheap: Arc<AtomicBool>,
    ) -> Result<Self, StoreError> {
        let (bodies, given) = unbounded();
        let present = Arc::default();
        let mut appender = Appender { folder, entropy, present: Arc::clone(&present), segment: None };
        let thread = std::thread::Builder::new()
            .name("store-bodies".to_owned())
            .spawn(move || appender.run(&given))
            .map_err(|error| StoreError::Unavailable(format!("cannot start a thread: {error}")))?;
        Ok(Self { bodies: Some(bodies), thread: Some(thread), present, cheap })
    }

    /// Whether a body of this size, in bytes, belongs in a segment.
    pub(super) fn takes(&self, size: usize) -> bool {
        size > ROW && self.cheap.load(Ordering::Relaxed)
    }

    /// Appends a body, and returns the name of its place once it is on disk.
    pub(super) async fn add(&self, body: Bytes) -> Result<String, StoreError> {
        let gone = || StoreError::Unavailable("the thread that appends bodies has ended".to_owned());
        let (reply, answer) = oneshot::channel();
        self.bodies.as_ref().ok_or_else(gone)?.send(Adding { body, reply }).map_err(|_| gone())?;
        Ok(answer.await.map_err(|_| gone())??.name())
    }

    /// The file that is being appended to: it is not swept, though no message may name it yet.
    pub(super) fn present(&self) -> Option<String> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Segments {
    fn drop(&mut self) {
        self.bodies = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that appends bodies panicked");
        }
    }
}

struct Appender {
    folder: Arc<PathBuf>,
    entropy: Arc<dyn Entropy>,
    present: Arc<Mutex<Option<String>>>,
    segment: Option<Segment>,
}

/// A segment that is being appended to.
struct Segment {
    name: String,
    path: PathBuf,
    file: File,
    /// Whether it is still at its path: a body in a file that was moved or removed would not be found.
    files: Files,
    /// The end of what was flushed.
    end: u64,
}

impl Appender {
    fn run(&mut self, given: &Receiver<Adding>) {
        while let Ok(first) = given.recv() {
            let mut group = vec![first];
            group.extend(given.try_iter().take(GROUP - 1));
            match self.append(&group) {
                Ok(places) => {
                    for (adding, place) in group.into_iter().zip(places) {
                        // If the session is gone, a later sweep finds what nobody names.
                        let _ = adding.reply.send(Ok(place));
                    }
                }
                Err(error) => {
                    let path =
                        self.segment.as_ref().map_or(self.folder.as_ref(), |segment| &segment.path).clone();
                    self.leave();
                    for adding in group {
                        let _ = adding.reply.send(Err(io_error("append a body to", &path, &error)));
                    }
                }
            }
        }
    }

    /// Appends bodies and flushes them.
    fn append(&mut self, group: &[Adding]) -> io::Result<Vec<Place>> {
        let segment = self.segment()?;
        let mut end = segment.end;
        let mut places = Vec::with_capacity(group.len());
        for Adding { body, .. } in group {
            segment.file.write_all_at(body, end)?;
            places.push(Place { segment: segment.name.clone(), offset: end, size: body.len() });
            end += whole_blocks(body.len());
        }
        segment.file.sync_data()?;
        segment.files.in_place().map_err(io::Error::other)?;
        segment.end = end;
        if end >= SEGMENT {
            self.leave();
        }
        Ok(places)
    }

    /// Appends nothing more to the present segment. What a failed attempt wrote is cut off, as far as that can be done;
    /// a file in which nothing else is goes, so that a full disk does not fill with them.
    fn leave(&mut self) {
        if let Some(Segment { path, file, end, .. }) = self.segment.take() {
            let left = if end == 0 { std::fs::remove_file(&path) } else { file.set_len(end) };
            if let Err(error) = left {
                tracing::debug!(path = %path.display(), %error, "could not shorten a segment");
            }
        }
        self.tell(None);
    }

    fn tell(&self, present: Option<String>) {
        *self.present.lock().unwrap_or_else(PoisonError::into_inner) = present;
    }

    /// The present segment, or a new one.
    fn segment(&mut self) -> io::Result<&mut Segment> {
        let segment = if let Some(segment) = self.segment.take() { segment } else { self.begin()? };
        Ok(self.segment.insert(segment))
    }

    fn begin(&self) -> io::Result<Segment> {
        let name = super::bodies::fresh_name(self.entropy.as_ref());
        let file = format!("{name}{ENDING}");
        let path = self.folder.join(&file);
        self.tell(Some(file));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        let file = private(&mut options).open(&path)?;
        let flushed = File::open(self.folder.as_ref()).and_then(|folder| folder.sync_all());
        let files = flushed.and_then(|()| Files::one(&path, &file)).inspect_err(|_| {
            let _ = std::fs::remove_file(&path);
        })?;
        Ok(Segment { name, path, file, files, end: 0 })
    }
}
