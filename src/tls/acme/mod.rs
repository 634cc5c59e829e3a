//! Obtains certificates by ACME (RFC 8555) and renews them.
//!
//! Certificate and key are stored in a folder of the relay and loaded from there like any other. Until the
//! first certificate is issued, a self-signed one takes its place, so that the relay can start even if
//! the authority is unavailable. A certificate is renewed when a third of its lifetime is left. A failed
//! order is logged and tried again at growing intervals; the old certificate stays in use.

mod order;
mod responder;

use super::{Pair, PairFiles, Server, Trouble, selfsigned};
use crate::clock::{Clock, Timestamp};
use rustls::crypto::aws_lc_rs;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Interval at which certificates are checked for renewal.
const EVERY: Duration = Duration::from_hours(1);
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

/// Obtains and renews the certificate until the task is stopped. Calls `told` after each order with
/// whether it succeeded.
pub async fn renew(settings: Settings, server: Server, clock: Arc<dyn Clock>, told: impl Fn(bool)) {
    let mut pause = PAUSE;
    loop {
        let files = settings.files();
        let current = server.pairs().into_iter().find(|pair| pair.files == files);
        let wait = if current.is_none_or(|pair| due(&pair, &settings, clock.now())) {
            match once(&settings, &server, &*clock).await {
                Ok(()) => {
                    told(true);
                    tracing::info!(domains = ?settings.domains, "ACME certificate issued");
                    pause = PAUSE;
                    EVERY
                }
                Err(why) => {
                    told(false);
                    tracing::error!(domains = ?settings.domains, why, "ACME order failed");
                    let wait = pause;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    wait
                }
            }
        } else {
            EVERY
        };
        tokio::time::sleep(wait).await;
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
async fn once(settings: &Settings, server: &Server, clock: &dyn Clock) -> Result<(), String> {
    let made = match tokio::time::timeout(PATIENCE, order::order(settings)).await {
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
    server.replace(server.source(), clock.now()).map_err(|trouble| trouble.to_string())
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
        let why = once(&settings, &server, &clock).await.unwrap_err();
        assert!(!why.is_empty());
        assert!(server.pairs()[0].facts.self_signed);
    }
}
