//! Who may send: `[auth]`, and a listener's `auth`, `senders`, `spf` and `tenant`.

use super::keys::accounts::{self as keys, LdapTls, Source};
use super::{Base, Reporter};
use crate::accounts::Senders;
use crate::accounts::ldap::Security;
use crate::diagnostic::Diagnostic;
pub use keys::ListenerAuth;
use std::path::PathBuf;

/// The table `[auth]`.
#[derive(Clone, Debug)]
pub struct Auth {
    /// Where the accounts are.
    pub source: AuthSource,
    /// Users, with addresses that they may send as in addition to their own.
    pub send_as: Vec<(String, Senders)>,
}

/// The source of accounts.
#[derive(Clone, Debug)]
pub enum AuthSource {
    /// In a file.
    File(PathBuf),
    /// In an LDAP directory.
    Ldap(Ldap),
    /// At the upstream: a login is tried there.
    Upstream,
}

/// An LDAP directory.
#[derive(Clone, Debug)]
pub struct Ldap {
    /// `ldaps://host` or `ldap://host`.
    pub url: String,
    /// How the connection is secured.
    pub tls: Security,
    /// Certificates trusted in addition to the system's (PEM).
    pub ca_file: Option<PathBuf>,
    /// How the entry of a user is found.
    pub find: LdapFind,
    /// Attributes that contain mail addresses.
    pub addresses: Vec<String>,
}

/// How the entry of a user is found.
#[derive(Clone, Debug)]
pub enum LdapFind {
    /// A DN with `{user}` in it.
    Bind(String),
    /// A search.
    Search {
        /// Below this DN.
        base: String,
        /// With `{user}` in it.
        filter: String,
        /// The DN to search as, and the file with its password; `None` searches anonymously.
        service: Option<(String, PathBuf)>,
    },
}

/// Who may send through one listener, in addition to its networks.
#[derive(Clone, Debug, Default)]
pub struct Sending {
    /// Whether AUTH is offered or required.
    pub auth: ListenerAuth,
    /// The senders that clients in the networks may use; `None` allows any.
    pub senders: Option<Senders>,
    /// Names whose SPF records name networks that may relay.
    pub spf: Vec<String>,
    /// What identifies our mail among that of a host shared with other organisations.
    pub tenant: Option<Tenant>,
}

/// The value of `tenant`.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Domains that MAIL FROM must have.
    pub domains: Vec<String>,
    /// The header field that contains the secret.
    pub header: String,
    /// The file with the secrets.
    pub secret_file: PathBuf,
}

const LISTENER: &str = "[[listener]]";
const LDAP: &str = "[auth.ldap]";

pub(super) fn auth(
    keys: Option<keys::Auth>,
    base: &Base,
    reporter: &Reporter<'_>,
) -> Result<Option<Auth>, Diagnostic> {
    let Some(keys) = keys else { return Ok(None) };
    let source = match (keys.source, keys.ldap) {
        (Source::Ldap(url), Some(ldap)) => AuthSource::Ldap(directory(url, ldap, base, reporter)?),
        (Source::Ldap(_), None) => {
            return Err(reporter.wrong(
                "[auth]",
                "source",
                "a directory needs [auth.ldap] with `bind`, such as \"uid={user},ou=people,dc=example\", or `base`",
            ));
        }
        (_, Some(_)) => {
            return Err(reporter.wrong("[auth]", "source", "[auth.ldap] means nothing with this `source`"));
        }
        (Source::File(path), None) => AuthSource::File(base.join(&path)),
        (Source::Upstream, None) => AuthSource::Upstream,
        (Source::Off, None) => return Ok(None),
    };
    let mut send_as = Vec::new();
    for entry in keys.send_as {
        let senders = Senders::of(entry.addresses.iter().map(String::as_str));
        send_as
            .push((entry.user, senders.map_err(|why| reporter.wrong("[[auth.send_as]]", "addresses", why))?));
    }
    Ok(Some(Auth { source, send_as }))
}

