//! Golden reports, hostile replies, and who is reported to.

use super::super::tests::{address, letterhead, message, moment, row};
use super::*;
use crate::message::envelope::Notify;
use crate::store::StoredMessage;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

const HOSTILE: &str = "550 5.1.1 no\r\n\r\n--boundary\r\nBcc: x@evil.example\r\n\u{0}\u{1b}[2J 宛先不明";

fn reported(message: &StoredMessage, rows: &[QueueRow], form: Form) -> Option<String> {
    let matter = Matter {
        message,
        deliveries: rows,
        links: &crate::notice::links::NO_LINKS,
        details: &crate::notice::NO_DETAILS,
    };
    compose(&matter, &letterhead(), moment(), form).map(|(_, text)| text)
}

/// The report with its base64 parts decoded; of text and HTML, only the text.
fn readable(report: &str) -> String {
    let (head, rest) = report.split_once("\r\n\r\n").unwrap();
    let boundary = rest.split_once("--").unwrap().1.split_once("\r\n").unwrap().0;
    let delimiter = format!("--{boundary}");
    let mut out = format!("{head}\n");
    for part in rest.split(&delimiter).skip(1).take_while(|part| !part.starts_with("--")) {
        let (fields, body) = part.trim_start().split_once("\r\n\r\n").unwrap();
        let (fields, body) = match fields.split_once("multipart/alternative;\r\n boundary=\"") {
            Some((_, inner)) => {
                let inner = format!("--{}", inner.trim_end_matches('"'));
                let text = body.split(&inner).nth(1).unwrap();
                assert!(body.split(&inner).nth(2).unwrap().contains("text/html"));
                text.trim_start().split_once("\r\n\r\n").unwrap()
            }
            None => (fields, body),
        };
        let body = if fields.contains("base64") {
            let joined: String = body.split_whitespace().collect();
            String::from_utf8(STANDARD.decode(joined).unwrap()).unwrap()
        } else {
            body.to_owned()
        };
        let _ = write!(out, "\n=== {fields}\n\n{body}");
    }
    out.replace('\r', "")
}

fn rows(message: &StoredMessage) -> Vec<QueueRow> {
    use DeliveryState::{Delivered, Failed, Waiting};
    vec![
        row(message, 0, Failed, "550 5.1.1 <a@alpha.example.com>: no such user here"),
        row(message, 1, Waiting, "451 4.7.1 greylisted, try again later"),
        row(message, 2, Failed, HOSTILE),
        row(message, 3, Delivered, "250 2.0.0 ok"),
        row(message, 4, Failed, "connection refused"),
    ]
}

#[test]
fn reports_look_like_this() {
    let folder = format!("{}/../../tests/golden/notices", env!("CARGO_MANIFEST_DIR"));
    insta::with_settings!({ snapshot_path => folder, prepend_module_to_snapshot => false, omit_expression => true }, {
        for (language, japanese) in [("en", false), ("ja", true)] {
            let mut message = message(japanese);
            message.envelope.recipients[0].orcpt = Some("rfc822;a+2Bx@alpha.example.com".to_owned());
            let rows = rows(&message);
            for (name, form) in [("failure", Form::Failed), ("delayed", Form::Delayed)] {
                let report = reported(&message, &rows, form).unwrap();
                insta::assert_snapshot!(format!("{name}-{language}"), readable(&report));
            }
        }
    });
}

#[test]
fn bcc_is_not_returned_and_strangers_learn_nothing() {
    let mut message = message(false);
    let rows = vec![row(&message, 0, DeliveryState::Failed, "550 5.1.1 no")];
    let text = readable(&reported(&message, &rows, Form::Failed).unwrap());
    assert!(text.contains("To: a@alpha.example.com, b@beta.example.org") && !text.contains("hidden@delta"));
    message.envelope.sender = Some(address("stranger@elsewhere.example.com"));
    let text = readable(&reported(&message, &rows, Form::Failed).unwrap());
    assert!(text.contains("Message-ID: <m1@pc.example.co.jp>"));
    for other in ["b@beta.example.org", "c@gamma", "sato@", "hidden@delta"] {
        assert!(!text.contains(other), "{other} is told to a stranger:\n{text}");
    }
}

