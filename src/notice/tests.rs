//! Golden mails: what each kind of notice looks like, in both languages, bytes and all.

use super::*;
use crate::id::Id;
use crate::message::encoded_word::decode_words;
use crate::message::{Envelope, Header, Recipient};
use crate::policy::risks::Risk;
use crate::policy::verdict::{Mode, RuleOutcome};
use crate::policy::{Demand, Disclosure, Timing, Verdict};
use crate::rewrite::Hit;
use crate::store::{AskWhy, Body, DeliveryState, HeldRow, HeldState, HoldKind, LinkAction, Origin};
use bytes::Bytes;
use proptest::prelude::*;
use std::path::Path;

pub(super) const RECEIVED: Timestamp = Timestamp(1_792_000_000_000);

pub(super) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

pub(super) fn letterhead() -> Letterhead {
    let ours = [("example.co.jp".to_owned(), true)];
    Letterhead {
        hostname: "relay.example.co.jp".to_owned(),
        from: address("postmaster@example.co.jp"),
        organisation: Arc::new(Organisation::new(&ours, &[], &[]).unwrap()),
        approvers: vec![address("soumu@example.co.jp")],
        asking: asking::Asking::plain(hours::Hours::always(TimeZone::fixed(jiff::tz::offset(9)))),
        admin: Some(address("admin@example.co.jp")),
        language: None,
        zone: TimeZone::fixed(jiff::tz::offset(9)),
        contact: None,
        upstream: Some("smtp.example.net".to_owned()),
    }
}

pub(super) fn moment() -> Moment {
    Moment { now: Timestamp(RECEIVED.0 + 5_000), bits: 0x0123_4567_89ab_cdef }
}

/// A mail from one of ours to people outside, a colleague in Cc, and one in Bcc.
pub(super) fn message(japanese: bool) -> StoredMessage {
    let (from, subject) = if japanese {
        ("=?ISO-2022-JP?B?GyRCOzNFRBsoQg==?= <yamada@example.co.jp>", "説明会のご案内")
    } else {
        ("Taro Yamada <yamada@example.co.jp>", "Invitation to the briefing")
    };
    let header = format!(
        "From: {from}\r\nTo: a@alpha.example.com, b@beta.example.org,\r\n\tc@gamma.example.net\r\n\
         Cc: sato@example.co.jp\r\nBcc: hidden@delta.example.com\r\nSubject: x\r\n\
         Message-ID: <m1@pc.example.co.jp>\r\nDate: Thu, 15 Oct 2026 01:46:40 +0900\r\n"
    );
    let recipients = [
        "a@alpha.example.com",
        "b@beta.example.org",
        "c@gamma.example.net",
        "sato@example.co.jp",
        "hidden@delta.example.com",
    ];
    StoredMessage {
        id: Id::new(RECEIVED, 7),
        received: RECEIVED,
        origin: Origin::Client {
            peer: "192.0.2.9:4025".to_owned(),
            helo: "pc".to_owned(),
            identity: None,
            secured: false,
        },
        envelope: Envelope {
            sender: Some(address("yamada@example.co.jp")),
            recipients: recipients.iter().map(|text| Recipient::plain(address(text))).collect(),
            smtputf8: false,
            eight_bit: false,
            ret: None,
            envid: Some("QQ+2B1".to_owned()),
        },
        header: Bytes::from(header),
        body: Body::Inline(Bytes::from_static(b"\r\nHello\r\n")),
        subject: subject.to_owned(),
        message_id: "m1@pc.example.co.jp".to_owned(),
        verdict: Some(Verdict {
            demand: Demand { disclosure: Disclosure::Split, timing: Timing::Now },
            mode: Mode::Enforce,
            rules: vec![RuleOutcome {
                name: "strangers-see-each-other".to_owned(),
                matched: true,
                demand: Demand { disclosure: Disclosure::Split, timing: Timing::Now },
                why: "3 outside addresses of 3 organisations would see each other".to_owned(),
                why_ja: "社外の 3 名（3 組織）に互いのアドレスが見えます".to_owned(),
                ..RuleOutcome::default()
            }],
        }),
        needles: Arc::new(Vec::new()),
        held: None,
    }
}

