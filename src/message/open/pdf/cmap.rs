//! Maps the character codes of a font to text: `ToUnicode` maps (ISO 32000-1 9.10.3), named encodings, glyph
//! names.

use super::super::Context;
use super::super::packed::Stop;
use super::lex::{Lexer, Object};
use super::widths::Widths;
use super::{SPENT, TOKEN};
use encoding_rs::Encoding;
use std::collections::{HashMap, HashSet};

/// Maximum number of ranges of one map.
const RANGES: usize = 70_000;

/// The first code of Unicode that stands for nothing known.
const PRIVATE: u32 = 0xe000;

/// How to read the codes of a font.
#[derive(Debug, Default)]
pub(super) struct Font {
    /// Codes have two octets.
    wide: bool,
    /// First and last code, and the text of the first; sorted.
    ranges: Vec<(u32, u32, Vec<u16>)>,
    /// A known encoding of the codes.
    encoding: Option<&'static Encoding>,
    /// Text of codes that have glyph names.
    names: HashMap<u8, String>,
    /// Codes whose glyphs are only numbered, so that nothing says what they show.
    numbered: HashSet<u8>,
    widths: Widths,
}

/// How far a text reaches.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reach {
    /// The sum of the widths, in parts of the size of the font.
    pub(super) width: f64,
    /// The number of its characters, and of those that are the blank of one octet.
    pub(super) codes: f64,
    pub(super) blanks: f64,
}

impl Font {
    /// A font with this encoding and these widths.
    pub(super) fn new(composite: bool, encoding: Option<&Object>, widths: Widths) -> Self {
        let mut font = Self { wide: composite, widths, ..Self::default() };
        if composite && let Some(Object::Name(name)) = encoding {
            font.encoding = by_name(name);
        }
        font
    }

    /// Takes the names of glyphs that differ from those of the encoding.
    pub(super) fn differences(&mut self, list: &[Object]) {
        let mut code = 0usize;
        for object in list {
            match object {
                Object::Number(number) => code = super::lex::whole(*number),
                Object::Name(name) => {
                    if let Ok(code) = u8::try_from(code) {
                        if let Some(letter) = glyph(name) {
                            self.names.insert(code, letter);
                        } else if is_mere_number(name, code) {
                            self.numbered.insert(code);
                        }
                    }
                    code += 1;
                }
                _ => {}
            }
        }
    }

    /// Notes that nothing names the glyphs, so that codes that stand for no letter anywhere say nothing: programs
    /// that number the glyphs of a font by their first use begin there.
    pub(super) fn nameless(&mut self) {
        self.numbered.extend((1..b' ').filter(|code| !code.is_ascii_whitespace()));
    }

    /// Reads a `ToUnicode` map.
    pub(super) fn read_map(&mut self, map: &[u8], cx: &mut Context<'_>) -> Result<(), Stop> {
        let mut lexer = Lexer::new(map, 0);
        let mut operands: Vec<Object> = Vec::new();
        loop {
            match lexer.object() {
                Object::End => break,
                Object::Word(word) => {
                    match word.as_slice() {
                        b"endcodespacerange" => {
                            if let Some(Object::Text(code)) = operands.first() {
                                self.wide = code.len() > 1;
                            }
                        }
                        b"endbfchar" => {
                            for pair in operands.chunks_exact(2) {
                                self.range(&pair[0], &pair[0], &pair[1], 0);
                            }
                        }
                        b"endbfrange" => {
                            for triple in operands.chunks_exact(3) {
                                match &triple[2] {
                                    Object::Array(list) => {
                                        for (step, letter) in (0..).zip(list) {
                                            self.range(&triple[0], &triple[0], letter, step);
                                        }
                                    }
                                    letter => self.range(&triple[0], &triple[1], letter, 0),
                                }
                            }
                        }
                        _ => {}
                    }
                    operands.clear();
                }
                object => operands.push(object),
            }
            if operands.len() > RANGES || !cx.budget.charge(TOKEN * lexer.tokens()) {
                return Err(Stop::TooMuch(SPENT));
            }
        }
        self.ranges.sort_by_key(|range| range.0);
        Ok(())
    }

    fn range(&mut self, first: &Object, last: &Object, letter: &Object, step: u32) {
        let (Object::Text(first), Object::Text(last), Object::Text(letter)) = (first, last, letter) else {
            return;
        };
        let code = |text: &[u8]| text.iter().take(4).fold(0, |code, &byte| code << 8 | u32::from(byte));
        let units =
            letter.chunks_exact(2).take(16).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        if self.ranges.len() < RANGES {
            self.ranges.push((code(first).saturating_add(step), code(last).saturating_add(step), units));
        }
    }

    /// How far the text of these codes reaches.
    pub(super) fn reach(&self, text: &[u8]) -> Reach {
        let mut reach = Reach::default();
        if self.ranges.is_empty()
            && let Some(encoding) = self.encoding
        {
            // Of these fonts only the text is known, not the numbers of its glyphs.
            for letter in encoding.decode_without_bom_handling(text).0.chars() {
                reach.width += if letter.is_ascii() { 0.5 } else { 1.0 };
                reach.codes += 1.0;
                reach.blanks += f64::from(u8::from(letter == ' '));
            }
            return reach;
        }
        for code in text.chunks(if self.wide { 2 } else { 1 }) {
            let value = code.iter().fold(0, |value, &byte| value << 8 | u32::from(byte));
            reach.width += self.widths.of(value);
            reach.codes += 1.0;
            reach.blanks += f64::from(u8::from(code == b" "));
        }
        reach
    }

