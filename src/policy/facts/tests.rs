use super::*;
use crate::message::envelope::Recipient;
use crate::message::inspect::{Calendar, Written};
use bytes::Bytes;
use proptest::prelude::*;

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn ours() -> Organisation {
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    Organisation::new(
        &[("example.co.jp".into(), true)],
        &list(&["partner.example"]),
        &list(&["students.example.co.jp"]),
    )
    .unwrap()
}

fn envelope(sender: &str, recipients: &[&str]) -> Envelope {
    Envelope {
        sender: (!sender.is_empty()).then(|| address(sender)),
        recipients: recipients.iter().map(|text| Recipient::plain(address(text))).collect(),
        smtputf8: false,
        eight_bit: false,
        ret: None,
        envid: None,
    }
}

pub(in crate::policy) fn facts_of(
    header: &str,
    sender: &str,
    recipients: &[&str],
    knowledge: &Knowledge,
) -> Facts {
    let block = header.replace('\n', "\r\n");
    let index = Header::parse(Bytes::from(block)).map_err(|error| error.to_string());
    let envelope = envelope(sender, recipients);
    Preface::read(&ours(), &envelope, index.as_ref().map_err(Clone::clone)).complete(
        BodyFacts::default(),
        100,
        knowledge,
        &ours(),
    )
}

fn facts(header: &str) -> Facts {
    facts_of(
        &format!("From: me@example.co.jp\n{header}"),
        "me@example.co.jp",
        &["x@out.example"],
        &Knowledge::default(),
    )
}

fn outside(facts: &Facts) -> Vec<&str> {
    facts.external_addresses.iter().map(Address::as_str).collect()
}

#[test]
fn every_mailbox_on_show_is_counted_once() {
    // (header, outside addresses, organisations)
    let cases: &[(&str, &[&str], usize)] = &[
        ("To: a@one.example\n", &["a@one.example"], 1),
        (
            "To: a@one.example\nTo: b@two.example\nCc: c@three.example,\n d@three.example\n",
            &["a@one.example", "b@two.example", "c@three.example", "d@three.example"],
            3,
        ),
        ("To: Late payers: a@one.example, b@two.example;\n", &["a@one.example", "b@two.example"], 2),
        // recipients can read a display name (`docs/MAIL.md` §2)
        ("To: \"b@y.example\" <a@x.example>\n", &["a@x.example", "b@y.example"], 2),
        ("To: \"a@x.example\" <a@x.example>\n", &["a@x.example"], 1),
        ("Errors-To: e@one.example\nMail-Reply-To: m@two.example\n", &["e@one.example", "m@two.example"], 2),
        (
            "Return-Receipt-To: r@one.example\nResent-From: f@two.example\n",
            &["r@one.example", "f@two.example"],
            2,
        ),
        ("Errors-To: <broken\nReply-To: me@example.co.jp\n", &[], 0),
        ("X-To: a@one.example\nComments: and b@two.example\n", &["a@one.example", "b@two.example"], 2),
        ("Message-ID: <1@one.example>\nReceived: from x for <a@one.example>; now\n", &[], 0),
        ("To: A@One.example, a@one.example\nCc: a@ONE.example\n", &["A@One.example"], 1),
        ("To: me@example.co.jp, boss@mail.example.co.jp, a@one.example\n", &["a@one.example"], 1),
        ("To: s@students.example.co.jp\n", &["s@students.example.co.jp"], 1),
        ("To: p@partner.example, q@sub.partner.example\n", &[], 0),
        ("To: a.b+x@gmail.com, ab@googlemail.com\n", &["a.b+x@gmail.com"], 1),
        ("To: a@ocn.ne.jp, b@ocn.ne.jp\n", &["a@ocn.ne.jp", "b@ocn.ne.jp"], 2),
        ("To: info@a.co.jp, x@b.a.co.jp\n", &["info@a.co.jp", "x@b.a.co.jp"], 1),
        ("Resent-To: r@one.example\nResent-Cc: s@two.example\n", &["r@one.example", "s@two.example"], 2),
        (
            "Reply-To: r@one.example\nMail-Followup-To: s@two.example, me@example.co.jp\nDisposition-Notification-To: t@three.example\n",
            &["r@one.example", "s@two.example", "t@three.example"],
            3,
        ),
        ("Bcc: hidden@one.example\n", &[], 0),
        ("Sender: s@one.example\nTo: s@one.example, t@two.example\n", &["t@two.example"], 1),
        ("To: undisclosed-recipients:;\n", &[], 0),
    ];
    for (header, addresses, organisations) in cases {
        let facts = facts(header);
        assert_eq!(outside(&facts), *addresses, "{header}");
        assert_eq!(facts.external_organisations, *organisations, "{header}");
        assert_eq!(facts.problems, Vec::<String>::new(), "{header}");
    }
    assert_eq!(facts("Bcc: hidden@one.example\nBcc : second@one.example\n").bcc_header.len(), 2);
}