fn hold(message: &mut StoredMessage, kind: HoldKind) {
    let hits = if kind == HoldKind::Unsafe {
        vec![Hit {
            address: address("hidden@delta.example.com"),
            place: "part 1 (text/plain)\r\nX-Evil: 1".to_owned(),
            form: "as text".to_owned(),
        }]
    } else {
        Vec::new()
    };
    message.held = Some(HeldRow {
        id: message.id,
        sender: "yamada@example.co.jp".to_owned(),
        subject: message.subject.clone(),
        recipients: Vec::new(),
        risks: if hits.is_empty() {
            vec![Risk::exposed(3, 3)]
        } else {
            vec![Risk::inside(hits.iter().map(Hit::whose_and_where))]
        },
        reasons: vec!["3 outside addresses of 3 organisations would see each other".to_owned()],
        reasons_ja: vec!["社外の 3 名（3 組織）に互いのアドレスが見えます".to_owned()],
        kind,
        hits,
        received: RECEIVED,
        expires: Timestamp(RECEIVED.0 + 259_200_000),
        approvers: Vec::new(),
        state: HeldState::Held,
        decided_by: Some("suzuki".to_owned()),
        decided_at: None,
        decision: Some("please use Bcc".to_owned()),
        item: message.id,
        addendum_to: None,
        members: 1,
        awaited: Vec::new(),
        undo_until: None,
    });
}

pub(super) fn row(message: &StoredMessage, number: usize, state: DeliveryState, reply: &str) -> QueueRow {
    let recipient = message.envelope.recipients[number].address.to_string();
    QueueRow {
        id: format!("{}.{}", message.id, number + 1),
        message: message.id,
        sender: "yamada@example.co.jp".to_owned(),
        recipients: vec![recipient],
        state,
        attempts: 1,
        last_reply: reply.to_owned(),
        due: None,
        received: RECEIVED,
        possible_duplicate: false,
        would: None,
    }
}

/// The header, then each part decoded.
fn readable(mail: &OwnMail) -> String {
    let (header, parts) = opened(mail);
    let to: Vec<&str> = mail.to.iter().map(Address::as_str).collect();
    let subject = Header::parse(Bytes::from(header.clone() + "\r\n")).unwrap().text("Subject").unwrap();
    let text = &parts[0];
    format!("[to {}]\n[subject {subject}]\n{header}\n\n{text}", to.join(", ")).replace('\r', "")
}

/// The header, and the content of each part as a program of others reads it.
fn opened(mail: &OwnMail) -> (String, Vec<String>) {
    let text = String::from_utf8(mail.message.to_vec()).unwrap();
    let (header, _) = text.split_once("\r\n\r\n").unwrap();
    let read = mail_parser::MessageParser::default().parse(&mail.message[..]).unwrap();
    let parts: Vec<String> = ["text/plain", "text/html"]
        .iter()
        .map(|kind| {
            let part = read.parts.iter().find(|part| {
                use mail_parser::MimeHeaders;
                part.content_type().is_some_and(|found| {
                    format!("{}/{}", found.c_type, found.subtype().unwrap_or_default()) == *kind
                })
            });
            part.and_then(|part| part.text_contents()).unwrap_or_default().to_owned()
        })
        .collect();
    (header.to_owned(), parts)
}

/// Links as they are made for whom a notice goes to.
fn links(kind: NoticeKind, message: &StoredMessage) -> links::Links {
    let wanted = links::offered(kind, message);
    let made = wanted.iter().map(|action| format!("https://desk.example.co.jp/l/{action:?}-token")).collect();
    links::Links::of(wanted, made)
}

