//! The type of a leaf is taken from its first bytes before its declared type. Text is passed on as it
//! arrives; containers are spooled and opened when they are complete.

use super::formats::{self, Reader, Treatment};
use super::mailbox::{self, Layout, Mailbox};
use super::parts::Inner;
use super::spool::{Spool, SpoolReader};
use super::text::TextLeaf;
use super::{Context, DEPTH, Kind, SPENT, cms, packed, pdf, png, rtf, seven, tar, tnef, zip};
use crate::message::charset::Charset;
use crate::message::inspect::Tnef;
use crate::message::walk::{Encoding, Part};
use memchr::memmem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Bytes gathered before the type of a leaf is decided, and in which an HTML page may declare its character
/// set.
const HEAD: usize = 1_024;

/// Maximum number of containers that wait to be opened, as each may keep a file open.
const PENDING: usize = 1_000;

/// What is known of a leaf before its content.
#[derive(Clone, Debug)]
pub(super) struct Info {
    pub(super) path: String,
    pub(super) place: String,
    /// File name, or empty.
    pub(super) name: String,
    pub(super) content_type: String,
    pub(super) charset: Option<String>,
    /// How its bytes were encoded.
    pub(super) form: &'static str,
    /// Number of containers around it.
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

    /// Whether it is declared to be in a set of two octets or more a letter, without a mark.
    fn is_wide(&self) -> bool {
        let named = self.charset.as_ref().and_then(|label| Charset::named(label.trim().as_bytes()));
        named.is_some_and(Charset::is_wide)
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

    /// XML inside an archive: a Word document or the like.
    pub(super) fn is_document(&self) -> bool {
        self.depth > 0 && self.ends_with(&[".xml"])
    }

    /// Whether readers open it as a PDF that begins behind other octets: by its name, or because nothing says
    /// that it is text or something else.
    fn may_be_pdf(&self, known: bool) -> bool {
        let named = self.content_type.ends_with("/pdf") || self.ends_with(&[".pdf"]);
        let other = self.content_type.starts_with("text/") || self.is_message() || self.is_html();
        named || !known && !other && !self.is_calendar()
    }

    fn is_message(&self) -> bool {
        matches!(
            self.content_type.as_str(),
            "message/rfc822" | "text/rfc822-headers" | "message/global-headers" | "message/external-body"
        ) || self.ends_with(&[".eml", ".mht", ".mhtml", ".nws"])
    }
}

/// A leaf that is being read.
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
    /// Mail by its first octets alone: read as mail, and as text in case a reader shows it as such.
    Mail(Box<TextLeaf>, Box<Mailbox>),
    /// Searched as octets; perhaps spooled to be opened.
    Stored {
        stream: usize,
        kept: Option<(Reader, Spool)>,
    },
    /// A picture, searched as octets, and its texts.
    Picture {
        stream: usize,
        chunks: png::Chunks,
        texts: Option<Spool>,
    },
}

/// The type that the first bytes indicate.
enum Sort {
    Open(Reader),
    Text(Kind),
    Calendar,
    Message,
    Mail(Layout),
    Picture,
    /// Neither text nor opened: searched as octets, and named if it can contain text.
    Octets(Option<&'static str>),
}

impl Leaf {
    pub(super) fn new(info: Info) -> Self {
        Self { info, head: Vec::new(), body: Body::Undecided }
    }

    /// A leaf that this reader opens, whatever its first bytes are.
    pub(super) fn packed(info: Info, reader: Reader, cx: &mut Context<'_>) -> Self {
        let stream = cx.sink.open(&info.place, info.form, Kind::Bytes);
        Self { info, head: Vec::new(), body: Body::Stored { stream, kept: Some((reader, Spool::new())) } }
    }

    /// A leaf that is read as text whatever its first bytes are.
    pub(super) fn text(info: Info, cx: &mut Context<'_>) -> Self {
        let text = TextLeaf::new(info.clone(), Kind::Text, false, b"", cx);
        Self { info, head: Vec::new(), body: Body::Text(Box::new(text)) }
    }

