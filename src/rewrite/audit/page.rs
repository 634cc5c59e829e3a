//! Extracts the text that a browser shows of an HTML page: a tokenizer that follows the HTML standard
//! (§13.2.5), keeps the text, and drops tags, comments, scripts and styles. It works on a stream, and keeps
//! at most one attribute in memory. A scan can pause and continue on another thread, which `html5ever` does
//! not allow. A test compares the two.

use super::escapes::{Digits, Unescape};
use super::tags::{begins_line, is_replaced};
use crate::message::walk::transfer::Base64;
use memchr::{memchr, memchr2};

/// The maximum length of an attribute value that is examined, in octets. The rest is ignored.
const VALUE: usize = 256 * 1_024;
/// The maximum length of a name. Longer names are cut, because all names that matter are shorter.
const NAME: usize = 16;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// After `<`.
    Open,
    /// After `</`.
    EndOpen,
    TagName,
    BeforeName,
    AttributeName,
    AfterName,
    BeforeValue,
    /// In an attribute value that ends with this quote; 0 for a value without quotes.
    Value(u8),
    /// After two of these quotes at the start of a value. Used only for a page embedded in another text.
    Empty(u8),
    /// After `<!`, or after `<!-` if true.
    Declaration(bool),
    Comment(Dashes),
    /// In a bogus comment, as the standard calls it: `<?x>`, `<!x>` or `</ >`.
    Bogus,
    /// In a script or a similar element; how many octets of its end tag were seen.
    Raw(usize),
}

/// The state in a comment: which characters of its end were just seen (§13.2.5.43 to §13.2.5.52).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dashes {
    Start,
    StartDash,
    None,
    One,
    Two,
    Bang,
}

/// The tokenizer of one page.
#[derive(Debug, Default)]
pub(super) struct Page {
    state: State,
    closing: bool,
    /// The name of the current tag, or of the element whose raw text is being read.
    name: Vec<u8>,
    attribute: Vec<u8>,
    value: Vec<u8>,
    /// The number of open `template` elements. Browsers do not show their contents.
    templates: usize,
    /// The octet that was shown last.
    last: u8,
    /// The octets in raw text that may be the start of its end tag. If it is not there, they are text.
    ending: Vec<u8>,
    /// Whether a reader that looks only at `<` and `>` may have seen a different text since the last call of
    /// [`Page::take_differs`].
    differs: bool,
    /// The page is embedded in another text, which changes how blanks and quotes are written: see
    /// [`Page::within`].
    within: bool,
    /// The octet that was last passed to [`Page::as_blank`].
    before: u8,
}

impl Page {
    /// A page that is embedded in another text. In its tags, `\n` and `=0A` are blanks (JSON, calendars,
    /// quoted-printable inside a text), and the quotes of a value may be doubled (CSV). In the text between
    /// tags, they are kept, because the search reads them both ways.
    pub(super) fn within() -> Self {
        Self { within: true, ..Self::default() }
    }

    /// Reads the next octets. The text of the page is written to `shown`. Attribute values that have an
    /// encoding of their own are decoded and written to `aside`.
    pub(super) fn feed(&mut self, mut bytes: &[u8], shown: &mut Vec<u8>, aside: &mut Vec<u8>) {
        self.compare();
        while !bytes.is_empty() {
            let used = match self.state {
                State::Text => self.text(bytes, shown),
                State::Raw(seen) => self.raw(bytes, seen, shown),
                State::Comment(dashes) => self.comment(bytes, dashes),
                State::Value(end) => self.value(bytes, end, shown, aside),
                State::Empty(end) => self.empty(bytes[0], end),
                State::TagName | State::AttributeName if is_name(bytes[0]) => self.name(bytes),
                State::Open if !self.within => {
                    self.whole(bytes, shown).unwrap_or_else(|| self.step(bytes[0], shown))
                }
                State::Bogus => {
                    let end = memchr(b'>', bytes);
                    if end.is_some() {
                        self.state = State::Text;
                    }
                    end.map_or(bytes.len(), |at| at + 1)
                }
                _ => self.step(bytes[0], shown),
            };
            bytes = &bytes[used..];
        }
        self.compare();
    }

    /// Whether a reader that looks only at `<` and `>` may have seen a different text since the last call.
    pub(super) fn take_differs(&mut self) -> bool {
        std::mem::take(&mut self.differs)
    }

    /// Notes whether a reader that looks only at `<` and `>` may see a different text in the current state:
    /// in a script, a comment and the like, `<` and `>` do not mark tags, and the contents of a `template`
    /// are not shown.
    fn compare(&mut self) {
        self.differs |= self.templates > 0
            || matches!(self.state, State::Raw(_) | State::Comment(_) | State::Declaration(_) | State::Bogus);
    }

