//! The relay's own mail and webhooks as typed values: who is notified of what, when, and by which deputies.

use super::units::Span;
use super::{Base, Reporter, keys};
use crate::diagnostic::Diagnostic;
use crate::hook::Room;
use crate::message::Address;
use crate::notice::asking::{Approver, Asking, Escalation};
use crate::notice::hours::{Digest, Hours};
use crate::policy::verdict::Language;
use ipnet::IpNet;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use toml::Spanned;

/// Maximum number of webhooks.
const MOST_HOOKS: usize = 16;

/// `[notices]` and `[[approver]]`
#[derive(Clone, Debug)]
pub struct Notices {
    /// The From address of the relay's own mail.
    pub from: Address,
    /// Who gets notices that have no other recipient.
    pub admin: Option<Address>,
    /// The language of notices, where it is set.
    pub language: Option<Language>,
    /// The time zone of dates.
    pub zone: TimeZone,
    /// How approvers are asked.
    pub asking: Asking,
}

/// The table `[[webhook]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// The URL that is called.
    pub url: String,
    /// It is called when a message is held.
    pub held: bool,
    /// It is called when a message is decided.
    pub decided: bool,
    /// The format of its calls.
    pub format: Format,
    /// Private networks in which the URL may be.
    pub allow: Vec<IpNet>,
}

/// The value of `[[webhook]] format`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// For programs: signed JSON. The file contains the signing key.
    Json(PathBuf),
    /// For people in a chat room, in this language.
    Chat(Room, Language),
}

pub(super) fn notices(
    keys: keys::Notices,
    approvers: Vec<keys::Approver>,
    first_domain: Option<&str>,
    hostname: &str,
    reporter: &Reporter<'_>,
) -> Result<Notices, Diagnostic> {
    let from = match keys.from {
        Some(from) => from,
        None => Address::parse(&format!("sekisho@{}", first_domain.unwrap_or(hostname)))
            .or_else(|_| Address::parse("sekisho@localhost"))
            .map_err(|error| reporter.wrong("[notices]", "from", error.to_string()))?,
    };
    let zone = keys.zone.map_or_else(|| Ok(TimeZone::system()), |name| zone(&name, reporter))?;
    let holidays = keys.holidays.iter().map(|day| date(day.get_ref(), day.span(), reporter));
    let holidays = holidays.collect::<Result<BTreeSet<_>, _>>()?;
    let (hours_span, texts) = match keys.hours {
        Some(texts) => (
            texts.span(),
            match texts.into_inner() {
                keys::OneOrMore::One(one) => vec![one],
                keys::OneOrMore::More(more) => more,
            },
        ),
        None => (0..0, Vec::new()),
    };
    let hours = Hours::new(&texts, holidays, zone.clone()).map_err(|why| here(reporter, hours_span, why))?;
    let escalation = keys.escalate.map(|escalate| escalation(escalate, reporter)).transpose()?;
    let digest = keys.digest.map_or(Ok(Digest::AtOnce), |text| digest(&text, reporter))?;
    let asking =
        Asking { approvers: by_address(approvers, reporter)?, digest, escalation, ..Asking::plain(hours) };
    Ok(Notices { from, admin: keys.admin, language: keys.language, zone, asking })
}

fn here(reporter: &Reporter<'_>, span: std::ops::Range<usize>, said: impl Into<String>) -> Diagnostic {
    Diagnostic::at(reporter.path, reporter.text, span, said, None)
}

fn zone(name: &Spanned<String>, reporter: &Reporter<'_>) -> Result<TimeZone, Diagnostic> {
    TimeZone::get(name.get_ref()).map_err(|_| {
        let said = format!("`{}` is not a time zone: write one such as \"Asia/Tokyo\"", name.get_ref());
        here(reporter, name.span(), said)
    })
}

fn date(text: &str, span: std::ops::Range<usize>, reporter: &Reporter<'_>) -> Result<Date, Diagnostic> {
    let parsed = (text.len() == 10).then(|| text.parse::<Date>().ok()).flatten();
    parsed.ok_or_else(|| here(reporter, span, format!("`{text}` is not a date: write it as \"2026-11-23\"")))
}

fn escalation(escalate: Spanned<keys::Escalate>, reporter: &Reporter<'_>) -> Result<Escalation, Diagnostic> {
    let span = escalate.span();
    let keys::Escalate { after, to } = escalate.into_inner();
    if to.is_empty() {
        return Err(here(reporter, span, "`to` is empty: name who is told when nobody answers"));
    }
    Ok(Escalation { after: after.0, to })
}

