//! Searches a header block: raw, unfolded and decoded. Most blocks need only one pass over their bytes; a field is
//! decoded only if it shows signs of an encoding.

use super::escapes::Unescape;
use super::fold::{Fold, Way};
use super::foreign;
use super::hits::Hits;
use super::reading::LAYERS;
use super::stream::{Form, Look, Of, search_all};
use super::{Needles, words};
use crate::message::header::decode_text;
use crate::message::named;
use crate::message::walk::params;
use memchr::{memchr, memchr_iter, memchr3, memmem};

const LOOK: Look = Look { verp: true, tokens: true, of: Of::Words };
/// The maximum length of a text that is decoded at once, in octets. Longer ones are decoded in pieces.
const PIECE: usize = 64 * 1_024;

/// Searches a block. The place of a hit is `before` followed by `header NAME`.
pub(super) fn search(needles: &Needles, block: &[u8], before: &str, hits: &mut Hits) {
    if needles.addresses().is_empty() {
        return;
    }
    for (start, end) in fields(block) {
        search_field(needles, &block[start..end], before, hits);
    }
}

/// Where the fields begin and end. A field is a line with its continuation lines.
fn fields(block: &[u8]) -> Vec<(usize, usize)> {
    let mut fields = Vec::with_capacity(32);
    let mut start = 0;
    for at in memchr_iter(b'\n', block) {
        if !matches!(block.get(at + 1), Some(b' ' | b'\t')) {
            fields.push((start, at + 1));
            start = at + 1;
        }
    }
    if start < block.len() {
        fields.push((start, block.len()));
    }
    fields
}

fn search_field(needles: &Needles, field: &[u8], before: &str, hits: &mut Hits) {
    let (name, body) = match memchr(b':', field) {
        Some(colon) => (&field[..colon], &field[colon + 1..]),
        None => (&b""[..], field),
    };
    // Identifiers and names of files are put together from parts, of which an address may be one.
    let is_parts =
        named::identifies(&String::from_utf8_lossy(name).trim().to_ascii_lowercase()) || name == b"file name";
    let look = Look { of: if is_parts { Of::Parts } else { Of::Words }, ..LOOK };
    let mut note = |index: u32, form: Form, base: &'static str| {
        let name = String::from_utf8_lossy(name);
        let name: String = name.trim().chars().take(80).filter(|letter| !letter.is_control()).collect();
        // The caller passes file names as fields with this name.
        let kind = if name == "file name" { "" } else { "header " };
        hits.add_in(index, &format!("{before}{kind}{name}"), form, base);
    };
    search_all(needles, field, look, &mut |index, form| note(index, form, "as text"));
    let folded = memchr(b'\n', body).is_some_and(|at| at + 1 < body.len());
    let joined = if folded { unfold(body) } else { Vec::new() };
    if folded {
        search_all(needles, &joined, look, &mut |index, form| note(index, form, "folded"));
    }
    if memchr(b'(', body).is_some() {
        let plain = params::strip_comments(body);
        search_all(needles, plain.as_bytes(), look, &mut |index, form| note(index, form, "with comments"));
    }
    if memmem::find(body, b"=?").is_some() {
        for text in [decode_text(body).into_bytes(), words::decode(body)] {
            search_views(needles, &text, look, &mut |index, form| note(index, form, "encoded-word"));
        }
    }
    if memchr(b'*', body).is_some() {
        for (_, value) in params::read(body).parameters {
            search_views(needles, value.as_bytes(), look, &mut |index, form| note(index, form, "RFC 2231"));
        }
    }
    let escapes = memchr3(b'%', b'&', b'\\', body).is_some()
        || memmem::find(body, b"=40").is_some()
        || foreign::may_be(body);
    if escapes || !body.is_ascii() || body.contains(&0x1b) {
        search_views(needles, body, look, &mut |index, form| note(index, form, "escaped"));
        if folded {
            search_views(needles, &joined, look, &mut |index, form| note(index, form, "escaped"));
        }
        if !body.is_ascii() || body.contains(&0x1b) {
            for text in words::guesses(body) {
                search_views(needles, text.as_bytes(), look, &mut |index, form| note(index, form, "8-bit"));
            }
        }
    }
}

/// The body without line ends and the blanks around them, which joins a word that was folded.
fn unfold(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    for line in body.split(|&byte| byte == b'\n') {
        out.extend_from_slice(line.trim_ascii());
    }
    out
}

/// Searches a text with its characters folded, and again after its layers of escapes were decoded.
fn search_views(needles: &Needles, text: &[u8], look: Look, found: &mut impl FnMut(u32, Form)) {
    for piece in text.chunks(PIECE - 2_048).enumerate().map(|(at, _)| {
        let start = at * (PIECE - 2_048);
        &text[start..text.len().min(start + PIECE)]
    }) {
        let folded = search_folded(needles, piece, look, found);
        for text in foreign::plain(&folded) {
            search_folded(needles, &unescaped(text), look, found);
        }
        if memchr3(b'%', b'&', b'\\', &folded).is_some() || memchr(b'=', &folded).is_some() {
            search_folded(needles, &unescaped(folded), look, found);
        }
    }
}

/// A text without its layers of escapes.
fn unescaped(mut text: Vec<u8>) -> Vec<u8> {
    for _ in 0..LAYERS {
        let mut unescape = Unescape::default();
        let mut out = Vec::with_capacity(text.len());
        unescape.feed(&text, &mut out);
        unescape.finish(&mut out);
        text = out;
    }
    text
}

/// Searches a text with its characters folded, in each way that shows something else. Returns it as most readers
/// show it.
fn search_folded(needles: &Needles, text: &[u8], look: Look, found: &mut impl FnMut(u32, Form)) -> Vec<u8> {
    let fold = |way| {
        let (mut fold, mut out) = (Fold::new(way), Vec::with_capacity(text.len()));
        fold.feed(text, &mut out);
        fold.finish(&mut out);
        (out, fold.take_seen(), fold.take_turned())
    };
    let (folded, seen, turned) = fold(Way::Joined);
    search_all(needles, &folded, look, found);
    for (way, differs) in [(Way::Blanks, seen), (Way::Parted, turned)] {
        if differs {
            search_all(needles, &fold(way).0, look, found);
        }
    }
    folded
}
