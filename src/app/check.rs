//! `sekisho check`: finds mistakes in configuration and environment before they affect mail.

mod accounts;
mod own;
mod people;
mod tls;

use super::{StartError, parts};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, ListenerAuth, Upstream, UpstreamRoute, UpstreamTls, reason};
use crate::control::{Answer, Request, client, socket_path};
use crate::dns::Resolver;
use crate::hook;
use crate::listener::Role;
use crate::message::Address;
use crate::policy::Mode;
use crate::upstream::tally::Tally;
use serde::Serialize;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Timeout of a DNS query.
const DNS_PATIENCE: Duration = Duration::from_secs(10);
/// Timeout of an upstream's greeting.
const PROBE_PATIENCE: Duration = Duration::from_mins(1);

/// The result of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It is correct.
    Ok,
    /// It works, but is probably not intended.
    Warning,
    /// It does not work.
    Error,
}

/// One checked item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `configuration`, `policy`, `store`, `listener`, `upstream`, …
    pub area: &'static str,
    /// The result.
    #[serde(rename = "standing")]
    pub severity: Severity,
    /// A sentence about it.
    pub text: String,
}

/// The findings so far.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn ok(&mut self, area: &'static str, text: impl Into<String>) {
        self.0.push(Finding { area, severity: Severity::Ok, text: text.into() });
    }
    fn warn(&mut self, area: &'static str, text: impl Into<String>) {
        self.0.push(Finding { area, severity: Severity::Warning, text: text.into() });
    }
    fn error(&mut self, area: &'static str, text: impl Into<String>) {
        self.0.push(Finding { area, severity: Severity::Error, text: text.into() });
    }
}

/// Checks everything that a relay with this configuration needs; with `connect`, connects to the upstreams
/// too.
pub async fn check(config: &Config, connect: bool) -> Vec<Finding> {
    let mut found = Findings::default();
    found.ok("configuration", config.file.display().to_string());
    if !config.hostname.contains('.') {
        let name = &config.hostname;
        found.warn(
            "configuration",
            format!("`hostname` is `{name}`: other hosts expect a name with a domain"),
        );
    }
    approvers(config, &mut found);
    policy(config, &mut found);
    let running = store(config, &mut found).await;
    relaying(config, &mut found);
    accounts::check(config, connect, &mut found).await;
    people::check(config, connect, &mut found).await;
    tls::check(config, &mut found);
    if !running {
        ports(config, &mut found).await;
    }
    secrets(config, &mut found);
    hooks(config, &mut found);
    others(config, connect, running, &mut found).await;
    upstream(config, connect, &mut found).await;
    found.0
}

/// Checks the hooks without calling them, because a call would be taken for an event.
fn hooks(config: &Config, found: &mut Findings) {
    match parts::hooks(config) {
        Ok(hooks) if hooks.is_empty() => {}
        Ok(hooks) => match hook::try_out(&hooks) {
            Ok(()) => found.ok("webhooks", format!("{} are told", hooks.len())),
            Err(why) => found.error("webhooks", why),
        },
        Err(error) => found.error("webhooks", error.to_string()),
    }
    if config.desk.url.is_none() {
        found.warn("notices", "[desk] url is not set: mails to people have no links");
    }
}

/// Checks what others see of us. DNS is queried if there is something to compare, or with `connect`.
async fn others(config: &Config, connect: bool, running: bool, found: &mut Findings) {
    let asks = connect || !config.dkim.keys.is_empty() || !config.egress.is_empty();
    let resolver = match asks.then(|| Resolver::new(&config.dns)).transpose() {
        Ok(resolver) => resolver,
        Err(why) => {
            found.error("dns", why);
            None
        }
    };
    own::signatures(config, resolver.as_ref(), found).await;
    own::mark(config, found);
    if let Some(resolver) = &resolver {
        own::spf(config, resolver, found).await;
        if connect {
            own::name(config, resolver, found).await;
            own::addresses(config, resolver, found).await;
        }
    }
    if connect && running {
        own::listeners(config, found).await;
    }
}

