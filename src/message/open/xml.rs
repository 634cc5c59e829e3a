//! The visible text of XML documents (OOXML, ODF): runs are joined as the programs join them; paragraphs,
//! cells and line breaks are kept apart; white space between tags is dropped.

mod lines;
#[cfg(test)]
mod tests;

use lines::Lines;
use memchr::{memchr, memchr2, memmem};

/// Longest tag or reference; of a longer one the beginning is used.
const TAG: usize = 256;

/// Elements whose end does not end a word: runs, and the elements around and inside them.
const INLINE: [&str; 14] = [
    "t",
    "r",
    "span",
    "a",
    "s",
    "instrText",
    "delText",
    "hyperlink",
    "ins",
    "del",
    "smartTag",
    "fld",
    "bookmark-start",
    "rPr",
];
/// Elements whose end ends a line. What precedes one in the same run or paragraph, as in a text box, ends at its
/// beginning.
const BLOCKS: [&str; 9] = ["p", "h", "si", "is", "c", "tc", "table-cell", "rPh", "comment"];

#[derive(Debug, Default)]
enum State {
    #[default]
    Text,
    Tag,
    Reference,
    /// Inside a comment, a declaration or CDATA.
    Marked,
}

/// Extracts the visible text of a document.
#[derive(Debug, Default)]
pub(super) struct VisibleText {
    state: State,
    /// The tag or reference so far.
    word: Vec<u8>,
    /// White space that counts only if text follows in the same element.
    blanks: Vec<u8>,
    /// The current element has text.
    text: bool,
    /// Inside an element that contains only text.
    run: bool,
    lines: Lines,
}

