//! The output is ASCII and decodes to the same leaves, and nothing signed or encrypted is changed.

use super::{Converted, Refused, SevenBit};
use crate::message::Header;
use crate::message::walk::{Limits, Part, Visitor, Walker};
use bytes::Bytes;
use proptest::prelude::*;

/// Every leaf with its path, type and decoded octets.
#[derive(Debug, Default, PartialEq)]
struct Leaves(Vec<(String, String, Vec<u8>)>);

impl Visitor for Leaves {
    fn begin(&mut self, part: &Part, _: &Header) {
        self.0.push((part.path.clone(), part.content_type.clone(), Vec::new()));
    }
    fn data(&mut self, _: &Part, decoded: &[u8]) {
        self.0.last_mut().unwrap().2.extend_from_slice(decoded);
    }
    fn end(&mut self, _: &Part) {}
    fn stray(&mut self, _: &[u8]) {}
    fn problem(&mut self, _: &str, _: String) {}
}

fn split(message: &[u8]) -> (&[u8], &[u8]) {
    let end = message.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    message.split_at(end + 2)
}

fn leaves(header: &[u8], body: &[u8]) -> Leaves {
    let mut found = Leaves::default();
    let header = Header::parse(Bytes::copy_from_slice(header)).unwrap();
    let mut walker = Walker::new(&header, Limits::default(), &mut found).unwrap();
    walker.feed(body, &mut found).unwrap();
    walker.finish(&mut found).unwrap();
    found
}

fn convert(message: &[u8], chunk: usize) -> Result<(Converted, Vec<u8>), Refused> {
    let (header, body) = split(message);
    let mut machine = SevenBit::new(header)?;
    let mut out = Vec::new();
    for piece in body.chunks(chunk) {
        machine.feed(piece, &mut out)?;
    }
    let converted = machine.finish(&mut out)?;
    Ok((converted, out))
}

/// Converts, checks what must always hold, and returns the whole message.
fn sound(message: &[u8]) -> Vec<u8> {
    let (converted, body) = convert(message, message.len()).unwrap();
    assert!(converted.header.is_ascii() && body.is_ascii());
    let (header, original) = split(message);
    assert_eq!(leaves(header, original), leaves(&converted.header, &body));
    let mut whole = converted.header.to_vec();
    whole.extend_from_slice(&body);
    if converted.changed {
        assert!(body.split(|&byte| byte == b'\n').all(|line| line.len() <= 998));
    }
    whole
}

#[test]
fn one_text_becomes_quoted_printable() {
    let message = "From: a@example.jp\r\nDKIM-Signature: v=1;\r\n b=x\r\nMIME-Version: 1.0\r\n\
                   Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
                   caf\u{e9} = 1 \r\n-- \r\nend\r\n";
    let expected = "From: a@example.jp\r\nMIME-Version: 1.0\r\n\
                    Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
                    caf=C3=A9 =3D 1=20\r\n--=20\r\nend\r\n";
    assert_eq!(String::from_utf8(sound(message.as_bytes())).unwrap(), expected);
}

#[test]
fn only_the_leaves_that_need_it_are_encoded() {
    let message = "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
                   \u{524d}\r\n--b\r\nContent-Type: text/plain\r\n\r\nplain\r\n--b\r\n\
                   Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
                   Subject: x\r\nContent-Type: text/html\r\n\r\n<p>\u{3042}</p>\r\n--b\r\n\
                   Content-Type: application/x-data\r\nContent-Transfer-Encoding: binary\r\n\r\n\u{ff}\r\n--b--\r\n";
    let text = String::from_utf8(sound(message.as_bytes())).unwrap();
    let expected = "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\
                    ???\r\n--b\r\nContent-Type: text/plain\r\n\r\nplain\r\n--b\r\n\
                    Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\
                    Subject: x\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
                    <p>=E3=81=82</p>\r\n--b\r\n\
                    Content-Type: application/x-data\r\nContent-Transfer-Encoding: base64\r\n\r\nw78=\r\n--b--\r\n";
    assert_eq!(text, expected);
}

