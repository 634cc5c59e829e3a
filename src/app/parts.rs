//! Builds the settings of each part from the configuration.

use super::tls::Secured;
use super::{StartError, descriptors};
use crate::clock::Clock;
use crate::config::{Config, UpstreamRoute, Webhook, WebhookFormat as Format};
use crate::connections::Bounds;
use crate::courier;
use crate::examine::Examiner;
use crate::hook::{self, Hook};
use crate::intake;
use crate::listener;
use crate::listener::access::Access;
use crate::notice::Letterhead;
use crate::policy::approvers::NamedApprover;
use crate::policy::{Approvers, Budgets, Organisation, Policy};
use crate::rewrite::plan::CopyOptions;
use crate::store::lock::Lock;
use crate::store::postgres;
use crate::store::sqlite::{Options, SqliteStore as SqlStore};
use crate::store::{HookTarget, Store, StoreError};
use crate::upstream::smarthost::read_secret;
use secrecy::ExposeSecret;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Interval between attempts to get the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Builds the examiner. Without a configuration, the sender's own domain is ours and the default policy
/// applies; `policy` replaces the configured policy files.
///
/// # Errors
/// A policy or organisation file cannot be loaded.
pub fn examiner(config: Option<&Config>, policy: &[PathBuf]) -> Result<Examiner, StartError> {
    let files = match (policy, config) {
        ([], Some(config)) => config.policy.files.as_slice(),
        (given, _) => given,
    };
    let rules = if files.is_empty() { Policy::shipped() } else { Policy::read(files) };
    let rules = rules.map_err(StartError::Policy)?;
    let mode = config.map(|config| config.policy.mode).unwrap_or_default();
    let approvers = config.map_or_else(|| Ok(Approvers::default()), |config| approvers(config, &rules))?;
    Ok(Examiner {
        organisation: Arc::new(
            config.map_or_else(Organisation::of_sender, |config| config.organisation.clone()),
        ),
        policy: Arc::new(rules.in_mode(mode)),
        options: Arc::new(config.map_or_else(CopyOptions::default, |config| config.copies.clone())),
        approvers: Arc::new(approvers),
        budgets: Arc::new(Budgets::new(config.map(super::budget::by_route).unwrap_or_default())),
    })
}

/// Who is asked to decide: approvers named by rules, groups and the configuration, otherwise the admin.
fn approvers(config: &Config, rules: &Policy) -> Result<Approvers, StartError> {
    let found = config.approvers().map_err(|mistake| StartError::Policy(vec![mistake]))?;
    let by_rule = rules.approvers();
    if config.policy.managers.is_none()
        && let Some((name, _)) = by_rule.iter().find(|(_, asked)| asked.contains(&NamedApprover::Manager))
    {
        return Err(StartError::Configuration(format!(
            "the rule `{name}` asks the sender's manager, but no file names the managers: set `managers` in [policy]"
        )));
    }
    Ok(Approvers { by_rule, ..found })
}

/// Takes the lock of the database.
pub(super) fn lock(config: &Config) -> Result<Lock, StartError> {
    match Lock::acquire(&config.database)? {
        Some(lock) => Ok(lock),
        None => Err(StartError::Locked(config.database.clone())),
    }
}

