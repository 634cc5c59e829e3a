//! Lines put together again that a format cut, in two ways that exclude each other: continuation lines of
//! calendars, cards, directories and quoted headers (RFC 5545 §3.1, RFC 6350 §3.2, RFC 2849), with soft line
//! breaks of quoted-printable (RFC 2045 §6.7) and a backslash at the end of a line; and flowed text with
//! `DelSp` (RFC 3676 §4.1, §4.5).

use memchr::{memchr_iter, memchr3_iter, memmem};

/// Octets behind a line end that decide what it is: quote marks.
const AHEAD: usize = 24;
/// Octets before a line end that decide what it is.
const BEHIND: usize = RETURNS + 4;

/// Which lines are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lines {
    /// A blank begins the next, or `=` or a backslash ends this one.
    Folded,
    /// A blank ends this one.
    Flowed,
    /// Folded, or softly broken, before the whole was escaped (`\r\n` and a blank, `=\n`, `%0D%0A%20`): a
    /// calendar within JSON, within another, within a link.
    Escaped,
}

/// A machine that drops line ends that are none, and what belongs to them.
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
        // What stands before a line end to come must still be here then.
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

    /// Joins at every line end before `until`; gives how much of the text was used up.
    fn join(&self, text: &[u8], until: usize, out: &mut Vec<u8>) -> usize {
        let mut done = 0;
        if self.lines == Lines::Escaped {
            for at in memchr3_iter(b'\\', b'=', b'%', &text[..until]) {
                let Some(way) = Escape::at(&text[at..]).filter(|_| at >= done) else { continue };
                let line = &text[done..at];
                let line = line.strip_suffix(way.carriage).unwrap_or(line);
                let soft = line.strip_suffix(way.soft);
                let blank = way.blank(&text[at + way.feed.len()..]);
                if blank == 0 && soft.is_none() {
                    continue;
                }
                out.extend_from_slice(soft.unwrap_or(line));
                done = at + way.feed.len() + blank;
            }
            return done;
        }
        for at in memchr_iter(b'\n', &text[..until]) {
            if at < done {
                continue;
            }
            let (before, after) = around(text, at);
            let line = &text[done..before.max(done)];
            let (dropped_before, dropped) = match (self.lines, line.last(), after.first()) {
                // A fold may cut an escape in two (`\` and `n`); scripts indent what they continue by more.
                (Lines::Folded, Some(b'\\'), _) if blanks(after) == 1 => (0, 1),
                (Lines::Folded, Some(b'\\'), _) => (1, blanks(after)),
                (Lines::Folded, Some(b'='), _) => (1, 0),
                (Lines::Folded, _, Some(b' ' | b'\t')) => (0, 1),
                // Lines that would look like something else begin with a blank too much (§4.4).
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

/// How a line end is written in another text, and what stands around it.
struct Escape {
    feed: &'static [u8],
    carriage: &'static [u8],
    /// The soft line break's sign.
    soft: &'static [u8],
    /// Blanks, beside the two that are written as they are.
    blanks: &'static [&'static [u8]],
}

/// As JSON, scripts and calendars write it; quoted-printable; links and forms.
const ESCAPES: [Escape; 3] = [
    Escape { feed: b"\\n", carriage: b"\\r", soft: b"=", blanks: &[b"\\t"] },
    Escape { feed: b"=0A", carriage: b"=0D", soft: b"=3D", blanks: &[b"=20", b"=09"] },
    Escape { feed: b"%0A", carriage: b"%0D", soft: b"%3D", blanks: &[b"%20", b"%09", b"+"] },
];

impl Escape {
    /// The line end that is written here.
    fn at(text: &[u8]) -> Option<&'static Self> {
        ESCAPES.iter().find(|way| text.starts_with(way.feed))
    }

    /// Octets of the blank that begins a folded line.
    fn blank(&self, after: &[u8]) -> usize {
        match after {
            [b' ' | b'\t', ..] => 1,
            _ => self.blanks.iter().find(|blank| after.starts_with(blank)).map_or(0, |blank| blank.len()),
        }
    }
}

/// Most carriage returns before a line feed that are one line end: some encoders of quoted-printable double
/// them.
const RETURNS: usize = 3;

/// Where the line before this line feed ends, and what stands behind it.
fn around(text: &[u8], at: usize) -> (usize, &[u8]) {
    let returns = text[..at].iter().rev().take(RETURNS).take_while(|byte| **byte == b'\r').count();
    (at - returns, &text[at + 1..])
}

/// Quote marks (RFC 3676 §4.5) and the blank behind them.
fn quote_marks(line: &[u8]) -> usize {
    let marks = line.iter().take(AHEAD - 2).take_while(|byte| **byte == b'>').count();
    marks + usize::from(marks > 0 && line.get(marks) == Some(&b' '))
}

fn blanks(line: &[u8]) -> usize {
    line.iter().take(AHEAD - 1).take_while(|byte| is_blank(**byte)).count()
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Whether joining could bring an address together in these octets, which stand behind `before`.
pub(super) fn may_join(lines: Lines, before: &[u8], bytes: &[u8]) -> bool {
    let edge = 12;
    let seam: Vec<u8> =
        before[before.len().saturating_sub(edge)..].iter().chain(bytes.iter().take(edge)).copied().collect();
    joins_within(lines, &seam) || joins_within(lines, bytes)
}

fn joins_within(lines: Lines, text: &[u8]) -> bool {
    let shows = |byte: u8| byte.is_ascii_graphic() || byte >= 0x80;
    if lines == Lines::Escaped {
        return ESCAPES.iter().any(|way| {
            memmem::find_iter(text, way.feed).any(|at| {
                let after = &text[at + way.feed.len()..];
                let blank = way.blank(after);
                let next = after.get(blank).copied();
                let line = text[..at].strip_suffix(way.carriage).unwrap_or(&text[..at]);
                let ends = line.last().copied().is_some_and(shows);
                line.ends_with(way.soft) || (blank > 0 && ends && next.is_some_and(shows))
            })
        });
    }
    memchr_iter(b'\n', text).any(|at| {
        let (before, after) = around(text, at);
        // No address has a blank in it, nor an empty line.
        match (lines, &text[..before], after) {
            (Lines::Folded, [.., b'\\' | b'='], _) => true,
            (Lines::Folded, [.., last], [b' ' | b'\t', next, ..])
            | (Lines::Flowed, [.., last, b' '], [b' ', next, ..] | [next, ..]) => {
                shows(*last) && shows(*next)
            }
            _ => false,
        }
    })
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
            (Lines::Folded, "taro\\\n@x\\\r\n   .jp", "taro~@x~.jp"),
            (Lines::Folded, "to:\\\r\n ntaro@x\r\r\n\t.jp", "to:\\~ntaro@x~.jp"),
            (Lines::Folded, "one \r\ntwo\nthree\n\n> four", "one \r\ntwo\nthree\n\n> four"),
            (Lines::Escaped, r"EMAIL:taro@exam\r\n ple.\n\tcom\r\nEND", r"EMAIL:taro@exam~ple.~com\r\nEND"),
            (Lines::Escaped, r"C:\new C:\n x", r"C:\new C:~x"),
            (Lines::Escaped, r"taro=\r\n@x=\n.jp", r"taro~@x~.jp"),
            (Lines::Escaped, "taro%0D%0A%20@x%0A+.jp%0D%0Ax", "taro~@x~.jp%0D%0Ax"),
            (Lines::Escaped, "taro=0D=0A @x=0A=09.jp=3D=0D=0A.z=0Ax", "taro~@x~.jp~.z=0Ax"),
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
