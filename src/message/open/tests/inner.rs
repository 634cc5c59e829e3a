//! What is read of files within files, told by the text that reaches the search.

use super::{STANDARD, attached};
use crate::message::Header;
use crate::message::inspect::BodyFacts;
use crate::message::open::{Inspector, Kind, TextSink};
use crate::message::walk::{Limits, Walker};
use base64::Engine;
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::io::Write;

/// Keeps all streams, each with its place.
#[derive(Default)]
struct Kept(Vec<(String, Kind, Vec<u8>)>);

impl TextSink for Kept {
    fn open(&mut self, place: &str, _: &'static str, kind: Kind) -> usize {
        self.0.push((place.to_owned(), kind, Vec::new()));
        self.0.len() - 1
    }
    fn content(&mut self, stream: usize, bytes: &[u8]) {
        self.0[stream].2.extend_from_slice(bytes);
    }
    fn close(&mut self, _: usize) {}
    fn header(&mut self, _: &str, _: &[u8]) {}
    fn stray(&mut self, _: &[u8]) {}
}

/// The facts, and the streams that hold `text`, of a message that comes in pieces of this size.
fn read_by(size: usize, message: &str, text: &str) -> (BodyFacts, Vec<(String, Kind)>) {
    let at = message.find("\r\n\r\n").unwrap() + 2;
    let header = Header::parse(Bytes::copy_from_slice(&message.as_bytes()[..at])).unwrap();
    let mut inspector = Inspector::new(Kept::default());
    let mut walker = Walker::new(&header, Limits::default(), &mut inspector).unwrap();
    for piece in message.as_bytes()[at..].chunks(size) {
        walker.feed(piece, &mut inspector).unwrap();
    }
    walker.finish(&mut inspector).unwrap();
    let (facts, kept) = inspector.finish();
    let with =
        kept.0.into_iter().filter(|(_, _, bytes)| memchr::memmem::find(bytes, text.as_bytes()).is_some());
    (facts, with.map(|(place, kind, _)| (place, kind)).collect())
}

/// The facts, and the streams that hold `text`.
fn read(message: &str, text: &str) -> (BodyFacts, Vec<(String, Kind)>) {
    let whole = read_by(message.len(), message, text);
    for size in [7, 1_000] {
        assert_eq!(read_by(size, message, text).1, whole.1, "by {size}");
    }
    whole
}

proptest! {
    /// However a mail is cut, the same texts are found in what is encoded and kept within it.
    #[test]
    fn the_cuts_do_not_matter(
        kind in prop::sample::select(vec!["text/plain", "text/html", "application/octet-stream", "application/xml"]),
        pieces in prop::collection::vec((0_usize..16, 1_usize..60), 1..30),
        size in 1_usize..3_000,
    ) {
        let archive = zipped("a.txt", "tanaka@example.jp");
        let mail = "From: a@x.jp\r\nMessage-ID: <1@x>\r\nContent-Type: text/plain\r\n\r\nDear tanaka\r\n";
        let words = "<p>some words, and more of them</p>\r\n";
        let mut body = String::new();
        for (piece, length) in pieces {
            match piece {
                0 => body += "From tanaka@example.jp Mon Nov 30 10:00:00 2026\r\n",
                1 => body += "\nFrom here on nothing is mail\n",
                2 => body += mail,
                3 => body += &mail[..length],
                4 => body += &uuencoded(&archive),
                5 => body += &uuencoded(words.repeat(length).as_bytes()),
                6 => body += "begin 644 a.txt\n",
                7 => body += "=ybegin line=128 size=3 name=a\n)))\n=yend size=3\n",
                8 => body += "end\n",
                9 => body += &STANDARD.encode(&archive),
                10 => body += &STANDARD.encode(words.repeat(length)),
                11 => body += "\r\n\r\n",
                12 => body += ["\n", "\r", "Fro", "beg", "=y", "<d>", "1234\n", " "][length % 8],
                13 => body += "\u{e000}\u{1}日本語 tanaka@example.jp ",
                14 => body += "begin 7 times, and\n",
                _ => body += &words[..length % words.len()],
            }
        }
        let message = format!("Content-Type: {kind}; charset=utf-8\r\n\r\n{body}");
        let (facts, whole) = read_by(message.len(), &message, "tanaka");
        let (cut_facts, cut_places) = read_by(size, &message, "tanaka");
        // What is nested is read beside what holds it: which of the two is ahead depends on the cuts.
        let sorted = |mut facts: BodyFacts| {
            facts.written.sort_by_cached_key(|written| format!("{written:?}"));
            facts.opaque.sort_by_cached_key(|opaque| format!("{opaque:?}"));
            facts.problems.sort();
            facts.attachments.sort_by_cached_key(|attachment| format!("{attachment:?}"));
            facts
        };
        prop_assert_eq!(sorted(facts), sorted(cut_facts));
        // Readings in other character sets begin where they are needed, which is not told apart.
        let places = |found: Vec<(String, Kind)>| found.into_iter().map(|(place, _)| place).collect::<BTreeSet<_>>();
        prop_assert_eq!(places(whole), places(cut_places));
    }
}

