//! The kind of an attachment, and a preview of its beginning: rows of a table, lines of a text, an
//! invitation. The size that is read is limited, and nothing is executed or rendered.

pub mod calendar;
pub mod table;

use crate::message::charset::Charset;
use crate::message::open::sheet;
use calendar::{Invitation, invitation};
use table::{Rows, separated, table};

/// Rows of a table, and lines of a text, that are shown.
const ROWS: usize = 20;
/// Most octets that are read.
const OCTETS: usize = 512 * 1_024;
/// Longest cell or line, in characters.
const LONGEST: usize = 200;

/// The kind of a file, in people's terms rather than MIME types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// A PDF file.
    Pdf,
    /// A word processor document.
    Document,
    /// A spreadsheet.
    Workbook,
    /// A presentation.
    Slides,
    /// A table as text (CSV).
    Table,
    /// Text.
    Text,
    /// An image.
    Picture,
    /// Audio.
    Sound,
    /// Video.
    Film,
    /// Several files in one.
    Archive,
    /// A calendar file, such as an invitation.
    Calendar,
    /// A mail.
    Mail,
    /// Contacts (vCard).
    Cards,
    /// A web page.
    Page,
    /// An executable or script.
    Program,
    /// Anything else.
    #[default]
    Other,
}

/// File name extensions by kind. They are more reliable than the declared type, which is often
/// application/octet-stream.
const ENDINGS: &[(Sort, &[&str])] = &[
    (Sort::Pdf, &["pdf"]),
    (Sort::Document, &["doc", "docx", "docm", "odt", "rtf", "jtd"]),
    (Sort::Workbook, &["xls", "xlsx", "xlsm", "xlsb", "ods"]),
    (Sort::Slides, &["ppt", "pptx", "pptm", "odp"]),
    (Sort::Table, &["csv", "tsv", "tab"]),
    (Sort::Text, &["txt", "md", "log", "json", "xml", "yaml", "yml"]),
    (Sort::Picture, &["png", "jpg", "jpeg", "gif", "bmp", "webp", "heic", "tif", "tiff", "svg"]),
    (Sort::Sound, &["mp3", "m4a", "wav", "aac", "ogg"]),
    (Sort::Film, &["mp4", "mov", "avi", "wmv", "webm"]),
    (Sort::Archive, &["zip", "7z", "rar", "tar", "gz", "tgz", "lzh", "xz"]),
    (Sort::Calendar, &["ics", "vcs"]),
    (Sort::Mail, &["eml", "msg", "mht"]),
    (Sort::Cards, &["vcf"]),
    (Sort::Page, &["html", "htm", "xhtml"]),
    (
        Sort::Program,
        &[
            "exe", "com", "bat", "cmd", "scr", "js", "vbs", "ps1", "msi", "jar", "lnk", "iso", "apk", "sh",
            "hta",
        ],
    ),
];

impl Sort {
    /// The kind by the file name, otherwise by the declared type.
    pub fn of(name: &str, kind: &str) -> Self {
        let ending = name.trim_end().rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
        let named = ending.and_then(|ending| {
            ENDINGS.iter().find(|(_, endings)| endings.contains(&ending.as_str())).map(|(sort, _)| *sort)
        });
        named.unwrap_or_else(|| Self::of_kind(kind))
    }

    fn of_kind(kind: &str) -> Self {
        match kind {
            "application/pdf" => Self::Pdf,
            "text/csv" | "text/tab-separated-values" => Self::Table,
            "text/calendar" | "application/ics" => Self::Calendar,
            "text/vcard" | "text/x-vcard" => Self::Cards,
            "text/html" | "application/xhtml+xml" => Self::Page,
            "application/zip" | "application/x-zip-compressed" | "application/gzip" => Self::Archive,
            _ if kind.contains("spreadsheet") || kind.contains("ms-excel") => Self::Workbook,
            _ if kind.contains("presentation") || kind.contains("ms-powerpoint") => Self::Slides,
            _ if kind.contains("wordprocessing") || kind == "application/msword" => Self::Document,
            _ => match kind.split('/').next().unwrap_or_default() {
                "text" => Self::Text,
                "image" => Self::Picture,
                "audio" => Self::Sound,
                "video" => Self::Film,
                "message" => Self::Mail,
                _ => Self::Other,
            },
        }
    }

