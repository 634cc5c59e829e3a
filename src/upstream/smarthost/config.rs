//! What the admin says about the next hop, and the time-outs.

use super::auth::Mechanism;
use super::tls::{Authorities, Trust};
use crate::dns::Resolver;
use crate::tls::Identity;
use crate::upstream::oauth::Tokens;
use crate::upstream::tally::Tally;
use secrecy::{ExposeSecret, SecretString};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How the way to the next hop is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Security {
    /// STARTTLS with a verified certificate, or nothing is sent (the default).
    #[default]
    Required,
    /// STARTTLS where offered, whatever the certificate; else in the clear.
    Opportunistic,
    /// STARTTLS, whatever the certificate, or nothing is sent (RFC 7672 §2.2: TLSA records that cannot
    /// be used).
    Unverified,
    /// In the clear.
    Off,
    /// TLS from the first octet (RFC 8314 §3.3), with a verified certificate.
    Implicit,
}

/// Who we are to the next hop, for AUTH.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// What proves it; never shown.
    pub secret: Secret,
}

/// What proves who we are.
#[derive(Clone, Debug)]
pub enum Secret {
    /// A password.
    Password(SecretString),
    /// Access tokens.
    Tokens(Tokens),
}

impl Credentials {
    /// With a password.
    pub fn password(username: impl Into<String>, password: impl Into<SecretString>) -> Self {
        Self { username: username.into(), secret: Secret::Password(password.into()) }
    }

    /// With the password that stands on the first line of a file. The error says what is wrong with it.
    pub fn from_file(username: impl Into<String>, file: &Path) -> Result<Self, String> {
        Ok(Self::password(username, read_secret(file, "password")?))
    }
}

/// The secret on the first line of a file; what it is, for the error.
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

/// Where the addresses of the next hop come from.
#[derive(Clone, Debug, Default)]
pub enum Addresses {
    /// The system: `/etc/hosts`, then its name servers.
    #[default]
    System,
    /// Name servers of the admin's choice.
    Dns(Box<Resolver>),
    /// They are known.
    Known(Vec<IpAddr>),
}

/// How long each step may take (RFC 5321 §4.5.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// The TCP connection, for each address.
    pub connect: Duration,
    /// The banner, and each step of the greeting: EHLO, STARTTLS, AUTH (§4.5.3.2.1).
    pub greeting: Duration,
    /// The answer to MAIL, and to RSET (§4.5.3.2.2).
    pub mail: Duration,
    /// The answer to RCPT (§4.5.3.2.3).
    pub rcpt: Duration,
    /// The 354 (§4.5.3.2.4).
    pub data: Duration,
    /// Each write of content (§4.5.3.2.5).
    pub block: Duration,
    /// The answer to the final dot (§4.5.3.2.6).
    pub end: Duration,
    /// The answer to QUIT: nothing depends on it.
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

/// One next hop.
#[derive(Clone, Debug)]
pub struct SmarthostConfig {
    /// Host name (what the certificate must name) or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// What we call ourselves in EHLO.
    pub helo: String,
    /// Where its addresses come from.
    pub addresses: Addresses,
    /// TLS.
    pub security: Security,
    /// Certificate authorities trusted beside the system's, PEM.
    pub ca_file: Option<PathBuf>,
    /// What its certificate is compared with in place of the authorities.
    pub trust: Option<Trust>,
    /// The certificate we show, where we are asked for one.
    pub identity: Option<Identity>,
    /// AUTH.
    pub credentials: Option<Credentials>,
    /// By this mechanism only; else by the best that is offered.
    pub mechanism: Option<Mechanism>,
    /// Allows AUTH in the clear, with `Security::Off` only.
    pub plain_auth: bool,
    /// Says in the log where a certificate would not have been believed (MTA-STS in testing).
    pub watch: bool,
    /// Where failures are counted.
    pub tally: Tally,
    /// Under this name in place of its own, where there are many.
    pub tally_as: Option<&'static str>,
    /// Time-outs.
    pub timeouts: Timeouts,
    /// How many sessions at once it was found to allow, before this start.
    pub sessions_limit: Option<usize>,
    /// Most transactions over one connection.
    pub transactions: u32,
    /// How long an unused connection is kept.
    pub idle: Duration,
}

impl SmarthostConfig {
    /// A next hop with every default.
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

    /// What certificates are compared with. Without any authority nothing verifies, which
    /// opportunistic TLS can live with.
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
