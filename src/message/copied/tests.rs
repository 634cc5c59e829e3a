//! Copies as each system writes them, and broken ones.

use super::*;
use crate::message::address::parse_list;

/// Reads a copy given with LF line ends, in pieces of several sizes. All results must be equal.
fn read(text: &str) -> Result<Header, Unreadable> {
    let crlf = text.replace('\n', "\r\n").into_bytes();
    let mut all = [1, 7, 64, crlf.len().max(1)].map(|size| {
        let mut reader = Reader::default();
        crlf.chunks(size).for_each(|piece| reader.feed(piece));
        reader.finish()
    });
    let block = |read: &Result<Header, Unreadable>| read.clone().map(|header| header.bytes().clone());
    let last = all.len() - 1;
    all[..last].iter().for_each(|other| assert_eq!(block(other), block(&all[last]), "{text}"));
    std::mem::replace(&mut all[last], Err(Unreadable::Empty))
}

fn people(header: &Header, names: &[&str]) -> Vec<String> {
    let fields = names.iter().flat_map(|name| header.named(name));
    fields
        .flat_map(|field| parse_list(header.body(field)).mailboxes)
        .map(|one| one.address.to_string())
        .collect()
}

/// `id | from | visible | seconds`, or why it cannot be read.
fn said(text: &str) -> String {
    match read(text) {
        Ok(header) => {
            let id = message_id(&header).unwrap_or_default();
            let date = written(&header).map_or("-".to_owned(), |date| (date.0 / 1_000).to_string());
            let (from, visible) =
                (people(&header, &["from"]).join(" "), people(&header, &["to", "cc"]).join(" "));
            format!("{id} | {from} | {visible} | {date}")
        }
        Err(why) => why.to_string(),
    }
}

const ORIGINAL: &str = "\
Received: from mail.customer.example (192.0.2.7) by ex1.example.co.jp; Wed, 12 Nov 2025 09:00:05 +0900
From: Carol <carol@customer.example>
To: Hanako <hanako@example.co.jp>, \"Dave, PM\" <dave@partner.example>
Cc: erin@third.example
Subject: plan
Date: Wed, 12 Nov 2025 09:00:00 +0900
Message-ID: <plan-1@customer.example>
MIME-Version: 1.0
Content-Type: text/plain

Nobody reads this: eve@elsewhere.example
";
const LEARNED: &str = "plan-1@customer.example | carol@customer.example | hanako@example.co.jp dave@partner.example erin@third.example | 1762905600";

/// A journal report around parts, as Exchange and Microsoft 365 write it.
fn exchange(text: &str, parts: &[String]) -> String {
    let mut report = format!(
        "Received: from TYAPR01MB1234.apcprd01.prod.outlook.com by relay.example.co.jp; Wed, 12 Nov 2025 09:00:09 +0900
From: Microsoft Exchange <MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@example.co.jp>
To: journal@relay.example.co.jp
Subject: plan
Date: Wed, 12 Nov 2025 09:00:08 +0900
Message-ID: <0b1d@journal.report.generator>
Sender: MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@example.co.jp
X-MS-Exchange-Generated-Message-Source: Journal Agent
X-MS-Journal-Report:
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=\"b_1\"

This part is for programs without MIME.
--b_1
Content-Type: text/plain; charset=\"us-ascii\"
Content-Transfer-Encoding: 7bit

{text}"
    );
    for part in parts {
        report.push_str("\n--b_1\n");
        report.push_str(part);
    }
    report.push_str("\n--b_1--\n");
    report
}

fn enclosed(mail: &str) -> String {
    format!("Content-Type: message/rfc822\nContent-Disposition: attachment\n\n{mail}")
}

const TEXT: &str = "\
Sender: carol@customer.example
Subject: plan
Message-Id: <plan-1@customer.example>
To: hanako@example.co.jp
To: jiro@example.co.jp, Expanded: sales@example.co.jp
Cc: taro@example.co.jp, Forwarded: saburo@example.co.jp
Bcc: hidden@example.co.jp
Recipient: erin@third.example
";

