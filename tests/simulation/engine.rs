//! The engines that histories are played on: SQLite, or PostgreSQL, where each node has a store of its own and the
//! server reads the simulated time from a file.

use crate::cluster::Cluster;
use sekisho::clock::{Clock, ManualClock, SystemEntropy};
use sekisho::store::postgres::{Options, Place};
use sekisho::store::sqlite::{self, SqliteStore};
use sekisho::store::{SqlStore, Store};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

/// A place in memory, where flushing costs nothing: durability is proved elsewhere.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Where histories are played: each begins with a copy of a store that is made once.
pub(crate) enum Ground {
    Sqlite(TempDir),
    Postgres(Server),
}

impl Ground {
    /// A store in a file.
    pub(crate) fn sqlite() -> Self {
        let folder = folder();
        drop(SqliteStore::open(folder.path().join(FILE), sqlite::Options::default()).unwrap());
        Self::Sqlite(folder)
    }

    /// A database on a server.
    pub(crate) fn postgresql() -> Self {
        Self::Postgres(Server::start())
    }
}

/// The file of a store.
const FILE: &str = "s.db";

/// A server, and on it a database that each history begins with a copy of.
pub(crate) struct Server {
    cluster: Cluster,
    template: String,
}

impl Server {
    fn start() -> Self {
        let cluster = Cluster::start_in(folder());
        let template = cluster.database();
        let server = Self { cluster, template };
        let clock = Arc::new(ManualClock::at(crate::world::START));
        drop(server.open(&server.template, "first", &clock));
        let folder = server.cluster.socket().display();
        let clock = format!(
            "CREATE OR REPLACE FUNCTION now_in_millis() RETURNS BIGINT LANGUAGE sql VOLATILE \
             AS $$ SELECT pg_read_file('{folder}/clock-' || current_database())::bigint $$"
        );
        server.cluster.sql(&server.template, &clock);
        server
    }

    fn open(&self, database: &str, node: &str, clock: &Arc<ManualClock>) -> Arc<dyn Store> {
        let options = Options {
            place: Place::parse(&self.cluster.url(database), None).unwrap(),
            node: node.to_owned(),
            clock: Arc::clone(clock) as _,
            entropy: Arc::new(SystemEntropy),
            on_fatal: Arc::new(|why| panic!("{why}")),
            journal_key: self.cluster.socket().join("journal-key"),
        };
        Arc::new(std::thread::spawn(move || SqlStore::open_postgres(options)).join().unwrap().unwrap())
    }

    fn clock(&self, database: &str) -> PathBuf {
        self.cluster.socket().join(format!("clock-{database}"))
    }
}

/// What one history is played on.
pub(crate) enum Engine<'a> {
    Sqlite(TempDir),
    Postgres(&'a Server, String),
}

impl<'a> Engine<'a> {
    pub(crate) fn new(ground: &'a Ground, seed: u64) -> Self {
        let server = match ground {
            Ground::Sqlite(template) => {
                let folder = folder();
                std::fs::copy(template.path().join(FILE), folder.path().join(FILE)).unwrap();
                return Self::Sqlite(folder);
            }
            Ground::Postgres(server) => server,
        };
        let database = format!("history{seed}");
        server.cluster.sql("postgres", &format!("CREATE DATABASE {database} TEMPLATE {}", server.template));
        Self::Postgres(server, database)
    }

    /// The stores of the two nodes.
    pub(crate) fn open(&self, clock: &Arc<ManualClock>) -> [Arc<dyn Store>; 2] {
        match self {
            Self::Sqlite(folder) => {
                let path = folder.path().join(FILE);
                let store: Arc<dyn Store> =
                    Arc::new(SqliteStore::open(path, sqlite::Options::default()).unwrap());
                [Arc::clone(&store), store]
            }
            Self::Postgres(server, database) => {
                self.clock_moved(clock);
                ["one", "two"].map(|node| server.open(database, node, clock))
            }
        }
    }

    /// Whether nodes have stores of their own.
    pub(crate) fn has_nodes(&self) -> bool {
        matches!(self, Self::Postgres(..))
    }

    /// Tells the server what time it is.
    pub(crate) fn clock_moved(&self, clock: &ManualClock) {
        if let Self::Postgres(server, database) = self {
            let path = server.clock(database);
            let next = path.with_extension("next");
            std::fs::write(&next, clock.now().0.to_string()).unwrap();
            std::fs::rename(next, path).unwrap();
        }
    }
}

impl Drop for Engine<'_> {
    fn drop(&mut self) {
        if let Self::Postgres(server, database) = self {
            let _ = std::fs::remove_file(server.clock(database));
            server.cluster.sql("postgres", &format!("DROP DATABASE {database} WITH (FORCE)"));
        }
    }
}
