//! HTML as a browser shows it: a tokenizer by the rules of the HTML standard (§13.2.5) that keeps the text
//! and drops tags, comments, scripts and styles. It streams, holds no more than one attribute, and may
//! wait between threads, which is why it is not `html5ever`; a test holds it against that.

use super::escapes::{Digits, Unescape};
use super::tags::begins_line;
use crate::message::walk::transfer::Base64;
use memchr::{memchr, memchr2};

/// Longest value of an attribute that is looked into, in octets.
const VALUE: usize = 256 * 1_024;
/// Longest name that is told apart.
const NAME: usize = 16;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// After `<`; whether `/` came, too.
    Open,
    EndOpen,
    TagName,
    BeforeName,
    AttributeName,
    AfterName,
    BeforeValue,
    /// In a value that this octet ends; 0 for one without quotes.
    Value(u8),
    /// In a page within another text: after a quote that followed its like.
    Empty(u8),
    /// After `<!`, and the dash that may have come.
    Declaration(bool),
    Comment(Dashes),
    /// `<?x>`, `<!x>`, `</ >`.
    Bogus,
    /// In a script or the like, with the octets of its end tag that were seen.
    Raw(usize),
}

/// How far a comment's end has come (§13.2.5.43 to §13.2.5.52).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dashes {
    Start,
    StartDash,
    None,
    One,
    Two,
    Bang,
}

/// The machine.
#[derive(Debug, Default)]
pub(super) struct Page {
    state: State,
    closing: bool,
    /// The tag's name; the element's whose raw text this is.
    name: Vec<u8>,
    attribute: Vec<u8>,
    value: Vec<u8>,
    /// Open `template` elements: what they hold is not shown.
    templates: usize,
    /// An end tag in raw text, so far: text if it turns out to be none.
    ending: Vec<u8>,
    /// A reader who looks at nothing but `<` and `>` sees something else since this was last asked.
    differs: bool,
    /// The page stood in another text, whose blanks and quotes are written in its way: see [`Page::within`].
    within: bool,
    /// In such a page: the octet before, in a tag.
    before: u8,
}

impl Page {
    /// A page that stood in another text. There `\n` and `=0A` in a tag are blanks (JSON, calendars,
    /// quoted-printable that was written into a text), and the quotes of a value are doubled (CSV). In the text
    /// between tags they stay, for the search knows both readings of them.
    pub(super) fn within() -> Self {
        Self { within: true, ..Self::default() }
    }

    /// Text goes to `shown`; what attributes hold that is written in a way of its own, to `aside`.
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

    /// Whether a coarser reader sees something else in what came since the last call.
    pub(super) fn take_differs(&mut self) -> bool {
        std::mem::take(&mut self.differs)
    }

    /// In a script, a comment or the like, `<` and `>` are no signs of tags.
    fn compare(&mut self) {
        self.differs |= self.templates > 0
            || matches!(self.state, State::Raw(_) | State::Comment(_) | State::Declaration(_) | State::Bogus);
    }

    fn show(&self, bytes: &[u8], shown: &mut Vec<u8>) {
        if self.templates == 0 {
            shown.extend_from_slice(bytes);
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

    /// Letters of a name.
    fn name(&mut self, bytes: &[u8]) -> usize {
        let length = bytes.iter().position(|&byte| !is_name(byte)).unwrap_or(bytes.len());
        let name = if self.state == State::TagName { &mut self.name } else { &mut self.attribute };
        let room = NAME.saturating_sub(name.len());
        name.extend(bytes[..length.min(room)].iter().map(u8::to_ascii_lowercase));
        length
    }

    /// One octet in a tag; gives how many were used, for some are looked at again.
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

    /// An octet in a tag; a blank where it is part of one that is written `\n`.
    fn as_blank(&mut self, byte: u8) -> u8 {
        let escaped =
            std::mem::replace(&mut self.before, byte) == b'\\' && matches!(byte, b'n' | b'r' | b't' | b'f');
        if self.within && (escaped || byte == b'\\') { b' ' } else { byte }
    }

    /// After a quote that followed its like: the value is empty, or its quotes are doubled.
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

    /// A tag is over: what it does to the text.
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

    /// In an element whose content is no markup, until its end tag.
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
                    self.show(&self.ending, shown);
                }
                self.state = State::Raw(0);
                0
            }
        }
    }
}

/// Makes blanks of a value's `\n` and its like.
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

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

/// What a value holds that a search of the page's octets cannot see: a `data:` URI, a page, a link with
/// line ends in it, which browsers drop.
fn look_into(attribute: &[u8], value: &[u8], aside: &mut Vec<u8>) {
    let start = value.trim_ascii_start();
    let start = &start[..start.len().min(16)];
    let is_data = start.len() > 5 && start[..5].eq_ignore_ascii_case(b"data:");
    let cut = memchr2(b'\n', b'\t', value).is_some();
    if !(is_data || attribute == b"srcdoc" || cut || memchr(b'&', start).is_some()) {
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

/// RFC 2397, after `data:`.
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