#[test]
fn reports_of_exchange_and_microsoft_365() {
    let base64 = {
        use base64::Engine as _;
        let crlf = ORIGINAL.replace('\n', "\r\n");
        let text = base64::engine::general_purpose::STANDARD.encode(crlf);
        let lines: Vec<&str> =
            text.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{}", lines.join("\n"))
    };
    let protected = ORIGINAL.replace(
        "Content-Type: text/plain\n\nNobody",
        "Content-Class: rpmsg.message\nContent-Type: multipart/mixed; boundary=\"b_2\"\n\n--b_2\n\
         Content-Type: application/x-microsoft-rpmsg-message; name=\"message.rpmsg\"\n\n==\n--b_2--\nNobody",
    );
    let signed = ORIGINAL.replace(
        "Content-Type: text/plain\n\nNobody",
        "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=\"smime.p7m\"\n\nMIIB",
    );
    let on_behalf = TEXT.replace("Subject:", "On-Behalf-Of: chief@customer.example\nSubject:");
    let without_id = ORIGINAL.replace("Message-ID: <plan-1@customer.example>\n", "");
    let html = "Content-Type: text/html\n\n<p>x</p>".to_owned();
    let table: Vec<(&str, String)> = vec![
        ("as usual", exchange(TEXT, &[enclosed(ORIGINAL)])),
        ("base64", exchange(TEXT, &[base64])),
        ("on behalf of", exchange(&on_behalf, &[enclosed(ORIGINAL)])),
        (
            "the text gives no id",
            exchange("Sender: carol@customer.example\nSubject: x\n", &[enclosed(ORIGINAL)]),
        ),
        (
            "protected, as it was and as the host could open it",
            exchange(TEXT, &[enclosed(&protected), enclosed(ORIGINAL)]),
        ),
        ("protected alone", exchange(TEXT, &[enclosed(&protected)])),
        ("encrypted", exchange(TEXT, &[enclosed(&signed)])),
        ("a part beside it", exchange(TEXT, &[html, enclosed(ORIGINAL)])),
        (
            "a footer of a mail host behind it",
            exchange(TEXT, &[enclosed(ORIGINAL), "\nScanned.\n".to_owned()]),
        ),
        (
            "a long subject and Message-ID in capitals",
            exchange(&TEXT.replace("Message-Id", "MESSAGE-ID"), &[enclosed(ORIGINAL)]),
        ),
        (
            "the mail first",
            exchange("", &[enclosed(ORIGINAL)]).replacen(
                "Content-Type: text/plain; charset=\"us-ascii\"",
                "Content-Type: text/html",
                1,
            ),
        ),
    ];
    for (what, report) in table {
        assert_eq!(said(&report), LEARNED, "{what}");
    }
    let nameless = said(&exchange(TEXT, &[enclosed(&without_id)]));
    assert_eq!(nameless, LEARNED.replacen("plan-1@customer.example", "", 1), "the mail has no id of its own");
}

#[test]
fn the_same_form_unmarked_is_a_report_too() {
    let unmarked = exchange(TEXT, &[enclosed(ORIGINAL)]).replace("X-MS-Journal-Report:\n", "");
    assert_eq!(said(&unmarked), LEARNED);
    let utf8 = unmarked
        .replace("Subject: plan\nMessage-Id", "Subject: 計画\nMessage-Id")
        .replace("us-ascii", "utf-8");
    assert_eq!(said(&utf8), LEARNED);
}

#[test]
fn whom_only_the_envelope_names_was_shown_to_nobody() {
    let report = said(&exchange(TEXT, &[enclosed(ORIGINAL)]));
    for hidden in ["jiro", "taro", "saburo", "hidden", "sales", "journal@", "eve"] {
        assert!(!report.contains(hidden), "{report}");
    }
}

