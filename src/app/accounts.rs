//! Builds the access settings of each listener (accounts, tenants, networks) from the configuration.

use super::StartError;
use crate::accounts::file::FileAccounts;
use crate::accounts::guesses::{Guesses, KnownSource};
use crate::accounts::ldap::{self, LdapAccounts};
use crate::accounts::upstream::{Judge, Proof, UpstreamAccounts};
use crate::accounts::{Accounts, Authenticator, Counts, Tenant, key};
use crate::clock::Clock;
use crate::config::{Auth, AuthSource, Config, Ldap, LdapFind, ListenerAuth, Sending, UpstreamTls};
use crate::dns::Resolver;
use crate::listener::{Role, access};
use crate::smtp::sasl::token_response;
use crate::spf::Ranges;
use crate::spf::set::Ask;
use crate::tls::Identities;
use crate::upstream::smarthost::{ForeignCredentials, Smarthost, read_secret};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// State that survives a reload: counted guesses, known sources, metrics.
pub(super) struct Gatekeeper {
    clock: Arc<dyn Clock>,
    guesses: Arc<Guesses>,
    counts: Counts,
    identities: Identities,
    ranges: Mutex<HashMap<Vec<String>, Weak<Ranges>>>,
}

impl Gatekeeper {
    pub(super) fn new(clock: Arc<dyn Clock>, identities: Identities) -> Self {
        let guesses = Arc::new(Guesses::new(Arc::clone(&clock)));
        Self { clock, guesses, counts: Counts::default(), identities, ranges: Mutex::default() }
    }

    /// The counted guesses; signing in at the desk uses the same counts.
    pub(super) fn guesses(&self) -> Arc<Guesses> {
        Arc::clone(&self.guesses)
    }

    /// Adds sources that were known before the restart.
    pub(super) fn learn(&self, sources: Vec<KnownSource>) {
        self.guesses.learn(sources);
    }

    /// The metrics.
    pub(super) fn counts(&self) -> Counts {
        self.counts.clone()
    }

    /// The access settings of each listener, in order. Starts fetching SPF records, so it must be called
    /// within a runtime.
    ///
    /// # Errors
    /// An account source or a secret cannot be read.
    pub(super) fn admit(&self, config: &Config) -> Result<Vec<access::Access>, StartError> {
        let authenticator = match &config.auth {
            Some(auth) => Some(Arc::new(self.authenticator(auth, config)?)),
            None => None,
        };
        // the secret of a journal listener is not removed from relayed mail: it only identifies the source of
        // copies
        let relays = config.listeners.iter().filter(|listener| matches!(listener.role, Role::Relay));
        let tenants = relays.filter_map(|listener| listener.sending.tenant.as_ref());
        let stripped: Arc<[String]> = tenants.map(|tenant| tenant.header.clone()).collect();
        for listener in &config.listeners {
            if !listener.sending.spf.is_empty() && listener.sending.tenant.is_none() {
                tracing::warn!(
                    address = %listener.address,
                    "`spf` without `tenant`: every customer of that mail host may send here in your name"
                );
            }
        }
        let access = |sending: &Sending| -> Result<access::Access, StartError> {
            let required = sending.auth == ListenerAuth::Required;
            let authenticator = authenticator.clone().filter(|_| sending.auth != ListenerAuth::Off);
            Ok(access::Access {
                auth: authenticator.map(|authenticator| access::Auth { authenticator, required }),
                senders: sending.senders.clone(),
                ranges: self.ranges(&sending.spf, config)?,
                tenant: tenant(sending)?.map(Arc::new),
                stripped: Arc::clone(&stripped),
                counts: self.counts.clone(),
            })
        };
        config.listeners.iter().map(|listener| access(&listener.sending)).collect()
    }

    fn authenticator(&self, auth: &Auth, config: &Config) -> Result<Authenticator, StartError> {
        let clock = Arc::clone(&self.clock);
        let accounts =
            accounts(&auth.source, config, clock, &self.identities).map_err(StartError::Configuration)?;
        let mut send_as: HashMap<String, crate::accounts::Senders> = HashMap::new();
        for (user, senders) in &auth.send_as {
            send_as.entry(key(user)).or_default().extend(senders);
        }
        Ok(Authenticator::new(accounts, Arc::clone(&self.guesses), send_as, self.counts.clone()))
    }

