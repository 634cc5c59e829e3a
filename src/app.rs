//! The wiring: builds every stage from the configuration and gives each a small struct of its own.
//!
//! * [`App::start`] a relay, whole; [`Running`] what it is then
//! * [`examiner`], [`offline_desk`], [`check`] facades for commands that run without a relay
//!
//! Start: policy → lock → store → sockets → recovery → courier → doorway → listeners. Shutdown goes the
//! way mail goes: listeners drain first, then what speaks to people, then the courier; the store last.

mod accounts;
mod budget;
mod copying;

pub mod check;
mod descriptors;
mod doorway;
mod health;
pub mod log;
mod memory;
mod parts;
mod people;
mod seals;
mod tasks;
mod tls;
mod upstream;

use crate::accounts::guesses::Guesses;
use crate::clock::hours::Term;
use crate::clock::{Clock, RelayClock, SystemClock, SystemEntropy};
use crate::config::{Config, reason};
use crate::connections;
use crate::control::server::ControlSocket;
use crate::control::socket_path;
use crate::courier::{Courier, CourierHandle, Deps};
use crate::desk::Desk;
use crate::desk::explain::Shown;
use crate::desk::links::Links;
use crate::diagnostic::Diagnostic;
use crate::examine::Examiner;
use crate::hook;
use crate::intake::{Answer, Doorway, Intake};
use crate::listener::access::Access;
use crate::listener::{Listener, Reload, Role};
use crate::notice::asking::Asking;
use crate::notice::{self, Postman};
use crate::people::People;
use crate::store::chain::Accepted;
use crate::store::lock::Lock;
use crate::store::sqlite::SqliteStore;
use crate::store::{NodeRow, StoreError};
use crate::tls::Identities;
use crate::upstream::tally::Tally;
use crate::web::metrics::{Answers, Metrics, Probes};
use crate::web::{self, Site};
pub use copying::copy;
use doorway::{Back, Observed};
pub use parts::examiner;
pub use seals::{keyring, shown, signing_key, write_private};
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tasks::Tasks;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, broadcast, watch};

/// How long a relay that starts waits for the database: a command works on it for moments.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// Why a relay does not start (or a command cannot work in its place).
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Mistakes in policy files.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Policy(Vec<Diagnostic>),
    /// The configuration asks for what cannot be had (a password file that cannot be read, …).
    #[error("{0}")]
    Configuration(String),
    /// Another relay, or a command in its place, works on the database.
    #[error("another relay works on the database {}: stop it first, or configure another one", .0.display())]
    Locked(PathBuf),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A socket.
    #[error("cannot listen on {address}: {why}")]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        why: String,
    },
}

impl StartError {
    /// Somebody else holds the database's lock.
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::Locked(_))
    }

    fn listen(address: &impl ToString, error: &std::io::Error) -> Self {
        let why = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                "another program listens there; stop it, or choose another port".to_owned()
            }
            std::io::ErrorKind::PermissionDenied => {
                "this user may not: ports below 1024 need CAP_NET_BIND_SERVICE".to_owned()
            }
            _ => reason(error),
        };
        Self::Listen { address: address.to_string(), why }
    }
}

/// A relay.
pub struct App;

/// A relay that runs.
pub struct Running {
    desk: Desk,
    intake: Intake,
    courier: CourierHandle,
    changing: Changing,
    people: Arc<People>,
    postman: Arc<Postman>,
    listeners: Vec<(SocketAddr, Reload)>,
    secured: tls::Secured,
    gatekeeper: accounts::Gatekeeper,
    tally: Tally,
    web: Option<SocketAddr>,
    config: Config,
    draining: Arc<AtomicBool>,
    stop: watch::Sender<bool>,
    tasks: Tasks,
    arrivals: broadcast::Sender<Answer>,
    /// Held until everything else is over.
    _lock: Lock,
}

