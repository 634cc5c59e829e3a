//! Tests that the audit finds every form of an address in every part of a message that can carry it, and that
//! similar addresses are no hits. The messages are encoded by libraries or by code in this module, not by the
//! code under test.

#![allow(
    clippy::format_collect,
    clippy::format_push_string,
    reason = "short texts, where clarity counts more than an allocation"
)]

mod carriers;
mod winmail;

use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use carriers::{carriers, forms};
use proptest::prelude::*;
use std::io::Write;

pub(super) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

pub(super) fn needles(list: &[&str]) -> Arc<Needles> {
    Arc::new(Needles::new(list.iter().map(|text| address(text)).collect()))
}

pub(super) fn scan_in(message: &[u8], needles: &Arc<Needles>, size: usize) -> Result<BodyReport, WalkError> {
    let at = memchr::memmem::find(message, b"\r\n\r\n").map_or(message.len(), |at| at + 2);
    let header = Header::parse(Bytes::copy_from_slice(&message[..at])).unwrap();
    let mut scan = BodyScan::new(&header, Arc::clone(needles));
    for chunk in message[at..].chunks(size.max(1)) {
        scan.feed(chunk)?;
    }
    scan.finish()
}

fn scan(message: &[u8], list: &[&str]) -> BodyReport {
    scan_in(message, &needles(list), message.len()).unwrap()
}

pub(super) fn found(message: &[u8], list: &[&str]) -> Vec<String> {
    scan(message, list).hits.into_iter().map(|hit| hit.address.to_string()).collect()
}

fn plain(text: &str) -> Vec<u8> {
    format!("Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n").into_bytes()
}

fn wrapped(bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    text.as_bytes().chunks(76).map(|line| format!("{}\r\n", String::from_utf8_lossy(line))).collect()
}

pub(super) fn attached(kind: &str, name: &str, bytes: &[u8]) -> Vec<u8> {
    format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\nContent-Type: {kind}; name=\"{name}\"\r\n\
         Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"{name}\"\r\n\r\n{}--b--\r\n",
        wrapped(bytes)
    )
    .into_bytes()
}

pub(super) fn zipped(name: &str, content: &[u8]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
    writer.write_all(content).unwrap();
    writer.finish().unwrap().into_inner()
}

fn gzipped(content: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all(content).unwrap();
    writer.finish().unwrap()
}

fn utf16(text: &str, low_first: bool) -> Vec<u8> {
    text.encode_utf16()
        .flat_map(|unit| if low_first { unit.to_le_bytes() } else { unit.to_be_bytes() })
        .collect()
}

const NEEDLE: &str = "tanaka@example.jp";

#[test]
fn every_form_in_every_carrier() {
    let needles = needles(&[NEEDLE, "other@example.jp"]);
    for (form, text) in forms() {
        for (carrier, carry) in carriers() {
            let message = carry(&format!("宛先: {text} です"));
            let report = scan_in(&message, &needles, 1_000).unwrap();
            let hits: Vec<&str> = report.hits.iter().map(|hit| hit.address.as_str()).collect();
            assert!(!hits.is_empty(), "{form} in {carrier}: {}", String::from_utf8_lossy(&message));
            assert!(hits.iter().all(|hit| *hit == NEEDLE), "{form} in {carrier}: {hits:?}");
        }
    }
}

#[test]
fn character_sets() {
    let text = format!("宛先は{NEEDLE}です");
    for (label, encoding) in [
        ("iso-2022-jp", encoding_rs::ISO_2022_JP),
        ("us-ascii", encoding_rs::ISO_2022_JP),
        ("shift_jis", encoding_rs::SHIFT_JIS),
        ("cp932", encoding_rs::SHIFT_JIS),
        ("euc-jp", encoding_rs::EUC_JP),
        ("utf-8", encoding_rs::UTF_8),
        ("no-such-charset", encoding_rs::UTF_8),
        ("iso-2022-jp", encoding_rs::UTF_8),
        ("utf-16", encoding_rs::UTF_8),
    ] {
        let body = wrapped(&encoding.encode(&text).0);
        let head =
            format!("Content-Type: text/plain; charset={label}\r\nContent-Transfer-Encoding: base64\r\n\r\n");
        assert_eq!(
            found(format!("{head}{body}").as_bytes(), &[NEEDLE]),
            [NEEDLE],
            "{label} {}",
            encoding.name()
        );
    }
    for (label, low_first) in [("utf-16le", true), ("utf-16be", false), ("utf-16", false), ("utf-8", true)] {
        let body = wrapped(&utf16(&text, low_first));
        let head =
            format!("Content-Type: text/plain; charset={label}\r\nContent-Transfer-Encoding: base64\r\n\r\n");
        assert_eq!(found(format!("{head}{body}").as_bytes(), &[NEEDLE]), [NEEDLE], "{label}");
    }
    let seven = b"Content-Type: text/plain; charset=utf-7\r\n\r\ntanaka+AEA-example.jp".to_vec();
    assert_eq!(found(&seven, &[NEEDLE]), [NEEDLE]);
}

