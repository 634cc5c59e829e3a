//! Joins lines that a format broke, in one of two ways that exclude each other: folded lines of calendars, cards,
//! directories and quoted headers (RFC 5545 §3.1, RFC 6350 §3.2, RFC 2849), soft line breaks of quoted-printable
//! (RFC 2045 §6.7) and lines that end in a backslash; or flowed text with `DelSp` (RFC 3676 §4.1, §4.5).

use memchr::memchr_iter;

/// The number of octets after a line end that decide whether it joins lines, with room for quote marks.
const AHEAD: usize = 24;
/// The number of octets before a line feed that decide whether it joins lines.
const BEHIND: usize = RETURNS + 4;

/// Which lines are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lines {
    /// The next line begins with white space, or this one ends in `=` or a backslash.
    Folded,
    /// This line ends in a space.
    Flowed,
}

/// A filter that removes the line ends that join lines, with the characters that belong to them.
#[derive(Debug)]
pub(super) struct Join {
    lines: Lines,
    carry: Vec<u8>,
}

impl Join {
    pub(super) fn new(lines: Lines) -> Self {
        Self { lines, carry: Vec::new() }
    }

    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut text = std::mem::take(&mut self.carry);
        text.extend_from_slice(bytes);
        let until = text.len().saturating_sub(AHEAD);
        let done = self.join(&text, until, out);
        // A line end in the next chunk is judged by the octets before it, so these are kept.
        let keep = done.max(until.saturating_sub(BEHIND));
        out.extend_from_slice(&text[done..keep]);
        text.drain(..keep);
        self.carry = text;
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        let text = std::mem::take(&mut self.carry);
        let done = self.join(&text, text.len(), out);
        out.extend_from_slice(&text[done..]);
    }

    /// Joins lines at the line ends before `until`. Returns how many octets of the text were processed.
    fn join(&self, text: &[u8], until: usize, out: &mut Vec<u8>) -> usize {
        let mut done = 0;
        for at in memchr_iter(b'\n', &text[..until]) {
            if at < done {
                continue;
            }
            let (before, after) = around(text, at);
            let line = &text[done..before.max(done)];
            let (dropped_before, dropped) = match (self.lines, line.last(), after.first()) {
                // Folding can split an escape (`\` and `n`). Scripts indent a continued line by more than one blank.
                (Lines::Folded, Some(b'\\'), _) if blanks(after) == 1 => (0, 1),
                (Lines::Folded, Some(b'\\'), _) => (1, blanks(after)),
                // Folding can split `=` and its digits, too. A soft line break and a blank would not join an
                // address anyway.
                (Lines::Folded, Some(b'='), _) if begins_with_digits(after) => (0, 1),
                (Lines::Folded, Some(b'='), _) => (1, 0),
                (Lines::Folded, _, Some(b' ' | b'\t')) => (0, 1),
                // Space-stuffing (RFC 3676 §4.4).
                (Lines::Flowed, Some(b' '), Some(b' ')) => (1, 1),
                (Lines::Flowed, Some(b' '), _) => (1, quote_marks(after)),
                _ => continue,
            };
            out.extend_from_slice(&line[..line.len() - dropped_before]);
            done = at + 1 + dropped;
        }
        done
    }
}

/// The maximum number of carriage returns in one line end. Some encoders of quoted-printable double them.
const RETURNS: usize = 3;

/// Where the line before this line feed ends, and the text after it.
fn around(text: &[u8], at: usize) -> (usize, &[u8]) {
    let returns = text[..at].iter().rev().take(RETURNS).take_while(|byte| **byte == b'\r').count();
    (at - returns, &text[at + 1..])
}

/// The number of quote marks (RFC 3676 §4.5), with the blank after them.
fn quote_marks(line: &[u8]) -> usize {
    let marks = line.iter().take(AHEAD - 2).take_while(|byte| **byte == b'>').count();
    marks + usize::from(marks > 0 && line.get(marks) == Some(&b' '))
}

fn blanks(line: &[u8]) -> usize {
    line.iter().take(AHEAD - 1).take_while(|byte| is_blank(**byte)).count()
}

