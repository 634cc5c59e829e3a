//! Bodies: small ones stay in memory until they go into the row, large ones stream into a file.
//!
//! A file is written in large pieces off the async threads, one piece on its way to the disk while
//! the next one gathers. It is flushed, and its folder with it, before the commit that names it. A
//! file that no commit names is removed when its writer is dropped, or swept later.

use crate::clock::Entropy;
use crate::store::lock::private;
use crate::store::sql::error::io_error;
use crate::store::{Body, BodyWriter, StoreError};
use async_trait::async_trait;
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, BufReader};
use tokio::task::{JoinHandle, spawn_blocking};

/// Up to this size a body stays in memory and goes into the row.
const INLINE: usize = 256 << 10;
/// A file is written and read in pieces of this size.
const PIECE: usize = 256 << 10;
/// A file that no message names is swept only when it is at least so old: its message may be about
/// to be committed.
const ORPHAN_AGE: Duration = Duration::from_hours(24);

/// The folder of large bodies.
#[derive(Clone)]
pub(in crate::store) struct Bodies {
    folder: Arc<PathBuf>,
    entropy: Arc<dyn Entropy>,
    /// Files that no message named when they were looked through last, and since when.
    suspects: Arc<Mutex<HashMap<String, Instant>>>,
}

impl Bodies {
    /// Opens the folder, and makes it (durably) if it is not there.
    pub(in crate::store) fn open(folder: PathBuf, entropy: Arc<dyn Entropy>) -> Result<Self, StoreError> {
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
        Ok(Self { folder: Arc::new(folder), entropy, suspects: Arc::default() })
    }

    pub(in crate::store) fn writer(&self) -> Box<dyn BodyWriter> {
        Box::new(Incoming { bodies: self.clone(), pending: Vec::new(), size: 0, file: None })
    }

    pub(in crate::store) async fn read(
        &self,
        name: &str,
    ) -> Result<Box<dyn AsyncRead + Send + Unpin>, StoreError> {
        let path = self.path(name)?;
        let opened = tokio::fs::File::open(&path).await;
        let mut file = opened.map_err(|error| io_error("read the body", &path, &error))?;
        file.set_max_buf_size(PIECE);
        Ok(Box::new(BufReader::with_capacity(PIECE, file)))
    }

    /// Removes the file of a body that no message names (its commit failed, or it was purged).
    pub(in crate::store) fn remove(&self, name: &str) {
        if let Ok(path) = self.path(name)
            && let Err(error) = std::fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "could not remove a body file");
        }
    }

    /// Removes `all` files that are not among `named`; else those that were not among them a day ago
    /// either, by the time that really went by: what is on its way in must not go because a clock was set.
    pub(in crate::store) fn sweep(&self, named: &HashSet<String>, all: bool) -> Result<usize, StoreError> {
        let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = HashMap::new();
        let fail = |error: io::Error| io_error("look through", &self.folder, &error);
        let mut swept = 0;
        for entry in std::fs::read_dir(self.folder.as_ref()).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if named.contains(&name) || !is_name(&name) {
                continue;
            }
            let since = suspects.remove(&name).unwrap_or_else(Instant::now);
            if all || since.elapsed() >= ORPHAN_AGE {
                self.remove(&name);
                swept += 1;
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

    fn fresh_name(&self) -> String {
        format!("{:016x}{:016x}", self.entropy.bits(), self.entropy.bits())
    }
}

/// Names are 32 hexadecimal digits: nothing else in the folder is ever touched or opened.
fn is_name(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Makes the names in a folder durable.
pub(in crate::store) fn flush_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| io_error("flush the folder", folder, &error))
}

/// A body on its way in.
struct Incoming {
    bodies: Bodies,
    /// What has come and is not yet on its way to the file.
    pending: Vec<Bytes>,
    size: usize,
    file: Option<Spill>,
}

/// The file of a large body.
struct Spill {
    name: String,
    path: PathBuf,
    written: u64,
    /// The piece on its way to the file. Whoever drops this leaves the task to end by itself.
    writing: Option<JoinHandle<io::Result<File>>>,
    file: Option<File>,
    kept: bool,
}

impl Incoming {
    /// Sends what is pending on its way, once the piece before it has arrived.
    async fn spill(&mut self) -> Result<(), StoreError> {
        if self.file.is_none() {
            let name = self.bodies.fresh_name();
            let path = self.bodies.path(&name)?;
            let create = path.clone();
            // Kept first, so that a future dropped while the file is made removes it.
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
    /// The file, once the piece on its way has been written.
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
        // The file may still be in the hands of a blocking task: a name taken from a folder is gone
        // whether or not the file is open. One that is only just being made is swept later.
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
        Ok(Body::Stored { name: spill.name.clone(), size: spill.written })
    }
}
