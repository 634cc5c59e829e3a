//! What copies look like: tables of whole messages, and property tests of what is promised.

use super::*;
use crate::clock::Timestamp;
use crate::examine::{Examination, Examiner};
use crate::id::Id;
use crate::policy::facts::Disclosed;
use crate::policy::{Knowledge, Policy};
use proptest::prelude::*;
use std::sync::Arc;

const BODY: &str = "\r\nHello,\r\n.dots and trailing blanks  \r\n";

fn examiner(options: CopyOptions) -> Examiner {
    let organisation =
        Organisation::new(&[("example.co.jp".to_owned(), true)], &["partner.example".to_owned()], &[])
            .unwrap();
    Examiner {
        organisation: Arc::new(organisation),
        policy: Arc::new(Policy::default()),
        options: Arc::new(options),
        approvers: Arc::default(),
        budgets: Arc::default(),
    }
}

fn envelope(recipients: &[&str]) -> Envelope {
    Envelope {
        sender: Some(Address::parse("taro@example.co.jp").unwrap()),
        recipients: recipients.iter().map(|to| Recipient::plain(Address::parse(to).unwrap())).collect(),
        smtputf8: false,
        eight_bit: false,
        ret: None,
        envid: None,
    }
}

fn stamp() -> Stamp {
    Stamp {
        id: Id::new(Timestamp(1_700_000_000_000), 7),
        received: Timestamp(1_700_000_000_000),
        hostname: "relay.example.co.jp".into(),
        client: "pc1 ([192.0.2.1])".into(),
        protocol: "ESMTP".into(),
    }
}

fn look(examiner: &Examiner, header: &str, body: &str, recipients: &[&str]) -> Examination {
    let message = format!("{header}{body}");
    examiner.examine(envelope(recipients), message.as_bytes(), &Knowledge::default()).unwrap()
}

fn rendered(seen: &Examination, copies: &Copies) -> Vec<(Vec<String>, String)> {
    copies
        .deliveries
        .iter()
        .map(|copy| {
            let to = copy.recipients().iter().map(|to| to.address.to_string()).collect();
            let header = copy.edits().render(&seen.header).unwrap();
            (to, String::from_utf8(header.to_vec()).unwrap())
        })
        .collect()
}

/// The header without our trace field.
fn untraced(header: &str) -> &str {
    let start = header.match_indices("\r\n").nth(2).unwrap().0 + 2;
    &header[start..]
}

const HEADER: &str = "Received: from pc1 by mail.example.co.jp for <b@two.example>; Mon, 1 Jan 2024 00:00:00 +0900\r\n\
From: Taro <taro@example.co.jp>\r\n\
To: \"A, the first\" <a@one.example>, hanako@example.co.jp\r\n\
Cc: Late payers: b@two.example, \"c@three.example\" <b2@two.example>;,\r\n c@three.example (a comment)\r\n\
Bcc: secret@four.example\r\n\
Reply-To: b@two.example\r\n\
Subject: Notice\r\n\
X-Original-To: b@two.example\r\n\
Date: Mon, 1 Jan 2024 00:00:00 +0900\r\n\
Message-ID: <1@example.co.jp>\r\n\
MIME-Version: 1.0\r\n";

const EVERYBODY: &[&str] = &[
    "a@one.example",
    "hanako@example.co.jp",
    "b@two.example",
    "b2@two.example",
    "c@three.example",
    "secret@four.example",
    "jiro@example.co.jp",
];

