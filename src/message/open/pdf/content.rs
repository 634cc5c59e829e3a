//! The text that a page draws (ISO 32000-1 9.4), in order. It is produced twice: with a break wherever the pen is
//! placed anew, because a row of a table has nothing else between its cells, and without any, because a word may
//! be drawn in pieces. Where neither shows an address that readers see, [`Placed`] does.

use super::super::leaf::Info;
use super::super::packed::Stop;
use super::super::text::TextLeaf;
use super::super::{Context, Kind};
use super::cmap::Font;
use super::lex::{Lexer, Object};
use super::pen::Pen;
use super::placed::Placed;
use super::{SPENT, TOKEN};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Octets gathered before they are passed on.
const PIECE: usize = 8 * 1_024;
/// Maximum number of operands of one operator; further ones are ignored.
const OPERANDS: usize = 64;
/// The adjustment within a text, in thousandths of the font size, from which it counts as a space.
const GAP: f64 = -180.0;
/// The adjustment back from which what follows stands apart.
const BACK: f64 = 1_000.0;
/// Units of work for each piece that is compared with others.
const COMPARED: u64 = 500;

/// The text of a whole document.
pub(super) struct Page {
    info: Info,
    lines: Out,
    joined: Out,
    /// Readings by place, and texts beside what is drawn; `None` if there are none.
    beside: Option<Out>,
    placed: Placed,
    /// The text drawn last.
    shown: String,
    /// Where the streams begin that were drawn as pages.
    pub(super) drawn: BTreeSet<usize>,
}

struct Out {
    leaf: TextLeaf,
    text: String,
}

impl Out {
    fn new(info: &Info, cx: &mut Context<'_>) -> Self {
        let info = Info { charset: Some("utf-8".to_owned()), form: "PDF", ..info.clone() };
        Self { leaf: TextLeaf::new(info, Kind::Text, false, b"", cx), text: String::new() }
    }

    fn flush(&mut self, cx: &mut Context<'_>) {
        if cx.budget.charge_content(Kind::Text, self.text.as_bytes()) {
            self.leaf.feed(self.text.as_bytes(), cx);
        }
        self.text.clear();
    }

    fn finish(mut self, cx: &mut Context<'_>) {
        self.flush(cx);
        self.leaf.finish(cx);
    }
}

impl Page {
    pub(super) fn new(info: &Info, cx: &mut Context<'_>) -> Self {
        Self {
            info: info.clone(),
            lines: Out::new(info, cx),
            joined: Out::new(info, cx),
            beside: None,
            placed: Placed::default(),
            shown: String::new(),
            drawn: BTreeSet::new(),
        }
    }

    /// Whether letters were drawn that could not be told, and that may be a part of an address.
    pub(super) fn is_unread(&self) -> bool {
        self.placed.is_unread()
    }

    pub(super) fn finish(self, cx: &mut Context<'_>) {
        self.lines.finish(cx);
        self.joined.finish(cx);
        if let Some(beside) = self.beside {
            beside.finish(cx);
        }
    }

    /// A text string outside page contents.
    pub(super) fn property(&mut self, text: &[u8], cx: &mut Context<'_>) {
        self.lines.text.push_str(&shown(text));
        self.new_line();
        self.hand_on(cx);
    }

    fn hand_on(&mut self, cx: &mut Context<'_>) {
        for out in [&mut self.lines, &mut self.joined] {
            if out.text.len() >= PIECE {
                out.flush(cx);
            }
        }
    }

    fn new_line(&mut self) {
        if !self.lines.text.ends_with('\n') {
            self.lines.text.push('\n');
        }
    }

