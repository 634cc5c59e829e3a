//! Configuration of a next hop, and the timeouts.

use super::mechanism::Mechanism;
use super::tls::{Authorities, Security, Trust};
use crate::dns::Resolver;
use crate::tls::Identity;
use crate::upstream::oauth::Tokens;
use crate::upstream::tally::Tally;
use secrecy::{ExposeSecret, SecretString};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Our credentials at the next hop, for AUTH.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// Password or token source. Not shown by `Debug`.
    pub secret: Secret,
}

/// A password, or a source of access tokens.
#[derive(Clone, Debug)]
pub enum Secret {
    /// A password.
    Password(SecretString),
    /// A source of OAuth access tokens.
    Tokens(Tokens),
}

impl Credentials {
    /// Credentials with a password.
    pub fn password(username: impl Into<String>, password: impl Into<SecretString>) -> Self {
        Self { username: username.into(), secret: Secret::Password(password.into()) }
    }

    /// Credentials with the password on the first line of a file.
    ///
    /// # Errors
    /// See [`read_secret`].
    pub fn from_file(username: impl Into<String>, file: &Path) -> Result<Self, String> {
        Ok(Self::password(username, read_secret(file, "password")?))
    }
}

/// Reads the secret on the first line of a file. `what` names the secret in errors.
///
/// # Errors
/// The file cannot be read, or its first line is empty or contains a NUL. The error is a text for the
/// administrator.
pub fn read_secret(file: &Path, what: &str) -> Result<SecretString, String> {
    let text = std::fs::read_to_string(file)
        .map(SecretString::from)
        .map_err(|error| format!("the {what} file {} cannot be read: {error}", file.display()))?;
    let secret = text.expose_secret().lines().next().unwrap_or_default();
    if secret.is_empty() || secret.contains('\0') {
        return Err(format!("the {what} file {} must hold the {what} on its first line", file.display()));
    }
    Ok(SecretString::from(secret.to_owned()))
}

/// How the next hop's name is resolved.
#[derive(Clone, Debug, Default)]
pub enum Addresses {
    /// By the system: `/etc/hosts`, then its name servers.
    #[default]
    System,
    /// By the configured name servers.
    Dns(Box<Resolver>),
    /// Not at all: these are its addresses.
    Known(Vec<IpAddr>),
}

/// Timeouts of each step (RFC 5321 §4.5.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP connection, for each address.
    pub connect: Duration,
    /// The greeting (§4.5.3.2.1), and each reply to EHLO, STARTTLS and AUTH.
    pub greeting: Duration,
    /// The reply to MAIL (§4.5.3.2.2), and to RSET.
    pub mail: Duration,
    /// The reply to RCPT (§4.5.3.2.3).
    pub rcpt: Duration,
    /// The 354 reply to DATA (§4.5.3.2.4).
    pub data: Duration,
    /// Each write of content (§4.5.3.2.5).
    pub block: Duration,
    /// The reply to the final dot (§4.5.3.2.6).
    pub end: Duration,
    /// The reply to QUIT. Short, because nothing depends on it.
    pub quit: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        Self {
            connect: Duration::from_secs(30),
            greeting: minutes(5),
            mail: minutes(5),
            rcpt: minutes(5),
            data: minutes(2),
            block: minutes(3),
            end: minutes(10),
            quit: Duration::from_secs(2),
        }
    }
}

/// Configuration of a next hop.
#[derive(Clone, Debug)]
pub struct SmarthostConfig {
    /// Host name, which the certificate must contain, or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Our host name in EHLO.
    pub helo: String,
    /// How the host name is resolved.
    pub addresses: Addresses,
    /// TLS.
    pub security: Security,
    /// PEM file of certificate authorities trusted in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// How its certificate is verified, if not by certificate authorities.
    pub trust: Option<Trust>,
    /// Our client certificate, presented if the next hop asks for one.
    pub identity: Option<Identity>,
    /// Credentials for AUTH.
    pub credentials: Option<Credentials>,
    /// The only AUTH mechanism to use; `None` uses the best one offered.
    pub mechanism: Option<Mechanism>,
    /// Whether AUTH in plain text is allowed; only applies with [`Security::Off`].
    pub plain_auth: bool,
    /// Whether to log certificates that do not verify (an MTA-STS policy in testing mode).
    pub watch: bool,
    /// Metrics.
    pub tally: Tally,
    /// The name to use in metrics, if not its own.
    pub tally_as: Option<&'static str>,
    /// Timeouts.
    pub timeouts: Timeouts,
    /// The limit on concurrent sessions found before the start.
    pub sessions_limit: Option<usize>,
    /// Most transactions per connection.
    pub transactions: u32,
    /// How long an idle connection is kept.
    pub idle: Duration,
}

impl SmarthostConfig {
    /// A next hop with default settings.
    pub fn new(host: impl Into<String>, port: u16, helo: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            port,
            helo: helo.into(),
            addresses: Addresses::default(),
            security: Security::default(),
            ca_file: None,
            trust: None,
            identity: None,
            credentials: None,
            mechanism: None,
            plain_auth: false,
            watch: false,
            tally: Tally::default(),
            tally_as: None,
            sessions_limit: None,
            timeouts: Timeouts::default(),
            transactions: 1_000,
            idle: Duration::from_secs(30),
        }
    }

    /// How certificates are verified. Opportunistic TLS works without any certificate authority; then no
    /// certificate verifies.
    pub(super) fn trust(&self) -> Result<Trust, String> {
        if let Some(trust) = &self.trust {
            return Ok(trust.clone());
        }
        match Authorities::new(self.ca_file.as_deref()) {
            Ok(authorities) => Ok(Trust::Authorities(authorities)),
            Err(_) if self.security == Security::Opportunistic && self.ca_file.is_none() => {
                Ok(Trust::Nothing)
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_the_first_line_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "geheim x\nrest\n").unwrap();
        let credentials = Credentials::from_file("relay", &file).unwrap();
        let Secret::Password(password) = &credentials.secret else { panic!("no password") };
        assert_eq!(password.expose_secret(), "geheim x");
        assert!(!format!("{credentials:?}").contains("geheim"));
        std::fs::write(&file, "\nx").unwrap();
        assert!(Credentials::from_file("relay", &file).unwrap_err().contains("first line"));
        assert!(Credentials::from_file("relay", &folder.path().join("none")).is_err());
    }
}