fn composed(kind: NoticeKind, message: &StoredMessage, deliveries: &[QueueRow]) -> Option<OwnMail> {
    composed_with(kind, message, deliveries, &links::NO_LINKS)
}

fn composed_with(
    kind: NoticeKind,
    message: &StoredMessage,
    deliveries: &[QueueRow],
    links: &links::Links,
) -> Option<OwnMail> {
    let notice = DueNotice { notice: 42, message: message.id, kind };
    compose(&notice, &Matter { message, deliveries, links, details: &NO_DETAILS }, &letterhead(), moment())
}

fn composed_as(kind: NoticeKind, message: &StoredMessage, details: &Details) -> Option<OwnMail> {
    let notice = DueNotice { notice: 42, message: message.id, kind };
    let matter = Matter { message, deliveries: &[], links: &links::NO_LINKS, details };
    compose(&notice, &matter, &letterhead(), moment())
}

/// A held message, let go in this way.
fn released(message: &StoredMessage, way: &str) -> StoredMessage {
    let mut message = message.clone();
    let held = message.held.as_mut().unwrap();
    held.state = HeldState::Released;
    held.decision = Some(way.to_owned());
    message
}

/// The mail to one of those who decide.
fn asked(
    why: AskWhy,
    message: &StoredMessage,
    deliveries: &[QueueRow],
    links: &links::Links,
) -> Option<OwnMail> {
    let ask =
        Ask { row: 1, message: message.id, approver: address("soumu@example.co.jp"), why, digest: false };
    let words = (why == AskWhy::AsIs).then_some("They are one project team.\nKnown to each other for years.");
    compose_ask(
        &ask,
        &Matter { message, deliveries, links, details: &NO_DETAILS },
        words,
        &letterhead(),
        moment(),
    )
}

fn golden(name: &str, text: &str) {
    let folder = format!("{}/../../tests/golden/notices", env!("CARGO_MANIFEST_DIR"));
    insta::with_settings!({ snapshot_path => folder, prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, text);
    });
}

/// Every notice in one language, with links and without, by name.
fn all_notices(japanese: bool) -> Vec<(String, OwnMail)> {
    let mut split = message(japanese);
    let rows: Vec<QueueRow> =
        (0..5).map(|number| row(&split, number, DeliveryState::Delivered, "250 ok")).collect();
    let waiting: Vec<QueueRow> = (0..5)
        .map(|number| QueueRow {
            due: Some(Timestamp(RECEIVED.0 + 600_000)),
            ..row(&split, number, DeliveryState::Waiting, "")
        })
        .collect();
    let mut all = Vec::new();
    let to_sender = |name: &str, kind, message: &StoredMessage, rows: &[QueueRow]| {
        let links = links(kind, message);
        let linked = (format!("{name}-linked"), composed_with(kind, message, rows, &links).unwrap());
        [(name.to_owned(), composed(kind, message, rows).unwrap()), linked]
    };
    all.extend(to_sender("split", NoticeKind::Split, &split, &rows));
    all.extend(to_sender("waits", NoticeKind::Waits, &split, &waiting));
    hold(&mut split, HoldKind::Ask);
    all.extend(to_sender("held", NoticeKind::Held, &split, &[]));
    all.extend(to_sender("expiring", NoticeKind::Expiring, &split, &[]));
    all.extend(to_sender("taken-back", NoticeKind::TakenBack, &split, &[]));
    for (name, kind) in [("returned", NoticeKind::Returned), ("expired", NoticeKind::Expired)] {
        all.push((name.to_owned(), composed(kind, &split, &[]).unwrap()));
    }
    for (name, way) in
        [("released", "split"), ("released-bcc", "bcc"), ("released-as-is", "as-is, acknowledging x")]
    {
        let dropped = if way == "bcc" { vec!["b@beta.example.org".to_owned()] } else { Vec::new() };
        let details = Details { dropped, ..Details::default() };
        all.push((
            name.to_owned(),
            composed_as(NoticeKind::Released, &released(&split, way), &details).unwrap(),
        ));
    }
    let view = links::Links {
        view: Some("https://desk.example.co.jp/held/x".to_owned()),
        ..links::NO_LINKS.clone()
    };
    for (name, why) in [
        ("approvers", AskWhy::Asked),
        ("deputy", AskWhy::Deputy),
        ("escalated", AskWhy::Escalated),
        ("expiring-approvers", AskWhy::Expiring),
        ("as-is", AskWhy::AsIs),
    ] {
        all.push((name.to_owned(), asked(why, &split, &[], &view).unwrap()));
    }
    all.push(("approvers-no-desk".to_owned(), asked(AskWhy::Asked, &split, &[], &links::NO_LINKS).unwrap()));
    let entries: Vec<pages::Entry<'_>> = [AskWhy::Asked, AskWhy::Deputy]
        .into_iter()
        .map(|why| pages::Entry {
            matter: Matter { message: &split, deliveries: &[], links: &view, details: &NO_DETAILS },
            why,
            words: None,
        })
        .collect();
    let (to, bytes) =
        pages::digest(&entries, &address("soumu@example.co.jp"), &letterhead(), moment()).unwrap();
    all.push((
        "digest".to_owned(),
        OwnMail { about: None, to, message: bytes.into(), answers: None, enclosed: None },
    ));
    let mut rule = split.clone();
    hold(&mut rule, HoldKind::Rule);
    all.extend(to_sender("held-by-rule", NoticeKind::Held, &rule, &[]));
    hold(&mut split, HoldKind::Unsafe);
    all.push(("stopped".to_owned(), asked(AskWhy::Stopped, &split, &rows[..2], &links::NO_LINKS).unwrap()));
    all
}

