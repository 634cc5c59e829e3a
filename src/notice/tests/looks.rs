//! Golden files of every kind of notice, in both languages.

use super::*;
use std::path::Path;

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

/// Everything that a notice sends, as bytes.
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
    // 8-bit content is declared at every level
    message.body = Body::Inline(Bytes::from_static(b"\r\n\xe3\x81\x82\r\n"));
    let encloses = Some(Encloses::Whole { eight_bit: true });
    let eight =
        composed_as(NoticeKind::Returned, &message, &Details { encloses, ..Details::default() }).unwrap();
    assert!(eight.message.is_ascii() && eight.enclosed.as_ref().unwrap().eight_bit);
    assert_eq!(
        String::from_utf8(whole(&eight)).unwrap().matches("Content-Transfer-Encoding: 8bit").count(),
        2
    );
    // for an outside sender the admin is told, but does not get the mail
    message.envelope.sender = Some(address("stranger@alpha.example.com"));
    let told =
        composed_as(NoticeKind::Returned, &message, &Details { encloses, ..Details::default() }).unwrap();
    assert!(
        told.enclosed.is_none()
            && !String::from_utf8(whole(&told)).unwrap().contains("m1@pc.example.co.jp>\r\nDate")
    );
}

/// For viewing: `SHOW_NOTICES=DIR cargo test --lib notices_are_shown` writes each as HTML.
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
