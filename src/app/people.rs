//! Builds the sign-in settings of the desk from the configuration.

use super::StartError;
use super::accounts::accounts;
use crate::accounts::file::FileAccounts;
use crate::accounts::{Account, Accounts, AtDesk, Down};
use crate::clock::{Clock, SystemClock};
use crate::config::{AuthSource, Config, Oidc};
use crate::message::Address;
use crate::people::code_mail::Letter;
use crate::people::oidc::{Provider, Wanted};
use crate::people::passkeys::verify::Party;
use crate::people::{RoleNames, Settings};
use crate::policy::Approvers;
use crate::smtp::sasl::Mechanisms;
use crate::tls::Identities;
use crate::upstream::smarthost::{Authorities, read_secret};
use async_trait::async_trait;
use secrecy::SecretString;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Timeout of requests to the identity provider.
const PATIENCE: Duration = Duration::from_secs(10);

/// The sign-in settings.
pub(super) fn settings(
    config: &Config,
    approvers: &Approvers,
    clock: &Arc<dyn Clock>,
) -> Result<Settings, StartError> {
    let desk = &config.desk;
    let own: Option<Arc<dyn Accounts>> = match &desk.people {
        Some(path) if !path.exists() => {
            tracing::warn!(
                file = %path.display(),
                "there are no accounts for the desk yet: `sekisho user add` creates the file, and a restart reads it"
            );
            None
        }
        Some(path) => {
            let opened = FileAccounts::open(path.clone(), Arc::clone(clock));
            Some(Arc::new(opened.map_err(StartError::Configuration)?))
        }
        None => None,
    };
    let sending: Option<Arc<dyn Accounts>> = match &config.auth {
        Some(auth) => {
            let opened = accounts(&auth.source, config, Arc::clone(clock), &Identities::default());
            Some(opened.map_err(StartError::Configuration)?)
        }
        None => None,
    };
    let accounts_file = match (config.auth.as_ref().map(|auth| &auth.source), &desk.people) {
        (Some(AuthSource::File(path)), _) => Some(path.clone()),
        (_, people) => people.clone(),
    };
    let passwords = match (own, sending) {
        (Some(own), Some(sending)) => Some(Arc::new(Beside { own, sending }) as Arc<dyn Accounts>),
        (own, sending) => own.or(sending),
    };
    let provider = match (&desk.oidc, &desk.url) {
        (Some(wanted), Some(url)) => Some(Arc::new(provider(wanted, url)?)),
        _ => None,
    };
    Ok(Settings {
        session: desk.session,
        idle: desk.idle,
        mail_codes: desk.mail_codes,
        admin_codes: desk.admin_codes,
        passkeys: desk.url.as_deref().filter(|_| desk.passkeys).and_then(Party::of),
        accounts: passwords,
        accounts_file,
        provider,
        organisation: Arc::new(config.organisation.clone()),
        roles: roles(config, approvers),
        letter: Letter {
            from: config.notices.from.clone(),
            hostname: config.hostname.clone(),
            url: desk.url.clone(),
            contact: desk.contact.clone(),
        },
    })
}

/// Two sources of accounts: the second is asked only for users that the first does not have.
struct Beside {
    own: Arc<dyn Accounts>,
    sending: Arc<dyn Accounts>,
}

impl Beside {
    fn of(&self, user: &str) -> &Arc<dyn Accounts> {
        if self.own.at_desk(user).is_some() { &self.own } else { &self.sending }
    }
}

#[async_trait]
impl Accounts for Beside {
    fn mechanisms(&self) -> Mechanisms {
        self.sending.mechanisms()
    }

    async fn password(&self, user: &str, password: &SecretString) -> Result<Option<Account>, Down> {
        self.of(user).password(user, password).await
    }

    fn at_desk(&self, user: &str) -> Option<AtDesk> {
        self.of(user).at_desk(user)
    }

    async fn probe(&self) -> Result<String, Down> {
        self.sending.probe().await
    }
}

/// The roles from the configuration: `[desk.roles]`, everybody who can be asked to decide (by rules, groups,
/// the file of managers, as a deputy, by escalation), and the admin.
fn roles(config: &Config, approvers: &Approvers) -> RoleNames {
    let mut roles = config.desk.roles.clone();
    let deputies = config.notices.asking.approvers.values().flat_map(|one| &one.deputies);
    let asked: BTreeSet<&Address> = approvers.all().chain(deputies).collect();
    roles.approver.extend(asked.into_iter().map(ToString::to_string));
    roles.admin.extend(config.notices.admin.iter().map(ToString::to_string));
    roles
}

/// Sets up the identity provider; does not connect.
pub(super) fn provider(wanted: &Oidc, url: &str) -> Result<Provider, StartError> {
    let told = |why: String| StartError::Configuration(format!("[desk.oidc]: {why}"));
    let secret = wanted.client_secret_file.as_ref().map(|file| read_secret(file, "client secret"));
    let authorities = Authorities::new(wanted.ca_file.as_deref()).map_err(told)?;
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(authorities.client().map_err(told)?)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE)
        .build()
        .map_err(|error| told(error.to_string()))?;
    let wanted = Wanted {
        name: wanted.name.clone(),
        issuer: wanted.issuer.clone(),
        client_id: wanted.client_id.clone(),
        client_secret: secret.transpose().map_err(told)?,
        scopes: wanted.scopes.clone(),
        claim: wanted.claim.clone(),
        roles: wanted.roles.clone(),
        trust_addresses: wanted.trust_addresses,
        redirect: format!("{url}/login/oidc/return"),
    };
    // uses the system's clock, because the provider's tokens expire by real time
    Ok(Provider::new(wanted, client, Arc::new(SystemClock)))
}