fn zipped(name: &str, content: &str) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
    writer.write_all(content.as_bytes()).unwrap();
    writer.finish().unwrap().into_inner()
}

fn deflated(text: &str) -> Vec<u8> {
    let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(text.as_bytes()).unwrap();
    writer.finish().unwrap()
}

fn uuencoded(bytes: &[u8]) -> String {
    let letter = |bits: u8| char::from(if bits == 0 { b'`' } else { bits + 32 });
    let mut out = "begin 644 file\n".to_owned();
    for line in bytes.chunks(45) {
        out.push(letter(u8::try_from(line.len()).unwrap()));
        for group in line.chunks(3) {
            let [a, b, c] = std::array::from_fn(|index| group.get(index).copied().unwrap_or(0));
            out.extend([a >> 2, (a & 3) << 4 | b >> 4, (b & 15) << 2 | c >> 6, c & 63].map(letter));
        }
        out.push('\n');
    }
    out + "`\nend\n"
}

const PAGE: &str = "<html><p>to tanaka<wbr>@example.jp</p></html>";

fn mail() -> String {
    let body = STANDARD.encode(PAGE);
    format!(
        "From: a@x.jp\nTo: b@y.jp\nSubject: hi\nMIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\n\
         Content-Transfer-Encoding: base64\n\n{body}\n"
    )
}

#[test]
fn mail_under_another_name() {
    let mail = mail();
    let plain = "From: a@x.jp\nTo: b@y.jp\n\nFrom here on, and\n\nFrom Monday it is\n";
    for text in [
        mail.clone(),
        format!("\u{feff}{mail}"),
        format!("From - Mon Jun  1 10:00:00 2026\n{mail}\n"),
        format!(
            "From a@x.jp Mon Jun  1 10:00:00 2026\n{plain}\nFrom a@x.jp Mon Jun  1 10:00:00 2026\n{mail}\n"
        ),
        format!("{}\n{mail}<?xml version=\"1.0\"?><plist/>", mail.len()),
    ] {
        for name in ["x.mbox", "x.emlx", "message", "mail.txt"] {
            // A length counts each octet, so such a file is as it is written.
            let counted = text.starts_with(char::is_numeric);
            for text in [text.clone(), if counted { text.clone() } else { text.replace('\n', "\r\n") }] {
                let message = attached(&format!("application/octet-stream; name={name}"), text.as_bytes());
                let (facts, found) = read(&message, PAGE);
                assert!(found.iter().any(|(_, kind)| *kind == Kind::Html), "{name}: {text} {found:?}");
                assert!(facts.opaque.is_empty() && facts.over_budget.is_empty(), "{facts:?}");
                // What a reader of the text itself sees is read as well.
                assert!(
                    read(&message, "Content-Transfer-Encoding: base64")
                        .1
                        .iter()
                        .any(|(_, kind)| *kind == Kind::Text)
                );
            }
        }
    }
    // Quoted mail is text, and holds nothing up, whatever of it is quoted.
    for quoted in [
        "From: x@y.jp\nTo: b@c.jp\nSubject: hi\n\nText\n".to_owned(),
        mail.lines().take(4).flat_map(|line| [line, "\n"]).collect(),
        format!("{plain}\n-----Original Message-----\n{mail}"),
        "Received: from a by b\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\nTo: b@y.jp\n\nWhat is this?\n"
            .to_owned(),
    ] {
        let (facts, found) = read(&format!("Content-Type: text/plain\r\n\r\n{quoted}\r\n"), "To: b@");
        assert!(found.iter().any(|(_, kind)| *kind == Kind::Text), "{quoted}");
        assert!(facts.opaque.is_empty() && facts.problems.is_empty() && facts.over_budget.is_empty(), "{quoted} {facts:?}");
    }
    let prose = "From: what I heard\nTo: my surprise\nDate: none\n\nhello";
    let (_, found) = read(&format!("Content-Type: text/plain\r\n\r\n{prose}\r\n"), "hello");
    assert_eq!(found.len(), 1, "prose is no mail");
}

