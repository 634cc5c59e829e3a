//! The configuration: `sekisho.toml`, read once, checked as a whole, as typed values.
//!
//! Only the wiring ([`crate::app`]) and the commands read all of it; each stage gets a small struct of
//! its own. Relative paths in the file are relative to the file.

mod accounts;
mod approvers;
mod desk;
mod dns;
mod journal;
mod keys;
mod notices;
mod sealing;
mod store;
mod tls;
pub mod units;
mod upstream;

use crate::clock::hours::Term;
use crate::diagnostic::{Diagnostic, read_toml};
use crate::listener::{Role, TlsMode};
use crate::policy::approvers::{Asked, Group};
use crate::policy::{Mode, Organisation};
use crate::rewrite::plan::CopyOptions;
use crate::store::Retention;
use crate::tls::NamePattern;
pub use accounts::{Auth, AuthSource, Ldap, LdapFind, ListenerAuth, Sending};
pub use desk::{Desk, Oidc};
use ipnet::IpNet;
use keys::{Domains, File};
pub use notices::{Notices, Webhook};
pub use sealing::{Dkim, DkimKey, Marks, selector, signing_domain};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
pub use tls::Tls;
pub use upstream::{
    ClientCertificate, Credentials, Oauth, RouteRule, SecretFile, Upstream, UpstreamRoute, UpstreamTls,
};
use upstream::{Reading, Ways};

/// Where the configuration is looked for when no command line names it.
pub const PLACES: [&str; 2] = ["sekisho.toml", "/etc/sekisho/sekisho.toml"];

/// Most octets of a configuration file.
const LARGEST_FILE: u64 = 4 << 20;

/// Exchange Online's largest message, and the default of SIZE.
const DEFAULT_SIZE: u64 = 157_286_400;

/// Everything that is configured.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    /// What the relay calls itself in greetings and trace fields.
    pub hostname: String,
    /// Who is ours.
    pub organisation: Organisation,
    /// The first of our domains; `None` where the sender's own domain is ours.
    pub first_domain: Option<String>,
    /// The addresses our mail leaves from, as far as they were named: for `check` alone.
    pub egress: Vec<IpAddr>,
    /// Where mail comes in.
    pub listeners: Vec<Listener>,
    /// Certificates.
    pub tls: Tls,
    /// Accounts; `None` where there are none.
    pub auth: Option<Auth>,
    /// Where it goes.
    pub upstream: Upstream,
    /// Other ways out, by name.
    pub upstreams: BTreeMap<String, Upstream>,
    /// Which mail goes there; the first that fits counts.
    pub routes: Vec<RouteRule>,
    /// What is decided.
    pub policy: PolicyFiles,
    /// Senders who have approvers of their own.
    pub groups: Vec<Group>,
    /// The SQLite database.
    pub database: PathBuf,
    /// How long what is kept.
    pub keep: Retention,
    /// The key of the journal's chain, where it is named.
    pub journal_key: Option<PathBuf>,
    /// Who is mailed the head of the journal's chain every hour, if anybody.
    pub journal_head_to: Option<crate::message::Address>,
    /// The HTTP side.
    pub desk: Desk,
    /// Bounds.
    pub limits: Limits,
    /// How copies are made.
    pub copies: CopyOptions,
    /// The relay's own mail, and who is told of what.
    pub notices: Notices,
    /// Programs of others that are told.
    pub webhooks: Vec<Webhook>,
    /// Name servers.
    pub dns: crate::dns::Settings,
    /// Keys that sign.
    pub dkim: Dkim,
    /// How mail is known again.
    pub marks: Marks,
}

/// One listener.
#[derive(Clone, Debug)]
pub struct Listener {
    /// What it binds; port 0 takes a free one.
    pub address: SocketAddr,
    /// What it takes mail for.
    pub role: Role,
    /// Networks that may relay.
    pub allow: Vec<IpNet>,
    /// Networks whose bare LF is taken for a line end.
    pub normalise_line_ends: Vec<IpNet>,
    /// When sessions are secured; `None` for plain text.
    pub tls: Option<TlsMode>,
    /// Clients with a verified certificate that bears such a name may relay too.
    pub client_certificates: Vec<NamePattern>,
    /// Balancers whose PROXY header says who the client is.
    pub proxy: Vec<IpNet>,
    /// Who may send, and as whom, beside the networks.
    pub sending: Sending,
}

