//! Upstreams: `[upstream]` with its alternatives, `[upstreams.NAME]`, `[[route]]`.

use super::keys::upstream as keys;
use super::{Base, Reporter};
use crate::diagnostic::Diagnostic;
use crate::policy::budget::Limit;
use crate::tls::{self, PairFiles};
use crate::upstream::rate::Rate;
use crate::upstream::smarthost::{Mechanism, Pin};
pub use keys::UpstreamTls;
use keys::{Grant, Route};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// An upstream, with others that share its load or replace it when it fails.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Where it is.
    pub route: UpstreamRoute,
    /// How the connection is secured.
    pub tls: UpstreamTls,
    /// Pinned public keys; if there are any, nothing else is trusted.
    pub pins: Vec<Pin>,
    /// The certificate that we show if it asks for one.
    pub certificate: Option<ClientCertificate>,
    /// Our credentials, if it asks for any.
    pub credentials: Option<Credentials>,
    /// The only mechanism that is used.
    pub auth: Option<Mechanism>,
    /// Certificates trusted in addition to the system's (PEM).
    pub ca_file: Option<PathBuf>,
    /// Limits on the number of transactions or recipients in a period; all of them apply.
    pub rates: Vec<Rate>,
    /// Limits on recipients; mail that would exceed one is held.
    pub budgets: Vec<Limit>,
    /// Maximum number of concurrent connections.
    pub connections: usize,
    /// The host name that we send in EHLO.
    pub hello: String,
    /// Upstreams with a lower number are tried first.
    pub priority: u16,
    /// Its share of the load among upstreams of the same priority.
    pub weight: u16,
    /// Alternatives for the same mail.
    pub also: Vec<Upstream>,
}

impl Upstream {
    /// This upstream and its alternatives.
    pub fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.also)
    }

    /// The files that contain its secrets.
    pub fn secret_files(&self) -> Vec<&Path> {
        match &self.credentials {
            None => Vec::new(),
            Some(Credentials { secret: SecretFile::Password(file), .. }) => vec![file],
            Some(Credentials { secret: SecretFile::Oauth(oauth), .. }) => oauth
                .client_secret_file
                .iter()
                .chain(&oauth.refresh_token_file)
                .map(PathBuf::as_path)
                .collect(),
        }
    }
}

/// Kinds of upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamRoute {
    /// A smarthost.
    Smarthost {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// The mail exchangers (MX) of each recipient's domain.
    Mx {
        /// Their port: 25 except in tests and special networks.
        port: u16,
    },
    /// A Maildir in this folder: mail is kept there and goes no further.
    Capture(PathBuf),
}

impl fmt::Display for UpstreamRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Smarthost { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Smarthost { host, port } => write!(f, "{host}:{port}"),
            Self::Mx { .. } => f.write_str("mx"),
            Self::Capture(folder) => write!(f, "capture:{}", folder.display()),
        }
    }
}

/// A certificate that we show to an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Its files.
    pub files: PairFiles,
    /// The key of the configuration that names it, such as `[upstream] certificate`.
    pub place: String,
}

impl ClientCertificate {
    /// What is wrong with one of the files, prefixed with the key that names it.
    pub fn told(&self, trouble: &tls::Trouble) -> String {
        let key = if trouble.file == self.files.key { "key" } else { "chain" };
        format!("{}.{key}: {trouble}", self.place)
    }
}

/// Our credentials at an upstream.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// The secret.
    pub secret: SecretFile,
}

/// Where a secret comes from.
#[derive(Clone, Debug)]
pub enum SecretFile {
    /// A password on the first line of this file.
    Password(PathBuf),
    /// An access token requested by OAuth 2.0.
    Oauth(Oauth),
}

/// The table `[upstream.oauth]`.
#[derive(Clone, Debug)]
pub struct Oauth {
    /// The token endpoint.
    pub token_url: String,
    /// Our client id.
    pub client_id: String,
    /// The file with our client secret.
    pub client_secret_file: Option<PathBuf>,
    /// The file with the refresh token, for the grant `refresh_token`; without it we use
    /// `client_credentials`.
    pub refresh_token_file: Option<PathBuf>,
    /// The scope that is requested.
    pub scope: Option<String>,
}

/// `[[route]]`: which mail goes to which upstream. All conditions must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteRule {
    /// Domains of MAIL FROM; `*.` stands for subdomains, and an empty list for any domain.
    pub sender_domains: Vec<String>,
    /// Domains of the recipient, in the same form.
    pub recipient_domains: Vec<String>,
    /// A key of `upstreams`.
    pub upstream: String,
}

