//! The Domain Name System, as far as mail needs it: TXT, MX, addresses, TLSA, each with its time to
//! live and with what DNSSEC says of it.
//!
//! A name that does not exist, a name server that does not answer and a signature that does not hold
//! are three different errors: the first is final, the others are waited out.

#[cfg(test)]
pub(crate) mod rig;
#[cfg(test)]
mod tests;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError as NetDnsError, NetError};
use hickory_resolver::proto::dnssec::{Proof, TrustAnchors};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{ResolverBuilder, TokioResolver};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A whole lookup, over all name servers and aliases, may take so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Which name servers are asked, and whether signatures are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name servers; none means the system's (`/etc/resolv.conf`).
    pub servers: Vec<SocketAddr>,
    /// Whether DNSSEC is validated where security depends on it (MX, addresses, TLSA). The name
    /// servers must hand signatures on.
    pub dnssec: bool,
    /// DNSKEY records to trust in place of the root's.
    pub trust_anchor_file: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { servers: Vec::new(), dnssec: true, trust_anchor_file: None }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// There is no such record. `exists`: the name has records of other kinds (NODATA, no NXDOMAIN).
    #[error("{name} {}", if *.exists { "has no such record" } else { "does not exist" })]
    NotFound {
        /// What was asked for.
        name: String,
        /// The name exists.
        exists: bool,
    },
    /// No name server gave an answer that could be used; later one may.
    #[error("{name} could not be looked up: {why}")]
    Temporary {
        /// What was asked for.
        name: String,
        /// What went wrong.
        why: String,
    },
    /// The answer's signature does not hold: it may be forged, and is not used.
    #[error("the answer for {name} is not what DNSSEC vouches for")]
    Bogus {
        /// What was asked for.
        name: String,
    },
}

impl DnsError {
    /// The record is not there; nothing went wrong.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<T> {
    /// What was asked for.
    pub value: T,
    /// How long it may be kept.
    pub ttl: Duration,
    /// DNSSEC vouches for all of it, aliases on the way included.
    pub secure: bool,
}

/// One MX record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mx {
    /// Lower is preferred.
    pub preference: u16,
    /// The host, lower case, without a final dot; empty for the null MX (RFC 7505).
    pub host: String,
}

/// One TLSA record (RFC 6698 §2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tlsa {
    /// Certificate usage.
    pub usage: u8,
    /// Selector: 0 the certificate, 1 its public key.
    pub selector: u8,
    /// Matching: 0 the thing itself, 1 its SHA-256, 2 its SHA-512.
    pub matching: u8,
    /// What must match.
    pub data: Vec<u8>,
}

/// Asks name servers. Clones share one cache.
#[derive(Clone, Debug)]
pub struct Resolver {
    /// For what needs no proof: it also works behind name servers that drop signatures.
    plain: TokioResolver,
    /// For what security depends on.
    validating: Option<TokioResolver>,
}

impl Resolver {
    /// Reads the system's configuration or takes the settings'. The error is a sentence for the admin.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        let build = |builder: ResolverBuilder<TokioRuntimeProvider>| {
            builder.build().map_err(|error| format!("DNS cannot be set up: {error}"))
        };
        let plain = build(builder(settings)?)?;
        let validating = if settings.dnssec {
            let mut builder = builder(settings)?;
            builder.options_mut().validate = true;
            if let Some(file) = &settings.trust_anchor_file {
                let anchors = TrustAnchors::from_file(file).map_err(|error| {
                    format!("trust_anchor_file {}: {error}: write DNSKEY records into it", file.display())
                })?;
                builder = builder.with_trust_anchor(Arc::new(anchors));
            }
            Some(build(builder)?)
        } else {
            None
        };
        Ok(Self { plain, validating })
    }

    /// The texts of a name, each with its strings joined. DNSSEC is not looked at.
    pub async fn txt(&self, name: &str) -> Result<Found<Vec<String>>, DnsError> {
        let lookup = ask(&self.plain, name, RecordType::TXT).await?;
        gather(name, &lookup, |data| match data {
            RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
            _ => None,
        })
    }

    /// The mail exchangers of a domain, the preferred first.
    pub async fn mx(&self, domain: &str) -> Result<Found<Vec<Mx>>, DnsError> {
        let lookup = ask(self.best(), domain, RecordType::MX).await?;
        let mut found = gather(domain, &lookup, |data| match data {
            RData::MX(mx) => Some(Mx { preference: mx.preference, host: host_name(&mx.exchange) }),
            _ => None,
        })?;
        found.value.sort();
        Ok(found)
    }

    /// The addresses of a host, IPv6 first. One family is enough where the other cannot be had.
    pub async fn addresses(&self, host: &str) -> Result<Found<Vec<IpAddr>>, DnsError> {
        let (six, four) =
            tokio::join!(self.addresses_of(host, RecordType::AAAA), self.addresses_of(host, RecordType::A));
        match (six, four) {
            (Err(bogus @ DnsError::Bogus { .. }), _) | (_, Err(bogus @ DnsError::Bogus { .. })) => Err(bogus),
            (Ok(mut six), Ok(four)) => {
                six.value.extend(four.value);
                Ok(Found { value: six.value, ttl: six.ttl.min(four.ttl), secure: six.secure && four.secure })
            }
            (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
            (Err(temporary @ DnsError::Temporary { .. }), Err(_)) | (Err(_), Err(temporary)) => {
                Err(temporary)
            }
        }
    }

    async fn addresses_of(&self, host: &str, kind: RecordType) -> Result<Found<Vec<IpAddr>>, DnsError> {
        let lookup = ask(self.best(), host, kind).await?;
        gather(host, &lookup, |data| match data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        })
    }

    /// The names that an address goes by. DNSSEC is not looked at.
    pub async fn names(&self, address: IpAddr) -> Result<Found<Vec<String>>, DnsError> {
        let name = Name::from(address).to_ascii();
        let lookup = ask(&self.plain, &name, RecordType::PTR).await?;
        gather(&name, &lookup, |data| match data {
            RData::PTR(host) => Some(host_name(host)),
            _ => None,
        })
    }

    /// What DANE says of a port of a host (`_25._tcp.HOST`). Records that DNSSEC does not vouch for
    /// count as none (RFC 7672 §2.1.1): an answer is always secure.
    pub async fn tlsa(&self, host: &str, port: u16) -> Result<Found<Vec<Tlsa>>, DnsError> {
        let name = format!("_{port}._tcp.{host}");
        let none = || DnsError::NotFound { name: name.clone(), exists: true };
        let validating = self.validating.as_ref().ok_or_else(none)?;
        let lookup = ask(validating, &name, RecordType::TLSA).await?;
        let found = gather(&name, &lookup, |data| match data {
            RData::TLSA(tlsa) => Some(Tlsa {
                usage: tlsa.cert_usage.into(),
                selector: tlsa.selector.into(),
                matching: tlsa.matching.into(),
                data: tlsa.cert_data.clone(),
            }),
            _ => None,
        })?;
        if found.secure { Ok(found) } else { Err(none()) }
    }

    fn best(&self) -> &TokioResolver {
        self.validating.as_ref().unwrap_or(&self.plain)
    }
}

