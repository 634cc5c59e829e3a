//! A text leaf: decoded and passed on as it arrives. Notes addresses, PGP armour and encoded blocks in it.

use super::blocks::Blocks;
use super::leaf::Info;
use super::pgp::Armour;
use super::readings::{Readings, declared_within};
use super::written::WrittenScan;
use super::xml::VisibleText;
use super::{Context, FACTS, Kind, UNHEARD, calendar};
use crate::message::charset::{Charset, Decoder};
use crate::message::inspect::{Calendar, Encrypted, Written};

/// Octets decoded at a time.
const STEP: usize = 8 * 1_024;
/// Maximum number of characters of a charset name in a message.
const SHOWN_NAME: usize = 40;

/// A text that is being read.
#[derive(Debug)]
pub(super) struct TextLeaf {
    info: Info,
    kind: Kind,
    /// `None` for ASCII, UTF-8 and unknown sets: the octets are used directly.
    decoder: Option<Decoder>,
    /// The text as other mail programs may decode it.
    readings: Readings,
    /// The number of the stream of text, and of the raw bytes if the declared set is not a superset of ASCII.
    text: usize,
    bytes: Option<usize>,
    /// The visible text of an XML document.
    shown: Option<(usize, VisibleText)>,
    written: WrittenScan,
    armour: Armour,
    /// Files in it.
    blocks: Blocks,
    /// Octets rather than text, because a character may be split between two pieces.
    calendar: Option<Vec<u8>>,
    decoded: String,
}

/// The character set by the label, the byte order mark or the first octets.
struct Declared {
    charset: Option<Charset>,
    /// The text itself declares a set other than its label.
    within: Option<Charset>,
    /// Only ASCII, UTF-8 or an unknown set is declared, so other sets are tried.
    guess: bool,
}

impl Declared {
    fn read(info: &Info, kind: Kind, head: &[u8], cx: &mut Context<'_>) -> Self {
        let label = info.charset.as_deref().unwrap_or("").trim();
        let labelled = Charset::named(label.as_bytes());
        if !label.is_empty() && labelled.is_none() {
            let label: String = label.chars().filter(|c| !c.is_control()).take(SHOWN_NAME).collect();
            cx.opaque(&info.path, info.label(), &format!("its character set `{label}` is not known"));
        }
        let within = declared_within(head, kind);
        let marked = Charset::by_mark(head);
        let charset = marked.or(labelled).or(within);
        let guess = charset.is_none_or(Charset::is_utf8_or_ascii);
        let shifted = head.windows(2).any(|pair| pair == b"\x1b$");
        Self {
            charset: match charset {
                Some(known) if !known.is_utf8_or_ascii() => Some(known),
                _ if guess && shifted => Some(Charset::ISO_2022_JP),
                _ => None,
            },
            within: within.filter(|within| Some(*within) != charset && !within.is_utf8_or_ascii()),
            guess,
        }
    }
}

impl TextLeaf {
    pub(super) fn new(info: Info, kind: Kind, is_calendar: bool, head: &[u8], cx: &mut Context<'_>) -> Self {
        let declared = Declared::read(&info, kind, head, cx);
        let text = cx.sink.open(&info.place, info.form, kind);
        let decoder = declared.charset.map(Charset::decoder);
        let bytes = decoder.is_some().then(|| cx.sink.open(&info.place, info.form, Kind::Bytes));
        let mut readings = Readings::new(kind, declared.guess && text != UNHEARD);
        for charset in declared.charset.and_then(Charset::other_order).into_iter().chain(declared.within) {
            readings.add(charset, &info, cx);
        }
        let shown = info
            .is_document()
            .then(|| (cx.sink.open(&info.place, info.form, Kind::Text), VisibleText::default()))
            .filter(|(stream, _)| *stream != UNHEARD);
        Self {
            blocks: Blocks::new(info.clone(), true),
            info,
            kind,
            shown,
            decoder,
            readings,
            text,
            bytes,
            written: WrittenScan::default(),
            armour: Armour::default(),
            calendar: is_calendar.then(Vec::new),
            decoded: String::new(),
        }
    }

    /// The same text is read as mail, so what mail programs encode is not looked for.
    pub(super) fn also_mail(mut self) -> Self {
        self.blocks = Blocks::new(self.info.clone(), false);
        self
    }

    /// Whether an encoded block that is open in it may be a container.
    pub(super) fn is_heavy(&self) -> bool {
        self.blocks.is_heavy()
    }

    /// The kind of the text.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn feed(&mut self, bytes: &[u8], cx: &mut Context<'_>) {
        self.blocks.octets(bytes, cx);
        if let Some(stream) = self.bytes {
            cx.sink.content(stream, bytes);
        }
        for piece in bytes.chunks(STEP) {
            self.decode(piece, false, cx);
            self.readings.feed(piece, &self.info, cx);
        }
    }

    fn decode(&mut self, piece: &[u8], last: bool, cx: &mut Context<'_>) {
        let Some(decoder) = &mut self.decoder else { return self.take(piece, cx) };
        let mut text = std::mem::take(&mut self.decoded);
        text.clear();
        decoder.feed(piece, last, &mut text);
        self.take(text.as_bytes(), cx);
        self.decoded = text;
    }

    fn take(&mut self, text: &[u8], cx: &mut Context<'_>) {
        cx.sink.content(self.text, text);
        self.blocks.text(text, cx);
        if let Some((stream, shown)) = &mut self.shown {
            cx.sink.content(*stream, shown.feed(text));
        }
        self.written.feed(text);
        self.armour.feed(text);
        if let Some(gathered) = &mut self.calendar {
            let room = calendar::LONGEST - gathered.len();
            gathered.extend_from_slice(&text[..text.len().min(room)]);
        }
    }

    pub(super) fn finish(mut self, cx: &mut Context<'_>) {
        self.decode(b"", true, cx);
        self.readings.finish(cx);
        self.blocks.finish(cx);
        cx.sink.close(self.text);
        if let Some((stream, _)) = self.shown.take() {
            cx.sink.close(stream);
        }
        if let Some(stream) = self.bytes {
            cx.sink.close(stream);
        }
        cx.facts.signed |= self.armour.signed;
        if let Some(keys) = self.armour.finish() {
            cx.facts.encrypted = Some(Encrypted { kind: "pgp".to_owned(), recipients: Some(keys) });
            cx.opaque(&self.info.path, self.info.label(), "encrypted with PGP");
        }
        if let Some(text) = &self.calendar {
            if text.len() >= calendar::LONGEST {
                cx.problem(&self.info.place, "a calendar too long to be read whole");
            }
            note_calendar(calendar::read(&String::from_utf8_lossy(text)), cx);
        }
        let addresses = self.written.finish(cx.budget.written);
        cx.budget.written -= addresses.len();
        if !addresses.is_empty() && cx.facts.written.len() < FACTS {
            let path = if self.info.depth == 0 { self.info.path } else { self.info.place };
            cx.facts.written.push(Written { path, addresses });
        }
    }
}

/// Merges calendars; the same one as text/calendar and as an .ics file is usual.
fn note_calendar(calendar: Calendar, cx: &mut Context<'_>) {
    match &mut cx.facts.calendar {
        None => cx.facts.calendar = Some(calendar),
        Some(known) => {
            if known.method.is_empty() || (known.method == "REPLY" && !calendar.method.is_empty()) {
                known.method = calendar.method;
            }
            known.addresses.extend(calendar.addresses);
            known.addresses.sort();
            known.addresses.dedup();
        }
    }
}