/// All upstreams and routes.
#[derive(Clone, Debug)]
#[expect(clippy::struct_field_names, reason = "named as in the configuration")]
pub(super) struct Upstreams {
    /// The default upstream.
    pub(super) upstream: Upstream,
    /// Upstreams that routes name.
    pub(super) upstreams: BTreeMap<String, Upstream>,
    /// The first matching route applies.
    pub(super) routes: Vec<RouteRule>,
}

pub(super) fn ways(
    upstream: keys::Upstream,
    upstreams: BTreeMap<String, keys::Upstream>,
    routes: Vec<keys::RouteRule>,
    reading: &Reading<'_>,
) -> Result<Upstreams, Diagnostic> {
    let usual = reading.upstream("[upstream]", upstream)?;
    let mut named = BTreeMap::new();
    for (name, keys) in upstreams {
        let table = format!("[upstreams.{name}]");
        named.insert(name, reading.upstream(&table, keys)?);
    }
    let mut rules = Vec::new();
    for route in routes {
        if !named.contains_key(&route.upstream) {
            let name = &route.upstream;
            return Err(reading.reporter.wrong(
                "[[route]]",
                "upstream",
                format!("there is no [upstreams.{name}] for this route"),
            ));
        }
        if route.sender_domains.is_empty() && route.recipient_domains.is_empty() {
            return Err(reading.reporter.wrong(
                "[[route]]",
                "upstream",
                "a route names `sender_domains`, `recipient_domains` or both; for all mail there is [upstream]",
            ));
        }
        let texts = |domains: Vec<keys::Domain>| domains.into_iter().map(|domain| domain.0).collect();
        rules.push(RouteRule {
            sender_domains: texts(route.sender_domains),
            recipient_domains: texts(route.recipient_domains),
            upstream: route.upstream,
        });
    }
    if let Some(idle) = named.keys().find(|name| rules.iter().all(|rule| rule.upstream != **name)) {
        let table = format!("[upstreams.{idle}]");
        return Err(reading.reporter.wrong(&table, "address", format!("no [[route]] leads to `{idle}`")));
    }
    Ok(Upstreams { upstream: usual, upstreams: named, routes: rules })
}

/// What is needed to read an upstream.
pub(super) struct Reading<'a> {
    pub(super) base: &'a Base,
    pub(super) hostname: &'a str,
    pub(super) reporter: &'a Reporter<'a>,
}

