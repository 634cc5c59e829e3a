//! The table of formats: which are opened, which are only searched as octets, and which of those the facts
//! name. The type of a leaf is decided by this table, and the manual prints it.

use Treatment::{Named, Opened, Searched};
use memchr::memmem;

/// What is done with a leaf of some format. Its octets are searched in every case, as 8-bit text and as
/// UTF-16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// Its text or its members are read.
    Opened,
    /// Only its octets are searched, and it is not named: it is not text, such as the logo of a signature.
    Searched,
    /// Only its octets are searched, and it is named because it can contain text that was not read.
    Named,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// The usual name of the format.
    pub name: &'static str,
    /// The usual file name extensions.
    pub endings: &'static [&'static str],
    /// What is done with it.
    pub treatment: Treatment,
    /// What that means for this format.
    pub note: &'static str,
    /// The reader that opens it.
    pub(super) reader: Option<Reader>,
    /// Its signatures: the offset and the octets there.
    pub(super) starts: &'static [(usize, &'static [u8])],
}

/// Readers of formats that are opened once they are complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    Zip,
    Gzip,
    /// Deflated without a head, as draw.io keeps its pages.
    Deflate,
    Xz,
    Lzma,
    Tar,
    SevenZip,
    Tnef,
    Cms,
    Rtf,
    Pdf,
    /// The texts of a picture, without the picture.
    Png,
}

const fn opened(
    name: &'static str,
    endings: &'static [&'static str],
    reader: Option<Reader>,
    starts: &'static [(usize, &'static [u8])],
    note: &'static str,
) -> Format {
    Format { name, endings, treatment: Opened, note, reader, starts }
}

const fn closed(
    name: &'static str,
    endings: &'static [&'static str],
    treatment: Treatment,
    starts: &'static [(usize, &'static [u8])],
    note: &'static str,
) -> Format {
    Format { name, endings, treatment, note, reader: None, starts }
}

const ARCHIVE: &str = "an archive of a kind that is not opened";
const PICTURE: &str =
    "a picture; text in its properties (EXIF, XMP, the texts of PNG) is found, what it shows is not";
const MEDIA: &str = "sound, video, fonts";

