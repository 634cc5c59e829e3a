//! Access to the database for commands while no relay is running.

use super::{StartError, budget, parts, seals};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::desk::Desk;
use crate::examine::Examiner;
use crate::store::NodeRow;
use crate::store::chain::Accepted;
use crate::store::lock::Lock;
use crate::store::postgres;
use crate::store::sqlite::SqliteStore;
use std::sync::Arc;
use tokio::sync::watch;

/// A desk for a command that works while no relay is running. It holds the lock as long as it exists.
pub struct OfflineDesk {
    /// The desk.
    pub desk: Desk,
    _lock: Lock,
}

/// Accepts rows that another program wrote to the database, so that a relay starts again. `None` if there are
/// none. No relay may be running.
///
/// # Errors
/// The database is in use, or cannot be read or written.
pub fn accept_foreign(config: &Config, by: &str, why: &str) -> Result<Option<Accepted>, StartError> {
    let _lock = parts::lock(config)?;
    if let Some(found) = &config.postgres {
        let key = parts::journal_key(config);
        return Ok(postgres::accept_foreign(&found.place, &key, by, why, SystemClock.now())?);
    }
    let (database, key) = (&config.database, config.journal_key.as_deref());
    Ok(SqliteStore::accept_foreign(database, key, by, why, SystemClock.now())?)
}

/// The relays that share the database.
pub async fn nodes(config: &Config) -> Result<Vec<NodeRow>, StartError> {
    if config.postgres.is_none() {
        return Ok(Vec::new());
    }
    Ok(parts::open(config, parts::Opener::Command, Arc::new(SystemClock)).await?.nodes().await?)
}

/// Makes the database's tables, or brings them up to date. With SQLite no relay may run meanwhile.
pub async fn migrate(config: &Config) -> Result<(), StartError> {
    let _lock = if config.postgres.is_none() { Some(parts::lock(config)?) } else { None };
    parts::open(config, parts::Opener::Command, Arc::new(SystemClock)).await.map(drop)
}

/// Opens the store for one command.
///
/// # Errors
/// The database is in use or cannot be opened, or a setting cannot be carried out.
pub async fn offline_desk(config: &Config) -> Result<OfflineDesk, StartError> {
    let lock = parts::lock(config)?;
    let examiner = parts::examiner(Some(config), &[])?;
    let store = parts::open(config, parts::Opener::Command, Arc::new(SystemClock)).await?;
    let budgets = budget::budgets(config, None, store.as_ref(), &SystemClock).await?;
    let examiner = Examiner { budgets, ..examiner };
    // a command never reloads its policy, so the sender can be dropped
    let (_, current) = watch::channel(examiner);
    let (_, preview_seals) = watch::channel(seals::preview_seals(config));
    let desk = Desk {
        store,
        examiner: current,
        courier: None,
        bell: None,
        clock: Arc::new(SystemClock),
        hostname: Arc::from(config.hostname.as_str()),
        preview_seals,
        grace: config.desk.grace,
        hold_for: watch::channel(config.term()).1,
        asking: watch::channel(Arc::new(config.notices.asking.clone())).1,
    };
    Ok(OfflineDesk { desk, _lock: lock })
}