#[test]
fn notices_look_like_this() {
    for (language, japanese) in [("en", false), ("ja", true)] {
        for (name, mail) in all_notices(japanese) {
            golden(&format!("{name}-{language}"), &readable(&mail));
        }
    }
}

/// All that a notice brings, as it leaves.
fn whole(mail: &OwnMail) -> Vec<u8> {
    let mut out = mail.message.to_vec();
    if let Some(enclosed) = &mail.enclosed {
        let Body::Inline(body) = &enclosed.body else { panic!("inline") };
        for piece in [&enclosed.header, body, &enclosed.closing] {
            out.extend_from_slice(piece);
        }
    }
    out
}

#[test]
fn what_was_not_sent_goes_back() {
    let mut message = message(false);
    hold(&mut message, HoldKind::Ask);
    let whole_mail = Some(Encloses::Whole { eight_bit: false });
    for (kind, encloses, name) in [
        (NoticeKind::Returned, whole_mail, "returned-whole"),
        (NoticeKind::Expired, whole_mail, "expired-whole"),
        (NoticeKind::Expired, Some(Encloses::Header), "expired-header"),
    ] {
        let details = Details { encloses, ..Details::default() };
        let bytes = whole(&composed_as(kind, &message, &details).unwrap());
        let text = String::from_utf8(bytes.clone()).unwrap();
        let (_, report) = text.split_once("message/delivery-status").unwrap();
        golden(name, &report.replace('\r', ""));
        assert!(!text.contains("Bcc:"), "{text}");
        let read = mail_parser::MessageParser::default().parse(&bytes).unwrap();
        let enclosed = read.attachments().find_map(|part| part.message().cloned());
        assert_eq!(enclosed.is_some(), encloses == whole_mail, "{name}");
        if let Some(enclosed) = enclosed {
            assert_eq!(enclosed.body_text(0).unwrap().trim(), "Hello");
            assert_eq!(enclosed.message_id(), Some("m1@pc.example.co.jp"));
        }
        assert!(read.body_text(0).unwrap().contains("Invitation"), "a person reads it first");
    }
    // 8-bit octets are said to be there, on every level.
    message.body = Body::Inline(Bytes::from_static(b"\r\n\xe3\x81\x82\r\n"));
    let encloses = Some(Encloses::Whole { eight_bit: true });
    let eight =
        composed_as(NoticeKind::Returned, &message, &Details { encloses, ..Details::default() }).unwrap();
    assert!(eight.message.is_ascii() && eight.enclosed.as_ref().unwrap().eight_bit);
    assert_eq!(
        String::from_utf8(whole(&eight)).unwrap().matches("Content-Transfer-Encoding: 8bit").count(),
        2
    );
    // A stranger's mail: the admin is told, and does not get it.
    message.envelope.sender = Some(address("stranger@alpha.example.com"));
    let told =
        composed_as(NoticeKind::Returned, &message, &Details { encloses, ..Details::default() }).unwrap();
    assert!(
        told.enclosed.is_none()
            && !String::from_utf8(whole(&told)).unwrap().contains("m1@pc.example.co.jp>\r\nDate")
    );
}