/// `[policy]`
#[derive(Clone, Debug)]
pub struct PolicyFiles {
    /// Its files, in order.
    pub files: Vec<PathBuf>,
    /// Whether verdicts are carried out.
    pub mode: Mode,
    /// Who is asked about a hold that names nobody else.
    pub approvers: Vec<Asked>,
    /// The file that says who is whose manager.
    pub managers: Option<PathBuf>,
    /// When a held message nobody decided on is returned.
    pub expiry: Duration,
}

/// `[limits]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest message in octets.
    pub size: u64,
    /// Most recipients of one transaction.
    pub recipients: usize,
    /// Most sessions at once.
    pub sessions: usize,
    /// Most sessions at once from one address.
    pub sessions_per_client: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { size: DEFAULT_SIZE, recipients: 5_000, sessions: 16_384, sessions_per_client: 2_000 }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No file in either place.
    #[error(
        "no configuration: there is neither `{}` in {} nor `{}`; name one with --config FILE, or run `sekisho try`",
        PLACES[0], here.display(), PLACES[1]
    )]
    NotFound {
        /// The folder looked in.
        here: PathBuf,
    },
    /// A file, but a mistake in it.
    #[error("{0}")]
    Wrong(Box<Diagnostic>),
}

impl From<Diagnostic> for ConfigError {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Wrong(Box::new(diagnostic))
    }
}

impl Config {
    /// Reads the file that was named, else the first of [`PLACES`] that exists.
    pub fn find(named: Option<&Path>) -> Result<Self, ConfigError> {
        let here = || std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        let found = match named {
            Some(path) => path.to_owned(),
            None => PLACES
                .iter()
                .map(PathBuf::from)
                .find(|path| path.exists())
                .ok_or_else(|| ConfigError::NotFound { here: here() })?,
        };
        let text = read_file(&found, "the configuration")?;
        let config = Self::parse(&found, &text)?;
        // Whatever is told to people from here on is told in its zone.
        crate::clock::set_zone(config.notices.zone.clone());
        Ok(config)
    }

    /// How long a hold waits for a decision, in the hours in which people answer.
    pub fn term(&self) -> Term {
        Term { span: self.policy.expiry, hours: self.notices.asking.hours.clone() }
    }

    /// Reads the text of a configuration that stands at `path`.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Diagnostic> {
        let keys: File = read_toml(path, text)?;
        let folder = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let base = Base(folder.parent().unwrap_or(Path::new("/")).to_owned());
        let place = Place { path, text };
        let tls = tls::tls(keys.tls, &base, &place)?;
        let auth = accounts::auth(keys.auth, &base, &place)?;
        let hostname = hostname(keys.hostname, &place)?;
        let reading = Reading { base: &base, hostname: &hostname, place: &place };
        let Ways { upstream, upstreams, routes } =
            upstream::ways(keys.upstream, keys.upstreams, keys.route, &reading)?;
        let first_domain = match &keys.organisation.get_ref().domains {
            Domains::Listed(domains) => domains.first().cloned(),
            Domains::OfSender => None,
        };
        let by_mx = std::iter::once(&upstream)
            .chain(upstreams.values())
            .flat_map(Upstream::all)
            .any(|way| matches!(way.route, UpstreamRoute::Mx { .. }));
        let groups = approvers::groups(keys.group, &place)?;
        let policy = policy(keys.policy, &base, &place)?;
        approvers::managers_named(&policy.approvers, &groups, policy.managers.is_some(), &place)?;
        let database = base.join(&keys.store.url.clone().map_or_else(|| "sekisho.db".into(), |url| url.0));
        Ok(Self {
            file: path.to_owned(),
            organisation: organisation(&keys.organisation, &place)?,
            listeners: listeners(keys.listener, &tls, auth.is_some(), &base, &place)?,
            tls,
            auth,
            upstream,
            upstreams,
            routes,
            policy,
            groups,
            egress: keys.organisation.get_ref().egress.clone(),
            dkim: sealing::dkim(keys.dkim, &base, &place)?,
            marks: sealing::marks(keys.marks, &base, &database, by_mx, &place)?,
            database,
            keep: store::retention(keys.store.keep, &keys.knowledge, &place)?,
            journal_key: keys.store.journal_key_file.map(|file| base.join(&file)),
            journal_head_to: keys.store.journal_head_to,
            desk: desk::desk(keys.desk, &base, &place)?,
            limits: limits(&keys.limits, &place)?,
            copies: CopyOptions {
                also_keep: keys.rewrite.also_keep.into_iter().map(|name| name.0).collect(),
                hide_internal: keys.rewrite.hide_internal,
                show_external_to_internal: keys.rewrite.show_external_to_internal,
            },
            notices: notices::notices(
                keys.notices,
                keys.approver,
                first_domain.as_deref(),
                &hostname,
                &place,
            )?,
            webhooks: notices::webhooks(keys.webhook, &base, &place)?,
            dns: dns::dns(keys.dns, &base, &place)?,
            first_domain,
            hostname,
        })
    }
}

