//! Large bodies as rows of chunks: each chunk is committed as it comes, is invisible until a message names the body,
//! and is swept if none does.

use crate::clock::Entropy;
use crate::store::sql::db::{Connection, OptionalExtension, params};
use crate::store::sql::error::Failure;
use crate::store::sql::readers::Readers;
use crate::store::{Body, BodyWriter, StoreError};
use async_trait::async_trait;
use bytes::{Buf, Bytes};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};
use tokio::sync::RwLock;

/// The largest body, in bytes, that stays in memory and is stored in the row.
const INLINE: usize = 256 << 10;
/// The approximate size of a chunk, in bytes.
const PIECE: usize = 256 << 10;
/// How old a body that no message names must be before it is swept, in milliseconds by the database's clock: its
/// message may be about to be committed, by any node.
const ORPHAN_AGE: i64 = 24 * 3_600_000;
/// How many bodies are removed at most in one transaction.
const BATCH: i64 = 20;

/// The store of large bodies.
#[derive(Clone)]
pub(in crate::store) struct Chunks {
    /// The connections that commit chunks.
    pool: Readers,
    readers: Readers,
    entropy: Arc<dyn Entropy>,
    node: Arc<str>,
    /// Held while a dropped body is removed.
    removing: Arc<RwLock<()>>,
}

impl Chunks {
    pub(super) fn new(pool: Readers, readers: Readers, entropy: Arc<dyn Entropy>, node: &str) -> Self {
        Self { pool, readers, entropy, node: node.into(), removing: Arc::default() }
    }

    /// The node whose bodies are swept whatever their age: this node, when it starts.
    pub(in crate::store) fn node(&self, starting: bool) -> Option<String> {
        starting.then(|| self.node.to_string())
    }

    /// Waits until dropped bodies are removed.
    pub(in crate::store) async fn settled(&self) {
        drop(self.removing.write().await);
    }

    pub(in crate::store) fn writer(&self) -> Box<dyn BodyWriter> {
        let (chunks, pending) = (self.clone(), Vec::new());
        Box::new(Incoming { chunks, pending, size: 0, stored: None })
    }

    pub(in crate::store) async fn read(
        &self,
        name: &str,
        size: u64,
    ) -> Result<Box<dyn AsyncBufRead + Send + Unpin>, StoreError> {
        let (readers, name) = (self.readers.clone(), Arc::from(name));
        let mut body = Outgoing { readers, name, number: 0, left: size, piece: Bytes::new(), coming: None };
        // Reads the first chunk, so that a missing body is reported at once.
        let piece = body.next().await?;
        body.taken(piece).map_err(|error| StoreError::Unreadable(error.to_string()))?;
        Ok(Box::new(body))
    }

    pub(in crate::store) async fn remove(&self, names: Vec<String>) -> Result<(), StoreError> {
        let remove = move |tx: &Connection| {
            for name in &names {
                tx.prepare_cached("DELETE FROM bodies WHERE name = ?1")?.execute([name])?;
            }
            Ok(())
        };
        self.pool.read(remove).await
    }
}

/// Removes bodies that no message names: all bodies of `node`, which is starting, or else the old ones. Returns how
/// many.
pub(in crate::store) fn sweep(tx: &Connection, node: Option<&str>) -> Result<usize, Failure> {
    let orphan = "NOT EXISTS (SELECT 1 FROM contents c WHERE c.file = b.name)";
    let text = format!(
        "DELETE FROM bodies WHERE name IN (SELECT b.name FROM bodies b WHERE \
         (b.node = ?1 OR b.made < now_in_millis() - ?2) AND {orphan} LIMIT ?3)"
    );
    let mut swept = 0;
    loop {
        let some = tx.prepare_cached(&text)?.execute(params![node, ORPHAN_AGE, BATCH])?;
        swept += some;
        if some == 0 {
            return Ok(swept);
        }
    }
}

/// Reads a whole body, for a copy of the store.
pub(in crate::store) fn read_whole(db: &Connection, name: &str) -> Result<Vec<u8>, Failure> {
    let mut whole = Vec::new();
    let mut select = db.prepare_cached("SELECT octets FROM chunks WHERE name = ?1 ORDER BY number")?;
    let mut rows = select.query([name])?;
    while let Some(row) = rows.next()? {
        whole.extend_from_slice(row.get_ref(0)?.as_blob()?);
    }
    Ok(whole)
}

/// Writes a whole body, for a copy of the store.
pub(in crate::store) fn write_whole(tx: &Connection, name: &str, body: &[u8]) -> Result<(), Failure> {
    tx.prepare_cached("INSERT INTO bodies (name, node) VALUES (?1, '')")?.execute([name])?;
    for (number, piece) in (0_i64..).zip(body.chunks(PIECE)) {
        tx.prepare_cached("INSERT INTO chunks (name, number, octets) VALUES (?1, ?2, ?3)")?
            .execute(params![name, number, piece])?;
    }
    Ok(())
}

/// A body that is being received.
struct Incoming {
    chunks: Chunks,
    pending: Vec<Bytes>,
    size: usize,
    stored: Option<Stored>,
}

