//! DNS look-ups that mail needs (TXT, MX, addresses, PTR, TLSA). Each result has its TTL and whether DNSSEC
//! secures it.
//!
//! Errors distinguish a record that does not exist (permanent), a look-up that failed, and an answer with
//! an invalid DNSSEC signature (both temporary).

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

/// Timeout for a complete look-up, over all name servers and aliases.
const PATIENCE: Duration = Duration::from_secs(20);

/// Which name servers to use, and whether to validate DNSSEC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name servers; empty means those of the system (`/etc/resolv.conf`).
    pub servers: Vec<SocketAddr>,
    /// Whether DNSSEC is validated for MX, addresses and TLSA. The name servers must pass on signatures.
    pub dnssec: bool,
    /// A file with DNSKEY records to trust in place of those of the root.
    pub trust_anchor_file: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { servers: Vec::new(), dnssec: true, trust_anchor_file: None }
    }
}

/// Why a look-up has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// There is no such record.
    #[error("{name} {}", if *.exists { "has no such record" } else { "does not exist" })]
    NotFound {
        /// The name that was looked up.
        name: String,
        /// Whether the name has records of other types (NODATA rather than NXDOMAIN).
        exists: bool,
    },
    /// No name server gave a usable answer. A later look-up may succeed.
    #[error("{name} could not be looked up: {why}")]
    Temporary {
        /// The name that was looked up.
        name: String,
        /// The error.
        why: String,
    },
    /// The DNSSEC signature of the answer is invalid. The answer may be forged and is not used.
    #[error("the answer for {name} has an invalid DNSSEC signature")]
    Bogus {
        /// The name that was looked up.
        name: String,
    },
}

impl DnsError {
    /// Whether the record does not exist, as opposed to a failed look-up.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

/// The result of a look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<T> {
    /// The records.
    pub value: T,
    /// How long the result may be cached.
    pub ttl: Duration,
    /// Whether DNSSEC secures all records, including aliases.
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
    /// Matching type: 0 the full data, 1 its SHA-256, 2 its SHA-512.
    pub matching: u8,
    /// The data to match.
    pub data: Vec<u8>,
}

/// A caching resolver. Clones share the cache.
#[derive(Clone, Debug)]
pub struct Resolver {
    /// Without DNSSEC, for records that need no validation. It also works with name servers that drop
    /// signatures.
    plain: TokioResolver,
    /// With DNSSEC, for records that security depends on.
    validating: Option<TokioResolver>,
}

impl Resolver {
    /// A resolver with these settings.
    ///
    /// # Errors
    /// The system's name servers are unknown, or the trust anchor file cannot be used. The error is a text
    /// for the administrator.
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

    /// The TXT records of a name, each with its strings joined. Without DNSSEC.
    ///
    /// # Errors
    /// There is no such record, or the look-up failed.
    pub async fn txt(&self, name: &str) -> Result<Found<Vec<String>>, DnsError> {
        let lookup = ask(&self.plain, name, RecordType::TXT).await?;
        gather(name, &lookup, |data| match data {
            RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
            _ => None,
        })
    }

    /// The MX records of a domain, sorted by preference.
    ///
    /// # Errors
    /// There is no such record, the look-up failed, or the answer is bogus.
    pub async fn mx(&self, domain: &str) -> Result<Found<Vec<Mx>>, DnsError> {
        let lookup = ask(self.best(), domain, RecordType::MX).await?;
        let mut found = gather(domain, &lookup, |data| match data {
            RData::MX(mx) => Some(Mx { preference: mx.preference, host: host_name(&mx.exchange) }),
            _ => None,
        })?;
        found.value.sort();
        Ok(found)
    }

    /// The addresses of a host, IPv6 first. One family is enough if the look-up of the other failed.
    ///
    /// # Errors
    /// Neither family has an address, both look-ups failed, or an answer is bogus.
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

    /// The host names of an address (PTR). Without DNSSEC.
    ///
    /// # Errors
    /// There is no such record, or the look-up failed.
    pub async fn names(&self, address: IpAddr) -> Result<Found<Vec<String>>, DnsError> {
        let name = Name::from(address).to_ascii();
        let lookup = ask(&self.plain, &name, RecordType::PTR).await?;
        gather(&name, &lookup, |data| match data {
            RData::PTR(host) => Some(host_name(host)),
            _ => None,
        })
    }

    /// The TLSA records of a port of a host (`_25._tcp.HOST`). Records that DNSSEC does not secure are
    /// ignored (RFC 7672 §2.1.1), so a result is always secure.
    ///
    /// # Errors
    /// There is no such record or it is not secure, the look-up failed, or the answer is bogus.
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
            format!("the system's name servers are unknown ({error}): name some in [dns] servers")
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

/// The name as A-labels and absolute, so that no search list applies.
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

/// Collects the requested records. The result is secure only if all records are.
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
        // an insecure alias may lead anywhere (RFC 7672 §2.1.3)
        secure &= record.proof == Proof::Secure;
        value.extend(pick(&record.data));
    }
    if value.is_empty() {
        return Err(DnsError::NotFound { name: name.to_owned(), exists: true });
    }
    let ttl = lookup.valid_until().saturating_duration_since(Instant::now());
    Ok(Found { value, ttl, secure })
}
