//! `[auth]`, and what a listener says of who may send.

use serde::Deserialize;
use std::path::PathBuf;

/// The table `[auth]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Auth {
    pub(in crate::config) source: Source,
    #[serde(default)]
    pub(in crate::config) send_as: Vec<SendAs>,
    pub(in crate::config) ldap: Option<Ldap>,
}

/// The table `[[auth.send_as]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct SendAs {
    pub(in crate::config) user: String,
    pub(in crate::config) addresses: Vec<String>,
}

/// The value of `[auth] source`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(in crate::config) enum Source {
    File(PathBuf),
    Ldap(String),
    Upstream,
    /// No accounts.
    Off,
}

impl TryFrom<String> for Source {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "upstream" => return Ok(Self::Upstream),
            "off" => return Ok(Self::Off),
            _ => {}
        }
        if let Some(path) = text.strip_prefix("file:").filter(|path| !path.is_empty()) {
            return Ok(Self::File(PathBuf::from(path)));
        }
        let host = text.strip_prefix("ldaps://").or_else(|| text.strip_prefix("ldap://"));
        let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        match host.map(|host| host.trim_end_matches('/')) {
            Some(host) if !host.is_empty() && host.chars().all(sound) => {
                Ok(Self::Ldap(text.trim_end_matches('/').to_owned()))
            }
            _ => Err(format!(
                "`{text}` is not a source of accounts: write \"file:users.toml\", \"ldaps://ldap.example.co.jp\", \
                 \"ldap://…\" or \"upstream\""
            )),
        }
    }
}

/// The table `[auth.ldap]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Ldap {
    pub(in crate::config) tls: Option<LdapTls>,
    pub(in crate::config) ca_file: Option<PathBuf>,
    pub(in crate::config) bind: Option<String>,
    pub(in crate::config) base: Option<String>,
    pub(in crate::config) filter: Option<String>,
    pub(in crate::config) service_dn: Option<String>,
    pub(in crate::config) service_password_file: Option<PathBuf>,
    pub(in crate::config) addresses: Option<Vec<String>>,
}

/// The value of `[auth.ldap] tls`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum LdapTls {
    StartTls,
    Off,
}

/// The value of `[[listener]] auth`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListenerAuth {
    /// Not offered.
    #[default]
    Off,
    /// Clients that authenticate may relay from anywhere; clients in the networks need not authenticate.
    Optional,
    /// Every client must authenticate.
    Required,
}

/// The value of `[[listener]] tenant`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Tenant {
    pub(in crate::config) domains: Vec<String>,
    pub(in crate::config) header: super::FieldName,
    pub(in crate::config) secret_file: PathBuf,
}
