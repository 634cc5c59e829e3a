//! Reads message content after the 354: removes stuffed dots, checks line ends, and finds the end
//! (RFC 5321 §4.1.1.4, §4.5.2).
//!
//! Only CRLF ends a line, and only CRLF.CRLF ends the content. Sequences that some servers take for the
//! end (`<LF>.<LF>`, `<LF>.<CRLF>`, `<CR>.<CR>` …) are content here. Content with a bare CR, a bare LF or
//! a NUL is read to its real end and then refused. This prevents SMTP smuggling: what another server
//! reads as two messages is at most one here, and is never stored in a form that can be read as two.

use super::ordinary::{BLOCK, ordinary};
use bytes::{Buf, Bytes, BytesMut};

/// What to do with a bare LF in content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BareLf {
    /// Refuse the message: 550 5.5.2.
    #[default]
    Refuse,
    /// Convert it to CRLF, for networks with old devices. A bare LF still does not begin a line for dot
    /// handling: a dot after it is not unstuffed and does not end the content.
    Normalise,
}

/// Why content is refused. The refusal is sent once the end of the content has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A CR without LF.
    BareCr,
    /// An LF without CR.
    BareLf,
    /// A NUL.
    Nul,
    /// The content exceeds the size limit.
    TooLarge,
}

impl Fault {
    /// The reply to the final dot: code with enhanced code, and text.
    pub fn reply(self) -> (&'static str, &'static str) {
        match self {
            Self::BareCr => ("550 5.5.2", "message refused: a CR without LF in it; lines end in CRLF"),
            Self::BareLf => ("550 5.5.2", "message refused: a LF without CR in it; lines end in CRLF"),
            Self::Nul => ("550 5.5.2", "message refused: a NUL in it"),
            Self::TooLarge => ("552 5.3.4", "message refused: larger than this relay takes"),
        }
    }
}

/// What [`Content::next`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The next octets of the content, without stuffed dots; never empty.
    Octets(Bytes),
    /// The final dot was read. What remains in the input is the next command.
    End,
    /// The input is used up. Up to two octets may remain in it, because their meaning depends on the
    /// octets that follow.
    More,
}

/// Reads the content of one message.
#[derive(Debug)]
pub struct Content {
    line_start: bool,
    bare_lf: BareLf,
    fault: Option<Fault>,
    octets: u64,
    limit: u64,
}

/// The result of scanning the input once.
struct Scan {
    /// Octets of input consumed.
    read: usize,
    /// Octets of content, which were moved to the front of the input.
    kept: usize,
    /// The content in a buffer of its own, used when bare LFs become CRLF and the content grows.
    grown: Option<BytesMut>,
    end: bool,
}

impl Scan {
    fn keep(&mut self, input: &mut BytesMut, from: usize, to: usize) {
        if let Some(grown) = &mut self.grown {
            grown.extend_from_slice(&input[from..to]);
        } else {
            if from != self.kept {
                input.copy_within(from..to, self.kept);
            }
            self.kept += to - from;
        }
    }
}

impl Content {
    /// A reader of content of at most `limit` octets, counted as sent (stuffed dots included).
    pub fn new(limit: u64, bare_lf: BareLf) -> Self {
        Self { line_start: true, bare_lf, fault: None, octets: 0, limit }
    }

    /// Octets read so far as sent, including stuffed dots and refused content.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// The first fault found so far. After a fault, [`Self::next`] returns no more octets.
    pub fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// Consumes as much as possible from the front of `input`. It copies only to remove dots (within the
    /// buffer) or to convert bare LFs to CRLF.
    pub fn next(&mut self, input: &mut BytesMut) -> Step {
        let scan = self.scan(input);
        self.octets = self.octets.saturating_add(scan.read as u64);
        if self.octets > self.limit {
            self.fault.get_or_insert(Fault::TooLarge);
        }
        if self.fault.is_some() || (scan.kept == 0 && scan.grown.as_ref().is_none_or(BytesMut::is_empty)) {
            input.advance(scan.read);
            if scan.end {
                input.advance(3);
                return Step::End;
            }
            return Step::More;
        }
        let mut octets = input.split_to(scan.read);
        if let Some(grown) = scan.grown {
            return Step::Octets(grown.freeze());
        }
        octets.truncate(scan.kept);
        Step::Octets(octets.freeze())
    }

