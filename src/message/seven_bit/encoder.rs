//! Streaming encoders for quoted-printable and base64 (RFC 2045 §6.7, §6.8).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Longest encoded line, without its end.
const LINE: usize = 76;
/// Octets per line of base64.
const GROUP: usize = LINE / 4 * 3;

/// The encoder of one leaf.
#[derive(Debug)]
pub(super) enum Encoder {
    QuotedPrintable(QuotedPrintable),
    Base64(Vec<u8>),
}

/// State between two pieces.
#[derive(Debug, Default)]
pub(super) struct QuotedPrintable {
    column: usize,
    /// This line continues the previous one.
    soft: bool,
    /// A space or tab that must be encoded if the line ends here.
    space: Option<u8>,
    /// A CR whose LF has not come.
    cr: bool,
}

impl Encoder {
    pub(super) fn quoted_printable() -> Self {
        Self::QuotedPrintable(QuotedPrintable::default())
    }

    pub(super) const fn base64() -> Self {
        Self::Base64(Vec::new())
    }

    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::QuotedPrintable(state) => bytes.iter().for_each(|&byte| state.octet(byte, out)),
            Self::Base64(group) => {
                for &byte in bytes {
                    if group.len() == GROUP {
                        out.extend_from_slice(STANDARD.encode(&*group).as_bytes());
                        out.extend_from_slice(b"\r\n");
                        group.clear();
                    }
                    group.push(byte);
                }
            }
        }
    }

    /// Ends the leaf; no line end is written.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::QuotedPrintable(state) => state.finish(out),
            Self::Base64(group) => out.extend_from_slice(STANDARD.encode(std::mem::take(group)).as_bytes()),
        }
    }
}

impl QuotedPrintable {
    fn octet(&mut self, byte: u8, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.cr) {
            if byte == b'\n' {
                self.encode_space(out);
                out.extend_from_slice(b"\r\n");
                (self.column, self.soft) = (0, false);
                return;
            }
            self.put_space(out);
            self.encoded(b'\r', out);
        }
        if byte == b'\r' {
            self.cr = true;
            return;
        }
        self.put_space(out);
        match byte {
            b' ' | b'\t' => self.space = Some(byte),
            b'=' => self.encoded(byte, out),
            33..=126 => self.put(&[byte], out),
            _ => self.encoded(byte, out),
        }
    }

    fn put_space(&mut self, out: &mut Vec<u8>) {
        if let Some(space) = self.space.take() {
            self.put(&[space], out);
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.cr) {
            self.put_space(out);
            self.encoded(b'\r', out);
        }
        self.encode_space(out);
    }

    fn encode_space(&mut self, out: &mut Vec<u8>) {
        if let Some(space) = self.space.take() {
            self.encoded(space, out);
        }
    }

    fn encoded(&mut self, byte: u8, out: &mut Vec<u8>) {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        self.put(&[b'=', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]], out);
    }

    fn put(&mut self, token: &[u8], out: &mut Vec<u8>) {
        if self.column + token.len() >= LINE {
            out.extend_from_slice(b"=\r\n");
            (self.column, self.soft) = (0, true);
        }
        if self.soft && self.column == 0 && token == b"-" {
            // a line that we broke must not look like a delimiter
            return self.encoded(b'-', out);
        }
        out.extend_from_slice(token);
        self.column += token.len();
    }
}
