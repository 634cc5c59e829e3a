//! What is found in text, in pieces of any size.

use super::*;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use proptest::prelude::*;

fn files(text: &str, size: usize) -> Vec<Vec<u8>> {
    let (mut runs, mut found, mut files) = (Runs::default(), Vec::new(), Vec::<Vec<u8>>::new());
    text.as_bytes().chunks(size).for_each(|chunk| runs.feed(chunk, &mut found));
    runs.finish(&mut found);
    let mut open = false;
    for event in found {
        match event {
            Found::Begin { .. } => {
                assert!(!std::mem::replace(&mut open, true));
                files.push(Vec::new());
            }
            Found::Data(data) if open => files.last_mut().unwrap().extend(data),
            Found::Data(data) => assert!(data.is_empty()),
            Found::End => assert!(std::mem::replace(&mut open, false)),
        }
    }
    assert!(!open);
    files
}

/// Octets as those of a packed file.
fn noise() -> impl Iterator<Item = u8> {
    let mut state = 88_172_645_463_325_252_u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    })
}

fn archive() -> Vec<u8> {
    // Its base64 has both signs early.
    b"PK\x03\x04\xfb\xff\xbf\x14\0".iter().copied().chain(noise().take(3_000)).collect()
}

fn lines(text: &str, length: usize, between: &str) -> String {
    let lines: Vec<&str> =
        text.as_bytes().chunks(length).map(|line| std::str::from_utf8(line).unwrap()).collect();
    lines.join(between)
}

#[test]
fn a_file_is_found_in_what_it_is_written_in() {
    let file = archive();
    let text = STANDARD.encode(&file);
    let plain = [
        format!("<a>\r\n<b>{text}</b></a>"),
        format!("<data>\n\t{}\n\t</data>", lines(&text, 68, "\n\t")),
        format!("{{\"data\": \"{text}\", \"more\": 1}}"),
        format!("{{\"data\": \"{}\"}}", text.replace('/', "\\/")),
        format!("{{\"data\": \"{}\"}}", text.replace('+', "\\u002B").replace('=', "\\u003D")),
        format!("{{\"data\": \"\\n{}\\n\"}}", lines(&text, 76, "\\r\\n")),
        format!("<d>{}</d>", lines(&text, 76, "&#xD;\n")),
        format!("<d>{}</d>", lines(&text, 76, "&#13;&#10;").replace('+', "&#43;")),
        format!("url(data:application/zip;base64,{text})"),
        format!("<a href='data:,;base64%2C{}'>", text.replace('+', "%2B").replace('/', "%2f")),
        format!("ATTACH;ENCODING=BASE64;X-FILENAME=a-file.docx:{}\r\nUID:x", lines(&text, 60, "\r\n ")),
        format!("-----BEGIN CERTIFICATE-----\r\n{}\r\n-----END CERTIFICATE-----", lines(&text, 64, "\r\n")),
        format!("Content-Transfer-Encoding: base64\n\n{}\n\nThe end of all this.", lines(&text, 76, "\n")),
        format!("> Encoding: base64\r\n> \r\n> {}\r\n>\r\n> Regards", lines(&text, 76, "\r\n> ")),
        format!("words {} and more words", URL_SAFE.encode(&file)),
        text,
    ];
    for text in plain {
        for size in [1, 7, 100, 10_000] {
            let found = files(&text, size);
            assert_eq!(found.len(), 1, "{size}: {}", &text[..200]);
            assert!(found[0].starts_with(&file), "{size}: {}", &text[..200]);
            assert!(found[0].len() < file.len() + 20, "{size}: {}", &text[..200]);
        }
    }
}

#[test]
fn several_and_what_is_before_them() {
    let text = STANDARD.encode(archive());
    let page = STANDARD.encode("<p>tanaka<wbr>@example.jp, whom we wrote to</p>");
    let query = STANDARD.encode([&[0, 0, 0, 0, 9, 1, 0, 0], &archive()[..]].concat());
    let mut tar = b"a-file.txt".to_vec();
    tar.resize(257, 0);
    tar.extend(b"ustar\x0000");
    tar.resize(1_024, b'x');
    let tar = format!(
        "AFileWithALongName\r\nOrALongerLineBeforeIt\r\n{}\r\n",
        lines(&STANDARD.encode(&tar), 76, "\r\n")
    );
    assert!([1, 50, 10_000].iter().all(|&size| files(&tar, size).len() == 1));
    let all = format!("[\"{text}\",\"{page}\"]\n<m>{query}</m><m>{text}</m>");
    for size in [1, 50, 100_000] {
        let found = files(&all, size);
        assert_eq!(found.len(), 4);
        assert!([0, 2, 3].iter().all(|&at| found[at] == archive()) && found[1].starts_with(b"<p>tanaka"));
    }
}

