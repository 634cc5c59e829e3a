//! What a leaf is, by its first bytes before its declared type: then text is handed on as it comes,
//! and containers are spooled and opened at their end.

use super::parts::Inner;
use super::spool::Spool;
use super::text::TextLeaf;
use super::{Context, DEPTH, Kind, cms, tnef, zip};
use crate::message::charset::Charset;
use crate::message::inspect::Tnef;
use crate::message::walk::{Encoding, Part};
use memchr::memmem;

/// Bytes gathered before it is decided what a leaf is, and where a page may say its own character set.
const HEAD: usize = 1_024;

/// What is known of a leaf before its content.
#[derive(Clone, Debug)]
pub(super) struct Info {
    pub(super) path: String,
    pub(super) place: String,
    /// File name, or empty.
    pub(super) name: String,
    pub(super) content_type: String,
    pub(super) charset: Option<String>,
    /// How its bytes were written.
    pub(super) form: &'static str,
    /// How many containers it stands in.
    pub(super) depth: usize,
}

impl Info {
    pub(super) fn of_part(part: &Part, place: String, depth: usize) -> Self {
        Self {
            path: part.path.clone(),
            place,
            name: part.filename.clone().unwrap_or_default(),
            content_type: part.content_type.clone(),
            charset: part.parameter("charset").map(str::to_owned),
            form: match part.encoding {
                Encoding::Identity | Encoding::Unknown => "as text",
                Encoding::Base64 => "base64",
                Encoding::QuotedPrintable => "quoted-printable",
                Encoding::Uuencode => "uuencode",
            },
            depth,
        }
    }

    /// A file found inside this leaf.
    pub(super) fn inner(&self, name: &str, form: &'static str) -> Self {
        let shown: String = name.chars().filter(|letter| !letter.is_control()).take(120).collect();
        Self {
            path: self.path.clone(),
            place: format!("{} › {shown}", self.place),
            name: name.to_owned(),
            content_type: String::new(),
            charset: None,
            form,
            depth: self.depth + 1,
        }
    }

    /// What to call it in a list.
    pub(super) fn label(&self) -> &str {
        if self.name.is_empty() { &self.content_type } else { &self.name }
    }

    fn ends_with(&self, endings: &[&str]) -> bool {
        let name = self.name.trim_end().to_ascii_lowercase();
        endings.iter().any(|ending| name.ends_with(ending))
    }

    fn is_calendar(&self) -> bool {
        matches!(self.content_type.as_str(), "text/calendar" | "application/ics" | "text/x-vcalendar")
            || self.ends_with(&[".ics", ".vcs"])
    }

    fn is_html(&self) -> bool {
        let named = matches!(
            self.content_type.as_str(),
            "text/html"
                | "application/xhtml+xml"
                | "text/xml"
                | "application/xml"
                | "image/svg+xml"
                | "text/enriched"
        );
        named || self.ends_with(&[".html", ".htm", ".xhtml", ".xml", ".svg", ".rels"])
    }

    fn is_message(&self) -> bool {
        matches!(
            self.content_type.as_str(),
            "message/rfc822" | "text/rfc822-headers" | "message/global-headers" | "message/external-body"
        ) || self.ends_with(&[".eml", ".mht", ".mhtml", ".nws"])
    }
}

/// A leaf on its way.
#[derive(Debug)]
pub(super) struct Leaf {
    info: Info,
    head: Vec<u8>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Undecided,
    Text(Box<TextLeaf>),
    Message(Box<Inner>),
    /// Searched as bytes; perhaps kept to be opened.
    Stored {
        stream: usize,
        kept: Option<(Format, Spool)>,
    },
}

/// Containers that are opened at their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Zip,
    Gzip,
    Tnef,
    Cms,
}

/// What the first bytes show.
enum Sort {
    Open(Format),
    Text(Kind),
    Calendar,
    Message,
    Opaque(&'static str),
}

impl Leaf {
    pub(super) fn new(info: Info) -> Self {
        Self { info, head: Vec::new(), body: Body::Undecided }
    }

