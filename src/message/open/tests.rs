//! The facts that the inspection collects from messages as the usual clients write them.

mod inner;

use super::*;
use crate::message::Address;
use crate::message::inspect::{Encrypted, Tnef};
use crate::message::walk::{Limits, Walker};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

struct Nobody;

impl TextSink for Nobody {
    fn open(&mut self, _: &str, _: &'static str, _: Kind) -> usize {
        0
    }
    fn content(&mut self, _: usize, _: &[u8]) {}
    fn close(&mut self, _: usize) {}
    fn header(&mut self, _: &str, _: &[u8]) {}
    fn stray(&mut self, _: &[u8]) {}
}

fn facts(message: &str) -> BodyFacts {
    let at = message.find("\r\n\r\n").unwrap() + 2;
    let header = Header::parse(Bytes::copy_from_slice(&message.as_bytes()[..at])).unwrap();
    let mut inspector = Inspector::new(Nobody);
    let mut walker = Walker::new(&header, Limits::default(), &mut inspector).unwrap();
    walker.feed(&message.as_bytes()[at..], &mut inspector).unwrap();
    walker.finish(&mut inspector).unwrap();
    inspector.finish().0
}

fn texts(addresses: &[Address]) -> Vec<&str> {
    addresses.iter().map(Address::as_str).collect()
}

fn attached(kind: &str, bytes: &[u8]) -> String {
    format!("Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n", STANDARD.encode(bytes))
}

#[test]
fn an_ordinary_mail() {
    let facts = facts(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nDear a@x.jp, ask b@y.jp.\r\n--b\r\n\
         Content-Type: image/png; name=\"=?utf-8?B?44GCLnBuZw==?=\"\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n\
         --b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename*=utf-8''%E3%81%84.pdf\r\n\r\n\
         %PDF-1.7\r\n--b--\r\n",
    );
    assert_eq!(texts(&facts.written[0].addresses), ["a@x.jp", "b@y.jp"]);
    let names: Vec<(&str, &str, u64)> =
        facts.attachments.iter().map(|a| (a.path.as_str(), a.name.as_str(), a.size)).collect();
    assert_eq!(names, [("2", "あ.png", 8), ("3", "い.pdf", 8)]);
    // The picture is not text; the PDF has nothing that can be read.
    assert_eq!(facts.opaque.len(), 1);
    assert!(facts.problems.is_empty() && !facts.signed && facts.encrypted.is_none());
}

#[test]
fn invitations() {
    let facts = facts(
        "Content-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nATTENDEE:mailto:a@x.jp\r\n\
         ATTENDEE;CN=b:mailto:b@\r\n y.jp\r\nEND:VCALENDAR\r\n",
    );
    let calendar = facts.calendar.unwrap();
    assert_eq!((calendar.method.as_str(), texts(&calendar.addresses)), ("REQUEST", vec!["a@x.jp", "b@y.jp"]));
}

fn property(tag: u32, text: &str) -> Vec<u8> {
    let data: Vec<u8> = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
    let mut out = [tag, 1, u32::try_from(data.len()).unwrap()].map(u32::to_le_bytes).concat();
    out.extend(data);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

fn attribute(level: u8, id: u32, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap();
    [&[level][..], &id.to_le_bytes(), &length.to_le_bytes(), data, &[0, 0]].concat()
}

fn winmail(attributes: &[Vec<u8>]) -> Vec<u8> {
    [&[0x78, 0x9f, 0x3e, 0x22, 1, 0][..], &attributes.concat()].concat()
}

#[test]
fn winmail_files() {
    let one = 1u32.to_le_bytes();
    let number = [0x0c15_0003u32, 1].map(u32::to_le_bytes).concat();
    let row = [&2u32.to_le_bytes()[..], &number, &property(0x39fe_001f, "c@x.jp")].concat();
    let table = attribute(1, 0x0006_9004, &[&one[..], &row].concat());
    let display = attribute(1, 0x0006_9003, &[&one[..], &property(0x0e04_001f, "Taro; Hanako")].concat());
    let plain = attribute(1, 0x0006_9003, &[&one[..], &property(0x0037_001f, "Subject")].concat());
    let embedded = winmail(std::slice::from_ref(&table));
    let mut object =
        [0x3701_000du32, 1, u32::try_from(embedded.len() + 16).unwrap()].map(u32::to_le_bytes).concat();
    object.extend([7; 16]);
    object.extend(embedded);
    object.resize(object.len().next_multiple_of(4), 0);
    let within = attribute(2, 0x0006_9005, &[&one[..], &object].concat());
    for (file, expected) in [
        (winmail(std::slice::from_ref(&plain)), Some((vec![], vec![]))),
        (winmail(&[plain.clone(), table]), Some((vec!["c@x.jp"], vec![]))),
        (winmail(&[display]), Some((vec![], vec!["Taro; Hanako"]))),
        (winmail(&[within]), Some((vec!["c@x.jp"], vec![]))),
        (winmail(&[plain])[..20].to_vec(), None),
        (b"not at all".to_vec(), None),
    ] {
        let facts = facts(&attached("application/ms-tnef; name=winmail.dat", &file));
        match (facts.tnef.unwrap(), expected) {
            (Tnef::Clean, Some((addresses, display))) => assert!(addresses.is_empty() && display.is_empty()),
            (Tnef::Recipients { addresses, display }, Some((expected, names))) => {
                assert_eq!(texts(&addresses), expected);
                assert_eq!(display, names);
            }
            (Tnef::Unreadable { .. }, None) => assert!(!facts.opaque.is_empty()),
            (state, expected) => panic!("{state:?} instead of {expected:?}"),
        }
    }
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, 0x82][..], &u16::try_from(content.len()).unwrap().to_be_bytes(), content].concat()
}

