//! Verifies somebody else's credentials by trying them at the next hop, only over TLS with a verified
//! certificate.

use super::config::Credentials;
use super::connection::Broken;
use super::tls::Security;
use super::{Smarthost, greet};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secrecy::{ExposeSecret, SecretString};

/// Credentials to verify.
#[derive(Clone, Debug)]
pub enum ForeignCredentials {
    /// A user name and a password.
    Password(String, SecretString),
    /// A mechanism's name, and the initial response to send unchanged.
    Response(&'static str, SecretString),
}

impl Smarthost {
    /// Returns whether the next hop accepts these credentials (235) or refuses them (535).
    ///
    /// # Errors
    /// They cannot be verified now, or this next hop is not configured to require verified TLS. The error
    /// is a text for the log.
    pub async fn takes(&self, shown: ForeignCredentials) -> Result<bool, String> {
        let mut config = self.config.clone();
        if !matches!(config.security, Security::Required | Security::Implicit) {
            return Err(format!("{}: TLS with a verified certificate is not required for it", self.name));
        }
        config.plain_auth = false;
        // our own credentials and mechanism must not be used
        (config.credentials, config.mechanism) = (None, None);
        let (mechanism, response) = match shown {
            ForeignCredentials::Password(username, password) => {
                config.credentials = Some(Credentials::password(username, password));
                (None, SecretString::default())
            }
            ForeignCredentials::Response(mechanism, response) => (Some(mechanism), response),
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
                    // The challenge tells the reason in JSON; after an empty response the server refuses
                    // (RFC 7628 §3.2.3).
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

/// 535 means that the credentials are wrong; any other failure is inconclusive.
fn refused(broken: &Broken) -> Result<bool, String> {
    match broken {
        Broken::Refused(reply, "during AUTH") if reply.code() == 535 => Ok(false),
        other => Err(other.to_string()),
    }
}
