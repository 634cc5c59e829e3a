//! What PostgreSQL's errors mean for the relay.

use crate::store::StoreError;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

/// The server's message if there is one, else the connection's error with its causes.
pub(in crate::store) fn text(error: &Error) -> String {
    if let Some(said) = error.as_db_error() {
        return format!("{} ({})", said.message(), said.code().code());
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(why) = cause {
        let why_text = why.to_string();
        if !text.contains(&why_text) {
            text = format!("{text}: {why_text}");
        }
        cause = why.source();
    }
    text
}

/// Classifies an error.
pub(in crate::store) fn classify(error: &Error) -> StoreError {
    let text = text(error);
    let Some(code) = error.code() else { return StoreError::Unavailable(text) };
    if *code == SqlState::DISK_FULL {
        StoreError::Full(text)
    } else if *code == SqlState::DATA_CORRUPTED || *code == SqlState::INDEX_CORRUPTED {
        StoreError::Corrupt(text)
    } else {
        StoreError::Unavailable(text)
    }
}

/// Whether the connection can no longer be used, because it was lost or the server ended it.
pub(in crate::store) fn is_over(error: &Error) -> bool {
    error.is_closed()
        || error.as_db_error().is_none()
        || error.code().is_some_and(|code| {
            code.code().starts_with("57P") || code.code().starts_with("08") || code.code() == "25P03"
        })
}