fn approvers(config: &Config, found: &mut Findings) {
    if config.policy.approvers.is_empty() {
        found.warn("policy", "`approvers` is empty: nobody but the sender is told when a message is held");
    }
    let sure = config.first_domain.is_some();
    let named: BTreeSet<Address> = match config.approvers() {
        Ok(approvers) => approvers.all().cloned().collect(),
        // loading the policy has reported the file already
        Err(_) => BTreeSet::new(),
    };
    for approver in named.iter().filter(|approver| sure && !config.organisation.is_internal(approver)) {
        found.warn(
            "policy",
            format!("the approver {approver} is outside the organisation: others would be told what is held"),
        );
    }
    if let Some(admin) =
        config.notices.admin.as_ref().filter(|admin| sure && !config.organisation.is_internal(admin))
    {
        found.warn("notices", format!("the admin {admin} is outside the organisation"));
    }
}

fn policy(config: &Config, found: &mut Findings) {
    match parts::examiner(Some(config), &[]) {
        Ok(examiner) => {
            let rules = examiner.policy.rule_names().count();
            let files = config.policy.files.len();
            found.ok("policy", format!("{rules} rules in {files} files"));
            if rules == 0 {
                found.warn("policy", "there are no rules: every message passes");
            }
        }
        Err(StartError::Policy(diagnostics)) => {
            for diagnostic in diagnostics {
                found.error("policy", diagnostic.to_string());
            }
        }
        Err(error) => found.error("policy", error.to_string()),
    }
    if config.policy.mode == Mode::Observe {
        found.warn("policy", "`mode` is \"observe\": verdicts are recorded, and every message passes");
    }
}

/// Checks the store; returns whether a relay is using it.
async fn store(config: &Config, found: &mut Findings) -> bool {
    let path = match &config.postgres {
        Some(found) => found.place.to_string(),
        None => config.database.display().to_string(),
    };
    match parts::lock(config) {
        Ok(lock) => {
            found.ok("store", config.keep.to_string());
            let existed = config.database.exists();
            let folder = config.database.parent().unwrap_or(Path::new("."));
            if existed || config.postgres.is_some() {
                match parts::open(config, parts::Opener::Command, Arc::new(SystemClock)).await {
                    Ok(_) => found.ok("store", path),
                    Err(error) => found.error("store", error.to_string()),
                }
            } else {
                match tempfile::tempfile_in(folder) {
                    Ok(_) => found.ok("store", format!("{path} will be created at the first start")),
                    Err(error) => {
                        found.error("store", format!("{path} cannot be created: {}", reason(&error)));
                    }
                }
            }
            drop(lock);
            false
        }
        Err(StartError::Locked(_)) => {
            match client::ask(&socket_path(&config.database), &Request::Ping).await {
                Ok(Some(Answer::Pong(version))) => {
                    found.ok("store", config.keep.to_string());
                    found.ok("store", format!("{path}: a relay is using it (version {version})"));
                }
                _ => found.warn("store", format!("{path}: another process is using it, but does not answer")),
            }
            true
        }
        Err(error) => {
            found.error("store", error.to_string());
            false
        }
    }
}

fn relaying(config: &Config, found: &mut Findings) {
    for listener in &config.listeners {
        let address = listener.address;
        let sending = &listener.sending;
        let others = listener.client_certificates.is_empty() && sending.spf.is_empty();
        if matches!(listener.role, Role::Journal { .. }) {
            let text = format!("{address}: journal copies only; nothing is relayed here");
            found.ok("listener", text);
            if !listener.client_certificates.is_empty() && sending.tenant.is_none() {
                let why = "a host that many share has one certificate for all of them; add `tenant`, unless it is \
                           a host of your own";
                found.warn("listener", format!("{address}: `client_certificates` without `tenant`: {why}"));
            }
        } else if listener.allow.is_empty() && others && sending.auth == ListenerAuth::Off {
            found.warn("listener", format!("{address}: `allow` is empty, so nobody may relay"));
        }
        for net in listener.allow.iter().filter(|net| net.prefix_len() == 0) {
            found.error(
                "listener",
                format!("{address}: `allow` names {net}: every host on the internet could relay"),
            );
        }
    }
    if config.listeners.iter().all(|listener| matches!(listener.role, Role::Journal { .. })) {
        found.warn("listener", "every [[listener]] has role = \"journal\": nothing can be relayed");
    }
}