#[test]
fn ascii_passes_unchanged_and_keeps_its_signature() {
    let message = b"DKIM-Signature: v=1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n=20 as it is\r\n";
    let (converted, body) = convert(message, 3).unwrap();
    assert!(!converted.changed);
    assert_eq!([converted.header.as_ref(), &body].concat(), message);
}

#[test]
fn a_signature_goes_with_any_octet_it_covers() {
    for (encoding, preamble) in [("8bit", "plain"), ("7bit", "\u{524d}")] {
        let message = format!(
            "DKIM-Signature: v=1\r\nContent-Type: multipart/mixed; boundary=b\r\n\
             Content-Transfer-Encoding: {encoding}\r\n\r\n{preamble}\r\n--b\r\n\r\nx\r\n--b--\r\n"
        );
        let whole = String::from_utf8(sound(message.as_bytes())).unwrap();
        assert!(!whole.contains("DKIM-Signature"), "{whole}");
        assert!(whole.contains("Content-Transfer-Encoding: 7bit\r\n"), "{whole}");
    }
}

#[test]
fn what_may_not_be_encoded_is_refused() {
    let signed = "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\u{e9}\r\n--b--\r\n";
    let status = "Content-Type: message/delivery-status\r\n\r\n\u{e9}\r\n";
    let encoded = "Content-Transfer-Encoding: base64\r\n\r\n\u{e9}\r\n";
    let header = "Subject: \u{e9}\r\n\r\nx\r\n";
    for (message, why) in [
        (signed, Refused::Sealed),
        (status, Refused::Fixed),
        (encoded, Refused::Fixed),
        (header, Refused::Header),
    ] {
        assert_eq!(convert(message.as_bytes(), 7).unwrap_err(), why, "{message}");
    }
}

#[test]
fn a_long_ascii_leaf_and_a_long_line_come_through() {
    let long = "x".repeat(5_000);
    sound(format!("Subject: x\r\n\r\n{long}\u{e9}{long}\r\n").as_bytes());
    let lines = "0123456789 abcdef \r\n".repeat(70_000);
    sound(
        format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n{lines}\r\n--b--\r\n")
            .as_bytes(),
    );
}

/// Lines that are easily misread, and random octets without bare CR or LF.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop_oneof![
        Just(b"\r\n".to_vec()),
        Just(b"--b".to_vec()),
        Just(b" \t".to_vec()),
        Just("\u{3042}".repeat(30).into_bytes()),
        Just(b"- = ".to_vec()),
        Just(vec![b'a'; 80]),
        prop::collection::vec(any::<u8>().prop_filter("a line end", |b| !matches!(b, b'\r' | b'\n')), 0..40),
    ];
    prop::collection::vec(fragment, 0..30).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn leaves_decode_to_the_same_octets(parts in prop::collection::vec((content(), 0..4_usize), 1..5), chunk in 1..200_usize) {
        let kinds = ["text/plain", "text/html; charset=shift_jis", "application/octet-stream", "image/png"];
        let mut message = b"Content-Type: multipart/mixed; boundary=xyz\r\n\r\n".to_vec();
        for (content, kind) in &parts {
            message.extend_from_slice(format!("--xyz\r\nContent-Type: {}\r\n\r\n", kinds[*kind]).as_bytes());
            message.extend_from_slice(content);
            message.extend_from_slice(b"\r\n");
        }
        message.extend_from_slice(b"--xyz--\r\n");
        let whole = sound(&message);
        let (converted, body) = convert(&message, chunk).unwrap();
        prop_assert_eq!([converted.header.as_ref(), &body].concat(), whole);
    }

    #[test]
    fn a_single_leaf_decodes_to_the_same_octets(content in content(), text in any::<bool>()) {
        let kind = if text { "text/plain" } else { "application/octet-stream" };
        let mut message = format!("Content-Type: {kind}\r\n\r\n").into_bytes();
        message.extend_from_slice(&content);
        message.extend_from_slice(b"\r\n");
        sound(&message);
    }
}
