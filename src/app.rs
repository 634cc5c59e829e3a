//! Builds every stage of the relay from the configuration.
//!
//! * [`App::start`] starts a whole relay; [`Running`] is the result, `reload` applies a new configuration
//! * [`examiner`], [`offline_desk`], [`check`] serve commands that run without a relay
//!
//! Start order: policy → lock → store → sockets → recovery → courier → intake → listeners. Shutdown follows
//! the way of a mail: the listeners drain first, then the desk and notices stop, then the courier; the store
//! is closed last.

mod accounts;
mod answered;
mod budget;
pub mod check;
mod copying;
mod descriptors;
mod error;
mod health;
pub mod log;
mod memory;
mod offline;
mod parts;
mod people;
mod reload;
mod running;
mod seals;
mod shared;
mod sockets;
mod tasks;
mod tls;
mod upstream;

use crate::clock::{Clock, RelayClock, SystemEntropy};
use crate::config::Config;
use crate::courier::{Courier, Deps};
use crate::desk::Desk;
use crate::examine::Examiner;
use crate::hook;
use crate::intake::{self, Intake};
use crate::tls::Identities;
use crate::upstream::tally::Tally;
use crate::web::metrics::Answers;
use answered::Answered;
pub use copying::copy;
pub use error::StartError;
pub use offline::{OfflineDesk, accept_foreign, migrate, nodes, offline_desk};
pub use parts::examiner;
use reload::Changing;
pub use running::Running;
use running::Stages;
pub use seals::{keyring, preview_seals, signing_key, write_private};
use sockets::Sockets;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, broadcast, watch};

/// How long a starting relay waits for the database, which a command may be using for a moment.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// A relay.
pub struct App;

impl App {
    /// Starts a relay. When this returns, every socket is listening.
    ///
    /// # Errors
    /// Says why the relay cannot start.
    pub async fn start(config: Config) -> Result<Running, StartError> {
        let relays = Arc::new(RelayClock::start());
        let clock: Arc<dyn Clock> = relays.clone();
        let examiner = parts::examiner(Some(&config), &[])?;
        let (tally, identities) = (Tally::default(), Identities::default());
        let upstreams = upstream::Builder::new(&config, Arc::clone(&clock), tally.clone())?;
        let upstreams = upstreams.looked_after(&identities);
        let secured = tls::Secured::load(&config, clock.wall())?;
        let gatekeeper = accounts::Gatekeeper::new(Arc::clone(&clock), identities.clone());
        let access = gatekeeper.admit(&config)?;
        let signing_in = people::settings(&config, &examiner.approvers, &clock)?;
        let lock = parts::lock_within(&config, LOCK_PATIENCE).await?;
        let store = parts::open(&config, parts::Opener::Relay, Arc::clone(&clock)).await?;
        together(&store, &relays, &clock, &gatekeeper).await?;
        let budgets = budget::budgets(&config, None, store.as_ref(), &*clock).await?;
        let examiner = Examiner { budgets, ..examiner };
        let upstreams = upstreams.remember(&store).await?.all()?;
        gatekeeper.learn(memory::sources(store.as_ref(), clock.now()).await?);
        let seals = seals::read(&config)?;
        let hooks = hook::Caller::new(Arc::clone(&store), Arc::clone(&clock), hook::Tally::default());
        hooks.replace(&parts::hooks(&config)?).await.map_err(StartError::Configuration)?;
        let sockets = Sockets::bind(&config, secured, gatekeeper, access, tally).await?;
        let recovered = store.recover(clock.now()).await?;
        if recovered.uncertain > 0 || recovered.orphans > 0 {
            tracing::warn!(
                uncertain = recovered.uncertain,
                orphans = recovered.orphans,
                "the last run ended unexpectedly: interrupted deliveries are tried again"
            );
        }
        let courier = Courier::start(Deps {
            store: Arc::clone(&store),
            upstream: Arc::clone(&upstreams.upstream),
            clock: Arc::clone(&clock),
            entropy: Arc::new(SystemEntropy),
            seals: Arc::clone(&seals),
            settings: parts::courier(&config),
        });
        let dispatch = Arc::new(courier.clone());
        let answered = Answered { answers: Answers::default(), arrivals: broadcast::Sender::new(4_096) };
        let intake = Intake::new(intake::Deps {
            examiner: examiner.clone(),
            store: Arc::clone(&store),
            dispatch: dispatch.clone(),
            clock: Arc::clone(&clock),
            entropy: Arc::new(SystemEntropy),
            marks: Arc::clone(&seals.marks),
            watcher: Arc::new(answered.clone()),
            settings: parts::intake(&config),
        });
        let (examiner, current) = watch::channel(examiner);
        let preview_seals = watch::Sender::new(seals::preview_seals(&config));
        let hold_for = watch::Sender::new(config.term());
        let asking = watch::Sender::new(Arc::new(config.notices.asking.clone()));
        let desk = Desk {
            store,
            examiner: current,
            courier: Some(dispatch),
            bell: Some(intake.bell()),
            clock,
            hostname: Arc::from(config.hostname.as_str()),
            preview_seals: preview_seals.subscribe(),
            grace: config.desk.grace,
            hold_for: hold_for.subscribe(),
            asking: asking.subscribe(),
        };
        let changing = Changing {
            examiner,
            preview_seals,
            hold_for,
            asking,
            acme: watch::Sender::new(config.tls.acme.clone()),
            upstreams: Mutex::new(upstreams.kept),
            signing_in,
            hooks,
            identities,
        };
        let stages = Stages { desk, intake, courier, changing, answered, lock };
        Ok(Running::launch(config, sockets, stages))
    }
}

/// Agrees with the relays that share the database, if there are any, on the time, and on guesses at passwords.
async fn together(
    store: &Arc<dyn crate::store::Store>,
    relays: &RelayClock,
    clock: &Arc<dyn Clock>,
    gatekeeper: &accounts::Gatekeeper,
) -> Result<(), StartError> {
    relays.jump(store.apart().await?);
    if let Some(shared) = shared::Shared::of(store, clock) {
        gatekeeper.guesses().share(shared);
    }
    Ok(())
}