#[test]
fn html_tags_between_letters() {
    for html in [
        "tanaka<wbr>@<b>example</b>.jp",
        "tan<span style=\"color:red\">aka</span><!-- x -->@example<wbr/>.jp",
        "<br>tanaka<i>&#64;</i>example.jp<br>",
        "you<img src=x>tanaka@example.jp<input>or",
        "tan<img src=x>aka@example<object data=x></object>.jp",
        "tan<img src=x>aka<i title='x > y'>@example<input>.jp",
    ] {
        let message = format!("Content-Type: text/html\r\n\r\n<p>to {html} now");
        assert_eq!(found(message.as_bytes(), &[NEEDLE]), [NEEDLE], "{html}");
    }
}

#[test]
fn edges() {
    for (text, hit) in [
        ("a@x.jp", true),
        ("-a@x.jp", true),
        ("=a@x.jp", true),
        ("mailto:a@x.jp?", true),
        ("<a@x.jp>", true),
        ("a@x.jp.", true),
        ("a@x.jpさん", true),
        ("さんa@x.jp", true),
        ("a@x.jp、b@y.jp", true),
        ("'a@x.jp'", true),
        ("_a@x.jp_", true),
        ("...a@x.jp", true),
        ("a@x.jp.pdf", true),
        ("a@x.jp-様", true),
        ("a@x.jp_old", true),
        ("a@x.jp.Thanks", true),
        ("a@x.jp.thanks for", true),
        // `example` is not a top-level domain, so the domain ends before it.
        ("a@x.jp.example", true),
        ("a@x.jp.It is", true),
        ("a@x.jp.Best-regards", true),
        ("a@x.jp.zip", true),
        ("a@x.jp...", true),
        ("--a@x.jp", true),
        ("b/a@x.jp", true),
        ("b=a@x.jp", true),
        ("b'a@x.jp", true),
        ("b*a@x.jp", true),
        ("b|a@x.jp", true),
        ("b!a@x.jp", true),
        ("さん-a@x.jp", true),
        ("b\\na@x.jp", true),
        ("b\\\\na@x.jp", true),
        ("b\\ta@x.jp", true),
        ("b\\012a@x.jp", true),
        ("b=0Aa@x.jp", true),
        ("b=E3=81=82a@x.jp", true),
        ("b%0Aa@x.jp", true),
        ("b=41a@x.jp", false),
        ("b\\101a@x.jp", false),
        ("customer-a@x.jp", false),
        ("customer+a@x.jp", false),
        ("customer--a@x.jp", true),
        ("a@x.jp.com", false),
        ("a@x.jp.it is", false),
        ("a@x.jp.mail.example.com", false),
        ("A@X.JP.COM", false),
        ("a@x.jp/path", true),
        ("A@X.JP", true),
        ("ba@x.jp", false),
        ("b.a@x.jp", false),
        ("b_a@x.jp", false),
        ("1a@x.jp", false),
        ("a@x.jpx", false),
        ("a@y.x.jp", false),
        ("a@x.j", false),
        ("a@x", false),
        ("a at x.jp", false),
        ("a=b x.jp @ ", false),
        ("@x.jp", false),
    ] {
        for text in [text.to_owned(), format!("x {text}"), format!("{text} x"), format!("「{text}」")] {
            assert_eq!(!found(&plain(&text), &["a@x.jp"]).is_empty(), hit, "{text}");
        }
    }
}

#[test]
fn the_longer_address_wins() {
    let list = ["sales@x.jp", "info-sales@x.jp", "info+sales@x.jp"];
    assert_eq!(found(&plain("to info-sales@x.jp"), &list), ["info-sales@x.jp"]);
    assert_eq!(found(&plain("to info+sales@x.jp"), &list), ["info+sales@x.jp"]);
    // This is the address of somebody else, and no reason to hold the mail.
    assert_eq!(found(&plain("to new-sales@x.jp"), &list), [""; 0]);
    assert_eq!(found(&plain("bounce-sales=x.jp@list.example"), &list), ["sales@x.jp"]);
}

