//! The format of policy files. Unknown keys are errors.

use super::values::{RawRange, RawSize, RawSizes, RawText, Texts};
use crate::policy::verdict::Bilingual;
use serde::Deserialize;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a policy: [[rule]] tables")]
pub(super) struct RawFile {
    #[serde(default)]
    pub(super) rule: Vec<RawRule>,
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a rule: name, when, demand, and perhaps unless, title, reason, approvers, enabled"
)]
pub(super) struct RawRule {
    pub(super) name: Spanned<String>,
    pub(super) when: Spanned<RawConditions>,
    pub(super) unless: Option<Spanned<RawConditions>>,
    pub(super) demand: Spanned<Texts>,
    pub(super) title: Option<RawReason>,
    pub(super) reason: Option<RawReason>,
    pub(super) approvers: Option<Vec<Spanned<String>>>,
    #[serde(default = "yes")]
    pub(super) enabled: bool,
}

fn yes() -> bool {
    true
}

#[derive(Default, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table of conditions such as { external_addresses = { at_least = 5 } }"
)]
pub(super) struct RawConditions {
    pub(super) external_addresses: Option<Spanned<RawRange>>,
    pub(super) external_organisations: Option<Spanned<RawRange>>,
    pub(super) same_organisation: Option<Spanned<RawRange>>,
    pub(super) recipients: Option<Spanned<RawRange>>,
    pub(super) envelope_only: Option<Spanned<RawRange>>,
    pub(super) written_addresses: Option<Spanned<RawRange>>,
    pub(super) size: Option<Spanned<RawSizes>>,
    pub(super) sender: Option<Spanned<Texts>>,
    pub(super) from: Option<Spanned<Texts>>,
    pub(super) recipient_any: Option<Spanned<Texts>>,
    pub(super) recipient_all: Option<Spanned<Texts>>,
    pub(super) subject: Option<Spanned<RawText>>,
    pub(super) header: Option<Spanned<RawHeaders>>,
    pub(super) attachment: Option<Spanned<RawAttachment>>,
    pub(super) reply: Option<bool>,
    pub(super) circle: Option<bool>,
    pub(super) known_to_each_other: Option<bool>,
    pub(super) report: Option<bool>,
    pub(super) auto_forward: Option<bool>,
    pub(super) calendar: Option<bool>,
    pub(super) tnef: Option<bool>,
    pub(super) encrypted: Option<bool>,
    pub(super) signed: Option<bool>,
    pub(super) opaque: Option<bool>,
    pub(super) internal_only: Option<bool>,
    pub(super) from_is_ours: Option<bool>,
    pub(super) unparseable: Option<bool>,
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a test of a field such as { name = \"X-Class\", contains = \"secret\" }"
)]
pub(super) struct RawHeader {
    pub(super) name: String,
    pub(super) matches: Option<String>,
    pub(super) contains: Option<Texts>,
    pub(super) present: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "true, false or a table such as { name = \"*.xlsx\" }")]
pub(super) struct RawAttachmentTable {
    pub(super) name: Option<Texts>,
    #[serde(rename = "type")]
    pub(super) content_type: Option<Texts>,
    pub(super) at_least: Option<RawSize>,
    pub(super) at_most: Option<RawSize>,
}

/// One test of a field, or several that must all hold.
pub(super) struct RawHeaders(pub(super) Vec<RawHeader>);

/// `true`, `false`, or a test.
pub(super) enum RawAttachment {
    Any(bool),
    Such(RawAttachmentTable),
}

/// One text for both languages, or one for each.
pub(super) struct RawReason(pub(super) Bilingual);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawReasonTable {
    pub(super) en: Option<String>,
    pub(super) ja: Option<String>,
}

impl<'de> Deserialize<'de> for RawHeaders {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = RawHeaders;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(
                    "a test of a field such as { name = \"X-Class\", contains = \"secret\" }, or a list",
                )
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<RawHeaders, A::Error> {
                RawHeader::deserialize(serde::de::value::MapAccessDeserializer::new(map))
                    .map(|header| RawHeaders(vec![header]))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, seq: A) -> Result<RawHeaders, A::Error> {
                Vec::deserialize(serde::de::value::SeqAccessDeserializer::new(seq)).map(RawHeaders)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl<'de> Deserialize<'de> for RawAttachment {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = RawAttachment;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("true, false or a table such as { name = \"*.xlsx\" }")
            }
            fn visit_bool<E>(self, any: bool) -> Result<RawAttachment, E> {
                Ok(RawAttachment::Any(any))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<RawAttachment, A::Error> {
                RawAttachmentTable::deserialize(serde::de::value::MapAccessDeserializer::new(map))
                    .map(RawAttachment::Such)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl<'de> Deserialize<'de> for RawReason {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = RawReason;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text, or { en = \"…\", ja = \"…\" }")
            }
            fn visit_str<E>(self, text: &str) -> Result<RawReason, E> {
                Ok(RawReason(Bilingual { en: text.to_owned(), ja: text.to_owned() }))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<RawReason, A::Error> {
                let table = RawReasonTable::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                let (en, ja) = match (table.en, table.ja) {
                    (Some(en), Some(ja)) => (en, ja),
                    (Some(one), None) | (None, Some(one)) => (one.clone(), one),
                    (None, None) => return Err(serde::de::Error::custom("give en, ja or both")),
                };
                Ok(RawReason(Bilingual { en, ja }))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
