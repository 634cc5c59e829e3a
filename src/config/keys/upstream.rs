//! `[upstream]`, `[[upstream.also]]`, `[upstreams.NAME]`, `[[route]]`

use super::tls::Certificate;
use crate::policy::budget::Limit;
use crate::upstream::rate::Rate;
use crate::upstream::smarthost::{Mechanism, Pin};
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::str::FromStr;

/// `[upstream]` and every other upstream.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Upstream {
    pub(in crate::config) address: Route,
    #[serde(default)]
    pub(in crate::config) tls: Option<UpstreamTls>,
    #[serde(default)]
    pub(in crate::config) pins: Vec<PinText>,
    pub(in crate::config) certificate: Option<Certificate>,
    pub(in crate::config) auth: Option<Auth>,
    pub(in crate::config) username: Option<String>,
    pub(in crate::config) password_file: Option<PathBuf>,
    pub(in crate::config) oauth: Option<Oauth>,
    pub(in crate::config) ca_file: Option<PathBuf>,
    #[serde(default)]
    pub(in crate::config) rate: Rates,
    #[serde(default)]
    pub(in crate::config) budget: Budget,
    #[serde(default, deserialize_with = "some_places")]
    pub(in crate::config) connections: Option<usize>,
    pub(in crate::config) hello: Option<String>,
    pub(in crate::config) priority: Option<u16>,
    pub(in crate::config) weight: Option<u16>,
    #[serde(default)]
    pub(in crate::config) also: Vec<Upstream>,
}

fn some_places<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    let number = usize::deserialize(deserializer)?;
    if (1..=1_000).contains(&number) {
        Ok(Some(number))
    } else {
        Err(de::Error::custom("`connections` is between 1 and 1000"))
    }
}

/// The value of `[upstream] address`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(in crate::config) enum Route {
    Smarthost { host: String, port: u16 },
    Capture(PathBuf),
    Mx { port: u16 },
}

impl TryFrom<String> for Route {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Some(folder) = text.strip_prefix("capture:") {
            if folder.is_empty() {
                return Err("`capture:` needs a folder, such as \"capture:out\"".to_owned());
            }
            return Ok(Self::Capture(PathBuf::from(folder)));
        }
        if text == "mx" {
            return Ok(Self::Mx { port: 25 });
        }
        let wrong = || {
            format!(
                "`{text}` is not an upstream: write a host and a port, such as \"smtp.example.net:587\", \"mx\", or \"capture:DIR\""
            )
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port: u16 = port.parse().map_err(|_| wrong())?;
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let sound = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if port == 0 || host.is_empty() || !host.chars().all(sound) {
            return Err(wrong());
        }
        if host == "mx" {
            return Ok(Self::Mx { port });
        }
        Ok(Self::Smarthost { host: host.to_owned(), port })
    }
}

/// The value of `[upstream] tls`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum UpstreamTls {
    /// STARTTLS, with a verified certificate; without it nothing is sent.
    #[default]
    Required,
    /// STARTTLS where it is offered, whatever the certificate; else plain text.
    Opportunistic,
    /// TLS from the first byte, with a verified certificate.
    Implicit,
    /// Plain text.
    Off,
}

impl TryFrom<String> for UpstreamTls {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "required" => Ok(Self::Required),
            "opportunistic" => Ok(Self::Opportunistic),
            "implicit" => Ok(Self::Implicit),
            "off" => Ok(Self::Off),
            other => {
                Err(format!("`{other}` is none of \"required\", \"opportunistic\", \"implicit\", \"off\""))
            }
        }
    }
}

/// One of `pins`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(in crate::config) struct PinText(pub(in crate::config) Pin);

impl TryFrom<String> for PinText {
    type Error = crate::upstream::smarthost::InvalidPin;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

/// The value of `auth`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(in crate::config) struct Auth(pub(in crate::config) Mechanism);

impl TryFrom<String> for Auth {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "plain" => Ok(Self(Mechanism::Plain)),
            "login" => Ok(Self(Mechanism::Login)),
            "scram-sha-256" => Ok(Self(Mechanism::ScramSha256)),
            "xoauth2" => Ok(Self(Mechanism::Xoauth2)),
            other => {
                Err(format!("`{other}` is none of \"plain\", \"login\", \"scram-sha-256\", \"xoauth2\""))
            }
        }
    }
}

/// The table `[upstream.oauth]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Oauth {
    pub(in crate::config) token_url: TokenUrl,
    pub(in crate::config) client_id: String,
    pub(in crate::config) client_secret_file: Option<PathBuf>,
    pub(in crate::config) grant: Grant,
    pub(in crate::config) refresh_token_file: Option<PathBuf>,
    pub(in crate::config) scope: Option<String>,
}

/// The value of `grant`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Grant {
    ClientCredentials,
    RefreshToken,
}

/// `token_url`: secrets are sent there, so it must be https or on this machine.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(in crate::config) struct TokenUrl(pub(in crate::config) String);

impl TryFrom<String> for TokenUrl {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let sound = reqwest::Url::parse(&text).is_ok_and(|url| match url.scheme() {
            "https" => url.has_host(),
            "http" => matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost")),
            _ => false,
        });
        if sound {
            Ok(Self(text))
        } else {
            Err(format!("`{text}` is not a URL for secrets: it starts with https://"))
        }
    }
}

/// `rate`: one, or several that all apply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::config) struct Rates(pub(in crate::config) Vec<Rate>);

impl<'de> Deserialize<'de> for Rates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        one_or_several(deserializer, "a rate, such as \"30/min\", or a list of rates").map(Self)
    }
}

/// `budget`: one, or several that all apply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::config) struct Budget(pub(in crate::config) Vec<Limit>);

impl<'de> Deserialize<'de> for Budget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        one_or_several(deserializer, "a budget, such as \"10000/day\", or a list of budgets").map(Self)
    }
}

/// A text, or a list of texts.
fn one_or_several<'de, D, T>(deserializer: D, expecting: &'static str) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + FromStr,
    T::Err: fmt::Display,
{
    struct Wanted<T>(&'static str, PhantomData<T>);
    impl<'de, T> Visitor<'de> for Wanted<T>
    where
        T: Deserialize<'de> + FromStr,
        T::Err: fmt::Display,
    {
        type Value = Vec<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<T>, E> {
            text.parse().map(|one| vec![one]).map_err(E::custom)
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut all = Vec::new();
            while let Some(one) = list.next_element::<T>()? {
                all.push(one);
            }
            Ok(all)
        }
    }
    deserializer.deserialize_any(Wanted(expecting, PhantomData))
}

/// The table `[[route]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RouteRule {
    #[serde(default)]
    pub(in crate::config) sender_domains: Vec<Domain>,
    #[serde(default)]
    pub(in crate::config) recipient_domains: Vec<Domain>,
    pub(in crate::config) upstream: String,
}

/// A domain, or `*.` and a domain for all its subdomains, as lower-case A-labels.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(in crate::config) struct Domain(pub(in crate::config) String);

impl TryFrom<String> for Domain {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let below = text.strip_prefix("*.");
        let domain = below.unwrap_or(&text);
        let ascii = idna::domain_to_ascii(domain).ok().filter(|ascii| {
            !ascii.is_empty()
                && ascii.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        });
        match ascii {
            Some(ascii) if below.is_some() => Ok(Self(format!("*.{ascii}"))),
            Some(ascii) => Ok(Self(ascii)),
            None => Err(format!(
                "`{text}` is not a domain: write \"example.co.jp\", or \"*.example.co.jp\" for all below it"
            )),
        }
    }
}
