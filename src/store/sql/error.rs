//! Errors of the engines, and what they mean for the relay.

use crate::store::{StoreError, postgres, sqlite};
use std::io;
use std::path::Path;

/// An error of an engine, or of a value it returned.
#[derive(Debug, thiserror::Error)]
pub(in crate::store) enum Error {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("{}", postgres::error::text(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// PostgreSQL did not answer in time, or the connection was lost.
    #[error("{0}")]
    Gone(&'static str),
    /// PostgreSQL committed, but stopped waiting for its synchronous replica.
    #[error("{0}")]
    Unconfirmed(String),
    #[error("there is no such row")]
    NoRows,
    #[error("column {0} is not what was expected")]
    Column(usize),
    #[error("what stands there is not {0}")]
    Kind(&'static str),
}

impl Error {
    /// Whether the engine failed, as opposed to a row with unexpected contents.
    pub(in crate::store) fn is_of_engine(&self) -> bool {
        match self {
            Self::Sqlite(error) => error.sqlite_error().is_some(),
            Self::Postgres(_) | Self::Gone(_) | Self::Unconfirmed(_) => true,
            Self::NoRows | Self::Column(_) | Self::Kind(_) => false,
        }
    }
}

/// Why a request to the writer failed.
#[derive(Debug)]
pub(in crate::store) enum Failure {
    /// The request was refused, and nothing was written for it.
    Refused(StoreError),
    /// The engine failed; the transaction may contain part of the request.
    Sql(Error),
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Sql(error.into())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl Failure {
    /// As the store's error.
    pub(in crate::store) fn named(self) -> StoreError {
        match self {
            Self::Refused(why) => why,
            Self::Sql(error) => classify(&error),
        }
    }
}

/// Maps an engine's error to the store's.
pub(in crate::store) fn classify(error: &Error) -> StoreError {
    match error {
        Error::Sqlite(error) => sqlite::error::classify(error),
        Error::Postgres(error) => postgres::error::classify(error),
        other => StoreError::Unavailable(other.to_string()),
    }
}

/// Maps an error of the file system to the store's.
pub(in crate::store) fn io_error(what: &str, path: &Path, error: &io::Error) -> StoreError {
    let text = format!("cannot {what} {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            StoreError::Full(text)
        }
        _ => StoreError::Unavailable(text),
    }
}
