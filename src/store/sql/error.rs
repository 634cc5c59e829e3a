//! What goes wrong in an engine, and what that means for the relay.

use crate::store::{StoreError, postgres, sqlite};
use std::io;
use std::path::Path;

/// An error of an engine, or of what it gave.
#[derive(Debug, thiserror::Error)]
pub(in crate::store) enum Error {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("{}", postgres::error::text(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// PostgreSQL did not answer in time, or the connection is gone.
    #[error("{0}")]
    Gone(&'static str),
    #[error("there is no such row")]
    NoRows,
    #[error("column {0} is not what was expected")]
    Column(usize),
    #[error("what stands there is not {0}")]
    Kind(&'static str),
}

impl Error {
    /// The engine failed, and not what was found in a row.
    pub(in crate::store) fn is_of_engine(&self) -> bool {
        match self {
            Self::Sqlite(error) => error.sqlite_error().is_some(),
            Self::Postgres(_) | Self::Gone(_) => true,
            Self::NoRows | Self::Column(_) | Self::Kind(_) => false,
        }
    }
}

/// Why a request to the writer came to nothing.
#[derive(Debug)]
pub(in crate::store) enum Failure {
    /// The answer is no, and nothing was written for it.
    Refused(StoreError),
    /// The engine failed; the transaction may hold half of the request.
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
    /// As the trait names it.
    pub(in crate::store) fn named(self) -> StoreError {
        match self {
            Self::Refused(why) => why,
            Self::Sql(error) => classify(&error),
        }
    }
}

/// The error as the trait names it.
pub(in crate::store) fn classify(error: &Error) -> StoreError {
    match error {
        Error::Sqlite(error) => sqlite::error::classify(error),
        Error::Postgres(error) => postgres::error::classify(error),
        other => StoreError::Unavailable(other.to_string()),
    }
}

/// An error of the file system.
pub(in crate::store) fn io_error(what: &str, path: &Path, error: &io::Error) -> StoreError {
    let text = format!("cannot {what} {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            StoreError::Full(text)
        }
        _ => StoreError::Unavailable(text),
    }
}