#[test]
fn smime() {
    let oid = |last: u8| der(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, last]);
    let infos = der(0x31, &[der(0x30, &[1]), der(0x30, &[2]), der(0xa1, &[3])].concat());
    let enveloped = der(0x30, &[der(2, &[0]), infos].concat());
    let file = der(0x30, &[oid(3), der(0xa0, &enveloped)].concat());
    let read = facts(&attached("application/pkcs7-mime; smime-type=enveloped-data", &file));
    assert_eq!(read.encrypted, Some(Encrypted { kind: "smime".to_owned(), recipients: Some(3) }));
    assert!(!read.opaque.is_empty());

    let inner = b"To: c@x.jp\r\nContent-Type: text/plain; protected-headers=v1\r\n\r\nhello d@y.jp";
    let content = der(0x30, &[oid(1), der(0xa0, &der(4, inner))].concat());
    let signed = der(0x30, &[der(2, &[1]), der(0x31, &[]), content].concat());
    let read =
        facts(&attached("application/octet-stream", &der(0x30, &[oid(2), der(0xa0, &signed)].concat())));
    assert!(read.signed && read.opaque.is_empty());
    assert_eq!(texts(&read.inner_recipients), ["c@x.jp"]);
    assert_eq!(texts(&read.written[0].addresses), ["d@y.jp"]);

    let broken = facts(&attached("application/pkcs7-mime", &file[..40]));
    assert!(!broken.problems.is_empty() && !broken.opaque.is_empty());
}

/// Certificates, key stores and signed files do not hold a message.
#[test]
fn what_signing_programs_write() {
    let oid = |last: u8| der(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, last]);
    let signed = |content: &[u8], after: &[u8]| {
        let data = der(0x30, &[&[2, 1, 1][..], &der(0x31, &[]), content, after].concat());
        der(0x30, &[oid(2), der(0xa0, &data)].concat())
    };
    let certificates = der(0xa0, &der(0x30, &der(0x30, &[2, 1, 1])));
    let alone = signed(&der(0x30, &oid(1)), &certificates);
    let indefinite = signed(&[&[0x30, 0x80][..], &oid(1), &[0, 0]].concat(), &certificates);
    for (file, kind) in [
        (&alone, "application/pkcs7-mime; smime-type=certs-only; name=smime.p7c"),
        (&alone, "application/x-pkcs7-certificates; name=chain.p7b"),
        (&alone, "application/octet-stream; name=chain.p7c"),
        (&indefinite, "application/pkcs7-mime; smime-type=certs-only"),
    ] {
        let read = facts(&attached(kind, file));
        assert!(read.problems.is_empty() && read.opaque.is_empty() && !read.signed, "{kind}: {read:?}");
    }
    let store = der(
        0x30,
        &[&[2, 1, 3][..], &der(0x30, &[oid(1), der(0xa0, &der(4, b"locked\x01"))].concat())].concat(),
    );
    let read = facts(&attached("application/x-pkcs12; name=key.p12", &store));
    assert!(read.problems.is_empty() && !read.opaque.is_empty(), "{read:?}");

    let content = |text: &[u8]| der(0x30, &[oid(1), der(0xa0, &der(4, text))].concat());
    for text in ["<?xml version=\"1.0\"?><order><to>d@y.jp</to></order>", "name: x\nd@y.jp", "d@y.jp\n"] {
        for name in ["order.xml.p7m", "order.txt.P7M", "smime.p7m"] {
            let kind = format!("application/pkcs7-mime; name={name}");
            let read = facts(&attached(&kind, &signed(&content(text.as_bytes()), b"")));
            assert!(read.signed && read.problems.is_empty(), "{text} {name}: {read:?}");
            let entity = name == "smime.p7m" && text.starts_with("name");
            assert!(
                entity || texts(&read.written[0].addresses).contains(&"d@y.jp"),
                "{text} {name}: {read:?}"
            );
        }
    }
}

