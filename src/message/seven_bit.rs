//! Converts a message to 7-bit for a next hop without 8BITMIME (RFC 6152 §3): leaves with 8-bit octets are
//! encoded as quoted-printable or base64, and everything else stays as it is.
//!
//! This is the only place where a body changes, and only its transfer encoding does: every leaf decodes to
//! the same octets. Where re-encoding is not allowed (signed and encrypted parts, message/* except rfc822,
//! headers with 8-bit octets), the conversion fails with the reason.

mod encoder;
#[cfg(test)]
mod tests;

use super::Header;
use super::walk::{Encoding, Part, read_part};
use bytes::Bytes;
use encoder::Encoder;
use memchr::memchr;

/// Octets of an ASCII leaf that are buffered until its end shows that it needs no encoding. A longer leaf is
/// always encoded.
const UNDECIDED: usize = 1 << 20;
/// Longest line that may be a delimiter.
const DELIMITER: usize = 2_048;
/// Longest header of a part.
const PART_HEADER: usize = 1 << 20;
/// Maximum nesting depth of parts.
const DEPTH: usize = 100;

/// Encodes text as quoted-printable (RFC 2045 §6.7).
pub fn quoted_printable(text: &[u8]) -> Vec<u8> {
    let (mut encoder, mut out) = (Encoder::quoted_printable(), Vec::with_capacity(text.len()));
    encoder.feed(text, &mut out);
    encoder.finish(&mut out);
    out
}

/// Why a message cannot be converted to 7-bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A signature or encryption covers the octets.
    #[error("a signed or encrypted part has 8-bit octets, and encoding it would break it")]
    Sealed,
    /// 8-bit octets in a header (RFC 6152 covers only bodies).
    #[error("a header has 8-bit octets")]
    Header,
    /// A type that must not be encoded (RFC 2046 §5.2), or a part that is already encoded and still has 8-bit
    /// octets.
    #[error("a part that may not be encoded has 8-bit octets")]
    Fixed,
    /// A header or the nesting exceeds a limit.
    #[error("its structure is beyond what can be converted")]
    Structure,
}

/// The result of a conversion; the body was returned piece by piece.
#[derive(Debug)]
pub struct Converted {
    /// The header block of the message. DKIM signatures are removed if the body was changed.
    pub header: Bytes,
    /// Whether something was re-encoded, or a declared encoding was corrected.
    pub changed: bool,
}

/// The conversion. It is fed with a body as stored, which begins with the empty line.
#[derive(Debug)]
pub struct SevenBit {
    head: Vec<u8>,
    open: Vec<Container>,
    state: State,
    /// A line whose end has not come yet and that may be a delimiter.
    line: Vec<u8>,
    /// Inside a line that is not a delimiter.
    mid_line: bool,
    /// A line end that belongs to the next delimiter, if one follows.
    held: bool,
    changed: bool,
}

/// A multipart with its boundary, or an enclosed message.
#[derive(Debug)]
struct Container {
    boundary: Option<Vec<u8>>,
    /// Its parts are messages by default (RFC 2046 §5.1.5).
    digest: bool,
}

#[derive(Debug)]
enum State {
    /// The empty line after the message's own header.
    EmptyLine(Box<State>),
    /// The header block of a part.
    Header(Vec<u8>),
    /// Preamble and epilogue, which readers ignore.
    Between,
    /// Passed on as it is; the reason for which 8-bit octets are refused.
    Verbatim(Refused),
    /// Passed on as it is unless an 8-bit octet comes; its header is held back until then.
    Undecided(Pending),
    Encoding(Encoder),
}

#[derive(Debug)]
struct Pending {
    /// The message is a single leaf, so that its header is that of the message.
    top: bool,
    header: Header,
    text: bool,
    content: Vec<u8>,
}

impl SevenBit {
    /// Begins with the header block of the message; each field ends in CRLF.
    ///
    /// # Errors
    /// The header cannot be parsed or has 8-bit octets.
    pub fn new(header: &[u8]) -> Result<Self, Refused> {
        let mut machine = Self {
            head: Vec::new(),
            open: Vec::new(),
            state: State::Between,
            line: Vec::new(),
            mid_line: false,
            held: false,
            changed: false,
        };
        let mut out = Vec::new();
        machine.begin(header, true, &mut out)?;
        let after = std::mem::replace(&mut machine.state, State::Between);
        machine.state = State::EmptyLine(Box::new(after));
        Ok(machine)
    }

    /// Takes the next octets of the body and appends the converted ones to `out`.
    ///
    /// # Errors
    /// Something has 8-bit octets that must not be encoded, or a limit is exceeded.
    pub fn feed(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Refused> {
        while !bytes.is_empty() {
            let end = memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
            let (piece, rest) = bytes.split_at(end);
            bytes = rest;
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.whole_line(&line, out)?;
                self.line = line;
                self.line.clear();
                self.mid_line = false;
            } else if self.line.len() > DELIMITER && !matches!(self.state, State::Header(_)) {
                let keep = usize::from(self.line.ends_with(b"\r"));
                let piece: Vec<u8> = self.line.drain(..self.line.len() - keep).collect();
                self.mid_line = true;
                self.content(&piece, out)?;
            } else if self.line.len() > PART_HEADER {
                return Err(Refused::Structure);
            }
        }
        Ok(())
    }

