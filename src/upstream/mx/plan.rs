//! The mail exchangers of a domain in order, and the TLS required of each.

use super::sts::{Mode, Policy};
use crate::clock::Entropy;
use crate::dns::{DnsError, Found, Mx, Resolver, Tlsa};
use crate::upstream::smarthost::{Security, is_usable_tlsa};
use std::net::IpAddr;

/// Most hosts of a domain to try.
const MOST_HOSTS: usize = 10;

/// Why mail for a domain cannot be sent. The text begins with an enhanced status code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Undeliverable {
    /// It can never be sent.
    Permanent(String),
    /// It cannot be sent now.
    Temporary(String),
}

/// One mail exchanger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exchanger {
    pub(super) host: String,
    /// Whether DNSSEC secures the records that lead to this host, so that its TLSA records may be used.
    pub(super) secure: bool,
}

/// The mail exchangers of a domain in the order to try them: by preference, and at random among equal
/// ones (RFC 5321 §5.1). `own` is our host name.
pub(super) async fn exchangers(
    domain: &str,
    own: &str,
    resolver: &Resolver,
    entropy: &dyn Entropy,
) -> Result<Vec<Exchanger>, Undeliverable> {
    let found = match resolver.mx(domain).await {
        Ok(found) => found,
        // without MX records the domain itself is the host (§5.1); `target` checks whether its address
        // record is secure
        Err(DnsError::NotFound { exists: true, .. }) => {
            return Ok(vec![Exchanger { host: domain.to_owned(), secure: true }]);
        }
        Err(error) => return Err(undeliverable(&error)),
    };
    if found.value.iter().all(|mx| mx.host.is_empty()) {
        // RFC 7505 §4.1
        return Err(Undeliverable::Permanent(format!("556 5.1.10 {domain} accepts no mail (null MX)")));
    }
    let order = in_order(found, own, entropy);
    if order.is_empty() {
        return Err(Undeliverable::Permanent(format!(
            "5.4.6 the mail exchanger of {domain} is this host itself"
        )));
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
    // if we are an exchanger ourselves, only hosts with a better preference may follow (§5.1)
    if let Some(at) = records.iter().position(|(_, _, host)| host.eq_ignore_ascii_case(own)) {
        let ours = records[at].0;
        records.retain(|(preference, ..)| *preference < ours);
    }
    let secure = found.secure;
    records.into_iter().take(MOST_HOSTS).map(|(_, _, host)| Exchanger { host, secure }).collect()
}

fn undeliverable(error: &DnsError) -> Undeliverable {
    match error {
        DnsError::NotFound { exists: false, .. } => Undeliverable::Permanent(format!("5.1.2 {error}")),
        DnsError::NotFound { .. } => Undeliverable::Permanent(format!("5.4.4 {error}")),
        DnsError::Temporary { .. } => Undeliverable::Temporary(format!("4.4.3 {error}")),
        DnsError::Bogus { .. } => Undeliverable::Temporary(format!("4.7.0 {error}")),
    }
}

/// The TLS required of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TlsRequirement {
    /// TLS if offered. `watched`: log if an MTA-STS policy in testing mode would require more.
    Opportunistic { watched: bool },
    /// TLS with a certificate signed by a certificate authority (MTA-STS).
    Authorities,
    /// TLS with a certificate that matches one of these TLSA records (DANE).
    Dane(Vec<Tlsa>),
    /// TLS with any certificate: TLSA records exist but none is usable (RFC 7672 §2.2).
    Any,
}

impl TlsRequirement {
    pub(super) fn security(&self) -> Security {
        match self {
            Self::Opportunistic { .. } => Security::Opportunistic,
            Self::Authorities | Self::Dane(_) => Security::Required,
            Self::Any => Security::Unverified,
        }
    }
}

/// A host's addresses, and the TLS required of it. DANE takes precedence over MTA-STS (RFC 8461 §2).
pub(super) async fn target(
    exchanger: &Exchanger,
    port: u16,
    policy: Option<&Policy>,
    resolver: &Resolver,
) -> Result<(Vec<IpAddr>, TlsRequirement), Undeliverable> {
    let host = &exchanger.host;
    let found = resolver.addresses(host).await.map_err(|error| undeliverable(&error))?;
    if exchanger.secure && found.secure {
        match resolver.tlsa(host, port).await {
            Ok(tlsa) => {
                let usable: Vec<Tlsa> = tlsa.value.into_iter().filter(is_usable_tlsa).collect();
                let requirement =
                    if usable.is_empty() { TlsRequirement::Any } else { TlsRequirement::Dane(usable) };
                return Ok((found.value, requirement));
            }
            Err(DnsError::NotFound { .. }) => {}
            // a host whose TLSA records cannot be looked up is skipped (RFC 7672 §2.1.1)
            Err(error) => return Err(undeliverable(&error)),
        }
    }
    let requirement = match policy.map(|policy| (policy.mode, policy.names(host))) {
        Some((Mode::Enforce, true)) => TlsRequirement::Authorities,
        Some((Mode::Enforce, false)) => {
            return Err(Undeliverable::Temporary(format!(
                "4.7.0 {host} is not in the domain's MTA-STS policy"
            )));
        }
        Some((Mode::Testing, true)) => TlsRequirement::Opportunistic { watched: true },
        Some((Mode::Testing, false)) => {
            tracing::warn!(host, "is not in the domain's MTA-STS policy, which is in testing");
            TlsRequirement::Opportunistic { watched: false }
        }
        Some((Mode::None, _)) | None => TlsRequirement::Opportunistic { watched: false },
    };
    Ok((found.value, requirement))
}
