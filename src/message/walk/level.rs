//! One stream of lines: boundaries, part headers, content. An enclosed message that itself has a transfer
//! encoding opens a nested level on the decoded bytes.

use super::transfer::Decoder;
use super::{Encoding, Limits, Part, Visitor, WalkError, part};
use crate::message::Header;
use memchr::{memchr, memmem};

/// Longest line that may be a delimiter. Boundaries have at most 70 characters (RFC 2046 §5.1.1), but some
/// programs write longer ones.
const DELIMITER: usize = 2_048;
/// Longest boundary that is accepted.
const BOUNDARY: usize = 1_000;

/// What all levels of one walk share.
pub(super) struct Context<'a> {
    pub(super) visitor: &'a mut dyn Visitor,
    pub(super) limits: Limits,
    pub(super) parts: &'a mut usize,
}

#[derive(Debug)]
pub(super) struct Level {
    /// Open parts, outermost first.
    open: Vec<Open>,
    /// Depth of the part that contains this level.
    base: usize,
    /// Path of the first part of this level.
    root: String,
    state: State,
    /// A line whose end has not come yet and that may be a delimiter or a header line.
    line: Vec<u8>,
    /// Inside a line that is content whatever follows.
    mid_line: bool,
    /// A line end that belongs to the next delimiter, if one follows (RFC 2046 §5.1.1).
    held: &'static [u8],
    /// Buffer for decoded bytes, reused.
    decoded: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    part: Part,
    kind: Kind,
    children: usize,
}

#[derive(Debug)]
enum Kind {
    Multipart(Vec<u8>),
    Message,
    Leaf(Decoder),
    /// An enclosed message with a transfer encoding.
    Encoded(Decoder, Box<Level>),
}

#[derive(Debug)]
enum State {
    /// The empty line between header and body has not come yet.
    EmptyLine,
    /// The header block of a part.
    Header(Vec<u8>),
    /// Content of the innermost open part, or preamble and epilogue.
    Content,
}

impl Level {
    /// A level for a body whose header was parsed already.
    pub(super) fn body() -> Self {
        Self::new("0".to_owned(), 0, State::EmptyLine)
    }

    /// A level for a whole message.
    pub(super) fn message(root: String, base: usize) -> Self {
        Self::new(root, base, State::Header(Vec::new()))
    }

    fn new(root: String, base: usize, state: State) -> Self {
        Self {
            open: Vec::new(),
            base,
            root,
            state,
            line: Vec::new(),
            mid_line: false,
            held: b"",
            decoded: Vec::new(),
        }
    }

