//! A PostgreSQL cluster for tests: created in a temporary folder, run by an unprivileged user, stopped when the tests
//! end. Commits are flushed to disk as in production.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use tempfile::TempDir;

const MISSING: &str =
    "the tests of the PostgreSQL engine need Debian's `postgresql` (apt-get install postgresql)";

/// One server for all tests of this process; each test has databases of its own.
pub(super) struct Cluster {
    folder: TempDir,
    server: Mutex<Option<(u32, JoinHandle<()>)>>,
    databases: AtomicU32,
}

/// The user who runs the server; root may not.
const USER: &str = "nobody";

fn programs() -> PathBuf {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|found| found.filter_map(Result::ok).map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    versions.retain(|bin| bin.join("initdb").exists());
    versions.sort();
    versions.pop().expect(MISSING)
}

fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status")
        .is_ok_and(|text| text.lines().any(|line| line.starts_with("Uid:\t0\t")))
}

/// A PostgreSQL program, run by an unprivileged user.
fn program(name: &str) -> Command {
    let path = programs().join(name);
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", USER, "--regid", "nogroup", "--clear-groups", "--pdeathsig", "INT"])
            .arg(path);
        command
    } else {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "INT"]).arg(path);
        command
    };
    command.current_dir("/").stdin(Stdio::null());
    command
}

impl Cluster {
    /// The shared cluster, which the first caller starts.
    pub(super) fn get() -> &'static Self {
        static ONE: OnceLock<Cluster> = OnceLock::new();
        ONE.get_or_init(Self::start)
    }

    /// Starts a separate cluster.
    pub(super) fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap())
    }

    /// The same in this folder.
    pub(super) fn start_in(folder: TempDir) -> Self {
        if is_root() {
            let owned =
                Command::new("chown").arg(format!("{USER}:nogroup")).arg(folder.path()).status().unwrap();
            assert!(owned.success());
        }
        let data = folder.path().join("data");
        let made = program("initdb")
            .args([
                "--username=sekisho",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-instructions",
            ])
            .arg("-D")
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let cluster = Self { folder, server: Mutex::default(), databases: AtomicU32::new(0) };
        cluster.run();
        cluster
    }

    /// The folder of its socket.
    pub(super) fn socket(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the server, and waits until it answers.
    #[expect(clippy::disallowed_methods, reason = "a test waits for a server")]
    pub(super) fn run(&self) {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .unwrap();
        let mut server = program("postgres");
        server
            .arg("-D")
            .arg(self.folder.path().join("data"))
            .args(["-c", "listen_addresses=", "-c", "max_connections=300", "-c", "log_min_messages=warning"])
            // Statistics of a handful of rows, taken at a moment that chance chooses, would choose other plans than those
            // that tests look at.
            .args(["-c", "autovacuum=off"])
            .arg("-k")
            .arg(self.folder.path())
            .stderr(log.try_clone().unwrap())
            .stdout(log);
        // The server ends with the thread that started it, so this thread lasts as long as the process.
        let (tell, told) = std::sync::mpsc::channel();
        let waiting = std::thread::spawn(move || {
            let mut server = server.spawn().unwrap();
            tell.send(server.id()).unwrap();
            server.wait().unwrap();
        });
        let id = told.recv().unwrap();
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some((id, waiting));
        for _ in 0..600 {
            let ready = program("pg_isready").arg("-q").arg("-h").arg(self.folder.path()).status().unwrap();
            if ready.success() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!(
            "the server did not start: {}",
            std::fs::read_to_string(self.folder.path().join("log")).unwrap()
        );
    }

    /// Stops the server, which ends all connections.
    pub(super) fn stop(&self) {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((id, waiting)) = server {
            let _ = Command::new("kill").args(["-INT", &id.to_string()]).status();
            waiting.join().unwrap();
        }
    }

    /// Stops all processes of the server where they are: connections stand, and nothing answers.
    pub(super) fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets them go on.
    pub(super) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        let (id, _) = server.as_ref().unwrap();
        // The first makes the others: once it stands, there are no new ones.
        let first = id.to_string();
        assert!(Command::new("kill").args([signal, &first]).status().unwrap().success());
        let others = std::fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap();
        let _ = Command::new("kill").arg(signal).args(others.split_whitespace()).status();
    }

    pub(super) fn sql(&self, database: &str, text: &str) -> String {
        let done = program("psql")
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                "sekisho",
                "-d",
                database,
                "-c",
                text,
            ])
            .arg("-h")
            .arg(self.folder.path())
            .output()
            .unwrap();
        assert!(done.status.success(), "{text}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }

    /// Creates a database that no other test uses.
    pub(super) fn database(&self) -> String {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        name
    }

    /// The URL of a database.
    pub(super) fn url(&self, database: &str) -> String {
        let socket = self.socket().display().to_string().replace('/', "%2F");
        format!("postgres://sekisho@{socket}/{database}")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}
