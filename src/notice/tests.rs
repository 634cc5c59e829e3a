//! Composed notices: who is told what, in which language.

mod hostile;
mod looks;

use super::*;
use crate::id::Id;
use crate::message::{Envelope, Header, Recipient};
use crate::policy::risks::Risk;
use crate::policy::verdict::{Mode, RuleOutcome};
use crate::policy::{Demand, Disclosure, Timing, Verdict};
use crate::rewrite::Hit;
use crate::store::{
    AskId, AskWhy, Body, DeliveryState, HeldRow, HeldState, HoldKind, LinkAction, Message, NoticeId, Origin,
};
use bytes::Bytes;

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

/// A mail from one of ours to outsiders, with a colleague in Cc and a recipient in Bcc.
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
        message: Message {
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
        },
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

/// The header, and the content of each part as another parser reads it.
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

/// The links that a notice of this kind gets.
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
    let notice = DueNotice { id: NoticeId::from_engine(42), message: message.id, kind };
    compose(&notice, &Matter { message, deliveries, links, details: &NO_DETAILS }, &letterhead(), moment())
}

fn composed_as(kind: NoticeKind, message: &StoredMessage, details: &Details) -> Option<OwnMail> {
    let notice = DueNotice { id: NoticeId::from_engine(42), message: message.id, kind };
    let matter = Matter { message, deliveries: &[], links: &links::NO_LINKS, details };
    compose(&notice, &matter, &letterhead(), moment())
}

/// A held message that was released in this way.
fn released(message: &StoredMessage, way: &str) -> StoredMessage {
    let mut message = message.clone();
    let held = message.held.as_mut().unwrap();
    held.state = HeldState::Released;
    held.decision = Some(way.to_owned());
    message
}

/// The mail to an approver.
fn asked(
    why: AskWhy,
    message: &StoredMessage,
    deliveries: &[QueueRow],
    links: &links::Links,
) -> Option<OwnMail> {
    let ask = Ask {
        id: AskId::from_engine(1),
        message: message.id,
        approver: address("soumu@example.co.jp"),
        why,
        digest: false,
    };
    let words = (why == AskWhy::AsIs).then_some("They are one project team.\nKnown to each other for years.");
    compose_ask(
        &ask,
        &Matter { message, deliveries, links, details: &NO_DETAILS },
        words,
        &letterhead(),
        moment(),
    )
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

/// Whatever the risks are, a mail says that sending individually helps only if it does, and offers it only if it is
/// possible.
#[test]
fn what_a_mail_offers_and_says_fits_its_risks() {
    use crate::policy::risks::Kind;
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
    let url = |word: &str| Some(format!("https://desk.example/l/{word}"));
    for kind in kinds {
        for japanese in [false, true] {
            let mut message = message(japanese);
            hold(&mut message, HoldKind::Ask);
            let risk = Risk::new(kind).about(["a@alpha.example.com"]);
            let (copies, cured) = (!risk.allows_no_copies(), risk.is_cured_by(Disclosure::Split));
            message.held.as_mut().unwrap().risks = vec![Risk::exposed(3, 3), risk];
            let offered = links::offered(NoticeKind::Held, &message);
            assert_eq!(offered.contains(&LinkAction::Split), copies, "{kind:?}");
            let held = message.held.as_ref().unwrap();
            let to_decide = links::offered_to_decide(held, AskWhy::Asked);
            assert_eq!(to_decide.contains(&LinkAction::ApproveSplit), copies, "{kind:?}");
            let links = links::Links {
                split: url("split").filter(|_| copies),
                take_back: url("take-back"),
                as_is: url("as-is"),
                ..links::Links::default()
            };
            let text = readable(&composed_with(NoticeKind::Held, &message, &[], &links).unwrap());
            let promised = if japanese {
                "個別に送れば、互いのアドレスは見えません"
            } else {
                "so that nobody sees"
            };
            assert_eq!(text.contains(promised), cured, "{kind:?}: {text}");
            let commands = readable(&asked(AskWhy::Asked, &message, &[], &links::NO_LINKS).unwrap());
            assert_eq!(commands.contains("--as bcc"), copies, "{kind:?}");
        }
    }
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
    // (mail in Japanese, configured language, chosen language, first language of the mail)
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
        let notice = DueNotice { id: NoticeId::from_engine(1), message: message.id, kind: NoticeKind::Held };
        let text = readable(&compose(&notice, &matter, &letterhead, moment()).unwrap());
        let (word, other) = match expected {
            Language::En => ("Not sent yet.", "まだ送信していません。"),
            Language::Ja => ("まだ送信していません。", "Not sent yet."),
        };
        assert!(text.contains(word) && !text.contains(other), "{japanese} {language:?} {chosen:?}: {text}");
        // approvers are told in both languages unless theirs is known
        let ask = Ask {
            id: AskId::from_engine(1),
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
    // the assigned approvers; never the sender
    message.held.as_mut().unwrap().approvers =
        vec!["boss@example.co.jp".into(), "yamada@example.co.jp".into()];
    assert_eq!(names(whom::deciders_of(&message, &letterhead())), ["boss@example.co.jp"]);
    message.held.as_mut().unwrap().approvers = vec!["yamada@example.co.jp".into()];
    assert_eq!(names(whom::deciders_of(&message, &letterhead())), ["soumu@example.co.jp"]);
    // an outside MAIL FROM: the admin is told, with the reason
    message.envelope.sender = Some(address("stranger@alpha.example.com"));
    assert_eq!(told(&message, NoticeKind::Held).unwrap(), ["admin@example.co.jp"]);
    let text = readable(&composed(NoticeKind::Held, &message, &[]).unwrap());
    assert!(text.contains("because the sender (stranger@alpha.example.com) cannot be told"), "{text}");
    // the authenticated identity takes precedence over MAIL FROM
    if let Origin::Client { identity, .. } = &mut message.origin {
        *identity = Some("ito@example.co.jp".to_owned());
    }
    assert_eq!(told(&message, NoticeKind::Held).unwrap(), ["ito@example.co.jp"]);
    // our own mail: nobody is told
    message.origin = Origin::Own { about: None };
    assert_eq!(told(&message, NoticeKind::Held), None);
    // nobody is configured
    let nobody = Letterhead { approvers: Vec::new(), admin: None, ..letterhead() };
    message.held.as_mut().unwrap().approvers = Vec::new();
    assert!(whom::deciders_of(&message, &nobody).is_empty());
    // no longer held
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
    // recipients who are not listed are counted, not the lines above them
    let text = readable(&asked(AskWhy::Asked, &message, &[], &links::NO_LINKS).unwrap());
    assert!(text.contains("example.org (4,500)") && text.contains("and 4,470 more"), "{text}");
    assert!(asked(AskWhy::Asked, &message, &[], &links::NO_LINKS).unwrap().message.len() < 100_000);
}