/// The part of a body that is in the database.
#[derive(Clone)]
struct Stored {
    name: String,
    pieces: i64,
    size: u64,
}

impl Incoming {
    /// Commits what is pending. Only the last chunk waits for the disk; then all chunks that were committed before it
    /// are on the disk, too.
    async fn spill(&mut self, last: bool) -> Result<Stored, StoreError> {
        let entropy = &self.chunks.entropy;
        let fresh = || format!("{:016x}{:016x}", entropy.bits(), entropy.bits());
        let mut stored = self.stored.take().unwrap_or_else(|| Stored { name: fresh(), pieces: 0, size: 0 });
        let mut octets = Vec::with_capacity(self.size);
        self.pending.drain(..).for_each(|piece| octets.extend_from_slice(&piece));
        stored.size += octets.len() as u64;
        self.size = 0;
        let (row, node) = (stored.clone(), Arc::clone(&self.chunks.node));
        let insert = move |tx: &Connection| {
            if !last {
                tx.control("SET LOCAL synchronous_commit = off")?;
            }
            if row.pieces == 0 {
                tx.prepare_cached("INSERT INTO bodies (name, node) VALUES (?1, ?2)")?
                    .put(params![row.name, &*node])?;
            }
            tx.prepare_cached("INSERT INTO chunks (name, number, octets) VALUES (?1, ?2, ?3)")?
                .execute(params![row.name, row.pieces, octets])?;
            Ok(())
        };
        self.chunks.pool.read(insert).await?;
        stored.pieces += 1;
        self.stored = Some(stored.clone());
        Ok(stored)
    }
}

#[async_trait]
impl BodyWriter for Incoming {
    async fn write(&mut self, chunk: Bytes) -> Result<(), StoreError> {
        self.size += chunk.len();
        if !chunk.is_empty() {
            self.pending.push(chunk);
        }
        let limit = if self.stored.is_some() { PIECE } else { INLINE };
        if self.size > limit { self.spill(false).await.map(drop) } else { Ok(()) }
    }

    async fn finish(mut self: Box<Self>) -> Result<Body, StoreError> {
        if self.stored.is_none() {
            let mut body = Vec::with_capacity(self.size);
            self.pending.iter().for_each(|piece| body.extend_from_slice(piece));
            return Ok(Body::Inline(body.into()));
        }
        let Stored { name, size, .. } = self.spill(true).await?;
        // From here on only a sweep removes it.
        self.stored = None;
        Ok(Body::Stored { name, size, as_is: false })
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let Some(Stored { name, .. }) = self.stored.take() else { return };
        let chunks = self.chunks.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let removing = Arc::clone(&chunks.removing).try_read_owned();
            runtime.spawn(async move {
                let _removing = removing;
                if let Err(error) = chunks.remove(vec![name]).await {
                    tracing::debug!(%error, "a body that is not to be kept is swept later");
                }
            });
        }
    }
}

type Coming = Pin<Box<dyn Future<Output = Result<Bytes, StoreError>> + Send>>;

/// A body that is being read, a chunk at a time.
struct Outgoing {
    readers: Readers,
    name: Arc<str>,
    number: i64,
    left: u64,
    piece: Bytes,
    coming: Option<Coming>,
}

impl Outgoing {
    fn taken(&mut self, piece: Bytes) -> io::Result<()> {
        let left = self.left.checked_sub(piece.len() as u64);
        self.left = left.ok_or_else(|| io::Error::other("a body is longer than it was"))?;
        (self.number, self.piece) = (self.number + 1, piece);
        Ok(())
    }

    fn next(&self) -> Coming {
        let (readers, name, number) = (self.readers.clone(), Arc::clone(&self.name), self.number);
        Box::pin(async move {
            let read = move |db: &Connection| {
                let found: Option<Vec<u8>> = db
                    .prepare_cached("SELECT octets FROM chunks WHERE name = ?1 AND number = ?2")?
                    .query_row(params![&*name, number], |row| row.get(0))
                    .optional()?;
                let missing = || StoreError::Unreadable(format!("piece {number} of a body is gone"));
                Ok(Bytes::from(found.ok_or_else(missing)?))
            };
            readers.read(read).await
        })
    }
}

impl AsyncBufRead for Outgoing {
    fn poll_fill_buf(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        while this.piece.is_empty() && this.left > 0 {
            let mut coming = this.coming.take().unwrap_or_else(|| this.next());
            let Poll::Ready(piece) = coming.as_mut().poll(context) else {
                this.coming = Some(coming);
                return Poll::Pending;
            };
            this.taken(piece.map_err(io::Error::other)?)?;
        }
        Poll::Ready(Ok(&this.piece))
    }

    fn consume(mut self: Pin<&mut Self>, taken: usize) {
        self.piece.advance(taken);
    }
}

impl AsyncRead for Outgoing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let piece = ready!(self.as_mut().poll_fill_buf(context))?;
        let some = piece.len().min(buffer.remaining());
        buffer.put_slice(&piece[..some]);
        self.consume(some);
        Poll::Ready(Ok(()))
    }
}
