//! The SASL mechanisms that we know as a client.

use super::capabilities::Capabilities;
use std::fmt;

/// The stage of a refusal by the server to know us.
pub(super) const AUTH_STAGE: &str = "during AUTH";

/// A SASL mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// SCRAM-SHA-256 (RFC 7677). The server proves that it knows the password, too.
    ScramSha256,
    /// PLAIN (RFC 4616).
    Plain,
    /// LOGIN, the predecessor of PLAIN.
    Login,
    /// XOAUTH2: an OAuth 2.0 access token in place of a password.
    Xoauth2,
}

impl Mechanism {
    /// The mechanisms that use a password, in order of preference.
    pub(super) const BY_PASSWORD: [Self; 3] = [Self::ScramSha256, Self::Plain, Self::Login];

    pub(super) fn is_offered(self, offers: &Capabilities) -> bool {
        match self {
            Self::ScramSha256 => offers.auth_scram,
            Self::Plain => offers.auth_plain,
            Self::Login => offers.auth_login,
            Self::Xoauth2 => offers.auth_xoauth2,
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::Xoauth2 => "XOAUTH2",
        })
    }
}