#[test]
fn what_is_not_certain_is_a_problem() {
    let bad = [
        "To: \"unterminated <a@one.example>\n",
        "Cc: <a@b.example> <c@d.example>\n",
        "To: a@one\u{200b}.example\n",
        "Reply-To: <a@b.example\n",
        "From: other@example.co.jp\n",
        "Sender: a@one.example, b@one.example\n",
    ];
    for header in bad {
        assert!(!facts(header).problems.is_empty(), "{header:?}");
    }
    let none = Knowledge::default();
    let from = |header: &str| facts_of(header, "me@example.co.jp", &["x@out.example"], &none);
    assert!(!from("To: a@one.example\n").problems.is_empty(), "no From");
    assert!(!from("From: \nTo: a@one.example\n").problems.is_empty(), "empty From");
    let broken = from("From: me@example.co.jp\nthis is no field\n");
    assert!(!broken.problems.is_empty());
    assert_eq!(broken.envelope_only, broken.recipients);
    assert!(!broken.from_is_ours);
}

#[test]
fn recipients_only_in_the_envelope_are_hidden() {
    // an internal list in To, forty outsiders in the envelope
    let members: Vec<String> = (0..40).map(|n| format!("m{n}@club{n}.example")).collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    let none = Knowledge::default();
    let list =
        facts_of("From: me@example.co.jp\nTo: all@example.co.jp\n", "me@example.co.jp", &members, &none);
    assert_eq!((list.external_addresses.len(), list.envelope_only.len()), (0, 40));
    assert_eq!(list.outside_recipients, 40);
    assert!(!list.is_internal_only());
    let header = "From: me@example.co.jp\nTo: me@example.co.jp, A@one.example\n";
    let mixed =
        facts_of(header, "me@example.co.jp", &["a@one.example", "me@example.co.jp", "b@two.example"], &none);
    assert_eq!(mixed.envelope_only, [address("b@two.example")]);
}

#[test]
fn a_from_that_names_several_hides_nobody() {
    let none = Knowledge::default();
    let header =
        "From: me@example.co.jp, a@one.example, b@two.example\nSender: me@example.co.jp\nTo: a@one.example\n";
    let facts = facts_of(header, "me@example.co.jp", &["a@one.example"], &none);
    assert_eq!(outside(&facts), ["a@one.example", "b@two.example"]);
    assert!(!facts.from_is_ours);
}