impl App {
    /// Starts a relay; everything listens when this returns.
    pub async fn start(config: Config) -> Result<Running, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(RelayClock::start());
        let examiner = parts::examiner(Some(&config), &[])?;
        let tally = Tally::default();
        let identities = Identities::default();
        let ways = upstream::Builder::new(&config, Arc::clone(&clock), tally.clone())?;
        let ways = ways.looked_after(&identities);
        let secured = tls::Secured::load(&config, clock.wall())?;
        let gatekeeper = accounts::Gatekeeper::new(Arc::clone(&clock), identities.clone());
        let access = gatekeeper.admit(&config)?;
        let signing_in = people::settings(&config, &examiner.approvers, &clock)?;
        let lock = parts::lock_within(&config, LOCK_PATIENCE).await?;
        let store = parts::open(&config, parts::Opener::Relay).await?;
        let budgets = budget::budgets(&config, None, store.as_ref(), &*clock).await?;
        let examiner = Examiner { budgets, ..examiner };
        let ways = ways.remember(&store).await?.all()?;
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
                "the last run did not end well: deliveries that were under way are tried again"
            );
        }
        let courier = Courier::start(Deps {
            store: Arc::clone(&store),
            upstream: Arc::clone(&ways.way),
            clock: Arc::clone(&clock),
            entropy: Arc::new(SystemEntropy),
            seals: Arc::clone(&seals),
            settings: parts::courier(&config),
        });
        let dispatch = Arc::new(courier.clone());
        let intake = Intake::new(
            examiner.clone(),
            Arc::clone(&store),
            dispatch.clone(),
            Arc::clone(&clock),
            Arc::new(SystemEntropy),
            parts::intake(&config),
            seals,
        );
        let (examiner, current) = watch::channel(examiner);
        let shown = watch::Sender::new(seals::shown(&config));
        let hold_for = watch::Sender::new(config.term());
        let asking = watch::Sender::new(Arc::new(config.notices.asking.clone()));
        let desk = Desk {
            store,
            examiner: current,
            courier: Some(dispatch),
            bell: Some(intake.bell()),
            clock,
            hostname: Arc::from(config.hostname.as_str()),
            shown: shown.subscribe(),
            grace: config.desk.grace,
            hold_for: hold_for.subscribe(),
            asking: asking.subscribe(),
        };
        let changing = Changing {
            examiner,
            shown,
            hold_for,
            asking,
            acme: watch::Sender::new(config.tls.acme.clone()),
            ways: Mutex::new(ways.kept),
            signing_in,
            hooks,
            identities,
        };
        Ok(Running::launch(config, sockets, desk, intake, courier, changing, lock))
    }
}

/// What a reload changes, beside what stages take up by themselves.
struct Changing {
    examiner: watch::Sender<Examiner>,
    shown: watch::Sender<Arc<Shown>>,
    hold_for: watch::Sender<Term>,
    asking: watch::Sender<Arc<Asking>>,
    acme: watch::Sender<Option<crate::tls::acme::Settings>>,
    /// The ways out that stand; locked by a reload as long as it takes.
    ways: Mutex<Vec<upstream::Kept>>,
    /// What signing in begins with.
    signing_in: crate::people::Settings,
    hooks: hook::Caller,
    /// Our certificates towards upstreams.
    identities: Identities,
}

/// Every socket, bound before anything starts.
struct Sockets {
    listeners: Vec<Listener>,
    secured: tls::Secured,
    gatekeeper: accounts::Gatekeeper,
    tally: Tally,
    web: Option<(SocketAddr, TcpListener)>,
    control: ControlSocket,
}

impl Sockets {
    async fn bind(
        config: &Config,
        secured: tls::Secured,
        gatekeeper: accounts::Gatekeeper,
        access: Vec<Access>,
        tally: Tally,
    ) -> Result<Self, StartError> {
        let mut listeners = Vec::new();
        for settings in parts::listeners(config, &secured, access) {
            let address = settings.address;
            listeners.push(Listener::bind(settings).map_err(|error| StartError::listen(&address, &error))?);
        }
        let web = match config.desk.address {
            Some(address) => {
                let bound = async {
                    let socket = TcpListener::bind(address).await?;
                    Ok((socket.local_addr()?, socket))
                };
                Some(bound.await.map_err(|error| StartError::listen(&address, &error))?)
            }
            None => None,
        };
        let path = socket_path(&config.database);
        let control =
            ControlSocket::bind(&path).map_err(|error| StartError::listen(&path.display(), &error))?;
        Ok(Self { listeners, secured, gatekeeper, tally, web, control })
    }
}

