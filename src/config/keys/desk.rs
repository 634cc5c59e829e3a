//! `[desk]`: its address, roles, and ways to sign in.

use super::BindOrOff;
use crate::config::units::{Network, Span};
use crate::policy::verdict::Bilingual;
use serde::Deserialize;
use std::path::PathBuf;

/// The table `[desk]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Desk {
    pub(in crate::config) address: Option<BindOrOff>,
    pub(in crate::config) url: Option<String>,
    pub(in crate::config) session: Option<Span>,
    pub(in crate::config) idle: Option<Span>,
    pub(in crate::config) grace: Option<Span>,
    pub(in crate::config) people: Option<PathBuf>,
    pub(in crate::config) mail_codes: Option<bool>,
    pub(in crate::config) admin_codes: Option<bool>,
    pub(in crate::config) passkeys: Option<bool>,
    pub(in crate::config) mail_decisions: Option<bool>,
    pub(in crate::config) contact: Option<Contact>,
    #[serde(default)]
    pub(in crate::config) proxies: Vec<Network>,
    pub(in crate::config) monitoring: Option<Vec<Network>>,
    pub(in crate::config) connections: Option<usize>,
    pub(in crate::config) connections_per_client: Option<usize>,
    #[serde(default)]
    pub(in crate::config) roles: Roles,
    pub(in crate::config) oidc: Option<Oidc>,
}

/// `contact`: one text, or one per language.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(in crate::config) enum Contact {
    One(String),
    Both(Bilingual),
}

/// `[desk.roles]`: who has a role beyond that of a sender, by name or address.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Roles {
    pub(in crate::config) approver: Vec<String>,
    pub(in crate::config) auditor: Vec<String>,
    pub(in crate::config) admin: Vec<String>,
}

/// The table `[desk.oidc]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Oidc {
    pub(in crate::config) name: Option<String>,
    pub(in crate::config) issuer: String,
    pub(in crate::config) client_id: String,
    pub(in crate::config) client_secret_file: Option<PathBuf>,
    pub(in crate::config) ca_file: Option<PathBuf>,
    pub(in crate::config) scopes: Option<Vec<String>>,
    pub(in crate::config) claim: Option<String>,
    #[serde(default)]
    pub(in crate::config) roles: Roles,
    #[serde(default)]
    pub(in crate::config) trust_addresses: bool,
}
