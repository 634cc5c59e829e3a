//! Connecting: the configured address, the password beside it, and the requirements on a server.

use super::error;
use super::session::{Session, Warnings};
use super::tls::Tls;
use crate::store::StoreError;
use std::path::PathBuf;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::config::Host;
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client, Config};

/// How long a server may take to answer a new connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How long one statement that mail waits for may take.
const WRITE: Duration = Duration::from_secs(15);
/// How long one statement for people may take: searches take longer.
const READ: Duration = Duration::from_mins(1);
/// How long one statement of the setup may take: bringing a large database up to date takes longest.
const SETUP: Duration = Duration::from_hours(1);
/// The oldest supported version of PostgreSQL, as in `server_version_num`.
const OLDEST: i32 = 130_000;

/// Why the address of a database is not valid.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WrongPlace {
    /// It does not have the form of one.
    #[error(
        "`{0}` is not the address of a PostgreSQL database: write it as postgres://USER@HOST/DATABASE?sslmode=verify-full"
    )]
    Form(String),
    /// It contains a password.
    #[error(
        "a password must not stand in the address: put it in a file, and name that as `password_file` in [store]"
    )]
    Password,
    /// It has an unknown or unsupported `sslmode`.
    #[error("sslmode is `{0}`: it may be verify-full, require (encrypted, with any certificate) or disable")]
    Mode(String),
}

/// How the connection is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Disable,
    Require,
    VerifyFull,
}

/// The address of a database, and how to connect to it.
#[derive(Clone)]
pub struct Place {
    config: Config,
    mode: Mode,
    /// The file with the trusted certificate authorities; `None` for those that the system trusts.
    roots: Option<PathBuf>,
    password_file: Option<PathBuf>,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// Host and database, for log lines and errors.
impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            #[cfg(unix)]
            Some(Host::Unix(path)) => path.display().to_string(),
            None => "localhost".to_owned(),
        };
        write!(f, "{} at {host}", self.config.get_dbname().unwrap_or("the default database"))
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Setup,
    Read,
    /// A read that an SMTP reply or a delivery waits for.
    Mail,
    Write,
    Bodies,
}

