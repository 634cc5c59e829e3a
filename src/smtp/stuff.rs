//! Stuffs dots in outgoing content and adds the final dot (RFC 5321 §4.5.2).
//!
//! Servers disagree about whether a bare CR or LF ends a line, and so about where a dot must be stuffed.
//! Content with a bare CR or LF is therefore an error here.

use super::ordinary::{BLOCK, ordinary};

/// The content has a bare CR or LF, so it must not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the content has a bare CR or LF")]
pub struct BareLineEnd;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// At the start of a line.
    LineStart,
    /// Inside a line.
    Text,
    /// After a CR.
    Cr,
}

/// Stuffs the content of one message, in chunks that may be cut at any point.
#[derive(Clone, Debug)]
pub struct Stuffer {
    at: At,
}

impl Default for Stuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl Stuffer {
    /// A stuffer at the start of a message.
    pub fn new() -> Self {
        Self { at: At::LineStart }
    }

    /// The octets at the front of `chunk` that are sent as they are, and whether a dot is inserted after them.
    ///
    /// # Errors
    /// The content has a bare CR or LF. The caller must then abort the transaction without a final dot.
    pub fn run<'a>(&mut self, chunk: &'a [u8]) -> Result<(&'a [u8], bool), BareLineEnd> {
        let (mut next, mut odd) = (0, 0);
        while next < chunk.len() {
            if next >= odd && self.at != At::Cr {
                let passed = ordinary(&chunk[next..], self.at == At::LineStart);
                if passed > 0 {
                    next += passed;
                    self.at = if chunk[next - 1] == b'\n' { At::LineStart } else { At::Text };
                }
                odd = next + BLOCK;
                if next == chunk.len() {
                    break;
                }
            }
            match self.at {
                At::Cr if chunk[next] == b'\n' => {
                    next += 1;
                    self.at = At::LineStart;
                }
                At::Cr => return Err(BareLineEnd),
                At::LineStart if chunk[next] == b'.' => {
                    self.at = At::Text;
                    return Ok((&chunk[..next], true));
                }
                At::LineStart | At::Text => {
                    self.at = At::Text;
                    match memchr::memchr2(b'\r', b'\n', &chunk[next..]) {
                        None => next = chunk.len(),
                        Some(found) if chunk[next + found] == b'\r' => {
                            next += found + 1;
                            self.at = At::Cr;
                        }
                        Some(_) => return Err(BareLineEnd),
                    }
                }
            }
        }
        Ok((chunk, false))
    }

    /// Appends stuffed content to a buffer.
    ///
    /// # Errors
    /// The content has a bare CR or LF.
    pub fn append(&mut self, mut chunk: &[u8], out: &mut Vec<u8>) -> Result<(), BareLineEnd> {
        while !chunk.is_empty() {
            let (run, dot) = self.run(chunk)?;
            out.extend_from_slice(run);
            if dot {
                out.push(b'.');
            }
            chunk = &chunk[run.len()..];
        }
        Ok(())
    }

    /// The octets that end the content: the final dot, preceded by CRLF if the content does not end in one.
    ///
    /// # Errors
    /// The content ends in a bare CR.
    pub fn finish(self) -> Result<&'static [u8], BareLineEnd> {
        match self.at {
            At::LineStart => Ok(b".\r\n"),
            At::Text => Ok(b"\r\n.\r\n"),
            At::Cr => Err(BareLineEnd),
        }
    }
}

/// Finds out whether content is sent as it is: each of its lines ends in CRLF, and none begins with a dot. It must
/// follow a line end, as a body follows the header.
#[derive(Debug)]
pub struct AsIs {
    stuffer: Stuffer,
    so_far: bool,
}

impl Default for AsIs {
    fn default() -> Self {
        Self { stuffer: Stuffer::new(), so_far: true }
    }
}

