//! Where letters of base64 stand without a gap: a bit for each octet of a text says whether it is one.

use super::SEED;
use std::ops::Range;

/// Octets that are tested together.
const MANY: usize = 64;

/// The letters of a text.
#[derive(Debug, Default)]
pub(super) struct Letters {
    /// A bit for each octet, the lowest for the first.
    masks: Vec<u64>,
}

impl Letters {
    /// Reads a text. What is before `from` is not asked for.
    pub(super) fn read(&mut self, text: &[u8], from: usize) {
        self.masks.clear();
        let known = from.min(text.len()) / MANY;
        self.masks.resize(known, 0);
        let (many, rest) = text[known * MANY..].as_chunks();
        self.masks.extend(many.iter().map(mask));
        if !rest.is_empty() {
            let mut octets = [0; MANY];
            octets[..rest.len()].copy_from_slice(rest);
            self.masks.push(mask(&octets));
        }
    }

    /// The next [`SEED`] letters without a gap, which may go on in the next text.
    pub(super) fn seed(&self, from: usize) -> Option<Range<usize>> {
        // Letters at the end of what came before.
        let mut before = 0;
        for (at, mask) in self.from(from) {
            let first = if before + count(mask.trailing_ones()) >= SEED {
                Some(at - before)
            } else {
                // The bits at which as many begin without a gap: 2, 4, 8, 16, 32, all.
                let begins = [1, 2, 4, 8, 16, SEED - 32].iter().fold(mask, |bits, &more| bits & bits >> more);
                (begins != 0).then(|| at + count(begins.trailing_zeros()))
            };
            if let Some(first) = first {
                return Some(first..first + SEED);
            }
            before = count(mask.leading_ones());
        }
        None
    }

    /// Where the letters end that stand here.
    pub(super) fn end(&self, from: usize) -> usize {
        let gap = |(at, mask): (usize, u64)| {
            let gaps = !mask & (u64::MAX << from.saturating_sub(at).min(MANY - 1));
            (gaps != 0).then(|| at + count(gaps.trailing_zeros()))
        };
        self.from(from).find_map(gap).unwrap_or(self.masks.len() * MANY).max(from)
    }

    /// The masks from that of this octet on, each with its place. Letters before are left out.
    fn from(&self, from: usize) -> impl Iterator<Item = (usize, u64)> {
        let (first, bits) = (from / MANY, u64::MAX << (from % MANY));
        let masks = self.masks.iter().enumerate().skip(first);
        masks.map(move |(index, mask)| (index * MANY, if index == first { mask & bits } else { *mask }))
    }
}

/// A letter of base64 in its usual alphabet.
#[expect(clippy::needless_bitwise_bool, reason = "without branches it is tested for many octets at once")]
pub(super) fn is_letter(byte: u8) -> bool {
    // The slash comes before the digits.
    ((byte | 0x20).wrapping_sub(b'a') < 26) | (byte.wrapping_sub(b'/') < 11) | (byte == b'+')
}

fn mask(octets: &[u8; MANY]) -> u64 {
    let mut letters = [0; MANY];
    for (letter, &octet) in letters.iter_mut().zip(octets) {
        *letter = u8::from(is_letter(octet));
    }
    // Each product has the lowest bits of eight octets beside each other in its highest octet.
    let eight = |octets: &[u8; 8]| u64::from_le_bytes(*octets).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    letters.as_chunks().0.iter().map(eight).rev().fold(0, |bits, eight| bits << 8 | eight)
}

fn count(bits: u32) -> usize {
    usize::try_from(bits).unwrap_or(MANY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::walk::transfer::base64_value;
    use proptest::prelude::*;

    proptest! {
        /// Letters are found as a look at each octet finds them.
        #[test]
        fn as_a_look_at_each_octet(gaps in prop::collection::vec(0_usize..150, 0..9), from in 0_usize..500) {
            let text = gaps.iter().map(|&letters| "a".repeat(letters)).collect::<Vec<_>>().join(" ");
            let mut letters = Letters::default();
            letters.read(text.as_bytes(), from);
            let rest = text.as_bytes().get(from..).unwrap_or_default();
            let slow = rest.windows(SEED).position(|letters| !letters.contains(&b' '));
            prop_assert_eq!(letters.seed(from), slow.map(|at| from + at..from + at + SEED));
            if from < text.len() {
                let gap = rest.iter().position(|&byte| byte == b' ').unwrap_or(rest.len());
                prop_assert_eq!(letters.end(from), from + gap);
            }
        }
    }

    #[test]
    fn letters_are_those_of_base64() {
        for byte in 0..=u8::MAX {
            assert_eq!(is_letter(byte), base64_value(byte).is_some() && !b"-_".contains(&byte), "{byte}");
        }
    }
}
