//! `[tls]`, and what a listener says about it.

use super::Bind;
use crate::tls::NamePattern;
use serde::Deserialize;
use std::path::PathBuf;

/// The table `[tls]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Tls {
    #[serde(default)]
    pub(in crate::config) certificates: Vec<Certificate>,
    pub(in crate::config) client_ca_file: Option<PathBuf>,
    pub(in crate::config) acme: Option<Acme>,
}

/// The table `[tls.acme]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Acme {
    #[serde(default = "lets_encrypt")]
    pub(in crate::config) directory: String,
    pub(in crate::config) domains: Vec<String>,
    #[serde(default)]
    pub(in crate::config) contact: Vec<crate::message::Address>,
    pub(in crate::config) cache: Option<PathBuf>,
    pub(in crate::config) address: Option<Bind>,
    pub(in crate::config) ca_file: Option<PathBuf>,
    #[serde(default)]
    pub(in crate::config) terms_agreed: bool,
}

fn lets_encrypt() -> String {
    "https://acme-v02.api.letsencrypt.org/directory".to_owned()
}

/// One of `[tls] certificates`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Certificate {
    pub(in crate::config) chain: PathBuf,
    pub(in crate::config) key: PathBuf,
}

/// The value of `[[listener]] tls`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(in crate::config) enum ListenerTls {
    #[default]
    Off,
    Starttls,
    Required,
    Implicit,
}

impl TryFrom<String> for ListenerTls {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "off" => Ok(Self::Off),
            "starttls" => Ok(Self::Starttls),
            "required" => Ok(Self::Required),
            "implicit" => Ok(Self::Implicit),
            other => Err(format!("`{other}` is none of \"off\", \"starttls\", \"required\", \"implicit\"")),
        }
    }
}

/// One of `[[listener]] client_certificates`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(in crate::config) struct ClientName(pub(in crate::config) NamePattern);

impl TryFrom<String> for ClientName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        NamePattern::parse(&text).map(Self)
    }
}