/// The folder that relative paths start from.
struct Base(PathBuf);

/// Where systemd puts the credentials of our unit, for commands that run outside of it.
const CREDENTIALS: &str = "/run/credentials/sekisho.service";

impl Base {
    /// A path from the file as an absolute one. `credential:NAME` is what systemd's `LoadCredential=`
    /// gives the unit under that name.
    fn join(&self, path: &Path) -> PathBuf {
        match path.to_str().and_then(|text| text.strip_prefix("credential:")) {
            Some(name) => {
                let folder = std::env::var_os("CREDENTIALS_DIRECTORY").unwrap_or_else(|| CREDENTIALS.into());
                PathBuf::from(folder).join(name)
            }
            None => self.0.join(path),
        }
    }
}

/// The file being read, for mistakes that show only once it is read.
struct Place<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Place<'_> {
    /// A mistake at the line where `key` stands in `table` (or in the file, where it is not found).
    fn wrong(&self, table: &str, key: &str, message: impl Into<String>) -> Diagnostic {
        let from = self.text.find(table).unwrap_or(0);
        let start_of_key = self.text[from..].lines().scan(from, |at, line| {
            let start = *at;
            *at += line.len() + 1;
            Some((start, line))
        });
        let found = start_of_key
            .filter(|(_, line)| {
                line.trim_start().strip_prefix(key).is_some_and(|r| r.trim_start().starts_with('='))
            })
            .map(|(start, line)| start..start + line.len())
            .next();
        match found {
            Some(span) => Diagnostic::at(self.path, self.text, span, message, None),
            None => Diagnostic::of_file(self.path, message, None),
        }
    }
}

/// A text file of bounded size; what it is, for the error.
pub fn read_file(path: &Path, what: &str) -> Result<String, Diagnostic> {
    let wrong = |why: String| Diagnostic::of_file(path, format!("{what} cannot be read: {why}"), None);
    let meta = std::fs::metadata(path).map_err(|error| wrong(reason(&error)))?;
    if meta.len() > LARGEST_FILE {
        return Err(wrong(format!("it is larger than {LARGEST_FILE} octets")));
    }
    std::fs::read_to_string(path).map_err(|error| wrong(reason(&error)))
}

/// An input or output error in words, without the system's number.
pub fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

fn hostname(configured: Option<String>, place: &Place<'_>) -> Result<String, Diagnostic> {
    let sound = |name: &str| {
        !name.is_empty()
            && name.len() <= 255
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '[' | ']' | ':'))
    };
    match configured {
        Some(name) if sound(&name) => Ok(name),
        Some(name) => Err(place.wrong(
            "",
            "hostname",
            format!("`{name}` is no host name: letters, digits, dots and hyphens"),
        )),
        None => {
            let system = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            Ok(Some(system.trim()).filter(|name| sound(name)).unwrap_or("localhost").to_owned())
        }
    }
}