    pub(super) fn feed(&mut self, bytes: &[u8], cx: &mut Context<'_>) {
        let mut bytes = bytes;
        if matches!(self.body, Body::Undecided) {
            let take = bytes.len().min(HEAD - self.head.len());
            self.head.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if self.head.len() < HEAD {
                return;
            }
            self.decide(cx);
        }
        self.content(bytes, cx);
    }

    fn content(&mut self, bytes: &[u8], cx: &mut Context<'_>) {
        match &mut self.body {
            Body::Undecided => {}
            Body::Text(text) => text.feed(bytes, cx),
            Body::Message(inner) => inner.feed(bytes, cx),
            Body::Stored { stream, kept } => {
                cx.listener.content(*stream, bytes);
                if let Some((_, spool)) = kept {
                    spool.write(bytes);
                }
            }
        }
    }

    fn decide(&mut self, cx: &mut Context<'_>) {
        let info = &self.info;
        let sort = sort(info, &self.head);
        let too_deep = info.depth >= DEPTH && matches!(sort, Sort::Open(_) | Sort::Message);
        self.body = match sort {
            _ if too_deep => {
                cx.opaque(&info.path, info.label(), "containers nested too deep");
                Body::Stored { stream: cx.listener.open(&info.place, info.form, Kind::Bytes), kept: None }
            }
            Sort::Text(kind) => {
                Body::Text(Box::new(TextLeaf::new(info.clone(), kind, false, &self.head, cx)))
            }
            Sort::Calendar => {
                Body::Text(Box::new(TextLeaf::new(info.clone(), Kind::Text, true, &self.head, cx)))
            }
            Sort::Message => Body::Message(Box::new(Inner::new(&info.place, info.depth + 1, false))),
            Sort::Open(format) => Body::Stored {
                stream: cx.listener.open(&info.place, info.form, Kind::Bytes),
                kept: Some((format, Spool::new())),
            },
            Sort::Opaque(why) => {
                cx.opaque(&info.path, info.label(), why);
                Body::Stored { stream: cx.listener.open(&info.place, info.form, Kind::Bytes), kept: None }
            }
        };
        let head = std::mem::take(&mut self.head);
        self.content(&head, cx);
    }

