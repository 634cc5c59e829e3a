//! Searches one view of one place as a stream. The sliding window finds matches across the boundary of two chunks,
//! so the size of chunks does not change what is found.

use super::needles::{Needles, Spot};
use super::tokens;
use memchr::{memchr_iter, memchr3_iter};

/// How many octets are collected before the window is searched.
const WINDOW: usize = 16 * 1_024;
/// What a view is searched for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// `local=domain` and `local%domain`, as a recipient is written in bounce addresses.
    pub(super) verp: bool,
    /// Base64 inside the text.
    pub(super) tokens: bool,
    /// What the view is.
    pub(super) of: Of,
}

/// What a text is in which addresses are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Of {
    /// Text, decoded.
    #[default]
    Words,
    /// Octets that are not decoded, so that their encoding is unknown. A soft line break of quoted-printable does not
    /// end a word, because half a word could look like a different address. Nothing is missed, because the decoded text
    /// is searched, too.
    Raw,
    /// Put together: an address may be between dots, hyphens and the like, as in the Message-ID
    /// `20061220.F016.taro@x.jp`.
    Parts,
}

/// How a needle was written where it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As text.
    Plain,
    /// `local=domain`.
    Verp,
    /// Two octets a character.
    Utf16,
    /// Base64 inside the text.
    Token,
}

/// The window of one view.
#[derive(Debug, Default)]
pub(super) struct Stream {
    window: Vec<u8>,
    searched: usize,
    look: Look,
}

impl Stream {
    pub(super) fn new(look: Look) -> Self {
        Self { look, ..Self::default() }
    }

    /// Searches the next bytes of the view.
    pub(super) fn feed(&mut self, needles: &Needles, bytes: &[u8], found: &mut impl FnMut(u32, Form)) {
        for piece in bytes.chunks(WINDOW) {
            self.window.extend_from_slice(piece);
            if self.window.len() >= WINDOW {
                self.slide(needles, found);
            }
        }
    }

    fn slide(&mut self, needles: &Needles, found: &mut impl FnMut(u32, Form)) {
        // UTF-16 has two octets for each character, base64 four for three.
        let reach = 2 * needles.reach();
        let until = self.window.len().saturating_sub(reach);
        if until <= self.searched {
            return;
        }
        search(needles, &self.window, self.searched..until, self.look, found);
        let keep = until.saturating_sub(reach);
        self.window.copy_within(keep.., 0);
        self.window.truncate(self.window.len() - keep);
        self.searched = until - keep;
    }

    /// Searches the rest of the window at the end of the view.
    pub(super) fn finish(&mut self, needles: &Needles, found: &mut impl FnMut(u32, Form)) {
        search(needles, &self.window, self.searched..self.window.len(), self.look, found);
        self.window.clear();
        self.searched = 0;
    }
}

/// Searches a complete text.
pub(super) fn search_all(needles: &Needles, text: &[u8], look: Look, found: &mut impl FnMut(u32, Form)) {
    search(needles, text, 0..text.len(), look, found);
}

/// Searches around each separator in `range`.
fn search(
    needles: &Needles,
    text: &[u8],
    range: std::ops::Range<usize>,
    look: Look,
    found: &mut impl FnMut(u32, Form),
) {
    if needles.addresses().is_empty() {
        return;
    }
    let region = &text[range.clone()];
    if look.verp {
        for at in memchr3_iter(b'@', b'=', b'%', region) {
            separator(needles, &Spot { text, at: range.start + at, of: look.of }, found);
        }
    } else {
        for at in memchr_iter(b'@', region) {
            separator(needles, &Spot { text, at: range.start + at, of: look.of }, found);
        }
    }
    if look.tokens {
        tokens::search(needles, text, range, &mut |index| found(index, Form::Token));
    }
}

/// Looks up the address around a separator, as octets or as UTF-16.
pub(super) fn separator(needles: &Needles, spot: &Spot<'_>, found: &mut impl FnMut(u32, Form)) {
    let (text, at) = (spot.text, spot.at);
    let form = if text[at] == b'@' { Form::Plain } else { Form::Verp };
    if let Some(index) = needles.at(spot) {
        found(index, form);
    } else if form == Form::Plain && (text.get(at + 1) == Some(&0) || (at > 0 && text[at - 1] == 0)) {
        let (word, low) = utf16(needles, text, at, true);
        let (_, high) = utf16(needles, text, at, false);
        let high = high.filter(|&index| low != Some(index) && !is_longer(needles, text, (at, word), index));
        low.into_iter().chain(high).for_each(|index| found(index, Form::Utf16));
    }
}

/// The length of the word before an `@` in one byte order of UTF-16, and the needle around the `@`.
fn utf16(needles: &Needles, text: &[u8], at: usize, low_first: bool) -> (usize, Option<u32>) {
    let (narrow, at) = narrow(text, at, low_first, needles.reach());
    (at, needles.at(&Spot { text: &narrow, at, of: Of::Words }))
}

/// How many octets before and after an `@` are examined to find the byte order of UTF-16.
const VICINITY: usize = 96;
/// How many places must indicate the byte order.
const VOTES: usize = 2;

/// Whether an address that was read in big-endian order is certainly a longer one in little-endian order, such as
/// `xtaro@`, of which big-endian order takes `x` for half of a character. `(at, low)` is the position of the `@`, and
/// the length of the word before it in little-endian order.
///
/// Inside a word, the two orders cannot be told apart. They differ where a word meets a character beyond ASCII, which
/// the wrong order turns into a control character.
fn is_longer(needles: &Needles, text: &[u8], (at, low): (usize, usize), index: u32) -> bool {
    let address = usize::try_from(index).ok().and_then(|index| needles.addresses().get(index));
    if address.is_none_or(|address| low <= address.local().len()) {
        return false;
    }
    let is_letter = |byte: u8| matches!(byte, 9 | 10 | 13 | 0x20..0x7f | 0xa0..);
    // Control characters below the space are common in files and indicate nothing.
    let is_half = |byte: u8| (0x7f..0xa0).contains(&byte);
    let start = at.saturating_sub(VICINITY);
    let (mut low, mut high) = (0, 0);
    for (index, three) in text[start..text.len().min(at + VICINITY)].windows(3).enumerate() {
        // All zeros of this word are at odd distances from the `@`.
        if (start + index + 1).abs_diff(at) % 2 == 0 {
            continue;
        }
        match *three {
            [before, 0, after] if is_letter(before) && is_half(after) => low += 1,
            [before, 0, after] if is_half(before) && is_letter(after) => high += 1,
            _ => {}
        }
    }
    high == 0 && low >= VOTES
}

/// The text around an `@` read as UTF-16. A character beyond ASCII becomes a space, which ends a word.
fn narrow(text: &[u8], at: usize, low_first: bool, reach: usize) -> (Vec<u8>, usize) {
    let unit = |pair: &[u8]| match (pair, low_first) {
        ([byte, 0], true) | ([0, byte], false) => *byte,
        _ => b' ',
    };
    // Where the code unit of the `@` begins.
    let start = if low_first { at } else { at.saturating_sub(1) };
    let (before, after) = text.split_at(start);
    let ends = |byte: &u8| !matches!(byte, b' ' | b'@' | b'<' | b'>' | b';' | b',');
    let mut narrow: Vec<u8> = before.rchunks_exact(2).take(reach).map(unit).take_while(ends).collect();
    narrow.reverse();
    let middle = narrow.len();
    narrow.push(b'@');
    narrow.extend(after.chunks_exact(2).skip(1).take(reach).map(unit).take_while(ends));
    (narrow, middle)
}
