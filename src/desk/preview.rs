//! What an attachment is, and its beginning, for people to look at: rows of a table, lines of a text, an
//! invitation. Never more than a bound of octets is read, and nothing is ever run or drawn.

use crate::message::charset::Charset;
use crate::message::open::sheet;
use jiff::civil;
use jiff::tz::TimeZone;

/// Rows of a table, and lines of a text, that are shown.
const ROWS: usize = 20;
/// Most rows that are counted.
const COUNTED: usize = 5_000;
/// Most columns shown.
const COLUMNS: usize = 30;
/// Most octets of a text that are read.
const OCTETS: usize = 512 * 1_024;
/// Longest cell and line, in characters.
const LONGEST: usize = 200;

/// What sort of file it is: people say so, not by its type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Pages as they are printed.
    Pdf,
    /// A document of a word processor.
    Document,
    /// A workbook.
    Workbook,
    /// Slides.
    Slides,
    /// Rows of values, as text.
    Table,
    /// Text.
    Text,
    /// A picture.
    Picture,
    /// Sound.
    Sound,
    /// Moving pictures.
    Film,
    /// Several files in one.
    Archive,
    /// An invitation, or other dates.
    Calendar,
    /// A mail.
    Mail,
    /// Cards of an address book.
    Cards,
    /// A page of the web.
    Page,
    /// Something that is run.
    Program,
    /// Anything else.
    #[default]
    Other,
}

/// Endings of names, and what they mean. They say more than the type, which is often that of any octets.
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
    /// By its name, else by the type that the sender gave it.
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

    /// The word that its name in each language goes by.
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

/// The first rows of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// The first of them.
    pub first: Vec<Vec<String>>,
    /// How many there are, and columns, as far as they were counted.
    pub rows: usize,
    /// See `rows`.
    pub columns: usize,
    /// There are more than were counted.
    pub more: bool,
    /// Cells with a mail address in them.
    pub addresses: usize,
}

/// What an invitation says (RFC 5545 §3.6.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invitation {
    /// SUMMARY.
    pub title: String,
    /// DTSTART.
    pub starts: Option<When>,
    /// LOCATION.
    pub place: String,
    /// ORGANIZER: the name, else the address.
    pub organiser: String,
    /// How many ATTENDEEs.
    pub attendees: usize,
}

/// A moment of a calendar (RFC 5545 §3.3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// A moment.
    At(jiff::Timestamp),
    /// A time of day wherever one is, or in a zone of a name that is not known.
    Local(civil::DateTime),
    /// A whole day.
    Day(civil::Date),
}

/// The beginning of a file, where it is of a sort that has one.
pub fn of(sort: Sort, name: &str, charset: Option<&str>, octets: &[u8]) -> Option<Preview> {
    let text = || decoded(charset, octets);
    match sort {
        Sort::Workbook => Some(Preview::Rows(table(sheet::first_rows(octets, COUNTED + 1)?))),
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

/// The text of octets: by their mark, as they are declared, else in the set of those that are usual here in which
/// it looks most like a text; UTF-8 first.
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

/// How unlikely it is that somebody wrote this: what is malformed, what nobody types, and kana of half the width,
/// which octets of other sets are taken for. One character may be cut where reading ends.
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

fn table(mut all: Vec<Vec<String>>) -> Rows {
    let more = all.len() > COUNTED;
    all.truncate(COUNTED);
    let address = |cell: &&String| cell.split_once('@').is_some_and(|(_, domain)| domain.contains('.'));
    let rows = Rows {
        rows: all.len(),
        columns: all.iter().map(Vec::len).max().unwrap_or_default(),
        more,
        addresses: all.iter().flatten().filter(address).count(),
        first: Vec::new(),
    };
    all.truncate(ROWS);
    for row in &mut all {
        row.truncate(COLUMNS);
    }
    Rows { first: all, ..rows }
}

/// Rows of values with separators between them, in quotes where they hold one (RFC 4180).
fn separated(text: &str, tabs: bool) -> Vec<Vec<String>> {
    let head = text.lines().next().unwrap_or_default();
    let usual = [',', '\t', ';'].into_iter().rev().max_by_key(|mark| head.matches(*mark).count());
    let mark = if tabs { '\t' } else { usual.unwrap_or(',') };
    let (mut all, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' if quoted || cell.is_empty() => quoted = !quoted,
            '\r' if !quoted => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                end_row(&mut all, &mut row);
                if all.len() > COUNTED {
                    return all;
                }
            }
            letter if letter == mark && !quoted => row.push(std::mem::take(&mut cell)),
            // Four octets are the longest character.
            letter if cell.len() < LONGEST * 4 => cell.push(letter),
            _ => {}
        }
    }
    row.push(cell);
    end_row(&mut all, &mut row);
    all
}

