//! A running relay: its tasks, access to its parts, and its shutdown.

use super::answered::Answered;
use super::reload::Changing;
use super::shared::Shared;
use super::sockets::Sockets;
use super::tasks::{self, Tasks};
use super::{accounts, budget, health, log, memory, parts, tls};
use crate::accounts::guesses::Guesses;
use crate::clock::{SystemClock, SystemEntropy};
use crate::config::Config;
use crate::connections;
use crate::control::server::ControlSocket;
use crate::courier::CourierHandle;
use crate::desk::Desk;
use crate::desk::links::Links;
use crate::intake::{Answer, ClientIntake, Intake};
use crate::listener::{Alive, Listener, Reload, Role};
use crate::notice::{self, Postman};
use crate::people::People;
use crate::store::lock::Lock;
use crate::upstream::tally::Tally;
use crate::web::metrics::{Answers, Metrics, Probes};
use crate::web::{self, Site};
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};

/// What a message passes through, connected and not yet running.
pub(super) struct Stages {
    pub(super) desk: Desk,
    pub(super) intake: Intake,
    pub(super) courier: CourierHandle,
    pub(super) changing: Changing,
    pub(super) answered: Answered,
    pub(super) lock: Lock,
}

/// A running relay.
pub struct Running {
    pub(super) desk: Desk,
    pub(super) intake: Intake,
    pub(super) courier: CourierHandle,
    pub(super) changing: Changing,
    pub(super) people: Arc<People>,
    pub(super) postman: Arc<Postman>,
    pub(super) listeners: Vec<(SocketAddr, Reload)>,
    pub(super) secured: tls::Secured,
    pub(super) gatekeeper: accounts::Gatekeeper,
    pub(super) tally: Tally,
    pub(super) web: Option<SocketAddr>,
    pub(super) config: Config,
    pub(super) draining: Arc<AtomicBool>,
    pub(super) stop: watch::Sender<bool>,
    pub(super) tasks: Tasks,
    pub(super) arrivals: broadcast::Sender<Answer>,
    /// Released after everything else has stopped.
    pub(super) _lock: Lock,
}

impl Running {
    /// Starts every stage: listeners first, then the desk, then background tasks.
    pub(super) fn launch(config: Config, sockets: Sockets, stages: Stages) -> Self {
        let Stages { desk, intake, courier, changing, answered, lock } = stages;
        let people = Arc::new(People::new(
            Arc::clone(&desk.store),
            Arc::clone(&desk.clock),
            Arc::new(intake.clone()),
            sockets.gatekeeper.guesses(),
            changing.signing_in.clone(),
        ));
        let postman = postman(&desk, &intake, &config);
        let mut running = Self {
            desk,
            intake,
            courier,
            changing,
            people,
            postman,
            listeners: Vec::new(),
            secured: sockets.secured,
            gatekeeper: sockets.gatekeeper,
            tally: sockets.tally,
            web: None,
            config,
            draining: Arc::new(AtomicBool::new(false)),
            stop: watch::Sender::new(false),
            tasks: Tasks::default(),
            arrivals: answered.arrivals,
            _lock: lock,
        };
        let alive = running.listen(sockets.listeners);
        if let Some((address, socket)) = sockets.web {
            running.web = Some(address);
            running.serve(socket, alive, answered.answers);
        }
        running.look_after(sockets.control);
        running
    }

    /// Starts the listeners; returns handles that tell whether each still accepts connections.
    fn listen(&mut self, listeners: Vec<Listener>) -> Vec<Alive> {
        let intake: Arc<dyn ClientIntake> = Arc::new(self.intake.clone());
        let mut alive = Vec::new();
        for listener in listeners {
            let address = listener.address();
            self.listeners.push((address, listener.reload()));
            alive.push(listener.alive());
            let run = listener.run(Arc::clone(&intake), self.stop.subscribe());
            self.tasks.listener(address, Arc::clone(&self.draining), run);
        }
        alive
    }

    /// Serves the pages and the API.
    fn serve(&mut self, socket: TcpListener, alive: Vec<Alive>, answers: Answers) {
        let site = Arc::new(self.site(alive, answers));
        let bounds = parts::desk_bounds(&self.config);
        self.tasks.background("http", async move {
            if let Err(error) = web::serve(socket, site, bounds).await {
                tracing::error!(%error, "the HTTP server ended");
            }
        });
    }

