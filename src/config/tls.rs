//! TLS for clients, and load balancers, as typed values.

use super::keys::tls::{self as keys, ListenerTls};
use super::{Base, Reporter};
use crate::diagnostic::Diagnostic;
use crate::listener::TlsMode;
use crate::tls::{PairFiles, acme};
use ipnet::IpNet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Maximum number of names of one certificate, as public authorities allow.
const MOST_DOMAINS: usize = 100;

/// The table `[tls]`.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Chains and keys. The first is used for clients that name no host (SNI).
    pub certificates: Vec<PairFiles>,
    /// Authorities of client certificates (PEM); `None` for the system's.
    pub client_ca_file: Option<PathBuf>,
    /// A certificate ordered by ACME.
    pub acme: Option<acme::Settings>,
}

impl Tls {
    /// All chains and keys; the one ordered by ACME is last.
    pub fn pairs(&self) -> Vec<PairFiles> {
        self.certificates.iter().cloned().chain(self.acme.iter().map(acme::Settings::files)).collect()
    }
}

pub(super) fn tls(keys: keys::Tls, base: &Base, reporter: &Reporter<'_>) -> Result<Tls, Diagnostic> {
    let pair =
        |files: keys::Certificate| PairFiles { chain: base.join(&files.chain), key: base.join(&files.key) };
    Ok(Tls {
        certificates: keys.certificates.into_iter().map(pair).collect(),
        client_ca_file: keys.client_ca_file.map(|file| base.join(&file)),
        acme: keys.acme.map(|keys| acme(keys, base, reporter)).transpose()?,
    })
}

fn acme(keys: keys::Acme, base: &Base, reporter: &Reporter<'_>) -> Result<acme::Settings, Diagnostic> {
    let wrong = |key: &str, why: String| Err(reporter.wrong("[tls.acme]", key, why));
    if !keys.directory.starts_with("https://") {
        let directory = &keys.directory;
        return wrong(
            "directory",
            format!("`{directory}` is not an ACME directory: it starts with https://"),
        );
    }
    if keys.domains.is_empty() || keys.domains.len() > MOST_DOMAINS {
        return wrong("domains", format!("`domains` names between 1 and {MOST_DOMAINS} hosts"));
    }
    if let Some(domain) = keys.domains.iter().find(|domain| !is_host(domain)) {
        let why = "write the name of a host; a wildcard cannot be proven by http-01";
        return wrong("domains", format!("`{domain}` can have no certificate by ACME here: {why}"));
    }
    if !keys.terms_agreed {
        let why =
            "`terms_agreed = true` is missing in [tls.acme]: read the authority's terms of service first";
        return wrong("domains", why.to_owned());
    }
    Ok(acme::Settings {
        directory: keys.directory,
        domains: keys.domains.iter().map(|domain| domain.to_ascii_lowercase()).collect(),
        contact: keys.contact.iter().map(|address| address.as_str().to_owned()).collect(),
        cache: base.join(&keys.cache.unwrap_or_else(|| "certs/acme".into())),
        address: keys.address.map_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, 80)), |bind| bind.0),
        ca_file: keys.ca_file.map(|file| base.join(&file)),
    })
}

/// A host name of two labels or more, in ASCII. It is also used in file names.
fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
    };
    text.len() <= 253 && text.contains('.') && text.split('.').all(label)
}

/// When the sessions of a listener are encrypted; `has_names` says that it names client certificates.
pub(super) fn mode(
    wanted: ListenerTls,
    has_names: bool,
    tls: &Tls,
    reporter: &Reporter<'_>,
) -> Result<Option<TlsMode>, Diagnostic> {
    let mode = match wanted {
        ListenerTls::Off => None,
        ListenerTls::Starttls => Some(TlsMode::Offered),
        ListenerTls::Required => Some(TlsMode::Required),
        ListenerTls::Implicit => Some(TlsMode::Implicit),
    };
    if mode.is_some() && tls.certificates.is_empty() && tls.acme.is_none() {
        return Err(reporter.wrong(
            "[[listener]]",
            "tls",
            "`tls` needs a certificate: add `[tls]` with `certificates = [{ chain = \"…\", key = \"…\" }]`; \
             `sekisho cert self-signed` makes one",
        ));
    }
    if mode.is_none() && has_names {
        return Err(reporter.wrong(
            "[[listener]]",
            "client_certificates",
            "`client_certificates` needs `tls` in the same listener: a certificate is shown within TLS only",
        ));
    }
    Ok(mode)
}

/// Load balancers must be named, because they are trusted to say where each client comes from.
pub(super) fn balancers(nets: Vec<IpNet>, reporter: &Reporter<'_>) -> Result<Vec<IpNet>, Diagnostic> {
    match nets.iter().find(|net| net.prefix_len() == 0) {
        Some(net) => Err(reporter.wrong(
            "[[listener]]",
            "proxy",
            format!("`proxy` names {net}: anybody could claim any client address; name the balancers"),
        )),
        None => Ok(nets),
    }
}
