//! CMS (RFC 5652) as S/MIME uses it: signed messages are opened, and for encrypted ones the recipients are
//! counted. A small bounded BER reader; it accepts indefinite lengths and segmented octet strings.

use super::Context;
use super::leaf::{Info, Leaf};
use super::packed::{is_spent, spent};
use super::parts::Inner;
use super::spool::{SpoolReader, copy, length, read_at};
use crate::message::inspect::Encrypted;
use memchr::memmem;
use std::io;

/// The start of the object identifiers, 1.2.840.113549.1.7; the kind follows.
const PKCS7: [u8; 10] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07];
const AUTH_ENVELOPED: [u8; 11] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x17];
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const EXPLICIT: u8 = 0xa0;
const OCTETS: u8 = 0x04;
/// Elements read of one structure.
const STEPS: usize = 100_000;
const DEPTH: usize = 16;

/// Whether the first bytes are those of a CMS structure.
pub(super) fn is_cms(head: &[u8]) -> bool {
    // A key store (.p12) has a version first, and the same identifier further on.
    let length = match head.get(1) {
        Some(long @ 0x81..=0x88) => 2 + usize::from(long & 0x7f),
        _ => 2,
    };
    head.first() == Some(&SEQUENCE) && head.get(length..).is_some_and(is_pkcs7)
}

/// Whether an element is the identifier of one of the structures; its length may be in long form.
fn is_pkcs7(element: &[u8]) -> bool {
    element.first() == PKCS7.first()
        && memmem::find(&element[..element.len().min(16)], &PKCS7[2..]).is_some_and(|at| at <= 4)
}

/// Opens a CMS structure.
pub(super) fn open(info: &Info, file: &mut SpoolReader, cx: &mut Context<'_>) {
    let result = length(file).and_then(|end| Ber { file, at: 0, end, steps: 0 }.content_info(info, cx));
    if let Err(error) = result {
        cx.opaque(&info.path, info.label(), "an S/MIME part that cannot be read");
        cx.problem(&info.place, &format!("an S/MIME part that cannot be read: {error}"));
        if is_spent(&error) {
            cx.note_over_budget(&info.place, &error.to_string());
        }
    }
}

struct Ber<'a> {
    file: &'a mut SpoolReader,
    at: u64,
    end: u64,
    steps: usize,
}

/// Tag and content length of an element (`None`: indefinite). The content begins at `Ber::at`.
type Element = (u8, Option<u64>);

impl Ber<'_> {
    fn content_info(&mut self, info: &Info, cx: &mut Context<'_>) -> io::Result<()> {
        self.enter(SEQUENCE)?;
        let kind = self.identifier()?;
        self.enter(EXPLICIT)?;
        match kind.strip_prefix(&PKCS7[2..]) {
            Some([2]) => self.signed(info, cx),
            Some([3]) => {
                let recipients = self.recipient_infos()?;
                encrypted(info, Some(recipients), cx);
                Ok(())
            }
            _ if kind == AUTH_ENVELOPED => {
                let recipients = self.recipient_infos()?;
                encrypted(info, Some(recipients), cx);
                Ok(())
            }
            Some([6]) => {
                encrypted(info, None, cx);
                Ok(())
            }
            _ => Err(bad("of a kind that is not known")),
        }
    }

    /// `SignedData` (RFC 5652 §5.1), down to the content.
    fn signed(&mut self, info: &Info, cx: &mut Context<'_>) -> io::Result<()> {
        self.enter(SEQUENCE)?;
        self.skip_one()?; // version
        self.skip_one()?; // digestAlgorithms
        let (tag, length) = self.next()?;
        if tag != SEQUENCE {
            return Err(bad("its structure is not as it should be"));
        }
        let end = length.map(|length| self.at + length);
        self.skip_one()?; // eContentType
        if self.over(end)? {
            return Ok(()); // a detached signature, or certificates alone (RFC 8551 §3.8)
        }
        cx.facts.signed = true;
        self.enter(EXPLICIT)?;
        let mut content = Content::new(info);
        let result = self.octets(0, &mut |bytes| content.feed(bytes, cx));
        content.finish(cx);
        result
    }

    /// `EnvelopedData` (RFC 5652 §6.1): the number of recipients.
    fn recipient_infos(&mut self) -> io::Result<usize> {
        self.enter(SEQUENCE)?;
        self.skip_one()?; // version
        if self.peek()? == EXPLICIT {
            self.skip_one()?; // originatorInfo
        }
        let (tag, length) = self.next()?;
        if tag != SET {
            return Err(bad("without recipients"));
        }
        let end = length.map(|length| self.at + length);
        let mut count = 0;
        while !self.over(end)? {
            self.skip_one()?;
            count += 1;
        }
        Ok(count)
    }

    /// The octets of a primitive or constructed string, in order.
    fn octets(&mut self, depth: usize, take: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let (tag, length) = self.next()?;
        if depth > DEPTH || tag & !0x20 != OCTETS {
            return Err(bad("its content is not an octet string"));
        }
        if tag == OCTETS {
            let length = length.ok_or_else(|| bad("a length is missing"))?;
            copy(self.file, self.at, length, take)?;
            self.at += length;
            return Ok(());
        }
        let end = length.map(|length| self.at + length);
        while !self.over(end)? {
            self.octets(depth + 1, take)?;
        }
        Ok(())
    }

    /// Whether a constructed element ends here; skips its end marker.
    fn over(&mut self, end: Option<u64>) -> io::Result<bool> {
        if let Some(end) = end {
            return Ok(self.at >= end);
        }
        if read_at(self.file, self.at, 2)? == [0, 0] {
            self.at += 2;
            return Ok(true);
        }
        Ok(false)
    }

    fn peek(&mut self) -> io::Result<u8> {
        Ok(read_at(self.file, self.at, 1)?[0])
    }

    fn enter(&mut self, expected: u8) -> io::Result<()> {
        let (tag, _) = self.next()?;
        if tag == expected { Ok(()) } else { Err(bad("its structure is not as it should be")) }
    }

    fn identifier(&mut self) -> io::Result<Vec<u8>> {
        let (tag, length) = self.next()?;
        let length = length.filter(|&length| tag == 6 && length < 64).ok_or_else(|| bad("without a kind"))?;
        let bytes = read_at(self.file, self.at, usize::try_from(length).unwrap_or(0))?;
        self.at += length;
        Ok(bytes)
    }

    fn skip_one(&mut self) -> io::Result<()> {
        let mut open = 0usize;
        loop {
            if open > 0 && self.over(None)? {
                open -= 1;
            } else {
                match self.next()? {
                    (_, Some(length)) => self.at += length,
                    (_, None) => open += 1,
                }
            }
            if open == 0 {
                return Ok(());
            }
        }
    }

    fn next(&mut self) -> io::Result<Element> {
        self.steps += 1;
        if self.steps > STEPS {
            return Err(spent("it has more elements than are looked at"));
        }
        if self.at >= self.end {
            return Err(bad("its structure is not as it should be"));
        }
        let head = read_at(self.file, self.at, 2)?;
        self.at += 2;
        let length = match head[1] {
            0x80 => return Ok((head[0], None)),
            short @ 0..0x80 => u64::from(short),
            long => {
                let count = usize::from(long & 0x7f);
                if count > 8 {
                    return Err(bad("a length is too long"));
                }
                let bytes = read_at(self.file, self.at, count)?;
                self.at += count as u64;
                bytes.iter().fold(0, |length, &byte| length << 8 | u64::from(byte))
            }
        };
        if length > self.end - self.at.min(self.end) {
            return Err(bad("it is cut short"));
        }
        Ok((head[0], Some(length)))
    }
}

