//! Where a domain's mail may go: its mail exchangers in order, and how each must be secured.

use super::sts::{Mode, Policy};
use crate::clock::Entropy;
use crate::dns::{DnsError, Found, Mx, Resolver, Tlsa};
use crate::upstream::smarthost::{Security, is_usable_tlsa};
use std::net::IpAddr;

/// Most hosts of a domain that are tried.
const MOST_HOSTS: usize = 10;

/// Why mail for a domain goes nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoWay {
    /// Never.
    Never(String),
    /// Not now.
    NotNow(String),
}

/// One mail exchanger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exchanger {
    pub(super) host: String,
    /// DNSSEC vouches for the way to it so far: TLSA records of it count.
    pub(super) secure: bool,
}

/// The mail exchangers of a domain, the first to be tried first: by preference, and by lot where that
/// is equal (RFC 5321 §5.1).
pub(super) async fn exchangers(
    domain: &str,
    own: &str,
    resolver: &Resolver,
    entropy: &dyn Entropy,
) -> Result<Vec<Exchanger>, NoWay> {
    let found = match resolver.mx(domain).await {
        Ok(found) => found,
        // the domain itself, where it names none (§5.1); whether that is secure its address tells
        Err(DnsError::NotFound { exists: true, .. }) => {
            return Ok(vec![Exchanger { host: domain.to_owned(), secure: true }]);
        }
        Err(error) => return Err(no_way(&error)),
    };
    if found.value.iter().all(|mx| mx.host.is_empty()) {
        // RFC 7505 §4.1
        return Err(NoWay::Never(format!("556 5.1.10 {domain} takes no mail (null MX)")));
    }
    let order = in_order(found, own, entropy);
    if order.is_empty() {
        return Err(NoWay::Never(format!("5.4.6 the mail exchanger of {domain} is this very host")));
    }
    Ok(order)
}

fn in_order(found: Found<Vec<Mx>>, own: &str, entropy: &dyn Entropy) -> Vec<Exchanger> {
    let mut records: Vec<(u16, u64, String)> = found
        .value
        .into_iter()
        .filter(|mx| !mx.host.is_empty())
        .map(|mx| (mx.preference, entropy.bits(), mx.host))
        .collect();
    records.sort();
    // mail that reached us goes to those only who are nearer (§5.1)
    if let Some(at) = records.iter().position(|(_, _, host)| host.eq_ignore_ascii_case(own)) {
        let ours = records[at].0;
        records.retain(|(preference, ..)| *preference < ours);
    }
    let secure = found.secure;
    records.into_iter().take(MOST_HOSTS).map(|(_, _, host)| Exchanger { host, secure }).collect()
}

fn no_way(error: &DnsError) -> NoWay {
    match error {
        DnsError::NotFound { exists: false, .. } => NoWay::Never(format!("5.1.2 {error}")),
        DnsError::NotFound { .. } => NoWay::Never(format!("5.4.4 {error}")),
        DnsError::Temporary { .. } => NoWay::NotNow(format!("4.4.3 {error}")),
        DnsError::Bogus { .. } => NoWay::NotNow(format!("4.7.0 {error}")),
    }
}

/// How a host must be secured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// TLS where it is offered. `watched`: a policy in testing would ask for more.
    Opportunistic { watched: bool },
    /// A certificate that authorities vouch for (MTA-STS).
    Authorities,
    /// What these records say (DANE).
    Dane(Vec<Tlsa>),
    /// TLS without a certificate to compare (RFC 7672 §2.2: none of the records can be used).
    Any,
}

impl Demand {
    pub(super) fn security(&self) -> Security {
        match self {
            Self::Opportunistic { .. } => Security::Opportunistic,
            Self::Authorities | Self::Dane(_) => Security::Required,
            Self::Any => Security::Unverified,
        }
    }
}

/// A host's addresses, and how it must be secured. DANE wins over MTA-STS (RFC 8461 §2).
pub(super) async fn target(
    exchanger: &Exchanger,
    port: u16,
    policy: Option<&Policy>,
    resolver: &Resolver,
) -> Result<(Vec<IpAddr>, Demand), NoWay> {
    let host = &exchanger.host;
    let found = resolver.addresses(host).await.map_err(|error| no_way(&error))?;
    if exchanger.secure && found.secure {
        match resolver.tlsa(host, port).await {
            Ok(tlsa) => {
                let usable: Vec<Tlsa> = tlsa.value.into_iter().filter(is_usable_tlsa).collect();
                let demand = if usable.is_empty() { Demand::Any } else { Demand::Dane(usable) };
                return Ok((found.value, demand));
            }
            Err(DnsError::NotFound { .. }) => {}
            // RFC 7672 §2.1.1: a host whose records cannot be had is not used
            Err(error) => return Err(no_way(&error)),
        }
    }
    let demand = match policy.map(|policy| (policy.mode, policy.names(host))) {
        Some((Mode::Enforce, true)) => Demand::Authorities,
        Some((Mode::Enforce, false)) => {
            return Err(NoWay::NotNow(format!("4.7.0 {host} is not in the domain's MTA-STS policy")));
        }
        Some((Mode::Testing, true)) => Demand::Opportunistic { watched: true },
        Some((Mode::Testing, false)) => {
            tracing::warn!(host, "is not in the domain's MTA-STS policy, which is in testing");
            Demand::Opportunistic { watched: false }
        }
        Some((Mode::None, _)) | None => Demand::Opportunistic { watched: false },
    };
    Ok((found.value, demand))
}
