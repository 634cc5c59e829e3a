//! The configuration: `sekisho.toml`, read once and checked as a whole, as typed values.
//!
//! Only the wiring ([`crate::app`]) and the commands see all of it; each stage gets a small struct of its
//! own. Relative paths in the file are relative to its folder.

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
use crate::policy::approvers::{NamedApprover, SenderGroup};
use crate::policy::{Mode, Organisation};
use crate::rewrite::plan::CopyOptions;
use crate::store::Retention;
use crate::tls::NamePattern;
pub use accounts::{Auth, AuthSource, Ldap, LdapFind, ListenerAuth, Sending};
pub use desk::{Desk, Oidc};
use ipnet::IpNet;
use keys::{Domains, File};
pub use notices::{Format as WebhookFormat, Notices, Webhook};
pub use sealing::{Dkim, DkimKey, Marks, selector, signing_domain};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
pub use store::Postgres;
pub use tls::Tls;
pub use upstream::{
    ClientCertificate, Credentials, Oauth, RouteRule, SecretFile, Upstream, UpstreamRoute, UpstreamTls,
};
use upstream::{Reading, Upstreams};

/// Where the configuration is searched if the command line names none.
pub const PLACES: [&str; 2] = ["sekisho.toml", "/etc/sekisho/sekisho.toml"];

/// Maximum number of octets of a configuration file.
const LARGEST_FILE: u64 = 4 << 20;

/// Default of `size`: the largest message that Exchange Online accepts.
const DEFAULT_SIZE: u64 = 157_286_400;

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    /// What the relay calls itself in greetings and trace fields.
    pub hostname: String,
    /// Which addresses are internal.
    pub organisation: Organisation,
    /// The first of our domains; `None` if each sender's own domain is ours.
    pub first_domain: Option<String>,
    /// The addresses that our mail leaves from, if they are named; used only by `check`.
    pub egress: Vec<IpAddr>,
    /// Where mail is accepted.
    pub listeners: Vec<Listener>,
    /// Certificates for clients.
    pub tls: Tls,
    /// The source of accounts, if there is one.
    pub auth: Option<Auth>,
    /// Where mail goes by default.
    pub upstream: Upstream,
    /// Other upstreams by name.
    pub upstreams: BTreeMap<String, Upstream>,
    /// Which mail goes to which of them; the first matching rule applies.
    pub routes: Vec<RouteRule>,
    /// The policy.
    pub policy: PolicyFiles,
    /// Senders with approvers of their own.
    pub groups: Vec<SenderGroup>,
    /// The SQLite database; with PostgreSQL the name that the relay's own files begin with.
    pub database: PathBuf,
    /// The PostgreSQL database, where the store is in one.
    pub postgres: Option<Postgres>,
    /// How long data is kept.
    pub keep: Retention,
    /// The key of the journal's hash chain, if it is named.
    pub journal_key: Option<PathBuf>,
    /// Who gets the head of the hash chain by mail every hour, if anybody.
    pub journal_head_to: Option<crate::message::Address>,
    /// The desk.
    pub desk: Desk,
    /// Limits.
    pub limits: Limits,
    /// How copies are made.
    pub copies: CopyOptions,
    /// The relay's own mail, and who gets it.
    pub notices: Notices,
    /// Programs that are called on events.
    pub webhooks: Vec<Webhook>,
    /// Name servers.
    pub dns: crate::dns::Settings,
    /// Keys that sign mail.
    pub dkim: Dkim,
    /// How our own mail is recognised when it comes back.
    pub marks: Marks,
}

/// One listener.
#[derive(Clone, Debug)]
pub struct Listener {
    /// The address it binds; port 0 chooses a free port.
    pub address: SocketAddr,
    /// What its mail is used for.
    pub role: Role,
    /// Networks that may relay.
    pub allow: Vec<IpNet>,
    /// Networks that may send bare LF as line ends.
    pub normalise_line_ends: Vec<IpNet>,
    /// When sessions are encrypted; `None` for plain text.
    pub tls: Option<TlsMode>,
    /// Clients with a verified certificate for one of these names may relay too.
    pub client_certificates: Vec<NamePattern>,
    /// Load balancers whose PROXY header names the client.
    pub proxy: Vec<IpNet>,
    /// Who may send, and as whom, in addition to the networks.
    pub sending: Sending,
}

/// The table `[policy]`.
#[derive(Clone, Debug)]
pub struct PolicyFiles {
    /// The policy files, in order.
    pub files: Vec<PathBuf>,
    /// Whether verdicts are enforced or only recorded.
    pub mode: Mode,
    /// Who is asked about a held message if no rule names an approver.
    pub approvers: Vec<NamedApprover>,
    /// The file that lists who is whose manager.
    pub managers: Option<PathBuf>,
    /// How long a message is held before it is returned undecided.
    pub expiry: Duration,
    /// How much working time a sender has before approvers are notified of a held message that the sender may
    /// settle alone.
    pub sender_first: Duration,
}