#[test]
fn files_within_text() {
    let document = zipped("word/document.xml", "<w:t>tanaka@example.jp</w:t>");
    let (text, picture) = (STANDARD.encode(&document), b"\x89PNG\r\n\x1a\n\0\0\0\0IEND\xaeB`\x82".repeat(9));
    for (kind, body) in [
        ("application/xml", format!("<Invoice><Object mimeCode=\"x\">{text}</Object></Invoice>")),
        ("application/json", format!("{{\"data\":\"{}\"}}", text.replace('/', "\\/"))),
        ("text/html", format!("<a href=\"data:application/x;base64,{text}\">x</a>")),
        (
            "text/calendar",
            format!("BEGIN:VCALENDAR\r\nATTACH;ENCODING=BASE64:{}\r\n {}\r\n", &text[..9], &text[9..]),
        ),
        ("text/plain", format!("{}\n{}", uuencoded(&picture), uuencoded(&document))),
        ("text/plain", format!("{}begin 7 times, and\n{}", uuencoded(b"one file"), uuencoded(&document))),
        ("text/plain", format!("=ybegin line=128 size=3 name=a\n)))\n{}", uuencoded(&document))),
        ("text/plain", format!("ThisIsTheNameOfTheFile\n{text}\n")),
        ("text/plain", format!("{}{}", uuencoded(&document).replace("`\nend\n", ""), uuencoded(&picture))),
    ] {
        let (facts, found) = read(&format!("Content-Type: {kind}\r\n\r\n{body}\r\n"), "tanaka@example.jp");
        assert!(
            found.iter().any(|(place, _)| place.ends_with("encoded block › word/document.xml")),
            "{body}: {found:?}"
        );
        assert!(facts.opaque.is_empty(), "{body}: {facts:?}");
    }
    let old = STANDARD.encode([&b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"[..], &[7; 500]].concat());
    let (facts, _) = read(&format!("Content-Type: text/xml\r\n\r\n<a>{old}</a>\r\n"), "x");
    assert!(facts.opaque.iter().any(|opaque| opaque.why.contains("older Office")), "{facts:?}");
    // Files in files end somewhere, and so does their number.
    let mut nested = PAGE.to_owned();
    (0..20).for_each(|_| nested = format!("<a>{}</a>", STANDARD.encode(&nested)));
    let (facts, _) = read(&format!("Content-Type: text/xml\r\n\r\n{nested}\r\n"), "x");
    assert!(!facts.over_budget.is_empty(), "{facts:?}");
    let many = format!(
        "<a>{}</a>\n",
        STANDARD.encode("<p>one of very many, each of which is a page of its own</p>")
    )
    .repeat(11_000);
    let (facts, _) = read(&format!("Content-Type: text/xml\r\n\r\n{many}\r\n"), "x");
    assert!(!facts.over_budget.is_empty());
}

#[test]
fn texts_of_pictures() {
    let chunk = |kind: &str, data: &[u8]| {
        [&u32::try_from(data.len()).unwrap().to_be_bytes()[..], kind.as_bytes(), data, b"a1b2"].concat()
    };
    let packed = deflated("to tanaka@example.jp");
    for text in [
        chunk("tEXt", b"Author\0to tanaka@example.jp"),
        chunk("zTXt", &[b"Comment\0\0", &packed[..]].concat()),
        chunk("iTXt", &[b"Comment\0\x01\0ja\0x\0", &packed[..]].concat()),
        chunk("iTXt", b"Comment\0\0\0\0\0to tanaka@example.jp"),
        chunk("tEXt", b"Software\0to tanaka@example.jp\x01\x02\0"),
    ] {
        let picture =
            [&b"\x89PNG\r\n\x1a\n"[..], &chunk("IHDR", &[0; 13]), &text, &chunk("IEND", b"")].concat();
        let (facts, found) = read(&attached("image/png; name=a.png", &picture), "to tanaka@example.jp");
        assert!(found.iter().any(|(place, _)| place.ends_with("text of the picture")), "{found:?}");
        assert!(facts.opaque.is_empty() && facts.problems.is_empty(), "{facts:?}");
        for end in 0..picture.len() {
            read(&attached("image/png", &picture[..end]), "x");
        }
    }
}

#[test]
fn what_is_no_text_is_named_whatever_its_name() {
    let noise = deflated(&(0..2_000).map(|n| format!("{:x}", n * 7_919)).collect::<Vec<_>>().concat());
    for name in ["content.xml", "page.html", "a.svg"] {
        let (facts, _) = read(&attached(&format!("application/octet-stream; name={name}"), &noise), "x");
        assert_eq!(facts.opaque.len(), 1, "{name}: {facts:?}");
    }
    let bytes = STANDARD.encode(&noise);
    let declared = format!(
        "Content-Type: application/xml; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{bytes}"
    );
    assert_eq!(read(&declared, "x").0.opaque.len(), 1);
    let wide: Vec<u8> = "<p>上下左右 判</p>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let bytes = STANDARD.encode(&wide);
    let declared = format!(
        "Content-Type: text/html; charset=utf-16le\r\nContent-Transfer-Encoding: base64\r\n\r\n{bytes}"
    );
    assert!(read(&declared, "x").0.opaque.is_empty());
    for text in ["<p>a \u{b}b \u{1}c</p> and much more text than this", "<p>\u{1b}$B$\"\u{1b}(B</p>"] {
        let (facts, _) = read(&attached("text/html", text.as_bytes()), "x");
        assert!(facts.opaque.is_empty(), "{facts:?}");
    }
}
