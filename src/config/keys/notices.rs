//! `[notices]`, `[[approver]]`, `[[webhook]]`: who is notified of what, and how.

use crate::config::units::{Network, Span};
use crate::message::Address;
use crate::policy::verdict::Language;
use serde::Deserialize;
use std::path::PathBuf;
use toml::Spanned;

/// The table `[notices]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Notices {
    pub(in crate::config) from: Option<Address>,
    pub(in crate::config) admin: Option<Address>,
    pub(in crate::config) language: Option<Language>,
    pub(in crate::config) zone: Option<Spanned<String>>,
    pub(in crate::config) digest: Option<Spanned<String>>,
    pub(in crate::config) hours: Option<Spanned<OneOrMore>>,
    #[serde(default)]
    pub(in crate::config) holidays: Vec<Spanned<String>>,
    pub(in crate::config) escalate: Option<Spanned<Escalate>>,
}

/// `hours`: one text, or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(in crate::config) enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// The value of `[notices] escalate`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Escalate {
    pub(in crate::config) after: Span,
    pub(in crate::config) to: Vec<Address>,
}

/// The table `[[approver]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Approver {
    pub(in crate::config) address: Spanned<Address>,
    #[serde(default)]
    pub(in crate::config) deputies: Vec<Address>,
    #[serde(default)]
    pub(in crate::config) away: Vec<Spanned<String>>,
    pub(in crate::config) digest: Option<Spanned<String>>,
    pub(in crate::config) language: Option<Language>,
}

/// The value of `[[webhook]] format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum Format {
    #[default]
    Json,
    Teams,
    Slack,
}

/// The table `[[webhook]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Webhook {
    pub(in crate::config) url: Spanned<String>,
    pub(in crate::config) events: Spanned<Vec<String>>,
    #[serde(default)]
    pub(in crate::config) format: Format,
    pub(in crate::config) language: Option<Language>,
    pub(in crate::config) secret_file: Option<PathBuf>,
    #[serde(default)]
    pub(in crate::config) allow: Vec<Network>,
}