/// What outlives a restart: found on the way, and learned from what was delivered.
fn remember(tasks: &mut Tasks, guesses: Arc<Guesses>, tally: Tally, desk: &Desk) {
    let found = memory::Found { guesses, tally };
    let keeping = memory::keep(found, Arc::clone(&desk.store), Arc::clone(&desk.clock));
    tasks.background("memory", keeping);
    tasks.background("learning", desk.clone().learn_forever());
}

/// Who writes notices.
fn postman(desk: &Desk, intake: &Intake, config: &Config) -> Arc<Postman> {
    let deps = notice::Deps {
        store: Arc::clone(&desk.store),
        intake: Arc::new(Back(intake.clone())),
        links: doorway::links(desk, config),
        clock: Arc::clone(&desk.clock),
        entropy: Arc::new(SystemEntropy),
        bell: intake.bell(),
    };
    Arc::new(Postman::new(deps, parts::letterhead(config)))
}

impl Running {
    fn launch(
        config: Config,
        sockets: Sockets,
        desk: Desk,
        intake: Intake,
        courier: CourierHandle,
        changing: Changing,
        lock: Lock,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (arrivals, _) = broadcast::channel(4_096);
        let answers = Answers::default();
        let doorway: Arc<dyn Doorway> =
            Arc::new(Observed::new(intake.clone(), answers.clone(), arrivals.clone()));
        let draining = Arc::new(AtomicBool::new(false));
        let mut tasks = Tasks::default();
        let mut listeners = Vec::new();
        let mut alive = Vec::new();
        for listener in sockets.listeners {
            let address = listener.address();
            listeners.push((address, listener.reload()));
            alive.push(listener.alive());
            let run = listener.run(Arc::clone(&doorway), stopped.clone());
            tasks.listener(address, Arc::clone(&draining), run);
        }
        let health = health::Parts::new(alive, courier.clone(), tasks.failure());
        let people = Arc::new(People::new(
            Arc::clone(&desk.store),
            Arc::clone(&desk.clock),
            Arc::new(Back(intake.clone())),
            sockets.gatekeeper.guesses(),
            changing.signing_in.clone(),
        ));
        let connections = connections::Tally::default();
        let web = sockets.web.map(|(address, socket)| {
            let site = Arc::new(Site {
                store: Arc::clone(&desk.store),
                desk: desk.clone(),
                assets: web::assets::Assets::new(),
                contact: config.desk.contact.clone(),
                people: Arc::clone(&people),
                links: Links::new(desk.clone(), config.desk.url.as_deref()),
                proxies: config.desk.proxies.clone(),
                secure: config.desk.url.as_deref().is_some_and(|url| url.starts_with("https:")),
                metrics: Metrics::new(Arc::clone(&desk.clock), answers, probes(&courier), |registry| {
                    sockets.secured.register(registry);
                    tls::register_own(&changing.identities, registry);
                    budget::register(desk.examiner.clone(), Arc::clone(&desk.clock), registry);
                    sockets.gatekeeper.counts().register(registry);
                    sockets.tally.register(registry);
                    changing.hooks.tally().register(registry);
                    intake.copies().register(registry);
                    registry.register(
                        "store_request_seconds",
                        "How long requests held the store's writer",
                        desk.store.request_seconds(),
                    );
                    log::register(registry);
                    connections.register(registry);
                }),
                draining: Arc::clone(&draining),
                health: Arc::new(health),
                monitors: config.desk.monitoring.clone(),
                connections: connections.clone(),
            });
            let bounds = parts::desk_bounds(&config);
            tasks.background("http", async move {
                if let Err(error) = web::serve(socket, site, bounds).await {
                    tracing::error!(%error, "the HTTP side ended");
                }
            });
            address
        });
        tasks.background("courier", courier.clone().broken());
        tasks.background("control", sockets.control.run(desk.clone()));
        tasks.background("expiry", desk.clone().expire_forever());
        remember(&mut tasks, sockets.gatekeeper.guesses(), sockets.tally.clone(), &desk);
        let server = sockets.secured.server.clone();
        let (acme, tally) = (changing.acme.subscribe(), sockets.secured.tally.clone());
        // Certificates are good by the world's clock.
        tasks.background("acme", tasks::acme(acme, server.clone(), Arc::new(SystemClock), tally));
        tasks.background("certificates", crate::tls::watch::watch(server, Arc::new(SystemClock)));
        let identities = changing.identities.clone();
        tasks.background("own certificates", identities.watch(Arc::new(SystemClock)));
        tasks.background("time", tasks::time(desk.clone()));
        tasks.background("other nodes", tasks::others(desk.clone()));
        tasks.background("hooks", changing.hooks.clone().run());
        let postman = postman(&desk, &intake, &config);
        let heads = tasks::Heads { to: config.journal_head_to.clone(), postman: Arc::clone(&postman) };
        tasks.background("purge", tasks::purge(desk.clone(), config.keep, heads));
        let writer = Arc::clone(&postman);
        tasks.background("notices", async move { writer.run().await });
        Self {
            desk,
            intake,
            courier,
            changing,
            people,
            postman,
            listeners,
            secured: sockets.secured,
            gatekeeper: sockets.gatekeeper,
            tally: sockets.tally,
            web,
            config,
            draining,
            stop,
            tasks,
            arrivals,
            _lock: lock,
        }
    }

