//! Streaming decoders for Content-Transfer-Encoding (RFC 2045 §6; uuencode as used by Unix mail).
//!
//! They are lenient on purpose: everything that some reader might decode is decoded, because the search must
//! see what any recipient could see.

use super::digits::hex_digit;
use memchr::{memchr, memchr_iter, memmem, memrchr};

/// The transfer encoding of a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// `7bit`, `8bit`, `binary`, or none declared.
    #[default]
    Identity,
    /// `base64`.
    Base64,
    /// `quoted-printable`.
    QuotedPrintable,
    /// `x-uuencode` and its other names.
    Uuencode,
    /// An unknown name: the bytes are used as they are (RFC 2045 §6.4).
    Unknown,
}

impl Encoding {
    /// Parses the body of the field; comments and white space are ignored.
    pub fn read(body: &[u8]) -> Self {
        let text = super::params::strip_comments(body).to_ascii_lowercase();
        match text.trim().trim_matches('"').trim_end_matches(';').trim() {
            "" | "7bit" | "8bit" | "binary" | "7-bit" | "8-bit" => Self::Identity,
            "base64" => Self::Base64,
            "quoted-printable" => Self::QuotedPrintable,
            "x-uuencode" | "uuencode" | "x-uue" | "uue" | "x-uu" => Self::Uuencode,
            _ => Self::Unknown,
        }
    }
}

/// A streaming decoder with a few bytes of state.
#[derive(Debug)]
pub enum Decoder {
    /// Bytes pass unchanged.
    Identity,
    /// Base64.
    Base64(Base64),
    /// Quoted-printable.
    QuotedPrintable(QuotedPrintable),
    /// Uuencode.
    Uuencode(Uuencode),
}

impl Decoder {
    /// A decoder for this encoding.
    pub fn new(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Identity | Encoding::Unknown => Self::Identity,
            Encoding::Base64 => Self::Base64(Base64::default()),
            Encoding::QuotedPrintable => Self::QuotedPrintable(QuotedPrintable::default()),
            Encoding::Uuencode => Self::Uuencode(Uuencode::default()),
        }
    }

    /// Decodes a chunk and appends it to `out`.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Identity => out.extend_from_slice(bytes),
            Self::Base64(decoder) => decoder.feed(bytes, out),
            Self::QuotedPrintable(decoder) => decoder.feed(bytes, out),
            Self::Uuencode(decoder) => decoder.feed(bytes, out),
        }
    }

    /// Ends the content and appends what is left.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::Identity => {}
            Self::Base64(decoder) => decoder.finish(out),
            Self::QuotedPrintable(decoder) => decoder.finish(out),
            Self::Uuencode(decoder) => decoder.finish(out),
        }
    }
}

const SKIP: u8 = 0xff;
const PAD: u8 = 0xfe;

/// Values of the base64 alphabet, including the URL-safe letters; everything else is skipped.
const VALUES: [u8; 256] = {
    let mut table = [SKIP; 256];
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut value = 0_u8;
    while value < 64 {
        table[letters[value as usize] as usize] = value;
        value += 1;
    }
    table[b'-' as usize] = 62;
    table[b'_' as usize] = 63;
    table[b'=' as usize] = PAD;
    table
};

/// The value of a letter of the base64 alphabet (standard or URL-safe).
pub fn base64_value(letter: u8) -> Option<u8> {
    let value = VALUES[usize::from(letter)];
    (value < 64).then_some(value)
}

/// Fewest octets for which decoding several lines at once is faster.
const MANY: usize = 256;

/// Decodes base64; skips other octets and continues after padding (concatenated blocks).
#[derive(Debug, Default)]
pub struct Base64 {
    bits: u32,
    letters: u8,
    /// Lines joined without their line ends.
    gathered: Vec<u8>,
    /// The input is not simple lines of the standard alphabet: it is decoded octet by octet from here on.
    odd: bool,
}