/// All formats, in the order in which they are tried.
pub const FORMATS: &[Format] = &[
    opened(
        "text, CSV, JSON, source",
        &["txt", "csv", "tsv", "json", "md", "log"],
        None,
        &[],
        "in its character set; encoded blocks in it (uuencode, base64) are files of their own",
    ),
    opened(
        "HTML, XML, SVG",
        &["html", "htm", "xhtml", "xml", "svg", "rels"],
        None,
        &[],
        "with and without tags",
    ),
    opened(
        "calendar",
        &["ics", "vcs"],
        None,
        &[(0, b"BEGIN:VCALENDAR")],
        "text; who is invited is a fact of its own",
    ),
    opened(
        "mail",
        &["eml", "mht", "mhtml", "nws", "mbox", "emlx"],
        None,
        &[],
        "every header and part of each message in it; a text that begins as mail is read as mail too",
    ),
    opened(
        "winmail.dat (TNEF)",
        &["winmail.dat"],
        Some(Reader::Tnef),
        &[(0, &[0x78, 0x9f, 0x3e, 0x22])],
        "recipients, body, attachments",
    ),
    opened(
        "ZIP; Word, Excel, PowerPoint; OpenDocument",
        &["zip", "docx", "xlsx", "xlsm", "pptx", "odt", "ods", "odp"],
        Some(Reader::Zip),
        &[(0, b"PK\x03\x04"), (0, b"PK\x05\x06")],
        "members stored, deflated, or packed by LZMA; names and comments; runs of a document joined. A member behind a password or packed otherwise is named",
    ),
    opened("gzip", &["gz", "tgz"], Some(Reader::Gzip), &[(0, &[0x1f, 0x8b, 8])], "the file in it"),
    opened(
        "xz",
        &["xz", "txz"],
        Some(Reader::Xz),
        &[(0, b"\xfd7zXZ\0")],
        "the file in it; one that needs more than 32 MiB of memory is named",
    ),
    opened("LZMA", &["lzma"], Some(Reader::Lzma), &[(0, &[0x5d, 0, 0])], "as xz"),
    opened("tar", &["tar"], Some(Reader::Tar), &[(257, b"ustar")], "members and their names"),
    opened(
        "7z",
        &["7z"],
        Some(Reader::SevenZip),
        &[(0, b"7z\xbc\xaf\x27\x1c")],
        "members by LZMA, LZMA2, deflate, stored; one that is encrypted, packed otherwise, or needs more than 32 MiB of memory is named",
    ),
    opened("S/MIME", &["p7m", "p7z"], Some(Reader::Cms), &[], "what is signed; what is encrypted is named"),
    opened(
        "RTF",
        &["rtf"],
        Some(Reader::Rtf),
        &[(0, b"{\\rtf")],
        "text without control words; links and properties too",
    ),
    opened(
        "PDF",
        &["pdf"],
        Some(Reader::Pdf),
        &[(0, b"%PDF")],
        "text of pages, links, notes, forms, properties, attached files; one that is encrypted, damaged or packed otherwise, or whose letters cannot be told, is named",
    ),
    closed(
        "older Office, Outlook message",
        &["doc", "xls", "ppt", "msg"],
        Named,
        &[(0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")],
        "an older Office document or Outlook message: searched as octets only",
    ),
    closed("bzip2", &["bz2", "tbz"], Named, &[(0, b"BZh")], ARCHIVE),
    closed("RAR", &["rar"], Named, &[(0, b"Rar!\x1a\x07")], ARCHIVE),
    closed("LZH", &["lzh", "lha"], Named, &[(2, b"-lh"), (2, b"-lz")], ARCHIVE),
    closed("cabinet", &["cab"], Named, &[(0, b"MSCF")], ARCHIVE),
    closed(
        "zstd, compress, ARJ, ACE",
        &["zst", "Z", "arj", "ace"],
        Named,
        &[(0, &[0x28, 0xb5, 0x2f, 0xfd]), (0, &[0x1f, 0x9d]), (0, &[0x60, 0xea]), (7, b"**ACE**")],
        ARCHIVE,
    ),
    closed(
        "PNG, JPEG, GIF",
        &["png", "jpg", "jpeg", "gif"],
        Searched,
        &[(0, b"\x89PNG"), (0, b"\xff\xd8\xff"), (0, b"GIF8")],
        PICTURE,
    ),
    closed(
        "other pictures",
        &["bmp", "webp", "tif", "ico", "heic", "avif", "psd", "emf"],
        Searched,
        &[
            (0, b"BM"),
            (8, b"WEBP"),
            (0, b"II*\0"),
            (0, b"MM\0*"),
            (0, &[0, 0, 1, 0]),
            (4, b"ftyphei"),
            (4, b"ftypmif1"),
            (4, b"ftypavif"),
            (0, b"8BPS"),
            (40, b" EMF"),
            (0, b"\xd7\xcd\xc6\x9a"),
        ],
        PICTURE,
    ),
    closed(
        "sound, video, fonts",
        &["mp3", "mp4", "wav", "ogg", "ttf", "otf", "woff"],
        Searched,
        &[
            (0, b"RIFF"),
            (0, b"ID3"),
            (0, b"OggS"),
            (0, b"fLaC"),
            (0, &[0x1a, 0x45, 0xdf, 0xa3]),
            (4, b"ftyp"),
            (0, b"wOFF"),
            (0, b"wOF2"),
            (0, b"OTTO"),
            (0, &[0, 1, 0, 0, 0]),
        ],
        MEDIA,
    ),
    closed("anything else", &[], Named, &[], UNKNOWN),
];

/// The note for a leaf of an unknown format.
pub(super) const UNKNOWN: &str = "a format that is not opened; searched as octets only";

/// The format with this signature.
pub(super) fn of(head: &[u8]) -> Option<&'static Format> {
    let begins = |(at, start): &(usize, &[u8])| head.get(*at..).is_some_and(|rest| rest.starts_with(start));
    FORMATS.iter().find(|format| format.starts.iter().any(begins))
}

/// Whether a PDF begins within these first octets, as viewers accept it: scripts put an empty line, a byte order
/// mark or a warning before it. The line ends behind the mark, or an object follows; what only mentions the mark
/// has neither.
pub(super) fn has_pdf(head: &[u8]) -> bool {
    let begins = |at: usize| {
        let rest = &head[at..];
        let version = matches!(rest, [_, _, _, _, _, b'1' | b'2', b'.', b'0'..=b'9', ..]);
        version && (matches!(rest.get(8), Some(b'\r' | b'\n')) || memmem::find(rest, b" obj").is_some())
            // The first octets end there.
            || rest.len() <= 8 && head.len() > 1_000
    };
    memmem::find_iter(head, b"%PDF-").any(begins)
}

/// Whether a file begins here whose text is worth a search, by a signature that does not occur by chance.
pub(super) fn is_sure(head: &[u8]) -> bool {
    if head.starts_with(super::png::SIGNATURE) {
        return true;
    }
    let begins = |(at, start): &(usize, &[u8])| {
        start.len() >= 3
            && head.get(*at..).is_some_and(|rest| rest.starts_with(start))
            && confirms(start, head)
    };
    let worth = |format: &&Format| format.reader.is_some() || format.treatment == Named;
    FORMATS.iter().filter(worth).any(|format| format.starts.iter().any(begins))
}

/// Whether these octets may be the first of a format, by the signatures that stand there.
pub(super) fn may_begin(head: [u8; 6]) -> bool {
    let begins =
        |(at, start): &(usize, &[u8])| *at == 0 && start.iter().zip(head).all(|(&one, other)| one == other);
    FIRST[usize::from(head[0])]
        && SECOND[usize::from(head[1])]
        && FORMATS.iter().any(|format| format.starts.iter().any(begins))
}

/// The first octets of signatures, and the second.
static FIRST: [bool; 256] = octets(0);
static SECOND: [bool; 256] = octets(1);

const fn octets(place: usize) -> [bool; 256] {
    let mut octets = [false; 256];
    let mut format = 0;
    while format < FORMATS.len() {
        let mut start = 0;
        while start < FORMATS[format].starts.len() {
            let (at, signature) = FORMATS[format].starts[start];
            if at == 0 {
                octets[signature[place] as usize] = true;
            }
            start += 1;
        }
        format += 1;
    }
    octets
}

/// Whether the octets after a short signature are those of its format.
fn confirms(start: &[u8], head: &[u8]) -> bool {
    match start {
        // Flags that are in use.
        [0x1f, 0x8b, 8] => head.get(3).is_some_and(|flags| flags & 0xe0 == 0),
        // The size, or that it is not known.
        [0x5d, 0, 0] => {
            matches!(head.get(8..14), Some([0xff, 0xff, 0xff, 0xff, 0xff, 0] | [_, _, 0, 0, 0, 0]))
        }
        b"BZh" => matches!(head.get(3..10), Some([b'1'..=b'9', b'1', b'A', b'Y', b'&', b'S', b'Y'])),
        b"-lh" | b"-lz" => head.get(6) == Some(&b'-'),
        _ => true,
    }
}

/// The table as the manual prints it.
pub fn table() -> String {
    use std::fmt::Write as _;
    let mut out = String::from("| format | what is done | which means |\n|---|---|---|\n");
    for format in FORMATS {
        let done = match format.treatment {
            Opened => "opened",
            Searched => "octets searched",
            Named => "octets searched, named (`opaque`)",
        };
        let endings: Vec<String> = format.endings.iter().map(|ending| format!("`{ending}`")).collect();
        let endings = if endings.is_empty() { String::new() } else { format!(" ({})", endings.join(" ")) };
        let _ = writeln!(out, "| {}{endings} | {done} | {} |", format.name, format.note);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_prints_this_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policy/README.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (_, rest) = page.split_once("<!-- searched -->\n").expect("policy/README.md has the mark");
        let (printed, _) = rest.split_once("<!-- /searched -->").expect("and its end");
        assert_eq!(printed.trim(), table().trim(), "put this between the marks:\n{}", table());
    }

    #[test]
    fn a_pdf_behind_other_octets() {
        for pdf in ["%PDF-1.4\n%\u{e2}\u{e3}\n1 0 obj\n<<>>\n", "%PDF-1.7 1 0 obj", "%PDF-2.0\r"] {
            for before in ["", "\n", "\r\n\r\n", "\u{feff}", "<br />\n<b>Warning</b>: x\n"] {
                assert!(has_pdf(format!("{before}{pdf}").as_bytes()), "{before:?} {pdf:?}");
            }
        }
        assert!(has_pdf(format!("{:1017}%PDF-1.", "").as_bytes()));
        for text in [
            "The mark is %PDF-1.",
            "A file begins with %PDF-1.4 and so on.",
            "%PDF-x obj and more",
            "its mark is %PDF, 1 0 obj",
        ] {
            assert!(!has_pdf(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn every_format_that_is_opened_at_its_end_is_known_by_how_it_begins() {
        for format in FORMATS.iter().filter(|format| format.reader.is_some()) {
            for (at, start) in format.starts {
                let mut head = vec![b' '; *at];
                head.extend_from_slice(start);
                assert_eq!(of(&head).map(|found| found.name), Some(format.name));
            }
        }
    }
}
