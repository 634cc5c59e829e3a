//! Tells by its first letters what is in base64: a known format, or markup, mail and the like.

use super::super::{cms, formats, mailbox};
use crate::message::charset::Charset;
use crate::message::walk::transfer::Base64;
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
/// First octets of signatures whose others are no text, and of marks of UTF-16.
const FIRST: &[u8] = b"\0\x1f\x28\x30\x5d\x89\xd0\xef\xfd\xfe\xffP7";

/// How a file begins whose first letters are these, if it is one that is looked for. `page` says whether it may be a
/// page of draw.io.
pub(super) fn of(letters: &[u8], page: bool) -> Option<Lead> {
    let (mut decoder, mut head) = (Base64::default(), Vec::new());
    let (first, rest) = letters.split_at(letters.len().min(4));
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

/// Whether a file that is looked for may have these first octets: text, or a signature.
fn may_lead(head: &[u8]) -> bool {
    let is_text = |byte: &u8| (0x20..0x7f).contains(byte) || byte.is_ascii_whitespace();
    match head {
        [first, _, third, ..] => head.iter().all(is_text) || FIRST.contains(first) || *third == b'-',
        _ => false,
    }
}
