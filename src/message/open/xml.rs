//! The visible text of XML documents (OOXML, ODF): runs are joined as the programs join them; paragraphs,
//! cells and line breaks are kept apart; white space between tags is dropped.

use memchr::{memchr, memchr2};

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
/// Elements whose end ends a line.
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
    out: Vec<u8>,
}

impl VisibleText {
    /// Takes the next octets, in UTF-8; returns the text they show.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> &[u8] {
        self.out.clear();
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
        &self.out
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
            self.out.push(byte);
        }
        self.word.push(byte);
        let end: &[u8] = if comment { b"-->" } else { b"]]>" };
        let start = if comment { 3 } else { 8 };
        if self.word.len() >= start + 3 && self.word.ends_with(end) {
            self.word.clear();
            self.state = State::Text;
            if !comment {
                self.out.push(b'\n');
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
        self.out.append(&mut self.blanks);
        self.out.extend_from_slice(bytes);
        self.text = true;
    }

    /// White space alone counts if it fills a run or is within one line.
    fn end_text(&mut self) {
        let mut blanks = std::mem::take(&mut self.blanks);
        if self.run || !blanks.contains(&b'\n') {
            self.out.append(&mut blanks);
        }
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
            "br" | "cr" | "line-break" | "rPh" if !closing => self.out.push(b'\n'),
            "tab" | "ptab" if !closing => self.out.push(b'\t'),
            "s" if empty => self.out.push(b' '),
            "noBreakHyphen" if !closing => self.out.push(b'-'),
            _ if ends_line => self.out.push(b'\n'),
            _ => {}
        }
        self.run = !closing && !empty && matches!(name, "t" | "delText" | "instrText");
        self.text = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(xml: &str, size: usize) -> String {
        let mut machine = VisibleText::default();
        let mut out = Vec::new();
        xml.as_bytes().chunks(size).for_each(|chunk| out.extend_from_slice(machine.feed(chunk)));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn runs_are_joined_and_paragraphs_are_not() {
        for (xml, text) in [
            (
                "<w:p><w:r><w:t>user@</w:t></w:r><w:r><w:rPr><w:b/></w:rPr><w:t>x.jp</w:t></w:r></w:p><w:p>",
                "user@x.jp\n",
            ),
            (
                "<w:p>\n  <w:r>\n <w:t>user</w:t>\n </w:r>\n <w:r>\n <w:t>@x.jp</w:t></w:r></w:p>",
                "user@x.jp\n",
            ),
            ("<w:r><w:t>list</w:t><w:br/><w:t>a@x.jp</w:t><w:tab/></w:r>", "list\na@x.jp\t"),
            ("<w:t xml:space=\"preserve\"> </w:t><w:t>a</w:t>", " a"),
            (
                "<si><r><t>a&#64;</t></r><r><t>x&amp;</t></r><rPh sb=\"0\"><t>ka</t></rPh></si>",
                "a@x&\nka\n\n",
            ),
            ("<a:p><a:r><a:t>a@</a:t></a:r><a:r><a:t>x.jp</a:t></a:r></a:p>", "a@x.jp\n"),
            (
                "<text:p>to <text:span>a@</text:span><text:span>x.jp</text:span><text:s/>b</text:p>",
                "to a@x.jp b\n",
            ),
            ("<dc:title>foo</dc:title><dc:creator>a@x.jp</dc:creator>", "foo\na@x.jp\n"),
            ("<!-- a --><x><![CDATA[a@x]]></x>", "a@x]]>\n"),
            ("<row><c><v>1</v></c><c><v>a@x.jp</v></c></row>", "1\n\na@x.jp\n\n"),
        ] {
            for size in [1, 3, 1_000] {
                assert_eq!(shown(xml, size), text, "{xml} by {size}");
            }
        }
    }
}
