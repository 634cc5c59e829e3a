//! Johab (KS X 1001 annex 3, code page 1361): Hangul composed of letters of five bits each; everything else
//! in the order of KS X 1001.

use super::National;

/// Vowels by their five bits; 99 means none.
const VOWELS: [u8; 32] = [
    99, 99, 99, 0, 1, 2, 3, 4, 99, 99, 5, 6, 7, 8, 9, 10, 99, 99, 11, 12, 13, 14, 15, 16, 99, 99, 17, 18, 19,
    20, 99, 99,
];

/// Decodes; `lead` is a first octet left over from the previous call.
pub(super) fn feed(lead: &mut Option<u8>, bytes: &[u8], last: bool, out: &mut String) {
    for &byte in bytes {
        match lead.take() {
            Some(first) => {
                let letter = character(first, byte);
                out.push(letter.unwrap_or(char::REPLACEMENT_CHARACTER));
                if letter.is_none() && byte.is_ascii() {
                    out.push(char::from(byte));
                }
            }
            None if byte.is_ascii() => out.push(char::from(byte)),
            None => *lead = Some(byte),
        }
    }
    if last && lead.take().is_some() {
        out.push(char::REPLACEMENT_CHARACTER);
    }
}

fn character(first: u8, second: u8) -> Option<char> {
    if matches!(first, 0x84..=0xd3) {
        return hangul(u16::from(first) << 8 | u16::from(second));
    }
    if !matches!(first, 0xd9..=0xde | 0xe0..=0xf9) || !matches!(second, 0x31..=0x7e | 0x91..=0xfe) {
        return None;
    }
    // Each first octet covers two rows of 94.
    let pair = if first < 0xe0 { 2 * (first - 0xd9) } else { 2 * (first - 0xe0) + 0x29 };
    let place = second - if second < 0x91 { 0x31 } else { 0x43 };
    let octets = [0xa1 + pair + place / 94, 0xa1 + place % 94];
    let (text, _) = National::Korean.encoding().decode_without_bom_handling(&octets);
    text.chars().next().filter(|letter| *letter != char::REPLACEMENT_CHARACTER)
}

/// The Hangul syllable with these bits; `None` for a single letter, which no address can be written in.
fn hangul(bits: u16) -> Option<char> {
    let initial = (bits >> 10 & 31).checked_sub(2).filter(|initial| *initial < 19)?;
    let vowel = VOWELS[usize::from(bits >> 5 & 31)];
    let last = match bits & 31 {
        last @ 1..=17 => last - 1,
        last @ 19..=29 => last - 2,
        _ => return None,
    };
    let syllable = (vowel < 99).then(|| (initial * 21 + u16::from(vowel)) * 28 + last)?;
    char::from_u32(0xac00 + u32::from(syllable))
}
