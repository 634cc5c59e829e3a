//! Reads the header of a part.

use super::{Encoding, Part, params};
use crate::message::Header;
use bytes::Bytes;

/// A part, its transfer encoding, and what readers may interpret differently.
pub(super) struct Reading {
    pub(super) part: Part,
    pub(super) encoding: Encoding,
    pub(super) problems: Vec<String>,
}

/// Reads Content-Type, Content-Disposition and Content-Transfer-Encoding.
pub(super) fn read(header: &Header, path: String, default_type: &str) -> Reading {
    let mut problems = Vec::new();
    let content_type = only(header, "content-type", &mut problems).map(params::read);
    // A second one changes how a part is shown, not what it contains; any of the file names will do.
    let dispositions: Vec<params::Structured> =
        header.named("content-disposition").map(|field| params::read(header.body(field))).collect();
    let encoding =
        only(header, "content-transfer-encoding", &mut problems).map_or(Encoding::Identity, Encoding::read);
    let parameters = content_type.as_ref().map(|read| read.parameters.clone()).unwrap_or_default();
    let mut name = default_type.to_owned();
    if let Some(read) = &content_type {
        if let Some(why) = &read.ambiguous {
            problems.push(format!("Content-Type: {why}"));
        }
        // RFC 2045 §5.2: if it is not a valid type, text/plain is assumed.
        name = if is_type(&read.value) { read.value.clone() } else { "text/plain".to_owned() };
        if read.value.starts_with("multipart") && !is_type(&read.value) {
            problems.push(format!("Content-Type: `{}` is not a type", printable(&read.value)));
        }
    }
    let filename = dispositions
        .iter()
        .find_map(|read| read.get("filename"))
        .or_else(|| content_type.as_ref().and_then(|read| read.get("name")))
        .map(str::to_owned);
    let attachment = dispositions.iter().any(|read| read.value == "attachment");
    let part = Part { path, content_type: name, parameters, filename, attachment, encoding };
    Reading { part, encoding, problems }
}

/// The first field of that name. A second one with another body is a problem, because readers differ in which
/// one counts.
fn only<'a>(header: &'a Header, name: &'a str, problems: &mut Vec<String>) -> Option<&'a [u8]> {
    let mut bodies = header.named(name).map(|field| header.body(field).trim_ascii());
    let first = bodies.next()?;
    if bodies.any(|other| !other.eq_ignore_ascii_case(first)) {
        problems.push(format!("{name} is given more than once"));
    }
    Some(first)
}

fn is_type(value: &str) -> bool {
    value.split_once('/').is_some_and(|(main, sub)| !main.is_empty() && !sub.is_empty())
}

fn printable(text: &str) -> String {
    text.chars().take(60).map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

/// Indexes the header block of a part. Lines that are not fields are left out and returned, so that the rest
/// can still be used; most readers do the same.
pub(super) fn index(block: &[u8]) -> (Header, Vec<u8>) {
    let block = crlf(block);
    if let Ok(header) = Header::parse(Bytes::copy_from_slice(&block)) {
        return (header, Vec::new());
    }
    let (mut good, mut bad) = (Vec::with_capacity(block.len()), Vec::new());
    let mut in_field = false;
    for line in block.split_inclusive(|&byte| byte == b'\n') {
        let folded = matches!(line.first(), Some(b' ' | b'\t'));
        if !folded {
            in_field = is_field(line);
        }
        if in_field {
            good.extend(line.strip_suffix(b"\r\n").unwrap_or(line).iter().map(|&byte| match byte {
                0 | b'\r' | b'\n' => b' ',
                _ => byte,
            }));
            good.extend_from_slice(b"\r\n");
        } else {
            bad.extend_from_slice(line);
        }
    }
    match Header::parse(Bytes::from(good)) {
        Ok(header) if !bad.is_empty() => (header, bad),
        Ok(header) => (header, block),
        Err(_) => (empty(), block),
    }
}

/// A header without fields.
pub(super) fn empty() -> Header {
    Header::default()
}

/// Converts every line end to CRLF (a header decoded from base64 may have bare LF).
fn crlf(block: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(block.len() + 16);
    for line in block.split_inclusive(|&byte| byte == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(text) => {
                out.extend_from_slice(text.strip_suffix(b"\r").unwrap_or(text));
                out.extend_from_slice(b"\r\n");
            }
            None => out.extend_from_slice(line),
        }
    }
    out
}

fn is_field(line: &[u8]) -> bool {
    let Some(colon) = memchr::memchr(b':', line) else { return false };
    let name = line[..colon].trim_ascii_end();
    !name.is_empty() && name.iter().all(u8::is_ascii_graphic)
}
