//! Bodies that are too large for a row: files beside the SQLite database, or chunks in PostgreSQL.

use crate::store::postgres::bodies::Chunks;
use crate::store::sqlite::bodies::Bodies as FileBodies;
use crate::store::{Body, BodyWriter, OpenBody, StoreError};
use std::io;
use tokio::io::AsyncBufRead;

/// Where bodies are stored.
pub(in crate::store) enum Bodies {
    Files(FileBodies),
    Chunks(Chunks),
}

impl Bodies {
    pub(in crate::store) fn writer(&self) -> Box<dyn BodyWriter> {
        match self {
            Self::Files(files) => files.writer(),
            Self::Chunks(chunks) => chunks.writer(),
        }
    }

    /// Puts a body that came in memory beside the database, if that is where it belongs; the message then names what is
    /// returned.
    pub(in crate::store) async fn beside(&self, body: &Body) -> Result<Option<Body>, StoreError> {
        match self {
            Self::Files(files) => files.beside(body).await,
            Self::Chunks(_) => Ok(None),
        }
    }

    /// A body as it came: in memory, if it did.
    pub(in crate::store) async fn as_it_came(&self, body: Body) -> Result<Body, StoreError> {
        match self {
            Self::Files(files) => files.gathered(body).await,
            Self::Chunks(_) => Ok(body),
        }
    }

    pub(in crate::store) async fn read(&self, body: &Body) -> Result<OpenBody, StoreError> {
        let stream: Box<dyn AsyncBufRead + Send + Unpin> = match (body, self) {
            (Body::Stored { name, as_is, .. }, Self::Files(files)) => return files.read(name, *as_is).await,
            (Body::Stored { name, size, .. }, Self::Chunks(chunks)) => chunks.read(name, *size).await?,
            (Body::Inline(bytes), _) => Box::new(io::Cursor::new(bytes.clone())),
        };
        Ok(OpenBody { stream, file: None })
    }

    /// Removes bodies that no message refers to (because their commit failed, or they were purged).
    pub(in crate::store) async fn remove(&self, names: Vec<String>) -> Result<(), StoreError> {
        if names.is_empty() {
            return Ok(());
        }
        match self {
            Self::Files(files) => {
                let files = files.clone();
                super::blocking(move || names.iter().for_each(|name| files.remove(name))).await
            }
            Self::Chunks(chunks) => chunks.remove(names).await,
        }
    }
}
