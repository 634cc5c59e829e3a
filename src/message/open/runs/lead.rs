//! Tells by its first letters what is in base64: a known format, or markup, mail and the like.

use super::super::{cms, formats, mailbox};
use crate::message::charset::Charset;
use crate::message::walk::transfer::{Base64, base64_value};
use flate2::bufread::DeflateDecoder;
use std::io::Read;

/// How a file begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lead {
    /// With its own first octets.
    Plain,
    /// With [`QUERY`] octets before its own: Power Query writes a version and a length before its archive.
    Query,
    /// Deflated without a head: draw.io keeps its pages so.
    Deflated,
}

/// What precedes an archive of Power Query, in octets.
pub(super) const QUERY: usize = 8;
/// What a page of draw.io begins with, as its letters are written before they are packed.
const PAGE: [u8; 5] = *b"%3Cmx";
/// How a file begins whose first letters are these, if it is one that is looked for. `page` says whether it may be a
/// page of draw.io.
pub(super) fn of(letters: &[u8], page: bool) -> Option<Lead> {
    let (mut decoder, mut head) = (Base64::default(), Vec::new());
    let (first, rest) = letters.split_at(letters.len().min(LETTERS));
    decoder.feed(first, &mut head);
    // Most runs are no files, and most of those are dismissed here.
    if !page && !may_lead(&head) {
        return None;
    }
    decoder.feed(rest, &mut head);
    if head.starts_with(&[0; 4]) && head.get(QUERY..).is_some_and(|rest| rest.starts_with(b"PK\x03\x04")) {
        return Some(Lead::Query);
    }
    let text = head.trim_ascii_start();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let is_text = || match std::str::from_utf8(&head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    let marked =
        text.first() == Some(&b'<') || text.starts_with(b"BEGIN:V") || mailbox::layout(&head).is_some();
    let known = formats::is_sure(&head) || formats::is_sure(text) || cms::is_cms(&head);
    if known || (marked && is_text()) || Charset::by_mark(&head).is_some_and(Charset::is_wide) {
        return Some(Lead::Plain);
    }
    let mut start = [0; PAGE.len()];
    let inflated = page && DeflateDecoder::new(&head[..]).read_exact(&mut start).is_ok();
    (inflated && start == PAGE).then_some(Lead::Deflated)
}

/// Octets that tell of most letters that they are no file.
const FIRST: usize = 6;
/// The letters that stand for them.
pub(super) const LETTERS: usize = 8;

/// What these letters decode to.
pub(super) fn first(letters: [u8; LETTERS]) -> Option<[u8; FIRST]> {
    let mut word = 0_u64;
    for letter in letters {
        word = word << 6 | u64::from(base64_value(letter)?);
    }
    let [_, _, octets @ ..] = word.to_be_bytes();
    Some(octets)
}

/// Whether a file that is looked for may have these first octets: markup or other text, or a signature.
pub(super) fn may_lead(head: &[u8]) -> bool {
    let is_text = |byte: &u8| (0x20..0x7f).contains(byte) || byte.is_ascii_whitespace();
    let Some(first) = head.first_chunk::<FIRST>() else { return false };
    first[0] == b'<' || first.iter().all(is_text) || is_other(*first) || formats::may_begin(*first)
}

/// Whether these may be the first octets of what has no signature there.
fn is_other(first: [u8; FIRST]) -> bool {
    let is_mark = matches!(first, [0xef, 0xbb, 0xbf, ..] | [0xfe, 0xff, ..] | [0xff, 0xfe, ..]);
    // CMS has a length in a short or a long form; four zeros precede an archive of Power Query.
    let is_cms = matches!(first, [0x30, 0x80..=0x88, ..] | [0x30, _, 6, ..]);
    is_mark || is_cms || matches!(first, [0, 0, 0, 0, ..] | [_, _, b'-', b'l', ..])
}
