//! The ways to write an address, and the ways to put a text into a message, by encoders in this module.

use super::{NEEDLE, attached, gzipped, plain, utf16, winmail, wrapped, zipped};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Encodes one DER element. Its length always takes four octets, which is allowed only in BER.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap();
    [&[tag, 0x84][..], &length.to_be_bytes(), content].concat()
}

fn cms_signed(content: &[u8], indefinite: bool) -> Vec<u8> {
    let oid = |last: u8| der(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, last]);
    if indefinite {
        let pieces: Vec<u8> = content.chunks(7).flat_map(|piece| der(4, piece)).collect();
        let mut out = vec![0x30, 0x80];
        out.extend([0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 2, 0xa0, 0x80, 0x30, 0x80]);
        out.extend(
            [&der(2, &[1])[..], &der(0x31, &[]), &[0x30, 0x80], &oid(1), &[0xa0, 0x80, 0x24, 0x80]].concat(),
        );
        out.extend(pieces);
        out.extend([0; 12]);
        return out;
    }
    let encapsulated = der(0x30, &[oid(1), der(0xa0, &der(4, content))].concat());
    let signed = der(0x30, &[der(2, &[1]), der(0x31, &[]), encapsulated].concat());
    der(0x30, &[oid(2), der(0xa0, &signed)].concat())
}

/// The ways to write [`NEEDLE`] in a text, each with a name.
pub(super) fn forms() -> Vec<(&'static str, String)> {
    let hex = |prefix: &str, suffix: &str| -> String {
        NEEDLE.bytes().map(|byte| format!("{prefix}{byte:02x}{suffix}")).collect()
    };
    let wide: String =
        NEEDLE.chars().map(|letter| char::from_u32(u32::from(letter) + 0xfee0).unwrap()).collect();
    vec![
        ("plain", NEEDLE.to_owned()),
        ("in a list of circled numbers", format!("①{NEEDLE}②")),
        ("in a list of full-width numbers", format!("１．{NEEDLE}")),
        ("in a list of numbers", format!("1.{NEEDLE} 2.x@y.jp")),
        ("after one letter for several", format!("℡{NEEDLE}")),
        ("full width in a list", format!("①{wide}")),
        ("escaped three times", NEEDLE.replace('@', "%252540")),
        ("escaped four times", NEEDLE.replace('@', "%25252540")),
        (
            "a link of URL Defense, version 2",
            "urldefense.proofpoint.com/v2/url?u=https-3A__x.jp_-3Fe-3Dtanaka-40example.jp&d=x".to_owned(),
        ),
        (
            "a link of URL Defense, version 3",
            "urldefense.com/v3/__https://x.jp/?e=tanaka*40example.jp__;JQ!!x".to_owned(),
        ),
        ("an encapsulated address", "IMCEASMTP-tanaka+40example+2Ejp@exchange.example".to_owned()),
        ("a guest", "tanaka_example.jp#EXT#@tenant.example".to_owned()),
        ("as forwarders write senders", "SRS0=x+y=AB=example.jp=tanaka@forwarder.example".to_owned()),
        ("upper case", NEEDLE.to_uppercase()),
        ("fullwidth", wide),
        ("zero width", "tanaka\u{200b}@\u{ad}example\u{2060}.jp".to_owned()),
        ("ideographic dot", "tanaka@example。jp".to_owned()),
        ("percent", "tanaka%40example%2Ejp".to_owned()),
        ("all percent", hex("%", "")),
        ("double percent", "tanaka%2540example.jp".to_owned()),
        ("named entity", "tanaka&commat;example&period;jp".to_owned()),
        ("decimal entities", NEEDLE.bytes().map(|byte| format!("&#{byte};")).collect()),
        ("hex entities", hex("&#x", ";")),
        ("no semicolon", "tanaka&#64example.jp".to_owned()),
        ("javascript", hex("\\u00", "")),
        ("css", "tanaka\\40 example\\2e jp".to_owned()),
        ("quoted-printable as text", "tanaka=40example=2Ejp".to_owned()),
        ("verp", "bounce+tanaka=example.jp@list.example".to_owned()),
        ("percent hack", "tanaka%example.jp@relay.example".to_owned()),
        ("blanks", "tanaka @ example.jp".to_owned()),
        ("folded", "tanaka@\r\n example.jp".to_owned()),
        ("quoted", "\"tanaka\"@example.jp".to_owned()),
        ("base64", format!("data:text/plain;base64,{}", STANDARD.encode(format!("to {NEEDLE}!")))),
        ("base64 of a query", STANDARD.encode("a=1&e=tanaka%40example.jp&b=2")),
        ("base64 of a query, one further", STANDARD.encode("a=12&e=tanaka%40example%2Ejp")),
        ("base64 of a query, two further", STANDARD.encode("a=123&e=tanaka%40example.jp")),
        ("url-safe base64", format!("/u/{}/x", STANDARD.encode(format!("{NEEDLE}??")).replace('/', "_"))),
    ]
}

