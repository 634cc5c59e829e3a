//! Four characters that JIS X 0213 added to EUC-JP and `Shift_JIS` and that the Encoding Standard lacks: the
//! full-width forms of ASCII characters that may be part of an address. They are replaced by ASCII before
//! decoding.

use encoding_rs::{EUC_JP, Encoding, SHIFT_JIS};

/// The ASCII forms, in the order of their codes.
const PLAIN: [u8; 4] = *b"'\"-~";

/// A filter in front of a decoder of EUC-JP or `Shift_JIS`.
#[derive(Debug)]
pub(super) struct Added {
    euc: bool,
    /// The first octet of a character whose second octet has not come.
    lead: Option<u8>,
    /// How many octets of a three-octet character are still to come.
    rest: u8,
}

impl Added {
    /// For the encodings that lack these characters; `None` for all others.
    pub(super) fn to(encoding: &'static Encoding) -> Option<Self> {
        let euc = encoding == EUC_JP;
        (euc || encoding == SHIFT_JIS).then_some(Self { euc, lead: None, rest: 0 })
    }

    /// Takes the next octets; `last` says that no more follow.
    pub(super) fn feed(&mut self, bytes: &[u8], last: bool, out: &mut Vec<u8>) {
        for &byte in bytes {
            if let Some(lead) = self.lead.take() {
                match self.plain(lead, byte) {
                    Some(plain) => out.push(plain),
                    None => out.extend([lead, byte]),
                }
            } else if self.rest > 0 {
                self.rest -= 1;
                out.push(byte);
            } else if self.begins_pair(byte) {
                self.lead = Some(byte);
            } else {
                self.rest = if self.euc && byte == 0x8f { 2 } else { 0 };
                out.push(byte);
            }
        }
        if last {
            out.extend(self.lead.take());
        }
    }

    fn begins_pair(&self, byte: u8) -> bool {
        if self.euc { matches!(byte, 0x8e | 0xa1..=0xfe) } else { matches!(byte, 0x81..=0x9f | 0xe0..=0xfc) }
    }

    /// Row 2, cells 15 to 18.
    fn plain(&self, lead: u8, trail: u8) -> Option<u8> {
        let (row, cell) = if self.euc { (0xa2, 0xaf) } else { (0x81, 0xad) };
        (lead == row).then(|| PLAIN.get(usize::from(trail.checked_sub(cell)?)).copied()).flatten()
    }
}