    fn scan(&mut self, input: &mut BytesMut) -> Scan {
        let grown = (self.bare_lf == BareLf::Normalise).then(BytesMut::new);
        let mut scan = Scan { read: 0, kept: 0, grown, end: false };
        let (mut from, mut odd) = (0, 0);
        loop {
            if scan.read >= odd {
                let passed = ordinary(&input[scan.read..], self.line_start);
                if passed > 0 {
                    scan.read += passed;
                    self.line_start = input[scan.read - 1] == b'\n';
                }
                odd = scan.read + BLOCK;
            }
            if self.line_start && input.get(scan.read) == Some(&b'.') {
                match (input.get(scan.read + 1), input.get(scan.read + 2)) {
                    (Some(b'\r'), Some(b'\n')) => {
                        scan.end = true;
                        break;
                    }
                    (None, _) | (Some(b'\r'), None) => break,
                    _ => {
                        scan.keep(input, from, scan.read);
                        scan.read += 1;
                        from = scan.read;
                    }
                }
            }
            if scan.read == input.len() {
                break;
            }
            self.line_start = false;
            let Some(found) = memchr::memchr3(b'\r', b'\n', 0, &input[scan.read..]) else {
                scan.read = input.len();
                break;
            };
            let at = scan.read + found;
            scan.read = at + 1;
            match (input[at], input.get(at + 1)) {
                (b'\r', Some(b'\n')) => {
                    scan.read = at + 2;
                    self.line_start = true;
                }
                (b'\r', None) => {
                    scan.read = at;
                    break;
                }
                (b'\r', Some(_)) => self.wrong(Fault::BareCr),
                (b'\n', _) if scan.grown.is_some() => {
                    scan.keep(input, from, at);
                    scan.grown.iter_mut().for_each(|grown| grown.extend_from_slice(b"\r\n"));
                    from = at + 1;
                }
                (b'\n', _) => self.wrong(Fault::BareLf),
                _ => self.wrong(Fault::Nul),
            }
        }
        let to = scan.read;
        scan.keep(input, from, to);
        scan
    }

