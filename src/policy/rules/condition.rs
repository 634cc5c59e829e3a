//! One condition: whether it holds for the facts, and what was found, in words.

use super::pattern::{Names, Patterns};
use super::reason::{Phrase, counted, few, few_people, named};
use super::values::{Range, TextTest};
use crate::message::Address;
use crate::message::inspect::Attachment;
use crate::policy::Facts;
use crate::policy::risks::places::in_words;
use crate::policy::verdict::Language;

/// A condition of a rule.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    /// Outside addresses and their organisations, described in one sentence if a rule asks for both.
    Outside { addresses: Option<Range>, organisations: Option<Range> },
    /// A count.
    Count { what: Count, range: Range },
    /// Size of the message in octets.
    Size(Range),
    /// An address in a list.
    Addresses { who: Who, patterns: Box<Patterns>, written: String },
    /// The text of a field.
    Text { field: String, test: TextTest },
    /// Whether a field is present.
    Present { field: String, wanted: bool },
    /// A property of the message.
    Flag { flag: Flag, wanted: bool },
    /// Whether one earlier mail showed all outsiders to each other.
    Known { wanted: bool },
    /// An attachment that meets a test.
    Attachment(Box<AttachmentTest>),
}

/// What a rule can count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    Recipients,
    EnvelopeOnly,
    /// Visible addresses of the outside organisation that has the most.
    SameOrganisation,
    /// Outside addresses written in the body part that has the most.
    WrittenAddresses,
}

/// Which address is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// MAIL FROM.
    Sender,
    /// Any mailbox of From.
    From,
    /// At least one envelope recipient.
    RecipientAny,
    /// Every envelope recipient.
    RecipientAll,
}

/// The properties of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flag {
    Reply,
    Circle,
    Report,
    AutoForward,
    Attachment,
    Calendar,
    Tnef,
    Encrypted,
    Signed,
    Opaque,
    InternalOnly,
    FromIsOurs,
    Unparseable,
}

/// A test of attachments; one attachment must meet every given criterion.
#[derive(Clone, Debug)]
pub(super) struct AttachmentTest {
    pub(super) name: Option<Names>,
    pub(super) content_type: Option<Names>,
    pub(super) size: Option<Range>,
    pub(super) written: String,
}

impl Condition {
    /// Whether it holds. Every mail asks this of every condition, so it makes no text.
    pub(super) fn holds(&self, facts: &Facts) -> bool {
        match self {
            Self::Outside { addresses, organisations } => {
                addresses.is_none_or(|range| range.holds(facts.external_addresses.len() as u64))
                    && organisations.is_none_or(|range| range.holds(facts.external_organisations as u64))
            }
            Self::Count { what, range } => range.holds(what.of(facts)),
            Self::Size(range) => range.holds(facts.size),
            Self::Addresses { who, patterns, .. } => who.is_in(patterns, facts),
            Self::Text { field, test } => facts.header_texts_named(field).any(|text| test.holds(text)),
            Self::Present { field, wanted } => is_present(facts, field) == *wanted,
            Self::Flag { flag, wanted } => flag.is(facts) == *wanted,
            Self::Known { wanted } => super::known::one_mail_showed_all(facts) == *wanted,
            Self::Attachment(test) => test.found(facts).is_some(),
        }
    }

    /// What was found, in words.
    pub(super) fn phrase(&self, facts: &Facts) -> Phrase {
        let holds = self.holds(facts);
        match self {
            Self::Outside { addresses, organisations } => outside(facts, *addresses, *organisations, holds),
            Self::Count { what, range } => count(facts, *what, *range),
            Self::Size(range) => size(facts.size, *range),
            Self::Addresses { who, patterns, written } => addresses(facts, *who, patterns, written, holds),
            Self::Text { field, test } => text(facts, field, test, holds),
            Self::Present { field, .. } if is_present(facts, field) => {
                Phrase::new(format!("it has a {field} field"), format!("{field} 欄があります"))
            }
            Self::Present { field, .. } => {
                Phrase::new(format!("it has no {field} field"), format!("{field} 欄はありません"))
            }
            Self::Flag { flag, .. } => flag.phrase(facts),
            Self::Known { .. } => super::known::told(facts),
            Self::Attachment(test) => test.phrase(facts),
        }
    }

    /// Who prevents the exemption, if it almost applies.
    pub(super) fn nearly(&self, facts: &Facts) -> Option<Phrase> {
        match self {
            Self::Known { wanted: true } => super::known::nearly(facts),
            _ => None,
        }
    }
}

