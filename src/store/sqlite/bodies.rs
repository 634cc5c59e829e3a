//! Bodies: small ones stay in memory until they are stored in the row or in a [segment](super::segments), large ones are
//! streamed into a file.
//!
//! A file is written in large pieces outside the async threads; while one piece is written, the next is collected.
//! The file and its folder are flushed before the commit that names it. A file that no commit names is removed when
//! its writer is dropped, or by a later sweep.

use super::reading::Reading;
use super::segments::{Place, Segments, is_segment};
use crate::clock::{Entropy, SystemEntropy};
use crate::store::lock::private;
use crate::store::sql::error::io_error;
use crate::store::{Body, BodyWriter, OpenBody, StoreError};
use async_trait::async_trait;
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::{JoinHandle, spawn_blocking};

/// The largest body, in bytes, that stays in memory.
const INLINE: usize = 256 << 10;
/// The size of the pieces, in bytes, in which a file is written and read.
const PIECE: usize = 256 << 10;
/// How long no message must have named a file before it is swept: its message may be about to be committed.
const ORPHAN_AGE: Duration = Duration::from_hours(24);

/// The folder of large bodies.
#[derive(Clone)]
pub(in crate::store) struct Bodies {
    folder: Arc<PathBuf>,
    entropy: Arc<dyn Entropy>,
    /// Files that no message named at the last sweep, and since when.
    suspects: Arc<Mutex<HashMap<String, Instant>>>,
    segments: Arc<Segments>,
}

impl Bodies {
    /// Opens the folder. If there is none, it is created and flushed to disk. `cheap` tells whether one flush more for
    /// a body costs little.
    pub(in crate::store) fn open(
        folder: PathBuf,
        entropy: Arc<dyn Entropy>,
        cheap: Arc<AtomicBool>,
    ) -> Result<Self, StoreError> {
        if !folder.is_dir() {
            let mut builder = std::fs::DirBuilder::new();
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(&folder).map_err(|error| io_error("make the folder", &folder, &error))?;
            let parent = match folder.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                _ => Path::new("."),
            };
            flush_folder(parent)?;
        }
        let folder = Arc::new(folder);
        let segments = Segments::start(Arc::clone(&folder), Arc::clone(&entropy), cheap)?;
        Ok(Self { folder, entropy, suspects: Arc::default(), segments: Arc::new(segments) })
    }

    /// Puts a body of middle size into a segment, and returns the name of its place.
    pub(in crate::store) async fn beside(&self, body: &Body) -> Result<Option<Body>, StoreError> {
        match body {
            Body::Inline(octets) if self.segments.takes(octets.len()) => {
                let name = self.segments.add(octets.clone()).await?;
                Ok(Some(Body::Stored { name, size: octets.len() as u64, as_is: false }))
            }
            _ => Ok(None),
        }
    }

    /// Reads a body that lies in a segment into memory, as one that lies in its row.
    pub(in crate::store) async fn gathered(&self, body: Body) -> Result<Body, StoreError> {
        let Body::Stored { name, .. } = &body else { return Ok(body) };
        let Some(place) = Place::parse(name) else { return Ok(body) };
        let folder = Arc::clone(&self.folder);
        let read = spawn_blocking(move || place.read(&folder)).await;
        read.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string()))).map(Body::Inline)
    }

    pub(in crate::store) fn writer(&self) -> Box<dyn BodyWriter> {
        Box::new(Incoming { bodies: self.clone(), pending: Vec::new(), size: 0, file: None })
    }

    /// Opens a body; `with_file` also as a file.
    pub(in crate::store) async fn read(&self, name: &str, with_file: bool) -> Result<OpenBody, StoreError> {
        let path = self.path(name)?;
        let open = path.clone();
        let opened = spawn_blocking(move || {
            let file = File::open(&open)?;
            let whole = if with_file { Some(file.try_clone()?) } else { None };
            Ok(OpenBody { stream: Box::new(Reading::of(file, PIECE)?), file: whole })
        });
        let opened = opened.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        opened.map_err(|error| io_error("read the body", &path, &error))
    }

    /// Removes a body that no message names, because its commit failed or it was purged.
    pub(in crate::store) fn remove(&self, name: &str) {
        let removed = match Place::parse(name) {
            Some(place) => place.clear(&self.folder),
            None if is_name(name) => std::fs::remove_file(self.folder.join(name)),
            None => return,
        };
        self.note(name, removed);
    }

    /// Tells of a failed removal, and returns whether it succeeded. What is gone already may be.
    fn note(&self, name: &str, removed: io::Result<()>) -> bool {
        match removed {
            Ok(()) => return true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(body = name, folder = %self.folder.display(), %error, "could not remove a body");
            }
        }
        false
    }

    /// Removes files that are not in `named`: `all` of them, or only those that were not in it a day ago either. The
    /// day is measured by a monotonic clock: setting the clock must not remove a body that is being received.
    pub(in crate::store) fn sweep(&self, named: &HashSet<String>, all: bool) -> Result<usize, StoreError> {
        let named: HashSet<String> = named
            .iter()
            .map(|name| Place::parse(name).map_or_else(|| name.clone(), |place| place.file()))
            .collect();
        let present = self.segments.present();
        let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = HashMap::new();
        let fail = |error: io::Error| io_error("look through", &self.folder, &error);
        let mut swept = 0;
        for entry in std::fs::read_dir(self.folder.as_ref()).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let ours = is_name(&name) || is_segment(&name);
            if !ours || named.contains(&name) || present.as_ref() == Some(&name) {
                continue;
            }
            let since = suspects.remove(&name).unwrap_or_else(Instant::now);
            if all || since.elapsed() >= ORPHAN_AGE {
                swept += usize::from(self.note(&name, std::fs::remove_file(entry.path())));
            } else {
                seen.insert(name, since);
            }
        }
        *suspects = seen;
        Ok(swept)
    }

    fn path(&self, name: &str) -> Result<PathBuf, StoreError> {
        if is_name(name) {
            Ok(self.folder.join(name))
        } else {
            Err(StoreError::Corrupt(format!("`{name}` is no name of a body file")))
        }
    }
}