#[test]
fn a_circle_needs_one_thread_that_knows_them_all() {
    let thread = |id: &str, from: &str, addresses: &[&str]| Disclosed {
        message_id: id.into(),
        from: Some(address(from)),
        addresses: addresses.iter().map(|text| address(text)).collect(),
        mail: String::new(),
    };
    let known = Knowledge {
        threads: vec![
            thread("one@example.co.jp", "boss@example.co.jp", &["a@one.example", "b@two.example"]),
            thread("two@example.co.jp", "d@four.example", &["c@three.example"]),
        ],
        ..Knowledge::default()
    };
    let cases = [
        ("a@one.example, b@two.example", "one@example.co.jp", true),
        ("A@ONE.example", "one@example.co.jp", true),
        ("a@one.example, new@example.co.jp", "one@example.co.jp", true),
        ("c@three.example, d@four.example", "two@example.co.jp", true),
        // a forged or borrowed thread (`docs/MAIL.md` §5 "circle"): one additional outsider
        ("a@one.example, b@two.example, x@evil.example", "one@example.co.jp", false),
        // two threads are not added up
        ("a@one.example, c@three.example", "one@example.co.jp> <two@example.co.jp", false),
        ("a@one.example", "forged@example.co.jp", false),
        ("a@one.example", "two@example.co.jp", false),
    ];
    for (to, id, wanted) in cases {
        for field in ["References", "In-Reply-To"] {
            let header = format!("From: me@example.co.jp\nTo: {to}\n{field}: <{id}>\n");
            let facts = facts_of(&header, "me@example.co.jp", &["a@one.example"], &known);
            assert_eq!(facts.circle, wanted, "{header}");
            assert!(facts.reply);
        }
    }
    let fresh = facts_of("From: me@example.co.jp\nTo: a@one.example\n", "me@example.co.jp", &[], &known);
    assert!(!fresh.circle && !fresh.reply);
}

#[test]
fn a_made_circle_needs_no_thread() {
    let circle = |members: &[&str]| KnownCircle {
        members: members.iter().map(|text| address(text)).collect(),
        made_by: "soumu".into(),
        makers: Vec::new(),
    };
    let circles = vec![circle(&["a@one.example", "b@two.example"]), circle(&["c@three.example"])];
    let known = Knowledge { circles: std::sync::Arc::new(circles), ..Knowledge::default() };
    for (to, wanted) in [
        ("a@one.example, B@TWO.example", true),
        ("a@one.example, new@example.co.jp", true),
        ("a@one.example", true),
        ("a@one.example, c@three.example", false),
        ("a@one.example, b@two.example, x@evil.example", false),
        ("new@example.co.jp", false),
    ] {
        let header = format!("From: me@example.co.jp\nTo: {to}\n");
        assert_eq!(facts_of(&header, "me@example.co.jp", &["a@one.example"], &known).circle, wanted, "{to}");
    }
}

/// Disclosing takes two people: a circle does not exempt its maker's own mail.
#[test]
fn a_circle_exempts_everybody_but_its_maker() {
    let circle = |made_by: &str, makers: &[&str]| KnownCircle {
        members: vec![address("a@one.example"), address("b@two.example")],
        made_by: made_by.into(),
        makers: makers.iter().map(|text| address(text)).collect(),
    };
    let header = "From: me@example.co.jp\nSender: desk@example.co.jp\nTo: a@one.example, b@two.example\n";
    for (circle, identity, wanted) in [
        (circle("boss@example.co.jp", &["boss@example.co.jp"]), None, true),
        (circle("ME@example.co.jp", &[]), None, false),
        (circle("boss", &["me@example.co.jp"]), None, false),
        (circle("boss", &["desk@example.co.jp"]), None, false),
        (circle("boss", &["bounce@example.co.jp"]), None, false),
        (circle("boss", &["boss@example.co.jp"]), Some("boss"), false),
        (circle("boss", &["boss@example.co.jp"]), Some("Boss@example.co.jp"), false),
        (circle("boss", &["boss@example.co.jp"]), Some("hanako"), true),
    ] {
        let known = Knowledge {
            circles: std::sync::Arc::new(vec![circle.clone()]),
            identity: identity.map(str::to_owned),
            ..Knowledge::default()
        };
        let facts = facts_of(header, "bounce@example.co.jp", &["a@one.example"], &known);
        assert_eq!(facts.circle, wanted, "{circle:?} {identity:?}");
    }
}

/// The transactions of one mail are counted together; those of two mails with one Message-ID are not.
#[test]
fn transactions_of_one_mail_are_added_up() {
    let entry = |mail: &str, to: &str| Disclosed {
        message_id: "1@x".into(),
        from: Some(address("boss@example.co.jp")),
        addresses: vec![address(to)],
        mail: mail.into(),
    };
    let header = "From: me@example.co.jp\nTo: a@one.example, b@two.example\nIn-Reply-To: <1@x>\n";
    for (mails, wanted) in [(["m", "m"], true), (["m", "n"], false), (["", ""], false)] {
        let threads = vec![entry(mails[0], "a@one.example"), entry(mails[1], "b@two.example")];
        let known = Knowledge { threads, ..Knowledge::default() };
        let facts = facts_of(header, "me@example.co.jp", &["a@one.example"], &known);
        assert_eq!(facts.circle, wanted, "{mails:?}");
    }
}