    fn site(&self, alive: Vec<Alive>, answers: Answers) -> Site {
        let (desk, config) = (&self.desk, &self.config.desk);
        let connections = connections::Tally::default();
        let metrics = Metrics::new(Arc::clone(&desk.clock), answers, probes(&self.courier), |registry| {
            self.secured.register(registry);
            tls::register_own(&self.changing.identities, registry);
            budget::register(desk.examiner.clone(), Arc::clone(&desk.clock), registry);
            self.gatekeeper.counts().register(registry);
            self.tally.register(registry);
            self.changing.hooks.tally().register(registry);
            self.intake.copies().register(registry);
            registry.register(
                "store_request_seconds",
                "Time that requests occupied the store's writer",
                desk.store.request_seconds(),
            );
            log::register(registry);
            connections.register(registry);
        });
        Site {
            store: Arc::clone(&desk.store),
            desk: desk.clone(),
            assets: web::assets::Assets::new(),
            contact: config.contact.clone(),
            people: Arc::clone(&self.people),
            links: Links::new(desk.clone(), config.url.as_deref()),
            proxies: config.proxies.clone(),
            secure: config.url.as_deref().is_some_and(|url| url.starts_with("https:")),
            metrics,
            draining: Arc::clone(&self.draining),
            health: Arc::new(health::Parts::new(alive, self.courier.clone(), self.tasks.failure())),
            monitors: config.monitoring.clone(),
            connections,
        }
    }

    /// Starts the background tasks: supervision of the courier, control socket, expiry, certificates,
    /// notices.
    fn look_after(&mut self, control: ControlSocket) {
        let (tasks, desk, changing) = (&mut self.tasks, &self.desk, &self.changing);
        tasks.background("courier", self.courier.clone().broken());
        tasks.background("control", control.run(desk.clone()));
        tasks.background("expiry", desk.clone().expire_forever());
        remember(tasks, self.gatekeeper.guesses(), self.tally.clone(), desk);
        let server = self.secured.server.clone();
        let shared = Shared::of(&desk.store, &desk.clock);
        let (acme, tally) = (changing.acme.subscribe(), self.secured.tally.clone());
        // certificates expire by real time, so this uses the system's clock
        tasks.background("acme", tasks::acme(acme, server.clone(), Arc::new(SystemClock), shared, tally));
        tasks.background("certificates", crate::tls::watch::watch(server, Arc::new(SystemClock)));
        let identities = changing.identities.clone();
        tasks.background("own certificates", identities.watch(Arc::new(SystemClock)));
        tasks.background("time", tasks::time(desk.clone()));
        tasks.background("other nodes", tasks::others(desk.clone()));
        tasks.background("hooks", changing.hooks.clone().run());
        let heads =
            tasks::Heads { to: self.config.journal_head_to.clone(), postman: Arc::clone(&self.postman) };
        tasks.background("purge", tasks::purge(desk.clone(), self.config.keep, heads));
        let writer = Arc::clone(&self.postman);
        tasks.background("notices", async move { writer.run().await });
    }

    /// The bound addresses, for the log: `smtp=127.0.0.1:2525 desk=127.0.0.1:8025`.
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

    /// The address of the first SMTP listener.
    pub fn smtp(&self) -> Option<SocketAddr> {
        self.listeners.first().map(|(address, _)| *address)
    }

    /// The address of the desk.
    pub fn web(&self) -> Option<SocketAddr> {
        self.web
    }

    /// Accounts and sessions of the desk.
    pub fn people(&self) -> &People {
        &self.people
    }

    /// The desk.
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    /// A subscription to the final replies to clients, from now on.
    pub fn arrivals(&self) -> broadcast::Receiver<Answer> {
        self.arrivals.subscribe()
    }

    /// Waits until a task ends unexpectedly; returns a description for the operator.
    pub async fn failed(&self) -> String {
        self.tasks.failed().await
    }

    /// Shuts down: accepts nothing new, finishes work in progress, stores everything.
    pub async fn shutdown(mut self) {
        self.draining.store(true, Ordering::Relaxed);
        self.stop.send_replace(true);
        self.tasks.listeners_end().await;
        // these tasks can still pass mail to the courier, so they stop before it: a copy passed after the
        // courier has drained would stay claimed and be reported as uncertain after the restart
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

/// Starts the tasks that store state for a restart, and that learn from delivered mail.
fn remember(tasks: &mut Tasks, guesses: Arc<Guesses>, tally: Tally, desk: &Desk) {
    let found = memory::Found { guesses, tally };
    let keeping = memory::keep(found, Arc::clone(&desk.store), Arc::clone(&desk.clock));
    tasks.background("memory", keeping);
    tasks.background("learning", desk.clone().learn_forever());
}

/// The task that sends notices.
fn postman(desk: &Desk, intake: &Intake, config: &Config) -> Arc<Postman> {
    let deps = notice::Deps {
        store: Arc::clone(&desk.store),
        intake: Arc::new(intake.clone()),
        links: Arc::new(Links::new(desk.clone(), config.desk.url.as_deref())),
        clock: Arc::clone(&desk.clock),
        entropy: Arc::new(SystemEntropy),
        bell: intake.bell(),
    };
    Arc::new(Postman::new(deps, parts::letterhead(config)))
}

/// Values that the metrics read at each scrape.
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
