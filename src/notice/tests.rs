//! Golden mails: what each kind of notice looks like, in both languages, bytes and all.

use super::*;
use crate::id::Id;
use crate::message::encoded_word::decode_words;
use crate::message::{Envelope, Header, Recipient};
use crate::policy::verdict::{Mode, RuleOutcome};
use crate::policy::{Demand, Disclosure, Timing, Verdict};
use crate::rewrite::Hit;
use crate::store::{Body, DeliveryState, HeldRow, HeldState, HoldKind, Origin};
use base64::Engine;
use bytes::Bytes;
use proptest::prelude::*;

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
        admin: Some(address("admin@example.co.jp")),
        language: Language::En,
        zone: TimeZone::fixed(jiff::tz::offset(9)),
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
    }
}

/// The header, and the one text part decoded.
fn readable(mail: &OwnMail) -> String {
    let text = String::from_utf8(mail.message.to_vec()).unwrap();
    let (header, body) = text.split_once("\r\n\r\n").unwrap();
    let body = if header.contains("base64") {
        let joined: String = body.split_whitespace().collect();
        String::from_utf8(base64::engine::general_purpose::STANDARD.decode(joined).unwrap()).unwrap()
    } else {
        body.to_owned()
    };
    let to: Vec<&str> = mail.to.iter().map(Address::as_str).collect();
    let subject = Header::parse(Bytes::from(header.to_owned())).unwrap().text("Subject").unwrap();
    format!("[to {}]\n[subject {subject}]\n{header}\n\n{body}", to.join(", ")).replace('\r', "")
}

fn composed(kind: NoticeKind, message: &StoredMessage, deliveries: &[QueueRow]) -> Option<OwnMail> {
    let notice = DueNotice { notice: 42, message: message.id, kind };
    compose(&notice, &Matter { message, deliveries }, &letterhead(), moment())
}

fn golden(name: &str, text: &str) {
    let folder = format!("{}/tests/golden/notices", env!("CARGO_MANIFEST_DIR"));
    insta::with_settings!({ snapshot_path => folder, prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn notices_look_like_this() {
    for (language, japanese) in [("en", false), ("ja", true)] {
        let mut split = message(japanese);
        let rows: Vec<QueueRow> =
            (0..5).map(|number| row(&split, number, DeliveryState::Delivered, "250 ok")).collect();
        golden(&format!("split-{language}"), &readable(&composed(NoticeKind::Split, &split, &rows).unwrap()));
        hold(&mut split, HoldKind::Ask);
        for (name, kind) in [
            ("held", NoticeKind::Held),
            ("approvers", NoticeKind::HeldApprovers),
            ("returned", NoticeKind::Returned),
            ("expired", NoticeKind::Expired),
        ] {
            golden(&format!("{name}-{language}"), &readable(&composed(kind, &split, &[]).unwrap()));
        }
        hold(&mut split, HoldKind::Unsafe);
        let stopped = composed(NoticeKind::Stopped, &split, &rows[..2]).unwrap();
        golden(&format!("stopped-{language}"), &readable(&stopped));
    }
}

#[test]
fn an_unsafe_hold_offers_no_split() {
    let mut message = message(false);
    hold(&mut message, HoldKind::Unsafe);
    let text = readable(&composed(NoticeKind::HeldApprovers, &message, &[]).unwrap());
    assert!(
        !text.contains("--as bcc") && text.contains("--as as-is") && text.contains("part 1 (text/plain)")
    );
    assert!(!text.contains("\nX-Evil"), "a place is shown on one line");
}

#[test]
fn who_is_told() {
    let told = |message: &StoredMessage, kind| {
        composed(kind, message, &[]).map(|mail| mail.to.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let mut message = message(false);
    hold(&mut message, HoldKind::Rule);
    assert_eq!(told(&message, NoticeKind::Held).unwrap(), ["yamada@example.co.jp"]);
    assert_eq!(told(&message, NoticeKind::HeldApprovers).unwrap(), ["soumu@example.co.jp"]);
    assert_eq!(told(&message, NoticeKind::Stopped).unwrap(), ["soumu@example.co.jp", "admin@example.co.jp"]);
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
    let notice = DueNotice { notice: 1, message: message.id, kind: NoticeKind::HeldApprovers };
    let nobody = Letterhead { approvers: Vec::new(), admin: None, ..letterhead() };
    assert!(compose(&notice, &Matter { message: &message, deliveries: &[] }, &nobody, moment()).is_none());
}

#[test]
fn a_header_that_cannot_be_read_still_gets_a_notice() {
    let mut message = message(true);
    message.header = Bytes::from_static(b"no header at all");
    hold(&mut message, HoldKind::Unsafe);
    assert!(composed(NoticeKind::Held, &message, &[]).is_some());
    assert!(composed(NoticeKind::HeldApprovers, &message, &[]).is_some());
}

#[test]
fn long_lists_are_cut_and_counted() {
    let mut message = message(false);
    hold(&mut message, HoldKind::Ask);
    let names: Vec<String> =
        (0..4_500).map(|number| format!("u{number}@m{}.example.org", number % 300)).collect();
    message.header = Bytes::from(format!("From: y@example.co.jp\r\nTo: {}\r\n", names.join(",\r\n ")));
    message.envelope.recipients = names.iter().map(|name| Recipient::plain(address(name))).collect();
    let text = readable(&composed(NoticeKind::Held, &message, &[]).unwrap());
    assert!(text.contains("4500 people outside") && text.contains("and 4470 more"), "{text}");
    assert!(composed(NoticeKind::HeldApprovers, &message, &[]).unwrap().message.len() < 20_000);
}

proptest! {
    #[test]
    fn what_others_wrote_never_becomes_a_field(subject in "\\PC{0,40}|[\\x00-\\x7f]{0,60}", reason in "[\\x00-\\x7f]{0,60}", id in "[\\x00-\\x7f]{0,40}") {
        let mut message = message(false);
        message.subject = subject;
        message.message_id = id;
        hold(&mut message, HoldKind::Ask);
        message.held.as_mut().unwrap().decision = Some(reason);
        let mail = composed(NoticeKind::Returned, &message, &[]).unwrap();
        let at = memchr::memmem::find(&mail.message, b"\r\n\r\n").unwrap() + 2;
        let header = Header::parse(mail.message.slice(..at)).unwrap();
        let names: Vec<String> = header.fields().iter().map(|field| decode_words(header.name(field))).collect();
        let known = ["From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted",
            "X-Auto-Response-Suppress", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"];
        prop_assert!(names.iter().all(|name| known.contains(&name.as_str())), "{:?}", names);
        prop_assert!(mail.message.is_ascii());
        let text = String::from_utf8(mail.message.to_vec()).unwrap();
        prop_assert!(text.split_inclusive('\n').all(|line| line.ends_with("\r\n")));
        prop_assert!(!text.replace("\r\n", "").contains(['\r', '\n', '\0']));
    }
}