/// A client's claims in header and envelope exempt nothing where other outsiders would be seen, in any field,
/// for either exemption.
#[test]
fn an_exemption_is_never_a_clients_word() {
    let none = Knowledge::default();
    let report = "From: daemon@example.co.jp\nAuto-Submitted: auto-replied\nTo: a@one.example\n";
    let forward = "From: x@far.example\nTo: me@example.co.jp\nResent-From: me@example.co.jp\n";
    let base = |header: &str, sender: &str| {
        let facts = facts_of(header, sender, &["a@one.example"], &none);
        facts.report || facts.auto_forward
    };
    assert!(base(report, "") && base(forward, "SRS0=ab=x@example.co.jp"));
    for field in [
        "To",
        "Cc",
        "Resent-To",
        "Resent-Cc",
        "Reply-To",
        "Mail-Followup-To",
        "Mail-Reply-To",
        "Disposition-Notification-To",
        "Return-Receipt-To",
        "Errors-To",
        "Resent-From",
        "Subject",
        "Comments",
        "X-To",
    ] {
        for stranger in ["b@two.example", "b@partner.example"] {
            let more = format!("{field}: {stranger}\n");
            assert!(!base(&format!("{report}{more}"), ""), "{more}");
            assert!(!base(&format!("{forward}{more}"), "SRS0=ab=x@example.co.jp"), "{more}");
        }
        let house = format!("{field}: answers@news.far.example\n");
        let addressed = matches!(field, "To" | "Cc" | "Resent-To" | "Resent-Cc");
        assert_eq!(base(&format!("{forward}{house}"), "SRS0=ab=x@example.co.jp"), !addressed, "{house}");
        let ours = format!("{field}: colleague@example.co.jp\n");
        assert!(base(&format!("{report}{ours}"), ""), "{ours}");
    }
}

#[test]
fn reports_and_forwards_show_by_their_envelope() {
    let none = Knowledge::default();
    // (header, MAIL FROM, recipients, report, auto_forward)
    let cases: &[(&str, &str, &[&str], bool, bool)] = &[
        ("From: daemon@example.co.jp\nAuto-Submitted: auto-replied\n", "", &["a@one.example"], true, false),
        ("From: daemon@example.co.jp\nAuto-Submitted: no\n", "", &["a@one.example"], false, false),
        (
            "From: daemon@example.co.jp\nAuto-Submitted: auto-replied\n",
            "d@example.co.jp",
            &["a@one.example"],
            false,
            false,
        ),
        (
            "From: daemon@example.co.jp\nAuto-Submitted: auto-replied\n",
            "",
            &["a@one.example", "b@one.example"],
            false,
            false,
        ),
        (
            "From: x@far.example\nTo: me@example.co.jp\n",
            "SRS0=ab=cd=far.example=x@example.co.jp",
            &["a@one.example"],
            false,
            true,
        ),
        (
            "From: x@far.example\nTo: me@example.co.jp\n",
            "srs1+ab=x@example.co.jp",
            &["a@one.example"],
            false,
            true,
        ),
        (
            "From: x@far.example\nTo: me@example.co.jp\n",
            "me+caf_=a=one.example@example.co.jp",
            &["a@one.example"],
            false,
            true,
        ),
        (
            "From: x@far.example\nTo: me@example.co.jp\nResent-From: me@example.co.jp\n",
            "me@example.co.jp",
            &["a@one.example"],
            false,
            true,
        ),
        ("From: x@far.example\nTo: me@example.co.jp\n", "x@far.example", &["a@one.example"], false, false),
        (
            "From: x@example.co.jp\nTo: me@example.co.jp\nResent-From: me@example.co.jp\n",
            "me@example.co.jp",
            &["a@one.example"],
            false,
            false,
        ),
        (
            "From: x@far.example\nTo: a@one.example\n",
            "SRS0=ab=x@example.co.jp",
            &["a@one.example"],
            false,
            false,
        ),
        (
            "From: x@far.example\nTo: me@example.co.jp\n",
            "SRS0=ab=x@example.co.jp",
            &["a@one.example", "b@one.example"],
            false,
            false,
        ),
    ];
    for (header, sender, recipients, report, forward) in cases {
        let facts = facts_of(header, sender, recipients, &none);
        assert_eq!((facts.report, facts.auto_forward), (*report, *forward), "{header} {sender}");
    }
}