/// Reads the body of this name, or at the place of this name. It blocks.
pub(in crate::store) fn read_whole(folder: &Path, name: &str) -> Result<Bytes, StoreError> {
    if let Some(place) = Place::parse(name) {
        return place.read(folder);
    }
    let path = folder.join(name);
    std::fs::read(&path).map(Bytes::from).map_err(|error| io_error("read the body", &path, &error))
}

/// The name of a body that gets a file of its own: its present one, or a new one if it lay in a segment.
pub(in crate::store) fn own_name(name: &str) -> String {
    if Place::parse(name).is_some() { fresh_name(&SystemEntropy) } else { name.to_owned() }
}

pub(super) fn fresh_name(entropy: &dyn Entropy) -> String {
    format!("{:016x}{:016x}", entropy.bits(), entropy.bits())
}

/// A name is 32 hexadecimal digits. Nothing else in the folder is ever opened or removed.
pub(super) fn is_name(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Flushes a folder, so that the names in it are durable.
pub(in crate::store) fn flush_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| io_error("flush the folder", folder, &error))
}

/// A body that is being received.
struct Incoming {
    bodies: Bodies,
    /// What was received and has not yet been passed to the file.
    pending: Vec<Bytes>,
    size: usize,
    file: Option<Spill>,
}

/// The file of a large body.
struct Spill {
    name: String,
    path: PathBuf,
    written: u64,
    /// The piece that is being written. If this is dropped, the task ends by itself.
    writing: Option<JoinHandle<io::Result<File>>>,
    file: Option<File>,
    kept: bool,
}

impl Incoming {
    /// Starts writing what is pending, once the previous piece has been written.
    async fn spill(&mut self) -> Result<(), StoreError> {
        if self.file.is_none() {
            let name = fresh_name(self.bodies.entropy.as_ref());
            let path = self.bodies.path(&name)?;
            let create = path.clone();
            // Stored first, so that the file is removed if the future is dropped while it is created.
            let spill = Spill { name, path, written: 0, writing: None, file: None, kept: false };
            let spill = self.file.insert(spill);
            spill.writing = Some(spawn_blocking(move || {
                let mut options = OpenOptions::new();
                options.write(true).create_new(true);
                private(&mut options).open(&create)
            }));
        }
        let Some(spill) = &mut self.file else { return Ok(()) };
        let mut file = spill.arrived().await?;
        let pieces = std::mem::take(&mut self.pending);
        spill.written += self.size as u64;
        self.size = 0;
        spill.writing = Some(spawn_blocking(move || {
            for piece in &pieces {
                file.write_all(piece)?;
            }
            Ok(file)
        }));
        Ok(())
    }
}

impl Spill {
    /// The file, once the present piece has been written.
    async fn arrived(&mut self) -> Result<File, StoreError> {
        if let Some(writing) = &mut self.writing {
            let written = writing.await;
            self.writing = None;
            let written = written.unwrap_or_else(|error| Err(io::Error::other(error)));
            self.file = Some(written.map_err(|error| io_error("write the body", &self.path, &error))?);
        }
        self.file.take().ok_or_else(|| {
            StoreError::Unavailable(format!("an earlier write to {} failed", self.path.display()))
        })
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        // A blocking task may still have the file open; it can be removed anyway. A file that is just being created
        // is removed by a later sweep.
        if let Err(error) = std::fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "could not remove a body file");
        }
    }
}

#[async_trait]
impl BodyWriter for Incoming {
    async fn write(&mut self, chunk: Bytes) -> Result<(), StoreError> {
        self.size += chunk.len();
        if !chunk.is_empty() {
            self.pending.push(chunk);
        }
        let limit = if self.file.is_some() { PIECE } else { INLINE };
        if self.size > limit { self.spill().await } else { Ok(()) }
    }

    async fn finish(mut self: Box<Self>) -> Result<Body, StoreError> {
        if self.file.is_none() {
            let mut body = Vec::with_capacity(self.size);
            for piece in &self.pending {
                body.extend_from_slice(piece);
            }
            return Ok(Body::Inline(body.into()));
        }
        self.spill().await?;
        let Some(mut spill) = self.file.take() else {
            return Err(StoreError::Unavailable("the body file is gone".to_owned()));
        };
        let file = spill.arrived().await?;
        let folder = self.bodies.folder.clone();
        let path = spill.path.clone();
        let flushed = spawn_blocking(move || {
            file.sync_all().map_err(|error| io_error("flush the body", &path, &error))?;
            flush_folder(&folder)
        });
        flushed.await.map_err(|error| StoreError::Unavailable(error.to_string()))??;
        spill.kept = true;
        Ok(Body::Stored { name: spill.name.clone(), size: spill.written, as_is: false })
    }
}
