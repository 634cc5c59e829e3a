//! The header block as an index of byte ranges into the received bytes. Nothing is copied, nothing is lost,
//! and every byte belongs to a field or parsing fails.

use super::encoded_word::decode_words;
use bytes::Bytes;
use std::ops::Range;

/// Maximum number of fields of one header block; real mail has some dozens.
const MAX_FIELDS: usize = 10_000;

/// A header block: all fields with their line ends, without the empty line at its end.
#[derive(Clone, Debug, Default)]
pub struct Header {
    bytes: Bytes,
    fields: Vec<Field>,
}

/// A header field, as ranges into the block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name, without colon and trailing white space (`Bcc :` is `Bcc`; obsolete syntax, RFC 5322 §4.5).
    pub name: Range<usize>,
    /// The body: everything between the colon and the last line end, folding included.
    pub body: Range<usize>,
    /// The whole field, from its name to its last CRLF.
    pub whole: Range<usize>,
}

impl Header {
    /// Indexes a header block. All line ends must be CRLF; the last line may lack one. `From ` lines before
    /// the first field, as mbox files have them, belong to no field.
    ///
    /// # Errors
    /// A line is neither a field nor a folded continuation, there is a control character, or there are too
    /// many fields. Such a message is held.
    pub fn parse(bytes: Bytes) -> Result<Self, HeaderError> {
        let mut fields: Vec<Field> = Vec::new();
        let (mut at, mut line) = (0, 0);
        // The separator line of an mbox file is not part of the header; other servers drop it too.
        while bytes[at..].starts_with(b"From ") || bytes[at..].starts_with(b">From ") {
            line += 1;
            (_, at) = line_at(&bytes, at, line)?;
        }
        while at < bytes.len() {
            line += 1;
            let (text, end) = line_at(&bytes, at, line)?;
            let content = &bytes[text.clone()];
            if let (Some(b' ' | b'\t'), Some(field)) = (content.first(), fields.last_mut()) {
                field.body.end = text.end;
                field.whole.end = end;
            } else if fields.len() == MAX_FIELDS {
                return Err(HeaderError::TooManyFields(MAX_FIELDS));
            } else {
                let (name, colon) = name_of(content)
                    .ok_or_else(|| HeaderError::NoField { line, excerpt: excerpt(content) })?;
                fields.push(Field { name: at..at + name, body: at + colon + 1..text.end, whole: at..end });
            }
            at = end;
        }
        Ok(Self { bytes, fields })
    }

    /// The block's bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// All fields, in order.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// A field's name as written.
    pub fn name<'a>(&'a self, field: &Field) -> &'a [u8] {
        &self.bytes[field.name.clone()]
    }

    /// A field's body as written.
    pub fn body<'a>(&'a self, field: &Field) -> &'a [u8] {
        &self.bytes[field.body.clone()]
    }

    /// The fields of that name (ASCII case ignored), in order.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Field> + 'a {
        self.fields.iter().filter(move |field| self.name(field).eq_ignore_ascii_case(name.as_bytes()))
    }

    /// The first field of that name as text: unfolded, RFC 2047 decoded, trimmed.
    pub fn text(&self, name: &str) -> Option<String> {
        self.named(name).next().map(|field| decode_text(self.body(field)))
    }
}

/// Decodes a field body: unfolds it, decodes encoded-words (RFC 2047, any charset of the Encoding Standard)
/// and unencoded 8-bit text, and trims it. Never fails: what cannot be decoded is left as written, with
/// U+FFFD for invalid bytes.
pub fn decode_text(body: &[u8]) -> String {
    let decoded = decode_words(body);
    let trimmed = decoded.trim();
    if trimmed.len() == decoded.len() { decoded } else { trimmed.to_owned() }
}

/// The line that begins at `at`: its content, and the end of its line end.
fn line_at(bytes: &[u8], at: usize, line: usize) -> Result<(Range<usize>, usize), HeaderError> {
    let stop = memchr::memchr3(b'\r', b'\n', 0, &bytes[at..]).map_or(bytes.len(), |offset| at + offset);
    match bytes.get(stop..) {
        None | Some([]) => Ok((at..stop, stop)),
        Some([b'\r', b'\n', ..]) => Ok((at..stop, stop + 2)),
        Some(_) => Err(HeaderError::Control { line }),
    }
}

/// The length of the field name at the start of a line, and the position of its colon. White space between
/// the two is obsolete syntax (RFC 5322 §4.5) that other readers accept.
fn name_of(line: &[u8]) -> Option<(usize, usize)> {
    let name = line.iter().position(|byte| !(0x21..=0x7e).contains(byte) || *byte == b':')?;
    let blanks = line[name..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    (name > 0 && line.get(name + blanks) == Some(&b':')).then_some((name, name + blanks))
}

/// The first characters of a line, made printable.
fn excerpt(line: &[u8]) -> String {
    String::from_utf8_lossy(&line[..line.len().min(120)])
        .chars()
        .take(40)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// Why a header block cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// A line is neither a field nor a folded continuation.
    #[error("line {line} of the header is not a field: `{excerpt}`")]
    NoField {
        /// Line number, from 1.
        line: usize,
        /// Its first characters, made printable.
        excerpt: String,
    },
    /// The header contains a control character (NUL, bare CR, bare LF).
    #[error("line {line} of the header has a control character")]
    Control {
        /// Line number, from 1.
        line: usize,
    },
    /// The header has more fields than allowed.
    #[error("the header has more than {0} fields")]
    TooManyFields(usize),
}

#[cfg(test)]
#[path = "header_tests.rs"]
mod tests;