#[test]
fn a_split_gives_each_a_copy_of_ones_own() {
    let examiner = examiner(CopyOptions::default());
    let seen = look(&examiner, HEADER, BODY, EVERYBODY);
    let copies = examiner.copies(&seen, Disclosure::Split, &stamp(), &[]).unwrap();
    let rest = "Subject: Notice\r\nDate: Mon, 1 Jan 2024 00:00:00 +0900\r\nMessage-ID: <1@example.co.jp>\r\nMIME-Version: 1.0\r\n";
    let from = "From: Taro <taro@example.co.jp>\r\n";
    let copies = rendered(&seen, &copies);
    assert_eq!(copies.len(), EVERYBODY.len());
    for (to, header) in &copies {
        let header = untraced(header);
        let fields = match to[0].as_str() {
            "a@one.example" => {
                "To: \"A, the first\" <a@one.example>\r\nCc: hanako@example.co.jp\r\n".to_owned()
            }
            "b@two.example" => {
                let own = "Received: from pc1 by mail.example.co.jp for <b@two.example>; Mon, 1 Jan 2024 00:00:00 +0900\r\n";
                let want = format!(
                    "{own}{from}To: b@two.example\r\nCc: hanako@example.co.jp\r\nReply-To: b@two.example\r\n{rest}"
                );
                assert_eq!(header, want);
                continue;
            }
            "hanako@example.co.jp" | "jiro@example.co.jp" => "To: hanako@example.co.jp\r\n".to_owned(),
            external => format!("To: {external}\r\nCc: hanako@example.co.jp\r\n"),
        };
        assert_eq!(header, format!("{from}{fields}{rest}"), "{to:?}");
    }
}

#[test]
fn a_bcc_gives_all_the_same_bytes() {
    let examiner = examiner(CopyOptions::default());
    let seen = look(&examiner, HEADER, BODY, EVERYBODY);
    let copies = rendered(&seen, &examiner.copies(&seen, Disclosure::Bcc, &stamp(), &[]).unwrap());
    assert_eq!(copies.len(), EVERYBODY.len());
    assert!(copies.iter().all(|(to, header)| to.len() == 1 && *header == copies[0].1));
    assert!(copies[0].1.contains("\r\nTo: hanako@example.co.jp\r\n"));
    assert!(!copies[0].1.contains("two.example"));
}

#[test]
fn a_pass_keeps_all_but_bcc_and_sends_the_unnamed_apart() {
    let examiner = examiner(CopyOptions::default());
    let header = HEADER.replace("Reply-To", "X-Note").replace("Received: from pc1", "X-Trace: from pc1");
    let seen = look(&examiner, &header, BODY, EVERYBODY);
    let copies = rendered(&seen, &examiner.copies(&seen, Disclosure::AsIs, &stamp(), &[]).unwrap());
    let alone: Vec<&str> = copies[1..].iter().map(|(to, _)| to[0].as_str()).collect();
    assert_eq!(alone, ["secret@four.example", "jiro@example.co.jp"]);
    assert_eq!(copies[0].0.len(), 5);
    for (_, copy) in &copies {
        assert_eq!(untraced(copy), header.replace("Bcc: secret@four.example\r\n", ""));
    }
}

#[test]
fn a_hidden_address_in_body_or_subject_stops_the_copies() {
    let examiner = examiner(CopyOptions::default());
    let body = "\r\nhidden: b@two.example\r\n";
    let seen = look(&examiner, HEADER, body, EVERYBODY);
    for way in [Disclosure::Split, Disclosure::Bcc] {
        let hits = examiner.copies(&seen, way, &stamp(), &[]).unwrap_err();
        assert!(hits.iter().all(|hit| hit.address.as_str() == "b@two.example"), "{hits:?}");
    }
    let header = HEADER.replace("Subject: Notice", "Subject: =?utf-8?q?c=40three.example?=");
    let seen = look(&examiner, &header, BODY, EVERYBODY);
    assert!(examiner.copies(&seen, Disclosure::Split, &stamp(), &[]).is_err());
    let header = HEADER.replace("Subject: Notice", "Subject: secret@four.example");
    let seen = look(&examiner, &header, BODY, EVERYBODY);
    assert!(examiner.copies(&seen, Disclosure::AsIs, &stamp(), &[]).is_err());
}

#[test]
fn a_dropped_recipient_gets_nothing_and_is_named_nowhere() {
    let examiner = examiner(CopyOptions::default());
    let header = HEADER
        .replace("for <b@two.example>", "")
        .replace("X-Original-To: b@two.example\r\n", "")
        .replace("Reply-To: b@two.example\r\n", "");
    let seen = look(&examiner, &header, BODY, EVERYBODY);
    let dropped = [Address::parse("b@two.example").unwrap()];
    for way in [Disclosure::AsIs, Disclosure::Bcc, Disclosure::Split] {
        let copies = rendered(&seen, &examiner.copies(&seen, way, &stamp(), &dropped).unwrap());
        assert!(!copies.is_empty());
        for (to, copy) in &copies {
            assert!(!to.contains(&"b@two.example".to_owned()) && !copy.contains(" b@two.example"), "{copy}");
        }
    }
}

