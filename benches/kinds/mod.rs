//! Mail of the kinds that people send, generated from a seed. Nothing repeats, and nothing makes a search
//! easy.
//!
//! Each kind has a header (without the empty line after it) and a body of about the requested size that
//! begins with the empty line, as the audit takes it.

mod words;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::fmt::Write as _;
use std::io::{Cursor, Write as _};

/// One mail.
pub(crate) struct Mail {
    /// Content-Type and other fields of this kind, each line with its CRLF.
    pub(crate) head: String,
    /// The empty line, then the content.
    pub(crate) body: Vec<u8>,
}

/// All kinds, in the order in which they are measured.
pub(crate) const KINDS: [&str; 17] = [
    "letters",
    "prose",
    "links",
    "html",
    "html-qp",
    "iso-2022-jp",
    "japanese",
    "japanese-base64",
    "random-file",
    "jpeg",
    "pdf",
    "docx",
    "csv-base64",
    "winmail",
    "signed",
    "newsletter",
    "thread",
];

/// Xorshift (Marsaglia 2003): the same numbers for the same seed on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 11).unwrap_or(0) % limit
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    /// A word. The index is distributed like the product of two random numbers, which is close to natural
    /// word frequencies.
    fn word(&mut self) -> &'static str {
        let all = words::ENGLISH;
        let place = self.below(all.len()) * self.below(all.len()) / all.len();
        all[place]
    }

    fn octets(&mut self, count: usize) -> Vec<u8> {
        let mut octets = Vec::with_capacity(count + 8);
        while octets.len() < count {
            octets.extend_from_slice(&self.next().to_le_bytes());
        }
        octets.truncate(count);
        octets
    }
}

/// Generates one mail of a kind with about `size` octets of body.
pub(crate) fn mail(kind: &'static str, seed: u64, size: usize) -> Mail {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let random = &mut random;
    let text = "Content-Type: text/plain; charset=utf-8\r\n";
    let (head, body) = match kind {
        "letters" => (text.to_owned(), letters(random, size)),
        "prose" => (text.to_owned(), prose(random, size).into_bytes()),
        "links" => (text.to_owned(), links(random, size).into_bytes()),
        "html" => ("Content-Type: text/html; charset=utf-8\r\n".to_owned(), html(random, size).into_bytes()),
        "html-qp" => (
            "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n"
                .to_owned(),
            quoted_printable(&html(random, size * 5 / 6)),
        ),
        "iso-2022-jp" => (
            "Content-Type: text/plain; charset=iso-2022-jp\r\n".to_owned(),
            iso_2022_jp(&japanese(random, size)),
        ),
        "japanese" => (text.to_owned(), japanese(random, size).into_bytes()),
        "japanese-base64" => (
            format!("{text}Content-Transfer-Encoding: base64\r\n"),
            base64(japanese(random, size * 3 / 4).as_bytes()),
        ),
        "random-file" => attached("application/octet-stream", "backup.bin", &random.octets(size * 73 / 100)),
        "jpeg" => attached("image/jpeg", "photo.jpg", &jpeg(random, size * 73 / 100)),
        "pdf" => attached("application/pdf", "minutes.pdf", &pdf(random, size * 73 / 100)),
        "docx" => attached(
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "minutes.docx",
            &docx(random, size * 73 / 100),
        ),
        "csv-base64" => {
            attached("text/csv; charset=utf-8", "orders.csv", csv(random, size * 73 / 100).as_bytes())
        }
        "winmail" => attached("application/ms-tnef", "winmail.dat", &winmail(random, size * 73 / 100)),
        "signed" => signed(random, size),
        "newsletter" => newsletter(random, size),
        _ => (text.to_owned(), thread(random, size).into_bytes()),
    };
    let mut body = [b"\r\n", &body[..]].concat();
    if !body.ends_with(b"\r\n") {
        body.extend_from_slice(b"\r\n");
    }
    Mail { head, body }
}

