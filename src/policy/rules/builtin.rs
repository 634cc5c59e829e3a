//! The built-in holds, which no policy file can remove (`docs/MAIL.md` §1.6 and §4).
//!
//! A message that cannot be read, or that would cost too much to read, is always held. The others apply if
//! the disclosure demand is `ask` or stricter: the message may then be split, and they find what a split
//! cannot make safe.

use super::finding::{invitation, plain, unreadable, winmail};
use super::reason::{Phrase, few, few_people, named};
use crate::message::inspect::Tnef;
use crate::policy::risks::{Kind, Risk};
use crate::policy::verdict::{Bilingual, RuleOutcome};
use crate::policy::{Demand, Disclosure, Facts, Timing};
use std::collections::BTreeSet;

/// Their names in the list of rules.
pub const NAMES: [&str; 8] = [
    "builtin:unparseable",
    "builtin:over-budget",
    "builtin:foreign-from",
    "builtin:calendar",
    "builtin:tnef",
    "builtin:encrypted",
    "builtin:inner-headers",
    "builtin:unreadable-part",
];

/// Their titles, in the same order.
const TITLES: [(&str, &str); 8] = [
    ("Recipients cannot be read reliably", "宛先欄の書式が壊れています"),
    ("Too much to inspect", "検査できる量を超えています"),
    ("Sender is not ours", "差出人が社外"),
    ("Invitation", "招待状（予定表）"),
    ("winmail.dat", "winmail.dat"),
    ("Encrypted content", "暗号化された内容"),
    ("Signed content", "署名済みの内容"),
    ("A part cannot be read reliably", "読み取れない部分"),
];

/// Other built-in names in the list of rules: those of budgets, the audit and the rewriting.
const OTHERS: [(&str, (&str, &str)); 4] = [
    ("builtin:budget", ("Sending limit reached", "送信数の上限を超過")),
    ("builtin:audit", ("Addresses inside the mail", "メールの中身にアドレス")),
    ("builtin:left-out", ("Header fields left out", "除いたヘッダー欄")),
    ("builtin:form", ("Odd header", "ヘッダーの書き方の不備")),
];

/// The titles of all built-in rules, by name.
pub(super) fn titles() -> impl Iterator<Item = (String, Bilingual)> {
    let all = NAMES.into_iter().zip(TITLES).chain(OTHERS);
    all.map(|(name, (en, ja))| (name.to_owned(), Bilingual::new(en, ja)))
}

/// The title of a built-in rule.
pub fn title(name: &str) -> Option<Bilingual> {
    titles().find(|(known, _)| known == name).map(|(_, title)| title)
}

/// The risk that a matching built-in rule stands for.
fn risk(name: &str, facts: &Facts) -> Risk {
    match name {
        "builtin:unparseable" => unreadable(facts),
        "builtin:over-budget" => {
            let title = Some(Bilingual::new("Too much to inspect", "検査できる量を超えています"));
            Risk { title, ..Risk::new(Kind::UnreadablePart) }
        }
        "builtin:foreign-from" => {
            let mailboxes = facts.from.iter().map(|mailbox| &mailbox.address).chain(&facts.mail_from);
            Risk::new(Kind::ForeignSender).about(mailboxes.collect::<BTreeSet<_>>())
        }
        "builtin:calendar" => invitation(facts),
        "builtin:tnef" => winmail(facts),
        "builtin:encrypted" => Risk::new(Kind::Encrypted),
        "builtin:inner-headers" => {
            let people = &facts.body.inner_recipients;
            Risk { people: people.len(), ..Risk::new(Kind::SignedContent).about(people) }
        }
        _ => {
            let text = facts.body.problems.first().map(|problem| plain(problem));
            Risk { text, ..Risk::new(Kind::UnreadablePart) }
        }
    }
}

/// The finding of one rule; `Err` says in both languages why it does not hold the message.
type Found = Result<Phrase, (&'static str, &'static str)>;

/// The tests of all, in the order of their names. The first two hold whatever the other rules demand.
const TESTS: [fn(&Facts) -> Found; 8] =
    [unparseable, over_budget, foreign_from, calendar, tnef, encrypted, inner_headers, unreadable_part];
const ALWAYS: usize = 2;

/// The results of those that hold the message.
pub(super) fn matched(facts: &Facts, disclosure: Disclosure) -> impl Iterator<Item = RuleOutcome> {
    let tests = if disclosure < Disclosure::Ask { &TESTS[..ALWAYS] } else { &TESTS[..] };
    NAMES.iter().zip(TITLES).zip(tests).filter_map(|((name, title), test)| {
        let risks = |facts| vec![risk(name, facts)];
        test(facts).ok().map(|phrase| RuleOutcome {
            matched: true,
            risks: risks(facts),
            ..outcome(name, title, phrase)
        })
    })
}

/// The results of all, as far as they do not hold the message.
pub(super) fn not_matched(facts: &Facts, disclosure: Disclosure) -> impl Iterator<Item = RuleOutcome> {
    NAMES.iter().zip(TITLES).zip(TESTS).enumerate().map(move |(at, ((name, title), test))| {
        let phrase = match test(facts) {
            Err((en, ja)) => Phrase::new(en, ja),
            Ok(_) if at >= ALWAYS && disclosure < Disclosure::Ask => Phrase::new(
                "no rule asks who may see whom here",
                "宛先どうしが見えてよいかを問うルールに該当しません",
            ),
            Ok(_) => super::reason::later(),
        };
        outcome(name, title, phrase)
    })
}

