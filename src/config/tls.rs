//! TLS towards clients, and balancers in front: what the keys come to.

use super::keys::tls::{self as keys, ListenerTls};
use super::{Base, Place};
use crate::diagnostic::Diagnostic;
use crate::listener::TlsMode;
use crate::tls::PairFiles;
use ipnet::IpNet;
use std::path::PathBuf;

/// `[tls]`
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Chains and keys; the first is for clients that ask for no name.
    pub certificates: Vec<PairFiles>,
    /// Authorities of clients' certificates (PEM); `None` for the system's.
    pub client_ca_file: Option<PathBuf>,
}

pub(super) fn tls(keys: keys::Tls, base: &Base) -> Tls {
    let pair =
        |files: keys::Certificate| PairFiles { chain: base.join(&files.chain), key: base.join(&files.key) };
    Tls {
        certificates: keys.certificates.into_iter().map(pair).collect(),
        client_ca_file: keys.client_ca_file.map(|file| base.join(&file)),
    }
}

/// When the sessions of a listener are secured; `has_names` when it names clients' certificates.
pub(super) fn mode(
    wanted: ListenerTls,
    has_names: bool,
    tls: &Tls,
    place: &Place<'_>,
) -> Result<Option<TlsMode>, Diagnostic> {
    let mode = match wanted {
        ListenerTls::Off => None,
        ListenerTls::Starttls => Some(TlsMode::Offered),
        ListenerTls::Required => Some(TlsMode::Required),
        ListenerTls::Implicit => Some(TlsMode::Implicit),
    };
    if mode.is_some() && tls.certificates.is_empty() {
        return Err(place.wrong(
            "[[listener]]",
            "tls",
            "`tls` needs a certificate: add `[tls]` with `certificates = [{ chain = \"…\", key = \"…\" }]`; \
             `sekisho cert self-signed` makes one",
        ));
    }
    if mode.is_none() && has_names {
        return Err(place.wrong(
            "[[listener]]",
            "client_certificates",
            "`client_certificates` needs `tls` in the same listener: a certificate is shown within TLS only",
        ));
    }
    Ok(mode)
}

/// Balancers may not be everybody: whoever is one says of every client where it comes from.
pub(super) fn balancers(nets: Vec<IpNet>, place: &Place<'_>) -> Result<Vec<IpNet>, Diagnostic> {
    match nets.iter().find(|net| net.prefix_len() == 0) {
        Some(net) => Err(place.wrong(
            "[[listener]]",
            "proxy",
            format!("`proxy` names {net}: anybody could say to come from anywhere; name the balancers"),
        )),
        None => Ok(nets),
    }
}