#[test]
fn of_a_release_is_told_while_it_stands() {
    let mut message = message(false);
    hold(&mut message, HoldKind::Ask);
    let told = |message: &StoredMessage, kind| composed(kind, message, &[]).is_some();
    assert!(told(&message, NoticeKind::Held) && !told(&message, NoticeKind::Released));
    let message = released(&message, "split");
    assert!(!told(&message, NoticeKind::Held) && told(&message, NoticeKind::Released));
}

/// For looking at them: `SHOW_NOTICES=DIR cargo test --lib notices_are_shown` writes each as HTML.
#[test]
fn notices_are_shown() {
    for (language, japanese) in [("en", false), ("ja", true)] {
        for (name, mail) in all_notices(japanese) {
            let (_, parts) = opened(&mail);
            assert!(parts[1].starts_with("<!DOCTYPE html>"), "{name} has no HTML");
            if let Some(folder) = std::env::var_os("SHOW_NOTICES") {
                std::fs::write(Path::new(&folder).join(format!("{name}-{language}.html")), &parts[1])
                    .unwrap();
            }
        }
    }
}

#[test]
fn the_html_says_what_the_text_says() {
    let plain = |text: &str| text.split_whitespace().collect::<String>();
    for japanese in [false, true] {
        for (name, mail) in all_notices(japanese) {
            let (_, parts) = opened(&mail);
            let html = plain(&unescaped(&parts[1]));
            for line in parts[0].lines().map(str::trim).filter(|line| !line.is_empty()) {
                let bare = line.trim_start_matches(['>', ' ']).trim_matches(['(', ')', '（', '）']);
                let said = bare.split([':', '：']).all(|piece| html.contains(&plain(piece)));
                let frame = line.starts_with("--");
                assert!(said || frame, "{name}: the HTML does not say `{line}`");
            }
        }
    }
}

/// HTML without its tags.
fn unescaped(html: &str) -> String {
    let mut out = String::new();
    let mut rest = html;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(before);
        let (tag, behind) = after.split_once('>').unwrap();
        if let Some(url) = tag.split("href=\"").nth(1) {
            out.push_str(url.split('"').next().unwrap());
        }
        out.push(' ');
        rest = behind;
    }
    out.push_str(rest);
    [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#38;", "&"),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(out, |text, (from, to)| text.replace(from, to))
}

#[test]
fn an_unsafe_hold_offers_no_split() {
    let mut message = message(false);
    hold(&mut message, HoldKind::Unsafe);
    let text = readable(&asked(AskWhy::Asked, &message, &[], &links::NO_LINKS).unwrap());
    assert!(
        !text.contains("--as bcc")
            && text.contains("--as as-is")
            && text.contains("hidden@delta.example.com (the text")
    );
    assert!(!text.contains("\nX-Evil"), "a place is shown on one line");
    for (kind, split) in [(HoldKind::Ask, true), (HoldKind::Rule, false), (HoldKind::Unsafe, false)] {
        hold(&mut message, kind);
        let offered = links::offered(NoticeKind::Held, &message);
        assert_eq!(offered.contains(&LinkAction::Split), split, "{kind:?}");
        assert!(offered.contains(&LinkAction::TakeBack) && !offered.contains(&LinkAction::View));
    }
}

