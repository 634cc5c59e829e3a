//! `[desk]`: where people reach it, who they are, and how they sign in.

use super::keys::BindOrOff;
use super::keys::desk::{self as keys};
use super::{Base, Place};
use crate::diagnostic::Diagnostic;
use crate::people::RoleNames;
use crate::policy::verdict::Bilingual;
use ipnet::IpNet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// `[desk]`
#[derive(Clone, Debug)]
pub struct Desk {
    /// What HTTP binds; `None` when it is off.
    pub address: Option<SocketAddr>,
    /// What people reach it by.
    pub url: Option<String>,
    /// How long somebody stays signed in at most.
    pub session: Duration,
    /// How long somebody who does nothing stays signed in.
    pub idle: Duration,
    /// How long what a person releases waits before it leaves, so that it can be undone.
    pub grace: Duration,
    /// A file of accounts of the desk's own, beside those of `[auth]`.
    pub people: Option<PathBuf>,
    /// Whether people sign in by a code that is mailed to them.
    pub mail_codes: bool,
    /// Whether such a code is enough for an administrator.
    pub admin_codes: bool,
    /// Whether people may sign in by passkeys, where `url` allows it.
    pub passkeys: bool,
    /// Whether the mails to those who decide have links that decide.
    pub mail_decisions: bool,
    /// Whom people ask for help: it stands in the foot of each page and mail.
    pub contact: Option<Bilingual>,
    /// Reverse proxies whose X-Forwarded-For is believed.
    pub proxies: Vec<IpNet>,
    /// Networks that are told numbers, and why the relay is not ready.
    pub monitoring: Vec<IpNet>,
    /// Most connections at once.
    pub connections: usize,
    /// Most connections at once from one address.
    pub connections_per_client: usize,
    /// Who is more than a sender.
    pub roles: RoleNames,
    /// A provider of OpenID Connect.
    pub oidc: Option<Oidc>,
}

/// `[desk.oidc]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oidc {
    /// What the button says.
    pub name: String,
    /// The provider's issuer identifier.
    pub issuer: String,
    /// Our name there.
    pub client_id: String,
    /// The file with our secret there; none for a public client.
    pub client_secret_file: Option<PathBuf>,
    /// Certificates trusted beside the system's (PEM).
    pub ca_file: Option<PathBuf>,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// The claim that lists groups or roles.
    pub claim: String,
    /// Which of them are which role.
    pub roles: RoleNames,
    /// Addresses count though the provider does not say that they were verified.
    pub trust_addresses: bool,
}

/// How long somebody stays signed in, where nothing is said: a working day.
const SESSION: Duration = Duration::from_hours(12);
/// How long without doing anything.
const IDLE: Duration = Duration::from_hours(4);
/// So long what a person releases can be undone.
const GRACE: Duration = Duration::from_secs(30);
/// And at most so long.
const LONGEST_GRACE: Duration = Duration::from_mins(10);
/// Connections at once, where nothing is said.
const CONNECTIONS: usize = 512;
/// Connections at once from one address, where nothing is said: a browser opens six.
const CONNECTIONS_PER_CLIENT: usize = 64;
/// With fewer a single browser would have to wait.
const FEWEST_CONNECTIONS: usize = 8;
/// Longest line that says whom to ask, in characters.
const LONGEST_CONTACT: usize = 200;
/// The shortest of both.
const SHORTEST: Duration = Duration::from_mins(1);

pub(super) fn desk(keys: keys::Desk, base: &Base, place: &Place<'_>) -> Result<Desk, Diagnostic> {
    let default = BindOrOff(Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 8025))));
    if let Some(url) = &keys.url
        && !(url.starts_with("http://") || url.starts_with("https://"))
    {
        let why = format!("`{url}` is no URL: it starts with http:// or https://");
        return Err(place.wrong("[desk]", "url", why));
    }
    let session = keys.session.map_or(SESSION, |span| span.0);
    let idle = keys.idle.map_or(IDLE.min(session), |span| span.0);
    for (key, span) in [("session", session), ("idle", idle)] {
        if span < SHORTEST {
            return Err(place.wrong("[desk]", key, format!("`{key}` is at least \"1m\"")));
        }
    }
    let connections = keys.connections.unwrap_or(CONNECTIONS);
    let connections_per_client = keys.connections_per_client.unwrap_or(CONNECTIONS_PER_CLIENT);
    for (key, number) in [("connections", connections), ("connections_per_client", connections_per_client)] {
        if number < FEWEST_CONNECTIONS {
            return Err(place.wrong("[desk]", key, format!("`{key}` is at least {FEWEST_CONNECTIONS}")));
        }
    }
    let oidc = match keys.oidc {
        Some(wanted) if keys.url.is_some() => Some(oidc(wanted, base, place)?),
        Some(_) => {
            let why = "[desk.oidc] needs `url` in [desk]: the provider sends people back there";
            return Err(place.wrong("[desk.oidc]", "issuer", why));
        }
        None => None,
    };
    let grace = keys.grace.map_or(GRACE, |span| span.0);
    if grace > LONGEST_GRACE {
        return Err(place.wrong(
            "[desk]",
            "grace",
            "`grace` is at most 10m: what was released waits so long".to_owned(),
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
        contact: keys.contact.map(|contact| contact_line(contact, place)).transpose()?,
        proxies: keys.proxies.into_iter().map(|net| net.0).collect(),
        monitoring: keys.monitoring.map_or_else(local, |nets| nets.into_iter().map(|net| net.0).collect()),
        connections,
        connections_per_client,
        roles: names(keys.roles),
        oidc,
    })
}

/// One line in each language.
fn contact_line(contact: keys::Contact, place: &Place<'_>) -> Result<Bilingual, Diagnostic> {
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
            return Err(place.wrong("[desk]", "contact", why));
        }
    }
    Ok(both)
}

/// This machine.
fn local() -> Vec<IpNet> {
    [IpNet::from_str("127.0.0.0/8"), IpNet::from_str("::1/128")].into_iter().flatten().collect()
}

fn names(keys: keys::Roles) -> RoleNames {
    RoleNames { approver: keys.approver, auditor: keys.auditor, admin: keys.admin }
}

/// The word in an issuer of Microsoft's that stands for no single tenant. What such a place says of itself
/// has `{tenantid}` for its name, and whoever has an account anywhere could sign in.
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

fn oidc(keys: keys::Oidc, base: &Base, place: &Place<'_>) -> Result<Oidc, Diagnostic> {
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
            "`{}` is no issuer: write what the provider calls itself, such as \"https://login.example.com\"",
            keys.issuer
        );
        return Err(place.wrong(table, "issuer", why));
    }
    if let Some(word) = everybody(&keys.issuer) {
        let why = format!(
            "`{word}` at Microsoft stands for every organisation in the world, not for yours: write your tenant's \
             id, as in \"https://login.microsoftonline.com/TENANT-ID/v2.0\""
        );
        return Err(place.wrong(table, "issuer", why));
    }
    if keys.client_id.is_empty() {
        return Err(place.wrong(table, "client_id", "`client_id` is empty: the provider gives it"));
    }
    let scopes = keys.scopes.unwrap_or_else(|| ["email", "profile"].map(str::to_owned).to_vec());
    if let Some(wrong) = scopes.iter().find(|scope| scope.is_empty() || scope.contains(char::is_whitespace)) {
        return Err(place.wrong(table, "scopes", format!("`{wrong}` is no scope")));
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
