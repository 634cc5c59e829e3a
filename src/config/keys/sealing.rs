//! `[dkim]` and `[marks]`.

use super::FieldName;
use serde::Deserialize;
use std::path::PathBuf;

/// The table `[dkim]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Dkim {
    #[serde(default)]
    pub(in crate::config) keys: Vec<SigningKey>,
    #[serde(default)]
    pub(in crate::config) sign: Sign,
}

/// One of `[dkim] keys`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct SigningKey {
    pub(in crate::config) domain: String,
    pub(in crate::config) selector: Selector,
    pub(in crate::config) key: PathBuf,
}

/// The name a key is published under (RFC 6376 §3.1), in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(in crate::config) struct Selector(pub(in crate::config) String);

impl TryFrom<String> for Selector {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match crate::config::selector(&text) {
            Some(selector) => Ok(Self(selector)),
            None => Err(format!(
                "`{text}` is not a selector: letters, digits and hyphens, such as \"s1\" or \"sekisho-2026\""
            )),
        }
    }
}

/// The value of `[dkim] sign`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(in crate::config) enum Sign {
    #[default]
    Rewritten,
    All,
}

impl TryFrom<String> for Sign {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "rewritten" => Ok(Self::Rewritten),
            "all" => Ok(Self::All),
            other => Err(format!("`{other}` is none of \"rewritten\", \"all\"")),
        }
    }
}

/// The table `[marks]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Marks {
    pub(in crate::config) header: Option<FieldName>,
    pub(in crate::config) secret_file: Option<PathBuf>,
    pub(in crate::config) key_file: Option<PathBuf>,
}