impl AsIs {
    /// Looks at the next octets.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.so_far = self.so_far && matches!(self.stuffer.run(chunk), Ok((_, false)));
    }

    /// Whether all of it is sent as it is.
    pub fn all(&self) -> bool {
        self.so_far && self.stuffer.at == At::LineStart
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stuffed(chunks: &[&[u8]]) -> Result<Vec<u8>, BareLineEnd> {
        let mut stuffer = Stuffer::new();
        let mut out = Vec::new();
        for chunk in chunks {
            stuffer.append(chunk, &mut out)?;
        }
        out.extend_from_slice(stuffer.finish()?);
        Ok(out)
    }

    #[test]
    fn dots_are_stuffed_at_every_cut() {
        let cases: [(&[u8], &[u8]); 9] = [
            (b"", b".\r\n"),
            (b"a\r\n", b"a\r\n.\r\n"),
            (b"a", b"a\r\n.\r\n"),
            (b".", b"..\r\n.\r\n"),
            (b".\r\n", b"..\r\n.\r\n"),
            (b"..\r\n", b"...\r\n.\r\n"),
            (b"a\r\n.\r\nb.\r\n.c", b"a\r\n..\r\nb.\r\n..c\r\n.\r\n"),
            (b"\r\n.\r\n", b"\r\n..\r\n.\r\n"),
            (b"a.b\r\n", b"a.b\r\n.\r\n"),
        ];
        for (content, expected) in cases {
            for cut in 0..=content.len() {
                let (one, two) = content.split_at(cut);
                assert_eq!(stuffed(&[one, two]).as_deref(), Ok(expected), "{content:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn bare_line_ends_never_leave() {
        for content in [
            b"a\nb".as_slice(),
            b"\n.\r\n",
            b"a\rb",
            b"a\r",
            b"\r\r\n",
            b"\n",
            b"a\r\n\n.\r\n",
            b".\n",
            b".\r.",
        ] {
            for cut in 0..=content.len() {
                let (one, two) = content.split_at(cut);
                assert_eq!(stuffed(&[one, two]), Err(BareLineEnd), "{content:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn only_content_that_a_stuffer_leaves_alone_is_sent_as_it_is() {
        let long = [&b"x".repeat(300)[..], b"\r\n"].concat();
        for (content, wanted) in [
            (&b""[..], true),
            (b"\r\n", true),
            (b"a.b\r\n", true),
            (&long, true),
            (b"a", false),
            (b".", false),
            (b"\r\n.\r\n", false),
            (&[&long[..], b".", &long].concat(), false),
            (&[&long[..], b"\n", &long].concat(), false),
            (&[&long[..], b"\r", &long].concat(), false),
            (b"a\r", false),
        ] {
            for cut in 0..=content.len() {
                let (one, two) = content.split_at(cut);
                let mut seen = AsIs::default();
                seen.feed(one);
                seen.feed(two);
                assert_eq!(seen.all(), wanted, "{} cut at {cut}", content.escape_ascii());
                let sent = stuffed(&[one, two]);
                assert_eq!(sent.is_ok_and(|sent| sent == [content, b".\r\n"].concat()), wanted);
            }
        }
    }

    proptest! {
        #[test]
        fn a_reader_that_knows_only_crlf_gets_the_content_back(
            lines in proptest::collection::vec("[.a]{0,4}", 0..8),
            sizes in proptest::collection::vec(1usize..5, 1..40),
        ) {
            let content = lines.iter().fold(String::new(), |all, line| all + line + "\r\n");
            let mut chunks = Vec::new();
            let mut rest = content.as_bytes();
            for size in sizes.iter().cycle() {
                if rest.is_empty() { break; }
                let (chunk, more) = rest.split_at((*size).min(rest.len()));
                chunks.push(chunk);
                rest = more;
            }
            let sent = String::from_utf8(stuffed(&chunks).unwrap()).unwrap();
            let mut read = String::new();
            let mut ended = false;
            for line in sent.split_inclusive("\r\n") {
                prop_assert!(!ended, "something follows the final dot");
                if line == ".\r\n" { ended = true; continue; }
                read.push_str(line.strip_prefix('.').unwrap_or(line));
            }
            prop_assert!(ended);
            prop_assert_eq!(read, content);
        }
    }
}
