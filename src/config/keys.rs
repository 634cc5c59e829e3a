//! The keys of the configuration file as TOML has them. Every table rejects unknown keys.

pub(super) mod accounts;
mod approvers;
pub(super) mod desk;
pub(super) mod dns;
pub(super) mod notices;
mod sealing;
pub(super) mod store;
pub(super) mod tls;
pub(super) mod upstream;

use super::units::{Network, Size, Span};
pub(super) use approvers::Group;
pub(super) use notices::{Approver, Escalate, Format, Notices, OneOrMore, Webhook};
pub(super) use sealing::{Dkim, Marks, Sign};
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) hostname: Option<String>,
    pub(super) organisation: toml::Spanned<Organisation>,
    pub(super) listener: Vec<Listener>,
    pub(super) upstream: upstream::Upstream,
    #[serde(default)]
    pub(super) upstreams: BTreeMap<String, upstream::Upstream>,
    #[serde(default)]
    pub(super) route: Vec<upstream::RouteRule>,
    pub(super) policy: Policy,
    #[serde(default)]
    pub(super) group: Vec<Group>,
    #[serde(default)]
    pub(super) approver: Vec<Approver>,
    #[serde(default)]
    pub(super) webhook: Vec<Webhook>,
    #[serde(default)]
    pub(super) store: Store,
    #[serde(default)]
    pub(super) knowledge: store::Knowledge,
    #[serde(default)]
    pub(super) desk: desk::Desk,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(default)]
    pub(super) rewrite: Rewrite,
    #[serde(default)]
    pub(super) notices: Notices,
    #[serde(default)]
    pub(super) dns: dns::Dns,
    #[serde(default)]
    pub(super) tls: tls::Tls,
    pub(super) auth: Option<accounts::Auth>,
    #[serde(default)]
    pub(super) dkim: Dkim,
    #[serde(default)]
    pub(super) marks: Marks,
}

/// The table `[organisation]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Organisation {
    pub(super) domains: Domains,
    #[serde(default = "yes")]
    pub(super) include_subdomains: bool,
    #[serde(default)]
    pub(super) partners: Vec<String>,
    #[serde(default)]
    pub(super) not_ours: Vec<String>,
    #[serde(default)]
    pub(super) individuals: Vec<String>,
    #[serde(default)]
    pub(super) egress: Vec<IpAddr>,
}

const fn yes() -> bool {
    true
}

/// `domains`: a list, or `"sender"` for the domain of each sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Domains {
    Listed(Vec<String>),
    OfSender,
}

impl<'de> Deserialize<'de> for Domains {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Wanted;
        impl<'de> Visitor<'de> for Wanted {
            type Value = Domains;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of domains, such as [\"example.co.jp\"], or \"sender\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Domains, E> {
                if text == "sender" {
                    Ok(Domains::OfSender)
                } else {
                    Err(E::invalid_value(de::Unexpected::Str(text), &self))
                }
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Domains, A::Error> {
                let mut domains = Vec::new();
                while let Some(domain) = list.next_element::<String>()? {
                    domains.push(domain);
                }
                if domains.is_empty() {
                    return Err(de::Error::custom(
                        "`domains` is empty: name at least one domain that is ours",
                    ));
                }
                Ok(Domains::Listed(domains))
            }
        }
        deserializer.deserialize_any(Wanted)
    }
}

/// The table `[[listener]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listener {
    pub(super) address: Bind,
    #[serde(default)]
    pub(super) role: Role,
    #[serde(default)]
    pub(super) users: Vec<String>,
    #[serde(default)]
    pub(super) allow: Vec<Network>,
    #[serde(default)]
    pub(super) normalise_line_ends: Vec<Network>,
    #[serde(default)]
    pub(super) tls: tls::ListenerTls,
    #[serde(default)]
    pub(super) client_certificates: Vec<tls::ClientName>,
    #[serde(default)]
    pub(super) proxy: Vec<Network>,
    #[serde(default)]
    pub(super) auth: accounts::ListenerAuth,
    pub(super) senders: Option<Vec<String>>,
    #[serde(default)]
    pub(super) spf: Vec<String>,
    pub(super) tenant: Option<accounts::Tenant>,
}