    fn show(&mut self, bytes: &[u8], shown: &mut Vec<u8>) {
        if self.templates == 0 {
            shown.extend_from_slice(bytes);
            self.last = bytes.last().copied().unwrap_or(self.last);
        }
    }

    fn text(&mut self, bytes: &[u8], shown: &mut Vec<u8>) -> usize {
        let end = memchr(b'<', bytes);
        self.show(&bytes[..end.unwrap_or(bytes.len())], shown);
        if end.is_some() {
            self.state = State::Open;
        }
        end.map_or(bytes.len(), |at| at + 1)
    }

    /// Reads the octets at the start of `bytes` that belong to a name. Returns how many they are.
    fn name(&mut self, bytes: &[u8]) -> usize {
        let length = bytes.iter().position(|&byte| !is_name(byte)).unwrap_or(bytes.len());
        let name = if self.state == State::TagName { &mut self.name } else { &mut self.attribute };
        let room = NAME.saturating_sub(name.len());
        name.extend(bytes[..length.min(room)].iter().map(u8::to_ascii_lowercase));
        length
    }

    /// Reads a tag that stands whole at the start of `bytes`, after its `<`, and that is written as nearly all are: its
    /// attributes have no value or one in quotes, and no value has a text of its own. Returns its length.
    fn whole(&mut self, bytes: &[u8], shown: &mut Vec<u8>) -> Option<usize> {
        let closing = bytes[0] == b'/';
        let start = usize::from(closing);
        bytes.get(start).filter(|byte| byte.is_ascii_alphabetic())?;
        let end = start + bytes[start..].iter().position(|&byte| ends_name(byte))?;
        let (mut at, mut differs) = (end, false);
        loop {
            at += bytes[at..].iter().position(|byte| !byte.is_ascii_whitespace() && *byte != b'/')?;
            if bytes[at] == b'>' {
                break;
            }
            let name = at;
            at += 1 + bytes[at + 1..].iter().position(|&byte| ends_name(byte) || byte == b'=')?;
            match bytes[at..] {
                [b'=', quote @ (b'"' | b'\''), ..] => {
                    let value = &bytes[at + 2..];
                    let value = &value[..memchr(quote, value)?];
                    if holds_text(&bytes[name..at], value) {
                        return None;
                    }
                    differs |= memchr(b'>', value).is_some();
                    at += value.len() + 3;
                }
                [b'>' | b'/', ..] => {}
                [b'=', ..] => return None,
                _ => {
                    at += bytes[at..].iter().position(|byte| !byte.is_ascii_whitespace())?;
                    if bytes[at] == b'=' {
                        return None;
                    }
                }
            }
        }
        self.closing = closing;
        self.differs |= differs;
        self.name.clear();
        self.name.extend(bytes[start..end].iter().take(NAME).map(u8::to_ascii_lowercase));
        self.tag(shown);
        Some(at + 1)
    }

    /// Reads one octet in a tag. Returns 1, or 0 if the next state has to read the same octet again.
    fn step(&mut self, byte: u8, shown: &mut Vec<u8>) -> usize {
        let byte = self.as_blank(byte);
        let blank = byte.is_ascii_whitespace();
        let (state, used) = match (self.state, byte) {
            (State::Open, b'/') => (State::EndOpen, 1),
            (State::Open, b'!' | b'?') => {
                self.differs = true;
                (if byte == b'!' { State::Declaration(false) } else { State::Bogus }, 1)
            }
            (State::Open | State::EndOpen, _) if byte.is_ascii_alphabetic() => {
                self.closing = self.state == State::EndOpen;
                self.name.clear();
                (State::TagName, 0)
            }
            (State::Open, _) => {
                self.show(b"<", shown);
                (State::Text, 0)
            }
            (State::EndOpen, b'>') => (State::Text, 1),
            (State::Declaration(false), b'-') => (State::Declaration(true), 1),
            (State::Declaration(true), b'-') => (State::Comment(Dashes::Start), 1),
            (State::EndOpen | State::Declaration(_), _) => {
                self.differs = true;
                (State::Bogus, 0)
            }
            (State::BeforeValue, b'"' | b'\'') => (State::Value(byte), 1),
            (State::BeforeValue, _) if blank => (State::BeforeValue, 1),
            (State::BeforeValue, b'>') => return self.tag(shown),
            (State::BeforeValue, _) => (State::Value(0), 0),
            (_, b'>') => return self.tag(shown),
            (State::TagName | State::AttributeName, b'/') => (State::BeforeName, 1),
            (State::TagName, _) if blank => (State::BeforeName, 1),
            (State::TagName, b'=') if self.within => (State::BeforeName, 1),
            (State::TagName, _) => {
                if self.name.len() < NAME {
                    self.name.push(byte.to_ascii_lowercase());
                }
                (State::TagName, 1)
            }
            (State::AttributeName, _) if blank => (State::AfterName, 1),
            (State::AttributeName | State::AfterName, b'=') => (State::BeforeValue, 1),
            (State::AfterName, _) if blank => (State::AfterName, 1),
            (State::BeforeName, _) if blank || byte == b'/' => (State::BeforeName, 1),
            (State::AfterName, b'/') => (State::BeforeName, 1),
            (State::BeforeName | State::AfterName, _) => {
                self.attribute.clear();
                self.attribute.push(byte.to_ascii_lowercase());
                (State::AttributeName, 1)
            }
            _ => {
                if self.attribute.len() < NAME {
                    self.attribute.push(byte.to_ascii_lowercase());
                }
                (State::AttributeName, 1)
            }
        };
        if matches!(state, State::Value(_)) {
            self.value.clear();
        }
        self.state = state;
        used
    }

