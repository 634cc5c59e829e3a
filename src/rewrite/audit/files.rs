//! Tests with files of other programs in the formats that are opened. An address in each of them is found, in chunks
//! of any size, and no part of them is reported as unread. Files that cannot be opened are named.
//!
//! Each line of `files.txt` has a description, a file name, and the file in base64. The files were made by Python's
//! own modules, py7zr, reportlab and pikepdf.

use super::tests::{address, attached, scan_in};
use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const FILES: &str = include_str!("files.txt");

fn reports(name: &str, bytes: &[u8]) -> BodyReport {
    let message = attached("application/octet-stream", name, bytes);
    let needles = Arc::new(Needles::new(vec![address("tanaka@example.jp")]));
    let whole = scan_in(&message, &needles, message.len()).unwrap();
    for size in [1, 61, 4_001] {
        assert_eq!(scan_in(&message, &needles, size).unwrap(), whole, "{name} by {size}");
    }
    whole
}

#[test]
fn files_of_other_programs() {
    for line in FILES.lines() {
        let [what, name, text] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let report = reports(name, &STANDARD.decode(text).unwrap());
        assert!(!report.hits.is_empty(), "{what}: {:?}", report.facts);
        assert!(report.facts.opaque.is_empty(), "{what}: {:?}", report.facts.opaque);
        assert!(report.facts.problems.is_empty(), "{what}: {:?}", report.facts.problems);
    }
}

#[test]
fn rich_text() {
    for body in [
        "tanaka@example.jp",
        "{\\b tanaka@}{\\b0 example.jp}",
        "{\\b tan}{\\rtlch\\fcs1 \\af0 \\ltrch\\fcs0 \\insrsid1234 aka@exam}{\\*\\bkmkstart x}ple.jp",
        "tanaka\\'40example.jp",
        "\\u116?anaka\\u64\\'3fexample{\\uc0\\u46}jp",
        "tanaka\r\n@exa\\-mple.jp",
        "to\\par tanaka@example.jp\\tab x",
        "{\\field{\\*\\fldinst HYPERLINK \"mailto:tanaka@example.jp\"}{\\fldrslt x}}",
        "{\\info{\\title x}{\\author tanaka@example.jp}}",
        "\\fromhtml1{\\*\\htmltag64 <p>}\\htmlrtf {\\htmlrtf0 tanaka{\\*\\htmltag84 <b>}@example.jp\\htmlrtf}\\htmlrtf0",
        "{\\fonttbl{\\f1\\fcharset128 x;}}\\f1 \\'81\\'40\\'82\\'94\\'82\\'81\\'82\\'8e\\'82\\'81\\'82\\'8b\\'82\\'81\
         \\'81\\'97example.jp",
    ] {
        let text = format!("{{\\rtf1\\ansi\\ansicpg1252\\pard {body}\\par}}");
        let report = reports("letter.rtf", text.as_bytes());
        assert!(!report.hits.is_empty(), "{body}");
        assert!(report.facts.opaque.is_empty());
    }
    let other = reports("letter.rtf", b"{\\rtf1\\ansi\\pard {\\b xtanaka@}{\\b0 example.jp}\\par}");
    assert!(other.hits.is_empty(), "{:?}", other.hits);
}

#[test]
fn documents_of_xml() {
    let archived = |name: &str, text: &str| super::tests::zipped(name, text.as_bytes());
    for (name, text) in [
        ("word/document.xml", "<w:p><w:r><w:t>tanaka</w:t></w:r><w:r><w:t>@example.jp</w:t></w:r></w:p>"),
        (
            "word/header1.xml",
            "<w:p>\n <w:r>\n  <w:t>tanaka@</w:t>\n </w:r>\n <w:r>\n  <w:t>example.jp</w:t></w:r></w:p>",
        ),
        (
            "word/document.xml",
            "<w:r><w:t>list</w:t><w:br/><w:t>tanaka</w:t></w:r><w:r><w:t>@example.jp</w:t></w:r>",
        ),
        ("xl/sharedStrings.xml", "<si>\n<r>\n<t>tan</t>\n</r>\n<r><t>aka@example.jp</t></r></si>"),
        (
            "ppt/slides/slide1.xml",
            "<a:p><a:r><a:t>tanaka@</a:t></a:r><a:r><a:rPr/><a:t>example.jp</a:t></a:r></a:p>",
        ),
        ("docProps/core.xml", "<dc:title>x</dc:title><dc:creator>tanaka@example.jp</dc:creator>"),
        (
            "content.xml",
            "<text:p>to <text:span>tanaka@</text:span><text:span>example.jp</text:span></text:p>",
        ),
    ] {
        assert!(!reports("a.docx", &archived(name, text)).hits.is_empty(), "{name}: {text}");
    }
}

#[test]
fn pictures_are_searched_and_not_named() {
    for start in [
        &b"\x89PNG\r\n\x1a\n\0\0"[..],
        b"\xff\xd8\xff\xe1\0\0Exif\0",
        b"GIF89a\x01\0\x01\0",
        b"RIFF\0\0\0\0WEBP",
    ] {
        let report = reports("logo", &[start, b"<x:xmpmeta>tanaka@example.jp\0\x01"].concat());
        assert!(!report.hits.is_empty() && report.facts.opaque.is_empty(), "{start:?}");
    }
    for (start, why) in [
        (&b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"[..], "older Office"),
        (b"Rar!\x1a\x07\x01\0", "not opened"),
        (b"MSCF\0\0\0\0", "not opened"),
        (b"\x1c\x2b-lh5-\0\x01", "not opened"),
        (b"\0\x01\x02unknown", "not opened"),
    ] {
        let wide: Vec<u8> = "tanaka@example.jp".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let report = reports("file", &[start, &[0; 8], &wide].concat());
        assert!(!report.hits.is_empty(), "{start:?}");
        assert!(
            report.facts.opaque.iter().any(|opaque| opaque.why.contains(why)),
            "{:?}",
            report.facts.opaque
        );
    }
    let locked = reports("a.pdf", b"%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<</Encrypt 2 0 R>>");
    assert!(locked.facts.opaque.iter().any(|opaque| opaque.why.contains("encrypted")));
}
