//! Checks who may send: accounts, tenants and the networks of SPF records.

use super::{Findings, PROBE_PATIENCE};
use crate::app::accounts::{accounts, tenant};
use crate::clock::{Clock, SystemClock};
use crate::config::{AuthSource, Config, ListenerAuth};
use crate::dns::Resolver;
use crate::spf::set::follow;
use crate::tls::Identities;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

const AUTH: &str = "auth";

/// Checks all of these; with `connect`, connects to a directory too.
pub(super) async fn check(config: &Config, connect: bool, found: &mut Findings) {
    source(config, connect, found).await;
    for listener in &config.listeners {
        let address = listener.address;
        let sending = &listener.sending;
        if let Some(wanted) = &sending.tenant {
            match tenant(sending) {
                Ok(_) => private(&wanted.secret_file, "listener", found),
                Err(error) => found.error("listener", format!("{address}: {error}")),
            }
        }
        if !sending.spf.is_empty() && sending.tenant.is_none() {
            found.warn(
                "listener",
                format!(
                    "{address}: `spf` without `tenant`: every customer of that mail host may send here in your \
                     name; add tenant = {{ domains, header, secret_file }}"
                ),
            );
        }
    }
    networks(config, found).await;
}

async fn source(config: &Config, connect: bool, found: &mut Findings) {
    let wanted = config.listeners.iter().any(|listener| listener.sending.auth != ListenerAuth::Off);
    let Some(auth) = &config.auth else { return };
    if !wanted {
        found.warn(AUTH, "no listener has `auth`: nobody can sign in");
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let accounts = match accounts(&auth.source, config, clock, &Identities::default()) {
        Ok(accounts) => accounts,
        Err(why) => return found.error(AUTH, why),
    };
    if let AuthSource::File(path) = &auth.source {
        private(path, AUTH, found);
    } else if !connect {
        return;
    }
    match tokio::time::timeout(PROBE_PATIENCE, accounts.probe()).await {
        Ok(Ok(said)) => found.ok(AUTH, said),
        Ok(Err(down)) => found.error(AUTH, down.to_string()),
        Err(_) => found.error(AUTH, "the source of accounts does not answer"),
    }
}

fn private(path: &Path, area: &'static str, found: &mut Findings) {
    if std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0) {
        found.warn(area, format!("{}: others can read it; run `chmod 600` on it", path.display()));
    }
}

async fn networks(config: &Config, found: &mut Findings) {
    let names: BTreeSet<&String> =
        config.listeners.iter().flat_map(|listener| &listener.sending.spf).collect();
    if names.is_empty() {
        return;
    }
    let resolver = match Resolver::new(&config.dns) {
        Ok(resolver) => resolver,
        Err(why) => return found.error("dns", why),
    };
    for name in names {
        match follow(&resolver, name).await {
            Ok((set, _)) if set.is_empty() => {
                found.warn("listener", format!("the SPF record of {name} names no network"));
            }
            Ok((set, _)) => {
                found.ok("listener", format!("the SPF record of {name} names {} networks", set.len()));
            }
            Err(why) => found.error("listener", format!("the SPF record of {name}: {why}")),
        }
    }
}
