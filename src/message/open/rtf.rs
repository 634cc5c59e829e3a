//! RTF as a word processor shows it: control words and groups interpreted, characters decoded, and hidden
//! text (links, metadata) kept apart. HTML wrapped in RTF (MS-OXRTFEX) is unwrapped.

use super::leaf::Info;
use super::spool::{SpoolReader, copy, length};
use super::text::TextLeaf;
use super::{Context, Kind, SPENT};
use encoding_rs::Encoding;
use std::collections::HashMap;

/// Units of work per octet, in addition to searching the resulting text.
const COST: u64 = 25;
/// Octets of text gathered before they are passed on.
const PIECE: usize = 8 * 1_024;
/// Maximum nesting depth of groups that is followed.
const GROUPS: usize = 1_000;
/// Maximum number of fonts whose character set is remembered.
const FONTS: usize = 4_096;

/// Groups that are not shown in place, in addition to all that begin with `\*`.
const HIDDEN: [&str; 22] = [
    "fonttbl",
    "colortbl",
    "stylesheet",
    "info",
    "title",
    "author",
    "subject",
    "keywords",
    "comment",
    "doccomm",
    "operator",
    "company",
    "manager",
    "category",
    "fldinst",
    "filetbl",
    "listtable",
    "pict",
    "xe",
    "tc",
    "datafield",
    "nonshppict",
];

/// Opens a spooled file.
pub(super) fn open(info: &Info, file: &mut SpoolReader, cx: &mut Context<'_>) {
    let mut reader = Rtf::new(info, cx);
    let mut spent = false;
    let result = length(file).and_then(|end| {
        copy(file, 0, end, |bytes| {
            spent |= !cx.budget.charge(COST * bytes.len() as u64);
            if !spent {
                reader.feed(bytes, cx);
            }
        })
    });
    reader.finish(cx);
    if spent {
        cx.too_much(info, SPENT);
    }
    if let Err(error) = result {
        cx.opaque(&info.path, info.label(), &format!("cannot be read: {error}"));
    }
}

/// Reads a file in memory.
pub(super) fn read(info: &Info, bytes: &[u8], cx: &mut Context<'_>) {
    if !cx.budget.charge(COST * bytes.len() as u64) {
        return cx.too_much(info, SPENT);
    }
    let mut reader = Rtf::new(info, cx);
    reader.feed(bytes, cx);
    reader.finish(cx);
}

/// The state that a group inherits from the enclosing one.
#[derive(Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the format")]
struct Group {
    /// Nesting level of hidden groups; 0 means shown.
    hidden: usize,
    /// Its first control word has not come yet.
    fresh: bool,
    /// Whether the group starts with `\*`.
    starred: bool,
    /// Number of fallback characters after a `\uN`.
    stand_ins: usize,
    encoding: &'static Encoding,
    /// Inside `\htmlrtf`: shown by RTF readers, not part of the HTML.
    rtf_only: bool,
    /// Inside `\*\htmltag`: original HTML.
    tag: bool,
    /// Inside the font table.
    fonts: bool,
}

enum State {
    Text,
    /// After a backslash.
    Slash,
    Word(Vec<u8>),
    /// After `\'`: the hexadecimal digits so far.
    Hex(Vec<u8>),
    /// Raw octets; the number that is left.
    Binary(u64),
}

struct Rtf {
    shown: Out,
    hidden: Out,
    html: Option<Out>,
    info: Info,
    groups: Vec<Group>,
    /// Number of open groups beyond the limit.
    deeper: usize,
    state: State,
    /// Octets in the encoding of the group, not decoded yet.
    octets: Vec<u8>,
    high: Option<u16>,
    skip: usize,
    default: &'static Encoding,
    fonts: HashMap<i32, &'static Encoding>,
    font: i32,
}

/// A text that is being passed on.
struct Out {
    leaf: TextLeaf,
    text: String,
}

impl Out {
    fn new(info: &Info, kind: Kind, cx: &mut Context<'_>) -> Self {
        let info = Info { charset: Some("utf-8".to_owned()), form: "RTF", ..info.clone() };
        Self { leaf: TextLeaf::new(info, kind, false, b"", cx), text: String::new() }
    }

    fn push(&mut self, text: &str, cx: &mut Context<'_>) {
        self.text.push_str(text);
        if self.text.len() >= PIECE {
            self.flush(cx);
        }
    }

    fn flush(&mut self, cx: &mut Context<'_>) {
        if cx.budget.charge_content(self.leaf.kind(), self.text.as_bytes()) {
            self.leaf.feed(self.text.as_bytes(), cx);
        }
        self.text.clear();
    }

    fn finish(mut self, cx: &mut Context<'_>) {
        self.flush(cx);
        self.leaf.finish(cx);
    }
}