#[test]
fn some_hear_nothing() {
    let mut original = message(false);
    let rows = rows(&original);
    let only = |field: fn(&mut Notify)| {
        let mut notify = Notify::default();
        field(&mut notify);
        Some(notify)
    };
    for (notify, failed) in [
        (None, true),
        (only(|n| n.never = true), false),
        (only(|n| n.success = true), false),
        (only(|n| n.delay = true), false),
        (only(|n| n.failure = true), true),
    ] {
        original.envelope.recipients[0].notify = notify;
        let text = readable(&reported(&original, &rows, Form::Failed).unwrap());
        assert_eq!(text.contains("Final-Recipient: rfc822; a@alpha.example.com"), failed, "{notify:?}");
    }
    for recipient in &mut original.envelope.recipients {
        recipient.notify = only(|n| n.never = true);
    }
    assert_eq!(reported(&original, &rows, Form::Failed), None);
    let mut bounce = message(false);
    bounce.envelope.sender = None;
    assert_eq!(reported(&bounce, &rows, Form::Failed), None, "never for the null sender");
    let mut own = message(false);
    own.origin = Origin::Own { about: None };
    assert_eq!(reported(&own, &rows, Form::Failed), None, "never about our own mail");
    assert_eq!(reported(&message(false), &[], Form::Failed), None, "nothing failed");
}

#[test]
fn statuses() {
    let cases = [
        ("550 5.1.1 no such user", Form::Failed, "5.1.1"),
        ("550-5.7.26 part one\n550 5.7.26 part two", Form::Failed, "5.7.26"),
        ("550 no such user", Form::Failed, "5.1.1"),
        ("554 no", Form::Failed, "5.0.0"),
        ("451 4.3.0 later", Form::Failed, "5.4.7"),
        ("451 4.3.0 later", Form::Delayed, "4.3.0"),
        ("451 later", Form::Delayed, "4.0.0"),
        ("connection refused", Form::Delayed, "4.4.1"),
        ("connection refused", Form::Failed, "5.4.7"),
        ("550 4.1.1 confused", Form::Failed, "5.1.1"),
        ("550 5.1.1111 x", Form::Failed, "5.1.1"),
        ("5501 x", Form::Failed, "5.4.7"),
        // our own text
        ("5.3.4 the message has 9 octets", Form::Failed, "5.3.4"),
        ("5.6.7 an address needs SMTPUTF8", Form::Failed, "5.6.7"),
        ("4.4.1 no answer within 30s", Form::Failed, "5.4.7"),
        ("4.7.5 the TLS handshake failed", Form::Delayed, "4.7.5"),
        ("5.3 is no code", Form::Failed, "5.4.7"),
        // the upstream's replies without an enhanced code, by rejected command
        ("550 no (after MAIL)", Form::Failed, "5.1.8"),
        ("553 no (after MAIL)", Form::Failed, "5.1.7"),
        ("552 too big (after MAIL)", Form::Failed, "5.3.4"),
        ("550 spam (after the final dot)", Form::Failed, "5.6.0"),
        ("554 spam (after the final dot)", Form::Failed, "5.6.0"),
        ("552 too big (after the final dot)", Form::Failed, "5.3.4"),
        ("554 no (after DATA)", Form::Failed, "5.6.0"),
        ("550 5.7.1 no (after the final dot)", Form::Failed, "5.7.1"),
        ("552 mailbox full", Form::Failed, "5.2.2"),
        ("", Form::Delayed, "4.4.1"),
    ];
    for (reply, form, expected) in cases {
        assert_eq!(status(reply, form), expected, "{reply}");
    }
}