fn end_row(all: &mut Vec<Vec<String>>, row: &mut Vec<String>) {
    let row = std::mem::take(row);
    if row.iter().any(|cell| !cell.trim().is_empty()) {
        all.push(row.into_iter().map(|cell| cell.chars().take(LONGEST).collect()).collect());
    }
}

/// The first event of a calendar.
fn invitation(text: &str) -> Option<Invitation> {
    let text = text.replace("\r\n", "\n").replace("\n ", "").replace("\n\t", "");
    let mut event = Invitation::default();
    let (mut inside, mut found) = (false, false);
    for line in text.lines() {
        let (name, parameters, value) = property(line);
        match name.to_ascii_uppercase().as_str() {
            "BEGIN" if value.eq_ignore_ascii_case("VEVENT") => (inside, found) = (true, true),
            "END" if value.eq_ignore_ascii_case("VEVENT") => break,
            _ if !inside => {}
            "SUMMARY" => event.title = said(value),
            "LOCATION" => event.place = said(value),
            "DTSTART" => event.starts = when(parameters, value),
            "ORGANIZER" => {
                let named = parameter(parameters, "CN").map(said).filter(|name| !name.is_empty());
                event.organiser = named.unwrap_or_else(|| said(without_scheme(value)));
            }
            "ATTENDEE" => event.attendees += 1,
            _ => {}
        }
    }
    found.then_some(event)
}

/// Name, parameters and value of a line (RFC 5545 §3.1): a colon in quotes ends nothing.
fn property(line: &str) -> (&str, &str, &str) {
    let mut quoted = false;
    let colon = line.find(|letter| {
        quoted ^= letter == '"';
        letter == ':' && !quoted
    });
    let (head, value) = colon.map_or((line, ""), |at| (&line[..at], &line[at + 1..]));
    let (name, parameters) = head.split_once(';').unwrap_or((head, ""));
    (name.trim(), parameters, value)
}

fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    let mut quoted = false;
    parameters
        .split(|letter| {
            quoted ^= letter == '"';
            letter == ';' && !quoted
        })
        .find_map(|one| {
            let (found, value) = one.split_once('=')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim_matches('"'))
        })
}

fn without_scheme(value: &str) -> &str {
    let scheme = value.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("mailto:"));
    if scheme { &value[7..] } else { value }
}

/// A text value (RFC 5545 §3.3.11).
fn said(value: &str) -> String {
    let mut out = String::new();
    let mut letters = value.trim().chars().take(LONGEST);
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('n' | 'N') => out.push(' '),
                Some(other) => out.push(other),
                None => {}
            },
            other => out.push(other),
        }
    }
    out
}

fn when(parameters: &str, value: &str) -> Option<When> {
    let value = value.trim();
    let digits = |at: usize, length: usize| value.get(at..at + length)?.parse::<i16>().ok();
    let small = |at: usize| i8::try_from(digits(at, 2)?).ok();
    let day = civil::Date::new(digits(0, 4)?, small(4)?, small(6)?).ok()?;
    if !value.contains('T') {
        return Some(When::Day(day));
    }
    let time = civil::Time::new(small(9)?, small(11)?, small(13).unwrap_or(0), 0).ok()?;
    let local = day.to_datetime(time);
    let zone = if value.ends_with('Z') {
        Some(TimeZone::UTC)
    } else {
        parameter(parameters, "TZID").and_then(zone_of)
    };
    let moment = zone.and_then(|zone| local.to_zoned(zone).ok());
    Some(moment.map_or(When::Local(local), |zoned| When::At(zoned.timestamp())))
}

