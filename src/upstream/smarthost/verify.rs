//! Asks the next hop whether somebody else's credentials are right: over TLS with a verified certificate,
//! or not at all.

use super::config::{Credentials, Security};
use super::connection::Broken;
use super::{Smarthost, greet};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secrecy::{ExposeSecret, SecretString};

/// What somebody shows.
#[derive(Clone, Debug)]
pub enum Shown {
    /// A user name and a password.
    Password(String, SecretString),
    /// A mechanism's name and its initial response, handed on as it is.
    Response(&'static str, SecretString),
}

impl Smarthost {
    /// Whether the next hop takes these credentials (235) or not (535). The error is that it cannot be
    /// known now.
    pub async fn takes(&self, shown: Shown) -> Result<bool, String> {
        let mut config = self.config.clone();
        if !matches!(config.security, Security::Required | Security::Implicit) {
            return Err(format!("{}: no verified TLS is asked of it", self.name));
        }
        config.plain_auth = false;
        // ours, and by which mechanism, is no matter of theirs
        (config.credentials, config.mechanism) = (None, None);
        let (mechanism, response) = match shown {
            Shown::Password(username, password) => {
                config.credentials = Some(Credentials::password(username, password));
                (None, SecretString::default())
            }
            Shown::Response(mechanism, response) => (Some(mechanism), response),
        };
        let opened = greet::open(&config, self.tls.as_ref()).await;
        let mut connection = match opened {
            Ok(connection) => connection,
            Err(broken) => return refused(&broken),
        };
        let right = match mechanism {
            None => Ok(true),
            Some(mechanism) => {
                let response = SecretString::from(BASE64.encode(response.expose_secret()));
                let command = SecretString::from(format!("AUTH {mechanism} {}", response.expose_secret()));
                let limit = config.timeouts.greeting;
                let mut reply = connection.line.ask(command.expose_secret(), limit, "during AUTH").await;
                if reply.as_ref().is_ok_and(|reply| reply.code() == 334) {
                    // The reason in JSON (RFC 7628 §3.2.3); an empty answer lets the server refuse.
                    reply = connection.line.ask("", limit, "during AUTH").await;
                }
                match reply {
                    Ok(reply) if reply.code() == 235 => Ok(true),
                    Ok(reply) if reply.code() == 535 => Ok(false),
                    Ok(reply) => Err(reply.to_string()),
                    Err(broken) => Err(broken.to_string()),
                }
            }
        };
        connection.quit(config.timeouts.quit).await;
        right
    }
}

/// 535 says that the credentials are wrong; anything else that nobody knows.
fn refused(broken: &Broken) -> Result<bool, String> {
    match broken {
        Broken::Refused(reply, "during AUTH") if reply.code() == 535 => Ok(false),
        other => Err(other.to_string()),
    }
}