fn directory(
    url: String,
    keys: keys::Ldap,
    base: &Base,
    reporter: &Reporter<'_>,
) -> Result<Ldap, Diagnostic> {
    let tls = match (url.starts_with("ldaps://"), keys.tls) {
        (true, None) => Security::Implicit,
        (true, Some(_)) => return Err(reporter.wrong(LDAP, "tls", "`tls` means nothing with ldaps://")),
        (false, None | Some(LdapTls::StartTls)) => Security::StartTls,
        (false, Some(LdapTls::Off)) => Security::Off,
    };
    let needs_user = |key: &str, text: &str| {
        let wrong = || {
            reporter.wrong(
                LDAP,
                key,
                format!("`{key}` does not contain {{user}}: everybody would be the same user"),
            )
        };
        if text.contains("{user}") { Ok(()) } else { Err(wrong()) }
    };
    let find = match (keys.bind, keys.base) {
        (Some(bind), None) => {
            needs_user("bind", &bind)?;
            if let Some(key) = [("filter", keys.filter.is_some()), ("service_dn", keys.service_dn.is_some())]
                .into_iter()
                .find_map(|(key, there)| there.then_some(key))
            {
                return Err(reporter.wrong(LDAP, key, format!("`{key}` goes with `base`, not with `bind`")));
            }
            LdapFind::Bind(bind)
        }
        (None, Some(below)) => {
            let filter = keys.filter.unwrap_or_else(|| "(uid={user})".to_owned());
            needs_user("filter", &filter)?;
            let service = match (keys.service_dn, keys.service_password_file) {
                (None, None) => None,
                (Some(dn), Some(file)) => Some((dn, base.join(&file))),
                (Some(_), None) => {
                    return Err(reporter.wrong(
                        LDAP,
                        "service_dn",
                        "`service_dn` needs a `service_password_file`",
                    ));
                }
                (None, Some(_)) => {
                    return Err(reporter.wrong(
                        LDAP,
                        "service_password_file",
                        "it needs a `service_dn` beside it",
                    ));
                }
            };
            LdapFind::Search { base: below, filter, service }
        }
        _ => return Err(reporter.wrong(LDAP, "bind", "[auth.ldap] has either `bind` or `base`")),
    };
    let addresses = keys.addresses.unwrap_or_else(|| vec!["mail".to_owned()]);
    Ok(Ldap { url, tls, ca_file: keys.ca_file.map(|file| base.join(&file)), find, addresses })
}

/// Who may send, by the keys of one listener.
pub(super) fn sending(
    keys: SendingKeys,
    has_accounts: bool,
    base: &Base,
    reporter: &Reporter<'_>,
) -> Result<Sending, Diagnostic> {
    if keys.auth != ListenerAuth::Off && !has_accounts {
        return Err(reporter.wrong(
            LISTENER,
            "auth",
            "`auth` needs an [auth] table: source = \"file:users.toml\", \"ldaps://…\" or \"upstream\"",
        ));
    }
    if keys.auth != ListenerAuth::Off && !keys.tls {
        return Err(reporter.wrong(
            LISTENER,
            "auth",
            "`auth` needs `tls`: passwords are accepted only through TLS",
        ));
    }
    let senders = keys.senders.map(|list| Senders::of(list.iter().map(String::as_str))).transpose();
    let senders = senders.map_err(|why| reporter.wrong(LISTENER, "senders", why))?;
    let sound = |name: &String| {
        name.contains('.') && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'))
    };
    if let Some(name) = keys.spf.iter().find(|name| !sound(name)) {
        return Err(reporter.wrong(
            LISTENER,
            "spf",
            format!("`{name}` is not a name with an SPF record, such as \"_spf.google.com\""),
        ));
    }
    if keys.tenant.is_some() && !keys.shared {
        return Err(reporter.wrong(
            LISTENER,
            "tenant",
            "`tenant` is for mail that comes by `spf` or `client_certificates`, and there is neither",
        ));
    }
    let tenant = keys.tenant.map(|tenant| Tenant {
        domains: tenant.domains,
        header: tenant.header.0,
        secret_file: base.join(&tenant.secret_file),
    });
    Ok(Sending { auth: keys.auth, senders, spf: keys.spf, tenant })
}

/// The keys of a listener that decide who may send.
pub(super) struct SendingKeys {
    pub(super) auth: ListenerAuth,
    pub(super) senders: Option<Vec<String>>,
    pub(super) spf: Vec<String>,
    pub(super) tenant: Option<keys::Tenant>,
    /// The listener offers TLS.
    pub(super) tls: bool,
    /// Hosts that are shared with others may relay here.
    pub(super) shared: bool,
}