fn outcome(name: &str, title: (&str, &str), phrase: Phrase) -> RuleOutcome {
    RuleOutcome {
        name: name.to_owned(),
        matched: false,
        demand: Demand { disclosure: Disclosure::AsIs, timing: Timing::Hold },
        why: phrase.en,
        why_ja: phrase.ja,
        title: Some(Bilingual::new(title.0, title.1)),
        risks: Vec::new(),
    }
}

fn found(so: bool, yes: impl FnOnce() -> Phrase, no: (&'static str, &'static str)) -> Found {
    if so { Ok(yes()) } else { Err(no) }
}

fn unparseable(facts: &Facts) -> Found {
    found(
        !facts.problems.is_empty(),
        || {
            let problem = facts.problems.first().map(|one| plain(one)).unwrap_or_default();
            Phrase::new(format!("the header cannot be read reliably: {}", problem.en), problem.ja)
        },
        ("header and addresses can be read", "ヘッダーとアドレスは正しく読み取れます"),
    )
}

/// A part that was not opened because it would cost too much can contain anything, possibly on purpose. So no
/// rule and no exemption lets it pass.
fn over_budget(facts: &Facts) -> Found {
    let places = &facts.body.over_budget;
    found(
        !places.is_empty(),
        || {
            let few = few(places, places.len());
            Phrase::new(
                format!("it holds more than is looked at in one message: {}", few.en),
                format!("1通で調べる量の上限を超える内容が含まれています：{}", few.ja),
            )
        },
        ("all that could be opened was looked at", "開ける内容はすべて調べました"),
    )
}

fn foreign_from(facts: &Facts) -> Found {
    found(
        !facts.from_is_ours,
        || {
            let mailboxes = facts.from.iter().map(|mailbox| &mailbox.address).chain(&facts.mail_from);
            let names: Vec<String> = mailboxes.map(ToString::to_string).collect();
            let few = few_people(&names, names.len());
            Phrase::new(
                format!("a mail whose sender is not ours is not split: {}", few.en),
                format!("差出人が社外のメールは個別送信にできません：{}", few.ja),
            )
        },
        ("its From is ours", "差出人は社内です"),
    )
}

fn calendar(facts: &Facts) -> Found {
    let reply = facts.body.calendar.as_ref().is_some_and(|part| part.method == "REPLY");
    found(
        facts.calendar_outside.len() >= 2 && !reply,
        || {
            let (number, names) = (facts.calendar_outside.len(), named(&facts.calendar_outside));
            Phrase::new(
                format!("the invitation itself names {number} outside attendees{}", names.en),
                format!("招待状（予定表）に社外の参加者{number}名が書かれています{}", names.ja),
            )
        },
        ("no invitation that names two or more outsiders", "社外の2名以上が書かれた招待状はありません"),
    )
}

fn tnef(facts: &Facts) -> Found {
    let no = ("no winmail.dat that could name recipients", "宛先を含みうる winmail.dat はありません");
    match &facts.body.tnef {
        None | Some(Tnef::Clean) => Err(no),
        Some(Tnef::Recipients { addresses, display }) => {
            let mut names: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            names.extend(display.iter().cloned());
            let few = few_people(&names, names.len());
            Ok(Phrase::new(
                format!("its winmail.dat names recipients: {}", few.en),
                format!("winmail.dat に宛先が含まれています：{}", few.ja),
            ))
        }
        Some(Tnef::Unreadable { why }) => Ok(Phrase::new(
            format!("its winmail.dat cannot be read and may name recipients ({why})"),
            "winmail.dat を読み取れず、宛先が含まれている可能性があります".to_owned(),
        )),
    }
}

fn encrypted(facts: &Facts) -> Found {
    let several = facts.body.encrypted.as_ref().is_some_and(|one| one.recipients.is_none_or(|keys| keys > 1));
    found(
        several,
        || {
            let keys = facts.body.encrypted.as_ref().and_then(|one| one.recipients);
            let number = keys.map_or("an unknown number of".to_owned(), |keys| keys.to_string());
            let number_ja = keys.map_or("不明な数の".to_owned(), |keys| format!("{keys}件の"));
            Phrase::new(
                format!("the encrypted content shows {number} keys, and so who else gets it"),
                format!("暗号化された内容から{number_ja}鍵（ほかの宛先）が分かります"),
            )
        },
        ("no encryption that shows who else gets it", "ほかの宛先が分かる暗号化はありません"),
    )
}

fn inner_headers(facts: &Facts) -> Found {
    found(
        !facts.body.inner_recipients.is_empty(),
        || {
            let names = named(&facts.body.inner_recipients);
            Phrase::new(
                format!("recipients stand inside the signed content, which cannot be changed{}", names.en),
                format!("変更できない署名済みの内容に宛先が含まれています{}", names.ja),
            )
        },
        ("no recipients inside signed content", "署名済みの内容に宛先は含まれていません"),
    )
}

fn unreadable_part(facts: &Facts) -> Found {
    found(
        !facts.body.problems.is_empty(),
        || {
            let problem = facts.body.problems.first().map(|one| plain(one)).unwrap_or_default();
            Phrase::new(
                format!("a part of the body cannot be read reliably: {}", problem.en),
                format!("本文の一部を正しく読み取れません：{}", problem.ja),
            )
        },
        ("the body can be read", "本文は正しく読み取れます"),
    )
}
