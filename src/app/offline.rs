//! What commands do to the database while no relay runs.

use super::{StartError, budget, parts, seals};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::desk::Desk;
use crate::examine::Examiner;
use crate::store::chain::Accepted;
use crate::store::lock::Lock;
use crate::store::sqlite::SqliteStore;
use crate::store::{NodeRow, StoreError};
use std::sync::Arc;
use tokio::sync::watch;

/// A desk for a command that works while no relay runs. It keeps the lock as long as it lives.
pub struct OfflineDesk {
    /// The desk.
    pub desk: Desk,
    _lock: Lock,
}

/// Records what somebody else wrote to the database, so that a relay serves again; nothing where all is as
/// it was written. No relay may run meanwhile.
pub fn accept_foreign(config: &Config, by: &str, why: &str) -> Result<Option<Accepted>, StartError> {
    let _lock = parts::lock(config)?;
    if let Some(found) = &config.postgres {
        let why = format!(
            "{}: foreign rows are not recorded in a PostgreSQL database in this version: restore a backup",
            found.place
        );
        return Err(StoreError::Unavailable(why).into());
    }
    let (database, key) = (&config.database, config.journal_key.as_deref());
    Ok(SqliteStore::accept_foreign(database, key, by, why, SystemClock.now())?)
}

/// The relays that share the database.
pub async fn nodes(config: &Config) -> Result<Vec<NodeRow>, StartError> {
    if config.postgres.is_none() {
        return Ok(Vec::new());
    }
    Ok(parts::open(config, parts::Opener::Command).await?.nodes().await?)
}

/// Makes the database's tables, or brings them up to date. With SQLite no relay may run meanwhile.
pub async fn migrate(config: &Config) -> Result<(), StartError> {
    let _lock = if config.postgres.is_none() { Some(parts::lock(config)?) } else { None };
    parts::open(config, parts::Opener::Command).await.map(drop)
}

/// Opens the store for one command.
pub async fn offline_desk(config: &Config) -> Result<OfflineDesk, StartError> {
    let lock = parts::lock(config)?;
    let examiner = parts::examiner(Some(config), &[])?;
    let store = parts::open(config, parts::Opener::Command).await?;
    let budgets = budget::budgets(config, None, store.as_ref(), &SystemClock).await?;
    let examiner = Examiner { budgets, ..examiner };
    // Nobody changes the policy while a command runs: the sender may go.
    let (_, current) = watch::channel(examiner);
    let (_, shown) = watch::channel(seals::shown(config));
    let desk = Desk {
        store,
        examiner: current,
        courier: None,
        bell: None,
        clock: Arc::new(SystemClock),
        hostname: Arc::from(config.hostname.as_str()),
        shown,
        grace: config.desk.grace,
        hold_for: watch::channel(config.term()).1,
        asking: watch::channel(Arc::new(config.notices.asking.clone())).1,
    };
    Ok(OfflineDesk { desk, _lock: lock })
}