    /// The key of its name in each language.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Document => "document",
            Self::Workbook => "workbook",
            Self::Slides => "slides",
            Self::Table => "table",
            Self::Text => "text",
            Self::Picture => "picture",
            Self::Sound => "sound",
            Self::Film => "film",
            Self::Archive => "archive",
            Self::Calendar => "calendar",
            Self::Mail => "mail",
            Self::Cards => "cards",
            Self::Page => "page",
            Self::Program => "program",
            Self::Other => "other",
        }
    }
}

/// The beginning of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Preview {
    /// A table.
    Rows(Rows),
    /// The first lines of a text.
    Lines(Vec<String>),
    /// An invitation.
    Invitation(Invitation),
}

/// The preview of a file; `None` if there is none for its kind.
pub fn of(sort: Sort, name: &str, charset: Option<&str>, octets: &[u8]) -> Option<Preview> {
    let text = || decoded(charset, octets);
    match sort {
        Sort::Workbook => Some(Preview::Rows(table(sheet::first_rows(octets, table::COUNTED + 1)?))),
        Sort::Table => {
            let tabs = name.to_ascii_lowercase().ends_with(".tsv");
            Some(Preview::Rows(Rows { more: octets.len() > OCTETS, ..table(separated(&text(), tabs)) }))
        }
        Sort::Text => Some(Preview::Lines(lines(&text()))),
        Sort::Calendar => invitation(&text()).map(Preview::Invitation),
        _ => None,
    }
    .filter(|preview| match preview {
        Preview::Rows(rows) => !rows.first.is_empty(),
        Preview::Lines(lines) => !lines.is_empty(),
        Preview::Invitation(_) => true,
    })
}

/// Decodes text: by its byte order mark, or the declared charset; otherwise with the common charset for which
/// the result looks most like text, UTF-8 first.
fn decoded(charset: Option<&str>, octets: &[u8]) -> String {
    let octets = &octets[..octets.len().min(OCTETS)];
    let declared = charset.and_then(|label| Charset::named(label.as_bytes()));
    if let Some(charset) = Charset::by_mark(octets).or(declared.filter(|set| !set.is_utf8_or_ascii())) {
        return charset.decode(octets).trim_start_matches('\u{feff}').to_owned();
    }
    if octets.is_ascii() && octets.contains(&0x1b) {
        return Charset::ISO_2022_JP.decode(octets);
    }
    let sets = [Charset::UTF_8].into_iter().chain(Charset::GUESSES).filter(|set| !set.is_shifted());
    sets.map(|set| set.decode(octets)).min_by_key(|text| strangeness(text)).unwrap_or_default()
}

/// How unlikely a text is: malformed sequences, characters that nobody types, and half-width kana, which
/// often come from another charset. One character may be cut at the end.
fn strangeness(text: &str) -> usize {
    let broken = text.chars().filter(|c| *c == '\u{fffd}' || (c.is_control() && !c.is_whitespace())).count();
    let narrow = text.chars().filter(|c| matches!(c, '\u{ff61}'..='\u{ff9f}')).count();
    broken.saturating_sub(1) * 4 + narrow
}

fn lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> =
        text.lines().take(ROWS).map(|line| line.chars().take(LONGEST).collect()).collect();
    while lines.last().is_some_and(|line: &String| line.trim().is_empty()) {
        lines.pop();
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_are_known_by_name_and_by_type() {
        for (name, kind, sort) in [
            ("見積.PDF", "application/octet-stream", Sort::Pdf),
            ("名簿.xlsx", "", Sort::Workbook),
            ("x", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", Sort::Workbook),
            ("", "image/png", Sort::Picture),
            ("invite.ics", "text/plain", Sort::Calendar),
            ("", "text/calendar", Sort::Calendar),
            ("run.exe", "application/pdf", Sort::Program),
            ("noname", "application/octet-stream", Sort::Other),
            ("", "message/rfc822", Sort::Mail),
        ] {
            assert_eq!(Sort::of(name, kind), sort, "{name} {kind}");
        }
    }

    proptest::proptest! {
        #[test]
        fn anything_is_no_panic(octets in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            for sort in [Sort::Workbook, Sort::Table, Sort::Text, Sort::Calendar] {
                let _ = of(sort, "x.csv", Some("utf-8"), &octets);
            }
        }
    }
}