/// Whether a line begins with one blank and then the two digits of an octet in quoted-printable.
fn begins_with_digits(line: &[u8]) -> bool {
    matches!(line, [blank, first, second, ..]
        if is_blank(*blank) && first.is_ascii_hexdigit() && second.is_ascii_hexdigit())
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Whether joining lines could complete an address in these octets, which follow `before`.
pub(super) fn may_join(lines: Lines, before: &[u8], bytes: &[u8]) -> bool {
    let edge = 12;
    let seam: Vec<u8> =
        before[before.len().saturating_sub(edge)..].iter().chain(bytes.iter().take(edge)).copied().collect();
    joins_within(lines, &seam) || joins_within(lines, bytes)
}

fn joins_within(lines: Lines, text: &[u8]) -> bool {
    let shows = |byte: u8| byte.is_ascii_graphic() || byte >= 0x80;
    memchr_iter(b'\n', text).any(|at| {
        let (before, after) = around(text, at);
        // An address contains no blanks and no empty lines.
        match (lines, &text[..before], after) {
            (Lines::Folded, [.., b'\\' | b'='], _) => true,
            // The line end of a text in this one (a card in a calendar) may be folded, too, and is escaped.
            (Lines::Folded, line, [b' ' | b'\t', b' ' | b'\t', ..]) => ends_in_escaped_line_end(line),
            (Lines::Folded, [.., last], [b' ' | b'\t', next, ..])
            | (Lines::Flowed, [.., last, b' '], [b' ', next, ..] | [next, ..]) => {
                shows(*last) && shows(*next)
            }
            _ => false,
        }
    })
}

/// Whether a line ends in a line end as escapes write it: `\n`, `=0A`, `%0A`, `\u000a`, `&#10;`, `&#xA;`.
fn ends_in_escaped_line_end(line: &[u8]) -> bool {
    let end = &line[line.len().saturating_sub(4)..];
    matches!(
        end.to_ascii_lowercase().as_slice(),
        [.., b'\\', b'n' | b'r']
            | [.., b'0', b'a' | b'd']
            | [.., b'#', b'1', b'0' | b'3', b';']
            | [.., b'x' | b'0', b'a' | b'd', b';']
    )
}

#[cfg(test)]
mod tests {
    use super::super::lazy::tests::in_chunks;
    use super::*;

    #[test]
    fn cut_lines_are_joined() {
        for (lines, text, plain) in [
            (Lines::Folded, "EMAIL:taro@exam\r\n ple.com\r\nEND", "EMAIL:taro@exam~ple.com\r\nEND"),
            (Lines::Folded, "taro@exam\n\tple.com", "taro@exam~ple.com"),
            (Lines::Folded, "t\n a\n r\n o\n @\n x\n .\n jp\n\nx", "t~a~r~o~@~x~.~jp\n\nx"),
            (Lines::Folded, "to \r\n ta\r\n ro@x.jp", "to ~ta~ro@x.jp"),
            (Lines::Folded, "taro=\r\n@x=\n.jp", "taro~@x~.jp"),
            (Lines::Folded, "x=0D=\r\n 0Ataro=\r\n @x.jp=\n\t0A", "x=0D=~0Ataro~ @x.jp=~0A"),
            (Lines::Folded, "taro\\\n@x\\\r\n   .jp", "taro~@x~.jp"),
            (Lines::Folded, "to:\\\r\n ntaro@x\r\r\n\t.jp", "to:\\~ntaro@x~.jp"),
            (Lines::Folded, "ta\\n\r\n \tro@x.jp", "ta\\n~\tro@x.jp"),
            (Lines::Folded, "ta\\N\r\n \tro@x.jp", "ta\\N~\tro@x.jp"),
            (Lines::Folded, "ta=0A\r\n \tro@x.jp", "ta=0A~\tro@x.jp"),
            (Lines::Folded, "ta%0d\r\n \tro@x.jp", "ta%0d~\tro@x.jp"),
            (Lines::Folded, "ta\\u000A\r\n \tro@x.jp", "ta\\u000A~\tro@x.jp"),
            (Lines::Folded, "ta&#10;\r\n \tro@x.jp", "ta&#10;~\tro@x.jp"),
            (Lines::Folded, "ta&#xD;\r\n \tro@x.jp", "ta&#xD;~\tro@x.jp"),
            (Lines::Folded, "one \r\ntwo\nthree\n\n> four", "one \r\ntwo\nthree\n\n> four"),
            (Lines::Flowed, "to: \r\n  taro \r\n@x. \r\njp\r\n", "to:~ taro~@x.~jp\r\n"),
            (Lines::Flowed, ">> taro \r\n>> @x \r\n>>.jp\r\n>> z", ">> taro~@x~.jp\r\n>> z"),
            (Lines::Flowed, "one\r\n two=\nthree\n\n> four", "one\r\n two=\nthree\n\n> four"),
        ] {
            let plain = plain.replace('~', "");
            let found = in_chunks(text, |text, size| {
                let (mut join, mut out) = (Join::new(lines), Vec::new());
                text.as_bytes().chunks(size).for_each(|chunk| join.feed(chunk, &mut out));
                join.finish(&mut out);
                out
            });
            assert_eq!(found, plain);
            for at in 0..text.len() {
                let (before, after) = text.as_bytes().split_at(at);
                let hot = may_join(lines, b"", before) || may_join(lines, before, after);
                assert_eq!(hot, found != text, "{text} cut at {at}");
            }
        }
    }
}
