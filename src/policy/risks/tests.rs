//! The most dangerous risk comes first, in both languages: a table of mails, and the order itself.

use super::words::is_calm;
use super::*;
use crate::clock::Timestamp;
use crate::examine::Examiner;
use crate::id::Id;
use crate::message::{Envelope, Recipient};
use crate::policy::verdict::{Demand, Language};
use crate::policy::{Knowledge, Organisation, Policy};
use crate::rewrite::plan::Stamp;
use base64::Engine as _;
use proptest::prelude::*;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

/// Number of characters that a person reads at a glance.
const GLANCE: usize = 60;

#[derive(Deserialize)]
struct File {
    mail: Vec<Mail>,
}

#[derive(Deserialize)]
struct Mail {
    name: String,
    ja: String,
    en: String,
    subject: String,
    sender: Option<String>,
    #[serde(default)]
    strangers: usize,
    #[serde(default)]
    to: Vec<String>,
    #[serde(default)]
    bcc: usize,
    knows: Option<String>,
    #[serde(default)]
    head: String,
    #[serde(default)]
    text: String,
    raw: Option<String>,
    #[serde(default)]
    files: Vec<Attached>,
}

#[derive(Deserialize)]
struct Attached {
    name: String,
    #[serde(rename = "type")]
    content_type: String,
    base64: String,
}

fn word(text: &str) -> String {
    format!("=?utf-8?B?{}?=", base64::engine::general_purpose::STANDARD.encode(text))
}

impl Mail {
    fn shown(&self) -> Vec<String> {
        let strangers = (0..self.strangers).map(|n| format!("p{n}@company{n}.example"));
        self.to.iter().cloned().chain(strangers).collect()
    }

    fn sender(&self) -> &str {
        self.sender.as_deref().unwrap_or("hanako@example.co.jp")
    }

    fn envelope(&self) -> Envelope {
        let blind = (0..self.bcc).map(|n| format!("b{n}@blind{n}.example"));
        let recipients = self.shown().into_iter().chain(blind);
        Envelope {
            sender: Some(Address::parse(self.sender()).unwrap()),
            recipients: recipients.map(|to| Recipient::plain(Address::parse(&to).unwrap())).collect(),
            smtputf8: false,
            eight_bit: false,
            ret: None,
            envid: None,
        }
    }

    fn message(&self) -> String {
        let shown = self.shown();
        let to = if shown.is_empty() { "undisclosed-recipients:;".to_owned() } else { shown.join(",\r\n ") };
        let mut out = format!(
            "From: {}\r\nTo: {to}\r\nSubject: {}\r\nMessage-ID: <{}@example.co.jp>\r\n\
             Date: Sun, 29 Nov 2026 10:00:00 +0900\r\nMIME-Version: 1.0\r\n{}",
            self.sender(),
            word(&self.subject),
            self.name,
            self.head
        );
        if let Some(raw) = &self.raw {
            return out + raw;
        }
        let text =
            if self.text.is_empty() { "よろしくお願いいたします。\n" } else { &self.text };
        let text = base64::engine::general_purpose::STANDARD.encode(text);
        out.push_str("Content-Type: multipart/mixed; boundary=B\r\n\r\n");
        let mut part = |head: &str, body: &str| {
            let _ = write!(out, "--B\r\n{head}\r\nContent-Transfer-Encoding: base64\r\n\r\n");
            for line in body.as_bytes().chunks(76) {
                let _ = write!(out, "{}\r\n", String::from_utf8_lossy(line));
            }
        };
        part("Content-Type: text/plain; charset=utf-8", &text);
        for file in &self.files {
            let name = if file.name.is_empty() {
                String::new()
            } else {
                format!("\r\nContent-Disposition: attachment; filename=\"{}\"", word(&file.name))
            };
            part(&format!("Content-Type: {}{name}", file.content_type), &file.base64);
        }
        out + "--B--\r\n"
    }
}

fn strict() -> Examiner {
    let organisation = Organisation::new(&[("example.co.jp".to_owned(), true)], &[], &[]).unwrap();
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../policy/strict.toml"));
    Examiner {
        organisation: Arc::new(organisation),
        policy: Arc::new(Policy::read(&[path]).unwrap()),
        options: Arc::default(),
        approvers: Arc::default(),
        budgets: Arc::default(),
    }
}

