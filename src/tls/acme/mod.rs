//! Obtains certificates by ACME (RFC 8555) and renews them.
//!
//! Certificate and key are stored in a folder of the relay and loaded from there like any other. Until the
//! first certificate is issued, a self-signed one takes its place, so that the relay can start even if
//! the authority is unavailable. A certificate is renewed when a third of its lifetime is left. A failed
//! order is logged and tried again at growing intervals; the old certificate stays in use.
//!
//! Relays that share a database order by turns ([`Shared`]): one orders, each answers the authority's challenge, for it
//! may ask any of them, and all use the certificate that came of it.

mod order;
mod responder;

use super::{Pair, PairFiles, Server, Trouble, selfsigned};
use crate::clock::{Clock, Timestamp};
use async_trait::async_trait;
use responder::Responder;
use rustls::crypto::aws_lc_rs;
pub use selfsigned::Made;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Interval at which certificates are checked for renewal.
const EVERY: Duration = Duration::from_hours(1);
/// The same interval if relays share the certificate: soon after one obtained it, all use it.
const LOOK: Duration = Duration::from_secs(20);
/// Timeout for one order.
const PATIENCE: Duration = Duration::from_mins(5);
/// Pause after a failed order; doubled each time, because authorities limit failed orders.
const PAUSE: Duration = Duration::from_mins(5);
const LONGEST_PAUSE: Duration = Duration::from_hours(6);
/// Validity of the temporary self-signed certificate, in days.
const STAND_IN: u32 = 30;

/// ACME settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// URL of the authority's directory (https).
    pub directory: String,
    /// Host names of the certificate; at least one.
    pub domains: Vec<String>,
    /// Contact addresses for the authority, without `mailto:`.
    pub contact: Vec<String>,
    /// The folder for certificate, key and account.
    pub cache: PathBuf,
    /// The address that answers http-01 challenges. Requests to port 80 of each domain must arrive here.
    pub address: SocketAddr,
    /// PEM file to verify the authority's own TLS certificate with; `None` uses the system's authorities.
    pub ca_file: Option<PathBuf>,
}

impl Settings {
    /// The files of certificate and key.
    pub fn files(&self) -> PairFiles {
        let name = self.domains.first().map_or("certificate", String::as_str);
        PairFiles {
            chain: self.cache.join(format!("{name}.pem")),
            key: self.cache.join(format!("{name}.key")),
        }
    }

    /// Whether both files exist, even with the temporary certificate.
    pub fn exists(&self) -> bool {
        let files = self.files();
        files.chain.exists() && files.key.exists()
    }

    fn account(&self) -> PathBuf {
        self.cache.join("account.json")
    }
}

/// What relays share that have the same certificate.
#[async_trait]
pub trait Shared: Send + Sync + 'static {
    /// Takes or keeps the turn to order for a time. Returns false if another relay has it.
    ///
    /// # Errors
    /// The store cannot be asked; the text is for the log.
    async fn turn(&self, domain: &str, lasts: Duration) -> Result<bool, String>;

    /// Lets every relay answer this challenge.
    ///
    /// # Errors
    /// The store cannot be asked.
    async fn challenge(&self, token: &str, authorization: &str) -> Result<(), String>;

    /// The answer to a challenge.
    async fn answer(&self, token: &str) -> Option<String>;

    /// The certificate that a relay obtained last.
    ///
    /// # Errors
    /// The store cannot be asked.
    async fn certificate(&self, domain: &str) -> Result<Option<Made>, String>;

    /// Stores it for all.
    ///
    /// # Errors
    /// The store cannot be asked.
    async fn keep(&self, domain: &str, made: &Made) -> Result<(), String>;
}

/// Creates the folder, and a temporary self-signed certificate if there is none yet.
///
/// # Errors
/// The folder or a file cannot be written, or a domain is not a valid name.
pub fn prepare(settings: &Settings, now: Timestamp) -> Result<(), Trouble> {
    if settings.exists() {
        return Ok(());
    }
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&settings.cache)
        .map_err(|error| Trouble::new(&settings.cache, format!("it cannot be created: {error}")))?;
    let files = settings.files();
    let made =
        selfsigned::make(&settings.domains, STAND_IN, now).map_err(|why| Trouble::new(&files.chain, why))?;
    selfsigned::write(&made, &files)
}