    /// What was bound, for the log: `smtp=127.0.0.1:2525 desk=127.0.0.1:8025`.
    pub fn addresses(&self) -> String {
        let mut text = String::new();
        for ((address, _), wanted) in self.listeners.iter().zip(&self.config.listeners) {
            let what = if matches!(wanted.role, Role::Journal { .. }) { "journal" } else { "smtp" };
            let _ = write!(text, "{what}={address} ");
        }
        if let Some(address) = self.web {
            let _ = write!(text, "desk={address} ");
        }
        text.trim_end().to_owned()
    }

    /// Where SMTP listens.
    pub fn smtp(&self) -> Option<SocketAddr> {
        self.listeners.first().map(|(address, _)| *address)
    }

    /// Where HTTP listens.
    pub fn web(&self) -> Option<SocketAddr> {
        self.web
    }

    /// Who may come to the desk.
    pub fn people(&self) -> &People {
        &self.people
    }

    /// The desk.
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Final answers as they are given to clients from now on.
    pub fn arrivals(&self) -> broadcast::Receiver<Answer> {
        self.arrivals.subscribe()
    }

    /// Puts the organisation, the policy with its approvers, how copies are made and signed, who may relay,
    /// who may come to the desk and how they are told, hooks, the ways out and the certificates into force
    /// anew. What is under way ends as it began; rates stay used up as far as
    /// they are. An error changes nothing. What takes a restart is named in the log.
    pub async fn reload(&self, config: &Config) -> Result<(), StartError> {
        let mut former = self.changing.ways.lock().await;
        let examiner = parts::examiner(Some(config), &[])?;
        let former_budgets = Some(Arc::clone(&self.intake.examiner().budgets));
        let (store, clock) = (self.desk.store.as_ref(), &*self.desk.clock);
        let budgets = budget::budgets(config, former_budgets, store, clock).await?;
        let examiner = Examiner { budgets, ..examiner };
        let seals = seals::read(config)?;
        let ways = upstream::Builder::new(config, Arc::clone(&self.desk.clock), self.tally.clone())?;
        let ways = ways.looked_after(&self.changing.identities);
        let ways = ways.after(&former).remember(&self.desk.store).await?.all()?;
        let hooks = parts::hooks(config)?;
        let access = self.gatekeeper.admit(config)?;
        let signing_in = people::settings(config, &examiner.approvers, &self.desk.clock)?;
        self.changing.hooks.replace(&hooks).await.map_err(StartError::Configuration)?;
        self.secured.reload(config, self.desk.clock.wall())?;
        for what in self.beyond_a_reload(config) {
            tracing::warn!("{what} changed as well: that takes a restart");
        }
        for (settings, (address, reload)) in
            parts::listeners(config, &self.secured, access).into_iter().zip(&self.listeners)
        {
            if settings.address.port() == 0 || settings.address == *address {
                reload.settings(settings);
            }
        }
        self.people.replace(signing_in);
        self.postman.replace_letterhead(parts::letterhead(config));
        self.intake.replace_examiner(examiner.clone());
        self.intake.replace_hold_for(config.term());
        self.changing.hold_for.send_replace(config.term());
        self.changing.asking.send_replace(Arc::new(config.notices.asking.clone()));
        let courier = parts::courier(config);
        self.courier.replace_stopping(courier.hold_for, courier.approvers);
        self.intake.replace_seals(Arc::clone(&seals));
        self.courier.replace_seals(seals);
        self.courier.replace_upstream(Arc::clone(&ways.way));
        self.changing.examiner.send_replace(examiner);
        self.changing.shown.send_replace(seals::shown(config));
        self.changing.acme.send_if_modified(|acme| {
            let differs = *acme != config.tls.acme;
            acme.clone_from(&config.tls.acme);
            differs
        });
        ways.replace(std::mem::take(&mut *former)).await;
        *former = ways.kept;
        Ok(())
    }