#[test]
fn each_is_told_in_their_own_language() {
    let (en, ja) = (Some(Language::En), Some(Language::Ja));
    // The mail is in Japanese, what is set, who is told chose: what the mail to the sender begins with.
    let table = [
        (true, None, None, Language::Ja),
        (false, None, None, Language::En),
        (false, ja, None, Language::Ja),
        (true, en, None, Language::En),
        (true, en, ja, Language::Ja),
        (false, None, ja, Language::Ja),
        (true, ja, en, Language::En),
    ];
    for (japanese, language, chosen, expected) in table {
        let mut message = message(japanese);
        hold(&mut message, HoldKind::Ask);
        let letterhead = Letterhead { language, ..letterhead() };
        let details = Details { chosen, ..Details::default() };
        let matter =
            Matter { message: &message, deliveries: &[], links: &links::NO_LINKS, details: &details };
        let notice = DueNotice { notice: 1, message: message.id, kind: NoticeKind::Held };
        let text = readable(&compose(&notice, &matter, &letterhead, moment()).unwrap());
        let (word, other) = match expected {
            Language::En => ("Not sent yet.", "まだ送信していません。"),
            Language::Ja => ("まだ送信していません。", "Not sent yet."),
        };
        assert!(text.contains(word) && !text.contains(other), "{japanese} {language:?} {chosen:?}: {text}");
        // Those who decide are told in both languages where theirs is not known, and in one where it is.
        let ask = Ask {
            row: 1,
            message: message.id,
            approver: address("soumu@example.co.jp"),
            why: AskWhy::Asked,
            digest: false,
        };
        let text = readable(&compose_ask(&ask, &matter, None, &letterhead, moment()).unwrap());
        let both =
            text.contains("It has not been sent to anyone") && text.contains("まだ誰にも送信していません");
        assert_eq!(both, language.is_none() && chosen.is_none(), "{language:?} {chosen:?}: {text}");
    }
}

