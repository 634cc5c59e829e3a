//! Opens a connection ready for mail: connect, greeting, EHLO, STARTTLS, AUTH.

use super::auth;
use super::capabilities::Capabilities;
use super::config::{Addresses, SmarthostConfig};
use super::connection::{Broken, Connection, Line, refused};
use super::tls::{Security, Tls, refused_certificate};
use crate::upstream::tally::Trouble;
use std::net::{IpAddr, SocketAddr};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Most addresses of a host to try.
const MOST_ADDRESSES: usize = 8;

/// Whether a connection uses TLS, and whether the certificate verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    Clear,
    Unverified,
    Verified,
}

/// Opens a connection. If opportunistic TLS fails in the handshake, connects again without TLS.
pub(super) async fn open(config: &SmarthostConfig, tls: Option<&Tls>) -> Result<Connection, Broken> {
    match attempt(config, tls, config.security).await {
        Err(Broken::Tls(error)) if config.security == Security::Opportunistic => {
            tracing::warn!(host = %config.host, %error, "TLS failed; continuing in plain text, because TLS is opportunistic");
            attempt(config, tls, Security::Off).await
        }
        Err(Broken::Tls(error) | Broken::Io(error, _)) if refused_certificate(&error).is_some() => {
            Err(unwelcome(config, tls, &error))
        }
        other => other,
    }
}

/// The error if the next hop requires a client certificate and does not accept ours.
fn unwelcome(config: &SmarthostConfig, tls: Option<&Tls>, error: &std::io::Error) -> Broken {
    let host = &config.host;
    let why = match tls.and_then(Tls::identity) {
        Some(identity) => {
            let file = identity.files().chain.display();
            format!("4.7.0 {host} does not accept our certificate in {file}: {error}")
        }
        None => format!("4.7.0 {host} asks for our certificate: set `certificate` for it ({error})"),
    };
    Broken::Unfit(Trouble::Auth, why)
}

async fn attempt(
    config: &SmarthostConfig,
    tls: Option<&Tls>,
    security: Security,
) -> Result<Connection, Broken> {
    let limit = config.timeouts.greeting;
    let mut line = Line::plain(connect(config).await?);
    let mut channel = Channel::Clear;
    if security == Security::Implicit {
        (line, channel) = secure(line, tls, config).await?;
    }
    let banner = line.reply(limit, "before the banner").await?;
    if banner.code() != 220 {
        return Err(refused(banner, "as a banner"));
    }
    let mut offers = hello(&mut line, config).await?;
    let must = matches!(security, Security::Required | Security::Unverified);
    if must || security == Security::Opportunistic {
        if offers.starttls {
            let reply = line.ask("STARTTLS", limit, "after STARTTLS").await?;
            if reply.code() == 220 {
                (line, channel) = secure(line, tls, config).await?;
                // what the server offered before TLS must be discarded (RFC 3207 §4.2)
                offers = hello(&mut line, config).await?;
            } else if must {
                return Err(refused(reply, "after STARTTLS"));
            }
        } else if must {
            return Err(Broken::Unfit(
                Trouble::Unverified,
                format!("4.7.4 {} offers no STARTTLS, and TLS is required", config.host),
            ));
        }
    }
    if config.watch && channel != Channel::Verified {
        tracing::warn!(host = %config.host, ?channel, "an MTA-STS policy in testing mode would have prevented this");
    }
    let mut about = match channel {
        Channel::Clear => "in the clear",
        Channel::Unverified => "TLS, certificate not verified",
        Channel::Verified => "TLS, certificate verified",
    }
    .to_owned();
    if let Some(credentials) = &config.credentials {
        may_authenticate(config, channel)?;
        let mechanism = auth::authenticate(&mut line, &offers, credentials, config).await?;
        about = format!("{about}, AUTH {mechanism}");
    }
    Ok(Connection { line, offers, used: 0, dirty: false, out: Vec::new(), about, shown: None, slot: None })
}