/// What an order works with.
struct Work<'a> {
    settings: &'a Settings,
    server: &'a Server,
    clock: &'a dyn Clock,
    shared: Option<Arc<dyn Shared>>,
    /// Answers challenges all the time: another relay may order at any time.
    standing: Option<Responder>,
}

/// Obtains and renews the certificate until the task is stopped. Calls `told` after each order with
/// whether it succeeded.
pub async fn renew(
    settings: Settings,
    server: Server,
    clock: Arc<dyn Clock>,
    shared: Option<Arc<dyn Shared>>,
    told: impl Fn(bool),
) {
    let mut work = Work { settings: &settings, server: &server, clock: &*clock, shared, standing: None };
    let mut pause = PAUSE;
    loop {
        let wait = match work.round(pause).await {
            Ok(Done::Ordered) => {
                told(true);
                tracing::info!(domains = ?settings.domains, "ACME certificate issued");
                pause = PAUSE;
                work.every()
            }
            Ok(Done::Nothing) => work.every(),
            Err(why) => {
                told(false);
                tracing::error!(domains = ?settings.domains, why, "ACME order failed");
                let wait = pause;
                pause = (pause * 2).min(LONGEST_PAUSE);
                wait
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// What a round did.
enum Done {
    Ordered,
    Nothing,
}

impl Work<'_> {
    fn every(&self) -> Duration {
        if self.shared.is_some() { LOOK } else { EVERY }
    }

    /// Uses what another relay obtained, and orders a certificate if one is due. After a failed order the turn is kept
    /// for `pause`.
    async fn round(&mut self, pause: Duration) -> Result<Done, String> {
        let domain = self.settings.domains.first().map_or("", String::as_str);
        if let Some(shared) = &self.shared {
            if self.standing.is_none() {
                let bound = Responder::bind(self.settings.address, Some(Arc::clone(shared))).await;
                self.standing = Some(bound?);
            }
            match shared.certificate(domain).await {
                Ok(Some(made)) => self.take_over(&made)?,
                Ok(None) => {}
                // The database is away; the next round looks again.
                Err(why) => {
                    tracing::debug!(why, "the shared certificate cannot be read");
                    return Ok(Done::Nothing);
                }
            }
        }
        if self.current().is_some_and(|pair| !due(&pair, self.settings, self.clock.now())) {
            return Ok(Done::Nothing);
        }
        if let Some(shared) = &self.shared
            && !shared.turn(domain, PATIENCE + pause).await?
        {
            return Ok(Done::Nothing);
        }
        let made = once(self.settings, self.server, self.clock, self.standing.as_ref()).await?;
        if let Some(shared) = &self.shared {
            shared.keep(domain, &made).await?;
        }
        Ok(Done::Ordered)
    }

    fn current(&self) -> Option<Pair> {
        let files = self.settings.files();
        self.server.pairs().into_iter().find(|pair| pair.files == files)
    }

    /// Puts a certificate into use that another relay obtained, unless ours is as good.
    fn take_over(&self, made: &Made) -> Result<(), String> {
        let files = self.settings.files();
        let provider = aws_lc_rs::default_provider();
        let pair = Pair::of(&files, made.chain.as_bytes(), made.key.as_bytes(), &provider)
            .map_err(|trouble| format!("the shared certificate cannot be used: {trouble}"))?;
        let now = self.clock.now();
        let newer = self
            .current()
            .is_none_or(|ours| due(&ours, self.settings, now) || ours.facts.until < pair.facts.until);
        if !newer || due(&pair, self.settings, now) || super::stale(&pair, now).is_some() {
            return Ok(());
        }
        selfsigned::write(made, &files).map_err(|trouble| trouble.to_string())?;
        self.server.replace(self.server.source(), now).map_err(|trouble| trouble.to_string())?;
        tracing::info!(domains = ?self.settings.domains, "the certificate that another relay obtained is in use");
        Ok(())
    }
}

/// Whether a certificate must be replaced: it is self-signed, lacks a name, or has less than a third of its
/// lifetime left.
fn due(pair: &Pair, settings: &Settings, now: Timestamp) -> bool {
    let life = pair.facts.until.since(pair.facts.from);
    pair.facts.self_signed
        || !settings.domains.iter().all(|domain| pair.facts.covers(domain))
        || now > pair.facts.until.minus(life / 3)
}

/// Runs one order, stores the certificate and puts it into use.
async fn once(
    settings: &Settings,
    server: &Server,
    clock: &dyn Clock,
    standing: Option<&Responder>,
) -> Result<Made, String> {
    let made = match tokio::time::timeout(PATIENCE, order::order(settings, standing)).await {
        Ok(made) => made?,
        Err(_) => return Err("the authority took too long".to_owned()),
    };
    let files = settings.files();
    // Check the new certificate before it replaces one that works.
    let pair = Pair::of(&files, made.chain.as_bytes(), made.key.as_bytes(), &aws_lc_rs::default_provider())
        .map_err(|trouble| format!("the issued certificate cannot be used: {trouble}"))?;
    if let Some(why) = super::stale(&pair, clock.now()) {
        return Err(format!("the issued certificate cannot be used: {why}"));
    }
    selfsigned::write(&made, &files).map_err(|trouble| trouble.to_string())?;
    server.replace(server.source(), clock.now()).map_err(|trouble| trouble.to_string())?;
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{ClientCas, Source};

    fn settings(cache: PathBuf, domains: &[&str]) -> Settings {
        Settings {
            directory: "https://127.0.0.1:1/dir".into(),
            domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
            contact: Vec::new(),
            cache,
            address: "127.0.0.1:0".parse().unwrap(),
            ca_file: None,
        }
    }

    #[test]
    fn a_stand_in_serves_until_a_certificate_comes() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path().join("a/b"), &["mail.example.jp", "smtp.example.jp"]);
        let now = Timestamp(1_800_000_000_000);
        prepare(&settings, now).unwrap();
        let first = std::fs::read(settings.files().chain).unwrap();
        prepare(&settings, now).unwrap();
        assert_eq!(std::fs::read(settings.files().chain).unwrap(), first, "it stays");
        let source = Source { pairs: vec![settings.files()], clients: ClientCas::NotAsked };
        let server = Server::load(source).unwrap();
        assert!(server.pairs()[0].facts.covers("smtp.example.jp"));
        assert!(due(&server.pairs()[0], &settings, now), "and is due at once");
    }

    #[test]
    fn a_third_of_its_life_or_another_name_makes_a_certificate_due() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path().to_owned(), &["a.example"]);
        let day = 86_400_000;
        let now = Timestamp(20_000 * day);
        prepare(&settings, now).unwrap();
        let mut pair = Pair::read(&settings.files(), &aws_lc_rs::default_provider()).unwrap();
        pair.facts.self_signed = false;
        pair.facts.from = now;
        pair.facts.until = Timestamp(now.0 + 90 * day);
        let at = |days: i64| Timestamp(now.0 + days * day);
        let cases = [(0, false), (59, false), (61, true), (89, true), (100, true)];
        for (days, expected) in cases {
            assert_eq!(due(&pair, &settings, at(days)), expected, "after {days} days");
        }
        let more = self::settings(folder.path().to_owned(), &["a.example", "b.example"]);
        assert!(due(&pair, &more, at(0)));
    }

    #[tokio::test]
    async fn an_authority_that_is_away_keeps_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path().to_owned(), &["a.example"]);
        let clock = crate::clock::SystemClock;
        prepare(&settings, clock.now()).unwrap();
        let source = Source { pairs: vec![settings.files()], clients: ClientCas::NotAsked };
        let server = Server::load(source).unwrap();
        let why = once(&settings, &server, &clock, None).await.err().unwrap();
        assert!(!why.is_empty());
        assert!(server.pairs()[0].facts.self_signed);
    }
}
