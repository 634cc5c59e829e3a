//! MTA-STS (RFC 8461): a domain's policy about the TLS of its mail exchangers. Policies are fetched over
//! HTTPS with a verified certificate, cached for their `max_age`, and fetched again when the id in the
//! domain's DNS record changes.

use crate::clock::{Clock, Timestamp};
use crate::dns::{DnsError, Resolver};
use async_trait::async_trait;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Timeout for fetching a policy (RFC 8461 §3.3 suggests a minute).
const PATIENCE: Duration = Duration::from_secs(30);
/// Largest policy in octets (§3.3).
const LARGEST: usize = 64 * 1024;
/// Longest `max_age` in seconds (§3.2).
const LONGEST: u64 = 31_557_600;
/// How long to wait before fetching again after a failure (§3.3).
const AGAIN: Duration = Duration::from_mins(5);
/// Most policies in the cache. Expired ones and failed fetches are dropped first.
const KEPT: usize = 10_000;

/// The mode of a policy (§5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Mail is sent only to the named hosts, over verified TLS.
    Enforce,
    /// Failures that `Enforce` would cause are only logged.
    Testing,
    /// No requirement.
    None,
}

/// A domain's policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) mode: Mode,
    mx: Vec<String>,
    max_age: Duration,
}

impl Policy {
    /// Parses the text of a policy (§3.2). The error is a text for the log.
    pub(super) fn read(text: &str) -> Result<Self, &'static str> {
        let (mut version, mut mode, mut max_age, mut mx) = (None, None, None, Vec::new());
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (key, value) = line.split_once(':').ok_or("a line without a colon")?;
            let value = value.trim();
            match key.trim() {
                // if a key is repeated, the first one counts
                "version" => version = version.or(Some(value)),
                "mode" => mode = mode.or(Some(value)),
                "max_age" => max_age = max_age.or(Some(value)),
                "mx" if mx.len() < 1_000 => mx.push(value.trim_end_matches('.').to_ascii_lowercase()),
                _ => {}
            }
        }
        if version != Some("STSv1") {
            return Err("its version is not STSv1");
        }
        let mode = match mode {
            Some("enforce") => Mode::Enforce,
            Some("testing") => Mode::Testing,
            Some("none") => Mode::None,
            _ => return Err("its mode is none of enforce, testing, none"),
        };
        if mx.is_empty() && mode != Mode::None {
            return Err("it names no mx");
        }
        let age = max_age.and_then(|age| age.parse::<u64>().ok()).ok_or("it has no max_age")?;
        Ok(Self { mode, mx, max_age: Duration::from_secs(age.min(LONGEST)) })
    }

    /// The policy as text, to be parsed by [`Self::read`].
    fn text(&self) -> String {
        let mode = match self.mode {
            Mode::Enforce => "enforce",
            Mode::Testing => "testing",
            Mode::None => "none",
        };
        let start = format!("version: STSv1\nmode: {mode}\nmax_age: {}\n", self.max_age.as_secs());
        self.mx.iter().fold(start, |text, host| text + "mx: " + host + "\n")
    }

    /// Whether the policy names this host (§4.1). `*.` stands for exactly one label.
    pub(super) fn names(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.mx.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(parent) => {
                host.split_once('.').is_some_and(|(first, rest)| !first.is_empty() && rest == parent)
            }
            None => *pattern == host,
        })
    }
}

/// The id in a domain's TXT records at `_mta-sts.` (§3.1). More than one record counts as none.
fn record_id(texts: &[String]) -> Option<&str> {
    let mut records = texts
        .iter()
        .filter(|text| text.strip_prefix("v=STSv1").is_some_and(|rest| rest.trim_start().starts_with(';')));
    let (record, None) = (records.next()?, records.next()) else { return None };
    let id = record.split(';').find_map(|field| field.trim().strip_prefix("id="))?;
    let sound = (1..=32).contains(&id.len()) && id.bytes().all(|octet| octet.is_ascii_alphanumeric());
    sound.then_some(id)
}

