//! Checks what others see of us: the DNS records of our keys, our host name, and the greetings of our own
//! listeners.

use super::{DNS_PATIENCE, Findings};
use crate::app::seals;
use crate::config::{Config, reason};
use crate::dkim::record::Published;
use crate::dkim::{Record, SigningKey};
use crate::dns::{DnsError, Resolver};
use crate::spf::set::follow;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Timeout for the greeting of our own listener.
const GREETING_PATIENCE: Duration = Duration::from_secs(10);
/// Timeout for an SPF record, which may have ten includes.
const SPF_PATIENCE: Duration = Duration::from_secs(30);
/// Most octets read from one of our own listeners.
const MOST_SAID: usize = 16 * 1024;

/// Most names of one address that are checked.
const MOST_NAMES: usize = 5;

/// The result of a DNS query: a record, none, or no answer from any name server.
enum Lookup<T> {
    Found(T),
    Nothing,
    NoAnswer,
}

/// Checks keys and marks; with a resolver also their DNS records.
pub(super) async fn signatures(config: &Config, resolver: Option<&Resolver>, found: &mut Findings) {
    let ring = match seals::keyring(config) {
        Ok(ring) => ring,
        Err(error) => return found.error("dkim", error.to_string()),
    };
    for key in &config.dkim.keys {
        private(&key.file, "dkim", found);
    }
    for (domain, _) in config.organisation.domains() {
        if ring.for_domain(domain).is_empty() {
            found.warn(
                "dkim",
                format!(
                    "{domain} has no key: a split breaks the signature of your mail host where it covers To, and \
                     the copy then has none; make one with `sekisho dkim keygen --domain {domain} --selector s1`"
                ),
            );
        }
    }
    for domain in ring.without_rsa() {
        let why = "many receivers do not verify Ed25519 yet: add an RSA key";
        found.warn("dkim", format!("{domain} has only an Ed25519 key: {why}"));
    }
    if let Some(resolver) = resolver {
        for key in ring.keys() {
            if !published(key, resolver, found).await {
                // no name server answers; the other keys would only time out too
                break;
            }
        }
    }
}

/// Compares a key with its DNS record; returns whether a name server answered.
async fn published(key: &SigningKey, resolver: &Resolver, found: &mut Findings) -> bool {
    let record = match Record::of(key) {
        Ok(record) => record,
        Err(error) => {
            found.error("dkim", format!("{}: {error}", key.domain()));
            return true;
        }
    };
    let name = &record.name;
    match ask(resolver.txt(name), name, found).await {
        Lookup::Found(texts) => match record.compare(&texts.value) {
            Published::Same => found.ok("dkim", format!("{name} publishes the {} key", key.algorithm())),
            Published::But(what) => found.warn("dkim", format!("{name} publishes the key, but {what}")),
            Published::Wrong(why) => found.error(
                "dkim",
                format!("{name}: {why}: signatures would not verify; `sekisho dkim show` prints the record"),
            ),
        },
        Lookup::Nothing => found.error(
            "dkim",
            format!(
                "{name} is not published: signatures would not verify; `sekisho dkim show` prints the record"
            ),
        ),
        Lookup::NoAnswer => return false,
    }
    true
}

/// The answer to a query; a failure is reported.
async fn ask<T>(
    question: impl Future<Output = Result<T, DnsError>>,
    name: &str,
    found: &mut Findings,
) -> Lookup<T> {
    let why = match tokio::time::timeout(DNS_PATIENCE, question).await {
        Ok(Ok(answer)) => return Lookup::Found(answer),
        Ok(Err(error)) if error.is_not_found() => return Lookup::Nothing,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", DNS_PATIENCE.as_secs()),
    };
    found.warn("dns", format!("{name} could not be looked up: {why}"));
    Lookup::NoAnswer
}

/// Checks that only we can read a secret.
pub(super) fn private(file: &Path, area: &'static str, found: &mut Findings) {
    match std::fs::metadata(file) {
        Ok(meta) if meta.permissions().mode() & 0o077 != 0 => {
            found.warn(area, format!("{}: others can read it; run `chmod 600` on it", file.display()));
        }
        Ok(_) => {}
        Err(error) => found.error(area, format!("{}: {}", file.display(), reason(&error))),
    }
}

/// Checks the mail host's marking header: its secret exists, is valid, and is private.
pub(super) fn mark(config: &Config, found: &mut Findings) {
    match seals::mark_header(config) {
        Ok(None) => {}
        Ok(Some((name, _))) => {
            if let Some((_, file)) = &config.marks.header {
                private(file, "marks", found);
            }
            found.ok("marks", format!("mail is sent with {name}, which the rule of your mail host removes"));
            if !config.upstreams.is_empty() || !config.upstream.also.is_empty() {
                let why = "each of them must be that mail host, or others see the secret";
                found.warn("marks", format!("there are several upstreams: {why}"));
            }
        }
        Err(error) => found.error("marks", error.to_string()),
    }
}