    /// What is not as the relay was started with, and stays until it is started again.
    fn beyond_a_reload(&self, config: &Config) -> Vec<&'static str> {
        let began = &self.config;
        let addresses = |config: &Config| -> Vec<SocketAddr> {
            config.listeners.iter().map(|listener| listener.address).collect()
        };
        let changes = [
            (addresses(config) != addresses(began), "the addresses of [[listener]]"),
            (config.database != began.database || config.postgres != began.postgres, "[store] url"),
            (config.keep != began.keep, "[store] keep or [knowledge] keep"),
            (config.journal_key != began.journal_key, "[store] journal_key_file"),
            (config.journal_head_to != began.journal_head_to, "[store] journal_head_to"),
            (config.desk.address != began.desk.address, "[desk] address"),
            (config.desk.url != began.desk.url, "[desk] url"),
            (config.desk.proxies != began.desk.proxies, "[desk] proxies"),
            (config.desk.monitoring != began.desk.monitoring, "[desk] monitoring"),
            (
                (config.desk.connections, config.desk.connections_per_client)
                    != (began.desk.connections, began.desk.connections_per_client),
                "[desk] connections",
            ),
            (config.hostname != began.hostname, "hostname"),
            (
                upstream::places(config) != upstream::places(began),
                "the sum of `connections` of all upstreams",
            ),
        ];
        changes.into_iter().filter(|(changed, _)| *changed).map(|(_, what)| what).collect()
    }

    /// Waits for a task that must not end to end; what to tell the operator.
    pub async fn failed(&self) -> String {
        self.tasks.failed().await
    }

    /// Drains: nothing new is taken, what is under way ends, everything is stored.
    pub async fn shutdown(mut self) {
        self.draining.store(true, Ordering::Relaxed);
        self.stop.send_replace(true);
        self.tasks.listeners_end().await;
        // Whoever may still hand mail to the courier goes before it: what came behind its drain would be
        // left claimed, and look uncertain at the next start.
        for part in ["notices", "http", "control"] {
            self.tasks.stop(part).await;
        }
        self.courier.drain().await;
        self.tasks.stop_all().await;
        tasks::log_head(&self.desk).await;
        let found = memory::Found { guesses: self.gatekeeper.guesses(), tally: self.tally.clone() };
        found.save(self.desk.store.as_ref(), self.desk.clock.now()).await;
    }
}

/// What the metrics ask at the moment they are read.
fn probes(courier: &CourierHandle) -> Probes {
    let sessions = courier.clone();
    let breaker = courier.clone();
    Probes {
        busy: Arc::new(move || i64::try_from(sessions.stats().busy).unwrap_or(i64::MAX)),
        breaker: Arc::new(move || {
            let stats = breaker.stats();
            let closed = matches!(stats.breaker, crate::courier::breaker::Breaker::Closed { .. });
            (stats.upstream, i64::from(!closed))
        }),
    }
}

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