    fn wrong(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::Stuffer;
    use proptest::prelude::*;

    /// Feeds these pieces; returns the content up to its end, the input left after it, and the fault.
    fn read(pieces: &[&[u8]], bare_lf: BareLf, limit: u64) -> Option<(Vec<u8>, Vec<u8>, Option<Fault>)> {
        let mut content = Content::new(limit, bare_lf);
        let mut input = BytesMut::new();
        let mut octets = Vec::new();
        let mut pieces = pieces.iter();
        loop {
            match content.next(&mut input) {
                Step::Octets(more) => {
                    assert!(!more.is_empty());
                    octets.extend_from_slice(&more);
                }
                Step::More => {
                    assert!(input.len() <= 2, "{input:?} is kept waiting");
                    input.extend_from_slice(pieces.next()?);
                }
                Step::End => {
                    pieces.for_each(|piece| input.extend_from_slice(piece));
                    return Some((octets, input.to_vec(), content.fault()));
                }
            }
        }
    }

    #[test]
    fn content_ends_at_crlf_dot_crlf_only() {
        let cases: [(&[u8], &[u8], &[u8]); 10] = [
            (b".\r\n", b"", b""),
            (b".\r\nRSET\r\n", b"", b"RSET\r\n"),
            (b"a\r\n.\r\n", b"a\r\n", b""),
            (b"a\r\n..\r\n.\r\n.\r\n", b"a\r\n.\r\n", b".\r\n"),
            (b"..\r\n.\r\n", b".\r\n", b""),
            (b"...\r\n.\r\n", b"..\r\n", b""),
            (b".a\r\n..b\r\nc.\r\n.\r\n", b"a\r\n.b\r\nc.\r\n", b""),
            (b"\r\n\r\n.\r\n", b"\r\n\r\n", b""),
            (b"a.\r\n.\r\n", b"a.\r\n", b""),
            (b". \r\n.\r\nx", b" \r\n", b"x"),
        ];
        for (sent, expected, rest) in cases {
            for cut in 0..=sent.len() {
                let (one, two) = sent.split_at(cut);
                let found = read(&[one, two], BareLf::Refuse, 1_000);
                assert_eq!(found, Some((expected.to_vec(), rest.to_vec(), None)), "{sent:?} cut at {cut}");
            }
        }
    }

    const ENDS: [(&[u8], &str); 5] =
        [(b"\r\n", "CRLF"), (b"\n", "LF"), (b"\r", "CR"), (b"\r\r\n", "CRCRLF"), (b"\0\r\n", "NUL CRLF")];

    #[test]
    fn smuggling_gives_at_most_one_message_at_every_cut() {
        for (before, before_name) in ENDS {
            for (after, after_name) in ENDS {
                let sent = [b"a", before, b".", after, b"MAIL FROM:<x@y>\r\n.\r\n"].concat();
                for one in 0..=sent.len() {
                    for two in one..=sent.len() {
                        let pieces = [&sent[..one], &sent[one..two], &sent[two..]];
                        let (_, rest, fault) = read(&pieces, BareLf::Refuse, 1_000).expect("it ends");
                        let clean = before == b"\r\n" && after == b"\r\n";
                        let ended_early = rest.starts_with(b"MAIL");
                        let name = format!("{before_name} . {after_name} cut at {one} and {two}");
                        // CRCRLF contains a CRLF, so it does end the content; the message is refused.
                        let true_end = before.ends_with(b"\r\n") && after == b"\r\n";
                        assert_eq!(ended_early, true_end, "{name}");
                        assert_eq!(fault.is_none(), clean, "{name}");
                        let (_, rest, _) = read(&pieces, BareLf::Normalise, 1_000).expect("it ends");
                        assert_eq!(rest.starts_with(b"MAIL"), true_end, "{name}, normalising");
                    }
                }
            }
        }
    }

    #[test]
    fn bare_lf_can_be_made_crlf() {
        let cases: [(&[u8], &[u8], Option<Fault>); 6] = [
            (b"a\nb\r\n.\r\n", b"a\r\nb\r\n", None),
            (b"\n\n\r\n.\r\n", b"\r\n\r\n\r\n", None),
            (b"a\n.\nb\r\n.\r\n", b"a\r\n.\r\nb\r\n", None),
            (b"a\n.\r\nb\r\n.\r\n", b"a\r\n.\r\nb\r\n", None),
            (b"a\n..b\r\n..c\r\n.\r\n", b"a\r\n..b\r\n.c\r\n", None),
            (b"a\rb\r\n.\r\n", b"", Some(Fault::BareCr)),
        ];
        for (sent, expected, fault) in cases {
            for cut in 0..=sent.len() {
                let (one, two) = sent.split_at(cut);
                let (found, rest, wrong) = read(&[one, two], BareLf::Normalise, 1_000).unwrap();
                assert_eq!((wrong, rest.len()), (fault, 0), "{sent:?} cut at {cut}");
                if fault.is_none() {
                    assert_eq!(found, expected, "{sent:?} cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn too_much_is_read_to_its_end_and_not_kept() {
        let sent = [&[b'x'; 500][..], b"\r\n.\r\nQUIT\r\n"].concat();
        let pieces: Vec<&[u8]> = sent.chunks(10).collect();
        let (kept, rest, fault) = read(&pieces, BareLf::Refuse, 100).unwrap();
        assert_eq!((kept.len(), rest, fault), (100, b"QUIT\r\n".to_vec(), Some(Fault::TooLarge)));
    }

    proptest! {
        #[test]
        fn what_a_stuffer_writes_is_read_back_whatever_the_cuts(
            lines in proptest::collection::vec("[.a-c]{0,5}", 0..12),
            cuts in proptest::collection::vec(1usize..7, 1..80),
        ) {
            let content = lines.iter().fold(String::new(), |all, line| all + line + "\r\n");
            let mut stuffer = Stuffer::new();
            let mut sent = Vec::new();
            stuffer.append(content.as_bytes(), &mut sent).unwrap();
            sent.extend_from_slice(stuffer.finish().unwrap());
            sent.extend_from_slice(b"NOOP\r\n");
            let mut pieces = Vec::new();
            let mut rest = &sent[..];
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (piece, more) = rest.split_at((*cut).min(rest.len()));
                pieces.push(piece);
                rest = more;
            }
            for bare_lf in [BareLf::Refuse, BareLf::Normalise] {
                let found = read(&pieces, bare_lf, 1_000);
                prop_assert_eq!(found, Some((content.clone().into_bytes(), b"NOOP\r\n".to_vec(), None)));
            }
        }
    }
}