    /// Whether it may be a container, so that finishing it takes a while.
    pub(super) fn is_heavy(&self) -> bool {
        match &self.body {
            Body::Undecided => {
                matches!(sort(&self.info, &self.head), Sort::Open(_) | Sort::Message | Sort::Mail(_))
            }
            Body::Text(text) => text.is_heavy(),
            Body::Message(_) | Body::Mail(..) => true,
            Body::Stored { kept, .. } => kept.is_some(),
            Body::Picture { texts, .. } => texts.is_some(),
        }
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
        let kind = match &self.body {
            Body::Text(text) | Body::Mail(text, _) => text.kind(),
            _ => Kind::Bytes,
        };
        let room = if self.info.is_document() {
            cx.budget.charge_document(bytes)
        } else {
            cx.budget.charge_content(kind, bytes)
        };
        if !room {
            return cx.too_much(&self.info, SPENT);
        }
        match &mut self.body {
            Body::Undecided => {}
            Body::Text(text) => text.feed(bytes, cx),
            Body::Message(inner) => inner.feed(bytes, cx),
            Body::Mail(text, mail) => {
                text.feed(bytes, cx);
                mail.feed(bytes, cx);
            }
            Body::Stored { stream, kept } => {
                cx.sink.content(*stream, bytes);
                if let Some((_, spool)) = kept {
                    spool.write(bytes);
                }
            }
            Body::Picture { stream, chunks, texts } => {
                cx.sink.content(*stream, bytes);
                let mut picked = Vec::new();
                chunks.feed(bytes, &mut picked);
                if !picked.is_empty() {
                    texts.get_or_insert_with(Spool::new).write(&picked);
                }
            }
        }
    }

    fn decide(&mut self, cx: &mut Context<'_>) {
        let info = &self.info;
        let sort = sort(info, &self.head);
        let too_deep = info.depth >= DEPTH && matches!(sort, Sort::Open(_) | Sort::Message | Sort::Mail(_));
        self.body = match sort {
            _ if too_deep => {
                cx.too_deep(info, info.label());
                Body::Stored { stream: cx.sink.open(&info.place, info.form, Kind::Bytes), kept: None }
            }
            Sort::Text(kind) => {
                // A packed or encrypted file, whatever its name says.
                if !info.is_wide() && is_scrambled(&self.head) {
                    cx.opaque(&info.path, info.label(), formats::UNKNOWN);
                }
                Body::Text(Box::new(TextLeaf::new(info.clone(), kind, false, &self.head, cx)))
            }
            Sort::Calendar => {
                Body::Text(Box::new(TextLeaf::new(info.clone(), Kind::Text, true, &self.head, cx)))
            }
            Sort::Message => Body::Message(Box::new(Inner::new(&info.place, info.depth + 1, false, cx))),
            Sort::Mail(layout) => {
                let text = TextLeaf::new(info.clone(), Kind::Text, false, &self.head, cx);
                // Only part of the text may be mail if a length says so.
                let text = if layout == Layout::Counted { text } else { text.also_mail() };
                Body::Mail(Box::new(text), Box::new(Mailbox::new(layout, &info.place, info.depth)))
            }
            Sort::Open(reader) => {
                // RTF is text too, and is also searched as such, with its escapes undone.
                let kind = if reader == Reader::Rtf { Kind::Text } else { Kind::Bytes };
                Body::Stored {
                    stream: cx.sink.open(&info.place, info.form, kind),
                    kept: Some((reader, Spool::new())),
                }
            }
            Sort::Picture => Body::Picture {
                stream: cx.sink.open(&info.place, info.form, Kind::Bytes),
                chunks: png::Chunks::default(),
                texts: None,
            },
            Sort::Octets(why) => {
                if let Some(why) = why {
                    cx.opaque(&info.path, info.label(), why);
                }
                Body::Stored { stream: cx.sink.open(&info.place, info.form, Kind::Bytes), kept: None }
            }
        };
        let head = std::mem::take(&mut self.head);
        self.content(&head, cx);
    }

    /// The leaf has ended: containers are opened now.
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
            Body::Mail(text, mail) => {
                text.finish(cx);
                mail.finish(cx);
            }
            Body::Stored { stream, kept } => {
                cx.sink.close(stream);
                if let Some((reader, spool)) = kept {
                    Pending { info, reader, spool }.complete(cx);
                }
            }
            Body::Picture { stream, texts, .. } => {
                cx.sink.close(stream);
                if let Some(spool) = texts {
                    Pending { info, reader: Reader::Png, spool }.complete(cx);
                }
            }
        }
    }
}

/// A complete container that is not opened yet.
#[derive(Debug)]
pub(super) struct Pending {
    info: Info,
    reader: Reader,
    spool: Spool,
}

impl Pending {
    /// Opens it, or defers that.
    fn complete(self, cx: &mut Context<'_>) {
        let many = cx.pending.len() >= PENDING;
        if many || cx.budget.is_inside() { self.open(cx) } else { self.wait(cx) }
    }

    /// Defers opening until the whole message is there, when it delays nobody. All deferred containers share
    /// a limit on memory.
    fn wait(mut self, cx: &mut Context<'_>) {
        if !cx.budget.wait_in_memory(self.spool.length()) {
            self.spool.move_to_disk();
        }
        cx.pending.push(self);
    }

    pub(super) fn open(self, cx: &mut Context<'_>) {
        open(&self.info, self.reader, self.spool, cx);
    }
}