fn digest(text: &Spanned<String>, reporter: &Reporter<'_>) -> Result<Digest, Diagnostic> {
    let span = |text: &str| text.parse::<Span>().ok().map(|span| span.0);
    Digest::parse(text.get_ref(), span).map_err(|why| here(reporter, text.span(), why))
}

fn by_address(
    keys: Vec<keys::Approver>,
    reporter: &Reporter<'_>,
) -> Result<HashMap<String, Approver>, Diagnostic> {
    let mut approvers = HashMap::new();
    for one in keys {
        let span = one.address.span();
        let address = one.address.into_inner();
        if one.deputies.iter().any(|deputy| deputy.key() == address.key()) {
            return Err(here(reporter, span, format!("{address} cannot be their own deputy")));
        }
        let away = one.away.iter().map(|text| absence(text, reporter)).collect::<Result<Vec<_>, _>>()?;
        let approver = Approver {
            address: address.clone(),
            deputies: one.deputies,
            away,
            digest: one.digest.map(|text| digest(&text, reporter)).transpose()?,
            language: one.language,
        };
        if approvers.insert(address.key().to_owned(), approver).is_some() {
            return Err(here(reporter, span, format!("there is already an [[approver]] {address}")));
        }
    }
    Ok(approvers)
}

/// `2026-12-28..2027-01-04`, or a single day.
fn absence(text: &Spanned<String>, reporter: &Reporter<'_>) -> Result<(Date, Date), Diagnostic> {
    let (from, to) = text.get_ref().split_once("..").unwrap_or((text.get_ref(), text.get_ref()));
    let (from, to) = (date(from.trim(), text.span(), reporter)?, date(to.trim(), text.span(), reporter)?);
    if from > to {
        return Err(here(reporter, text.span(), format!("`{}` ends before it begins", text.get_ref())));
    }
    Ok((from, to))
}

pub(super) fn webhooks(
    keys: Vec<keys::Webhook>,
    language: Language,
    base: &Base,
    reporter: &Reporter<'_>,
) -> Result<Vec<Webhook>, Diagnostic> {
    let mut hooks: Vec<Webhook> = Vec::new();
    for hook in keys {
        let url = hook.url.get_ref();
        if !is_url(url) {
            let said =
                format!("`{url}` is not a URL for a hook: it starts with https:// (or http://) and a host");
            return Err(here(reporter, hook.url.span(), said));
        }
        if hooks.iter().any(|other| other.url == *url) {
            return Err(here(reporter, hook.url.span(), format!("there is already a [[webhook]] for {url}")));
        }
        if hooks.len() == MOST_HOOKS {
            return Err(here(reporter, hook.url.span(), format!("there are more than {MOST_HOOKS} hooks")));
        }
        let events = hook.events.get_ref();
        if let Some(unknown) = events.iter().find(|event| !["held", "decided"].contains(&event.as_str())) {
            let said = format!("there is no event `{unknown}`: the events are \"held\" and \"decided\"");
            return Err(here(reporter, hook.events.span(), said));
        }
        if events.is_empty() {
            return Err(here(
                reporter,
                hook.events.span(),
                "`events` is empty: the hook would never be called",
            ));
        }
        let told_in = hook.language.unwrap_or(language);
        let format = match (hook.format, &hook.secret_file) {
            (keys::Format::Json, Some(file)) => Format::Json(base.join(file)),
            (keys::Format::Json, None) => {
                let said = "the hook has no `secret_file`: JSON is signed with the key in it";
                return Err(here(reporter, hook.url.span(), said));
            }
            (_, Some(_)) => {
                let said = "a chat room checks no signature: leave `secret_file` out, the URL is the secret";
                return Err(here(reporter, hook.url.span(), said));
            }
            (keys::Format::Teams, None) => Format::Chat(Room::Teams, told_in),
            (keys::Format::Slack, None) => Format::Chat(Room::Slack, told_in),
        };
        hooks.push(Webhook {
            url: url.clone(),
            held: events.iter().any(|event| event == "held"),
            decided: events.iter().any(|event| event == "decided"),
            format,
            allow: hook.allow.into_iter().map(|net| net.0).collect(),
        });
    }
    Ok(hooks)
}

fn is_url(text: &str) -> bool {
    reqwest::Url::parse(text).is_ok_and(|url| {
        ["http", "https"].contains(&url.scheme())
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && text.len() <= 1_000
    })
}