    /// Ends the body and appends what was held back.
    ///
    /// # Errors
    /// Something has 8-bit octets that must not be encoded.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<Converted, Refused> {
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.whole_line(&line, out)?;
        }
        if let State::Header(block) = &mut self.state {
            let block = std::mem::take(block);
            self.pass_header(&block, out)?;
        }
        let held = std::mem::take(&mut self.held);
        let within = self.open.iter().any(|container| container.boundary.is_some());
        if held && !within {
            self.octets(b"\r\n", out)?;
        }
        self.end_leaf(out);
        if held && within {
            out.extend_from_slice(b"\r\n");
        }
        if !out.is_empty() && self.changed && !out.ends_with(b"\n") {
            out.extend_from_slice(b"\r\n");
        }
        let header = if self.changed { unsigned(self.head) } else { self.head };
        Ok(Converted { header: Bytes::from(header), changed: self.changed })
    }

    fn whole_line(&mut self, line: &[u8], out: &mut Vec<u8>) -> Result<(), Refused> {
        if !self.mid_line && line.starts_with(b"--") && self.delimiter(line, out)? {
            return Ok(());
        }
        let empty = line == b"\r\n";
        match &mut self.state {
            State::EmptyLine(after) => {
                self.state = std::mem::replace(after, State::Between);
                if empty {
                    out.extend_from_slice(line);
                    return Ok(());
                }
                self.whole_line(line, out)
            }
            State::Header(block) if empty => {
                let block = std::mem::take(block);
                self.begin(&block, false, out)
            }
            State::Header(block) => {
                if block.len() + line.len() > PART_HEADER {
                    return Err(Refused::Structure);
                }
                block.extend_from_slice(line);
                Ok(())
            }
            _ => self.content(line, out),
        }
    }

    /// Whether the line is a delimiter of an open multipart; if so, it is written.
    fn delimiter(&mut self, line: &[u8], out: &mut Vec<u8>) -> Result<bool, Refused> {
        let text = line[2..].trim_ascii_end();
        let found = self.open.iter().enumerate().rev().find_map(|(index, container)| {
            let rest = text.strip_prefix(container.boundary.as_deref()?)?;
            matches!(rest, b"" | b"--").then_some((index, rest == b"--"))
        });
        let Some((index, last)) = found else { return Ok(false) };
        if let State::Header(block) = &mut self.state {
            let block = std::mem::take(block);
            self.pass_header(&block, out)?;
        }
        self.end_leaf(out);
        if std::mem::take(&mut self.held) {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(line);
        self.open.truncate(index + 1);
        self.state = if last { State::Between } else { State::Header(Vec::new()) };
        Ok(true)
    }

    /// A part header without a body.
    fn pass_header(&mut self, block: &[u8], out: &mut Vec<u8>) -> Result<(), Refused> {
        if !block.is_ascii() {
            return Err(Refused::Header);
        }
        out.extend_from_slice(block);
        self.state = State::Between;
        Ok(())
    }

    /// A header is complete: starts the part that it describes.
    fn begin(&mut self, block: &[u8], top: bool, out: &mut Vec<u8>) -> Result<(), Refused> {
        if !block.is_ascii() {
            return Err(Refused::Header);
        }
        if self.open.len() >= DEPTH {
            return Err(Refused::Structure);
        }
        let header = Header::parse(Bytes::copy_from_slice(block)).map_err(|_| Refused::Structure)?;
        let digest = self.open.last().is_some_and(|container| container.digest);
        let (part, encoding) = read_part(&header, if digest { "message/rfc822" } else { "text/plain" });
        let identity = matches!(encoding, Encoding::Identity | Encoding::Unknown);
        let kind = kind_of(&part, identity);
        let written = match &kind {
            Kind::Multipart(_) | Kind::Message if identity => with_encoding(&header, None),
            _ => block.to_vec(),
        };
        self.changed |= written != block;
        self.state = match &kind {
            Kind::Leaf { text } => {
                State::Undecided(Pending { top, header, text: *text, content: Vec::new() })
            }
            Kind::Fixed(why) => State::Verbatim(*why),
            Kind::Multipart(_) => State::Between,
            Kind::Message => State::Header(Vec::new()),
        };
        match kind {
            Kind::Leaf { .. } => return Ok(()),
            Kind::Fixed(_) => {}
            Kind::Multipart(boundary) => {
                let digest = part.content_type == "multipart/digest";
                self.open.push(Container { boundary: Some(boundary), digest });
            }
            Kind::Message => self.open.push(Container { boundary: None, digest: false }),
        }
        self.put_header(written, top, out);
        Ok(())
    }

    fn put_header(&mut self, block: Vec<u8>, top: bool, out: &mut Vec<u8>) {
        if top {
            self.head = block;
        } else {
            out.extend_from_slice(&block);
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Content of the current part. A line end at its end is held back, because it may belong to a delimiter.
    fn content(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Refused> {
        if let State::EmptyLine(after) = &mut self.state {
            self.state = std::mem::replace(after, State::Between);
        }
        if std::mem::take(&mut self.held) {
            self.octets(b"\r\n", out)?;
        }
        let text = bytes.strip_suffix(b"\r\n");
        self.held = text.is_some();
        self.octets(text.unwrap_or(bytes), out)
    }

    fn octets(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Refused> {
        match &mut self.state {
            State::Between => {
                self.changed |= !bytes.is_ascii();
                out.extend(bytes.iter().map(|&byte| if byte < 128 { byte } else { b'?' }));
            }
            State::Verbatim(why) if !bytes.is_ascii() => return Err(*why),
            State::Verbatim(_) | State::EmptyLine(_) | State::Header(_) => out.extend_from_slice(bytes),
            State::Encoding(encoder) => encoder.feed(bytes, out),
            State::Undecided(pending) => {
                pending.content.extend_from_slice(bytes);
                if !bytes.is_ascii() || pending.content.len() > UNDECIDED {
                    self.encode(out);
                }
            }
        }
        Ok(())
    }

    /// Starts encoding the buffered leaf.
    fn encode(&mut self, out: &mut Vec<u8>) {
        let State::Undecided(pending) = std::mem::replace(&mut self.state, State::Between) else { return };
        let (name, mut encoder) = if pending.text {
            ("quoted-printable", Encoder::quoted_printable())
        } else {
            ("base64", Encoder::base64())
        };
        self.changed = true;
        let mut header = with_encoding(&pending.header, Some(name));
        if pending.top && pending.header.named("mime-version").next().is_none() {
            header.extend_from_slice(b"MIME-Version: 1.0\r\n");
        }
        self.put_header(header, pending.top, out);
        encoder.feed(&pending.content, out);
        self.state = State::Encoding(encoder);
    }

    fn end_leaf(&mut self, out: &mut Vec<u8>) {
        match std::mem::replace(&mut self.state, State::Between) {
            State::Encoding(mut encoder) => encoder.finish(out),
            State::Undecided(pending) => {
                self.put_header(pending.header.bytes().to_vec(), pending.top, out);
                out.extend_from_slice(&pending.content);
            }
            State::EmptyLine(after) => {
                if let State::Undecided(pending) = *after {
                    self.head = pending.header.bytes().to_vec();
                }
            }
            State::Header(_) | State::Between | State::Verbatim(_) => {}
        }
    }
}

enum Kind {
    Multipart(Vec<u8>),
    Message,
    Leaf {
        text: bool,
    },
    /// Must not be re-encoded.
    Fixed(Refused),
}

fn kind_of(part: &Part, identity: bool) -> Kind {
    if part.is_multipart() {
        let boundary = part.parameter("boundary").unwrap_or("").trim_end();
        return match part.content_type.as_str() {
            "multipart/signed" | "multipart/encrypted" => Kind::Fixed(Refused::Sealed),
            _ if boundary.is_empty() => Kind::Fixed(Refused::Structure),
            _ => Kind::Multipart(boundary.as_bytes().to_vec()),
        };
    }
    if !identity {
        return Kind::Fixed(Refused::Fixed);
    }
    if part.is_message() {
        return Kind::Message;
    }
    if part.content_type.starts_with("message/") {
        return Kind::Fixed(Refused::Fixed);
    }
    Kind::Leaf { text: part.content_type.starts_with("text/") }
}

/// The header with this transfer encoding; with `None`, 8bit and binary become 7bit.
fn with_encoding(header: &Header, name: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(header.bytes().len() + 48);
    let mut wanted = name;
    let mut at = 0;
    for field in header.named("content-transfer-encoding") {
        out.extend_from_slice(&header.bytes()[at..field.whole.start]);
        at = field.whole.end;
        let said = header.body(field).trim_ascii();
        let wide = said.eq_ignore_ascii_case(b"8bit") || said.eq_ignore_ascii_case(b"binary");
        match (name, wanted.take()) {
            (Some(_), Some(name)) => put(name, &mut out),
            (Some(_), None) => {}
            (None, _) if wide => put("7bit", &mut out),
            (None, _) => out.extend_from_slice(&header.bytes()[field.whole.clone()]),
        }
    }
    out.extend_from_slice(&header.bytes()[at..]);
    if let Some(name) = wanted {
        put(name, &mut out);
    }
    out
}

/// The header block without DKIM signatures, which no longer verify (RFC 6376 §3.4.3: the body is hashed as
/// sent).
pub fn unsigned(block: Vec<u8>) -> Vec<u8> {
    let Ok(header) = Header::parse(Bytes::from(block.clone())) else { return block };
    let signature = |name: &[u8]| name.eq_ignore_ascii_case(b"dkim-signature");
    let kept = header.fields().iter().filter(|field| !signature(header.name(field)));
    kept.flat_map(|field| &header.bytes()[field.whole.clone()]).copied().collect()
}

fn put(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Content-Transfer-Encoding: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\r\n");
}