/// Opens a container. If its reader panics, only the contents of this container are lost.
fn open(info: &Info, reader: Reader, spool: Spool, cx: &mut Context<'_>) {
    let mut file = match spool.into_reader() {
        Ok(file) => file,
        Err(error) => {
            cx.problem(&info.place, &format!("could not be kept to be opened: {error}"));
            return;
        }
    };
    if cx.budget.spent() {
        return cx.too_much(info, SPENT);
    }
    cx.budget.enter();
    let done = catch_unwind(AssertUnwindSafe(|| read(info, reader, &mut file, cx)));
    cx.budget.leave();
    if done.is_err() {
        let why = "cannot be opened: its reader failed";
        cx.opaque(&info.path, info.label(), why);
        cx.problem(&info.place, why);
    }
}

fn read(info: &Info, reader: Reader, file: &mut SpoolReader, cx: &mut Context<'_>) {
    match reader {
        Reader::Zip => zip::open(info, file, cx),
        Reader::Gzip | Reader::Xz | Reader::Lzma | Reader::Deflate => packed::open(info, reader, file, cx),
        Reader::Tar => tar::open(info, file, cx),
        Reader::SevenZip => seven::open(info, file, cx),
        Reader::Cms => cms::open(info, file, cx),
        Reader::Rtf => rtf::open(info, file, cx),
        Reader::Pdf => pdf::open(info, file, cx),
        Reader::Png => png::open(info, file, cx),
        Reader::Tnef => {
            let state = tnef::open(info, file, cx);
            note_tnef(state, cx);
        }
    }
}

/// Several in one message: the worst result counts.
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
    if info.content_type.ends_with("ms-tnef") || info.ends_with(&["winmail.dat"]) {
        return Sort::Open(Reader::Tnef);
    }
    let found = formats::of(head.trim_ascii_start()).filter(|format| format.reader == Some(Reader::Rtf));
    let found = found.or_else(|| formats::of(head)).filter(|_| is_binary(head));
    if let Some(reader) = found.and_then(|format| format.reader) {
        return Sort::Open(reader);
    }
    if formats::has_pdf(head) && info.may_be_pdf(found.is_some()) {
        return Sort::Open(Reader::Pdf);
    }
    let signature = info.content_type.ends_with("pkcs7-signature");
    let cms_named = info.content_type.ends_with("pkcs7-mime") || info.ends_with(&[".p7m", ".p7z"]);
    if !signature && (cms::is_cms(head) || (cms_named && head.first() == Some(&0x30))) {
        return Sort::Open(Reader::Cms);
    }
    if head.starts_with(png::SIGNATURE) {
        return Sort::Picture;
    }
    match found.map(|format| (format.treatment, format.note)) {
        Some((Treatment::Named, why)) => return Sort::Octets(Some(why)),
        Some((Treatment::Searched, _)) => return Sort::Octets(None),
        _ => {}
    }
    let wide = Charset::by_mark(head).is_some();
    let text_named = info.content_type.starts_with("text/") || info.content_type.starts_with("message/");
    if info.is_calendar() || head.starts_with(b"BEGIN:VCALENDAR") {
        return Sort::Calendar;
    }
    if info.is_message() {
        return Sort::Message;
    }
    if let Some(layout) = mailbox::layout(head) {
        return Sort::Mail(layout);
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
    // Word files contain printer settings in a format of their own.
    let printer = info.depth > 0 && info.name.contains("printerSettings");
    let media =
        ["image/", "audio/", "video/", "font/"].iter().any(|main| info.content_type.starts_with(main));
    Sort::Octets((!printer && !media).then_some(formats::UNKNOWN))
}

/// Whether these octets cannot be text in any usual set: many are control characters, and more of them than zeros,
/// of which UTF-16 has many. A few come with the text of careless programs.
fn is_scrambled(head: &[u8]) -> bool {
    let zeros = memchr::memchr_iter(0, head).count();
    let controls = head.iter().filter(|&&byte| !is_of_text(byte)).count();
    Charset::by_mark(head).is_none() && controls > (2 * zeros).max(3) && controls * 32 > head.len()
}

/// Text can begin with `BM`, `ID3` and other signatures too, so a leaf is binary only if it has octets that
/// text does not have. RTF and PDF have signatures that text does not begin with.
fn is_binary(head: &[u8]) -> bool {
    let text = [&b"%PDF"[..], b"{\\rtf", b"BEGIN:VCALENDAR"];
    !looks_like_text(head) || text.iter().any(|start| head.trim_ascii_start().starts_with(start))
}

/// No control characters except those of text; ISO-2022-JP uses ESC.
fn looks_like_text(head: &[u8]) -> bool {
    head.iter().all(|&byte| is_of_text(byte))
}

fn is_of_text(byte: u8) -> bool {
    byte >= 0x20 || matches!(byte, b'\t' | b'\r' | b'\n' | 0x0c | 0x1b | 0x0e | 0x0f)
}
