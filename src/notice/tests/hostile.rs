//! Hostile text from outside stays text in our mails.

use super::*;
use crate::message::encoded_word::decode_words;
use proptest::prelude::*;

/// Mails with hostile text everywhere: a subject, a reason, an id, a place, a person's words.
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
        id: AskId::from_engine(1),
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

/// Checks that a mail of ours has no additional header field or line end, script, frame, image or foreign
/// URL.
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