/// Connects to the first address that answers.
async fn connect(config: &SmarthostConfig) -> Result<TcpStream, Broken> {
    let limit = config.timeouts.connect;
    let addresses = match timeout(limit, addresses(config)).await {
        Ok(addresses) => addresses?,
        Err(_) => return Err(Broken::Timeout(limit, "from the resolver")),
    };
    let mut last = Broken::Unfit(Trouble::Connection, format!("4.4.3 {} has no address", config.host));
    for address in addresses.into_iter().take(MOST_ADDRESSES) {
        match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // each write is a complete step of the session, so delaying it gains nothing
                stream.set_nodelay(true).map_err(|error| Broken::Io(error, "while connecting"))?;
                return Ok(stream);
            }
            Ok(Err(error)) => {
                last = Broken::Unfit(
                    Trouble::Connection,
                    format!("4.4.1 {address} could not be connected to: {error}"),
                );
            }
            Err(_) => last = Broken::Timeout(limit, "while connecting"),
        }
    }
    Err(last)
}

async fn addresses(config: &SmarthostConfig) -> Result<Vec<SocketAddr>, Broken> {
    let unknown = |why: String| {
        Broken::Unfit(Trouble::Connection, format!("4.4.3 {} could not be resolved: {why}", config.host))
    };
    let known = |addresses: &[IpAddr]| alternating(addresses, config.port);
    match &config.addresses {
        Addresses::Known(addresses) => Ok(known(addresses)),
        Addresses::Dns(resolver) if config.host.parse::<IpAddr>().is_err() => {
            let found = resolver.addresses(&config.host).await.map_err(|error| unknown(error.to_string()))?;
            Ok(known(&found.value))
        }
        _ => {
            let found = tokio::net::lookup_host((config.host.as_str(), config.port)).await;
            found.map(Iterator::collect).map_err(|error| unknown(error.to_string()))
        }
    }
}

/// Alternates IPv6 and IPv4 addresses, so that a broken family costs little time (RFC 8305 §4).
fn alternating(addresses: &[IpAddr], port: u16) -> Vec<SocketAddr> {
    let (six, four): (Vec<IpAddr>, Vec<IpAddr>) = addresses.iter().partition(|address| address.is_ipv6());
    let longest = six.len().max(four.len());
    let pairs = (0..longest).flat_map(|at| [six.get(at), four.get(at)]);
    pairs.flatten().map(|address| SocketAddr::new(*address, port)).collect()
}

async fn secure(line: Line, tls: Option<&Tls>, config: &SmarthostConfig) -> Result<(Line, Channel), Broken> {
    let Some(tls) = tls else {
        return Err(Broken::Unfit(Trouble::Unverified, "4.7.4 TLS is not set up".to_owned()));
    };
    let (line, verified) = line.secure(tls, config.timeouts.greeting).await?;
    Ok((line, if verified { Channel::Verified } else { Channel::Unverified }))
}

/// Sends EHLO, or HELO if the next hop does not know EHLO (RFC 5321 §3.2).
async fn hello(line: &mut Line, config: &SmarthostConfig) -> Result<Capabilities, Broken> {
    let limit = config.timeouts.greeting;
    let reply = line.ask(&format!("EHLO {}", config.helo), limit, "after EHLO").await?;
    if reply.is_positive() {
        return Ok(Capabilities::read(&reply));
    }
    if !reply.is_permanent() {
        return Err(refused(reply, "after EHLO"));
    }
    let reply = line.ask(&format!("HELO {}", config.helo), limit, "after HELO").await?;
    if reply.is_positive() { Ok(Capabilities::default()) } else { Err(refused(reply, "after HELO")) }
}

/// Allows AUTH only over TLS with a verified certificate, or in plain text if the configuration says so
/// explicitly.
fn may_authenticate(config: &SmarthostConfig, channel: Channel) -> Result<(), Broken> {
    match channel {
        Channel::Verified => Ok(()),
        Channel::Clear if config.security == Security::Off && config.plain_auth => Ok(()),
        _ => Err(Broken::Unfit(
            Trouble::Unverified,
            format!("4.7.11 credentials for {} are sent over verified TLS only", config.host),
        )),
    }
}