fn builder(settings: &Settings) -> Result<ResolverBuilder<TokioRuntimeProvider>, String> {
    if settings.servers.is_empty() {
        return TokioResolver::builder_tokio().map_err(|error| {
            format!("the system's name servers are not known ({error}): name some in [dns] servers")
        });
    }
    let servers = settings.servers.iter().map(|server| {
        let mut udp = ConnectionConfig::udp();
        let mut tcp = ConnectionConfig::tcp();
        (udp.port, tcp.port) = (server.port(), server.port());
        NameServerConfig::new(server.ip(), true, vec![udp, tcp])
    });
    let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    builder.options_mut().use_hosts_file = ResolveHosts::Never;
    Ok(builder)
}

/// A name as it is asked for: A-labels, absolute, so that no search list is tried.
fn absolute(name: &str) -> Result<Name, DnsError> {
    let wrong = || DnsError::NotFound { name: name.to_owned(), exists: false };
    let ascii = idna::domain_to_ascii(name.trim_end_matches('.')).map_err(|_| wrong())?;
    let mut asked = Name::from_ascii(&ascii).map_err(|_| wrong())?;
    asked.set_fqdn(true);
    Ok(asked)
}

fn host_name(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

async fn ask(through: &TokioResolver, name: &str, kind: RecordType) -> Result<Lookup, DnsError> {
    let asked = absolute(name)?;
    match tokio::time::timeout(PATIENCE, through.lookup(asked, kind)).await {
        Ok(Ok(lookup)) => Ok(lookup),
        Ok(Err(error)) => Err(failure(name, &error)),
        Err(_) => Err(DnsError::Temporary { name: name.to_owned(), why: "no answer in time".to_owned() }),
    }
}

fn failure(name: &str, error: &NetError) -> DnsError {
    let name = name.to_owned();
    match error {
        NetError::Dns(NetDnsError::DnssecBogus | NetDnsError::Nsec { proof: Proof::Bogus, .. }) => {
            DnsError::Bogus { name }
        }
        NetError::Dns(NetDnsError::Nsec { response, .. }) => {
            DnsError::NotFound { name, exists: response.response_code != ResponseCode::NXDomain }
        }
        NetError::Dns(NetDnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => DnsError::NotFound { name, exists: false },
            ResponseCode::NoError => DnsError::NotFound { name, exists: true },
            other => DnsError::Temporary { name, why: other.to_string() },
        },
        other => DnsError::Temporary { name, why: other.to_string() },
    }
}

/// The records that were asked for, with the least of their times to live and the least of their
/// proofs.
fn gather<T>(
    name: &str,
    lookup: &Lookup,
    pick: impl Fn(&RData) -> Option<T>,
) -> Result<Found<Vec<T>>, DnsError> {
    let mut value = Vec::new();
    let mut secure = true;
    for record in lookup.answers() {
        if matches!(record.data, RData::DNSSEC(_)) {
            continue;
        }
        // an alias that DNSSEC does not vouch for may lead anywhere (RFC 7672 §2.1.3)
        secure &= record.proof == Proof::Secure;
        value.extend(pick(&record.data));
    }
    if value.is_empty() {
        return Err(DnsError::NotFound { name: name.to_owned(), exists: true });
    }
    let ttl = lookup.valid_until().saturating_duration_since(Instant::now());
    Ok(Found { value, ttl, secure })
}