impl Base64 {
    /// Decodes a chunk and appends it to `out`.
    pub fn feed(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        out.reserve(bytes.len() / 4 * 3 + 3);
        while !bytes.is_empty() {
            if self.letters == 0 {
                if bytes.len() >= MANY && !self.odd && self.lines(bytes, out) {
                    return;
                }
                bytes = Self::quads(bytes, out);
            }
            let Some((&first, rest)) = bytes.split_first() else { return };
            bytes = rest;
            self.letter(first, out);
        }
    }

    /// Handles the next octet.
    fn letter(&mut self, octet: u8, out: &mut Vec<u8>) {
        match VALUES[usize::from(octet)] {
            SKIP => {}
            PAD => self.finish(out),
            value => {
                self.bits = self.bits << 6 | u32::from(value);
                self.letters += 1;
                if self.letters == 4 {
                    let [_, octets @ ..] = self.bits.to_be_bytes();
                    out.extend_from_slice(&octets);
                    (self.bits, self.letters) = (0, 0);
                }
            }
        }
    }

    /// Decodes several lines at once if they contain only the standard alphabet; returns whether they did.
    fn lines(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        let mut gathered = std::mem::take(&mut self.gathered);
        gathered.clear();
        let mut start = 0;
        for end in memchr_iter(b'\n', bytes) {
            let line = &bytes[start..end];
            gathered.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
            start = end + 1;
        }
        let last = &bytes[start..];
        // Half a line end at the end of a chunk can be dropped.
        gathered.extend_from_slice(last.strip_suffix(b"\r").unwrap_or(last));
        let (groups, rest) = gathered.split_at(gathered.len() / 4 * 4);
        let length = out.len();
        let decoded = base64_simd::STANDARD_NO_PAD.decode_append(groups, out).is_ok();
        if decoded {
            for &octet in rest {
                self.letter(octet, out);
            }
        } else {
            out.truncate(length);
            self.odd = true;
        }
        self.gathered = gathered;
        decoded
    }

    /// Decodes whole groups of four letters until something else comes; returns the rest.
    fn quads<'a>(bytes: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        let (groups, _) = bytes.as_chunks::<4>();
        let mut done = 0;
        for group in groups {
            let [a, b, c, d] = group.map(|letter| u32::from(VALUES[usize::from(letter)]));
            if (a | b | c | d) >= 64 {
                break;
            }
            let [_, octets @ ..] = (a << 18 | b << 12 | c << 6 | d).to_be_bytes();
            out.extend_from_slice(&octets);
            done += 4;
        }
        &bytes[done..]
    }

    /// Decodes an incomplete group at padding or at the end.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        match self.letters {
            2 => out.push((self.bits << 12).to_be_bytes()[1]),
            3 => out.extend_from_slice(&(self.bits << 6).to_be_bytes()[1..3]),
            _ => {}
        }
        (self.bits, self.letters) = (0, 0);
    }
}

/// Quoted-printable (RFC 2045 §6.7). Lower-case digits are accepted; invalid escapes stay as they are.
#[derive(Debug, Default)]
pub struct QuotedPrintable {
    state: Escape,
}

#[derive(Debug, Default, Clone, Copy)]
enum Escape {
    #[default]
    None,
    /// After `=`.
    Equals,
    /// After `=` and one digit.
    Digit(u8),
    /// After `=` and white space: a soft line break if a line end follows.
    Blanks,
}