/// A zone by its name; Windows has a name of its own for Japan's.
fn zone_of(name: &str) -> Option<TimeZone> {
    TimeZone::get(if name == "Tokyo Standard Time" { "Asia/Tokyo" } else { name }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(name: &str, octets: &[u8]) -> Rows {
        match of(Sort::of(name, ""), name, None, octets) {
            Some(Preview::Rows(rows)) => rows,
            other => panic!("{other:?}"),
        }
    }

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

    #[test]
    fn tables_are_rows() {
        let found =
            rows("a.csv", b"name,mail\r\n\"Sato, H\",\"h@x.jp\"\r\n\r\n\"a \"\"b\"\"\nc\",k@y.jp\r\n");
        assert_eq!(
            found.first,
            [vec!["name", "mail"], vec!["Sato, H", "h@x.jp"], vec!["a \"b\"\nc", "k@y.jp"]]
        );
        assert_eq!((found.rows, found.columns, found.addresses, found.more), (3, 2, 2, false));
        assert_eq!(rows("a.tsv", b"a,b\tc").first, [vec!["a,b", "c"]]);
        assert_eq!(rows("a.csv", b"a;b;c\n1;2,5;3").first[1], ["1", "2,5", "3"]);
        let shift = encoded("氏名,メール\r\n山田,y@x.jp\r\n");
        assert_eq!(rows("名簿.csv", &shift).first[0], ["氏名", "メール"]);
        let euc = b"\xbb\xe1\xcc\xbe,\xa5\xe1\xa1\xbc\xa5\xeb\r\n";
        assert_eq!(rows("名簿.csv", euc).first[0], ["氏名", "メール"]);
        assert_eq!(rows("名簿.csv", b"\x1b$B;aL>\x1b(B,x").first[0], ["氏名", "x"]);
        let marked = [b"\xef\xbb\xbf", "氏名".as_bytes()].concat();
        assert_eq!(rows("名簿.csv", &marked).first[0], ["氏名"]);
    }

    /// In Shift JIS, as Excel in Japanese writes it.
    fn encoded(text: &str) -> Vec<u8> {
        let table = [
            ('氏', &b"\x8e\x81"[..]),
            ('名', b"\x96\xbc"),
            ('メ', b"\x83\x81"),
            ('ー', b"\x81\x5b"),
            ('ル', b"\x83\x8b"),
            ('山', b"\x8e\x52"),
            ('田', b"\x93\x63"),
        ];
        let octets = |letter: char| match table.iter().find(|(known, _)| *known == letter) {
            Some((_, octets)) => octets.to_vec(),
            None => letter.to_string().into_bytes(),
        };
        text.chars().flat_map(octets).collect()
    }

    #[test]
    fn large_files_are_read_to_a_bound() {
        let long = "a@b.jp,c\n".repeat(200_000);
        let found = rows("a.csv", long.as_bytes());
        assert_eq!((found.first.len(), found.rows, found.more), (ROWS, COUNTED, true));
        let wide = rows("a.csv", ",x".repeat(100_000).as_bytes());
        assert_eq!(wide.first[0].len(), COLUMNS);
        let endless = format!("\"{}", "x".repeat(1_000_000));
        assert!(rows("a.csv", endless.as_bytes()).first[0][0].len() <= LONGEST);
    }

    #[test]
    fn invitations_say_what_when_and_who() {
        let text = "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VTIMEZONE\r\nDTSTART:19700101T000000\r\nEND:VTIMEZONE\r\n\
            BEGIN:VEVENT\r\nSUMMARY;LANGUAGE=ja:展示会\\, 打合\r\n せ\r\nDTSTART;TZID=\"Tokyo Standard Time\":20261202T130000\r\n\
            LOCATION:第1会議室\r\nORGANIZER;CN=\"佐藤: 花子\":mailto:h@x.jp\r\nATTENDEE;CN=a:mailto:a@y.jp\r\n\
            ATTENDEE:mailto:b@y.jp\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nSUMMARY:other\r\nEND:VEVENT\r\n";
        let Some(Preview::Invitation(event)) = of(Sort::Calendar, "", None, text.as_bytes()) else {
            panic!()
        };
        assert_eq!(
            event,
            Invitation {
                title: "展示会, 打合せ".to_owned(),
                starts: Some(When::At("2026-12-02T04:00:00Z".parse().unwrap())),
                place: "第1会議室".to_owned(),
                organiser: "佐藤: 花子".to_owned(),
                attendees: 2,
            }
        );
        for (line, wanted) in [
            ("20261202T040000Z", Some(When::At("2026-12-02T04:00:00Z".parse().unwrap()))),
            ("20261202", Some(When::Day(civil::date(2026, 12, 2)))),
            ("20261202T130000", Some(When::Local(civil::date(2026, 12, 2).at(13, 0, 0, 0)))),
            ("soon", None),
            ("20269999T999999", None),
            ("２０２６", None),
        ] {
            assert_eq!(when("", line), wanted, "{line}");
        }
        assert_eq!(of(Sort::Calendar, "", None, b"BEGIN:VCALENDAR\r\n"), None);
    }

    proptest::proptest! {
        #[test]
        fn anything_is_no_panic(octets in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            for sort in [Sort::Workbook, Sort::Table, Sort::Text, Sort::Calendar] {
                let _ = of(sort, "x.csv", Some("utf-8"), &octets);
            }
        }

        #[test]
        fn any_calendar_is_no_panic(text in "(BEGIN:VEVENT\n)?[A-Z]{5,9}[;:\"=\\\\]{0,4}.{0,40}\nDTSTART:.{0,20}") {
            let _ = of(Sort::Calendar, "", None, text.as_bytes());
        }
    }
}
