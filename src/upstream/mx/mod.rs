//! Delivery to the mail exchangers of each recipient's domain, without a smarthost.
//!
//! * `plan` which hosts in which order, and how each must be secured
//! * `sts` policies of MTA-STS (RFC 8461)
//!
//! DANE (RFC 7672) wins over MTA-STS; without either TLS is opportunistic. One transaction goes to one
//! domain; recipients of others come back as not tried.

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
use plan::{Demand, Exchanger, NoWay};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use sts::Policies;
pub use sts::{KnownPolicy, PolicyMemory};
use tokio::time::Instant;

/// Most hosts whose connections and breakers are kept.
const KEPT: usize = 2_000;
/// How long a host is kept that nothing is sent to.
const IDLE: Duration = Duration::from_mins(15);
/// Transactions with one host at once.
const AT_ONCE: usize = 10;

/// What delivery by MX is told.
pub struct Settings {
    /// What we call ourselves.
    pub hello: String,
    /// Where mail exchangers listen: 25, but in tests.
    pub port: u16,
    /// Where policies of MTA-STS are: 443, but in tests.
    pub policy_port: u16,
    /// Who is asked.
    pub resolver: Resolver,
    /// Who vouches for certificates where a domain's policy asks for that.
    pub authorities: Authorities,
    /// Where failures are counted.
    pub tally: Tally,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// For the order among equals.
    pub entropy: Arc<dyn Entropy>,
    /// Changes how hosts are spoken to: time-outs, in tests.
    pub model: SmarthostConfig,
    /// Policies that were known before.
    pub known: Vec<KnownPolicy>,
    /// Who keeps policies over a restart.
    pub memory: Option<Arc<dyn PolicyMemory>>,
}

/// See the module.
pub struct MxDelivery {
    settings: Settings,
    policies: Policies,
    hosts: Mutex<HashMap<Key, (Arc<Guarded>, Instant)>>,
}

/// A host as it is spoken to: another certificate that is asked for is another connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    host: String,
    addresses: Vec<IpAddr>,
    security: String,
}

impl MxDelivery {
    /// Nothing is looked up yet. The error is a sentence for the admin.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let policies = Policies::new(&settings)?;
        Ok(Self { settings, policies, hosts: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, (Arc<Guarded>, Instant)>> {
        // nothing can panic while it is held
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All recipients have this domain.
    async fn deliver(
        &self,
        domain: &str,
        transaction: &mut Transaction,
        last_look: Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Outcome {
        let count = transaction.recipients.len();
        if let Some(address) = literal(domain) {
            let demand = Demand::Opportunistic { watched: false };
            let host = address.to_string();
            return self.try_host(&host, domain, vec![address], &demand, transaction, last_look).await;
        }
        let settings = &self.settings;
        let (exchangers, policy) = tokio::join!(
            plan::exchangers(domain, &settings.hello, &settings.resolver, settings.entropy.as_ref()),
            self.policies.of(domain)
        );
        let exchangers = match exchangers {
            Ok(exchangers) => exchangers,
            Err(no_way) => return Outcome::all(count, &fate(no_way)),
        };
        let mut last: Option<Outcome> = None;
        let mut never: Option<NoWay> = None;
        for exchanger in exchangers {
            let outcome =
                match plan::target(&exchanger, settings.port, policy.as_ref(), &settings.resolver).await {
                    Ok((addresses, demand)) => {
                        let look = Arc::clone(&last_look);
                        self.try_host(&exchanger.host, domain, addresses, &demand, transaction, look).await
                    }
                    Err(no_way @ NoWay::Never(_)) => {
                        never.get_or_insert(no_way);
                        continue;
                    }
                    Err(no_way) => {
                        self.unusable(&exchanger, &no_way);
                        Outcome { unreachable: true, ..Outcome::all(count, &fate(no_way)) }
                    }
                };
            let nothing_done = outcome.unreachable || outcome.recipients.iter().all(Fate::is_untried);
            if !(nothing_done && transaction.is_whole()) {
                return Outcome { unreachable: false, ..outcome };
            }
            // of several reasons the first that something was tried for
            if last.as_ref().is_none_or(|kept| !kept.unreachable && outcome.unreachable) {
                last = Some(outcome);
            }
        }
        // a host that is down says nothing about mail for other domains
        let last = last.map(|outcome| Outcome { unreachable: false, ..outcome });
        let nowhere = || NoWay::Never(format!("5.4.4 {domain} has no mail exchanger with an address"));
        last.unwrap_or_else(|| Outcome::all(count, &fate(never.unwrap_or_else(nowhere))))
    }

    fn unusable(&self, exchanger: &Exchanger, no_way: &NoWay) {
        let NoWay::NotNow(why) = no_way else { return };
        tracing::warn!(host = %exchanger.host, why, "a mail exchanger cannot be used");
        self.settings.tally.failed("mx", super::tally::Trouble::Unverified);
    }

    async fn try_host(
        &self,
        host: &str,
        domain: &str,
        addresses: Vec<IpAddr>,
        demand: &Demand,
        transaction: &mut Transaction,
        last_look: Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Outcome {
        match self.host(host, domain, addresses, demand) {
            Ok(way) => way.send(transaction, last_look).await,
            Err(why) => Outcome::unreachable(transaction.recipients.len(), format!("4.3.5 {why}")),
        }
    }

    /// The host with its connections, made when it is met first.
    fn host(
        &self,
        host: &str,
        domain: &str,
        addresses: Vec<IpAddr>,
        demand: &Demand,
    ) -> Result<Arc<Guarded>, String> {
        let key = Key {
            host: host.to_owned(),
            addresses,
            // what DANE compares includes the domain the mail is for
            security: match demand {
                Demand::Dane(_) => format!("{domain} {demand:?}"),
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
            security: demand.security(),
            trust: Some(match demand {
                Demand::Dane(records) => {
                    Trust::Dane { records: records.clone().into(), names: vec![domain.to_owned()].into() }
                }
                Demand::Any => Trust::Nothing,
                _ => Trust::Authorities(settings.authorities.clone()),
            }),
            watch: matches!(demand, Demand::Opportunistic { watched: true }),
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

fn fate(no_way: NoWay) -> Fate {
    match no_way {
        NoWay::Never(why) => Fate::Failed(why),
        NoWay::NotNow(why) => Fate::Deferred(why),
    }
}

/// An address literal (RFC 5321 §4.1.3).
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

/// How mail exchangers are spoken to: they are many, and mail for others waits less when one is slow.
pub fn model() -> SmarthostConfig {
    SmarthostConfig { security: Security::Opportunistic, ..SmarthostConfig::new("mx", 25, "localhost") }
}
