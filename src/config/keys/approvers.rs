//! `[[group]]`: senders with approvers of their own.

use crate::policy::approvers::NamedApprover;
use serde::Deserialize;

/// The table `[[group]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Group {
    pub(in crate::config) name: String,
    pub(in crate::config) senders: toml::Spanned<Vec<String>>,
    pub(in crate::config) approvers: toml::Spanned<Vec<NamedApprover>>,
}
