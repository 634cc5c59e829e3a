//! Copying a store from one engine to the other: both sides, the journal's key, and a look at the copy.

use super::StartError;
use super::parts;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::store::chain::Verified;
use crate::store::copy::{self, Copied, Side};
use crate::store::lock::Lock;
use crate::store::postgres::{self, Place};
use crate::store::{SqlStore, StoreError, sqlite};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Copies everything, and verifies the journal's chain in the copy.
pub async fn copy(config: &Config, from: &str, to: &str) -> Result<(Copied, Verified), StartError> {
    let (from, to) = (side(config, from)?, side(config, to)?);
    let _locks = [lock(&from)?, lock(&to)?];
    let (key, copied_key) = (key_of(config, &from), key_of(config, &to));
    carry_key(&key, &copied_key)?;
    let (source, target) = (from, to.clone());
    let (copied, store) = blocking(move || {
        let copied = copy::copy(&source, &target)?;
        Ok((copied, open(target, copied_key)?))
    })
    .await?;
    let verified = copy::verify(&store).await?;
    Ok((copied, verified))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| StoreError::Unavailable(error.to_string()))?
}

fn side(config: &Config, text: &str) -> Result<Side, StartError> {
    if let Some(file) = text.strip_prefix("sqlite:") {
        return Ok(Side::Sqlite(PathBuf::from(file)));
    }
    if let Some(found) = config.postgres.as_ref().filter(|found| found.url == text) {
        return Ok(Side::Postgres(found.place.clone()));
    }
    match Place::parse(text, None) {
        Ok(place) => Ok(Side::Postgres(place)),
        Err(why) => Err(StartError::Configuration(why.to_string())),
    }
}

/// A relay on SQLite has the lock beside its file.
fn lock(side: &Side) -> Result<Option<Lock>, StartError> {
    match side {
        Side::Postgres(_) => Ok(None),
        Side::Sqlite(path) => match Lock::acquire(path)? {
            Some(lock) => Ok(Some(lock)),
            None => Err(StartError::Locked(path.clone())),
        },
    }
}

/// Where the key of a side's journal is.
fn key_of(config: &Config, side: &Side) -> PathBuf {
    match side {
        Side::Postgres(_) => parts::journal_key(config),
        Side::Sqlite(path) if config.postgres.is_none() && *path == config.database => {
            config.journal_key.clone().unwrap_or_else(|| beside(path))
        }
        Side::Sqlite(path) => beside(path),
    }
}

fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".journal-key");
    name.into()
}

/// The copy's journal has the same key.
fn carry_key(from: &Path, to: &Path) -> Result<(), StoreError> {
    if from == to {
        return Ok(());
    }
    let failed = |what: &str, path: &Path, error: &std::io::Error| {
        StoreError::Unavailable(format!("cannot {what} the journal's key {}: {error}", path.display()))
    };
    let key = std::fs::read(from).map_err(|error| failed("read", from, &error))?;
    match std::fs::read(to) {
        Ok(there) if there == key => Ok(()),
        Ok(_) => Err(StoreError::Unavailable(format!(
            "{} is another key than {}: put it aside, for the copy's journal was made with the latter",
            to.display(),
            from.display()
        ))),
        Err(_) => {
            use std::io::Write;
            use std::os::unix::fs::OpenOptionsExt;
            let mut options = std::fs::OpenOptions::new();
            let made = options.write(true).create_new(true).mode(0o600).open(to);
            made.and_then(|mut file| file.write_all(&key).and_then(|()| file.sync_all()))
                .map_err(|error| failed("write", to, &error))
        }
    }
}

fn open(side: Side, journal_key: PathBuf) -> Result<SqlStore, StoreError> {
    let options = sqlite::Options::default();
    match side {
        Side::Sqlite(path) => {
            SqlStore::open(path, sqlite::Options { journal_key: Some(journal_key), ..options })
        }
        Side::Postgres(place) => SqlStore::open_postgres(postgres::Options {
            place,
            node: format!("copy {}", std::process::id()),
            clock: Arc::new(SystemClock),
            entropy: options.entropy,
            on_fatal: options.on_fatal,
            journal_key,
        }),
    }
}