    /// The networks of these names; reused if another listener has them already.
    fn ranges(&self, names: &[String], config: &Config) -> Result<Option<Arc<Ranges>>, StartError> {
        if names.is_empty() {
            return Ok(None);
        }
        let mut all = self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, ranges| ranges.strong_count() > 0);
        if let Some(ranges) = all.get(names).and_then(Weak::upgrade) {
            return Ok(Some(ranges));
        }
        let resolver = Resolver::new(&config.dns).map_err(StartError::Configuration)?;
        let ask: Arc<dyn Ask> = Arc::new(resolver);
        let ranges = Ranges::new(names.to_vec());
        ranges.keep_fresh(&ask);
        all.insert(names.to_vec(), Arc::downgrade(&ranges));
        Ok(Some(ranges))
    }
}

/// The tenant that a listener requires.
pub(super) fn tenant(sending: &Sending) -> Result<Option<Tenant>, StartError> {
    let Some(wanted) = &sending.tenant else { return Ok(None) };
    let tenant = Tenant::read_secrets(&wanted.secret_file)
        .and_then(|secrets| Tenant::new(&wanted.domains, &wanted.header, secrets));
    let told = |why: String| {
        StartError::Configuration(format!("`tenant` with {}: {why}", wanted.secret_file.display()))
    };
    tenant.map(Some).map_err(told)
}

/// The configured source of accounts.
///
/// # Errors
/// Says what is wrong, for the administrator.
pub(super) fn accounts(
    source: &AuthSource,
    config: &Config,
    clock: Arc<dyn Clock>,
    identities: &Identities,
) -> Result<Arc<dyn Accounts>, String> {
    Ok(match source {
        AuthSource::File(path) => Arc::new(FileAccounts::open(path.clone(), clock)?),
        AuthSource::Ldap(wanted) => Arc::new(LdapAccounts::new(directory(wanted)?, clock)?),
        AuthSource::Upstream => Arc::new(UpstreamAccounts::new(judge(config, identities)?, clock)),
    })
}

fn directory(wanted: &Ldap) -> Result<ldap::Settings, String> {
    let find = match &wanted.find {
        LdapFind::Bind(template) => ldap::Find::Template(template.clone()),
        LdapFind::Search { base, filter, service } => {
            let service = match service {
                Some((dn, file)) => Some((dn.clone(), read_secret(file, "password")?)),
                None => None,
            };
            ldap::Find::Search { base: base.clone(), filter: filter.clone(), service }
        }
    };
    Ok(ldap::Settings {
        url: wanted.url.clone(),
        tls: wanted.tls,
        ca_file: wanted.ca_file.clone(),
        find,
        addresses: wanted.addresses.clone(),
    })
}

/// Verifies credentials at the upstream.
struct AtUpstream(Smarthost);

#[async_trait::async_trait]
impl Judge for AtUpstream {
    async fn is_right(&self, user: &str, proof: Proof) -> Result<bool, String> {
        let shown = match proof {
            Proof::Password(password) => ForeignCredentials::Password(user.to_owned(), password),
            Proof::Token(mechanism, token) => {
                ForeignCredentials::Response(mechanism.name(), token_response(mechanism, user, &token))
            }
        };
        self.0.takes(shown).await
    }
}

fn judge(config: &Config, identities: &Identities) -> Result<Arc<dyn Judge>, String> {
    if !matches!(config.upstream.tls, UpstreamTls::Required | UpstreamTls::Implicit) {
        return Err("[auth] source = \"upstream\" needs `tls` \"required\" or \"implicit\" in [upstream]: \
                    passwords go over verified TLS only"
            .to_owned());
    }
    let smarthost = super::upstream::smarthost(config, identities)?;
    smarthost
        .map(|smarthost| Arc::new(AtUpstream(smarthost)) as Arc<dyn Judge>)
        .ok_or_else(|| "[auth] source = \"upstream\" needs a smarthost as `[upstream] address`".to_owned())
}
