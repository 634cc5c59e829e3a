//! `[store]` and `[knowledge]`: where data is, and how long it is kept.

use super::keys::store::{Keep, Knowledge};
use super::keys::{Store, StoreUrl};
use super::{Base, Reporter};
use crate::diagnostic::Diagnostic;
use crate::store::{Retention, postgres};
use std::path::PathBuf;
use std::time::Duration;

/// Shortest retention of messages: mail hosts retry for two days, and late transactions follow an earlier
/// decision.
const LEAST: Duration = Duration::from_hours(24 * 7);
/// Shortest retention of knowledge: only the day of a mail is kept.
const DAY: Duration = Duration::from_hours(24);

/// A PostgreSQL database.
#[derive(Clone, Debug)]
pub struct Postgres {
    /// Its address, as it is written.
    pub url: String,
    /// The same, with where its password is.
    pub place: postgres::Place,
    /// What this relay is called among those that share it.
    pub node: String,
}

impl PartialEq for Postgres {
    fn eq(&self, other: &Self) -> bool {
        (&self.url, &self.node) == (&other.url, &other.node)
    }
}

/// Where the store is: SQLite's file, or the name that the relay's own files begin with and a PostgreSQL
/// database.
pub(super) fn database(
    store: &Store,
    base: &Base,
    hostname: &str,
    reporter: &Reporter<'_>,
) -> Result<(PathBuf, Option<Postgres>), Diagnostic> {
    let url = match &store.url {
        Some(StoreUrl::Postgres(url)) => url.clone(),
        other => {
            for (set, key) in [
                (store.password_file.is_some(), "password_file"),
                (store.node.is_some(), "node"),
                (store.state.is_some(), "state"),
            ] {
                if set {
                    return Err(reporter.wrong(
                        "[store]",
                        key,
                        format!("`{key}` is for a PostgreSQL database alone"),
                    ));
                }
            }
            let file = match other {
                Some(StoreUrl::Sqlite(file)) => file.clone(),
                _ => "sekisho.db".into(),
            };
            return Ok((base.join(&file), None));
        }
    };
    let password_file = store.password_file.as_ref().map(|file| base.join(file));
    let found = postgres::Place::parse(&url, password_file)
        .map_err(|why| reporter.wrong("[store]", "url", why.to_string()))?;
    let node = store.node.clone().unwrap_or_else(|| hostname.to_owned());
    if node.is_empty() || node.len() > 60 || node.chars().any(char::is_control) {
        return Err(reporter.wrong("[store]", "node", "a node's name has 1 to 60 characters"));
    }
    let state = match (&store.state, std::env::var_os("STATE_DIRECTORY")) {
        (Some(folder), _) => base.join(folder),
        (None, Some(folder)) => PathBuf::from(folder),
        (None, None) => base.join("".as_ref()),
    };
    Ok((state.join("sekisho"), Some(Postgres { url, place: found, node })))
}

pub(super) fn retention(
    keep: Keep,
    knowledge: &Knowledge,
    reporter: &Reporter<'_>,
) -> Result<Retention, Diagnostic> {
    let usual = Retention::default();
    let span = |wish: Option<super::units::Span>, usual| wish.map_or(usual, |span| span.0);
    let messages = span(keep.messages, usual.messages);
    let retention = Retention {
        // If messages are kept for less than the default for contents, contents are kept as long as messages.
        contents: span(keep.contents, usual.contents.min(messages)),
        messages,
        ledger: span(keep.ledger, usual.ledger),
        knowledge: knowledge.keep.map_or(usual.knowledge, |span| span.0),
    };
    if retention.messages < LEAST {
        let why =
            "`messages` are kept for at least 7d: late mail follows decisions that are up to a week old";
        return Err(reporter.wrong("[store]", "keep", why));
    }
    if retention.knowledge < DAY {
        let why = "knowledge is recorded by day: keep it for at least 1d";
        return Err(reporter.wrong("[knowledge]", "keep", why));
    }
    if retention.contents > retention.messages {
        let why = "`contents` cannot be kept longer than `messages`, to which they belong";
        return Err(reporter.wrong("[store]", "keep", why));
    }
    Ok(retention)
}
