//! `[desk]`: its address, roles, and ways to sign in.

use super::keys::BindOrOff;
use super::keys::desk::{self as keys};
use super::{Base, Reporter};
use crate::diagnostic::Diagnostic;
use crate::people::RoleNames;
use crate::policy::verdict::Bilingual;
use ipnet::IpNet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The table `[desk]`.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the file")]
pub struct Desk {
    /// The address that HTTP listens on; `None` if the desk is off.
    pub address: Option<SocketAddr>,
    /// The URL by which people reach it.
    pub url: Option<String>,
    /// Longest time that somebody stays signed in.
    pub session: Duration,
    /// Longest time without a request before somebody is signed out.
    pub idle: Duration,
    /// How long a released message waits before it leaves, so that the release can be undone.
    pub grace: Duration,
    /// A file of accounts for the desk alone, in addition to those of `[auth]`.
    pub people: Option<PathBuf>,
    /// Whether people can sign in with a code that is mailed to them.
    pub mail_codes: bool,
    /// Whether such a code is enough for an administrator.
    pub admin_codes: bool,
    /// Whether people can sign in with passkeys; `url` must allow it.
    pub passkeys: bool,
    /// Whether notices to approvers have links that decide.
    pub mail_decisions: bool,
    /// Who helps people with questions; shown at the foot of each page and notice.
    pub contact: Option<Bilingual>,
    /// Reverse proxies whose X-Forwarded-For is trusted.
    pub proxies: Vec<IpNet>,
    /// Networks that may read the metrics and the reasons for not being ready.
    pub monitoring: Vec<IpNet>,
    /// Maximum number of connections at once.
    pub connections: usize,
    /// Maximum number of connections at once from one address.
    pub connections_per_client: usize,
    /// Who has a role beyond that of a sender.
    pub roles: RoleNames,
    /// An OpenID Connect provider.
    pub oidc: Option<Oidc>,
}

/// The table `[desk.oidc]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oidc {
    /// The label of the button.
    pub name: String,
    /// The provider's issuer identifier.
    pub issuer: String,
    /// Our client id there.
    pub client_id: String,
    /// The file with our client secret; `None` for a public client.
    pub client_secret_file: Option<PathBuf>,
    /// Certificates trusted in addition to the system's (PEM).
    pub ca_file: Option<PathBuf>,
    /// Scopes that are requested.
    pub scopes: Vec<String>,
    /// The claim that lists groups or roles.
    pub claim: String,
    /// Which groups give which role.
    pub roles: RoleNames,
    /// Addresses are trusted although the provider does not say that it verified them.
    pub trust_addresses: bool,
}

/// Default of `session`: a working day.
const SESSION: Duration = Duration::from_hours(12);
/// Default of `idle`.
const IDLE: Duration = Duration::from_hours(4);
/// Default of `grace`.
const GRACE: Duration = Duration::from_secs(30);
/// Longest `grace`.
const LONGEST_GRACE: Duration = Duration::from_mins(10);
/// Default of `connections`.
const CONNECTIONS: usize = 512;
/// Default of `connections_per_client`; a browser opens six.
const CONNECTIONS_PER_CLIENT: usize = 64;
/// Least of both: with fewer a single browser would have to wait.
const FEWEST_CONNECTIONS: usize = 8;
/// Longest `contact`, in characters.
const LONGEST_CONTACT: usize = 200;
/// Least `session` and `idle`.
const SHORTEST: Duration = Duration::from_mins(1);

pub(super) fn desk(keys: keys::Desk, base: &Base, reporter: &Reporter<'_>) -> Result<Desk, Diagnostic> {
    let default = BindOrOff(Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 8025))));
    if let Some(url) = &keys.url
        && !(url.starts_with("http://") || url.starts_with("https://"))
    {
        let why = format!("`{url}` is not a URL: it starts with http:// or https://");
        return Err(reporter.wrong("[desk]", "url", why));
    }
    let session = keys.session.map_or(SESSION, |span| span.0);
    let idle = keys.idle.map_or(IDLE.min(session), |span| span.0);
    for (key, span) in [("session", session), ("idle", idle)] {
        if span < SHORTEST {
            return Err(reporter.wrong("[desk]", key, format!("`{key}` is at least \"1m\"")));
        }
    }
    let connections = keys.connections.unwrap_or(CONNECTIONS);
    let connections_per_client = keys.connections_per_client.unwrap_or(CONNECTIONS_PER_CLIENT);
    for (key, number) in [("connections", connections), ("connections_per_client", connections_per_client)] {
        if number < FEWEST_CONNECTIONS {
            return Err(reporter.wrong("[desk]", key, format!("`{key}` is at least {FEWEST_CONNECTIONS}")));
        }
    }
    let oidc = match keys.oidc {
        Some(wanted) if keys.url.is_some() => Some(oidc(wanted, base, reporter)?),
        Some(_) => {
            let why = "[desk.oidc] needs `url` in [desk]: the provider sends people back there";
            return Err(reporter.wrong("[desk.oidc]", "issuer", why));
        }
        None => None,
    };
    let grace = keys.grace.map_or(GRACE, |span| span.0);
    if grace > LONGEST_GRACE {
        return Err(reporter.wrong(
            "[desk]",
            "grace",
            "`grace` is at most 10m: released messages wait that long".to_owned(),
        ));
    }
    Ok(Desk {
        address: keys.address.unwrap_or(default).0,
        url: keys.url.map(|url| url.trim_end_matches('/').to_owned()),
        session,
        idle,
        grace,
        people: keys.people.map(|path| base.join(&path)),
        mail_codes: keys.mail_codes.unwrap_or(true),
        admin_codes: keys.admin_codes.unwrap_or(false),
        passkeys: keys.passkeys.unwrap_or(true),
        mail_decisions: keys.mail_decisions.unwrap_or_else(|| keys.mail_codes.unwrap_or(true)),
        contact: keys.contact.map(|contact| contact_line(contact, reporter)).transpose()?,
        proxies: keys.proxies.into_iter().map(|net| net.0).collect(),
        monitoring: keys.monitoring.map_or_else(local, |nets| nets.into_iter().map(|net| net.0).collect()),
        connections,
        connections_per_client,
        roles: names(keys.roles),
        oidc,
    })
}