#[test]
fn a_mail_that_only_encloses_another_is_read_itself() {
    let forwarded = format!(
        "From: hanako@example.co.jp\nTo: x@outside.example\nMessage-ID: <fw@example.co.jp>\n\
         Date: Thu, 13 Nov 2025 00:00:00 +0000\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"b\"\n\n\
         --b\nContent-Type: text/plain\n\nSee below.\n--b\n{}\n--b--\n",
        enclosed(ORIGINAL)
    );
    let own = "fw@example.co.jp | hanako@example.co.jp | x@outside.example | 1762992000";
    assert_eq!(said(&forwarded), own);
    let alike =
        forwarded.replace("See below.", "Sender: a@b.example\nMessage-ID: <plan-1@customer.example>\n");
    assert_eq!(said(&alike), LEARNED, "as good as a report");
    let alike = alike.replace("message/rfc822", "application/octet-stream");
    assert_eq!(said(&alike), own, "begins like a report and is none");
}

#[test]
fn plain_copies() {
    let google = format!(
        "Delivered-To: journal@relay.example.co.jp\nX-Gm-Message-State: AOJu0Yx\nX-Gm-Original-To: hanako@example.co.jp\n\
         X-Google-Smtp-Source: AGHT+IE\n{ORIGINAL}"
    );
    let postfix = format!(
        "Return-Path: <carol@customer.example>\nX-Original-To: hanako@example.co.jp\nDelivered-To: archive@example.co.jp\n{ORIGINAL}"
    );
    let bcc = ORIGINAL.replace("Cc: erin", "Bcc: secret@fourth.example\nCc: erin");
    for copy in [ORIGINAL.to_owned(), google, postfix, bcc] {
        assert_eq!(said(&copy), LEARNED, "{copy}");
    }
}

#[test]
fn headers_of_all_kinds() {
    let table = [
        ("From: a@x.example\nTo: b@y.example\nMessage-ID: <1@x>\n\n", "1@x | a@x.example | b@y.example | -"),
        ("From: a@x.example\nTo: b@y.example\nMessage-ID: <1@x>\n", "1@x | a@x.example | b@y.example | -"),
        (
            "From: a@x.example\nTo: b@y.example\nMessage-ID:\n <1@\n x>\n\n",
            "1@x | a@x.example | b@y.example | -",
        ),
        ("From: a@x.example\nTo: b@y.example\nMessage-ID: 1@x\n\n", "1@x | a@x.example | b@y.example | -"),
        (
            "Received: by h (x;y); Thu, 01 Jan 1970 00:01:40 +0000\nReceived: by g; Thu, 01 Jan 1970 00:01:00 +0000\nFrom: a@x.example\nTo: b@y.example\nMessage-ID: <1@x>\n\n",
            "1@x | a@x.example | b@y.example | 100",
        ),
        (
            "From: a@x.example\nTo: B@Y.example, b@y.example\nCc: a@x.example, c@z.example\nMessage-ID: <1@x>\n\n",
            "1@x | a@x.example | B@Y.example b@y.example a@x.example c@z.example | -",
        ),
        (
            "From: a@x.example\nTo: =?utf-8?B?5aSq6YOO?= <t@x.example>, Team: c@y.example, d@y.example;\nMessage-ID: <1@x>\n\n",
            "1@x | a@x.example | t@x.example c@y.example d@y.example | -",
        ),
        (
            "From a@x.example Mon Nov 10 10:00:00 2025\nFrom: a@x.example\nTo: b@y.example\nMessage-ID: <1@x>\n\n",
            "1@x | a@x.example | b@y.example | -",
        ),
        (
            "From: a@x.example\nTo: undisclosed-recipients:;\nMessage-ID: <1@x>\n\n",
            "1@x | a@x.example |  | -",
        ),
        ("From: a@x.example\nTo: b@y.example\n\nMessage-ID: <1@x>\n", " | a@x.example | b@y.example | -"),
        ("", "it is empty"),
        ("\nbody\n", "it does not begin with a mail header"),
        ("From: a@x.example\nno field\n\nx\n", "it does not begin with a mail header"),
        ("%PDF-1.7 rubbish\n\n", "it does not begin with a mail header"),
        ("From: a\0@x.example\n\n", "it does not begin with a mail header"),
    ];
    for (text, expected) in table {
        assert_eq!(said(text), expected, "{text:?}");
    }
}

