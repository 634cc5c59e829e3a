//! The header block as an index of byte ranges over the bytes that came: nothing is copied, nothing
//! is lost, and what does not tile the block is an error.

use bytes::Bytes;
use std::ops::Range;

/// A header block: every field with its line end, without the empty line that ends it.
#[derive(Clone, Debug)]
pub struct Header {
    bytes: Bytes,
    fields: Vec<Field>,
}

/// One header field, as ranges into the block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name, without colon and trailing blanks (`Bcc :` is `Bcc`; obsolete syntax, RFC 5322 §4.5).
    pub name: Range<usize>,
    /// The body: all between colon and the last line end, folding included.
    pub body: Range<usize>,
    /// The whole field, name to last CRLF.
    pub whole: Range<usize>,
}

impl Header {
    /// Indexes a block. The bytes must have CRLF line ends only; the last line may lack its end.
    /// A line that is neither a field nor a folded continuation is an error: such a message is held.
    pub fn parse(bytes: Bytes) -> Result<Self, HeaderError> {
        let _ = bytes;
        todo!()
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

/// A header field's body as text: unfolded, encoded-words decoded (RFC 2047, any charset of the
/// Encoding Standard), raw 8-bit read as UTF-8 where it is valid, trimmed. Never fails: what cannot
/// be decoded stays as it was written, with U+FFFD for stray bytes.
pub fn decode_text(body: &[u8]) -> String {
    let _ = body;
    todo!()
}

/// Why a header block cannot be indexed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// A line is neither a field nor the continuation of one.
    #[error("line {line} of the header is no field: `{excerpt}`")]
    NoField {
        /// Line number, from 1.
        line: usize,
        /// Its first characters, made printable.
        excerpt: String,
    },
    /// A control character (NUL, bare CR, bare LF) stands in the header.
    #[error("line {line} of the header has a control character")]
    Control {
        /// Line number, from 1.
        line: usize,
    },
}