/// "12 outside addresses at 9 organisations would see each other (5 or more at 2 or more): a@x …"
fn outside(facts: &Facts, addresses: Option<Range>, organisations: Option<Range>, holds: bool) -> Phrase {
    let number = facts.external_addresses.len() as u64;
    let groups = facts.external_organisations as u64;
    let people = counted(number, "outside address", "outside addresses");
    let at = counted(groups, "organisation", "organisations");
    let (en, ja) = match (addresses, organisations) {
        (Some(a), Some(o)) => (
            format!("({} people, {} organisations)", a.words().en, o.words().en),
            format!("（基準：{}かつ{}）", a.words_counting("名").ja, o.words_counting("組織").ja),
        ),
        (Some(a), None) => {
            (format!("({})", a.words().en), format!("（基準：{}）", a.words_counting("名").ja))
        }
        (None, Some(o)) => (
            format!("({} organisations)", o.words().en),
            format!("（基準：{}）", o.words_counting("組織").ja),
        ),
        (None, None) => (String::new(), String::new()),
    };
    let warns = holds && number > 1 && addresses.or(organisations).is_some_and(Range::is_open);
    if warns {
        let names = named(&facts.external_addresses);
        Phrase::new(
            format!("{people} at {at} would see each other {en}{}", names.en),
            format!("社外の{number}名（{groups}組織）のアドレスが互いに見えます{ja}{}", names.ja),
        )
    } else {
        let only = if holds { "" } else { "only " };
        let only =
            if addresses.is_some_and(|range| !range.holds(number) && !range.is_open()) { "" } else { only };
        Phrase::new(
            format!("{only}{people} at {at} {en}"),
            format!("見える社外の宛先は{number}名（{groups}組織）です{ja}"),
        )
    }
}

impl Count {
    fn of(self, facts: &Facts) -> u64 {
        let number = match self {
            Self::Recipients => facts.recipients.len(),
            Self::EnvelopeOnly => facts.envelope_only.len(),
            Self::SameOrganisation => facts.largest_organisation.as_ref().map_or(0, |one| one.addresses),
            Self::WrittenAddresses => facts.written_outside.as_ref().map_or(0, |part| part.count),
        };
        number as u64
    }
}

fn count(facts: &Facts, what: Count, range: Range) -> Phrase {
    let number = what.of(facts);
    let (words, counter) = (range.words().en, range.words_counting("名").ja);
    match what {
        Count::Recipients => Phrase::new(
            format!("{} ({words})", counted(number, "recipient", "recipients")),
            format!("宛先は{number}名です（基準：{counter}）"),
        ),
        Count::EnvelopeOnly => Phrase::new(
            format!("{} in Bcc ({words})", counted(number, "recipient", "recipients")),
            format!("Bcc の宛先が{number}名います（基準：{counter}）"),
        ),
        Count::SameOrganisation => {
            let name =
                facts.largest_organisation.as_ref().map_or("one organisation", |one| one.name.as_str());
            let people = counted(number, "outside address", "outside addresses");
            Phrase::new(
                format!("{people} at {name} would see each other ({words})"),
                format!("社外の1組織（{name}）の{number}名のアドレスが互いに見えます（基準：{counter}）"),
            )
        }
        Count::WrittenAddresses => {
            let place = facts.written_outside.as_ref().map_or_else(Phrase::default, |part| {
                let few = few_people(&part.examples, part.count);
                let (en, ja) = super::finding::file_of(facts, &part.path).map_or_else(
                    || ("the text".to_owned(), "本文".to_owned()),
                    |file| (file.to_owned(), format!("{file} ")),
                );
                Phrase::new(format!(" in {en}: {}", few.en), format!("（{ja}の中：{}）", few.ja))
            });
            Phrase::new(
                format!(
                    "{} written in the content ({words}){}",
                    counted(number, "outside address", "outside addresses"),
                    place.en
                ),
                format!(
                    "本文や添付に社外の{number}名のアドレスが書かれています（基準：{counter}）{}",
                    place.ja
                ),
            )
        }
    }
}

fn size(size: u64, range: Range) -> Phrase {
    let (now, words) = (super::reason::octets(size), range.size_words());
    Phrase::new(
        format!("the message has {now} ({})", words.en),
        format!("メールの大きさは{now}です（基準：{}）", words.ja),
    )
}

fn is_present(facts: &Facts, field: &str) -> bool {
    facts.header_texts_named(field).next().is_some()
}