/// Checks whether SPF allows our mail from the addresses it is sent from, if those are configured.
pub(super) async fn spf(config: &Config, resolver: &Resolver, found: &mut Findings) {
    for (domain, _) in config.organisation.domains().iter().filter(|_| !config.egress.is_empty()) {
        let set = match tokio::time::timeout(SPF_PATIENCE, follow(resolver, domain)).await {
            Ok(Ok((set, _))) => set,
            Ok(Err(why)) => {
                found
                    .warn("spf", format!("{domain}: {why}: receivers cannot tell our mail from forged mail"));
                continue;
            }
            Err(_) => {
                found.warn(
                    "dns",
                    format!("{domain}: no answer about SPF within {} s", SPF_PATIENCE.as_secs()),
                );
                return;
            }
        };
        for address in &config.egress {
            if set.passes(*address) {
                found.ok("spf", format!("{domain} lets {address} send"));
            } else {
                let add = if address.is_ipv4() { "ip4" } else { "ip6" };
                found.warn(
                    "spf",
                    format!("{domain} does not let {address} send: add `{add}:{address}` to its record"),
                );
            }
        }
    }
}

/// Checks that our host name resolves.
pub(super) async fn name(config: &Config, resolver: &Resolver, found: &mut Findings) {
    let host = &config.hostname;
    if !host.contains('.') || host.starts_with('[') {
        return;
    }
    match ask(resolver.addresses(host), host, found).await {
        Lookup::Found(addresses) => {
            let texts: Vec<String> = addresses.value.iter().map(ToString::to_string).collect();
            found.ok("dns", format!("{host} is {}", texts.join(", ")));
            let strange = config.egress.iter().find(|address| !addresses.value.contains(address));
            if let Some(address) = strange {
                found.warn(
                    "dns",
                    format!("{host} is not {address}, from which mail is sent: receivers compare them"),
                );
            }
        }
        Lookup::Nothing => {
            found.warn(
                "dns",
                format!("{host} has no address: receivers may refuse mail from a host with that name"),
            );
        }
        Lookup::NoAnswer => {}
    }
}

/// Checks that the addresses we send from have names that resolve back to them: receivers reject or distrust
/// mail from others.
pub(super) async fn addresses(config: &Config, resolver: &Resolver, found: &mut Findings) {
    for address in &config.egress {
        let asked = ask(resolver.names(*address), &format!("the name of {address}"), found).await;
        let names = match asked {
            Lookup::Found(names) => names,
            Lookup::Nothing => {
                found.warn("dns", format!("{address}, from which mail is sent, has no name (PTR record)"));
                continue;
            }
            Lookup::NoAnswer => continue,
        };
        let mut leads_back = None;
        for name in names.value.iter().take(MOST_NAMES) {
            let back = resolver.addresses(name).await;
            if back.is_ok_and(|back| back.value.contains(address)) {
                leads_back = Some(name);
                break;
            }
        }
        if let Some(name) = leads_back {
            found.ok("dns", format!("{address} is {name}, and back"));
        } else {
            let names = names.value.join(", ");
            let why = format!("{address}, from which mail is sent, is {names}, which is not {address}");
            found.warn("dns", why);
        }
    }
}

/// Connects to our own listeners if a relay is running.
pub(super) async fn listeners(config: &Config, found: &mut Findings) {
    // a listener with PROXY accepts only the load balancer
    for listener in config.listeners.iter().filter(|listener| listener.proxy.is_empty()) {
        let implicit = listener.tls == Some(crate::listener::TlsMode::Implicit);
        let address = reachable(listener.address);
        match tokio::time::timeout(GREETING_PATIENCE, greet(address, implicit, &config.hostname)).await {
            Ok(Ok(offers)) => {
                let wants_tls = listener.tls.is_some() && !implicit;
                if wants_tls && !offers.iter().any(|offer| offer == "STARTTLS") {
                    found.error("listener", format!("{address} does not offer STARTTLS: restart the relay"));
                } else {
                    let offers = if implicit { "TLS".to_owned() } else { offers.join(" ") };
                    found.ok("listener", format!("{address} answers: {offers}"));
                }
            }
            Ok(Err(error)) => {
                found.error("listener", format!("{address} does not answer: {}", reason(&error)));
            }
            Err(_) => found.error("listener", format!("{address} does not greet")),
        }
    }
}

/// The local address at which a listener on all addresses is reached.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, address.port()).into(),
        IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST, address.port()).into(),
        _ => address,
    }
}

/// The EHLO keywords that one of our listeners offers; empty for implicit TLS.
async fn greet(address: SocketAddr, implicit: bool, hostname: &str) -> std::io::Result<Vec<String>> {
    let mut stream = TcpStream::connect(address).await?;
    if implicit {
        return Ok(Vec::new());
    }
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::new(tokio::io::AsyncReadExt::take(reader, MOST_SAID as u64));
    reply(&mut reader).await?;
    writer.write_all(format!("EHLO {hostname}\r\n").as_bytes()).await?;
    let offers = reply(&mut reader).await?;
    writer.write_all(b"QUIT\r\n").await?;
    Ok(offers.into_iter().skip(1).collect())
}

/// The lines of one reply, without their codes.
async fn reply(reader: &mut (impl AsyncBufReadExt + Unpin)) -> std::io::Result<Vec<String>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let text = line.trim_end();
        if !text.starts_with('2') {
            return Err(std::io::Error::other(format!("it says `{text}`")));
        }
        lines.push(text.get(4..).unwrap_or_default().to_owned());
        if text.as_bytes().get(3) != Some(&b'-') {
            return Ok(lines);
        }
    }
}
