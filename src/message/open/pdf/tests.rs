//! Ways to write an address into a PDF, each of which is read. What is read is compared as it reaches the search:
//! an address counts only with a blank or an end on both sides.

use super::super::{Inspector, Kind, TextSink};
use crate::message::inspect::BodyFacts;
use crate::message::walk::{Limits, Walker};
use crate::message::{Header, open::UNHEARD};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use std::fmt::Write as _;

const ADDRESS: &str = "keiko.nakamura@example.go.jp";

/// Keeps every stream apart, except the octets of the file.
#[derive(Default)]
struct Texts(Vec<Vec<u8>>);

impl TextSink for Texts {
    fn open(&mut self, _: &str, _: &'static str, kind: Kind) -> usize {
        if kind == Kind::Bytes {
            return UNHEARD;
        }
        self.0.push(Vec::new());
        self.0.len() - 1
    }
    fn content(&mut self, stream: usize, bytes: &[u8]) {
        if let Some(text) = self.0.get_mut(stream) {
            text.extend_from_slice(bytes);
        }
    }
    fn close(&mut self, _: usize) {}
    fn header(&mut self, _: &str, _: &[u8]) {}
    fn stray(&mut self, _: &[u8]) {}
}

/// What is read of a file: its texts, and the facts.
pub(super) fn read(file: &[u8]) -> (Vec<String>, BodyFacts) {
    let header =
        Bytes::from_static(b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n");
    let header = Header::parse(header).unwrap();
    let mut inspector = Inspector::new(Texts::default());
    let mut walker = Walker::new(&header, Limits::default(), &mut inspector).unwrap();
    walker.feed(format!("\r\n{}\r\n", STANDARD.encode(file)).as_bytes(), &mut inspector).unwrap();
    walker.finish(&mut inspector).unwrap();
    let (facts, texts) = inspector.finish();
    let texts = texts.0.into_iter().map(|text| String::from_utf8_lossy(&text).into_owned()).collect();
    (texts, facts)
}

/// Whether some reading of the file shows the address as a word.
pub(super) fn shows(texts: &[String], address: &str) -> bool {
    texts.iter().any(|text| text.split_whitespace().any(|word| word == address))
}

/// A file of these objects, numbered from 1.
pub(super) fn file(objects: &[String]) -> Vec<u8> {
    let mut out = String::from("%PDF-1.7\n");
    for (number, object) in (1..).zip(objects) {
        let _ = writeln!(out, "{number} 0 obj {object}\nendobj");
    }
    out.push_str("trailer<</Root 1 0 R>>\n");
    out.into_bytes()
}

pub(super) fn stream(entries: &str, content: &str) -> String {
    format!("<<{entries}/Length {}>>stream\n{content}\nendstream", content.len())
}

/// A file with one page that draws this, with a font `F` of characters of equal width, and `J` for Japanese.
pub(super) fn page(content: &str) -> Vec<u8> {
    let objects = [
        "<</Type/Page/Contents 2 0 R/Resources<</Font<</F 3 0 R/J 4 0 R>>>>>>".to_owned(),
        stream("", content),
        "<</Type/Font/Subtype/Type1/BaseFont/Courier/Encoding/WinAnsiEncoding>>".to_owned(),
        "<</Type/Font/Subtype/Type0/BaseFont/Mincho/Encoding/UniJIS-UTF16-H/DescendantFonts[5 0 R]>>"
            .to_owned(),
        "<</Type/Font/Subtype/CIDFontType0/DW 1000>>".to_owned(),
    ];
    file(&objects)
}

/// How a cell is cut into pieces, and how the pen comes to each.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cut {
    Cell,
    Words,
    Pieces,
    Letters,
    /// Letters apart from each other.
    Spaced,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Move {
    /// `Tm` for each in one text object.
    Matrix,
    /// `Td` from the last.
    Step,
    /// A text object for each, placed by `cm`.
    Object,
    /// A text object for each within `q` and `Q`, on a page that is turned over and scaled as browsers do.
    Turned,
    /// Numbers in `TJ`.
    Adjust,
}

const SIZE: f64 = 10.0;

fn pieces(text: &str, cut: Cut) -> Vec<&str> {
    let ends: Vec<usize> = match cut {
        Cut::Cell => vec![],
        Cut::Words => text.match_indices(' ').map(|(at, _)| at + 1).collect(),
        Cut::Pieces => text.char_indices().map(|(at, _)| at).filter(|at| at % 3 == 2).collect(),
        Cut::Letters | Cut::Spaced => text.char_indices().skip(1).map(|(at, _)| at).collect(),
    };
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let ends = ends.iter().copied().chain(std::iter::once(text.len()));
    starts.zip(ends).map(|(start, end)| &text[start..end]).filter(|piece| !piece.is_empty()).collect()
}

/// A row of cells, drawn so.
fn row(cells: &[&str], cut: Cut, moves: Move, gap: f64) -> String {
    let mut out = String::new();
    let (mut x, mut end, mut last) = (50.0, 50.0, 0.0);
    if moves == Move::Turned {
        out.push_str("0.24 0 0 -0.24 0 800 cm q 3.125 0 0 3.125 100 100 cm ");
    } else if matches!(moves, Move::Matrix | Move::Step) {
        let _ = write!(out, "BT /F {SIZE} Tf 0 100 Td ");
    } else if moves == Move::Adjust {
        let _ = write!(out, "BT /F {SIZE} Tf 50 100 Td [");
    }
    for cell in cells {
        for piece in pieces(cell, cut) {
            let wide = !piece.is_ascii();
            let shown = if wide {
                let units =
                    piece.encode_utf16().fold(String::new(), |text, unit| format!("{text}{unit:04x}"));
                format!("<{units}>")
            } else {
                format!("({piece})")
            };
            let font = if wide { "J" } else { "F" };
            let _ = match moves {
                Move::Matrix => write!(out, "/{font} {SIZE} Tf 1 0 0 1 {x} 100 Tm {shown} Tj "),
                Move::Step => write!(out, "/{font} {SIZE} Tf {} 0 Td {shown} Tj ", x - last),
                Move::Object => write!(out, "q 1 0 0 1 {x} 100 cm BT /{font} {SIZE} Tf {shown} Tj ET Q "),
                Move::Turned => write!(out, "q BT /{font} {SIZE} Tf 1 0 0 -1 {x} 100 Tm [{shown}] TJ ET Q "),
                // One font is in use here, so its letters have to do.
                Move::Adjust => write!(
                    out,
                    "{} ({}) ",
                    (end - x) * 1000.0 / SIZE,
                    piece.replace(|c: char| !c.is_ascii(), "x")
                ),
            };
            last = x;
            let letters = f64::from(u32::try_from(piece.chars().count()).unwrap());
            end = x + letters * SIZE * if wide && moves != Move::Adjust { 1.0 } else { 0.6 };
            x = end + if cut == Cut::Spaced { SIZE / 4.0 } else { 0.0 };
        }
        x += gap;
    }
    out.push_str(match moves {
        Move::Adjust => "] TJ ET ",
        Move::Matrix | Move::Step => "ET ",
        Move::Object => "",
        Move::Turned => "Q ",
    });
    out
}

/// However a row of a table is drawn, and whatever stands beside the address in it.
#[test]
fn an_address_in_a_row() {
    let neighbours = ["", "Keiko Nakamura", "03-1234-5678", "2", "中村恵子", "other@example.com"];
    for cut in [Cut::Cell, Cut::Words, Cut::Pieces, Cut::Letters, Cut::Spaced] {
        for moves in [Move::Matrix, Move::Step, Move::Object, Move::Turned, Move::Adjust] {
            for (before, behind) in neighbours.iter().flat_map(|one| neighbours.map(|other| (*one, other))) {
                for gap in [0.5, 1.0, 5.0] {
                    let content = row(&[before, ADDRESS, behind], cut, moves, gap * SIZE);
                    let (texts, facts) = read(&page(&content));
                    let case = format!("{before:?} {behind:?} {cut:?} {moves:?} {gap}: {content}\n{texts:?}");
                    assert!(shows(&texts, ADDRESS), "{case}");
                    assert!(facts.opaque.is_empty() && facts.problems.is_empty(), "{case} {facts:?}");
                }
            }
        }
    }
}

/// Not in the order of reading, twice to look bold, in the next line, with words read in place of what is drawn.
#[test]
fn an_address_drawn_otherwise() {
    let letters = |each: fn(usize, char) -> String| {
        ADDRESS.chars().enumerate().fold(String::new(), |text, (at, letter)| text + &each(at, letter))
    };
    for content in [
        "BT /F 10 Tf 146 70 Td (amura@example.go.jp) Tj ET BT /F 10 Tf 92 70 Td (keiko.nak) Tj ET".to_owned(),
        "BT /F 10 Tf 400 70 Td (amura@example.go.jp) Tj ET BT /F 10 Tf 92 70 Td (keiko.nak) Tj ET".to_owned(),
        "BT /F 10 Tf 90 70 Td (Name) Tj 10 TL T* (keiko.) Tj (nakamura@example.go.jp) Tj T* (Tel) Tj ET"
            .to_owned(),
        "/Span<</ActualText(keiko.nakamura@example.go.jp)>>BDC BT /F 10 Tf (x) Tj ET EMC".to_owned(),
        format!(
            "BT /F 10 Tf 1 0 0 1 9 9 Tm (2) Tj {} ET",
            letters(|at, letter| format!(
                "1 0 0 1 {0} 9 Tm ({letter}) Tj 1 0 0 1 {0}.3 9 Tm ({letter}) Tj ",
                40 + at * 6
            ))
        ),
        format!(
            "BT /F 10 Tf 0 1 -1 0 9 9 Tm (2) Tj {} 0 1 -1 0 9 400 Tm (2) Tj ET",
            letters(|at, letter| format!("0 1 -1 0 9 {} Tm ({letter}) Tj ", 40 + at * 6))
        ),
        format!("BT /F 10 Tf (Name) Tj T* [{}] TJ ET", letters(|_, letter| format!("({letter})-200 "))),
        // The font of before is in use again behind `Q`.
        format!("BT /F 10 Tf ET q BT /J 10 Tf <4e2d> Tj ET Q BT 90 70 Td ({ADDRESS}) Tj ET"),
    ] {
        let (texts, _) = read(&page(&content));
        assert!(shows(&texts, ADDRESS), "{content}\n{texts:?}");
    }
}

/// Ordinary text costs two readings, whether it is drawn by lines, by words, or with kerning.
#[test]
fn ordinary_text_is_read_twice() {
    let line = "Dear all, write to office@example.com before the end of the month please. 100%";
    for (cut, moves) in [
        (Cut::Cell, Move::Matrix),
        (Cut::Cell, Move::Turned),
        (Cut::Cell, Move::Adjust),
        (Cut::Words, Move::Adjust),
    ] {
        let content = row(&[line], cut, moves, 0.0);
        let (texts, _) = read(&page(&content));
        assert_eq!(texts.len(), 2, "{content}\n{texts:?}");
    }
    let letters = row(&["nothing to find here"], Cut::Letters, Move::Object, 0.0);
    assert_eq!(read(&page(&letters)).0.len(), 2);
}