impl VisibleText {
    /// Takes the next octets, in UTF-8; returns the text they show.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> &[u8] {
        self.lines.begin_piece();
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            let used = match self.state {
                State::Text => self.text(rest),
                // Comments and CDATA are told apart octet by octet.
                State::Tag if *self.word.first().unwrap_or(&first) != b'!' => self.within_tag(rest),
                _ => 0,
            };
            if used == 0 {
                self.step(first);
            }
            rest = &rest[used.max(1)..];
        }
        self.lines.end_piece()
    }

    /// Takes text up to the next tag or reference; returns how many octets.
    fn text(&mut self, bytes: &[u8]) -> usize {
        let length = memchr2(b'<', b'&', bytes).unwrap_or(bytes.len());
        let mut letters = &bytes[..length];
        if !self.text {
            let blanks = letters.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let room = TAG.saturating_sub(self.blanks.len());
            self.blanks.extend_from_slice(&letters[..blanks.min(room)]);
            letters = &letters[blanks..];
        }
        if !letters.is_empty() {
            self.letter(letters);
        }
        length
    }

    /// Takes the octets of a tag before its end; returns how many.
    fn within_tag(&mut self, bytes: &[u8]) -> usize {
        let length = memchr(b'>', bytes).unwrap_or(bytes.len());
        let room = TAG - self.word.len();
        self.word.extend_from_slice(&bytes[..length.min(room)]);
        if length > room {
            // Only the beginning and the last character matter.
            self.word[TAG - 1] = bytes[length - 1];
        }
        length
    }

    fn step(&mut self, byte: u8) {
        match self.state {
            State::Text => match byte {
                b'<' => {
                    self.end_text();
                    self.state = State::Tag;
                }
                b'&' => self.state = State::Reference,
                _ => self.letter(&[byte]),
            },
            State::Tag => {
                if byte == b'>' {
                    self.state = State::Text;
                    let mut tag = std::mem::take(&mut self.word);
                    self.tag(&tag);
                    tag.clear();
                    self.word = tag;
                } else if self.word.len() < TAG {
                    self.word.push(byte);
                    if matches!(self.word.as_slice(), b"!--" | b"![CDATA[") {
                        self.state = State::Marked;
                    }
                } else {
                    // Only the beginning and the last character matter.
                    self.word[TAG - 1] = byte;
                }
            }
            State::Reference => {
                if byte == b';' || self.word.len() >= 16 {
                    self.state = State::Text;
                    let name = std::mem::take(&mut self.word);
                    self.reference(&name);
                } else {
                    self.word.push(byte);
                }
            }
            State::Marked => self.marked(byte),
        }
    }

    /// A comment shows nothing; CDATA shows its content.
    fn marked(&mut self, byte: u8) {
        let comment = self.word.starts_with(b"!--");
        if !comment {
            self.lines.show(&[byte]);
        }
        self.word.push(byte);
        let end: &[u8] = if comment { b"-->" } else { b"]]>" };
        let start = if comment { 3 } else { 8 };
        if self.word.len() >= start + 3 && self.word.ends_with(end) {
            self.word.clear();
            self.state = State::Text;
            if !comment {
                self.lines.end();
            }
        } else if self.word.len() > TAG {
            self.word.drain(start..TAG - 8);
        }
    }

    fn letter(&mut self, bytes: &[u8]) {
        if bytes.iter().all(u8::is_ascii_whitespace) && !self.text {
            if self.blanks.len() < TAG {
                self.blanks.extend_from_slice(bytes);
            }
            return;
        }
        self.lines.blank(&self.blanks);
        self.blanks.clear();
        self.lines.show(bytes);
        self.text = true;
    }

    /// White space alone counts if it fills a run or is within one line.
    fn end_text(&mut self) {
        if self.run || !self.blanks.contains(&b'\n') {
            self.lines.blank(&self.blanks);
        }
        self.blanks.clear();
    }

    fn reference(&mut self, name: &[u8]) {
        let text = std::str::from_utf8(name).unwrap_or_default();
        let number = text.strip_prefix('#').and_then(|number| match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => number.parse().ok(),
        });
        let letter = match text {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => number.and_then(char::from_u32),
        };
        if let Some(letter) = letter {
            self.letter(letter.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    fn tag(&mut self, tag: &[u8]) {
        if matches!(tag.first(), Some(b'?' | b'!')) {
            return;
        }
        let (closing, tag) = match tag.strip_prefix(b"/") {
            Some(tag) => (true, tag),
            None => (false, tag),
        };
        let empty = tag.ends_with(b"/");
        let end =
            tag.iter().position(|&byte| byte.is_ascii_whitespace() || byte == b'/').unwrap_or(tag.len());
        let name = std::str::from_utf8(&tag[..end]).unwrap_or_default();
        let name = name.rsplit(':').next().unwrap_or_default();
        let ends_line = ((closing || empty) && BLOCKS.contains(&name))
            || (closing && self.text && !INLINE.contains(&name));
        match name {
            "br" | "cr" | "line-break" | "rPh" if !closing => self.lines.end(),
            "tab" | "ptab" if !closing => self.lines.blank(b"\t"),
            "s" if empty => self.lines.blank(b" "),
            "noBreakHyphen" if !closing => self.lines.show(b"-"),
            "sym" if !closing => self.symbol(tag),
            _ if is_gap(name) && closing => self.lines.leave(),
            _ if is_gap(name) && empty => self.lines.pass_over(),
            _ if is_gap(name) => self.lines.enter(),
            _ if ends_line => self.lines.end(),
            // Only where something stands before it: an end of a line more changes nothing else.
            _ if !closing && BLOCKS.contains(&name) => self.lines.end_shown(),
            _ => {}
        }
        self.run = !closing && !empty && matches!(name, "t" | "delText" | "instrText");
        self.text = false;
    }

    /// A character of a font: shown as such, unless the font has pictures in place of letters.
    fn symbol(&mut self, tag: &[u8]) {
        let value = |name: &[u8]| {
            let from = memmem::find(tag, name)? + name.len();
            std::str::from_utf8(tag.get(from..)?.split(|&byte| byte == b'"').next()?).ok()
        };
        let pictures = value(b"font=\"").is_none_or(|font| font.contains("dings") || font == "Symbol");
        let code = value(b"char=\"").and_then(|digits| u32::from_str_radix(digits, 16).ok());
        // Fonts of symbols have their codes from U+F000 on.
        let code = code.map(|code| if (0xf020..0xf100).contains(&code) { code - 0xf000 } else { code });
        match code.and_then(char::from_u32).filter(|letter| !pictures && !letter.is_control()) {
            Some(letter) => self.lines.show(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            None => self.lines.pass_over(),
        }
    }
}

/// Elements in whose place the programs show something other than letters of the line: pictures, shapes, boxes,
/// marks of notes, readings above letters, fields to fill in.
fn is_gap(name: &str) -> bool {
    match name.len() {
        2 => name == "rt",
        4 => matches!(name, "pict" | "note" | "list"),
        5 => matches!(name, "pgNum" | "oMath" | "frame" | "image" | "table"),
        6 => name == "object",
        7 => matches!(name, "drawing" | "textbox"),
        8 => name == "text-box",
        9 => matches!(name, "separator" | "ruby-text"),
        10 => name == "endnoteRef",
        11 => matches!(name, "footnoteRef" | "txbxContent"),
        12 => name == "custom-shape",
        13 => name == "note-citation",
        16 => matches!(name, "endnoteReference" | "AlternateContent"),
        17 => name == "footnoteReference",
        _ => false,
    }
}