/// Lines of random letters, digits, spaces, `+` and `/`: each looks like base64.
fn letters(random: &mut Random, size: usize) -> Vec<u8> {
    const ALL: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/  ";
    let mut text = Vec::with_capacity(size + 80);
    while text.len() < size {
        text.extend((0..76).map(|_| ALL[random.below(ALL.len())]));
        text.extend_from_slice(b"\r\n");
    }
    text
}

fn prose(random: &mut Random, size: usize) -> String {
    let mut text = String::with_capacity(size + 80);
    let mut column = 0;
    while text.len() < size {
        let word = random.word();
        text.push_str(word);
        column += word.len() + 1;
        match random.below(40) {
            0..=2 => text.push_str(". "),
            3..=5 => text.push_str(", "),
            6 => {
                let _ = write!(text, " {} ", random.below(10_000));
            }
            7 if random.below(40) == 0 => {
                let _ = write!(text, " {}.{}@office{}.example ", word, random.word(), random.below(300));
            }
            _ => text.push(' '),
        }
        if column > 68 {
            text.push_str("\r\n");
            column = 0;
            if random.below(9) == 0 {
                text.push_str("\r\n");
            }
        }
    }
    text
}

fn link(random: &mut Random) -> String {
    format!(
        "https://www.{}{}.example/{}/{}?id={:x}&utm_source={}&q=%E4%BC%9A%E8%AD%{:02X}+{}",
        random.word(),
        random.below(90),
        random.word(),
        random.word(),
        random.next(),
        random.word(),
        0x80 + random.below(0x40),
        random.word()
    )
}

fn links(random: &mut Random, size: usize) -> String {
    let mut text = String::with_capacity(size + 200);
    while text.len() < size {
        let _ = write!(text, "{}\r\n{}\r\n\r\n", prose(random, 120).trim_end(), link(random));
    }
    text
}

fn html(random: &mut Random, size: usize) -> String {
    let mut page = String::from(
        "<!DOCTYPE html>\r\n<html><head><meta charset=\"utf-8\"><style>p.MsoNormal {margin:0cm; font-size:11.0pt;}\r\n\
         a:link {color:#0563C1;}</style></head><body lang=\"EN-GB\">\r\n",
    );
    while page.len() < size {
        match random.below(4) {
            0 => {
                let _ = write!(
                    page,
                    "<tr style=\"height:{}pt\"><td class=\"a{}\" style=\"color:#{:06x};padding:0cm 5.4pt\">{}</td>\
                     <td><a href=\"{}\">{}</a></td></tr>\r\n",
                    random.below(40),
                    random.below(9),
                    random.below(1 << 24),
                    random.word(),
                    link(random).replace('&', "&amp;"),
                    random.word()
                );
            }
            1 => {
                let _ = write!(
                    page,
                    "<!-- {} --><img src=\"cid:image{:03}.png\" alt=\"\">\r\n",
                    random.word(),
                    random.below(999)
                );
            }
            _ => {
                let text = prose(random, 200).replace(", ", ",&nbsp;").replace("\r\n", "<br>\r\n");
                let _ = write!(
                    page,
                    "<p class=\"MsoNormal\"><span lang=\"EN-US\">{text}<o:p></o:p></span></p>\r\n"
                );
            }
        }
    }
    page
}

fn japanese(random: &mut Random, size: usize) -> String {
    let mut text = String::with_capacity(size + 80);
    let mut column = 0;
    while text.len() < size {
        let phrase = random.one(words::JAPANESE);
        text.push_str(phrase);
        column += phrase.len();
        if column > 90 {
            text.push_str("\r\n");
            column = 0;
        }
    }
    text
}

fn iso_2022_jp(text: &str) -> Vec<u8> {
    let mut lines = Vec::new();
    for line in text.split("\r\n") {
        lines.extend_from_slice(&encoding_rs::ISO_2022_JP.encode(line).0);
        lines.extend_from_slice(b"\r\n");
    }
    lines
}