async fn ports(config: &Config, found: &mut Findings) {
    let smtp = config.listeners.iter().map(|listener| ("listener", listener.address));
    let web = config.desk.address.map(|address| ("desk", address));
    // it is bound only during an order, but must be free then
    let acme = config.tls.acme.iter().map(|acme| ("tls", acme.address));
    for (area, address) in smtp.chain(web).chain(acme) {
        match tokio::net::TcpListener::bind(address).await {
            Ok(_) => found.ok(area, address.to_string()),
            Err(error) => found.error(area, StartError::listen(&address, &error).to_string()),
        }
    }
}

fn secrets(config: &Config, found: &mut Findings) {
    let upstreams =
        std::iter::once(&config.upstream).chain(config.upstreams.values()).flat_map(Upstream::all);
    for file in upstreams.flat_map(Upstream::secret_files) {
        own::private(file, "upstream", found);
    }
}

async fn upstream(config: &Config, connect: bool, found: &mut Findings) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let builder = match super::upstream::Builder::new(config, clock, Tally::default()) {
        Ok(builder) => builder,
        Err(error) => return found.error("upstream", error.to_string()),
    };
    let upstreams = std::iter::once(&config.upstream).chain(config.upstreams.values());
    for wanted in upstreams.flat_map(Upstream::all) {
        if wanted.certificate.as_ref().is_some_and(|shown| !tls::towards_upstream(shown, found)) {
            continue;
        }
        one_upstream(config, &builder, wanted, connect, found).await;
    }
}

async fn one_upstream(
    config: &Config,
    builder: &super::upstream::Builder<'_>,
    wanted: &Upstream,
    connect: bool,
    found: &mut Findings,
) {
    let upstream = match builder.one(wanted) {
        Ok(upstream) => upstream,
        Err(error) => return found.error("upstream", error.to_string()),
    };
    let name = upstream.name().to_owned();
    if let UpstreamRoute::Smarthost { host, port } = &wanted.route {
        let Some(addresses) = resolve(config, host, *port, found).await else { return };
        let near = addresses.iter().all(|address| is_near(address.ip()));
        if wanted.tls == UpstreamTls::Off && !near {
            let password = if wanted.credentials.is_some() { ", the password too" } else { "" };
            found.warn(
                "upstream",
                format!("`tls` is \"off\": mail{password} is sent to {name} in plain text"),
            );
        }
        if wanted.tls == UpstreamTls::Opportunistic {
            found.warn(
                "upstream",
                format!(
                    "`tls` is \"opportunistic\": anybody on the network path to {name} can read the mail"
                ),
            );
        }
    }
    if !connect {
        return;
    }
    match tokio::time::timeout(PROBE_PATIENCE, upstream.probe()).await {
        Ok(Ok(said)) => found.ok("upstream", format!("{name}: {said}")),
        Ok(Err(why)) => found.error("upstream", format!("{name}: {why}")),
        Err(_) => {
            found.error("upstream", format!("{name} does not answer within {} s", PROBE_PATIENCE.as_secs()));
        }
    }
}

/// Resolves a host with the name servers that the relay will use.
async fn resolve(config: &Config, host: &str, port: u16, found: &mut Findings) -> Option<Vec<SocketAddr>> {
    match tokio::time::timeout(DNS_PATIENCE, addresses(config, host, port)).await {
        Ok(Ok(addresses)) => {
            let texts: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
            found.ok("dns", format!("{host} is {}", texts.join(", ")));
            Some(addresses)
        }
        Ok(Err(why)) => {
            found.error("dns", format!("{host} has no address: {why}"));
            None
        }
        Err(_) => {
            found.error("dns", format!("no name server answers for {host}"));
            None
        }
    }
}

async fn addresses(config: &Config, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    if config.dns.servers.is_empty() || host.parse::<IpAddr>().is_ok() {
        let found = tokio::net::lookup_host((host, port)).await;
        return found.map(Iterator::collect).map_err(|error| reason(&error));
    }
    let found = Resolver::new(&config.dns)?.addresses(host).await.map_err(|error| error.to_string())?;
    Ok(found.value.into_iter().map(|address| SocketAddr::new(address, port)).collect())
}

/// Whether the address is on this machine or in a private network (RFC 1918, RFC 4193).
fn is_near(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local(),
    }
}
