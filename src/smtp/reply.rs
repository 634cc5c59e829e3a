//! Parses a server's replies for the client side (RFC 5321 §4.2).
//!
//! Reply texts end up in logs, queue listings and delivery reports. They are therefore limited in length
//! here, and control characters and line ends are replaced.

use std::fmt;

/// Longest reply line in octets, line end included. RFC 5321 §4.5.3.1.5 says 512; some servers send more.
pub const MAX_LINE: usize = 4_096;
/// Most lines in one reply. The longest legitimate replies, to EHLO, have a few dozen.
pub const MAX_LINES: usize = 128;
/// Octets of text kept of one reply; the rest is cut off.
pub const MAX_TEXT: usize = 8_192;

/// One complete reply: the code and its lines of text, which may begin with an enhanced status code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    lines: Vec<String>,
}

/// An enhanced status code (RFC 3463): class, subject, detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enhanced {
    /// 2, 4 or 5.
    pub class: u8,
    /// 0 to 999.
    pub subject: u16,
    /// 0 to 999.
    pub detail: u16,
}

impl fmt::Display for Enhanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

impl Reply {
    /// The three-digit code, 200 to 599.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The text of each line without code and separator. There is at least one line; it may be empty.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Whether the code is 2xx: the command succeeded.
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// Whether the code is 3xx: the server waits for more input.
    pub fn is_intermediate(&self) -> bool {
        self.code / 100 == 3
    }

    /// Whether the code is 4xx: the command failed and may be tried again later.
    pub fn is_transient(&self) -> bool {
        self.code / 100 == 4
    }

    /// Whether the code is 5xx: the command failed and must not be repeated unchanged.
    pub fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// The enhanced status code at the start of the first line. `None` if there is none, or if its class
    /// contradicts the reply code (RFC 2034 §4).
    pub fn enhanced(&self) -> Option<Enhanced> {
        let word = self.lines.first()?.split(' ').next()?;
        let mut numbers = word.split('.').map(|part| {
            let short = (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
            if short { part.parse::<u16>().ok() } else { None }
        });
        let (class, subject, detail) = (numbers.next()??, numbers.next()??, numbers.next()??);
        let fits = numbers.next().is_none() && class == self.code / 100 && matches!(class, 2 | 4 | 5);
        fits.then_some(Enhanced { class: u8::try_from(class).ok()?, subject, detail })
    }
}

/// The whole reply on one line: code, then the lines of text with spaces between them.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        for line in self.lines.iter().filter(|line| !line.is_empty()) {
            write!(f, " {line}")?;
        }
        Ok(())
    }
}

/// The server sent something that is not a valid reply. The connection can no longer be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadReply {
    /// A line that does not begin with a code and a separator.
    #[error("the server sent a line that is not an SMTP reply: `{0}`")]
    NoCode(String),
    /// Lines of one reply with different codes (RFC 5321 §4.2.1 forbids it).
    #[error("the server mixed the codes {0} and {1} in one reply")]
    MixedCodes(u16, u16),
    /// A line that exceeds [`MAX_LINE`].
    #[error("the server sent a reply line of more than {MAX_LINE} octets")]
    LongLine,
    /// A reply of more than [`MAX_LINES`] lines.
    #[error("the server sent a reply of more than {MAX_LINES} lines")]
    ManyLines,
}

/// Assembles replies from bytes as they arrive.
#[derive(Debug, Default)]
pub struct ReplyReader {
    line: Vec<u8>,
    code: Option<u16>,
    lines: Vec<String>,
    kept: usize,
}

impl ReplyReader {
    /// A reader that waits for the first line of a reply.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether part of a reply has arrived and its end has not.
    pub fn is_midway(&self) -> bool {
        self.code.is_some() || !self.line.is_empty()
    }