/// The table `[limits]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest message in octets.
    pub size: u64,
    /// Maximum number of recipients per transaction.
    pub recipients: usize,
    /// Maximum number of concurrent sessions.
    pub sessions: usize,
    /// Maximum number of concurrent sessions per client address.
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
    /// There is no file in either place.
    #[error(
        "no configuration: there is neither `{}` in {} nor `{}`; name one with --config FILE, or run `sekisho try`",
        PLACES[0], here.display(), PLACES[1]
    )]
    NotFound {
        /// The folder that was searched.
        here: PathBuf,
    },
    /// There is a mistake in the file.
    #[error("{0}")]
    Wrong(Box<Diagnostic>),
}

impl From<Diagnostic> for ConfigError {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Wrong(Box::new(diagnostic))
    }
}

impl Config {
    /// Reads the named file, else the first of [`PLACES`] that exists.
    ///
    /// # Errors
    /// There is no file, it cannot be read, or it has a mistake.
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

    /// Parses the text of a configuration; `path` is its file, for messages and relative paths.
    ///
    /// # Errors
    /// The text has a mistake, which is reported with its line and column.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Diagnostic> {
        let keys: File = read_toml(path, text)?;
        let folder = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let base = Base(folder.parent().unwrap_or(Path::new("/")).to_owned());
        let reporter = Reporter { path, text };
        let tls = tls::tls(keys.tls, &base, &reporter)?;
        let auth = accounts::auth(keys.auth, &base, &reporter)?;
        let hostname = hostname(keys.hostname, &reporter)?;
        let reading = Reading { base: &base, hostname: &hostname, reporter: &reporter };
        let Upstreams { upstream, upstreams, routes } =
            upstream::ways(keys.upstream, keys.upstreams, keys.route, &reading)?;
        let first_domain = match &keys.organisation.get_ref().domains {
            Domains::Listed(domains) => domains.first().cloned(),
            Domains::OfSender => None,
        };
        let by_mx = std::iter::once(&upstream)
            .chain(upstreams.values())
            .flat_map(Upstream::all)
            .any(|way| matches!(way.route, UpstreamRoute::Mx { .. }));
        let groups = approvers::groups(keys.group, &reporter)?;
        let policy = policy(keys.policy, &base, &reporter)?;
        approvers::managers_named(&policy.approvers, &groups, policy.managers.is_some(), &reporter)?;
        let desk = desk::desk(keys.desk, &base, &reporter)?;
        let mut notices =
            notices::notices(keys.notices, keys.approver, first_domain.as_deref(), &hostname, &reporter)?;
        notices.asking.sender_first = policy.sender_first;
        notices.asking.by_mail = desk.mail_decisions && desk.url.is_some();
        let webhooks =
            notices::webhooks(keys.webhook, notices.language.unwrap_or_default(), &base, &reporter)?;
        let (database, postgres) = store::database(&keys.store, &base, &hostname, &reporter)?;
        Ok(Self {
            file: path.to_owned(),
            organisation: organisation(&keys.organisation, &reporter)?,
            listeners: listeners(keys.listener, &tls, auth.is_some(), &base, &reporter)?,
            tls,
            auth,
            upstream,
            upstreams,
            routes,
            policy,
            groups,
            egress: keys.organisation.get_ref().egress.clone(),
            dkim: sealing::dkim(keys.dkim, &base, &reporter)?,
            marks: sealing::marks(keys.marks, &base, &database, by_mx, &reporter)?,
            database,
            postgres,
            keep: store::retention(keys.store.keep, &keys.knowledge, &reporter)?,
            journal_key: keys.store.journal_key_file.map(|file| base.join(&file)),
            journal_head_to: keys.store.journal_head_to,
            desk,
            limits: limits(&keys.limits, &reporter)?,
            copies: CopyOptions {
                also_keep: keys.rewrite.also_keep.into_iter().map(|name| name.0).collect(),
                hide_internal: keys.rewrite.hide_internal,
                show_external_to_internal: keys.rewrite.show_external_to_internal,
            },
            notices,
            webhooks,
            dns: dns::dns(keys.dns, &base, &reporter)?,
            first_domain,
            hostname,
        })
    }
}

/// The folder that relative paths start from.
struct Base(PathBuf);

/// Where systemd puts the credentials of our unit, for commands that run outside it.
const CREDENTIALS: &str = "/run/credentials/sekisho.service";

