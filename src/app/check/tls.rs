//! Checks certificates, keys, and which clients may relay by certificate.

use super::Findings;
use crate::app::tls::source;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::config::{ClientCertificate, Config};
use crate::tls::facts::Validity;
use crate::tls::{Pair, PairFiles, Server, Trouble, stale};
use std::os::unix::fs::PermissionsExt;

/// Days before expiry at which a certificate becomes a warning.
const SOON: u64 = 30;

pub(super) fn check(config: &Config, found: &mut Findings) {
    let secured = config.listeners.iter().any(|listener| listener.tls.is_some());
    let mut wanted = config.tls.pairs();
    if !secured && !wanted.is_empty() {
        found
            .warn("tls", "there are certificates, but no listener has `tls`: mail is received in plain text");
    }
    let now = SystemClock.now();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let mut pairs = Vec::new();
    // before the first start there is no certificate yet, which is correct
    let missing = config.tls.acme.as_ref().filter(|acme| !acme.exists());
    if let Some(acme) = missing {
        let (names, authority) = (acme.domains.join(", "), &acme.directory);
        found.ok("tls", format!("{names}: a certificate will be ordered from {authority}"));
        wanted.retain(|files| *files != acme.files());
    }
    for files in &wanted {
        match Pair::read(files, &provider) {
            Ok(pair) => {
                pair_stands(&pair, now, found);
                pairs.push(pair);
            }
            Err(trouble) => found.error("tls", trouble.to_string()),
        }
        key_is_private(files, "tls", "", found);
    }
    if missing.is_some() || pairs.len() < wanted.len() {
        return;
    }
    let host = &config.hostname;
    if secured && !pairs.iter().any(|pair| pair.facts.covers(host)) {
        found.warn("tls", format!("no certificate has the name `{host}`, with which clients are greeted"));
    }
    // what remains are the certificate authorities of clients
    if let Err(trouble) = Server::load(source(config)) {
        found.error("tls", trouble.to_string());
    }
}

fn pair_stands(pair: &Pair, now: Timestamp, found: &mut Findings) {
    let file = pair.files.chain.display();
    let facts = &pair.facts;
    match (stale(pair, now), facts.validity(now)) {
        (Some(why), _) => found.error("tls", format!("{file}: {why}")),
        (None, Validity::Days(left)) if left < SOON => {
            found.warn("tls", format!("{file}: its certificate expires in {left} days, on {}", facts.until));
        }
        _ => found.ok("tls", format!("{file}: {}, until {}", facts.names.join(", "), facts.until)),
    }
    if facts.names.is_empty() {
        found.warn("tls", format!("{file}: its certificate has no host name"));
    }
    if facts.self_signed {
        found.warn("tls", format!("{file}: it is self-signed: only clients told to trust it can verify it"));
    } else if pair.length == 1 {
        found.warn(
            "tls",
            format!("{file}: it does not contain the issuer's certificate: many clients cannot verify it"),
        );
    }
}

/// Checks a client certificate for an upstream; returns whether it can be used.
pub(super) fn towards_upstream(certificate: &ClientCertificate, found: &mut Findings) -> bool {
    let area = "upstream";
    let (files, place) = (&certificate.files, &certificate.place);
    key_is_private(files, area, &format!("{place}.key: "), found);
    let pair = match Pair::read(files, &rustls::crypto::aws_lc_rs::default_provider()) {
        Ok(pair) => pair,
        Err(trouble) => {
            found.error(area, certificate.told(&trouble));
            return false;
        }
    };
    let told = |why: String| certificate.told(&Trouble { file: files.chain.clone(), why });
    let (facts, now) = (&pair.facts, SystemClock.now());
    match (stale(&pair, now), facts.validity(now)) {
        (Some(why), _) => found.error(area, told(why)),
        (None, Validity::Days(left)) if left < SOON => {
            found.warn(area, told(format!("its certificate expires in {left} days, on {}", facts.until)));
        }
        _ => found.ok(area, told(format!("{}, until {}", facts.subject, facts.until))),
    }
    if !facts.for_clients {
        let why = "it is only for servers (its extended key usage has no clientAuth): many that ask for a \
                   client's certificate refuse it";
        found.warn(area, told(why.to_owned()));
    }
    true
}

/// Checks that the key is not readable by everybody; a group may read it (Debian's `ssl-cert`).
fn key_is_private(files: &PairFiles, area: &'static str, place: &str, found: &mut Findings) {
    if let Ok(meta) = std::fs::metadata(&files.key)
        && meta.permissions().mode() & 0o007 != 0
    {
        let file = files.key.display();
        found.warn(area, format!("{place}{file}: everybody can read it; run `chmod 600` on it"));
    }
}