    /// Reads `input` up to the end of at most one reply. Returns the number of octets read and, if it is
    /// complete, the reply; call again with the rest of the input.
    ///
    /// A bare LF ends a line as well: replies are not forwarded as protocol, so nothing can be smuggled.
    ///
    /// # Errors
    /// A [`BadReply`] if the input is not a valid reply or exceeds the limits above.
    pub fn read(&mut self, input: &[u8]) -> Result<(usize, Option<Reply>), BadReply> {
        let mut taken = 0;
        while let Some(rest) = input.get(taken..).filter(|rest| !rest.is_empty()) {
            let Some(end) = memchr::memchr(b'\n', rest) else {
                self.hold(rest)?;
                return Ok((input.len(), None));
            };
            self.hold(&rest[..end])?;
            taken += end + 1;
            let line = std::mem::take(&mut self.line);
            if self.take_line(line.strip_suffix(b"\r").unwrap_or(&line))? {
                let reply = Reply {
                    code: self.code.take().unwrap_or_default(),
                    lines: std::mem::take(&mut self.lines),
                };
                self.kept = 0;
                return Ok((taken, Some(reply)));
            }
        }
        Ok((taken, None))
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<(), BadReply> {
        if self.line.len() + bytes.len() > MAX_LINE {
            return Err(BadReply::LongLine);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    /// Adds one line; returns whether it was the last of its reply.
    fn take_line(&mut self, line: &[u8]) -> Result<bool, BadReply> {
        let (code, last, text) = split(line).ok_or_else(|| BadReply::NoCode(printable(line, 80)))?;
        match self.code {
            Some(first) if first != code => return Err(BadReply::MixedCodes(first, code)),
            _ => self.code = Some(code),
        }
        if self.lines.len() == MAX_LINES {
            return Err(BadReply::ManyLines);
        }
        let text = printable(text, MAX_TEXT.saturating_sub(self.kept));
        self.kept += text.len();
        self.lines.push(text);
        Ok(last)
    }
}

/// Splits a line into its code, whether it is the last of its reply, and its text.
fn split(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    let code =
        std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    let code = code.parse().ok().filter(|code| (200..600).contains(code))?;
    match rest.split_first() {
        None => Some((code, true, rest)),
        Some((b' ', text)) => Some((code, true, text)),
        Some((b'-', text)) => Some((code, false, text)),
        Some(_) => None,
    }
}

/// Text that is safe to log and to mail: valid UTF-8 (invalid bytes replaced), with spaces for control
/// characters and Unicode line separators, cut to at most `limit` octets.
fn printable(bytes: &[u8], limit: usize) -> String {
    let mut text = String::with_capacity(bytes.len().min(limit));
    for found in String::from_utf8_lossy(bytes).chars() {
        let shown = match found {
            '\u{2028}' | '\u{2029}' => ' ',
            control if control.is_control() => ' ',
            other => other,
        };
        if text.len() + shown.len_utf8() > limit {
            break;
        }
        text.push(shown);
    }
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(input: &[u8]) -> Result<Vec<Reply>, BadReply> {
        let mut reader = ReplyReader::new();
        let mut replies = Vec::new();
        let mut at = 0;
        while at < input.len() {
            let (taken, reply) = reader.read(&input[at..])?;
            at += taken;
            replies.extend(reply);
        }
        Ok(replies)
    }

    #[test]
    fn replies_are_read() {
        let cases: [(&[u8], &[&str]); 8] = [
            (b"250 2.0.0 queued\r\n", &["250 2.0.0 queued"]),
            (b"250\r\n", &["250"]),
            (b"250 \r\n", &["250"]),
            (b"250-a\r\n250-b\r\n250 c\r\n", &["250 a b c"]),
            (b"220 hi\n", &["220 hi"]),
            (b"250 a\r\n354 go\r\n550 no\r\n", &["250 a", "354 go", "550 no"]),
            (b"550-5.1.1 no\r\n550 such \x01\x7f user\r\n", &["550 5.1.1 no such    user"]),
            (b"550 \xe6\x97\xa5\xff\r\n", &["550 \u{65e5}\u{fffd}"]),
        ];
        for (input, expected) in cases {
            let shown: Vec<String> = all(input).unwrap().iter().map(ToString::to_string).collect();
            assert_eq!(shown, expected, "{}", String::from_utf8_lossy(input));
        }
    }

    #[test]
    fn what_is_no_reply_is_an_error() {
        let cases: [(Vec<u8>, BadReply); 8] = [
            (b"hello\r\n".to_vec(), BadReply::NoCode("hello".into())),
            (b"25\r\n".to_vec(), BadReply::NoCode("25".into())),
            (b"250_x\r\n".to_vec(), BadReply::NoCode("250_x".into())),
            (b"199 x\r\n".to_vec(), BadReply::NoCode("199 x".into())),
            (b"+50 x\r\n".to_vec(), BadReply::NoCode("+50 x".into())),
            (b"250-a\r\n550 b\r\n".to_vec(), BadReply::MixedCodes(250, 550)),
            (vec![b'2'; MAX_LINE + 1], BadReply::LongLine),
            (b"250-x\r\n".repeat(MAX_LINES + 1), BadReply::ManyLines),
        ];
        for (input, expected) in cases {
            assert_eq!(all(&input), Err(expected));
        }
    }

    #[test]
    fn the_text_kept_is_bounded() {
        let line = [b"250-".as_slice(), &[b'x'; 4_000], b"\r\n"].concat();
        let input = [line.repeat(100), b"250 end\r\n".to_vec()].concat();
        let replies = all(&input).unwrap();
        assert_eq!(replies.len(), 1);
        assert!(replies[0].to_string().len() <= MAX_TEXT + MAX_LINES + 3);
    }

    #[test]
    fn enhanced_codes_must_fit_the_reply() {
        let cases: [(&[u8], Option<&str>); 8] = [
            (b"250 2.1.5 ok\r\n", Some("2.1.5")),
            (b"550 5.7.1\r\n", Some("5.7.1")),
            (b"550 4.7.1 x\r\n", None),
            (b"550 5.7 x\r\n", None),
            (b"550 5.7.1.1 x\r\n", None),
            (b"550 5.7.1000 x\r\n", None),
            (b"354 3.0.0 x\r\n", None),
            (b"550 no\r\n", None),
        ];
        for (input, expected) in cases {
            let found = all(input).unwrap()[0].enhanced().map(|code| code.to_string());
            assert_eq!(found.as_deref(), expected);
        }
    }

    proptest! {
        #[test]
        fn splits_do_not_matter(
            input in proptest::collection::vec(prop_oneof![
                Just(b'2'), Just(b'5'), Just(b'0'), Just(b' '), Just(b'-'), Just(b'\r'), Just(b'\n'), any::<u8>()
            ], 0..60),
            cut in 0usize..60,
        ) {
            let input = [b"250-go\r\n250 ".as_slice(), &input].concat();
            let cut = cut.min(input.len());
            let mut reader = ReplyReader::new();
            let mut replies = Vec::new();
            let mut failed = None;
            'all: for piece in [&input[..cut], &input[cut..]] {
                let mut at = 0;
                while at < piece.len() {
                    match reader.read(&piece[at..]) {
                        Ok((taken, reply)) => { at += taken; replies.extend(reply); }
                        Err(error) => { failed = Some(error); break 'all; }
                    }
                }
            }
            let split = failed.map_or(Ok(replies), Err);
            prop_assert_eq!(split, all(&input));
        }
    }
}