impl Base {
    /// Makes a path of the file absolute. `credential:NAME` is the credential that systemd gives the unit
    /// under that name (`LoadCredential=`).
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

/// Reports mistakes that are found after parsing, with their line in the file.
struct Reporter<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Reporter<'_> {
    /// A mistake at the line of `key` in `table`, or in the whole file if that line is not found.
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

/// Reads a text file of bounded size; `what` names it in error messages.
///
/// # Errors
/// The file cannot be read, or it is larger than 4 MiB.
pub fn read_file(path: &Path, what: &str) -> Result<String, Diagnostic> {
    let wrong = |why: String| Diagnostic::of_file(path, format!("{what} cannot be read: {why}"), None);
    let meta = std::fs::metadata(path).map_err(|error| wrong(reason(&error)))?;
    if meta.len() > LARGEST_FILE {
        return Err(wrong(format!("it is larger than {LARGEST_FILE} octets")));
    }
    std::fs::read_to_string(path).map_err(|error| wrong(reason(&error)))
}

/// An I/O error in words, without the system's error number.
pub fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

fn hostname(configured: Option<String>, reporter: &Reporter<'_>) -> Result<String, Diagnostic> {
    let sound = |name: &str| {
        !name.is_empty()
            && name.len() <= 255
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '[' | ']' | ':'))
    };
    match configured {
        Some(name) if sound(&name) => Ok(name),
        Some(name) => Err(reporter.wrong(
            "",
            "hostname",
            format!("`{name}` is not a host name: letters, digits, dots and hyphens"),
        )),
        None => {
            let system = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            Ok(Some(system.trim()).filter(|name| sound(name)).unwrap_or("localhost").to_owned())
        }
    }
}

fn organisation(
    keys: &toml::Spanned<keys::Organisation>,
    reporter: &Reporter<'_>,
) -> Result<Organisation, Diagnostic> {
    let inner = keys.get_ref();
    match &inner.domains {
        Domains::OfSender => Ok(Organisation::of_sender()),
        Domains::Listed(domains) => {
            let domains: Vec<(String, bool)> =
                domains.iter().map(|domain| (domain.clone(), inner.include_subdomains)).collect();
            Organisation::new(&domains, &inner.partners, &inner.not_ours)
                .map_err(|why| reporter.wrong("[organisation]", "domains", why))?
                .with_individuals(&inner.individuals)
                .map_err(|why| reporter.wrong("[organisation]", "individuals", why))
        }
    }
}

fn listeners(
    keys: Vec<keys::Listener>,
    tls: &Tls,
    has_accounts: bool,
    base: &Base,
    reporter: &Reporter<'_>,
) -> Result<Vec<Listener>, Diagnostic> {
    if keys.is_empty() {
        return Err(Diagnostic::of_file(
            reporter.path,
            "there is no [[listener]]: mail cannot come in",
            None,
        ));
    }
    let nets = |list: Vec<units::Network>| list.into_iter().map(|net| net.0).collect();
    keys.into_iter()
        .map(|listener| {
            let role = journal::role(&listener, reporter)?;
            let names = listener.client_certificates;
            let mode = tls::mode(listener.tls, !names.is_empty(), tls, reporter)?;
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
                sending: accounts::sending(sending, has_accounts, base, reporter)?,
                client_certificates: names.into_iter().map(|name| name.0).collect(),
                proxy: tls::balancers(nets(listener.proxy), reporter)?,
            })
        })
        .collect()
}

fn policy(keys: keys::Policy, base: &Base, reporter: &Reporter<'_>) -> Result<PolicyFiles, Diagnostic> {
    if keys.files.is_empty() {
        return Err(reporter.wrong("[policy]", "files", "`files` is empty: name at least one policy file"));
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
        sender_first: keys.sender_first.map_or(Duration::from_hours(1), |span| span.0),
    })
}

fn limits(keys: &keys::Limits, reporter: &Reporter<'_>) -> Result<Limits, Diagnostic> {
    let default = Limits::default();
    let limits = Limits {
        size: keys.size.map_or(default.size, |size| size.0),
        recipients: keys.recipients.unwrap_or(default.recipients),
        sessions: keys.sessions.unwrap_or(default.sessions),
        sessions_per_client: keys.sessions_per_client.unwrap_or(default.sessions_per_client),
    };
    if limits.recipients < 100 {
        return Err(reporter.wrong(
            "[limits]",
            "recipients",
            "`recipients` is at least 100 (RFC 5321 §4.5.3.1.8)",
        ));
    }
    if limits.size < 65_536 {
        return Err(reporter.wrong("[limits]", "size", "`size` is at least \"64KB\" (RFC 5321 §4.5.3.1.7)"));
    }
    for (key, number) in [("sessions", limits.sessions), ("sessions_per_client", limits.sessions_per_client)]
    {
        if number == 0 {
            return Err(reporter.wrong("[limits]", key, format!("`{key}` is at least 1")));
        }
    }
    Ok(limits)
}

#[cfg(test)]
mod tests;
