//! Certificates by ACME (RFC 8555): asked for, put into files, and renewed in time.
//!
//! The certificate and its key stand in a folder of the relay's own, and are loaded from there like any
//! other. Until the first one comes, a self-signed one stands in their place, so that a relay starts and
//! serves whatever the authority does. A certificate is renewed when a third of its life is left; an
//! order that fails is told in one line and tried again, less and less often, while the old one stays.

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

/// How often it is looked at whether a certificate is due.
const EVERY: Duration = Duration::from_hours(1);
/// How long one order may take.
const PATIENCE: Duration = Duration::from_mins(5);
/// How long after a failed order the next is made; twice as long each time. Authorities count failures.
const PAUSE: Duration = Duration::from_mins(5);
const LONGEST_PAUSE: Duration = Duration::from_hours(6);
/// Days that a stand-in is valid.
const STAND_IN: u32 = 30;

/// What is asked for, and of whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The authority's directory (https).
    pub directory: String,
    /// Names of the certificate, at least one.
    pub domains: Vec<String>,
    /// Mail addresses for the authority, without `mailto:`.
    pub contact: Vec<String>,
    /// Where the certificate, its key and the account are kept.
    pub cache: PathBuf,
    /// Where challenges (http-01) are answered; what comes to port 80 of each domain must come here.
    pub address: SocketAddr,
    /// The authority's own certificate is verified with this one (PEM); `None` for the system's.
    pub ca_file: Option<PathBuf>,
}

impl Settings {
    /// Where the certificate and its key are.
    pub fn files(&self) -> PairFiles {
        let name = self.domains.first().map_or("certificate", String::as_str);
        PairFiles {
            chain: self.cache.join(format!("{name}.pem")),
            key: self.cache.join(format!("{name}.key")),
        }
    }

    /// Whether something stands there already, be it a stand-in.
    pub fn exists(&self) -> bool {
        let files = self.files();
        files.chain.exists() && files.key.exists()
    }

    fn account(&self) -> PathBuf {
        self.cache.join("account.json")
    }
}

/// Makes the folder, and a stand-in where there is no certificate yet.
pub fn prepare(settings: &Settings, now: Timestamp) -> Result<(), Trouble> {
    if settings.exists() {
        return Ok(());
    }
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&settings.cache)
        .map_err(|error| Trouble::new(&settings.cache, format!("it cannot be made: {error}")))?;
    let files = settings.files();
    let made =
        selfsigned::make(&settings.domains, STAND_IN, now).map_err(|why| Trouble::new(&files.chain, why))?;
    selfsigned::write(&made, &files)
}

/// Asks for certificates and renews them, until the task is stopped. `told` learns how each order ended.
pub async fn renew(settings: Settings, server: Server, clock: Arc<dyn Clock>, told: impl Fn(bool)) {
    let mut pause = PAUSE;
    loop {
        let files = settings.files();
        let current = server.pairs().into_iter().find(|pair| pair.files == files);
        let wait = if current.is_none_or(|pair| due(&pair, &settings, clock.now())) {
            match once(&settings, &server, &*clock).await {
                Ok(()) => {
                    told(true);
                    tracing::info!(domains = ?settings.domains, "a certificate came by ACME");
                    pause = PAUSE;
                    EVERY
                }
                Err(why) => {
                    told(false);
                    tracing::error!(domains = ?settings.domains, why, "no certificate came by ACME");
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

/// A stand-in, one for other names, or one with a third of its life left.
fn due(pair: &Pair, settings: &Settings, now: Timestamp) -> bool {
    let life = pair.facts.until.since(pair.facts.from);
    pair.facts.self_signed
        || !settings.domains.iter().all(|domain| pair.facts.covers(domain))
        || now > pair.facts.until.minus(life / 3)
}

/// One order, into the files, into use.
async fn once(settings: &Settings, server: &Server, clock: &dyn Clock) -> Result<(), String> {
    let made = match tokio::time::timeout(PATIENCE, order::order(settings)).await {
        Ok(made) => made?,
        Err(_) => return Err("the authority took too long".to_owned()),
    };
    let files = settings.files();
    // Looked at before it stands in the place of one that works.
    let pair = Pair::of(&files, made.chain.as_bytes(), made.key.as_bytes(), &aws_lc_rs::default_provider())
        .map_err(|trouble| format!("what came is of no use: {trouble}"))?;
    if let Some(why) = super::stale(&pair, clock.now()) {
        return Err(format!("what came is of no use: {why}"));
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