#[test]
fn address_types() {
    assert_eq!(typed(&address("a+b@x.jp")), "rfc822; a+b@x.jp");
    assert_eq!(typed(&address("山+a@x.jp")), "utf-8; \\x{5C71}\\x{2B}a@x.jp");
    assert_eq!(original_recipient("rfc822;a+2Bb@x.jp").as_deref(), Some("rfc822; a+b@x.jp"));
    assert_eq!(original_recipient("rfc822;a+0D+0ABcc:+20x"), Some("rfc822; a Bcc: x".to_owned()));
    assert_eq!(original_recipient("no type"), None);
    assert_eq!(original_recipient("x\r\ny;z"), None);
}

proptest! {
    /// Whatever an upstream replies, the report has only its own parts and no field that the upstream added.
    #[test]
    fn replies_inject_nothing(reply in "[45][0-9]{2}[ -](\\PC|\r|\n|--|Bcc: |=_sekisho){0,60}") {
        let message = message(false);
        let rows = vec![row(&message, 0, DeliveryState::Failed, &reply)];
        let report = reported(&message, &rows, Form::Failed).unwrap();
        prop_assert!(report.is_ascii());
        prop_assert!(!report.replace("\r\n", "").contains(['\r', '\n', '\0']));
        let parsed = mail_parser::MessageParser::default().parse(report.as_bytes()).unwrap();
        // the report; text and HTML for people; the part for programs; the header
        prop_assert_eq!(parsed.parts.len(), 6);
        let status = readable(&report);
        let status = status.split("=== Content-Type: message/delivery-status").nth(1).unwrap();
        let status = status.split("=== ").next().unwrap();
        let known = ["Content-Transfer-Encoding", "Reporting-MTA", "Original-Envelope-Id", "Arrival-Date",
            "Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code", "Last-Attempt-Date"];
        for line in status.lines().filter(|line| !line.is_empty() && !line.starts_with(' ')) {
            let name = line.split(':').next().unwrap();
            prop_assert!(known.contains(&name), "{}", line);
        }
    }
}

#[test]
fn success_is_reported_to_who_asked() {
    let wish = |success, never| Some(Notify { never, success, ..Notify::default() });
    let mut message = message(false);
    let rows: Vec<QueueRow> =
        (0..5).map(|number| row(&message, number, DeliveryState::Delivered, "250 2.0.0 ok")).collect();
    assert!(reported(&message, &rows, Form::Relayed).is_none(), "nobody asked");
    for (number, notify) in [(0, wish(true, false)), (1, wish(true, true)), (2, wish(false, false))] {
        message.envelope.recipients[number].notify = notify;
    }
    let report = readable(&reported(&message, &rows, Form::Relayed).unwrap());
    assert_eq!(report.matches("Action: relayed").count(), 1, "{report}");
    assert!(report.contains("rfc822; a@alpha.example.com") && report.contains("Status: 2.0.0"), "{report}");
    message.envelope.recipients[0].notify = wish(true, false);
    let failed = [row(&message, 0, DeliveryState::Failed, "550 5.1.1 no")];
    assert!(reported(&message, &failed, Form::Relayed).is_none());
}

#[test]
fn the_header_comes_back_readable() {
    let fits = format!("Subject: {}\r\nMessage-ID: <a@b>\r\n", "x".repeat(998 - 9));
    let part = header_part(fits.as_bytes());
    assert!(part.contains("Content-Transfer-Encoding: 7bit\r\n\r\n") && part.ends_with(&fits));
    let long = format!("Subject: {}\r\nMessage-ID: <a@b>\r\n", "x".repeat(999 - 9));
    for header in [long.as_str(), "Subject: \u{7d4c}\u{7406}\r\nMessage-ID: <a@b>\r\n"] {
        let part = header_part(header.as_bytes());
        assert!(part.contains("quoted-printable\r\n\r\nSubject: "), "{part}");
        assert!(part.contains("\r\nMessage-ID: <a@b>\r\n"), "{part}");
        assert!(part.is_ascii() && part.lines().all(|line| line.len() <= 76), "{part}");
    }
    assert_eq!(staged("550 no (after the final dot)").0, "550 no");
    assert_eq!(staged("550 no"), ("550 no", Stage::Recipient));
}
