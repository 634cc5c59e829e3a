//! The tokenizer of address fields. One pass without look-back, so it is linear for any input.

use super::super::encoded_word::{Word, shift_length};
use std::ops::Range;

/// Maximum nesting depth of comments that is accepted; real ones nest once or twice.
const MAX_COMMENT_DEPTH: usize = 20;
/// Longest address literal, in octets.
const MAX_LITERAL: usize = 100;

/// Kinds of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Characters without special meaning, dots among them; an encoded-word; raw 8-bit.
    Atom,
    /// A quoted string, quotes included.
    Quoted,
    /// `[…]`.
    Literal,
    /// One of `< > @ , ; :`.
    Special(u8),
    /// A byte that is not allowed here: a stray bracket, backslash, quote or control character.
    Junk(&'static str),
}

/// A token and its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Range<usize>,
    /// Whether white space or a comment precedes it.
    pub(super) spaced: bool,
}

/// The tokenizer; it skips comments.
pub(super) struct Lexer<'a> {
    body: &'a [u8],
    at: usize,
    /// It is known that no closing quote (or parenthesis) follows, so the search is not repeated.
    no_closing_quote: bool,
    no_closing_comment: bool,
    /// Position of the first comment that is nested too deep.
    pub(super) deep_comment: Option<usize>,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self { body, at: 0, no_closing_quote: false, no_closing_comment: false, deep_comment: None }
    }

    /// The end of a quoted string that begins at `at`.
    fn quoted(&mut self) -> Option<usize> {
        if self.no_closing_quote {
            return None;
        }
        let mut at = self.at + 1;
        while let Some(byte) = self.body.get(at) {
            match byte {
                b'"' => return Some(at + 1),
                b'\\' => at += 2,
                // The octets of unencoded ISO-2022-JP include quotes and backslashes.
                0x1b => at = self.shifted(at),
                _ => at += 1,
            }
        }
        self.no_closing_quote = true;
        None
    }

    /// The position after the ISO-2022-JP text that starts with the shift sequence at `at`: where it returns
    /// to ASCII or the line ends. One byte further if there is no shift sequence.
    fn shifted(&self, at: usize) -> usize {
        let length = shift_length(&self.body[at..]);
        if length == 0 {
            return at + 1;
        }
        let mut end = at + length;
        while let Some(byte) = self.body.get(end) {
            match byte {
                b'\r' | b'\n' => break,
                0x1b if matches!(self.body.get(end + 1..end + 3), Some([b'(', b'B' | b'J'])) => {
                    return end + 3;
                }
                _ => end += 1,
            }
        }
        end
    }

    /// The end of a comment that begins at `at`.
    fn comment(&mut self) -> Option<usize> {
        if self.no_closing_comment {
            return None;
        }
        let (mut at, mut depth) = (self.at, 0usize);
        while let Some(byte) = self.body.get(at) {
            match byte {
                b'(' => {
                    depth += 1;
                    if depth > MAX_COMMENT_DEPTH && self.deep_comment.is_none() {
                        self.deep_comment = Some(at);
                    }
                }
                b')' if depth == 1 => return Some(at + 1),
                b')' => depth -= 1,
                b'\\' => at += 1,
                0x1b => {
                    at = self.shifted(at);
                    continue;
                }
                _ => {}
            }
            at += 1;
        }
        self.no_closing_comment = true;
        None
    }

    /// The end of an address literal that begins at `at`.
    fn literal(&self) -> Option<usize> {
        let rest = &self.body[self.at + 1..];
        let rest = &rest[..rest.len().min(MAX_LITERAL)];
        let stop = rest.iter().position(|byte| matches!(byte, b'[' | b']' | b'<' | b'>' | b'@' | b','))?;
        (rest[stop] == b']').then_some(self.at + 1 + stop + 1)
    }

    /// The end of an encoded-word that begins at `at` and counts as one atom, although its text may contain
    /// characters that would separate tokens. It does not count as an atom if its text could be an address
    /// list itself.
    fn encoded_word(&self) -> Option<usize> {
        let word = Word::read(self.body, self.at)?;
        let has = |set: &[u8]| word.text().iter().any(|byte| set.contains(byte));
        let apart = has(b"<>\" \t\r\n") || (has(b"@") && has(b",;:"));
        (!apart).then_some(word.end)
    }

    /// The end of an atom that begins at `at`.
    fn atom(&self) -> usize {
        let mut at = self.at;
        while let Some(byte) = self.body.get(at) {
            match byte {
                0x1b if shift_length(&self.body[at..]) > 0 => at = self.shifted(at),
                byte if is_plain(*byte) => at += 1,
                _ => break,
            }
        }
        at
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let mut spaced = false;
        loop {
            let start = self.at;
            let byte = *self.body.get(start)?;
            let (kind, end) = match byte {
                b' ' | b'\t' | b'\r' | b'\n' => {
                    self.at += 1;
                    spaced = true;
                    continue;
                }
                b'(' => match self.comment() {
                    Some(end) => {
                        self.at = end;
                        spaced = true;
                        continue;
                    }
                    None => (Kind::Junk("a comment is never closed"), start + 1),
                },
                b'"' => match self.quoted() {
                    Some(end) => (Kind::Quoted, end),
                    None => (Kind::Junk("a quote is never closed"), start + 1),
                },
                b'[' => match self.literal() {
                    Some(end) => (Kind::Literal, end),
                    None => (Kind::Junk("a bracket is never closed"), start + 1),
                },
                b'<' | b'>' | b'@' | b',' | b';' | b':' => (Kind::Special(byte), start + 1),
                b')' => (Kind::Junk("a comment is closed that was never opened"), start + 1),
                b']' => (Kind::Junk("a bracket is closed that was never opened"), start + 1),
                b'\\' => (Kind::Junk("a backslash stands outside quotes"), start + 1),
                b'=' if let Some(end) = self.encoded_word() => (Kind::Atom, end),
                _ => match self.atom() {
                    end if end > start => (atom_kind(&self.body[start..end]), end),
                    _ => (Kind::Junk("a control character"), start + 1),
                },
            };
            self.at = end;
            return Some(Token { kind, span: start..end, spaced });
        }
    }
}

/// Unencoded ISO-2022-JP, as old scripts write names, may contain an `@` octet as half of a character. It is
/// read by its charset if it returns to ASCII; if it does not, nobody knows where it ends.
fn atom_kind(bytes: &[u8]) -> Kind {
    let last = bytes.iter().rposition(|byte| *byte == 0x1b);
    let open = last.is_some_and(|at| !matches!(bytes.get(at + 1..at + 3), Some([b'(', b'B' | b'J'])));
    if open && bytes.iter().any(|byte| matches!(byte, b'@' | b'<')) {
        return Kind::Junk(
            "unencoded ISO-2022-JP text that does not end, which others may read as an address",
        );
    }
    Kind::Atom
}

/// Bytes that make up atoms: all but specials, white space and control characters; dots and 8-bit octets too.
fn is_plain(byte: u8) -> bool {
    byte > 0x20
        && byte != 0x7f
        && !matches!(byte, b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'@' | b',' | b';' | b':' | b'"' | b'\\')
}