/// Builds a message that contains a text.
pub(super) type Carry = fn(&str) -> Vec<u8>;

/// The ways to put a text into a message, each with a name.
pub(super) fn carriers() -> Vec<(&'static str, Carry)> {
    fn eml(text: &str) -> Vec<u8> {
        format!("Subject: x\r\nMIME-Version: 1.0\r\n\r\n{text}\r\n").into_bytes()
    }
    vec![
        ("text", plain),
        ("html", |text| format!("Content-Type: text/html\r\n\r\n<p>{text}</p>").into_bytes()),
        ("attribute", |text| {
            format!("Content-Type: text/html\r\n\r\n<a href=\"mailto:{text}?subject=x\">x</a>").into_bytes()
        }),
        ("comment", |text| format!("Content-Type: text/html\r\n\r\n<!-- {text} -->").into_bytes()),
        ("json", |text| format!("Content-Type: application/json\r\n\r\n{{\"to\":\"{text}\"}}").into_bytes()),
        ("base64 text", |text| {
            format!("Content-Transfer-Encoding: BASE64\r\n\r\n{}", wrapped(text.as_bytes())).into_bytes()
        }),
        ("quoted-printable", |text| {
            let mut out = "Content-Transfer-Encoding: quoted-printable\r\n\r\n".to_owned();
            for (index, byte) in text.bytes().enumerate() {
                out.push_str(&format!("={byte:02x}"));
                if index % 20 == 19 {
                    out.push_str("=\r\n");
                }
            }
            out.into_bytes()
        }),
        ("utf-16", |text| {
            let body = wrapped(&utf16(text, true));
            format!("Content-Type: text/plain; charset=utf-16le\r\nContent-Transfer-Encoding: base64\r\n\r\n{body}")
                .into_bytes()
        }),
        ("preamble", |text| {
            format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{text}\r\n--b\r\n\r\nx\r\n--b--\r\n")
                .into_bytes()
        }),
        ("epilogue", |text| {
            format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n{text}")
                .into_bytes()
        }),
        ("zip", |text| attached("application/zip", "a.zip", &zipped("list.csv", text.as_bytes()))),
        ("zip in zip", |text| {
            let inner = zipped("list.csv", text.as_bytes());
            attached("application/octet-stream", "a.zip", &zipped("inner.zip", &inner))
        }),
        ("xlsx", |text| {
            let xml = format!("<sst><si><t>{text}</t></si></sst>");
            attached("application/vnd.ms-excel", "a.xlsx", &zipped("xl/sharedStrings.xml", xml.as_bytes()))
        }),
        ("gzip", |text| attached("application/gzip", "a.txt.gz", &gzipped(text.as_bytes()))),
        ("message", |text| {
            format!("Content-Type: message/rfc822\r\n\r\n{}", String::from_utf8_lossy(&eml(text)))
                .into_bytes()
        }),
        ("encoded message", |text| attached("message/rfc822", "m.eml", &eml(text))),
        ("message file", |text| attached("application/octet-stream", "m.eml", &eml(text))),
        ("signed", |text| attached("application/pkcs7-mime", "smime.p7m", &cms_signed(&eml(text), false))),
        ("signed in pieces", |text| attached("application/octet-stream", "x", &cms_signed(&eml(text), true))),
        ("winmail attachment", |text| {
            let file = winmail::file(&[winmail::attribute(2, 0x0006_800f, text.as_bytes())]);
            attached("application/ms-tnef", "winmail.dat", &file)
        }),
        ("winmail html", |text| {
            let body = winmail::properties(&[winmail::variable(0x1013_0102, text.as_bytes())]);
            attached(
                "application/ms-tnef",
                "winmail.dat",
                &winmail::file(&[winmail::attribute(1, 0x0006_9003, &body)]),
            )
        }),
    ]
}
