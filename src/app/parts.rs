//! Each stage's small struct, made from the whole configuration.

use super::StartError;
use super::tls::Secured;
use crate::config::{Config, UpstreamRoute};
use crate::courier;
use crate::examine::Examiner;
use crate::intake;
use crate::listener;
use crate::listener::access::Access;
use crate::notice::Letterhead;
use crate::policy::{Approvers, Organisation, Policy};
use crate::rewrite::plan::CopyOptions;
use crate::store::lock::Lock;
use crate::store::sqlite::{Options, SqliteStore};
use crate::store::{Store, StoreError};
use std::path::PathBuf;
use std::sync::Arc;

/// How messages are looked at. With no configuration the sender's own domain is ours and the shipped
/// policy decides; `policy` replaces the configured files.
pub fn examiner(config: Option<&Config>, policy: &[PathBuf]) -> Result<Examiner, StartError> {
    let files = match (policy, config) {
        ([], Some(config)) => config.policy.files.as_slice(),
        (given, _) => given,
    };
    let rules = if files.is_empty() { Policy::shipped() } else { Policy::read(files) };
    let rules = rules.map_err(StartError::Policy)?;
    let mode = config.map(|config| config.policy.mode).unwrap_or_default();
    Ok(Examiner {
        organisation: Arc::new(
            config.map_or_else(Organisation::of_sender, |config| config.organisation.clone()),
        ),
        policy: Arc::new(rules.in_mode(mode)),
        options: Arc::new(config.map_or_else(CopyOptions::default, |config| config.copies.clone())),
        approvers: Arc::new(config.map_or_else(Approvers::default, approvers)),
    })
}

/// Who is asked to decide: whom the policy names, else the admin.
fn approvers(config: &Config) -> Approvers {
    let named = config.policy.approvers.iter();
    let otherwise = config.notices.admin.iter().filter(|_| config.policy.approvers.is_empty());
    Approvers { everything: named.chain(otherwise).cloned().collect() }
}

/// Takes the database's lock.
pub(super) fn lock(config: &Config) -> Result<Lock, StartError> {
    match Lock::acquire(&config.database)? {
        Some(lock) => Ok(lock),
        None => Err(StartError::Locked(config.database.clone())),
    }
}

/// Opens the store.
pub(super) async fn open(config: &Config) -> Result<Arc<dyn Store>, StartError> {
    let path = config.database.clone();
    let opened = tokio::task::spawn_blocking(move || SqliteStore::open(path, Options::default())).await;
    let store = opened.map_err(|error| StoreError::Unavailable(error.to_string()))??;
    Ok(Arc::new(store))
}

/// The courier's numbers.
pub(super) fn courier(config: &Config) -> courier::Settings {
    let places = super::upstream::places(config);
    courier::Settings {
        places,
        ahead: 3 * places,
        hold_expiry: config.policy.expiry,
        approvers: approvers(config).everything,
        ..courier::Settings::default()
    }
}

/// What the intake is told.
pub(super) fn intake(config: &Config) -> intake::Settings {
    intake::Settings {
        hostname: config.hostname.clone(),
        hold_for: config.policy.expiry,
        lease: courier::Settings::default().lease,
    }
}

/// What each listener is told.
pub(super) fn listeners(config: &Config, secured: &Secured, access: Vec<Access>) -> Vec<listener::Settings> {
    config
        .listeners
        .iter()
        .zip(access)
        .map(|(wanted, access)| listener::Settings {
            access,
            address: wanted.address,
            hostname: config.hostname.clone(),
            postmaster_domain: config.first_domain.clone().unwrap_or_else(|| config.hostname.clone()),
            allow: wanted.allow.clone(),
            allow_bare_lf: wanted.normalise_line_ends.clone(),
            proxies: wanted.proxy.clone(),
            tls: secured.of(wanted),
            tally: secured.tally.clone(),
            limits: listener::Limits {
                size: config.limits.size,
                recipients: config.limits.recipients,
                sessions: config.limits.sessions,
                sessions_per_client: config.limits.sessions_per_client,
                ..listener::Limits::default()
            },
        })
        .collect()
}

/// Who writes the relay's own mail.
pub(super) fn letterhead(config: &Config) -> Letterhead {
    Letterhead {
        hostname: config.hostname.clone(),
        from: config.notices.from.clone(),
        organisation: Arc::new(config.organisation.clone()),
        approvers: config.policy.approvers.clone(),
        admin: config.notices.admin.clone(),
        language: config.notices.language,
        zone: jiff::tz::TimeZone::system(),
        upstream: match &config.upstream.route {
            UpstreamRoute::Smarthost { host, .. } => Some(host.clone()),
            UpstreamRoute::Mx { .. } | UpstreamRoute::Capture(_) => None,
        },
    }
}
