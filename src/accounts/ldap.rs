//! Accounts in an LDAP directory (RFC 4511): a password is right if a simple bind with it succeeds.
//!
//! The entry of a user is found by a template for the DN (`uid={user},ou=people,dc=…`), or by a search with
//! a service account. The user name is escaped in both (RFC 4514, RFC 4515). Empty passwords are rejected
//! here: a bind with one would succeed without authentication (RFC 4513 §5.1.2).
//!
//! The user's addresses are read from the entry. Passwords are sent over TLS only, unless the configuration
//! explicitly turns it off.

use super::remembered::Remembered;
use super::{Account, Accounts, Down};
use crate::clock::Clock;
use crate::message::Address;
use crate::smtp::sasl::{Mechanism, Mechanisms};
use async_trait::async_trait;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, Scope, SearchEntry, dn_escape, ldap_escape};
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;
use secrecy::{ExposeSecret, SecretString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Timeout for each answer of the directory.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most concurrent connections to it.
const AT_ONCE: usize = 16;
/// Result codes that mean wrong credentials: `invalidCredentials`, and `noSuchObject` if a template names
/// no entry (RFC 4511 §4.1.9).
const WRONG: [u32; 2] = [49, 32];

/// LDAP settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `ldaps://host`, or `ldap://host` with STARTTLS.
    pub url: String,
    /// TLS.
    pub tls: Security,
    /// PEM file of certificate authorities trusted in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// How to find the entry of a user.
    pub find: Find,
    /// Attributes that contain mail addresses, with or without the prefix `smtp:`.
    pub addresses: Vec<String>,
}

/// TLS towards the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Implicit TLS.
    Implicit,
    /// STARTTLS, required.
    StartTls,
    /// No TLS: passwords are sent in plain text.
    Off,
}

/// How to find the entry of a user.
#[derive(Clone, Debug)]
pub enum Find {
    /// A DN with `{user}` in it.
    Template(String),
    /// A search.
    Search {
        /// The base DN.
        base: String,
        /// The filter, with `{user}` in it.
        filter: String,
        /// DN and password of the service account; `None` searches anonymously.
        service: Option<(String, SecretString)>,
    },
}

/// Accounts in a directory.
pub struct LdapAccounts {
    directory: Arc<Directory>,
    remembered: Remembered,
}

/// The connection settings.
struct Directory {
    settings: Settings,
    tls: Option<Arc<ClientConfig>>,
    turns: Semaphore,
}

impl LdapAccounts {
    /// Sets up TLS; does not connect.
    ///
    /// # Errors
    /// The CA file cannot be read, or there is no certificate authority. The error is a text for the
    /// administrator.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let tls = match settings.tls {
            Security::Off => None,
            _ => Some(Arc::new(client_config(settings.ca_file.as_deref())?)),
        };
        let directory = Arc::new(Directory { settings, tls, turns: Semaphore::new(AT_ONCE) });
        Ok(Self { directory, remembered: Remembered::new(clock) })
    }

    /// Asks the directory in a separate task, so that a panic of the LDAP library ends only that task.
    async fn ask(&self, user: &str, password: &SecretString) -> Result<Option<Account>, Down> {
        let url = &self.directory.settings.url;
        let (directory, user, password) = (Arc::clone(&self.directory), user.to_owned(), password.clone());
        let task = tokio::spawn(async move {
            let _turn = directory.turns.acquire().await;
            directory.ask(&user, &password).await
        });
        let abort = task.abort_handle();
        match tokio::time::timeout(3 * PATIENCE, task).await {
            Ok(Ok(Ok(account))) => Ok(account),
            Ok(Ok(Err(error))) => Err(Down(format!("{url}: {error}"))),
            Ok(Err(error)) => Err(Down(format!("{url}: {error}"))),
            Err(_) => {
                abort.abort();
                Err(Down(format!("{url}: no answer in time")))
            }
        }
    }
}