    /// Appends the text of these codes; returns how many of them are unknown.
    pub(super) fn show(&self, text: &[u8], out: &mut String) -> usize {
        if self.ranges.is_empty()
            && let Some(encoding) = self.encoding
        {
            out.push_str(&encoding.decode_without_bom_handling(text).0);
            return 0;
        }
        let mut unknown = 0;
        for code in text.chunks(if self.wide { 2 } else { 1 }) {
            let value = code.iter().fold(0, |value, &byte| value << 8 | u32::from(byte));
            if let Some(units) = self.mapped(value) {
                out.extend(char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
            } else if let [byte] = code
                && let Some(letter) = self.names.get(byte)
            {
                out.push_str(letter);
            } else if !self.wide {
                unknown += code.iter().filter(|byte| self.numbered.contains(byte)).count();
                out.push_str(&encoding_rs::WINDOWS_1252.decode_without_bom_handling(code).0);
            } else {
                unknown += 1;
                // Many writers use Unicode values as glyph numbers. Others remain different signs.
                let letter = char::from_u32(value).filter(|letter| !letter.is_control());
                out.extend(letter.or_else(|| char::from_u32(PRIVATE + value)));
            }
        }
        unknown
    }

    fn mapped(&self, code: u32) -> Option<Vec<u16>> {
        let at = self.ranges.partition_point(|range| range.0 <= code).checked_sub(1)?;
        let (first, last, units) = &self.ranges[at];
        if code > *last {
            return None;
        }
        let mut units = units.clone();
        let step = u16::try_from(code - first).ok()?;
        if let Some(unit) = units.last_mut() {
            *unit = unit.wrapping_add(step);
        }
        Some(units)
    }
}

/// The encoding of the codes of a predefined `CMap`, by its name (9.7.5.2).
fn by_name(name: &str) -> Option<&'static Encoding> {
    const BEGINNINGS: [(&str, &Encoding); 12] = [
        ("UniJIS", encoding_rs::UTF_16BE),
        ("UniGB", encoding_rs::UTF_16BE),
        ("UniCNS", encoding_rs::UTF_16BE),
        ("UniKS", encoding_rs::UTF_16BE),
        ("90ms", encoding_rs::SHIFT_JIS),
        ("90pv", encoding_rs::SHIFT_JIS),
        ("83pv", encoding_rs::SHIFT_JIS),
        ("EUC-", encoding_rs::EUC_JP),
        ("GB", encoding_rs::GBK),
        ("B5", encoding_rs::BIG5),
        ("ETen", encoding_rs::BIG5),
        ("KSC", encoding_rs::EUC_KR),
    ];
    BEGINNINGS.iter().find(|(start, _)| name.starts_with(start)).map(|(_, encoding)| *encoding)
}

/// Text of glyph names that are not single letters.
const NAMES: [(&str, &str); 41] = [
    ("space", " "),
    ("at", "@"),
    ("period", "."),
    ("hyphen", "-"),
    ("underscore", "_"),
    ("plus", "+"),
    ("comma", ","),
    ("colon", ":"),
    ("semicolon", ";"),
    ("less", "<"),
    ("greater", ">"),
    ("slash", "/"),
    ("parenleft", "("),
    ("parenright", ")"),
    ("quotesingle", "'"),
    ("quotedbl", "\""),
    ("equal", "="),
    ("percent", "%"),
    ("ampersand", "&"),
    ("asterisk", "*"),
    ("exclam", "!"),
    ("question", "?"),
    ("numbersign", "#"),
    ("dollar", "$"),
    ("zero", "0"),
    ("one", "1"),
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("six", "6"),
    ("seven", "7"),
    ("eight", "8"),
    ("nine", "9"),
    ("minus", "-"),
    ("fi", "fi"),
    ("fl", "fl"),
    ("ff", "ff"),
    ("ffi", "ffi"),
    ("ffl", "ffl"),
    ("asciitilde", "~"),
];

/// Whether the name of a glyph is only its number in some font, such as `g12`, which says nothing. Where the number
/// is the code of a letter, decimal or not, the code is right: so name drivers of printers and TeX their glyphs.
fn is_mere_number(name: &str, code: u8) -> bool {
    const BEGINNINGS: [&str; 9] = ["glyph", "index", "Index", "cid", "gid", "g", "G", "c", "C"];
    let number = BEGINNINGS.iter().find_map(|start| name.strip_prefix(start)).unwrap_or_default();
    let is_number = number.bytes().all(|digit| digit.is_ascii_hexdigit())
        && number.bytes().any(|digit| digit.is_ascii_digit());
    let is_code = |radix| u32::from_str_radix(number, radix) == Ok(u32::from(code));
    is_number && !(code >= b' ' && (is_code(10) || is_code(16)))
}

/// The text of a glyph name (Adobe Glyph List; only the part that addresses need). Ligatures are named by their
/// letters: `f_f_i`.
fn glyph(name: &str) -> Option<String> {
    let base = name.split('.').next().unwrap_or(name);
    letter(base).or_else(|| base.split('_').map(letter).collect())
}

fn letter(name: &str) -> Option<String> {
    let mut letters = name.chars();
    if let (Some(letter), None) = (letters.next(), letters.next()) {
        return Some(letter.to_string());
    }
    let hex = name.strip_prefix("uni").or_else(|| name.strip_prefix('u'));
    if let Some(letter) =
        hex.and_then(|hex| u32::from_str_radix(hex.get(..4)?, 16).ok()).and_then(char::from_u32)
    {
        return Some(letter.to_string());
    }
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, letter)| (*letter).to_owned())
}
