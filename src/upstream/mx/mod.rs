//! Delivery to the mail exchangers of each recipient's domain, without a smarthost.
//!
//! * `plan` which hosts to try in which order, and the TLS required of each
//! * `sts` MTA-STS policies (RFC 8461)
//!
//! DANE (RFC 7672) takes precedence over MTA-STS; without either, TLS is opportunistic. One transaction
//! goes to one domain; recipients of other domains are returned as not tried.

mod plan;
mod sts;
#[cfg(test)]
mod tests;

use super::guard::Guarded;
use super::router::Part;
use super::smarthost::{Addresses, Authorities, Security, Smarthost, SmarthostConfig, Trust};
use super::tally::Tally;
use super::{Fate, Outcome, Transaction, Upstream};
use crate::clock::{Clock, Entropy};
use crate::dns::Resolver;
use async_trait::async_trait;
use plan::{Exchanger, TlsRequirement, Undeliverable};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use sts::Policies;
pub use sts::{KnownPolicy, PolicyMemory};
use tokio::time::Instant;

/// Most hosts whose connections and circuit breakers are kept.
const KEPT: usize = 2_000;
/// How long an unused host is kept.
const IDLE: Duration = Duration::from_mins(15);
/// Concurrent transactions with one host.
const AT_ONCE: usize = 10;

/// Settings of delivery by MX.
pub struct Settings {
    /// Our host name in EHLO.
    pub hello: String,
    /// SMTP port of mail exchangers: 25, except in tests.
    pub port: u16,
    /// HTTPS port of MTA-STS policy hosts: 443, except in tests.
    pub policy_port: u16,
    /// DNS resolver.
    pub resolver: Resolver,
    /// Certificate authorities, used if an MTA-STS policy requires a verified certificate.
    pub authorities: Authorities,
    /// Metrics.
    pub tally: Tally,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for the order among exchangers of the same preference.
    pub entropy: Arc<dyn Entropy>,
    /// Template for the configuration of each host.
    pub model: SmarthostConfig,
    /// MTA-STS policies known from before the start.
    pub known: Vec<KnownPolicy>,
    /// Stores MTA-STS policies for the next start.
    pub memory: Option<Arc<dyn PolicyMemory>>,
}

/// Delivery by MX; see the module documentation.
pub struct MxDelivery {
    settings: Settings,
    policies: Policies,
    hosts: Mutex<HashMap<Key, (Arc<Guarded>, Instant)>>,
}

/// Identifies connections to a host. Connections with different TLS requirements are not shared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    host: String,
    addresses: Vec<IpAddr>,
    security: String,
}

