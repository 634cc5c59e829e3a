//! Tests with messages that were made to be expensive. Each of them is refused, held or reported within a deadline
//! that only unbounded work can miss. The budget of a message, which counts octets and steps, limits their cost.

use super::tests::{address, attached, scan_in, zipped};
use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::Write;
use std::time::{Duration, Instant};

/// Much longer than any of these takes (the budget is about 0.6 s of work in a release build), and much shorter than
/// unbounded work.
const DEADLINE: Duration = Duration::from_secs(20);

fn timed(name: &str, message: &[u8]) -> Result<BodyReport, WalkError> {
    let needles = Arc::new(Needles::new(vec![address("tanaka@example.jp"), address("a@x.jp")]));
    let start = Instant::now();
    let report = scan_in(message, &needles, 32_768);
    let took = start.elapsed();
    println!("{name}: {} octets, {took:?}", message.len());
    assert!(took < DEADLINE, "{name} took {took:?}");
    report
}

fn file(kind: &str, name: &str, bytes: &[u8]) -> Vec<u8> {
    attached(kind, name, bytes)
}

/// A mail with this number of parts, each with `header`.
fn mail(parts: usize, header: &str) -> Vec<u8> {
    let part = format!("--b\r\n{header}\r\n\r\nx\r\n");
    format!("To: a@x.jp\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n{}--b--\r\n", part.repeat(parts))
        .into_bytes()
}

