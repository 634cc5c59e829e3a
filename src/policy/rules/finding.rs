//! Describes what a matching condition found as a risk, for the approver.

use super::condition::{Condition, Count, Flag};
use crate::message::inspect::{Attachment, Tnef};
use crate::policy::Facts;
use crate::policy::risks::{Kind, Risk};
use crate::policy::verdict::Bilingual;
use std::collections::BTreeSet;

impl Condition {
    /// The risk; `None` if the condition only says which mail the rule is about.
    pub(super) fn risk(&self, facts: &Facts) -> Option<Risk> {
        match self {
            Self::Outside { addresses, organisations } => {
                // "at most one" is not an exposure; a range with both bounds is
                let few = [addresses, organisations].into_iter().flatten().all(|range| range.holds(0));
                (facts.external_addresses.len() > 1 && !few).then(|| exposed(facts))
            }
            Self::Count { what: Count::SameOrganisation, .. } => Some(exposed(facts)),
            Self::Count { what: Count::EnvelopeOnly, range } => range
                .is_open()
                .then(|| Risk { people: facts.envelope_only.len(), ..Risk::new(Kind::LargeBcc) }),
            Self::Count { what: Count::WrittenAddresses, range } => {
                if range.is_open() {
                    list_of_people(facts)
                } else {
                    None
                }
            }
            Self::Attachment(test) => {
                test.found(facts).map(|file| Risk::new(Kind::File).about([name_of(file)]))
            }
            Self::Text { field, test } => {
                let word = facts.header_texts_named(field).find_map(|text| test.found(text))?;
                Some(Risk { place: field.clone(), ..Risk::new(Kind::Words).about([word]) })
            }
            Self::Flag { flag, wanted: true } => flag.risk(facts),
            _ => None,
        }
    }
}

impl Flag {
    fn risk(self, facts: &Facts) -> Option<Risk> {
        let body = &facts.body;
        Some(match self {
            Self::Attachment => {
                let files = body.attachments.iter().filter(|one| !one.in_text).map(name_of);
                Risk { people: facts.outside_recipients, ..Risk::new(Kind::Attachment).about(files) }
            }
            Self::Opaque => {
                // an opaque part without a name, such as encrypted text, is described by the title alone
                let named = body.opaque.iter().filter_map(|one| {
                    file_of(facts, &one.path).or_else(|| Some(&one.name).filter(|name| !name.contains('/')))
                });
                Risk::new(Kind::Opaque).about(named.collect::<BTreeSet<_>>())
            }
            Self::Calendar => invitation(facts),
            Self::Tnef => winmail(facts),
            Self::Encrypted => Risk::new(Kind::Encrypted),
            Self::Unparseable => unreadable(facts),
            Self::FromIsOurs
            | Self::Reply
            | Self::Circle
            | Self::Report
            | Self::AutoForward
            | Self::Signed
            | Self::InternalOnly => return None,
        })
    }
}

fn exposed(facts: &Facts) -> Risk {
    Risk::exposed(facts.external_addresses.len(), facts.external_organisations)
}

/// The part in which the most addresses are written: the name of the file, or the text.
fn list_of_people(facts: &Facts) -> Option<Risk> {
    let part = facts.written_outside.as_ref()?;
    let risk = Risk { people: part.count, ..Risk::new(Kind::ListOfPeople) };
    Some(match file_of(facts, &part.path) {
        Some(file) => risk.about([file]),
        None => risk,
    })
}

/// The name of the attachment that a part belongs to; `None` for the text.
pub(super) fn file_of<'a>(facts: &'a Facts, path: &str) -> Option<&'a String> {
    let inside = |file: &&Attachment| {
        let rest = path.strip_prefix(file.path.as_str());
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    facts.body.attachments.iter().filter(inside).max_by_key(|file| file.path.len()).map(name_of)
}

/// The name of a file as people know it.
fn name_of(file: &Attachment) -> &String {
    if file.name.is_empty() { &file.content_type } else { &file.name }
}

/// An invitation, with the number of outsiders that it names.
pub(super) fn invitation(facts: &Facts) -> Risk {
    Risk {
        people: facts.calendar_outside.len(),
        ..Risk::new(Kind::Invitation).about(&facts.calendar_outside)
    }
}

/// A winmail.dat, with the people that it names.
pub(super) fn winmail(facts: &Facts) -> Risk {
    match &facts.body.tnef {
        Some(Tnef::Recipients { addresses, display }) => {
            let names = addresses.iter().map(ToString::to_string).chain(display.iter().cloned());
            Risk::new(Kind::WinmailDat).about(names)
        }
        _ => Risk::new(Kind::WinmailDat),
    }
}

/// An unreadable header, with the place.
pub(super) fn unreadable(facts: &Facts) -> Risk {
    let text = facts.problems.first().map(|problem| plain(problem));
    Risk { text, ..Risk::new(Kind::Unreadable) }
}

/// A parser's problem in words for people: where it is, without octet offsets.
pub fn plain(problem: &str) -> Bilingual {
    const KNOWN: [(&str, &str, &str); 12] = [
        ("a quote is never closed", "a quotation mark is not closed", "引用符が閉じられていません"),
        ("its quote is never closed", "a quotation mark is not closed", "引用符が閉じられていません"),
        ("a comment is never closed", "a bracket is not closed", "かっこが閉じられていません"),
        ("a bracket is never closed", "a bracket is not closed", "かっこが閉じられていません"),
        ("an angle bracket is never closed", "“<” is not closed", "「<」が閉じられていません"),
        ("a group is never closed", "a group is not closed", "グループが閉じられていません"),
        ("there is no From field", "there is no sender (From)", "差出人（From）がありません"),
        ("From names nobody", "the sender (From) names nobody", "差出人（From）が空です"),
        ("From fields", "there are several senders (From)", "差出人（From）の欄が複数あります"),
        ("more mailboxes than are read", "there are too many addresses", "アドレスの数が多すぎます"),
        ("the header cannot be read", "the header cannot be read", "ヘッダーを読み取れません"),
        ("part's header", "a part of the mail is malformed", "メールの一部の書式が壊れています"),
    ];
    let field = problem.split_once(": ").map(|(field, _)| field);
    let field = field
        .filter(|field| !field.is_empty() && field.bytes().all(|c| c.is_ascii_alphabetic() || c == b'-'));
    let recipients = matches!(field, Some("To" | "Cc" | "Bcc"));
    let shown = |japanese: bool| match field {
        Some(field) if !japanese => format!("{field}: "),
        Some(field) if recipients => format!("宛先欄（{field}）の"),
        Some(field) => format!("{field} 欄の"),
        None => String::new(),
    };
    if let Some((_, en, ja)) = KNOWN.iter().find(|(known, ..)| problem.contains(known)) {
        return Bilingual::new(shown(false) + en, shown(true) + ja);
    }
    let en = problem.split(" (at byte").next().unwrap_or(problem);
    Bilingual::new(en, shown(true) + "書式を正しく読み取れません")
}