fn organisation(
    keys: &toml::Spanned<keys::Organisation>,
    place: &Place<'_>,
) -> Result<Organisation, Diagnostic> {
    let inner = keys.get_ref();
    match &inner.domains {
        Domains::OfSender => Ok(Organisation::of_sender()),
        Domains::Listed(domains) => {
            let domains: Vec<(String, bool)> =
                domains.iter().map(|domain| (domain.clone(), inner.include_subdomains)).collect();
            Organisation::new(&domains, &inner.partners, &inner.not_ours)
                .map_err(|why| place.wrong("[organisation]", "domains", why))?
                .with_individuals(&inner.individuals)
                .map_err(|why| place.wrong("[organisation]", "individuals", why))
        }
    }
}

fn listeners(
    keys: Vec<keys::Listener>,
    tls: &Tls,
    has_accounts: bool,
    base: &Base,
    place: &Place<'_>,
) -> Result<Vec<Listener>, Diagnostic> {
    if keys.is_empty() {
        return Err(Diagnostic::of_file(place.path, "there is no [[listener]]: mail cannot come in", None));
    }
    let nets = |list: Vec<units::Network>| list.into_iter().map(|net| net.0).collect();
    keys.into_iter()
        .map(|listener| {
            let role = journal::role(&listener, place)?;
            let names = listener.client_certificates;
            let mode = tls::mode(listener.tls, !names.is_empty(), tls, place)?;
            let sending = accounts::SendingKeys {
                auth: listener.auth,
                senders: listener.senders,
                tls: mode.is_some(),
                shared: !names.is_empty() || !listener.spf.is_empty(),
                spf: listener.spf,
                tenant: listener.tenant,
            };
            Ok(Listener {
                address: listener.address.0,
                role,
                allow: nets(listener.allow),
                normalise_line_ends: nets(listener.normalise_line_ends),
                tls: mode,
                sending: accounts::sending(sending, has_accounts, base, place)?,
                client_certificates: names.into_iter().map(|name| name.0).collect(),
                proxy: tls::balancers(nets(listener.proxy), place)?,
            })
        })
        .collect()
}

fn policy(keys: keys::Policy, base: &Base, place: &Place<'_>) -> Result<PolicyFiles, Diagnostic> {
    if keys.files.is_empty() {
        return Err(place.wrong("[policy]", "files", "`files` is empty: name at least one policy file"));
    }
    Ok(PolicyFiles {
        files: keys.files.iter().map(|file| base.join(file)).collect(),
        mode: match keys.mode {
            keys::Mode::Enforce => Mode::Enforce,
            keys::Mode::Observe => Mode::Observe,
        },
        approvers: keys.approvers,
        managers: keys.managers.map(|file| base.join(&file)),
        expiry: keys.expiry.map_or(Duration::from_hours(3 * 24), |span| span.0),
    })
}

fn limits(keys: &keys::Limits, place: &Place<'_>) -> Result<Limits, Diagnostic> {
    let default = Limits::default();
    let limits = Limits {
        size: keys.size.map_or(default.size, |size| size.0),
        recipients: keys.recipients.unwrap_or(default.recipients),
        sessions: keys.sessions.unwrap_or(default.sessions),
        sessions_per_client: keys.sessions_per_client.unwrap_or(default.sessions_per_client),
    };
    if limits.recipients < 100 {
        return Err(place.wrong(
            "[limits]",
            "recipients",
            "`recipients` is at least 100 (RFC 5321 §4.5.3.1.8)",
        ));
    }
    if limits.size < 65_536 {
        return Err(place.wrong("[limits]", "size", "`size` is at least \"64KB\" (RFC 5321 §4.5.3.1.7)"));
    }
    for (key, number) in [("sessions", limits.sessions), ("sessions_per_client", limits.sessions_per_client)]
    {
        if number == 0 {
            return Err(place.wrong("[limits]", key, format!("`{key}` is at least 1")));
        }
    }
    Ok(limits)
}

#[cfg(test)]
mod tests;