/// A ZIP archive with these members.
fn archive(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in members {
        writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// The archive with its directory entry repeated, so that all entries point at the same member.
fn overlapping(archive: &[u8], times: usize) -> Vec<u8> {
    let directory = memchr::memmem::rfind(archive, b"PK\x01\x02").unwrap();
    let end = memchr::memmem::rfind(archive, b"PK\x05\x06").unwrap();
    let mut out = archive[..directory].to_vec();
    out.extend(archive[directory..end].repeat(times));
    let size = u32::try_from(out.len() - directory).unwrap();
    let mut tail = archive[end..].to_vec();
    tail[12..16].copy_from_slice(&size.to_le_bytes());
    out.extend(tail);
    out
}

fn deflated(content: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(content).unwrap();
    writer.finish().unwrap()
}

fn gzipped(content: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(content).unwrap();
    writer.finish().unwrap()
}

/// Whether the report names what was not searched, so that the message is held independently of the rules.
fn is_told(report: &BodyReport) -> bool {
    !report.facts.over_budget.is_empty()
}

#[test]
fn archives() {
    let zeros = vec![0; 16 * 1_024 * 1_024];
    let bomb = zipped("zeros.txt", &zeros);
    let report = timed("zip of zeros", &file("application/zip", "a.zip", &bomb)).unwrap();
    assert!(report.facts.opaque.iter().any(|opaque| opaque.why.contains("far more")), "{report:?}");
    assert!(is_told(&report) && !report.facts.problems.is_empty());
    let mut nested = bomb;
    for _ in 0..8 {
        nested = zipped("inner.zip", &nested);
    }
    let report = timed("nested", &file("application/zip", "a.zip", &nested)).unwrap();
    assert!(report.facts.opaque.iter().any(|opaque| opaque.why.contains("too deep")), "{report:?}");
    assert!(is_told(&report));
    let report = timed("gzip of zeros", &file("application/gzip", "a.gz", &gzipped(&zeros))).unwrap();
    assert!(is_told(&report) && !report.facts.problems.is_empty());
}

#[test]
fn one_budget_through_every_nesting() {
    let header = "Content-Type: text/plain; protected-headers=v1\r\nTo: a@x.jp";
    let bomb = mail(995, header);
    let members: Vec<(String, Vec<u8>)> =
        (0..60).map(|index| (format!("{index}.eml"), bomb.clone())).collect();
    let many = archive(&members);
    for (name, bytes) in [
        ("mails of 995 parts", many.clone()),
        ("the same packed again", archive(&[("a.zip".to_owned(), many.clone()), ("b.zip".to_owned(), many)])),
    ] {
        let report = timed(name, &file("application/zip", "a.zip", &bytes)).unwrap();
        let why = "more MIME parts in all than are looked at";
        assert!(
            report.facts.problems.iter().any(|problem| problem.contains(why)),
            "{:?}",
            report.facts.problems
        );
        assert!(report.facts.problems.len() <= 1_000 && report.facts.opaque.len() <= 1_000);
        assert!(report.facts.inner_recipients.len() <= 1_000 && is_told(&report));
    }
    let lap = overlapping(&zipped("a.eml", &bomb), 4_000);
    let report = timed("one mail named 4,000 times", &file("application/zip", "a.zip", &lap)).unwrap();
    assert!(report.facts.problems.iter().any(|problem| problem.contains("over one another")), "{report:?}");
    assert!(is_told(&report) && report.facts.problems.len() < 10);
}

#[test]
fn texts_packed() {
    let mut rng = 1u32;
    let mut word = || {
        rng = rng.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        rng >> 8
    };
    for (name, ending, unit) in [
        ("words", "txt", "lorem ipsum "),
        ("separators", "txt", "@"),
        ("wide separators", "bin", "@\0a\0"),
        ("addresses", "txt", "a@x.jp "),
        ("edges", "txt", "-@example.jp-tanaka"),
        ("html", "html", "<b>a&#64;x</b>"),
        ("base64", "txt", "QGV4YW1wbGUuanAQGV4YW1wbGUuanA"),
        ("escapes", "json", "\\u0040%40=40"),
        ("document", "xml", "<w:t>a</w:t>"),
        ("rtf", "rtf", "\\'40\\u64?{\\b a}"),
        ("calendar", "ics", "ATTENDEE:mailto:a@x.jp\r\n"),
        ("shifted", "txt", "\u{1b}$B\"\"\u{1b}(B@"),
    ] {
        let start = match ending {
            "rtf" => "{\\rtf1\\ansi ",
            "ics" => "BEGIN:VCALENDAR\r\n",
            _ => "",
        };
        // Irregular enough that its compression ratio alone does not reveal it.
        let members: Vec<(String, Vec<u8>)> = (0..40)
            .map(|index| {
                let mut text = format!("{start}{}", unit.repeat(2_000_000 / unit.len())).into_bytes();
                text.truncate(2_000_000);
                for _ in 0..5_000 {
                    let at = start.len() + word() as usize % (text.len() - start.len());
                    text[at] = b'x';
                }
                (format!("{index}.{ending}"), text)
            })
            .collect();
        let report = timed(name, &file("application/zip", "a.zip", &archive(&members))).unwrap();
        assert!(is_told(&report), "{name} was cheap enough to be read whole");
    }
}

#[test]
fn documents() {
    let stream = |content: &[u8]| {
        let packed = deflated(content);
        [
            format!("<</Length {}/Filter/FlateDecode>>stream\n", packed.len()).as_bytes(),
            &packed,
            b"\nendstream",
        ]
        .concat()
    };
    let page = stream(&b"(a@x.jp)Tj ".repeat(700_000));
    let mut pdf = b"%PDF-1.7\n".to_vec();
    for number in 1..200 {
        pdf.extend([format!("{number} 0 obj").as_bytes(), &page, b"endobj\n"].concat());
    }
    let fonts = (0..5_000).fold(String::new(), |text, index| format!("{text}/F{index} 7 0 R"));
    let font_pages = (0..2_000).fold(String::from("%PDF-1.7\n"), |text, index| {
        format!("{text}{index} 0 obj<</Type/Page/Contents 1 0 R/Resources<</Font 9000 0 R>>>>endobj\n")
    }) + &format!("9000 0 obj<<{fonts}>>endobj\n");
    for (name, bytes) in [
        ("PDF of packed pages", pdf),
        ("PDF of many fonts", font_pages.into_bytes()),
        ("PDF of marks", [&b"%PDF-1.7\n"[..], &b"1 0 obj<<".repeat(100_000)].concat()),
        ("PDF of brackets", [&b"%PDF-1.7\n1 0 obj"[..], &b"[".repeat(1_000_000)].concat()),
        ("PDF of streams without end", [&b"%PDF-1.7\n"[..], &b"1 0 obj<<>>stream\n".repeat(50_000)].concat()),
        ("PDF of trailers", [&b"%PDF-1.7\n"[..], &b"trailer<<".repeat(100_000)].concat()),
    ] {
        timed(name, &file("application/pdf", "a.pdf", &bytes)).unwrap();
    }
    for (name, bytes) in [
        ("RTF of groups", [&b"{\\rtf1"[..], &b"{".repeat(1_000_000)].concat()),
        ("RTF of fonts", [&b"{\\rtf1{\\fonttbl"[..], &b"{\\f1\\fcharset128}".repeat(60_000)].concat()),
        ("RTF of units", [&b"{\\rtf1"[..], &b"\\u64?".repeat(200_000)].concat()),
    ] {
        timed(name, &file("application/rtf", "a.rtf", &bytes)).unwrap();
    }
}

#[test]
fn containers_of_others() {
    let property = [1u32.to_le_bytes(), 0x0e04_001eu32.to_le_bytes(), 0xffff_ffffu32.to_le_bytes()].concat();
    let attribute = |id: u32, data: &[u8]| {
        let length = u32::try_from(data.len()).unwrap();
        [&[1u8][..], &id.to_le_bytes(), &length.to_le_bytes(), data, &[0, 0]].concat()
    };
    let winmail = |body: Vec<u8>| [&[0x78, 0x9f, 0x3e, 0x22, 1, 0][..], &body].concat();
    let empty = attribute(0x0006_9003, &0u32.to_le_bytes());
    let title = attribute(0x0001_8010, b"a@x.jp");
    let data = attribute(0x0006_800f, b"a@x.jp");
    for (name, body) in [
        ("TNEF of counts", attribute(0x0006_9003, &property).repeat(50_000)),
        ("TNEF of nothing", empty.repeat(60_000)),
        ("TNEF of files", [title, data].concat().repeat(30_000)),
    ] {
        timed(name, &file("application/ms-tnef", "winmail.dat", &winmail(body))).unwrap();
    }
    let oid = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
    let cms = [&[0x30, 0x80][..], &oid, &[0xa0, 0x80], &[0x30, 0x80].repeat(300_000)].concat();
    timed("CMS of openings", &file("application/pkcs7-mime", "a.p7m", &cms)).unwrap();
    let streams = gzipped(b"").repeat(50_000);
    timed("gzip of empty members", &file("application/gzip", "a.gz", &streams)).unwrap();
    let bz = STANDARD.decode("QlpoORdyRThQkAAAAAA=").unwrap().repeat(50_000);
    let report = timed("bzip2 of empty streams", &file("application/x-bzip2", "a.bz2", &bz)).unwrap();
    assert!(!report.facts.opaque.is_empty(), "a format that is not opened costs nothing, and is named");
    let mut tar = vec![0u8; 512];
    tar[..6].copy_from_slice(b"a@x.jp");
    tar[124..136].copy_from_slice(b"00000000000\0");
    tar[257..263].copy_from_slice(b"ustar\0");
    let report =
        timed("tar of empty members", &file("application/x-tar", "a.tar", &tar.repeat(12_000))).unwrap();
    assert!(is_told(&report));
    // A stream header, and empty blocks that each ask for a dictionary of 32 MiB.
    let block = [0x02, 0x00, 0x21, 0x01, 26, 0, 0, 0, 0, 0, 0, 0, 0x00, 0, 0, 0];
    let xz = [&b"\xfd7zXZ\0\0\0\0\0\0\0"[..], &block.repeat(60_000)].concat();
    let report = timed("xz of empty blocks", &file("application/x-xz", "a.xz", &xz)).unwrap();
    assert!(is_told(&report));
}

#[test]
fn texts() {
    let html = "Content-Type: text/html\r\n\r\n";
    for (name, unit) in [
        ("entities", "&#64;"),
        ("entities without end", "&#6"),
        ("separators", "@"),
        ("edges", "-@example.jp-tanaka"),
        ("tags", "<b>@</b>"),
        ("open tags", "<a "),
        ("percent", "%40"),
        ("wide", "＠"),
        ("base64", "QGV4YW1wbGUuanA"),
        ("utf-16", "@\0a\0"),
        ("quotes", "\"@example.jp"),
        ("armour", "-----BEGIN PGP MESSAGE-----"),
    ] {
        timed(name, format!("{html}{}", unit.repeat(50_000)).as_bytes()).unwrap();
    }
}

#[test]
fn headers_within() {
    let name = (0..50_000).fold(String::new(), |text, index| format!("{text}; n*{index}*=%40"));
    let message =
        format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: a/b{name}\r\n\r\nx");
    assert_eq!(timed("RFC 2231", message.as_bytes()), Err(WalkError::HeaderTooLarge(64 * 1_024)));
    let needles = Needles::new(vec![address("tanaka@example.jp")]);
    let start = Instant::now();
    for unit in ["=?utf-8?Q?=40?=", "=?", "(", "%40", "@example.jp ", "; a*0*=%40", "\r\n x", "&#64;"] {
        needles.search_header(format!("X: {}\r\n", unit.repeat(1_000_000 / unit.len())).as_bytes());
    }
    assert!(start.elapsed() < DEADLINE, "{:?}", start.elapsed());
}
