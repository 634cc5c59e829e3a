//! The MIME walk: takes bytes as they arrive and reports parts and decoded leaves, within limits.
//!
//! The walk is given the header of the message, and then the body (which begins with the empty line after the
//! header) in chunks of any size. It keeps no part in memory.
//!
//! * [`level`] one stream of lines: boundaries, part headers, content
//! * [`part`] what the header of a part says
//! * [`params`] structured fields with parameters (RFC 2231)
//! * [`transfer`] Content-Transfer-Encoding; `digits` its hexadecimal digits

mod digits;
mod level;
pub mod params;
mod part;
#[cfg(test)]
mod tests;
pub mod transfer;

use super::Header;
pub use digits::hex_digit;
use level::{Context, Level};
pub use transfer::Encoding;

/// Limits of the walk (`docs/PROMISES.md` promise 4).
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Maximum nesting depth of parts; multipart and message/rfc822 both count.
    pub depth: usize,
    /// Maximum number of parts.
    pub parts: usize,
    /// Maximum number of octets of the header block of a part.
    pub header: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 50, parts: 1_000, header: PART_HEADER }
    }
}

/// Default limit of the header block of a part, in octets.
pub const PART_HEADER: usize = 64 * 1_024;

/// What the header of a part says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Path: `1`, `2.1`, …; the root is `0`.
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

    /// Whether it contains other parts: a multipart with a boundary, or an enclosed message.
    pub fn is_container(&self) -> bool {
        self.is_message() || (self.is_multipart() && self.parameter("boundary").is_some())
    }

    /// Whether it is an enclosed message.
    pub fn is_message(&self) -> bool {
        matches!(self.content_type.as_str(), "message/rfc822" | "message/global" | "message/news")
    }

    /// Whether it is declared as a multipart.
    pub fn is_multipart(&self) -> bool {
        self.content_type.starts_with("multipart/")
    }
}

/// Reads the header of a part outside a walk; its path is empty.
pub(super) fn read_part(header: &Header, default_type: &str) -> (Part, Encoding) {
    let reading = part::read(header, String::new(), default_type);
    (reading.part, reading.encoding)
}

/// Receives the parts during the walk.
pub trait Visitor {
    /// A part begins. `header` is its own header block: for the root that of the message, for an enclosed
    /// message the enclosed header. Also called for containers.
    fn begin(&mut self, part: &Part, header: &Header);
    /// Bytes of a leaf, its Content-Transfer-Encoding decoded, in order, in chunks.
    fn data(&mut self, part: &Part, decoded: &[u8]);
    /// The part has ended.
    fn end(&mut self, part: &Part);
    /// Bytes that belong to no leaf: preamble, epilogue, an unreadable part header.
    fn stray(&mut self, bytes: &[u8]);
    /// Something in the part at this path that readers may interpret differently.
    fn problem(&mut self, path: &str, why: String);
}

/// Why a walk stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WalkError {
    /// Parts are nested deeper than the limit.
    #[error("MIME parts nested deeper than {0}")]
    TooDeep(usize),
    /// There are more parts than the limit.
    #[error("more than {0} MIME parts")]
    TooMany(usize),
    /// The header block of a part is larger than the limit.
    #[error("a MIME part header of more than {0} octets")]
    HeaderTooLarge(usize),
}

/// A walk in progress.
#[derive(Debug)]
pub struct Walker {
    level: Level,
    limits: Limits,
    parts: usize,
}

impl Walker {
    /// Starts with a message whose header was parsed already; the body follows.
    ///
    /// # Errors
    /// The header itself exceeds a limit.
    pub fn new(header: &Header, limits: Limits, visitor: &mut dyn Visitor) -> Result<Self, WalkError> {
        let mut walker = Self { level: Level::body(), limits, parts: 0 };
        let mut context = Context { visitor, limits, parts: &mut walker.parts };
        walker.level.begin_root(header, &mut context)?;
        Ok(walker)
    }

    /// Starts with a message that follows as a whole, header first; `path` is its path.
    pub fn whole(path: String, limits: Limits) -> Self {
        Self { level: Level::message(path, 0), limits, parts: 0 }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// A limit is exceeded.
    pub fn feed(&mut self, bytes: &[u8], visitor: &mut dyn Visitor) -> Result<(), WalkError> {
        let mut context = Context { visitor, limits: self.limits, parts: &mut self.parts };
        self.level.feed(bytes, &mut context)
    }

    /// Ends the content and closes the open parts.
    ///
    /// # Errors
    /// A limit is exceeded.
    pub fn finish(&mut self, visitor: &mut dyn Visitor) -> Result<(), WalkError> {
        let mut context = Context { visitor, limits: self.limits, parts: &mut self.parts };
        self.level.finish(&mut context)
    }
}