    /// Returns an octet of a tag, or a space if the page is embedded and the octet belongs to an escaped
    /// blank such as `\n`.
    fn as_blank(&mut self, byte: u8) -> u8 {
        let escaped =
            std::mem::replace(&mut self.before, byte) == b'\\' && matches!(byte, b'n' | b'r' | b't' | b'f');
        if self.within && (escaped || byte == b'\\') { b' ' } else { byte }
    }

    /// Looks at the octet after two quotes at the start of a value. It decides whether the value is empty or
    /// its quotes are doubled.
    fn empty(&mut self, byte: u8, end: u8) -> usize {
        let over = byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/' | b'\\');
        self.state = if over { State::BeforeName } else { State::Value(end) };
        0
    }

    fn value(&mut self, bytes: &[u8], end: u8, shown: &mut Vec<u8>, aside: &mut Vec<u8>) -> usize {
        let at = match end {
            0 => bytes.iter().position(|byte| byte.is_ascii_whitespace() || *byte == b'>'),
            quote => memchr(quote, bytes),
        };
        let piece = &bytes[..at.unwrap_or(bytes.len())];
        self.differs |= end != 0 && memchr(b'>', piece).is_some();
        let room = VALUE - self.value.len();
        self.value.extend_from_slice(&piece[..piece.len().min(room)]);
        let Some(at) = at else { return bytes.len() };
        if self.within && self.value.is_empty() && end != 0 {
            self.state = State::Empty(end);
            return at + 1;
        }
        if self.within {
            with_blanks(&mut self.value);
        }
        look_into(&self.attribute, &self.value, aside);
        if bytes[at] == b'>' && end == 0 {
            return at + self.tag(shown);
        }
        self.state = State::BeforeName;
        at + 1
    }

    /// Ends a tag, and applies its effect on the text.
    fn tag(&mut self, shown: &mut Vec<u8>) -> usize {
        self.state = State::Text;
        match self.name.as_slice() {
            b"template" if self.closing => self.templates = self.templates.saturating_sub(1),
            b"template" => {
                self.templates += 1;
                self.differs = true;
            }
            b"script" | b"style" | b"title" | b"textarea" | b"xmp" | b"iframe" | b"noembed" | b"noframes"
                if !self.closing =>
            {
                self.state = State::Raw(0);
                self.differs = true;
            }
            name if begins_line(name) => self.show(b" ", shown),
            // It parts words, or not: the search reads what is invisible both ways.
            name if is_replaced(name) => {
                let apart = self.last.is_ascii_whitespace();
                let between: &[u8] = if apart { b" " } else { "\u{200b}".as_bytes() };
                self.show(between, shown);
            }
            _ => {}
        }
        1
    }

    fn comment(&mut self, bytes: &[u8], dashes: Dashes) -> usize {
        if dashes == Dashes::None {
            let Some(at) = memchr(b'-', bytes) else { return bytes.len() };
            self.state = State::Comment(Dashes::One);
            return at + 1;
        }
        let next = match (dashes, bytes[0]) {
            (Dashes::Start | Dashes::StartDash | Dashes::Two | Dashes::Bang, b'>') => {
                self.state = State::Text;
                return 1;
            }
            (Dashes::Start, b'-') => Dashes::StartDash,
            (Dashes::StartDash | Dashes::One | Dashes::Two, b'-') => Dashes::Two,
            (Dashes::Bang, b'-') => Dashes::One,
            (Dashes::Two, b'!') => Dashes::Bang,
            _ => Dashes::None,
        };
        self.state = State::Comment(next);
        1
    }