    pub(super) fn begin_root(&mut self, header: &Header, cx: &mut Context<'_>) -> Result<(), WalkError> {
        self.begin(header, cx)?;
        self.state = State::EmptyLine;
        Ok(())
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8], cx: &mut Context<'_>) -> Result<(), WalkError> {
        while !bytes.is_empty() {
            bytes = self.step(bytes, cx)?;
        }
        Ok(())
    }

    /// Consumes some of the bytes and returns the rest.
    fn step<'b>(&mut self, bytes: &'b [u8], cx: &mut Context<'_>) -> Result<&'b [u8], WalkError> {
        let in_content = matches!(self.state, State::Content);
        if self.mid_line || (in_content && self.line.is_empty() && bytes[0] != b'-') {
            return self.run(bytes, cx);
        }
        let end = memchr(b'\n', bytes);
        let (piece, rest) = bytes.split_at(end.map_or(bytes.len(), |at| at + 1));
        let in_header = matches!(self.state, State::Header(_));
        let most = if in_header { cx.limits.header } else { DELIMITER };
        if self.line.len() + piece.len() > most {
            if in_header {
                return Err(WalkError::HeaderTooLarge(cx.limits.header));
            }
            if matches!(self.state, State::EmptyLine) {
                self.state = self.after_empty_line();
                return Ok(bytes);
            }
            // Too long for a delimiter: content.
            let line = std::mem::take(&mut self.line);
            self.content(&line, cx)?;
            self.mid_line = true;
            return Ok(bytes);
        }
        if end.is_none() {
            self.line.extend_from_slice(piece);
        } else if self.line.is_empty() {
            self.whole_line(piece, cx)?;
        } else {
            let mut line = std::mem::take(&mut self.line);
            line.extend_from_slice(piece);
            self.whole_line(&line, cx)?;
            line.clear();
            self.line = line;
        }
        Ok(rest)
    }

    /// Consumes content up to the next line that may be a delimiter.
    fn run<'b>(&mut self, bytes: &'b [u8], cx: &mut Context<'_>) -> Result<&'b [u8], WalkError> {
        let delimited = self.open.iter().any(|open| matches!(open.kind, Kind::Multipart(_)));
        let end = if delimited { memmem::find(bytes, b"\n-").map(|at| at + 1) } else { None };
        let (piece, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        self.content(piece, cx)?;
        self.mid_line = !delimited || !piece.ends_with(b"\n");
        Ok(rest)
    }

    fn whole_line(&mut self, line: &[u8], cx: &mut Context<'_>) -> Result<(), WalkError> {
        if line.starts_with(b"--") && self.delimiter(line, cx)? {
            return Ok(());
        }
        let empty = matches!(line, b"\r\n" | b"\n");
        match &mut self.state {
            State::EmptyLine => {
                self.state = self.after_empty_line();
                if empty { Ok(()) } else { self.whole_line(line, cx) }
            }
            State::Header(block) if empty => {
                let block = std::mem::take(block);
                self.state = State::Content;
                self.begin_block(&block, cx)
            }
            State::Header(block) => {
                if block.len() + line.len() > cx.limits.header {
                    return Err(WalkError::HeaderTooLarge(cx.limits.header));
                }
                block.extend_from_slice(line);
                Ok(())
            }
            State::Content => self.content(line, cx),
        }
    }

    /// The state after the empty line: content, or the header of an enclosed message.
    fn after_empty_line(&self) -> State {
        match self.open.last().map(|open| &open.kind) {
            Some(Kind::Message) => State::Header(Vec::new()),
            _ => State::Content,
        }
    }

    /// Whether the line is a delimiter of an open multipart; if so, closes the parts that it ends.
    fn delimiter(&mut self, line: &[u8], cx: &mut Context<'_>) -> Result<bool, WalkError> {
        let text = line[2..].trim_ascii_end();
        let mut near = false;
        let mut found = None;
        for (index, open) in self.open.iter().enumerate().rev() {
            let Kind::Multipart(boundary) = &open.kind else { continue };
            match text.strip_prefix(boundary.as_slice()) {
                Some(b"") => found = Some((index, false)),
                Some(b"--") => found = Some((index, true)),
                Some(_) => near = true,
                None => {}
            }
            if found.is_some() {
                break;
            }
        }
        let Some((index, last)) = found else {
            if near {
                let path = self.here();
                cx.visitor.problem(&path, "a line begins like a boundary and goes on".to_owned());
            }
            return Ok(false);
        };
        self.held = b"";
        if let State::Header(block) = &mut self.state {
            // The part has a header but no body.
            let block = std::mem::take(block);
            self.begin_block(&block, cx)?;
            self.held = b"";
        }
        while self.open.len() > index + 1 {
            self.close(cx)?;
        }
        self.state = if last { State::Content } else { State::Header(Vec::new()) };
        Ok(true)
    }

    fn begin_block(&mut self, block: &[u8], cx: &mut Context<'_>) -> Result<(), WalkError> {
        let (header, bad) = part::index(block);
        if !bad.is_empty() {
            cx.visitor.stray(&bad);
            // In the header of an enclosed message, a line such as an mbox `From ` line or a field without a
            // colon was written by somebody else. It does not affect how this message is read.
            let embedded = self.open.last().is_none_or(|open| matches!(open.kind, Kind::Message));
            if !embedded {
                let path = self.here();
                cx.visitor.problem(&path, "a part's header has a line that is not a field".to_owned());
            }
        }
        self.begin(&header, cx)
    }

    /// The path of the innermost open part.
    fn here(&self) -> String {
        self.open.last().map_or_else(|| self.root.clone(), |open| open.part.path.clone())
    }

    /// A part begins; its header is known.
    fn begin(&mut self, header: &Header, cx: &mut Context<'_>) -> Result<(), WalkError> {
        let depth = self.base + self.open.len();
        if depth >= cx.limits.depth {
            return Err(WalkError::TooDeep(cx.limits.depth));
        }
        *cx.parts += 1;
        if *cx.parts > cx.limits.parts {
            return Err(WalkError::TooMany(cx.limits.parts));
        }
        let mut default_type = "text/plain";
        let path = match self.open.last_mut() {
            None => self.root.clone(),
            Some(parent) => {
                parent.children += 1;
                if parent.part.content_type == "multipart/digest" {
                    default_type = "message/rfc822"; // RFC 2046 §5.1.5
                }
                child_path(&parent.part.path, parent.children)
            }
        };
        let reading = part::read(header, path, default_type);
        for why in reading.problems {
            cx.visitor.problem(&reading.part.path, why);
        }
        let (part, encoding) = (reading.part, reading.encoding);
        let kind = Self::kind_of(&part, encoding, depth, cx);
        cx.visitor.begin(&part, header);
        self.state = match kind {
            Kind::Message => State::Header(Vec::new()),
            _ => State::Content,
        };
        self.open.push(Open { part, kind, children: 0 });
        self.mid_line = false;
        self.held = b"";
        Ok(())
    }

    fn kind_of(part: &Part, encoding: Encoding, depth: usize, cx: &mut Context<'_>) -> Kind {
        let identity = matches!(encoding, Encoding::Identity | Encoding::Unknown);
        if part.is_multipart() {
            let boundary = part.parameter("boundary").unwrap_or("").trim_end();
            if boundary.is_empty() || boundary.len() > BOUNDARY {
                cx.visitor.problem(&part.path, "a multipart without a usable boundary".to_owned());
                return Kind::Leaf(Decoder::new(encoding));
            }
            // RFC 2045 §6.4 forbids any encoding here. If quoted-printable is declared, programs write and
            // read the parts unencoded; for base64 readers differ.
            if !identity && encoding != Encoding::QuotedPrintable {
                cx.visitor.problem(&part.path, "a multipart with a transfer encoding".to_owned());
            }
            return Kind::Multipart(boundary.as_bytes().to_vec());
        }
        if !part.is_message() {
            return Kind::Leaf(Decoder::new(encoding));
        }
        if identity {
            return Kind::Message;
        }
        let level = Self::message(child_path(&part.path, 1), depth + 1);
        Kind::Encoded(Decoder::new(encoding), Box::new(level))
    }

    /// Content of the innermost part. Its last line end is held back, because it may belong to a delimiter.
    fn content(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Result<(), WalkError> {
        if self.held == b"\r" && bytes == b"\n" {
            self.held = b"\r\n";
            return Ok(());
        }
        let (text, held): (&[u8], &'static [u8]) = match bytes {
            [text @ .., b'\r', b'\n'] => (text, b"\r\n"),
            [text @ .., b'\n'] => (text, b"\n"),
            [text @ .., b'\r'] => (text, b"\r"),
            _ => (bytes, b""),
        };
        if !self.held.is_empty() {
            self.emit(self.held, cx)?;
        }
        self.held = held;
        if text.is_empty() { Ok(()) } else { self.emit(text, cx) }
    }

    fn emit(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Result<(), WalkError> {
        let Some(open) = self.open.last_mut() else {
            cx.visitor.stray(bytes);
            return Ok(());
        };
        match &mut open.kind {
            Kind::Multipart(_) | Kind::Message => cx.visitor.stray(bytes),
            Kind::Leaf(Decoder::Identity) => cx.visitor.data(&open.part, bytes),
            Kind::Leaf(decoder) => {
                self.decoded.clear();
                decoder.feed(bytes, &mut self.decoded);
                if !self.decoded.is_empty() {
                    cx.visitor.data(&open.part, &self.decoded);
                }
            }
            Kind::Encoded(decoder, level) => {
                self.decoded.clear();
                decoder.feed(bytes, &mut self.decoded);
                level.feed(&self.decoded, cx)?;
            }
        }
        Ok(())
    }

    /// Closes the innermost part.
    fn close(&mut self, cx: &mut Context<'_>) -> Result<(), WalkError> {
        let Some(mut open) = self.open.pop() else { return Ok(()) };
        self.decoded.clear();
        match &mut open.kind {
            Kind::Multipart(_) | Kind::Message => {}
            Kind::Leaf(decoder) => {
                decoder.finish(&mut self.decoded);
                if !self.decoded.is_empty() {
                    cx.visitor.data(&open.part, &self.decoded);
                }
            }
            Kind::Encoded(decoder, level) => {
                decoder.finish(&mut self.decoded);
                level.feed(&self.decoded, cx)?;
                level.finish(cx)?;
            }
        }
        cx.visitor.end(&open.part);
        Ok(())
    }

    pub(super) fn finish(&mut self, cx: &mut Context<'_>) -> Result<(), WalkError> {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.whole_line(&line, cx)?;
        }
        if let State::Header(block) = &mut self.state {
            let block = std::mem::take(block);
            self.state = State::Content;
            let ended_early =
                !block.is_empty() || self.open.last().is_none_or(|open| matches!(open.kind, Kind::Message));
            if ended_early {
                self.begin_block(&block, cx)?;
            }
        }
        if !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            self.emit(held, cx)?;
        }
        while !self.open.is_empty() {
            self.close(cx)?;
        }
        Ok(())
    }
}

fn child_path(parent: &str, number: usize) -> String {
    if parent == "0" { number.to_string() } else { format!("{parent}.{number}") }
}
