//! Lines put together again that a format cut: continuation lines of calendars, cards, directories and
//! quoted headers (RFC 5545 §3.1, RFC 6350 §3.2, RFC 2849), soft line breaks of quoted-printable
//! (RFC 2045 §6.7), a backslash at the end of a line, flowed text (RFC 3676 §4.1, §4.5, with DelSp).

use memchr::memchr_iter;

/// Octets behind a line end that decide what it is: quote marks.
const AHEAD: usize = 24;
/// Octets before a line end that decide what it is.
const BEHIND: usize = 4;

/// A machine that drops line ends that are none, and what belongs to them. Whatever a text may be, all
/// are dropped: the text as it is, is searched beside.
#[derive(Debug, Default)]
pub(super) struct Join {
    carry: Vec<u8>,
}

impl Join {
    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut text = std::mem::take(&mut self.carry);
        text.extend_from_slice(bytes);
        let until = text.len().saturating_sub(AHEAD);
        let done = join(&text, until, out);
        // What stands before a line end to come must still be here then.
        let keep = done.max(until.saturating_sub(BEHIND));
        out.extend_from_slice(&text[done..keep]);
        text.drain(..keep);
        self.carry = text;
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        let text = std::mem::take(&mut self.carry);
        let done = join(&text, text.len(), out);
        out.extend_from_slice(&text[done..]);
    }
}

/// Joins at every line end before `until`; gives how much of the text was used up.
fn join(text: &[u8], until: usize, out: &mut Vec<u8>) -> usize {
    let mut done = 0;
    for at in memchr_iter(b'\n', &text[..until]) {
        if at < done {
            continue;
        }
        let (before, after) = around(text, at);
        let line = &text[done..before.max(done)];
        let (kept, dropped) = match (line.last(), after.first()) {
            (Some(b'\\'), _) => {
                (line.len() - 1, after.iter().take(AHEAD - 1).take_while(|b| is_blank(**b)).count())
            }
            (Some(b'='), _) => (line.len() - 1, 0),
            (Some(b' '), Some(b' ')) => (line.len() - 1, 1),
            (_, Some(b' ' | b'\t')) => (line.len(), 1),
            (Some(b' '), Some(b'>')) => (line.len() - 1, quote_marks(after)),
            (Some(b' '), _) => (line.len() - 1, 0),
            _ => continue,
        };
        out.extend_from_slice(&line[..kept]);
        done = at + 1 + dropped;
    }
    done
}

/// Where the line before this line feed ends, and what stands behind it.
fn around(text: &[u8], at: usize) -> (usize, &[u8]) {
    let before = if at > 0 && text[at - 1] == b'\r' { at - 1 } else { at };
    (before, &text[at + 1..])
}

/// Quote marks (RFC 3676 §4.5) and the blank behind them.
fn quote_marks(line: &[u8]) -> usize {
    let marks = line.iter().take(AHEAD - 2).take_while(|byte| **byte == b'>').count();
    marks + usize::from(line.get(marks) == Some(&b' '))
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Whether joining could bring an address together in these octets, which stand behind `before`.
pub(super) fn may_join(before: &[u8], bytes: &[u8]) -> bool {
    let edge = 6;
    let seam: Vec<u8> =
        before[before.len().saturating_sub(edge)..].iter().chain(bytes.iter().take(edge)).copied().collect();
    joins_within(&seam) || joins_within(bytes)
}

fn joins_within(text: &[u8]) -> bool {
    memchr_iter(b'\n', text).any(|at| {
        let (before, after) = around(text, at);
        let line = &text[..before];
        match (line, after) {
            ([.., b'\\' | b'='], _) => true,
            // No address has two blanks in it, nor an empty line.
            ([.., b' ' | b'\t', b' '] | [b' '] | [.., b'\n', b' ' | b'\t'], _) => false,
            ([.., b' '], [b' ', next, ..] | [next, ..]) => next.is_ascii_graphic() || *next >= 0x80,
            ([.., b'\t' | b'\n'] | [], _) => false,
            (_, [b' ' | b'\t', next, ..]) => next.is_ascii_graphic() || *next >= 0x80,
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
        for (text, plain) in [
            ("EMAIL:taro@exam\r\n ple.com\r\nEND", "EMAIL:taro@exam~ple.com\r\nEND"),
            ("taro@exam\n\tple.com", "taro@exam~ple.com"),
            ("t\n a\n r\n o\n @\n x\n .\n jp\n\nx", "t~a~r~o~@~x~.~jp\n\nx"),
            ("taro=\r\n@x=\n.jp", "taro~@x~.jp"),
            ("taro\\\n@x\\\r\n   .jp", "taro~@x~.jp"),
            ("to: \r\n  taro \r\n@x. \r\njp\r\n", "to: taro~@x.~jp\r\n"),
            (">> taro \r\n>> @x \r\n>>.jp\r\n>> z", ">> taro~@x~.jp\r\n>> z"),
            ("one\r\ntwo\nthree\n\n> four", "one\r\ntwo\nthree\n\n> four"),
        ] {
            let plain = plain.replace('~', "");
            let found = in_chunks(text, |text, size| {
                let (mut join, mut out) = (Join::default(), Vec::new());
                text.as_bytes().chunks(size).for_each(|chunk| join.feed(chunk, &mut out));
                join.finish(&mut out);
                out
            });
            assert_eq!(found, plain);
            for at in 0..text.len() {
                let (before, after) = text.as_bytes().split_at(at);
                let hot = may_join(b"", before) || may_join(before, after);
                assert_eq!(hot, found != text, "{text} cut at {at}");
            }
        }
    }
}