impl Reading<'_> {
    fn upstream(&self, table: &str, keys: keys::Upstream) -> Result<Upstream, Diagnostic> {
        let mut also = Vec::new();
        let inner = format!("[{}.also]]", table.trim_end_matches(']'));
        for other in keys.also {
            if !other.also.is_empty() {
                return Err(self.reporter.wrong(&inner, "address", "`also` cannot be nested in `also`"));
            }
            if !other.budget.0.is_empty() {
                let why = "a budget applies to an upstream with all its alternatives: set it next to the first address";
                return Err(self.reporter.wrong(&inner, "budget", why));
            }
            let default_priority = other.priority.unwrap_or(20);
            also.push(Upstream {
                priority: default_priority,
                ..self.one(&inner, Keys { also: Vec::new(), ..other })?
            });
        }
        let has_also = !also.is_empty();
        let upstream = self.one(table, Keys { also: Vec::new(), ..keys })?;
        if has_also && !matches!(upstream.route, UpstreamRoute::Smarthost { .. })
            || also.iter().any(|other| !matches!(other.route, UpstreamRoute::Smarthost { .. }))
        {
            return Err(self.reporter.wrong(
                &inner,
                "address",
                "only smarthosts can be alternatives of each other",
            ));
        }
        Ok(Upstream { also, ..upstream })
    }

    fn one(&self, table: &str, keys: Keys) -> Result<Upstream, Diagnostic> {
        let wrong = |key: &str, message: &str| Err(self.reporter.wrong(table, key, message));
        if matches!(keys.address, Route::Mx { .. }) {
            for (key, set) in [
                ("username", keys.username.is_some()),
                ("auth", keys.auth.is_some()),
                ("certificate", keys.certificate.is_some()),
                ("pins", !keys.pins.is_empty()),
                ("tls", keys.tls.is_some()),
            ] {
                if set {
                    return wrong(
                        key,
                        "with \"mx\" each domain decides how it is secured (MTA-STS, DANE), and there is no login",
                    );
                }
            }
        }
        let tls = keys.tls.unwrap_or_default();
        if keys.certificate.is_some() && tls == UpstreamTls::Off {
            return wrong("certificate", "`certificate` is shown within TLS, and `tls` is \"off\"");
        }
        if keys.certificate.is_some() && matches!(keys.address, Route::Capture(_)) {
            return wrong("certificate", "a folder needs no certificate");
        }
        if !keys.pins.is_empty() && !matches!(tls, UpstreamTls::Required | UpstreamTls::Implicit) {
            return wrong("pins", "`pins` mean nothing unless `tls` is \"required\" or \"implicit\"");
        }
        if keys.weight == Some(0) {
            return wrong("weight", "`weight` is at least 1");
        }
        let connections = keys.connections.unwrap_or(match keys.address {
            Route::Smarthost { .. } => 20,
            Route::Capture(_) => 4,
            Route::Mx { .. } => 100,
        });
        Ok(Upstream {
            route: match keys.address {
                Route::Smarthost { host, port } => UpstreamRoute::Smarthost { host, port },
                Route::Capture(folder) => UpstreamRoute::Capture(self.base.join(&folder)),
                Route::Mx { port } => UpstreamRoute::Mx { port },
            },
            tls,
            pins: keys.pins.into_iter().map(|pin| pin.0).collect(),
            certificate: keys.certificate.map(|files| ClientCertificate {
                files: PairFiles { chain: self.base.join(&files.chain), key: self.base.join(&files.key) },
                place: format!("{table} certificate"),
            }),
            credentials: self.credentials(table, keys.username, keys.password_file, keys.oauth, keys.auth)?,
            auth: keys.auth.map(|auth| auth.0),
            ca_file: keys.ca_file.map(|file| self.base.join(&file)),
            rates: keys.rate.0,
            budgets: keys.budget.0,
            connections,
            hello: keys.hello.unwrap_or_else(|| self.hostname.to_owned()),
            priority: keys.priority.unwrap_or(10),
            weight: keys.weight.unwrap_or(1),
            also: Vec::new(),
        })
    }

    fn credentials(
        &self,
        table: &str,
        username: Option<String>,
        password_file: Option<PathBuf>,
        oauth: Option<keys::Oauth>,
        auth: Option<keys::Auth>,
    ) -> Result<Option<Credentials>, Diagnostic> {
        let wrong = |key: &str, message: &str| Err(self.reporter.wrong(table, key, message));
        let by_token = auth.is_some_and(|auth| auth.0 == Mechanism::Xoauth2);
        match (username, password_file, oauth) {
            (None, None, None) if auth.is_some() => wrong("auth", "`auth` needs a `username` beside it"),
            (None, None, None) => Ok(None),
            (Some(_), None, None) => {
                wrong("username", "`username` needs a `password_file` beside it, or a table `oauth`")
            }
            (None, ..) => wrong("password_file", "`password_file` and `oauth` need a `username` beside them"),
            (Some(_), Some(_), Some(_)) => {
                wrong("password_file", "`password_file` and `oauth` exclude each other")
            }
            (Some(_), Some(_), None) if by_token => wrong("auth", "\"xoauth2\" needs a table `oauth`"),
            (Some(_), None, Some(_)) if auth.is_some() && !by_token => {
                wrong("auth", "a table `oauth` is for \"xoauth2\" only")
            }
            (Some(username), Some(file), None) => {
                Ok(Some(Credentials { username, secret: SecretFile::Password(self.base.join(&file)) }))
            }
            (Some(username), None, Some(oauth)) => {
                let table = format!("[{}.oauth]", table.trim_matches(['[', ']']));
                let secret = SecretFile::Oauth(self.oauth(&table, oauth)?);
                Ok(Some(Credentials { username, secret }))
            }
        }
    }

    fn oauth(&self, table: &str, keys: keys::Oauth) -> Result<Oauth, Diagnostic> {
        let wrong = |key: &str, message: &str| Err(self.reporter.wrong(table, key, message));
        match (keys.grant, &keys.refresh_token_file, &keys.client_secret_file) {
            (Grant::RefreshToken, None, _) => {
                return wrong("grant", "the grant \"refresh_token\" needs a `refresh_token_file`");
            }
            (Grant::ClientCredentials, Some(_), _) => {
                return wrong("refresh_token_file", "it is for the grant \"refresh_token\" only");
            }
            (Grant::ClientCredentials, None, None) => {
                return wrong("grant", "the grant \"client_credentials\" needs a `client_secret_file`");
            }
            _ => {}
        }
        let join = |file: Option<PathBuf>| file.map(|file| self.base.join(&file));
        Ok(Oauth {
            token_url: keys.token_url.0,
            client_id: keys.client_id,
            client_secret_file: join(keys.client_secret_file),
            refresh_token_file: join(keys.refresh_token_file),
            scope: keys.scope,
        })
    }
}

type Keys = keys::Upstream;