#[test]
fn options_hide_or_show() {
    let hide = examiner(CopyOptions { hide_internal: true, ..Default::default() });
    let seen = look(&hide, HEADER, BODY, EVERYBODY);
    let copies = rendered(&seen, &hide.copies(&seen, Disclosure::Split, &stamp(), &[]).unwrap());
    assert!(!copies[0].1.contains("hanako"));
    let show = examiner(CopyOptions { show_external_to_internal: true, ..Default::default() });
    let seen = look(&show, HEADER, BODY, EVERYBODY);
    let planned = show.copies(&seen, Disclosure::Split, &stamp(), &[]).unwrap();
    let hanako =
        planned.deliveries.iter().find(|copy| copy.recipients()[0].address.local() == "hanako").unwrap();
    assert!(hanako.may_show(&Address::parse("b@two.example").unwrap()));
    assert!(!hanako.may_show(&Address::parse("secret@four.example").unwrap()));
}

#[test]
fn what_is_missing_is_added() {
    let examiner = examiner(CopyOptions::default());
    let header = "From: taro@example.co.jp\r\nTo: a@one.example\r\n";
    let seen = look(&examiner, header, BODY, &["a@one.example"]);
    for way in [Disclosure::AsIs, Disclosure::Split] {
        let copies = rendered(&seen, &examiner.copies(&seen, way, &stamp(), &[]).unwrap());
        assert!(
            copies[0].1.contains("\r\nDate: ") && copies[0].1.contains("\r\nMessage-ID: <"),
            "{}",
            copies[0].1
        );
    }
}

/// Places for an address: header fields, and the envelope alone.
const PLACES: [&str; 6] = ["To", "Cc", "cc", "Reply-To", "Bcc", ""];

/// A message with few people in many places, so that most of them are in several fields.
fn crowd() -> impl Strategy<Value = (Vec<(String, u8)>, u8)> {
    let person = ("[a-f]", 0..6u8, 0..6u8).prop_map(|(local, host, place)| {
        let host = [
            "one.example",
            "two.example",
            "example.co.jp",
            "xn--r8jz45g.example",
            "partner.example",
            "ocn.ne.jp",
        ][usize::from(host)];
        (format!("{local}@{host}"), place)
    });
    (prop::collection::vec(person, 1..16), 0..3u8)
}

fn check_crowd(people: &[(String, u8)], way: u8) -> Result<(), TestCaseError> {
    let mut fields: [String; 6] = Default::default();
    let mut everybody: Vec<&str> = Vec::new();
    for (address, place) in people {
        if !everybody.contains(&address.as_str()) {
            everybody.push(address);
        }
        let mark = ["x <", "<", "\"y\" <", "=?utf-8?b?44GC?= <"][usize::from(*place % 4)];
        let field = &mut fields[usize::from(*place)];
        if !field.is_empty() {
            field.push_str(", ");
        }
        field.extend([mark, address, ">"]);
    }
    let mut header = "From: taro@example.co.jp\r\nSubject: s\r\n".to_owned();
    for (name, list) in PLACES.iter().zip(&fields) {
        if !list.is_empty() && !name.is_empty() {
            header = format!("{header}{name}: {list}\r\n");
        }
    }
    let examiner = examiner(CopyOptions::default());
    let seen = look(&examiner, &header, BODY, &everybody);
    let way = [Disclosure::AsIs, Disclosure::Bcc, Disclosure::Split][usize::from(way)];
    let copies = examiner.copies(&seen, way, &stamp(), &[]);
    let copies = copies.map_err(|hits| TestCaseError::fail(format!("{header}\n{hits:?}")))?;
    let copies = rendered(&seen, &copies);
    let mut got: Vec<&str> = copies.iter().flat_map(|(to, _)| to.iter().map(String::as_str)).collect();
    got.sort_unstable();
    let mut want = everybody.clone();
    want.sort_unstable();
    prop_assert_eq!(got, want);
    let stands =
        |who: &str, places: &[u8]| people.iter().any(|(a, place)| a == who && places.contains(place));
    for (to, copy) in &copies {
        for other in &everybody {
            let open = match way {
                // As is, everybody in a visible field is shown.
                Disclosure::AsIs => stands(other, &[0, 1, 2, 3]),
                _ => other.ends_with("@example.co.jp") && stands(other, &[0, 1, 2, 3]),
            };
            if !to.iter().any(|own| own == other) && !open && *other != "taro@example.co.jp" {
                let shown = copy.split(|c: char| " <>,\r\n".contains(c)).any(|word| word == *other);
                prop_assert!(!shown, "{} is shown to {:?}:\n{}", other, to, copy);
            }
        }
    }
    Ok(())
}