/// Pages of draw.io, as they stand in its files and in pictures of it.
#[test]
fn drawings() {
    let page = "%3CmxGraphModel%3E%3Croot%3E%3CmxCell%20value%3D%22tanaka%22%2F%3E".repeat(3);
    let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut deflate, page.as_bytes()).unwrap();
    let packed = deflate.finish().unwrap();
    let letters = STANDARD.encode(&packed);
    for text in [
        format!("<mxfile><diagram id=\"a\" name=\"Page-1\">{letters}</diagram></mxfile>"),
        format!("content=\"&lt;diagram name=&quot;1&quot;&gt;{letters}&lt;/diagram&gt;\""),
        format!(
            "%3Cdiagram%20name%3D%221%22%3E{}%3C%2Fdiagram%3E",
            letters.replace('+', "%2B").replace('/', "%2F")
        ),
    ] {
        for size in [1, 100, 10_000] {
            let found = files(&text, size);
            assert!(found.len() == 1 && found[0].starts_with(&packed), "{size}: {text}");
        }
    }
    assert!(files(&format!("<p>{letters}</p>"), 100).is_empty());
}

#[test]
fn nothing_is_found_in_what_is_no_file() {
    let noise: Vec<u8> = noise().take(3_000).collect();
    for text in [
        "see UEsDBBQAAAAIAKWM, which is how an archive begins".to_owned(),
        format!("a key: {}", STANDARD.encode(&noise)),
        "https://www.example.com/aaaa/bbbb/cccccccccccccccccccccccccccccccccccc/d/e/f/g/hhhhhhhhhh"
            .to_owned(),
        "x".repeat(10_000),
        // Signatures of three octets that others begin with too.
        STANDARD.encode(b"BZhere is no archive, but a text as any"),
        STANDARD.encode(b"]\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05\0\0\0"),
        "AFairlyLongWordOfOneLine\n".repeat(50),
        format!(
            "description:: {}",
            STANDARD.encode("plain text, which is searched where it stands, as it is")
        ),
        "----------------------------------------------------------------------".to_owned(),
    ] {
        for size in [1, 1_000] {
            assert_eq!(files(&text, size), Vec::<Vec<u8>>::new(), "{text}");
        }
    }
}

/// No beginning of a format is dismissed by its first octets.
#[test]
fn formats_are_not_dismissed() {
    let starts = crate::message::open::formats::FORMATS.iter().flat_map(|format| format.starts);
    for &(at, start) in starts.filter(|(at, _)| *at < 3) {
        let head = [&b"\x80\x80"[..at], start, b"\x90\x91\x92\x93\x94\x95"].concat();
        let text = STANDARD.encode(&head[..6]);
        let first = lead::first(*text.as_bytes().first_chunk().unwrap()).unwrap();
        assert_eq!(first, head[..6]);
        assert!(lead::may_lead(&first), "{start:?}");
    }
}

proptest! {
    /// However a text is cut, the same files are found in it: among words, letters that are no file, lines of base64,
    /// escapes and gaps of any kind, some of them longer than what is kept.
    #[test]
    fn the_cuts_do_not_matter(
        pieces in prop::collection::vec((0_usize..14, 1_usize..120), 1..40),
        size in 1_usize..700,
    ) {
        let file = STANDARD.encode(archive());
        let page = STANDARD.encode("<p>a page of its own, of some length, with more in it than one line has</p>".repeat(9));
        let words = STANDARD.encode("Some text that is no file, though it is in base64, and has more lines than one. ".repeat(9));
        let noise: String = STANDARD.encode(noise().skip(7).take(9_000).collect::<Vec<u8>>()).replace(['+', '/'], "a");
        let mut text = String::new();
        for (kind, length) in pieces {
            match kind {
                0 => text += &file[..length * 20],
                1 => text += &lines(&file[..length * 20], 76, "\r\n"),
                2 => text += &page[..length * 7 / 4 * 4],
                3 => text += &words[..length * 7 / 4 * 4],
                4 => text += &lines(&words[..length * 7 / 4 * 4], 60, "\n> "),
                5 => text += &noise[..length * 100],
                6 => text += &noise[length..2 * length],
                7 => text += &lines(&noise[length..9 * length], 76, "\n"),
                8 => text += "\r\n",
                9 => text += "\\n",
                10 => text += "\\/",
                11 => text += "%2B",
                12 => text += [" ", "\"", "<d>", ">", "-", "=", ";", "&#10;", "\n\n", "diagram>"][length % 10],
                _ => text += "words and more of them ",
            }
        }
        prop_assert_eq!(files(&text, text.len()), files(&text, size));
    }
}
