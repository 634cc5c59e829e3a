//! PGP armour: whether a text is signed or encrypted, and to how many keys (RFC 4880 §6.2, §5.1).

use crate::message::walk::transfer::Base64;
use memchr::memmem;

/// Bytes kept after the first line of an encrypted block: about 50 key packets.
const KEPT: usize = 32 * 1_024;
const MESSAGE: &[u8] = b"-----BEGIN PGP MESSAGE-----";
const SIGNED: &[u8] = b"-----BEGIN PGP SIGNED MESSAGE-----";

/// What every line of armour begins with, and how long the longest that is looked for is.
const ARMOUR: &[u8] = b"-----BEGIN PGP ";
const LONGEST: usize = SIGNED.len();

/// Detects armour in a stream of text.
#[derive(Debug)]
pub(super) struct Armour {
    finder: memmem::Finder<'static>,
    /// The end of what was read, shorter than the longest line.
    tail: Vec<u8>,
    block: Option<Vec<u8>>,
    pub(super) signed: bool,
}

impl Default for Armour {
    fn default() -> Self {
        Self { finder: memmem::Finder::new(ARMOUR), tail: Vec::new(), block: None, signed: false }
    }
}

impl Armour {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if let Some(block) = &mut self.block {
            let room = KEPT.saturating_sub(block.len());
            block.extend_from_slice(&bytes[..bytes.len().min(room)]);
            return;
        }
        let (begun, short) = (self.tail.len(), bytes.len().min(LONGEST));
        self.tail.extend_from_slice(&bytes[..short]);
        if self.finder.find(&self.tail).is_some() || self.finder.find(bytes).is_some() {
            self.tail.truncate(begun);
            return self.look(bytes);
        }
        self.keep(&bytes[short..]);
    }

    /// Looks for the lines in what may have one.
    fn look(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        self.signed |= memmem::find(&self.tail, SIGNED).is_some();
        if let Some(at) = memmem::find(&self.tail, MESSAGE) {
            let rest = &self.tail[at + MESSAGE.len()..];
            self.block = Some(rest[..rest.len().min(KEPT)].to_vec());
            self.tail = Vec::new();
            return;
        }
        self.keep(b"");
    }

    /// Keeps the end of what was read, of which this is the last.
    fn keep(&mut self, last: &[u8]) {
        self.tail.extend_from_slice(&last[last.len().saturating_sub(LONGEST)..]);
        let over = self.tail.len().saturating_sub(LONGEST - 1);
        self.tail.drain(..over);
    }

    /// The number of keys, if an encrypted block was found.
    pub(super) fn finish(self) -> Option<usize> {
        let block = self.block?;
        let text = memmem::find(&block, b"\n\r\n")
            .or_else(|| memmem::find(&block, b"\n\n"))
            .map_or(&block[..], |at| &block[at + 2..]);
        let text = &text
            [..memmem::find(text, b"\n=").or_else(|| memmem::find(text, b"\n-----")).unwrap_or(text.len())];
        let mut packets = Vec::new();
        let mut decoder = Base64::default();
        decoder.feed(text, &mut packets);
        decoder.finish(&mut packets);
        Some(keys(&packets))
    }
}

/// The number of public-key encrypted session key packets (tag 1) before the first other packet.
pub(super) fn keys(mut packets: &[u8]) -> usize {
    let mut count = 0;
    while let Some((tag, length, used)) = packet(packets) {
        if tag != 1 {
            break;
        }
        count += 1;
        packets = packets.get(used + length..).unwrap_or_default();
    }
    count
}

/// Tag, body length and header length of the first packet (RFC 4880 §4.2).
fn packet(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let first = *bytes.first()?;
    let at = |index: usize| bytes.get(index).map(|&byte| usize::from(byte));
    if first & 0x40 != 0 {
        let tag = first & 0x3f;
        return Some(match at(1)? {
            short @ 0..192 => (tag, short, 2),
            long @ 192..224 => (tag, (long - 192) * 256 + at(2)? + 192, 3),
            255 => (tag, at(2)? << 24 | at(3)? << 16 | at(4)? << 8 | at(5)?, 6),
            _ => return None,
        });
    }
    let tag = first >> 2 & 0x0f;
    Some(match first & 3 {
        0 => (tag, at(1)?, 2),
        1 => (tag, at(1)? << 8 | at(2)?, 3),
        2 => (tag, at(1)? << 24 | at(2)? << 16 | at(3)? << 8 | at(4)?, 5),
        _ => return None,
    })
    .filter(|_| first & 0x80 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;

    #[test]
    fn key_packets_are_counted() {
        let mut packets = Vec::new();
        for _ in 0..3 {
            packets.extend_from_slice(&[0xc1, 12]);
            packets.extend_from_slice(&[3; 12]);
        }
        packets.extend_from_slice(&[0x85, 0, 4, 3, 3, 3, 3]);
        packets.extend_from_slice(&[0xd2, 5, 1, 2, 3, 4, 5]);
        let armour = format!(
            "hello\r\n-----BEGIN PGP MESSAGE-----\r\nVersion: x\r\n\r\n{}\r\n=abcd\r\n-----END PGP MESSAGE-----\r\n",
            base64::engine::general_purpose::STANDARD.encode(packets)
        );
        for size in [1, 7, 1_000] {
            let mut scan = Armour::default();
            armour.as_bytes().chunks(size).for_each(|chunk| scan.feed(chunk));
            assert!(!scan.signed);
            assert_eq!(scan.finish(), Some(4));
        }
    }

    /// Armour anywhere in a text, cut anywhere.
    #[test]
    fn armour_is_found_across_any_cut() {
        let noise = "-----BEGIN PGP PUBLIC KEY BLOCK-----\r\n---- text -----BEGIN\r\n".repeat(2);
        for (line, signed, keys) in [
            ("-----BEGIN PGP SIGNED MESSAGE-----", true, None),
            ("-----BEGIN PGP MESSAGE-----", false, Some(0)),
            ("-----BEGIN PGP MESSAGE----", false, None),
            ("-----BEGIN PGP SIGNED MESSAGE----", false, None),
        ] {
            let text = format!("{noise}{line}\r\n\r\nAA==\r\n{noise}");
            for cut in 0..=text.len() {
                for size in [1_000, 5] {
                    let mut scan = Armour::default();
                    let (one, two) = text.as_bytes().split_at(cut);
                    scan.feed(one);
                    two.chunks(size).for_each(|chunk| scan.feed(chunk));
                    assert_eq!((scan.signed, scan.finish()), (signed, keys), "{line} cut at {cut}");
                }
            }
        }
    }
}