impl MxDelivery {
    /// Sets up delivery by MX without any look-up.
    ///
    /// # Errors
    /// The HTTPS client for MTA-STS cannot be set up. The error is a text for the administrator.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let policies = Policies::new(&settings)?;
        Ok(Self { settings, policies, hosts: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, (Arc<Guarded>, Instant)>> {
        // no code that can panic runs while it is held
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a transaction whose recipients all have this domain.
    async fn deliver(
        &self,
        domain: &str,
        transaction: &mut Transaction,
        last_look: Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Outcome {
        let count = transaction.recipients.len();
        if let Some(address) = literal(domain) {
            let requirement = TlsRequirement::Opportunistic { watched: false };
            let host = address.to_string();
            return self.try_host(&host, domain, vec![address], &requirement, transaction, last_look).await;
        }
        let settings = &self.settings;
        let (exchangers, policy) = tokio::join!(
            plan::exchangers(domain, &settings.hello, &settings.resolver, settings.entropy.as_ref()),
            self.policies.of(domain)
        );
        let exchangers = match exchangers {
            Ok(exchangers) => exchangers,
            Err(undeliverable) => return Outcome::all(count, &fate(undeliverable)),
        };
        let mut last: Option<Outcome> = None;
        let mut never: Option<Undeliverable> = None;
        for exchanger in exchangers {
            let outcome = match plan::target(&exchanger, settings.port, policy.as_ref(), &settings.resolver)
                .await
            {
                Ok((addresses, requirement)) => {
                    let look = Arc::clone(&last_look);
                    self.try_host(&exchanger.host, domain, addresses, &requirement, transaction, look).await
                }
                Err(undeliverable @ Undeliverable::Permanent(_)) => {
                    never.get_or_insert(undeliverable);
                    continue;
                }
                Err(undeliverable) => {
                    self.unusable(&exchanger, &undeliverable);
                    Outcome { unreachable: true, ..Outcome::all(count, &fate(undeliverable)) }
                }
            };
            let nothing_done = outcome.unreachable || outcome.recipients.iter().all(Fate::is_untried);
            if !(nothing_done && transaction.is_whole()) {
                return Outcome { unreachable: false, ..outcome };
            }
            // report the first host that was tried, rather than one that was not
            if last.as_ref().is_none_or(|kept| !kept.unreachable && outcome.unreachable) {
                last = Some(outcome);
            }
        }
        // one host that is down must not count as a failure of the whole upstream
        let last = last.map(|outcome| Outcome { unreachable: false, ..outcome });
        let nowhere =
            || Undeliverable::Permanent(format!("5.4.4 {domain} has no mail exchanger with an address"));
        last.unwrap_or_else(|| Outcome::all(count, &fate(never.unwrap_or_else(nowhere))))
    }

    fn unusable(&self, exchanger: &Exchanger, undeliverable: &Undeliverable) {
        let Undeliverable::Temporary(why) = undeliverable else { return };
        tracing::warn!(host = %exchanger.host, why, "a mail exchanger cannot be used");
        self.settings.tally.failed("mx", super::tally::Trouble::Unverified);
    }

    async fn try_host(
        &self,
        host: &str,
        domain: &str,
        addresses: Vec<IpAddr>,
        requirement: &TlsRequirement,
        transaction: &mut Transaction,
        last_look: Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Outcome {
        match self.host(host, domain, addresses, requirement) {
            Ok(way) => way.send(transaction, last_look).await,
            Err(why) => Outcome::unreachable(transaction.recipients.len(), format!("4.3.5 {why}")),
        }
    }

    /// The host with its connections, created on first use.
    fn host(
        &self,
        host: &str,
        domain: &str,
        addresses: Vec<IpAddr>,
        requirement: &TlsRequirement,
    ) -> Result<Arc<Guarded>, String> {
        let key = Key {
            host: host.to_owned(),
            addresses,
            // with DANE, the recipient domain is among the accepted names
            security: match requirement {
                TlsRequirement::Dane(_) => format!("{domain} {requirement:?}"),
                other => format!("{other:?}"),
            },
        };
        let now = Instant::now();
        let mut hosts = self.lock();
        if let Some((way, used)) = hosts.get_mut(&key) {
            *used = now;
            return Ok(Arc::clone(way));
        }
        if hosts.len() >= KEPT {
            hosts.retain(|_, (_, used)| now.duration_since(*used) < IDLE);
        }
        if hosts.len() >= KEPT {
            hosts.clear();
        }
        let settings = &self.settings;
        let config = SmarthostConfig {
            host: host.to_owned(),
            port: settings.port,
            helo: settings.hello.clone(),
            addresses: Addresses::Known(key.addresses.clone()),
            security: requirement.security(),
            trust: Some(match requirement {
                TlsRequirement::Dane(records) => {
                    Trust::Dane { records: records.clone().into(), names: vec![domain.to_owned()].into() }
                }
                TlsRequirement::Any => Trust::Nothing,
                _ => Trust::Authorities(settings.authorities.clone()),
            }),
            watch: matches!(requirement, TlsRequirement::Opportunistic { watched: true }),
            tally_as: Some("mx"),
            tally: settings.tally.clone(),
            ..settings.model.clone()
        };
        let smarthost: Arc<dyn Upstream> = Arc::new(Smarthost::new(config)?);
        let way = Arc::new(
            Guarded::new(smarthost, AT_ONCE, Arc::clone(&settings.clock), settings.tally.clone()).unnamed(),
        );
        hosts.insert(key, (Arc::clone(&way), now));
        Ok(way)
    }
}

fn fate(undeliverable: Undeliverable) -> Fate {
    match undeliverable {
        Undeliverable::Permanent(why) => Fate::Failed(why),
        Undeliverable::Temporary(why) => Fate::Deferred(why),
    }
}

/// The IP address of an address literal (RFC 5321 §4.1.3).
fn literal(domain: &str) -> Option<IpAddr> {
    let inner = domain.strip_prefix('[')?.strip_suffix(']')?;
    let six = inner.get(..5).filter(|tag| tag.eq_ignore_ascii_case("IPv6:")).and(inner.get(5..));
    six.unwrap_or(inner).parse().ok()
}

#[async_trait]
impl Upstream for MxDelivery {
    fn name(&self) -> &'static str {
        "mx"
    }

    async fn send(
        &self,
        transaction: &mut Transaction,
        last_look: Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Outcome {
        let first = transaction.recipients.first().map(|first| first.address.domain_key().to_owned());
        let Some(domain) = first else { return Outcome::all(0, &Fate::NotTried(String::new())) };
        let part = Part::take(transaction, |address| address.domain_key() == domain);
        let outcome = self.deliver(&domain, transaction, last_look).await;
        part.give_back(transaction, outcome, "it is for another domain")
    }

    async fn probe(&self) -> Result<String, String> {
        match self.settings.resolver.addresses("a.root-servers.net").await {
            Ok(_) => Ok("the name servers answer".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn close(&self) {
        let hosts: Vec<Arc<Guarded>> = self.lock().drain().map(|(_, (way, _))| way).collect();
        for way in hosts {
            way.close().await;
        }
    }
}

/// The configuration template for mail exchangers.
pub fn model() -> SmarthostConfig {
    SmarthostConfig { security: Security::Opportunistic, ..SmarthostConfig::new("mx", 25, "localhost") }
}
