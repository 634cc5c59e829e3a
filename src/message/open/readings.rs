//! Additional decodings of a text: each that a common mail program may choose is searched too.

use super::leaf::Info;
use super::{Context, Kind, UNHEARD};
use crate::message::charset::{Charset, Decoder};
use memchr::{memchr2, memmem};
use std::borrow::Cow;

/// Octets kept from before the first one that is not valid UTF-8: longer than any address.
const TAIL: usize = 1_024;
/// Octets in which a page may declare its own set, as browsers search for it.
const PRESCAN: usize = 1_024;

/// The decodings other than the main one.
#[derive(Debug)]
pub(super) struct Readings {
    open: Vec<(Decoder, usize)>,
    /// Present while the text may still turn out to be in an undeclared set.
    guess: Option<Guess>,
    kind: Kind,
    decoded: String,
}

#[derive(Debug, Default)]
struct Guess {
    /// The last octets, and an incomplete character at their end.
    tail: Vec<u8>,
    cut: Vec<u8>,
    shifts: bool,
    eight_bit: bool,
}

impl Readings {
    /// `guess`: the octets may be in a set that nothing declares.
    pub(super) fn new(kind: Kind, guess: bool) -> Self {
        Self { open: Vec::new(), guess: guess.then(Guess::default), kind, decoded: String::new() }
    }

    /// Adds a decoding from here on.
    pub(super) fn add(&mut self, charset: Charset, info: &Info, cx: &mut Context<'_>) {
        let stream = cx.sink.open(&info.place, info.form, self.kind);
        if stream == UNHEARD {
            return;
        }
        self.open.push((charset.decoder(), stream));
    }

    pub(super) fn feed(&mut self, piece: &[u8], info: &Info, cx: &mut Context<'_>) {
        self.decode(0, piece, false, cx);
        let Some(mut guess) = self.guess.take() else { return };
        let known = self.open.len();
        for charset in guess.wanted(piece) {
            self.add(charset, info, cx);
        }
        if self.open.len() > known {
            self.decode(known, &guess.tail, false, cx);
            self.decode(known, piece, false, cx);
        }
        if !(guess.shifts && guess.eight_bit) {
            guess.remember(piece);
            self.guess = Some(guess);
        }
    }

    fn decode(&mut self, first: usize, piece: &[u8], last: bool, cx: &mut Context<'_>) {
        for (decoder, stream) in self.open.iter_mut().skip(first) {
            self.decoded.clear();
            decoder.feed(piece, last, &mut self.decoded);
            cx.sink.content(*stream, self.decoded.as_bytes());
        }
    }

    pub(super) fn finish(&mut self, cx: &mut Context<'_>) {
        self.decode(0, b"", true, cx);
        for (_, stream) in self.open.drain(..) {
            cx.sink.close(stream);
        }
    }
}

impl Guess {
    /// The decodings that become plausible with these octets.
    fn wanted(&mut self, piece: &[u8]) -> Vec<Charset> {
        let mut wanted = Vec::new();
        if !self.shifts && memchr2(0x1b, 0x0e, piece).is_some() {
            self.shifts = true;
            wanted.push(Charset::ISO_2022_JP);
        }
        if !self.eight_bit && self.is_no_utf8(piece) {
            self.eight_bit = true;
            let eight_bit = |charset: &&Charset| !charset.is_shifted();
            wanted.extend(Charset::GUESSES.iter().filter(eight_bit));
        }
        wanted
    }

    /// Whether the text so far is invalid UTF-8. If it is valid, its full-width letters and kanji are in no
    /// other encoding.
    fn is_no_utf8(&mut self, piece: &[u8]) -> bool {
        if self.cut.is_empty() && piece.is_ascii() {
            return false;
        }
        let joined = match self.cut.as_slice() {
            [] => Cow::Borrowed(piece),
            cut => Cow::Owned([cut, piece].concat()),
        };
        match simdutf8::compat::from_utf8(&joined) {
            Ok(_) => self.cut.clear(),
            Err(error) if error.error_len().is_none() => self.cut = joined[error.valid_up_to()..].to_vec(),
            Err(_) => return true,
        }
        false
    }

    fn remember(&mut self, piece: &[u8]) {
        if piece.len() < TAIL {
            self.tail.extend_from_slice(piece);
            self.tail.drain(..self.tail.len().saturating_sub(TAIL));
        } else {
            self.tail.clear();
            self.tail.extend_from_slice(&piece[piece.len() - TAIL..]);
        }
    }
}

/// The set that a page, an XML file or a style sheet declares in its first octets.
pub(super) fn declared_within(head: &[u8], kind: Kind) -> Option<Charset> {
    let head = head[..head.len().min(PRESCAN)].to_ascii_lowercase();
    let xml = head.starts_with(b"<?xml");
    if kind != Kind::Html && !xml && !head.starts_with(b"@charset") {
        return None;
    }
    let after = |word: &[u8]| memmem::find(&head, word).map(|at| &head[at + word.len()..]);
    let rest = after(b"charset").or_else(|| if xml { after(b"encoding") } else { None })?;
    let quiet = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'=' | b'"' | b'\'');
    let rest = &rest[rest.iter().position(|byte| !quiet(byte))?..];
    let end = rest.iter().position(|byte| quiet(byte) || matches!(byte, b'>' | b'/' | b';' | b'?'));
    let charset = Charset::named(&rest[..end.unwrap_or(rest.len())])?;
    // The declaration was readable as ASCII, so the text is not UTF-16, whatever it says.
    (!charset.is_wide()).then_some(charset)
}