    /// The leaf is over: containers are opened now.
    pub(super) fn finish(mut self, cx: &mut Context<'_>) {
        if matches!(self.body, Body::Undecided) {
            if self.head.is_empty() {
                return;
            }
            self.decide(cx);
        }
        let info = self.info;
        match self.body {
            Body::Undecided => {}
            Body::Text(text) => text.finish(cx),
            Body::Message(inner) => inner.finish(cx),
            Body::Stored { stream, kept } => {
                cx.listener.close(stream);
                if let Some((format, spool)) = kept {
                    open(&info, format, spool, cx);
                }
            }
        }
    }
}

fn open(info: &Info, format: Format, spool: Spool, cx: &mut Context<'_>) {
    let mut file = match spool.into_reader() {
        Ok(file) => file,
        Err(error) => {
            cx.problem(&info.place, &format!("could not be kept to be opened: {error}"));
            return;
        }
    };
    match format {
        Format::Zip => zip::open(info, &mut file, cx),
        Format::Gzip => zip::open_gzip(info, &mut file, cx),
        Format::Cms => cms::open(info, &mut file, cx),
        Format::Tnef => {
            let state = tnef::open(info, &mut file, cx);
            note_tnef(state, cx);
        }
    }
}

/// Several in one message: the worst counts.
fn note_tnef(state: Tnef, cx: &mut Context<'_>) {
    let joined = match (cx.facts.tnef.take(), state) {
        (None | Some(Tnef::Clean), state) => state,
        (Some(known @ Tnef::Unreadable { .. }), _)
        | (Some(known), Tnef::Clean)
        | (Some(Tnef::Recipients { .. }), known @ Tnef::Unreadable { .. }) => known,
        (
            Some(Tnef::Recipients { mut addresses, mut display }),
            Tnef::Recipients { addresses: more, display: names },
        ) => {
            addresses.extend(more);
            display.extend(names);
            Tnef::Recipients { addresses, display }
        }
    };
    cx.facts.tnef = Some(joined);
}

fn sort(info: &Info, head: &[u8]) -> Sort {
    let tnef_named = info.content_type.ends_with("ms-tnef") || info.ends_with(&["winmail.dat"]);
    if head.starts_with(&[0x78, 0x9f, 0x3e, 0x22]) || tnef_named {
        return Sort::Open(Format::Tnef);
    }
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return Sort::Open(Format::Zip);
    }
    if head.starts_with(&[0x1f, 0x8b, 8]) {
        return Sort::Open(Format::Gzip);
    }
    let signature = info.content_type.ends_with("pkcs7-signature");
    let cms_named = info.content_type.ends_with("pkcs7-mime") || info.ends_with(&[".p7m", ".p7z"]);
    if !signature && (cms::is_cms(head) || (cms_named && head.first() == Some(&0x30))) {
        return Sort::Open(Format::Cms);
    }
    if let Some(why) = opaque(info, head) {
        return Sort::Opaque(why);
    }
    let wide = Charset::by_mark(head).is_some();
    let text_named = info.content_type.starts_with("text/") || info.content_type.starts_with("message/");
    if info.is_calendar() || head.starts_with(b"BEGIN:VCALENDAR") {
        return Sort::Calendar;
    }
    if info.is_message() {
        return Sort::Message;
    }
    if info.is_html() {
        return Sort::Text(Kind::Html);
    }
    if wide || text_named || looks_like_text(head) {
        let start = head[..head.len().min(256)].to_ascii_lowercase();
        let html =
            memmem::find(&start, b"<html").is_some() || memmem::find(&start, b"<!doctype html").is_some();
        return Sort::Text(if html { Kind::Html } else { Kind::Text });
    }
    Sort::Opaque("a format that is not opened; searched as bytes only")
}

/// Formats that are known, and known not to be readable here.
fn opaque(info: &Info, head: &[u8]) -> Option<&'static str> {
    const STARTS: [(&[u8], &str); 13] = [
        (b"%PDF", "a PDF: its pages are compressed"),
        (b"\x89PNG", "an image: what it shows cannot be read"),
        (b"\xff\xd8\xff", "an image: what it shows cannot be read"),
        (b"GIF8", "an image: what it shows cannot be read"),
        (b"BM", "an image: what it shows cannot be read"),
        (b"II*\0", "an image: what it shows cannot be read"),
        (b"MM\0*", "an image: what it shows cannot be read"),
        (b"Rar!", "an archive of a kind that is not opened"),
        (b"7z\xbc\xaf", "an archive of a kind that is not opened"),
        (b"BZh", "an archive of a kind that is not opened"),
        (b"\xfd7zXZ", "an archive of a kind that is not opened"),
        (b"\xd0\xcf\x11\xe0", "an older Office document or Outlook message: searched as bytes only"),
        (b"RIFF", "media: what it shows cannot be read"),
    ];
    if let Some((_, why)) = STARTS.iter().find(|(start, _)| head.starts_with(start)) {
        return is_binary(head).then_some(*why);
    }
    if head.get(2..5) == Some(b"-lh") {
        return Some("an archive of a kind that is not opened");
    }
    let main = info.content_type.split('/').next().unwrap_or_default();
    match main {
        "image" if info.content_type != "image/svg+xml" => Some("an image: what it shows cannot be read"),
        "audio" | "video" | "font" => Some("media: what it shows cannot be read"),
        _ => None,
    }
}

/// `BM` begins words too: only what has binary bytes is taken for a binary format.
fn is_binary(head: &[u8]) -> bool {
    !(head.starts_with(b"BM") && looks_like_text(head))
}

/// No control characters but those of text; ISO-2022-JP has ESC.
fn looks_like_text(head: &[u8]) -> bool {
    head.iter().all(|&byte| byte >= 0x20 || matches!(byte, b'\t' | b'\r' | b'\n' | 0x0c | 0x1b | 0x0e | 0x0f))
}