/// Octets gathered before the type of the signed content is decided.
const HEAD: usize = 1_024;

/// The signed content: a MIME entity (RFC 8551 §3.1), or a file, as programs for signing documents write it
/// (`order.xml.p7m`).
struct Content<'a> {
    info: &'a Info,
    head: Vec<u8>,
    decided: bool,
    entity: Option<Inner>,
    file: Option<Leaf>,
}

impl<'a> Content<'a> {
    fn new(info: &'a Info) -> Self {
        Self { info, head: Vec::new(), decided: false, entity: None, file: None }
    }

    fn feed(&mut self, bytes: &[u8], cx: &mut Context<'_>) {
        if self.decided {
            return self.pass(bytes, cx);
        }
        self.head.extend_from_slice(bytes);
        if self.head.len() >= HEAD {
            self.decide(cx);
        }
    }

    fn decide(&mut self, cx: &mut Context<'_>) {
        self.decided = true;
        let name = self.info.name.trim_end();
        let cut = name.len().saturating_sub(4);
        let signed = name.get(cut..).is_some_and(|ending| ending.eq_ignore_ascii_case(".p7m"));
        let named = name.get(..cut).filter(|stem| signed && stem.contains('.'));
        let entity = begins_with_field(&self.head);
        if entity {
            self.entity = Some(Inner::new(&self.info.place, self.info.depth + 1, true, cx));
        }
        if named.is_some() || !entity {
            self.file = Some(Leaf::new(self.info.inner(named.unwrap_or("signed content"), "signed")));
        }
        let head = std::mem::take(&mut self.head);
        self.pass(&head, cx);
    }

    fn pass(&mut self, bytes: &[u8], cx: &mut Context<'_>) {
        if let Some(entity) = &mut self.entity {
            entity.feed(bytes, cx);
        }
        if let Some(file) = &mut self.file {
            file.feed(bytes, cx);
        }
    }

    fn finish(mut self, cx: &mut Context<'_>) {
        if !self.decided {
            self.decide(cx);
        }
        if let Some(entity) = self.entity.take() {
            entity.finish(cx);
        }
        if let Some(file) = self.file.take() {
            file.finish(cx);
        }
    }
}

/// Whether the content begins with a header field or an empty line (an entity may have no header).
fn begins_with_field(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let name = line.iter().take_while(|byte| byte.is_ascii_graphic() && **byte != b':').count();
    matches!(line, b"" | b"\r") || (name > 0 && line.get(name) == Some(&b':'))
}

fn encrypted(info: &Info, recipients: Option<usize>, cx: &mut Context<'_>) {
    cx.facts.encrypted = Some(Encrypted { kind: "smime".to_owned(), recipients });
    cx.opaque(&info.path, info.label(), "encrypted with S/MIME");
}

fn bad(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
