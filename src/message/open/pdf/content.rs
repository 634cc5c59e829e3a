//! The text that a page draws (ISO 32000-1 9.4), in order. It is produced twice: with line breaks where the
//! text position moves to another line, and without any, because a word may be drawn in pieces.

use super::super::leaf::Info;
use super::super::packed::Stop;
use super::super::text::TextLeaf;
use super::super::{Context, Kind};
use super::cmap::Font;
use super::lex::{Lexer, Object};
use super::{SPENT, TOKEN};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Octets gathered before they are passed on.
const PIECE: usize = 8 * 1_024;
/// Maximum number of operands of one operator; further ones are ignored.
const OPERANDS: usize = 64;
/// The adjustment within a text, in thousandths of the font size, from which it counts as a space.
const GAP: f64 = -180.0;

/// The text of a whole document.
pub(super) struct Page {
    lines: Out,
    joined: Out,
    /// Streams that were drawn as pages.
    pub(super) drawn: BTreeSet<u32>,
    /// Number of codes without known text.
    pub(super) unread: usize,
    height: f64,
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
            lines: Out::new(info, cx),
            joined: Out::new(info, cx),
            drawn: BTreeSet::new(),
            unread: 0,
            height: 0.0,
        }
    }

    pub(super) fn finish(self, cx: &mut Context<'_>) {
        self.lines.finish(cx);
        self.joined.finish(cx);
    }

    /// A text string outside page contents (7.9.2.2): UTF-16, UTF-8, or one octet per character.
    pub(super) fn property(&mut self, text: &[u8], cx: &mut Context<'_>) {
        let shown = match text {
            [0xfe, 0xff, rest @ ..] => encoding_rs::UTF_16BE.decode_without_bom_handling(rest).0,
            [0xff, 0xfe, rest @ ..] => encoding_rs::UTF_16LE.decode_without_bom_handling(rest).0,
            [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
            _ => encoding_rs::WINDOWS_1252.decode_without_bom_handling(text).0,
        };
        self.lines.text.push_str(&shown);
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
        let mut font: &Font = &plain;
        self.height = 0.0;
        loop {
            match lexer.object() {
                Object::End => break,
                Object::Word(word) => {
                    match (word.as_slice(), operands.as_slice()) {
                        (b"Tf", [.., Object::Name(name), _]) => {
                            font = fonts.get(name).map_or(&plain, |font| font);
                        }
                        (b"BI", _) => lexer.skip_to(b"EI"), // a picture in line
                        (operator, operands) => self.operator(operator, operands, font),
                    }
                    operands.clear();
                    self.hand_on(cx);
                }
                object if operands.len() < OPERANDS => operands.push(object),
                _ => {}
            }
            if !cx.budget.charge(TOKEN * lexer.tokens()) {
                return Err(Stop::TooMuch(SPENT));
            }
        }
        self.new_line();
        // Keeps it apart from the beginning of the next page.
        self.joined.text.push('\n');
        Ok(())
    }

    fn operator(&mut self, operator: &[u8], operands: &[Object], font: &Font) {
        match (operator, operands) {
            (b"Tj", [.., Object::Text(text)]) => self.show(text, font),
            (b"'" | b"\"", [.., Object::Text(text)]) => {
                self.new_line();
                self.show(text, font);
            }
            (b"TJ", [.., Object::Array(list)]) => {
                for object in list {
                    match object {
                        Object::Text(text) => self.show(text, font),
                        Object::Number(gap) if *gap < GAP => self.lines.text.push(' '),
                        _ => {}
                    }
                }
            }
            (b"Td" | b"TD", [.., Object::Number(_), Object::Number(down)]) if *down != 0.0 => self.new_line(),
            (b"T*", _) => self.new_line(),
            (b"Tm", [.., Object::Number(height)]) => {
                if (height - self.height).abs() > 1.0 {
                    self.new_line();
                }
                self.height = *height;
            }
            _ => {}
        }
    }

    fn show(&mut self, text: &[u8], font: &Font) {
        let start = self.lines.text.len();
        self.unread += font.show(text, &mut self.lines.text);
        self.joined.text.push_str(&self.lines.text[start..]);
    }
}