/// Takes the lock of the database; waits for up to `patience` if a command or a stopping relay has it.
pub(super) async fn lock_within(config: &Config, patience: Duration) -> Result<Lock, StartError> {
    let began = Instant::now();
    let mut told = false;
    loop {
        match lock(config) {
            Err(StartError::Locked(_)) if began.elapsed() < patience => {}
            other => return other,
        }
        if !std::mem::replace(&mut told, true) {
            tracing::info!(?patience, "the database is in use: waiting for it");
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
}

/// Where the key of a PostgreSQL database's journal is: every relay that shares it has the same.
pub(super) fn journal_key(config: &Config) -> PathBuf {
    config.journal_key.clone().unwrap_or_else(|| config.database.with_extension("journal-key"))
}

/// Who opens the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opener {
    /// The relay.
    Relay,
    /// A command, beside relays that may be at work.
    Command,
}

/// Opens the store.
pub(super) async fn open(
    config: &Config,
    opener: Opener,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Store>, StartError> {
    let path = config.database.clone();
    let options = Options { journal_key: config.journal_key.clone(), ..Options::default() };
    let postgres = config.postgres.clone().map(|found| postgres::Options {
        place: found.place,
        node: match opener {
            Opener::Relay => found.node,
            Opener::Command => format!("{} (command {})", found.node, std::process::id()),
        },
        clock,
        entropy: Arc::clone(&options.entropy),
        on_fatal: Arc::clone(&options.on_fatal),
        journal_key: journal_key(config),
    });
    let opening = tokio::task::spawn_blocking(move || match postgres {
        Some(options) => SqlStore::open_postgres(options),
        None => SqlStore::open(path, options),
    });
    let store = opening.await.map_err(|error| StoreError::Unavailable(error.to_string()))??;
    Ok(Arc::new(store))
}

/// Settings of the courier.
pub(super) fn courier(config: &Config) -> courier::Settings {
    let places = super::upstream::places(config);
    courier::Settings {
        workers: places,
        ahead: 3 * places,
        hold_for: config.term(),
        // an unreadable file of managers is reported when the examiner is built
        approvers: config.approvers().map(|known| known.otherwise(&[])).unwrap_or_default(),
        ..courier::Settings::default()
    }
}

/// Settings of the intake.
pub(super) fn intake(config: &Config) -> intake::Settings {
    intake::Settings {
        hostname: config.hostname.clone(),
        hold_for: config.term(),
        lease: courier::Settings::default().lease,
    }
}

/// Settings of each listener.
pub(super) fn listeners(config: &Config, secured: &Secured, access: Vec<Access>) -> Vec<listener::Settings> {
    let most = descriptors::shares(config.listeners.len()).sessions;
    if most < config.limits.sessions {
        let wanted = config.limits.sessions;
        tracing::info!(
            wanted,
            most,
            "fewer sessions per listener than `sessions` in [limits]: the process may open too few files \
             (LimitNOFILE=, ulimit -n)"
        );
    }
    config
        .listeners
        .iter()
        .zip(access)
        .map(|(wanted, access)| listener::Settings {
            role: wanted.role.clone(),
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
                sessions: config.limits.sessions.min(most),
                sessions_per_client: config.limits.sessions_per_client,
                ..listener::Limits::default()
            },
        })
        .collect()
}

/// Connection limits of the desk.
pub(super) fn desk_bounds(config: &Config) -> Bounds {
    let most = descriptors::shares(config.listeners.len()).desk;
    Bounds {
        all: config.desk.connections.min(most),
        per_address: config.desk.connections_per_client,
        proxies: config.desk.proxies.clone(),
        ..Bounds::default()
    }
}

/// The hooks, with their secrets read from files.
pub(super) fn hooks(config: &Config) -> Result<Vec<Hook>, StartError> {
    let hook = |wanted: &Webhook| {
        let format = match &wanted.format {
            Format::Json(file) => {
                let secret = read_secret(file, "webhook secret")?;
                if secret.expose_secret().len() < 16 {
                    let file = file.display();
                    return Err(format!(
                        "the webhook secret in {file} is too short: it must have at least 16 characters"
                    ));
                }
                hook::Format::Json(secret)
            }
            Format::Chat(room, language) => hook::Format::Chat(hook::Chat {
                room: *room,
                language: *language,
                desk: config.desk.url.clone(),
                zone: config.notices.zone.clone(),
            }),
        };
        let target = HookTarget { url: wanted.url.clone(), held: wanted.held, decided: wanted.decided };
        Ok(Hook { target, format, allow: wanted.allow.clone() })
    };
    config.webhooks.iter().map(hook).collect::<Result<_, _>>().map_err(StartError::Configuration)
}

/// The letterhead of the relay's own mail.
pub(super) fn letterhead(config: &Config) -> Letterhead {
    Letterhead {
        hostname: config.hostname.clone(),
        from: config.notices.from.clone(),
        organisation: Arc::new(config.organisation.clone()),
        approvers: config.policy.approvers.iter().filter_map(NamedApprover::address).cloned().collect(),
        asking: config.notices.asking.clone(),
        admin: config.notices.admin.clone(),
        language: config.notices.language,
        zone: config.notices.zone.clone(),
        contact: config.desk.contact.clone(),
        upstream: match &config.upstream.route {
            UpstreamRoute::Smarthost { host, .. } => Some(host.clone()),
            UpstreamRoute::Mx { .. } | UpstreamRoute::Capture(_) => None,
        },
    }
}