/// Traces of a Bcc that the sender's own system left are removed; what the sender wrote is not.
#[test]
fn traces_of_a_hidden_recipient_go_and_the_mail_passes() {
    let examiner = examiner(CopyOptions::default());
    for (field, goes) in [
        ("X-Odoo-Bcc: boss@other.example", true),
        ("X-Spamd-Result: default: False [1.0]; RCPT_COUNT(2); TO(boss@other.example)", true),
        ("Envelope-To: a@one.example, boss@other.example", true),
        ("X-MailCleaner-recipients: boss@other.example", true),
        ("Delivered-To: =?utf-8?q?boss=40other.example?=", true),
        ("Received: from pc by host for <boss@other.example>; Mon, 1 Jan 2026 00:00:00 +0900", true),
        ("X-MS-Exchange-Organization-SCL: 1", true),
        ("X-Campaign: spring", false),
    ] {
        let header = format!("From: taro@example.co.jp\r\nTo: a@one.example\r\n{field}\r\nSubject: x\r\n");
        let seen = look(&examiner, &header, BODY, &["a@one.example", "boss@other.example"]);
        let settled = examiner.settle(&seen, &stamp());
        let copies = settled.copies.unwrap_or_else(|| panic!("{field}: {:?}", settled.hits));
        let name = field.split(':').next().unwrap();
        for (_, copy) in rendered(&seen, &copies) {
            assert_eq!(!copy.contains(field), goes, "{copy}");
            assert!(copy.contains("Subject: x") && copy.contains("To: a@one.example"), "{copy}");
        }
        let noted = settled.verdict.rules.iter().any(|rule| rule.name == "builtin:left-out");
        assert_eq!(noted, goes && !name.starts_with("X-MS") && !name.ends_with("Bcc"), "{field}");
        // A trace of the sole recipient discloses nothing.
        let alone = look(&examiner, &header, BODY, &["boss@other.example"]);
        let copies = examiner.settle(&alone, &stamp()).copies.unwrap();
        assert_eq!(copies.left_out, [""; 0], "{field}");
    }
    for field in
        ["Subject: ask boss@other.example", "Comments: boss@other.example", "Reply-To: boss@other.example"]
    {
        let header = format!("From: taro@example.co.jp\r\nTo: a@one.example\r\n{field}\r\n");
        let seen = look(&examiner, &header, BODY, &["a@one.example", "boss@other.example"]);
        let settled = examiner.settle(&seen, &stamp());
        let shown = seen.facts.envelope_only.is_empty();
        assert!(settled.copies.is_none() || shown, "{field}");
    }
}

/// Exchange and Google send Bcc recipients transactions of their own.
#[test]
fn a_bcc_recipient_of_another_transaction_is_hidden_too() {
    let examiner = examiner(CopyOptions::default());
    let settled = |header: &str, to: &[&str]| {
        let header = format!("From: taro@example.co.jp\r\nTo: a@one.example\r\n{header}");
        let seen = look(&examiner, &header, BODY, to);
        let settled = examiner.settle(&seen, &stamp());
        settled
            .copies
            .map(|copies| rendered(&seen, &copies).into_iter().map(|(_, copy)| copy).collect::<Vec<_>>())
    };
    let boss = "boss@other.example";
    for field in ["Bcc", "Resent-Bcc", "X-Bcc", "X-Gm-Original-Bcc"] {
        let blind = format!("{field}: {boss}\r\n");
        for other in ["Received: from pc by host for <", "X-Spamd-Result: TO(", "Envelope-To: <"] {
            let copies =
                settled(&format!("{blind}{other}{boss}>)\r\nSubject: x\r\n"), &["a@one.example"]).unwrap();
            assert!(copies.iter().all(|copy| !copy.contains(boss)), "{field}, {other}: {copies:?}");
        }
        assert_eq!(settled(&format!("{blind}Subject: ask {boss}\r\n"), &["a@one.example"]), None, "{field}");
        // They may see themselves, and a visible recipient is not hidden.
        assert!(settled(&format!("{blind}Subject: ask {boss}\r\n"), &[boss]).is_some(), "{field}");
        let open = format!("{blind}Cc: {boss}\r\nSubject: ask {boss}\r\n");
        assert!(settled(&open, &["a@one.example"]).is_some(), "{field}");
    }
}

