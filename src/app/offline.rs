//! What commands do to the database while no relay runs.

use super::{StartError, budget, parts, seals};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::desk::Desk;
use crate::examine::Examiner;
use crate::store::chain::Accepted;
use crate::store::lock::Lock;
use crate::store::sqlite::SqliteStore;
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
    let (database, key) = (&config.database, config.journal_key.as_deref());
    Ok(SqliteStore::accept_foreign(database, key, by, why, SystemClock.now())?)
}

/// Opens the store for one command.
pub async fn offline_desk(config: &Config) -> Result<OfflineDesk, StartError> {
    let lock = parts::lock(config)?;
    let examiner = parts::examiner(Some(config), &[])?;
    let store = parts::open(config).await?;
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
