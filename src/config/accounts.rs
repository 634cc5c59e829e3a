//! Who may send: `[auth]`, and a listener's `auth`, `senders`, `spf` and `tenant`.

use super::keys::accounts::{self as keys, LdapTls, Source};
use super::{Base, Place};
use crate::accounts::Senders;
use crate::accounts::ldap::Security;
use crate::diagnostic::Diagnostic;
pub use keys::ListenerAuth;
use std::path::PathBuf;

/// `[auth]`
#[derive(Clone, Debug)]
pub struct Auth {
    /// Where accounts are.
    pub source: AuthSource,
    /// Users with what they may send as beside their own addresses.
    pub send_as: Vec<(String, Senders)>,
}

/// Where accounts are.
#[derive(Clone, Debug)]
pub enum AuthSource {
    /// In a file.
    File(PathBuf),
    /// In a directory.
    Ldap(Ldap),
    /// At the upstream.
    Upstream,
}

/// A directory.
#[derive(Clone, Debug)]
pub struct Ldap {
    /// `ldaps://host` or `ldap://host`.
    pub url: String,
    /// How the way is secured.
    pub tls: Security,
    /// Certificates trusted beside the system's (PEM).
    pub ca_file: Option<PathBuf>,
    /// How to an entry.
    pub find: LdapFind,
    /// Attributes with mail addresses.
    pub addresses: Vec<String>,
}

/// How to an entry of a directory.
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
        /// As whom, and the file with the password.
        service: Option<(String, PathBuf)>,
    },
}

/// Who may send on one listener, beside its networks.
#[derive(Clone, Debug, Default)]
pub struct Sending {
    /// AUTH.
    pub auth: ListenerAuth,
    /// As whom clients of the networks may send; `None` is anybody.
    pub senders: Option<Senders>,
    /// Names whose SPF records name networks that may relay.
    pub spf: Vec<String>,
    /// What mail from shared hosts must have.
    pub tenant: Option<Tenant>,
}

/// `tenant`
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Domains of MAIL FROM.
    pub domains: Vec<String>,
    /// The field with the secret.
    pub header: String,
    /// The file with the secrets.
    pub secret_file: PathBuf,
}

const LISTENER: &str = "[[listener]]";
const LDAP: &str = "[auth.ldap]";

pub(super) fn auth(
    keys: Option<keys::Auth>,
    base: &Base,
    place: &Place<'_>,
) -> Result<Option<Auth>, Diagnostic> {
    let Some(keys) = keys else { return Ok(None) };
    let source = match (keys.source, keys.ldap) {
        (Source::Ldap(url), Some(ldap)) => AuthSource::Ldap(directory(url, ldap, base, place)?),
        (Source::Ldap(_), None) => {
            return Err(place.wrong(
                "[auth]",
                "source",
                "a directory needs [auth.ldap] with `bind`, such as \"uid={user},ou=people,dc=example\", or `base`",
            ));
        }
        (_, Some(_)) => {
            return Err(place.wrong("[auth]", "source", "[auth.ldap] means nothing with this `source`"));
        }
        (Source::File(path), None) => AuthSource::File(base.join(&path)),
        (Source::Upstream, None) => AuthSource::Upstream,
        (Source::Off, None) => return Ok(None),
    };
    let mut send_as = Vec::new();
    for entry in keys.send_as {
        let senders = Senders::of(entry.addresses.iter().map(String::as_str));
        send_as.push((entry.user, senders.map_err(|why| place.wrong("[[auth.send_as]]", "addresses", why))?));
    }
    Ok(Some(Auth { source, send_as }))
}

fn directory(url: String, keys: keys::Ldap, base: &Base, place: &Place<'_>) -> Result<Ldap, Diagnostic> {
    let tls = match (url.starts_with("ldaps://"), keys.tls) {
        (true, None) => Security::Implicit,
        (true, Some(_)) => return Err(place.wrong(LDAP, "tls", "`tls` means nothing with ldaps://")),
        (false, None | Some(LdapTls::StartTls)) => Security::StartTls,
        (false, Some(LdapTls::Off)) => Security::Off,
    };
    let needs_user = |key: &str, text: &str| {
        let wrong =
            || place.wrong(LDAP, key, format!("`{key}` has no {{user}} in it: everybody would be the same"));
        if text.contains("{user}") { Ok(()) } else { Err(wrong()) }
    };
    let find = match (keys.bind, keys.base) {
        (Some(bind), None) => {
            needs_user("bind", &bind)?;
            if let Some(key) = [("filter", keys.filter.is_some()), ("service_dn", keys.service_dn.is_some())]
                .into_iter()
                .find_map(|(key, there)| there.then_some(key))
            {
                return Err(place.wrong(LDAP, key, format!("`{key}` goes with `base`, not with `bind`")));
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
                    return Err(place.wrong(
                        LDAP,
                        "service_dn",
                        "`service_dn` needs a `service_password_file`",
                    ));
                }
                (None, Some(_)) => {
                    return Err(place.wrong(
                        LDAP,
                        "service_password_file",
                        "it needs a `service_dn` beside it",
                    ));
                }
            };
            LdapFind::Search { base: below, filter, service }
        }
        _ => return Err(place.wrong(LDAP, "bind", "[auth.ldap] has either `bind` or `base`")),
    };
    let addresses = keys.addresses.unwrap_or_else(|| vec!["mail".to_owned()]);
    Ok(Ldap { url, tls, ca_file: keys.ca_file.map(|file| base.join(&file)), find, addresses })
}

/// What one listener says of who may send.
pub(super) fn sending(
    keys: SendingKeys,
    has_accounts: bool,
    base: &Base,
    place: &Place<'_>,
) -> Result<Sending, Diagnostic> {
    if keys.auth != ListenerAuth::Off && !has_accounts {
        return Err(place.wrong(
            LISTENER,
            "auth",
            "`auth` needs an [auth] table: source = \"file:users.toml\", \"ldaps://…\" or \"upstream\"",
        ));
    }
    if keys.auth != ListenerAuth::Off && !keys.tls {
        return Err(place.wrong(
            LISTENER,
            "auth",
            "`auth` needs `tls`: passwords are taken through TLS only",
        ));
    }
    let senders = keys.senders.map(|list| Senders::of(list.iter().map(String::as_str))).transpose();
    let senders = senders.map_err(|why| place.wrong(LISTENER, "senders", why))?;
    let sound = |name: &String| {
        name.contains('.') && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'))
    };
    if let Some(name) = keys.spf.iter().find(|name| !sound(name)) {
        return Err(place.wrong(
            LISTENER,
            "spf",
            format!("`{name}` is no name with an SPF record, such as \"_spf.google.com\""),
        ));
    }
    if keys.tenant.is_some() && !keys.shared {
        return Err(place.wrong(
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

/// The keys of a listener that say who may send.
pub(super) struct SendingKeys {
    pub(super) auth: ListenerAuth,
    pub(super) senders: Option<Vec<String>>,
    pub(super) spf: Vec<String>,
    pub(super) tenant: Option<keys::Tenant>,
    /// TLS is to be had here.
    pub(super) tls: bool,
    /// Hosts that many share may relay here.
    pub(super) shared: bool,
}