#[test]
fn odd_form_that_discloses_nobody_passes_with_a_note() {
    let examiner = examiner(CopyOptions::default());
    let odd = [
        "From: Example Co., Ltd. <shop@example.co.jp>\r\nTo: greg@one.example\r\n",
        "From: shop@example.co.jp\r\nTo: Meyer, Greg <greg@one.example>\r\n",
        "From: shop@example.co.jp\r\nTo: Sales: Mr Yamada <greg@one.example>\r\n",
        "From: root (Cron Daemon)\r\nTo: greg@one.example\r\n",
        "From: shop@example.co.jp\r\nTo: =?utf-8?B?R3JlZywgTWV5ZXIgPGdyZWdAb25lLmV4YW1wbGU+?=\r\n",
        "From: shop@example.co.jp\r\nTo: \"Greg <greg@one.example>\r\n",
        "From: shop@example.co.jp\r\nTo: Greg <greg@one.example> (home\r\n",
    ];
    let more = [
        "",
        "Cc: colleague@example.co.jp\r\n",
        "Message-ID: <1@elsewhere.example>\r\nReferences: <2@third.example>\r\n",
    ];
    for header in odd {
        for more in more {
            let header = format!("{header}{more}Date: Mon, 1 Jan 2026 00:00:00 +0900\r\n");
            let seen = look(&examiner, &header, BODY, &["greg@one.example"]);
            assert!(
                seen.facts.problems.is_empty() && !seen.facts.notes.is_empty(),
                "{header} {:?}",
                seen.facts
            );
            let settled = examiner.settle(&seen, &stamp());
            assert!(settled.copies.is_some(), "{header}");
            assert!(settled.verdict.rules.iter().any(|rule| rule.name == "builtin:form"), "{header}");
        }
        // A second recipient, or another address anywhere in the header, makes it a problem again.
        let seen = look(&examiner, header, BODY, &["greg@one.example", "b@two.example"]);
        assert!(!seen.facts.problems.is_empty(), "{header}");
        for stranger in [
            "Cc: b@two.example\r\n",
            "X-Note: b@two.example\r\n",
            "X-Note: =?utf-8?q?b=40two.example?=\r\n",
            "X-Note: b (x) @ (y) two.example\r\n",
            "X-Note: ｂ＠ｔｗｏ．ｅｘａｍｐｌｅ\r\n",
            "X-Note: \"b c\"@two.example\r\n",
            "X-Note: b@[192.0.2.1]\r\n",
            "X-Note: b%40two.example\r\n",
            "X-Note: =?utf-8?q?b=40two.example\r\n",
            "Subject: ask b@two.example\r\n",
        ] {
            let header = format!("{header}{stranger}");
            let seen = look(&examiner, &header, BODY, &["greg@one.example"]);
            assert!(!seen.facts.problems.is_empty(), "{header}");
        }
    }
    let several = "From: a@example.co.jp\r\nFrom: b@example.co.jp\r\nTo: greg@one.example\r\n";
    assert!(!look(&examiner, several, BODY, &["greg@one.example"]).facts.problems.is_empty());
}