    /// Interprets a content stream.
    pub(super) fn draw(
        &mut self,
        data: &[u8],
        fonts: &BTreeMap<String, Rc<Font>>,
        cx: &mut Context<'_>,
    ) -> Result<(), Stop> {
        let mut lexer = Lexer::new(data, 0);
        let mut operands: Vec<Object> = Vec::new();
        let plain = Font::default();
        let mut pen = Pen::new(&plain);
        loop {
            match lexer.object() {
                Object::End => break,
                Object::Word(word) => {
                    match (word.as_slice(), operands.as_slice()) {
                        (b"Tf", [.., Object::Name(name), size]) => {
                            pen.set_font(fonts.get(name).map_or(&plain, |font| font), size);
                        }
                        (b"BI", _) => lexer.skip_to(b"EI"), // a picture in line
                        (b"BDC" | b"DP", [.., Object::Dict(properties)]) => {
                            // What is read aloud or copied in place of what is drawn (14.9.4).
                            Object::Dict(properties.clone()).each_string(&mut |text| self.aside(text, cx));
                        }
                        (operator, operands) => self.operator(operator, operands, &mut pen),
                    }
                    operands.clear();
                    self.hand_on(cx);
                    if self.placed.is_full() {
                        self.compare(cx)?;
                    }
                }
                object if operands.len() < OPERANDS => operands.push(object),
                _ => {}
            }
            if !cx.budget.charge(TOKEN * lexer.tokens()) {
                return Err(Stop::TooMuch(SPENT));
            }
        }
        self.compare(cx)?;
        self.new_line();
        // Keeps it apart from the beginning of the next page.
        self.joined.text.push('\n');
        Ok(())
    }

    /// Reads what was drawn by its places.
    fn compare(&mut self, cx: &mut Context<'_>) -> Result<(), Stop> {
        if !cx.budget.charge(COMPARED * self.placed.len() as u64) {
            return Err(Stop::TooMuch(SPENT));
        }
        let mut found = String::new();
        self.placed.read(&mut found);
        self.beside(&found, cx);
        Ok(())
    }

    fn aside(&mut self, text: &[u8], cx: &mut Context<'_>) {
        let text = shown(text);
        self.beside(&text, cx);
        self.beside("\n", cx);
    }

    /// Adds a text that is read beside what is drawn.
    pub(super) fn beside(&mut self, text: &str, cx: &mut Context<'_>) {
        if text.is_empty() {
            return;
        }
        let out = self.beside.get_or_insert_with(|| Out::new(&self.info, cx));
        out.text.push_str(text);
        if out.text.len() >= PIECE {
            out.flush(cx);
        }
    }

    fn operator(&mut self, operator: &[u8], operands: &[Object], pen: &mut Pen<'_>) {
        match (operator, operands) {
            (b"Tj", [.., Object::Text(text)]) => self.show(text, false, pen),
            (b"'" | b"\"", [.., Object::Text(text)]) => {
                pen.apply(operator, operands);
                self.show(text, false, pen);
            }
            (b"TJ", [.., Object::Array(list)]) => {
                let mut apart = false;
                for object in list {
                    match object {
                        Object::Text(text) => self.show(text, std::mem::take(&mut apart), pen),
                        Object::Number(gap) => {
                            pen.adjust(*gap);
                            apart |= *gap < GAP || *gap > BACK;
                        }
                        _ => {}
                    }
                }
                if apart {
                    self.blank();
                }
            }
            _ => pen.apply(operator, operands),
        }
    }

    /// Draws a text; `apart` says that there is a gap before it.
    fn show(&mut self, text: &[u8], apart: bool, pen: &mut Pen<'_>) {
        self.shown.clear();
        let known = pen.font().show(text, &mut self.shown) == 0;
        let moved = pen.take_moved();
        let spot = pen.advance(text);
        if moved && !self.placed.on_line(&spot) {
            self.new_line();
        } else if moved || apart {
            self.blank();
        }
        // A soft hyphen is drawn, as a hyphen; at the end of a line it may be none.
        self.joined.text.push_str(&self.shown);
        if self.shown.contains('\u{ad}') {
            self.shown = self.shown.replace('\u{ad}', "-");
        }
        self.lines.text.push_str(&self.shown);
        self.placed.add(&self.shown, known, spot, moved || apart);
    }

    fn blank(&mut self) {
        if !self.lines.text.ends_with([' ', '\n']) {
            self.lines.text.push(' ');
        }
    }
}

/// The text of a string outside page contents (7.9.2.2): UTF-16, UTF-8, or one octet per character.
pub(super) fn shown(text: &[u8]) -> Cow<'_, str> {
    match text {
        [0xfe, 0xff, rest @ ..] => encoding_rs::UTF_16BE.decode_without_bom_handling(rest).0,
        [0xff, 0xfe, rest @ ..] => encoding_rs::UTF_16LE.decode_without_bom_handling(rest).0,
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        _ => encoding_rs::WINDOWS_1252.decode_without_bom_handling(text).0,
    }
}