fn risks(mail: &Mail) -> Vec<Risk> {
    let examiner = strict();
    let seen = examiner.examine(mail.envelope(), mail.message().as_bytes(), &Knowledge::default()).unwrap();
    let stamp = Stamp {
        id: Id::new(Timestamp(1_790_000_000_000), 1),
        received: Timestamp(1_790_000_000_000),
        hostname: "relay.example.co.jp".to_owned(),
        client: String::new(),
        protocol: "ESMTP".to_owned(),
    };
    let settled = examiner.settle(&seen, &stamp);
    assert!(settled.copies.is_none(), "{} is not held", mail.name);
    let mut all = of(&settled.verdict, settled.hits.iter().map(crate::rewrite::Hit::whose_and_where));
    if let Some(known) = &mail.knows {
        let to: Vec<&Address> = seen.facts.recipients.iter().take(1).collect();
        all.push(Risk::look_alike(&to, known));
    }
    arranged(all)
}

#[test]
fn each_mail_names_its_true_reason_at_a_glance() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/risks.toml");
    let file: File = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(file.mail.len() >= 27);
    let mut wrong = String::new();
    for mail in &file.mail {
        let risks = risks(mail);
        for (language, expected) in [(Language::Ja, &mail.ja), (Language::En, &mail.en)] {
            let said = risks.first().map(|risk| risk.headline(language)).unwrap_or_default();
            let glance: String = said.chars().take(GLANCE).collect();
            if !glance.contains(expected.as_str()) {
                let _ = writeln!(wrong, "{}: {expected:?} is not in {said:?} {risks:?}", mail.name);
            }
            for risk in &risks {
                let line = risk.line(language);
                assert!(is_calm(&line), "{}: {line:?}", mail.name);
                assert!(!line.contains("builtin:") && !line.contains("at byte"), "{}: {line}", mail.name);
            }
        }
        // risks that no way of sending removes come before the others
        let cured: Vec<bool> = risks.iter().map(|risk| risk.is_cured_by(Disclosure::Split)).collect();
        assert!(cured.is_sorted(), "{}: {risks:?}", mail.name);
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_rule_that_says_nothing_else_speaks_in_its_own_words() {
    let rule = |demand: Demand, title: Option<Bilingual>| RuleOutcome {
        name: "x".to_owned(),
        matched: true,
        demand,
        why: "the sender is a@x".to_owned(),
        why_ja: "差出人は a@x です".to_owned(),
        title,
        risks: Vec::new(),
    };
    let hold = Demand { timing: Timing::Hold, ..Demand::default() };
    let ask = Demand { disclosure: Disclosure::Ask, ..Demand::default() };
    let delay = Demand { timing: Timing::Delay(std::time::Duration::from_mins(5)), ..Demand::default() };
    let title = Some(Bilingual::new("Board mail", "役員のメール"));
    for (demand, title, line, cured) in [
        (hold, title, "役員のメール", false),
        (hold, None, "差出人は a@x です", false),
        (ask, None, "差出人は a@x です", true),
    ] {
        let found = from_rule(&rule(demand, title));
        assert_eq!(found.len(), 1);
        assert!(found[0].line(Language::Ja).starts_with(line), "{found:?}");
        assert_eq!(found[0].is_cured_by(Disclosure::Split), cured);
    }
    assert!(from_rule(&rule(delay, None)).is_empty());
}

#[test]
fn every_kind_has_words_and_a_key_of_its_own() {
    let kinds = [
        Kind::LookAlike,
        Kind::ListOfPeople,
        Kind::File,
        Kind::Words,
        Kind::Unreadable,
        Kind::Invitation,
        Kind::SignedContent,
        Kind::Encrypted,
        Kind::WinmailDat,
        Kind::Inside,
        Kind::Opaque,
        Kind::UnreadablePart,
        Kind::ForeignSender,
        Kind::Rule,
        Kind::Attachment,
        Kind::LargeBcc,
        Kind::Exposed,
    ];
    let keys: HashSet<String> = kinds.map(|kind| Risk::new(kind).key()).into();
    assert_eq!(keys.len(), kinds.len());
    for kind in kinds {
        let risk = Risk::new(kind);
        assert!(!risk.label(Language::Ja).is_empty() && !risk.label(Language::En).is_empty());
        assert!(!risk.label(Language::En).chars().any(|c| c > '\u{2fff}'), "{kind:?}");
    }
}

proptest! {
    #[test]
    fn whatever_a_mail_brings_is_one_calm_line(name in ".{0,200}", other in "\\PC{0,80}", total in 0usize..5) {
        for kind in [Kind::File, Kind::ListOfPeople, Kind::Words, Kind::Opaque, Kind::LookAlike, Kind::Rule] {
            let text = Some(Bilingual::new(other.clone(), name.clone()));
            let about = vec![name.clone(), other.clone()];
            let risk = Risk { about, total, text, place: name.clone(), ..Risk::new(kind) };
            for language in [Language::En, Language::Ja] {
                let line = risk.line(language);
                prop_assert!(is_calm(&line) && line.chars().count() < 700, "{line:?}");
            }
        }
    }
}