fn base64(octets: &[u8]) -> Vec<u8> {
    let encoded = STANDARD.encode(octets);
    let mut lines = Vec::with_capacity(encoded.len() * 78 / 76 + 2);
    for line in encoded.as_bytes().chunks(76) {
        lines.extend_from_slice(line);
        lines.extend_from_slice(b"\r\n");
    }
    lines
}

fn quoted_printable(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() * 6 / 5);
    for line in text.split("\r\n") {
        let mut column = 0;
        for &octet in line.as_bytes() {
            if column > 72 {
                out.extend_from_slice(b"=\r\n");
                column = 0;
            }
            // A dot at the start of a line would have to be stuffed (RFC 5321 §4.5.2).
            if octet == b'=' || octet >= 0x80 || (octet == b'.' && column == 0) {
                out.extend_from_slice(format!("={octet:02X}").as_bytes());
                column += 3;
            } else {
                out.push(octet);
                column += 1;
            }
        }
        out.extend_from_slice(b"\r\n");
    }
    out
}

const BOUNDARY: &str = "_000_AM0PR07MB4131";

/// A short text and a file in base64.
fn attached(content_type: &str, name: &str, octets: &[u8]) -> (String, Vec<u8>) {
    let mut body = format!(
        "--{BOUNDARY}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nPlease find the file attached.\r\n\
         --{BOUNDARY}\r\nContent-Type: {content_type}; name=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment; filename=\"{name}\"\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(&base64(octets));
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    (format!("Content-Type: multipart/mixed; boundary=\"{BOUNDARY}\"\r\n"), body)
}

/// Segments as a camera writes them, then random data in place of the entropy-coded image.
fn jpeg(random: &mut Random, size: usize) -> Vec<u8> {
    let mut file = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x02\x00\x00\x48\x00\x48\x00\x00\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00\x3f\x00".to_vec();
    for octet in random.octets(size) {
        file.push(octet);
        if octet == 0xff {
            file.push(0);
        }
    }
    file.extend_from_slice(b"\xff\xd9");
    file
}

fn deflated(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    let _ = encoder.write_all(text);
    encoder.finish().unwrap_or_default()
}

/// Pages of text in compressed streams, and images.
fn pdf(random: &mut Random, size: usize) -> Vec<u8> {
    let mut file =
        b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n".to_vec();
    let mut number = 3;
    while file.len() < size {
        let mut page = String::from("BT /F1 11 Tf 72 720 Td 14 TL\n");
        for line in prose(random, 3_000).replace(['(', ')', '\\'], " ").lines() {
            let _ = writeln!(page, "({line}) Tj T*");
        }
        page.push_str("ET\n");
        let page = deflated(page.as_bytes());
        let picture = deflated(&random.octets(40_000.min(size / 4)));
        for (kind, stream) in [("", &page), ("/Type /XObject /Subtype /Image ", &picture)] {
            let head = format!(
                "{number} 0 obj\n<< {kind}/Length {} /Filter /FlateDecode >>\nstream\n",
                stream.len()
            );
            file.extend_from_slice(head.as_bytes());
            file.extend_from_slice(stream);
            file.extend_from_slice(b"\nendstream\nendobj\n");
            number += 1;
        }
    }
    file.extend_from_slice(b"trailer\n<< /Root 1 0 R >>\n%%EOF\n");
    file
}

/// A document with text and images, as Word writes it.
fn docx(random: &mut Random, size: usize) -> Vec<u8> {
    let mut document = String::from("<?xml version=\"1.0\"?><w:document><w:body>");
    while document.len() < size {
        for word in prose(random, 300).split_whitespace() {
            let _ = write!(
                document,
                "<w:r w:rsidR=\"00{:06X}\"><w:t xml:space=\"preserve\">{word} </w:t></w:r>",
                random.below(1 << 24)
            );
        }
        document.push_str("</w:p><w:p>");
    }
    document.push_str("</w:p></w:body></w:document>");
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    let mut add = |name: &str, octets: &[u8]| {
        if archive.start_file(name, options).is_ok() {
            let _ = archive.write_all(octets);
        }
    };
    add("[Content_Types].xml", b"<Types/>");
    add("word/document.xml", document.as_bytes());
    // Text compresses well; the rest of the size is an image.
    add("word/media/image1.png", &random.octets(size * 4 / 5));
    archive.finish().map(Cursor::into_inner).unwrap_or_default()
}

fn csv(random: &mut Random, size: usize) -> String {
    let mut text = String::from("number,name,item,amount,place\r\n");
    while text.len() < size {
        let _ = write!(
            text,
            "{},\"{} {}\",{},{}.{:02},{}\r\n",
            random.below(1_000_000),
            random.word(),
            random.word(),
            random.word(),
            random.below(10_000),
            random.below(100),
            random.one(words::JAPANESE).trim_end_matches('。')
        );
    }
    text
}

/// A TNEF stream (MS-OXTNEF §2.1.3) with one attachment.
fn winmail(random: &mut Random, size: usize) -> Vec<u8> {
    let mut file = 0x223e_9f78_u32.to_le_bytes().to_vec();
    file.extend_from_slice(&1_u16.to_le_bytes());
    let mut attribute = |level: u8, id: u32, data: &[u8]| {
        file.push(level);
        file.extend_from_slice(&id.to_le_bytes());
        file.extend_from_slice(&u32::try_from(data.len()).unwrap_or(0).to_le_bytes());
        file.extend_from_slice(data);
        let sum = data.iter().fold(0_u16, |sum, &octet| sum.wrapping_add(u16::from(octet)));
        file.extend_from_slice(&sum.to_le_bytes());
    };
    attribute(1, 0x0008_9006, &0x0001_0000_u32.to_le_bytes());
    attribute(2, 0x0006_9002, &[0; 14]);
    attribute(2, 0x0001_8010, b"report.bin\0");
    attribute(2, 0x0006_800f, &random.octets(size));
    file
}

/// A letter with a detached signature.
fn signed(random: &mut Random, size: usize) -> (String, Vec<u8>) {
    let head = format!(
        "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=\"{BOUNDARY}\"\r\n"
    );
    let mut body = format!("--{BOUNDARY}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n").into_bytes();
    body.extend_from_slice(&quoted_printable(&prose(random, size)));
    body.extend_from_slice(
        format!("--{BOUNDARY}\r\nContent-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\nContent-Transfer-Encoding: base64\r\n\r\n").as_bytes(),
    );
    body.extend_from_slice(&base64(&random.octets(3_000)));
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    (head, body)
}

/// Up to two hundred parts: HTML pages and small images.
fn newsletter(random: &mut Random, size: usize) -> (String, Vec<u8>) {
    let parts = 200.min(size / 400).max(2);
    let mut body = Vec::with_capacity(size + 1_024);
    for part in 0..parts {
        let (kind, content) = if part % 2 == 0 {
            ("text/html; charset=utf-8", base64(html(random, size / parts * 3 / 4).as_bytes()))
        } else {
            ("image/png", base64(&random.octets(size / parts * 7 / 10)))
        };
        body.extend_from_slice(
            format!("--{BOUNDARY}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\nContent-ID: <image{part}@news.example>\r\n\r\n").as_bytes(),
        );
        body.extend_from_slice(&content);
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    (format!("Content-Type: multipart/related; boundary=\"{BOUNDARY}\"\r\n"), body)
}

/// Replies to replies: each is quoted once more, with the attribution lines before it.
fn thread(random: &mut Random, size: usize) -> String {
    let mut text = String::with_capacity(size + 200);
    while text.len() < size {
        let depth = 1 + random.below(5);
        let mark = "> ".repeat(depth);
        let _ = write!(
            text,
            "{mark}On {} October 2026 at {:02}:{:02}, {} <{}@office{}.example> wrote:\r\n",
            1 + random.below(31),
            random.below(24),
            random.below(60),
            random.word(),
            random.word(),
            random.below(50)
        );
        for line in prose(random, 600).lines() {
            let _ = write!(text, "{mark}{line}\r\n");
        }
    }
    text
}
