//! The MIME walk: bytes in as they arrive, parts and decoded leaves out, everything bounded.
//!
//! The walk is told the message's header, then fed the body (which starts with the empty line that
//! ends the header) in chunks of any size. It keeps no part in memory.

use super::Header;

/// Bounds of the walk (`RELIABILITY` promise 4).
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Deepest nesting of parts (multipart and message/rfc822 both count).
    pub depth: usize,
    /// Most parts.
    pub parts: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 50, parts: 1_000 }
    }
}

/// What is known of a part before its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it stands: `1`, `2.1`, … ; the root is `0`.
    pub path: String,
    /// Lower-case `type/subtype`; `text/plain` where none is given (RFC 2045 §5.2).
    pub content_type: String,
    /// Content-Type parameters, names in lower case, values decoded (RFC 2231).
    pub parameters: Vec<(String, String)>,
    /// File name (Content-Disposition, else the `name` parameter), decoded by RFC 2231 and RFC 2047.
    pub filename: Option<String>,
    /// Whether the disposition is `attachment`.
    pub attachment: bool,
}

/// Who is told of the parts as the walk goes by.
pub trait Visitor {
    /// A part begins; `header` is its own header block (the root's is the message's; an embedded
    /// message's is the embedded header). Called for containers too.
    fn begin(&mut self, part: &Part, header: &Header);
    /// Decoded (Content-Transfer-Encoding undone) bytes of a leaf, in order, in chunks.
    fn data(&mut self, part: &Part, decoded: &[u8]);
    /// The part is over.
    fn end(&mut self, part: &Part);
    /// Bytes that belong to no leaf: preamble, epilogue, a part header that cannot be read.
    fn stray(&mut self, bytes: &[u8]);
}

/// Why a walk stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WalkError {
    /// Parts nested deeper than the limit.
    #[error("MIME parts nested deeper than {0}")]
    TooDeep(usize),
    /// More parts than the limit.
    #[error("more than {0} MIME parts")]
    TooMany(usize),
    /// One part's header block is larger than is reasonable.
    #[error("a MIME part header of more than {0} octets")]
    HeaderTooLarge(usize),
}