struct Cached {
    /// The id in the DNS record when the policy was fetched.
    id: String,
    /// The policy; `None` if it could not be fetched.
    policy: Option<Policy>,
    /// When the entry expires.
    until: Timestamp,
}

/// A policy as stored across restarts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPolicy {
    /// The domain.
    pub domain: String,
    /// The id of the DNS record on the first line, then the policy.
    pub text: String,
    /// When the policy expires.
    pub until: Timestamp,
}

/// Stores policies across restarts, so that an attacker who blocks a policy gains nothing from a restart.
#[async_trait]
pub trait PolicyMemory: Send + Sync + 'static {
    /// Stores a policy.
    async fn keep(&self, policy: KnownPolicy);
}

/// The cache of policies, with what is needed to fetch them.
pub(super) struct Policies {
    resolver: Resolver,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
    port: u16,
    kept: Mutex<HashMap<String, Cached>>,
    memory: Option<Arc<dyn PolicyMemory>>,
}

impl Policies {
    /// A cache with the policies in `settings.known`. Fetches nothing.
    pub(super) fn new(settings: &super::Settings) -> Result<Self, String> {
        let super::Settings { resolver, authorities, .. } = settings;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(authorities.client()?)
            .dns_resolver(Arc::new(Names(resolver.clone())))
            // redirects must not be followed (§3.3)
            .redirect(reqwest::redirect::Policy::none())
            .https_only(true)
            .timeout(PATIENCE)
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| format!("MTA-STS policies cannot be fetched: {error}"))?;
        let kept = settings.known.iter().filter_map(|known| {
            let (id, text) = known.text.split_once('\n')?;
            let policy = Policy::read(text).ok()?;
            let kept = Cached { id: id.to_owned(), policy: Some(policy), until: known.until };
            Some((known.domain.clone(), kept))
        });
        Ok(Self {
            client,
            kept: Mutex::new(kept.take(KEPT).collect()),
            resolver: resolver.clone(),
            clock: Arc::clone(&settings.clock),
            port: settings.policy_port,
            memory: settings.memory.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Cached>> {
        // no code that can panic runs while it is held
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The policy of a domain, if there is one. A known policy applies until it expires, even if the DNS
    /// record disappears or cannot be looked up (§5.1).
    pub(super) async fn of(&self, domain: &str) -> Option<Policy> {
        let now = self.clock.now();
        let known = {
            let kept = self.lock();
            kept.get(domain)
                .filter(|kept| now < kept.until)
                .map(|kept| (kept.id.clone(), kept.policy.clone()))
        };
        let texts = self.resolver.txt(&format!("_mta-sts.{domain}")).await;
        if let Err(error @ (DnsError::Temporary { .. } | DnsError::Bogus { .. })) = &texts {
            tracing::debug!(domain, %error, "the MTA-STS record could not be looked up");
        }
        let texts = texts.map(|found| found.value).unwrap_or_default();
        let id = record_id(&texts);
        match (known, id) {
            (Some((_, policy)), None) => policy,
            (None, None) => None,
            (Some((old, policy)), Some(id)) if old == id => policy,
            (known, Some(id)) => {
                let before = known.and_then(|(_, policy)| policy);
                self.renew(domain, id, before, now).await
            }
        }
    }

    async fn renew(&self, domain: &str, id: &str, before: Option<Policy>, now: Timestamp) -> Option<Policy> {
        let fetched = self.fetch(domain).await;
        let kept = match fetched {
            Ok(policy) => Cached { id: id.to_owned(), until: now.plus(policy.max_age), policy: Some(policy) },
            Err(why) => {
                tracing::warn!(domain, why, "the MTA-STS policy could not be fetched");
                if before.is_some() {
                    // the old policy applies until it expires
                    return before;
                }
                Cached { id: id.to_owned(), policy: None, until: now.plus(AGAIN) }
            }
        };
        let policy = kept.policy.clone();
        if let (Some(memory), Some(policy)) = (&self.memory, &policy) {
            let text = format!("{}\n{}", kept.id, policy.text());
            memory.keep(KnownPolicy { domain: domain.to_owned(), text, until: kept.until }).await;
        }
        let mut all = self.lock();
        if all.len() >= KEPT {
            all.retain(|_, kept| now < kept.until && kept.policy.is_some());
        }
        if all.len() < KEPT {
            all.insert(domain.to_owned(), kept);
        }
        policy
    }

    async fn fetch(&self, domain: &str) -> Result<Policy, String> {
        let port = if self.port == 443 { String::new() } else { format!(":{}", self.port) };
        let url = format!("https://mta-sts.{domain}{port}/.well-known/mta-sts.txt");
        let unreachable = |error: reqwest::Error| {
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(next) = cause {
                text = format!("{text}: {next}");
                cause = next.source();
            }
            text
        };
        let mut response = self.client.get(&url).send().await.map_err(unreachable)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(format!("the policy host answered {}", response.status()));
        }
        let mut octets = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            octets.extend_from_slice(&chunk);
            if octets.len() > LARGEST {
                return Err("it is too large".to_owned());
            }
        }
        let text = String::from_utf8(octets).map_err(|_| "it is not UTF-8 text")?;
        Ok(Policy::read(&text)?)
    }
}

/// Resolves policy hosts with the relay's own resolver.
struct Names(Resolver);

impl reqwest::dns::Resolve for Names {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let resolver = self.0.clone();
        Box::pin(async move {
            let found = resolver.addresses(name.as_str()).await?;
            let addresses = found.value.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as reqwest::dns::Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read() {
        let text = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.Example.net\r\nmax_age: 604800\r\nx: y\r\n";
        let policy = Policy::read(text).unwrap();
        assert_eq!((policy.mode, policy.max_age), (Mode::Enforce, Duration::from_hours(168)));
        for (host, named) in [
            ("mail.example.com", true),
            ("MAIL.example.com.", true),
            ("other.example.com", false),
            ("mx1.example.net", true),
            ("example.net", false),
            ("a.mx1.example.net", false),
            (".example.net", false),
        ] {
            assert_eq!(policy.names(host), named, "{host}");
        }
        assert_eq!(Policy::read(&policy.text()), Ok(policy));
        assert_eq!(Policy::read("version:STSv1\nmode: none\nmax_age: 0").unwrap().mode, Mode::None);
        assert_eq!(
            Policy::read("version:STSv1\nmode:testing\nmx: a\nmax_age: 99999999999").unwrap().max_age,
            Duration::from_secs(LONGEST)
        );
        for wrong in [
            "",
            "mode: enforce\nmx: a\nmax_age: 1",
            "version: STSv2\nmode: enforce\nmx: a\nmax_age: 1",
            "version: STSv1\nmode: strict\nmx: a\nmax_age: 1",
            "version: STSv1\nmode: enforce\nmax_age: 1",
            "version: STSv1\nmode: enforce\nmx: a",
            "version: STSv1\nmode: enforce\nmx: a\nmax_age: long",
            "<html>",
        ] {
            assert!(Policy::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn records_name_one_policy_or_none() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(record_id(&texts(&["v=STSv1; id=20160831085700Z;"])), Some("20160831085700Z"));
        assert_eq!(record_id(&texts(&["v=spf1 -all", "v=STSv1 ;id=1"])), Some("1"));
        for none in [
            &["v=STSv1; id=1", "v=STSv1; id=2"][..],
            &["v=STSv1; id="],
            &["v=STSv1; id=a-b"],
            &["v=STSv10; id=1"],
            &["v=STSv1"],
            &[],
        ] {
            assert_eq!(record_id(&texts(none)), None, "{none:?}");
        }
    }
}