impl Rtf {
    fn new(info: &Info, cx: &mut Context<'_>) -> Self {
        let group = Group {
            hidden: 0,
            fresh: false,
            starred: false,
            stand_ins: 1,
            encoding: encoding_rs::WINDOWS_1252,
            rtf_only: false,
            tag: false,
            fonts: false,
        };
        Self {
            shown: Out::new(info, Kind::Text, cx),
            hidden: Out::new(info, Kind::Text, cx),
            html: None,
            info: info.clone(),
            groups: vec![group],
            deeper: 0,
            state: State::Text,
            octets: Vec::new(),
            high: None,
            skip: 0,
            default: encoding_rs::WINDOWS_1252,
            fonts: HashMap::new(),
            font: 0,
        }
    }

    fn group(&mut self) -> &mut Group {
        // There is always one: the outermost group is never closed.
        let last = self.groups.len() - 1;
        &mut self.groups[last]
    }

    fn feed(&mut self, bytes: &[u8], cx: &mut Context<'_>) {
        for &byte in bytes {
            self.step(byte, cx);
        }
    }

    fn finish(mut self, cx: &mut Context<'_>) {
        self.step(b' ', cx);
        self.decode(cx);
        self.shown.finish(cx);
        self.hidden.finish(cx);
        if let Some(html) = self.html.take() {
            html.finish(cx);
        }
    }

    fn step(&mut self, byte: u8, cx: &mut Context<'_>) {
        match &mut self.state {
            State::Binary(left) => {
                *left -= 1;
                if *left == 0 {
                    self.state = State::Text;
                }
            }
            State::Hex(digits) => {
                digits.push(byte);
                if digits.len() == 2 {
                    let text = std::str::from_utf8(digits).unwrap_or_default();
                    let octet = u8::from_str_radix(text, 16);
                    self.state = State::Text;
                    if let Ok(octet) = octet {
                        self.octet(octet, cx);
                    }
                }
            }
            State::Word(word) => {
                let number = word.iter().any(u8::is_ascii_digit);
                let goes_on = byte.is_ascii_digit()
                    || (byte == b'-' && !number && !word.ends_with(b"-"))
                    || (byte.is_ascii_alphabetic() && !number && !word.ends_with(b"-"));
                if goes_on && word.len() < 48 {
                    word.push(byte);
                    return;
                }
                let word = std::mem::take(word);
                self.state = State::Text;
                self.word(&word, cx);
                if byte != b' ' {
                    self.step(byte, cx);
                }
            }
            State::Slash => self.symbol(byte, cx),
            State::Text => match byte {
                b'\\' => self.state = State::Slash,
                b'{' => self.open_group(cx),
                b'}' => self.close_group(cx),
                b'\r' | b'\n' => {}
                _ => self.octet(byte, cx),
            },
        }
    }

    fn symbol(&mut self, byte: u8, cx: &mut Context<'_>) {
        self.state = State::Text;
        match byte {
            b'\'' => self.state = State::Hex(Vec::new()),
            b'*' => self.group().starred = true,
            b'~' => self.letter("\u{a0}", cx),
            b'_' => self.letter("-", cx),
            b'\r' | b'\n' => self.letter("\n", cx),
            b'\t' => self.letter("\t", cx),
            b'{' | b'}' | b'\\' => self.octet(byte, cx),
            _ if byte.is_ascii_alphabetic() => self.state = State::Word(vec![byte]),
            _ => {} // `\-` and its like show nothing
        }
    }

    fn open_group(&mut self, cx: &mut Context<'_>) {
        self.decode(cx);
        self.skip = 0;
        if self.groups.len() >= GROUPS {
            self.deeper += 1;
            return;
        }
        let group = Group { fresh: true, starred: false, ..*self.group() };
        self.groups.push(group);
    }

    fn close_group(&mut self, cx: &mut Context<'_>) {
        self.decode(cx);
        self.skip = 0;
        if self.deeper > 0 {
            self.deeper -= 1;
            return;
        }
        if self.groups.len() > 1 {
            let closed = self.groups.pop();
            let before = self.group().hidden;
            if closed.is_some_and(|closed| closed.hidden > before) {
                self.hidden.push("\n", cx);
            }
        }
    }

    /// An octet of text, in the encoding of the current group.
    fn octet(&mut self, octet: u8, cx: &mut Context<'_>) {
        self.group().fresh = false;
        if self.skip > 0 {
            self.skip -= 1;
            return;
        }
        self.octets.push(octet);
        if self.octets.len() >= PIECE && octet.is_ascii() {
            self.decode(cx);
        }
    }

    fn decode(&mut self, cx: &mut Context<'_>) {
        if self.octets.is_empty() {
            return;
        }
        let octets = std::mem::take(&mut self.octets);
        let text = self.group().encoding.decode_without_bom_handling(&octets).0;
        self.show(&text, cx);
    }