impl QuotedPrintable {
    fn feed(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        out.reserve(bytes.len());
        while let Some(&byte) = bytes.first() {
            match self.state {
                Escape::None => {
                    let plain = memchr(b'=', bytes).unwrap_or(bytes.len());
                    out.extend_from_slice(&bytes[..plain]);
                    bytes = &bytes[plain..];
                    if !bytes.is_empty() {
                        bytes = &bytes[1..];
                        self.state = Escape::Equals;
                    }
                    continue;
                }
                Escape::Equals => match byte {
                    b'\n' => self.state = Escape::None,
                    b' ' | b'\t' | b'\r' => self.state = Escape::Blanks,
                    _ if byte.is_ascii_hexdigit() => self.state = Escape::Digit(byte),
                    _ => {
                        self.state = Escape::None;
                        out.push(b'=');
                        continue;
                    }
                },
                Escape::Digit(first) => {
                    self.state = Escape::None;
                    if byte.is_ascii_hexdigit() {
                        out.push(hex_digit(first) << 4 | hex_digit(byte));
                    } else {
                        out.extend_from_slice(&[b'=', first]);
                        continue;
                    }
                }
                Escape::Blanks => match byte {
                    b'\n' => self.state = Escape::None,
                    b' ' | b'\t' | b'\r' => {}
                    _ => {
                        self.state = Escape::None;
                        out.extend_from_slice(b"= ");
                        continue;
                    }
                },
            }
            bytes = &bytes[1..];
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        match self.state {
            Escape::None | Escape::Blanks => {}
            Escape::Equals => out.push(b'='),
            Escape::Digit(first) => out.extend_from_slice(&[b'=', first]),
        }
        self.state = Escape::None;
    }
}

/// Longest line of an encoded block; longer ones are text.
const LONGEST: usize = 1_024;

/// What the first line of a block has in it.
const BEGIN: &[u8] = b"begin ";

/// Uuencoded blocks (`begin 644 name` … `end`) and `yEnc` blocks (`=ybegin` … `=yend`); the text around them
/// is skipped.
#[derive(Debug, Default)]
pub struct Uuencode {
    line: Vec<u8>,
    inside: Block,
    too_long: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Block {
    #[default]
    None,
    Uu,
    Yenc,
}

impl Uuencode {
    /// Decodes the contents of blocks and appends them to `out`.
    pub fn feed(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        let begin = memmem::Finder::new(BEGIN);
        while !bytes.is_empty() {
            if self.inside == Block::None && self.line.is_empty() && !self.too_long {
                let to = begin.find(bytes).unwrap_or(bytes.len());
                let lines = memrchr(b'\n', &bytes[..to]).map_or(0, |at| at + 1);
                bytes = &bytes[lines..];
            }
            let end = memchr(b'\n', bytes);
            let (piece, rest) = bytes.split_at(end.map_or(bytes.len(), |at| at + 1));
            bytes = rest;
            if self.line.len() + piece.len() > LONGEST {
                self.too_long = true;
                self.line.clear();
            }
            if !self.too_long {
                self.line.extend_from_slice(piece);
            }
            if end.is_some() {
                self.take_line(out);
            }
        }
    }

    /// Handles the last line if it has no line end.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.take_line(out);
    }