impl Who {
    fn is_in(self, patterns: &Patterns, facts: &Facts) -> bool {
        let inside = |address: &Address| patterns.holds(Some(address));
        match self {
            Self::Sender => patterns.holds(facts.mail_from.as_ref()),
            Self::From => facts.from.iter().any(|mailbox| inside(&mailbox.address)),
            Self::RecipientAny => facts.recipients.iter().any(inside),
            Self::RecipientAll => !facts.recipients.is_empty() && facts.recipients.iter().all(inside),
        }
    }
}

fn addresses(facts: &Facts, who: Who, patterns: &Patterns, written: &str, holds: bool) -> Phrase {
    let inside = |address: &&Address| patterns.holds(Some(address));
    let outside = |address: &&Address| !patterns.holds(Some(address));
    let said = |address: Option<&Address>| address.map_or("<>".to_owned(), ToString::to_string);
    let from = || facts.from.iter().map(|mailbox| &mailbox.address);
    let (en, ja) = match who {
        Who::Sender => {
            let sender = said(facts.mail_from.as_ref());
            (format!("the sender {sender}"), format!("差出人 {sender}"))
        }
        Who::From => {
            let shown = said(from().find(inside).or_else(|| from().next()));
            (format!("From {shown}"), format!("差出人 {shown}"))
        }
        Who::RecipientAny => match facts.recipients.iter().find(inside) {
            Some(one) => (format!("the recipient {one}"), format!("宛先 {one}")),
            None => ("no recipient".to_owned(), "どの宛先も".to_owned()),
        },
        Who::RecipientAll => match facts.recipients.iter().find(outside) {
            Some(one) => (format!("the recipient {one}"), format!("宛先 {one}")),
            None => ("every recipient".to_owned(), "すべての宛先".to_owned()),
        },
    };
    match (holds, who) {
        (true, _) => Phrase::new(format!("{en} is in {written}"), format!("{ja}は {written} に含まれます")),
        (false, Who::RecipientAny) => {
            Phrase::new(format!("{en} is in {written}"), format!("{ja} {written} に含まれません"))
        }
        (false, _) => {
            Phrase::new(format!("{en} is not in {written}"), format!("{ja}は {written} に含まれません"))
        }
    }
}

/// The Japanese name of a field.
fn field_ja(field: &str) -> String {
    if field.eq_ignore_ascii_case("subject") { "件名".to_owned() } else { format!("{field} 欄") }
}

fn text(facts: &Facts, field: &str, test: &TextTest, holds: bool) -> Phrase {
    let words = &test.words;
    // says only what was found first
    let found = facts.header_texts_named(field).find_map(|text| test.found(text));
    if let Some(word) = found {
        Phrase::new(
            format!("the {field} contains “{word}”"),
            format!("{}に「{word}」を含みます", field_ja(field)),
        )
    } else if holds {
        Phrase::new(
            format!("the {field} {}", words.en),
            format!("{}が「{}」に該当します", field_ja(field), words.ja),
        )
    } else {
        Phrase::new(
            format!("no {field} that {}", words.en),
            format!("{}は「{}」に該当しません", field_ja(field), words.ja),
        )
    }
}

impl AttachmentTest {
    /// The first attachment that meets the test.
    pub(super) fn found<'a>(&self, facts: &'a Facts) -> Option<&'a Attachment> {
        facts.body.attachments.iter().find(|attachment| {
            self.name.as_ref().is_none_or(|names| names.holds(&attachment.name))
                && self.content_type.as_ref().is_none_or(|types| types.holds(&attachment.content_type))
                && self.size.is_none_or(|range| range.holds(attachment.size))
        })
    }

    fn phrase(&self, facts: &Facts) -> Phrase {
        match self.found(facts) {
            Some(one) => {
                let name = if one.name.is_empty() { &one.content_type } else { &one.name };
                let size = super::reason::octets(one.size);
                let word = self.name.as_ref().and_then(|names| names.word_in(&one.name));
                match word {
                    Some(word) => Phrase::new(
                        format!("the name of the attachment {name} ({size}) contains “{word}”"),
                        format!("添付ファイル {name}（{size}）の名前に「{word}」を含みます"),
                    ),
                    None => Phrase::new(
                        format!("the attachment {name} ({size}) is one of {}", self.written),
                        format!("添付ファイル {name}（{size}）は「{}」に該当します", self.written),
                    ),
                }
            }
            None => Phrase::new(
                format!("no attachment is one of {}", self.written),
                format!("「{}」に該当する添付ファイルはありません", self.written),
            ),
        }
    }
}