/// The value of `role`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Role {
    #[default]
    Relay,
    Journal,
}

/// An address and port to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Bind(pub(super) SocketAddr);

impl TryFrom<String> for Bind {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            format!("`{text}` is not an address to listen on: write an IP address and a port, such as \"127.0.0.1:2525\"")
        })
    }
}

/// `[desk] address`: like a listener's, or `"off"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct BindOrOff(pub(super) Option<SocketAddr>);

impl TryFrom<String> for BindOrOff {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text == "off" { Ok(Self(None)) } else { Bind::try_from(text).map(|bind| Self(Some(bind.0))) }
    }
}

/// The table `[policy]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Policy {
    pub(super) files: Vec<PathBuf>,
    #[serde(default)]
    pub(super) mode: Mode,
    #[serde(default)]
    pub(super) approvers: Vec<crate::policy::approvers::NamedApprover>,
    pub(super) managers: Option<PathBuf>,
    pub(super) expiry: Option<Span>,
    pub(super) sender_first: Option<Span>,
}

/// The value of `[policy] mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Mode {
    #[default]
    Enforce,
    Observe,
}

/// The table `[store]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Store {
    pub(super) url: Option<StoreUrl>,
    /// The password of a PostgreSQL database.
    pub(super) password_file: Option<PathBuf>,
    /// What this relay is called among those that share the database.
    pub(super) node: Option<String>,
    /// Where a relay on PostgreSQL keeps what is its own.
    pub(super) state: Option<PathBuf>,
    #[serde(default)]
    pub(super) keep: store::Keep,
    pub(super) journal_key_file: Option<PathBuf>,
    pub(super) journal_head_to: Option<crate::message::Address>,
}

/// The value of `[store] url`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) enum StoreUrl {
    /// A file of SQLite.
    Sqlite(PathBuf),
    /// A database of PostgreSQL, as it is written.
    Postgres(String),
}

impl TryFrom<String> for StoreUrl {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.strip_prefix("sqlite:") {
            Some(path) if !path.is_empty() => Ok(Self::Sqlite(PathBuf::from(path))),
            _ if text.starts_with("postgres") => match crate::store::postgres::Place::parse(&text, None) {
                Ok(_) => Ok(Self::Postgres(text)),
                Err(why) => Err(why.to_string()),
            },
            _ => Err(format!(
                "`{text}` is not a store: write \"sqlite:\" and a file, such as \"sqlite:sekisho.db\", or \
                 \"postgres://USER@HOST/DATABASE\""
            )),
        }
    }
}

/// The table `[limits]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) size: Option<Size>,
    pub(super) recipients: Option<usize>,
    pub(super) sessions: Option<usize>,
    pub(super) sessions_per_client: Option<usize>,
}

/// The table `[rewrite]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rewrite {
    #[serde(default)]
    pub(super) also_keep: Vec<FieldName>,
    #[serde(default)]
    pub(super) hide_internal: bool,
    #[serde(default)]
    pub(super) show_external_to_internal: bool,
}

/// The name of a header field in lower case (RFC 5322 §2.2).
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct FieldName(pub(super) String);

impl TryFrom<String> for FieldName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let sound = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b':');
        let always_out = ["to", "cc", "apparently-to", "x-envelope-to"];
        let lower = text.to_ascii_lowercase();
        if !sound {
            Err(format!("`{text}` is not the name of a header field"))
        } else if crate::message::named::is_blind(lower.as_bytes()) || always_out.contains(&lower.as_str()) {
            Err(format!("`{text}` names recipients: no copy may keep it"))
        } else {
            Ok(Self(lower))
        }
    }
}