#[test]
fn addresses_of_every_kind() {
    for (needle, texts) in [
        (
            "user@xn--wgv71a119e.jp",
            vec!["user@日本語.jp", "USER@XN--WGV71A119E.JP", "user@日本語。jpさん", "user%40日本語.jp"],
        ),
        ("user@日本語.jp", vec!["user@xn--wgv71a119e.jp", "user@日本語.jp"]),
        ("山田@example.jp", vec!["山田@example.jp", "宛先:山田@example.jp"]),
        ("a..b.@docomo.ne.jp", vec!["a..b.@docomo.ne.jp", "A..B.@docomo.ne.jp"]),
        ("\"a b\"@x.jp", vec!["\"a b\"@x.jp", "&quot;a b&quot;@x.jp"]),
        ("o'neil@x.jp", vec!["o'neil@x.jp", "o&apos;neil@x.jp", "o%27neil@x.jp"]),
        ("a@[192.0.2.1]", vec!["a@[192.0.2.1]"]),
    ] {
        for text in texts {
            let hits = scan(&plain(text), &[needle]).hits;
            assert!(hits.iter().any(|hit| hit.address == address(needle)), "{needle} in {text}");
        }
    }
}

#[test]
fn headers() {
    let needles = needles(&[NEEDLE]);
    let word = |text: &str| {
        format!("=?iso-2022-jp?B?{}?=", STANDARD.encode(encoding_rs::ISO_2022_JP.encode(text).0))
    };
    let mut bodies: Vec<String> = forms().into_iter().map(|(_, text)| text).collect();
    bodies.extend([
        word(&format!("宛先{NEEDLE}")),
        format!("x{}y", word(NEEDLE)),
        "=?utf-8?Q?tanaka=40ex?=\r\n =?utf-8?Q?ample.jp?=".to_owned(),
        "=?utf-8?B?dGFuYWthQGV4YW1w".to_owned() + "bGUuanA=",
        "a; name*0*=utf-8''tanaka%40; name*1=example.jp".to_owned(),
        "\"tanaka@example.jp\" <b@y.jp>".to_owned(),
        "b@y.jp (cc tanaka@example.jp)".to_owned(),
        "tanaka(x)@(y)example.jp".to_owned(),
        "tanaka@exam\r\n ple.jp".to_owned(),
        format!("<{}@mail.example>", STANDARD.encode(format!("12345:{NEEDLE}"))),
    ]);
    for body in bodies {
        let block = format!("From: me@mine.example\r\nX-Field: {body}\r\nTo: you@yours.example\r\n");
        let hits = needles.search_header(block.as_bytes());
        assert_eq!(hits.len(), 1, "{body}: {hits:?}");
        assert_eq!(hits[0].place, "header X-Field");
    }
    assert_eq!(needles.search_header(b"tanaka@example.jp: x\r\n").len(), 1);
    assert_eq!(needles.search_header(b"From: a@b.example\r\nSubject: hello\r\n"), []);
}

/// What may stand directly before an address, and what makes it another one.
#[test]
fn an_address_may_be_a_part_of_an_identifier() {
    let needles = needles(&[NEEDLE]);
    for (block, is_found) in [
        ("Message-ID: <20061220225927.F016.tanaka@example.jp>", true),
        ("References: <1@x.jp>\r\n <2BDF-tanaka@example.jp>", true),
        ("X-Old-Message-ID: <a_b+tanaka@example.jp>", true),
        ("In-Reply-To: <xtanaka@example.jp>", false),
        ("X-Field: 20061220225927.F016.tanaka@example.jp", false),
        ("Subject: 3.tanaka@example.jp", true),
        ("Subject: (12.tanaka@example.jp)", true),
        ("Subject: 2026.tanaka@example.jp", false),
        ("Subject: v3.tanaka@example.jp", false),
        ("Subject: 1.3.tanaka@example.jp", false),
        ("Subject: \x1b[1;32mtanaka@example.jp\x1b[0m", true),
        ("Subject: 32mtanaka@example.jp", false),
        ("Subject: x_x000D_tanaka@example.jp", true),
        ("Subject: x_x0041_tanaka@example.jp", false),
        ("Subject: note\u{200b}tanaka@example.jp", true),
    ] {
        assert_eq!(
            needles.search_header(format!("{block}\r\n").as_bytes()).len(),
            usize::from(is_found),
            "{block}"
        );
    }
    for (name, is_found) in [
        ("certificate_tanaka@example.jp.pdf", true),
        ("2026-tanaka@example.jp.csv", true),
        ("xtanaka@example.jp.csv", false),
    ] {
        assert_eq!(
            found(&attached("application/pdf", name, b"x"), &[NEEDLE]).len(),
            usize::from(is_found),
            "{name}"
        );
    }
    let sender = |text: &str| needles.search_sender(Some(&address(text))).len();
    assert_eq!(sender("bounce+tanaka=example.jp@list.example"), 1);
    assert_eq!((sender(NEEDLE), sender("other@example.jp")), (0, 0));
    assert_eq!(needles.search_sender(None), []);
}

