//! UTF-7 (RFC 2152): decoding libraries do not support it, but old Exchange servers still write it.

use crate::message::walk::transfer::base64_value;

/// A streaming decoder.
#[derive(Debug, Default)]
pub(super) struct Utf7 {
    shifted: bool,
    /// Directly after the `+`.
    fresh: bool,
    bits: u32,
    count: u32,
    high: Option<u16>,
}

impl Utf7 {
    /// Decodes a chunk and appends it to `out`.
    #[expect(clippy::cast_possible_truncation, reason = "16 bits are cut out on purpose")]
    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut String) {
        for &byte in bytes {
            if !self.shifted {
                if byte == b'+' {
                    (self.shifted, self.fresh, self.bits, self.count) = (true, true, 0, 0);
                } else {
                    out.push(char::from(byte));
                }
                continue;
            }
            let fresh = std::mem::take(&mut self.fresh);
            let Some(value) = base64_value(byte).filter(|_| byte != b'-' && byte != b'_') else {
                self.shifted = false;
                if byte != b'-' {
                    out.push(char::from(byte));
                } else if fresh {
                    out.push('+');
                }
                continue;
            };
            self.bits = self.bits << 6 | u32::from(value);
            self.count += 6;
            if self.count >= 16 {
                self.count -= 16;
                self.unit((self.bits >> self.count) as u16, out);
                self.bits &= (1 << self.count) - 1;
            }
        }
    }

    fn unit(&mut self, unit: u16, out: &mut String) {
        let units = self.high.take().into_iter().chain(std::iter::once(unit));
        if (0xd800..0xdc00).contains(&unit) {
            self.high = Some(unit);
            return;
        }
        out.extend(char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifted_and_plain() {
        for (text, plain) in [
            ("a+AEA-x.jp", "a@x.jp"),
            ("+ZeVnLIqe-", "日本語"),
            ("1 +- 1", "1 + 1"),
            ("+2D3eAA-", "😀"),
            ("a+AEA.b", "a@.b"),
        ] {
            let mut out = String::new();
            let mut decoder = Utf7::default();
            text.as_bytes().chunks(1).for_each(|chunk| decoder.feed(chunk, &mut out));
            assert_eq!(out, plain);
        }
    }
}