#[test]
fn who_is_told() {
    let told = |message: &StoredMessage, kind| {
        composed(kind, message, &[]).map(|mail| mail.to.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let mut message = message(false);
    hold(&mut message, HoldKind::Rule);
    assert_eq!(told(&message, NoticeKind::Held).unwrap(), ["yamada@example.co.jp"]);
    let names = |people: Vec<Address>| people.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(whom::deciders_of(&message, &letterhead())), ["soumu@example.co.jp"]);
    assert_eq!(names(whom::alerted(&message, &letterhead())), ["soumu@example.co.jp", "admin@example.co.jp"]);
    // Whom it was assigned to; never the sender.
    message.held.as_mut().unwrap().approvers =
        vec!["boss@example.co.jp".into(), "yamada@example.co.jp".into()];
    assert_eq!(names(whom::deciders_of(&message, &letterhead())), ["boss@example.co.jp"]);
    message.held.as_mut().unwrap().approvers = vec!["yamada@example.co.jp".into()];
    assert_eq!(names(whom::deciders_of(&message, &letterhead())), ["soumu@example.co.jp"]);
    // A stranger's MAIL FROM: the admin, with a word why.
    message.envelope.sender = Some(address("stranger@alpha.example.com"));
    assert_eq!(told(&message, NoticeKind::Held).unwrap(), ["admin@example.co.jp"]);
    let text = readable(&composed(NoticeKind::Held, &message, &[]).unwrap());
    assert!(text.contains("because the sender (stranger@alpha.example.com) cannot be told"), "{text}");
    // An authenticated identity comes before MAIL FROM.
    if let Origin::Client { identity, .. } = &mut message.origin {
        *identity = Some("ito@example.co.jp".to_owned());
    }
    assert_eq!(told(&message, NoticeKind::Held).unwrap(), ["ito@example.co.jp"]);
    // Our own mail: nobody.
    message.origin = Origin::Own { about: None };
    assert_eq!(told(&message, NoticeKind::Held), None);
    // Nobody named at all.
    let nobody = Letterhead { approvers: Vec::new(), admin: None, ..letterhead() };
    message.held.as_mut().unwrap().approvers = Vec::new();
    assert!(whom::deciders_of(&message, &nobody).is_empty());
    // Nothing waits any more.
    message.held.as_mut().unwrap().state = HeldState::Released;
    assert!(asked(AskWhy::Asked, &message, &[], &links::NO_LINKS).is_none());
}

#[test]
fn a_header_that_cannot_be_read_still_gets_a_notice() {
    let mut message = message(true);
    message.header = Bytes::from_static(b"no header at all");
    hold(&mut message, HoldKind::Unsafe);
    assert!(composed(NoticeKind::Held, &message, &[]).is_some());
    assert!(asked(AskWhy::Asked, &message, &[], &links::NO_LINKS).is_some());
}

#[test]
fn long_lists_are_cut_and_counted() {
    let mut message = message(false);
    hold(&mut message, HoldKind::Ask);
    let names: Vec<String> =
        (0..4_500).map(|number| format!("u{number}@m{}.example.org", number % 300)).collect();
    message.header = Bytes::from(format!("From: y@example.co.jp\r\nTo: {}\r\n", names.join(",\r\n ")));
    message.envelope.recipients = names.iter().map(|name| Recipient::plain(address(name))).collect();
    message.held.as_mut().unwrap().risks = vec![Risk::exposed(4_500, 300)];
    let text = readable(&composed(NoticeKind::Held, &message, &[]).unwrap());
    assert!(text.contains("4,500 people at 300 organisations") && text.contains("and 4,470 more"), "{text}");
    // Whom an approver's mail does not list is counted by heads, whatever lines stand above them.
    let text = readable(&asked(AskWhy::Asked, &message, &[], &links::NO_LINKS).unwrap());
    assert!(text.contains("example.org (4,500)") && text.contains("and 4,470 more"), "{text}");
    assert!(asked(AskWhy::Asked, &message, &[], &links::NO_LINKS).unwrap().message.len() < 100_000);
}

/// Everything that others write, hostile: a subject, a reason, an id, a place, words of a person.
fn hostile(subject: &str, reason: &str, id: &str) -> Vec<OwnMail> {
    let mut message = message(false);
    subject.clone_into(&mut message.subject);
    id.clone_into(&mut message.message_id);
    hold(&mut message, HoldKind::Unsafe);
    let held = message.held.as_mut().unwrap();
    held.decision = Some(reason.to_owned());
    held.decided_by = Some(reason.to_owned());
    held.reasons = vec![reason.to_owned()];
    held.hits[0].place = reason.to_owned();
    let ask = Ask {
        row: 1,
        message: message.id,
        approver: address("soumu@example.co.jp"),
        why: AskWhy::AsIs,
        digest: false,
    };
    let links = links::Links {
        view: Some("https://desk.example.co.jp/held/x".to_owned()),
        ..links::NO_LINKS.clone()
    };
    let matter = Matter { message: &message, deliveries: &[], links: &links, details: &NO_DETAILS };
    let entries = [pages::Entry { matter, why: AskWhy::Asked, words: None }];
    let (to, bytes) = pages::digest(&entries, &ask.approver, &letterhead(), moment()).unwrap();
    vec![
        composed(NoticeKind::Returned, &message, &[]).unwrap(),
        composed_as(
            NoticeKind::Released,
            &released(&message, reason),
            &Details { dropped: vec![reason.to_owned()], ..Details::default() },
        )
        .unwrap(),
        composed_with(NoticeKind::Held, &message, &[], &self::links(NoticeKind::Held, &message)).unwrap(),
        compose_ask(&ask, &matter, Some(reason), &letterhead(), moment()).unwrap(),
        OwnMail { about: None, to, message: bytes.into(), answers: None, enclosed: None },
    ]
}

/// What no mail of ours has, whatever others wrote: another header, a line end of its own, a script,
/// a frame, an image, an address of another host.
fn is_sound(mail: &OwnMail) {
    let at = memchr::memmem::find(&mail.message, b"\r\n\r\n").unwrap() + 2;
    let header = Header::parse(mail.message.slice(..at)).unwrap();
    let names: Vec<String> = header.fields().iter().map(|field| decode_words(header.name(field))).collect();
    let known = [
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "In-Reply-To",
        "References",
        "Auto-Submitted",
        "X-Auto-Response-Suppress",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
        "Importance",
        "X-Priority",
    ];
    assert!(names.iter().all(|name| known.contains(&name.as_str())), "{names:?}");
    assert!(mail.message.is_ascii());
    let text = String::from_utf8(mail.message.to_vec()).unwrap();
    assert!(text.split_inclusive('\n').all(|line| line.ends_with("\r\n")));
    assert!(!text.replace("\r\n", "").contains(['\r', '\n', '\0']));
    let read = mail_parser::MessageParser::default().parse(&mail.message[..]).unwrap();
    assert_eq!((read.text_body_count(), read.html_body_count(), read.attachment_count()), (1, 1, 0));
    let html = read.body_html(0).unwrap();
    let tags = html.split('<').skip(1).map(|tag| tag.split('>').next().unwrap());
    for tag in tags {
        let name: String =
            tag.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '!')).collect();
        let ours = [
            "!DOCTYPE", "!", "html", "head", "meta", "title", "style", "body", "div", "table", "tr", "td",
            "span", "bdi", "br", "a", "h1", "h2",
        ];
        assert!(ours.contains(&name.trim_start_matches('/')), "<{tag}>");
        for attribute in ["src=", "onload", "onerror", "onclick", "background=", "url(", "@import"] {
            assert!(!tag.to_ascii_lowercase().contains(attribute), "<{tag}>");
        }
        if let Some(url) = tag.split("href=\"").nth(1) {
            assert!(url.starts_with("https://desk.example.co.jp/"), "<{tag}>");
        }
    }
    assert!(!html.contains(['\u{202e}', '\u{2066}', '\u{200f}', '\u{61c}', '\0', '\u{1b}']));
}