#[test]
fn places_and_forms() {
    let report =
        scan(&attached("application/zip", "報告.zip", &zipped("list.csv", NEEDLE.as_bytes())), &[NEEDLE]);
    assert_eq!(report.hits.len(), 1);
    assert_eq!(report.hits[0].place, "part 2 (報告.zip) › list.csv");
    let report = scan(&attached("text/plain", &format!("{NEEDLE}.pdf"), b"x"), &[NEEDLE]);
    assert!(report.hits[0].place.starts_with("part 2"), "{:?}", report.hits);
    let names =
        scan(&attached("application/zip", "a.zip", &zipped(&format!("{NEEDLE}.txt"), b"x")), &[NEEDLE]);
    assert!(names.hits.iter().any(|hit| hit.place.ends_with("file name")), "{:?}", names.hits);
}

#[test]
fn wrong_labels_hide_nothing() {
    for head in [
        "Content-Transfer-Encoding: base64",
        "Content-Transfer-Encoding: x-unknown",
        "Content-Transfer-Encoding: x-uuencode",
        "Content-Type: image/png",
        "Content-Type: multipart/mixed",
        "Content-Type: application/zip",
        "Content-Type: application/ms-tnef",
        "Content-Type: application/pkcs7-mime",
        "Content-Type: message/partial; id=1; number=1",
        "Content-Type: text/plain; charset=utf-16",
    ] {
        assert_eq!(found(format!("{head}\r\n\r\nto {NEEDLE}\r\n").as_bytes(), &[NEEDLE]), [NEEDLE], "{head}");
    }
}

#[test]
fn every_found_address_has_a_hit() {
    let list: Vec<String> = (0..3_000).map(|index| format!("user{index}@example{}.jp", index % 7)).collect();
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    let report = scan(&plain(&list.join("\r\n")), &list);
    let distinct: std::collections::HashSet<_> = report.hits.iter().map(|hit| &hit.address).collect();
    assert_eq!(distinct.len(), 3_000);
}

#[test]
fn hits_come_in_the_same_order_however_the_body_is_cut() {
    let list = ["first@example.jp", "second@example.or.jp"];
    let message = format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n{} {}\r\n{}--b\r\nTo: {}\r\n\r\n{}\r\n--b--\r\n",
        "preamble ".repeat(2_000),
        list[1],
        "filler\r\n".repeat(3_000),
        list[0],
        list[1],
    );
    let needles = needles(&list);
    let whole = scan_in(message.as_bytes(), &needles, message.len()).unwrap();
    assert_eq!(whole.hits.len(), 3, "{:?}", whole.hits);
    for size in [1, 7, 61, 1_000, 17_000] {
        assert_eq!(scan_in(message.as_bytes(), &needles, size).unwrap(), whole, "{size}");
    }
}

proptest! {
    #[test]
    fn chunks_do_not_matter(
        words in prop::collection::vec(prop::sample::select(forms()), 0..6),
        filler in "[ a-z<>&%=@.\\r\\n]{0,300}",
        carrier in 0usize..21,
        size in 1usize..700,
    ) {
        let carriers = carriers();
        let (_, carry) = carriers[carrier % carriers.len()];
        let text: String = words.iter().map(|(_, text)| format!("{filler} {text} ")).collect();
        let message = carry(&text);
        let needles = needles(&[NEEDLE]);
        let whole = scan_in(&message, &needles, message.len()).unwrap();
        prop_assert_eq!(&scan_in(&message, &needles, size).unwrap(), &whole);
        prop_assert_eq!(whole.hits.is_empty(), words.is_empty());
    }
}