/// The separator line of a mailbox file is removed; names in unencoded ISO-2022-JP are read.
#[test]
fn separators_and_old_scripts() {
    let examiner = examiner(CopyOptions::default());
    for before in ["From taro@example.co.jp Mon Jan  1 00:00:00 2026\r\n", ">From taro@example.co.jp x\r\n"] {
        let header = format!("{before}From: taro@example.co.jp\r\nTo: a@one.example\r\nSubject: x\r\n");
        let seen = look(&examiner, &header, BODY, &["a@one.example"]);
        let copies = examiner.settle(&seen, &stamp()).copies.unwrap();
        let (_, copy) = &rendered(&seen, &copies)[0];
        assert!(!copy.contains("From taro") && copy.contains("To: a@one.example"), "{copy}");
    }
    let to = "\u{1b}$B;3@D!<<m\u{1b}(B <a@one.example>, \"\u{1b}$B@nLn\u{1b}(B\" <b@two.example>";
    let header =
        format!("From: \u{1b}$B@D;3\u{1b}(B <taro@example.co.jp>\r\nTo: {to}\r\nCc: c@three.example\r\n");
    let people = ["a@one.example", "b@two.example", "c@three.example"];
    let seen = look(&examiner, &header, BODY, &people);
    assert_eq!(seen.facts.problems, [""; 0]);
    let shown: Vec<&str> =
        seen.facts.visible.iter().map(|visible| visible.mailbox.address.as_str()).collect();
    assert_eq!(shown, people);
}

proptest! {
    #[test]
    fn no_copy_shows_a_hidden_recipient_and_everybody_gets_exactly_one((people, way) in crowd()) {
        check_crowd(&people, way)?;
    }
}

/// An address in a visible field is not hidden, be it a colleague's, a partner's, an outsider's or the sender's:
/// for each pair of places and each way to send.
#[test]
fn somebody_in_to_and_in_bcc_is_in_to() {
    for who in ["f@example.co.jp", "f@partner.example", "f@one.example", "taro@example.co.jp"] {
        for first in 0..6 {
            for second in 0..6 {
                for way in 0..3 {
                    let people =
                        [(who.to_owned(), first), ("a@one.example".to_owned(), 0), (who.to_owned(), second)];
                    check_crowd(&people, way).unwrap_or_else(|why| panic!("{people:?} {way}: {why}"));
                }
            }
        }
    }
}

/// The ledger records addresses that everybody saw and that got a copy, and nothing that left by an exemption.
#[test]
fn the_ledger_takes_up_whom_a_copy_reached() {
    let mut examiner = examiner(CopyOptions::default());
    let header = "From: taro@example.co.jp\r\nDate: Mon, 1 Jan 2024 00:00:00 +0900\r\nMessage-ID: <1@x>\r\n\
                  To: a@one.example, b@two.example, c@three.example, hanako@example.co.jp\r\n";
    let ledger = |examiner: &Examiner, header: &str, to: &[&str]| {
        let seen = look(examiner, header, BODY, to);
        examiner.copies(&seen, Disclosure::AsIs, &stamp(), &[]).unwrap().ledger
    };
    let all = ["a@one.example", "b@two.example", "c@three.example", "hanako@example.co.jp"];
    let told = |entry: &Option<Disclosed>| -> Vec<String> {
        entry.iter().flat_map(|entry| &entry.addresses).map(ToString::to_string).collect()
    };
    assert_eq!(told(&ledger(&examiner, header, &all)), all);
    // A transaction for one recipient records that recipient, and the mail that it belongs to.
    let (first, second) = (ledger(&examiner, header, &all[..1]), ledger(&examiner, header, &all[1..2]));
    assert_eq!((told(&first), told(&second)), (vec![all[0].to_owned()], vec![all[1].to_owned()]));
    assert_eq!(first.unwrap().mail, second.unwrap().mail);
    // A transaction for a colleague alone records no outsider, though the header names some.
    assert_eq!(told(&ledger(&examiner, header, &all[3..])), all[3..]);
    assert_eq!(ledger(&examiner, header, &["x@four.example"]), None);
    let rule = "[[rule]]\nname = \"x\"\nwhen = { external_addresses = { at_least = 3 } }\n\
                unless = { from = \"taro@example.co.jp\" }\ndemand = \"ask\"\n";
    let nowhere = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
    examiner.policy = Arc::new(Policy::load(&[("x.toml".into(), rule.to_owned())], &nowhere).unwrap());
    assert_eq!(ledger(&examiner, header, &all), None);
    // If the rule would not have matched anyway, its exception is not an exemption.
    let two = header.replace(", c@three.example", "");
    assert_eq!(told(&ledger(&examiner, &two, &all[..2])), all[..2]);
}