impl Place {
    /// Parses an address. The password is in a file of its own.
    ///
    /// # Errors
    /// A sentence that says what to write instead.
    pub fn parse(url: &str, password_file: Option<PathBuf>) -> Result<Self, WrongPlace> {
        let form = || WrongPlace::Form(without_password(url));
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(form());
        }
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut mode, mut roots, mut rest) = (None, None, Vec::new());
        for part in query.split('&').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some(("sslmode", "disable")) => mode = Some(Mode::Disable),
                Some(("sslmode", "require")) => mode = Some(Mode::Require),
                Some(("sslmode", "verify-full")) => mode = Some(Mode::VerifyFull),
                Some(("sslmode", other)) => return Err(WrongPlace::Mode(other.to_owned())),
                Some(("sslrootcert", path)) => roots = Some(PathBuf::from(path)),
                _ => rest.push(part),
            }
        }
        let mut config: Config = format!("{address}?{}", rest.join("&")).parse().map_err(|_| form())?;
        if config.get_password().is_some() {
            return Err(WrongPlace::Password);
        }
        if config.get_user().is_none() || config.get_dbname().is_none() || config.get_hosts().is_empty() {
            return Err(form());
        }
        let local = config.get_hosts().iter().all(|host| !matches!(host, Host::Tcp(_)));
        let mode = mode.unwrap_or(if local { Mode::Disable } else { Mode::VerifyFull });
        config
            .connect_timeout(CONNECT)
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3)
            .tcp_user_timeout(WRITE)
            .ssl_mode(match mode {
                Mode::Disable => tokio_postgres::config::SslMode::Disable,
                Mode::Require | Mode::VerifyFull => tokio_postgres::config::SslMode::Require,
            });
        Ok(Self { config, mode, roots, password_file })
    }

    /// The present configuration: the password file is read again, because the password may have changed.
    fn current(&self) -> Result<(Config, Tls), StoreError> {
        let mut config = self.config.clone();
        if let Some(path) = &self.password_file {
            let text = std::fs::read_to_string(path).map_err(|error| {
                let path = path.display();
                StoreError::Unavailable(format!("cannot read the database's password from {path}: {error}"))
            })?;
            config.password(text.trim_end_matches(['\r', '\n']));
        }
        Ok((config, Tls::new(self.mode, self.roots.as_deref())?))
    }

    /// Opens a connection. Returns it with the future that drives it.
    pub(super) async fn open(&self, name: &str) -> Result<(Client, impl Messages + use<>), StoreError> {
        let (mut config, tls) = self.current()?;
        config.application_name(name);
        let opening = tokio::time::timeout(2 * CONNECT, config.connect(tls));
        let opened = opening.await.map_err(|_| {
            StoreError::Unavailable(format!("the database {self} does not answer: is the server up?"))
        })?;
        opened.map_err(|error| self.refused(&error))
    }

    /// Opens a session with its settings.
    pub(super) fn connect(&self, purpose: Use, node: &str) -> Result<Session, StoreError> {
        let (runtime, warnings) = (runtime()?, Warnings::default());
        let noting = warnings.clone();
        let opened = runtime.block_on(async {
            let (client, driver) = self.open(&format!("sekisho {node}")).await?;
            tokio::spawn(driver.drive(move |said| noting.note(&said)));
            Ok::<_, StoreError>(client)
        });
        let client = opened.inspect_err(|_| ())?;
        let patience = match purpose {
            Use::Setup => SETUP,
            Use::Read => READ,
            Use::Mail | Use::Write | Use::Bodies => WRITE,
        };
        let session = Session::new(runtime, client, patience, warnings);
        let prepared =
            self.fits(&session).and_then(|()| settings(&session, purpose, node).map_err(|e| self.failed(&e)));
        prepared.map(|()| session)
    }

    /// Checks that the server keeps what it confirms, and can be written to.
    fn fits(&self, session: &Session) -> Result<(), StoreError> {
        let found = session.query(
            "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), \
             pg_is_in_recovery()::int, current_setting('synchronous_commit'), current_setting('fsync'), \
             current_setting('transaction_read_only')",
            &[],
        );
        let rows = found.map_err(|error| self.failed(&error))?;
        let Some(row) = rows.first() else { return Err(self.wrong("said nothing about itself")) };
        let text = |column: usize| row.get::<_, &str>(column);
        if row.get::<_, i32>(0) < OLDEST {
            return Err(self.wrong("is an older PostgreSQL than 13: upgrade the server"));
        }
        if text(1) != "UTF8" {
            return Err(self.wrong(&format!(
                "has the encoding {}: make one with `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`",
                text(1)
            )));
        }
        if row.get::<_, i32>(2) != 0 || text(5) == "on" {
            return Err(self.wrong(
                "cannot be written to, for it is a replica or read-only: name the primary server in [store] url",
            ));
        }
        if text(3) == "off" {
            return Err(self.wrong(
                "confirms what it has not written yet (synchronous_commit is off), so that accepted mail could be \
                 lost: switch it on for this database or user",
            ));
        }
        if text(4) == "off" {
            return Err(self.wrong(
                "does not flush what it writes (fsync is off), so that accepted mail could be lost: switch it on",
            ));
        }
        Ok(())
    }

    pub(super) fn wrong(&self, why: &str) -> StoreError {
        StoreError::Unavailable(format!("the database {self} {why}"))
    }

    pub(super) fn failed(&self, error: &crate::store::sql::error::Error) -> StoreError {
        StoreError::Unavailable(format!("the database {self}: {error}"))
    }

    /// Explains why there is no connection, and what to do.
    fn refused(&self, error: &tokio_postgres::Error) -> StoreError {
        let text = error::text(error);
        let user = self.config.get_user().unwrap_or_default();
        let Some(code) = error.code() else {
            let why = if text.contains("certificate") {
                "its certificate is not accepted: name the authority that signed it as `sslrootcert=` in [store] \
                 url, and the host as the certificate has it"
            } else if error.to_string().contains("TLS") {
                "the connection cannot be secured: switch TLS on in the server (ssl = on), or say sslmode=disable \
                 where nobody can listen"
            } else if self.password_file.is_none() && text.contains("password") {
                "it asks for a password: put it in a file, and name that as `password_file` in [store]"
            } else {
                "is the server up, and does it listen there?"
            };
            return StoreError::Unavailable(format!("cannot connect to the database {self} ({text}): {why}"));
        };
        let why = match code {
            code if *code == SqlState::INVALID_PASSWORD => {
                format!("the password of {user} is wrong: put the right one into `password_file` in [store]")
            }
            code if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                format!("{user} may not log in from here: see pg_hba.conf on the server")
            }
            code if *code == SqlState::UNDEFINED_DATABASE => "make it with `createdb` first".to_owned(),
            code if *code == SqlState::TOO_MANY_CONNECTIONS => {
                "a relay needs up to 15 connections: raise max_connections".to_owned()
            }
            code if *code == SqlState::CANNOT_CONNECT_NOW => {
                "it is starting or stopping: wait for it".to_owned()
            }
            _ => "see the server's log".to_owned(),
        };
        StoreError::Unavailable(format!("cannot connect to the database {self} ({text}): {why}"))
    }
}