    /// Reads the content of an element in which tags are not recognised, up to its end tag.
    fn raw(&mut self, bytes: &[u8], seen: usize, shown: &mut Vec<u8>) -> usize {
        let visible = matches!(self.name.as_slice(), b"title" | b"textarea" | b"xmp");
        if seen == 0 {
            let end = memchr(b'<', bytes);
            if visible {
                self.show(&bytes[..end.unwrap_or(bytes.len())], shown);
            }
            if end.is_some() {
                self.ending.clear();
                self.ending.push(b'<');
                self.state = State::Raw(1);
            }
            return end.map_or(bytes.len(), |at| at + 1);
        }
        let byte = bytes[0];
        let expected = if seen == 1 { Some(b'/') } else { self.name.get(seen - 2).copied() };
        let over = byte.is_ascii_whitespace()
            || matches!(byte, b'/' | b'>')
            || (self.within && matches!(byte, b'\\' | b'='));
        match expected {
            Some(expected) if byte.to_ascii_lowercase() == expected => {
                self.ending.push(byte);
                self.state = State::Raw(seen + 1);
                1
            }
            None if over => {
                self.closing = true;
                self.state = State::BeforeName;
                0
            }
            _ => {
                if visible {
                    let ending = std::mem::take(&mut self.ending);
                    self.show(&ending, shown);
                }
                self.state = State::Raw(0);
                0
            }
        }
    }
}

/// Replaces `\n`, `\r` and `\t` in a value by the characters that they stand for.
fn with_blanks(value: &mut Vec<u8>) {
    if memchr(b'\\', value).is_none() {
        return;
    }
    let mut plain = Vec::with_capacity(value.len());
    let mut rest = value.as_slice();
    while let Some(&byte) = rest.first() {
        let (blank, used) = match rest {
            [b'\\', b'n', ..] => (b'\n', 2),
            [b'\\', b'r', ..] => (b'\r', 2),
            [b'\\', b't', ..] => (b'\t', 2),
            _ => (byte, 1),
        };
        plain.push(blank);
        rest = &rest[used..];
    }
    *value = plain;
}

/// Whether a name in a tag ends before this octet.
fn ends_name(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>')
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

/// Decodes a value in which a search of the page's octets could miss an address: a `data:` URI, a page
/// (`srcdoc`), or a link with line ends or tabs in it, which browsers remove. A value with a character
/// reference near its start is decoded, too, because it may be a `data:` URI.
fn look_into(attribute: &[u8], value: &[u8], aside: &mut Vec<u8>) {
    if !holds_text(attribute, value) {
        return;
    }
    let plain = undone(value);
    if attribute == b"srcdoc" {
        aside.extend_from_slice(&plain);
    } else {
        let whole: Vec<u8> = plain
            .trim_ascii()
            .iter()
            .copied()
            .filter(|byte| !matches!(byte, b'\r' | b'\n' | b'\t'))
            .collect();
        if whole.len() > 5 && whole[..5].eq_ignore_ascii_case(b"data:") {
            data(&whole[5..], aside);
        } else {
            aside.extend_from_slice(&whole);
        }
    }
    aside.push(b'\n');
}

/// Whether a value has to be decoded.
fn holds_text(attribute: &[u8], value: &[u8]) -> bool {
    let start = value.trim_ascii_start();
    let start = &start[..start.len().min(16)];
    let is_data = start.len() > 5 && start[..5].eq_ignore_ascii_case(b"data:");
    is_data
        || attribute.eq_ignore_ascii_case(b"srcdoc")
        || memchr2(b'\n', b'\t', value).is_some()
        || memchr(b'&', start).is_some()
}

/// Decodes a `data:` URI (RFC 2397), of which `uri` is the part after `data:`. Images other than SVG, fonts,
/// audio and video are skipped.
fn data(uri: &[u8], aside: &mut Vec<u8>) {
    let Some(comma) = memchr(b',', uri) else { return };
    let kind = uri[..comma].to_ascii_lowercase();
    let main = kind.split(|byte| *byte == b'/').next().unwrap_or_default();
    if matches!(main, b"image" | b"font" | b"audio" | b"video") && !kind.starts_with(b"image/svg") {
        return;
    }
    if kind.trim_ascii_end().ends_with(b"base64") {
        let mut decoder = Base64::default();
        decoder.feed(&uri[comma + 1..], aside);
        decoder.finish(aside);
    } else {
        aside.extend_from_slice(&undone(&uri[comma + 1..]));
    }
}

fn undone(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut unescape = Unescape::new(Digits::default());
    unescape.feed(text, &mut out);
    unescape.finish(&mut out);
    out
}

#[cfg(test)]
mod tests;