#[test]
fn broken_reports_are_named_and_teach_nothing() {
    let other = ORIGINAL.replace("plan-1@", "other@");
    let tnef = "Content-Type: application/ms-tnef; name=\"winmail.dat\"\n\nx".to_owned();
    let whole = exchange(TEXT, &[enclosed(ORIGINAL)]);
    let to_the_mail = &whole[..whole.find("message/rfc822").unwrap()];
    let table: Vec<(&str, String, &str)> = vec![
        ("no mail in it", exchange(TEXT, &[]), "without the mail"),
        ("TNEF in place of the mail", exchange(TEXT, &[tnef]), "without the mail"),
        ("cut off before the mail", to_the_mail.to_owned(), "without the mail"),
        ("another mail", exchange(TEXT, &[enclosed(&other)]), "another Message-ID"),
        ("no boundary", whole.replace("; boundary=\"b_1\"", ""), "without the mail"),
        ("no parts", whole.replace("multipart/mixed; boundary=\"b_1\"", "text/plain"), "without the mail"),
        (
            "parts without end",
            exchange(TEXT, &vec!["Content-Type: text/plain\n\nx".to_owned(); 100]),
            "cannot be told apart",
        ),
        ("an empty mail", exchange(TEXT, &[enclosed("")]), " |  |  | -"),
    ];
    for (what, report, expected) in table {
        let said = said(&report);
        assert!(said.contains(expected), "{what}: {said}");
    }
}

#[test]
fn what_is_read_is_bounded() {
    let mut reader = Reader::default();
    reader.feed(b"From: a@x.example\r\n");
    for _ in 0..200 {
        reader.feed(&[b'x'; 8 * 1024]);
    }
    assert!(reader.is_done());
    assert!(matches!(reader.finish(), Err(Unreadable::HeaderTooLarge)));
    let crowd: Vec<String> = (0..4_000).map(|number| format!("p{number}@x.example")).collect();
    let large =
        format!("From: a@x.example\nTo: {}\nMessage-ID: <plan-1@customer.example>\n\n", crowd.join(",\n "));
    let report = exchange(TEXT, &[enclosed(&large)]);
    let header = said_once(&report).expect("a header of 80 KiB within a report");
    assert_eq!(people(&header, &["to"]).len(), 4_000);
}

fn said_once(text: &str) -> Result<Header, Unreadable> {
    let mut reader = Reader::default();
    reader.feed(text.replace('\n', "\r\n").as_bytes());
    reader.finish()
}

proptest::proptest! {
    /// However a copy is cut or damaged, nobody is learned who is not in the From, To or Cc of some header in
    /// it.
    #[test]
    fn damage_teaches_nobody_new(cut in 0usize..2_600, at in 0usize..2_600, byte: u8, size in 1usize..300) {
        let mut octets = exchange(TEXT, &[enclosed(ORIGINAL)]).replace('\n', "\r\n").into_bytes();
        octets.truncate(cut);
        if let Some(octet) = octets.get_mut(at) {
            *octet = byte;
        }
        let mut reader = Reader::default();
        octets.chunks(size).for_each(|piece| reader.feed(piece));
        if let Ok(header) = reader.finish() {
            for person in people(&header, &["from", "to", "cc"]) {
                for hidden in ["jiro@", "taro@", "saburo@", "hidden@", "sales@", "eve@"] {
                    proptest::prop_assert!(!person.starts_with(hidden), "{person}");
                }
            }
        }
    }
}