/// One text per language.
fn contact_line(contact: keys::Contact, reporter: &Reporter<'_>) -> Result<Bilingual, Diagnostic> {
    let both = match contact {
        keys::Contact::One(text) => Bilingual::new(text.clone(), text),
        keys::Contact::Both(both) => both,
    };
    for text in [&both.en, &both.ja] {
        if text.trim().is_empty()
            || text.chars().count() > LONGEST_CONTACT
            || text.chars().any(char::is_control)
        {
            let why = format!("`contact` is one line of {LONGEST_CONTACT} characters at most");
            return Err(reporter.wrong("[desk]", "contact", why));
        }
    }
    Ok(both)
}

/// The addresses of this machine.
fn local() -> Vec<IpNet> {
    [IpNet::from_str("127.0.0.0/8"), IpNet::from_str("::1/128")].into_iter().flatten().collect()
}

fn names(keys: keys::Roles) -> RoleNames {
    RoleNames { approver: keys.approver, auditor: keys.auditor, admin: keys.admin }
}

/// The path segment of a Microsoft issuer that stands for no single tenant. Metadata of such an issuer has
/// `{tenantid}` in its name, and anybody with any Microsoft account could sign in.
fn everybody(issuer: &str) -> Option<&str> {
    let rest = issuer.strip_prefix("https://")?;
    let (host, path) = rest.split_once('/')?;
    let tenant = path.split('/').next()?;
    let anybody = ["common", "organizations", "consumers", "{tenantid}", "{tenant}"];
    let microsoft = ["login.microsoftonline.com", "login.microsoftonline.us", "sts.windows.net"];
    (microsoft.iter().any(|name| host.eq_ignore_ascii_case(name))
        && anybody.iter().any(|word| tenant.eq_ignore_ascii_case(word)))
    .then_some(tenant)
}

fn oidc(keys: keys::Oidc, base: &Base, reporter: &Reporter<'_>) -> Result<Oidc, Diagnostic> {
    let table = "[desk.oidc]";
    let rest = keys.issuer.strip_prefix("https://");
    let loopback = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
    let local = loopback.iter().any(|start| {
        keys.issuer.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
    });
    let sound =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !b"?#@\\".contains(&b));
    if !(local || rest.is_some_and(sound)) {
        let why = format!(
            "`{}` is not an issuer: write the provider's issuer identifier, such as \"https://login.example.com\"",
            keys.issuer
        );
        return Err(reporter.wrong(table, "issuer", why));
    }
    if let Some(word) = everybody(&keys.issuer) {
        let why = format!(
            "`{word}` at Microsoft stands for every organisation in the world, not for yours: write your tenant's \
             id, as in \"https://login.microsoftonline.com/TENANT-ID/v2.0\""
        );
        return Err(reporter.wrong(table, "issuer", why));
    }
    if keys.client_id.is_empty() {
        return Err(reporter.wrong(table, "client_id", "`client_id` is empty: the provider gives it"));
    }
    let scopes = keys.scopes.unwrap_or_else(|| ["email", "profile"].map(str::to_owned).to_vec());
    if let Some(wrong) = scopes.iter().find(|scope| scope.is_empty() || scope.contains(char::is_whitespace)) {
        return Err(reporter.wrong(table, "scopes", format!("`{wrong}` is not a scope")));
    }
    Ok(Oidc {
        name: keys.name.unwrap_or_else(|| "OpenID Connect".to_owned()),
        issuer: keys.issuer,
        client_id: keys.client_id,
        client_secret_file: keys.client_secret_file.map(|path| base.join(&path)),
        ca_file: keys.ca_file.map(|path| base.join(&path)),
        scopes,
        claim: keys.claim.unwrap_or_else(|| "groups".to_owned()),
        roles: names(keys.roles),
        trust_addresses: keys.trust_addresses,
    })
}