#[test]
fn hostile_words_stay_words() {
    let evil = [
        "<script>alert(1)</script><img src=x onerror=alert(1)>",
        "\"><a href=\"https://evil.example/\">press</a>",
        "\r\nBcc: victim@example.com\r\n\r\n<html>",
        "\u{202e}moc.live\u{2066}\u{200f}\u{61c}",
        "]]><!--<style>@import url(https://evil.example)</style>-->",
        "</title></style></table><iframe srcdoc=x>",
        "--=_sekisho_06gkq1g000000007_0123456789abcdef--",
        "&#60;script&#62; {{ 7 * 7 }} {% include \"x\" %}",
        "\0\u{1b}[31m\u{7}",
    ];
    for text in evil {
        for mail in hostile(text, text, text) {
            is_sound(&mail);
        }
    }
}

proptest! {
    #[test]
    fn what_others_wrote_never_becomes_more_than_words(subject in "\\PC{0,40}|[\\x00-\\x7f]{0,60}", reason in "\\PC{0,40}|[\\x00-\\x7f]{0,60}|(<|>|\"|'|&|=|script|a href|img src|\\r\\n){0,20}", id in "[\\x00-\\x7f]{0,40}") {
        for mail in hostile(&subject, &reason, &id) {
            is_sound(&mail);
        }
    }
}