impl Directory {
    async fn connect(&self) -> Result<Ldap, LdapError> {
        let mut settings = LdapConnSettings::new()
            .set_conn_timeout(PATIENCE)
            .set_starttls(self.settings.tls == Security::StartTls);
        if let Some(tls) = &self.tls {
            settings = settings.set_config(Arc::clone(tls));
        }
        let (connection, ldap) = LdapConnAsync::with_settings(settings, &self.settings.url).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.drive().await {
                tracing::debug!(%error, "the connection to the directory ended");
            }
        });
        Ok(ldap)
    }

    /// Binds as the user; returns the account if the password is right.
    async fn ask(&self, user: &str, password: &SecretString) -> Result<Option<Account>, LdapError> {
        let mut ldap = self.connect().await?;
        let dn = match &self.settings.find {
            Find::Template(template) => template.replace("{user}", &dn_escape(user)),
            Find::Search { base, filter, service } => {
                if let Some((dn, password)) = service {
                    let bound = ldap.with_timeout(PATIENCE).simple_bind(dn, password.expose_secret()).await?;
                    bound.success()?;
                }
                match self
                    .search(&mut ldap, base, Scope::Subtree, &filter.replace("{user}", &ldap_escape(user)))
                    .await?
                {
                    Some(entry) => entry.dn,
                    // Bind as a non-existent entry, so that the answer takes as long.
                    None => format!("cn=nobody,{base}"),
                }
            }
        };
        let bound = ldap.with_timeout(PATIENCE).simple_bind(&dn, password.expose_secret()).await?;
        if WRONG.contains(&bound.rc) {
            return Ok(None);
        }
        bound.success()?;
        let entry = self.search(&mut ldap, &dn, Scope::Base, "(objectClass=*)").await?;
        let mut account = Account::named(user);
        account.addresses.extend(entry.iter().flat_map(|entry| self.addresses(entry)));
        ldap.with_timeout(PATIENCE).unbind().await?;
        Ok(Some(account))
    }

    /// The entry found; `None` if there is none or more than one.
    async fn search(
        &self,
        ldap: &mut Ldap,
        base: &str,
        scope: Scope,
        filter: &str,
    ) -> Result<Option<SearchEntry>, LdapError> {
        let wanted = self.settings.addresses.clone();
        let found = ldap.with_timeout(PATIENCE).search(base, scope, filter, wanted).await?;
        let (entries, _) = found.success()?;
        let mut entries = entries.into_iter().filter(|entry| !entry.is_ref());
        match (entries.next(), entries.next()) {
            (Some(entry), None) => Ok(Some(SearchEntry::construct(entry))),
            _ => Ok(None),
        }
    }

    fn addresses<'a>(&'a self, entry: &'a SearchEntry) -> impl Iterator<Item = Address> + 'a {
        let named = |attribute: &'a String| {
            entry.attrs.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(attribute))
        };
        let values = self.settings.addresses.iter().flat_map(named).flat_map(|(_, values)| values);
        values.filter_map(|value| {
            let bare = match value.split_once(':') {
                Some((scheme, rest)) if scheme.eq_ignore_ascii_case("smtp") => rest,
                _ => value.as_str(),
            };
            Address::parse(bare).ok()
        })
    }
}

fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let extra = match ca_file {
        None => Vec::new(),
        Some(file) => CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .ok()
            .filter(|found| !found.is_empty())
            .ok_or_else(|| format!("ca_file {} cannot be read as certificates in PEM", file.display()))?,
    };
    let verifier = Verifier::new_with_extra_roots(extra, Arc::clone(&provider))
        .map_err(|error| format!("no certificate authorities to verify the directory with: {error}"))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}

#[async_trait]
impl Accounts for LdapAccounts {
    fn mechanisms(&self) -> Mechanisms {
        Mechanisms::of(&[Mechanism::Plain, Mechanism::Login])
    }

    async fn probe(&self) -> Result<String, Down> {
        let settings = &self.directory.settings;
        let down = |error: LdapError| Down(format!("{}: {error}", settings.url));
        let mut ldap = self.directory.connect().await.map_err(down)?;
        let as_whom = match &settings.find {
            Find::Search { service: Some((dn, password)), .. } => {
                let bound = ldap.with_timeout(PATIENCE).simple_bind(dn, password.expose_secret()).await;
                bound.and_then(ldap3::LdapResult::success).map_err(down)?;
                format!(" as {dn}")
            }
            _ => String::new(),
        };
        ldap.with_timeout(PATIENCE).unbind().await.map_err(down)?;
        Ok(format!("{} answers{as_whom}", settings.url))
    }

    async fn password(&self, user: &str, password: &SecretString) -> Result<Option<Account>, Down> {
        if password.expose_secret().is_empty() {
            return Ok(None);
        }
        if let Some(account) = self.remembered.recall(user, password) {
            return Ok(Some(account));
        }
        let said = self.ask(user, password).await?;
        if let Some(account) = &said {
            self.remembered.keep(user, password, account);
        }
        Ok(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn accounts() -> LdapAccounts {
        let settings = Settings {
            url: "ldap://127.0.0.1:1".into(),
            tls: Security::Off,
            ca_file: None,
            find: Find::Template("uid={user},dc=example".into()),
            addresses: vec!["mail".into(), "proxyAddresses".into()],
        };
        LdapAccounts::new(settings, Arc::new(crate::clock::SystemClock)).unwrap()
    }

    #[test]
    fn addresses_come_from_the_named_attributes() {
        let values = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let entry = SearchEntry {
            dn: "uid=hanako,dc=example".into(),
            attrs: HashMap::from([
                ("Mail".to_owned(), values(&["hanako@example.co.jp"])),
                ("proxyaddresses".to_owned(), values(&["SMTP:h.sato@example.co.jp", "x500:/o=x", "broken"])),
                ("other".to_owned(), values(&["taro@example.co.jp"])),
            ]),
            bin_attrs: HashMap::new(),
        };
        let found: Vec<String> =
            accounts().directory.addresses(&entry).map(|address| address.to_string()).collect();
        assert_eq!(found, ["hanako@example.co.jp", "h.sato@example.co.jp"]);
    }

    #[tokio::test]
    async fn an_empty_password_is_wrong_and_a_directory_that_is_away_is_down() {
        let accounts = accounts();
        assert_eq!(accounts.password("hanako", &SecretString::from(String::new())).await, Ok(None));
        let said = accounts.password("hanako", &SecretString::from("pencil".to_owned())).await;
        assert!(said.is_err(), "{said:?}");
    }

    #[test]
    fn what_a_client_wrote_is_escaped() {
        assert_eq!(dn_escape("a,ou=b+c"), "a\\2cou\\3db\\2bc");
        assert_eq!(ldap_escape("a)(uid=*"), "a\\29\\28uid=\\2a");
    }
}
