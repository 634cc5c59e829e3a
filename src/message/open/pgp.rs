//! PGP armour: whether a text is signed or encrypted, and to how many keys (RFC 4880 §6.2, §5.1).

use crate::message::walk::transfer::Base64;
use memchr::memmem;

/// Bytes kept after the first line of an encrypted block: about 50 key packets.
const KEPT: usize = 32 * 1_024;
const MESSAGE: &[u8] = b"-----BEGIN PGP MESSAGE-----";
const SIGNED: &[u8] = b"-----BEGIN PGP SIGNED MESSAGE-----";

/// Detects armour in a stream of text.
#[derive(Debug, Default)]
pub(super) struct Armour {
    tail: Vec<u8>,
    block: Option<Vec<u8>>,
    pub(super) signed: bool,
}

impl Armour {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if let Some(block) = &mut self.block {
            let room = KEPT.saturating_sub(block.len());
            block.extend_from_slice(&bytes[..bytes.len().min(room)]);
            return;
        }
        self.tail.extend_from_slice(bytes);
        self.signed |= memmem::find(&self.tail, SIGNED).is_some();
        if let Some(at) = memmem::find(&self.tail, MESSAGE) {
            let rest = &self.tail[at + MESSAGE.len()..];
            self.block = Some(rest[..rest.len().min(KEPT)].to_vec());
            self.tail = Vec::new();
            return;
        }
        let keep = self.tail.len().saturating_sub(SIGNED.len());
        self.tail.drain(..keep);
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
}