#[test]
fn protected_headers() {
    for inner in [
        "Content-Type: text/plain; protected-headers=\"v1\"\r\nTo: c@x.jp\r\n\r\nhello",
        "Content-Type: text/plain; hp=\"clear\"\r\nCc: c@x.jp\r\n\r\nhello",
        "Content-Type: message/rfc822; forwarded=no\r\n\r\nTo: c@x.jp\r\n\r\nhello",
        "Content-Type: message/rfc822\r\n\r\nSubject: x\r\nTo: C <c@x.jp>\r\n\r\nhello",
    ] {
        let read = facts(&format!(
            "Content-Type: multipart/signed; boundary=b\r\nTo: o@x.jp\r\n\r\n--b\r\n{inner}\r\n--b--\r\n"
        ));
        assert!(read.signed);
        assert_eq!(texts(&read.inner_recipients), ["c@x.jp"], "{inner}");
    }
    let plain = facts(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nTo: c@x.jp\r\n\r\nhello\r\n--b--\r\n",
    );
    assert_eq!(plain.inner_recipients, []);
    assert_eq!(texts(&plain.written[0].addresses), ["c@x.jp"]);
}

#[test]
fn what_stays_closed_is_named() {
    for (message, named) in [
        (attached("application/x-7z-compressed; name=a.7z", b"7z\xbc\xaf\x27\x1c"), "archive"),
        (attached("image/jpeg", b"Rar!\x1a\x07\0"), "archive"),
        (attached("application/msword", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "older Office"),
        (attached("application/zip", b"PK\x03\x04 cut"), "cannot be read"),
        ("Content-Type: message/partial; id=a; number=1\r\n\r\nx".to_owned(), "piece"),
        ("Content-Transfer-Encoding: x-own\r\n\r\nx".to_owned(), "unknown"),
        ("A: b\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nwQwDAw==\r\n=x\r\n".to_owned(), "PGP"),
    ] {
        let read = facts(&message);
        assert!(read.opaque.iter().any(|opaque| opaque.why.contains(named)), "{named}: {:?}", read.opaque);
    }
    assert!(facts("Content-Type: multipart/report; boundary=b\r\n\r\n--b--\r\n").report);
}

/// Pending containers are known before the end of the message, so that the caller can open them on another
/// thread.
#[test]
fn containers_are_told_of_before_they_are_opened() {
    let heavy = |message: &str| {
        let at = message.find("\r\n\r\n").unwrap() + 2;
        let header = Header::parse(Bytes::copy_from_slice(&message.as_bytes()[..at])).unwrap();
        let mut inspector = Inspector::new(Nobody);
        let mut walker = Walker::new(&header, Limits::default(), &mut inspector).unwrap();
        walker.feed(&message.as_bytes()[at..], &mut inspector).unwrap();
        inspector.has_pending()
    };
    let zeros = |size| {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        std::io::Write::write_all(&mut writer, &vec![0; size]).unwrap();
        STANDARD.encode(writer.finish().unwrap())
    };
    let wrapped = |text: String| {
        let lines = text.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap().to_owned());
        lines.collect::<Vec<_>>().join("\r\n") + "\r\n"
    };
    for size in [100, 100_000] {
        let part = format!(
            "Content-Type: application/gzip; name=a.gz\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
            wrapped(zeros(size))
        );
        let multipart = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n";
        assert!(heavy(&part), "{size}: the only part");
        assert!(heavy(&format!("{multipart}{part}--b--\r\n")), "{size}");
        assert!(heavy(&format!("{multipart}{part}")), "{size}: no last delimiter");
        let text = "x".repeat(size);
        assert!(!heavy(&format!("Content-Type: text/plain\r\n\r\n{text}\r\n")), "{size}: text");
    }
}