/// The part of a connection that drives it.
pub(super) trait Messages: Send + 'static {
    /// Drives the connection until it ends, and passes on what the server says of its own accord: warnings, and the
    /// notifications of other nodes.
    fn drive(self, heard: impl Fn(AsyncMessage) + Send + 'static) -> impl Future<Output = ()> + Send;
}

impl<S, T> Messages for tokio_postgres::Connection<S, T>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    async fn drive(mut self, heard: impl Fn(AsyncMessage) + Send + 'static) {
        while let Some(message) = std::future::poll_fn(|context| self.poll_message(context)).await {
            match message {
                Ok(said) => heard(said),
                // The next request reports the error.
                Err(_) => return,
            }
        }
    }
}

/// A runtime without threads of its own: the waiting thread drives it.
pub(super) fn runtime() -> Result<Runtime, StoreError> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| StoreError::Unavailable(format!("cannot begin to talk to the database: {error}")))
}

/// Applies the settings of a session. The server ends a transaction whose client stops in the middle, so that it does
/// not block the others.
fn settings(session: &Session, purpose: Use, node: &str) -> Result<(), crate::store::sql::error::Error> {
    session.batch("SET jit = off; SET default_transaction_isolation = 'read committed'")?;
    if purpose != Use::Setup {
        session.batch("SET idle_in_transaction_session_timeout = '10s'; SET lock_timeout = '12s'")?;
    }
    if purpose == Use::Write {
        session.query(
            "SELECT set_config('sekisho.node', ?1, false), set_config('sekisho.writes', 'on', false)",
            &[crate::store::sql::db::Value::Text(node)],
        )?;
        // Servers that can compress by LZ4 do: PostgreSQL's own way takes several times as long.
        session.batch(
            "SELECT set_config(name, 'lz4', false) FROM pg_settings \
             WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)",
        )?;
        // The writer reads by keys alone. A plan that reads a whole table because it was small, or had no statistics
        // yet, would be kept while it grows; one that expects many rows behind a key would start workers for each
        // commit; and planning each statement anew costs more than running it.
        session.batch(
            "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off; \
             SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; \
             SET max_parallel_workers_per_gather = 0; SET statement_timeout = '14s'; \
             CREATE TEMP TABLE touched (kind BIGINT NOT NULL, entry BIGINT NOT NULL)",
        )?;
    }
    Ok(())
}

/// An address without its password, for errors.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((before, host))) => {
            let user = before.trim_start_matches(scheme).trim_start_matches("://");
            format!("{scheme}://{}@{host}", user.split(':').next().unwrap_or_default())
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_understood_or_refused_in_a_sentence() {
        for (url, mode) in [
            ("postgres://sekisho@db.example/sekisho", Mode::VerifyFull),
            ("postgres://sekisho@db.example:5433/sekisho?sslmode=require", Mode::Require),
            ("postgresql://sekisho@127.0.0.1/sekisho?sslmode=disable&connect_timeout=3", Mode::Disable),
            ("postgres://sekisho@%2Frun%2Fpostgresql/sekisho", Mode::Disable),
        ] {
            assert_eq!(Place::parse(url, None).unwrap().mode, mode, "{url}");
        }
        let refused = |url: &str| Place::parse(url, None).unwrap_err().to_string();
        assert!(refused("postgres://a:geheim@db.example/x").contains("password_file"));
        assert!(!refused("postgres://a:geheim@db.example:x/x").contains("geheim"));
        assert!(refused("postgres://a@db.example/x?sslmode=prefer").contains("verify-full"));
        assert!(refused("postgres://db.example").contains("USER@HOST"));
        assert!(refused("mysql://a@db.example/x").contains("postgres://"));
    }
}