#[test]
fn the_body_counts_outsiders_only() {
    let body = BodyFacts {
        calendar: Some(Calendar {
            method: "REQUEST".into(),
            addresses: ["me@example.co.jp", "a@one.example", "A@one.example", "b@two.example"]
                .map(address)
                .to_vec(),
        }),
        written: vec![
            Written {
                path: "1".into(),
                addresses: vec![address("me@example.co.jp"), address("a@one.example")],
            },
            Written {
                path: "2".into(),
                addresses: (0..50).map(|n| address(&format!("m{n}@club.example"))).collect(),
            },
        ],
        ..BodyFacts::default()
    };
    let header = Header::parse(Bytes::from_static(b"From: me@example.co.jp\r\n")).unwrap();
    let facts = Preface::read(&ours(), &envelope("me@example.co.jp", &["a@one.example"]), Ok(&header))
        .complete(body, 1, &Knowledge::default(), &ours());
    assert_eq!(facts.calendar_outside, [address("a@one.example"), address("b@two.example")]);
    let written = facts.written_outside.unwrap();
    assert_eq!((written.path.as_str(), written.count, written.examples.len()), ("2", 50, EXAMPLES));
}

#[test]
fn thousands_of_recipients_take_no_time() {
    use std::fmt::Write as _;
    let mut header = "From: me@example.co.jp\r\nTo: ".to_owned();
    for n in 0..4_500 {
        let sep = if n == 0 { "" } else { ",\r\n " };
        write!(header, "{sep}=?UTF-8?B?5bGx55Sw5aSq6YOO?= <taro{n}@club{}.example.jp>", n % 700).unwrap();
    }
    header.push_str("\r\n");
    let header = Header::parse(Bytes::from(header)).unwrap();
    let all: Vec<String> = (0..4_500).map(|n| format!("taro{n}@club{}.example.jp", n % 700)).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let envelope = envelope("me@example.co.jp", &all);
    let before = std::time::Instant::now();
    let preface = Preface::read(&ours(), &envelope, Ok(&header));
    let took = before.elapsed();
    assert_eq!(preface.facts().external_addresses.len(), 4_500);
    assert!(preface.facts().envelope_only.is_empty());
    assert!(took < std::time::Duration::from_secs(2), "runaway work: {took:?}");
}

proptest! {
    #[test]
    fn one_more_outsider_never_lowers_a_count(
        people in prop::collection::vec(("[a-d]{1,2}", 0_usize..6), 0..12),
        more in ("[a-d]{1,2}", 0_usize..6),
        field in 0_usize..4,
    ) {
        const DOMAINS: [&str; 6] =
            ["one.example", "b.one.example", "gmail.com", "ocn.ne.jp", "partner.example", "example.co.jp"];
        let written = |(local, domain): &(String, usize)| format!("{local}@{}", DOMAINS[*domain]);
        let to = people.iter().map(written).collect::<Vec<_>>().join(", ");
        let base = if to.is_empty() { String::new() } else { format!("To: {to}\n") };
        let field = ["To", "Cc", "Resent-Cc", "Reply-To"][field];
        let fewer = facts(&base);
        let further = facts(&format!("{base}{field}: {}\n", written(&more)));
        prop_assert!(further.external_addresses.len() >= fewer.external_addresses.len());
        prop_assert!(further.external_organisations >= fewer.external_organisations);
        prop_assert!(further.visible.len() >= fewer.visible.len());
    }
}