    /// A character that is not an octet of the text.
    fn letter(&mut self, letter: &str, cx: &mut Context<'_>) {
        self.decode(cx);
        if self.skip > 0 {
            self.skip -= 1;
            return;
        }
        self.show(letter, cx);
    }

    fn show(&mut self, text: &str, cx: &mut Context<'_>) {
        self.high = None;
        let group = *self.group();
        if group.hidden > 0 {
            self.hidden.push(text, cx);
        } else {
            self.shown.push(text, cx);
        }
        if let Some(html) = &mut self.html
            && !group.rtf_only
            && (group.tag || group.hidden == 0)
        {
            html.push(text, cx);
        }
    }

    fn word(&mut self, word: &[u8], cx: &mut Context<'_>) {
        let at = word.iter().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(word.len());
        let (name, number) = word.split_at(at);
        let name = std::str::from_utf8(name).unwrap_or_default();
        let number: Option<i32> = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
        let fresh = std::mem::take(&mut self.group().fresh);
        if fresh && (self.group().starred || HIDDEN.contains(&name)) {
            let group = self.group();
            group.hidden += 1;
            group.tag = name == "htmltag";
            group.fonts |= name == "fonttbl";
        }
        match name {
            "par" | "line" | "sect" | "page" | "row" | "nestrow" => self.letter("\n", cx),
            "tab" | "cell" | "nestcell" => self.letter("\t", cx),
            "emdash" | "endash" => self.letter("-", cx),
            "lquote" | "rquote" => self.letter("'", cx),
            "ldblquote" | "rdblquote" => self.letter("\"", cx),
            "bullet" => self.letter("\u{2022}", cx),
            "emspace" | "enspace" | "qmspace" => self.letter(" ", cx),
            "uc" => self.group().stand_ins = usize::try_from(number.unwrap_or(1)).unwrap_or(1).min(64),
            "u" => self.unicode(number.unwrap_or(0), cx),
            "bin" => {
                let length = u64::try_from(number.unwrap_or(0)).unwrap_or(0);
                if length > 0 {
                    self.state = State::Binary(length);
                }
            }
            "fromhtml" if self.html.is_none() => self.html = Some(Out::new(&self.info, Kind::Html, cx)),
            "htmlrtf" => {
                self.decode(cx);
                self.group().rtf_only = number != Some(0);
            }
            _ => self.character_set(name, number, cx),
        }
    }

    fn character_set(&mut self, name: &str, number: Option<i32>, cx: &mut Context<'_>) {
        let encoding = match (name, number) {
            ("ansicpg", Some(page)) => {
                self.default = code_page(page);
                self.default
            }
            ("mac", _) => encoding_rs::MACINTOSH,
            ("f", Some(font)) => {
                self.font = font;
                self.fonts.get(&font).copied().unwrap_or(self.default)
            }
            ("plain", _) => self.default,
            ("fcharset" | "cpg", Some(set)) if self.group().fonts => {
                let encoding = if name == "cpg" { Some(code_page(set)) } else { font_set(set) };
                if let Some(encoding) = encoding.filter(|_| self.fonts.len() < FONTS) {
                    self.fonts.insert(self.font, encoding);
                }
                encoding.unwrap_or(self.default)
            }
            _ => return,
        };
        self.decode(cx);
        self.group().encoding = encoding;
    }

    /// `\uN`: one UTF-16 unit, signed; the fallback characters after it are skipped.
    fn unicode(&mut self, number: i32, cx: &mut Context<'_>) {
        self.decode(cx);
        let unit = u16::try_from(number & 0xffff).unwrap_or(0);
        let pair = self.high.take().map_or_else(|| vec![unit], |high| vec![high, unit]);
        if (0xd800..0xdc00).contains(&unit) {
            self.high = Some(unit);
        } else {
            self.show(&String::from_utf16_lossy(&pair), cx);
        }
        self.skip = self.group().stand_ins;
    }
}

/// A Windows code page by its number.
fn code_page(page: i32) -> &'static Encoding {
    let label = match page {
        932 => "shift_jis".to_owned(),
        936 => "gbk".to_owned(),
        949 | 1361 => "euc-kr".to_owned(),
        950 => "big5".to_owned(),
        10_000 => "macintosh".to_owned(),
        65_001 => "utf-8".to_owned(),
        _ => format!("windows-{page}"),
    };
    Encoding::for_label(label.as_bytes()).unwrap_or(encoding_rs::WINDOWS_1252)
}

/// The character set of a font (`\fcharset`).
fn font_set(set: i32) -> Option<&'static Encoding> {
    Some(code_page(match set {
        77 => 10_000,
        128 => 932,
        129 | 130 => 949,
        134 => 936,
        136 => 950,
        161 => 1_253,
        162 => 1_254,
        163 => 1_258,
        177 => 1_255,
        178 => 1_256,
        186 => 1_257,
        204 => 1_251,
        222 => 874,
        238 => 1_250,
        0 => 1_252,
        _ => return None,
    }))
}
