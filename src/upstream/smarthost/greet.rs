//! From nothing to a connection that takes mail: connect, banner, EHLO, STARTTLS, AUTH.

use super::capabilities::Capabilities;
use super::config::{Credentials, Security, SmarthostConfig};
use super::connection::{Broken, Connection, Line};
use super::tls::Tls;
use crate::smtp::Reply;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secrecy::{ExposeSecret, SecretString};
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How far a connection is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    Clear,
    Unverified,
    Verified,
}

/// Opens a connection. Where TLS is opportunistic and the handshake fails, once more without.
pub(super) async fn open(config: &SmarthostConfig, tls: Option<&Tls>) -> Result<Connection, Broken> {
    match attempt(config, tls, config.security).await {
        Err(Broken::Tls(error)) if config.security == Security::Opportunistic => {
            tracing::warn!(host = %config.host, %error, "TLS failed; going on in the clear, for it is opportunistic");
            attempt(config, tls, Security::Off).await
        }
        other => other,
    }
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
    if matches!(security, Security::Required | Security::Opportunistic) {
        if offers.starttls {
            let reply = line.ask("STARTTLS", limit, "after STARTTLS").await?;
            if reply.code() == 220 {
                (line, channel) = secure(line, tls, config).await?;
                // what was said in the clear counts for nothing (RFC 3207 §4.2)
                offers = hello(&mut line, config).await?;
            } else if security == Security::Required {
                return Err(refused(reply, "after STARTTLS"));
            }
        } else if security == Security::Required {
            return Err(Broken::Unfit(format!(
                "4.7.4 {} offers no STARTTLS, and TLS is required",
                config.host
            )));
        }
    }
    if let Some(credentials) = &config.credentials {
        may_authenticate(config, channel)?;
        authenticate(&mut line, &offers, credentials, config).await?;
    }
    let about = match channel {
        Channel::Clear => "in the clear",
        Channel::Unverified => "TLS, certificate not verified",
        Channel::Verified => "TLS, certificate verified",
    };
    Ok(Connection { line, offers, used: 0, dirty: false, out: Vec::new(), about: about.to_owned() })
}

/// The first address that answers.
async fn connect(config: &SmarthostConfig) -> Result<TcpStream, Broken> {
    let limit = config.timeouts.connect;
    let name = (config.host.as_str(), config.port);
    let addresses: Vec<SocketAddr> = match timeout(limit, tokio::net::lookup_host(name)).await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => {
            return Err(Broken::Unfit(format!("4.4.3 {} could not be resolved: {error}", config.host)));
        }
        Err(_) => return Err(Broken::Timeout(limit, "from the resolver")),
    };
    let mut last = Broken::Unfit(format!("4.4.3 {} has no address", config.host));
    for address in addresses {
        match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // each write is a whole step of the dialogue: waiting for more only costs time
                stream.set_nodelay(true).map_err(|error| Broken::Io(error, "while connecting"))?;
                return Ok(stream);
            }
            Ok(Err(error)) => {
                last = Broken::Unfit(format!("4.4.1 {address} could not be connected to: {error}"));
            }
            Err(_) => last = Broken::Timeout(limit, "while connecting"),
        }
    }
    Err(last)
}

async fn secure(line: Line, tls: Option<&Tls>, config: &SmarthostConfig) -> Result<(Line, Channel), Broken> {
    let Some(tls) = tls else {
        return Err(Broken::Unfit("4.7.4 TLS is not set up".to_owned()));
    };
    let (line, verified) = line.secure(tls, config.timeouts.greeting).await?;
    Ok((line, if verified { Channel::Verified } else { Channel::Unverified }))
}

/// EHLO, or HELO where EHLO is not known (RFC 5321 §3.2).
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

/// Credentials go over a verified channel, or in the clear where the admin says so in as many words.
fn may_authenticate(config: &SmarthostConfig, channel: Channel) -> Result<(), Broken> {
    match channel {
        Channel::Verified => Ok(()),
        Channel::Clear if config.security == Security::Off && config.plain_auth => Ok(()),
        _ => Err(Broken::Unfit(format!(
            "4.7.11 credentials for {} are sent over verified TLS only",
            config.host
        ))),
    }
}

/// AUTH PLAIN (RFC 4616) with its initial response, else LOGIN.
async fn authenticate(
    line: &mut Line,
    offers: &Capabilities,
    credentials: &Credentials,
    config: &SmarthostConfig,
) -> Result<(), Broken> {
    let limit = config.timeouts.greeting;
    let stage = "during AUTH";
    let password = credentials.password.expose_secret();
    let reply = if offers.auth_plain {
        let response = encoded(&format!("\0{}\0{password}", credentials.username));
        let command = SecretString::from(format!("AUTH PLAIN {}", response.expose_secret()));
        line.ask(command.expose_secret(), limit, stage).await?
    } else if offers.auth_login {
        let mut reply = line.ask("AUTH LOGIN", limit, stage).await?;
        for answer in [credentials.username.as_str(), password] {
            if reply.code() != 334 {
                return Err(refused(reply, stage));
            }
            reply = line.ask(encoded(answer).expose_secret(), limit, stage).await?;
        }
        reply
    } else {
        return Err(Broken::Unfit(format!("4.7.0 {} offers neither AUTH PLAIN nor AUTH LOGIN", config.host)));
    };
    if reply.code() == 235 { Ok(()) } else { Err(refused(reply, stage)) }
}

fn encoded(text: &str) -> SecretString {
    SecretString::from(BASE64.encode(text))
}

/// A refusal before any mail was offered concerns no mail: it is tried again later, even after a 5xx.
fn refused(reply: Reply, stage: &'static str) -> Broken {
    if reply.is_transient() || reply.is_permanent() {
        Broken::Refused(reply, stage)
    } else {
        Broken::Unexpected(reply, stage)
    }
}
