//! The MIME walk: bytes in as they arrive, parts and decoded leaves out, everything bounded.
//!
//! The walk is told the message's header, then fed the body (which starts with the empty line that
//! ends the header) in chunks of any size. It keeps no part in memory.
//!
//! * [`level`] one stream of lines: boundaries, part headers, content
//! * [`part`] what a part's own header says
//! * [`params`] structured fields with parameters (RFC 2231)
//! * [`transfer`] Content-Transfer-Encoding

mod level;
pub mod params;
mod part;
#[cfg(test)]
mod tests;
pub mod transfer;

use super::Header;
use level::{Context, Level};
pub use transfer::Encoding;

/// Bounds of the walk (`docs/PROMISES.md` promise 4).
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Deepest nesting of parts (multipart and message/rfc822 both count).
    pub depth: usize,
    /// Most parts.
    pub parts: usize,
    /// Most octets of one part's header block.
    pub header: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 50, parts: 1_000, header: PART_HEADER }
    }
}

/// Most octets of one part's header block, where nothing else is asked for.
pub const PART_HEADER: usize = 64 * 1_024;

/// What is known of a part before its content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// How the content was encoded for transport.
    pub encoding: Encoding,
}

impl Part {
    /// A Content-Type parameter by its lower-case name.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether other parts stand inside this one: multipart with a boundary, or an embedded message.
    pub fn is_container(&self) -> bool {
        self.is_message() || (self.is_multipart() && self.parameter("boundary").is_some())
    }

    /// Whether it is an embedded message.
    pub fn is_message(&self) -> bool {
        matches!(self.content_type.as_str(), "message/rfc822" | "message/global" | "message/news")
    }

    /// Whether it is declared as a multipart.
    pub fn is_multipart(&self) -> bool {
        self.content_type.starts_with("multipart/")
    }
}

/// A part as its own header announces it, outside of a walk; its path is empty.
pub(super) fn read_part(header: &Header, default_type: &str) -> (Part, Encoding) {
    let reading = part::read(header, String::new(), default_type);
    (reading.part, reading.encoding)
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
    /// Something in the part at this path that readers may see differently.
    fn problem(&mut self, path: &str, why: String);
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

/// A walk on its way.
#[derive(Debug)]
pub struct Walker {
    level: Level,
    limits: Limits,
    parts: usize,
}

impl Walker {
    /// Starts with a message whose header was read already; the body is fed next.
    pub fn new(header: &Header, limits: Limits, visitor: &mut dyn Visitor) -> Result<Self, WalkError> {
        let mut walker = Self { level: Level::body(), limits, parts: 0 };
        let mut context = Context { visitor, limits, parts: &mut walker.parts };
        walker.level.begin_root(header, &mut context)?;
        Ok(walker)
    }

    /// Starts with a message that comes whole, header first; `path` is where it stands.
    pub fn whole(path: String, limits: Limits) -> Self {
        Self { level: Level::message(path, 0), limits, parts: 0 }
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8], visitor: &mut dyn Visitor) -> Result<(), WalkError> {
        let mut context = Context { visitor, limits: self.limits, parts: &mut self.parts };
        self.level.feed(bytes, &mut context)
    }

    /// The content is over: closes what is open.
    pub fn finish(&mut self, visitor: &mut dyn Visitor) -> Result<(), WalkError> {
        let mut context = Context { visitor, limits: self.limits, parts: &mut self.parts };
        self.level.finish(&mut context)
    }
}
