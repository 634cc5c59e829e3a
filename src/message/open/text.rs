//! A text leaf: its character set undone, handed on as it comes; addresses, armour and encoded blocks
//! in it noted.

use super::leaf::{Info, Leaf};
use super::pgp::Armour;
use super::utf7::Utf7;
use super::written::WrittenScan;
use super::xml::Shown;
use super::{Context, FACTS, Kind, calendar};
use crate::message::inspect::{Calendar, Encrypted, Written};
use crate::message::walk::transfer::Uuencode;
use encoding_rs::{Decoder, Encoding, REPLACEMENT, UTF_8};

/// Octets decoded at a time.
const STEP: usize = 8 * 1_024;

/// A text on its way.
#[derive(Debug)]
pub(super) struct TextLeaf {
    info: Info,
    kind: Kind,
    charset: Charset,
    /// The text; and its bytes, where a reader with another charset would see something else.
    text: usize,
    bytes: Option<usize>,
    /// What a document made of XML shows.
    shown: Option<(usize, Shown)>,
    written: WrittenScan,
    armour: Armour,
    encoded: Uuencode,
    inner: Option<Box<Leaf>>,
    /// Octets, for a character may lie across two pieces.
    calendar: Option<Vec<u8>>,
    decoded: String,
}

enum Charset {
    /// ASCII, UTF-8, or nothing known: bytes are taken as they are.
    Bytes,
    Known(Box<Decoder>),
    Utf7(Utf7),
}

impl std::fmt::Debug for Charset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bytes => "Bytes",
            Self::Known(_) => "Known",
            Self::Utf7(_) => "Utf7",
        })
    }
}

impl Charset {
    fn new(label: Option<&str>, head: &[u8]) -> Self {
        let label = label.unwrap_or("").trim().to_ascii_lowercase();
        if matches!(label.as_str(), "utf-7" | "utf7" | "unicode-1-1-utf-7" | "csunicode11utf7") {
            return Self::Utf7(Utf7::default());
        }
        let shifted = head.windows(2).any(|pair| pair == b"\x1b$");
        let known = match Encoding::for_bom(head) {
            Some((encoding, _)) => Some(encoding),
            None if label.is_empty() || label == "us-ascii" => shifted.then_some(encoding_rs::ISO_2022_JP),
            None => Encoding::for_label(label.as_bytes()),
        };
        match known {
            Some(encoding) if encoding != UTF_8 && encoding != REPLACEMENT => {
                Self::Known(Box::new(encoding.new_decoder()))
            }
            _ => Self::Bytes,
        }
    }
}

impl TextLeaf {
    pub(super) fn new(info: Info, kind: Kind, is_calendar: bool, head: &[u8], cx: &mut Context<'_>) -> Self {
        let charset = Charset::new(info.charset.as_deref(), head);
        let text = cx.listener.open(&info.place, info.form, kind);
        let plain = matches!(charset, Charset::Bytes);
        let bytes = (!plain).then(|| cx.listener.open(&info.place, info.form, Kind::Bytes));
        let shown = info
            .is_document()
            .then(|| (cx.listener.open(&info.place, info.form, Kind::Text), Shown::default()));
        Self {
            info,
            kind,
            shown,
            charset,
            text,
            bytes,
            written: WrittenScan::default(),
            armour: Armour::default(),
            encoded: Uuencode::default(),
            inner: None,
            calendar: is_calendar.then(Vec::new),
            decoded: String::new(),
        }
    }

    /// What its text is.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn feed(&mut self, bytes: &[u8], cx: &mut Context<'_>) {
        self.blocks(bytes, cx);
        if let Some(stream) = self.bytes {
            cx.listener.content(stream, bytes);
        }
        for piece in bytes.chunks(STEP) {
            self.decode(piece, false, cx);
        }
    }

    fn decode(&mut self, piece: &[u8], last: bool, cx: &mut Context<'_>) {
        self.decoded.clear();
        match &mut self.charset {
            Charset::Bytes => return self.take(piece, cx),
            Charset::Utf7(decoder) => decoder.feed(piece, &mut self.decoded),
            Charset::Known(decoder) => {
                let room = decoder.max_utf8_buffer_length(piece.len()).unwrap_or(4 * STEP);
                self.decoded.reserve(room);
                let _ = decoder.decode_to_string(piece, &mut self.decoded, last);
            }
        }
        let decoded = std::mem::take(&mut self.decoded);
        self.take(decoded.as_bytes(), cx);
        self.decoded = decoded;
    }

    fn take(&mut self, text: &[u8], cx: &mut Context<'_>) {
        cx.listener.content(self.text, text);
        if let Some((stream, shown)) = &mut self.shown {
            cx.listener.content(*stream, shown.feed(text));
        }
        self.written.feed(text);
        self.armour.feed(text);
        if let Some(gathered) = &mut self.calendar {
            let room = calendar::LONGEST - gathered.len();
            gathered.extend_from_slice(&text[..text.len().min(room)]);
        }
    }

    /// Uuencoded and `yEnc` blocks are leaves of their own.
    fn blocks(&mut self, bytes: &[u8], cx: &mut Context<'_>) {
        let mut decoded = Vec::new();
        self.encoded.feed(bytes, &mut decoded);
        self.inner_leaf(&decoded, cx);
    }

    fn inner_leaf(&mut self, decoded: &[u8], cx: &mut Context<'_>) {
        if decoded.is_empty() {
            return;
        }
        if self.inner.is_none() && self.info.depth < super::DEPTH {
            self.inner = Some(Box::new(Leaf::new(self.info.inner("encoded block", "uuencode"))));
        }
        if let Some(leaf) = &mut self.inner {
            leaf.feed(decoded, cx);
        }
    }

    pub(super) fn finish(mut self, cx: &mut Context<'_>) {
        self.decode(b"", true, cx);
        let mut decoded = Vec::new();
        self.encoded.finish(&mut decoded);
        self.inner_leaf(&decoded, cx);
        if let Some(leaf) = self.inner.take() {
            leaf.finish(cx);
        }
        cx.listener.close(self.text);
        if let Some((stream, _)) = self.shown.take() {
            cx.listener.close(stream);
        }
        if let Some(stream) = self.bytes {
            cx.listener.close(stream);
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

/// Several calendars (the same one as text/calendar and as an .ics file is usual) are joined.
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