impl Flag {
    fn is(self, facts: &Facts) -> bool {
        match self {
            Self::Reply => facts.reply,
            Self::Circle => facts.circle,
            Self::Report => facts.report,
            Self::AutoForward => facts.auto_forward,
            Self::Attachment => facts.body.attachments.iter().any(|one| !one.in_text),
            Self::Calendar => facts.body.calendar.is_some(),
            Self::Tnef => facts.body.tnef.is_some(),
            Self::Encrypted => facts.body.encrypted.is_some(),
            Self::Signed => facts.body.signed,
            Self::Opaque => !facts.body.opaque.is_empty(),
            Self::InternalOnly => facts.is_internal_only(),
            Self::FromIsOurs => facts.from_is_ours,
            Self::Unparseable => !facts.problems.is_empty(),
        }
    }

    fn phrase(self, facts: &Facts) -> Phrase {
        let is = self.is(facts);
        let names = |items: Vec<&str>| few(&items, items.len());
        match (self, is) {
            (Self::Attachment, true) => {
                let few = names(
                    facts
                        .body
                        .attachments
                        .iter()
                        .filter(|one| !one.in_text)
                        .map(|one| one.name.as_str())
                        .collect(),
                );
                Phrase::new(
                    format!("it has attachments: {}", few.en),
                    format!("添付ファイルがあります：{}", few.ja),
                )
            }
            (Self::Opaque, true) => {
                let said = |language| {
                    let places = facts.body.opaque.iter().map(|one| in_words(&one.name, language));
                    let places: Vec<String> = places.collect();
                    few(&places, places.len())
                };
                Phrase::new(
                    format!("it has files that cannot be inspected: {}", said(Language::En).en),
                    format!("中身を検査できないファイルがあります：{}", said(Language::Ja).ja),
                )
            }
            (Self::Unparseable, true) => {
                let problem =
                    facts.problems.first().map(|one| super::finding::plain(one)).unwrap_or_default();
                Phrase::new(format!("it cannot be read reliably: {}", problem.en), problem.ja)
            }
            _ => {
                let (en, ja) = self.plain(is);
                Phrase::new(en, ja)
            }
        }
    }

    fn plain(self, is: bool) -> (&'static str, &'static str) {
        match (self, is) {
            (Self::Reply, true) => ("it is a reply", "返信です"),
            (Self::Reply, false) => ("it is not a reply", "返信ではありません"),
            (Self::Circle, true) => (
                "all outsiders here were already openly together on this thread",
                "社外の宛先は全員、このスレッドですでに互いに見えています",
            ),
            (Self::Circle, false) => (
                "these outsiders were not openly together on this thread before",
                "社外の宛先どうしは、これまでこのスレッドで互いに見えていません",
            ),
            (Self::Report, true) => ("it is a report or an automatic answer", "配信通知または自動応答です"),
            (Self::Report, false) => ("it is no report", "配信通知ではありません"),
            (Self::AutoForward, true) => ("it is forwarded automatically", "自動転送されたメールです"),
            (Self::AutoForward, false) => ("it is not forwarded automatically", "自動転送ではありません"),
            (Self::Attachment, _) => ("it has no attachment", "添付ファイルはありません"),
            (Self::Calendar, true) => ("it has a calendar part", "招待状（予定表）を含みます"),
            (Self::Calendar, false) => ("it has no calendar part", "招待状（予定表）を含みません"),
            (Self::Tnef, true) => ("it has a winmail.dat", "winmail.dat を含みます"),
            (Self::Tnef, false) => ("it has no winmail.dat", "winmail.dat を含みません"),
            (Self::Encrypted, true) => ("it is encrypted", "暗号化されています"),
            (Self::Encrypted, false) => ("it is not encrypted", "暗号化されていません"),
            (Self::Signed, true) => ("it is signed", "電子署名があります"),
            (Self::Signed, false) => ("it is not signed", "電子署名はありません"),
            (Self::Opaque, _) => ("every part can be looked into", "すべての部分を確認できます"),
            (Self::InternalOnly, true) => ("nobody outside gets it", "社外の宛先はありません"),
            (Self::InternalOnly, false) => ("somebody outside gets it", "社外の宛先があります"),
            (Self::FromIsOurs, true) => ("its From is ours", "差出人は社内です"),
            (Self::FromIsOurs, false) => ("its From is not ours", "差出人は社外です"),
            (Self::Unparseable, _) => ("it can be read", "正しく読み取れます"),
        }
    }
}