    fn take_line(&mut self, out: &mut Vec<u8>) {
        let line = std::mem::take(&mut self.line);
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if !std::mem::take(&mut self.too_long) {
            match self.inside {
                Block::None => self.inside = block_start(text),
                Block::Uu if text.trim_ascii() == b"end" => self.inside = Block::None,
                Block::Uu => uu_line(text, out),
                Block::Yenc if text.starts_with(b"=yend") => self.inside = Block::None,
                Block::Yenc if text.starts_with(b"=ypart") => {}
                Block::Yenc => yenc_line(text, out),
            }
        }
        self.line = line;
        self.line.clear();
    }
}

fn block_start(line: &[u8]) -> Block {
    if line.starts_with(b"=ybegin ") {
        return Block::Yenc;
    }
    let Some(rest) = line.strip_prefix(b"begin ") else { return Block::None };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if (3..=4).contains(&digits) && rest.get(digits) == Some(&b' ') { Block::Uu } else { Block::None }
}

fn uu_line(line: &[u8], out: &mut Vec<u8>) {
    let Some((&length, letters)) = line.split_first() else { return };
    let mut left = usize::from(length.wrapping_sub(32) & 63);
    for group in letters.chunks(4) {
        let mut bits = 0u32;
        for index in 0..4 {
            let letter = group.get(index).copied().unwrap_or(b' ');
            bits = bits << 6 | u32::from(letter.wrapping_sub(32) & 63);
        }
        let [_, bytes @ ..] = bits.to_be_bytes();
        let take = left.min(3);
        out.extend_from_slice(&bytes[..take]);
        left -= take;
    }
}

fn yenc_line(line: &[u8], out: &mut Vec<u8>) {
    let mut escaped = false;
    for &byte in line {
        match (escaped, byte) {
            (false, b'=') => escaped = true,
            (false, _) => out.push(byte.wrapping_sub(42)),
            (true, _) => {
                out.push(byte.wrapping_sub(42 + 64));
                escaped = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(encoding: Encoding, text: &[u8]) -> Vec<u8> {
        let mut whole = Vec::new();
        let mut decoder = Decoder::new(encoding);
        decoder.feed(text, &mut whole);
        decoder.finish(&mut whole);
        for size in [1, 2, 3, 7] {
            let mut pieces = Vec::new();
            let mut decoder = Decoder::new(encoding);
            text.chunks(size).for_each(|chunk| decoder.feed(chunk, &mut pieces));
            decoder.finish(&mut pieces);
            assert_eq!(pieces, whole, "in chunks of {size}");
        }
        whole
    }

    #[test]
    fn base64_of_every_shape() {
        for (text, plain) in [
            ("aGVsbG8=", "hello"),
            ("aGVs\r\nbG8=\r\n", "hello"),
            ("aGVsbG8", "hello"),
            ("aGVsbA==", "hell"),
            ("aGVsbA==aGVsbG8=", "hellhello"),
            ("a G!V*s\tbG8=", "hello"),
            ("", ""),
            ("=", ""),
        ] {
            assert_eq!(decode(Encoding::Base64, text.as_bytes()), plain.as_bytes(), "{text}");
        }
    }

    #[test]
    fn quoted_printable_of_every_shape() {
        for (text, plain) in [
            ("a=40x.jp", "a@x.jp"),
            ("a=4\r\n0", "a=4\r\n0"),
            ("a@x=\r\n.jp", "a@x.jp"),
            ("a@x=  \t\r\n.jp", "a@x.jp"),
            ("a@x=\n.jp", "a@x.jp"),
            ("=e3=81=82", "あ"),
            ("a=zz=", "a=zz="),
            ("==40", "=@"),
        ] {
            assert_eq!(
                String::from_utf8_lossy(&decode(Encoding::QuotedPrintable, text.as_bytes())),
                plain,
                "{text}"
            );
        }
    }

    #[test]
    fn uuencoded_and_yenc_blocks() {
        let text = b"see below\r\nbegin 644 a.txt\r\n%:&5L;&\\\r\n`\r\nend\r\nbye\r\n";
        assert_eq!(decode(Encoding::Uuencode, text), b"hello");
        let yenc: Vec<u8> = b"hello".iter().map(|byte| byte.wrapping_add(42)).collect();
        let text = [b"=ybegin line=128 size=5 name=a\r\n", &yenc[..], b"\r\n=yend size=5\r\n"].concat();
        assert_eq!(decode(Encoding::Uuencode, &text), b"hello");
        assert_eq!(decode(Encoding::Uuencode, b"we begin 2026 with\r\nnothing\r\n"), b"");
        let far = "Let us begin 100 times, or begin 1 or begin 644 of them.\r\n\r\nbegin\r\n begin 644 a\r\n"
            .repeat(9);
        let text =
            format!("{far}begin 644 a.txt\r\n%:&5L;&\\\r\n`\r\nend\r\n{far}begin 644 b\n%:&5L;&\\\n`\nend\n");
        assert_eq!(decode(Encoding::Uuencode, text.as_bytes()), b"hellohello");
    }

    #[test]
    fn names_of_encodings() {
        for (body, encoding) in [
            (&b" BASE64"[..], Encoding::Base64),
            (b" (really) base64 (yes)", Encoding::Base64),
            (b"Quoted-Printable;", Encoding::QuotedPrintable),
            (b"x-rot13", Encoding::Unknown),
            (b"", Encoding::Identity),
        ] {
            assert_eq!(Encoding::read(body), encoding);
        }
    }
}
